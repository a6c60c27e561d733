"""Takes words that reach no output out of a netlist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from bitsmith.netlist import netlist as cells
from bitsmith.netlist.netlist import Cell, Netlist, WordRef, live_words


def renumbered(netlist: Netlist) -> Netlist:
    """``netlist`` without dead words."""
    live = sorted(live_words(netlist))
    numbers = {old: new for new, old in enumerate(live)}
    words = tuple(replace(netlist.words[old], cell=moved(netlist.words[old].cell, numbers)) for old in live)
    results = tuple(WordRef(numbers[ref.word], ref.shift) for ref in netlist.results)
    return replace(netlist, words=words, results=results)


def moved(cell: Cell, numbers: Mapping[int, int]) -> Cell:
    """``cell`` with the new numbers of the words that it reads."""

    def ref(x: WordRef) -> WordRef:
        return WordRef(numbers[x.word], x.shift)

    match cell:
        case cells.InputPort() | cells.Literal():
            return cell
        case cells.AddSub() | cells.Comparator():
            return replace(cell, a=ref(cell.a), b=ref(cell.b))
        case cells.TernaryAdder():
            return replace(cell, a=ref(cell.a), b=ref(cell.b), c=ref(cell.c))
        case cells.Multiplier():
            return cells.Multiplier(numbers[cell.a], numbers[cell.b])
        case cells.View():
            return cells.View(numbers[cell.a])
        case cells.Mux():
            return cells.Mux(numbers[cell.condition], ref(cell.a), ref(cell.b))
        case cells.RomRead():
            return replace(cell, address=numbers[cell.address])
        case _:
            assert_never(cell)
