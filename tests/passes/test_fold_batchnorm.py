"""Normalizations folded into layers with weights: the same results, and what is said of the weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bitsmith.ir.types import FixedFormat
from bitsmith.layers.activation import ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.settings import Settings, Weights
from bitsmith.layers.shape import Identity, Reshape
from bitsmith.passes.network.fold_batchnorm import fold_batchnorm


def _scaled_twice(*outputs: str) -> Network:
    """Two normalizations in front of a dense layer."""
    rng = np.random.default_rng(0)
    scales, offsets = rng.uniform(0.5, 8.0, (2, 3)), rng.uniform(-1.0, 1.0, (2, 3))
    first, second = (BatchNormalization(as_weights(a), as_weights(b)) for a, b in zip(scales, offsets, strict=True))
    dense = Dense(as_weights(rng.normal(size=(3, 4))), as_weights(rng.normal(size=4)))
    return Network(
        (
            NetworkNode("x", Input((3,))),
            NetworkNode("first", first, ("x",)),
            NetworkNode("second", second, ("first",)),
            NetworkNode("dense", dense, ("second",)),
        ),
        ("x",),
        (*outputs, "dense"),
    )


def test_scales_of_rows_add_up() -> None:
    """What a dense layer says of its rows' scales is what its kernel was multiplied by."""
    network = _scaled_twice()
    folded = fold_batchnorm(network)
    before, after = network.node("dense").layer, folded.node("dense").layer
    assert isinstance(before, Dense) and isinstance(after, Dense) and after.row_scale is not None
    np.testing.assert_allclose(after.kernel, before.kernel * after.row_scale[:, None])
    x = np.random.default_rng(1).normal(size=(5, 3))
    np.testing.assert_allclose(folded.evaluate([x])["dense"], network.evaluate([x])["dense"])


@pytest.mark.parametrize("output", ["first", "second"])
def test_outputs_stay_what_they_are(output: str) -> None:
    network = _scaled_twice(output)
    folded = fold_batchnorm(network)
    x = np.random.default_rng(1).normal(size=(5, 3))
    wanted, found = network.evaluate([x]), folded.evaluate([x])
    for name in network.outputs:
        np.testing.assert_allclose(found[name], wanted[name])


@pytest.mark.parametrize("output", [None, "dense", "cut", "same"])
def test_what_lies_between_is_folded_with_the_weights(output: str | None) -> None:
    """A normalization after views of a product: none of them is the user's any more, unless another result shows one."""
    before = _scaled_twice().node("dense").layer
    assert isinstance(before, Dense)
    scales, offsets = np.array([0.5, 4.0]), np.array([1.0, -2.0])
    nodes = (
        NetworkNode("x", Input((3, 3))),
        NetworkNode("dense", before, ("x",)),
        NetworkNode("cut", Reshape((1, 3, 4)), ("dense",)),
        NetworkNode("same", Identity(), ("cut",)),
        NetworkNode(
            "norm", BatchNormalization(as_weights(scales[[0, 1, 1, 0]]), as_weights(offsets[[0, 1, 0, 1]])), ("same",)
        ),
    )
    network = Network(nodes, ("x",), ("norm",) if output is None else ("norm", output))
    folded = fold_batchnorm(network)
    assert {node.name for node in folded.nodes if node.folded} == (
        {"dense", "cut", "same"} if output is None else set()
    )
    x = np.random.default_rng(1).normal(size=(5, 3, 3))
    for name, found in folded.evaluate([x]).items():
        if name in network.outputs:
            np.testing.assert_allclose(found, network.evaluate([x])[name])


def _pair(name: str, x: str, settings: Settings, weighted: Settings, axis: int = -1) -> list[NetworkNode]:
    """A layer with weights, and a normalization of its results, of 3 rows of 4 elements each."""
    rng = np.random.default_rng(len(name))
    scale, offset = as_weights(rng.uniform(0.5, 2.0, (2, 4 if axis == -1 else 3)))
    return [
        NetworkNode(f"{name}_dense", Dense(as_weights(rng.normal(size=(4, 4)))), (x,), settings=weighted),
        NetworkNode(name, BatchNormalization(scale, offset, axis), (f"{name}_dense",), settings=settings),
    ]


FORMAT = FixedFormat(True, 12, 6)
REASONS = {
    "a scale of a format of its own": (Settings({"scale": FORMAT}), Settings(), -1),
    "a bias of a format of its own": (Settings({"bias": FORMAT}), Settings(), -1),
    "weights that are loaded": (Settings(), Settings(weights=Weights.RELOADABLE), -1),
    "sums of a format of their own": (Settings(), Settings({"result": FORMAT}), -1),
    "weights of the model's own quantizer": (Settings(), Settings(), -1),
    "a layer without weights": (Settings(), Settings(), -1),
    "another axis": (Settings(), Settings(), 0),
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_normalization_that_stays_keeps_no_other_from_being_folded(reason: str) -> None:
    settings, weighted, axis = REASONS[reason]
    nodes = [
        NetworkNode("x", Input((3, 4))),
        *_pair("first", "x", Settings(), Settings()),
        *_pair("stays", "first", settings, weighted, axis),
        NetworkNode("relu", ReLU(), ("stays",)),  # which nothing goes through
        *_pair("last", "relu", Settings(), Settings()),
    ]
    if reason == "weights of the model's own quantizer":
        nodes[3] = replace(nodes[3], quantizers={"weight": Quantizer.uniform(0.125, -127, 127)})
    if reason == "a layer without weights":
        nodes[3] = replace(nodes[3], layer=ReLU())
    network = Network(tuple(nodes), ("x",), ("last",))
    found = fold_batchnorm(network)
    left = [node.name for node in found.nodes if isinstance(node.layer, BatchNormalization)]
    assert left == ["stays"]
    x = np.random.default_rng(0).normal(size=(5, 3, 4))
    np.testing.assert_allclose(found.evaluate([x])["last"], network.evaluate([x])["last"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("viewed", [False, True])
def test_normalizations_of_any_number_of_channels_are_folded(channels: int, viewed: bool) -> None:
    """Also across a view that adds an axis of one element; there a single channel is no axis that is told from others."""
    rng = np.random.default_rng(channels)
    weights = Dense(as_weights(rng.normal(size=(4, channels))))
    scale, offset = as_weights(rng.uniform(0.5, 2.0, channels)), as_weights(rng.normal(size=channels))
    nodes = [NetworkNode("x", Input((3, 4))), NetworkNode("dense", weights, ("x",))]
    if viewed:
        nodes.append(NetworkNode("view", Reshape((3, channels, 1)), ("dense",)))
    nodes.append(NetworkNode("y", BatchNormalization(scale, offset, 1), (nodes[-1].name,)))
    network = Network(tuple(nodes), ("x",), ("y",))
    found = fold_batchnorm(network)
    assert isinstance(found.node("y").layer, Identity) == (channels > 1 or not viewed)
    x = rng.normal(size=(5, 3, 4))
    np.testing.assert_allclose(found.evaluate([x])["y"], network.evaluate([x])["y"], rtol=1e-9, atol=1e-12)
