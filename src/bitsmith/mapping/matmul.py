"""Products of two variables in tokens: row by row, the second operand whole, or in tiles that are read from a memory.

Where tokens hold whole positions, products in groups with weights from outside take several groups at once, the others in turn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.dataflow.kinds import Reorder, WidthConverter
from bitsmith.dataflow.tokens import Stream, regrouped
from bitsmith.ir import ops
from bitsmith.ir.program import Node
from bitsmith.mapping.builder import DataflowBuilder, NodeId, StepId
from bitsmith.mapping.folding import (
    Folding,
    LoadedMatrix,
    Matrix,
    MultiplierStyle,
    area_of_pairs,
    area_of_regrouping,
    area_of_whole_pairs,
    choose_folding,
    divisors,
    matrix_of_blocks,
    weights_of,
)
from bitsmith.mapping.grouped import loaded_groups, parameter_of_groups
from bitsmith.mapping.parameters import product_with_parameter
from bitsmith.mapping.products import linear, of_groups, with_type_of
from bitsmith.mapping.sweeps import Exchange, narrow, reordered, takes_narrow_tokens


def matmul(builder: DataflowBuilder, node: Node) -> StepId:
    """Row by row of the first operand where that is how it comes; the second one in tiles, or whole but for batch axes."""
    x, y = builder.operands(node)
    factor = weights_of(builder.program, node)
    if factor is not None and not builder.is_constant(x):
        return linear(builder, factor, node)
    in_parts = _in_narrow_tokens(builder, node) if takes_narrow_tokens(builder, node) else None
    if in_parts is None:
        in_parts = groups_at_once(builder, node)
    if in_parts is None and builder.directives.parallel:
        in_parts = _in_turns(builder, node)
    if in_parts is not None:
        return in_parts
    shape = node.type.shape
    rank = len(shape)
    rows = (
        not builder.is_constant(x)
        and builder.grid_axes(x) + rank - len(builder.shape(x)) >= rank - 1
        and builder.grid_axes(x) > 0
    )
    if rows:
        grid = shape[:-1]
        left = builder.broadcast(x, grid, rank)
        left = builder.token_op(ops.Reshape((1, builder.shape(x)[-1])), (left,), grid)
        right = builder.broadcast(y, shape[:-2], rank)
        if not isinstance(builder.steps[right].kind, ops.Const):
            kept = np.repeat(np.arange(math.prod(shape[:-2])), shape[-2])
            right = builder.add(Reorder(kept), (right,), Stream(grid, builder.stream(right).token))
        return builder.token_op(ops.Reshape((shape[-1],)), (builder.token_op(node.op, (left, right), grid),), grid)
    grid = shape[: min(builder.common_grid_axes(node), rank - 2)]
    return builder.token_op(node.op, [builder.broadcast(arg, grid, rank) for arg in (x, y)], grid)


def _in_turns(builder: DataflowBuilder, node: Node) -> StepId | None:
    """Place a product of whole tensors: a token has as few rows of the first as the cycles allow, or matrices of the batch.

    None with a single cycle, for rows that come in few enough tokens, and for tensors that are not of one batch.
    """
    x, y = builder.operands(node)
    (*batch, n, k), m, cycles = builder.shape(x), builder.shape(y)[-1], builder.directives.reuse_factor(node.layer)
    units = math.prod(batch)
    if cycles == 1 or (builder.grid_axes(x) and units * n <= cycles):
        return None
    if [*builder.shape(y)[:-2]] != batch or any(map(builder.is_constant, (x, y))):
        return None
    turns = max(number for number in divisors(units) if number <= cycles)
    parts = max(number for number in divisors(n) if number <= cycles // units) if turns == units else 1
    left = builder.regroup(builder.native_form(x), (turns * parts,), (units // turns, n // parts, k))
    right = builder.regroup(builder.native_form(y), (turns,), (units // turns, k, m))
    if parts > 1:
        right = builder.repeated(right, np.repeat(np.arange(turns), parts), (turns * parts,))
    products = builder.token_op(node.op, (left, right), (turns * parts,))
    return builder.with_native_form(products, node.type.shape[:-1], node.type.shape[-1:])


def _in_narrow_tokens(builder: DataflowBuilder, node: Node) -> StepId | None:
    """Weights from outside in groups, or two variables, a few elements at a time; None if whole tokens take less area."""
    grouped = loaded_groups(builder, node)
    if grouped is not None:
        return of_groups(builder, grouped, node, node.layer)
    chosen = _chosen_tile(builder, node)
    return None if chosen is None else _tiled(builder, node, *chosen)


@dataclass(frozen=True, slots=True)
class _Tile:
    """A part of the second operand (k, m) that is multiplied at once: some ``rows`` of so many ``columns``."""

    rows: int
    columns: int

    @property
    def size(self) -> int:
        """Elements of a tile."""
        return self.rows * self.columns


def _chosen_tile(builder: DataflowBuilder, node: Node) -> tuple[_Tile, _Order] | None:
    """The tile that takes the least area in the cycles that a row has; None if there is none, or all at once takes less."""
    x, y = builder.operands(node)
    *batch, k, m = builder.shape(y)
    if any(builder.is_constant(arg) or builder.is_parameter(arg) for arg in (x, y)):
        return None
    if builder.shape(x)[:-2] != tuple(batch) or node.type.shape[:-2] != tuple(batch):
        return None
    cycles = builder.directives.reuse_factor(node.layer)
    lines = [_Tile(rows, 1) for rows in divisors(k)] + [_Tile(1, columns) for columns in divisors(m)[1:]]
    blocks = [_Tile(rows, columns) for rows in divisors(k)[1:] for columns in divisors(m)[1:]]
    wide = node.type.max_width
    x_bits, y_bits = (max(builder.program.nodes[arg].type.max_width, 1) for arg in (x, y))
    # Blocks are put together from lines, which takes a memory more: where there are not cycles enough for lines.
    for tiles in (lines, blocks):
        fitting = [tile for tile in tiles if 1 < k * m // tile.size <= cycles]
        orders = {tile: order for tile in fitting if (order := _order(builder, node, tile)) is not None}
        areas = {tile: area_of_pairs(tile.size, k * m, x_bits, y_bits, wide) for tile in orders}
        best = min(areas, key=lambda tile: (areas[tile], -tile.rows), default=None)
        if best is not None:
            whole = area_of_whole_pairs(k, m, x_bits, y_bits, wide)
            return (best, orders[best]) if areas[best] < whole else None
    return None


@dataclass(frozen=True, slots=True)
class _Order:
    """The value whose elements are read, the exchange of its axes, and whether a token has elements of a column, or of a row."""

    value: NodeId
    exchange: Exchange
    upright: bool


def _order(builder: DataflowBuilder, node: Node, tile: _Tile) -> _Order | None:
    """Return the order in which the second operand is read for tiles of each part of its columns; None if it cannot be.

    A block comes as its rows, or else as its columns. There may not be more of these than rows of the first operand: it would
    take longer to put all blocks together than to multiply.
    """
    x, y = builder.operands(node)
    n = builder.shape(x)[-2]
    *batch, rows, columns = range(len(builder.shape(y)))
    for upright, axis, line, lines in (False, columns, tile.columns, tile.rows), (True, rows, tile.rows, tile.columns):
        if lines == 1 or (line > 1 and lines <= n):
            read = _read(builder, y, (*batch, columns, rows), axis, line)
            if read is not None:
                return _Order(*read, upright)
    return None


def _tiles(builder: DataflowBuilder, node: Node, tile: _Tile, order: _Order) -> StepId:
    """The tiles (rows, columns) of the second operand, each part of the columns in turn, over and over for each row."""
    x, y = builder.operands(node)
    (*batch, n, _), (*_, k, m) = builder.shape(x), builder.shape(y)
    units, every, shape = math.prod(batch), k * m // tile.size, (tile.rows, tile.columns)
    line = tile.rows if order.upright else tile.columns
    lines = narrow(builder, order.value, line, builder.shape(order.value)[:-1])
    if line == tile.size:
        read = reordered(builder, lines, order.exchange, units, n)
        return builder.regroup(read, (*batch, n, every), shape)
    lines, grid = reordered(builder, lines, order.exchange), (units * every,)
    if order.upright:  # the columns of a block are far from each other
        lines = reordered(builder, lines, Exchange(units * m // tile.columns, tile.columns, k // tile.rows, 1))
        blocks = builder.token_op(ops.Transpose((1, 0)), (builder.regroup(lines, grid, shape[::-1]),), grid)
    else:
        blocks = builder.regroup(lines, grid, shape)
    read = reordered(builder, blocks, Exchange(1, 1, 1, units * every), units, n)
    return builder.regroup(read, (*batch, n, every), shape)


def _read(
    builder: DataflowBuilder, arg: NodeId, order: tuple[int, ...], inner: int, size: int
) -> tuple[NodeId, Exchange] | None:
    """Return the reads of a value ``arg`` with its axes in another ``order``.

    Elements come as tokens of ``size`` neighbors along the axis ``inner``. None if they cannot.
    """
    node = builder.program.nodes[arg]
    source, perm = arg, tuple(range(len(order)))
    if isinstance(node.op, ops.Transpose):
        (source,), perm = builder.operands(node), node.op.perm
    shape = [*builder.shape(source)]
    if size > 1 and perm[inner] != len(shape) - 1:
        return None
    shape[-1] //= size
    exchange = Exchange.of(tuple(shape), tuple(perm[axis] for axis in order))
    return None if exchange is None else (source, exchange)


def _tiled(builder: DataflowBuilder, node: Node, tile: _Tile, order: _Order) -> StepId:
    """For each row of the first operand, and each part of the columns, the sum of the products with all tiles, in ``order``."""
    x, y = builder.operands(node)
    *batch, n, _ = builder.shape(x)
    *_, k, m = builder.shape(y)
    steps, groups, units = k // tile.rows, m // tile.columns, math.prod(batch)
    place = (*batch, n, groups * steps)
    axes = tuple(range(len(batch) + 2))
    source, exchange = _read(builder, x, axes, axes[-1], tile.rows) or (x, Exchange(1, 1, 1, 1))
    chunks = reordered(builder, narrow(builder, source, tile.rows, builder.shape(source)[:-1]), exchange)
    chunks = reordered(builder, chunks, Exchange(1, 1, 1, units * n * steps), units * n, groups)
    chunks = builder.regroup(chunks, place, (1, tile.rows))
    products = builder.token_op(ops.MatMul(), (chunks, _tiles(builder, node, tile, order)), place)
    if steps > 1:
        products = builder.reduced(ops.Sum((0,)), products, steps, (*batch, n, groups))
    return with_type_of(builder, products, node, node.type.shape[:-1], node.type.shape[-1:])


@dataclass(frozen=True, slots=True)
class _Turns:
    """The folding of the product of each group, and in how many ``turns`` the groups are multiplied."""

    folding: Folding
    turns: int


def groups_at_once(builder: DataflowBuilder, node: Node) -> StepId | None:
    """``(*positions, groups, 1, n) @ (groups, n, m)`` where the second operand is of a parameter; None of anything else.

    None, too, where no multipliers are shared: then one word of all weights is as good, and needs no memory before the products.
    """
    x, _ = builder.operands(node)
    found = parameter_of_groups(builder, node)
    if found is None or builder.is_constant(x):
        return None
    factor, places = found
    (groups, n, m), kind = places.shape, builder.program.nodes[x].type
    axes = min(builder.grid_axes(x), len(kind.shape) - 3)
    cycles = builder.directives.reuse_factor(node.layer)
    if builder.directives.parallel:
        cycles = max(cycles // math.prod(kind.shape[:axes]), 1)
    vectors, block = math.prod(kind.shape[axes:-2]), builder.directives.block
    whole = builder.directives.parallel and axes == 0
    matrix = Matrix.of(LoadedMatrix(factor, (n, m)), kind, node.type, vectors, block, whole=whole)
    chosen = _chosen(replace(matrix, column_pairs=False, vector_pairs=False), groups, cycles)
    folding, turns = chosen.folding, chosen.turns
    if turns * folding.cycles == 1:
        return None
    sets, width = groups // turns, m // folding.groups
    in_order = places.reshape(turns, sets, n, folding.groups, width).transpose(2, 0, 3, 1, 4)
    weights = matrix_of_blocks(factor, in_order.reshape(n, groups * m))
    chunks = _chunks(builder, x, axes, groups, chosen)
    grid = (*kind.shape[:axes], folding.serial)
    parts = turns * folding.groups
    results = product_with_parameter(builder, weights, chunks, folding.steps, parts, grid, sets=sets)
    lanes = builder.stream(results).token.shape[0]
    if (lanes > sets and parts > 1) or (sets > 1 and folding.groups > 1):
        results = builder.regroup(results, grid, (turns, folding.groups, lanes // sets, sets, width))
        results = builder.token_op(ops.Transpose((2, 0, 3, 1, 4)), (results,), grid)
    return with_type_of(builder, results, node, node.type.shape[:axes], node.type.shape[axes:])


def _chosen(matrix: Matrix, groups: int, cycles: int) -> _Turns:
    """The folding that takes the least area for vectors of all groups, ``matrix.vectors``, in at most so many cycles."""
    areas = dict[_Turns, float]()
    for turns in divisors(groups):
        if turns <= cycles:
            part = replace(matrix, vectors=matrix.vectors // turns, sets=groups // turns)
            folding = choose_folding(part, cycles // turns, MultiplierStyle.LOADED)
            lanes = part.vectors // folding.serial
            held = area_of_regrouping(lanes * turns * matrix.n, lanes * matrix.n, matrix.operand) if turns > 1 else 0.0
            areas[_Turns(folding, turns)] = part.area(folding) + held
    return min(areas, key=lambda one: (areas[one], one.turns * one.folding.cycles))


def _chunks(builder: DataflowBuilder, x: NodeId, axes: int, groups: int, chosen: _Turns) -> StepId:
    """Tokens (lanes, n / steps) of ``x``: some positions' numbers of the groups of a turn, for each part of their results."""
    kind, folding, turns = builder.program.nodes[x].type, chosen.folding, chosen.turns
    grid, n = (*kind.shape[:axes], folding.serial), kind.shape[-1]
    positions, sets = math.prod(kind.shape[axes:-3]) // folding.serial, groups // turns
    steps, lanes = folding.steps, positions * sets
    size = -(-n // steps)
    step = builder.regroup(builder.with_grid(x, axes), grid, (positions * groups, n))
    if steps * size > n:
        step = builder.token_op(ops.Pad((0, 0), (0, steps * size - n)), (step,), grid)
    cut = builder.token_op(ops.Reshape((positions, turns, sets, steps, size)), (step,), grid)
    step = builder.token_op(ops.Transpose((1, 3, 0, 2, 4)), (cut,), grid)
    if turns > 1 and folding.groups > 1:
        step = builder.regroup(step, (*grid, turns), (steps, lanes, size))
    token = regrouped(builder.stream(step).token, (lanes, size))
    stream = Stream((*grid, turns * folding.groups * steps), token)
    return builder.add(WidthConverter(folding.groups), (step,), stream)
