"""Joins two sums that follow each other into one of three terms, where the family adds three bits in a look-up table.

Before: ``s = a + b``, read by ``t = s + c`` and ``u = d - s`` alone. After: ``t = a + b + c`` and ``u = d - a - b``; ``s`` is
gone, and each of the two takes the look-up tables that it took before. A sum is joined to all its readers or to none: a copy
that stays would save nothing. Each sum takes up one other at most, so that what goes is an independent set of a graph of
conflicts; the heaviest one is sought greedily, then by exchanges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bitsmith.netlist import netlist as cells
from bitsmith.netlist.delays import Delays, carry_start
from bitsmith.netlist.netlist import Netlist, Word, WordRef, interval_of_sum, is_wiring, operands, readers_of
from bitsmith.netlist.pipeline import Timing
from bitsmith.netlist.renumber import renumbered

_ROUNDS = 4
_SHARE = 4
"""Share of the sums in the way that come back at a time where there are too many stages, those that save least first."""

CONSTANT_SHARE = 0.5
"""Weight of a sum with a constant: most of its look-up tables only invert, and go into those before them."""


@dataclass(frozen=True, slots=True)
class _Sum:
    """A sum that could go: its readers, and the look-up tables that are saved without it."""

    readers: tuple[int, ...]
    saved: float


def fuse_adders(netlist: Netlist, delays: Delays, budget_ns: float, most: int | None = None) -> Netlist:
    """``netlist`` with sums of three where these save look-up tables.

    It has ``most`` stages of ``budget_ns`` at most, no more than before if None.
    """
    if delays.ternary_adder(1) is None:
        return netlist
    candidates = _candidates(netlist, delays, budget_ns)
    gone = _heaviest(netlist, candidates)
    before = Timing(netlist, delays, budget_ns)
    stages = before.stages if most is None else max(most, before.stages)
    while gone:
        fused = _without(netlist, candidates, gone)
        timing = before.fused(fused, {reader for index in gone for reader in candidates[index].readers}, set(gone))
        if timing.stages <= stages:
            return renumbered(fused)
        late = timing.late(stages)
        guilty = [index for index in gone if late.intersection(candidates[index].readers)]
        guilty.sort(key=lambda index: (candidates[index].saved, index))
        spared = set(guilty[: -(-len(guilty) // _SHARE)])
        gone = [index for index in gone if index not in spared] if spared else []
    return netlist


def _without(netlist: Netlist, candidates: Mapping[int, _Sum], gone: Sequence[int]) -> Netlist:
    """``netlist`` whose sums ``gone`` are dead: their readers add what these add."""
    words = list(netlist.words)
    for index in gone:
        for reader in candidates[index].readers:
            words[reader] = replace(words[reader], cell=_joined(netlist, reader, index))
    return replace(netlist, words=tuple(words))


def _candidates(netlist: Netlist, delays: Delays, budget_ns: float) -> dict[int, _Sum]:
    readers = readers_of(netlist)
    results = {ref.word for ref in netlist.results}
    candidates: dict[int, _Sum] = {}
    for index, own in readers.items():
        word = netlist.words[index]
        if index in results or not is_sum(netlist, index) or word.drop or len(own) > len(set(own)):
            continue
        if all(_fits(netlist, reader, index, delays, budget_ns) for reader in own):
            lost = sum(_row(_joined(netlist, reader, index), netlist.words[reader]) for reader in own)
            saved = luts_of_sum(netlist, word) - (lost - sum(_luts(netlist.words[reader]) for reader in own))
            if saved > 0:
                candidates[index] = _Sum(tuple(own), saved)
    return candidates


def _fits(netlist: Netlist, reader: int, index: int, delays: Delays, budget_ns: float) -> bool:
    """True if ``reader`` can add the terms of sum ``index`` itself, in time."""
    outer, inner = netlist.words[reader], netlist.words[index]
    if not is_sum(netlist, reader):
        return False
    assert isinstance(outer.cell, cells.AddSub)
    delay = delays.ternary_adder(outer.width + outer.drop)
    if delay is None or delay > budget_ns:
        return False
    shift = (outer.cell.a if outer.cell.a.word == index else outer.cell.b).shift
    return outer.width + outer.drop <= inner.width + shift or is_exact(netlist, inner)


def is_sum(netlist: Netlist, index: int) -> bool:
    """True if a word is a sum of two that takes look-up tables."""
    return isinstance(netlist.words[index].cell, cells.AddSub) and not is_wiring(netlist, index)


def is_exact(netlist: Netlist, word: Word) -> bool:
    """True if the word's interval holds every sum, so that none of its upper bits is cut off."""
    assert isinstance(word.cell, cells.AddSub)
    lo, hi = interval_of_sum(netlist.words, word.cell)
    return word.lo <= lo and hi <= word.hi


def _joined(netlist: Netlist, reader: int, index: int) -> cells.TernaryAdder:
    """The cell of ``reader`` with the terms of sum ``index`` in its place; the least shifted one that is added comes first."""
    outer, inner = netlist.words[reader].cell, netlist.words[index].cell
    assert isinstance(outer, cells.AddSub) and isinstance(inner, cells.AddSub)
    terms: list[tuple[bool, int, WordRef]] = []
    for ref, minus in ((outer.a, False), (outer.b, outer.subtract)):
        if ref.word != index:
            terms.append((minus, ref.shift, ref))
            continue
        terms.append((minus, inner.a.shift + ref.shift, inner.a.shifted(ref.shift)))
        terms.append((minus != inner.subtract, inner.b.shift + ref.shift, inner.b.shifted(ref.shift)))
    (_, _, a), (minus_b, _, b), (minus_c, _, c) = sorted(terms, key=lambda term: term[:2])
    return cells.TernaryAdder(a, b, c, minus_b, minus_c)


def _luts(word: Word) -> int:
    """The look-up tables of a sum of two: its bits but for those that pass."""
    assert isinstance(word.cell, cells.AddSub)
    return max(word.width + word.drop - carry_start(word.cell), 0)


def luts_of_sum(netlist: Netlist, word: Word) -> float:
    """The look-up tables that are saved without a sum of two: few of one with a constant, most of which only invert."""
    assert isinstance(word.cell, cells.AddSub)
    given = any(isinstance(netlist.words[ref.word].cell, cells.Literal) for ref in (word.cell.a, word.cell.b))
    return _luts(word) * (CONSTANT_SHARE if given else 1.0)


def _row(cell: cells.TernaryAdder, word: Word) -> int:
    """The look-up tables of ``word`` as a sum of three."""
    return max(word.width + word.drop - cell.passed, 0)


class _Choice:
    """A set of candidates of which no two are in conflict; ``blocked`` counts the chosen ones that each conflicts with."""

    def __init__(self, candidates: Mapping[int, _Sum], conflicts: Mapping[int, set[int]]) -> None:
        self._saved = {index: found.saved for index, found in candidates.items()}
        self._conflicts = conflicts
        self._blocked = dict.fromkeys(candidates, 0)
        self._order = sorted(candidates, key=lambda index: (-self._saved[index] / (1 + len(conflicts[index])), index))
        self.chosen: set[int] = set()

    def fill(self, indices: Sequence[int]) -> list[int]:
        """Choose those of ``indices``, in order, that conflict with none; return them."""
        added: list[int] = []
        for index in indices:
            if not self._blocked[index] and index not in self.chosen:
                self._flip(index)
                added.append(index)
        return added

    def search(self) -> None:
        """Choose greedily, then give up single ones for others that save more together, as long as that finds some."""
        self.fill(self._order)
        for _ in range(_ROUNDS):
            if sum(self._exchange(index) for index in self._order if index in self.chosen) == 0:
                return

    def _exchange(self, index: int) -> bool:
        self._flip(index)
        others = sorted(self._conflicts[index], key=lambda other: (-self._saved[other], other))
        added = self.fill(others)
        if sum(self._saved[other] for other in added) > self._saved[index]:
            return True
        for other in (*added, index):
            self._flip(other)
        return False

    def _flip(self, index: int) -> None:
        self.chosen.symmetric_difference_update((index,))
        step = 1 if index in self.chosen else -1
        for other in self._conflicts[index]:
            self._blocked[other] += step


def _heaviest(netlist: Netlist, candidates: Mapping[int, _Sum]) -> list[int]:
    """Sums that save much together: none reads another of them, and none has a reader in common with another."""
    choice = _Choice(candidates, _conflicts(netlist, candidates))
    choice.search()
    return sorted(choice.chosen)


def _conflicts(netlist: Netlist, candidates: Mapping[int, _Sum]) -> dict[int, set[int]]:
    conflicts: dict[int, set[int]] = {index: set() for index in candidates}
    joins: dict[int, list[int]] = {}
    for index, candidate in candidates.items():
        for reader in candidate.readers:
            joins.setdefault(reader, []).append(index)
        for operand in operands(netlist.words[index].cell):
            if operand in candidates:
                conflicts[index].add(operand)
                conflicts[operand].add(index)
    for both in joins.values():
        if len(both) == 2:
            conflicts[both[0]].add(both[1])
            conflicts[both[1]].add(both[0])
    return conflicts
