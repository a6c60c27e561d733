"""Searches for the first of many ways that has room, with few looks, where nearly all that are slower have room, too."""

from collections.abc import Callable
from itertools import islice

_TRIED = 3
"""Ways to take turns that are tried with their FIFOs where the slowest lacks room for these."""


def first_step(low: int, high: int, able: Callable[[int], bool]) -> int:
    """The first step from ``low`` to ``high`` that is ``able``, as all later ones are, by bisection."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if able(middle) else (middle + 1, high)
    return low


def first_around(start: int, low: int, high: int, able: Callable[[int], bool]) -> int:
    """Return what `first_step` does, by strides from ``start`` on that double: fewer looks if it is near."""
    stride = 1
    if not able(start):
        low = start + 1
        while not able(min(low + stride - 1, high)):
            low, stride = low + stride, 2 * stride
        return first_step(low, min(low + stride - 1, high), able)
    high = start
    while low < high and able(max(high - stride, low)):
        high, stride = max(high - stride, low), 2 * stride
    return first_step(max(high - stride, low) + 1 if low < high else low, high, able)


def first_with_room(
    low: int, high: int, stride: int, possible: Callable[[int], bool], able: Callable[[int], bool]
) -> int | None:
    """The first way from ``low`` to ``high`` that is ``able``, as all slower ones are; if the slowest is not, one of a few.

    FIFOs may make it larger than faster ones. If it is ``possible`` without, the fastest possible one is tried, and some slower
    ones, each by a ``stride``. None if all these are not able.
    """
    if able(high):
        return first_step(low, high, able)
    if not possible(high):
        return None
    first = first_step(low, high, possible)
    return next(filter(able, islice(range(first, high, stride), _TRIED)), None)
