"""Elements of a tensor with fractional bits, intervals and constants of their own: no layer may mix their raw values."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.errors import RangeError
from bitsmith.layers.power import Divide, Power
from bitsmith.layers.sample_norm import LayerNormalization
from bitsmith.layers.softmax import Softmax
from tests.layers.cases import CASES, Case
from tests.layers.typed import drawn_type, elements_of, typed

CLASSES = typed((3,), [(16, -234617, 234617), (16, -234617, 234617), (4, 177, 177)])
"""Logits of which the last is a bias alone, as a pruned class has it, and the greatest."""

APART = typed((2,), [(4, 4, 4 + 63), (4, 128, 128 + 63)])
"""Operands of which one is far above the other."""


def test_a_constant_class_leaves_the_others_their_probabilities() -> None:
    assert elements_of(Softmax(), [CLASSES]).worst() < 1.0


@pytest.mark.parametrize("exponent", [-1.0, -0.5, 0.5, 0.3, -2.7])
def test_powers_of_operands_of_which_one_is_far_above_the_other(exponent: float) -> None:
    assert elements_of(Power(exponent), [APART]).worst() < 1.0


def test_quotients_by_operands_of_which_one_is_far_above_the_other() -> None:
    assert elements_of(Divide(), [APART, APART]).worst() < 1.0


def test_rows_that_are_scaled_and_not_centered_may_have_no_variance() -> None:
    """The same number everywhere is then divided by the root of epsilon alone."""
    layer = LayerNormalization((-1,), np.ones(3), np.zeros(3), 0.125, centered=False)
    same = typed((3,), [(-2, -64, -64)] * 3)
    assert elements_of(layer, [same]).worst() < 1.0
    assert elements_of(layer, [typed((3,), [(-2, -64, 63)] * 3)], seed=23).worst() < 1.0


def check(case: Case, seed: int) -> None:
    """The layer on operands of drawn types; a range that has no result is refused."""
    rng = np.random.default_rng(seed)
    types = [drawn_type(rng, case, shape) for shape in case.shapes]
    try:
        found = elements_of(case.layer, types, case.settings, seed=seed)
    except RangeError:
        return
    assert found.worst() <= case.steps, types


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_layer_is_accurate_for_elements_of_any_kind(case: Case) -> None:
    check(case, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_layer_is_accurate_for_many_more(case: Case) -> None:
    for seed in range(1, 40):
        check(case, seed)
