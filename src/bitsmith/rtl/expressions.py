"""SystemVerilog expressions for cells. Every extension, truncation and change of sign is written out, so that linters see what
was meant; arithmetic is in one width and one signedness per expression.

In: a word and the text of the operand bits that it reads. Out: an expression of exactly the word's width and sign.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from bitsmith.ir.types import width_of
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.netlist import Netlist, Word, WordRef

Select: TypeAlias = Callable[[int, int, int], str]
"""Text of bits ``low`` to ``high - 1`` of a word: signed only if that is all bits of a signed word."""


@dataclass(frozen=True, slots=True)
class Operand:
    """Text of an expression of ``width`` bits."""

    text: str
    width: int
    signed: bool

    def resized(self, width: int) -> Operand:
        """Extended by its sign, or truncated."""
        return self if width == self.width else Operand(f"{width}'({self.text})", width, self.signed)

    def with_sign(self, signed: bool) -> Operand:
        """The same bits read as signed or not."""
        if signed == self.signed:
            return self
        return Operand(f"{'$signed' if signed else '$unsigned'}({self.text})", self.width, signed)


def literal(value: int, width: int, signed: bool) -> str:
    """``value`` modulo ``2**width`` as a sized literal."""
    value &= (1 << width) - 1
    base = "sd" if signed else "d"
    if not signed or (width > 1 and not value >> (width - 1)):
        return f"{width}'{base}{value}"
    if value == 1 << (width - 1) or width == 1:
        return f"{width}'sh{value:x}"
    return f"-{width}'{base}{(1 << width) - value}"


class Expressions:
    """Expressions over the words of one netlist."""

    def __init__(self, netlist: Netlist) -> None:
        self._words = netlist.words

    def of(self, word: Word, select: Select) -> str:
        """The cell of ``word``; ports and tables are not expressions."""
        cell = word.cell
        match cell:
            case cells.AddSub():
                result = self._joined(word, cell.a, "-" if cell.subtract else "+", cell.b, select)
            case cells.BlockSum():
                result = self._joined(word, cell.a, '+ (* use_dsp = "yes" *)', cell.b, select)
            case cells.Multiplier():
                result = self._joined(word, WordRef(cell.a), "*", WordRef(cell.b), select)
            case cells.View():
                return self._view(word, cell, select)
            case cells.Comparator():
                return self._compare(cell, select)
            case cells.Mux():
                result = self._joined(word, cell.a, ":", cell.b, select, f"{select(cell.condition, 0, 1)} ? ")
            case cells.InputPort() | cells.Literal() | cells.RomRead() | cells.TernaryAdder():
                raise TypeError(f"{type(cell).__name__} is not an expression")
            case _:
                assert_never(cell)
        if word.drop:
            shifted = f"{result.text} {'>>>' if result.signed else '>>'} {word.drop}"
            result = Operand(f"{word.width}'({shifted})", word.width, result.signed)
        return result.with_sign(word.signed).text

    def value(self, ref: WordRef, width: int, signed: bool, select: Select) -> str:
        """``ref`` in ``width`` bits."""
        return self._operand(ref, width, signed, select).text

    def _joined(self, word: Word, x: WordRef, infix: str, y: WordRef, select: Select, before: str = "") -> Operand:
        """``x`` and ``y`` with ``infix`` between them."""
        width = word.width + word.drop
        signed = word.signed or self._is_signed(x) or self._is_signed(y)
        a, b = (self._operand(ref, width, signed, select).text for ref in (x, y))
        text = f"{before}{a} {infix} {b}"
        return Operand(f"({text})" if word.drop or signed != word.signed else text, width, signed)

    def _compare(self, cell: cells.Comparator, select: Select) -> str:
        signed = self._is_signed(cell.a) or self._is_signed(cell.b)
        width = max(self._bits(cell.a, signed), self._bits(cell.b, signed))
        a, b = (self._operand(ref, width, signed, select).text for ref in (cell.a, cell.b))
        return f"{a} {cell.predicate.value} {b}"

    def _view(self, word: Word, cell: cells.View, select: Select) -> str:
        source = self._words[cell.a]
        low, high = word.drop, word.drop + word.width
        if high <= source.width:
            whole = (low, high) == (0, source.width)
            return Operand(select(cell.a, low, high), word.width, whole and source.signed).with_sign(word.signed).text
        if source.signed:
            low = min(low, source.width - 1)
            bits = Operand(select(cell.a, low, source.width), source.width - low, low == 0).with_sign(True)
        else:
            bits = Operand(select(cell.a, low, source.width), source.width - low, False)
        return bits.resized(word.width).with_sign(word.signed).text

    def _is_signed(self, ref: WordRef) -> bool:
        return self._words[ref.word].signed

    def _bits(self, ref: WordRef, signed: bool) -> int:
        """Bits that the values of ``ref`` take, one more for an unsigned one among signed."""
        word = self._words[ref.word]
        width = width_of(word.lo << ref.shift, word.hi << ref.shift)
        return max(width + (1 if signed and not word.signed else 0), 1)

    def _operand(self, ref: WordRef, width: int, signed: bool, select: Select) -> Operand:
        """``ref`` modulo ``2**width``."""
        word = self._words[ref.word]
        if isinstance(word.cell, cells.Literal):
            return Operand(literal(word.cell.value << ref.shift, width, signed), width, signed)
        bits = min(word.width, width - ref.shift)
        if bits <= 0:
            return Operand(literal(0, width, signed), width, signed)
        whole = bits == word.width
        operand = Operand(select(ref.word, 0, bits), bits, whole and word.signed).resized(width).with_sign(signed)
        if ref.shift:
            return Operand(f"({operand.text} {'<<<' if signed else '<<'} {ref.shift})", width, signed)
        return operand
