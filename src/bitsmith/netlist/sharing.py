"""Sharing of two-term patterns among the columns of a matrix in signed digits: greedily, then by removing and rebuilding.

In: columns of digits over the inputs. Out: the same columns as sums of inputs and shared adders, which cost less.

A digit is a node shifted left by a position, added or subtracted. A pattern is a pair of digits of one column, up to a common
shift and sign. The pattern that saves most full adders becomes a node and each occurrence one digit of it, until none saves any.
Then, again and again, nodes taken at random are dissolved into what they were made of and the gap is filled greedily, with a
little noise in what patterns save and in how numbers are written; what costs more than before is undone (large-neighborhood
search: P. Shaw, "Using constraint programming and local search methods to solve vehicle routing problems", CP 1998). Counts of
patterns are updated for the digits that change, never recounted. Steps are such updates, so that a budget of them means the same
work on every machine.

``native/src/sharing.cpp`` does the same in C++; in both, nothing may depend on the order of sets.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from bitsmith.netlist.adders import InputRange, Nodes
from bitsmith.netlist.patterns import (
    NODE_BITS,
    SHIFT_BIAS,
    SHIFT_BITS,
    ColumnEntry,
    Pattern,
    matches_of,
    pairs_with_two_forms,
    set_bits,
)
from bitsmith.netlist.sums import Deadline, Sum, Summand, Term

_NOISE = 512
_NOISELESS = 1024
_COLUMNS = 2
_OF_COLUMN = 4
_REWRITTEN = 4
_OVERHEAD = 100
_WORD = (1 << 64) - 1
_OF_INPUTS = Pattern(-1, -1, 0, 0)


class _Digit(NamedTuple):
    node: int
    position: int
    minus: int


class _Node:
    """An input, or an adder made for a pattern; ``uses`` counts digits and operands of other nodes."""

    __slots__ = ("alive", "arrival", "cost", "digits", "pattern", "range", "uses")

    def __init__(self, pattern: Pattern, range_: tuple[int, int], arrival: int, cost: int) -> None:
        self.pattern = pattern
        self.range = range_
        self.arrival = arrival
        self.cost = cost
        self.alive = False
        self.uses = 0
        self.digits: dict[int, list[int]] = {}


class Sharing:
    """Columns in digits, how often each pattern occurs in them, and a queue of the patterns that save something.

    Depth is kept by the Kraft sum: terms that arrive at t can be summed by time T if and only if the sum of 2**t is at most 2**T.
    An occurrence is replaced only where the sum of its output stays within the limit. A pattern of two equally late terms leaves
    the sum as it is, so that balanced patterns are always allowed and chains end where they would make an output late.

    Args:
        inputs: ranges and arrival times, which are not negative.
        columns: the entries of every column.
        outputs: for every column, the output it is a part of. Columns of one output are summed later.
        latest: the arrival time that no output may exceed, reachable without sharing; None if there is none.
    """

    def __init__(
        self,
        inputs: Sequence[InputRange],
        columns: Sequence[Sequence[ColumnEntry]],
        outputs: Sequence[int],
        latest: int | None,
    ) -> None:
        self._inputs = len(inputs)
        self._nodes = [_Node(_OF_INPUTS, (i.lo, i.hi), i.arrival, 0) for i in inputs]
        for each in self._nodes:
            each.uses = 1
        self._outputs = outputs
        self._parts: list[list[int]] = [[] for _ in range(max(outputs, default=-1) + 1)]
        for column, output in enumerate(outputs):
            self._parts[output].append(column)
        self._limit = None if latest is None else 1 << latest
        self._loads = [0] * len(self._parts)
        self._costs = [0] * len(self._parts)
        self._digits: list[dict[tuple[int, int], _Digit]] = [{} for _ in columns]
        self._counts: dict[int, int] = {}
        self._made: dict[int, int] = {}
        self._queued: dict[int, int] = {}
        self._queue: list[tuple[int, int, int]] = []
        self._touched: set[int] = set()
        self._dying: list[int] = []
        self._free: list[int] = []
        self._cost = self._steps = self._noise = 0
        self._random = 1
        self._begin()
        for column, entries in enumerate(columns):
            self._touch(column)
            for node, plus, minus in entries:
                for position in set_bits(plus | minus):
                    self._insert(column, _Digit(node, position, minus >> position & 1))

    @property
    def cost(self) -> int:
        """Full adders of all there is."""
        return self._cost

    def run(self) -> None:
        """Extract patterns until none saves anything."""
        self._rebuild()
        self._recount()

    def improve(self, effort: int, most_steps: int) -> None:
        """Remove and rebuild parts, keeping what does not cost more.

        Ends after ``effort`` times the steps so far, or ``most_steps`` if that is less.
        """
        end = self._steps + min(effort * self._steps, most_steps)
        while self._steps < end and len(self._nodes) > self._inputs:
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
            total = Sum(terms, self._deadline(output))
            if total.stays_negated:
                total = Sum(_with_one_turned(nodes, terms), self._deadline(output))
            roots.append(total.build(nodes))
        return roots

    def _rebuild(self) -> None:
        """Extract the patterns among those touched that save something, and those that come of it."""
        self._enqueue_touched()
        while self._queue:
            _, key, count = heapq.heappop(self._queue)
            if self._queued.get(key) != count:
                continue
            del self._queued[key]
            if self._counts.get(key, 0) < count:
                self._enqueue(key)
                continue
            pattern = Pattern.of(key)
            occurrences = self._occurrences(pattern)
            if len(occurrences) == count:
                self._extract(pattern, occurrences)
            else:
                self._push(pattern, len(occurrences))
        self._bury()

    def _enqueue_touched(self) -> None:
        for key in self._touched:
            self._enqueue(key)
        self._touched.clear()

    def _enqueue(self, key: int) -> None:
        count = self._counts.get(key, 0)
        if count != self._queued.get(key, 0):
            self._push(Pattern.of(key), count)

    def _push(self, pattern: Pattern, count: int) -> None:
        """Queue a pattern that can be replaced ``count`` times, if that saves something."""
        key = pattern.key
        times = count - (key not in self._made)
        if times < 1:
            return
        saved = self._saving(pattern, count)
        if saved <= 0:
            return
        self._queued[key] = count
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

    def _extract(self, pattern: Pattern, occurrences: Sequence[tuple[int, int, int]]) -> None:
        """Put one digit of the pattern's node in place of each occurrence."""
        node = self._made.get(pattern.key)
        if node is None:
            node = self._make(pattern)
        offset = min(pattern.shift, 0)
        for column, position, minus in occurrences:
            self._touch(column)
            self._remove(column, pattern.a, position)
            self._remove(column, pattern.b, position + pattern.shift)
            self._insert(column, _Digit(node, position + offset, minus ^ pattern.swapped))
        self._enqueue_touched()

    def _make(self, pattern: Pattern) -> int:
        a, b = self._nodes[pattern.a], self._nodes[pattern.b]
        adder = pattern.adder()
        range_ = adder.range(self._nodes[adder.a].range, self._nodes[adder.b].range)
        node = _Node(pattern, range_, max(a.arrival, b.arrival) + 1, adder.cost(*range_))
        if self._free:
            number = self._free.pop()
            self._nodes[number] = node
        else:
            number = len(self._nodes)
            self._nodes.append(node)
        self._born.append(number)
        self._revive(number)
        return number

    def _revive(self, number: int) -> None:
        node = self._nodes[number]
        pattern = node.pattern
        node.alive = True
        self._nodes[pattern.a].uses += 1
        self._nodes[pattern.b].uses += 1
        self._cost += node.cost
        self._made[pattern.key] = number

    def _release(self, number: int) -> None:
        self._nodes[number].uses -= 1
        if not self._nodes[number].uses:
            self._dying.append(number)

    def _bury(self) -> None:
        """Take out the nodes that nothing uses any more."""
        while self._dying:
            number = self._dying.pop()
            node = self._nodes[number]
            if node.alive and not node.uses:
                pattern = node.pattern
                node.alive = False
                self._cost -= node.cost
                del self._made[pattern.key]
                self._died.append(number)
                self._release(pattern.a)
                self._release(pattern.b)

    def _touch(self, column: int) -> None:
        """Keep the digits of a column as they were before this iteration."""
        if column not in self._saved:
            self._saved[column] = list(self._digits[column].values())

    def _keys(self, column: int, digit: _Digit) -> Iterator[int]:
        """The keys of a digit's patterns with each digit of a column."""
        digits = self._digits[column]
        self._steps += len(digits)
        node, position, minus = digit
        for other, place, sign in digits.values():
            if (node, position) < (other, place):
                yield (((node << NODE_BITS | other) << SHIFT_BITS | place - position + SHIFT_BIAS) << 1) | (
                    minus ^ sign
                )
            else:
                yield (((other << NODE_BITS | node) << SHIFT_BITS | position - place + SHIFT_BIAS) << 1) | (
                    minus ^ sign
                )

    def _remove(self, column: int, node: int, position: int) -> None:
        """Take a digit out of a column, and its patterns out of the counts."""
        gone = self._digits[column].pop((node, position))
        counts = self._counts
        for key in self._keys(column, gone):
            if counts[key] > 1:
                counts[key] -= 1
            else:
                del counts[key]
        masks = self._nodes[node].digits[column]
        masks[gone.minus] ^= 1 << position
        if not masks[0] | masks[1]:
            del self._nodes[node].digits[column]
        self._count_load(column, node, -1)
        self._release(node)

    def _insert(self, column: int, digit: _Digit) -> None:
        """Put a digit into a column and its patterns into the counts; those that may save something are touched.

        With an equal one there it becomes one of the next position, with an opposite one nothing.
        """
        there = self._digits[column].get((digit.node, digit.position))
        if there is not None:
            self._remove(column, digit.node, digit.position)
            if there == digit:
                self._insert(column, digit._replace(position=digit.position + 1))
            return
        counts = self._counts
        for key in self._keys(column, digit):
            counts[key] = counts.get(key, 0) + 1
            if counts[key] > 1 or key in self._made:
                self._touched.add(key)
        node, position, minus = digit
        self._digits[column][node, position] = digit
        self._nodes[node].digits.setdefault(column, [0, 0])[minus] |= 1 << position
        self._nodes[node].uses += 1
        self._count_load(column, node, 1)

    def _count_load(self, column: int, node: int, times: int) -> None:
        if self._limit is not None:
            self._loads[self._outputs[column]] += times << self._nodes[node].arrival

    def _begin(self) -> None:
        self._saved: dict[int, list[_Digit]] = {}
        self._born: list[int] = []
        self._died: list[int] = []
        self._costs_before: list[tuple[int, int]] = []
        self._free_before = list(self._free)
        self._size_before = len(self._nodes)

    def _iterate(self) -> None:
        """Dissolve some nodes, rebuild, and keep that if it costs no more."""
        self._begin()
        before = self._cost
        self._steps += _OVERHEAD
        self._noise = self._next_random() | 1
        self._dissolve_some()
        self._rebuild()
        self._recount()
        if self._cost > before:
            self._undo()
        else:
            self._free += sorted(self._died, reverse=True)

    def _dissolve_some(self) -> None:
        """Dissolve digits of a few columns taken at random, and write some numbers in other forms."""
        for _ in range(_COLUMNS):
            column = self._below(len(self._digits))
            for _ in range(_OF_COLUMN):
                nodes = sorted(node for node, _ in self._digits[column])
                self._dissolve_down(nodes[self._below(len(nodes))])
        for column in self._saved:
            self._rewrite_some(column)

    def _dissolve_down(self, number: int) -> None:
        """Dissolve a node, and some of those that it was made of."""
        while number >= self._inputs and self._nodes[number].alive:
            pattern = self._nodes[number].pattern
            self._dissolve(number, pattern)
            self._bury()
            choice = self._below(4)
            if choice >= 2:
                return
            number = pattern.a if choice else pattern.b

    def _rewrite_some(self, column: int) -> None:
        """Write some pairs of digits of a column in their other form: 3 as 4 - 1 or as 2 + 1."""
        for node in sorted({node for node, _ in self._digits[column]}):
            masks = self._nodes[node].digits[column]
            for low, minus, is_sum in pairs_with_two_forms(masks[0], masks[1]):
                place = column << 40 | node << 16 | low * 4 + minus * 2 + is_sum
                if _mixed(place ^ self._noise) % _REWRITTEN == 0:
                    self._remove(column, node, low + 2 - is_sum)
                    self._remove(column, node, low)
                    self._insert(column, _Digit(node, low + 1 + is_sum, minus))
                    self._insert(column, _Digit(node, low, minus ^ is_sum))
                    break

    def _dissolve(self, number: int, pattern: Pattern) -> None:
        """Put the operands of a node in place of its digits."""
        offset = min(pattern.shift, 0)
        for column, masks in list(self._nodes[number].digits.items()):
            self._touch(column)
            plus, minus = masks
            for place in set_bits(plus | minus):
                self._remove(column, number, place)
                position, sign = place - offset, (minus >> place & 1) ^ pattern.swapped
                self._insert(column, _Digit(pattern.a, position, sign))
                self._insert(column, _Digit(pattern.b, position + pattern.shift, sign ^ pattern.opposite))

    def _undo(self) -> None:
        """Go back to what there was before this iteration."""
        for column, digits in self._saved.items():
            for node, position, _ in set(self._digits[column].values()).difference(digits):
                self._remove(column, node, position)
        self._bury()
        for number in set(self._died) - set(self._born):
            self._revive(number)
        for column, digits in self._saved.items():
            for digit in set(digits).difference(self._digits[column].values()):
                self._insert(column, digit)
        self._touched.clear()
        for output, cost in self._costs_before:
            self._cost += cost - self._costs[output]
            self._costs[output] = cost
        del self._nodes[self._size_before :]
        self._free = self._free_before

    def _recount(self) -> None:
        """Take the costs of the sums that changed."""
        for output in sorted({self._outputs[column] for column in self._saved}):
            cost = Sum(self._summands(output), self._deadline(output)).cost
            self._costs_before.append((output, self._costs[output]))
            self._cost += cost - self._costs[output]
            self._costs[output] = cost

    def _deadline(self, output: int) -> Deadline:
        return Deadline(self._limit, self._loads[output])

    def _summands(self, output: int) -> list[Summand]:
        return [
            Summand(Term(node, position, bool(minus)), *self._nodes[node].range, self._nodes[node].arrival)
            for column in self._parts[output]
            for node, position, minus in self._digits[column].values()
        ]

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
