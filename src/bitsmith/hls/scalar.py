"""One fixed-point type for all elements of a tensor, since C arrays have elements of one type."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bitsmith.errors import RangeError
from bitsmith.ir.scaling import rescale
from bitsmith.ir.types import Fracs, IntArray, Ints, TensorType, objects, width_of

MAX_WIDTH = 512
"""Widest scalar in bits: products of two of them are within what the vendors' types are compiled for (1024 bits)."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number format: ``width`` bits, ``integer`` of them (sign included) before the binary point."""

    signed: bool
    width: int
    integer: int

    @property
    def frac(self) -> int:
        """Fractional bits."""
        return self.width - self.integer

    @property
    def words(self) -> int:
        """64-bit words that hold the bits."""
        return -(-self.width // 64)

    def __str__(self) -> str:
        return f"{'fixed' if self.signed else 'ufixed'}<{self.width},{self.integer}>"


def scalar_of(lo: int, hi: int, frac: int) -> Scalar:
    """The least format that holds ``lo..hi`` times ``2**-frac``.

    Raises:
        RangeError: wider than ``MAX_WIDTH``.
    """
    width = max(1, width_of(lo, hi))
    if width > MAX_WIDTH:
        raise RangeError(
            f"elements that need {width} bits in a common format",
            accepted=f"at most {MAX_WIDTH} bits",
            remedy="give the layer a result precision",
        )
    return Scalar(lo < 0, width, width - frac)


def common_format(*types: TensorType) -> Scalar:
    """The least format that holds every value of ``types``; conversion into it is exact."""
    spans = [kind.span for kind in types]
    frac = max(span.frac for span in spans)
    lo, hi = min(span.lo << frac - span.frac for span in spans), max(span.hi << frac - span.frac for span in spans)
    return scalar_of(lo, hi, frac)


def accumulator(result: Scalar, fracs: Sequence[int]) -> Scalar:
    """A format in which sums wrap around without harm: the result's integer bits, and the terms' fractional bits.

    The final sum is within the result's range, and addition modulo that range does not care what came between.
    """
    frac = max(result.frac, *fracs)
    return Scalar(result.signed, result.integer + frac, result.integer)


def common_raw(raw: IntArray, frac: Fracs) -> tuple[Ints, Scalar]:
    """Constants ``raw * 2**-frac`` with one ``frac`` for all, and the format that holds them."""
    raw = objects(raw)
    spread = np.where(raw == 0, int(np.min(frac)), np.broadcast_to(frac, raw.shape)).astype(np.int64)
    most = np.asarray(int(spread.max()))
    common = rescale(raw, spread, most)
    return common, scalar_of(int(np.min(common)), int(np.max(common)), int(most))
