"""Makes tables of functions of one narrow word where these take fewer look-up tables; values that never occur have no entries.

Before: ``m = max(x, -20)``, ``n = min(m, 20)`` and ``y = table[n]`` of a word ``x`` of 6 bits. After: ``y = table[x]``, a longer
table, and no comparisons. The values of narrow words are known exactly: all of a port or of a sum, of a table its entries, and so
on. A word that has one value is a constant, one that is the narrow word itself is wiring.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from bitsmith.base.graphs import reached
from bitsmith.ir.types import width_of
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.delays import Delays, cell_delay, lut_inputs
from bitsmith.netlist.fuse_adders import luts_of_sum
from bitsmith.netlist.lut_packing import absorb
from bitsmith.netlist.netlist import Netlist, Word, WordRef, is_wiring, live_words, operands, readers_of
from bitsmith.netlist.reduce_widths import reduce_widths

_NARROW = 8
"""Bits of words whose functions are sought."""

_SOURCES = 2
"""Words that another word is followed as a function of: the narrowest."""

_WIDEST = 60
"""Bits of words whose values are followed, so that they are integers of 64 bits."""

_COMPARATOR_SHARE = 0.375
"""Look-up tables per bit of a comparison with a constant."""

_CHOICE_SHARE = 0.5
"""Look-up tables per bit of a choice between two words, which others take up."""

Values: TypeAlias = npt.NDArray[np.int64]


def tabulate_cones(netlist: Netlist, delays: Delays) -> Netlist:
    """``netlist`` with tables in place of several words each, none of them slower."""
    return _Tabulation(netlist, delays).run()


class Functions:
    """Words as functions of narrow ones.

    ``reached[u]`` are the values that narrow word ``u`` can have, in order; ``of[w][u]`` those of ``w`` for each of them.
    """

    def __init__(self, netlist: Netlist) -> None:
        self._netlist = netlist
        self._tables: dict[int, Values] = {}
        self.reached: dict[int, Values] = {}
        self.of: dict[int, dict[int, Values]] = {}
        for index in reversed(list(live_words(netlist))):
            self._follow(index)

    def _follow(self, index: int) -> None:
        word = self._netlist.words[index]
        functions: dict[int, Values] = {}
        if self._is_followed(word):
            sources = sorted(self._sources(word), key=lambda u: (self._netlist.words[u].width, u))
            functions = {u: self._values(word, u) for u in sources[:_SOURCES]}
        self.of[index] = functions
        if 0 < word.width <= _NARROW and not isinstance(word.cell, cells.Literal):
            sets = [np.unique(values[(values >= word.lo) & (values <= word.hi)]) for values in functions.values()]
            self.reached[index] = min(sets, key=len) if sets else np.arange(word.lo, word.hi + 1)

    def _is_followed(self, word: Word) -> bool:
        """True if the word's values fit into 64 bits, whatever its operands are."""
        refs = [self._netlist.words[operand] for operand in operands(word.cell)]
        if word.width + word.drop > _WIDEST or any(x.width > _WIDEST // 2 for x in refs) or _shift(word) > _WIDEST // 2:
            return False
        if isinstance(word.cell, cells.Multiplier):
            return not any(isinstance(x.cell, cells.Literal) for x in refs)  # it is wanted in a block
        if isinstance(word.cell, cells.RomRead):
            entries = self._netlist.tables[word.cell.table]
            return max(max(entries), -min(entries)).bit_length() <= _WIDEST
        return not isinstance(word.cell, cells.InputPort | cells.Literal | cells.TernaryAdder | cells.BlockSum)

    def _sources(self, word: Word) -> set[int]:
        """The narrow words that all varying operands of a word are functions of."""
        varying = [x for x in operands(word.cell) if not isinstance(self._netlist.words[x].cell, cells.Literal)]
        each = [self.of[x].keys() | ({x} & self.reached.keys()) for x in varying]
        return set.intersection(*map(set, each)) if each else set()

    def _values(self, word: Word, source: int) -> Values:
        """The values of ``word`` for those that ``source`` can have."""
        cell, inputs = word.cell, self.reached[source]

        def of(operand: WordRef | int) -> Values:
            ref = operand if isinstance(operand, WordRef) else WordRef(operand)
            literal = self._netlist.words[ref.word].cell
            if isinstance(literal, cells.Literal):
                return np.full(len(inputs), literal.value << ref.shift, dtype=np.int64)
            return (inputs if ref.word == source else self.of[ref.word][source]) << ref.shift

        match cell:
            case cells.AddSub():
                values = of(cell.a) - of(cell.b) if cell.subtract else of(cell.a) + of(cell.b)
            case cells.Multiplier():
                values = of(cell.a) * of(cell.b)
            case cells.View():
                values = of(cell.a)
            case cells.Comparator():
                values = np.asarray(cells.RELATIONS[cell.predicate](of(cell.a), of(cell.b)), dtype=np.int64)
            case cells.Mux():
                values = np.where(of(cell.condition) == 1, of(cell.a), of(cell.b))
            case cells.RomRead():
                if cell.table not in self._tables:
                    self._tables[cell.table] = np.array(self._netlist.tables[cell.table], dtype=np.int64)
                entries = self._tables[cell.table]
                values = entries[np.clip(of(cell.address) - cell.first, 0, len(entries) - 1)]  # others never occur
            case cells.InputPort() | cells.Literal() | cells.TernaryAdder() | cells.BlockSum():
                raise TypeError(f"{type(cell).__name__} is not followed")
            case _:
                assert_never(cell)
        bits = (values >> word.drop) & ((1 << word.width) - 1)
        signs = bits >> (word.width - 1) if word.signed else np.zeros_like(bits)
        return bits - (signs << word.width)


def _shift(word: Word) -> int:
    """The greatest shift of an operand."""
    cell = word.cell
    return max(cell.a.shift, cell.b.shift) if isinstance(cell, cells.AddSub | cells.Comparator | cells.Mux) else 0


def entries_of(least: int, most: int, reached: Values, values: Values) -> tuple[int, ...]:
    """The table of ``least`` to ``most`` with ``values`` for those of ``reached``; the usual one for all others."""
    ((usual, _),) = Counter(values.tolist()).most_common(1)
    found = np.full(most - least + 1, usual, dtype=np.int64)
    found[reached - least] = values
    return tuple(found.tolist())


def table_luts(entries: tuple[int, ...], first: int, width: int, inputs: int) -> int:
    """The look-up tables of ``inputs`` inputs of a table of words of ``width`` bits, the choices between their outputs free."""
    address = max(width_of(first, first + len(entries) - 1), 1)
    ((usual, _),) = Counter(entries).most_common(1)
    words = np.full(1 << address, usual, dtype=np.int64)
    words[np.arange(first, first + len(entries)) % (1 << address)] = entries
    bits = np.packbits(words >> np.arange(width)[:, None] & 1, axis=1, bitorder="little")
    columns = {_even(int.from_bytes(bits[bit].tobytes(), "little"), 1 << address) for bit in range(width)}
    lower = [_lower(bit, 1 << address) for bit in range(address)]
    return sum(_luts_of_bit(column, lower, inputs) for column in columns)


def _even(column: int, size: int) -> int:
    """A bit of all words, a digit for each, or its complement: one look-up table has both."""
    return column ^ ((1 << size) - 1) if column & 1 else column


def _lower(bit: int, size: int) -> int:
    """The places of so many that have no such ``bit``, as digits."""
    run = 1 << bit
    return ((1 << size) - 1) // ((1 << 2 * run) - 1) * ((1 << run) - 1)


def _luts_of_bit(column: int, lower: Sequence[int], inputs: int) -> int:
    """The look-up tables of one bit of a table: one, or those of both halves; a half that is wiring takes one to be chosen.

    The bit depends on those address bits that make a difference to the ``lower`` places of each.
    """
    read = [bit for bit, places in enumerate(lower) if (column ^ column >> (1 << bit)) & places]
    if len(read) <= inputs:
        return int(len(read) > 1)
    half, below = 1 << read[-1], lower[: read[-1]]
    first, second = column & ((1 << half) - 1), column >> half & ((1 << half) - 1)
    halves = [_luts_of_bit(part, below, inputs) for part in (first, second)]
    return sum(max(half, 1) for half in halves) if all(halves) else sum(halves) + 1


class _Tabulation:
    """Replaces words from the outputs back; ``readers`` are those that are left of each word."""

    def __init__(self, netlist: Netlist, delays: Delays) -> None:
        self._netlist = netlist
        self._delays = delays
        self._inputs = lut_inputs(delays)
        absorbed = absorb(netlist, self._inputs, sums_choose=delays.sums_choose).sources
        self._absorbed = [sources != (index,) for index, sources in enumerate(absorbed)]
        self._functions = Functions(netlist)
        self._readers = {index: set(own) for index, own in readers_of(netlist).items()}
        self._results = {ref.word for ref in netlist.results}
        self._words = list(netlist.words)
        self._tables = list(netlist.tables)
        self._numbers = {entries: number for number, entries in enumerate(netlist.tables)}

    def run(self) -> Netlist:
        for index in sorted(self._readers, reverse=True):
            if self._readers[index] or index in self._results:
                self._replace(index)
        if self._words == list(self._netlist.words):
            return self._netlist
        return reduce_widths(replace(self._netlist, words=tuple(self._words), tables=tuple(self._tables)))

    def _replace(self, index: int) -> None:
        """Make ``index`` a table, wiring or a constant if that takes fewer look-up tables."""
        for source, values in self._functions.of[index].items():
            fixed = bool((values == values[0]).all())
            replacement = self._constant(index, int(values[0])) if fixed else self._table(index, source, values)
            if replacement is None:
                continue
            for gone in self._cone(index, source):
                for operand in operands(self._words[gone].cell):
                    self._readers[operand].discard(gone)
            self._words[index] = replacement
            for operand in operands(replacement.cell):
                self._readers[operand].add(index)
            return

    def _constant(self, index: int, value: int) -> Word | None:
        """``index`` as a constant; None where that is not one word."""
        return (
            replace(self._words[index], cell=cells.Literal(value), drop=0, lo=value, hi=value)
            if value & 1 or not value
            else None
        )

    def _table(self, index: int, source: int, values: Values) -> Word | None:
        """``index`` as a table of ``source``, or as ``source``; None where that does not save look-up tables."""
        word, address = self._words[index], self._words[source]
        reached = self._functions.reached[source]
        if is_wiring(self._netlist, index):
            return None
        if np.array_equal(values, reached):
            return replace(word, cell=cells.View(source), drop=0, lo=int(values.min()), hi=int(values.max()))
        entries = entries_of(address.lo, address.hi, reached, values)
        table = replace(word, drop=0, lo=min(entries), hi=max(entries))
        luts = table_luts(entries, address.lo, table.width, self._inputs)
        cone = self._cone(index, source)
        choices = [x for x in cone if not isinstance(self._words[x].cell, cells.AddSub | cells.View)]
        if len(choices) < 2 or luts >= sum(map(self._luts, cone)):
            return None
        if self._delays.table(address.width) > self._time(index, source):
            return None
        before = (
            self._registers(self._words[word.cell.address].width, word.width)
            if isinstance(word.cell, cells.RomRead)
            else 0
        )
        if self._registers(address.width, table.width) > before:
            return None
        if entries not in self._numbers:
            self._numbers[entries] = len(self._tables)
            self._tables.append(entries)
        return replace(table, cell=cells.RomRead(source, self._numbers[entries], address.lo))

    def _registers(self, address: int, width: int) -> int:
        """The registers after a table of words of ``width`` bits, whatever the clock."""
        return self._delays.table_registers(address, width, math.inf)

    def _cone(self, index: int, source: int) -> list[int]:
        """The words that nothing reads once ``index`` is a function of ``source``, itself among them."""
        cone = {index}
        waiting = [index]
        while waiting:
            for operand in operands(self._words[waiting.pop()].cell):
                inner = operand != source and operand not in self._results and operand not in cone
                if (
                    inner
                    and not isinstance(self._words[operand].cell, cells.Literal)
                    and self._readers[operand] <= cone
                ):
                    cone.add(operand)
                    waiting.append(operand)
        return sorted(cone)

    def _luts(self, index: int) -> float:
        """The look-up tables of a word."""
        word = self._words[index]
        cell = word.cell
        if self._absorbed[index]:
            return 0.0
        match cell:
            case cells.AddSub():
                return luts_of_sum(self._netlist, word)
            case cells.Comparator():
                fixed = isinstance(self._words[cell.b.word].cell, cells.Literal)
                return max(1.0, self._words[cell.a.word].width * (_COMPARATOR_SHARE if fixed else 1.0))
            case cells.Mux():
                fixed = all(isinstance(self._words[ref.word].cell, cells.Literal) for ref in (cell.a, cell.b))
                return 0.0 if fixed else word.width * _CHOICE_SHARE
            case cells.Multiplier():
                return float(self._words[cell.a].width * self._words[cell.b].width)
            case cells.RomRead():
                entries = tuple(entry >> word.drop for entry in self._tables[cell.table])
                return float(table_luts(entries, cell.first, word.width, self._inputs))
            case cells.InputPort() | cells.Literal() | cells.TernaryAdder() | cells.BlockSum() | cells.View():
                return 0.0
            case _:
                assert_never(cell)

    def _time(self, index: int, source: int) -> float:
        """Nanoseconds from ``source`` to ``index``."""
        between = reached([index], lambda word: {*operands(self._words[word].cell)} - {source})
        arrival = {source: 0.0}
        for word in sorted(between):
            own = 0.0 if self._absorbed[word] else cell_delay(self._netlist, self._words[word], self._delays)
            arrival[word] = own + max((arrival[x] for x in operands(self._words[word].cell)), default=0.0)
        return arrival[index]
