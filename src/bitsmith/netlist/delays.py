"""Delays of cells, and the registers that must follow them.

In: words, and what operations take in a family. Out: nanoseconds, numbers of registers.
"""

from __future__ import annotations

from typing import Protocol, assert_never

from bitsmith.netlist import netlist as cells
from bitsmith.netlist.netlist import Netlist, Word

_MAX_LUT_INPUTS = 8


class Delays(Protocol):
    """Nanoseconds that operations take, the way to them included; widths in bits."""

    @property
    def sums_choose(self) -> bool:
        """Return True if the look-up tables of a sum hold a choice of its second operand, too."""

    @property
    def tables_of_bits(self) -> range:
        """Address bits of tables of look-up tables that are a constant per bit."""

    def adder(self, width: int) -> float:
        """Addition or subtraction."""

    def ternary_adder(self, width: int) -> float | None:
        """Sum of three; None if that takes as much as two additions."""

    def comparator(self, width: int) -> float:
        """Comparison."""

    def threshold(self, width: int, lut_inputs: int) -> float:
        """Comparison with a constant, where look-up tables have so many inputs."""

    def mux2(self, width: int) -> float:
        """Choice of two."""

    def table(self, address_bits: int) -> float:
        """Look-up in a constant table."""

    def table_registers(self, address_bits: int, width: int, budget_ns: float) -> int:
        """Registers that follow a constant table that is to be block memory; 0 of one of look-up tables."""

    def multiplier(self, a: int, b: int) -> float:
        """Product of two words."""

    def staged_multiplier(self, a: int, b: int) -> tuple[int, float]:
        """Registers that follow a product that is cut into stages, and the slowest of these; 0 registers if none can."""


def cell_delay(netlist: Netlist, word: Word, delays: Delays) -> float:
    """Nanoseconds that the cell of ``word`` takes."""
    cell = word.cell
    match cell:
        case cells.InputPort() | cells.Literal() | cells.View():
            return 0.0
        case cells.AddSub():
            return delays.adder(max(word.width + word.drop - carry_start(cell), 1))
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
