"""Finds words that need no place of their own: wiring, and logic that fits into the look-up tables of its readers.

In: a netlist and how many inputs a look-up table has. Out: what each word is made of. A saturation, say, is a comparison of some
top bits and two choices, three words; but every bit of its result is one function of three or four bits, one look-up table.
The second operand of a sum can be a choice where the tables before the carries have inputs left.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from bitsmith.netlist import netlist as cells
from bitsmith.netlist.netlist import Netlist, is_wiring, operands, readers_of

LANE = -1
"""Stands for "the bit in the same place" among bit numbers; lower by one for each place that it is shifted."""

Leaves: TypeAlias = frozenset[tuple[int, int]]
"""The bits that one bit of a word depends on: (word, bit number), or (word, LANE)."""


@dataclass(frozen=True, slots=True)
class Absorption:
    """``sources[w]`` are the words that word ``w`` is made of: itself unless it is absorbed.

    ``inputs[w]`` is how many bits each bit of ``w`` depends on where that is one look-up table, else 0.
    """

    sources: tuple[tuple[int, ...], ...]
    inputs: tuple[int, ...]


def absorb(netlist: Netlist, lut_inputs: int, *, sums_choose: bool) -> Absorption:
    """Absorb wiring, and bitwise logic that fits into look-up tables of ``lut_inputs`` inputs together with all its readers.

    ``sums_choose``: whether a sum is such a reader of its second operand.
    """
    leaves: list[Leaves | None] = [_leaves(netlist, index, lut_inputs) for index in range(len(netlist.words))]
    results = {ref.word for ref in netlist.results}
    readers = _readers(netlist, leaves, results)
    absorbed = [is_wiring(netlist, index) for index in range(len(netlist.words))]
    # Comparisons first: the choices between them then share their leaves.
    for kind in (cells.Comparator, cells.Mux):
        for index, word in enumerate(netlist.words):
            own, read_by = leaves[index], readers.get(index, ())
            if own is None or index in results or not isinstance(word.cell, kind):
                continue
            summed = {reader for reader in read_by if sums_choose and _is_second(netlist, reader, index)}
            others = [reader for reader in read_by if reader not in summed]
            merged = [_merged(leaves[reader], index, own, word.drop) for reader in others]
            absorbed[index] = not summed or len(own) < lut_inputs
            absorbed[index] &= all(after is not None and len(after) <= lut_inputs for after in merged)
            if absorbed[index]:
                for reader, after in zip(others, merged, strict=True):
                    leaves[reader] = after
    sources: list[tuple[int, ...]] = []
    for index, word in enumerate(netlist.words):
        inner = (x for operand in operands(word.cell) for x in sources[operand])
        sources.append(tuple(dict.fromkeys(inner)) if absorbed[index] else (index,))
    return Absorption(tuple(sources), tuple(len(own) if own else 0 for own in leaves))


def _readers(netlist: Netlist, leaves: Sequence[Leaves | None], results: Set[int]) -> Mapping[int, Sequence[int]]:
    """The readers of each live word; where one reads single bits of a view that is no result, it reads what is viewed."""
    readers = readers_of(netlist)
    for index, own in readers.items():
        cell, whole = netlist.words[index].cell, (word for one in own for word, _ in leaves[one] or {(index, 0)})
        if index not in results and isinstance(cell, cells.View) and index not in whole:
            readers[cell.a] = [reader for reader in readers[cell.a] if reader != index] + own
    return readers


def _is_second(netlist: Netlist, reader: int, index: int) -> bool:
    """Return True if word ``index`` is a choice that only the second operand of the sum ``reader`` is."""
    cell, choice = netlist.words[reader].cell, netlist.words[index].cell
    return isinstance(choice, cells.Mux) and isinstance(cell, cells.AddSub) and cell.b.word == index != cell.a.word


def _leaves(netlist: Netlist, index: int, lut_inputs: int) -> Leaves | None:
    """The bits that each bit of a word depends on directly; None if it is not bitwise logic of so few inputs."""
    cell = netlist.words[index].cell
    leaves: set[tuple[int, int]] = set()
    match cell:
        case cells.Mux():
            leaves |= _bits(netlist, cell.condition)
            for ref in (cell.a, cell.b):
                if not isinstance(netlist.words[ref.word].cell, cells.Literal):
                    leaves.add((ref.word, LANE - ref.shift))
        case cells.Comparator():
            for ref in (cell.a, cell.b):
                if netlist.words[ref.word].width > lut_inputs:
                    return None
                leaves |= _bits(netlist, ref.word)
        case (
            cells.InputPort()
            | cells.Literal()
            | cells.AddSub()
            | cells.TernaryAdder()
            | cells.BlockSum()
            | cells.Multiplier()
            | cells.View()
            | cells.RomRead()
        ):
            return None
        case _:
            assert_never(cell)
    return frozenset(leaves) if len(leaves) <= lut_inputs else None


def _bits(netlist: Netlist, index: int) -> set[tuple[int, int]]:
    """All bits of a word; those of a view by the numbers they have in its source."""
    word = netlist.words[index]
    if isinstance(word.cell, cells.Literal):
        return set()
    if isinstance(word.cell, cells.View):
        return {(word.cell.a, word.drop + bit) for bit in range(word.width)}
    return {(index, bit) for bit in range(word.width)}


def _merged(leaves: Leaves | None, inner: int, own: Leaves, drop: int) -> Leaves | None:
    """``leaves`` with those of word ``inner`` in its place, of whose lowest bits so many are left out."""
    if leaves is None:
        return None
    merged = {leaf for leaf in leaves if leaf[0] != inner} | own
    for bit in (bit for word, bit in leaves if word == inner and bit >= 0):
        merged |= {(word, bit + drop + place - LANE) for word, place in own if place < 0}
    return frozenset(merged)
