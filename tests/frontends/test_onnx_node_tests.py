"""The ONNX project's node tests: none is wrong, and what passes is what the documentation says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_node_tests
import pytest
from onnx_models import graph, node
from onnx_node_tests import Case, Outcome, cases, collected, outcome, table

_PAGE = Path(__file__).parents[2] / "docs" / "onnx-node-tests.md"
_SHARE = 12


def _log_sum_exp(greatest: float) -> Case:
    """By an exponential of its own, not scaled by the greatest operand."""
    nodes = [node("Exp", "x", "e"), node("ReduceSum", "e axes", "s", keepdims=0), node("Log", "s", "y")]
    model = graph(nodes, {"x": ("N", 2)}, "y", {"axes": np.array([1])})
    x = np.array([[1.0, greatest], [0.0, 2.0]], np.float32)
    return Case("test_log_sum_exp", model, (x,), (np.logaddexp(x[:, 0], x[:, 1]),), 1e-3)


@pytest.mark.parametrize(("greatest", "became"), [(5.0, Outcome.PASSED), (60.0, Outcome.TOO_WIDE)])
def test_results_inside_may_be_too_wide(greatest: float, became: Outcome) -> None:
    assert outcome(_log_sum_exp(greatest)) is became


def test_results_that_precisions_hold_must_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_node_tests, "_ACCURACY", 2.0**-40)
    assert outcome(_log_sum_exp(5.0)) is Outcome.WRONG


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
