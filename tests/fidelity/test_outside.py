"""Which samples are looked at where values lie outside the formats of inputs."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.emulate import Emulator
from bitsmith.fidelity.outside import _rows
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ops import Input
from bitsmith.ir.types import Overflow, Rounding, objects

FORMATS = ((0, -8, 7), (6, -128, 127))
"""Fractional bits and raw limits of two inputs: from -8 to 7, and from -2 to 1.98."""


def _emulator() -> Emulator:
    build = ProgramBuilder()
    read = [
        build.apply(Input(name, (3,), np.array(frac), objects(lo), objects(hi), Rounding.TRN, Overflow.SAT, ()))
        for name, (frac, lo, hi) in zip("ab", FORMATS, strict=True)
    ]
    return Emulator(build.program([("y", build.add(*read))]))


@pytest.mark.parametrize("most", [1, 2, 7, 40])
@pytest.mark.parametrize("seed", range(4))
def test_half_of_the_samples_are_furthest_outside_and_half_are_all_over(seed: int, most: int) -> None:
    """Of each input by its own range, below and above; of equals the first ones."""
    rng, count = np.random.default_rng(seed), 150
    batches = [rng.uniform(*(np.array([lo, hi]) / 2**frac), (count, 3)) for frac, lo, hi in FORMATS]
    excess = np.zeros(count)
    for row in rng.choice(count, 25, replace=False):
        which, element, far = rng.integers(2), rng.integers(3), rng.uniform(0.1, 3.0)
        frac, lo, hi = FORMATS[which]
        size = (hi - lo) / 2**frac
        batches[which][row, element] = lo / 2**frac - far * size if rng.random() < 0.5 else hi / 2**frac + far * size
        excess[row] = far
    furthest = sorted(range(count), key=lambda row: (-excess[row], row))[: (most + 1) // 2]
    rows = _rows(_emulator(), batches, most)
    assert rows == sorted(set(rows)) and set(furthest) <= set(rows)
    others = range(0, count, -(-2 * count // most))
    assert set(rows) == {*furthest, *others} and len(others) <= (most + 1) // 2
