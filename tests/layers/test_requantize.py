"""Spans of staircases: beyond them all raw values have one code."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ops import Table
from bitsmith.ir.types import Ints, Overflow, Rounding, TensorType, objects
from bitsmith.layers.quantization import requantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.quantization.requantize import Staircase, quantized

FACTORS = st.fractions(-4, 4, max_denominator=12).filter(bool)


@given(
    st.builds(
        Staircase,
        factor=FACTORS,
        offset=st.fractions(-9, 9, max_denominator=6),
        least=st.integers(-40, 0),
        most=st.integers(0, 40),
        lo=st.integers(-9, 0),
        hi=st.integers(0, 9),
        rounding=st.sampled_from(Rounding),
    )
)
def test_span_is_the_least_one_beyond_which_codes_are_alike(stairs: Staircase) -> None:
    first, last = stairs.span()
    codes = {raw: stairs.code(raw) for raw in range(stairs.least, stairs.most + 1)}
    below, above = codes[stairs.least], codes[stairs.most]
    assert all((code == below) == (raw <= first) for raw, code in codes.items() if below != above)
    assert all((code == above) == (raw >= last) for raw, code in codes.items() if below != above)
    if below == above:
        assert first == last


def test_span_does_not_look_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at, of_codes = [], requantize._starts

    def counted(codes: Ints, of: Staircase) -> Ints:
        looked_at.append(codes.size)
        return of_codes(codes, of)

    monkeypatch.setattr(requantize, "_starts", counted)
    stairs = Staircase(Fraction(1, 3), Fraction(0), -(1 << 20), 1 << 20, -(1 << 15), (1 << 15) - 1, Rounding.RND)
    assert stairs.span() == (-98303, 98300)  # x / 3 + 1 / 2 is -32767 - 1 / 6, and 32767 + 1 / 6
    assert sum(looked_at) == 2
