"""Casts with a format per element as one format, where that gives the same values: so that elements can share hardware.

An element that is never rounded keeps its value in any format with enough fractional bits, and one that never overflows in any
with enough range; what is rounded or overflows decides the common format.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.dataflow.processes import union_type
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.types import Ints, Overflow, TensorType, objects

Flags: TypeAlias = npt.NDArray[np.bool_]

_MOST_STEPS = 6
"""Steps of channels whose results are selected from one another."""

_BEYOND = 1 << 400
"""No value is as large, and a type can still hold it."""


def common_cast(op: ops.Cast, x: TensorType) -> ops.Cast | None:
    """``op`` on values of type ``x`` with one format for all elements; None if no single one will do."""
    # Positions alike in type and format are one.
    shape = np.broadcast_shapes(*(part.shape for part in (op.frac, op.lo, op.hi, x.frac, x.lo, x.hi)))
    x = TensorType.of(shape, x.frac, x.lo, x.hi)
    frac, lo, hi = (np.broadcast_to(objects(part), shape).ravel() for part in (op.frac, op.lo, op.hi))
    unbounded = ops.Cast(op.frac, objects(np.array(-_BEYOND)), objects(np.array(_BEYOND)), op.rounding, Overflow.SAT)
    own, least, greatest = (objects(part).ravel() for part in infer(unbounded, [x]).full())
    have = x.full()[0].ravel()
    rounded = np.asarray(have > frac, dtype=np.bool_)
    wanted = set(frac[rounded].tolist())
    common = int(max(wanted)) if wanted else int(have.max())
    if len(wanted) > 1 or bool(np.any(have[~rounded] > common)):
        return None
    least, greatest = (_scaled(part, own, common) for part in (least, greatest))
    low, high = _scaled(lo, frac, common), _scaled(hi, frac, common)
    if bool(np.any(_scaled(low, common, frac) != lo) or np.any(_scaled(high, common, frac) != hi)):
        return None  # a bound that is not a multiple of the step
    under, over = np.asarray(least < low, dtype=np.bool_), np.asarray(greatest > high, dtype=np.bool_)
    if op.overflow is not Overflow.SAT:
        under = over = under | over
        if bool(np.any(frac[over] != common)):
            return None  # what is lost depends on the step
    bottom, top = _shared(low, under, int(least.min())), _shared(high, over, int(greatest.max()))
    if bottom is None or top is None or bool(np.any(least[~under] < bottom)) or bool(np.any(greatest[~over] > top)):
        return None
    overflow = op.overflow
    if not bool(np.any(under | over)):
        bottom, top, overflow = *_whole_range(bottom, top), Overflow.WRAP
    return ops.Cast(np.array(common), objects(np.array(bottom)), objects(np.array(top)), op.rounding, overflow)


def casts_by_step(op: ops.Cast, x: TensorType) -> list[tuple[ops.Cast, Flags]] | None:
    """``op`` with a format per channel as one cast for all channels of a step, with those; None if no few will do.

    For other channels a cast gives anything.
    """
    channels, positions = x.shape[-1], len(x.shape) - 1
    if any(part.ndim > 0 and part.size not in (1, part.shape[-1]) for part in (op.frac, op.lo, op.hi)):
        return None
    frac, lo, hi = (np.broadcast_to(objects(part).reshape(-1), (channels,)) for part in (op.frac, op.lo, op.hi))
    kind = union_type(x, positions)
    have = [np.broadcast_to(objects(part), (channels,)) for part in (kind.frac, kind.lo, kind.hi)]
    steps = sorted(set(frac.tolist()))
    if len(steps) > _MOST_STEPS:
        return None
    found: list[tuple[ops.Cast, Flags]] = []
    for step in steps:
        mine = np.asarray(frac == step, dtype=np.bool_)
        part = ops.Cast(frac[mine].astype(np.int64), objects(lo[mine]), objects(hi[mine]), op.rounding, op.overflow)
        cast = common_cast(part, TensorType.of((int(mine.sum()),), *(objects(each[mine]) for each in have)))
        if cast is None:
            return None
        found.append((cast, mine))
    return found


def _scaled(values: Ints, frac: Ints | int, common: Ints | int) -> Ints:
    """Multiples of ``2**-frac`` in units of ``2**-common``, rounded down."""
    up = objects(values << objects(np.maximum(common - frac, 0)))
    return objects(up >> objects(np.maximum(frac - common, 0)))


def _shared(bounds: Ints, reached: Flags, otherwise: int) -> int | None:
    """The one bound of all elements that reach theirs."""
    needed = set(bounds[reached].tolist())
    if len(needed) > 1:
        return None
    return needed.pop() if needed else otherwise


def _whole_range(bottom: int, top: int) -> tuple[int, int]:
    """The range of the number format that holds ``bottom..top``, for which a cast only leaves bits out."""
    width = max(top.bit_length(), (~bottom).bit_length() if bottom < 0 else 0)
    return (-(1 << width), (1 << width) - 1) if bottom < 0 else (0, (1 << width) - 1)
