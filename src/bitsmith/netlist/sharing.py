"""Greedy sharing of two-term patterns among the columns of a matrix in signed digits.

In: columns of digits over the inputs. Out: the same columns over inputs and shared adders, with fewer digits.

A digit is a node shifted left by a position, added or subtracted. A pattern is a pair of digits of one column, up to a
common shift and sign. The pattern with the most occurrences becomes an adder and each occurrence one digit of it, until
no pattern occurs twice. Counts of patterns are updated for the digits that change, never recounted.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bitsmith.netlist.adders import Adder, Nodes


class ColumnEntry(NamedTuple):
    """One entry of a column: ``node`` times (``plus`` - ``minus``), two bit masks without a common bit."""

    node: int
    plus: int
    minus: int


class Term(NamedTuple):
    """``node`` shifted left by ``shift``, subtracted if ``minus``."""

    node: int
    shift: int
    minus: bool


class Pattern(NamedTuple):
    """Node ``a`` with node ``b`` shifted by ``shift`` (which may be negative) against it, of equal or opposite sign."""

    a: int
    b: int
    shift: int
    opposite: int


class Digit(NamedTuple):
    """A digit of a column: its shares of the keys of patterns, as their first and as their second digit, and its sign."""

    first: int
    second: int
    minus: int


class PatternKey:
    """Patterns as integers, so that counting them is addition and look-up.

    The key of a pattern is a number of four mixed digits, ``a``, ``b``, ``shift + positions`` and ``opposite``::

        key = ((a * nodes + b) * 2 * positions + shift + positions) * 2 + opposite

    With ``shift = position_b - position_a`` it is the sum of a share of each digit, and 1 if their signs differ.

    Args:
        nodes: a bound on nodes.
        positions: a bound on positions.
    """

    def __init__(self, nodes: int, positions: int) -> None:
        self._nodes = nodes
        self._positions = positions

    def digit(self, node: int, position: int, minus: int) -> Digit:
        """The digit of ``node`` at ``position``."""
        span = 2 * self._positions
        first = (node * self._nodes * span - position) * 2
        return Digit(first, (node * span + position + self._positions) * 2, minus)

    def of(self, a: Digit, b: Digit) -> int:
        """The key of the pattern of two digits, of which ``a`` has the lesser node, or the lower position of the same node."""
        return a.first + b.second + (a.minus ^ b.minus)

    def decode(self, key: int) -> Pattern:
        """The pattern of a key."""
        rest, opposite = divmod(key, 2)
        rest, shift = divmod(rest, 2 * self._positions)
        a, b = divmod(rest, self._nodes)
        return Pattern(a, b, shift - self._positions, opposite)

    def with_each(self, code: int, digit: Digit, digits: Mapping[int, Digit]) -> list[int]:
        """The keys of a digit with each of ``digits``, by their order of codes; :meth:`of` without a call for each."""
        first, second, minus = digit
        return [
            (first_there + second if there < code else first + second_there) + (minus ^ minus_there)
            for there, (first_there, second_there, minus_there) in digits.items()
        ]

    def of_all_pairs(self, digits: Sequence[Digit]) -> npt.NDArray[np.int64]:
        """The keys of all pairs of ``digits``, which are in order: :meth:`of` on arrays."""
        table = np.array(digits, dtype=np.int64)
        a, b = np.triu_indices(len(digits), 1)
        return np.asarray(table[a, 0] + table[b, 1] + (table[a, 2] ^ table[b, 2]))


class _Rank(NamedTuple):
    """Place in the queue: most frequent first.

    Of equals first the newest adder (which saves 1 % of the adders), then the most equal arrivals, then the narrowest.
    """

    negative_count: int
    negative_node: int
    skew: int
    width: int
    key: int


class _Occurrence(NamedTuple):
    """Where a pattern occurs: column, position of its digit of ``a``, sign of that digit."""

    column: int
    position: int
    minus: int


class Sharing:
    """Columns in digits, how often each pattern occurs in them, and a queue of the patterns that occur twice or more.

    Depth is kept by the Kraft sum: terms that arrive at t can be summed by time T if and only if the sum of 2**t is at
    most 2**T. An occurrence is replaced only where the sum of its output stays within the limit. A pattern of two
    equally late terms leaves the sum as it is, so that balanced patterns are always allowed and chains end where they
    would make an output late.

    Args:
        nodes: where adders are made; arrival times are not negative.
        columns: the entries of every column.
        outputs: for every column, the output it is a part of. Columns of one output are summed later.
        latest: the arrival time that no output may exceed, reachable without sharing.
    """

    def __init__(
        self, nodes: Nodes, columns: Sequence[Sequence[ColumnEntry]], outputs: Sequence[int], latest: int
    ) -> None:
        self._nodes = nodes
        self._outputs = outputs
        self._positions = max((max(e.plus, e.minus).bit_length() for column in columns for e in column), default=1)
        digit_count = sum(e.plus.bit_count() + e.minus.bit_count() for column in columns for e in column)
        self._key = PatternKey(len(nodes.arrivals) + digit_count, self._positions)
        self._load_limit = 1 << latest
        self._loads = [0] * (max(outputs, default=-1) + 1)
        self._masks: list[dict[int, list[int]]] = [{} for _ in nodes.arrivals]
        self._digits: list[dict[int, Digit]] = [{} for _ in columns]
        self._counts: dict[int, int] = {}
        self._queued: dict[int, int] = {}
        self._queue: list[_Rank] = []
        for column, entries in enumerate(columns):
            for entry in entries:
                self._masks[entry.node][column] = [entry.plus, entry.minus]
                for minus, mask in enumerate((entry.plus, entry.minus)):
                    for position in _set_bits(mask):
                        self._place(column, entry.node, position, minus)
        self._count_patterns()

    def run(self) -> None:
        """Extract patterns until none occurs twice."""
        while self._queue:
            rank = heapq.heappop(self._queue)
            count = -rank.negative_count
            if self._queued.get(rank.key) != count:
                continue
            del self._queued[rank.key]
            left = self._counts.get(rank.key, 0)
            if left < count:
                self._requeue(rank, left)
                continue
            pattern = self._key.decode(rank.key)
            occurrences = self._occurrences(pattern)
            if len(occurrences) < count:
                self._requeue(rank, len(occurrences))
            else:
                self._extract(pattern, occurrences)

    def terms(self) -> list[list[Term]]:
        """Return, for each output, the digits left in its columns."""
        found: list[list[Term]] = [[] for _ in self._loads]
        for output, digits in zip(self._outputs, self._digits, strict=True):
            for code, digit in digits.items():
                node, position = divmod(code, self._positions)
                found[output].append(Term(node, position, bool(digit.minus)))
        return found

    def _place(self, column: int, node: int, position: int, minus: int) -> None:
        """Add a digit to a column without counting its patterns."""
        self._digits[column][node * self._positions + position] = self._key.digit(node, position, minus)
        self._loads[self._outputs[column]] += 1 << self._nodes.arrivals[node]

    def _count_patterns(self) -> None:
        """Count every pattern of the columns as they stand."""
        keys = [
            self._key.of_all_pairs([digits[code] for code in sorted(digits)])
            for digits in self._digits
            if len(digits) > 1
        ]
        if not keys:
            return
        unique, counts = np.unique(np.concatenate(keys), return_counts=True)
        self._counts = dict(zip(unique.tolist(), counts.tolist(), strict=True))
        for key, count in zip(unique[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True):
            self._enqueue(key, count)

    def _enqueue(self, key: int, count: int) -> None:
        """Queue a pattern that occurs twice or more."""
        pattern = self._key.decode(key)
        arrivals = self._nodes.arrivals
        low, high = self._nodes.range_of(_adder(pattern, swapped=False))
        skew = abs(arrivals[pattern.a] - arrivals[pattern.b])
        self._queued[key] = count
        heapq.heappush(self._queue, _Rank(-count, -pattern.b, skew, (high - low).bit_length(), key))

    def _requeue(self, rank: _Rank, count: int) -> None:
        """Queue a pattern again that has fewer occurrences than when it was ranked, if still two."""
        if count > 1:
            self._queued[rank.key] = count
            heapq.heappush(self._queue, _Rank(-count, *rank[1:]))

    def _occurrences(self, pattern: Pattern) -> list[_Occurrence]:
        """Return occurrences that share no digit and that the depth limit allows, in order of column and position."""
        in_a, in_b = self._masks[pattern.a], self._masks[pattern.b]
        arrivals = self._nodes.arrivals
        arrival_a, arrival_b = arrivals[pattern.a], arrivals[pattern.b]
        added_load = (2 << max(arrival_a, arrival_b)) - (1 << arrival_a) - (1 << arrival_b)
        room: dict[int, int] = {}
        found: list[_Occurrence] = []
        for column in sorted(in_a.keys() & in_b.keys()):
            matches = _matches(in_a[column], in_b[column], pattern)
            if added_load and matches:
                output = self._outputs[column]
                left = room.get(output, (self._load_limit - self._loads[output]) // added_load)
                matches = matches[:left]
                room[output] = left - len(matches)
            found += [_Occurrence(column, position, minus) for position, minus in matches]
        return found

    def _extract(self, pattern: Pattern, occurrences: Sequence[_Occurrence]) -> None:
        """Make the pattern an adder and put one digit of it in place of each occurrence."""
        minus_count = sum(o.minus for o in occurrences)
        swapped = bool(pattern.opposite) and 2 * minus_count > len(occurrences)
        node = self._nodes.add(_adder(pattern, swapped=swapped))
        self._masks += [{} for _ in range(node + 1 - len(self._masks))]
        offset = min(pattern.shift, 0)
        grown: set[int] = set()
        for column, position, minus in occurrences:
            self._remove(column, pattern.a, position)
            self._remove(column, pattern.b, position + pattern.shift)
            self._insert(column, node, position + offset, minus ^ swapped, grown)
        for key in grown:
            count = self._counts.get(key, 0)
            if count > self._queued.get(key, 1):
                self._enqueue(key, count)

    def _remove(self, column: int, node: int, position: int) -> None:
        """Take a digit out of a column, and its patterns out of the counts."""
        code = node * self._positions + position
        digits = self._digits[column]
        gone = digits.pop(code)
        self._loads[self._outputs[column]] -= 1 << self._nodes.arrivals[node]
        masks = self._masks[node][column]
        masks[gone.minus] ^= 1 << position
        if not masks[0] | masks[1]:
            del self._masks[node][column]
        counts = self._counts
        for key in self._key.with_each(code, gone, digits):
            left = counts[key] - 1
            if left:
                counts[key] = left
            else:
                del counts[key]

    def _insert(self, column: int, node: int, position: int, minus: int, grown: set[int]) -> None:
        """Put a digit into a column and its patterns into the counts; add those that occur twice or more to ``grown``."""
        code = node * self._positions + position
        digits = self._digits[column]
        keys = self._key.with_each(code, self._key.digit(node, position, minus), digits)
        self._place(column, node, position, minus)
        self._masks[node].setdefault(column, [0, 0])[minus] |= 1 << position
        counts = self._counts
        for key in keys:
            count = counts.get(key, 0) + 1
            counts[key] = count
            if count > 1:
                grown.add(key)


def _adder(pattern: Pattern, *, swapped: bool) -> Adder:
    """Return the adder of a pattern: a plus or minus b, or b minus a if ``swapped``."""
    shift_a, shift_b = max(-pattern.shift, 0), max(pattern.shift, 0)
    if swapped:
        return Adder(pattern.b, pattern.a, shift_b, shift_a, True)
    return Adder(pattern.a, pattern.b, shift_a, shift_b, bool(pattern.opposite))


def _matches(in_a: Sequence[int], in_b: Sequence[int], pattern: Pattern) -> list[tuple[int, int]]:
    """Return (position, sign) of digits of ``a`` that form the pattern with a digit of ``b``, each digit used once."""
    matches: list[tuple[int, int]] = []
    for minus in (0, 1):
        partner = in_b[minus ^ pattern.opposite]
        aligned = partner >> pattern.shift if pattern.shift >= 0 else partner << -pattern.shift
        matches += [(position, minus) for position in _set_bits(in_a[minus] & aligned)]
    matches.sort()
    if pattern.a != pattern.b:
        return matches
    used = 0
    kept: list[tuple[int, int]] = []
    for position, minus in matches:
        both = (1 << position) | (1 << (position + pattern.shift))
        if not used & both:
            used |= both
            kept.append((position, minus))
    return kept


def _set_bits(mask: int) -> list[int]:
    """Return the positions of the ones of ``mask``, rising."""
    found: list[int] = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found
