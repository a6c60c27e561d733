"""Delays of cells, and how much sooner sums may begin that read sums: low bits of a carry chain come first.

In: words, and what operations take in a family. Out: nanoseconds, and registers that must follow. Bit ``k`` of a sum waits for
bits up to ``k`` of what it adds, so that of chains in a row only one ripples over all bits.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, assert_never

from bitsmith.devices.delay import DelayModel
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.netlist import Netlist, Word, WordRef

_MAX_LUT_INPUTS = 8


Delays: TypeAlias = DelayModel
"""Nanoseconds that operations take in a family, the way to them included."""


def cell_delay(netlist: Netlist, word: Word, delays: Delays) -> float:
    """Nanoseconds that the cell of ``word`` takes."""
    cell = word.cell
    match cell:
        case cells.InputPort() | cells.Literal() | cells.View():
            return 0.0
        case cells.AddSub():
            return delays.adder(max(word.width + word.drop - carry_start(cell), 1))
        case cells.BlockSum():
            return delays.adder(word.width + word.drop)
        case cells.TernaryAdder():
            width = max(word.width + word.drop - cell.passed, 1)
            return delays.ternary_adder(width) or 2.0 * delays.adder(width)
        case cells.Comparator():
            width = max(netlist.words[ref.word].width + ref.shift for ref in (cell.a, cell.b))
            given = isinstance(netlist.words[cell.b.word].cell, cells.Literal)
            return delays.threshold(width, lut_inputs(delays)) if given else delays.comparator(width)
        case cells.Mux():
            return delays.mux2(word.width)
        case cells.Multiplier():
            return delays.multiplier(netlist.words[cell.a].width, netlist.words[cell.b].width)
        case cells.RomRead():
            return delays.table(netlist.words[cell.address].width)
        case _:
            assert_never(cell)


def carry_start(cell: cells.AddSub) -> int:
    """Low bits of a sum that are bits of one operand, unchanged."""
    return cell.b.shift if cell.b.shift or cell.subtract else cell.a.shift


def registers_after(netlist: Netlist, word: Word, delays: Delays, budget_ns: float) -> tuple[int, float]:
    """Return the registers that must follow ``word``, and how long it takes until the first of them.

    Some follow a table that is to be block memory, and a product that takes longer than a stage.
    """
    cell, delay = word.cell, cell_delay(netlist, word, delays)
    if isinstance(cell, cells.RomRead):
        return delays.table_registers(netlist.words[cell.address].width, word.width, budget_ns), delay
    if isinstance(cell, cells.Multiplier) and delay > budget_ns:
        registers, stage_ns = delays.staged_multiplier(*(netlist.words[x].width for x in (cell.a, cell.b)))
        return (registers, stage_ns) if registers else (0, delay)
    return 0, delay


def lut_inputs(delays: Delays) -> int:
    """Inputs of one look-up table: as many address bits as a table has at no more time than one."""
    inputs = 1
    while inputs < _MAX_LUT_INPUTS and delays.table(inputs + 1) <= delays.table(1):
        inputs += 1
    return inputs


def sooner(netlist: Netlist, index: int, sources: Sequence[Sequence[int]], delays: Delays) -> Mapping[int, float]:
    """Nanoseconds by which the sum ``index`` may begin before the top bits of each sum that it reads are there.

    ``sources`` are what each word is made of, as of `absorb`. Only a sum that is read as it is, shifted or cut, is sooner.
    """
    word = netlist.words[index]
    refs, passed = _terms(word.cell)
    width = word.width + word.drop
    leads: dict[int, float] = {}
    for ref in refs:
        for source in sources[ref.word]:
            place = _place(netlist, ref, source)
            ripples = 0 if place is None else place + _rippling(netlist.words[source]) - 1 - passed
            bits = min(max(ripples, 0), max(width - passed - 1, 0))
            saved = _chain(word, width - passed, delays) - _chain(word, width - passed - bits, delays) if bits else 0.0
            leads[source] = min(leads.get(source, saved), saved)
    return {source: saved for source, saved in leads.items() if saved > 0}


def _terms(cell: cells.Cell) -> tuple[tuple[WordRef, ...], int]:
    """Terms of a sum, and its low bits that are bits of one term, unchanged; nothing of another cell."""
    match cell:
        case cells.AddSub():
            return (cell.a, cell.b), carry_start(cell)
        case cells.TernaryAdder():
            return (cell.a, cell.b, cell.c), cell.passed
        case _:
            return (), 0


def _rippling(word: Word) -> int:
    """Upper bits of a word that come one after the other; 0 of one that is no sum."""
    refs, passed = _terms(word.cell)
    return min(word.width, word.width + word.drop - passed) if refs else 0


def _chain(word: Word, width: int, delays: Delays) -> float:
    """Nanoseconds of a sum like ``word`` of ``width`` bits that ripple."""
    ternary = delays.ternary_adder(width) if isinstance(word.cell, cells.TernaryAdder) else None
    return delays.adder(width) if ternary is None else ternary


def _place(netlist: Netlist, ref: WordRef, source: int) -> int | None:
    """Return where bit 0 of ``source`` is in ``ref``, below 0 if it is cut off; None if ``ref`` is not its bits, unchanged."""
    operand, shift = ref.word, ref.shift
    while operand != source:
        word = netlist.words[operand]
        if not isinstance(word.cell, cells.View):
            return None
        operand, shift = word.cell.a, shift - word.drop
    return shift
