"""The ONNX project's node tests: none is wrong, and what passes is what the documentation says."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx_node_tests import Outcome, cases, collected, table

_PAGE = Path(__file__).parents[2] / "docs" / "onnx-node-tests.md"
_SHARE = 12


@pytest.mark.slow
@pytest.mark.ci
def test_a_share_of_them_is_not_wrong() -> None:
    outcomes, wrong = collected(cases(_SHARE))
    assert wrong == []
    assert sum(values.count(Outcome.PASSED) for values in outcomes.values()) >= 40


@pytest.mark.slow
def test_none_is_wrong() -> None:
    outcomes, wrong = collected(cases())
    assert wrong == []
    if f"onnx {onnx.__version__}:" in _PAGE.read_text():
        assert _PAGE.read_text() == table(outcomes)
