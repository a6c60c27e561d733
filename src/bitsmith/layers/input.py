"""What a network starts from: inputs and constants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.builder import Value
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, width_of
from bitsmith.layers.axis_order import Order, ordered
from bitsmith.layers.example import Example, quarters
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.quantizer import Quantizer

DEFAULT_INPUT = FixedFormat(True, 16, 10, Rounding.RND, Overflow.SAT)
"""An input of a float model about which nothing is known: fixed<16,6>, saturating."""


DEFAULT_INTEGER_INPUT = FixedFormat(True, 16, 0, Rounding.RND, Overflow.SAT)
"""The same of an input of integers: fixed<16,16>, saturating."""


def _integers(least: int, greatest: int) -> FixedFormat:
    """The format of integers from the ``least`` to the ``greatest``."""
    return FixedFormat(least < 0, max(width_of(least, greatest), 1), 0, Rounding.RND, Overflow.SAT)


@dataclass(frozen=True, slots=True, eq=False)
class Input(Layer):
    """A model input. ``integer`` says that the framework declares integers, and ``limits`` what they are where these are few.

    ``entries`` says that all its readers take it as indices 0 to ``entries - 1`` (see the pass ``index_inputs``); a
    ``quantizer``, of fixed-point grids, is what all of them begin with (see the pass ``quantized_inputs``). What is less than
    the ``floor`` is a mask to all of them, and as good as the floor (see the pass ``computed_masks``).
    """

    shape: Shape
    integer: bool = False
    entries: int | None = None
    limits: tuple[int, int] | None = None
    quantizer: Quantizer | None = None
    floor: float | None = None

    options: ClassVar[frozenset[str]] = frozenset({"outliers"})

    def default_format(self, bits: int) -> FixedFormat:
        """The format of an input about which neither the user nor calibration data say anything but its ``bits``.

        Indices and other integers are what they are in any budget.
        """
        if self.entries is not None:
            return FixedFormat(False, max((self.entries - 1).bit_length(), 1), 0, Rounding.TRN, Overflow.SAT)
        if self.limits is not None:
            return _integers(*self.limits)
        if self.integer:
            return DEFAULT_INTEGER_INPUT
        integer = min(bits // 4 + 2, DEFAULT_INPUT.integer)
        return replace(DEFAULT_INPUT, width=bits, frac=bits - integer)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return self.shape

    @property
    def saturates(self) -> bool:
        """True where the model itself takes what lies outside for the nearest number within."""
        return self.quantizer is not None or self.floor is not None

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x = inputs[0] if self.floor is None else np.maximum(inputs[0], self.floor)
        return x if self.quantizer is None else self.quantizer.applied(x)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        if self.quantizer is not None:
            return _quantized(lowering, self.shape, self.quantizer)
        unknown, seen = self.default_format(lowering.settings.result_bits), lowering.observed
        formats = lowering.input_formats(unknown)
        if lowering.format("result") is None:
            if self.entries is not None or self.limits is not None:
                # What calibration data happen not to hold is valid all the same.
                formats = (unknown,)
            elif self.integer and seen.limits and seen.frac is None:
                # Integers are never rounded, however large.
                formats = (_integers(math.floor(seen.lo), math.ceil(seen.hi)),)
        return lowering.builder.input(lowering.name, self.shape, *formats)


def _quantized(lowering: Lowering, shape: Shape, quantizer: Quantizer) -> Value:
    """An input on the grid of a quantizer."""
    fracs = quantizer.fracs
    if fracs is None:
        raise UnsupportedError("an input in steps that are not powers of two", where=f"input {lowering.name!r}")
    lo, hi = quantizer.lo, quantizer.hi
    return lowering.builder.apply(
        ops.Input(lowering.name, shape, fracs, lo, hi, quantizer.rounding, quantizer.overflow)
    )


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

    def giving(self, order: Order, shape: Shape) -> Layer | None:
        return Constant(as_weights(ordered(self.value, order)))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.const("weight", self.value)


EXAMPLES = (Example(Input((3,)), ((3,),)), Example(Constant(quarters(2)), ((2,),)))
