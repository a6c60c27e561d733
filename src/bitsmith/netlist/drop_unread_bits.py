"""Tables of bits read fewer of them, where values that never occur together tell so.

Before: ``y = table[(x >= 5) + 2 * (x >= 9) + 4 * z]``, whose entries differ in ``x >= 5`` only where ``x >= 9`` would hold
without it. After: ``y = other[(x >= 9) + 2 * z]``, and no comparison with 5. Comparisons of one word with constants are a
thermometer: the word lies between two of them. Other bits may have any values. Entries that no values lead to are don't-cares,
which get the value that leaves most bits unread; bits that only one table reads go first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.netlist import netlist as cells
from bitsmith.netlist.netlist import Cell, Netlist, Predicate, WordRef, is_wiring, live_words, readers_of
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.renumber import Writing, written_again

_MOST_BITS = 12
"""Bits of the address of the tables that are looked at."""

Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Level:
    """A bit that tells whether word ``source`` is at least ``bound``, or is below it if ``below``."""

    source: int
    bound: int
    below: bool


@dataclass(frozen=True, slots=True)
class _Reduced:
    """A table of fewer bits: these, the lowest of the address first, and its entries."""

    bits: tuple[int, ...]
    entries: tuple[int, ...]


def drop_unread_bits(netlist: Netlist) -> Netlist:
    """``netlist`` with tables of the bits that decide, and without what only the others needed."""
    readers = {index: len(own) for index, own in readers_of(netlist).items()}
    tables: dict[int, _Reduced] = {}
    for index in live_words(netlist):
        reduced = _reduced(netlist, index, readers)
        if reduced is not None:
            tables[index] = reduced

    def changed(made: Writing, index: int) -> Cell | None:
        return made.table(tables[index].bits, tables[index].entries) if index in tables else None

    return reduce_widths(written_again(netlist, changed)) if tables else netlist


def _reduced(netlist: Netlist, index: int, readers: Mapping[int, int]) -> _Reduced | None:
    """The table of a word, if it needs fewer bits than it reads."""
    cell = netlist.words[index].cell
    if not isinstance(cell, cells.RomRead) or cell.first:
        return None
    bits = address_bits(netlist, cell.address)
    entries = np.array(netlist.tables[cell.table], dtype=object)
    if bits is None or len(entries) != 1 << len(bits):
        return None
    reached = _reached([_level(netlist, bit) for bit in bits], netlist)
    kept, numbers = list(range(len(bits))), np.arange(len(entries))
    for place in sorted(kept, key=lambda place: readers[bits[place]]):
        other = numbers ^ (1 << place)
        if not np.any(reached & reached[other] & (entries != entries[other])):
            entries, reached = np.where(reached, entries, entries[other]), reached | reached[other]
            kept.remove(place)
    if len(kept) == len(bits):
        return None
    kept = kept or [0]  # a table of equal entries is a constant
    places = [sum((number >> new & 1) << old for new, old in enumerate(kept)) for number in range(1 << len(kept))]
    return _Reduced(tuple(bits[place] for place in kept), tuple(entries[places].tolist()))


def address_bits(netlist: Netlist, address: int) -> list[int] | None:
    """The bits that an address consists of, the lowest first; None if it is made of something else."""
    bits: dict[int, int] = {}
    left = [WordRef(address)]
    while left:
        ref = left.pop()
        word = netlist.words[ref.word]
        if isinstance(word.cell, cells.AddSub) and is_wiring(netlist, ref.word) and not word.drop:
            left += [part.shifted(ref.shift) for part in (word.cell.a, word.cell.b)]
        elif (word.lo, word.hi) != (0, 1) or ref.shift in bits:
            return None
        else:
            bits[ref.shift] = ref.word
    whole = len(bits) <= _MOST_BITS and sorted(bits) == list(range(len(bits)))
    return [bits[place] for place in range(len(bits))] if whole else None


def _level(netlist: Netlist, bit: int) -> _Level:
    """The comparison that a bit is; any other bit is compared with 1."""
    cell = netlist.words[bit].cell
    if not isinstance(cell, cells.Comparator) or cell.predicate not in (Predicate.LT, Predicate.GE):
        return _Level(bit, 1, below=False)
    below = cell.predicate is Predicate.LT
    left, right = (netlist.words[ref.word].cell for ref in (cell.a, cell.b))
    if isinstance(right, cells.Literal):
        return _of_source(netlist, cell.a, right.value << cell.b.shift, below=below)
    if isinstance(left, cells.Literal):  # c < x is x >= c + 1, and c >= x is x < c + 1
        return _of_source(netlist, cell.b, (left.value << cell.a.shift) + 1, below=not below)
    return _Level(bit, 1, below=False)


def _of_source(netlist: Netlist, ref: WordRef, bound: int, *, below: bool) -> _Level:
    """The comparison of ``ref`` with ``bound``, as one of the word whose upper bits it is."""
    source, bound = ref.word, -(-bound >> ref.shift)
    word = netlist.words[source]
    while isinstance(word.cell, cells.View):
        before = netlist.words[word.cell.a]
        if before.lo >> word.drop < word.lo or before.hi >> word.drop > word.hi:
            break
        source, bound, word = word.cell.a, bound << word.drop, before
    return _Level(source, bound, below)


def _reached(levels: Sequence[_Level], netlist: Netlist) -> Flags:
    """True of the addresses that some values of the sources lead to."""
    numbers = np.arange(1 << len(levels))
    reached = np.ones(len(numbers), dtype=bool)
    for source in dict.fromkeys(level.source for level in levels):
        own = [(place, level) for place, level in enumerate(levels) if level.source == source]
        word = netlist.words[source]
        mask = sum(1 << place for place, _ in own)
        found = set()
        for value in {word.lo, *(level.bound for _, level in own if word.lo <= level.bound <= word.hi)}:
            found.add(sum(((value >= level.bound) != level.below) << place for place, level in own))
        reached &= np.isin(numbers & mask, list(found))
    return reached
