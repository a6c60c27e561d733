"""Exact changes of scale: the same real values under another number of fractional bits.

Every function is exact or raises; nothing here rounds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ProgramError
from bitsmith.ir import ops
from bitsmith.ir.data_movement import require
from bitsmith.ir.types import Fracs, Ints, TensorType, objects

NO_BITS = -(1 << 40)
"""The ``frac`` that a constant zero needs: none."""


def rescale(raw: Ints, have: Fracs, want: Fracs) -> Ints:
    """Raw values of ``have`` fractional bits, expressed with ``want``; exact, or a ProgramError."""
    shift = objects(objects(want) - objects(have))
    down = objects(np.maximum(-shift, 0))
    raised = objects(raw << objects(np.maximum(shift, 0)))
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


def _trailing_one(raw: int) -> int:
    return (raw & -raw).bit_length() - 1 if raw else 0


_trailing = np.frompyfunc(_trailing_one, 1, 1)


def settled(frac: Fracs) -> Fracs:
    """``frac`` with 0 in place of ``NO_BITS``, where no fractional bits are needed at all."""
    return np.where(frac == NO_BITS, 0, frac)


def channel_frac(x: TensorType) -> Fracs:
    """``frac`` along the last axis, which must be the same at every position."""
    require(all(n == 1 for n in x.frac.shape[:-1]), f"fractional bits that differ between positions of {x}")
    return np.broadcast_to(x.frac.reshape(-1), (x.shape[-1],))


def linear_weights(op: ops.Linear, x: TensorType) -> tuple[Ints, Fracs]:
    """Integers ``M`` (n_in, n_out) and ``frac`` (n_out) with raw result = raw operand @ M; ``frac`` is the least."""
    weights, frac = machine_weights(op, x)
    return objects(weights), frac


def machine_weights(op: ops.Linear, x: TensorType) -> tuple[Ints | npt.NDArray[np.int64], Fracs]:
    """As :func:`linear_weights`, but in 64-bit integers if all fit: a million weights take milliseconds then."""
    require(op.frac.ndim <= 2, f"weights of {op.frac.ndim} axes")
    have = np.broadcast_to(channel_frac(x)[:, None] + op.frac, op.weights.shape)
    try:
        machine = op.weights.astype(np.int64)
    except OverflowError:
        machine = None
    if machine is not None and int(np.min(machine)) > -(1 << 62) and int(np.max(machine)) < 1 << 62:
        zeros = np.frexp((machine & -machine).astype(np.float64))[1].astype(np.int64) - 1
        frac = settled(np.where(machine == 0, NO_BITS, have - zeros).max(axis=0))
        shift = np.where(machine == 0, 0, frac - have)
        # At most trailing zeros go right; whether the left shift fits is decided on the widest entry.
        bits = np.frexp(np.abs(machine).astype(np.float64))[1] + shift
        if int(bits.max()) <= 62:
            return (machine >> np.maximum(-shift, 0)) << np.maximum(shift, 0), frac
    need = np.where(op.weights == 0, NO_BITS, have - trailing_zeros(op.weights))
    frac = settled(need.max(axis=0))
    have = np.where(op.weights == 0, frac, have)
    return rescale(op.weights, have, frac), frac
