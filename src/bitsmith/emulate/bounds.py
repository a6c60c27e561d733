"""Bounds on the integers that an op meets, and the fastest kind of number that is exact up to a bound.

An element whose raw integer is at most ``2**24`` in magnitude is a float32 exactly, whatever the power of two it is scaled
by, and up to ``2**53`` it is a float64. Sums of products are exact if the sum of all magnitudes, in units of the result's
last place, stays within that bound: then so does every partial sum in any order. What no float can hold goes to limbs.
"""

import enum
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bitsmith.emulate.limbs import limbs_for
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.rounding import rounded_range
from bitsmith.ir.types import Fracs, Ints, Overflow, TensorType, objects


class NumberKind(enum.IntEnum):
    """Kinds of numbers, from fast to wide."""

    FLOAT32 = 24
    FLOAT64 = 53
    LIMBS = 1000

    @property
    def bits(self) -> int:
        """Magnitudes up to ``2**bits`` are exact."""
        return int(self)


def magnitude(x: TensorType) -> Ints:
    """Greatest ``|raw|`` of each element."""
    return objects(np.maximum(-x.lo, x.hi))


def greatest_magnitude(x: TensorType) -> int:
    """Return the greatest ``|raw|`` of all elements."""
    return max(-int(x.lo.min()), int(x.hi.max()))


def magnitude_bits(x: TensorType) -> int:
    """Bits of the greatest ``|raw|``."""
    return greatest_magnitude(x).bit_length()


def aligned_bits(x: TensorType, frac: Fracs) -> int:
    """Bits of the greatest ``|raw|`` expressed with ``frac`` fractional bits, where these are more."""
    raised = objects(np.maximum(objects(frac) - objects(x.frac), 0))
    return int(objects(magnitude(x) << raised).max()).bit_length()


def limb_count(x: TensorType) -> int:
    """Number of limbs that hold raw values of ``x``."""
    return limbs_for(magnitude_bits(x))


def narrowest(magnitude: int) -> NumberKind:
    """The fastest kind that is exact up to ``magnitude``."""
    for kind in (NumberKind.FLOAT32, NumberKind.FLOAT64):
        if magnitude <= 1 << kind.bits:
            return kind
    return NumberKind.LIMBS


def storable(x: TensorType) -> NumberKind:
    """The fastest kind that holds every value of ``x``."""
    return narrowest(greatest_magnitude(x))


def partial_sums(op: ops.Sum | ops.MatMul, args: Sequence[TensorType]) -> int:
    """A bound on partial sums, in units of the result's last place."""
    symmetric = [TensorType.of(x.shape, x.frac, -magnitude(x), magnitude(x)) for x in args]
    return int(infer(op, symmetric).hi.max())


def partial_products(weights: Ints | npt.NDArray[np.int64], x: TensorType) -> int:
    """A bound on partial sums of ``raw @ weights``."""
    top = objects(magnitude(x).max(axis=tuple(range(len(x.shape) - 1))))
    top = np.broadcast_to(top.reshape(-1), (weights.shape[0],))
    bits = max(int(np.max(weights)).bit_length(), int(np.min(weights)).bit_length())
    room = NumberKind.FLOAT64.bits - bits - weights.shape[0].bit_length()
    if room < 1:
        return int(max(top @ abs(objects(weights))))
    magnitudes, sums = np.abs(weights).astype(np.float64), objects([0])
    for low in range(0, max(int(max(top)).bit_length(), 1), room):
        piece = (top >> low) & ((1 << room) - 1)
        sums = sums + (objects((piece.astype(np.float64) @ magnitudes).astype(np.int64)) << low)
    return int(max(sums))


def has_safe_exponents(kind: NumberKind, x: TensorType, scale: Fracs) -> bool:
    """True if values stored with ``scale`` stay clear of the ends of the kind's exponent range."""
    return kind is NumberKind.LIMBS or int(np.abs(scale - x.frac).max()) < (60 if kind is NumberKind.FLOAT32 else 500)


def can_share_scale(kind: NumberKind, types: Sequence[TensorType]) -> bool:
    """True if values of all ``types`` can share any scale that is safe for one of them."""
    fracs = [part for x in types for part in (int(x.frac.min()), int(x.frac.max()))]
    return kind is NumberKind.LIMBS or max(fracs) - min(fracs) < (40 if kind is NumberKind.FLOAT32 else 300)


def cast_kind(op: ops.Cast, x: TensorType, stored: NumberKind) -> NumberKind:
    """The kind in which a cast of ``x``, stored as ``stored``, computes."""
    lo, hi = rounded_range(x, op.frac, op.rounding)
    rounded = max(int(np.max(abs(lo))), int(np.max(abs(hi))))
    bound = rounded
    if overflows(op, lo, hi):
        # Wrapping adds the magnitude of the least value, and halves are compared with; one bit of room pays for both.
        bound = 2 * max(rounded, int(np.max(abs(op.lo))), int(np.max(abs(op.hi))))
    change = int(np.max(abs(objects(objects(op.frac) - objects(x.frac)))))
    for kind in (NumberKind.FLOAT32, NumberKind.FLOAT64):
        if stored <= kind and bound <= 1 << kind.bits and change < (60 if kind is NumberKind.FLOAT32 else 500):
            return kind
    return NumberKind.LIMBS


def has_room(op: ops.Cast, x: TensorType, kind: NumberKind) -> bool:
    """True if a half can be added to values of ``x``, in the units of the cast, without loss."""
    fine = objects(np.maximum(objects(x.frac), objects(op.frac) + 1))
    half = objects(1 << objects(fine - 1 - objects(op.frac)))
    greatest = objects(magnitude(x) << objects(fine - objects(x.frac))) + half
    return int(np.max(greatest)) <= 1 << kind.bits


def overflows(op: ops.Cast, lo: Ints, hi: Ints) -> bool:
    """True if a rounded value in ``lo..hi`` may be outside the range of the cast."""
    return bool(np.any(lo < least(op))) or bool(np.any(hi > op.hi))


def least(op: ops.Cast | ops.Input) -> Ints:
    """The least raw value that the cast leaves alone."""
    return objects(np.maximum(op.lo, -op.hi)) if op.overflow is Overflow.SAT_SYM else op.lo
