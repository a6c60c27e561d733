"""Integers rescaled with two roundings, as fixed-point libraries do: at once, where one multiplication is the same.

Two roundings make a staircase whose steps lie a little nearer to 0 than those of one rounding. So it is
``floor((x * factor + term) / 2**drop)`` with one term for ``x >= 0`` and another for ``x < 0``, and a factor of fewer bits than
the scale's; :mod:`bitsmith.layers.quantization.multiplication` has the idea.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Ints, Overflow, Rounding, objects
from bitsmith.layers.axis_order import Order
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape, StepLayer, Unary, alike_along, broadcasts, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.quantization.multiplication import Steps, multiplied, roundest
from bitsmith.layers.quantization.quantizer import Quantizer, binary_exponents
from bitsmith.layers.quantization.requantize import alike, quantized_values, saturated
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

_MOST_STEPS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Rescale(Unary):
    """``second`` of ``first``: quantizers one after the other, of which the second may be coarser by a power of two only.

    Source: gemmlowp, ``SaturatingRoundingDoublingHighMul`` and ``RoundingDivideByPOT`` in ``fixedpoint/fixedpoint.h``.
    """

    first: Quantizer
    second: Quantizer

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.GRID, elementwise=False, affine=False)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if not (broadcasts(self.first.shape, shape) and broadcasts(self.second.shape, shape)):
            raise UnsupportedError(
                f"quantizers of {self.first.shape} and {self.second.shape} on an input of shape {shape}"
            )
        return shape

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        first, second = (one.reordered(orders[0], shapes[0]) for one in (self.first, self.second))
        return replace(self, first=first, second=second), orders[0]

    def step_by_step(self, axis: int, shapes: Sequence[Shape]) -> StepLayer | None:
        alike = all(alike_along(axis, each.shape, len(shapes[0])) for each in (self.first, self.second))
        return StepLayer(self, axis) if alike else None

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return self.second.applied(self.first.applied(inputs[0]))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        if lowering.format("result") is not None:
            return lowering.cast("result", x)
        once = self._at_once(builder, x)
        return (
            quantized_values(builder, quantized_values(builder, x, self.first), self.second) if once is None else once
        )

    def _at_once(self, builder: ProgramBuilder, x: Value) -> Value | None:
        """The result of one multiplication; None if there is none."""
        first, second = self.first, self.second
        powers = binary_exponents(second.scale)
        plain = all(bool(np.all(part == 1)) for part in (first.step, second.step)) and not np.any(second.offset)
        modes = (first.rounding, second.rounding) == (Rounding.RND, Rounding.RND_INF)
        if powers is None or np.any(powers < 0) or not plain or not modes:
            return None
        axes = alike(x, np.broadcast_shapes(first.shape, second.shape))
        x = builder.aligned(x, axes)
        union = x.type.union(axes)
        arrays = np.broadcast_arrays(
            first.scale, first.offset, powers, first.lo, first.hi, second.lo, second.hi, union.lo, union.hi, union.frac
        )
        rows = zip(*(array.ravel() for array in arrays), strict=True)
        stairs = [
            _Stairs(Fraction(2) ** -int(frac) / scale, offset, *map(int, rest)) for scale, offset, *rest, frac in rows
        ]
        searched = [_searched(one) for one in stairs]
        if any(one is None for one in searched):
            return None
        factor, positive, negative, drop, low, high = (
            np.array(column, dtype=np.object_).reshape(arrays[0].shape)
            for column in zip(*(one for one in searched if one is not None), strict=True)
        )
        x = saturated(builder, x, low, high)
        term = builder.const(positive, drop)
        if bool(np.any(positive != negative)):
            below = builder.compare(x, Relation.LT, builder.const(0))
            term = builder.select(below, builder.const(negative, drop), term)
        total = builder.add(builder.mul(x, builder.const(factor, drop - objects(union.frac))), term)
        return builder.cast_to(total, 0, arrays[5], arrays[6], Rounding.TRN, Overflow.SAT)


@dataclass(frozen=True, slots=True)
class _Stairs:
    """``round(round(x * factor + offset) / 2**power)`` of ``x`` from ``least`` to ``most``, with codes from ``lo`` to ``hi``."""

    factor: Fraction
    offset: Fraction
    power: int
    first_lo: int
    first_hi: int
    lo: int
    hi: int
    least: int
    most: int

    def inner(self, x: int) -> int:
        """The number between the two roundings."""
        return int((2 * (x * self.factor + self.offset) + 1) // 2)

    def code(self, x: int) -> int:
        """The code of one number."""
        inner, half = self.inner(x), 1 << self.power >> 1
        code = inner + half >> self.power if inner >= 0 else -(-inner + half >> self.power)
        return min(max(code, self.lo), self.hi)

    def starts(self, codes: Ints) -> Ints:
        """The least number with each code or a greater one."""
        half = 1 << self.power >> 1
        inner = objects((codes << self.power) - half)
        if half:
            inner = objects(inner + (codes < 1))
        # x * a / b + p / q >= inner - 1 / 2
        (a, b), (p, q) = self.factor.as_integer_ratio(), self.offset.as_integer_ratio()
        return objects(-(-((2 * inner - 1) * q - 2 * p) * b // (2 * q * a)))


@lru_cache(maxsize=4096)
def _searched(of: _Stairs) -> tuple[int, ...] | None:
    """Factor, terms of numbers from 0 on and below 0, and the bits that are dropped: of the fewest bits.

    Then the numbers below and above which all have one code.
    """
    first, last = of.code(of.least), of.code(of.most)
    inside = of.first_lo <= of.inner(of.least) and of.inner(of.most) <= of.first_hi
    if of.factor <= 0 or last - first > _MOST_STEPS or not inside:
        return None
    if first == last:
        return 0, first, first, 0, of.least, of.least
    codes = np.array(range(first + 1, last + 1), dtype=np.object_)
    starts = of.starts(codes)
    drops = (of.most - of.least).bit_length() + (last - first).bit_length() + 4
    halves = []
    for least, most in ((max(of.least, 0), of.most), (of.least, min(of.most, -1))):
        within = (starts > least) & (starts <= most)
        halves.append(Steps.of(of, codes[within], starts[within], least, most))
    product = multiplied(of.factor / (1 << of.power), drops, halves)
    if product is None:
        return None
    factor, drop, bounds = product
    low, high = max(least for least, _ in bounds), min(most for _, most in bounds)
    ranges = [(low, high)] * 2 if low <= high else bounds
    positive, negative = (roundest(least, most, (most - least).bit_length() + 1) for least, most in ranges)
    return factor, positive, negative, drop, int(starts[0]) - 1, int(starts[-1])


EXAMPLES = (
    Example(
        Rescale(
            Quantizer.uniform([2.0, 4.0, 1.5], -128, 127, Rounding.RND, step=1.0),
            Quantizer.uniform(4.0, -2, 1, Rounding.RND_INF, step=1.0),
        ),
        ((3,),),
    ),
)
