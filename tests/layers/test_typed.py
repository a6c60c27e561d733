"""Elements of a tensor with fractional bits, intervals and constants of their own: no layer may mix their raw values."""

from __future__ import annotations

import pytest

from bitsmith.layers.power import Divide, Power
from bitsmith.layers.softmax import Softmax
from tests.layers.typed import elements_of, typed

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
