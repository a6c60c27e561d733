"""Adder graphs by the plainest method: shares the pair of digits that saves most, again and again, then sums each column.

In: columns of integers, ranges and arrival times of the inputs. Out: adders and the term that is each column. It is what the
compiled solver has to beat, and what takes its place where there was no compiler or where values pass its 64-bit words.

Method: R. Hartley, "Subexpression sharing in filters using canonic signed digit multipliers", IEEE Trans. Circuits and Systems II
43(10), 1996, without forms other than canonical ones and without a search.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bitsmith.netlist.adders import Adder, Nodes
from bitsmith.netlist.csd import digit_masks

_PAIR_LIMIT = 4_000_000
"""Pairs of digits that are counted, which takes a minute; a matrix with more of them shares nothing."""


class Term(NamedTuple):
    """``node`` shifted left by ``shift``, subtracted if ``minus``."""

    node: int
    shift: int
    minus: bool


class _Pair(NamedTuple):
    """Node ``a`` with ``b << shift`` against it, of equal or opposite sign; ``shift`` may be negative."""

    a: int
    b: int
    shift: int
    opposite: bool

    @classmethod
    def of(cls, first: Term, second: Term) -> _Pair:
        """Return the pair that two terms of a column are, up to a common shift and sign."""
        low, high = sorted((first, second))
        return cls(low.node, high.node, high.shift - low.shift, low.minus != high.minus)

    def partner(self, term: Term) -> Term:
        """Return the term that makes this pair with ``term``, which is of node ``a``."""
        return Term(self.b, term.shift + self.shift, term.minus != self.opposite)


def solve(columns: Sequence[Sequence[int]], nodes: Nodes, limit: int | None) -> list[Term | None]:
    """Make the adders of all columns in ``nodes``, which has the inputs, and return each column's term, None if it is zero.

    Args:
        columns: the weights (n_out, n_in).
        nodes: the inputs; adders are added to it.
        limit: the time, in adders, by which each column can be summed and must be; None for any.
    """
    terms = [
        [
            Term(node, bit, minus)
            for node, weight in enumerate(column)
            for minus, mask in zip((False, True), digit_masks(weight), strict=True)
            for bit in range(mask.bit_length())
            if mask >> bit & 1
        ]
        for column in columns
    ]
    if sum(len(column) ** 2 // 2 for column in terms) <= _PAIR_LIMIT:
        _Sharing(terms, nodes, limit).run()
    return [_sum(column, nodes, limit is not None) if column else None for column in terms]


class _Sharing:
    """Columns of terms, how often each pair of terms occurs in them, and a queue of pairs by what they save."""

    def __init__(self, columns: list[list[Term]], nodes: Nodes, limit: int | None) -> None:
        self._columns, self._nodes, self._limit = columns, nodes, limit
        self._counts: Counter[_Pair] = Counter()
        self._columns_of: defaultdict[int, set[int]] = defaultdict(set)
        self._queue: list[tuple[int, _Pair, int]] = []
        for number, column in enumerate(columns):
            terms, column[:] = list(column), []
            for term in terms:
                self._insert(number, term)

    def run(self) -> None:
        """Replace pairs by nodes until no pair saves an adder."""
        for pair in self._counts:
            self._push(pair)
        while self._queue:
            _, pair, count = heapq.heappop(self._queue)
            if self._counts[pair] != count:
                self._push(pair)
                continue
            occurrences = list(self._occurrences(pair))
            if len(occurrences) > 1:
                fresh = {key for number, term in occurrences for key in self._replace(number, term, pair)}
                for key in sorted(fresh):
                    self._push(key)

    def _push(self, pair: _Pair) -> None:
        count = self._counts[pair]
        if count > 1:
            ranges = self._nodes.ranges
            adder, _ = _adder(pair)
            saved = (count - 1) * adder.paid(ranges[adder.a], ranges[adder.b])
            heapq.heappush(self._queue, (-saved, pair, count))

    def _occurrences(self, pair: _Pair) -> Iterator[tuple[int, Term]]:
        """Yield column and first term of occurrences that share no term and leave time to sum their column."""
        arrivals = self._nodes.arrivals
        later = (2 << max(arrivals[pair.a], arrivals[pair.b])) - (1 << arrivals[pair.a]) - (1 << arrivals[pair.b])
        for number in sorted(self._columns_of[pair.a] & self._columns_of[pair.b]):
            free = Counter(self._columns[number])
            load = sum(1 << arrivals[term.node] for term in self._columns[number])
            for term in sorted(free):
                free[term] -= 1
                fits = self._limit is None or load + later <= 1 << self._limit
                if term.node == pair.a and free[term] >= 0 and free[pair.partner(term)] > 0 and fits:
                    free[pair.partner(term)] -= 1
                    load += later
                    yield number, term
                else:
                    free[term] += 1

    def _replace(self, number: int, term: Term, pair: _Pair) -> list[_Pair]:
        """Put the pair's node in place of two terms of a column, and return the pairs that it makes there."""
        adder, negated = _adder(pair)
        self._remove(number, term)
        self._remove(number, pair.partner(term))
        node = self._nodes.add(adder)
        return self._insert(number, Term(node, term.shift + min(pair.shift, 0), term.minus != negated))

    def _insert(self, number: int, term: Term) -> list[_Pair]:
        pairs = [_Pair.of(term, other) for other in self._columns[number]]
        self._counts.update(pairs)
        self._columns[number].append(term)
        self._columns_of[term.node].add(number)
        return pairs

    def _remove(self, number: int, term: Term) -> None:
        column = self._columns[number]
        column.remove(term)
        self._counts.subtract(_Pair.of(term, other) for other in column)
        if all(other.node != term.node for other in column):
            self._columns_of[term.node].discard(number)


def _adder(pair: _Pair) -> tuple[Adder, bool]:
    """Return the adder of a pair, and whether it gives the opposite: the lower operand is never subtracted, so its bits pass."""
    if pair.opposite and pair.shift < 0:
        return Adder(pair.b, pair.a, 0, -pair.shift, True), True
    return Adder(pair.a, pair.b, max(-pair.shift, 0), max(pair.shift, 0), pair.opposite), False


def _sum(terms: Sequence[Term], nodes: Nodes, hurried: bool) -> Term:
    """Sum terms, the two that are there first at a time if ``hurried``, which is as early as can be, else the two narrowest."""

    def entry(term: Term) -> tuple[int, int, Term]:
        return nodes.arrivals[term.node] if hurried else 0, nodes.width(term.node) + term.shift, term

    waiting = [entry(term) for term in terms]
    heapq.heapify(waiting)
    while len(waiting) > 1:
        first, second = heapq.heappop(waiting)[-1], heapq.heappop(waiting)[-1]
        adder, negated = _adder(pair := _Pair.of(first, second))
        low = min(first, second)
        node = nodes.add(adder)
        heapq.heappush(waiting, entry(Term(node, low.shift + min(pair.shift, 0), low.minus != negated)))
    return waiting[0][-1]
