"""Takes words that reach no output out of a netlist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from bitsmith.netlist.netlist import (
    AddSub,
    Cell,
    Comparator,
    InputPort,
    Literal,
    Multiplier,
    Mux,
    Netlist,
    RomRead,
    TernaryAdder,
    View,
    WordRef,
    live_words,
)


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
        case InputPort() | Literal():
            return cell
        case AddSub() | Comparator():
            return replace(cell, a=ref(cell.a), b=ref(cell.b))
        case TernaryAdder():
            return replace(cell, a=ref(cell.a), b=ref(cell.b), c=ref(cell.c))
        case Multiplier():
            return Multiplier(numbers[cell.a], numbers[cell.b])
        case View():
            return View(numbers[cell.a])
        case Mux():
            return Mux(numbers[cell.condition], ref(cell.a), ref(cell.b))
        case RomRead():
            return replace(cell, address=numbers[cell.address])
        case _:
            assert_never(cell)
