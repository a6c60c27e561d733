"""Thresholds on a grid: the integers that numbers are compared with after they were rounded to it."""

import math
from collections.abc import Callable, Collection
from decimal import Decimal
from fractions import Fraction

import numpy as np

from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Input, Relation
from bitsmith.ir.rounding import drop_bits
from bitsmith.ir.types import Rounding, objects
from bitsmith.layers.arrays import Floats

_FAR = 1 << 600
"""The raw value of an infinite threshold."""

_DOUBLINGS, _HALVINGS = 100, 192
"""Doublings of 1 that reach all thresholds of scaled numbers, and halvings that bring them to the last place."""

_NEXT = 2
"""Last places by which the threshold of a number of double precision may be beside it."""

_TYPED = 5
"""Most digits of the number next to a constant that stands for it: of longer ones there is one next to many constants."""


def raw_threshold(bound: float, frac: int) -> int:
    """The greatest raw value at or below a bound, in steps of ``2**-frac``."""
    if math.isinf(bound):
        return _FAR
    numerator, denominator = bound.as_integer_ratio()
    return (numerator << max(frac, 0)) // (denominator << max(-frac, 0))


def rounded_threshold(bound: float, frac: int) -> int:
    """The same for numbers that are rounded to the grid, of which the bound and those of few digits stay on their side of it.

    A bound halfway between two numbers of data is often such a number itself but for its last place: 1.7 in single precision is
    greater than half of 1.6 and 1.8. Where the number next to a bound has at most six digits, and fewer than the number of the
    grid that it is rounded to, the threshold is such that it goes where it belongs.
    """
    if math.isinf(bound):
        return raw_threshold(bound, frac)
    rounded, few = raw_threshold(bound, frac + 1) + 1 >> 1, _few_digits(bound)
    if few is None:
        return rounded
    number, digits = few
    nearest = raw_threshold(number + math.ldexp(0.5, -frac), frac)
    if _digits(Decimal(math.ldexp(float(nearest), -frac))) <= digits:
        return raw_threshold(bound, frac)
    return rounded if number <= bound else min(rounded, nearest - 1)


def kept_thresholds(edges: Floats, frac: int, data: Floats) -> Floats | None:
    """The raw values that rounded ``data``, in order, are compared with so that all stay on their sides of ``edges``.

    They are next to those of :func:`rounded_threshold`. None: there are none, as data of both sides of an edge are rounded alike.
    """
    raw = np.concatenate([[-np.inf], np.floor(np.ldexp(data, frac) + 0.5), [np.inf]])
    below = np.searchsorted(data, edges, side="right")
    least, most = raw[below], raw[below + 1] - 1
    if np.any(least > most):
        return None
    return np.clip([float(rounded_threshold(edge, frac)) for edge in edges.tolist()], least, most)


def rounds(entry: Input) -> bool:
    """Return True if an input takes numbers to their nearest neighbors on its grid."""
    return entry.rounding is not Rounding.TRN


def compared(
    builder: ProgramBuilder, x: Value, relation: Relation, constant: Value, gridded: Collection[str] = ()
) -> Value:
    """1 where ``x`` has the ``relation`` to a constant, which is brought to the grid of ``x`` without a change of a decision.

    Inputs that round to nearest, but for those whose numbers are on their grids already (``gridded``), round constants as well
    (see :func:`_beside`): so data that are equal to one stay equal.
    """
    if np.any(constant.type.lo != constant.type.hi):
        return builder.compare(x, relation, constant)
    shape = np.broadcast_shapes(x.shape, constant.shape)
    frac, own = (np.broadcast_to(value.type.frac, shape) for value in (x, constant))
    lo, hi, raw = (objects(np.broadcast_to(part, shape)) for part in (x.type.lo, x.type.hi, constant.type.lo))
    drop, entry = objects(own - frac), builder.origin(x)
    below, above = drop_bits(raw, drop, Rounding.TRN), objects(-drop_bits(objects(-raw), drop, Rounding.TRN))
    between = below != above
    if isinstance(entry, Input) and rounds(entry) and entry.name not in gridded and np.any(between):
        for place in map(tuple, np.argwhere(between).tolist()):
            known = int(raw[place]), int(own[place]), int(frac[place])
            below[place], above[place] = _beside(*known, int(below[place]), int(above[place]), entry.rounding)
    # A number of the grid is less than a constant if it is less than the next number of the grid above, and equals none between.
    level = above if relation in (Relation.LT, Relation.GE) else below
    if relation in (Relation.EQ, Relation.NE):
        level = objects(np.where(below == above, below, hi + 1))
    level = objects(np.minimum(objects(np.maximum(level, lo - 1)), hi + 1))
    return builder.compare(x, relation, builder.const(level, frac))


def unscaled_bounds(scaled: Callable[[Floats], Floats], thresholds: Floats) -> Floats | None:
    """The greatest numbers that are ``scaled``, each by a rising function, to ``thresholds`` or less; None if some are none."""
    reach = np.ones(len(thresholds))
    with np.errstate(all="ignore"):
        for _ in range(_DOUBLINGS):
            outside = (scaled(-reach) > thresholds) | (scaled(reach) <= thresholds)
            if not outside.any():
                break
            reach = np.where(outside, 2.0 * reach, reach)
        else:
            return None
    low, high = -reach, reach
    for _ in range(_HALVINGS):
        middle = low + (high - low) / 2
        within = scaled(middle) <= thresholds
        low, high = np.where(within, middle, low), np.where(within, high, middle)
    return low


def _few_digits(bound: float) -> tuple[float, int] | None:
    """The number next to a bound that has at most six digits, and how many; None if none has.

    It is of double precision where the bound is next to one of these, and else of single precision.
    """
    if not abs(bound) < float(np.finfo(np.float32).max):
        return None
    text = f"{bound:.6g}"
    if abs(float(text) - bound) <= _NEXT * math.ulp(bound):
        return float(text), _digits(Decimal(text))
    number = np.float32(text)
    lower = np.float32(bound)
    if float(lower) > bound:
        lower = np.nextafter(lower, np.float32(-np.inf))
    near = number in (lower, np.nextafter(lower, np.float32(np.inf)))
    return (float(number), _digits(Decimal(text))) if near else None


def _digits(number: Decimal) -> int:
    return len(number.normalize().as_tuple().digits)


def _beside(raw: int, own: int, frac: int, below: int, above: int, rounding: Rounding) -> tuple[int, int]:
    """The raw values between which a constant ``raw * 2**-own`` lies for numbers that are rounded to a grid; one if it is that.

    The number of the grid that the constant, or a number of few digits next to it, is rounded to stands for that one.
    But one of fewer digits than such a number stands for itself.
    """
    constant = float(Fraction(raw) * Fraction(2) ** -own)
    single = np.float32(f"{constant:.{_TYPED}g}")
    few = abs(float(single) - constant) <= _NEXT * abs(float(np.spacing(single)))
    number = float(single) if few else constant
    whole, of = number.as_integer_ratio()
    nearest = int(drop_bits(objects(whole), objects(of.bit_length() - 1 - frac), rounding))
    grid = Decimal(float(Fraction(nearest) * Fraction(2) ** -frac))
    if few and _digits(Decimal(f"{constant:.{_TYPED}g}")) > _digits(grid):
        return below, above
    return nearest - int(number > constant), nearest + int(number < constant)
