"""Thresholds on a grid: the integers that numbers are compared with after they were rounded to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import numpy as np

from bitsmith.layers.arrays import Floats

_FAR = 1 << 600
"""The raw value of an infinite threshold."""

_DOUBLINGS, _HALVINGS = 100, 192
"""Doublings of 1 that reach all thresholds of scaled numbers, and halvings that bring them to the last place."""

_NEXT = 2
"""Last places by which the threshold of a number of double precision may be beside it."""


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
