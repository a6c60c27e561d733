"""Ops that move elements, in tokens: windows, reshapes, concatenation, and every other move."""

from __future__ import annotations

import math

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node
from bitsmith.ir.types import TensorType
from bitsmith.ir.wiring import Move, Positions, moved
from bitsmith.plan.draft import Draft, parts_of
from bitsmith.plan.processes import Merge, Stream, Window, hull


def window(draft: Draft, op: ops.Window, node: Node) -> int:
    (arg,) = node.args
    if draft.axes(arg) == 0 and draft.demand.parallel:
        return draft.whole(node)
    rank = len(op.size)
    step = draft.level(arg, rank)
    token = draft.steps[step].stream.token
    full = TensorType.of(draft.shape(arg), *(part.reshape((1,) * rank + part.shape) for part in parts_of(token)))
    result = hull(infer(op, [full]), rank)
    return draft.put(Window(op), (step,), Stream(node.type.shape[:rank], result))


def reshape(draft: Draft, op: ops.Reshape, node: Node) -> int:
    (arg,) = node.args
    step, stream = draft.of[arg], draft.stream(arg)
    for axes in range(len(op.shape) + 1):
        if math.prod(op.shape[:axes]) == stream.tokens:
            return draft.regroup(step, op.shape[:axes], op.shape[axes:])
    if len(op.shape) == 1 and all(isinstance(reader.op, ops.Linear) for reader in draft.readers[id(node)]):
        return step  # its readers take the tokens as they come
    axes = max(len(op.shape) - 1, 0)
    return draft.regroup(step, op.shape[:axes], op.shape[axes:])


def concat(draft: Draft, op: ops.Concat, node: Node) -> int:
    shape = node.type.shape
    axes = min(max(map(draft.axes, node.args)), len(shape) - 1)
    if op.axis >= axes:
        inner = ops.Concat(op.axis - axes)
        grid = shape[:axes]
        args = [
            draft.constant(arg, axes, grid) if draft.is_constant(arg) else draft.level(arg, axes) for arg in node.args
        ]
        return draft.token_op(inner, args, grid)
    kind = hull(node.type, axes)
    args = [draft.converted(draft.streamed(arg, axes), kind) for arg in node.args]
    source = [np.full(draft.shape(arg)[:axes], k) for k, arg in enumerate(node.args)]
    return draft.put(Merge(np.concatenate(source, axis=op.axis).ravel()), tuple(args), Stream(shape[:axes], kind))


def move(draft: Draft, op: Move, node: Node) -> int:
    """Tokens moved as they are, and the same move of elements within each; single elements where that is not enough."""
    (arg,) = node.args
    if draft.axes(arg) == 0:
        return draft.whole(node)
    step, stream = draft.of[arg], draft.stream(arg)
    source = moved(op, draft.shape(arg))
    rank = len(node.type.shape)
    for axes in (*range(rank - 1, -1, -1), rank):
        rows = source.reshape(math.prod(node.type.shape[:axes]), -1)
        found = _split(rows, stream.token.size)
        if found is not None:
            return draft.rearranged(step, *found, node.type.shape[:axes], node.type.shape[axes:])
    single = draft.regroup(step, (source.size,) if source.size == stream.tokens else draft.shape(arg), ())
    return draft.rearranged(single, source.ravel(), np.zeros(1, dtype=np.int64), node.type.shape, ())


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
