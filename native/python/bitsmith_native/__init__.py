"""Bitsmith's solver of adder graphs in C++; ``bitsmith.netlist`` calls it where it is installed."""

from bitsmith_native._solver import INTERFACE, solve

__all__ = ["INTERFACE", "solve"]
