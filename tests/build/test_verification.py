"""Generated inputs, and the comparison of outputs."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.building.verification import RANDOM_INPUTS, compare, random_stimuli
from bitsmith.emulate import Emulator
from bitsmith.errors import VerificationError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat


def squares(width: int) -> Program:
    build = ProgramBuilder()
    x = build.input("x", (3,), FixedFormat(True, width, 2))
    return build.program([("y", build.mul(x, x))])


@pytest.mark.parametrize("width", [2, 9, 62, 80])
def test_generated_inputs_begin_with_the_extremes_of_every_range(width: int) -> None:
    (raw,) = random_stimuli(squares(width))
    lo, hi = -(1 << width - 1), (1 << width - 1) - 1
    assert raw.shape == (RANDOM_INPUTS, 3)
    assert set(raw[0].tolist()) == {lo} and set(raw[1].tolist()) == {hi}
    assert set(raw[2:20].ravel().tolist()) == {lo, hi}
    assert all(lo <= value <= hi for value in raw.ravel().tolist())


def test_the_first_difference_is_named() -> None:
    program = squares(8)
    raws = [raw[:5] for raw in random_stimuli(program)]
    outputs = [np.array(output) for output in Emulator(program).run_raw(raws)]
    compare(Emulator(program), program, outputs, raws)
    outputs[0][3, 1] += 1
    outputs[0][4, 2] += 1
    with pytest.raises(VerificationError, match=r"2 of 15 outputs differ; first in sample 3, element 1"):
        compare(Emulator(program), program, outputs, raws)
