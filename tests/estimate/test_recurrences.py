"""Long unrolled recurrences are estimated by circuits of their first steps."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.xilinx import ULTRASCALE_PLUS
from bitsmith.estimate import size
from bitsmith.estimate.figures import Size
from bitsmith.estimate.recurrences import first_steps, only_scan
from bitsmith.estimate.unrolled import size_of
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.recurrent import SimpleRNN
from bitsmith.mapping.directives import Directives
from bitsmith.netlist.pipelined import pipelined
from tests.ir.oracle import evaluate
from tests.mapping.test_folding import convolution
from tests.mapping.test_recurrence import cell

STATE = FixedFormat(True, 7, 1, Rounding.RND, Overflow.SAT)


def recurrence(steps: int, *, only_last: bool) -> Program:
    """A state of four numbers, to which those of a sequence are added."""
    rng, body, build = np.random.default_rng(0), ProgramBuilder(), ProgramBuilder()
    state, item = body.input("state", (4,), STATE), body.input("item", (4,), FixedFormat(True, 12, 6))
    after = body.cast(body.add(body.linear(state, rng.integers(-15, 16, (4, 4)), 4), item), STATE)
    x = build.input("x", (steps, 3), FixedFormat(True, 6, 1))
    items = build.cast(build.linear(x, rng.integers(-7, 8, (3, 4)), 3), FixedFormat(True, 12, 6))
    y = build.scan(
        body.program([("state", after), ("y", after)]), [build.cast(build.const([0, 0, 0, 0]), STATE)], [items]
    )
    return build.program([("y", build.slice(y, (steps - 1, 0), (steps, 4)) if only_last else y)])


@pytest.mark.parametrize(("family", "off"), [(ECP5, 0.1), (ULTRASCALE_PLUS, 0.3)])
@pytest.mark.parametrize("only_last", [False, True])
def test_estimate_is_near_the_whole_circuit(
    monkeypatch: pytest.MonkeyPatch, family: Family, off: float, only_last: bool
) -> None:
    program, budget = recurrence(9, only_last=only_last), 4.0
    made = size_of(*pipelined(program, family.delays, budget), family)
    guess = size.estimate(program, family)
    for limit in ("_MADE_LUTS", "_MADE_LUTS_NAIVELY"):
        monkeypatch.setattr(size, limit, guess.lut // 2)
    found = size.estimate_layout(program, Directives({}, True), family, budget)
    assert found.lut == pytest.approx(made.lut, rel=off)
    assert found.ff == pytest.approx(made.ff, rel=off)
    assert abs(guess.ff - made.ff) > abs(found.ff - made.ff)


def test_first_steps_compute_what_the_whole_does() -> None:
    program = recurrence(6, only_last=False)
    scan = only_scan(program)
    assert scan is not None
    raw = np.random.default_rng(1).integers(-32, 32, (6, 3)).astype(object)
    (whole,), (part,) = (evaluate(made, [raw]) for made in (program, first_steps(program, scan, 3)))
    np.testing.assert_array_equal(part, whole[:3])


def test_fifos_of_folded_recurrences_are_planned_only_for_sizes_that_are_of_use() -> None:
    """A plan takes as long as all else there, as the layers wait for what they gave; of other small networks it is quick."""
    (recurrent, other), directives = (cell(SimpleRNN, 1), convolution(4)), Directives({"layer": 64, "conv": 36}, False)

    def sizes(program: Program) -> list[Size]:
        uses = lambda _: True, lambda _: False
        return [size.estimate_layout(program, directives, ECP5, None, use) for use in uses]

    whole, bare = sizes(recurrent)
    assert bare.lut < whole.lut and bare.dsp == whole.dsp
    whole, bare = sizes(other)
    assert bare == whole
