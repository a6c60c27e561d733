"""Every rounding and overflow mode, exhaustively on small widths, in all its executions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from bitsmith.emulate import Emulator
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.infer import infer
from bitsmith.ir.rounding import drop_bits, fold_overflow
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, TensorType, objects
from tests.ir import oracle

SOURCE = FixedFormat(True, 7, 3)
EVERY = np.arange(SOURCE.lo, SOURCE.hi + 1)


@pytest.mark.parametrize("rounding", Rounding)
def test_drop_bits_is_its_definition(rounding: Rounding) -> None:
    raw = np.arange(-70, 70)
    for drop in (-2, 0, 1, 2, 4, 9):
        expected = [oracle.round_to_integer(Fraction(int(r)) * Fraction(2) ** -drop, rounding) for r in raw]
        assert drop_bits(objects(raw), objects(drop), rounding).tolist() == expected


@pytest.mark.parametrize("rounding", Rounding)
def test_many_numbers_are_rounded_as_one_where_machine_numbers_end(rounding: Rounding) -> None:
    edges = [sign * (1 << bits) + near for bits in range(57, 66) for sign in (1, -1) for near in (-1, 0, 1)]
    for drop in (-3, 0, 1, 57, 60, 61, 62, 63, 70):
        expected = [oracle.round_to_integer(Fraction(raw) * Fraction(2) ** -drop, rounding) for raw in edges]
        for some in (edges, edges[:12], edges[:24]):  # the last ones are within 60 bits
            assert drop_bits(objects(some), objects(drop), rounding).tolist() == expected[: len(some)], drop


@pytest.mark.parametrize("overflow", Overflow)
def test_fold_overflow_is_its_definition(overflow: Overflow) -> None:
    raw = np.arange(-70, 70)
    for lo, hi in ((-8, 7), (0, 15), (-3, 9), (-20, 0), (5, 5)):
        expected = [oracle.bring_inside(int(r), lo, hi, overflow) for r in raw]
        assert fold_overflow(objects(raw), objects(lo), objects(hi), overflow).tolist() == expected


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("padding", [0, 40, 70], ids=["float", "long", "limbs"])
def test_cast_exhaustively(rounding: Rounding, overflow: Overflow, padding: int) -> None:
    """``padding`` widens the operand, so that float32, float64 and limbs are all exercised."""
    for target in (
        FixedFormat(True, 4, 1),
        FixedFormat(False, 3, 1),
        FixedFormat(True, 5, 3),
        FixedFormat(True, 3, -1),
        FixedFormat(True, 12, 6),
        FixedFormat(True, 1, 0),
        FixedFormat(False, 1, 1),
    ):
        build = ProgramBuilder()
        x = build.input("x", (), SOURCE)
        wide = build.sub(build.add(x, build.const(1 << padding)), build.const(1 << padding)) if padding else x
        y = build.cast(wide, FixedFormat(target.signed, target.width, target.frac, rounding, overflow))
        program = build.program([("y", y)])
        (got,) = Emulator(program).run_raw([EVERY])
        for raw, result in zip(EVERY, got, strict=True):
            rounded = oracle.round_to_integer(Fraction(int(raw), 8) * Fraction(2) ** target.frac, rounding)
            assert result == oracle.bring_inside(rounded, target.lo, target.hi, overflow), (raw, target)


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("rounding", Rounding)
def test_inferred_range_of_a_cast_is_exact(rounding: Rounding, overflow: Overflow) -> None:
    """Except for WRAP and SAT_ZERO, whose ranges may have holes, both bounds are reached."""
    for lo, hi in ((-64, 63), (-5, 11), (3, 4), (0, 0)):
        build = ProgramBuilder()
        x = build.cast_to(build.input("x", (), SOURCE), 3, lo, hi, Rounding.TRN, Overflow.SAT)
        op = build.cast(x, FixedFormat(True, 4, 1, rounding, overflow))
        inferred = infer(build.program([("y", op)]).nodes[-1].op, [TensorType.of((), 3, lo, hi)])
        reached = [
            oracle.bring_inside(oracle.round_to_integer(Fraction(raw, 4), rounding), -8, 7, overflow)
            for raw in range(lo, hi + 1)
        ]
        assert int(inferred.lo.min()) <= min(reached) and max(reached) <= int(inferred.hi.max())
        if overflow in (Overflow.SAT, Overflow.SAT_SYM):
            assert (int(inferred.lo.min()), int(inferred.hi.max())) == (min(reached), max(reached))
