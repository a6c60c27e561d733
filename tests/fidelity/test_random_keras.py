"""Random Keras models agree with Keras, in formats of ``auto`` and in wide ones, or are told of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fidelity.comparison import check
from tests.fidelity.random_keras import case

FEW = (8, 12, 16)
"""Seeds of models that are soon compiled."""

CHUNK = 50


@pytest.mark.parametrize("seed", FEW)
def test_a_random_model(seed: int) -> None:
    check(case, [seed], refusals=0)


@pytest.mark.ci
@pytest.mark.slow
def test_some_random_models() -> None:
    check(case, range(8))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 1000, CHUNK))
def test_random_models(start: int) -> None:
    """Keras on numpy, which compiles nothing: with jax they take four times as long."""
    code = f"""
from tests.fidelity.comparison import check
from tests.fidelity.random_keras import case
check(case, range({start}, {start + CHUNK}))
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
