"""Engines with several visits in simulation: every bit and every cycle, while attention beside them makes what they read next."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mapping.test_visits import assert_one_engine
from tests.properties.transformers import in_visits, transformer
from tests.rtl.streaming import assert_streams

RATES = (1e9, 16.0, 3.0)

CHECKED = {4, 6, 13}
"""Seeds of transformers whose dense layers all share one engine."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k in CHECKED else ()) for k in range(30)])
def test_random_transformers(seed: int, tmp_path: Path) -> None:
    """Weights come as the memory of a rate gives them, operands and results wait at random."""
    program, directives = transformer(seed), in_visits(transformer(seed), seed, RATES[seed % 3])
    assert_streams(program, directives, tmp_path, seed, frames=4)
    if seed in CHECKED:
        assert_one_engine(program, directives, seed)
