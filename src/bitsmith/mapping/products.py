"""Products of matrices in tokens: unrolled, folded over several cycles, or added up as tokens come."""

import math
from dataclasses import replace

import numpy as np

from bitsmith.dataflow.kinds import FoldedProduct, WidthConverter
from bitsmith.dataflow.tokens import Grid, Stream, regrouped, union_type
from bitsmith.dataflow.wires import padding_of
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node
from bitsmith.ir.scaling import machine_weights, raised
from bitsmith.ir.types import IntArray, TensorType, objects
from bitsmith.mapping.areas import size_of_parts
from bitsmith.mapping.builder import DataflowBuilder, NodeId, StepId
from bitsmith.mapping.folding import (
    Factor,
    Folding,
    LoadedMatrix,
    Matrix,
    MultiplierStyle,
    choose_folding,
    choose_folding_of_tokens,
    matrix_shape,
)
from bitsmith.mapping.grouped import Grouped, grouped_product
from bitsmith.mapping.live import Live
from bitsmith.mapping.parameters import product_with_parameter
from bitsmith.mapping.sweeps import Windows, again, choose_tiles, swept, takes_narrow_tokens, windows_of


def linear(builder: DataflowBuilder, op: Factor, node: Node) -> StepId:
    """``x @ matrix`` over the last axis."""
    arg, layer = builder.operands(node)[0], node.layer
    kind, multiplier_style = builder.program.nodes[arg].type, _multiplier_style(builder, op, layer)
    if takes_narrow_tokens(builder, node):
        grouped = grouped_product(builder, node)
        narrow = _in_narrow_tokens(builder, op, grouped, node, multiplier_style)
        if narrow is not None:
            return narrow
        if grouped is not None and multiplier_style is MultiplierStyle.SHARED:
            # Multipliers of whole tokens would multiply zeros beside the blocks.
            multiplier_style = MultiplierStyle.CHEAPEST
    unflattened = _unflattened(builder, arg)
    if unflattened is not None and multiplier_style is not MultiplierStyle.GRAPHS:
        return _accumulated(builder, op, unflattened, node)
    axes = min(builder.grid_axes(arg), len(kind.shape) - 1)
    number = builder.directives.parallelism(layer, kind.shape[:axes])
    if number > 1:
        return _at_several_positions(builder, op, node, axes, number)
    whole = builder.directives.parallel and axes == 0
    matrix = Matrix.of(op, kind, node.type, math.prod(kind.shape[axes:-1]), builder.directives.block, whole=whole)
    padding = padding_of(builder.program, arg)
    if padding is not None:
        zeros = np.all(padding.reshape(-1, matrix.vectors, matrix.n), axis=0)
        matrix = replace(matrix, live=Live(np.logical_not(zeros)) if np.any(zeros) else None)
    cycles = builder.directives.reuse_factor(layer)
    if builder.directives.parallel:
        cycles = max(cycles // math.prod(kind.shape[:axes]), 1)
    chosen = choose_folding(matrix, cycles, multiplier_style)
    if chosen.cycles == 1 and isinstance(op, ops.Linear):
        step = builder.with_grid(arg, axes)
        return builder.token_op(op, (step,), builder.stream(step).grid)
    vectors = builder.regroup(
        builder.with_grid(arg, axes), (*kind.shape[:axes], chosen.serial), _lanes(kind.shape[axes:], chosen)
    )
    kept = axes if chosen.serial < math.prod(kind.shape[axes:-1]) else len(kind.shape) - 1
    return _folded(builder, op, node, vectors, kept, chosen)


def _in_narrow_tokens(
    builder: DataflowBuilder, op: Factor, grouped: Grouped | None, node: Node, style: MultiplierStyle
) -> StepId | None:
    """Products of parts of windows that are read from a memory, if that takes the least area."""
    (arg, *_) = builder.operands(node)
    windows, blocks = windows_of(builder, arg, len(builder.shape(arg)) - 1), 1
    if grouped is not None:
        op, windows, blocks = grouped.op, grouped.windows, grouped.groups
    return None if windows is None else _of_windows(builder, op, windows, blocks, node, style)


def in_groups(builder: DataflowBuilder, node: Node) -> StepId | None:
    """The products of groups of channels side by side, in narrow tokens; None if that is not what ``node`` is, or wanted."""
    layers = {builder.program.nodes[arg].layer for arg in node.args}
    if not takes_narrow_tokens(builder, node) or len(layers) > 1:
        return None
    grouped = grouped_product(builder, node)
    if grouped is None:
        return None
    return of_groups(builder, grouped, node, *layers)


def of_groups(builder: DataflowBuilder, grouped: Grouped, node: Node, layer: str) -> StepId | None:
    """The products ``grouped``, which ``node`` is; None if they are not wanted so."""
    style = _multiplier_style(builder, grouped.op, layer)
    return _of_windows(builder, grouped.op, grouped.windows, grouped.groups, node, style)


def _of_windows(
    builder: DataflowBuilder, op: Factor, windows: Windows, blocks: int, node: Node, style: MultiplierStyle
) -> StepId | None:
    """Products of windows in ``blocks`` blocks of channels; None if wide tokens take less area."""
    chosen = choose_tiles(builder, op, windows, blocks, node, style)
    if chosen is None:
        return None
    folding, size, lanes = chosen.folding, chosen.size, chosen.lanes
    chunks = swept(builder, windows, size * lanes, blocks // lanes, folding.groups * lanes // blocks)
    grid = builder.stream(chunks).grid
    chunks = builder.regroup(chunks, grid, (lanes, size))
    results = _tiled(builder, op, chunks, folding.steps, folding.groups, windows.places, sets=lanes)
    axes = len(node.type.shape) - (3 if isinstance(node.op, ops.MatMul) and blocks > 1 else 1)  # a row for each group
    return with_type_of(builder, results, node, node.type.shape[:axes], node.type.shape[axes:])


def _multiplier_style(builder: DataflowBuilder, op: Factor, layer: str) -> MultiplierStyle:
    return MultiplierStyle.LOADED if isinstance(op, LoadedMatrix) else builder.directives.multiplier_style(layer)


def _at_several_positions(builder: DataflowBuilder, op: Factor, node: Node, axes: int, number: int) -> StepId:
    """Products of ``number`` positions, which come in one token."""
    arg = builder.operands(node)[0]
    kind = builder.program.nodes[arg].type
    matrix = Matrix.of(
        op, kind, node.type, number * math.prod(kind.shape[axes:-1]), builder.directives.block, whole=False
    )
    chosen = choose_folding(
        matrix, builder.directives.reuse_factor(node.layer), _multiplier_style(builder, op, node.layer)
    )
    vectors = builder.grouped(arg, number, axes)
    (tokens,) = builder.stream(vectors).grid
    if chosen.cycles == 1 and isinstance(op, ops.Linear):
        return builder.with_native_form(
            builder.token_op(op, (vectors,), (tokens,)), node.type.shape[:axes], node.type.shape[axes:]
        )
    shape = (number, *kind.shape[axes:])
    return _folded(
        builder, op, node, builder.regroup(vectors, (tokens, chosen.serial), _lanes(shape, chosen)), axes, chosen
    )


def _lanes(shape: tuple[int, ...], chosen: Folding) -> tuple[int, int]:
    """The vectors of a token of ``shape`` that are multiplied at once."""
    return math.prod(shape[:-1]) // chosen.serial, shape[-1]


def is_flat(shape: tuple[int, ...]) -> bool:
    """Return True if a tensor of ``shape`` is a single vector."""
    return len(shape) > 0 and math.prod(shape) == shape[-1]


def _unflattened(builder: DataflowBuilder, flat: NodeId) -> NodeId | None:
    """The streamed tensor that ``flat`` is as a single vector, if it comes in several tokens; else None."""
    node = builder.program.nodes[flat]
    if not isinstance(node.op, ops.Reshape) or not is_flat(node.type.shape):
        return None
    (arg,) = builder.operands(node)
    return arg if not builder.is_constant(arg) and builder.node_stream(arg).tokens > 1 else None


def _accumulated(builder: DataflowBuilder, op: Factor, x: NodeId, node: Node) -> StepId:
    """Products of each token of ``x`` as it comes, added up over the frame, which comes again for each group of results."""
    tokens = builder.grouped(x, builder.native_parallelism(x), builder.grid_axes(x))
    stream = builder.stream(tokens)
    matrix = Matrix.of(op, builder.program.nodes[x].type, node.type, 1, builder.directives.block, whole=False)
    chosen = choose_folding_of_tokens(
        matrix, stream.tokens, builder.directives.reuse_factor(node.layer), _multiplier_style(builder, op, node.layer)
    )
    steps, groups = chosen.steps, chosen.groups
    chunks = builder.regroup(tokens, (steps,), (1, math.prod(stream.shape) // steps))
    if groups > 1:
        chunks = again(builder, chunks, groups)
    results = _tiled(builder, op, chunks, steps, groups, ())
    return with_type_of(builder, results, node, (), node.type.shape)


def _folded(builder: DataflowBuilder, op: Factor, node: Node, vectors: StepId, axes: int, chosen: Folding) -> StepId:
    """A matrix product over several cycles: one position after another, in tiles of the matrix.

    ``vectors`` are tokens (lanes, n); the result has the first ``axes`` axes as grid.
    """
    n, m = matrix_shape(op)
    steps, groups = chosen.steps, chosen.groups
    grid = builder.stream(vectors).grid
    lanes, _ = builder.stream(vectors).token.shape
    size = -(-n // steps)
    place, shape_there = node.type.shape[:axes], node.type.shape[axes:]
    if not chosen.multipliers:
        assert isinstance(op, ops.Linear)
        return builder.with_native_form(builder.token_op(op, (vectors,), grid), place, shape_there)
    if steps * size > n:
        vectors = builder.token_op(ops.Pad((0, 0), (0, steps * size - n)), (vectors,), grid)
    cut_up = builder.token_op(ops.Reshape((lanes, steps, size)), (vectors,), grid)
    if lanes > 1:
        cut_up = builder.token_op(ops.Transpose((1, 0, 2)), (cut_up,), grid)
    chunk = regrouped(builder.stream(cut_up).token, (lanes, size))
    chunks = builder.add(WidthConverter(groups), (cut_up,), Stream((*grid, groups * steps), chunk))
    results = _tiled(builder, op, chunks, steps, groups, grid)
    if lanes > 1 and groups > 1:
        results = builder.regroup(results, grid, (groups, lanes, m // groups))
        results = builder.token_op(ops.Transpose((1, 0, 2)), (results,), grid)
    return with_type_of(builder, results, node, place, shape_there)


def with_type_of(builder: DataflowBuilder, results: StepId, node: Node, grid: Grid, shape: tuple[int, ...]) -> StepId:
    """The results of a folded product, the elements of a product in order, in the formats and at the positions of that."""
    results = _in_turn(builder, results, node)
    token = builder.stream(results).token
    kind = regrouped(union_type(node.type, len(grid)), token.shape)
    return builder.with_native_form(builder.truncated(results, kind), grid, shape)


def _in_turn(builder: DataflowBuilder, results: StepId, node: Node) -> StepId:
    """The results of a folded product in smaller tokens, where that saves multipliers of what follows.

    Those of a token have the cycles in which the next one is made.
    """
    kind, stream = builder.steps[results].kind, builder.stream(results)
    if not isinstance(kind, FoldedProduct):
        return results
    have = stream.token.size
    size = size_of_parts(builder, node, have, kind.steps)
    return results if size == have else builder.regroup(results, (*stream.grid, have // size), (size,))


def _tiled(
    builder: DataflowBuilder, op: Factor, chunks: StepId, steps: int, groups: int, grid: Grid, *, sets: int = 1
) -> StepId:
    """Tokens (lanes, m / groups) of the product of tokens (lanes, n / steps), at ``grid`` and the groups.

    With as many ``sets`` as lanes, each lane is multiplied with its share of the columns.
    """
    if isinstance(op, ops.Linear):
        return _folded_product(builder, op, chunks, steps, groups, grid, sets)
    return product_with_parameter(builder, op, chunks, steps, groups, grid, sets=sets)


def _folded_product(
    builder: DataflowBuilder, op: ops.Linear, chunks: StepId, steps: int, groups: int, grid: Grid, sets: int
) -> StepId:
    """Return a tiled product with constants."""
    stream = builder.stream(chunks)
    lanes, size = stream.token.shape
    n, m = op.weights.shape
    width = -(-m // groups)
    weights = np.zeros((steps * size, groups * width), dtype=op.weights.dtype)
    weights[:n, :m] = op.weights
    padded = np.zeros((steps * size, groups * width), dtype=np.int64)
    padded[:n, :m] = op.frac
    each = union_type(stream.token, 1)  # one type for all lanes
    full = TensorType.of((steps, size), *(objects(part).reshape(1, -1) for part in (each.frac, each.lo, each.hi)))
    operand = infer(ops.Reshape((steps * size,)), [full])
    linear = ops.Linear(weights, padded)
    matrix: IntArray
    matrix, fracs = machine_weights(linear, operand)
    most = int(fracs.max())
    if np.any(fracs != most):
        matrix = raised(matrix, most - fracs)
    result = infer(linear, [operand])
    token = union_type(infer(ops.Reshape((groups, width)), [result]), 1)
    own, lo, hi = (objects(part).reshape(sets, -1) for part in token.full())
    kind = TensorType.of((lanes, width // sets), most, objects(lo << most - own), objects(hi << most - own))
    tiles = matrix.reshape(steps, size, groups, width).transpose(2, 0, 1, 3)
    return builder.add(FoldedProduct(tiles, most, sets=sets), (chunks,), Stream((*grid, groups), kind))
