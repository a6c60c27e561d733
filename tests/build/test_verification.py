"""The inputs of simulations, and what is made of their results."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.build.verification import compare, random_stimuli
from bitsmith.emulate import Emulator
from bitsmith.errors import VerificationError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat


def negation(width: int) -> Program:
    build = ProgramBuilder()
    return build.program([("y", build.neg(build.input("x", (3,), FixedFormat(True, width, 2))))])


@pytest.mark.parametrize("width", [5, 70])
def test_random_inputs_begin_with_the_extremes(width: int) -> None:
    program = negation(width)
    (raws,) = random_stimuli(program)
    lo, hi = -(1 << width - 1), (1 << width - 1) - 1
    assert (raws[0] == lo).all() and (raws[1] == hi).all()
    assert any(len(set(row)) == 2 and set(row) == {lo, hi} for row in raws[2:].tolist())
    assert (raws >= lo).all() and (raws <= hi).all()


def test_any_wrong_bit_is_told_with_its_place() -> None:
    program = negation(5)
    raws = [np.arange(-9, 9).reshape(6, 3)]
    found = Emulator(program).run_raw(raws)
    compare(Emulator(program), program, found, raws)
    found[0][4, 1] += 1
    with pytest.raises(VerificationError, match="1 of 18 outputs differ; first in sample 4, element 1"):
        compare(Emulator(program), program, found, raws)
