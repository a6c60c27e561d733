"""Decision trees on integers: what is left of them within the ranges of their inputs, and shared between trees.

In: nodes with thresholds in raw values, and leaves with raw values for several outputs. Out: decisions between two numbers, each
of them once, with those first that others read. Decisions that the range of an input, or decisions above, have settled are gone,
and so are those between equal numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.ir.types import Ints, objects

Condition: TypeAlias = tuple[int, tuple[int, ...]]
"""A feature and bounds."""


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """The questions of nodes, in raw values: whether an odd number of ``bounds``, which rise, are ``x[feature]`` or more."""

    features: npt.NDArray[np.int64]
    bounds: Sequence[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Decisions:
    """Numbers by places: the ``leaves``, then the results of each level of decisions (condition, place if so, place if not).

    Args:
        conditions: features and bounds, of which an odd number is the feature or more.
        roots: places, and the output that what is there is added to.
        constant: for each output, the sum of trees that decide nothing.
    """

    leaves: list[int]
    conditions: list[Condition]
    levels: list[list[tuple[int, int, int]]]
    roots: list[tuple[int, int]]
    constant: Ints

    def targets(self, outputs: int) -> Ints:
        """A matrix (roots, outputs) of ones where a root is added to an output."""
        matrix = np.zeros((len(self.roots), outputs), np.int64)
        matrix[np.arange(len(self.roots)), [output for _, output in self.roots]] = 1
        return objects(matrix)


@dataclass(frozen=True, slots=True, eq=False)
class _Decision:
    """A decision between two numbers; ``height`` is that of the longest way to a leaf."""

    condition: Condition
    first: _Decision | int
    second: _Decision | int
    height: int


def reduced(
    asked: Conditions, branches: npt.NDArray[np.int64], roots: npt.NDArray[np.int64], leaves: Ints, lo: Ints, hi: Ints
) -> Decisions:
    """Return what is left of trees with ``leaves`` (leaves, outputs) where inputs lie within ``lo`` and ``hi`` (features,)."""
    reducer = _Reducer(asked, branches, lo, hi)
    outputs = leaves.shape[1]
    found = [(reducer.of(int(root), column), k) for k, column in enumerate(leaves.T.tolist()) for root in roots]
    constant = objects(np.zeros(outputs, np.int64))
    for number, output in found:
        constant[output] += number if isinstance(number, int) else 0
    return _numbered(tuple(reducer.known.values()), found, constant)


class _Reducer:
    """Trees as nested decisions, each of which is one object wherever it is used."""

    def __init__(self, asked: Conditions, branches: npt.NDArray[np.int64], lo: Ints, hi: Ints) -> None:
        self._asked = list(zip(asked.features.tolist(), asked.bounds, strict=True))
        self._branches: list[list[int]] = branches.tolist()
        self._ranges: list[tuple[int, int]] = list(zip(lo.tolist(), hi.tolist(), strict=True))
        self.known: dict[object, _Decision] = {}

    def of(self, place: int, leaves: Sequence[int]) -> _Decision | int:
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
        first, second = ends
        if first == second:
            return first
        condition = (feature, inner)
        key = (condition, *(number if isinstance(number, int) else (id(number),) for number in (first, second)))
        return self.known.setdefault(key, _Decision(condition, first, second, 1 + max(_height(first), _height(second))))


def _height(number: _Decision | int) -> int:
    return 0 if isinstance(number, int) else number.height


def _numbered(known: Sequence[_Decision], roots: Sequence[tuple[_Decision | int, int]], constant: Ints) -> Decisions:
    """Decisions that ``roots`` need, with places."""
    ends = {end for decision in known for end in (decision.first, decision.second) if isinstance(end, int)}
    leaves, conditions = sorted(ends), sorted({decision.condition for decision in known})
    numbers = {condition: number for number, condition in enumerate(conditions)}
    places: dict[object, int] = {leaf: place for place, leaf in enumerate(leaves)}
    levels: list[list[tuple[int, int, int]]] = [[] for _ in range(max(map(_height, known), default=0))]
    for decision in sorted(known, key=_height):
        places[decision] = len(places)
        row = (numbers[decision.condition], places[decision.first], places[decision.second])
        levels[decision.height - 1].append(row)
    decided = [(places[number], output) for number, output in roots if not isinstance(number, int)]
    return Decisions(leaves, conditions, levels, decided, constant)
