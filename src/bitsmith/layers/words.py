"""Operands of a layer in a circuit, for what it says of itself there (``Layer.words``), and numbers in words."""

from dataclasses import dataclass

from bitsmith.ir.ops import Input
from bitsmith.ir.types import TensorType


@dataclass(frozen=True, slots=True)
class Operand:
    """The type of an operand, and the input of the circuit that it is, if it is one."""

    type: TensorType
    entry: Input | None


def many(count: int, noun: str) -> str:
    """Return ``count`` with the ``noun`` in its number."""
    return f"{count:,} {noun}{'s' if count != 1 else ''}"
