"""The functions of :mod:`bitsmith.frontends.tflite.fixedpoint` as layers, for operands with too many values for a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ZERO, Value, constant
from bitsmith.frontends.ops.arithmetic import absolute, add, minimum, multiply, subtract
from bitsmith.frontends.ops.logic import compare, where
from bitsmith.frontends.tflite.fixedpoint import POWERS, Fixed
from bitsmith.frontends.tflite.requantize import INT32, exact, integers
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Rounding
from bitsmith.layers.elementwise import Sign
from bitsmith.layers.layer import as_weights
from bitsmith.layers.quantization.lookup import Lookup
from bitsmith.layers.quantization.quantize import Quantize

_START_ERROR = 17
"""Part of its value that the first approximation of a reciprocal is off by, at most; each step of Newton squares it."""

_ROUNDINGS = 8
"""More than what roundings add to the error of a step, in its last place."""


def rounded(
    build: Builder, x: Value, exponent: int, rounding: Rounding, suffix: str, limits: tuple[int, int] = INT32
) -> Value:
    """``x / 2**exponent`` as an integer."""
    return build.emit(Quantize(integers(Fraction(1 << exponent), limits, rounding)), x, suffix=suffix)


@dataclass(frozen=True, slots=True)
class FixedLayers:
    """Emits functions on numbers of so many bits as ``fixed`` says."""

    build: Builder
    fixed: Fixed

    def within(self, suffix: str) -> FixedLayers:
        """The same for a part."""
        return replace(self, build=self.build.within(suffix))

    def times(self, x: Value, y: Value | int, suffix: str, limits: tuple[int, int] = INT32) -> Value:
        """The product, whose integer bits are those of both."""
        factor = constant(float(y)) if isinstance(y, int) else y
        product = multiply(self.build.within(f"{suffix}_product"), x, factor)
        return rounded(self.build, product, self.fixed.bits - 1, Rounding.RND, suffix, limits)

    def sum(self, x: Value, y: Value | int, suffix: str) -> Value:
        return add(self.build.within(suffix), x, constant(float(y)) if isinstance(y, int) else y)

    def raised(self, x: Value, exponent: int, suffix: str) -> Value:
        """``x * 2**exponent``, saturated."""
        limit = 1 << self.fixed.bits - 1
        scale = Fraction(1, 1 << exponent)
        return self.build.emit(Quantize(integers(scale, (-limit, limit - 1), Rounding.RND)), x, suffix=suffix)

    def newton(self, half: Value) -> Value:
        """``1 / half``, which is from 1/2 to 1, with two integer bits."""
        fixed, unit = self.fixed, 1 << self.fixed.bits - 3
        x = self.sum(self.times(half, fixed.constant(-1010580540), "slope"), fixed.constant(1515870810), "start")
        for step in range(3):
            most = unit // _START_ERROR ** (1 << step) + _ROUNDINGS
            near = self.times(half, x, f"near{step}", (unit - most, unit + most))
            missing = subtract(self.build.within(f"missing{step}"), constant(float(unit)), near)
            change = self.raised(self.times(x, missing, f"change{step}"), 2, f"more{step}")
            x = self.sum(x, change, f"step{step}")
        return x

    def exp_near_zero(self, x: Value) -> Value:
        """``exp(x)`` from -1/4 to 0."""
        fixed = self.fixed
        middle, third = fixed.constant(1895147668), fixed.constant(715827883)
        x = self.sum(x, 1 << fixed.bits - 4, "centered")
        square = self.times(x, x, "square")
        fourth = rounded(self.build, self.times(square, square, "fourth"), 2, Rounding.RND_INF, "fourth_quarter")
        rest = self.sum(fourth, self.times(square, x, "third"), "rest")
        tail = self.sum(self.times(rest, third, "rest_third"), square, "tail")
        total = self.sum(x, rounded(self.build, tail, 1, Rounding.RND_INF, "tail_half"), "series")
        result = self.sum(self.times(total, middle, "scaled"), middle, "result")
        return minimum(self.build.within("near_zero"), result, constant(float(fixed.one)))

    def exp_of_negative(self, x: Value, integer_bits: int) -> Value:
        """``exp(x)`` without integer bits, of ``x <= 0`` that has some, at most 5."""
        fixed, build = self.fixed, self.build
        fraction = fixed.bits - 1 - integer_bits
        quarters = rounded(build, x, fraction - 2, Rounding.TRN, "quarters", (-(1 << integer_bits + 2), 0))
        whole = multiply(build.within("whole"), quarters, constant(float(1 << fraction - 2)))
        inside = self.sum(subtract(build.within("rest"), x, whole), -(1 << fraction - 2), "inside")
        raised = multiply(build.within("fine"), inside, constant(float(1 << integer_bits)))
        result = self.exp_near_zero(raised)
        places = np.arange(-(1 << integer_bits + 2), 1)
        for exponent, factor in POWERS:
            if integer_bits > exponent:
                held = (-places - 1) >> exponent + 2 & 1
                factors = exact(np.where(held != 0, fixed.constant(factor), 1 << fixed.bits - 1))
                table = Lookup(as_weights(0.0), int(places[0]), factors)
                chosen = build.emit(table, quarters, suffix=f"factor{exponent + 2}")
                result = self.times(result, chosen, f"power{exponent + 2}")
        is_one = compare(build, Relation.EQ, quarters, ZERO, "is_one")
        return where(build.within("exp"), is_one, constant(float(fixed.one)), result)

    def _half(self, x: Value, integer_bits: int) -> Value:
        """``(1 + exp(-x)) / 2`` of the size of ``x``."""
        size = absolute(self.build.within("size"), x)
        negative = multiply(self.build.within("negative"), size, constant(-1.0))
        small = self.exp_of_negative(negative, integer_bits)
        return rounded(self.build, self.sum(small, self.fixed.one + 1, "above_one"), 1, Rounding.TRN, "half")

    def logistic(self, x: Value, integer_bits: int) -> Value:
        """The logistic function."""
        build, one = self.build, constant(float(self.fixed.one))
        positive = self.raised(self.newton(self._half(x, integer_bits)), 1, "positive")
        negative = subtract(build.within("complement"), one, positive)
        chosen = where(build.within("sided"), compare(build, Relation.GT, x, ZERO, "is_positive"), positive, negative)
        middle = constant(float(1 << self.fixed.bits - 2))
        return where(build.within("logistic"), compare(build, Relation.EQ, x, ZERO, "is_zero"), middle, chosen)

    def tanh(self, x: Value, integer_bits: int) -> Value:
        """The hyperbolic tangent."""
        near_one = self.sum(self.newton(self._half(x, integer_bits + 1)), -(1 << self.fixed.bits - 3), "above")
        size = self.raised(near_one, 2, "large")
        sign = self.build.emit(Sign(), x, suffix="sign")
        return multiply(self.build.within("tanh"), size, sign)
