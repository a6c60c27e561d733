"""The memories within processes, whatever they are made of."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_, or_

import numpy as np
import numpy.typing as npt

from bitsmith.dataflow.tokens import Grid, Streams
from bitsmith.ir import ops
from bitsmith.ir.types import IntArray, width_of

_FEW_TILES = 8
"""Tiles whose weights have many bits alike, of which synthesis keeps one each."""


class Words(enum.Enum):
    """Ways to the words of a memory, from which it follows what it becomes."""

    IN_TURN = "in turn"
    """Slots of a FIFO: many are declared block memory, and with a single port a word has two tokens, which cells pair."""
    BY_ADDRESS = "by address"
    """Addresses that the process makes: synthesis chooses, and with a single port words are as they are."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory within a process.

    Args:
        words, bits: its size.
        ways: those to its words.
        stays: it is no larger memory in any case.
        filled: it has contents from the start.
        differing: of a table, the bits of a word that are not the same in all words; None if it can be written.
        beside: memories of this size, a power of two of them, that are read at the same place.
        splits: the last words may be memory of another kind than the first ones.
        narrow: unless it is a larger one, only so many first words have all bits, and those after them have so few; 0: all have.
    """

    words: int
    bits: int
    ways: Words
    stays: bool
    filled: bool = False
    differing: int | None = None
    beside: int = 1
    splits: bool = False
    narrow: tuple[int, int] = (0, 0)

    @property
    def parts(self) -> list["Memory"]:
        """The memories of the low bits of all words and of the other bits of the first ones; itself, if all words have all."""
        first, bits = self.narrow
        if not bits:
            return [self]
        return [
            replace(self, bits=bits, narrow=(0, 0)),
            replace(self, words=first, bits=self.bits - bits, narrow=(0, 0)),
        ]


def no_memories(kind: object, takes: Streams, results: Streams, depth: int) -> list[Memory]:
    """No memories, as a method of kinds that have none."""
    return []


def table(words: int, bits: int, differing: int | None) -> Memory:
    """A memory with contents, as tables are; ``differing`` as in :class:`Memory`."""
    return Memory(words, bits, Words.BY_ADDRESS, stays=True, filled=True, differing=differing)


def differing_bits(rows: Sequence[int]) -> int:
    """Bits of the rows of a table that are not the same in all."""
    return (reduce(or_, rows) ^ reduce(and_, rows)).bit_count()


def packed(fields: Sequence[tuple[int, int]]) -> int:
    """A word of ``fields``: values and widths, the lowest first."""
    word, low = 0, 0
    for value, width in fields:
        word |= (value & (1 << width) - 1) << low
        low += width
    return word


def addressed(depth: int) -> int:
    """Words of a memory of so many tokens that is read by address."""
    return 1 << max(depth - 1, 1).bit_length()


def line_lengths(op: ops.Window, grid: Grid) -> list[int]:
    """The steps from each tap of a window to the next, through a line of delays."""
    padded = [size + before + after for size, (before, after) in zip(grid, op.padding, strict=True)]
    taps = (np.arange(taps) * dilation for taps, dilation in zip(op.size, op.dilation, strict=True))
    slots = np.ravel_multi_index([axes.ravel() for axes in np.meshgrid(*taps, indexing="ij")], padded)
    return [int(length) for length in np.diff(slots)]


def weight_bits(weights: IntArray) -> int:
    """The width of a column of weights, which are signed."""
    return width_of(min(int(weights.min()), -1), int(weights.max()))


def weight_rows(weights: IntArray) -> tuple[float, float]:
    """The shares of the weights of a tile that are not always 0, and of their bits that are neither always 0 nor like another.

    A multiplier of look-up tables has a row for each of these bits. Of many tiles a bit is compared with the next one alone.
    """
    tiles, width, numbers = len(weights), weight_bits(weights), weights.astype(np.int64, copy=False)
    live = float(numbers.any(axis=0).mean())
    if tiles <= _FEW_TILES:
        columns = np.tensordot(1 << np.arange(tiles), numbers[:, :, None] >> np.arange(width) & 1, axes=1)
        rows = sum(len(np.setdiff1d(column, 0)) for column in columns)
    else:
        changes = np.bitwise_or.reduce(numbers ^ numbers >> 1, axis=0)
        rows = sum(int(np.count_nonzero(changes >> bit & 1)) for bit in range(width - 1))
        rows += int(np.count_nonzero(numbers.min(axis=0) < 0))
    return live, rows / (width * weights.shape[1])


def always_shifts(weights: IntArray) -> npt.NDArray[np.bool_]:
    """Flags of the weights that are the same in all tiles (the first axis), and 0 or a power of two of either sign.

    Products with these are shifts, which take no multiplier.
    """
    same, sizes = (weights == weights[0]).all(axis=0), np.abs(weights[0].astype(np.int64))
    return np.asarray(same & (sizes & (sizes - 1) == 0), dtype=np.bool_)


def kept_bits(weights: IntArray) -> tuple[int, int]:
    """Bits of a tile of constant weights that differ between tiles, and of those as many as are unlike each other.

    Of many tiles those that differ are all counted as unlike. ``weights`` has an axis of tiles, and one of the weights of a tile.
    """
    tiles, width, numbers = len(weights), weight_bits(weights), weights.astype(np.int64, copy=False)
    if tiles == 1:
        return width * weights.shape[1], width * weights.shape[1]
    if tiles > _FEW_TILES:
        differ = np.bitwise_or.reduce(numbers, axis=0) ^ np.bitwise_and.reduce(numbers, axis=0)
        kept = sum(int(np.count_nonzero(differ >> bit & 1)) for bit in range(width))
        return kept, kept
    columns = (numbers[:, :, None] >> np.arange(width) & 1).reshape(tiles, -1).T @ (1 << np.arange(tiles))
    changing = [column for column in columns.tolist() if column not in (0, (1 << tiles) - 1)]
    return len(changing), len(set(changing))
