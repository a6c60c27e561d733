"""Element-wise ops in tokens: at the finest grid of the operands, or in tokens of the size in which an operand is made."""

import math
from collections.abc import Callable, Sequence
from typing import assert_never

import numpy as np

from bitsmith.dataflow.tokens import Stream
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.ops import Positions
from bitsmith.ir.program import Node
from bitsmith.ir.types import Ints, Overflow, Rounding, TensorType, objects
from bitsmith.mapping.builder import DataflowBuilder, NodeId, StepId
from bitsmith.mapping.formats import cast_by_channel, common_cast
from bitsmith.mapping.parameters import viewed_parameter


def elementwise(builder: DataflowBuilder, op: ops.Elementwise, node: Node) -> StepId:
    """At the finest grid of the operands at whose positions it is the same; operands that lack axes of it are repeated."""
    op = _at_all_positions(builder, op, node)
    for in_native_form in (_at_several_positions, _by_parts):
        step = in_native_form(builder, op, node)
        if step is not None:
            return step
    shape = node.type.shape
    for axes in range(builder.common_grid_axes(node), 0, -1):
        on_tokens = _on_tokens(op, axes, len(shape))
        if on_tokens is not None:
            args = [builder.broadcast(arg, shape[:axes], len(shape)) for arg in builder.operands(node)]
            on_tokens, args = _looked_up(builder, on_tokens, node, args)
            if on_tokens is not None:
                return builder.token_op(on_tokens, args, shape[:axes])
    whole = [builder.operand(arg, 0) for arg in builder.operands(node)]
    on_tokens, whole = _looked_up(builder, op, node, whole)
    assert on_tokens is not None  # a token of everything has the program's units
    return builder.token_op(on_tokens, whole, ())


def _at_all_positions(builder: DataflowBuilder, op: ops.Elementwise, node: Node) -> ops.Elementwise:
    """A cast whose format varies with the position as one that does not, if that gives the same values; no tokens are joined."""
    if not isinstance(op, ops.Cast) or _on_tokens(op, builder.common_grid_axes(node), len(node.type.shape)) is not None:
        return op
    return common_cast(op, builder.program.nodes[node.args[0]].type) or op


def _at_several_positions(builder: DataflowBuilder, op: ops.Elementwise, node: Node) -> StepId | None:
    """At as many positions at once as an operand's native form has; None if that is one, or positions differ in type."""
    shape, rank = node.type.shape, len(node.type.shape)
    full = [arg for arg in builder.operands(node) if not builder.is_constant(arg) and builder.shape(arg) == shape]
    number = max(map(builder.native_parallelism, full), default=1)
    if number == 1 or len({builder.grid_axes(arg) for arg in full}) > 1:
        return None
    axes = builder.grid_axes(full[0])
    on_tokens = _on_tokens(op, axes, rank)
    if on_tokens is None:
        return None
    grid = (math.prod(shape[:axes]) // number,)

    def operand(arg: NodeId) -> StepId:
        own = builder.shape(arg)
        if len(own) == rank and own[:axes] == shape[:axes] and not builder.is_constant(arg):
            return builder.grouped(arg, number, axes)
        kept = max(axes - (rank - len(own)), 0)
        if not builder.is_constant(arg) and math.prod(own[:kept]) == 1:
            step = builder.with_grid(arg, kept)
            return builder.repeated(step, np.zeros(grid, dtype=np.int64), grid)
        step = builder.broadcast(arg, shape[:axes], rank)
        if isinstance(builder.steps[step].kind, ops.Const):
            return step
        return builder.regroup(step, grid, (number, *builder.stream(step).token.shape))

    on_tokens, args = _looked_up(builder, on_tokens, node, [operand(arg) for arg in builder.operands(node)])
    if on_tokens is None:
        return None
    return builder.with_native_form(builder.token_op(on_tokens, args, grid), shape[:axes], shape[axes:])


def _by_parts(builder: DataflowBuilder, op: ops.Elementwise, node: Node) -> StepId | None:
    """At the finest grid of native forms that have parts of tokens; None without them, or if positions differ in type."""
    shape, args = node.type.shape, builder.operands(node)
    computed = [arg for arg in args if not builder.is_constant(arg) and not builder.is_parameter(arg)]
    single = [arg for arg in computed if _is_single(builder.shape(arg), shape)]
    bound = [arg for arg in computed if arg not in single]  # to one size of tokens
    axes = [builder.grid_axes(arg) for arg in bound if single]
    if not bound or any(builder.shape(arg) != shape for arg in bound) or any(each != len(shape) - 1 for each in axes):
        return None
    forms = [builder.made(arg) for arg in bound]
    stream = min(map(builder.stream, forms), key=lambda one: one.token.size)
    if stream.token.size == builder.node_stream(bound[0]).token.size:
        return None
    parts = [builder.regroup(form, stream.grid, stream.token.shape) for form in forms]
    viewed = _viewed(op, shape, stream.shape)
    on_tokens = None if viewed is None else _on_tokens(viewed, len(stream.grid), len(stream.shape))
    if any(builder.stream(part).shape != stream.shape for part in parts):
        return None
    grid = builder.node_stream(bound[0]).grid
    if on_tokens is None and isinstance(op, ops.Cast):
        kind = builder.program.nodes[node.args[0]].type
        on_tokens = common_cast(op, kind)
        step = _cast_by_channel(builder, op, kind, parts[0]) if on_tokens is None else None
        if step is not None:
            return builder.with_native_form(step, grid, shape[len(grid) :])
    on_tokens, parts = _looked_up(builder, on_tokens, node, parts)
    if on_tokens is None:
        return None
    given = dict(zip(bound, parts, strict=True)) | {arg: _repeated(builder, arg, shape, stream) for arg in single}
    found = [given[arg] if arg in given else _by_part(builder, arg, shape, stream) for arg in args]
    operands = [step for step in found if step is not None]
    if len(operands) < len(args):
        return None
    return builder.with_native_form(builder.token_op(on_tokens, operands, stream.grid), grid, shape[len(grid) :])


def _is_single(own: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Return True of operands with one element for all channels of each position of a result of ``shape``."""
    return shape != (1,) * (len(shape) - len(own)) + own == (*shape[:-1], 1)


def _repeated(builder: DataflowBuilder, arg: NodeId, shape: tuple[int, ...], stream: Stream) -> StepId:
    """The element of each position, for all tokens of ``stream`` that the channels of the position come in."""
    step = builder.with_grid(arg, max(len(builder.shape(arg)) - 1, 0))
    positions = math.prod(shape[:-1])
    source = np.repeat(np.arange(positions), stream.tokens // positions)
    return builder.repeated(step, source, stream.grid)


def _looked_up(
    builder: DataflowBuilder, op: ops.Elementwise | None, node: Node, operands: list[StepId]
) -> tuple[ops.Elementwise | None, list[StepId]]:
    """``op`` and its operands; a table gets its operand in the units of what ``node`` takes, and entries for all tokens of that.

    Tokens of a recurrence have one type for all its steps, and those of several channels may have one unit. No op if units
    differ from token to token.
    """
    if not isinstance(op, ops.Table):
        return op, operands
    x, stream = builder.program.nodes[node.args[0]].type, builder.stream(operands[0])
    token = stream.token
    frac = _tail(np.broadcast_to(x.frac, x.shape).reshape(stream.shape), len(token.shape))
    if frac is None:
        return None, operands
    if not np.array_equal(frac, np.broadcast_to(token.frac, token.shape)):
        operands = [
            builder.cast_to(operands[0], TensorType.of(token.shape, frac.astype(np.int64), *_bounds(*x.raw_range)))
        ]
    lo, hi = builder.stream(operands[0]).token.raw_range
    more = max(op.first - lo, 0), max(hi - op.first - op.values.shape[-1] + 1, 0)
    each = [(0, 0)] * (op.values.ndim - 1)
    return ops.Table(op.first - more[0], np.pad(op.values, [*each, more], mode="edge"), op.frac), operands


def _cast_by_channel(builder: DataflowBuilder, op: ops.Cast, kind: TensorType, part: StepId) -> StepId | None:
    """A cast with a format per channel of a value of type ``kind``, in tokens like those of ``part``; None where it cannot be."""
    stream = builder.stream(part)
    token, frac = stream.token, int(stream.token.frac.max())
    cast = cast_by_channel(op, kind, frac)
    if cast is None:
        return None
    lo, hi = (objects(bounds << objects(frac - token.frac)) for bounds in (token.lo, token.hi))
    part = builder.cast_to(part, TensorType.of(token.shape, frac, lo, hi))
    numbers = np.tile(cast.numbers, math.prod(stream.shape) // len(cast.numbers)).reshape(stream.shape)
    const = ops.Const(objects(numbers), np.zeros((1,) * numbers.ndim, dtype=np.int64))
    number = builder.constant_tokens(const, infer(const, []), len(stream.grid), stream.grid)

    def made(made_of: ops.Op, *args: StepId) -> StepId:
        return builder.token_op(made_of, args, stream.grid)

    def looked_up(values: Sequence[int]) -> StepId:
        return made(ops.Table(0, objects(np.array(values, dtype=np.object_)), np.array(frac)), number)

    if cast.rounds:
        part = made(ops.Add(), part, looked_up([1 << bits >> 1 for bits in cast.dropped]))
    if cast.limits is not None and len(set(cast.limits)) == 1:
        ((low, high), *_) = cast.limits
        part = made(ops.Cast(np.array(frac), *_bounds(low, high), Rounding.TRN, cast.overflow), part)
    elif cast.limits is not None:
        lows, highs = zip(*cast.limits, strict=True)
        part = made(ops.Max(), made(ops.Min(), part, looked_up(highs)), looked_up(lows))
    low, high = builder.stream(part).token.raw_range

    def cut(first: int, last: int) -> StepId:
        """Without the lower bits, for the numbers ``first..last``."""
        if first == last:
            bits = cast.dropped[first]
            bounds = _bounds(low >> bits, high >> bits)
            return made(ops.Cast(np.array(frac - bits), *bounds, Rounding.TRN, Overflow.SAT), part)
        middle = (first + last + 1) // 2
        above = made(ops.Compare(ops.Relation.GE), number, builder.token_constant(objects(middle), np.array(0)))
        return made(ops.Select(), above, cut(middle, last), cut(first, middle - 1))

    return cut(0, len(cast.dropped) - 1)


def _bounds(low: int, high: int) -> tuple[Ints, Ints]:
    return objects(np.array(low, dtype=np.object_)), objects(np.array(high, dtype=np.object_))


def _by_part(builder: DataflowBuilder, arg: NodeId, shape: tuple[int, ...], stream: Stream) -> StepId | None:
    """A constant or a parameter in tokens for those of ``stream``; None if it cannot come so."""
    if builder.is_constant(arg):
        return _viewed_constant(builder, arg, shape, stream)
    return viewed_parameter(builder, arg, shape, stream)


def _viewed_constant(builder: DataflowBuilder, arg: NodeId, shape: tuple[int, ...], stream: Stream) -> StepId:
    """A constant that broadcasts to ``shape``, as tokens like those of ``stream``."""
    node = builder.program.nodes[arg]
    assert isinstance(node.op, ops.Const)
    if math.prod(node.type.shape) == 1:
        return builder.token_constant(objects(node.op.raw.reshape(())), node.op.frac.reshape(()))
    raw, frac = (np.broadcast_to(objects(part), shape).reshape(stream.shape) for part in (node.op.raw, node.op.frac))
    const = ops.Const(objects(raw), frac.astype(np.int64))
    return builder.constant_tokens(const, infer(const, []), len(stream.grid), stream.grid)


def _on_tokens(op: ops.Elementwise, axes: int, rank: int) -> ops.Elementwise | None:
    """An element-wise op on tensors of ``rank`` axes as one on tokens without the first ``axes``; None if positions differ."""
    return _with_arrays(op, lambda array, within: _tail(array, rank - axes + within))


def _viewed(op: ops.Elementwise, shape: tuple[int, ...], view: tuple[int, ...]) -> ops.Elementwise | None:
    """An element-wise op on tensors of ``shape`` as one on the same elements under the shape ``view``; None for many tables."""

    def seen(array: Ints | Positions, within: int) -> Ints | Positions | None:
        single = array.shape[array.ndim - within :]
        if array.size == math.prod(single):
            return array.reshape(single)
        return None if within else np.broadcast_to(objects(array), shape).reshape(view)

    return _with_arrays(op, seen)


def _with_arrays(
    op: ops.Elementwise, made_of: Callable[[Ints | Positions, int], Ints | Positions | None]
) -> ops.Elementwise | None:
    """An element-wise op with arrays ``made_of`` of its own, given how many axes are within an element; None if one is None."""
    match op:
        case ops.Cast():
            parts = [made_of(part, 0) for part in (op.frac, op.lo, op.hi)]
            if any(part is None for part in parts):
                return None
            frac, lo, hi = (objects(part) for part in parts if part is not None)
            return ops.Cast(frac.astype(np.int64), lo, hi, op.rounding, op.overflow)
        case ops.Shift():
            amount = made_of(op.amount, 0)
            return None if amount is None else ops.Shift(objects(amount).astype(np.int64))
        case ops.Table():
            values, frac_ = made_of(op.values, 1), made_of(op.frac, 0)
            if values is None or frac_ is None:
                return None
            return ops.Table(op.first, objects(values), objects(frac_).astype(np.int64))
    if isinstance(op, ops.Plain):
        return op
    assert_never(op)


def _tail(array: Ints | Positions, kept: int) -> Ints | Positions | None:
    """``array`` without the axes before its last ``kept`` ones; None if it varies along them."""
    extra = array.ndim - kept
    if extra <= 0:
        return array
    first = array[(0,) * extra]
    return first if bool(np.all(array == first)) else None
