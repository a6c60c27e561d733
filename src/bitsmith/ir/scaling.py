"""Exact changes of scale: the same real values under another number of fractional bits.

Every function is exact or raises; nothing here rounds.
"""

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ProgramError
from bitsmith.ir import ops
from bitsmith.ir.data_movement import require
from bitsmith.ir.types import Fracs, IntArray, Ints, TensorType, low_zeros, machine, objects

NO_BITS = -(1 << 40)
"""The ``frac`` that a constant zero needs: none."""


def rescale(raw: Ints, have: Fracs, want: Fracs) -> Ints:
    """Raw values of ``have`` fractional bits, expressed with ``want``; exact, or a ProgramError."""
    lift = np.subtract(want, have)
    if not lift.any():
        same = objects(raw)
        alone = lift.size == 1 and lift.ndim <= raw.ndim
        return same if alone else np.broadcast_to(same, np.broadcast_shapes(raw.shape, lift.shape))
    shift = objects(lift)
    raised = objects(raw << objects(np.maximum(shift, 0)))
    if not np.any(shift < 0):
        return raised
    down = objects(np.maximum(-shift, 0))
    result = objects(raised >> down)
    if bool(np.any((result << down) != raised)):
        raise ProgramError("a rescaling that would lose bits")
    return result


def needed_frac(x: TensorType) -> Fracs:
    """Fractional bits that the values of ``x`` need: fewer than ``x.frac`` for constants with trailing zeros."""
    fixed = x.lo == x.hi
    need = x.frac - np.where(fixed, trailing_zeros(x.lo), 0)
    return np.where(fixed & (x.lo == 0), NO_BITS, need).astype(np.int64)


def trailing_zeros(raw: Ints) -> Fracs:
    """Trailing zero bits of each integer (0 for 0)."""
    return np.asarray(_trailing(raw), dtype=np.int64)


_trailing = np.frompyfunc(low_zeros, 1, 1)


def settled(frac: Fracs) -> Fracs:
    """``frac`` with 0 in place of ``NO_BITS``, where no fractional bits are needed at all."""
    return np.where(frac == NO_BITS, 0, frac)


def channel_frac(x: TensorType) -> Fracs:
    """``frac`` along the last axis, which must be the same at every position."""
    require(all(n == 1 for n in x.frac.shape[:-1]), "fractional bits that differ between positions of {}", x)
    return np.broadcast_to(x.frac.reshape(-1), (x.shape[-1],))


def raised(weights: IntArray, lift: Fracs) -> IntArray:
    """``weights`` times two to the power of ``lift``; in 64-bit integers if they are and all fit."""
    short = None if weights.dtype == np.object_ else machine(weights)
    return objects(objects(weights) << objects(lift)) if short is None or not _fits(short, lift) else short << lift


def machine_weights(op: ops.Linear, x: TensorType) -> tuple[Ints | npt.NDArray[np.int64], Fracs]:
    """Integers ``M`` (n_in, n_out) and ``frac`` (n_out) with raw result = raw operand @ M; ``frac`` is the least.

    They are in 64 bits if all fit: a million weights take milliseconds then.
    """
    require(op.frac.ndim <= 2, f"weights of {op.frac.ndim} axes")
    have = channel_frac(x)[:, None] + op.frac
    found = _machine_weights(op.weights, have)
    if found is not None:
        return found
    weights, have = objects(op.weights), np.broadcast_to(have, op.weights.shape)
    need = np.where(weights == 0, NO_BITS, have - trailing_zeros(weights))
    frac = settled(need.max(axis=0))
    have = np.where(weights == 0, frac, have)
    return rescale(weights, have, frac), frac


def _machine_weights(weights: IntArray, have: Fracs) -> tuple[npt.NDArray[np.int64], Fracs] | None:
    """Weights of ``have`` fractional bits with one ``frac`` per column, the least; None if 64 bits might not do."""
    short = machine(weights)
    if short is None:
        return None
    finest = have.max(axis=0)
    lift = finest - have
    if not _fits(short, lift):
        # Powers of two in weights may be what makes up for the fractional bits that others have.
        zeros = _zeros(short)
        short, have = short >> zeros, np.where(short == 0, NO_BITS, have - zeros)
        finest = settled(have.max(axis=0))
        lift = np.where(short == 0, 0, finest - have)
        if not _fits(short, lift):
            return None
    if np.any(lift):
        short = short << lift
    # What a whole column has below its lowest bit is not needed.
    ones = np.bitwise_or.reduce(short, axis=0)
    spare = _zeros(ones)
    return short >> spare if np.any(spare) else short, np.where(ones == 0, 0, finest - spare).astype(np.int64)


def _fits(weights: npt.NDArray[np.int64], lift: Fracs) -> bool:
    """Return True if 64 bits hold the weights times two to the power of ``lift``, as far as bounds tell."""
    if max(int(weights.max()).bit_length(), int(weights.min()).bit_length()) + int(lift.max()) <= 62:
        return True
    return bool(np.max(np.frexp(np.abs(weights).astype(np.float64))[1] + lift) <= 62)


def _zeros(weights: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Trailing zero bits of each machine integer (0 for 0)."""
    _, powers = np.frexp((weights & -weights).astype(np.float64))
    return np.asarray(np.maximum(powers - 1, 0), dtype=np.int64)
