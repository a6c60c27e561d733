"""Origins of elements: the ops that only move data, as arrays of positions."""

from typing import TypeAlias, TypeVar, assert_never

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from bitsmith.ir import ops
from bitsmith.ir.infer import window_positions
from bitsmith.ir.ops import Positions

Move: TypeAlias = ops.Transpose | ops.Slice | ops.Pad | ops.Gather | ops.Broadcast | ops.Window

_Number = TypeVar("_Number", bound=np.generic)


def moved(op: Move, shape: tuple[int, ...]) -> Positions:
    """For each element of the result, the row-major position of its source in an operand of ``shape``; -1 for zeros."""
    return rearranged(op, np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape), -1)


def rearranged(op: Move, x: npt.NDArray[_Number], zero: npt.NDArray[_Number] | int) -> npt.NDArray[_Number]:
    """The elements of ``x`` as ``op`` moves them, ``zero`` for zeros."""
    match op:
        case ops.Transpose():
            return x.transpose(op.perm)
        case ops.Slice():
            return np.asarray(x[tuple(map(slice, op.start, op.stop, op.step))])
        case ops.Pad():
            return np.pad(x, tuple(zip(op.before, op.after, strict=True)), constant_values=zero)
        case ops.Gather():
            return np.asarray(np.take(x, op.indices, axis=op.axis))
        case ops.Broadcast():
            return np.broadcast_to(x, op.shape)
        case ops.Window():
            around = (*op.padding, *((0, 0),) * (x.ndim - len(op.size)))
            return windows_in(op, np.pad(x, around, constant_values=zero))
        case _:
            assert_never(op)


def windows_in(op: ops.Window, x: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """A view of the windows over the first axes of ``x``, whose padding is there."""
    rank = len(op.size)
    axes = zip(x.shape[:rank], op.size, op.stride, op.dilation, strict=True)
    counts = [window_positions(*axis, (0, 0)) for axis in axes]
    along, rest = x.strides[:rank], x.strides[rank:]
    steps = (own * step for steps in (op.stride, op.dilation) for own, step in zip(along, steps, strict=True))
    return as_strided(x, (*counts, *op.size, *x.shape[rank:]), (*steps, *rest), writeable=False)
