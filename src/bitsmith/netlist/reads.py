"""Reads: the bits of its operands that a word reads, for the bits of it that are wanted."""

from typing import NamedTuple, assert_never

from bitsmith.netlist import netlist as cells
from bitsmith.netlist.netlist import Netlist, WordRef, is_wiring


class Read(NamedTuple):
    """Bits ``low`` to ``high - 1`` of ``word``; ``low < high``."""

    word: int
    low: int
    high: int


def reads(netlist: Netlist, index: int, low: int, high: int) -> list[Read]:
    """The bits that word ``index`` reads for its bits ``low`` to ``high - 1``; operands without any are left out."""
    words = netlist.words
    word = words[index]
    cell = word.cell
    low, high = low + word.drop, high + word.drop

    def part(ref: WordRef, first: int) -> Read:
        return _part(netlist, ref.word, max(first - ref.shift, 0), high - ref.shift)

    match cell:
        case cells.InputPort() | cells.Literal():
            reads: list[Read] = []
        case cells.AddSub():
            # Below the other operand's shift, an operand passes unchanged; of a subtrahend it does not.
            wired = is_wiring(netlist, index)  # without carries
            passed_a = low if wired else min(low, cell.b.shift)
            passed_b = low if wired else 0 if cell.subtract else min(low, cell.a.shift)
            reads = [part(cell.a, passed_a), part(cell.b, passed_b)]
        case cells.TernaryAdder():
            reads = [part(cell.a, min(low, cell.passed)), part(cell.b, 0), part(cell.c, 0)]
        case cells.BlockSum():
            reads = [part(cell.a, 0), part(cell.b, 0)]
        case cells.Multiplier():
            reads = [part(WordRef(cell.a), 0), part(WordRef(cell.b), 0)]
        case cells.View():
            reads = [_part(netlist, cell.a, low, high)]
        case cells.Comparator():
            reads = [Read(ref.word, 0, words[ref.word].width) for ref in (cell.a, cell.b)]
        case cells.Mux():
            reads = [Read(cell.condition, 0, 1), part(cell.a, low), part(cell.b, low)]
        case cells.RomRead():
            reads = [Read(cell.address, 0, words[cell.address].width)]
        case _:
            assert_never(cell)
    return [read for read in reads if read.low < read.high]


def _part(netlist: Netlist, source: int, low: int, high: int) -> Read:
    """Bits ``low`` to ``high - 1`` of a word, which has fewer perhaps: its sign is repeated above."""
    width, signed = netlist.words[source].width, netlist.words[source].signed
    if signed and high > width:
        return Read(source, min(low, width - 1), width)
    return Read(source, low, min(high, width))
