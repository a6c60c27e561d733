"""Random ONNX graphs give what onnxruntime gives, or say that they do not."""

from __future__ import annotations

import pytest

from tests.fidelity.comparison import check
from tests.fidelity.random_onnx import case


@pytest.mark.filterwarnings("ignore")
def test_a_few_random_graphs() -> None:
    check(case, range(4))


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_some_random_graphs() -> None:
    check(case, range(1000, 1020))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("first", range(0, 500, 50))
def test_random_graphs(first: int) -> None:
    check(case, range(first, first + 50))
