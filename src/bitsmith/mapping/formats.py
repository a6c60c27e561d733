"""Casts with a format per element as one format, where that gives the same values: so that elements can share hardware.

An element that is never rounded keeps its value in any format with enough fractional bits, and one that never overflows in any
with enough range; what is rounded or overflows decides the common format.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.types import Ints, Overflow, Rounding, TensorType, objects

Flags: TypeAlias = npt.NDArray[np.bool_]

_BEYOND = 1 << 400
"""No value is as large, and a type can still hold it."""


def common_cast(op: ops.Cast, x: TensorType) -> ops.Cast | None:
    """``op`` on values of type ``x`` with one format for all elements; None if no single one will do."""
    x = _distinct(op, x)
    frac, lo, hi = (np.broadcast_to(objects(part), x.shape).ravel() for part in (op.frac, op.lo, op.hi))
    own, least, greatest = (part.ravel() for part in _unbounded(op, x))
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
        bottom, top, overflow = *whole_range(bottom, top), Overflow.WRAP
    return ops.Cast(np.array(common), objects(np.array(bottom)), objects(np.array(top)), op.rounding, overflow)


@dataclass(frozen=True, slots=True, eq=False)
class ChannelCast:
    """A cast with a format per channel: half a step is added, the sum brought into a range, and lower bits left out.

    Attributes:
        dropped: lower bits that are left out of units of the values, in ascending order.
        numbers: of each channel, which of these is its.
        rounds: half of what the lower bits can hold is added before.
        limits: the least and the greatest sum for each of ``dropped``; None if all stay as they are.
        overflow: what becomes of others.
    """

    dropped: Sequence[int]
    numbers: npt.NDArray[np.intp]
    rounds: bool
    limits: Sequence[tuple[int, int]] | None
    overflow: Overflow


def cast_by_channel(op: ops.Cast, x: TensorType, frac: int) -> ChannelCast | None:
    """``op`` with a format per channel on values of type ``x`` that come in units of ``2**-frac``; None where ranges differ, too.

    To bring ``x + 2**(k - 1)`` into ``lo * 2**k ... (hi + 1) * 2**k - 1`` and to leave its lower ``k`` bits out is to round
    ``x / 2**k`` half up and to bring it into ``lo..hi``, by saturation as well as modulo.
    """
    if op.rounding not in (Rounding.TRN, Rounding.RND) or op.overflow not in (Overflow.WRAP, Overflow.SAT):
        return None
    if any(part.ndim > 0 and part.size not in (1, part.shape[-1]) for part in (op.frac, op.lo, op.hi)):
        return None
    x = _distinct(op, x)
    wanted, lo, hi = (np.broadcast_to(objects(part), x.shape) for part in (op.frac, op.lo, op.hi))
    own, least, greatest = _unbounded(op, x)
    least, greatest = _scaled(least, own, frac), _scaled(greatest, own, frac)
    lost = objects(np.maximum(frac - wanted, 0))
    summed = objects(greatest + objects(1 << lost) - 1)  # with the lower bits that are left out, at most
    low, high = _scaled(lo, wanted, frac), objects(_scaled(objects(hi + 1), wanted, frac) - 1)
    under, over = np.asarray(least < low, dtype=np.bool_), np.asarray(greatest > high, dtype=np.bool_)
    wraps = op.overflow is Overflow.WRAP
    if wraps:
        under = over = under | over
        greatest = summed  # of those that do not overflow no part of a step may, either
    if bool(np.any(wanted[under | over] > frac)):
        return None

    def shared(mine: Flags) -> tuple[int, int] | None:
        """The one range for some elements."""
        bottom = _shared(low[mine], under[mine], int(least[mine].min()))
        top = _shared(high[mine], over[mine], int(summed[mine].max()))
        if bottom is None or top is None:
            return None
        fits = np.all(least[mine & ~under] >= bottom) and np.all(greatest[mine & ~over] <= top)
        return (bottom, top) if bool(fits) else None

    dropped, numbers = np.unique(lost.reshape(-1, x.shape[-1])[0], return_inverse=True)
    common = shared(np.ones(x.shape, dtype=np.bool_))
    ranges = [common if common or wraps else shared(np.asarray(lost == bits, dtype=np.bool_)) for bits in dropped]
    limits = [each for each in ranges if each is not None]
    if len(limits) < len(ranges):
        return None
    unlimited = not bool(np.any(under | over))
    return ChannelCast(
        dropped.tolist(), numbers, op.rounding is Rounding.RND, None if unlimited else limits, op.overflow
    )


def _distinct(op: ops.Cast, x: TensorType) -> TensorType:
    """``x`` with positions that are alike in type and format as one."""
    shape = np.broadcast_shapes(x.shape[-1:], *(part.shape for part in (op.frac, op.lo, op.hi, x.frac, x.lo, x.hi)))
    return TensorType.of(shape, x.frac, x.lo, x.hi)


def _unbounded(op: ops.Cast, x: TensorType) -> tuple[Ints, Ints, Ints]:
    """The units and limits of ``op`` on values of type ``x`` if its range were unlimited."""
    rounded = ops.Cast(op.frac, objects(np.array(-_BEYOND)), objects(np.array(_BEYOND)), op.rounding, Overflow.SAT)
    frac, lo, hi = infer(rounded, [x]).full()
    return objects(frac), objects(lo), objects(hi)


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


def whole_range(bottom: int, top: int) -> tuple[int, int]:
    """The range of the number format that holds ``bottom..top``, for which a cast only leaves bits out."""
    width = max(top.bit_length(), (~bottom).bit_length() if bottom < 0 else 0)
    return (-(1 << width), (1 << width) - 1) if bottom < 0 else (0, (1 << width) - 1)
