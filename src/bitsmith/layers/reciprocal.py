"""Powers, logarithms and exponentials of any magnitude by one small table: the operand is first normalized.

By its leading one, ``x = m * 2**e`` with ``1 <= m < 2**p`` and ``e`` a multiple of ``p``, so that ``x**c = m**c * 2**(c * e)``.
``p`` is such that ``c * e`` is a whole number, if a small one does that (1 for reciprocals, 2 for roots): a shift then.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.layer import Floats
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.tables import ENTRY_BITS, INNER, Function, is_free, tabulated, uniform

_MOST_RADIX_BITS = 4
_ROUNDING_MARGIN = 2.0**-10
_SPARE_BITS = 3
"""Bits of the normalized operand, and of factors that are no powers of two, beyond those of the result."""

_DECAY_BITS = 3
"""Bits of the first factor of decaying exponentials beyond those of the result; the second one, and its share, have one less."""

_DECAY = Function("exp(-x)", lambda x: np.exp(-x), ())
_LOST = Function("1-exp(-x)", lambda x: -np.expm1(-x), ())

_MOST_BITS = ENTRY_BITS - 5
"""Bits of relative accuracy of exponentials: entries of their tables have as many, one before the point and guard bits."""


def all_of_width(value: int) -> int:
    """The greatest number with as many bits as ``value``: a WRAP to it only leaves bits away, which costs nothing."""
    return (1 << value.bit_length()) - 1


def nonnegative(builder: ProgramBuilder, x: Value) -> Value:
    """``x`` known not to be negative: the cast that says so never changes a value."""
    widest = all_of_width(max(x.type.raw_range[1], 0))
    return builder.cast_to(x, x.type.frac, 0, widest, Rounding.TRN, Overflow.WRAP)


def reciprocal(lowering: Lowering, x: Value, least: Fraction, frac: int, variable: str) -> Value:
    """``1 / x`` with a relative error of about ``2**-(frac + 1)``; ``x`` is known to be at least ``least``.

    The table's entries have the user's format of ``variable``, if there is one.
    """
    return power(lowering, x, -1.0, least, frac, variable)


def power(lowering: Lowering, x: Value, exponent: float, least: Fraction, frac: int, variable: str) -> Value:
    """``x**exponent`` with a relative error of about ``2**-(frac + 1)``.

    The leading one of ``x`` is known to be at least that of ``least``. An ``x`` that is less than one step all the same
    counts as one step. The table's entries have the user's format of ``variable``, if there is one. Roots and reciprocals need
    no products; of an exponent without a small denominator, each doubling of the magnitude of ``x`` is a factor of its own.
    """
    builder = lowering.builder
    radix_bits = next((p for p in range(1, _MOST_RADIX_BITS + 1) if (p * exponent).is_integer()), 1)
    parts = _normalized(builder, x, least, frac + _SPARE_BITS, radix_bits)
    span = x.type.span
    # Of the least operand only the leading one counts.
    ends = math.ldexp(1.0, _leading_one(max(least, span.step))), float(max(span.greatest, span.step))
    greatest = max(end**exponent for end in ends) * (1.0 + 2.0**-frac)
    kept = frac + max(math.ceil(-radix_bits * exponent), 0)
    name = f"(1+x)**{exponent:g}"
    if not (radix_bits * exponent).is_integer():
        kept += _SPARE_BITS
    table = Function(name, lambda f: np.asarray((1.0 + f) ** exponent, dtype=np.float64), ())
    result = rounded(lowering, tabulated(lowering, parts.fraction, table, kept, variable, sizes=INNER), kept, variable)
    if (radix_bits * exponent).is_integer():
        result = builder.shift(result, round(exponent * parts.exponent))
        for count, halved in parts.halvings:
            result = builder.select(halved, builder.shift(result, round(exponent * count)), result)
        return _at_most(lowering, result, greatest, variable)
    # So that the least result has its bits too.
    most = parts.exponent + sum(count for count, _ in parts.halvings)
    kept += max(math.ceil(-exponent * (most if exponent < 0 else parts.exponent)), 0)
    result = _times(builder, result, 2.0 ** (exponent * parts.exponent), frac, kept)
    for count, halved in parts.halvings:
        result = builder.select(halved, _times(builder, result, 2.0 ** (exponent * count), frac, kept), result)
    return _at_most(lowering, result, greatest, variable)


def _at_most(lowering: Lowering, x: Value, greatest: float, variable: str) -> Value:
    """``x``, never negative, known not to exceed ``greatest``, errors included: intervals lose that in the selections.

    Not so if the user chose the table, which may be coarse.
    """
    if lowering.format(variable) is not None or lowering.settings.table_size or lowering.settings.binning:
        return x
    span = x.type.span
    hi = all_of_width(math.ceil(math.ldexp(greatest * (1.0 + _ROUNDING_MARGIN), span.frac)) + 1)
    if hi >= span.hi:
        return x
    return lowering.builder.cast_to(x, span.frac, 0, hi, Rounding.TRN, Overflow.WRAP)


def _times(builder: ProgramBuilder, x: Value, factor: float, frac: int, kept: int) -> Value:
    """``x * factor`` to ``kept`` fractional bits, the factor with a relative error of ``2**-(frac + 4)``."""
    places = frac + _SPARE_BITS + 1 - math.frexp(factor)[1]
    product = builder.mul(x, builder.const(round(math.ldexp(factor, places)), places))
    return cut(builder, product, kept)


def logarithm(lowering: Lowering, x: Value, base: float, frac: int) -> Value:
    """The logarithm of ``x`` with an error of about ``2**-(frac + 1)``; an ``x`` of less than one step counts as one step."""
    builder = lowering.builder
    parts = _normalized(builder, x, Fraction(0), frac + _SPARE_BITS, 1)
    scale = 1.0 / math.log(base)

    def evaluate(f: Floats) -> Floats:
        return np.asarray(np.log1p(f) * scale, dtype=np.float64)

    places = frac + _SPARE_BITS + 4
    result = tabulated(
        lowering, parts.fraction, Function(f"log{base:g}(1+x)", evaluate, ()), frac + _SPARE_BITS, sizes=INNER
    )
    offset = builder.const(round(math.ldexp(parts.exponent * math.log(2.0) * scale, places)), places)
    result = builder.add(result, offset)
    for count, halved in parts.halvings:
        step = builder.const(round(math.ldexp(count * math.log(2.0) * scale, places)), places)
        result = builder.add(result, builder.select(halved, step, builder.const(0)))
    return result


def exponential(lowering: Lowering, x: Value, base: float, frac: int) -> Value:
    """``base**x`` with an error of about ``2**-(frac + 1)``: 2 to the fraction of ``x * log2(base)`` by a table, then shifts."""
    builder = lowering.builder
    scale = math.log2(base)
    lo, hi = x.type.real_range()
    bits = min(max(frac + math.ceil(hi * scale), 1), _MOST_BITS)
    if scale != 1.0:
        places = bits + _SPARE_BITS + max(math.frexp(max(abs(lo), abs(hi)))[1], 0)
        x = builder.mul(x, builder.const(round(math.ldexp(scale, places)), places))
    span = x.type.span
    kept = min(span.frac, bits + _SPARE_BITS - 1)
    drop = span.frac - kept
    highest = (span.hi >> drop) + 1
    # Powers of less round to 0.
    lowest = math.floor(math.ldexp(-(frac + _SPARE_BITS + 2), kept))
    bounds = (min(max(span.lo >> drop, lowest), highest), highest)
    x = builder.cast_to(x, kept, *bounds, Rounding.RND, Overflow.SAT)
    least, most = bounds[0] >> max(kept, 0), bounds[1] >> max(kept, 0)
    whole = builder.cast_to(x, min(kept, 0), least, most, Rounding.TRN, Overflow.SAT)
    fraction = builder.cast_to(x, max(kept, 0), 0, _below(max(kept, 0)), Rounding.TRN, Overflow.WRAP)
    powers = tabulated(lowering, fraction, Function("2**x", np.exp2, ()), bits + 1, sizes=INNER)
    result = rounded(lowering, powers, bits + 1, "table")
    result = builder.shift(result, least)
    above = builder.sub(whole, builder.const(least))
    for place in range((most - least).bit_length()):
        bit = builder.cast_to(above, -place, 0, 1, Rounding.TRN, Overflow.WRAP)
        result = builder.select(bit, builder.shift(result, 1 << place), result)
    return cut(builder, _at_most(lowering, result, base**hi + 2.0**-frac, "table"), frac + _SPARE_BITS)


def decay(lowering: Lowering, x: Value, frac: int, variable: str) -> Value:
    """``exp(-x)`` of an ``x`` that is not negative, with an error below ``2**-frac``.

    ``exp(-(a + b)) = exp(-a) - exp(-a) * (1 - exp(-b))``: where one table were large, the upper and the lower bits of ``x`` have
    tables of their own. The entries have the user's format of ``variable``, if there is one: then there is one table.
    """
    bounds = lowering.settings.table_range
    # A range given for exp(x) bounds the magnitude.
    bounds = None if bounds is None else (0.0, max(abs(bounds[0]), abs(bounds[1])))
    builder, x = lowering.builder, uniform(lowering, x)
    places = frac + _DECAY_BITS
    kept = min(x.type.span.frac, places)
    # Beyond, it is an eighth of a step at most.
    last = min(math.ceil(math.ldexp(places * math.log(2.0), kept)), x.type.span.hi >> max(x.type.span.frac - kept, 0))
    if last <= INNER.own or places > ENTRY_BITS or not is_free(lowering, variable):
        return rounded(lowering, tabulated(lowering, x, _DECAY, frac, variable, bounds), frac, variable)
    x = builder.cast_to(x, kept, 0, last, Rounding.RND, Overflow.SAT)

    def bits_of(low: int) -> int:
        return ((last >> low) + 1) * (places + 1) + (places + low - kept << low)

    low = min(range(1, last.bit_length()), key=bits_of)
    upper = builder.cast_to(x, kept - low, 0, last >> low, Rounding.TRN, Overflow.SAT)
    lower = builder.cast_to(x, kept, 0, _below(low), Rounding.TRN, Overflow.WRAP)
    coarse = tabulated(lowering, upper, _DECAY, places, variable)
    lost = tabulated(lowering, lower, _LOST, places - 1, variable)
    factor = cut(builder, coarse, places - 1 + low - kept)
    return cut(builder, builder.sub(coarse, builder.mul(factor, lost)), frac)


def cut(builder: ProgramBuilder, x: Value, frac: int) -> Value:
    """``x``, never negative, rounded to at most ``frac`` fractional bits."""
    span = x.type.span
    if span.frac <= frac:
        return x
    hi = all_of_width((span.hi >> span.frac - frac) + 1)
    return builder.cast_to(x, frac, 0, hi, Rounding.RND, Overflow.WRAP)


def rounded(lowering: Lowering, x: Value, frac: int, variable: str) -> Value:
    """``x``, never negative, without what interpolation added below ``frac`` bits; as it is in a format that the user gave."""
    return x if lowering.format(variable) is not None else cut(lowering.builder, x, frac)


@dataclass(frozen=True, slots=True)
class _Normalized:
    """``x = (1 + fraction) * 2**(exponent + k)`` with ``k`` the sum of the ``halvings`` whose condition holds."""

    fraction: Value
    exponent: int
    halvings: tuple[tuple[int, Value], ...]


def _normalized(builder: ProgramBuilder, x: Value, least: Fraction, keep: int, radix_bits: int) -> _Normalized:
    """``x``, at least ``least``, split into a fraction of about ``keep`` bits below ``2**radix_bits - 1`` and an exponent.

    All exponents are multiples of ``radix_bits``. An ``x`` below one step counts as one step.
    """
    span = x.type.span
    if least < span.step:
        x, least = builder.max(x, builder.const(1, span.frac)), span.step
    exponent = _leading_one(least) // radix_bits * radix_bits
    steps = max(_leading_one(max(span.greatest, span.step)) - exponent, 0) // radix_bits
    finest = keep - exponent
    halvings: list[tuple[int, Value]] = []
    for count in (radix_bits << j for j in reversed(range(steps.bit_length()))):
        halved = builder.compare(x, Relation.GE, builder.const(1, -exponent - count))
        x = builder.select(halved, builder.shift(x, -count), x)
        frac = min(x.type.span.frac, finest)
        # What the comparison just proved; bits below the precision that is kept fall off.
        x = builder.cast_to(x, frac, 0, _below(exponent + count + frac), Rounding.TRN, Overflow.WRAP)
        halvings.append((count, halved))
    if radix_bits > 1:  # otherwise the leading one is just left away
        x = builder.sub(x, builder.const(1, -exponent))
    frac = min(x.type.span.frac, finest)
    width = exponent + frac + (radix_bits if radix_bits > 1 else 0)
    fraction = builder.cast_to(x, frac, 0, _below(width), Rounding.TRN, Overflow.WRAP)
    return _Normalized(builder.shift(fraction, -exponent), exponent, tuple(halvings))


def _leading_one(x: Fraction) -> int:
    """The exponent of the leading one of ``x``, a positive multiple of a power of two."""
    return x.numerator.bit_length() - x.denominator.bit_length()


def _below(bits: int) -> int:
    return (1 << max(bits, 0)) - 1
