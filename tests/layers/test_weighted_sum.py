"""Sums of two quantized tensors with small weights: the codes are those of exact arithmetic, for all pairs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from bitsmith.ir.types import Rounding
from bitsmith.layers.quantization.quantizer import Quantizer, rationals, rounded_exactly
from bitsmith.layers.quantization.weighted_sum import Codes, weighted_sum


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
