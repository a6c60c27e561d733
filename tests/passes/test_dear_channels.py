"""Channels that are not worth their price: those whose absence costs least by brute force, made up for; others' readers stay."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

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
from bitsmith.passes.network.dear_channels import rows_that_stay, weights_of_channels
from bitsmith.passes.network.few_digits import few_digits

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 5))
HIDDEN, READ = RNG.normal(size=(5, 8)), RNG.normal(size=(8, 3))
FINE = Bits(16, 16)


def network(price: float, hidden: Floats = HIDDEN) -> Network:
    """Two dense layers with a rectifier between them, of which the second has a price of channels."""
    settings = Settings(bits=FINE)
    last = Dense(as_weights(READ), as_weights(np.zeros(3)))
    return Network(
        (
            NetworkNode("x", Input((5,))),
            NetworkNode("hidden", Dense(as_weights(hidden)), ("x",), settings=settings),
            NetworkNode("relu", ReLU(), ("hidden",), settings=settings),
            NetworkNode("y", last, ("relu",), settings=replace(settings, channel_price=price)),
        ),
        ("x",),
        ("y",),
    )


def read(found: Network) -> Floats:
    layer = found.node("y").layer
    assert isinstance(layer, Dense)
    return layer.kernel


def channels(given: Network, inputs: Floats) -> Floats | None:
    results = {node.name: result for node, _, result in given.evaluation([inputs])}
    return weights_of_channels(given, given.node("y"), results)


def cheaper(given: Network, inputs: Floats) -> Network:
    """The network at the least price at which a channel goes."""
    for price in (1e-6 * 1.3**k for k in range(60)):
        settings = Settings(bits=FINE, channel_price=price)
        dear = given.with_changed({"y"}, partial(replace, settings=settings))
        found = few_digits(dear, [inputs])
        if not read(found).any(axis=1).all():
            return found
    raise AssertionError


def test_a_channel_that_follows_from_others_goes_and_outputs_stay() -> None:
    hidden = HIDDEN.copy()
    hidden[:, 6] = 2.0 * hidden[:, 1]
    plain = network(0.0, hidden)
    found = cheaper(plain, X)
    assert np.flatnonzero(~read(found).any(axis=1)).tolist() in ([1], [6])
    wanted, outputs = (each.evaluate([X])["y"] for each in (plain, found))
    assert np.mean((wanted - outputs) ** 2) < 1e-4 * wanted.var()


def test_the_one_that_goes_first_costs_least_and_others_make_up_for_it() -> None:
    rows = np.maximum(X @ HIDDEN, 0.0)
    with_constant = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)

    def left(gone: int) -> float:
        others = np.delete(with_constant, gone, axis=1)
        fit = np.linalg.lstsq(others, rows @ READ, rcond=None)[0]
        return float(np.mean((others @ fit - rows @ READ) ** 2))

    found = cheaper(network(0.0), X)
    (gone,) = np.flatnonzero(~read(found).any(axis=1)).tolist()
    outputs, wanted = found.evaluate([X])["y"], network(0.0).evaluate([X])["y"]
    assert left(gone) == min(map(left, range(8)))
    assert np.mean((outputs - wanted) ** 2) < 1.2 * left(gone)


def test_rows_of_a_channel_go_together_as_long_as_they_cost_less_than_their_price() -> None:
    rows = RNG.normal(size=(300, 12)) @ RNG.normal(size=(12, 12))
    moments, weights = (rows.T @ rows)[None] / 300, RNG.normal(size=(2, 12))
    wanted, costs = rows @ weights.T, []
    for gone in range(4):
        others = rows[:, np.arange(12) % 4 != gone]
        left = others @ np.linalg.lstsq(others, wanted, rcond=None)[0] - wanted
        costs.append(float(np.sum(left**2) / 300))

    def stay(prices: Floats) -> set[int]:
        found = rows_that_stay(moments, (moments @ weights[:, :, None])[..., 0], np.ones(2), prices)
        assert len(found) % 3 == 0 and np.array_equal(found, np.flatnonzero(np.isin(np.arange(12) % 4, found % 4)))
        return set(np.unique(found % 4).tolist())

    dearest, least = int(np.argmax(costs)), int(np.argmin(costs))
    assert stay(np.full(4, 0.99 * min(costs))) == {0, 1, 2, 3}
    assert stay(np.full(4, 1.01 * min(costs))) == {0, 1, 2, 3} - {least}
    assert stay(np.where(np.arange(4) == dearest, 1.01 * costs[dearest], 0.0)) == {0, 1, 2, 3} - {dearest}
    assert len(stay(np.full(4, 1e9))) == 1


def test_channels_at_several_positions_are_rows_of_each() -> None:
    settings = Settings(bits=FINE)
    nodes = (
        NetworkNode("x", Input((4, 2))),
        NetworkNode("each", Dense(as_weights(RNG.normal(size=(2, 4)))), ("x",), settings=settings),
        NetworkNode("relu", ReLU(), ("each",)),
        NetworkNode("flat", Reshape((16,)), ("relu",)),
        NetworkNode("y", Dense(as_weights(RNG.normal(size=(16, 3)))), ("flat",), settings=settings),
    )
    positions, inputs = Network(nodes, ("x",), ("y",)), RNG.normal(size=(300, 4, 2))
    weights = channels(positions, inputs)
    assert weights is not None and weights.tolist() == [4 * 2 + 4 * 3] * 4
    matrix = read(cheaper(positions, inputs)).reshape(4, 4, 3)
    assert np.count_nonzero(matrix.any(axis=(0, 2))) == 3 and np.count_nonzero(matrix.any(axis=2)) == 12


def test_channels_of_a_convolution_stay() -> None:
    kernel = as_weights(RNG.normal(size=(3, 2, 4)))
    nodes = (
        NetworkNode("x", Input((6, 2))),
        NetworkNode("conv", Conv(kernel, None, (1,), (1,), ((0, 0),)), ("x",)),
        NetworkNode("flat", Reshape((16,)), ("conv",)),
        NetworkNode("y", Dense(as_weights(RNG.normal(size=(16, 3)))), ("flat",)),
    )
    assert channels(Network(nodes, ("x",), ("y",)), RNG.normal(size=(300, 6, 2))) is None


def test_channels_stay_that_others_read_or_whose_readers_have_weights_of_their_own() -> None:
    plain = network(1.0)
    weights = channels(plain, X)
    assert weights is not None and weights.tolist() == [5 + 3] * 8
    assert channels(replace(plain, outputs=("y", "relu")), X) is None
    fixed = Settings(bits=FINE, channel_price=1.0, precision={"weight": FixedFormat(True, 6, 2)})
    decided = plain.with_changed({"y"}, lambda node: replace(node, settings=fixed))
    assert few_digits(decided, [X]) is decided


@pytest.mark.parametrize("price", [0.0, 1e-12])
def test_channels_that_are_worth_more_stay(price: float) -> None:
    assert read(few_digits(network(price), [X])).any(axis=1).all()
