"""Which bits of its operands a word reads, when all bits of the word are wanted."""

from __future__ import annotations

from typing import NamedTuple, assert_never

from bitsmith.netlist.netlist import Compare, Constant, Mux, Netlist, Port, Product, Ref, Rom, Sum, View


class Read(NamedTuple):
    """Bits ``low`` to ``high - 1`` of ``word``; ``low < high``."""

    word: int
    low: int
    high: int


def reads(netlist: Netlist, index: int) -> list[Read]:
    """The bits that word ``index`` reads; words without bits (constant 0) are left out."""
    words = netlist.words
    word = words[index]
    cell = word.cell
    end = word.width + word.drop

    def below(ref: Ref, low: int = 0) -> Read:
        return Read(ref.word, max(low - ref.shift, 0), min(words[ref.word].width, end - ref.shift))

    match cell:
        case Port() | Constant():
            found: list[Read] = []
        case Sum():
            found = [below(cell.a), below(cell.b)]
        case Product():
            found = [below(Ref(cell.a)), below(Ref(cell.b))]
        case View():
            found = [_viewed(netlist, cell.a, word.drop, end)]
        case Compare():
            found = [Read(ref.word, 0, words[ref.word].width) for ref in (cell.a, cell.b)]
        case Mux():
            found = [Read(cell.condition, 0, 1), below(cell.a, word.drop), below(cell.b, word.drop)]
        case Rom():
            found = [Read(cell.address, 0, words[cell.address].width)]
        case _:
            assert_never(cell)
    return [read for read in found if read.low < read.high]


def _viewed(netlist: Netlist, source: int, low: int, high: int) -> Read:
    """Bits ``low`` to ``high - 1`` of a word, which has fewer perhaps: its sign is repeated above."""
    width, signed = netlist.words[source].width, netlist.words[source].signed
    if signed and high > width:
        return Read(source, min(low, width - 1), width)
    return Read(source, low, min(high, width))
