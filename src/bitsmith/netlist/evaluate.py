"""The meaning of a netlist: a naive evaluator on Python integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from bitsmith.netlist.netlist import (
    AddSub,
    Comparator,
    InputPort,
    Literal,
    Multiplier,
    Mux,
    Netlist,
    Predicate,
    RomRead,
    TernaryAdder,
    View,
    WordRef,
    reduce_bits,
)


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
            case InputPort():
                value = inputs[cell.element]
            case Literal():
                value = cell.value
            case AddSub():
                value = of(cell.a) - of(cell.b) if cell.subtract else of(cell.a) + of(cell.b)
            case TernaryAdder():
                value = of(cell.a)
                value += -of(cell.b) if cell.subtract_b else of(cell.b)
                value += -of(cell.c) if cell.subtract_c else of(cell.c)
            case Multiplier():
                value = values[cell.a] * values[cell.b]
            case View():
                value = values[cell.a]
            case Comparator():
                value = int(holds(cell.predicate, of(cell.a), of(cell.b)))
            case Mux():
                value = of(cell.a) if values[cell.condition] else of(cell.b)
            case RomRead():
                value = netlist.tables[cell.table][values[cell.address] - cell.first]
            case _:
                assert_never(cell)
        values.append(reduce_bits(value >> word.drop, word.lo, word.hi))
    return [of(ref) for ref in netlist.results]


def holds(predicate: Predicate, a: int, b: int) -> bool:
    """True if ``a predicate b`` holds."""
    match predicate:
        case Predicate.LT:
            return a < b
        case Predicate.GE:
            return a >= b
        case Predicate.EQ:
            return a == b
        case Predicate.NE:
            return a != b
        case _:
            assert_never(predicate)
