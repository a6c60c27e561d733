"""Bits that synthesis finds alike: constants, bits that a word passes on, bits of tables, and logic of few bits.

In: a netlist and its stages. Out: for each bit of each word the bit that synthesis makes of it, and words that are tables of one
narrow word. Of registers that hold the same bit there is one, and none of a constant.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from bitsmith.estimate.tables import columns
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.delays import carry_start
from bitsmith.netlist.netlist import Netlist, WordRef, is_wiring, live_words, operands
from bitsmith.netlist.pipeline import PipelineStages
from bitsmith.netlist.tabulate_cones import Functions, entries_of

CONSTANT = -1
"""Stands for a word in a bit that is 0 or 1, as its number says."""


class Bit(NamedTuple):
    """Bit ``number`` of ``word``."""

    word: int
    number: int


def made_of(netlist: Netlist, stages: PipelineStages) -> dict[int, tuple[Bit, ...]]:
    """The bit that each bit of a live word is: itself where the word computes it."""
    bits_of, alike = dict[int, tuple[Bit, ...]](), dict[Hashable, Bit]()
    of = partial(operand_bits, netlist, bits_of)
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
    """A word as a table of the bits of the word ``address``, from ``first`` on."""

    address: int
    first: int
    entries: tuple[int, ...]


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
            tables[index] = Tabulated(address, word.lo, entries)
    return tables
