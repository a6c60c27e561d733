"""Products of windows in narrow tokens: a few channels at a time, read from a memory tap by tap.

Where multipliers are shared, a tile of a matrix takes few numbers at once. A window as one token would hold all taps of all
channels in registers and select those numbers; here a `Sweep` reads them from a memory in the order of the weights, so that
registers shrink with the multipliers. A single position is a window of one tap, a vector a grid of one position.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.dataflow.kinds import Reorder, Sweep
from bitsmith.dataflow.tokens import Grid, Stream, union_type
from bitsmith.ir import ops
from bitsmith.ir.program import Node
from bitsmith.mapping.areas import followers, size_of_parts
from bitsmith.mapping.builder import DataflowBuilder, NodeId, StepId, with_zero
from bitsmith.mapping.folding import (
    Factor,
    Folding,
    Matrix,
    MultiplierStyle,
    area_of_reduction,
    area_of_whole_reduction,
    choose_folding,
    divisors,
    matrix_shape,
)

SINGLE = ops.Window((1,), (1,), (1,), ((0, 0),))
"""Single positions along one axis, in turn."""


def takes_narrow_tokens(builder: DataflowBuilder, node: Node) -> bool:
    """Return True if windows before ``node``, whose first axes are positions, may be read from a memory."""
    directives = builder.directives
    return not directives.parallel and directives.parallelism(node.layer, node.type.shape[:-1]) == 1


_MANY_PARTS = 4
"""Parts of a position from which on their sum is worth a process of its own."""


_MOST_ORDER_BITS = 1 << 14
"""The most bits of a table of places to read: more would take block memories, of which small parts have few."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows ``op`` over ``grid``, at ``places``, of the value of ``node``, whose positions have ``channels`` elements."""

    node: NodeId
    op: ops.Window
    grid: Grid
    places: Grid
    channels: int

    @property
    def taps(self) -> int:
        """Positions of a window."""
        return math.prod(self.op.size)

    @property
    def moves(self) -> bool:
        """Return True if windows are not just the positions in turn."""
        return self.taps > 1 or self.grid != self.places

    @property
    def fits_sweep(self) -> bool:
        """Return True if each window reaches into the interface along each axis."""
        op = self.op
        return all(
            before <= dilation * (taps - 1) and (windows - 1) * stride - before < size
            for size, windows, taps, stride, dilation, (before, _) in zip(
                self.grid, self.places, op.size, op.stride, op.dilation, op.padding, strict=True
            )
        )


def windows_of(builder: DataflowBuilder, arg: NodeId, axes: int) -> Windows | None:
    """The windows that the value of ``arg`` holds at the positions of its first ``axes`` axes; None if it is a constant."""
    shape, source = builder.shape(arg), arg
    while isinstance(builder.program.nodes[source].op, ops.Reshape):
        (source,) = builder.operands(builder.program.nodes[source])
    slid = builder.program.nodes[source]
    if isinstance(slid.op, ops.Window):
        rank, (x,) = len(slid.op.size), builder.operands(slid)
        places, have = slid.type.shape[:rank], builder.shape(x)
        if shape[:axes] == places and not builder.is_constant(x):
            return Windows(x, slid.op, have[:rank], places, math.prod(have[rank:]))
    if builder.is_constant(source):
        return None
    positions = math.prod(shape[:axes])
    return Windows(source, SINGLE, (positions,), (positions,), math.prod(shape[axes:]))


def narrow(builder: DataflowBuilder, node: NodeId, size: int, grid: Grid) -> StepId:
    """The step that has a node's value in tokens of ``size`` elements, at the positions of ``grid`` and within each."""
    total = math.prod(builder.shape(node))
    return builder.regroup(builder.made(node), (*grid, total // math.prod(grid) // size), (size,))


def swept(builder: DataflowBuilder, windows: Windows, size: int, blocks: int, times: int) -> StepId:
    """Tokens (size,) of windows, block by block, and each block of a window so many times."""
    step = narrow(builder, windows.node, size, windows.grid)
    parts = windows.channels // size // blocks
    reads = blocks * times * windows.taps * parts
    if reads == blocks * parts and not windows.moves:
        return builder.regroup(step, (*windows.places, reads), (size,))
    token = builder.stream(step).token
    if any(map(any, windows.op.padding)):
        token = with_zero(token)
    return builder.add(Sweep(windows.op, blocks, parts, times), (step,), Stream((*windows.places, reads), token))


@dataclass(frozen=True, slots=True)
class Exchange:
    """Two neighboring runs of axes that exchange places: of each slice the columns, of each of them the rows, in parts."""

    slices: int
    rows: int
    columns: int
    parts: int

    @classmethod
    def of(cls, shape: tuple[int, ...], perm: tuple[int, ...]) -> Exchange | None:
        """Return the exchange of the axes of ``shape`` in the order ``perm``; None if it is more than one."""
        perm = tuple(axis for axis in perm if shape[axis] > 1)
        first = next((k for k, axis in enumerate(perm) if axis != sorted(perm)[k]), len(perm))
        rest = perm[first:]
        end = next((k for k in range(1, len(rest)) if rest[k] < rest[k - 1]), len(rest))
        last = next((k for k in range(end, len(rest)) if rest[k] > rest[0]), len(rest))
        runs = perm[:first], rest[end:last], rest[:end], rest[last:]
        if tuple(axis for run in runs for axis in run) != tuple(sorted(perm)):
            return None
        slices, rows, columns, parts = (math.prod(shape[axis] for axis in run) for run in runs)
        return cls(slices, rows, columns, parts)


def reordered(builder: DataflowBuilder, step: StepId, exchange: Exchange, units: int = 1, times: int = 1) -> StepId:
    """Tokens with two runs of axes exchanged; they are ``units`` equal parts then, of each of which they come ``times`` times."""
    token, moved, more = builder.stream(step).token, step, times
    if min(exchange.rows, exchange.columns) > 1:
        at_once = times if exchange.slices * exchange.columns == units else 1
        viewed = builder.regroup(
            step, (exchange.slices * exchange.rows, exchange.columns * exchange.parts), token.shape
        )
        rows = ops.Window((exchange.rows,), (exchange.rows,), (1,), ((0, 0),))
        sweep = Sweep(rows, exchange.columns, exchange.parts, at_once)
        given = exchange.columns * at_once * exchange.rows * exchange.parts
        moved, more = builder.add(sweep, (viewed,), Stream((exchange.slices, given), token)), times // at_once
    if more == 1:
        return moved
    parts = builder.stream(moved).tokens // units
    viewed = builder.regroup(moved, (units, parts), token.shape)
    return builder.add(Sweep(SINGLE, 1, parts, more), (viewed,), Stream((units, more * parts), token))


def again(builder: DataflowBuilder, step: StepId, times: int) -> StepId:
    """The tokens of a frame ``times`` times over: the first time as they come, unless that order is a large table."""
    stream = builder.stream(step)
    order = np.tile(np.arange(stream.tokens), times)
    if len(order) * 3 * stream.tokens.bit_length() <= _MOST_ORDER_BITS:
        return builder.add(Reorder(order), (step,), Stream((len(order),), stream.token))
    viewed = builder.regroup(step, (1, stream.tokens), stream.token.shape)
    read = builder.add(Sweep(SINGLE, 1, stream.tokens, times), (viewed,), Stream((1, len(order)), stream.token))
    return builder.regroup(read, (len(order),), stream.token.shape)


@dataclass(frozen=True, slots=True)
class Tiles:
    """A product in narrow tokens: ``size`` rows and the columns of a ``groups``-th at once, for as many ``lanes``."""

    folding: Folding
    size: int
    lanes: int = 1


def choose_tiles(
    builder: DataflowBuilder, op: Factor, windows: Windows, blocks: int, node: Node, style: MultiplierStyle
) -> Tiles | None:
    """Return the folding of a product of ``windows`` in narrow tokens; None if wide ones take less area.

    Each of ``blocks`` blocks of channels has its share of the columns.
    """
    cycles = builder.directives.reuse_factor(node.layer)
    if cycles == 1 or style is MultiplierStyle.GRAPHS or not windows.fits_sweep:
        return None
    positions = math.prod(windows.places)
    kind = builder.program.nodes[windows.node].type
    matrix = Matrix.of(op, kind, node.type, 1, builder.directives.block, whole=False)
    n, m = matrix_shape(op)
    come = math.prod(windows.grid) * windows.channels
    have = builder.stream(builder.made(windows.node)).token.size
    candidates = [
        tiles
        for tiles in _tilings(windows, n, m // blocks, blocks)
        if 1 < tiles.folding.cycles <= cycles and come <= tiles.size * tiles.lanes * cycles * positions
    ]
    if not candidates:
        return None

    def area(one: Tiles) -> float:
        return matrix.area_in_parts(one.folding, one.size, one.lanes, have, windows.channels)

    best = min(candidates, key=lambda one: (area(one), one.folding.cycles))
    if blocks > 1:
        return best  # in groups, products are not folded otherwise
    # Positions that are made in parts are gathered before wide products; those of a vector are multiplied as they come.
    gathered = have < windows.channels and builder.node_stream(windows.node).tokens == math.prod(windows.grid)
    held = 2 * matrix.n * matrix.operand if windows.moves or gathered else 0.0  # by a window, and by the FIFO after it
    return best if area(best) < matrix.area(choose_folding(matrix, cycles, style)) + held else None


def _tilings(windows: Windows, n: int, m: int, blocks: int) -> Iterator[Tiles]:
    """All tilings of the matrices (n, m) of the blocks; single channels of several blocks may come at once."""
    channels = windows.channels // blocks
    for size in divisors(channels):
        for groups in divisors(m):
            yield Tiles(Folding(1, n // size, blocks * groups, multipliers=True), size)
    if channels == 1:
        for lanes in divisors(blocks)[1:]:
            yield Tiles(Folding(1, n, blocks // lanes, multipliers=True), 1, lanes)


def reduced(builder: DataflowBuilder, op: ops.Sum | ops.AMax, node: Node) -> StepId | None:
    """The sum (or the greatest) over the taps of windows, in narrow tokens; None if that is not what it is, or wide ones do."""
    if not takes_narrow_tokens(builder, node):
        return None
    (arg,) = builder.operands(node)
    axes, rank = len(node.type.shape) - 1, len(builder.shape(arg))
    windows = windows_of(builder, arg, axes)
    if windows is None or windows.taps == 1 or not windows.fits_sweep or op.axes != tuple(range(axes, rank - 1)):
        return None
    cycles = builder.directives.reuse_factor(node.layer)
    have = builder.stream(builder.made(windows.node)).token.size
    positions, come = math.prod(windows.places), math.prod(windows.grid) * windows.channels
    sizes = [
        size
        for size in divisors(windows.channels)
        if windows.taps * windows.channels <= size * cycles and come <= size * cycles * positions
    ]
    bits = max(builder.program.nodes[windows.node].type.max_width, 1)
    areas = {size: area_of_reduction(size, have, bits) for size in sizes}
    size = min(areas, key=lambda one: areas[one], default=0)
    if not size or areas[size] >= area_of_whole_reduction(windows.taps, windows.channels, have, bits):
        return None
    chunks = swept(builder, windows, size, windows.channels // size, 1)
    step = builder.reduced(op, chunks, windows.taps, (*windows.places, windows.channels // size))
    return builder.with_native_form(step, node.type.shape[:-1], node.type.shape[-1:])


def reduced_in_parts(builder: DataflowBuilder, op: ops.Sum | ops.AMax, node: Node) -> StepId | None:
    """The sum (or the greatest) over the channels of positions that are made in parts; None if that is not what it is."""
    (arg,) = builder.operands(node)
    rank = len(builder.shape(arg))
    if builder.is_constant(arg) or not takes_narrow_tokens(builder, node) or op.axes != (rank - 1,):
        return None
    stream, form = builder.node_stream(arg), builder.native_forms.get(builder.step_of[arg])
    if form is None or builder.grid_axes(arg) != rank - 1 or builder.native_parallelism(arg) > 1:
        return None
    size = builder.stream(form).token.size
    count, rest = divmod(stream.token.size, size)
    if rest or count < _MANY_PARTS:
        return None
    step = builder.token_op(
        replace(op, axes=(0,)), (builder.regroup(form, (*stream.grid, count), (size,)),), (*stream.grid, count)
    )
    step = builder.reduced(op, step, count, stream.grid)
    wanted = union_type(node.type, rank - 1)
    return step if builder.stream(step).token == wanted else builder.truncated(step, wanted)


def multiplied_in_parts(builder: DataflowBuilder, node: Node, step: StepId) -> StepId:
    """The ``step`` of a node, a few channels at a time where these are multiplied next, so that they share multipliers.

    What has a reader that takes all channels at once, as windows and matrices do, stays as it is.
    """
    stream = builder.stream(step)
    multiplied = [follower for follower in followers(builder, node) if isinstance(follower.op, ops.Mul)]
    if len(stream.token.shape) != 1 or not all(takes_narrow_tokens(builder, product) for product in multiplied):
        return step
    if any(isinstance(reader.op, ops.Window | ops.Linear | ops.MatMul) for reader in builder.readers[id(node)]):
        return step
    cycles = min((builder.directives.reuse_factor(product.layer) for product in multiplied), default=1)
    channels = stream.token.size
    size = size_of_parts(builder, node, channels, cycles)
    if size == channels:
        return step
    parts = builder.regroup(step, (*stream.grid, channels // size), (size,))
    return builder.with_native_form(parts, stream.grid, stream.token.shape)
