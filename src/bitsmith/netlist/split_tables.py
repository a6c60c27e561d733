"""Splits tables of more address bits than a look-up table has inputs, where smaller ones take fewer look-up tables.

Before: ``y = table[x]`` of a word ``x`` of 8 bits. After: ``n = number[x >> 2]`` and ``y = inner[x % 4 + 4 * n]``: upper bits
with which the table is the same function of the two lowest ones have one number ``n``. A smooth function has few such numbers,
and one that saturates has even fewer. Any run of bits can be what ``inner`` reads itself, and ``inner`` can be the low bits of
``y`` alone. This is the decomposition of R. L. Ashenhurst and H. A. Curtis, of several functions at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.ir.types import width_of
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.contents import by_low_bits
from bitsmith.netlist.delays import Delays, lut_inputs
from bitsmith.netlist.netlist import Cell, Netlist, WordRef, live_words
from bitsmith.netlist.pipeline import Timing
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.renumber import Writing, written_again
from bitsmith.netlist.tabulate_cones import table_luts

_MOST_BITS = 12
"""Bits of the address of the tables that are split."""

_MOST_FREE = 4
"""Bits that an inner table reads itself."""

_TRIED = 3
"""Splits whose parts are looked at, those that seem the smallest."""

_LEVELS = 3
"""Splits of parts of parts."""

_SHARE_OF_FOUR = 0.7
"""Share of the look-up tables of a table that its parts take at most, where these have four inputs and synthesis saves itself."""

_WIDEST = 62
"""Bits of the words of tables that are split."""

_SHARE = 4
"""Share of the splits in the way that lose a level at a time where there are too many stages, those that save least first."""

Numbers: TypeAlias = npt.NDArray[np.int64]
Entries: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Split:
    """The ``low`` lowest bits of a table, by ``bits`` address bits from ``first`` on, and by the number of the others.

    ``upper`` has the other bits of the words, None if there are none.
    """

    first: int
    bits: int
    low: int
    number: _Table
    inner: _Table
    upper: _Table | None


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of so many look-up tables, by an address without a sign; ``split`` is None if it stays one."""

    entries: Entries
    luts: int
    split: _Split | None

    @property
    def levels(self) -> int:
        """Splits of parts of parts, itself included."""
        if self.split is None:
            return 0
        parts = self.split.number, self.split.inner, self.split.upper
        return 1 + max(part.levels for part in parts if part is not None)


def split_tables(netlist: Netlist, delays: Delays, budget_ns: float) -> Netlist:
    """``netlist`` with several tables in place of one where these take fewer look-up tables, and no block memory.

    It has no more stages of ``budget_ns`` than before, but for those that tables take that are slower than a stage.
    """
    search = _Search(lut_inputs(delays))
    read = {index: _entries(netlist, index, delays, budget_ns) for index in live_words(netlist)}
    smaller = {index: search.smaller(entries, _LEVELS) for index, entries in read.items() if entries}
    tables = {index: table for index, table in smaller.items() if table}
    slow = {index: table for index, table in tables.items() if delays.table(_bits(table.entries)) > budget_ns}
    stages = Timing(_with(netlist, slow)[0], delays, budget_ns).stages if tables else 0
    while tables:
        made, parts = _with(netlist, tables)
        timing = Timing(made, delays, budget_ns)
        if timing.stages <= stages:
            return reduce_widths(made)
        late, quick = timing.late(stages), tables.keys() - slow
        guilty = [index for index in quick if not late.isdisjoint(parts[index])] or list(quick)
        guilty.sort(key=lambda index: (search.best(tables[index].entries, 0).luts - tables[index].luts, index))
        for index in guilty[: -(-len(guilty) // _SHARE)]:
            table = tables.pop(index)
            if shallower := search.smaller(table.entries, table.levels - 1):
                tables[index] = shallower
    return netlist


def _with(netlist: Netlist, tables: Mapping[int, _Table]) -> tuple[Netlist, Mapping[int, range]]:
    """``netlist`` with ``tables`` in place of what words read, and the words that stand for each."""
    parts = dict[int, range]()

    def changed(writing: Writing, index: int) -> Cell | None:
        cell = netlist.words[index].cell
        if index not in tables or not isinstance(cell, cells.RomRead):
            return None
        making, begin = _Making(writing), len(writing.words)
        address = making.part(writing.numbers[cell.address], 0, _bits(tables[index].entries))
        assert address is not None
        split = making.cell(tables[index], address)
        parts[index] = range(begin, len(writing.words) + 1)
        return split

    return written_again(netlist, changed), parts


def _entries(netlist: Netlist, index: int, delays: Delays, budget_ns: float) -> Entries | None:
    """The entries of a word by the bits of the address, if the word is a table that could be split."""
    word = netlist.words[index]
    if not isinstance(word.cell, cells.RomRead) or word.drop or word.width > _WIDEST:
        return None
    address, entries = netlist.words[word.cell.address], netlist.tables[word.cell.table]
    if not lut_inputs(delays) < address.width <= _MOST_BITS or min(entries) < word.lo or max(entries) > word.hi:
        return None
    if delays.table_registers(address.width, word.width, budget_ns):
        return None
    return by_low_bits(word.cell.first, address.width, entries)


@dataclass(frozen=True, slots=True)
class _Search:
    """Seeks splits for look-up tables of so many ``inputs``; ``found`` are those of tables that were looked at."""

    inputs: int
    found: dict[tuple[Entries, int], _Table] = field(default_factory=dict)

    def best(self, entries: Entries, levels: int) -> _Table:
        """The table of ``entries``, split where that takes fewer look-up tables."""
        key = entries, levels
        if key not in self.found:
            self.found[key] = self._best(entries, levels)
        return self.found[key]

    def smaller(self, entries: Entries, levels: int) -> _Table | None:
        """The split table of ``entries`` where that takes so many fewer look-up tables that it pays."""
        table = self.best(entries, levels)
        most = self.best(entries, 0).luts * (1.0 if self.inputs > 4 else _SHARE_OF_FOUR)
        return table if table.split is not None and table.luts <= most else None

    def _best(self, entries: Entries, levels: int) -> _Table:
        best = _Table(entries, table_luts(entries, 0, width_of(min(entries), max(entries)), self.inputs), None)
        if _bits(entries) <= self.inputs or not levels:
            return best
        outlines = sorted(_outlines(entries, self.inputs, best.luts), key=lambda outline: outline.order)
        for outline in outlines[:_TRIED]:
            if outline.least < best.luts:
                parts = [self.best(part, levels - 1) for part in outline.parts(entries)]
                luts = sum(part.luts for part in parts)
                if luts < best.luts:
                    number, inner, *upper = parts
                    above = upper[0] if upper else None
                    split = _Split(outline.first, outline.bits, outline.low, number, inner, above)
                    best = _Table(entries, luts, split)
        return best


@dataclass(frozen=True, slots=True)
class _Outline:
    """A split whose parts are not looked at yet.

    It takes ``high`` look-up tables for the upper bits of the words, ``least`` in all, about ``luts``. The address bits that
    ``inner`` does not read itself have ``numbers``, each of which is that of the row ``rows[number]``.
    """

    first: int
    bits: int
    low: int
    high: int
    least: int
    luts: int
    numbers: Numbers
    rows: Numbers

    @property
    def order(self) -> tuple[int, ...]:
        """The smaller the better; equal ones in an order that depends on nothing else."""
        return self.luts, self.least, self.bits, self.first, self.low

    def parts(self, entries: Entries) -> Iterator[Entries]:
        """The tables of numbers, of ``inner``, and of upper bits, if any; last rows stand for numbers that never occur."""
        values = np.array(entries, dtype=np.int64)
        if self.low < width_of(min(entries), max(entries)):
            upper = [tuple((values >> self.low).tolist())]
            values &= (1 << self.low) - 1
        else:
            upper = []
        rows = _rows(values, self.first, self.bits)[self.rows]
        rows = rows[np.minimum(np.arange(1 << _number_bits(len(rows))), len(rows) - 1)]
        yield from (tuple(self.numbers.tolist()), tuple(rows.reshape(-1).tolist()), *upper)


def _outlines(entries: Entries, inputs: int, whole: int) -> Iterator[_Outline]:
    """The splits of a table that could take fewer look-up tables than the ``whole``."""
    address, width = _bits(entries), width_of(min(entries), max(entries))
    values = np.array(entries, dtype=np.int64)
    high = [table_luts(tuple((values >> low).tolist()), 0, width - low, inputs) for low in range(1, width)] + [0]
    for bits in range(1, min(address - 2, _MOST_FREE) + 1):
        weights = 1 << np.arange(1 << bits)
        for first in range(address - bits + 1):
            numbers = np.zeros(1 << (address - bits), dtype=np.int64)
            for low in range(1, width + 1):
                column = _rows(values >> (low - 1) & 1, first, bits) @ weights
                _, rows, numbers = np.unique(numbers << (1 << bits) | column, return_index=True, return_inverse=True)
                number = _number_bits(len(rows))
                least = number + low + high[low - 1]
                if number + bits >= address:
                    break
                if least < whole:
                    luts = (number << max(address - bits - inputs, 0)) + (low << max(number + bits - inputs, 0))
                    yield _Outline(first, bits, low, high[low - 1], least, luts + high[low - 1], numbers, rows)


def _rows(values: Numbers, first: int, bits: int) -> Numbers:
    """``values`` by the address bits from ``first`` on, a row for all others."""
    parts = values.reshape(-1, 1 << bits, 1 << first)
    return np.ascontiguousarray(parts.transpose(0, 2, 1)).reshape(-1, 1 << bits)


def _bits(entries: Sequence[int]) -> int:
    """The address bits of a table."""
    return len(entries).bit_length() - 1


def _number_bits(count: int) -> int:
    """The bits of numbers below ``count``."""
    return (count - 1).bit_length()


@dataclass(frozen=True, slots=True)
class _Making:
    """Appends the words and tables of splits."""

    writing: Writing

    def cell(self, table: _Table, address: int) -> Cell:
        """The cell of ``table``."""
        split = table.split
        if split is None:
            return self.writing.read(address, table.entries)
        end, width = split.first + split.bits, _bits(table.entries)
        below, above = (self.part(address, *run) for run in ((0, split.first), (end, width - end)))
        number = self._table(split.number, self._joined(below, split.first, above))
        own = self.part(address, split.first, split.bits)
        inner = self._joined(own, split.bits, number if max(split.number.entries) else None)
        if split.upper is None:
            return self.cell(split.inner, inner)
        low, high = self._table(split.inner, inner), self._table(split.upper, address)
        return cells.AddSub(WordRef(low), WordRef(high, split.low), subtract=False)

    def _table(self, table: _Table, address: int) -> int:
        return self.writing.word(self.cell(table, address), min(table.entries), max(table.entries)).word

    def part(self, address: int, first: int, bits: int) -> int | None:
        """The ``bits`` bits of a word from ``first`` on, if there are any."""
        return self.writing.word(cells.View(address), 0, (1 << bits) - 1, first).word if bits else None

    def _joined(self, low: int | None, bits: int, high: int | None) -> int:
        """The ``bits`` bits ``low``, and the bits ``high`` above them; there are some of either."""
        if low is None or high is None:
            (whole,) = (part for part in (low, high) if part is not None)
            return whole
        cell = cells.AddSub(WordRef(low), WordRef(high, bits), subtract=False)
        return self.writing.word(cell, 0, ((self.writing.words[high].hi + 1) << bits) - 1).word
