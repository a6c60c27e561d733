"""Real numbers in drivers: they become the raw ones of the emulator, next to halves of steps and to thresholds."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.design import circuit
from bitsmith.devices.ecp5 import ECP5
from bitsmith.emulate import Emulator
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ladders import Ladder
from bitsmith.ir.ops import Input
from bitsmith.ir.types import Overflow, Rounding, objects
from bitsmith.mapping.directives import Directives
from bitsmith.rtl.writer import Title
from tests.rtl.wrapped import DIGEST, expected
from tests.systems.test_bare_metal import Board, compiled
from tests.systems.written import imported, written


@pytest.mark.parametrize(("rounding", "parallel"), [(each, k % 2 == 0) for k, each in enumerate(Rounding)])
@pytest.mark.parametrize("laddered", [False, True])
def test_elements_of_several_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallel: bool, rounding: Rounding, laddered: bool
) -> None:
    """Each element with its own step beside others of a token and of the tokens before, numbers next to nothing among them.

    Codes on ladders are kept as the emulator keeps them.
    """
    builder = ProgramBuilder()
    frac = np.array([[5, 2], [-3, 4], [2, 2]])
    scales = np.ldexp(np.float64(np.float32([[2.5, 3.1], [-2.7, 4.0], [8.3, 9.0]])), -frac)
    ends = np.float64(-6.0), np.float64([3.0, np.inf])
    ladders = (
        Ladder(rounding, scales * 10.0, *map(np.float64, (10.0, [0.0, 1.1], [0.0, 3.0])), *ends),
        Ladder(Rounding.TRN, *map(np.float64, (64.0, 1.0, 0.0)), *ends[:1] * 3),
    )
    modes = (Rounding.RND, Overflow.SAT, ladders) if laddered else (rounding, Overflow.SAT, ())
    x = builder.apply(Input("x", (3, 2), frac, objects(-256), objects(255), *modes))
    program = builder.program([("y", builder.neg(x))])
    each = circuit(program, Directives({}, parallel), ECP5.delays, 8.0, "net", Title("test", DIGEST))
    written(tmp_path, each, "zcu104")
    (net,) = imported(monkeypatch, tmp_path, "net")
    library, board = compiled(tmp_path, "double"), Board(each, net)
    library.connect_board(*board.functions)
    tiny = np.array([5e-324, -5e-324, -(2.0**-1022)]).repeat(6).reshape(3, 3, 2)
    ties = np.arange(-3, 4)[:, None, None] * 2.0 ** -(frac + 1)
    steps = np.arange(-12, 13)[:, None, None] / 2.0 * scales
    given = np.concatenate(
        [np.random.default_rng(0).uniform(-5, 5, (9, 3, 2)), ties, tiny, steps, steps + 1e-9, steps - 1e-9]
    )
    (want,) = expected(program, [given])
    y = np.zeros(want.shape)
    pointers = [(ctypes.c_void_p * 1)(array.ctypes.data) for array in (given, y)]
    assert library.net_predict(*pointers, ctypes.c_size_t(len(given))) == 0
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(net.quantize(0, given), Emulator(program).quantize(0, given)[0])
