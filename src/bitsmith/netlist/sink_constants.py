"""Adds the constants of sums to the entries of tables that are added there, too, so that no adder is left for them.

Before: ``y = (table[x] + z + 8) >> 4``. After: ``y = (other[x] + z) >> 4``, whose entries are larger by 8. A constant sinks
through sums that nothing else reads, to the table whose longer words, and those of the sums on the way, cost least.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bitsmith.netlist import netlist as cells
from bitsmith.netlist.delays import Delays, lut_inputs
from bitsmith.netlist.fuse_adders import is_exact, is_sum, luts_of_sum
from bitsmith.netlist.netlist import Netlist, Word, WordRef, readers_of, reduce_bits
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.renumber import moved, with_words
from bitsmith.netlist.tabulate_cones import table_luts


def sink_constants(netlist: Netlist, delays: Delays) -> Netlist:
    """``netlist`` with constants in tables where that takes no more look-up tables."""
    sinking = _Sinking(_with_zero(netlist), delays)
    return reduce_widths(sinking.netlist) if sinking.run() else netlist


def _with_zero(netlist: Netlist) -> Netlist:
    """``netlist`` with the constant 0 as its first word."""
    numbers = {index: index + 1 for index in range(len(netlist.words))}
    words = [replace(word, cell=moved(word.cell, numbers)) for word in netlist.words]
    return with_words(netlist, [Word(cells.Literal(0), 0, 0, 0, 0, -1), *words], numbers)


@dataclass(frozen=True, slots=True)
class _Way:
    """A table with larger entries, the words from there up that become larger, and the look-up tables that this takes."""

    table: int
    entries: tuple[int, ...]
    words: Mapping[int, Word]
    luts: float

    def through(self, index: int, before: Word, after: Word) -> _Way:
        """The way up through word ``index``."""
        return replace(self, words={**self.words, index: after}, luts=self.luts + after.width - before.width)


class _Sinking:
    """A netlist whose first word is 0, while constants sink in it, from the outputs back."""

    def __init__(self, netlist: Netlist, delays: Delays) -> None:
        self.netlist = netlist
        self._delays = delays
        self._inputs = lut_inputs(delays)
        readers, results = readers_of(netlist), {ref.word for ref in netlist.results}
        self._live = sorted(readers, reverse=True)
        self._alone = {index for index, own in readers.items() if len(own) == 1 and index not in results}

    def run(self) -> bool:
        """Return True if a constant sank."""
        before = self.netlist
        for index in self._live:
            self._sink(index)
        return self.netlist is not before

    def _sink(self, index: int) -> None:
        """Leave nothing to add to the varying term of a sum, if a table can take its constant."""
        word = self.netlist.words[index]
        found = self._apart(word)
        if found is None:
            return
        ref, amount = found
        way = self._way(ref, amount, word.width + word.drop)
        if way is None or way.luts > luts_of_sum(self.netlist, word):
            return
        words, tables = list(self.netlist.words), (*self.netlist.tables, way.entries)
        for changed, after in way.words.items():
            words[changed] = after
        table = words[way.table]
        assert isinstance(table.cell, cells.RomRead)
        words[way.table] = replace(table, cell=replace(table.cell, table=len(tables) - 1))
        words[index] = replace(word, cell=cells.AddSub(ref, WordRef(0), subtract=False))
        self.netlist = replace(self.netlist, words=tuple(words), tables=tables)

    def _apart(self, word: Word) -> tuple[WordRef, int] | None:
        """The varying term of a sum, and the constant that is added to it; None of other words."""
        if not isinstance(word.cell, cells.AddSub):
            return None
        terms = ((word.cell.a, False), (word.cell.b, word.cell.subtract))
        given = [(self._given(ref), minus) for ref, minus in terms]
        match given:
            case [(None, _), (int(value), minus)] if value:
                return word.cell.a, -value if minus else value
            case [(int(value), _), (None, False)] if value:
                return word.cell.b, value
            case _:
                return None

    def _given(self, ref: WordRef) -> int | None:
        """The value of a constant; None of other words."""
        cell = self.netlist.words[ref.word].cell
        return cell.value << ref.shift if isinstance(cell, cells.Literal) else None

    def _way(self, ref: WordRef, amount: int, top: int) -> _Way | None:
        """The cheapest way to make ``ref`` larger by ``amount``, of which ``top`` bits are read; None if there is none."""
        index, word, more = ref.word, self.netlist.words[ref.word], amount >> ref.shift
        if more << ref.shift != amount or index not in self._alone or word.drop:
            return None
        match word.cell:
            case cells.RomRead():
                return self._to_table(index, word, more)
            case cells.AddSub() if is_sum(self.netlist, index):
                exact = is_exact(self.netlist, word)
                if not exact and (word.width + ref.shift < top or word.hi - word.lo + 1 < 1 << word.width):
                    return None
                after = replace(word, lo=word.lo + more, hi=word.hi + more) if exact else word
                ways = [way.through(index, word, after) for way in self._ways(word.cell, more, top - ref.shift)]
                return min(ways, key=lambda way: way.luts, default=None)
            case _:
                return None

    def _ways(self, cell: cells.AddSub, amount: int, top: int) -> Iterator[_Way]:
        """The ways down from both terms of a sum."""
        for ref, minus in ((cell.a, False), (cell.b, cell.subtract)):
            way = self._way(ref, -amount if minus else amount, top)
            if way is not None:
                yield way

    def _to_table(self, index: int, word: Word, amount: int) -> _Way | None:
        """The way that ends at a table: its entries become larger. None if that makes it block memory."""
        assert isinstance(word.cell, cells.RomRead)
        reduced = (reduce_bits(entry, word.lo, word.hi) for entry in self.netlist.tables[word.cell.table])
        entries = tuple(min(max(entry, word.lo), word.hi) for entry in reduced)  # others never occur
        larger, after = (
            tuple(entry + amount for entry in entries),
            replace(word, lo=word.lo + amount, hi=word.hi + amount),
        )
        if self._registers(after) != self._registers(word):
            return None
        luts, before = (
            table_luts(table, word.cell.first, of.width, self._inputs)
            for table, of in ((larger, after), (entries, word))
        )
        return _Way(index, larger, {index: after}, luts - before)

    def _registers(self, word: Word) -> int:
        """The registers after a table's word, whatever the clock."""
        assert isinstance(word.cell, cells.RomRead)
        return self._delays.table_registers(self.netlist.words[word.cell.address].width, word.width, math.inf)
