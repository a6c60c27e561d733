"""Products of matrices in tokens: unrolled, folded over several cycles, or added up as tokens come."""

from __future__ import annotations

import math

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.infer import infer, linear_weights
from bitsmith.ir.program import Node
from bitsmith.ir.types import TensorType, objects
from bitsmith.plan.draft import Draft
from bitsmith.plan.folding import Cut, Matrix, Products, cut, cut_of_tokens
from bitsmith.plan.processes import Fold, Grid, Regroup, Reorder, Stream, hull, regrouped


def linear(draft: Draft, op: ops.Linear, node: Node) -> int:
    (arg,) = node.args
    layer, kind = node.layer, draft.program.nodes[arg].type
    flattened = _flattened(draft, arg)
    if flattened is not None and draft.demand.made_of(layer) is not Products.GRAPHS:
        return _accumulated(draft, op, flattened, node)
    axes = min(draft.axes(arg), len(kind.shape) - 1)
    whole = draft.demand.parallel and axes == 0
    matrix = Matrix.of(op, kind, node.type, math.prod(kind.shape[axes:-1]), whole=whole)
    cycles = draft.demand.cycles(layer)
    if draft.demand.parallel:
        cycles = max(cycles // math.prod(kind.shape[:axes]), 1)
    chosen = cut(matrix, cycles, draft.demand.made_of(layer))
    if chosen.cycles == 1:
        step = draft.level(arg, axes)
        return draft.token_op(op, (step,), draft.steps[step].stream.grid)
    return _folded(draft, op, node, axes, chosen)


def _flattened(draft: Draft, index: int) -> int | None:
    """A streamed tensor of which node ``index`` is the flat form, where a single vector comes of many tokens."""
    node = draft.program.nodes[index]
    if not isinstance(node.op, ops.Reshape) or len(node.type.shape) != 1:
        return None
    (arg,) = node.args
    return arg if not draft.is_constant(arg) and draft.stream(arg).tokens > 1 else None


def _accumulated(draft: Draft, op: ops.Linear, index: int, node: Node) -> int:
    """Products of each token as it comes, added up over the frame; of a frame that comes again for each group of results."""
    stream = draft.stream(index)
    matrix = Matrix.of(op, draft.program.nodes[index].type, node.type, 1, whole=False)
    chosen = cut_of_tokens(matrix, stream.tokens, draft.demand.cycles(node.layer), draft.demand.made_of(node.layer))
    steps, groups = chosen.steps, chosen.groups
    chunks = draft.regroup(draft.of[index], (steps,), (1, math.prod(stream.shape) // steps))
    if groups > 1:
        token = draft.steps[chunks].stream.token
        chunks = draft.put(Reorder(np.tile(np.arange(steps), groups)), (chunks,), Stream((groups * steps,), token))
    results = _fold(draft, op, chunks, steps, groups, ())
    return _product(draft, results, node, (), node.type.shape)


def _folded(draft: Draft, op: ops.Linear, node: Node, axes: int, chosen: Cut) -> int:
    """A matrix product over several cycles: at several positions after one another, in tiles of the matrix."""
    (arg,) = node.args
    shape, (n, m) = draft.shape(arg), op.weights.shape
    steps, groups = chosen.steps, chosen.groups
    lanes, size = math.prod(shape[axes:-1]) // chosen.serial, -(-n // steps)
    grid = (*shape[:axes], chosen.serial)
    kept = axes if lanes > 1 else len(shape) - 1
    place, shape_there = node.type.shape[:kept], node.type.shape[kept:]
    vectors = draft.regroup(draft.level(arg, axes), grid, (lanes, n))
    if not chosen.multipliers:
        result = draft.token_op(op, (vectors,), grid)
        return draft.gathered(result, place, shape_there)
    if steps * size > n:
        vectors = draft.token_op(ops.Pad((0, 0), (0, steps * size - n)), (vectors,), grid)
    cut_up = draft.token_op(ops.Reshape((lanes, steps, size)), (vectors,), grid)
    if lanes > 1:
        cut_up = draft.token_op(ops.Transpose((1, 0, 2)), (cut_up,), grid)
    chunk = regrouped(draft.steps[cut_up].stream.token, (lanes, size))
    chunks = draft.put(Regroup(groups), (cut_up,), Stream((*grid, groups * steps), chunk))
    if lanes == 1 or groups == 1:
        return _product(draft, _fold(draft, op, chunks, steps, groups, grid), node, place, shape_there)
    results = _fold(draft, op, chunks, steps, groups, grid)
    whole = draft.regroup(results, grid, (groups, lanes, m // groups))
    whole = draft.token_op(ops.Transpose((1, 0, 2)), (whole,), grid)
    return draft.narrowed(draft.regroup(whole, shape[:axes], (*shape[axes:-1], m)), hull(node.type, axes))


def _product(draft: Draft, results: int, node: Node, grid: Grid, shape: tuple[int, ...]) -> int:
    """The results of a fold, which are the elements of a product in order, in the formats and at the places of that."""
    token = draft.steps[results].stream.token
    kind = regrouped(hull(node.type, len(grid)), token.shape)
    return draft.gathered(draft.narrowed(results, kind), grid, shape)


def _fold(draft: Draft, op: ops.Linear, chunks: int, steps: int, groups: int, grid: Grid) -> int:
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


def matmul(draft: Draft, node: Node) -> int:
    """Row by row of the first operand where that is how it comes; the second one whole but for batch axes."""
    x, y = node.args
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
