"""The memories of a network of processes that lie in larger ones than block memories, in a part that has some.

In: a network, the depths of its FIFOs and memories, and the part. Out: these memories, each with the columns in which it lies.
Method: a larger memory is worth it where it takes the place of block memories with at least half of its bits. Where the circuit
has more block memories than the part, others become larger ones, too. Those come first that save most block memories for each
larger one, until the part has no more. What has contents from the start (tables, weights that can be loaded) stays. Where the
larger memory has a single port, only FIFOs become some, by ``bitsmith_single_port_fifo.sv``, which has two tokens in a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from bitsmith.dataflow.engine import Engine
from bitsmith.dataflow.kinds import FoldedProduct, Reorder, Rom, Sweep, Window
from bitsmith.dataflow.processes import Process, gives_back
from bitsmith.dataflow.schedule import Fifo
from bitsmith.dataflow.timing import is_monotone
from bitsmith.dataflow.wires import Wiring
from bitsmith.devices.blocks import LargeMemory, MemoryBlock
from bitsmith.devices.family import Part
from bitsmith.ir import ops
from bitsmith.ir.types import width_of

Place: TypeAlias = tuple[int, int]
"""A process and the operand before which a FIFO is; -1: the memories within the process."""

FIFO_BLOCK_WORDS, FIFO_BLOCK_BITS = 32, 2048
"""Memories and FIFOs with more of both become block memory, as ``bitsmith_fifo.sv`` has it on all families."""


_FEW_TILES = 8
"""Tiles whose weights have many bits alike, of which synthesis keeps one each."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Memories that can be larger ones, all with columns of ``column`` bits: they take so many of these, or of blocks."""

    place: Place
    column: int
    larger: int
    blocks: int


def takes_block(words: int, bits: float, block: MemoryBlock) -> bool:
    """Return True if a memory or FIFO becomes block memory."""
    return words > FIFO_BLOCK_WORDS and words * bits > FIFO_BLOCK_BITS and not block.is_forbidden


def larger_memories(wiring: Wiring, fifos: Iterable[Fifo], part: Part | None) -> Mapping[Place, int]:
    """The bits of a column of each memory that is to be a larger one."""
    large = None if part is None else part.family.large
    if part is None or large is None or not part.large:
        return {}
    tables = sum(_table_blocks(process, part.family.memory) for process in wiring.network.processes)
    found = list(candidates(wiring, fifos, large, part.family.memory))
    possible = [each for each in found if large.ports > 1 or each.place[1] >= 0]
    staying = tables + sum(each.blocks for each in found) - sum(each.blocks for each in possible)
    return chosen(possible, staying, large, part)


def chosen(found: Iterable[Candidate], staying: int, large: LargeMemory, part: Part) -> Mapping[Place, int]:
    """The columns of those that become larger memories, beside so many block memories that stay."""
    ranked = sorted(found, key=lambda each: (Fraction(-each.blocks, each.larger), each.place))
    blocks, left = staying + sum(each.blocks for each in ranked), part.large
    columns: dict[Place, int] = {}
    for each in ranked:
        pays = 2 * each.blocks * part.family.memory.bits >= each.larger * large.bits
        if each.larger <= left and (pays or blocks > part.brams):
            columns[each.place] = each.column
            left -= each.larger
            blocks -= each.blocks
    return columns


def candidates(wiring: Wiring, fifos: Iterable[Fifo], large: LargeMemory, block: MemoryBlock) -> Iterable[Candidate]:
    """All memories without contents that would be block memories."""
    depths = {(fifo.consumer, fifo.operand): fifo.depth for fifo in fifos}
    sizes = {place: [(depth, _held_bits(wiring, *place))] for place, depth in depths.items() if place[1] >= 0}
    for number, process in enumerate(wiring.network.processes):
        sizes[number, -1] = _own(process, depths.get((number, -1), 0))
    for place, every in sizes.items():
        taken = [size for size in every if takes_block(*size, block)]
        if taken:
            written = [size if large.ports > 1 else paired(*size) for size in taken]
            column = large.column(*max(written))
            larger = sum(large.count(*size, column) for size in written)
            yield Candidate(place, column, larger, sum(block.count(*size) for size in taken))


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


def _own(process: Process, depth: int) -> list[tuple[int, int]]:
    """Words and bits of the memories within a process of which ``depth`` tokens are needed at once."""
    match process.kind:
        case Window() as kind:
            return [(length, process.takes[0].bits) for length in line_lengths(kind.op, process)]
        case Sweep():
            return [(_places(depth), process.results[0].bits)]
        case Reorder() as kind if not is_monotone(kind.source):
            return [(_places(depth), process.takes[0].bits)]
        case Engine() as kind:
            number, _ = kind.number(process.takes[0].token)
            return [(-(-kind.words // kind.banks), number)] * kind.banks
        case _:
            return []


def _places(depth: int) -> int:
    """Words of a memory that is read by address."""
    return 1 << max(depth - 1, 1).bit_length()


def line_lengths(op: ops.Window, process: Process) -> list[int]:
    """The steps from each tap of a window to the next, through a line of delays."""
    padded = [size + before + after for size, (before, after) in zip(process.takes[0].grid, op.padding, strict=True)]
    taps = (np.arange(taps) * dilation for taps, dilation in zip(op.size, op.dilation, strict=True))
    places = np.ravel_multi_index([grid.ravel() for grid in np.meshgrid(*taps, indexing="ij")], padded)
    return [int(length) for length in np.diff(places)]


def kept_bits(kind: FoldedProduct) -> tuple[int, int]:
    """Bits of the weights of a tile that differ between tiles, and of those as many as are unlike each other.

    Of weights that can be loaded all bits are, and of many tiles those that differ.
    """
    tiles, width = kind.groups * kind.steps, _weight_bits(kind.weights)
    weights = kind.weights.reshape(tiles, -1).astype(np.int64)
    if kind.loaded or tiles == 1:
        return width * weights.shape[1], width * weights.shape[1]
    if tiles > _FEW_TILES:
        differ = np.bitwise_or.reduce(weights, axis=0) ^ np.bitwise_and.reduce(weights, axis=0)
        kept = sum(int(np.count_nonzero(differ >> bit & 1)) for bit in range(width))
        return kept, kept
    columns = (weights[:, :, None] >> np.arange(width) & 1).reshape(tiles, -1).T @ (1 << np.arange(tiles))
    found = [column for column in columns.tolist() if column not in (0, (1 << tiles) - 1)]
    return len(found), len(set(found))


def weight_blocks(kind: FoldedProduct, block: MemoryBlock) -> int:
    """Block memories of the weights of a folded product."""
    words, bits = kind.groups * kind.steps, _weight_bits(kind.weights) * kind.weights[0, 0].size
    if kind.loaded:
        return block.count(words, bits) if takes_block(words, bits, block) else 0
    return block.table_count(words, bits, kept_bits(kind)[0]) if block.takes_table(words, bits) else 0


def _table_blocks(process: Process, block: MemoryBlock) -> int:
    """Block memories of the weights and tables of a process."""
    match process.kind:
        case FoldedProduct() as kind:
            return weight_blocks(kind, block)
        case Engine() as kind:
            words = sum(each.weights[..., 0].size for each in kind.layers)
            bits = kind.lanes * max(_weight_bits(each.weights) for each in kind.layers)
        case Rom() as kind:
            words, bits = len(kind.words), process.results[0].bits
            if kind.loaded:
                return block.count(words, bits) if takes_block(words, bits, block) else 0
        case _:
            return 0
    return block.table_count(words, bits, bits) if block.takes_table(words, bits) else 0


def _weight_bits(weights: np.ndarray) -> int:
    return width_of(min(int(weights.min()), -1), int(weights.max()))
