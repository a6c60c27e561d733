"""Powers, logarithms and exponentials of normalized operands: errors of at most a step, twice what they are made for."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitsmith.emulate import Emulator
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Table
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.auto import ObservedRange
from bitsmith.layers.layer import Floats
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.reciprocal import decay, exponential, logarithm, power
from bitsmith.layers.settings import Settings

FRACS = st.integers(3, 16)


def _operand(fmt: FixedFormat) -> tuple[Lowering, Value]:
    builder = ProgramBuilder()
    return Lowering("y", builder, Settings(), ObservedRange(-1.0, 1.0), (), ()), builder.input("x", (1,), fmt)


def _values(lowering: Lowering, y: Value, fmt: FixedFormat) -> tuple[Floats, Floats]:
    """Operands all over a format, the ends among them, and what the program makes of them."""
    raws = np.unique(np.linspace(fmt.lo, fmt.hi, 200).round().astype(np.int64))
    (found,) = Emulator(lowering.builder.program([("y", y)])).run_raw([raws[:, None]])
    real = np.asarray(found, dtype=np.float64) * np.exp2(-y.type.frac.astype(np.float64))
    return np.ldexp(raws.astype(np.float64), -fmt.frac), real[:, 0]


@settings(max_examples=12)
@given(FRACS, st.integers(0, 4), st.integers(1, 10), st.sampled_from([2.0, math.e, 10.0]))
@pytest.mark.parametrize("signed", [True, False])
def test_exponentials(signed: bool, frac: int, integer: int, below: int, base: float) -> None:
    """Whatever their size: results have their fractional bits at the right end of the range, too."""
    integer = min(integer, 3 if base == 10.0 else 4)
    fmt = FixedFormat(signed, integer + below + signed, below)
    lowering, x = _operand(fmt)
    values, found = _values(lowering, exponential(lowering, x, base, frac), fmt)
    wanted = base**values
    # Tables of wide operands have no more bits than that.
    assert np.all(np.abs(found - wanted) <= 2.0**-frac + 2.0**-26 * wanted)


@settings(max_examples=12)
@given(FRACS, st.integers(2, 16), st.integers(0, 16))
@example(18, 17, 13)
@example(3, 16, 16)
def test_decay(frac: int, width: int, below: int) -> None:
    """Within a step, never negative, and 1 at 0, which other results do not exceed: the largest of scores stays so."""
    fmt = FixedFormat(False, width, below)
    lowering, x = _operand(fmt)
    values, found = _values(lowering, decay(lowering, x, frac, "exp_table"), fmt)
    assert np.all(np.abs(found - np.exp(-values)) < 2.0**-frac)
    assert found[0] == 1.0 == found.max() and found.min() >= 0.0


def test_a_decay_of_many_values_has_small_tables() -> None:
    """As many bits of entries as there are in four block memories of 4 Kib, not 32."""
    lowering, x = _operand(FixedFormat(False, 17, 13))
    program = lowering.builder.program([("y", decay(lowering, x, 18, "exp_table"))])
    bits = [node.op.values.size * node.type.max_width for node in program.nodes if isinstance(node.op, Table)]
    assert len(bits) == 2 and sum(bits) < 1 << 14


@settings(max_examples=12)
@given(FRACS, st.integers(-3, 9), st.integers(2, 14), st.sampled_from([2.0, math.e, 10.0]))
def test_logarithms(frac: int, integer: int, width: int, base: float) -> None:
    fmt = FixedFormat(False, width, integer)
    lowering, x = _operand(fmt)
    values, found = _values(lowering, logarithm(lowering, x, base, frac), fmt)
    wanted = np.log(np.maximum(values, 2.0**-fmt.frac)) / math.log(base)
    assert np.all(np.abs(found - wanted) <= 2.0 ** -(frac + 1))


@settings(max_examples=15)
@given(FRACS, st.integers(-3, 9), st.integers(2, 14), st.sampled_from([-1.0, 0.5, -0.5, 1 / 3, -2 / 3, 0.7, -1.3]))
@example(5, 8, 8, 0.7)  # whose greatest result is nearly a power of two, and rounded up beyond it
def test_powers(frac: int, integer: int, width: int, exponent: float) -> None:
    fmt = FixedFormat(False, width, integer)
    lowering, x = _operand(fmt)
    values, found = _values(lowering, power(lowering, x, exponent, Fraction(0), frac, "table"), fmt)
    wanted = np.maximum(values, 2.0**-fmt.frac) ** exponent
    assert np.all(np.abs(found - wanted) <= 2.0**-frac * wanted)
