"""Random Keras models agree with Keras, in formats of ``auto`` and in wide ones, or are told of."""

from __future__ import annotations

import pytest

from tests.fidelity.comparison import check
from tests.fidelity.random_keras import case

FEW = (5, 11, 14)
"""Seeds of models that are soon compiled."""

CHUNK = 50


@pytest.mark.parametrize("seed", FEW)
def test_a_random_model(seed: int) -> None:
    check(case, [seed], refusals=0)


@pytest.mark.ci
@pytest.mark.slow
def test_some_random_models() -> None:
    check(case, range(20))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 1000, CHUNK))
def test_random_models(start: int) -> None:
    check(case, range(start, start + CHUNK))
