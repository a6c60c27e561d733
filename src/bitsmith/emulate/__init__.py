"""Fast, bit-exact execution of core programs on numpy arrays."""

from bitsmith.emulate.emulator import Emulator

__all__ = ["Emulator"]
