"""Sums of two quantized tensors with small weights: the codes are those of exact arithmetic, for all pairs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from bitsmith.ir.rounding import rounded_exactly
from bitsmith.ir.types import Rounding
from bitsmith.layers.quantization.quantizer import Quantizer, rationals
from bitsmith.layers.quantization.weighted_sum import Codes, tabulated_sum, weighted_sum


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("rounding", [Rounding.RND_CONV, Rounding.RND, Rounding.TRN, Rounding.RND_INF])
def test_all_pairs_have_their_codes(rounding: Rounding, sign: int) -> None:
    rng = np.random.default_rng(sign + 5)
    for bits in (3, 5, 6):
        scales = [Fraction(float(scale)) for scale in rng.uniform(0.01, 0.1, 3).astype(np.float32)]
        first, second = Codes(scales[0], -(1 << bits), (1 << bits) - 1), Codes(scales[1], 0, (1 << bits) - 1)
        offset = Fraction(float(np.float32(rng.uniform(-2, 2))))
        quantizer = Quantizer.uniform(rationals(scales[2]), -20, 31, rounding, offset=rationals(offset))
        found = weighted_sum(first, second, sign, quantizer)
        assert found is not None
        assert max(found.first, abs(found.second)).bit_length() <= 2 * bits + 6, "less than 24 bits"
        for x in range(first.lo, first.hi + 1):
            for y in range(second.lo, second.hi + 1):
                exact = (x * scales[0] + sign * y * scales[1]) / scales[2] + offset
                wanted = min(max(rounded_exactly(exact, rounding), -20), 31)
                code = x * found.first + y * found.second + found.term >> found.drop
                assert min(max(code, -20), 31) == wanted


def test_what_no_integers_do_is_left() -> None:
    """Ties that go to even codes, a code 0 of twice the width, codes out of reach, and more pairs than are looked at."""
    half, quantizer = Codes(Fraction(3, 2), -8, 7), Quantizer.uniform(3.0, -20, 20)
    assert weighted_sum(half, Codes(Fraction(3), -8, 7), 1, quantizer) is None
    other = Codes(Fraction(1.3), -8, 7)
    assert weighted_sum(half, other, 1, Quantizer.uniform(0.7, -20, 20, Rounding.TRN_ZERO)) is None
    assert weighted_sum(half, other, 1, Quantizer.uniform(0.7, 2**40, 2**41, offset=2.0**40)) is None
    assert weighted_sum(Codes(Fraction(1, 3), 0, 1 << 12), Codes(Fraction(1, 5), 0, 1 << 12), 1, quantizer) is None


def _kernels_sum(x: int, y: int, mantissas: tuple[int, int, int], shifts: tuple[int, int, int]) -> int:
    """gemmlowp's definition: each number in finer steps, multiplied and rounded twice, and so is the sum."""

    def multiplied(number: int, mantissa: int, shift: int) -> int:
        product = number * mantissa + (1 << 30) >> 31
        half = 1 << shift >> 1
        return product + half >> shift if product >= 0 else -(-product + half >> shift)

    parts = (multiplied(number << 20, m, s) for number, m, s in zip((x, y), mantissas, shifts, strict=False))
    return min(max(multiplied(sum(parts), mantissas[2], shifts[2]), -100), 127)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("seed", range(3))
def test_sums_that_round_in_between_are_weighted_ones(seed: int, sign: int) -> None:
    rng = np.random.default_rng(seed)
    first, second, last = (int(m) for m in rng.integers(1 << 30, 1 << 31, 3))
    mantissas, shifts = (first, sign * second, last), (0, int(rng.integers(1, 3)), 20)
    scales = [
        Fraction(m, 1 << 31 + s) * Fraction(last, 1 << 31) for m, s in zip(mantissas[:2], shifts[:2], strict=True)
    ]
    codes = Codes(scales[0], -128, 127), Codes(scales[1], -3, 200)
    numbers = range(-128, 128), range(-3, 201)
    sums = np.array([[_kernels_sum(x, y, mantissas, shifts) for y in numbers[1]] for x in numbers[0]])
    found = tabulated_sum(*codes, sums, (-100, 127))
    assert found is not None
    x, y = (np.array(part) for part in numbers)
    weighted = x[:, None] * found.first + y * found.second + found.term >> found.drop
    np.testing.assert_array_equal(weighted.clip(-100, 127), sums)


def test_sums_that_are_none_have_no_weights() -> None:
    codes = Codes(Fraction(1, 3), 0, 9)
    sums = np.add.outer(np.arange(10), np.arange(10)) // 3
    assert tabulated_sum(codes, codes, sums, (0, 6)) is not None
    sums[4, 4] += 1
    assert tabulated_sum(codes, codes, sums, (0, 6)) is None
