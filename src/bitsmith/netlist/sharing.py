"""Sharing of two-term patterns among the columns of a matrix in signed digits: greedily, then by removing and rebuilding.

In: columns of digits over the inputs. Out: the same columns as sums of inputs and shared adders, which cost less.

A digit is a node shifted left by a position, added or subtracted. A pattern is a pair of digits of one column, up to a common
shift and sign. The pattern that saves most becomes a node and each occurrence one digit of it, until none saves any. Then,
again and again, digits of a random column are dissolved into what their nodes were made of and the gap is filled greedily,
with noise in what patterns save and in how numbers are written; what costs too much more than before is undone
(large-neighborhood search: P. Shaw, "Using constraint programming and local search methods to solve vehicle routing
problems", CP 1998), and what is too much becomes less and less (threshold accepting: G. Dueck, T. Scheuer, J. Computational
Physics 90, 1990). During that search, only the patterns of digits that are new are looked for. Steps are pairs of digits
looked at, so that a budget of them means the same work on every machine.

``native/src`` does the same in C++ (``extraction.cpp``, ``search.cpp``); in both, nothing may depend on the order of sets.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isqrt

from bitsmith.netlist.adders import InputRange, Nodes
from bitsmith.netlist.columns import Columns, Digit
from bitsmith.netlist.patterns import NODE_BITS, ColumnEntry, Pattern, matches_of, pairs_with_other_form, set_bits
from bitsmith.netlist.sums import Summand, Term

_NOISE = 512
_NOISELESS = 1024
_OF_COLUMN = 4
_EVERYWHERE = 2
_REWRITTEN = 2
_PER_DIGIT = 32
_FEWEST = 500
_OVERHEAD = 80
_FIRST_WARMTH = 40
_LEVELS = 1 << 16
_FEW_STEPS = 500_000
_AHEAD = 2048
_MOST_COUNTS = 1 << 18
_SWEEPS = 2
_WORD = (1 << 64) - 1


class Sharing(Columns):
    """Columns in which patterns are shared, and queues of the patterns that save something."""

    def __init__(
        self,
        inputs: Sequence[InputRange],
        columns: Sequence[Sequence[ColumnEntry]],
        outputs: Sequence[int],
        latest: int | None,
    ) -> None:
        super().__init__(inputs, columns, outputs, latest)
        self._waiting: list[tuple[int, int, int]] = []
        self._queue: list[tuple[int, int, int]] = []
        self._noise = 0
        self._warmth = 0  # how much worse an iteration may leave things, in 16ths of a full adder
        self._random = 1

    def run(self) -> None:
        """Extract patterns until none saves anything, each time the one that saves most.

        The patterns of a node are counted when it is made. Later there can only be fewer of them, so a pattern's occurrences are
        searched when its turn comes, and if it saves less than was thought it waits again. Of large matrices many are looked up
        together, which the extension does in several threads.
        """
        self._choose_forms()
        for number in range(self._inputs):
            self._tally(number)
        ahead, most = 1 if self._steps < _FEW_STEPS else _AHEAD, 1
        while self._waiting:
            level, keys = -self._waiting[0][0], list[int]()
            while len(keys) < most and self._waiting and self._waiting[0][0] == -level:
                keys.append(heapq.heappop(self._waiting)[2])
            most = 1 if self._take_first(level, keys) else min(2 * most, ahead)
        self._bury()
        self._recount()

    def _take_first(self, level: int, keys: Sequence[int]) -> bool:
        """Extract the first of the patterns that saves as much as was thought; the others wait again."""
        patterns = [Pattern.of(key) for key in keys]
        found = [self._occurrences(pattern) for pattern in patterns]
        saved = [self._saving(pattern, len(places)) for pattern, places in zip(patterns, found, strict=True)]
        first = next((k for k, each in enumerate(saved) if min(each, _LEVELS - 1) == level), None)
        taken = -1
        if first is not None:
            taken = self._extract(patterns[first], found[first])
            self._tally(taken)
        for k, pattern in enumerate(patterns):
            # Of a pattern that has its node by now, and of those of a node that is in more places, there may be more.
            more = first is not None and k > first and (keys[k] == keys[first] or taken in (pattern.a, pattern.b))
            if k != first:
                self._wait(pattern, level if more else saved[k])
        return first is not None

    def improve(self, effort: int, most_steps: int) -> None:
        """Remove and rebuild parts, keeping what costs not much more, and less and less of it.

        Ends after ``effort`` times the steps so far, or ``most_steps`` if that is less. Where little is shared,
        which takes few steps, there are at least some for each digit, and some in any case.
        """
        if not effort or not self._digits:
            return
        unit = max(self._steps, _PER_DIGIT * self._given, _FEWEST)
        budget = min(effort * unit, most_steps)
        start, warm = self._steps, budget - budget // 8
        first = isqrt(_FIRST_WARMTH**2 * budget // unit)
        while self._steps - start < budget:
            self._warmth = first * (warm - min(self._steps - start, warm)) // warm
            self._iterate()

    def build(self, nodes: Nodes) -> list[Term]:
        """Make the adders in ``nodes``, which has the inputs, and return each output's sum."""
        made = {node: node for node in range(self._inputs)}
        alive = [number for number, node in enumerate(self._nodes) if node.alive]
        for number in sorted(alive, key=lambda number: (self._nodes[number].arrival, number)):
            adder = self._nodes[number].pattern.adder()
            made[number] = nodes.add(replace(adder, a=made[adder.a], b=made[adder.b]))
        roots: list[Term] = []
        for output in range(len(self._parts)):
            terms = sorted(s._replace(term=s.term._replace(node=made[s.term.node])) for s in self._summands(output))
            total = self._sum(output, terms)
            if total.stays_negated:
                total = self._sum(output, _with_one_turned(nodes, terms))
            roots.append(total.build(nodes))
        return roots

    def _choose_forms(self) -> None:
        """Write 4 - 1 as 2 + 1 where the patterns that this makes are more frequent than those that were there.

        Not for matrices of more than about 90 inputs, of 8 bits: their patterns are so many that it takes full adders.
        """
        last = max((digit.position for digits in self._digits for digit in digits.values()), default=0)
        if 2 * self._inputs**2 * (2 * last + 1) > _MOST_COUNTS:
            return
        counts: Counter[int] = Counter()
        for digits in self._digits:
            column = list(digits.values())
            for k, digit in enumerate(column):
                counts.update(self._keys(column[:k], digit))
        for number, digits in [*enumerate(self._digits)] * _SWEEPS:
            for node in sorted({node for node, _ in digits}):
                self._choose_forms_of(number, node, counts)

    def _choose_forms_of(self, column: int, node: int, counts: Counter[int]) -> None:
        """Choose the forms of the digits of one input in a column, from the lowest pair on."""
        above = 0
        while True:
            plus, minus = self._nodes[node].digits[column]
            pairs = (plus >> 2 & minus | minus >> 2 & plus) & ~((plus | minus) >> 1) & -1 << above
            if not pairs:
                return
            low = set_bits(pairs)[0]
            sign = minus >> low + 2 & 1
            now = Digit(node, low + 2, sign), Digit(node, low, 1 - sign)
            other = Digit(node, low + 1, sign), Digit(node, low, sign)
            above = low + 1
            rest = [digit for digit in self._digits[column].values() if digit not in now]
            given, fresh = (
                [*self._keys([high], low), *self._keys(rest, high), *self._keys(rest, low)]
                for high, low in (now, other)
            )
            if sum(counts[key] for key in fresh) + len(given) <= sum(counts[key] for key in given):
                continue
            counts.subtract(given)
            counts.update(fresh)
            for digit in now:
                self._remove(column, node, digit.position)
            for digit in other:
                self._insert(column, digit)

    def _tally(self, number: int) -> None:
        """Count the patterns of a node with itself and those before it; those that save something wait for their turn."""
        counts: dict[int, int] = {}
        for column, (plus, minus) in self._nodes[number].digits.items():
            for position in set_bits(plus | minus):
                digit = Digit(number, position, minus >> position & 1)
                earlier = (d for d in self._digits[column].values() if d < digit)
                for key in self._keys(earlier, digit):
                    counts[key] = counts.get(key, 0) + 1
                self._steps += len(self._digits[column])
        for key, count in counts.items():
            if count > 1:
                pattern = Pattern.of(key)
                self._wait(pattern, self._saving(pattern, count))

    def _wait(self, pattern: Pattern, saved: int) -> None:
        """Put a pattern among those that save at most as much, that with the newest node first."""
        if saved > 0:
            heapq.heappush(self._waiting, (-min(saved, _LEVELS - 1), -pattern.b, pattern.key))

    def _rebuild(self) -> None:
        """Extract the patterns of what is new in columns that save something, and those that come of it."""
        fresh: set[int] = set()
        for column in self._saved:
            digits = list(self._digits[column].values())
            for k in range(len(self._kept(column)), len(digits)):
                fresh |= self._considered(digits[k], digits[:k])
        self._look_up(fresh)
        while self._queue:
            _, key, count = heapq.heappop(self._queue)
            pattern = Pattern.of(key)
            occurrences = self._occurrences(pattern)
            if len(occurrences) == count:
                node = self._extract(pattern, occurrences)
                self._look_up(self._considered_with(node, {column for column, _, _ in occurrences}))
            else:
                self._push(pattern, len(occurrences))
        self._bury()

    def _considered_with(self, node: int, columns: Iterable[int]) -> set[int]:
        """The keys of the patterns of a node's digits in columns."""
        keys: set[int] = set()
        for column in columns:
            digits = list(self._digits[column].values())
            for digit in digits:
                if digit.node == node:
                    keys |= self._considered(digit, digits)
        return keys

    def _considered(self, digit: Digit, others: Sequence[Digit]) -> set[int]:
        """The keys of the patterns of a digit with others of its column."""
        self._steps += len(others)
        return set(self._keys([other for other in others if other != digit], digit))

    def _look_up(self, keys: Iterable[int]) -> None:
        for key in keys:
            pattern = Pattern.of(key)
            if key in self._made or self._in_two_places(pattern):
                self._push(pattern, len(self._occurrences(pattern)))

    def _in_two_places(self, pattern: Pattern) -> bool:
        """Return False if the pattern surely has less than two occurrences."""
        of_a, of_b = self._nodes[pattern.a].digits, self._nodes[pattern.b].digits
        both = of_a.keys() & of_b.keys()
        return len(both) > 1 or any((of_a[column][0] | of_a[column][1]).bit_count() > 1 for column in both)

    def _push(self, pattern: Pattern, count: int) -> None:
        """Queue a pattern that can be replaced ``count`` times, if that saves something."""
        key = pattern.key
        if count < (1 if key in self._made else 2):
            return
        saved = self._saving(pattern, count)
        if saved <= 0:
            return
        factor = _NOISELESS + (_mixed(key ^ self._noise) % _NOISE if self._noise else 0)
        # Of equal ones the pattern with the newest node is first.
        heapq.heappush(self._queue, (-((saved * factor << NODE_BITS) + pattern.b), key, count))

    def _saving(self, pattern: Pattern, count: int) -> int:
        """Return about how many half full adders it saves to replace ``count`` occurrences.

        Each saves an adder of a column's sum. That is less wide than the pattern's by up to as much as the tops of its two terms
        are apart, for a sum would join terms of like tops; half of it is what serves best.
        """
        adder = pattern.adder()
        a, b = self._nodes[adder.a].range, self._nodes[adder.b].range
        cost = adder.cost(*adder.range(a, b))
        apart = abs((a[1] - a[0]).bit_length() + adder.shift_a - (b[1] - b[0]).bit_length() - adder.shift_b)
        return count * (2 * cost - apart) - (0 if pattern.key in self._made else 2 * cost)

    def _occurrences(self, pattern: Pattern) -> list[tuple[int, int, int]]:
        """Return column, position and sign of occurrences that share no digit and that the limit allows, in that order."""
        node_a, node_b = self._nodes[pattern.a], self._nodes[pattern.b]
        added = self._deadline(0).added(node_a.arrival, node_b.arrival) if self._limit is not None else 0
        room: dict[int, int] = {}
        found: list[tuple[int, int, int]] = []
        for column in sorted(node_a.digits.keys() & node_b.digits.keys()):
            matches = matches_of(node_a.digits[column], node_b.digits[column], pattern)
            if added and matches and self._limit is not None:
                output = self._outputs[column]
                left = room.get(output, (self._limit - self._loads[output]) // added)
                matches = matches[:left]
                room[output] = left - len(matches)
            found += [(column, position, minus) for position, minus in matches]
        return found

    def _extract(self, pattern: Pattern, occurrences: Sequence[tuple[int, int, int]]) -> int:
        """Put one digit of the pattern's node in place of each occurrence, and return the node."""
        node = self._made.get(pattern.key)
        if node is None:
            node = self._make(pattern)
        offset = min(pattern.shift, 0)
        for column, position, minus in occurrences:
            self._touch(column)
            self._remove(column, pattern.a, position)
            self._remove(column, pattern.b, position + pattern.shift)
            self._insert(column, Digit(node, position + offset, minus ^ pattern.swapped))
        return node

    def _iterate(self) -> None:
        """Dissolve some nodes, rebuild, and keep that if it does not cost too much more."""
        self._begin()
        before = self._cost
        self._steps += _OVERHEAD
        self._noise = self._next_random() | 1
        self._dissolve_some()
        self._rebuild()
        self._recount()
        slack = self._below(self._warmth) // 16 if self._warmth and self._cost > before else 0
        if self._cost > before + slack:
            self._undo()
        else:
            self._free += sorted(self._died, reverse=True)

    def _dissolve_some(self) -> None:
        """Dissolve digits of a column taken at random, and write some numbers in other forms."""
        column = self._below(len(self._digits))
        self._touch(column)  # also where nothing is shared numbers are written in other forms
        for _ in range(_OF_COLUMN):
            digits = list(self._digits[column].values())
            self._dissolve_down(column, digits[self._below(len(digits))].node)
        for column in self._saved:
            self._rewrite_some(column)

    def _dissolve_down(self, column: int, number: int) -> None:
        """Dissolve a node, and some of those that it was made of."""
        while number >= self._inputs and self._nodes[number].alive:
            node = self._nodes[number]
            everywhere = len(node.digits) <= _EVERYWHERE
            for each in [each for each in node.digits if everywhere or each == column]:
                self._dissolve(each, number)
            self._bury()
            choice = self._below(4)
            if choice >= 2:
                return
            number = node.pattern.a if choice else node.pattern.b

    def _rewrite_some(self, column: int) -> None:
        """Write some pairs of digits of a column in their other form: 3 as 4 - 1 or as 2 + 1, and 2 - 1 as 1."""
        self._expand_one(column)
        for node in sorted({node for node, _ in self._digits[column]}):
            plus, minus = self._nodes[node].digits[column]
            for pair in pairs_with_other_form(plus, minus):
                if _mixed((column << 40 | node << 16 | pair.number) ^ self._noise) % _REWRITTEN == 0:
                    self._remove(column, node, pair.high)
                    self._remove(column, node, pair.low)
                    for position, sign in pair.form:
                        self._insert(column, Digit(node, position, sign))
                    break

    def _expand_one(self, column: int) -> None:
        """Write one of the digits of a column that only subtracts in its longer form, if noise says so."""
        digits = list(self._digits[column].values())
        choice = _mixed(column ^ self._noise)
        if choice % 2 == 0 and all(digit.minus for digit in digits):
            self._expand(column, digits[(choice >> 1) % len(digits)])

    def _dissolve(self, column: int, number: int) -> None:
        """Put the operands of a node in place of its digits in a column."""
        pattern = self._nodes[number].pattern
        plus, minus = self._nodes[number].digits[column]
        self._touch(column)
        for place in set_bits(plus | minus):
            self._remove(column, number, place)
            position, sign = place - min(pattern.shift, 0), (minus >> place & 1) ^ pattern.swapped
            self._insert(column, Digit(pattern.a, position, sign))
            self._insert(column, Digit(pattern.b, position + pattern.shift, sign ^ pattern.opposite))

    def _next_random(self) -> int:
        self._random = self._random + 0x9E3779B97F4A7C15 & _WORD
        return _mixed(self._random)

    def _below(self, bound: int) -> int:
        return (self._next_random() >> 32) * bound >> 32


def _mixed(value: int) -> int:
    """A hash of 64 bits (the finalizer of SplitMix64)."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _WORD
    return value ^ value >> 31


def _with_one_turned(nodes: Nodes, terms: Sequence[Summand]) -> Sequence[Summand]:
    """Return the terms, which are all subtracted, with the first subtraction among them turned round."""
    for k, summand in enumerate(terms):
        turned = nodes.turned(summand.term.node)
        if turned is not None:
            fresh = Summand(Term(turned, summand.term.shift, False), *nodes.ranges[turned], nodes.arrivals[turned])
            return [*terms[:k], fresh, *terms[k + 1 :]]
    return terms
