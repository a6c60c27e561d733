"""Joins tables whose values are added into one, where a look-up table has inputs for the bits of all their addresses.

Before: ``y = one[a] + other[b] + z``, with ``a`` and ``b`` of three bits. After: ``y = both[a + 8 * b] + z``: a look-up table of
six inputs for each bit takes the place of two and of an adder. Bits that both addresses have count once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np

from bitsmith.ir.types import width_of
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.delays import Delays, lut_inputs
from bitsmith.netlist.drop_unread_bits import address_bits
from bitsmith.netlist.netlist import Cell, Netlist, WordRef, interval, interval_of_sum, readers_of
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.regroup_sums import sum_trees
from bitsmith.netlist.renumber import Writing, written_again
from bitsmith.netlist.tabulate_cones import table_luts

_ROW_SHARE = 0.5
"""Look-up tables per bit of a sum, of which rows may add three."""

_TRIED = 16
"""Tables that one is tried to be joined to."""

Term: TypeAlias = tuple[bool, WordRef]
"""A word that is added, or subtracted if so."""


@dataclass(frozen=True, slots=True)
class _Table:
    """The sum of ``terms``, by the bits of an address, the lowest first; ``luts`` are those of each bit's look-up tables."""

    terms: tuple[Term, ...]
    bits: tuple[int, ...]
    entries: tuple[int, ...]
    luts: float


def join_tables(netlist: Netlist, delays: Delays) -> Netlist:
    """``netlist`` with fewer tables in sums, if that takes fewer look-up tables."""
    inputs, results = lut_inputs(delays), {ref.word for ref in netlist.results}
    alone = {index for index, own in readers_of(netlist).items() if len(own) == 1 and index not in results}
    joins: dict[int, tuple[_Table, ...]] = {}
    trees = {root: tree.terms for root, tree in sum_trees(netlist, 2).items()}
    for root, terms in trees.items():
        tables = [_table(netlist, term, inputs) for term in terms if term[1].word in alone]
        if joined := _joined([table for table in tables if table is not None], inputs):
            joins[root] = joined
    return reduce_widths(_with_sums(netlist, trees, joins)) if joins else netlist


def _joined(tables: Sequence[_Table], inputs: int) -> tuple[_Table, ...]:
    """Tables of several terms: those of ``tables`` with most bits first, each joined to the first that it fits to."""
    sums: list[_Table] = []
    for table in sorted(tables, key=lambda table: -len(table.bits)):
        fits = (place for place, other in enumerate(sums) if len({*other.bits, *table.bits}) <= inputs)
        for place in islice(fits, _TRIED):
            both = _both(sums[place], table, inputs)
            if both is not None:
                sums[place] = both
                break
        else:
            sums.append(table)
    return tuple(table for table in sums if len(table.terms) > 1)


def _table(netlist: Netlist, term: Term, inputs: int) -> _Table | None:
    """The table that a term is; None if it is something else, or has too many bits."""
    minus, ref = term
    word = netlist.words[ref.word]
    if not isinstance(word.cell, cells.RomRead) or word.cell.first or word.drop:
        return None
    bits, entries = address_bits(netlist, word.cell.address), netlist.tables[word.cell.table]
    if bits is None or len(bits) > inputs or len(entries) != 1 << len(bits):
        return None
    if min(entries) < word.lo or max(entries) > word.hi:
        return None
    values = tuple((-entry if minus else entry) << ref.shift for entry in entries)
    return _Table((term,), tuple(bits), values, table_luts(entries, 0, word.width, inputs))


def _both(first: _Table, other: _Table, inputs: int) -> _Table | None:
    """The sum of two tables, if it takes fewer look-up tables than they and an adder do."""
    bits = tuple(dict.fromkeys((*first.bits, *other.bits)))
    numbers = np.arange(1 << len(bits))
    parts = []
    for table in (first, other):
        places = sum((numbers >> bits.index(bit) & 1) << place for place, bit in enumerate(table.bits))
        parts.append(np.array(table.entries, dtype=object)[places])
    entries = tuple((parts[0] + parts[1]).tolist())
    width = width_of(min(entries), max(entries))
    luts = table_luts(entries, 0, width, inputs)
    saved = first.luts + other.luts + _ROW_SHARE * width - luts
    return _Table((*first.terms, *other.terms), bits, entries, luts) if saved > 0 else None


def _with_sums(netlist: Netlist, trees: Mapping[int, Sequence[Term]], joins: Mapping[int, Sequence[_Table]]) -> Netlist:
    """``netlist`` with joined tables in some sums; what these were made of is dead."""

    def changed(writing: Writing, index: int) -> Cell | None:
        if index not in joins:
            return None
        gone = {term for table in joins[index] for term in table.terms}
        kept = [
            (minus, WordRef(writing.numbers[ref.word], ref.shift))
            for minus, ref in trees[index]
            if (minus, ref) not in gone
        ]
        own = [
            writing.word(writing.table(table.bits, table.entries), min(table.entries), max(table.entries))
            for table in joins[index]
        ]
        return _Sum(writing).of([*((False, ref) for ref in own), *kept])

    return written_again(netlist, changed)


@dataclass(frozen=True, slots=True)
class _Sum:
    """Appends what a sum is made of."""

    made: Writing

    def of(self, terms: Sequence[Term]) -> Cell:
        """The cell of the sum of ``terms``, of which one is not subtracted: narrow ones are added first, two by two."""
        while len(terms) > 2:
            terms = sorted(terms, key=lambda term: self._span(term[1]))
            pairs = zip(terms[::2], terms[1::2], strict=False)
            terms = [*(self._added(*pair) for pair in pairs), *terms[len(terms) // 2 * 2 :]]
        if len(terms) == 1:
            return cells.AddSub(terms[0][1], self.made.word(cells.Literal(0), 0, 0), subtract=False)
        return self._cell(*terms)[1]

    def _added(self, one: Term, other: Term) -> Term:
        minus, cell = self._cell(one, other)
        return minus, self.made.word(cell, *interval_of_sum(self.made.words, cell))

    def _cell(self, one: Term, other: Term) -> tuple[bool, cells.AddSub]:
        (minus, a), (other_minus, b) = sorted((one, other), key=lambda term: term[0])
        return minus, cells.AddSub(a, b, subtract=minus != other_minus)

    def _span(self, ref: WordRef) -> int:
        lo, hi = interval(self.made.words, ref)
        return hi - lo
