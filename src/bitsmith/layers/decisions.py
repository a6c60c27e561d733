"""Decision trees on integers: what is left of them within the ranges of their inputs, and shared between trees.

In: nodes with thresholds in raw values, and leaves with raw values for several outputs. Out: the bits of the number of the leaf
that each tree leads to, and tables of what is added for each number. Decisions that the range of an input, or decisions above,
have settled are gone, and so are those between equal numbers. Each decision between two numbers is there once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.base.graphs import reached
from bitsmith.ir.types import Ints, objects

_MOST_BITS = 12
"""Most bits of the numbers of a tree's leaves."""

_SHARE_BITS = 5
"""Bits of numbers up to which a table takes a look-up table for each bit that is added; beyond, each bit doubles these."""

Condition: TypeAlias = tuple[int, tuple[int, ...]]
"""A feature and bounds."""


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """The questions of nodes, in raw values: whether an odd number of ``bounds``, which rise, are ``x[feature]`` or more."""

    features: npt.NDArray[np.int64]
    bounds: Sequence[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Choices:
    """Numbers by places: the ``leaves``, then the results of each level of decisions (condition, place if so, place if not).

    ``results`` are the places of the numbers that are wanted.
    """

    leaves: list[int]
    levels: list[list[tuple[int, int, int]]]
    results: list[int]


@dataclass(frozen=True, slots=True)
class Decisions:
    """Trees as tables of the numbers of their leaves, and as decisions between numbers where tables would be large.

    Args:
        conditions: features and bounds, of which an odd number is the feature or more.
        bits: the bits of the numbers of leaves.
        codes: for each tree with a table, which of these bits its number has, the lowest first.
        tables: codes, outputs, and what is added to an output for each number, 0 at least.
        sums: numbers that are added to outputs.
        outputs: the output of each of them.
        constant: for each output, the sum of trees that decide nothing.
    """

    conditions: list[Condition]
    bits: Choices
    codes: list[list[int]]
    tables: list[tuple[int, int, list[int]]]
    sums: Choices
    outputs: list[int]
    constant: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """A decision between two numbers; ``height`` is that of the longest way to a leaf."""

    condition: Condition
    first: Number
    second: Number
    height: int


Number: TypeAlias = Decision | int
"""A decision, or the number that one leads to."""


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """Rest of trees: each leads to the place of a row of ``values``, one number for each output."""

    trees: list[Number]
    values: list[tuple[int, ...]]
    reducer: _Reducer

    def decisions(self) -> Decisions:
        """The trees side by side."""
        outputs = len(self.values[0])
        constant = objects(np.zeros(outputs, np.int64))
        bits: list[Number] = []
        codes: list[list[int]] = []
        tables: list[tuple[int, int, list[int]]] = []
        sums: list[tuple[Number, int]] = []
        for tree in self.trees:
            if isinstance(tree, int):
                constant += objects(np.array(self.values[tree], np.object_))
            elif is_tabulated(tree):
                code = self.reducer.code(tree)[::-1]
                codes.append(list(range(len(bits), len(bits) + len(code))))
                bits += code
                rows = [self.values[row] for row in _leaves(tree, len(code))]
                for output, least in enumerate(np.min(rows, axis=0).tolist()):
                    tables.append((len(codes) - 1, output, [row[output] - least for row in rows]))
                    constant[output] += least
            else:
                found = [self.reducer.column(tree, self.values, output) for output in range(outputs)]
                sums += [(number, output) for output, number in enumerate(found)]
        of_bits, of_sums = below(bits), below([number for number, _ in sums])
        conditions = sorted({decision.condition for decision in (*of_bits, *of_sums)})
        return Decisions(
            conditions,
            _numbered(of_bits, bits, conditions),
            codes,
            tables,
            _numbered(of_sums, [number for number, _ in sums], conditions),
            [output for _, output in sums],
            constant,
        )


def reduced(
    asked: Conditions, branches: npt.NDArray[np.int64], roots: npt.NDArray[np.int64], leaves: Ints, lo: Ints, hi: Ints
) -> Reduced:
    """Return what is left of trees with ``leaves`` (leaves, outputs) where inputs lie within ``lo`` and ``hi`` (features,)."""
    numbers: dict[tuple[int, ...], int] = {}
    rows = [numbers.setdefault(tuple(row), len(numbers)) for row in leaves.tolist()]
    reducer = _Reducer(asked, branches, lo, hi)
    return Reduced([reducer.of(root, rows) for root in roots.tolist()], list(numbers), reducer)


def is_tabulated(tree: Decision) -> bool:
    """True if a table of the numbers of leaves, one bit for each decision on a way, is smaller than choices of numbers."""
    return tree.height <= _MOST_BITS and len(below([tree])) >> max(tree.height - _SHARE_BITS, 0) > 0


def _leaves(number: Number, bits: int) -> list[int]:
    """The leaf that each code of ``bits`` bits leads to; the highest bit decides first."""
    if isinstance(number, int):
        return [number] * (1 << bits)
    return [*_leaves(number.second, bits - 1), *_leaves(number.first, bits - 1)]


def below(numbers: Sequence[Number]) -> list[Decision]:
    """The decisions that ``numbers`` need, each once."""
    starts = (number for number in numbers if isinstance(number, Decision))
    return list(reached(starts, lambda one: [end for end in (one.first, one.second) if isinstance(end, Decision)]))


class _Reducer:
    """Trees as nested decisions, each of which is one object wherever it is used."""

    def __init__(self, asked: Conditions, branches: npt.NDArray[np.int64], lo: Ints, hi: Ints) -> None:
        self._asked = list(zip(asked.features.tolist(), asked.bounds, strict=True))
        self._branches: list[list[int]] = branches.tolist()
        self._ranges: list[tuple[int, int]] = list(zip(lo.tolist(), hi.tolist(), strict=True))
        self._known: dict[object, Decision] = {}
        self._codes: dict[int, list[Number]] = {}
        self._columns: dict[tuple[int, int], Number] = {}

    def of(self, place: int, leaves: Sequence[int]) -> Number:
        """Return what is left of the tree at ``place``."""
        if place < 0:
            return leaves[-1 - place]
        feature, bounds = self._asked[place]
        yes, no = self._branches[place]
        least, most = whole = self._ranges[feature]
        start, stop = bisect_left(bounds, least), bisect_left(bounds, most)
        inner = bounds[start:stop]
        if (len(bounds) - stop) % 2:  # so many hold wherever the feature is
            yes, no = no, yes
        if not inner:
            return self.of(no, leaves)
        # Within the bounds parts of the range alternate, and the last one leads to ``no``.
        parts = list(zip((least, *(bound + 1 for bound in inner)), (*inner, most), strict=True))
        ends = []
        for branch, own in ((yes, parts[-2::-2]), (no, parts[::-2])):
            self._ranges[feature] = own[-1][0], own[0][1]
            ends.append(self.of(branch, leaves))
        self._ranges[feature] = whole
        return self._decided((feature, inner), *ends)

    def _decided(self, condition: Condition, first: Number, second: Number) -> Number:
        """The one object of this decision."""
        if first == second:
            return first
        key = (condition, *(number if isinstance(number, int) else (id(number),) for number in (first, second)))
        height = 1 + max(_height(first), _height(second))
        return self._known.setdefault(key, Decision(condition, first, second, height))

    def column(self, tree: Number, values: Sequence[tuple[int, ...]], output: int) -> Number:
        """The tree with the numbers of one output for leaves."""
        if isinstance(tree, int):
            return values[tree][output]
        key = id(tree), output
        if key not in self._columns:
            ends = (self.column(end, values, output) for end in (tree.first, tree.second))
            self._columns[key] = self._decided(tree.condition, *ends)
        return self._columns[key]

    def code(self, tree: Number) -> list[Number]:
        """The bits of a number of each leaf, the highest first: how the root decides, then those of where that leads to."""
        if isinstance(tree, int):
            return []
        if id(tree) not in self._codes:
            yes, no = self.code(tree.first), self.code(tree.second)
            shared = min(len(yes), len(no))
            both = (self._decided(tree.condition, *pair) for pair in zip(yes, no, strict=False))
            top = self._decided(tree.condition, 1, 0)
            self._codes[id(tree)] = [top, *both, *yes[shared:], *no[shared:]]
        return self._codes[id(tree)]


def _height(number: Number) -> int:
    return 0 if isinstance(number, int) else number.height


def _numbered(known: Sequence[Decision], results: Sequence[Number], conditions: Sequence[Condition]) -> Choices:
    """Decisions that ``results`` need, with places."""
    ends = {end for decision in known for end in (decision.first, decision.second) if isinstance(end, int)}
    leaves = sorted(ends.union(number for number in results if isinstance(number, int)))
    numbers = {condition: number for number, condition in enumerate(conditions)}
    places: dict[object, int] = {leaf: place for place, leaf in enumerate(leaves)}
    levels: list[list[tuple[int, int, int]]] = [[] for _ in range(max(map(_height, known), default=0))]
    for decision in sorted(known, key=_height):
        places[decision] = len(places)
        row = (numbers[decision.condition], places[decision.first], places[decision.second])
        levels[decision.height - 1].append(row)
    return Choices(leaves, levels, [places[number] for number in results])
