"""Bits that synthesis finds alike: constants, bits that a word passes on, bits of tables, and logic of few bits.

In: a netlist and its stages. Out: for each bit of each word the bit that synthesis makes of it, and words that are tables of one
narrow word. Of registers that hold the same bit there is one, and none of a constant. Synthesis simulates what carry chains
compute, too: a bit that is the same function of a narrow word as another one is that one.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from bitsmith.estimate.tables import columns
from bitsmith.ir.types import objects
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.delays import carry_start
from bitsmith.netlist.netlist import Netlist, WordRef, is_wiring, live_words, operands
from bitsmith.netlist.pipeline import PipelineStages
from bitsmith.netlist.tabulate_cones import Functions, entries_of

CONSTANT = -1
"""Stands for a word in a bit that is 0 or 1, as its number says."""


_SIMULATED = 8
"""Bits of words all of whose values synthesis tries, about: it needs few to tell functions apart."""


class Bit(NamedTuple):
    """Bit ``number`` of ``word``."""

    word: int
    number: int


def made_of(netlist: Netlist, stages: PipelineStages, *, simulated: bool = False) -> dict[int, tuple[Bit, ...]]:
    """The bit that each bit of a live word is: itself where the word computes it.

    Registers are joined before synthesis finds what is alike as ``simulated``.
    """
    bits_of, alike = dict[int, tuple[Bit, ...]](), dict[Hashable, Bit]()
    of = partial(operand_bits, netlist, bits_of)
    tables = tabulated(netlist, stages, _SIMULATED, partial(_is_simulated, netlist, stages)) if simulated else {}
    for index in sorted(live_words(netlist)):
        word = netlist.words[index]
        own = [Bit(index, number) for number in range(word.width)]
        keys: Sequence[Bit | Hashable]
        match word.cell:
            case cells.RomRead():
                keys = _columns(netlist, index)
            case cells.Mux(condition, a, b):
                size = word.width + word.drop
                arms = [*zip(of(a, size), of(b, size), strict=True)][word.drop :]
                keys = [one if one == other else (*bits_of[condition], one, other) for one, other in arms]
            case _:
                keys = _passed(netlist, index, of)
        at = index if index in stages.memories else stages.stage[index]  # a memory's bits are not joined
        if isinstance(word.cell, cells.AddSub) and index in tables:
            keys = [*keys, *_simulated(netlist, tables[index], word.width, bits_of)[len(keys) :]]
        bits = list[Bit]()
        for key, alone in zip([*keys, *own[len(keys) :]], own, strict=True):
            bit = key if isinstance(key, Bit) else alike.setdefault((at, key), alone)
            # A word without a stage is wired, or logic that its readers take up.
            there = bit.word == CONSTANT or at < 0 or stages.stage[bit.word] >= 0
            bits.append(bit if there else alone)
        bits_of[index] = tuple(bits)
    return bits_of


def operand_bits(netlist: Netlist, bits_of: Mapping[int, Sequence[Bit]], ref: WordRef, size: int) -> list[Bit]:
    """The lowest bits of an operand, above which its sign is repeated; ``bits_of`` has those of each word."""
    bits = [Bit(CONSTANT, 0)] * ref.shift + [*bits_of[ref.word]]
    above = bits[-1] if netlist.words[ref.word].signed else Bit(CONSTANT, 0)
    return (bits + [above] * size)[:size]


def _passed(netlist: Netlist, index: int, of: Callable[[WordRef, int], list[Bit]]) -> list[Bit]:
    """The lowest bits of a word that are bits ``of`` its operands."""
    word = netlist.words[index]
    size = word.width + word.drop
    match word.cell:
        case cells.Literal(value):
            bits = [Bit(CONSTANT, value >> number & 1) for number in range(size)]
        case cells.View(a):
            bits = of(WordRef(a), size)
        case cells.AddSub() as cell:
            lower, other = (cell.a, cell.b) if cell.b.shift or cell.subtract else (cell.b, cell.a)
            bits = of(lower, min(carry_start(cell), size))
            if is_wiring(netlist, index):
                bits += of(other, size)[len(bits) :]
        case cells.TernaryAdder() as cell:
            bits = of(cell.a, min(cell.passed, size))
        case _:
            bits = []
    return bits[word.drop :]


def _columns(netlist: Netlist, index: int) -> list[Bit | tuple[int, bytes]]:
    """Keys of the bits of a table: its address and the bit of all words; some are constant."""
    word, tables = netlist.words[index], netlist.tables
    cell = word.cell
    assert isinstance(cell, cells.RomRead)
    entries = np.array([tables[cell.table]], dtype=np.object_) >> word.drop
    bits = columns(entries, cell.first, netlist.words[cell.address].width, word.width)[0]
    return [Bit(CONSTANT, int(bit[0])) if bit.min() == bit.max() else (cell.address, bit.tobytes()) for bit in bits]


class Tabulated(NamedTuple):
    """A word as a table of the bits of the word ``address``, from ``first`` on; a ``full`` one has all values of these bits."""

    address: int
    first: int
    entries: tuple[int, ...]
    full: bool


def _is_simulated(netlist: Netlist, stages: PipelineStages, index: int) -> bool:
    """Return True if a word is logic or a carry chain, whatever makes a multiplication."""
    return index not in stages.memories and not isinstance(netlist.words[index].cell, cells.Multiplier)


def _simulated(
    netlist: Netlist, table: Tabulated, width: int, bits_of: Mapping[int, Sequence[Bit]]
) -> list[Bit | tuple[int, bytes]]:
    """Keys of the bits of a function of a word that has all values: constants, bits of that word, or all values of the bit."""
    size = netlist.words[table.address].width
    if not table.full:
        return []
    entries = np.array([table.entries], dtype=np.object_)
    wires = columns(objects(np.arange(1 << size))[None] + table.first, table.first, size, size)[0]
    plain = {wire.tobytes(): bit for wire, bit in zip(wires, bits_of[table.address], strict=True)}
    keys = list[Bit | tuple[int, bytes]]()
    for bit in columns(entries, table.first, size, width)[0]:
        values = bit.tobytes()
        key = plain.get(values, (table.address, values))
        keys.append(Bit(CONSTANT, int(bit[0])) if bit.min() == bit.max() else key)
    return keys


def tabulated(
    netlist: Netlist, stages: PipelineStages, inputs: int, logic: Callable[[int], bool]
) -> Mapping[int, Tabulated]:
    """The words that are functions of one word of as many bits as a look-up table has ``inputs``, by ``logic`` of one stage."""
    functions, tables = Functions(netlist), dict[int, Tabulated]()
    stage, sources = dict[int, int](), dict[int, set[int]]()
    for index in sorted(live_words(netlist)):
        read = [
            each
            for each in operands(netlist.words[index].cell)
            if not isinstance(netlist.words[each].cell, cells.Literal)
        ]
        stage[index] = max([stages.stage[index], *(stage[each] for each in read)])
        own = {each for each in functions.of[index] if 0 < netlist.words[each].width <= inputs}
        if not (is_wiring(netlist, index) or logic(index)):
            own = set()
        for each in read:  # what is between is in the same stage
            own &= {each} | (sources[each] if stage[each] == stage[index] else set())
        sources[index] = own
        if own and not is_wiring(netlist, index):
            address = min(own)
            word, reached = netlist.words[address], functions.reached[address]
            entries = entries_of(word.lo, word.hi, reached, functions.of[index][address])
            tables[index] = Tabulated(address, word.lo, entries, len(reached) == 1 << word.width)
    return tables
