"""The meaning of a netlist: a naive evaluator on Python integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from bitsmith.netlist.netlist import (
    Compare,
    Constant,
    Mux,
    Netlist,
    Order,
    Port,
    Product,
    Ref,
    Rom,
    Sum,
    View,
    reduce_bits,
)


def evaluate(netlist: Netlist, inputs: Sequence[int]) -> list[int]:
    """The raw values of the outputs for the raw values of the inputs, one per element each.

    Args:
        netlist: any netlist.
        inputs: one integer per field of ``netlist.inputs``, within its interval.
    """
    values: list[int] = []

    def of(ref: Ref) -> int:
        return values[ref.word] << ref.shift

    for word in netlist.words:
        cell = word.cell
        match cell:
            case Port():
                value = inputs[cell.element]
            case Constant():
                value = cell.value
            case Sum():
                value = of(cell.a) - of(cell.b) if cell.subtract else of(cell.a) + of(cell.b)
            case Product():
                value = values[cell.a] * values[cell.b]
            case View():
                value = values[cell.a]
            case Compare():
                value = int(holds(cell.order, of(cell.a), of(cell.b)))
            case Mux():
                value = of(cell.a) if values[cell.condition] else of(cell.b)
            case Rom():
                value = netlist.tables[cell.table][values[cell.address] - cell.first]
            case _:
                assert_never(cell)
        values.append(reduce_bits(value >> word.drop, word.lo, word.hi))
    return [of(ref) for ref in netlist.results]


def holds(order: Order, a: int, b: int) -> bool:
    """Whether ``a order b``."""
    match order:
        case Order.LT:
            return a < b
        case Order.GE:
            return a >= b
        case Order.EQ:
            return a == b
        case Order.NE:
            return a != b
        case _:
            assert_never(order)
