"""Networks of comparisons that find the least of some keys: lists of the least of each half, merged.

The merges are Batcher's (K. Batcher, "Sorting networks and their applications", 1968), without what no key of the result needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Comparison: TypeAlias = tuple[int, int]
"""Two places, of which the first has the lesser key afterwards."""


def selection(size: int, count: int) -> tuple[list[list[Comparison]], list[int]]:
    """Comparisons of ``size`` keys, those together that can be made at once, and the places of the ``count`` least keys then.

    These are in no order.
    """
    comparisons, least = _least(list(range(size)), count)
    needed, free, kept = set(least), set(least), list[Comparison]()
    for pair in reversed(comparisons):
        # Which of two results is less does not count.
        if not free.issuperset(pair) and needed.intersection(pair):
            kept.append(pair)
            needed.update(pair)
            free.difference_update(pair)
    levels, reached = list[list[Comparison]](), [0] * size
    for pair in reversed(kept):
        level = max(reached[place] for place in pair)
        if level == len(levels):
            levels.append([])
        levels[level].append(pair)
        for place in pair:
            reached[place] = level + 1
    return levels, least


def _least(places: Sequence[int], count: int) -> tuple[list[Comparison], list[int]]:
    """Comparisons, and the places of at most ``count`` least keys in order."""
    if len(places) == 1:
        return [], list(places)
    half = -(-len(places) // 2)
    (before, first), (after, second) = _least(places[:half], count), _least(places[half:], count)
    comparisons, merged = _merged(first, second)
    return [*before, *after, *comparisons], merged[:count]


def _merged(first: Sequence[int], second: Sequence[int]) -> tuple[list[Comparison], list[int]]:
    """Comparisons that make one list in order of two."""
    if not first or not second:
        return [], [*first, *second]
    if len(first) == len(second) == 1:
        return [(first[0], second[0])], [first[0], second[0]]
    before, even = _merged(first[::2], second[::2])
    after, odd = _merged(first[1::2], second[1::2])
    pairs = list(zip(odd, even[1:], strict=False))
    merged = [even[0], *(place for pair in pairs for place in pair), *even[1 + len(pairs) :], *odd[len(pairs) :]]
    return [*before, *after, *pairs], merged
