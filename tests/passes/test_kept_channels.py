"""Channels that go: those whose absence costs least by brute force, with what is left made up for; others' readers stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bitsmith.ir.types import FixedFormat
from bitsmith.layers.activation import ReLU
from bitsmith.layers.conv import Conv
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Bits, Settings
from bitsmith.layers.shape import Reshape
from bitsmith.passes.network.few_digits import few_digits
from bitsmith.passes.network.kept_channels import Kept, kept_channels, rows_that_stay

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 5))
HIDDEN, READ = RNG.normal(size=(5, 8)), RNG.normal(size=(8, 3))
FINE = Bits(16, 16)
SETTINGS = Settings(bits=FINE)


def network(share: float, hidden: Floats = HIDDEN) -> Network:
    """Two dense layers with a rectifier between them."""
    settings = Settings(bits=FINE)
    return Network(
        (
            NetworkNode("x", Input((5,))),
            NetworkNode("hidden", Dense(as_weights(hidden)), ("x",), settings=replace(settings, kept_channels=share)),
            NetworkNode("relu", ReLU(), ("hidden",), settings=settings),
            NetworkNode("y", Dense(as_weights(READ), as_weights(np.zeros(3))), ("relu",), settings=settings),
        ),
        ("x",),
        ("y",),
    )


def read(found: Network) -> Floats:
    layer = found.node("y").layer
    assert isinstance(layer, Dense)
    return layer.kernel


def test_a_channel_that_follows_from_others_goes_and_outputs_stay() -> None:
    hidden = HIDDEN.copy()
    hidden[:, 6] = 2.0 * hidden[:, 1]
    plain = network(1.0, hidden)
    found = few_digits(network(0.875, hidden), [X])
    gone = np.flatnonzero(~read(found).any(axis=1))
    assert gone.tolist() in ([1], [6])
    wanted, outputs = (each.evaluate([X])["y"] for each in (plain, found))
    assert np.mean((wanted - outputs) ** 2) < 1e-4 * wanted.var()


def test_the_one_that_goes_first_costs_least_and_others_make_up_for_it() -> None:
    rows = np.maximum(X @ HIDDEN, 0.0)
    with_constant = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)

    def left(gone: int) -> float:
        others = np.delete(with_constant, gone, axis=1)
        fit = np.linalg.lstsq(others, rows @ READ, rcond=None)[0]
        return float(np.mean((others @ fit - rows @ READ) ** 2))

    found = few_digits(network(0.875), [X])
    (gone,) = np.flatnonzero(~read(found).any(axis=1))
    outputs, wanted = found.evaluate([X])["y"], network(1.0).evaluate([X])["y"]
    assert left(gone) == min(map(left, range(8)))
    assert np.mean((outputs - wanted) ** 2) < 1.2 * left(gone)


@pytest.mark.parametrize("count", [1, 3])
def test_rows_of_a_channel_go_together(count: int) -> None:
    rows = RNG.normal(size=(300, 12)) @ RNG.normal(size=(12, 12))
    moments, weights = (rows.T @ rows)[None] / 300, RNG.normal(size=(2, 12))
    stay = rows_that_stay(moments, (moments @ weights[:, :, None])[..., 0], np.ones(2), Kept(4, count))
    assert len(stay) == 3 * count and sorted(set(stay % 4)) == sorted(stay[:count] % 4)
    if count == 3:
        costs = []
        for gone in range(4):
            others = rows[:, np.arange(12) % 4 != gone]
            wanted = rows @ weights.T
            costs.append(np.sum((others @ np.linalg.lstsq(others, wanted, rcond=None)[0] - wanted) ** 2))
        assert {0, 1, 2, 3} - set(stay % 4) == {int(np.argmin(costs))}


def test_channels_of_a_convolution_are_rows_of_each_position() -> None:
    settings = Settings(bits=FINE, kept_channels=0.5)
    kernel = as_weights(RNG.normal(size=(3, 2, 4)))
    nodes = (
        NetworkNode("x", Input((6, 2))),
        NetworkNode("conv", Conv(kernel, None, (1,), (1,), ((0, 0),)), ("x",), settings=settings),
        NetworkNode("relu", ReLU(), ("conv",)),
        NetworkNode("flat", Reshape((16,)), ("relu",)),
        NetworkNode("y", Dense(as_weights(RNG.normal(size=(16, 3)))), ("flat",), settings=Settings(bits=FINE)),
    )
    convolution, inputs = Network(nodes, ("x",), ("y",)), RNG.normal(size=(300, 6, 2))
    assert kept_channels(convolution, [inputs]) == {"y": Kept(4, 2)}
    matrix = read(few_digits(convolution, [inputs])).reshape(4, 4, 3)
    assert np.count_nonzero(matrix.any(axis=(0, 2))) == 2


def test_channels_stay_that_others_read_or_whose_readers_have_weights_of_their_own() -> None:
    plain = network(0.5)
    assert kept_channels(plain, [X]) == {"y": Kept(8, 4)}
    assert not kept_channels(replace(plain, outputs=("y", "relu")), [X])
    fixed = replace(SETTINGS, precision={"weight": FixedFormat(True, 6, 2)})
    decided = plain.with_changed({"y"}, lambda node: replace(node, settings=fixed))
    assert few_digits(decided, [X]) is decided
