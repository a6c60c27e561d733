"""Ties of quantizers, where the last place of single precision decides what a framework gives."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import bitsmith
from bitsmith.fidelity.shortfall import shaken
from bitsmith.fidelity.ties import at_ties, more_bits, open_decisions, rounded_alike
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.activation import ReLU
from bitsmith.layers.elementwise import Sign
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer
from bitsmith.layers.logic import Comparison
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.reduction import ArgMax
from bitsmith.layers.trees import EXAMPLES


def _network(step: float) -> Network:
    codes = Quantizer.uniform(step, -128, 127, Rounding.RND_CONV, Overflow.SAT)
    nodes = (
        NetworkNode("x", Input((8,))),
        NetworkNode("relu", ReLU(), ("x",)),
        NetworkNode("y", Quantize(codes), ("relu",)),
    )
    return Network(nodes, ("x",), ("y",), "ties")


@given(st.floats(0.0078125, 1.0, width=32), st.lists(st.integers(0, 120), min_size=64, max_size=64))
def test_either_code_beside_a_tie_may_be_the_framework_s(step: float, codes: list[int]) -> None:
    ties = ((np.array(codes) + 0.5) * step).reshape(8, 8)
    (found,) = shaken(_network(step), [ties])
    assert np.all(np.abs(found - ties) < 0.51 * step)


def test_what_single_precision_holds_stays_at_its_tie() -> None:
    node = _network(0.1).nodes[-1]
    ties = (np.arange(64) + 0.5).reshape(8, 8)
    held, others = 0.125 * ties, float(np.float32(0.1)) * ties * (1 + 2**-30)
    rng = np.random.default_rng(0)
    assert np.array_equal(at_ties(rng, node, [held], node.layer.reference([held])), node.layer.reference([held]))
    assert np.any(at_ties(rng, node, [others], node.layer.reference([others])) != node.layer.reference([others]))
    relu = _network(0.1).nodes[1]
    assert at_ties(rng, relu, [others], others) is others


@given(st.lists(st.floats(2.0**-12, 2.0**-8, width=32), min_size=7, max_size=7), st.integers(0, 32))
def test_small_inputs_stay_on_their_sides_beside_large_ones(small: list[float], seed: int) -> None:
    """What single precision holds has no more error for what stands beside it."""
    nodes = (NetworkNode("x", Input((8,))), NetworkNode("y", Sign(), ("x",)))
    x = np.array([[*small, 3000.1]]).astype(np.float32).astype(np.float64)
    (signs,) = shaken(Network(nodes, ("x",), ("y",), "signs"), [np.concatenate([x, -x])], seed)
    np.testing.assert_array_equal(signs, [[1.0] * 8, [-1.0] * 8])


@given(st.integers(0, 2**32 - 1), st.sampled_from([ArgMax(0), Sign(), EXAMPLES[0].layer]))
def test_decisions_beyond_the_last_places_of_single_precision_are_the_model_s(seed: int, layer: Layer) -> None:
    """The circuit's are taken nearer to a threshold, and are told with the bits that are enough for them elsewhere."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 2))
    result = layer.reference([x])
    near = layer.reference([x + 2.0**-26 * np.abs(x).max(axis=1, keepdims=True) * rng.choice([-1.0, 1.0], x.shape)])
    np.testing.assert_array_equal(open_decisions(layer, [x], result, near), near)
    held = x + 2.0 ** -int(rng.integers(4, 14)) * rng.uniform(-1.0, 1.0, x.shape)
    far = layer.reference([held])
    at = open_decisions(layer, [x], result, far)
    margins = [layer.reference([x + 2.0**-18 * np.abs(x).max() * rng.choice([-1.0, 1.0], x.shape)]) for _ in range(64)]
    sure = np.logical_and.reduce([(other == result).reshape(len(x), -1).all(axis=1) for other in margins])
    np.testing.assert_array_equal(at[sure], result[sure])
    bits = more_bits(layer, [x], [held], result)
    assert (bits == 0) == np.array_equal(far, result)
    if bits:
        rows = (far != result).reshape(len(x), -1).any(axis=1)
        less, enough = (layer.reference([x[rows] + (held - x)[rows] * 2.0**-k]) for k in (bits - 1, bits))
        assert np.array_equal(enough, result[rows]) and not np.array_equal(less, result[rows])


@pytest.mark.parametrize(("constant", "stays"), [(2.4, True), (2.6, False), (3.0, True), (3.4, False), (3.6, True)])
def test_decisions_that_rounding_leaves_open_are_not_those_of_equality(constant: float, stays: bool) -> None:
    operands = [np.array([[3.0]]), np.array([[constant]])]
    for relation in (Relation.LT, Relation.LE, Relation.GT, Relation.GE):
        layer = Comparison(relation)
        own = layer.reference(operands)
        decided = rounded_alike(layer, operands, [0.5, 0.0], own, 1.0 - own)
        np.testing.assert_array_equal(decided, own if stays else 1.0 - own)
        np.testing.assert_array_equal(rounded_alike(layer, operands, [0.5, 0.0], own, own), own)


def test_numbers_of_the_input_s_grid_beside_a_constant_are_no_defect() -> None:
    """Both are rounded to the same number, so that the constant is not less than itself; one of the samples is such a number."""
    constant = 17726.3125 * 2.0**-14
    model = bitsmith.convert(f"(1.25 if x < {constant!r} else 1.25*x^3)", inputs={"x": (0, 2)})
    assert not model.fidelity.problems
