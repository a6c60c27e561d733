"""Writes netlists again: without words that reach no output, or with other cells."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from bitsmith.netlist import netlist as cells
from bitsmith.netlist.netlist import Cell, Netlist, Word, WordRef, live_words


def renumbered(netlist: Netlist) -> Netlist:
    """``netlist`` without dead words."""
    live = sorted(live_words(netlist))
    numbers = {old: new for new, old in enumerate(live)}
    words = [replace(netlist.words[old], cell=moved(netlist.words[old].cell, numbers)) for old in live]
    return with_words(netlist, words, numbers)


def with_words(netlist: Netlist, words: Sequence[Word], numbers: Mapping[int, int]) -> Netlist:
    """``netlist`` with other words, of which those of its words are ``numbers``."""
    results = tuple(WordRef(numbers[ref.word], ref.shift) for ref in netlist.results)
    return replace(netlist, words=tuple(words), results=results)


@dataclass(slots=True)
class Writing:
    """A netlist that is written again: ``words`` and ``tables`` so far, the ``numbers`` of those before, and the next word."""

    tables: list[tuple[int, ...]]
    next: Word
    words: list[Word] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)

    def word(self, cell: Cell, lo: int, hi: int, drop: int = 0) -> WordRef:
        """Append a word that is made for the next one."""
        self.words.append(Word(cell, lo, hi, drop, self.next.origin, -1))
        return WordRef(len(self.words) - 1)

    def table(self, bits: Sequence[int], entries: tuple[int, ...]) -> Cell:
        """The cell that reads a new table at an address of bits, words of before, the lowest first."""
        address = WordRef(self.numbers[bits[0]])
        for place, bit in enumerate(bits[1:], 1):
            joined = cells.AddSub(address, WordRef(self.numbers[bit], place), subtract=False)
            address = self.word(joined, 0, (2 << place) - 1)
        return self.read(address.word, entries)

    def read(self, address: int, entries: tuple[int, ...]) -> Cell:
        """The cell that reads a new table at a word."""
        self.tables.append(entries)
        return cells.RomRead(address, len(self.tables) - 1, 0)


def written_again(netlist: Netlist, changed: Callable[[Writing, int], Cell | None]) -> Netlist:
    """``netlist`` with other cells for the words for which ``changed`` gives one; it may append what these read."""
    writing = Writing(list(netlist.tables), netlist.words[0])
    for index, word in enumerate(netlist.words):
        writing.next = word
        cell = changed(writing, index) or moved(word.cell, writing.numbers)
        writing.numbers[index] = len(writing.words)
        writing.words.append(replace(word, cell=cell))
    return replace(with_words(netlist, writing.words, writing.numbers), tables=tuple(writing.tables))


def moved(cell: Cell, numbers: Mapping[int, int]) -> Cell:
    """``cell`` with the new numbers of the words that it reads."""

    def ref(x: WordRef) -> WordRef:
        return WordRef(numbers[x.word], x.shift)

    match cell:
        case cells.InputPort() | cells.Literal():
            return cell
        case cells.AddSub() | cells.BlockSum() | cells.Comparator():
            return replace(cell, a=ref(cell.a), b=ref(cell.b))
        case cells.TernaryAdder():
            return replace(cell, a=ref(cell.a), b=ref(cell.b), c=ref(cell.c))
        case cells.Multiplier():
            return cells.Multiplier(numbers[cell.a], numbers[cell.b])
        case cells.View():
            return cells.View(numbers[cell.a])
        case cells.Mux():
            return cells.Mux(numbers[cell.condition], ref(cell.a), ref(cell.b))
        case cells.RomRead():
            return replace(cell, address=numbers[cell.address])
        case _:
            assert_never(cell)
