"""Places of tensors in the memory of an engine: those needed at once lie apart, and sums take the words of an operand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bitsmith.mapping.builder import NodeId

Tensor: TypeAlias = tuple[NodeId, int]
"""Words in the memory of an engine: the node of the first tensor there, and the number of the band whose rows it has; 0: all."""


@dataclass(frozen=True, slots=True)
class Band:
    """Rows of a unit's result, and which it reads of its sources.

    Args:
        reads: what has the rows of each source, ``begins`` numbers after its first one.
        makes: what has the rows of the result, from number ``target`` on.
        size: all numbers of that.
        loads: numbers of its source that come before it, from which one on and how many; None if it is there.
    """

    reads: tuple[Tensor, ...]
    begins: tuple[int, ...]
    makes: Tensor
    target: int
    size: int
    loads: tuple[int, int] | None


def placed(
    sources: Sequence[Sequence[int]], size: Mapping[int, int], in_place: Sequence[bool]
) -> tuple[int, dict[int, int]]:
    """The words that hold tensors of such a ``size``, and the place of each: -1 comes, and 0 and so on are made of ``sources``.

    What comes begins the memory. What may be made ``in_place`` takes the words of a source that nobody reads later. All others
    are as high as they can be, the largest first, in as many words as are needed at once; or if that leaves one without a place,
    as low as they can be, in the order in which they are made. The last one leaves.
    """
    taken, held = _held(sources, size, in_place)
    least = _most(held, size, len(sources))
    _, *after = held
    ways: tuple[tuple[list[int], int | None], ...] = (
        (sorted(after, key=lambda tensor: -size[tensor]), least),
        (after, None),
    )
    for order, most in ways:
        places = {-1: 0}
        for tensor in order:
            beside = [other for other in places if {*held[other]}.intersection(held[tensor])]
            full = sorted((places[other], places[other] + size[other]) for other in beside)
            places[tensor] = lowest(full, size[tensor]) if most is None else _highest(full, size[tensor], most)
        if min(places.values()) >= 0:
            break
    words = max(place + size[tensor] for tensor, place in places.items())
    return words, places | {tensor: places[first] for tensor, first in taken.items()}


def least_words(sources: Sequence[Sequence[int]], size: Mapping[int, int], in_place: Sequence[bool]) -> int:
    """The words of all tensors that are needed at once, wherever each is."""
    return _most(_held(sources, size, in_place)[1], size, len(sources))


def _held(
    sources: Sequence[Sequence[int]], size: Mapping[int, int], in_place: Sequence[bool]
) -> tuple[dict[int, int], dict[int, range]]:
    """The tensors that take the words of others, with these; and while what is made the others are held."""
    last = {source: number for number, those in enumerate(sources) for source in those}
    taken = _taken_over(sources, size, in_place, last)
    kept = (tensor for tensor in range(-1, len(sources) - 1) if tensor not in taken)
    held = {tensor: range(tensor, last.get(tensor, tensor) + 1) for tensor in kept}
    for tensor, first in taken.items():
        held[first] = range(first, last[tensor] + 1)
    return taken, held


def _most(held: Mapping[int, range], size: Mapping[int, int], count: int) -> int:
    return max(sum(size[tensor] for tensor in held if number in held[tensor]) for number in range(count))


def _taken_over(
    sources: Sequence[Sequence[int]], size: Mapping[int, int], in_place: Sequence[bool], last: Mapping[int, int]
) -> dict[int, int]:
    """The tensors that take the words of others, and of these the first ones."""
    taken = dict[int, int]()
    for number, one in enumerate(sources[:-1]):
        free = [each for each in one if last[each] == number and each >= 0 and size[each] == size[number]]
        if in_place[number] and free:
            taken[number] = taken.get(free[0], free[0])
    return taken


def lowest(taken: Sequence[tuple[int, int]], size: int) -> int:
    """The lowest place for ``size`` words beside those that are ``taken``, by rising places."""
    place = 0
    for begin, end in taken:
        if place + size <= begin:
            break
        place = max(place, end)
    return place


def _highest(taken: Sequence[tuple[int, int]], size: int, words: int) -> int:
    """The highest place of ``words``; negative if there is none."""
    return words - size - lowest(sorted((words - end, words - begin) for begin, end in taken), size)
