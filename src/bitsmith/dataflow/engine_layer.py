"""Layers of an engine: windows over numbers of one memory, with the words that they read one after another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bitsmith.dataflow.tokens import Numbers
from bitsmith.ir import ops
from bitsmith.ir.infer import window_positions
from bitsmith.ir.types import IntArray, Ints, TensorType, objects

Grid: TypeAlias = tuple[int, int]
"""Rows and columns."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A result that monitors watch, number by number: its name, and the format and the bounds of its raw values."""

    name: str
    frac: int
    lo: int
    hi: int

    @property
    def kind(self) -> TensorType:
        """The type of a number."""
        return TensorType.of((1,), self.frac, self.lo, self.hi)


@dataclass(frozen=True, slots=True)
class Held:
    """Places of results from which later layers read weights: a row has a number for each lane, from row ``first`` on.

    Later layers read so many ``passes`` of ``steps`` for each head. Windows have a lane each where that is ``by_window``, and
    channels are their steps; or channels have, and windows are steps.
    """

    first: int
    by_window: bool
    passes: int
    steps: int
    lanes: int

    def places(self, windows: int, channels: int) -> tuple[Numbers, Numbers]:
        """The row and the lane of each channel of each window."""
        window, channel = np.divmod(np.arange(windows * channels), channels)
        if not self.by_window:
            return self.first + channel // self.lanes * self.steps + window, channel % self.lanes
        head, step = np.divmod(channel, self.steps)
        row = (head * self.passes + window // self.lanes) * self.steps + step
        return self.first + row, window % self.lanes


@dataclass(frozen=True, slots=True, eq=False)
class EngineLayer:
    """One layer: for each window in turn, each block of channels and each pass, the sums of ``lanes`` products per step.

    The result's element at a window, a block, a pass and a lane is the token function of the sum (or the greatest) of the
    products of the numbers of the block, tap by tap in row-major order, with the weights of the lane, and of the bias.

    Args:
        name: the user's layer.
        op: windows over rows and columns of the operand.
        grid: rows and columns.
        pitch: words from a row to the next one, of any sign.
        channels: numbers of a position.
        blocks: parts of the channels, which have sums of their own.
        weights: (blocks, or 1 if all have the same; passes; steps; lanes).
        bias: a number per result of a window.
        choices: what the token function does, of each result of a window, or of all.
        greatest: the greatest product in place of the sum.
        apart: each lane has a number of its own in place of all the same: as many as a block has channels.
        outside: passes are outside of windows: one over all windows, then the next one; of layers of one block, and not the last.
        source: the word of the operand's first number.
        target: the word of the result's first number; of the last layer nothing is stored.
        ranges: the least and the greatest number of the operand; or those of its first row, and those of the others.
        watched: its result, if monitors watch it.
        parts: those of rows and columns in which the operand is. They have the same words, each in a memory of its own: rows of
            as many columns.
        apiece: a window of each part is computed at once, with the same weights, and the result is in as many parts.
        abreast: sums of a window that leave at once; lanes are a multiple of these.
        loads: numbers of a further operand that come before it, in place of those before; 0: none.
        leaves: its result leaves, although it is not the last one, which always does.
        continues: its result leaves after that of the layer before, as more of it.
        spread: words from the first result of a window to that of the next one, where passes are outside; 0: they are all.
        row: of the results that are held from which weights are read; None: weights are trained.
        held: its results are put there, not into the memory.
        like: the number of an earlier layer whose biases and choices it has, too; None: its own.
    """

    name: str
    op: ops.Window
    grid: Grid
    pitch: int
    channels: int
    blocks: int
    weights: IntArray
    bias: Ints
    choices: Ints
    greatest: bool
    source: int
    target: int
    ranges: tuple[tuple[int, int], ...]
    apart: bool
    outside: bool
    watched: Watched | None
    parts: Grid
    apiece: bool
    abreast: int
    loads: int
    leaves: bool
    continues: bool
    spread: int
    row: int | None
    held: Held | None
    like: int | None

    @property
    def numbers(self) -> int:
        """Steps that a tap takes."""
        return 1 if self.apart else self.channels // self.blocks

    @property
    def passes(self) -> int:
        """Passes over a block."""
        return int(self.weights.shape[1])

    @property
    def steps(self) -> int:
        """Numbers of a block of a window, or of a lane."""
        return int(self.weights.shape[2])

    @property
    def lanes(self) -> int:
        """Results of a pass."""
        return int(self.weights.shape[3])

    @property
    def reach_of_weights(self) -> int:
        """The power of two that magnitudes of weights do not exceed, nor do those of others that come in their place."""
        return 1 << (max(abs(int(self.weights.min())), abs(int(self.weights.max())), 1) - 1).bit_length()

    @property
    def positions(self) -> int:
        """Windows that are computed at once."""
        return math.prod(self.parts) if self.apiece else 1

    @property
    def windows(self) -> Grid:
        """Rows and columns of windows of a part, in turn."""
        (rows, columns), (down, across) = windows_over(self.op, self.grid), self.parts if self.apiece else (1, 1)
        return rows // down, columns // across

    @property
    def all_passes(self) -> int:
        """Passes over all blocks of all windows of a position."""
        return math.prod(self.windows) * self.blocks * self.passes

    @property
    def all_words(self) -> int:
        """The words of its weights: trained ones, or rows of results that are held."""
        return self.weights[..., 0].size

    @property
    def words(self) -> int:
        """The words of its trained weights."""
        return 0 if self.row is not None else self.all_words

    def rows(self, lanes: int) -> Ints:
        """The words of the weights, in the order in which they are read, for so many lanes."""
        used = self.weights.reshape(-1, self.lanes)[: self.words]
        rows = np.zeros((len(used), lanes), dtype=np.object_)
        rows[:, : self.lanes] = used
        return objects(rows)

    @property
    def fetched(self) -> tuple[tuple[int, int], ...]:
        """The words of weights that are read over and over, part by part, and how often each part is."""
        windows, words = math.prod(self.windows), self.words
        if words == 0:
            return ()
        if self.outside:
            return ((self.steps, windows),) * self.passes
        return ((words, windows * (self.blocks if len(self.weights) < self.blocks else 1)),)

    @property
    def jumps(self) -> tuple[int, int]:
        """Distances from the last results of a pass to the next ones, where passes are outside of windows.

        These are: of the next window, of the first window in the next pass.
        """
        results = self.spread or self.passes * self.lanes
        return results - self.lanes + self.abreast, self.abreast - (math.prod(self.windows) - 1) * results

    @property
    def walks(self) -> tuple[Walk, Walk]:
        """Words of rows and of columns in the order in which they are read: the sum of both is the word of a number."""
        op, block, beyond = self.op, self.channels // self.blocks, self.numbers - 1
        rows, columns = (size // count for size, count in zip(self.grid, self.parts, strict=True))
        down, across = op.dilation[0] * self.pitch, op.dilation[1] * self.channels
        tall, wide = (op.size[0] - 1) * down, (op.size[1] - 1) * across + beyond
        window, others = op.stride[1] * self.channels, self.channels - block
        leaves = [count > 1 or (self.apiece and any(pad)) for count, pad in zip(self.parts, op.padding, strict=True)]
        further = op.stride[0] * self.pitch - tall
        line = -(self.windows[1] - 1) * window - others - wide
        above, before = op.padding[0][0] * self.pitch, op.padding[1][0] * self.channels
        steps = across - beyond, -wide, -wide, block - wide, window - others - wide, line
        ends = [
            end if leave else 0 for end, leave in zip((rows * self.pitch, columns * self.channels), leaves, strict=True)
        ]
        down_first = Walk(self.source, self.source - above, (0, down, -tall, -tall, -tall, further), ends[0])
        return down_first, Walk(0, -before, steps, ends[1])

    @property
    def reads(self) -> list[tuple[int, int]]:
        """The words of a part that it reads, from the first of some to the one after the last: the whole operand, or its rows."""
        rows, columns = (size // parts for size, parts in zip(self.grid, self.parts, strict=True))
        row = columns * self.channels
        if self.pitch == row:
            return [(self.source, self.source + rows * row)]
        return [(begin, begin + row) for begin in (self.source + number * self.pitch for number in range(rows))]

    @property
    def addresses(self) -> tuple[int, ...]:
        """The words of the first tap and of the first result, and the steps of both axes together."""
        rows, columns = self.walks
        return (rows.first + columns.first, self.target, *map(sum, zip(rows.steps, columns.steps, strict=True)))

    @property
    def reach(self) -> Grid:
        """Parts of rows and of columns, at most, that windows are beyond their own."""
        op, parts = self.op, list[int]()
        for axis, count in enumerate(self.parts):
            size, before = self.grid[axis] // count, op.padding[axis][0]
            last = (self.windows[axis] - 1) * op.stride[axis] + op.dilation[axis] * (op.size[axis] - 1) - before
            parts.append(min(max(-(-before // size), last // size), count - 1) if self.apiece else 0)
        return parts[0], parts[1]


@dataclass(frozen=True, slots=True)
class Walk:
    """Words of an axis that a layer reads one after another, within a part, and on in the next one.

    Args:
        base: the first word of a part.
        first: the first word that is read, which may be outside.
        steps: from the last number of a tap to the first one of the next: in the row, in the next row, at the beginning of the
            block, of the next block, of the next window, of the first window of the next row of windows.
        size: words of a part, after which the next part comes; 0: words never are in another one.
    """

    base: int
    first: int
    steps: tuple[int, ...]
    size: int


def windows_over(op: ops.Window, grid: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of windows over a grid."""
    axes = zip(grid, op.size, op.stride, op.dilation, op.padding, strict=True)
    rows, columns = (window_positions(*axis) for axis in axes)
    return rows, columns
