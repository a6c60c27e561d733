"""The choice of memories that become larger ones than block memory (UltraRAM, SPRAM), in parts that have some.

In: a network of processes, the depths of its FIFOs and memories, and the part. Out: the chosen memories, each with the width of
its columns. A larger memory pays where it replaces block memories with at least half of its bits; where the circuit needs more
block memories than the part has, other memories follow. The order is by block memories saved for each larger one, or by all that
they save. Memories with contents from the start (tables, weights that can be loaded) stay. Of larger memories with a single port
only FIFOs are made, by ``bitsmith_single_port_fifo.sv``, which stores two tokens in a word, and memories of engines, whose steps
are in every other cycle then.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from bitsmith.dataflow.kinds import Engine
from bitsmith.dataflow.logic import Logic
from bitsmith.dataflow.processes import gives_back
from bitsmith.dataflow.schedule import Fifo
from bitsmith.dataflow.storage import Memory, Words
from bitsmith.dataflow.wires import Wiring
from bitsmith.devices.area import AreaModel
from bitsmith.devices.blocks import LargeMemory, MemoryBlock
from bitsmith.devices.family import Part
from bitsmith.devices.protection import Protection, check_bits
from bitsmith.ir import ops

Place: TypeAlias = tuple[int, int]
"""A process and the operand before which a FIFO is; -1: the memories within the process."""

FIFO_BLOCK_WORDS, FIFO_BLOCK_BITS = 32, 2048
"""Memories and FIFOs with more of both become block memory, as ``bitsmith_fifo.sv`` has it on all families."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Memories that can be larger ones, all with columns of ``column`` bits: they take so many of these, or of blocks.

    Those of a ``single`` port that readers and writers share come first. ``rest`` blocks more hold last words in any case.
    """

    place: Place
    column: int
    larger: int
    blocks: int
    single: bool = False
    rest: int = 0


def takes_block(words: int, bits: float, block: MemoryBlock) -> bool:
    """Return True if a memory or FIFO becomes block memory."""
    return words > FIFO_BLOCK_WORDS and words * bits > FIFO_BLOCK_BITS and not block.is_forbidden


def in_blocks(ways: Words, words: int, bits: float, area: AreaModel) -> bool:
    """Return True if a memory that is no larger one becomes block memory: as declared, or as synthesis prefers."""
    in_turn = ways is Words.IN_TURN
    return (in_turn and takes_block(words, bits, area.memory)) or area.prefers_blocks(words, bits, in_turn=in_turn)


def own_blocks(memory: Memory, area: AreaModel, protection: Protection, column: int = 0) -> int:
    """The block memories of a memory within a process: of a larger one, with such a ``column``, those of its last words."""
    words, ways, bits = memory.words, memory.ways, _with_checks(memory.bits, protection)
    if memory.filled:
        blocks = table_blocks(memory, area.memory)
        return blocks + area.memory.count(words, bits) - area.memory.count(words, memory.bits) if blocks else 0
    if column and area.large and not memory.stays and takes_block(words, memory.bits, area.memory):
        words, ways = last_words(memory, column, area.large, area.memory), Words.IN_TURN
    elif memory.narrow[1]:
        return sum(own_blocks(part, area, protection) for part in memory.parts)
    return memory.beside * area.memory.count(words, bits) if in_blocks(ways, words, memory.bits, area) else 0


def _with_checks(bits: int, protection: Protection) -> int:
    return bits + check_bits(bits, protection)


def logic_blocks(logic: Logic, block: MemoryBlock, protection: Protection) -> int:
    """The block memories of tables in token functions, of as many words and bits as each element has."""
    nodes, blocks = logic.program.nodes if logic.program else (), 0
    for node in (node for node in nodes if isinstance(node.op, ops.Table)):
        widths = np.stack(np.broadcast_arrays(nodes[node.args[0]].type.width, node.type.width)).reshape(2, -1)
        shapes, counts = np.unique(widths, axis=1, return_counts=True)
        for (address, bits), number in zip(shapes.T.tolist(), counts.tolist(), strict=True):
            if block.pays_table(1 << address, bits):
                own = number * block.count(1 << address, _with_checks(bits, protection))
                blocks += own * node.type.size // widths.shape[1]
    return logic.copies * blocks


def shares_port(words: int, bits: int, number: int, contents: int, part: Part | None) -> bool:
    """Return True if ``number`` memories are to be larger ones of a single port, which are read or written in a cycle.

    That is where there are not enough block memories for them and for ``contents`` of so many bits, which only these hold.
    """
    large = None if part is None else part.family.large
    if part is None or large is None or large.ports > 1:
        return False
    blocks = number * part.family.memory.count(words, bits) + math.ceil(contents / part.family.memory.bits)
    return blocks > part.die.brams and number * large.count(words, bits, large.column(words, bits)) <= part.die.large


def has_room(words: int, bits: int, taken: int, share: int, part: Part) -> bool:
    """Return True if so many words fit into one of ``share`` block memories beside those that are taken, or of larger ones."""
    large = part.family.large
    if (
        large is not None
        and large.ports > 1
        and large.count(words, bits, large.column(words, bits)) * share <= part.die.large
    ):
        return True
    return part.family.memory.count(words, bits) * share <= part.die.brams - taken


def can_hold(memory: Memory, number: int, part: Part) -> bool:
    """Return True if the part has block memories enough for so many memories, or larger ones."""
    block, large = part.family.memory, part.family.large
    if number * memory.beside * block.count(memory.words, memory.bits) <= part.die.brams:
        return True
    if large is None or large.ports == 1:
        return False
    column = large.column(memory.words, memory.bits, memory.beside)
    rest = last_words(memory, column, large, block)
    return number * large.count(memory.words - rest, memory.bits, column, memory.beside) <= part.die.large


def blocks_needed(wiring: Wiring, fifos: Sequence[Fifo], part: Part, protection: Protection) -> Mapping[Place, int]:
    """The block memories of each FIFO that is no larger memory, and of the memories within each process, with check bits."""
    area, larger, needed = part.family.area, larger_memories(wiring, fifos, part), dict[Place, int]()
    depths = {(fifo.consumer, fifo.operand): fifo.depth for fifo in fifos}
    for place, depth in depths.items():
        bits = _held_bits(wiring, *place) if place[1] >= 0 else 0
        if place not in larger and in_blocks(Words.IN_TURN, depth, bits, area):
            needed[place] = area.memory.count(depth, _with_checks(bits, protection))
    for number, process in enumerate(wiring.network.processes):
        own = process.kind.memories(process.takes, process.results, depths.get((number, -1), 0))
        column = larger.get((number, -1), 0)
        blocks = sum(own_blocks(memory, area, protection, column) for memory in own)
        needed[number, -1] = blocks + logic_blocks(process.kind.logic, area.memory, protection)
    return needed


def larger_memories(wiring: Wiring, fifos: Iterable[Fifo], part: Part | None) -> Mapping[Place, int]:
    """The bits of a column of each memory that is to be a larger one."""
    large = None if part is None else part.family.large
    if part is None or large is None or not part.die.large:
        return {}
    depths = {(fifo.consumer, fifo.operand): fifo.depth for fifo in fifos}
    own = [
        process.kind.memories(process.takes, process.results, depths.get((number, -1), 0))
        for number, process in enumerate(wiring.network.processes)
    ]
    stays = (memory for memories in own for memory in memories if memory.filled or memory.stays)
    tables = sum(own_blocks(memory, part.family.area, Protection.NONE) for memory in stays)
    every = list(_candidates(wiring, depths, own, large, part.family.memory))
    possible = [candidate for candidate in every if large.ports > 1 or candidate.place[1] >= 0 or candidate.single]
    rest = sum(candidate.rest for candidate in every)
    staying = tables + rest + sum(one.blocks for one in every) - sum(one.blocks for one in possible)
    return chosen(possible, staying, large, part)


def chosen(candidates: Iterable[Candidate], staying: int, large: LargeMemory, part: Part) -> Mapping[Place, int]:
    """The columns of candidates that become larger memories; ``staying`` block memories are needed besides.

    First come those that save the most blocks for each larger memory; or if that is not enough, the largest, if this saves more.
    """
    ranked = sorted(candidates, key=lambda one: (not one.single, Fraction(-one.blocks, one.larger), one.place))
    columns, blocks = _taken(ranked, staying, large, part)
    if blocks <= part.die.brams:
        return columns
    others, fewer = _taken(sorted(ranked, key=lambda one: (not one.single, -one.blocks)), staying, large, part)
    return others if fewer < blocks else columns


def _taken(
    ranked: Sequence[Candidate], staying: int, large: LargeMemory, part: Part
) -> tuple[Mapping[Place, int], int]:
    """The columns of those for which there is room, the first first, and the block memories that are needed then."""
    blocks, left = staying + sum(memory.blocks for memory in ranked), part.die.large
    columns: dict[Place, int] = {}
    for memory in ranked:
        pays = 2 * memory.blocks * part.family.memory.bits >= memory.larger * large.bits
        if memory.larger <= left and (pays or memory.single or blocks > part.die.brams):
            columns[memory.place] = memory.column
            left -= memory.larger
            blocks -= memory.blocks
    return columns, blocks


def _candidates(
    wiring: Wiring, depths: Mapping[Place, int], own: Sequence[Sequence[Memory]], large: LargeMemory, block: MemoryBlock
) -> Iterator[Candidate]:
    """All memories without contents that would be block memories: FIFOs, and those that processes have as their ``own``."""
    bits = {place: _held_bits(wiring, *place) for place in depths if place[1] >= 0}
    sizes = {place: [Memory(depths[place], held, Words.IN_TURN, stays=False)] for place, held in bits.items()}
    sizes |= {
        (number, -1): [memory for memory in memories if not (memory.filled or memory.stays)]
        for number, memories in enumerate(own)
    }
    for place, every in sizes.items():
        taken = [memory for memory in every if takes_block(memory.words, memory.bits, block)]
        if taken:
            fifo = large.ports == 1 and place[1] >= 0
            written = [_paired(memory) if fifo else memory for memory in taken]
            first = max(written, key=lambda memory: (memory.words, memory.bits))
            column = large.column(first.words, first.bits, first.beside)
            rests = [last_words(memory, column, large, block) for memory in written]
            larger = sum(
                large.count(memory.words - rest, memory.bits, column, memory.beside)
                for memory, rest in zip(written, rests, strict=True)
            )
            kind = wiring.network.processes[place[0]].kind
            single = place[1] < 0 and isinstance(kind, Engine) and kind.gap > 1
            parts = [part for memory in taken for part in memory.parts]
            blocks = sum(part.beside * block.count(part.words, part.bits) for part in parts)
            last = [(one, rest) for one, rest in zip(taken, rests, strict=True) if takes_block(rest, one.bits, block)]
            staying = sum(one.beside * block.count(rest, one.bits) for one, rest in last)
            yield Candidate(place, column, larger, blocks - staying, single, staying)


def last_words(memory: Memory, column: int, large: LargeMemory, block: MemoryBlock) -> int:
    """The words of one that is a larger memory with such a ``column`` which are block memory all the same."""
    return large.rest(memory.words, memory.bits, column, memory.beside, block) if memory.splits else 0


def _paired(memory: Memory) -> Memory:
    words, bits = paired(memory.words, memory.bits)
    return replace(memory, words=words, bits=bits)


def paired(depth: int, bits: int) -> tuple[int, int]:
    """Words and bits of a FIFO of two tokens in a word, as ``bitsmith_single_port_fifo.sv`` has it."""
    return 1 << max(((depth + 1) // 2 - 1).bit_length(), 1), 2 * bits


def _held_bits(wiring: Wiring, number: int, operand: int) -> int:
    """Bits of a token in the FIFO of an operand, which has no zeros of the padding unless there is nothing else."""
    process = wiring.network.processes[number]
    token = process.takes[operand].token
    widths = np.broadcast_to(token.width, token.shape).reshape(-1)
    zero = wiring.of_operand(number, operand) < 0
    whole = gives_back(number, process.args[operand]) or bool(zero.all())
    return int(widths.sum() if whole else widths[~zero].sum())


def table_blocks(memory: Memory, block: MemoryBlock) -> int:
    """Block memories of one that has contents from the start."""
    words, bits = memory.words, memory.bits
    if memory.differing is None:
        return block.count(words, bits) if takes_block(words, bits, block) else 0
    return block.table_count(words, bits, memory.differing) if block.takes_table(words, bits) else 0
