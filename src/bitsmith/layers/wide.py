"""Functions of operands so wide that tables of them are not accurate: by reciprocals, roots, logarithms and exponentials.

All have an error below a step of ``frac`` fractional bits, up to a relative accuracy of about ``2**-TABLE_BITS``.
"""

import math
from fractions import Fraction

import numpy as np

from bitsmith.ir.builder import Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.reciprocal import cut, exponential, logarithm, power, reciprocal
from bitsmith.layers.statistics import square
from bitsmith.layers.tables import ENTRY_BITS, Function, tabulated

_GUARD_BITS = 3
_MANY_BITS = 1 << 20


def softsign(lowering: Lowering, x: Value, frac: int) -> Value:
    """``x / (1 + |x|)`` by a reciprocal, accurate at any magnitude."""
    builder = lowering.builder
    magnitude = builder.add(builder.abs(x), builder.const(1))
    y = builder.mul(x, reciprocal(lowering, magnitude, Fraction(1), max(frac, 1) + 2, "table"))
    if lowering.format("result") is not None:
        return y
    return builder.cast_to(y, frac, -(1 << frac), 1 << frac, Rounding.RND, Overflow.SAT)


def squareplus(lowering: Lowering, x: Value, frac: int) -> Value:
    """``max(x, 0) + 2 / (|x| + sqrt(x**2 + 4))``: nothing cancels, however far out."""
    builder, bits = lowering.builder, max(frac, 1) + 2
    root = power(lowering, builder.add(square(lowering, x), builder.const(4)), 0.5, Fraction(4), bits, "table")
    inverse = reciprocal(lowering, builder.add(builder.abs(x), root), Fraction(2), bits, "table")
    return builder.add(builder.max(x, builder.const(0)), builder.shift(inverse, 1))


def hard_shrink(lowering: Lowering, x: Value, _frac: int) -> Value:
    """``x`` where its magnitude is above 1/2, else 0: no line between entries of a table has the jump."""
    builder = lowering.builder
    return builder.select(builder.compare(builder.abs(x), Relation.GT, builder.const(1, 1)), x, builder.const(0))


def powers(lowering: Lowering, x: Value, frac: int, base: float, offset: int = 0) -> Value | None:
    """``base**x - offset``, as accurate at the right end of the range as near 0."""
    x = _within_reach(lowering, x, base, frac)
    if _most_bits(x, base) + frac > ENTRY_BITS:
        return None
    y = exponential(lowering, x, base, max(frac, 0))
    return lowering.builder.sub(y, lowering.builder.const(offset)) if offset else y


def hyperbolic(lowering: Lowering, x: Value, frac: int, *, odd: bool) -> Value | None:
    """Half of the difference (``odd``) or the sum of two exponentials, accurate at both ends of the range."""
    builder = lowering.builder
    up, down = (powers(lowering, each, frac, math.e) for each in (x, builder.neg(x)))
    if up is None or down is None:
        return None
    return builder.shift(builder.sub(up, down) if odd else builder.add(up, down), -1)


def _most_bits(x: Value, base: float) -> int:
    """Integer bits of the greatest power."""
    return math.ceil(min(x.type.real_range()[1] * math.log2(base), _MANY_BITS))


def _within_reach(lowering: Lowering, x: Value, base: float, frac: int) -> Value:
    """``x``, cut off where the result has saturated if its powers would have too many bits."""
    most = _saturation(lowering)
    if most is None or _most_bits(x, base) + frac <= ENTRY_BITS:
        return x
    # Twice as much and 1 more is enough for halves and differences of powers too.
    end = math.ceil(math.log(2.0 * most + 2.0, base)) + 1
    return lowering.builder.min(x, lowering.builder.const(end))


def _saturation(lowering: Lowering) -> float | None:
    """A magnitude from which on the result saturates, if it does."""
    fmt = lowering.format("result")
    if fmt is not None:
        return math.ldexp(float(max(-fmt.lo, fmt.hi)), -fmt.frac) if fmt.overflow is not Overflow.WRAP else None
    return 2.0 * lowering.observed.amplitude if lowering.observed.limits and not lowering.exact else None


def arctangent(lowering: Lowering, x: Value, frac: int) -> Value:
    """Return the arc tangent of ``|x|`` or, above 1, a quarter turn less that of ``1 / |x|``; with the sign of ``x``."""
    builder, bits = lowering.builder, max(frac, 1) + _GUARD_BITS
    one, magnitude = builder.const(1), builder.abs(x)
    above = builder.compare(magnitude, Relation.GT, one)
    inverse = reciprocal(lowering, builder.max(magnitude, one), Fraction(1), bits, "table")
    slope = cut(builder, builder.select(above, inverse, builder.min(magnitude, one)), bits)
    angle = tabulated(lowering, slope, Function("atan", np.arctan, ()), bits)
    turned = builder.sub(builder.const(round(math.ldexp(math.pi / 2.0, bits + 2)), bits + 2), angle)
    return _with_sign(lowering, x, builder.select(above, turned, angle))


def area(lowering: Lowering, x: Value, frac: int) -> Value:
    """``log(|x| + sqrt(x**2 + 1))`` with the sign of ``x``: near 0 it is as accurate, as the sum is at least 1."""
    builder, bits = lowering.builder, max(frac, 1) + _GUARD_BITS
    root = power(lowering, builder.add(square(lowering, x), builder.const(1)), 0.5, Fraction(1), bits, "table")
    return _with_sign(lowering, x, logarithm(lowering, builder.add(builder.abs(x), root), math.e, bits))


def _with_sign(lowering: Lowering, x: Value, magnitude: Value) -> Value:
    builder = lowering.builder
    return builder.select(builder.compare(x, Relation.LT, builder.const(0)), builder.neg(magnitude), magnitude)
