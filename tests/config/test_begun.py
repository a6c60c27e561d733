"""Generated configurations that scripts edit where they have no entry yet, as pages of hls4ml do."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
import yaml

from bitsmith.config.building import GRANULARITIES, config_from_network
from bitsmith.config.resolving import resolve
from bitsmith.errors import ConfigError, ConfigKeyError
from bitsmith.layers.activation import Activation
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.merge import Add, Maximum
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Strategy


def _dense(name: str, source: str, before: str) -> NetworkNode:
    return NetworkNode(name, Dense(np.eye(3), np.zeros(3)), (before,), source=source)


NETWORK = Network(
    (
        NetworkNode("x", Input((3,)), ()),
        _dense("fc1", "Dense", "x"),
        NetworkNode("t", Activation("tanh"), ("fc1",), source="Activation"),
        _dense("0", "Linear", "t"),
        NetworkNode("s", Activation("sigmoid"), ("0",), source="Activation"),
    ),
    ("x",),
    ("s",),
    "network",
)


def _config(granularity: str) -> dict[str, Any]:
    return config_from_network(NETWORK, granularity, "fixed<16,6>")


@pytest.mark.parametrize("granularity", [*GRANULARITIES, "Model", "NAME"])
def test_what_pages_of_hls4ml_set_can_be_set_at_each_granularity(granularity: str) -> None:
    config = _config(granularity)
    config["Model"]["Strategy"] = "Resource"
    config["LayerName"]["fc1"]["ReuseFactor"] = 2
    config["LayerName"]["fc1"]["Precision"]["weight"] = "fixed<8,4>"
    config["LayerName"]["t_0"]["Precision"]["result"] = "fixed<7,1>"  # hls4ml's name of a layer that is called "t"
    config["LayerName"]["_0"]["Strategy"] = "Latency"  # and of one that is called "0"
    config["LayerName"]["fc1_linear"]["Precision"]["result"] = "auto"
    nodes = {node.name: node.settings for node in resolve(NETWORK, config).nodes}
    assert str(nodes["fc1"].precision["weight"]) == "fixed<8,4>"
    assert nodes["fc1"].reuse_factor == 2
    assert str(nodes["t"].precision["result"]) == "fixed<7,1>"
    assert (nodes["fc1"].strategy, nodes["0"].strategy) == (Strategy.RESOURCE, Strategy.LATENCY)


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("name", ["Activation", "InputLayer", "Linear"])
def test_a_type_of_other_tools_means_the_layers_that_are_of_it(granularity: str, name: str) -> None:
    config = _config(granularity)
    config["LayerType"][name]["Precision"]["result"] = "fixed<9,3>"
    if granularity == "name":
        for entry in config["LayerName"].values():
            del entry["Precision"]["result"]  # layers win over types
    meant = {"Activation": {"t", "s"}, "InputLayer": {"x"}, "Linear": {"0"}}[name]
    nodes = resolve(NETWORK, config).nodes
    assert {node.name for node in nodes if str(node.settings.precision.get("result")) == "fixed<9,3>"} == meant


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize(
    ("section", "name", "remedy"),
    [("LayerName", "fc", "'fc1'"), ("LayerType", "Dens", "'Dense'"), ("Layername", "fc1", "'LayerName'")],
)
def test_other_names_are_errors_that_say_which_there_are(
    granularity: str, section: str, name: str, remedy: str
) -> None:
    with pytest.raises(ConfigKeyError, match=f"did you mean {remedy}") as caught:
        _config(granularity)[section][name]
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, KeyError)


def _two_merges() -> dict[str, Any]:
    nodes = (
        NetworkNode("x", Input((3,)), ()),
        NetworkNode("a", Add(), ("x", "x"), source="Add"),
        NetworkNode("m", Maximum(), ("a", "x"), source="Maximum"),
    )
    return config_from_network(Network(nodes, ("x",), ("m",), "network"), "type")


def test_a_type_of_several_kinds_takes_the_place_of_their_entries() -> None:
    config = _two_merges()
    config["LayerType"]["Merge"]["Precision"]["result"] = "fixed<9,3>"
    assert list(config["LayerType"]) == ["Input", "Merge"]
    assert config["LayerType"]["Merge"]["Precision"] == {"accum": "auto", "result": "fixed<9,3>"}


def test_entries_that_are_no_longer_alike_are_not_joined() -> None:
    config = _two_merges()
    config["LayerType"]["Maximum"]["Precision"]["result"] = "fixed<9,3>"
    with pytest.raises(ConfigKeyError, match="'Merge' stands for Add, Maximum, whose entries are no longer alike"):
        config["LayerType"]["Merge"]
    assert list(config["LayerType"]) == ["Input", "Add", "Maximum"]


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_they_are_copied_and_written_like_any_dictionary(granularity: str) -> None:
    config = _config(granularity)
    config["LayerName"]["fc1"]["ReuseFactor"] = 2
    assert yaml.safe_load(yaml.safe_dump(config)) == json.loads(json.dumps(config)) == config
    assert yaml.safe_load(yaml.dump(config)) == config
    for other in (copy.deepcopy(config), pickle.loads(pickle.dumps(config)), copy.copy(config)):
        other["LayerName"]["_0"]["ReuseFactor"] = 3
        assert resolve(NETWORK, other).nodes[3].settings.reuse_factor == 3
    assert [node.settings.reuse_factor for node in resolve(NETWORK, copy.deepcopy(config)).nodes][1] == 2


def test_without_layers_any_name_may_have_an_entry() -> None:
    """A module whose input has no shape yet."""
    config = config_from_network(Network((), (), (), "module"))
    config["LayerName"]["anything"]["Precision"]["weight"] = "fixed<8,4>"
    assert config["LayerName"] == {"anything": {"Precision": {"weight": "fixed<8,4>"}}}


def test_numbers_in_quotes_are_numbers() -> None:
    config = {
        "Model": {"ReuseFactor": "2"},
        "LayerName": {"fc1": {"ReuseFactor": " 4 ", "Bits": "8", "Headroom": "1.5"}},
    }
    resolved = resolve(NETWORK, config)
    assert [node.settings.reuse_factor for node in resolved.nodes if node.name in ("fc1", "0")] == [4, 2]
    assert resolved.node("fc1").settings.bits.result == 8
    assert resolved.node("fc1").settings.headroom == 1.5
