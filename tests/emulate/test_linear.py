"""Products of windows in single precision, where that holds all sums of some parts of the weights, though not of all."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.emulate import Emulator, linear
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from tests.ir import oracle

MOST = FixedFormat(False, 8, 3)


def windows(weights: np.ndarray, frac: int, biases: np.ndarray | None = None) -> Program:
    """Windows of 2x2 of an image of 3x3, each times a matrix; a bias may have more fractional bits."""
    build = ProgramBuilder()
    x = build.input("x", (3, 3, len(weights) // 4), MOST)
    taken = build.window(x, (2, 2), (1, 1), (1, 1), ((0, 0), (0, 0)))
    y = build.linear(build.reshape(taken, (2, 2, len(weights))), weights, frac)
    return build.program([("y", y if biases is None else build.add(y, build.const(biases, frac + 5)))])


@pytest.mark.parametrize(("most", "parts"), [(0, 0), (1, 1), (2, 2), (3, 3), (5, 5), (6, 6), (7, 0)])
@pytest.mark.parametrize("biased", [False, True])
def test_sums_of_parts_are_exact_to_the_last_bit(
    most: int, parts: int, biased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and numbers are the greatest, and odd, so that a lost bit shows. ``parts``: 0 for double precision."""
    made, rng, rows = list[list[np.ndarray]](), np.random.default_rng(most), 4 * 15
    greatest = (most << 24) // (MOST.hi * rows) - 2 if most else 1 << 30
    weights = rng.choice([greatest - greatest % 2 - 1, 1 - greatest], (rows, 5))
    weights[:, 0] = greatest - greatest % 2 - 1  # the sum of the greatest numbers needs as many parts
    find = linear._in_parts
    monkeypatch.setattr(linear, "_in_parts", lambda *given: made.append(find(*given)) or made[-1])
    program = windows(weights, 4, rng.integers(-9, 9, 5) * 2 + 1 if biased else None)
    x = rng.choice([MOST.hi, MOST.hi - 2], (3, 3, 3, rows // 4))
    x[0] = MOST.hi
    (found,) = Emulator(program).run_raw([x])
    for sample, raw in zip(x, found, strict=True):
        np.testing.assert_array_equal(raw, oracle.evaluate(program, [sample])[0])
    if not biased and most != 1:  # the finer steps of a bias take more bits
        assert [[part.dtype for part in one] for one in made] == [[np.dtype("f4")] * parts or [np.dtype("f8")]]
