"""What a network starts from: inputs and constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from bitsmith.ir.builder import Value
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.layer import Floats, Layer, Shape
from bitsmith.layers.lowering import Lowering

DEFAULT_INPUT = FixedFormat(True, 16, 10, Rounding.RND, Overflow.SAT)
"""An input of a float model about which nothing is known: fixed<16,6>, saturating."""


@dataclass(frozen=True, slots=True, eq=False)
class Input(Layer):
    """A model input. ``integer`` says that the framework declares whole numbers."""

    shape: Shape
    integer: bool = False

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return self.shape

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return inputs[0]

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.builder.input(lowering.name, self.shape, lowering.input_format(DEFAULT_INPUT))


@dataclass(frozen=True, slots=True, eq=False)
class Constant(Layer):
    """A trained or given tensor, the same for every sample; no operands. ``reference`` has a batch axis of size 1."""

    value: Floats

    precisions: ClassVar[tuple[str, ...]] = ("weight",)

    def weights(self) -> Mapping[str, Floats]:
        return {"weight": self.value}

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return self.value.shape

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return self.value[None]

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.const("weight", self.value)
