"""FIFOs with fewer slots: processes that fill large ones are held back where the frames keep their pace and bits are saved.

In: times of frames with FIFOs as deep as they need, and what the times become if some processes are held back. Out: times and
depths with fewer bits of memory.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bitsmith.dataflow.advance import Known
from bitsmith.dataflow.links import Link
from bitsmith.dataflow.polyline import Polyline

_MOST_FAILED, _MOST_CORNERS = 12, 1 << 23
"""Trials in vain, and corners of all sequences of their trials: where frames have millions of tokens, fewer are."""

_LEAST_BITS = 256
"""FIFOs that are not worth a trial have fewer."""

_HOPS, _NEARLY = 8, 1.15
"""FIFOs in a row that are held back in one trial, and times the bits of the plan before up to which it goes on."""

_FEW_CORNERS, _LARGE = 1 << 19, 4
"""Corners beyond which other FIFOs follow only one that begins with at least a share of all bits to save, one of so many."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Times of some frames, with the slots of FIFOs that are in use at most; ``steady`` if the last frames are alike."""

    known: Known
    depths: Sequence[int]
    steady: bool

    def bits(self, links: Sequence[Link]) -> int:
        """Return the bits of all FIFOs, which are those of ``links``."""
        return sum(link.memory_bits(depth) for link, depth in zip(links, self.depths, strict=True))


Held: TypeAlias = Callable[[Plan, Sequence[int], float], Plan | None]
"""The plan if what fills the FIFOs of some numbers waits until nearly all tokens are taken.

None if frames come at another pace then, or if FIFOs have more than so many bits.
"""


def fewest_bits(plan: Plan, links: Sequence[Link], held: Held) -> Plan:
    """The plan with large FIFOs held back to few slots where that takes fewer bits, one after another.

    Where sequences have millions of corners, only a few trials may fail; if none succeeds, all other FIFOs are tried together.
    """
    first, tried, failed, times = plan, set[int](), 0, plan.known.times
    most = min(_MOST_FAILED, 2 + _MOST_CORNERS // _corners(times))
    all_bits = sum(links[k].memory_bits(plan.depths[k]) for k in worth_a_trial(plan.depths, links))
    large = 0 if has_few_corners(times) else all_bits / _LARGE
    while failed < most and (left := worth_a_trial(plan.depths, links, tried)):
        number = max(left, key=lambda k: links[k].memory_bits(plan.depths[k]))
        tried.add(number)
        is_large = links[number].memory_bits(plan.depths[number]) >= large
        less, trials = _with_less(plan, links, number, held, _HOPS if is_large else 1)
        failed += trials if less is None else 0
        plan = less or plan
    if most == _MOST_FAILED or plan is not first or not (left := worth_a_trial(plan.depths, links, tried)):
        return plan
    return held(plan, left, plan.bits(links) - 1) or plan


def has_few_corners(times: Sequence[Polyline]) -> bool:
    """Return True if trials of times like these are short."""
    return _corners(times) <= _FEW_CORNERS


def _corners(times: Sequence[Polyline]) -> int:
    return sum(len(at.corners) for at in times)


def up_to(most: float, depths: Iterable[int], links: Sequence[Link]) -> list[int] | None:
    """The ``depths`` of FIFOs, which are looked at one by one; None if they have more than ``most`` bits."""
    kept, bits = list[int](), 0
    for link, depth in zip(links, depths, strict=True):
        kept.append(depth)
        bits += link.memory_bits(depth)
        if bits > most:
            return None
    return kept


def worth_a_trial(depths: Sequence[int], links: Sequence[Link], tried: Container[int] = ()) -> list[int]:
    """The FIFOs of ``depths`` that are worth a trial."""
    free = (k for k, link in enumerate(links) if k not in tried and link.constant is None)
    return [k for k in free if links[k].memory_bits(depths[k]) >= _LEAST_BITS]


def _with_less(plan: Plan, links: Sequence[Link], number: int, held: Held, hops: int) -> tuple[Plan | None, int]:
    """The plan with fewer bits if what fills a FIFO is held back, None if it has more, or another pace; and trials that it took.

    If it has a few more, what fills the FIFO that grew most is held back, too, up to ``hops`` of them in all.
    """
    bits, numbers = plan.bits(links), {number}
    later = held(plan, [number], _NEARLY * bits)
    while later is not None and later.bits(links) >= bits:
        grown = [
            link.memory_bits(now) - link.memory_bits(before)
            for link, now, before in zip(links, later.depths, plan.depths, strict=True)
        ]
        following = max(worth_a_trial(later.depths, links, numbers), key=grown.__getitem__, default=None)
        if following is None or len(numbers) == hops:
            return None, len(numbers)
        numbers.add(following)
        later = held(later, [following], _NEARLY * bits)
    return later, len(numbers)
