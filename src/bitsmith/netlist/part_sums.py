"""Takes sums of three apart where all that they add waits for them in registers, so that two of the terms become one before.

Before: ``t = a + b + c``, whose terms wait for it over the end of a stage. After: ``s = a + b`` in the stage before, and
``t = s + c``, with the term outside that is ready last. It takes the look-up tables of ``s``, so that only those sums are taken
apart that save ``_FLIP_FLOPS`` for each of these. Where the registers then are is found by placing all of them anew.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bitsmith.ir.types import width_of
from bitsmith.netlist.delays import Delays
from bitsmith.netlist.netlist import AddSub, Cell, Netlist, TernaryAdder, WordRef, interval_of_sum, operands, readers_of
from bitsmith.netlist.pipeline import PipelineStages, Timing, pipeline
from bitsmith.netlist.renumber import Writing, written_again

_FLIP_FLOPS = 1.5
"""Flip-flops that a look-up table is worth: devices have two for each, comparisons count both alike."""

_PLACED_WORDS = 8000
"""Words that are placed in all while sums are tried, so that it takes about a second."""


def part_sums(netlist: Netlist, delays: Delays, budget_ns: float, at_least: int | None) -> Netlist:
    """``netlist`` with two sums in place of some of three; it has no more stages of ``budget_ns`` than before."""
    if delays.ternary_adder(1) is None or 2 * len(netlist.words) > _PLACED_WORDS:
        return netlist
    trial = _Trial(netlist, delays, budget_ns, at_least)
    before = trial.placed(())
    waiting = trial.waiting(before)
    tries = _PLACED_WORDS // len(netlist.words) - 2
    parted = set(sorted(waiting, key=lambda index: (-waiting[index], index))[:tries])
    if not parted:
        return netlist
    after, costs = trial.placed(parted), {index: trial.cost(index) for index in parted}
    for index in sorted(parted, key=lambda index: (waiting[index], index)):
        whole = trial.placed(parted - {index})
        more = whole.register_bits - after.register_bits
        if whole.stages <= after.stages and more <= _FLIP_FLOPS * costs[index]:
            parted, after = parted - {index}, whole
    saved = before.register_bits - after.register_bits
    pays = saved > _FLIP_FLOPS * sum(costs[index] for index in parted)
    return trial.netlist(parted) if pays and after.stages <= before.stages else netlist


@dataclass(frozen=True, slots=True)
class _Term:
    """Reference to a word that a sum adds or subtracts."""

    ref: WordRef
    minus: bool


def _sum_bits(netlist: Netlist) -> int:
    return sum(word.width for word in netlist.words if isinstance(word.cell, AddSub | TernaryAdder))


class _Trial:
    """A netlist of which sums of three are taken apart."""

    def __init__(self, netlist: Netlist, delays: Delays, budget_ns: float, at_least: int | None) -> None:
        self._netlist = netlist
        self._delays = delays
        self._budget_ns = budget_ns
        self._at_least = at_least
        timing = Timing(netlist, delays, budget_ns)
        self._ready: list[float] = []
        for index in range(len(netlist.words)):
            self._ready.append(timing.ready(index, self._ready))

    def netlist(self, parted: Collection[int]) -> Netlist:
        """The netlist with the sums ``parted`` taken apart."""
        return written_again(
            self._netlist, lambda writing, index: self._outer(writing, index) if index in parted else None
        )

    def placed(self, parted: Collection[int]) -> PipelineStages:
        """The stages with the sums ``parted`` taken apart."""
        return pipeline(
            self.netlist(parted) if parted else self._netlist, self._delays, self._budget_ns, self._at_least
        )

    def waiting(self, placed: PipelineStages) -> Mapping[int, int]:
        """Sums of three with more bits in registers that wait for them alone than they have themselves: how many more."""
        stage, words = placed.stage, self._netlist.words
        readers = readers_of(self._netlist)
        results = {ref.word for ref in self._netlist.results}
        more: dict[int, int] = {}
        for index in readers:
            if isinstance(words[index].cell, TernaryAdder):
                own = [x for x in set(operands(words[index].cell)) - results if set(readers[x]) == {index}]
                bits = sum(words[x].width for x in own if 0 <= stage[x] < stage[index])
                if bits > words[index].width:
                    more[index] = bits - words[index].width
        return more

    def cost(self, index: int) -> int:
        """The look-up tables of the inner sum of ``index``: the bits of sums that there are more with it."""
        return _sum_bits(self.netlist({index})) - _sum_bits(self._netlist)

    def _outer(self, writing: Writing, index: int) -> Cell:
        """The outer of two sums; the inner one is written before."""
        word = self._netlist.words[index]
        last, first, second = self._terms(word.cell)
        shift = min(first.ref.shift, second.ref.shift)
        a, b = (WordRef(writing.numbers[term.ref.word], term.ref.shift - shift) for term in (first, second))
        cell = AddSub(a, b, subtract=second.minus != first.minus)
        lo, hi = interval_of_sum(writing.words, cell)
        top = word.width + word.drop - shift
        if width_of(lo, hi) > top:
            lo, hi = (-(1 << (top - 1)), (1 << (top - 1)) - 1) if lo < 0 else (0, (1 << top) - 1)
        inner = writing.word(cell, lo, hi).shifted(shift)
        outside = WordRef(writing.numbers[last.ref.word], last.ref.shift)
        return AddSub(outside, inner, subtract=True) if first.minus else AddSub(inner, outside, last.minus)

    def _terms(self, cell: Cell) -> list[_Term]:
        """The terms of a sum of three: the one that is ready last, then one that is added, if another is."""
        assert isinstance(cell, TernaryAdder)
        terms = [_Term(cell.a, False), _Term(cell.b, cell.subtract_b), _Term(cell.c, cell.subtract_c)]
        last = max(terms, key=lambda term: self._ready[term.ref.word])
        terms.remove(last)
        return [last, *sorted(terms, key=lambda term: term.minus)]
