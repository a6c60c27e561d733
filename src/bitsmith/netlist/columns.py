"""Columns of digits over nodes, which are inputs and adders shared by columns.

In: columns of digits over the inputs. It keeps the books while patterns become nodes and nodes are dissolved: who uses what, what
all costs, and what changed since a mark, so that it can be undone. It decides nothing; :mod:`bitsmith.netlist.sharing` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bitsmith.netlist.adders import InputRange
from bitsmith.netlist.patterns import NODE_BITS, SHIFT_BIAS, SHIFT_BITS, ColumnEntry, Pattern, set_bits
from bitsmith.netlist.sums import Deadline, Sum, Summand, Term

_MOST = 2
"""How many times as large as given the digits of a column may become."""

_OF_INPUTS = Pattern(-1, -1, 0, 0)


class Digit(NamedTuple):
    node: int
    position: int
    minus: int


class Node:
    """An input, or an adder made for a pattern.

    ``uses`` counts digits and operands of other nodes; ``most`` is more than any part of its sum can be, in magnitude.
    """

    __slots__ = ("alive", "arrival", "cost", "digits", "most", "pattern", "range", "uses")

    def __init__(self, pattern: Pattern, range_: tuple[int, int], most: int, arrival: int, cost: int) -> None:
        self.pattern = pattern
        self.range = range_
        self.most = most
        self.arrival = arrival
        self.cost = cost
        self.alive = False
        self.uses = 0
        self.digits: dict[int, list[int]] = {}


class Columns:
    """Columns in digits, and the nodes that they use.

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
        self._nodes = [Node(_OF_INPUTS, (i.lo, i.hi), max(-i.lo, i.hi) + 1, i.arrival, 0) for i in inputs]
        for each in self._nodes:
            each.uses = 1
        self._outputs = outputs
        self._parts: list[list[int]] = [[] for _ in range(max(outputs, default=-1) + 1)]
        for column, output in enumerate(outputs):
            self._parts[output].append(column)
        self._limit = None if latest is None else 1 << latest
        self._loads = [0] * len(self._parts)
        self._costs = [0] * len(self._parts)
        self._digits: list[dict[tuple[int, int], Digit]] = [{} for _ in columns]
        self._made: dict[int, int] = {}
        self._dying: list[int] = []
        self._free: list[int] = []
        self._cost = self._steps = 0
        self._begin()
        for column, entries in enumerate(columns):
            self._touch(column)
            for node, plus, minus in entries:
                for position in set_bits(plus | minus):
                    self._insert(column, Digit(node, position, minus >> position & 1))
        self._given = sum(len(digits) for digits in self._digits)
        self._most_given = [self._most(column) for column in range(len(columns))]
        for column, digits in enumerate(self._digits):
            if all(digit.minus for digit in digits.values()):
                self._expand(column, min(digits.values(), key=lambda digit: digit.position))

    @property
    def cost(self) -> int:
        """Full adders of all there is."""
        return self._cost

    def _make(self, pattern: Pattern) -> int:
        """Return the node of a pattern that has none; one that was taken out in this iteration comes back."""
        for number in self._died:
            if self._nodes[number].pattern == pattern:
                self._died.remove(number)
                self._revive(number)
                return number
        a, b = self._nodes[pattern.a], self._nodes[pattern.b]
        adder = pattern.adder()
        ranges = self._nodes[adder.a].range, self._nodes[adder.b].range
        most = (self._nodes[adder.a].most << adder.shift_a) + (self._nodes[adder.b].most << adder.shift_b)
        node = Node(pattern, adder.range(*ranges), most, max(a.arrival, b.arrival) + 1, adder.paid(*ranges))
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
            self._saved[column] = dict(self._digits[column])

    def _keys(self, others: Iterable[Digit], digit: Digit) -> Iterator[int]:
        """The keys of a digit's patterns with other digits of its column."""
        node, position, minus = digit
        for other, place, sign in others:
            if (node, position) < (other, place):
                yield (((node << NODE_BITS | other) << SHIFT_BITS | place - position + SHIFT_BIAS) << 1) | (
                    minus ^ sign
                )
            else:
                yield (((other << NODE_BITS | node) << SHIFT_BITS | position - place + SHIFT_BIAS) << 1) | (
                    minus ^ sign
                )

    def _remove(self, column: int, node: int, position: int) -> None:
        """Take a digit out of a column."""
        self._detach(column, self._digits[column].pop((node, position)))

    def _insert(self, column: int, digit: Digit) -> None:
        """Put a digit into a column.

        With an equal one there it becomes one of the next position, with an opposite one nothing.
        """
        there = self._digits[column].get((digit.node, digit.position))
        if there is not None:
            self._remove(column, digit.node, digit.position)
            if there == digit:
                self._insert(column, digit._replace(position=digit.position + 1))
            return
        self._digits[column][digit.node, digit.position] = digit
        self._attach(column, digit)

    def _attach(self, column: int, digit: Digit) -> None:
        """Enter a digit that a column has in the books of its node."""
        node, position, minus = digit
        self._nodes[node].digits.setdefault(column, [0, 0])[minus] |= 1 << position
        self._nodes[node].uses += 1
        self._count_load(column, node, 1)

    def _detach(self, column: int, digit: Digit) -> None:
        node, position, minus = digit
        masks = self._nodes[node].digits[column]
        masks[minus] ^= 1 << position
        if not masks[0] | masks[1]:
            del self._nodes[node].digits[column]
        self._count_load(column, node, -1)
        self._release(node)

    def _count_load(self, column: int, node: int, times: int) -> None:
        if self._limit is not None:
            self._loads[self._outputs[column]] += times << self._nodes[node].arrival

    def _most(self, column: int) -> int:
        """More than any part of a column's sum can be, in magnitude."""
        return sum(self._nodes[node].most << position for node, position in self._digits[column])

    def _expand(self, column: int, digit: Digit) -> None:
        """Write -1 as 1 - 2 if there is time, so that a sum of subtractions need not be negated."""
        node, position, _ = digit
        late = (
            self._limit is not None
            and self._loads[self._outputs[column]] + (1 << self._nodes[node].arrival) > self._limit
        )
        if late or self._most(column) + (self._nodes[node].most << position + 1) > _MOST * self._most_given[column]:
            return
        self._remove(column, node, position)
        self._insert(column, Digit(node, position + 1, 1))
        self._insert(column, Digit(node, position, 0))

    def _begin(self) -> None:
        self._saved: dict[int, dict[tuple[int, int], Digit]] = {}
        self._born: list[int] = []
        self._died: list[int] = []
        self._costs_before: list[tuple[int, int]] = []
        self._free_before = list(self._free)
        self._size_before = len(self._nodes)

    def _kept(self, column: int) -> dict[tuple[int, int], Digit]:
        """Return the digits of a column that are older than this iteration; they come first."""
        now = iter(self._digits[column].values())
        kept: dict[tuple[int, int], Digit] = {}
        fresh = next(now, None)
        for place, digit in self._saved[column].items():
            if digit == fresh:
                kept[place] = digit
                fresh = next(now, None)
        return kept

    def _undo(self) -> None:
        """Go back to what there was before this iteration."""
        kept = {column: self._kept(column) for column in self._saved}
        for column, old in kept.items():
            for digit in list(self._digits[column].values())[len(old) :]:
                self._detach(column, digit)
        self._bury()
        for number in set(self._died) - set(self._born):
            self._revive(number)
        for column, digits in self._saved.items():
            for place, digit in digits.items():
                if place not in kept[column]:
                    self._attach(column, digit)
            self._digits[column] = digits
        for output, cost in self._costs_before:
            self._cost += cost - self._costs[output]
            self._costs[output] = cost
        del self._nodes[self._size_before :]
        self._free = self._free_before

    def _recount(self) -> None:
        """Take the costs of the sums that changed."""
        changed = (column for column, digits in self._saved.items() if digits != self._digits[column])
        for output in sorted({self._outputs[column] for column in changed}):
            cost = self._sum(output, self._summands(output)).cost
            self._costs_before.append((output, self._costs[output]))
            self._cost += cost - self._costs[output]
            self._costs[output] = cost

    def _deadline(self, output: int) -> Deadline:
        return Deadline(self._limit, self._loads[output])

    def _sum(self, output: int, terms: Sequence[Summand]) -> Sum:
        return Sum(terms, self._deadline(output))

    def _summands(self, output: int) -> list[Summand]:
        return [
            Summand(Term(node, position, bool(minus)), *self._nodes[node].range, self._nodes[node].arrival)
            for column in self._parts[output]
            for node, position, minus in self._digits[column].values()
        ]
