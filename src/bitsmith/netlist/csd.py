"""Canonical signed digits: the non-adjacent form of integer constants, and how many adders a matrix of them takes.

In: integer matrices. Out: digit masks per entry, digit counts. Knows nothing of graphs.
"""

import numpy as np
import numpy.typing as npt

from bitsmith.base.lately import lately
from bitsmith.devices.blocks import MultiplierBlock
from bitsmith.ir.types import IntArray, TensorType, low_zeros, short, width_of

_BYTES = np.array([k.bit_count() for k in range(1 << 8)], dtype=np.uint8)
_ONES = np.add.outer(_BYTES, _BYTES).reshape(-1)
"""Ones in each word of 16 bits."""


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


def count_digits(weights: IntArray) -> npt.NDArray[np.int64]:
    """Return the number of non-zero signed digits of every entry, in the shape of ``weights`` (any integers)."""
    weights = short(weights)
    if weights.dtype in (object, np.uint64):
        counts = [sum(mask.bit_count() for mask in digit_masks(int(w))) for w in weights.ravel()]
        return np.array(counts, dtype=np.int64).reshape(weights.shape)
    magnitude = np.abs(weights).astype(np.uint64)
    half = magnitude >> np.uint64(1)
    digits = half ^ (magnitude + half)
    total = np.zeros(weights.shape, dtype=np.int64)
    while digits.any():
        total += _ONES[digits & np.uint64(0xFFFF)]
        digits >>= np.uint64(16)
    return total


def in_blocks(weights: IntArray, operand: int, block: MultiplierBlock) -> npt.NDArray[np.bool_]:
    """Return the entries of ``weights`` that are worth a multiplier block, for operands of ``operand`` bits with a sign.

    They have at least so many digits as the block's record says, and are multiplied by one block.
    """
    worth = count_digits(weights) >= block.digits
    for place in np.argwhere(worth):
        odd = int(weights[tuple(place)])
        worth[tuple(place)] = block.holds(operand, (odd // (odd & -odd)).bit_length() + 1)
    return worth


def signed_width(kind: TensorType) -> int:
    """The bits of the widest element, with a sign."""
    lo, hi = kind.raw_range
    return width_of(min(lo, -1), hi)


def adder_width(operand: float, result: float) -> float:
    """Return about how many bits the adders of a constant matrix have, from the mean widths of its inputs and outputs.

    Fitted to 96 elaborated matrices of 16x8 to 128x16 entries of 2 to 12 bits, with 0 or 75 % zeros and inputs of 4 to 16
    bits; the error is 0.5 bits (root mean square).
    """
    return operand + 0.29 * max(result - operand, 0) + 1.16


@lately(256)
def estimate(weights: IntArray) -> int:
    """Return about how many adders ``adder_graph.solve`` makes of ``weights`` (n_in, n_out), without solving.

    ``0.98 * (digits - columns) * columns**-0.103 * rows**-0.049 * (digits per entry)**-0.195``, counting rows and columns that
    are not zero, and columns once that are equal up to sign and shift: the adders without sharing times a fitted factor, and
    what numbers in other forms save on average since it was fitted. The fit is to 632 solved matrices of at most 64x64
    entries of 2 to 16 bits (the largest of them not with the widest), uniform or normal, with 0, 70 or 90 % zeros. Its
    error on those same matrices is 6 % (root mean square) and 24 % at most; on the 321 that take 200 adders or more
    without sharing 5 % and 19 %. Matrices that ``solve`` cuts into blocks of rows come out too low, about 8 % at 256x64.

    Matrices of signs come out at twice what ``solve`` makes of them; they take no more than `_in_pairs`.
    """
    weights = short(weights)
    weights = weights[:, (weights != 0).any(axis=0)]
    weights = weights[:, _first_of_equal(weights)]
    counts = count_digits(weights)
    rows, columns = float(counts.any(axis=1).sum()), float(counts.shape[1])
    digits = float(counts.sum())
    if digits <= columns:
        return 0
    factor: float = 0.98 * columns**-0.103 * rows**-0.049 * (digits / (rows * columns)) ** -0.195
    adders = round((digits - columns) * min(factor, 1.0))
    magnitudes = np.abs(weights)
    alike = (weights == 0) | (magnitudes == magnitudes.max(axis=1, keepdims=True))
    return min(adders, _in_pairs(np.sign(weights).astype(np.int64))) if counts.max() == 1 and alike.all() else adders


def _in_pairs(signs: npt.NDArray[np.int64]) -> int:
    """The adders that sum rows in pairs, pairs in pairs and so on, each of which all columns share that have it up to sign."""
    adders, terms = 0, signs
    while len(terms) > 1:
        terms = np.vstack([terms, np.zeros_like(terms[: len(terms) % 2])])
        first, second = terms[::2], terms[1::2]
        sign = np.where(first != 0, np.sign(first), np.sign(second))
        most = np.abs(terms).max() + 1
        keys = np.arange(len(first))[:, None] * most + first * sign
        keys = keys * 2 * most + second * sign + most
        adders += len(np.unique(keys[(first != 0) & (second != 0)]))
        terms = (np.unique(keys, return_inverse=True)[1].reshape(keys.shape) + 1) * sign
    return adders


def _first_of_equal(weights: IntArray) -> npt.NDArray[np.int64]:
    """Return the index of one column of each set that are equal up to sign and a power of two; no column is zero."""
    bits = np.bitwise_or.reduce(weights, axis=0)
    zeros = np.array([low_zeros(int(b)) for b in bits], dtype=np.int64)
    # A random projection, modulo 2**64, tells columns apart; a collision would only touch an estimate.
    keys = np.random.default_rng(0).integers(1 << 62, size=(len(weights), 1))
    projected = ((weights >> zeros) * keys).sum(axis=0)
    return np.unique(np.minimum(projected, -projected), return_index=True)[1]
