"""Canonical signed digits: the non-adjacent form of integer constants, and how many adders a matrix of them takes.

In: integer matrices. Out: digit masks per entry, digit counts. Knows nothing of graphs.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Matrix: TypeAlias = npt.NDArray[np.integer] | npt.NDArray[np.object_]

_ONES = np.array([k.bit_count() for k in range(1 << 16)], dtype=np.uint8)


def digit_masks(value: int) -> tuple[int, int]:
    """Return the non-adjacent form of ``value``: bit masks with ``value == plus - minus`` and no two digits adjacent.

    Bits of ``x + (x >> 1)`` and ``x >> 1`` differ exactly where the form has a digit (Prodinger, "On binary
    representations of integers with digits -1, 0, 1", Integers 0, 2000).
    """
    magnitude = abs(value)
    half = magnitude >> 1
    sum_ = magnitude + half
    digits = half ^ sum_
    plus, minus = sum_ & digits, half & digits
    return (minus, plus) if value < 0 else (plus, minus)


def count_digits(weights: Matrix) -> npt.NDArray[np.int64]:
    """Return the number of non-zero signed digits of every entry, in the shape of ``weights`` (any integers)."""
    if weights.dtype == object:
        counts = [sum(mask.bit_count() for mask in digit_masks(int(w))) for w in weights.ravel()]
        return np.array(counts, dtype=np.int64).reshape(weights.shape)
    magnitude = np.abs(weights.astype(np.int64)).astype(np.uint64)
    half = magnitude >> np.uint64(1)
    digits = half ^ (magnitude + half)
    total = np.zeros(weights.shape, dtype=np.int64)
    while digits.any():
        total += _ONES[digits & np.uint64(0xFFFF)]
        digits >>= np.uint64(16)
    return total
