"""Sigmoid and softplus that a model spells by exponentials: the same values, in formats that hold them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.layers.activation import Activation
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.merge import Multiply
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.power import Divide, Logarithm, Power
from bitsmith.passes.network.fold_logistic import fold_logistic

X = np.random.default_rng(0).uniform(-300, 300, (400, 2))


def _network(last: Layer, *, offset: float = 1.0, function: str = "exponential", scaled: bool = True) -> Network:
    """``x`` through ``last``, of the exponential and a constant; scaled first, or not."""
    scale = BatchNormalization(as_weights([-1.5, 0.5]), as_weights([2.0, -0.25]))
    ones = BatchNormalization(as_weights([1.0, 1.0]), as_weights([offset, offset]))
    read = ("x", "one_more") if isinstance(last, Divide) else ("one_more",)
    skipped = isinstance(last, Logarithm) and last.offset == 1
    nodes = (
        NetworkNode("x", Input((2,))),
        NetworkNode("z", scale, ("x",)),
        NetworkNode("exp", Activation(function), ("z" if scaled else "x",)),
        *((NetworkNode("one_more", ones, ("exp",)),) * (not skipped)),
        NetworkNode("y", last, ("exp",) if skipped else read),
    )
    return Network(nodes, ("x",), ("y",))


SPELLINGS = {
    "sigmoid": (Power(-1.0), Activation),
    "quotient": (Divide(), Multiply),
    "softplus": (Logarithm(), Activation),
    "log1p": (Logarithm(offset=1), Activation),
}


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("name", SPELLINGS)
def test_spelled_functions_keep_their_values_whatever_the_exponential_reaches(name: str, scaled: bool) -> None:
    spelled, kind = SPELLINGS[name]
    network = _network(spelled, scaled=scaled)
    folded = fold_logistic(network)
    assert type(folded.node("y").layer) is kind
    assert "exp" not in {node.name for node in folded.nodes}
    wanted = network.evaluate([X])["y"]
    np.testing.assert_allclose(folded.evaluate([X])["y"], wanted, rtol=1e-9, atol=1e-12)
    found = Emulator(compile_network(network, [X]).program).run([X])[0]
    assert np.abs(found - wanted).max() < 5e-3 * np.ptp(wanted)


def test_others_stay() -> None:
    for network in (
        _network(Power(-1.0), offset=2.0),
        _network(Power(-1.0), function="tanh"),
        _network(Power(-2.0)),
        _network(Logarithm(base=2.0)),
        _network(Logarithm(base=math.e, offset=2)),
    ):
        assert fold_logistic(network).nodes == network.nodes


@pytest.mark.parametrize("name", ["exp", "one_more"])
def test_a_trace_keeps_what_it_shows(name: str) -> None:
    network = _network(Power(-1.0))
    node = network.node(name)
    traced = replace(node, settings=replace(node.settings, trace=True))
    network = network.with_nodes([traced if each is node else each for each in network.nodes])
    assert fold_logistic(network).nodes == network.nodes


def test_an_exponential_that_others_read_stays_beside_the_sigmoid() -> None:
    network = replace(_network(Power(-1.0)), outputs=("y", "exp"))
    folded = fold_logistic(network)
    assert isinstance(folded.node("y").layer, Activation) and folded.node("exp") is network.node("exp")
