"""Softmax: accuracy, order of the classes, and its three implementations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.settings import Settings, SoftmaxImplementation
from bitsmith.layers.softmax import Softmax
from tests.layers.lowered import network_of, run


@settings(max_examples=7)
@given(st.integers(1, 12), st.integers(4, 18), st.integers(0, 1000))
def test_stable_softmax_is_accurate_and_keeps_the_order(classes: int, width: int, seed: int) -> None:
    formats = {0: FixedFormat(True, width, width - 4)}
    outcome = run(network_of(Softmax(), [(classes,)], formats=formats), seed, samples=8)
    assert np.max(np.abs(outcome.fixed - outcome.real)) < 2.0**-13
    top = np.take_along_axis(outcome.fixed, outcome.real.argmax(-1)[:, None], -1)[:, 0]
    np.testing.assert_array_equal(top, outcome.fixed.max(-1))


def test_many_classes_stay_accurate() -> None:
    outcome = run(network_of(Softmax(), [(200,)]), samples=4)
    assert np.max(np.abs(outcome.fixed - outcome.real)) < 2.0**-13


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_any_axis(axis: int) -> None:
    outcome = run(network_of(Softmax(axis), [(3, 4)]))
    assert np.max(np.abs(outcome.fixed - outcome.real)) < 2.0**-13


def test_latency_softmax_is_accurate_in_a_moderate_range() -> None:
    setting = Settings(implementation=SoftmaxImplementation.LATENCY)
    outcome = run(network_of(Softmax(), [(5,)], setting, {0: FixedFormat(True, 10, 7)}), samples=16)
    assert np.max(np.abs(outcome.fixed - outcome.real)) < 2.0**-12


def test_argmax_marks_the_first_largest() -> None:
    setting = Settings(implementation=SoftmaxImplementation.ARGMAX)
    outcome = run(network_of(Softmax(), [(6,)], setting, {0: FixedFormat(True, 3, 0)}), samples=40)
    first = outcome.real.argmax(-1)
    np.testing.assert_array_equal(outcome.fixed, np.eye(6)[first])


def test_given_table_and_result_formats_are_honoured() -> None:
    table = FixedFormat(False, 10, 10, Rounding.RND, Overflow.SAT)
    result = FixedFormat(False, 8, 8, Rounding.RND, Overflow.SAT)
    precision = {"exp_table": table, "inv_table": FixedFormat(False, 12, 10), "result": result}
    outcome = run(network_of(Softmax(), [(5,)], Settings(precision), {0: FixedFormat(True, 10, 6)}), samples=16)
    assert np.all(outcome.fixed * 256 == np.rint(outcome.fixed * 256))
    assert np.max(np.abs(outcome.fixed - outcome.real)) < 0.01


def test_skip_hands_the_logits_on() -> None:
    outcome = run(network_of(Softmax(), [(5,)], Settings(skip=True)))
    assert outcome.program.outputs[0].node == 0


@pytest.mark.parametrize("bounds", [(-8.0, 0.0), (-8.0, 8.0), (0.0, 8.0)])
def test_a_table_range_bounds_the_exponential_only(bounds: tuple[float, float]) -> None:
    outcome = run(network_of(Softmax(), [(4,)], Settings(table_range=bounds)), samples=16)
    assert np.max(np.abs(outcome.fixed - outcome.real)) < 4 * np.exp(-8.0)


def test_a_narrow_table_range_still_sums_to_one() -> None:
    outcome = run(network_of(Softmax(), [(4,)], Settings(table_range=(-0.5, 0.5))), samples=16)
    np.testing.assert_allclose(outcome.fixed.sum(-1), 1.0, atol=1e-3)
