"""Ops that move elements, in tokens: windows, reshapes, concatenation, and every other move."""

import math

import numpy as np

from bitsmith.dataflow.kinds import Interleave, Sweep, Window
from bitsmith.dataflow.timing import is_monotone
from bitsmith.dataflow.tokens import Grid, Stream, regrouped, union_type
from bitsmith.ir import ops
from bitsmith.ir.indexing import Move, moved
from bitsmith.ir.infer import infer
from bitsmith.ir.ops import Positions
from bitsmith.ir.program import Node
from bitsmith.ir.types import TensorType
from bitsmith.mapping.builder import DataflowBuilder, NodeId, StepId, parts_of
from bitsmith.mapping.folding import divisors, weights_of
from bitsmith.mapping.products import in_groups, is_flat
from bitsmith.mapping.sweeps import SINGLE, Exchange, narrow, reordered, takes_narrow_tokens

_MOST_ACTIONS = 4096
"""Parts of tokens are moved as they are where not more of them come in a frame: each has its place in a table."""


def window(builder: DataflowBuilder, op: ops.Window, node: Node) -> StepId:
    (arg,) = builder.operands(node)
    if builder.grid_axes(arg) == 0 and builder.directives.parallel:
        return builder.on_whole_tensors(node)
    rank = len(op.size)
    number = builder.directives.parallelism(node.layer, node.type.shape[:rank])
    if number > 1:
        return _window_of_several(builder, op, node, number)
    step = builder.with_grid(arg, rank)
    return _slide(builder, op, step, node.type.shape[:rank])


def _slide(builder: DataflowBuilder, op: ops.Window, step: StepId, grid: Grid) -> StepId:
    """Windows over the grid of ``step``, whose axes are those of ``op``."""
    stream, rank = builder.stream(step), len(op.size)
    if (*op.size, *op.stride) == (1,) * (2 * rank) and grid == stream.grid:
        return builder.regroup(step, grid, (*op.size, *stream.token.shape))
    full = TensorType.of(stream.shape, *(part.reshape((1,) * rank + part.shape) for part in parts_of(stream.token)))
    return builder.add(Window(op), (step,), Stream(grid, union_type(infer(op, [full]), rank)))


def _window_of_several(builder: DataflowBuilder, op: ops.Window, node: Node, number: int) -> StepId:
    """Windows at ``number`` positions at once: windows over tokens of several positions, and their elements picked from those.

    Along one axis, ``axis``, a token holds ``part`` positions, and all positions of the axes after it.
    """
    (arg,) = builder.operands(node)
    rank = len(op.size)
    have, want = builder.shape(arg), node.type.shape[:rank]
    axis = rank - 1
    while axis and number > want[axis]:
        number //= want[axis]
        axis -= 1
    part = math.gcd(have[axis], number * op.stride[axis])
    before = op.padding[axis][0]
    reach = (number - 1) * op.stride[axis] + (op.size[axis] - 1) * op.dilation[axis]
    first, last = -before // part, (reach - before) // part  # tokens around one that a token of the result takes
    step_of_tokens, tokens = number * op.stride[axis] // part, want[axis] // number
    after = max((tokens - 1) * step_of_tokens + last - (have[axis] // part - 1), 0)
    outer = ops.Window(
        (*op.size[:axis], last - first + 1),
        (*op.stride[:axis], step_of_tokens),
        (*op.dilation[:axis], 1),
        (*op.padding[:axis], (-first, after)),
    )
    inner = have[axis + 1 :]
    step = builder.regroup(builder.native_form(arg), (*have[:axis], have[axis] // part), (part, *inner))
    grid = (*want[:axis], tokens)
    step = _slide(builder, outer, step, grid)
    picked = _picked(op, (number, *want[axis + 1 :]), have, part)
    shape = (*picked.shape[:-1], *have[rank:])
    step = builder.gather(step, np.arange(math.prod(grid)), picked.ravel(), grid, shape)
    return builder.with_native_form(step, want, node.type.shape[rank:])


def _picked(op: ops.Window, positions: Grid, have: tuple[int, ...], part: int) -> Positions:
    """Element numbers (-1: zero) of windows at ``positions`` within tokens (*taps, part, *inner axes, rest); shape
    (*positions, *size, rest).
    """
    rank = len(op.size)
    axis = rank - len(positions)
    rest = math.prod(have[rank:])
    inner = have[axis + 1 : rank]
    first = -op.padding[axis][0] // part
    places = [
        np.arange(number)[:, None] * op.stride[k] + np.arange(op.size[k]) * op.dilation[k] - op.padding[k][0]
        for k, number in zip(range(axis, rank), positions, strict=True)
    ]
    places[0] = places[0] - first * part
    taps = (*op.size[:axis], int(places[0].max()) // part + 1)
    steps = np.cumprod([1, *(*taps, part, *inner, rest)[:0:-1]])[::-1]  # elements from one to the next along each axis
    total = len(positions) + rank + 1

    def along(numbers: Positions, *axes: int) -> Positions:
        shape = np.ones(total, dtype=np.int64)
        shape[list(axes)] = numbers.shape
        return numbers.reshape(shape)

    numbers = along(np.arange(rest), total - 1)
    for k in range(axis):
        numbers = numbers + along(np.arange(op.size[k]) * steps[k], len(positions) + k)
    numbers = numbers + along(
        places[0] // part * steps[axis] + places[0] % part * steps[axis + 1], 0, len(positions) + axis
    )
    inside = np.ones(1, dtype=np.int64)
    for k, (place, size) in enumerate(zip(places[1:], inner, strict=True), start=1):
        numbers = numbers + along(place * steps[axis + 1 + k], k, len(positions) + axis + k)
        within = ((place >= 0) & (place < size)).astype(np.int64)
        inside = inside * along(within, k, len(positions) + axis + k)
    return np.where(inside == 1, numbers, -1)


def reshape(builder: DataflowBuilder, op: ops.Reshape, node: Node) -> StepId:
    (arg,) = builder.operands(node)
    step, stream = builder.step_of[arg], builder.node_stream(arg)
    for axes in range(len(op.shape) + 1):
        if math.prod(op.shape[:axes]) == stream.tokens:
            return builder.regroup(step, op.shape[:axes], op.shape[axes:])
    readers = builder.readers[id(node)]
    if is_flat(op.shape) and all(weights_of(builder.program, reader) is not None for reader in readers):
        return step  # its readers are products, which take the tokens of a single vector as they come
    axes = max(len(op.shape) - 1, 0)
    form = builder.made(arg)
    if builder.stream(form).token.size < math.prod(op.shape[axes:]):
        return builder.with_native_form(form, op.shape[:axes], op.shape[axes:])
    return builder.regroup(step, op.shape[:axes], op.shape[axes:])


def concat(builder: DataflowBuilder, op: ops.Concat, node: Node) -> StepId:
    """Within each token, or tokens of one operand after those of another."""
    grouped = in_groups(builder, node)
    if grouped is not None:
        return grouped
    in_parts = _joined_in_parts(builder, op, node)
    if in_parts is not None:
        return in_parts
    shape, args = node.type.shape, builder.operands(node)
    most = max(map(builder.grid_axes, args))
    axes = min(most, len(shape) - 1)
    if op.axis >= axes:
        grid = shape[:axes]
        number = max(map(builder.native_parallelism, args))
        if number > 1 and axes == most and not any(map(builder.is_constant, args)):
            parts = [builder.grouped(arg, number, axes) for arg in args]
            native = builder.token_op(ops.Concat(op.axis - axes + 1), parts, (math.prod(grid) // number,))
            return builder.with_native_form(native, grid, shape[axes:])
        parts = [
            builder.constant(arg, axes, grid) if builder.is_constant(arg) else builder.with_grid(arg, axes)
            for arg in args
        ]
        return builder.token_op(ops.Concat(op.axis - axes), parts, grid)
    kind = union_type(node.type, axes)
    parts = [builder.cast_to(builder.as_stream(arg, axes), kind) for arg in args]
    source = [np.full(builder.shape(arg)[:axes], k) for k, arg in enumerate(args)]
    return builder.add(
        Interleave(np.concatenate(source, axis=op.axis).ravel()), tuple(parts), Stream(shape[:axes], kind)
    )


def _joined_in_parts(builder: DataflowBuilder, op: ops.Concat, node: Node) -> StepId | None:
    """Parts of the channels of one operand after those of another, if some operand is made in parts; else None."""
    *axes, channels = node.type.shape
    args = builder.operands(node)
    if op.axis != len(axes) or not takes_narrow_tokens(builder, node) or any(map(builder.is_constant, args)):
        return None
    finest = min(builder.stream(builder.made(arg)).token.size for arg in args)
    channels_of = [builder.shape(arg)[-1] for arg in args]
    sizes = [part for part in divisors(math.gcd(*channels_of)) if part <= finest]
    if finest >= min(channels_of) or channels > sizes[-1] * builder.directives.reuse_factor(node.layer):
        return None
    kind = regrouped(union_type(node.type, len(axes)), (sizes[-1],))
    parts = [builder.cast_to(narrow(builder, arg, sizes[-1], builder.shape(arg)[:-1]), kind) for arg in args]
    source = np.repeat(np.arange(len(args)), [number // sizes[-1] for number in channels_of])
    joined = Interleave(np.tile(source, math.prod(axes)))
    step = builder.add(joined, tuple(parts), Stream((*axes, channels // sizes[-1]), kind))
    return builder.with_native_form(step, tuple(axes), (channels,))


def _repeated_in_parts(builder: DataflowBuilder, op: Move, node: Node) -> StepId | None:
    """Each slice along an axis several times over, read from a memory, if it is made in parts of tokens; else None."""
    if not isinstance(op, ops.Gather) or not takes_narrow_tokens(builder, node):
        return None
    (arg,), (*axes, channels) = builder.operands(node), node.type.shape
    have = builder.shape(arg)
    times, rest = divmod(len(op.indices), have[op.axis]) if op.indices.ndim == 1 and op.axis < len(axes) else (0, 1)
    if rest or times < 2 or not bool(np.array_equal(op.indices, np.repeat(np.arange(have[op.axis]), times))):
        return None
    size = math.gcd(builder.stream(builder.made(arg)).token.size, channels)
    if size == channels or channels > size * builder.directives.reuse_factor(node.layer):
        return None
    slices = math.prod(have[: op.axis + 1])
    step = narrow(builder, arg, size, have[:-1])
    parts = math.prod(have) // slices // size
    viewed = builder.regroup(step, (slices, parts), (size,))
    stream = Stream((slices, times * parts), builder.stream(viewed).token)
    return builder.with_native_form(
        builder.add(Sweep(SINGLE, 1, parts, times), (viewed,), stream), tuple(axes), (channels,)
    )


def _exchanged_in_parts(builder: DataflowBuilder, op: Move, node: Node) -> StepId | None:
    """Two neighboring axes exchanged, of what is made in parts of tokens, by reading slices from a memory; else None."""
    if not isinstance(op, ops.Transpose) or not takes_narrow_tokens(builder, node):
        return None
    (arg,), *axes, channels = builder.operands(node), *node.type.shape
    size, have = builder.stream(builder.made(arg)).token.size, builder.shape(arg)
    keeps_tokens = size == 1 or op.perm[-1] == len(have) - 1
    if size >= builder.node_stream(arg).token.size or have[-1] % size or not keeps_tokens:
        return None
    exchange = Exchange.of((*have[:-1], have[-1] // size), op.perm)
    if exchange is None:
        return None
    step = reordered(builder, narrow(builder, arg, size, have[:-1]), exchange)
    return builder.with_native_form(step, tuple(axes), (channels,))


def move(builder: DataflowBuilder, op: Move, node: Node) -> StepId:
    """Tokens moved as they are, and the same move of elements within each; single elements where that is not enough."""
    (arg,) = builder.operands(node)
    if builder.grid_axes(arg) == 0:
        return builder.on_whole_tensors(node)
    read = _repeated_in_parts(builder, op, node) or _exchanged_in_parts(builder, op, node)
    if read is not None:
        return read
    step, stream = builder.step_of[arg], builder.node_stream(arg)
    source = moved(op, builder.shape(arg))
    in_parts = _moved_in_parts(builder, arg, source, node)
    if in_parts is not None:
        return in_parts
    rank = len(node.type.shape)
    for axes in (*range(rank - 1, -1, -1), rank):
        rows = source.reshape(math.prod(node.type.shape[:axes]), -1)
        parts = _split(rows, stream.token.size)
        if parts is not None:
            grid, shape = node.type.shape[:axes], node.type.shape[axes:]
            several = _moved_at_several_positions(builder, arg, source, grid)
            return (
                builder.gather(step, *parts, grid, shape)
                if several is None
                else builder.with_native_form(several, grid, shape)
            )
    single = builder.regroup(step, (source.size,) if source.size == stream.tokens else builder.shape(arg), ())
    return builder.gather(single, source.ravel(), np.zeros(1, dtype=np.int64), node.type.shape, ())


def _moved_in_parts(builder: DataflowBuilder, arg: NodeId, source: Positions, node: Node) -> StepId | None:
    """Parts of tokens, in which the operand is made, moved as they are, if they stay in order; else None."""
    form, *axes, channels = builder.native_forms.get(builder.step_of[arg]), *node.type.shape
    if form is None or not axes or builder.stream(form).token.size >= builder.shape(arg)[-1]:
        return None
    for size in reversed(divisors(math.gcd(builder.stream(form).token.size, channels))):
        split = _split(source.reshape(-1, size), size)
        if split is None or not bool(np.array_equal(split[1], np.arange(size))):
            continue
        if not is_monotone(split[0]) or len(split[0]) > _MOST_ACTIONS:
            return None
        parts = narrow(builder, arg, size, builder.shape(arg)[:-1])
        moved_parts = builder.gather(parts, *split, (*axes, channels // size), (size,))
        return builder.with_native_form(moved_parts, tuple(axes), (channels,))
    return None


def _moved_at_several_positions(
    builder: DataflowBuilder, index: NodeId, source: Positions, grid: Grid
) -> StepId | None:
    """Move as many positions at once as the operand is made in, if all rows of them are moved in one way; else None."""
    number, positions = builder.native_parallelism(index), math.prod(grid)
    if number == 1 or positions % number:
        return None
    form = builder.native_form(index)
    rows = source.reshape(positions // number, -1)
    found = _split(rows, builder.stream(form).token.size)
    return None if found is None else builder.gather(form, *found, (len(rows),), rows.shape[1:])


def _split(rows: Positions, size: int) -> tuple[Positions, Positions] | None:
    """Rows of element numbers as token numbers and numbers within each token, if each row is of one token, all in one way."""
    empty = np.all(rows < 0, axis=1)
    full = rows[~empty]
    if len(full) == 0:
        return None
    inside = np.where(full[0] < 0, -1, full[0] % size)
    tokens = np.max(full, axis=1) // size
    expected = np.where(inside < 0, -1, tokens[:, None] * size + inside)
    if not bool(np.array_equal(full, expected)):
        return None
    numbers = np.full(len(rows), -1, dtype=np.int64)
    numbers[~empty] = tokens
    return numbers, inside
