"""Element-wise ops in tokens: at the finest grid of the operands, or in the parts in which an operand is made."""

from __future__ import annotations

import math

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.ops import Ints
from bitsmith.ir.program import Node
from bitsmith.ir.types import objects
from bitsmith.ir.wiring import Positions
from bitsmith.plan.draft import Draft
from bitsmith.plan.formats import common_cast
from bitsmith.plan.processes import Stream


def elementwise(draft: Draft, node: Node) -> int:
    """At the finest grid of the operands; operands that lack axes of it are repeated."""
    by_parts = _by_parts(draft, node)
    if by_parts is not None:
        return by_parts
    shape = node.type.shape
    axes = max(
        (draft.axes(arg) + len(shape) - len(draft.shape(arg)) for arg in node.args if draft.axes(arg)), default=0
    )
    op = _on_tokens(node.op, axes, len(shape))
    if op is None:
        return draft.whole(node)
    return draft.token_op(op, [draft.spread(arg, shape[:axes], len(shape)) for arg in node.args], shape[:axes])


def _by_parts(draft: Draft, node: Node) -> int | None:
    """At the finer grid of an operand that is made in parts; None if there is none, or positions differ in type."""
    shape = node.type.shape
    wholes = [draft.of[arg] for arg in node.args if not draft.is_constant(arg) and draft.shape(arg) == shape]
    constants = sum(map(draft.is_constant, node.args))
    if not wholes or len(wholes) + constants < len(node.args) or not all(one in draft.parts for one in wholes):
        return None
    parts = [draft.parts[one] for one in wholes]
    stream = draft.steps[parts[0]].stream
    viewed = _viewed(node.op, shape, stream.shape)
    op = None if viewed is None else _on_tokens(viewed, len(stream.grid), len(stream.shape))
    if op is None and isinstance(node.op, ops.Cast):
        op = common_cast(node.op, draft.program.nodes[node.args[0]].type)
    if op is None or any(draft.steps[part].stream.shape != stream.shape for part in parts):
        return None
    args = [
        _viewed_constant(draft, arg, shape, stream) if draft.is_constant(arg) else draft.parts[draft.of[arg]]
        for arg in node.args
    ]
    grid = draft.steps[wholes[0]].stream.grid
    return draft.gathered(draft.token_op(op, args, stream.grid), grid, shape[len(grid) :])


def _viewed_constant(draft: Draft, index: int, shape: tuple[int, ...], stream: Stream) -> int:
    """A constant that broadcasts to ``shape``, as tokens like those of ``stream``."""
    node = draft.program.nodes[index]
    assert isinstance(node.op, ops.Const)
    if math.prod(draft.shape(index)) == 1:
        return draft.token_constant(objects(node.op.raw.reshape(())), node.op.frac.reshape(()))
    raw, frac = (np.broadcast_to(objects(part), shape).reshape(stream.shape) for part in (node.op.raw, node.op.frac))
    const = ops.Const(objects(raw), frac.astype(np.int64))
    return draft.constant_tokens(const, infer(const, []), len(stream.grid), stream.grid)


def _on_tokens(op: ops.Op, axes: int, rank: int) -> ops.Op | None:
    """An element-wise op on tensors of ``rank`` axes as one on tokens without the first ``axes``; None if positions differ."""
    kept = rank - axes
    match op:
        case ops.Cast():
            parts = [_tail(part, kept) for part in (op.frac, op.lo, op.hi)]
            if any(part is None for part in parts):
                return None
            frac, lo, hi = (objects(part) for part in parts if part is not None)
            return ops.Cast(frac.astype(np.int64), lo, hi, op.rounding, op.overflow)
        case ops.Shift():
            amount = _tail(op.amount, kept)
            return None if amount is None else ops.Shift(objects(amount).astype(np.int64))
        case ops.Table():
            values, frac_ = _tail(op.values, kept + 1), _tail(op.frac, kept)
            if values is None or frac_ is None:
                return None
            return ops.Table(op.first, objects(values), objects(frac_).astype(np.int64))
        case _:
            return op


def _viewed(op: ops.Op, shape: tuple[int, ...], view: tuple[int, ...]) -> ops.Op | None:
    """An element-wise op on tensors of ``shape`` as one on the same elements under the shape ``view``; None for many tables."""

    def seen(array: Ints | Positions) -> Ints:
        return objects(array.reshape(()) if array.size == 1 else np.broadcast_to(objects(array), shape).reshape(view))

    match op:
        case ops.Cast():
            return ops.Cast(seen(op.frac).astype(np.int64), seen(op.lo), seen(op.hi), op.rounding, op.overflow)
        case ops.Shift():
            return ops.Shift(seen(op.amount).astype(np.int64))
        case ops.Table():
            entries = op.values.shape[-1]
            if op.values.size > entries:
                return None
            return ops.Table(op.first, objects(op.values.reshape(entries)), seen(op.frac).astype(np.int64))
        case _:
            return op


def _tail(array: Ints | Positions, kept: int) -> Ints | Positions | None:
    """``array`` without the axes in front of its last ``kept`` ones; None if it varies along them."""
    extra = array.ndim - kept
    if extra <= 0:
        return array
    first = array[(0,) * extra]
    return first if bool(np.all(array == first)) else None
