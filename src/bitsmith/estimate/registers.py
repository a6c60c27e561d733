"""Registers of a pipeline as cells: flip-flops, shift registers in look-up tables, or part of a block.

In: a netlist, its stages and a family's areas. Out: flip-flops and look-up tables. The rules are Yosys's. A register that only
multiplier blocks read goes into these (those with a reset do not, which a choice of a constant becomes); the first one after a
block memory is the memory's own.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import TypeAlias

from bitsmith.devices.area import AreaModel
from bitsmith.devices.family import Family
from bitsmith.estimate.alike import CONSTANT, Bit
from bitsmith.netlist.lut_packing import Absorption
from bitsmith.netlist.netlist import BlockSum, Multiplier, Mux, Netlist, RomRead, Word, live_words
from bitsmith.netlist.pipeline import PipelineStages
from bitsmith.netlist.reads import Read, reads

_TABLE_WORDS = 8
"""Yosys takes a case statement of fewer words for logic."""

_SPARSE = 4
"""Yosys takes a case statement for logic that names fewer than one in so many words."""


@dataclass(frozen=True, slots=True)
class Registers:
    """Flip-flops, and look-up tables that are shift registers."""

    ff: int
    lut: int


@dataclass(slots=True)
class _Use:
    """Bits of a word that a stage reads: a mask of its bits, and if only multiplier blocks do that."""

    mask: int = 0
    by_blocks: bool = True


_Uses: TypeAlias = Mapping[int, Mapping[int, _Use]]
"""By word and stage."""


def registers(
    netlist: Netlist, stages: PipelineStages, absorbed: Absorption, sources: Mapping[int, Sequence[Bit]], family: Family
) -> tuple[Registers, Mapping[int, int]]:
    """Return the cells of the registers of a pipeline with those of valid samples, and the blocks of tables of block memory.

    ``sources`` are the bits that those of each word are, as of `made_of`.
    """
    area = family.area
    if not area.joins_bits:
        sources = {
            index: [bit if bit.word == CONSTANT else Bit(index, number) for number, bit in enumerate(bits)]
            for index, bits in sources.items()
        }
    uses = _uses(netlist, stages, absorbed, area, sources)
    memories = _memories(netlist, stages, uses, area)
    ff, lut = stages.stages, 0
    for word, used in uses.items():
        first = stages.stage[word]
        if first < 0:
            continue
        inside = _inside(netlist, word, stages, uses, area, word in memories)
        patterns = Counter(
            tuple(sorted(stage for stage, use in used.items() if use.mask >> number & 1))
            for number in range(netlist.words[word].width)
        )
        for taps, width in patterns.items():
            ends = [stage for stage in range(first + 1, max(taps, default=0) + 1) if stage in taps or stage in inside]
            for start, end in pairwise((first, *ends)):
                length = end - start - (end in inside)
                if 0 < area.shift_registers <= length:
                    lut += width
                else:
                    ff += length * width
    return Registers(ff, lut), memories


def _stored(netlist: Netlist, word: Word, rom: RomRead) -> tuple[int, int] | None:
    """The words, up to the last one that is named, and the unlike bits of a case statement that Yosys takes for a memory.

    All but the most frequent word are named. None of one that it takes for logic.
    """
    entries = [entry >> word.drop & (1 << word.width) - 1 for entry in netlist.tables[rom.table]]
    ((usual, _),), size = Counter(entries).most_common(1), 1 << netlist.words[rom.address].width
    places = [place % size for place, entry in enumerate(entries, rom.first) if entry != usual]
    words = 1 << max(places, default=0).bit_length()
    if len(places) < _TABLE_WORDS or words // len(places) > _SPARSE:
        return None
    return words, reduce(or_, (entry ^ usual for entry in entries)).bit_count()


def _memories(netlist: Netlist, stages: PipelineStages, uses: _Uses, area: AreaModel) -> Mapping[int, int]:
    """Return the blocks of each table that becomes block memory."""
    blocks = dict[int, int]()
    for index in sorted(stages.memories & uses.keys()):
        word = netlist.words[index]
        assert isinstance(word.cell, RomRead)
        if stored := _stored(netlist, word, word.cell):
            blocks[index] = area.memory.count(*stored)
    return blocks


def _uses(
    netlist: Netlist,
    stages: PipelineStages,
    absorbed: Absorption,
    area: AreaModel,
    sources: Mapping[int, Sequence[Bit]],
) -> _Uses:
    """Return the bits that are read of each word that is computed: those that ``sources`` name."""
    uses: dict[int, dict[int, _Use]] = {}

    def use(read: Read, stage: int, *, by_block: bool) -> None:
        if absorbed.sources[read.word] != (read.word,):
            for inner in reads(netlist, *read):
                use(inner, stage, by_block=by_block)
            return
        for word, number in sources[read.word][read.low : read.high]:
            if word != CONSTANT:
                found = uses.setdefault(word, {}).setdefault(stage, _Use())
                found.mask |= 1 << number
                found.by_blocks &= by_block

    for ref in netlist.results:
        if width := netlist.words[ref.word].width:
            use(Read(ref.word, 0, width), stages.stages, by_block=False)
    for index in live_words(netlist):
        own = [bit.number for bit in sources[index] if bit.word == index]
        if absorbed.sources[index] == (index,) and own:
            by_block = _has_blocks(netlist, index, area)
            for read in reads(netlist, index, own[0], own[-1] + 1):
                use(read, stages.stage[index], by_block=by_block)
    return uses


def _has_blocks(netlist: Netlist, index: int, area: AreaModel) -> bool:
    """Return True if a word is the product of multiplier blocks, of one or more."""
    word = netlist.words[index]
    if not isinstance(word.cell, Multiplier):
        return False
    a, b = netlist.words[word.cell.a], netlist.words[word.cell.b]
    signs = a.signed, b.signed
    return area.multiplier(a.width, b.width, word.width + word.drop, signs, registered=True)[0] > 0


def _is_block(netlist: Netlist, index: int, area: AreaModel) -> bool:
    """Return True if a word is the product of one multiplier block."""
    word = netlist.words[index]
    if not isinstance(word.cell, Multiplier):
        return False
    a, b, block = netlist.words[word.cell.a], netlist.words[word.cell.b], area.block
    if block is None:
        return False
    return block.holds(*block.factors(a.width, b.width, (a.signed, b.signed)), word.width + word.drop)


def apart(total: BlockSum, index: int, stages: PipelineStages) -> bool:
    """Return True if a sum is not in the block of its product, which has both registers that are between inside."""
    return stages.stage[index] > stages.stage[total.a.word] + 1


def _inside(
    netlist: Netlist, index: int, stages: PipelineStages, uses: _Uses, area: AreaModel, in_block: bool
) -> set[int]:
    """The stages to which registers of a word lead that are inside of blocks, as the word itself may be, ``in_block`` memory."""
    word, first, used = netlist.words[index], stages.stage[index], uses[index]
    last = max(used)
    inside: set[int] = set()
    deepest = 0 if isinstance(word.cell, Mux) else area.block_registers
    for stage in range(last, max(last - deepest, first), -1):
        if stage in used and not used[stage].by_blocks:
            break
        inside.add(stage)
    made = _is_block(netlist, index, area)
    if isinstance(word.cell, BlockSum) and _has_blocks(netlist, word.cell.a.word, area):
        made = not apart(word.cell, index, stages)
    if (in_block or (deepest and made)) and first not in used and first < last:
        inside.add(first + 1)
        if deepest > 1 and isinstance(word.cell, Multiplier) and first + 1 not in used and first + 1 < last:
            inside.add(first + 2)
    return inside
