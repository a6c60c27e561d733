"""Parameters in tokens: from a memory that can be loaded, or from outside for each frame."""

import math
from dataclasses import replace

import numpy as np

from bitsmith.dataflow.kinds import FoldedProduct, Rom, Source
from bitsmith.dataflow.tokens import Grid, LoadableWeights, Stream, union_type
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node
from bitsmith.ir.types import TensorType, compact, objects
from bitsmith.mapping.builder import DataflowBuilder, NodeId, StepId, parts_of
from bitsmith.mapping.folding import LoadedMatrix
from bitsmith.mapping.sweeps import Exchange, reordered


def whole_parameter(builder: DataflowBuilder, op: ops.Parameter, node: Node) -> StepId:
    """All of a parameter as one token."""
    return _given(builder, op, loaded(op, node, (1, op.raw.size), 1, 1), op.raw.shape, ())


def viewed_parameter(builder: DataflowBuilder, index: NodeId, shape: tuple[int, ...], stream: Stream) -> StepId | None:
    """A parameter that broadcasts to ``shape``, for tokens like those of ``stream``; None if they do not take it in its order."""
    node = builder.program.nodes[index]
    op = node.op
    assert isinstance(op, ops.Parameter)
    places = np.broadcast_to(np.arange(op.raw.size).reshape(op.raw.shape), shape).reshape(stream.shape)
    places = places.reshape(stream.tokens, *stream.token.shape)
    there = compact(objects(places[0]))  # along axes on which all take the same, one is given
    token = there.shape
    places = places[(slice(None), *(slice(0, n) for n in token))]
    if op.raw.size % math.prod(token):
        return None
    parts = op.raw.size // math.prod(token)
    in_order = np.arange(op.raw.size).reshape(parts, *token)
    if stream.tokens % parts or not np.array_equal(places, in_order[np.arange(stream.tokens) % parts]):
        return None
    return _given(builder, op, loaded(op, node, (1, op.raw.size), 1, parts), token, stream.grid)


def product_with_parameter(
    builder: DataflowBuilder, matrix: LoadedMatrix, chunks: StepId, steps: int, groups: int, grid: Grid, *, sets: int
) -> StepId:
    """Tokens (lanes, m / groups) of the product of tokens (lanes, n / steps), at ``grid`` and the groups.

    With several ``sets`` as many lanes in a row are multiplied with a share of the columns each.
    """
    op = matrix.node.op
    assert isinstance(op, ops.Parameter)
    chunks = builder.cast_to(chunks, builder.stream(chunks).token.aligned())
    stream = builder.stream(chunks)
    lanes, size = stream.token.shape
    width = matrix.shape[1] // groups
    weights = replace(loaded(op, matrix.node, matrix.shape, steps, groups), blocks=matrix.blocks, across=matrix.across)
    tile = weights.token((size, width))
    element = union_type(stream.token, 1)  # one type for all lanes
    frac = element.span.frac + tile.span.frac
    if op.external or not builder.directives.tables:
        place = (*grid, groups * steps)
        tiles = _given(builder, op, weights, (size, width), place)
        products = _by_tiles(builder, chunks, tiles, sets)
        if steps == 1:
            return builder.regroup(products, (*grid, groups), (lanes, width // sets))
        return builder.reduced(ops.Sum((0,)), products, steps, (*grid, groups))
    row = TensorType.of((1, steps * size), *(np.tile(np.broadcast_to(part, size), steps) for part in parts_of(element)))
    result = infer(ops.MatMul(), [row, weights.token((steps * size, width))])
    lo, hi = (np.broadcast_to(part, (1, width)).reshape(sets, -1) for part in (result.lo, result.hi))
    lo, hi = (np.tile(part, (lanes // sets if sets > 1 else 1, 1)) for part in (lo, hi))
    kind = TensorType.of((lanes, width // sets), frac, objects(lo), objects(hi))
    product = FoldedProduct(weights.tiles(op.raw), frac, weights, sets)
    return builder.add(product, (chunks,), Stream((*grid, groups), kind))


def _by_tiles(builder: DataflowBuilder, chunks: StepId, tiles: StepId, sets: int) -> StepId:
    """Tokens (lanes, n) by tokens (n, m), or lanes in a row by their shares of those of several ``sets`` of columns."""
    stream, (size, width) = builder.stream(tiles), builder.stream(tiles).token.shape
    if sets == 1:
        return builder.token_op(ops.MatMul(), (chunks, tiles), stream.grid)
    lanes = builder.stream(chunks).token.shape[0]
    rows = builder.token_op(ops.Reshape((lanes // sets, sets, 1, size)), (chunks,), stream.grid)
    cut = builder.token_op(ops.Reshape((size, sets, width // sets)), (tiles,), stream.grid)
    columns = builder.token_op(ops.Transpose((1, 0, 2)), (cut,), stream.grid)
    products = builder.token_op(ops.MatMul(), (rows, columns), stream.grid)
    return builder.token_op(ops.Reshape((lanes, width // sets)), (products,), stream.grid)


def loaded(op: ops.Parameter, node: Node, matrix: tuple[int, int], steps: int, groups: int) -> LoadableWeights:
    """The order in which the elements of ``op``, seen as a ``matrix``, are loaded."""
    span = node.type.span
    return LoadableWeights(node.layer, op.name, matrix, steps, groups, span.lo, span.hi, span.frac)


def _given(
    builder: DataflowBuilder, op: ops.Parameter, weights: LoadableWeights, shape: tuple[int, ...], grid: Grid
) -> StepId:
    """Tokens of ``shape`` at the positions of ``grid``: all of the parameter over and over."""
    parts = weights.steps * weights.groups
    times = math.prod(grid) // parts
    token = weights.token(shape)
    if not op.external:
        tokens = weights.tiles(op.raw).reshape(parts, *shape)
        return builder.add(Rom(np.tile(tokens, (times, *(1 for _ in shape))), weights), (), Stream(grid, token))
    entry = Source(f"{weights.layer}_{weights.name}", weights)
    if times == 1:
        return builder.add(entry, (), Stream(grid, token))
    step = builder.add(entry, (), Stream((parts,), token))
    return builder.regroup(reordered(builder, step, Exchange(1, 1, 1, parts), 1, times), grid, shape)
