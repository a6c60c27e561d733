"""The configuration of a model that has quantizers of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bitsmith.config.building import config_from_network
from bitsmith.config.precision import parse_precision
from bitsmith.config.resolving import resolve
from bitsmith.errors import ConfigError
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.activation import ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.embedding import Embedding
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.resample import Pad
from bitsmith.layers.shape import Flatten, Gather, Reshape
from tests.config.test_model import NETWORK

GRID = Quantizer.fixed(1, 0, 3, Rounding.RND_CONV, Overflow.SAT)


def quantized(grid: Quantizer = GRID) -> Network:
    """The network, with weights of one layer that the model has put on a grid."""
    kernel = as_weights(np.full((4, 3), 0.5))
    nodes = {node.name: node for node in NETWORK.nodes}
    nodes["fc1"] = replace(nodes["fc1"], layer=Dense(kernel, np.ones(3)), quantizers={"weight": grid})
    return NETWORK.with_nodes(list(nodes.values()))


def between_quantizers() -> Network:
    """A dense layer of a quantized model between quantizers."""
    nodes = (
        NetworkNode("x", Input((4,))),
        NetworkNode("x_q", Quantize(GRID), ("x",)),
        NetworkNode("fc1", Dense(as_weights(np.full((4, 3), 0.5))), ("x_q",), quantizers={"weight": GRID}),
        NetworkNode("fc1_q", Quantize(GRID), ("fc1",)),
    )
    return Network(nodes, ("x",), ("fc1_q",))


@pytest.mark.parametrize(
    "config",
    [
        None,
        {"Model": {"Precision": "fixed<16,6>"}},
        {"Model": {"Precision": {"result": "fixed<16,6>"}}},
        {"LayerName": {"fc1": {"Precision": "auto"}}},
        {"LayerName": {"fc1": {"Precision": {"weight": "fixed<4,1>"}}}},
        {"LayerType": {"Dense": {"Precision": {"weight": "auto", "result": "auto"}}}},
    ],
)
def test_quantizers_of_the_model_come_before_the_defaults(config: dict[str, Any] | None) -> None:
    assert resolve(quantized(), config).node("fc1").settings.precision == {}


@pytest.mark.parametrize(
    "section,key", [("LayerName.fc1", "weight"), ("LayerName.fc1", "default"), ("LayerType.Dense", "weight")]
)
def test_a_format_that_contradicts_the_model_is_refused_unless_the_user_insists(section: str, key: str) -> None:
    kind, name = section.split(".")
    config = {kind: {name: {"Precision": {key: "fixed<8,2>"}}}}
    with pytest.raises(ConfigError) as caught:
        resolve(quantized(), config)
    assert f"{section}.Precision.{key}" in str(caught.value)
    assert (
        "precision fixed<8,2> for the weight of layer 'fc1', which the quantizers of the model make fixed<4,1,RND_CONV,SAT>"
    ) in str(caught.value)
    assert "override=True" in str(caught.value)
    found = resolve(quantized(), config, override=True).node("fc1").settings.precision
    assert found["weight"] == parse_precision("fixed<8,2>")


@pytest.mark.parametrize(
    ("lo", "hi", "width"),
    [(-8, 7, 4), (-7, 7, 4), (-4, 4, 4), (-4, 3, 3), (-2, 0, 2), (0, 1, 1), (-1, 0, 1), (-1, 1, 1)],
)
def test_of_trained_values_the_format_of_the_codes_is_noted_and_one_without_room_for_them_refused(
    lo: int, hi: int, width: int
) -> None:
    """One bit tells -1 from 1."""

    def resolved(precision: str) -> Network:
        return resolve(
            quantized(Quantizer.uniform(0.5, lo, hi)), {"LayerName": {"fc1": {"Precision": {"weight": precision}}}}
        )

    for signed in ("int", "uint"):
        assert resolved(f"{signed}<{width}>").node("fc1").settings.precision == {}
    if width > 1:
        with pytest.raises(
            ConfigError, match=rf"precision fixed<{width - 1},{width - 1}> for the weight of layer 'fc1'"
        ):
            resolved(f"int<{width - 1}>")


def test_sums_and_results_between_quantizers_are_the_models() -> None:
    network = between_quantizers()
    given = {name: {"Precision": {"result": "fixed<8,2>"}} for name in ("fc1", "fc1_q")}
    with pytest.raises(ConfigError) as caught:
        resolve(network, {"LayerName": given})
    assert "layer 'fc1', which the quantizers of the model make exact" in str(caught.value)
    assert "layer 'fc1_q', which the quantizers of the model make fixed<4,1,RND_CONV,SAT>" in str(caught.value)
    resolved = resolve(network, {"LayerName": {"x": given["fc1"]}, "Model": {"Precision": "fixed<16,6>"}})
    assert {node.name: dict(node.settings.precision) for node in resolved.nodes} == {
        "x": {"result": parse_precision("fixed<8,2>")},
        "x_q": {},
        "fc1": {},
        "fc1_q": {},
    }


@pytest.mark.parametrize(
    "moves", [(), (Flatten(),), (Pad(((1, 1),)), Gather((0, 3, 2, 1), 0)), (Reshape((2, 2)), Flatten())]
)
@pytest.mark.parametrize(
    ("last", "decided"),
    [
        (Quantize(GRID), True),
        (Staircase(as_weights([0.0, 0.5]), as_weights([0.0, 0.5, 1.0])), True),
        (Embedding(np.ones((8, 2))), True),
        (ReLU(), False),
        (Dense(as_weights(np.ones((4, 3)))), False),
    ],
    ids=lambda value: value.kind if isinstance(value, Layer) else str(value),
)
def test_the_models_precision_is_not_that_of_inputs_that_the_model_decides(
    moves: tuple[Layer, ...], last: Layer, decided: bool
) -> None:
    nodes = [NetworkNode("x", Input((4,)))]
    for layer in (*moves, last):
        nodes.append(NetworkNode(f"n{len(nodes)}", layer, (nodes[-1].name,)))
    network = Network(tuple(nodes), ("x",), (nodes[-1].name,))
    config = {"Model": {"Precision": "fixed<16,6>"}}
    assert resolve(network, config).node("x").settings.precision.keys() == (set() if decided else {"result"})
    shown = replace(network, outputs=("x", nodes[-1].name))
    assert resolve(shown, config).node("x").settings.precision.keys() == {"result"}
    named = {**config, "LayerName": {"x": {"Precision": "fixed<8,2>"}}}
    assert resolve(network, named).node("x").settings.precision == {"result": parse_precision("fixed<8,2>")}


def test_a_precision_that_the_model_leaves_nothing_to_is_noted() -> None:
    network = Network(between_quantizers().nodes[:2], ("x",), ("x_q",))
    (found,) = resolve(network, {"Model": {"Precision": "fixed<16,6>"}}).notes
    assert "Model.Precision.default (every layer that it could apply to" in found
    assert resolve(network, {"Model": {"Precision": "auto"}}).notes == ()  # which asks for nothing


@pytest.mark.parametrize("granularity", ["model", "type", "name"])
def test_generated_configurations_leave_the_model_its_quantizers(granularity: str) -> None:
    network = quantized()
    config = config_from_network(network, granularity, "fixed<16,6>")
    found = {node.name: node.settings.precision for node in resolve(network, config).nodes}
    want = {
        node.name: dict(node.settings.precision)
        for node in resolve(NETWORK, config_from_network(NETWORK, granularity, "fixed<16,6>")).nodes
    }
    want["fc1"] = {}
    assert found == want
