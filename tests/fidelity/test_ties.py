"""Ties of quantizers, where the last place of single precision decides what a framework gives."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from bitsmith.fidelity.shortfall import at_ties, shaken
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.activation import ReLU
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer


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
    (found,) = shaken(_network(step), [ties], at_ties)
    assert np.all(np.abs(found - ties) < 0.51 * step)


def test_what_single_precision_holds_stays_at_its_tie() -> None:
    node = _network(0.1).nodes[-1]
    ties = (np.arange(64) + 0.5).reshape(8, 8)
    held, others = 0.125 * ties, float(np.float32(0.1)) * ties * (1 + 2**-30)
    assert np.array_equal(at_ties(node, [held], node.layer.reference([held])), node.layer.reference([held]))
    assert np.any(at_ties(node, [others], node.layer.reference([others])) != node.layer.reference([others]))
    relu = _network(0.1).nodes[1]
    assert at_ties(relu, [others], others) is others
