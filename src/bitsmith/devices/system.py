"""Boards with a processor beside the FPGA, or a host that feeds it: what a system around a circuit must know of them."""

import enum
import math
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from bitsmith.devices.family import Part


class Processor(enum.Enum):
    """The processing system of an AMD board."""

    ZYNQ = "zynq"
    ZYNQ_ULTRASCALE = "zynq_ultrascale"

    @property
    def bus_bytes(self) -> int:
        """Bytes of a transfer between its memory and the logic."""
        return 8 if self is Processor.ZYNQ else 16

    @property
    def most_mhz(self) -> float:
        """The fastest clock that Vivado lets it give the logic; infinity where no such limit is known."""
        return 250.0 if self is Processor.ZYNQ else math.inf


@dataclass(frozen=True, slots=True)
class Zynq:
    """An AMD board with a processing system.

    ``board_part`` is Vivado's name of the board, and ``connections`` what joins it to its carrier, as Vivado's property
    ``board_connections`` wants it.
    """

    name: str
    part: Part
    processor: Processor
    board_part: str
    connections: str

    @property
    def bus_bytes(self) -> int:
        return self.processor.bus_bytes

    fixed_hz: ClassVar[int | None] = None
    """The clock of its circuit in Hz; None, as tools make the one that is asked for."""

    memory_bytes = bus_bytes
    """Bytes of a transfer of a circuit that reads and writes memory itself; None where the board has no such circuits."""


@dataclass(frozen=True, slots=True)
class Card:
    """An accelerator card of AMD in a host: the platform that kernels are linked to, and the name and number of its memories."""

    name: str
    part: Part
    platform: str
    memory: str
    banks: int

    bus_bytes: ClassVar[int] = 64
    memory_bytes: ClassVar[int | None] = None
    fixed_hz: ClassVar[int | None] = None


@dataclass(frozen=True, slots=True)
class SocFpga:
    """An Intel board with a hard processor system.

    ``clock`` is the site of its clock, of ``clock_hz``. ``memory`` are parameters of the processor that describe its memory.
    """

    name: str
    part: Part
    family: str
    clock: str
    clock_hz: int
    io_standard: str
    memory: tuple[tuple[str, str], ...]

    bus_bytes: ClassVar[int] = 8
    memory_bytes: ClassVar[int | None] = None
    fixed_hz: ClassVar[int | None] = None


def beat_bytes(size: int, bus_bytes: int) -> int:
    """Bytes of a beat of tokens of ``size`` bytes: a power of two, the bus's width at most."""
    return int(min(1 << (size - 1).bit_length(), bus_bytes))


SystemBoard: TypeAlias = Zynq | Card | SocFpga
