"""Numbers that are live in some turn, counted beside the definition."""

import numpy as np
import pytest

from bitsmith.mapping.folding import divisors
from bitsmith.mapping.live import Live


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_those_that_are_live_in_some_turn_and_part(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, n = int(rng.integers(1, 25)), int(rng.integers(1, 20))
    live = rng.random((int(rng.integers(1, 4)), n))[rng.integers(0, 1, vectors)] < 0.3
    live |= rng.random((vectors, 1)) < rng.choice([0.0, 0.2])
    counted = Live(live)
    for serial in divisors(vectors):
        for steps in range(1, n + 1):
            size = -(-n // steps)
            parts = np.pad(live, ((0, 0), (0, steps * size - n))).reshape(serial, vectors // serial, steps, size)
            assert counted.rows(serial, steps) == int(parts.any(axis=(0, 2)).sum())
