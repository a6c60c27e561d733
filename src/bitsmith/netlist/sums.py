"""Sums of shifted terms in the order that takes the fewest full adders.

In: terms with their ranges. Out: the adders that sum them, or only their cost.

An adder pays for the bits from the top of its result down to the higher of its operands' lowest bits: those below pass through.
Whatever the order, each lowest bit but the least is the higher one once. So what counts are the tops. The value with the least
top is joined next, as in Huffman's code, but with the one that fits best: that with which the top of the sum is least, and of
those the largest. Of two values the one with the lower lowest bit is never subtracted, for then nothing would pass; a sum that
comes out negated is turned round where that costs least.

Terms that have no bit in common, as ``x`` and ``16 y`` of four bits without a sign, are joined before all that: it is wiring.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bitsmith.ir.types import width_of
from bitsmith.netlist.adders import Adder, Nodes

_NEVER = (1 << 31) // 2
_JOINS_AFTER = 1 << 39
_SUMS_AFTER = 1 << 40


class Term(NamedTuple):
    """``node`` shifted left by ``shift``, subtracted if ``minus``."""

    node: int
    shift: int
    minus: bool


class Summand(NamedTuple):
    """A term to be summed, with the range of its node and when it arrives."""

    term: Term
    lo: int
    hi: int
    arrival: int


@dataclass(slots=True)
class Deadline:
    """When a sum has to be there: its load (see :class:`bitsmith.netlist.sharing.Sharing`) and the limit of it, if any."""

    limit: int | None
    load: int

    def added(self, arrival_a: int, arrival_b: int) -> int:
        """Return how much more load the sum of two values has."""
        return (2 << max(arrival_a, arrival_b)) - (1 << arrival_a) - (1 << arrival_b)


class _Partial(NamedTuple):
    """A value within a sum: a term, or the sum of two values that come before it.

    ``left`` has the smaller shift and is not subtracted; both are -1 in terms. ``turn_cost`` is what the opposite value costs, by
    turning subtractions round.
    """

    lo: int
    hi: int
    arrival: int
    shift: int
    minus: bool
    left: int = -1
    right: int = -1
    subtract: bool = False
    turn_cost: int = _NEVER


_Place = tuple[int, int, bool, int, int, int]


class Sum:
    """The order in which ``terms``, at least one, are added."""

    def __init__(self, terms: Sequence[Summand], deadline: Deadline) -> None:
        self._terms = terms
        self._partials = [_Partial(s.lo, s.hi, s.arrival, s.term.shift, s.term.minus) for s in terms]
        self._cost = 0
        waiting, load = self._first(deadline)
        waiting.sort()
        order = _SUMS_AFTER
        while len(waiting) > 1:
            i, j, added = next(pair for i in range(len(waiting)) if (pair := self._fitting(waiting, i, deadline, load)))
            load += added
            second, first = waiting.pop(j), waiting.pop(i)
            insort(waiting, self._place(self._joined(first[-1], second[-1]), order))
            order += 1

    @property
    def cost(self) -> int:
        """Full adders, with what turning round takes if the sum came out negated, and one for the level of a negation."""
        if not self._wrong:
            return self._cost
        root = self._partials[-1]
        return self._cost + (width_of(-root.hi, -root.lo) + 1 if self.stays_negated else root.turn_cost)

    @property
    def stays_negated(self) -> bool:
        """True if the sum comes out negated, which is not free, and nothing in it can be turned round."""
        return self._wrong and self._partials[-1].turn_cost >= _NEVER

    def build(self, nodes: Nodes) -> Term:
        """Make the adders and return the sum, negated if it cannot be turned round."""
        root = self._partials[-1]
        turned = self._wrong and not self.stays_negated
        return Term(self._node(nodes, len(self._partials) - 1, turned), root.shift, root.minus and not turned)

    @property
    def _wrong(self) -> bool:
        """True if the sum comes out with a sign that it should not have."""
        return self._partials[-1].minus

    def _place(self, partial: int, order: int) -> _Place:
        value = self._partials[partial]
        span = value.hi - value.lo
        return (span.bit_length() + value.shift, -value.shift, value.minus, span, order, partial)

    def _fitting(self, waiting: Sequence[_Place], i: int, deadline: Deadline, load: int) -> tuple[int, int, int] | None:
        """Return ``i``, what to join it with, and the load that adds; None if the limit allows nothing."""
        best: tuple[int, int, int] | None = None
        found: tuple[int, int, int] | None = None
        for j in range(i + 1, len(waiting)):
            if best is not None and waiting[j][0] > best[0]:
                break
            added = 0
            if deadline.limit is not None:
                added = deadline.added(self._partials[waiting[i][-1]].arrival, self._partials[waiting[j][-1]].arrival)
                if load + added > deadline.limit:
                    continue
            size = sum(span << -negated_shift for _, negated_shift, _, span, *_ in (waiting[i], waiting[j]))
            fit = size.bit_length(), added, -size
            if best is None or fit < best:
                best, found = fit, (i, j, added)
        return found

    def _first(self, deadline: Deadline) -> tuple[list[_Place], int]:
        """What is to be added, and the load: terms, joined with higher ones of their sign where these have no bit in common."""
        partials, load = self._partials, deadline.load
        taken: set[int] = set()
        places: list[_Place] = []
        count = len(partials) if any(value.lo >= 0 for value in partials) else 0
        rising = sorted(range(count), key=lambda k: (partials[k].shift, k))
        for place, first in enumerate(rising):
            lower = first
            for upper in rising[place + 1 :] if first not in taken else ():
                a, b = partials[lower], partials[upper]
                if a.lo < 0:
                    break
                if upper in taken or a.minus != b.minus or b.shift < a.shift + width_of(a.lo, a.hi):
                    continue
                added = deadline.added(a.arrival, b.arrival)
                if deadline.limit is None or load + added <= deadline.limit:
                    load += added
                    taken |= {first, upper}
                    lower = self._joined(lower, upper)
            if lower != first:
                places.append(self._place(lower, _JOINS_AFTER + len(places)))
        terms = enumerate(self._terms)
        places += [self._place(k, s.term.node * 64 + s.term.shift) for k, s in terms if k not in taken]
        return places, load

    def _joined(self, first: int, second: int) -> int:
        a, b = self._partials[first], self._partials[second]
        if b.shift < a.shift or (b.shift == a.shift and a.minus and not b.minus):
            first, second, a, b = second, first, b, a
        apart = b.shift - a.shift
        adder = Adder(0, 0, 0, apart, a.minus != b.minus)
        lo, hi = adder.range((a.lo, a.hi), (b.lo, b.hi))
        turn_cost = apart if adder.subtract else min(a.turn_cost, b.turn_cost + apart)
        self._cost += adder.paid((a.lo, a.hi), (b.lo, b.hi))
        arrival = max(a.arrival, b.arrival) + 1
        self._partials.append(_Partial(lo, hi, arrival, a.shift, a.minus, first, second, adder.subtract, turn_cost))
        return len(self._partials) - 1

    def _node(self, nodes: Nodes, partial: int, turned: bool) -> int:
        value = self._partials[partial]
        if value.left < 0:
            return self._terms[partial].term.node
        a, b = self._partials[value.left], self._partials[value.right]
        apart = b.shift - a.shift
        by_b = turned and not value.subtract and b.turn_cost + apart < a.turn_cost
        by_a = turned and not value.subtract and not by_b
        left, right = self._node(nodes, value.left, by_a), self._node(nodes, value.right, by_b)
        if by_b or (turned and value.subtract):
            return nodes.add(Adder(right, left, apart, 0, True))
        return nodes.add(Adder(left, right, 0, apart, value.subtract or by_a))
