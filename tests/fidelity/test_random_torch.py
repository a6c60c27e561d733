"""Random PyTorch modules agree with PyTorch, in formats of ``auto`` and in wide ones, or are told of."""

from __future__ import annotations

import pytest

from tests.fidelity.comparison import check
from tests.fidelity.random_torch import case

CHUNK = 50


def test_a_few_random_modules() -> None:
    check(case, (1, 2, 6), refusals=0.5)


@pytest.mark.ci
@pytest.mark.slow
def test_some_random_modules() -> None:
    check(case, range(2000, 2020), refusals=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 1000, CHUNK))
def test_random_modules(start: int) -> None:
    check(case, range(start, start + CHUNK), refusals=0.3)
