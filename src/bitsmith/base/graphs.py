"""Walks through graphs of whatever kind."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

Place = TypeVar("Place", bound=Hashable)


def reached(starts: Iterable[Place], onward: Callable[[Place], Iterable[Place]]) -> Iterator[Place]:
    """All that one gets to from ``starts`` by going ``onward``, these included, each once."""
    waiting, seen = [*starts], set[Place]()
    while waiting:
        place = waiting.pop()
        if place not in seen:
            yield place
            seen.add(place)
            waiting += onward(place)
