"""Padding by -inf in front of max pooling; what is refused is in the tests of the frontends."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bitsmith.layers.input import Input
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.pooling import MaxPool
from bitsmith.layers.resample import Pad
from bitsmith.layers.shape import Identity, Permute
from bitsmith.passes.network.fold_padding import fold_padding


@pytest.mark.parametrize("least", [-math.inf, float(np.finfo(np.float32).min)])
def test_padding_becomes_that_of_all_pools_that_read_it(least: float) -> None:
    network = Network(
        (
            NetworkNode("x", Input((2, 5, 6))),
            NetworkNode("pad", Pad(((0, 0), (1, 0), (1, 2)), value=least), ("x",)),
            NetworkNode("last", Permute((1, 2, 0)), ("pad",)),
            NetworkNode("p", MaxPool((2, 3), (2, 1), ((0, 1), (0, 0))), ("last",)),
            NetworkNode("q", MaxPool((3, 3), (2, 2), dilation=(1, 2), ceil_mode=True), ("last",)),
        ),
        ("x",),
        ("p", "q"),
    )
    folded = fold_padding(network)
    x = np.random.default_rng(0).normal(size=(3, 2, 5, 6))
    wanted, found = network.evaluate([x]), folded.evaluate([x])
    for name in network.outputs:
        np.testing.assert_array_equal(found[name], wanted[name])
    assert isinstance(folded.node("pad").layer, Identity)
    pool = folded.node("p").layer
    assert isinstance(pool, MaxPool)
    assert pool.padding == ((1, 1), (1, 2))
    assert fold_padding(folded) is folded


def test_axes_that_the_padding_does_not_name_have_none() -> None:
    nodes = (
        NetworkNode("x", Input((5, 6, 2))),
        NetworkNode("pad", Pad(((1, 0), (1, 2)), value=-math.inf), ("x",)),
        NetworkNode("p", MaxPool((2, 3), (2, 1)), ("pad",)),
    )
    network = Network(nodes, ("x",), ("p",))
    x = np.random.default_rng(0).normal(size=(3, 5, 6, 2))
    np.testing.assert_array_equal(fold_padding(network).evaluate([x])["p"], network.evaluate([x])["p"])
