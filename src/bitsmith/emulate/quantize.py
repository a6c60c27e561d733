"""Real numbers to raw input values, exactly: every finite float64 is a rational number, and it is cast as one."""

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt

from bitsmith.emulate.batches import Batch, check_batch
from bitsmith.emulate.bounds import least
from bitsmith.emulate.floats import FloatArray, extremes, folder, rounder
from bitsmith.errors import InputDataError
from bitsmith.ir.ladders import kept_codes
from bitsmith.ir.ops import Input
from bitsmith.ir.rounding import drop_bits, fold_overflow
from bitsmith.ir.types import Ints, Overflow, objects

FEW = 1 << 10
"""Elements of an input, below which it is cast in as few calls as possible."""

EXACT = 1 << 52
"""Integers up to here have room for one more bit in a float64."""


def checked(op: Input, x: npt.ArrayLike) -> Batch:
    """``x`` as an array of shape (batch, *shape) of numbers that this module casts.

    Raises:
        InputDataError: another shape, another kind of numbers.
    """
    array = np.asarray(x)
    check_batch(array, op.name, op.shape)
    return array.astype(np.int64) if array.dtype.kind == "b" else array


def fast(op: Input) -> bool:
    """True if the raw values of ``op`` are float64 numbers with a bit to spare."""
    return max(int(np.max(abs(op.lo))), int(np.max(abs(op.hi)))) < EXACT


class Quantization:
    """The cast of real numbers to raw values of ``op``, with all that is the same for each batch."""

    __slots__ = ("_axes", "_factor", "_safe", "fast", "op")

    def __init__(self, op: Input) -> None:
        self.op = op
        self.fast = fast(op)
        self._axes = (*range(1, len(op.shape) + 1), 0)
        powers = np.exp2(op.frac.astype(np.float64))
        self._factor = float(powers.item()) if powers.size == 1 else powers[..., None]
        # A real that rounds to what is next to a bound may itself be up to 1 away from it.
        self._safe = int(np.max(least(op))) + 1, int(np.min(op.hi)) - 1

    def columns(self, x: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """``x`` with its batch axis last."""
        return x.transpose(self._axes)

    def of_few(self, raw: npt.NDArray[np.float64]) -> Callable[[Batch], bool] | None:
        """A function that casts singles (batch, *shape) into ``raw`` (*shape, up to as many samples, the others 0), in few calls.

        It returns False for other numbers, and looks at no value: :meth:`surely_inside` does. None if there is none.
        """
        if self.op.ladders or raw.size >= FEW or not isinstance(self._factor, float) or not raw.flags.c_contiguous:
            return None
        factor = np.asarray(self._factor)
        rounded, rows = rounder(raw, raw, self.op.rounding, roomy=True), np.moveaxis(raw, -1, 0)

        def cast_few(x: Batch) -> bool:
            if x.dtype.char not in "fe":
                return False
            count = len(x)
            if count == len(rows):
                rows[...] = x
            else:
                rows[:count], rows[count:] = x, 0
            np.multiply(raw, factor, raw)
            rounded()
            return True

        return cast_few

    def surely_inside(self, raw: npt.NDArray[np.float64]) -> bool:
        """Return True if all of ``raw``, rounded already or not, are numbers that are within the range when they are rounded."""
        least_value, greatest = extremes(raw)
        return self._safe[0] <= least_value and greatest <= self._safe[1]

    def into(self, x: Batch, raw: npt.NDArray[np.float64]) -> int:
        """Cast ``x`` (batch, *shape) into ``raw`` (*shape, batch), for :func:`fast` inputs; the count of values outside.

        Raises:
            InputDataError: NaN or infinite values.
        """
        op = self.op
        np.multiply(self.columns(x), self._factor, raw, dtype=np.float64)
        least_value, greatest = extremes(raw)
        if not (math.isfinite(least_value) and math.isfinite(greatest)) or not _scaled_exactly(op, x, raw):
            exact, outside = quantize_exactly(op, x)
            np.copyto(raw, self.columns(exact), casting="unsafe")
            return outside
        # Singles have bits to spare; those of doubles may be lost next to a half.
        rounder(raw, raw, op.rounding, roomy=x.dtype.kind == "f" and x.dtype.itemsize < 8)()
        if op.ladders:
            rows = np.moveaxis(raw, -1, 0)
            rows[...] = kept_codes(op.ladders, op.frac, x.astype(np.float64), rows)
            least_value, greatest = extremes(raw)
        if least_value >= self._safe[0] and greatest <= self._safe[1]:
            return 0
        lo, hi = least(op)[..., None], op.hi[..., None]
        outside = int(np.count_nonzero((raw < lo.astype(np.float64)) | (raw > hi.astype(np.float64))))
        if outside:
            if op.overflow is Overflow.WRAP and max(-least_value, greatest) >= EXACT:
                np.remainder(raw, objects(op.hi - op.lo + 1).astype(np.float64)[..., None], raw)
            for step in folder(raw, op.lo[..., None], op.hi[..., None], op.overflow, lambda: np.empty_like(raw)):
                step()
        return outside


def quantize_into(op: Input, x: Batch, raw: npt.NDArray[np.float64]) -> int:
    """Apply :meth:`Quantization.into` once."""
    with np.errstate(all="ignore"):
        return Quantization(op).into(x, raw)


def _scaled_exactly(op: Input, x: Batch, raw: FloatArray) -> bool:
    """True if ``raw`` is exactly ``x`` times a power of two: integers may be too long, and tiny numbers underflow."""
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8 and x.size:
        return int(x.max()) <= 1 << 53 and int(x.min()) >= -(1 << 53)
    if x.dtype == np.float64 and bool(np.any(op.frac < 0)):
        tiny = np.abs(raw) < np.finfo(np.float64).tiny
        return not bool(np.any(tiny & (np.moveaxis(x, 0, -1) != 0)))
    return True


def quantize_exactly(op: Input, x: Batch) -> tuple[Ints, int]:
    """Raw values (batch, *shape) as Python integers, and the count of values outside; slow, for any input.

    Raises:
        InputDataError: NaN or infinite values.
    """
    if x.dtype.kind in "iu":
        mantissa, drop = objects(cast(npt.NDArray[np.integer], x)), objects(-op.frac)
    else:
        if bad := int(np.count_nonzero(~np.isfinite(x))):
            raise InputDataError.not_finite(op.name, bad, x.size)
        fraction, exponent = np.frexp(x.astype(np.float64))
        mantissa = objects((fraction * 2.0**53).astype(np.int64))
        # Far below the last place nothing but the sign matters; the shift need not be longer than that.
        drop = objects(np.minimum(53 - exponent.astype(np.int64) - op.frac, 60))
    rounded = drop_bits(mantissa, drop, op.rounding)
    if op.ladders:
        raw = rounded.astype(np.float64)
        rounded = rounded + objects((kept_codes(op.ladders, op.frac, x.astype(np.float64), raw) - raw).astype(np.int64))
    outside = int(np.count_nonzero((rounded < least(op)) | (rounded > op.hi)))
    return fold_overflow(rounded, op.lo, op.hi, op.overflow), outside
