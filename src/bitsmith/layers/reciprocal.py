"""Reciprocals of any magnitude by one small table: the operand is first normalised by its leading one."""

from __future__ import annotations

from bitsmith.ir.builder import Builder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.tables import Function, tabulated

_RECIPROCAL = Function("1/(1+x)", lambda x: 1.0 / (1.0 + x))


def all_of_width(value: int) -> int:
    """The greatest number with as many bits as ``value``: a WRAP to it only leaves bits away, which costs nothing."""
    return (1 << value.bit_length()) - 1


def reciprocal(lowering: Lowering, x: Value, least: int, frac: int, variable: str) -> Value:
    """``1 / x`` with a relative error of about ``2**-(frac + 1)``; ``x`` is known to be at least ``least``, raw.

    The table's entries have the user's format of ``variable``, if there is one.
    """
    builder = lowering.builder
    fraction, exponent, halvings = _leading_one(builder, x, least)
    result = rounded(lowering, tabulated(lowering, fraction, _RECIPROCAL, frac + 1, variable), frac + 1, variable)
    result = builder.shift(result, -exponent)
    for count, halved in halvings:
        result = builder.select(halved, builder.shift(result, -count), result)
    return result


def rounded(lowering: Lowering, x: Value, frac: int, variable: str) -> Value:
    """``x``, never negative, without what interpolation added behind ``frac`` bits; as it is in a format that the user gave."""
    surplus = int(x.type.frac.max()) - frac
    if lowering.format(variable) is not None or surplus <= 0:
        return x
    highest = (int(x.type.hi.max()) >> surplus) + 1
    return lowering.builder.cast_to(x, frac, 0, all_of_width(highest), Rounding.RND, Overflow.WRAP)


def _leading_one(builder: Builder, x: Value, least: int) -> tuple[Value, int, list[tuple[int, Value]]]:
    """``x = (1 + fraction) * 2**(exponent + k)`` with ``k`` as conditions on powers of two; ``x`` is at least ``least``, raw.

    Zero (only possible if all table entries are zero) counts as the least positive value.
    """
    frac = int(x.type.frac.max())
    if least < 1:
        x, least = builder.max(x, builder.const(1, frac)), 1
    place, span = least.bit_length() - 1, int(x.type.hi.max()).bit_length() - least.bit_length()
    halvings: list[tuple[int, Value]] = []
    for count in (1 << j for j in reversed(range(max(span, 0).bit_length()))):
        halved = builder.compare(x, Relation.GE, builder.const(1 << (place + count), frac))
        x = builder.select(halved, builder.shift(x, -count), x)
        grown = int(x.type.frac.max())
        place, frac = place + grown - frac, grown
        # What the comparison just proved; no value changes.
        x = builder.cast_to(x, frac, 0, (1 << (place + count)) - 1, Rounding.TRN, Overflow.WRAP)
        halvings.append((count, halved))
    fraction = builder.cast_to(x, frac, 0, (1 << place) - 1, Rounding.TRN, Overflow.WRAP)
    return builder.shift(fraction, frac - place), place - frac, halvings
