"""Effects of small errors on outputs: exact of linear networks, nothing through what is shut, shares of groups of channels."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest

from bitsmith.layers.activation import Activation, ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.recurrent import SimpleRNN
from bitsmith.passes.network import sensitivity
from bitsmith.passes.network.sensitivity import Sensitivity

RNG = np.random.default_rng(1)
FIRST, LAST = RNG.normal(size=(5, 7)), RNG.normal(size=(7, 3))
X = RNG.normal(size=(200, 4, 5))
LINEAR = ReLU(negative_slope=1.0)


def network(function: Layer, last: Floats = LAST) -> Network:
    nodes = (
        NetworkNode("x", Input((4, 5))),
        NetworkNode("h", Dense(as_weights(FIRST)), ("x",)),
        NetworkNode("f", function, ("h",)),
        NetworkNode("y", Dense(as_weights(last)), ("f",)),
    )
    return Network(nodes, ("x",), ("y",))


def test_linear_networks_have_the_squares_of_their_weights() -> None:
    plain = network(LINEAR)
    found = Sensitivity.of(plain, [X]).at("h")
    variance = plain.evaluate([X])["y"].var(axis=0).sum()
    np.testing.assert_allclose(found, np.broadcast_to((LAST**2).sum(axis=1) / variance, found.shape), rtol=1e-9)


def test_nothing_comes_through_a_rectifier_that_is_shut() -> None:
    rectified = network(ReLU())
    found, result = Sensitivity.of(rectified, [X]).at("h"), rectified.evaluate([X])["h"]
    far = np.abs(result) > 0.5 * result.std(axis=(0, 1))
    assert np.all(found[far & (result < 0)] == 0.0)
    opened = np.where(far & (result > 0), found, np.nan)
    assert np.nanmax(opened, axis=(0, 1)) == pytest.approx(np.nanmin(opened, axis=(0, 1)))


def test_channels_that_no_output_reads_have_none() -> None:
    last = LAST.copy()
    last[2] = 0.0
    found = Sensitivity.of(network(Activation("tanh"), last), [X]).at("h")
    assert np.all(found[..., 2] == 0.0) and np.all(found[..., [0, 1, 3, 4, 5, 6]].mean(axis=(0, 1)) > 0.0)


def test_channels_that_are_moved_together_share_their_effect() -> None:
    plain = network(LINEAR)
    exact = Sensitivity.of(plain, [X]).at("h").mean(axis=(0, 1))
    with patch.object(sensitivity, "_ELEMENTS", 1):
        found = Sensitivity.of(plain, [X]).at("h").mean(axis=(0, 1))
    spread = plain.evaluate([X])["h"].std(axis=(0, 1))
    assert np.ptp(found) == pytest.approx(0.0)
    assert found[0] == pytest.approx(float((exact * spread**2).sum() / (spread**2).sum()), rel=0.5)


def test_stateful_networks_count_their_own_variance() -> None:
    cell = SimpleRNN(as_weights(FIRST[:, :3]), as_weights(LAST[:3]), stateful=True)
    nodes = NetworkNode("x", Input((4, 5))), NetworkNode("y", cell, ("x",))
    found = Sensitivity.of(Network(nodes, ("x",), ("y",)), [X]).at("y")
    assert float(np.ptp(found)) == 0.0 and float(found.mean()) > 0.0
