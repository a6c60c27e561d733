"""Searches for the first of many ways that has room, with few looks, where nearly all that are slower have room, too."""

from collections.abc import Callable

_LONGER = 4
"""Times that a stride to a slower way is longer than the one before."""


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


def first_with_room(low: int, high: int, possible: Callable[[int], bool], able: Callable[[int], bool]) -> int | None:
    """The first way from ``low`` to ``high`` that is ``able``, as nearly all slower ones are; None if it finds none.

    That takes long to tell, and an able way is ``possible``, which does not: so the first possible way is looked at first, then
    slower ones, by strides that grow until one is able. The slowest may have longer tables than faster ones: if it is not
    possible, one that is a fourth of the way back may be.
    """
    last = next(filter(possible, (high, high - (high - low) // 8, high - (high - low) // 4)), None)
    if last is None:
        return None
    way = start = first_step(low, last, possible)
    stride = 1
    while not able(way):
        if way == last:
            return None
        start, way, stride = way + 1, min(way + stride, last), _LONGER * stride
    return first_step(start, way, able)
