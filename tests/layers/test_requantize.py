"""Spans of staircases: beyond them all raw values have one code."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.emulate import Emulator
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ops import Table
from bitsmith.ir.types import FixedFormat, Ints, Overflow, Rounding, objects
from bitsmith.layers.quantization import requantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.quantization.requantize import Staircase, quantized

_SATURATED = (Rounding.TRN, Overflow.SAT)
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


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(-60, 0), st.integers(0, 60)), min_size=1, max_size=3), st.data())
def test_operands_of_few_values_are_looked_up(ranges: list[tuple[int, int]], data: st.DataObject) -> None:
    """Their codes are those of the staircases in any case, whether by a table, which has all values, or by a product."""
    scales = [data.draw(st.sampled_from([Fraction(3, 2), Fraction(5, 3), Fraction(7)])) for _ in ranges]
    quantizer = Quantizer.uniform(np.array(scales, dtype=object), -9, 9, Rounding.RND)
    builder = ProgramBuilder()
    x = builder.input("x", (len(ranges),), FixedFormat(True, 8, 0))
    x = builder.cast_to(x, 0, objects([lo for lo, _ in ranges]), objects([hi for _, hi in ranges]), *_SATURATED)
    program = builder.program([("y", quantized(builder, x, quantizer))])
    raws = np.arange(-128, 128)[:, None] * np.ones((1, len(ranges)), dtype=np.int64)
    (codes,) = Emulator(program).run_raw([raws])
    values = np.stack([np.clip(np.arange(-128, 128), *ends) for ends in ranges], axis=1)
    wanted = [
        [math.floor(value / scale + Fraction(1, 2)) for value, scale in zip(row, scales, strict=True)] for row in values
    ]
    np.testing.assert_array_equal(codes, np.clip(np.array(wanted, dtype=np.int64), -9, 9))
    count = max(hi for _, hi in ranges) - min(lo for lo, _ in ranges)
    assert any(isinstance(node.op, Table) for node in program.nodes) is (count < 64)


@pytest.mark.parametrize(
    ("width", "bits", "saturates"),
    [(21, 19, False), (21, 18, True), (18, 16, True), (24, 19, True), (19, 18, False), (23, 14, True)],
)
def test_factors_are_saturated_where_that_saves_a_block_or_many_bits(width: int, bits: int, saturates: bool) -> None:
    builder = ProgramBuilder()
    x = builder.input("x", (1,), FixedFormat(True, width, width))
    half = 1 << bits - 1
    found = requantize.saturated(builder, x, objects([-half]), objects([half - 1]))
    assert (found is not x) == saturates
    assert int(found.type.width.max()) == (bits if saturates else width)
