"""Powers, quotients and logarithms.

Operands outside a function's domain (a negative one under a root, 0 under a reciprocal or a logarithm) count as the nearest
value within it that the operand's type has: 0, or the least positive step. What the float model makes of them is not a number.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.errors.remedies import OPEN, given, remedy
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.layers.enclosure import Enclosure
from bitsmith.layers.example import COUNT, Example
from bitsmith.layers.layer import MUCH, PARTS, Floats, Layer, Shape, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.merge import aligned, broadcast
from bitsmith.layers.reciprocal import cut, exponential, logarithm, nonnegative, power
from bitsmith.layers.tables import ENTRY_BITS, Function, has_own_entries, tabulated, uniform
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

MAX_EXPONENT = 64
"""Largest magnitude of a power's exponent."""

TABLE_BITS = 24
"""Most bits of relative accuracy that a table of automatic size gives, if not each operand has an entry of its own."""

_GUARD_BITS = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Tabulated(Layer):
    """An element-wise function that goes through tables."""

    precisions: ClassVar[tuple[str, ...]] = ("table", "result")
    options: ClassVar[frozenset[str]] = frozenset({"table_size", "binning"})
    traits: ClassVar[Traits] = replace(
        computed(Scales.NONE, Exactness.APPROXIMATE, elementwise=True, affine=False), total=False
    )


@dataclass(frozen=True, slots=True, eq=False)
class _OfTwo(_Tabulated):
    """Such a function of two inputs; ``joined`` is what it is of floats."""

    joined: ClassVar[np.ufunc]

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return broadcast(inputs, self.kind, exactly=2)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        with np.errstate(all="ignore"):
            return np.asarray(self.joined(*aligned(inputs)), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Power(_Tabulated):
    """``x**exponent`` with a constant exponent: 2 is the square, -1 the reciprocal, 0.5 the root, -0.5 the reciprocal root.

    Positive whole exponents are exact products; others go through a table of the normalized operand.
    """

    exponent: float

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if not abs(self.exponent) <= MAX_EXPONENT:
            raise UnsupportedError(f"the exponent {self.exponent:g}", accepted=f"at most {MAX_EXPONENT}, either sign")
        return single(inputs, self.kind)

    def turning(self, least: float, most: float) -> tuple[float, ...]:
        return (0.0,)

    def enclosed(self, operands: Sequence[Enclosure], *, anywhere: bool) -> Enclosure | None:
        if self.exponent < 0.0 or not self.exponent.is_integer():
            return None
        (x,) = operands
        ends = x.least**self.exponent, x.most**self.exponent
        least = np.where((x.least < 0.0) & (x.most > 0.0), np.minimum(ends[0], 0.0), np.minimum(*ends))
        off = (x.magnitude + x.error) ** self.exponent - x.magnitude**self.exponent
        return Enclosure(least, np.maximum(*ends), off)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        with np.errstate(all="ignore"):
            return np.asarray(inputs[0] ** self.exponent, dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        if self.exponent >= 0.0 and self.exponent.is_integer():
            return lowering.result(whole_power(builder, x, int(self.exponent)))
        if not self.exponent.is_integer():
            y, largest = positive_power(lowering, x, self.exponent)
            return lowering.result(y, largest=largest)
        x = whole_power(builder, x, round(-self.exponent))
        inverse, largest = positive_power(lowering, builder.abs(x), -1.0)
        return lowering.result(_signed(builder, x, inverse), largest=largest)


@dataclass(frozen=True, slots=True, eq=False)
class VariablePower(_OfTwo):
    """The first input to the power of the second, ``2**(y * log2(x))`` by tables; the first may not be negative.

    A base of 0 gives 0 for positive exponents, else it counts as its type's least positive step.
    """

    joined: ClassVar[np.ufunc] = np.power

    def enclosed(self, operands: Sequence[Enclosure], *, anywhere: bool) -> Enclosure:
        base, exponent = operands
        with np.errstate(all="ignore"):
            bases = [np.maximum(end, 0.0) for end in base.reached]
            values = [b**e for b in (base.least, base.most) for e in (exponent.least, exponent.most)]
            largest = np.maximum.reduce([b**e for b in bases for e in exponent.reached])
            steepest = np.maximum.reduce([b ** (e - 1.0) for b in bases for e in exponent.reached])
            logs = np.maximum(*(np.abs(np.log(b)) for b in bases)) * largest * exponent.error
            most = np.maximum(*(np.abs(e) for e in exponent.reached))
        return Enclosure(np.minimum.reduce(values), np.maximum.reduce(values), logs + most * steepest * base.error)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, (base, exponent) = lowering.builder, inputs
        if base.type.span.lo < 0:
            raise UnsupportedError(
                "a power of two variables, of which the base may be negative",
                where=f"layer {lowering.name!r}",
                accepted="bases that are known not to be negative",
                remedy=remedy(
                    "take the base through ReLU, abs or a clamp to 0 and more; or give ",
                    given(calibration=OPEN),
                    ", if it is an input",
                ),
            )
        frac = _result_frac(lowering)
        seen = lowering.observed
        largest = max(math.ceil(math.log2(max(seen.amplitude, 2.0**-frac))), 1 - frac)
        times = max(abs(bound) for bound in exponent.type.real_range())
        bits = frac + largest + max(math.frexp(times)[1], 0) + _GUARD_BITS - 1
        logs = logarithm(lowering, uniform(lowering, base), 2.0, min(max(bits, 1), TABLE_BITS))
        product = uniform(lowering, builder.mul(exponent, logs))
        if lowering.format("result") is None and seen.limits:
            # Far enough beyond the range of the result that what is cut off here saturates there, which is counted.
            product = builder.min(product, builder.const(largest + 2))
        y = exponential(lowering, product, 2.0, max(frac, 0))
        none = builder.compare(base, Relation.EQ, builder.const(0))
        zero = builder.select(builder.compare(exponent, Relation.GT, builder.const(0)), builder.const(0), y)
        return lowering.result(builder.select(none, zero, y))


@dataclass(frozen=True, slots=True, eq=False)
class Divide(_OfTwo):
    """The first input over the second, by a normalized reciprocal; a divisor of 0 counts as its type's least positive step.

    0 over 0 is 0 of a ``share``, as of an element in a sum of magnitudes, else no number for frameworks.
    """

    joined: ClassVar[np.ufunc] = np.divide

    share: bool = False

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        quotient = _OfTwo.reference(self, inputs)
        return np.where((aligned(inputs)[0] == 0.0) & np.isnan(quotient), 0.0, quotient) if self.share else quotient

    def steep(self, least: float = -8.0, most: float = 8.0, size: float = np.inf, shape: Shape = ()) -> float:
        # A dividend as near to 0 as the divisor may be as large as that: quotients of lengths are, of any number of numbers.
        nearest = max(least, -most, 0.0)
        return size if (most - least) / PARTS > MUCH * size * nearest else 0.0

    def enclosed(self, operands: Sequence[Enclosure], *, anywhere: bool) -> Enclosure:
        x, y = operands
        nearest = np.maximum(np.maximum(y.least, -y.most), 0.0)
        with np.errstate(all="ignore"):
            values = [a / b for a in (x.least, x.most) for b in (y.least, y.most)]
            within = 1.0 / np.maximum(nearest - y.error, 0.0)
            error = (x.error + x.magnitude * y.error / nearest) * within
        return Enclosure(np.minimum.reduce(values), np.maximum.reduce(values), error)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, (numerator, denominator) = lowering.builder, inputs
        largest = max(max(abs(bound) for bound in numerator.type.real_range()), 2.0**-64)
        inverse, largest = positive_power(lowering, builder.abs(denominator), -1.0, largest)
        return lowering.result(_signed(builder, denominator, builder.mul(numerator, inverse)), largest=largest)


@dataclass(frozen=True, slots=True, eq=False)
class Logarithm(_Tabulated):
    """The logarithm of ``x + offset`` (an integer, as in ``log1p``) to ``base``, by a table of the normalized operand."""

    base: float = math.e
    offset: int = 0

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if not self.base > 1.0:
            raise UnsupportedError(f"a logarithm to the base {self.base:g}", accepted="bases above 1")
        return single(inputs, self.kind)

    def turning(self, least: float, most: float) -> tuple[float, ...]:
        return ()

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        with np.errstate(all="ignore"):
            natural = np.log1p(inputs[0] + (self.offset - 1)) if self.offset else np.log(inputs[0])
            return np.asarray(natural / math.log(self.base), dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder = lowering.builder
        x = uniform(lowering, builder.add(inputs[0], builder.const(self.offset)))
        return lowering.result(logarithm(lowering, x, self.base, max(_result_frac(lowering), 0) + 1))


def whole_power(builder: ProgramBuilder, x: Value, exponent: int) -> Value:
    """``x**exponent`` exactly, by repeated squaring; squares are known not to be negative."""
    if exponent == 0:
        return builder.broadcast(builder.const(1), x.shape)
    result, rest = None, exponent
    while True:
        if rest % 2:
            result = x if result is None else builder.mul(result, x)
        rest //= 2
        if rest == 0:
            return result if result is not None else x
        x = nonnegative(builder, builder.mul(x, x))


def positive_power(lowering: Lowering, x: Value, exponent: float, factor: float = 1.0) -> tuple[Value, float]:
    """``x**exponent`` so accurately that ``factor`` times it is within half a step of the result; and the most that this can be.

    The relative error is ``2**-TABLE_BITS`` at best. Operands below 0 count as 0 for positive exponents, operands below the
    least positive step as that for others.
    """
    builder = lowering.builder
    x = uniform(lowering, builder.max(x, builder.const(0)))
    span = x.type.span
    least = span.least
    ends = max(least, span.step), max(span.greatest, span.step)
    greatest = math.log2(factor) + max(exponent * math.log2(end) for end in ends)
    largest = 2.0 ** min(greatest, 1000.0)
    result_frac = _result_frac(lowering, largest)
    bits = max(result_frac + math.ceil(greatest) + 1, 1)
    kept = result_frac + max(math.ceil(math.log2(factor)), 0) + 2
    if TABLE_BITS < bits <= ENTRY_BITS - _GUARD_BITS and has_own_entries(lowering, x):
        floor = float(span.step) if exponent < 0.0 else 0.0
        function = Function(f"x**{exponent:g}", lambda v: np.asarray(np.maximum(v, floor) ** exponent), ())
        return tabulated(lowering, x, function, kept), largest
    y = power(lowering, x, exponent, least, min(bits, TABLE_BITS), "table")
    if lowering.format("table") is None:
        y = cut(builder, y, kept)
    if exponent < 0.0 or least > 0:
        return y, largest
    return builder.select(builder.compare(x, Relation.EQ, builder.const(0)), builder.const(0), y), largest


def _signed(builder: ProgramBuilder, sign: Value, magnitude: Value) -> Value:
    """``magnitude``, negated where ``sign`` is negative."""
    if sign.type.span.lo >= 0:
        return magnitude
    return builder.select(builder.compare(sign, Relation.LT, builder.const(0)), builder.neg(magnitude), magnitude)


def _result_frac(lowering: Lowering, largest: float = math.inf) -> int:
    fmt = lowering.format("result")
    return lowering.result_frac(largest=largest) if fmt is None else fmt.frac


EXAMPLES = (
    Example(Divide(), ((2,), (2,))),
    Example(Power(0.5), ((2,),), COUNT),
    Example(Logarithm(offset=1), ((2,),), COUNT),
    Example(VariablePower(), ((2,), (2,)), COUNT),
)
