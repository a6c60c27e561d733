"""The word-level netlist: scalar integers, each made by one cell from earlier ones, with the exact interval it lies in.

Knows neither fractional bits nor tensors (they exist only while a program is elaborated) nor any hardware language.

A word's *cell* gives an integer; the word is that integer without its ``drop`` lowest bits (floor), reduced to the bits of
``lo..hi``: two's complement if ``lo < 0``, plain binary otherwise. Where the interval holds every value the cell can have,
reducing changes nothing; a truncated word has the interval of all values of its width.
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never

from bitsmith.ir.types import width_of


@dataclass(frozen=True, slots=True)
class WordRef:
    """The value of word ``word`` times ``2**shift``, ``shift >= 0``."""

    word: int
    shift: int = 0

    def shifted(self, by: int) -> WordRef:
        """Return this value times ``2**by``; the shift must not become negative."""
        return WordRef(self.word, self.shift + by)


class Predicate(enum.Enum):
    """Relations of :class:`Comparator`; the other two have their operands exchanged."""

    LT = "<"
    GE = ">="
    EQ = "=="
    NE = "!="


RELATIONS: Mapping[Predicate, Callable[[Any, Any], object]] = {
    Predicate.LT: operator.lt,
    Predicate.GE: operator.ge,
    Predicate.EQ: operator.eq,
    Predicate.NE: operator.ne,
}
"""The functions of predicates, of integers or of arrays."""


@dataclass(frozen=True, slots=True)
class InputPort:
    """Element ``element`` of the inputs, counted over all inputs in model order, row-major."""

    element: int


@dataclass(frozen=True, slots=True)
class Literal:
    """An odd number, or 0."""

    value: int


@dataclass(frozen=True, slots=True)
class AddSub:
    """``a + b``, or ``a - b`` if ``subtract``."""

    a: WordRef
    b: WordRef
    subtract: bool


@dataclass(frozen=True, slots=True)
class TernaryAdder:
    """``a + b + c``, with ``-`` before ``b`` or ``c`` if that is subtracted."""

    a: WordRef
    b: WordRef
    c: WordRef
    subtract_b: bool
    subtract_c: bool

    @property
    def passed(self) -> int:
        """Low bits of the sum that are bits of ``a``, unchanged."""
        return min(self.b.shift, self.c.shift)


@dataclass(frozen=True, slots=True)
class BlockSum:
    """``a + b``, where the multiplier block of the product ``a`` adds ``b``."""

    a: WordRef
    b: WordRef


@dataclass(frozen=True, slots=True)
class Multiplier:
    """``a * b``."""

    a: int
    b: int


@dataclass(frozen=True, slots=True)
class View:
    """``a`` itself: some of its bits, once the word's ``drop`` and interval are applied. Wiring."""

    a: int


@dataclass(frozen=True, slots=True)
class Comparator:
    """1 where ``a predicate b``, else 0."""

    predicate: Predicate
    a: WordRef
    b: WordRef


@dataclass(frozen=True, slots=True)
class Mux:
    """``a`` where ``condition`` (0 or 1) is 1, else ``b``."""

    condition: int
    a: WordRef
    b: WordRef


@dataclass(frozen=True, slots=True)
class RomRead:
    """``tables[table][address - first]``."""

    address: int
    table: int
    first: int


Cell: TypeAlias = (
    InputPort | Literal | AddSub | TernaryAdder | BlockSum | Multiplier | View | Comparator | Mux | RomRead
)


@dataclass(frozen=True, slots=True)
class WordOrigin:
    """Origin of words: the user's layer and the op in it; names of signals are made of it."""

    layer: str
    op: str


@dataclass(frozen=True, slots=True)
class Word:
    """A cell's result and how it is reduced (see the module), and what it is named after.

    ``element`` is the word's place in the op's result, -1 for a word inside of an op.
    """

    cell: Cell
    lo: int
    hi: int
    drop: int
    origin: int
    element: int

    @property
    def width(self) -> int:
        """Bits of the word; 0 for the constant 0."""
        return width_of(self.lo, self.hi)

    @property
    def signed(self) -> bool:
        """True if the word is in two's complement."""
        return self.lo < 0


@dataclass(frozen=True, slots=True)
class Field:
    """One element of the inputs or outputs: the tensor's name, its row-major index there, and its interval and scale."""

    tensor: str
    index: int
    lo: int
    hi: int
    frac: int

    @property
    def width(self) -> int:
        """Bits at the port, at least one."""
        return max(width_of(self.lo, self.hi), 1)

    @property
    def signed(self) -> bool:
        """True if the element is in two's complement."""
        return self.lo < 0


@dataclass(frozen=True, slots=True)
class Netlist:
    """Words in evaluation order (a cell refers to earlier words only), and what the outputs are.

    ``results[k]`` is the value of ``outputs[k]``; both count over all outputs in program order, row-major.
    """

    words: tuple[Word, ...]
    tables: tuple[tuple[int, ...], ...]
    origins: tuple[WordOrigin, ...]
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    results: tuple[WordRef, ...]


def operands(cell: Cell) -> tuple[int, ...]:
    """The words that ``cell`` reads."""
    match cell:
        case InputPort() | Literal():
            return ()
        case AddSub() | BlockSum() | Comparator():
            return (cell.a.word, cell.b.word)
        case TernaryAdder():
            return (cell.a.word, cell.b.word, cell.c.word)
        case Multiplier():
            return (cell.a, cell.b)
        case View():
            return (cell.a,)
        case Mux():
            return (cell.condition, cell.a.word, cell.b.word)
        case RomRead():
            return (cell.address,)
        case _:
            assert_never(cell)


def interval(words: Sequence[Word], ref: WordRef) -> tuple[int, int]:
    """The least and the greatest value of ``ref``."""
    return words[ref.word].lo << ref.shift, words[ref.word].hi << ref.shift


def interval_of_sum(words: Sequence[Word], cell: AddSub) -> tuple[int, int]:
    """The interval that holds every sum, or difference, of values in the intervals of its operands."""
    (a_lo, a_hi), (b_lo, b_hi) = interval(words, cell.a), interval(words, cell.b)
    return (a_lo - b_hi, a_hi - b_lo) if cell.subtract else (a_lo + b_lo, a_hi + b_hi)


def is_wiring(netlist: Netlist, index: int) -> bool:
    """True if a word is bits of others, unchanged: a view, or a sum of two that have no bit in common."""
    cell = netlist.words[index].cell
    if not isinstance(cell, AddSub):
        return isinstance(cell, View)
    lower, apart = (cell.a, cell.b.shift) if cell.b.shift else (cell.b, cell.a.shift)
    word = netlist.words[lower.word]
    return not cell.subtract and apart > 0 and not word.signed and word.width <= apart


def reduce_bits(value: int, lo: int, hi: int) -> int:
    """``value`` modulo the width of ``lo..hi``, as that interval's two's complement or plain binary number."""
    width = width_of(lo, hi)
    value &= (1 << width) - 1
    return value - (1 << width) if lo < 0 and value >> (width - 1) else value


def live_words(netlist: Netlist) -> Iterator[int]:
    """Words that reach an output, last first."""
    live = bytearray(len(netlist.words))
    for ref in netlist.results:
        live[ref.word] = 1
    for index in range(len(netlist.words) - 1, -1, -1):
        if live[index]:
            yield index
            for operand in operands(netlist.words[index].cell):
                live[operand] = 1


def readers_of(netlist: Netlist) -> dict[int, list[int]]:
    """For each live word, in order, the live words that read it, as often as they do."""
    live = sorted(live_words(netlist))
    readers: dict[int, list[int]] = {index: [] for index in live}
    for index in live:
        for operand in operands(netlist.words[index].cell):
            readers[operand].append(index)
    return readers
