"""Origins of elements: the ops that only move data, as arrays of positions."""

from __future__ import annotations

import itertools
from typing import TypeAlias, assert_never

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.infer import window_positions
from bitsmith.ir.ops import Positions

Move: TypeAlias = ops.Transpose | ops.Slice | ops.Pad | ops.Gather | ops.Broadcast | ops.Window


def moved(op: Move, shape: tuple[int, ...]) -> Positions:
    """For each element of the result, the row-major position of its source in an operand of ``shape``; -1 for zeros."""
    x = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    match op:
        case ops.Transpose():
            return x.transpose(op.perm)
        case ops.Slice():
            return x[tuple(map(slice, op.start, op.stop, op.step))]
        case ops.Pad():
            return np.pad(x, tuple(zip(op.before, op.after, strict=True)), constant_values=-1)
        case ops.Gather():
            return np.take(x, op.indices, axis=op.axis)
        case ops.Broadcast():
            return np.broadcast_to(x, op.shape)
        case ops.Window():
            return _window(op, x)
        case _:
            assert_never(op)


def _window(op: ops.Window, x: Positions) -> Positions:
    rank = len(op.size)
    counts = [
        window_positions(*axis)
        for axis in zip(x.shape[:rank], op.size, op.stride, op.dilation, op.padding, strict=True)
    ]
    padded = np.pad(x, (*op.padding, *((0, 0),) * (x.ndim - rank)), constant_values=-1)
    result = np.empty((*counts, *op.size, *x.shape[rank:]), dtype=np.int64)
    every: tuple[slice | int, ...] = (slice(None),) * rank
    for tap in itertools.product(*map(range, op.size)):
        first = [t * dilation for t, dilation in zip(tap, op.dilation, strict=True)]
        taken = tuple(
            slice(start, start + (count - 1) * stride + 1, stride)
            for start, count, stride in zip(first, counts, op.stride, strict=True)
        )
        result[(*every, *tap)] = padded[taken]
    return result
