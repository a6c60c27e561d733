"""Bounds of trees whose library compares in single precision, for inputs of double precision."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.frontends.ops.trees import of_singles


@given(st.integers(0, 2**32 - 1))
def test_bounds_of_singles_say_of_doubles_what_thresholds_say_of_singles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ends = rng.choice([1.0, 0.01, 1000.0]) * np.round(rng.normal(size=(2, 50)), int(rng.integers(1, 6)))
    thresholds = ends.astype(np.float32).astype(np.float64).mean(axis=0)
    bounds = of_singles(thresholds)
    edge = thresholds.astype(np.float32)
    near = [edge, np.nextafter(edge, np.float32(9e9)), np.nextafter(edge, np.float32(-9e9))]
    halves = [(near[0].astype(np.float64) + other) / 2 for other in near[1:]]
    short = np.array([float(f"{bound:.5g}") for bound in thresholds])
    stays = np.ldexp(np.frexp(thresholds)[0], 16) % 1.0 == 0.0
    for x in (*near, *halves, *(np.nextafter(half, side) for half in halves for side in (-9e9, 9e9)), short, *ends):
        agrees = (x.astype(np.float64) <= bounds) == (x.astype(np.float32) <= thresholds)
        assert np.all(agrees | stays & (x != short))
