"""Operands of a layer in a circuit, for what it says of itself there (``Layer.words``)."""

from __future__ import annotations

from dataclasses import dataclass

from bitsmith.ir.ops import Input
from bitsmith.ir.types import TensorType


@dataclass(frozen=True, slots=True)
class Operand:
    """The type of an operand, and the input of the circuit that it is, if it is one."""

    type: TensorType
    entry: Input | None
