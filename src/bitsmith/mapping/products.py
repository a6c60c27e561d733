"""Products of matrices in tokens: unrolled, folded over several cycles, or added up as tokens come."""

from __future__ import annotations

import math

import numpy as np

from bitsmith.dataflow.processes import Fold, Grid, Reorder, Stream, WidthConverter, hull, regrouped
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node
from bitsmith.ir.scaling import linear_weights
from bitsmith.ir.types import TensorType, objects
from bitsmith.mapping.builder import DataflowBuilder
from bitsmith.mapping.folding import Cut, Factor, Matrix, Products, cut, cut_of_tokens, weights_of
from bitsmith.mapping.parameters import product_with_parameter


def linear(draft: DataflowBuilder, op: Factor, node: Node) -> int:
    """``x @ matrix`` over the last axis."""
    arg, layer = node.args[0], node.layer
    kind, multiplier_style = draft.program.nodes[arg].type, _made_of(draft, op, layer)
    flattened = _flattened(draft, arg)
    if flattened is not None and multiplier_style is not Products.GRAPHS:
        return _accumulated(draft, op, flattened, node)
    axes = min(draft.axes(arg), len(kind.shape) - 1)
    number = draft.directives.at_once(layer, kind.shape[:axes])
    if number > 1:
        return _at_several_positions(draft, op, node, axes, number)
    whole = draft.directives.parallel and axes == 0
    matrix = Matrix.of(op, kind, node.type, math.prod(kind.shape[axes:-1]), draft.directives.block, whole=whole)
    cycles = draft.directives.cycles(layer)
    if draft.directives.parallel:
        cycles = max(cycles // math.prod(kind.shape[:axes]), 1)
    chosen = cut(matrix, cycles, multiplier_style)
    if chosen.cycles == 1 and isinstance(op, ops.Linear):
        step = draft.level(arg, axes)
        return draft.token_op(op, (step,), draft.steps[step].stream.grid)
    vectors = draft.regroup(
        draft.level(arg, axes), (*kind.shape[:axes], chosen.serial), _lanes(kind.shape[axes:], chosen)
    )
    kept = axes if chosen.serial < math.prod(kind.shape[axes:-1]) else len(kind.shape) - 1
    return _folded(draft, op, node, vectors, kept, chosen)


def _made_of(draft: DataflowBuilder, op: Factor, layer: str) -> Products:
    return Products.LOADED if isinstance(op, ops.Parameter) else draft.directives.multiplier_style(layer)


def _at_several_positions(draft: DataflowBuilder, op: Factor, node: Node, axes: int, number: int) -> int:
    """Products of ``number`` positions, which come in one token."""
    arg = node.args[0]
    kind = draft.program.nodes[arg].type
    matrix = Matrix.of(
        op, kind, node.type, number * math.prod(kind.shape[axes:-1]), draft.directives.block, whole=False
    )
    chosen = cut(matrix, draft.directives.cycles(node.layer), _made_of(draft, op, node.layer))
    vectors = draft.several(arg, number, axes)
    (tokens,) = draft.steps[vectors].stream.grid
    if chosen.cycles == 1 and isinstance(op, ops.Linear):
        return draft.made(draft.token_op(op, (vectors,), (tokens,)), node.type.shape[:axes], node.type.shape[axes:])
    shape = (number, *kind.shape[axes:])
    return _folded(
        draft, op, node, draft.regroup(vectors, (tokens, chosen.serial), _lanes(shape, chosen)), axes, chosen
    )


def _lanes(shape: tuple[int, ...], chosen: Cut) -> tuple[int, int]:
    """The vectors of a token of ``shape`` that are multiplied at once."""
    return math.prod(shape[:-1]) // chosen.serial, shape[-1]


def is_flat(shape: tuple[int, ...]) -> bool:
    """Whether a tensor of ``shape`` is a single vector."""
    return len(shape) > 0 and math.prod(shape) == shape[-1]


def takes_flat(draft: DataflowBuilder, node: Node) -> bool:
    """Whether ``node`` is a product that takes a single vector as it comes."""
    return weights_of(draft.program, node) is not None


def _flattened(draft: DataflowBuilder, index: int) -> int | None:
    """A streamed tensor of which node ``index`` is the flat form, where a single vector comes of many tokens."""
    node = draft.program.nodes[index]
    if not isinstance(node.op, ops.Reshape) or not is_flat(node.type.shape):
        return None
    (arg,) = node.args
    return arg if not draft.is_constant(arg) and draft.stream(arg).tokens > 1 else None


def _accumulated(draft: DataflowBuilder, op: Factor, index: int, node: Node) -> int:
    """Products of each token as it comes, added up over the frame; of a frame that comes again for each group of results."""
    tokens = draft.several(index, draft.at_once(index), draft.axes(index))
    stream = draft.steps[tokens].stream
    matrix = Matrix.of(op, draft.program.nodes[index].type, node.type, 1, draft.directives.block, whole=False)
    chosen = cut_of_tokens(matrix, stream.tokens, draft.directives.cycles(node.layer), _made_of(draft, op, node.layer))
    steps, groups = chosen.steps, chosen.groups
    chunks = draft.regroup(tokens, (steps,), (1, math.prod(stream.shape) // steps))
    if groups > 1:
        token = draft.steps[chunks].stream.token
        chunks = draft.put(Reorder(np.tile(np.arange(steps), groups)), (chunks,), Stream((groups * steps,), token))
    results = _tiled(draft, op, node, chunks, steps, groups, ())
    return _product(draft, results, node, (), node.type.shape)


def _folded(draft: DataflowBuilder, op: Factor, node: Node, vectors: int, axes: int, chosen: Cut) -> int:
    """A matrix product over several cycles: at several positions after one another, in tiles of the matrix.

    ``vectors`` are tokens (lanes, n); the result has the first ``axes`` axes as grid.
    """
    n, m = op.weights.shape if isinstance(op, ops.Linear) else op.raw.shape
    steps, groups = chosen.steps, chosen.groups
    grid = draft.steps[vectors].stream.grid
    lanes, _ = draft.steps[vectors].stream.token.shape
    size = -(-n // steps)
    place, shape_there = node.type.shape[:axes], node.type.shape[axes:]
    if not chosen.multipliers:
        return draft.made(draft.token_op(op, (vectors,), grid), place, shape_there)
    if steps * size > n:
        vectors = draft.token_op(ops.Pad((0, 0), (0, steps * size - n)), (vectors,), grid)
    cut_up = draft.token_op(ops.Reshape((lanes, steps, size)), (vectors,), grid)
    if lanes > 1:
        cut_up = draft.token_op(ops.Transpose((1, 0, 2)), (cut_up,), grid)
    chunk = regrouped(draft.steps[cut_up].stream.token, (lanes, size))
    chunks = draft.put(WidthConverter(groups), (cut_up,), Stream((*grid, groups * steps), chunk))
    results = _tiled(draft, op, node, chunks, steps, groups, grid)
    if lanes > 1 and groups > 1:
        results = draft.regroup(results, grid, (groups, lanes, m // groups))
        results = draft.token_op(ops.Transpose((1, 0, 2)), (results,), grid)
    return _product(draft, results, node, place, shape_there)


def _product(draft: DataflowBuilder, results: int, node: Node, grid: Grid, shape: tuple[int, ...]) -> int:
    """The results of a fold, which are the elements of a product in order, in the formats and at the places of that."""
    token = draft.steps[results].stream.token
    kind = regrouped(hull(node.type, len(grid)), token.shape)
    return draft.made(draft.narrowed(results, kind), grid, shape)


def _tiled(draft: DataflowBuilder, op: Factor, node: Node, chunks: int, steps: int, groups: int, grid: Grid) -> int:
    """Tokens (lanes, m / groups) of the product of tokens (lanes, n / steps), at ``grid`` and the groups."""
    if isinstance(op, ops.Linear):
        return _fold(draft, op, chunks, steps, groups, grid)
    return product_with_parameter(draft, op, draft.program.nodes[node.args[1]], chunks, steps, groups, grid)


def _fold(draft: DataflowBuilder, op: ops.Linear, chunks: int, steps: int, groups: int, grid: Grid) -> int:
    """Tokens (lanes, m / groups) of the product of tokens (lanes, n / steps), at ``grid`` and the groups."""
    stream = draft.steps[chunks].stream
    lanes, size = stream.token.shape
    n, m = op.weights.shape
    width = -(-m // groups)
    weights, frac = np.zeros((steps * size, groups * width), dtype=np.object_), np.zeros((1, 1), dtype=np.int64)
    weights[:n, :m], frac = op.weights, op.frac
    padded = np.zeros((steps * size, groups * width), dtype=np.int64)
    padded[:n, :m] = frac
    each = hull(stream.token, 1)  # one type for all lanes
    full = TensorType.of((steps, size), *(objects(part).reshape(1, -1) for part in (each.frac, each.lo, each.hi)))
    operand = infer(ops.Reshape((steps * size,)), [full])
    linear = ops.Linear(weights, padded)
    matrix, fracs = linear_weights(linear, operand)
    most = int(fracs.max())
    matrix = objects(matrix << objects(most - fracs))
    result = infer(linear, [operand])
    token = hull(infer(ops.Reshape((groups, width)), [result]), 1)
    lo, hi = (objects(part << objects(most - token.frac)) for part in (token.lo, token.hi))
    kind = TensorType.of((lanes, width), most, lo.reshape(1, -1), hi.reshape(1, -1))
    tiles = matrix.reshape(steps, size, groups, width).transpose(2, 0, 1, 3)
    return draft.put(Fold(objects(tiles), most), (chunks,), Stream((*grid, groups), kind))


def matmul(draft: DataflowBuilder, node: Node) -> int:
    """Row by row of the first operand where that is how it comes; the second one whole but for batch axes."""
    x, y = node.args
    factor = weights_of(draft.program, node)
    if factor is not None and not draft.is_constant(x):
        return linear(draft, factor, node)
    shape = node.type.shape
    rank = len(shape)
    rows = not draft.is_constant(x) and draft.axes(x) + rank - len(draft.shape(x)) >= rank - 1 and draft.axes(x) > 0
    if rows:
        grid = shape[:-1]
        left = draft.spread(x, grid, rank)
        left = draft.token_op(ops.Reshape((1, draft.shape(x)[-1])), (left,), grid)
        right = draft.spread(y, shape[:-2], rank)
        if not isinstance(draft.steps[right].kind, ops.Const):
            kept = np.repeat(np.arange(math.prod(shape[:-2])), shape[-2])
            right = draft.put(Reorder(kept), (right,), Stream(grid, draft.steps[right].stream.token))
        return draft.token_op(ops.Reshape((shape[-1],)), (draft.token_op(node.op, (left, right), grid),), grid)
    axes = max((draft.axes(arg) + rank - len(draft.shape(arg)) for arg in node.args if draft.axes(arg)), default=0)
    grid = shape[: min(axes, rank - 2)]
    return draft.token_op(node.op, [draft.spread(arg, grid, rank) for arg in (x, y)], grid)
