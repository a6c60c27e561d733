"""The meaning of a netlist: a naive evaluator on Python integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from bitsmith.netlist import netlist as cells
from bitsmith.netlist.netlist import Netlist, WordRef, reduce_bits


def evaluate(netlist: Netlist, inputs: Sequence[int]) -> list[int]:
    """The raw values of the outputs for the raw values of the inputs, one per element each.

    Args:
        netlist: any netlist.
        inputs: one integer per field of ``netlist.inputs``, within its interval.
    """
    values: list[int] = []

    def of(ref: WordRef) -> int:
        return values[ref.word] << ref.shift

    for word in netlist.words:
        cell = word.cell
        match cell:
            case cells.InputPort():
                value = inputs[cell.element]
            case cells.Literal():
                value = cell.value
            case cells.AddSub():
                value = of(cell.a) - of(cell.b) if cell.subtract else of(cell.a) + of(cell.b)
            case cells.BlockSum():
                value = of(cell.a) + of(cell.b)
            case cells.TernaryAdder():
                value = of(cell.a)
                value += -of(cell.b) if cell.subtract_b else of(cell.b)
                value += -of(cell.c) if cell.subtract_c else of(cell.c)
            case cells.Multiplier():
                value = values[cell.a] * values[cell.b]
            case cells.View():
                value = values[cell.a]
            case cells.Comparator():
                value = int(bool(cells.RELATIONS[cell.predicate](of(cell.a), of(cell.b))))
            case cells.Mux():
                value = of(cell.a) if values[cell.condition] else of(cell.b)
            case cells.RomRead():
                value = netlist.tables[cell.table][values[cell.address] - cell.first]
            case _:
                assert_never(cell)
        values.append(reduce_bits(value >> word.drop, word.lo, word.hi))
    return [of(ref) for ref in netlist.results]
