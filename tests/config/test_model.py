"""The model's configuration: reading, look-up order, refusals, and the dictionaries that users start from."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.config import HLSConfig, config_from_network, read_hls_config, resolve
from bitsmith.config.building import GRANULARITIES
from bitsmith.config.files import MAX_BYTES, MAX_VALUES
from bitsmith.config.inert import LAYER_INERT, MODEL_INERT
from bitsmith.config.model import LAYER_KEYS, MODEL_KEYS
from bitsmith.config.precision import parse_precision
from bitsmith.config.types import type_names
from bitsmith.config.variables import ALL_VARIABLES, takes_default
from bitsmith.errors import ConfigError
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.embedding import Embedding
from bitsmith.layers.input import DEFAULT_INPUT, Input
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.merge import Add, Average
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.resample import Pad
from bitsmith.layers.settings import Binning, Settings, SoftmaxImplementation, Strategy
from bitsmith.layers.shape import Flatten, Gather, Identity, Reshape
from bitsmith.layers.softmax import Softmax
from bitsmith.layers.table import LAYERS
from bitsmith.layers.tables import DEFAULT_ENTRIES, EXACT_ENTRIES
from bitsmith.options.project import project_keys, read_project


def network() -> Network:
    """One layer of each kind that configuration treats in its own way."""
    ones = np.ones(3)
    return Network(
        (
            NetworkNode("x", Input((4,)), (), "InputLayer"),
            NetworkNode("fc1", Dense(np.ones((4, 3)), ones), ("x",), "Dense"),
            NetworkNode("bn", BatchNormalization(ones, ones), ("fc1",), "BatchNormalization"),
            NetworkNode("fc1_relu", ReLU(), ("bn",), "Activation"),
            NetworkNode("drop", Identity(), ("fc1_relu",), "Dropout"),
            NetworkNode("bend", Activation("tanh"), ("drop",), "Activation"),
            NetworkNode("leak", ReLU(negative_slope=0.25), ("bend",), "LeakyReLU"),
            NetworkNode("both", Average(), ("leak", "bend"), "Average"),
            NetworkNode("gate", HardActivation(0.2, 0.5, 0.0, 1.0), ("both",), "Activation"),
            NetworkNode("out", Softmax(), ("gate",), "Activation"),
        ),
        ("x",),
        ("out",),
    )


NETWORK = network()


def settings_of(config: object, name: str) -> Settings:
    assert config is None or isinstance(config, (dict, HLSConfig, str, Path))
    return resolve(NETWORK, config).node(name).settings


def refused(config: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(NETWORK, config)
    return str(caught.value)


def note(config: dict[str, Any]) -> str:
    """What a configuration says in vain."""
    (found,) = resolve(NETWORK, config).notes
    return found


def formats(config: object, name: str) -> dict[str, str]:
    return {variable: str(fmt) for variable, fmt in settings_of(config, name).precision.items()}


@pytest.mark.parametrize("config", [None, {}, {"Model": None, "LayerType": None, "LayerName": {"fc1": None}}])
def test_nothing_said_is_all_auto(config: dict[str, Any] | None) -> None:
    assert all(node.settings == Settings() for node in resolve(NETWORK, config).nodes)


_SAID = st.dictionaries(
    st.sampled_from(["default", "weight", "bias", "accum", "result"]),
    st.sampled_from(["auto", "fixed<8,3>", "fixed<9,4>", "fixed<12,2>"]),
    max_size=3,
)


@settings(max_examples=150)
@given(_SAID, _SAID, _SAID, st.sampled_from(["fc1", "x", "bend"]))
def test_the_first_level_that_speaks_of_a_variable_decides_it(
    model: dict[str, str], type_: dict[str, str], name: dict[str, str], layer: str
) -> None:
    """A variable before ``default`` at each level; ``auto`` of trained tensors and inputs hands on to the model."""
    node = NETWORK.node(layer)
    variables = {"fc1": ("weight", "bias", "accum", "result"), "x": ("result",), "bend": ("result",)}[layer]
    name, type_ = ({key: fmt for key, fmt in own.items() if key in (*variables, "default")} for own in (name, type_))
    levels = {"LayerName": {layer: {"Precision": name}}, "LayerType": {node.source: {"Precision": type_}}}
    wanted = dict[str, str]()
    for variable in variables:

        def said(own: dict[str, str], key: str = variable) -> str | None:
            return own.get(key, own.get("default"))

        of_layer = next((fmt for fmt in map(said, (name, type_)) if fmt is not None), None)
        hands_on = of_layer is None or (of_layer == "auto" and (layer == "x" or variable in ("weight", "bias")))
        fmt = said(model) if hands_on else of_layer
        if fmt not in (None, "auto"):
            wanted[variable] = str(parse_precision(str(fmt)))
    assert formats({"Model": {"Precision": model}, **levels}, layer) == wanted


def test_a_default_reaches_trained_tensors_results_and_their_accumulators_only() -> None:
    config = {"Model": {"Precision": "ap_fixed<16,6>"}}
    reached = {node.name: set(node.settings.precision) for node in resolve(NETWORK, config).nodes}
    assert reached == {
        "x": {"result"},
        "fc1": {"weight", "bias", "accum", "result"},
        "bn": {"scale", "bias", "result"},
        "both": {"result"},
        **{name: {"result"} for name in ("fc1_relu", "drop", "bend", "leak", "gate", "out")},
    }


def test_every_variable_of_every_layer_is_known() -> None:
    ours = LAYERS.values()
    assert {name for kind in ours for name in kind.precisions} == set(ALL_VARIABLES)
    options = {name for kind in ours for name in kind.options}
    assert options == {"table_size", "table_range", "binning", "implementation", "skip", "weights", "outliers"}


@pytest.mark.parametrize("key", ["ReuseFactor", "reuse_factor", "reuseFactor", "REUSE_FACTOR", "reuse-factor"])
def test_keys_in_any_case(key: str) -> None:
    assert settings_of({"Model": {key: 7}}, "fc1").reuse_factor == 7
    assert settings_of({"Model": {key: 7}, "LayerName": {"fc1": {key: 3}}}, "fc1").reuse_factor == 3
    assert settings_of({"layer_name": {"fc1": {"trace": True}}}, "fc1").trace


@pytest.mark.parametrize(
    ("text", "strategy"),
    [
        ("Latency", Strategy.LATENCY),
        ("latency", Strategy.LATENCY),
        ("Resource", Strategy.RESOURCE),
        ("Unrolled", Strategy.UNROLLED),
        ("resource_unrolled", Strategy.UNROLLED),
        ("ResourceUnrolled", Strategy.UNROLLED),
        ("MultiplierBlocks", Strategy.MULTIPLIER_BLOCKS),
        ("DistributedArithmetic", Strategy.DISTRIBUTED_ARITHMETIC),
        ("Shared", Strategy.SHARED),
        ("distributed_arithmetic", Strategy.DISTRIBUTED_ARITHMETIC),
        ("DA", Strategy.DISTRIBUTED_ARITHMETIC),
        (Strategy.RESOURCE, Strategy.RESOURCE),
    ],
)
def test_strategies(text: object, strategy: Strategy) -> None:
    assert settings_of({"Model": {"Strategy": text}}, "fc1").strategy is strategy
    assert settings_of({"LayerName": {"fc1": {"Strategy": text}}}, "fc1").strategy is strategy


def test_table_keys() -> None:
    config = {
        "Model": {"TableSize": 512, "Binning": "linear", "Implementation": "latency"},
        "LayerName": {"bend": {"TableRange": [-2, 3.5], "Binning": "Center"}, "out": {"TableSize": "auto"}},
        "LayerType": {"Softmax": {"TableRange": 8, "Implementation": "argmax", "Skip": True}},
    }
    assert settings_of(config, "bend") == Settings(table_size=512, table_range=(-2.0, 3.5), binning=Binning.CENTER)
    assert settings_of(config, "out") == Settings(
        table_size=None,
        table_range=(-8.0, 8.0),
        binning=Binning.LINEAR,
        implementation=SoftmaxImplementation.ARGMAX,
        skip=True,
    )
    assert settings_of(config, "fc1") == Settings()


@pytest.mark.parametrize("key", ["exp_table_t", "ExpTableT", "expTableT"])
def test_type_keys_of_a_layer(key: str) -> None:
    generated = config_from_network(NETWORK, "name")
    generated["LayerName"]["out"][key] = "fixed<18,8, RND, SAT>"
    assert formats(generated, "out") == {"exp_table": "fixed<18,8,RND,SAT>"}
    generated["LayerName"]["out"]["Precision"]["exp_table"] = "fixed<18,4>"
    assert formats(generated, "out") == {"exp_table": "fixed<18,8,RND,SAT>"}
    assert "Precision.exp_table of out (exp_table_t says another one, which holds)" in note(generated)
    inside = {"LayerName": {"out": {"Precision": {key: "fixed<9,3>"}}}}
    assert formats(inside, "out") == {"exp_table": "fixed<9,3>"}


def test_trace_output_traces_every_layer() -> None:
    generated = config_from_network(NETWORK, "name")
    generated["LayerName"]["bend"]["Trace"] = True
    assert [node.name for node in resolve(NETWORK, generated).nodes if node.settings.trace] == ["bend"]
    generated["Model"]["TraceOutput"] = True
    assert all(node.settings.trace for node in resolve(NETWORK, generated).nodes)


def test_type_names_from_the_most_specific_to_the_family() -> None:
    def names(layer: Layer, source: str) -> tuple[str, ...]:
        return type_names(NetworkNode("a", layer, (), source))

    assert names(Activation("tanh"), "Activation") == ("tanh", "Activation")
    assert names(ReLU(), "Activation") == ("relu", "ReLU", "Activation", "ThresholdedReLU")
    assert names(ReLU(max_value=6.0), "ReLU") == ("relu6", "relu", "ReLU", "ThresholdedReLU", "Activation")
    assert names(ReLU(negative_slope=0.1), "LeakyReLU") == ("leaky_relu", "relu", "LeakyReLU", "ReLU", "Activation")
    assert names(HardActivation(1.0, 0.0, -1.0, 1.0), "Activation") == ("hard_tanh", "HardActivation", "Activation")
    assert names(HardActivation(0.2, 0.5, 0.0, 1.0), "") == ("hard_sigmoid", "HardActivation", "Activation")
    assert names(PReLU(np.ones(1)), "PReLU") == ("PReLU", "Activation")
    assert names(Softmax(), "Softmax") == ("softmax", "Softmax")
    assert names(Identity(), "Dropout") == ("Dropout", "Identity")
    assert names(Input((1,)), "InputLayer") == ("InputLayer", "Input")
    assert names(Add(), "Add") == ("Add", "Merge")


def test_a_more_specific_type_wins() -> None:
    types = {
        "Activation": {"Precision": "fixed<10,1>"},
        "ReLU": {"Precision": "fixed<10,2>"},
        "LeakyReLU": {"Precision": "fixed<10,3>"},
        "leaky_relu": {"Precision": "fixed<10,4>"},
    }
    for name in ("leaky_relu", "LeakyReLU", "ReLU", "Activation"):
        assert formats({"LayerType": types}, "leak")["result"] == str(parse_precision(types[name]["Precision"]))
        del types[name]


_LEVELS = [("LayerName", "bend"), ("LayerType", "tanh"), ("LayerType", "Activation"), ("Model", "")]
_TEXTS = st.sampled_from(["auto", "fixed<8,1>", "fixed<8,2>", "ufixed<8,3>", "fixed<8,4,RND,SAT>"])
_PRECISION = st.one_of(_TEXTS, st.dictionaries(st.sampled_from(["default", "result", "table", "param"]), _TEXTS))


def naive(config: dict[str, Any], variable: str, takes: bool) -> tuple[str, str]:
    """(level, text) of the first mention, by reading the rule aloud."""
    for section, key in _LEVELS:
        content = config.get(section, {})
        precision = (content.get(key, {}) if key else content).get("Precision", {})
        if isinstance(precision, str):
            precision = {"default": precision}
        for wanted in [variable, "default"] if takes else [variable]:
            if wanted in precision:
                return section, precision[wanted]
    return "nowhere", "auto"


@given(name=_PRECISION, tanh=_PRECISION, activation=_PRECISION, model=_PRECISION)
@settings(max_examples=300)
def test_each_variable_falls_through_the_levels_on_its_own(name: Any, tanh: Any, activation: Any, model: Any) -> None:
    config = {
        "LayerName": {"bend": {"Precision": name}},
        "LayerType": {"tanh": {"Precision": tanh}, "Activation": {"Precision": activation}},
        "Model": {"Precision": model},
    }
    node = NETWORK.node("bend")
    small = Network((NETWORK.node("x"), NetworkNode("bend", node.layer, ("x",), node.source)), ("x",), ("bend",))
    found = {
        variable: naive(config, variable, takes_default(variable, node.layer)) for variable in node.layer.precisions
    }
    try:
        resolved = resolve(small, config).node("bend").settings.precision
    except ConfigError as error:
        # Only a format of the model that an explicit auto hides everywhere is refused.
        assert "has no effect" in str(error)
        assert not any(level == "Model" and error.where.endswith(variable) for variable, (level, _) in found.items())
        return
    expected = {variable: parse_precision(text) for variable, (_, text) in found.items()}
    assert dict(resolved) == {variable: fmt for variable, fmt in expected.items() if fmt is not None}


def test_options_fall_through_too() -> None:
    config = {
        "LayerName": {"bend": {"Precision": {"result": "fixed<8,2>"}}},
        "LayerType": {"tanh": {"TableSize": 64}, "Activation": {"TableSize": 32, "Strategy": "Resource"}},
        "Model": {"Binning": "floor", "Strategy": "da"},
    }
    bend = settings_of(config, "bend")
    assert (bend.table_size, bend.binning, bend.strategy) == (64, Binning.FLOOR, Strategy.RESOURCE)
    assert settings_of(config, "fc1").strategy is Strategy.DISTRIBUTED_ARITHMETIC


def test_an_explicit_auto_ends_the_search() -> None:
    config = {"Model": {"Precision": "fixed<16,6>"}, "LayerName": {"fc1": {"Precision": {"result": "auto"}}}}
    assert set(formats(config, "fc1")) == {"weight", "bias", "accum"}


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
    "moves", [(), (Flatten(),), (Pad(((1, 1),)), Gather((0, 3, 2), 0)), (Reshape((2, 2)), Flatten())]
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


@pytest.mark.parametrize(
    ("config", "where", "said"),
    [
        ({"Modle": {}}, "", "did you mean 'Model'?"),
        ({"Model": {"Precison": "auto"}}, "Model", "did you mean 'Precision'?"),
        ({"Model": {"Precision": {"wieght": "auto"}}}, "Model.Precision", "did you mean 'weight'?"),
        ({"Model": {"Precision": {"maximum": "fixed<1,1>"}}}, "Model.Precision.maximum", "at least 2"),
        ({"Model": {"Precision": {"maximum": "wide"}}}, "Model.Precision.maximum", "precision 'wide'"),
        ({"Model": {"Precision": None}}, "Model.Precision", "type NoneType"),
        ({"Model": {"Strategy": "Latenzy"}}, "Model.Strategy", "did you mean 'Latency'?"),
        ({"Model": {"ReuseFactor": 0}}, "Model.ReuseFactor", "an integer from 1"),
        ({"Model": {"ReuseFactor": True}}, "Model.ReuseFactor", "an integer from 1"),
        ({"Model": {"ReuseFactor": "1"}}, "Model.ReuseFactor", "an integer from 1"),
        ({"Model": {"TraceOutput": "yes"}}, "Model.TraceOutput", "true or false"),
        ({"Model": {"Trace": True}}, "Model.Trace", "TraceOutput traces every layer"),
        ({"Model": {"Skip": True}}, "Model.Skip", "a key of a layer"),
        ({"Model": [1]}, "Model", "a list where a dictionary"),
        ({"Model": {1: 2}}, "Model", "key 1 is not text"),
        ({"Flows": ["x"]}, "Flows", "order of the passes"),
        ({"HLSConfig": {"Model": {}}}, "HLSConfig", "pass config['HLSConfig']"),
        ({"LayerName": {"fc2": {}}}, "LayerName.fc2", "did you mean 'fc1'?"),
        ({"LayerName": {"fc1": {"PipelineStyle": "auto"}}}, "LayerName.fc1.PipelineStyle", "of the whole model"),
        ({"LayerName": {"bend": {"Skip": False}}}, "LayerName.bend.Skip", "TableSize, TableRange, Binning"),
        (
            {"LayerName": {"bend": {"Precision": {"weight": "fixed<8,2>"}}}},
            "LayerName.bend.Precision.weight",
            "has no weight",
        ),
        (
            {"LayerName": {"bend": {"Precision": {"weight": "fixed<8,2>"}}}},
            "LayerName.bend.Precision.weight",
            "table, param",
        ),
        ({"LayerName": {"bend": {"TableSize": 1}}}, "LayerName.bend.TableSize", "from 2 to 65536"),
        ({"LayerName": {"bend": {"TableSize": 1 << 20}}}, "LayerName.bend.TableSize", "from 2 to 65536"),
        ({"LayerName": {"bend": {"TableRange": [2, 1]}}}, "LayerName.bend.TableRange", "a range from 2 to 1"),
        ({"LayerName": {"bend": {"TableRange": [1, 2, 3]}}}, "LayerName.bend.TableRange", "a list of 3"),
        ({"LayerName": {"bend": {"TableRange": -1}}}, "LayerName.bend.TableRange", "a positive number"),
        ({"LayerName": {"bend": {"TableRange": float("nan")}}}, "LayerName.bend.TableRange", "nan"),
        ({"LayerName": {"bend": {"TableRange": 1e200}}}, "LayerName.bend.TableRange", "a positive number"),
        ({"LayerName": {"bend": {"Binning": "middle"}}}, "LayerName.bend.Binning", "centre"),
        ({"LayerName": {"out": {"ExpTableSize": 64}}}, "LayerName.out.ExpTableSize", "TableSize"),
        ({"LayerName": {"fc1": {"Strategy": "stable"}}}, "LayerName.fc1.Strategy", "the strategy of a softmax"),
        ({"LayerName": {"fc1": {"Static": True, "Statik": True}}}, "LayerName.fc1", "did you mean 'Static'?"),
        ({"LayerName": {"fc1_lineer": {}}}, "LayerName.fc1_lineer", "no layer is called"),
        ({"LayerName": {"fc9_linear": {}}}, "LayerName.fc9_linear", "no layer is called"),
        ({"LayerName": {"fc9_param0": {}}}, "LayerName.fc9_param0", "no layer is called"),
        ({"LayerName": {"_fc1": {}}}, "LayerName._fc1", "no layer is called"),
        ({"LayerName": {"fc1": {"ParallelizationFactor": 0}}}, "LayerName.fc1.ParallelizationFactor", "from 1 to"),
        ({"LayerType": {"dense": {}}}, "LayerType.dense", "did you mean 'Dense'?"),
        ({"LayerType": {"Conv2DD": {}}}, "LayerType.Conv2DD", "no layer has the type"),
    ],
)
def test_refusals_name_the_key(config: dict[str, Any], where: str, said: str) -> None:
    message = refused(config)
    assert message.startswith(f"{where}: " if where else "unknown key")
    assert said in message


def test_a_type_may_name_what_only_some_of_its_layers_have() -> None:
    config = {"LayerType": {"Activation": {"Precision": {"table": "fixed<9,2>"}, "TableSize": 64}}}
    assert settings_of(config, "bend").table_size == 64
    assert formats(config, "bend") == {"table": "fixed<9,2>"}
    assert settings_of(config, "fc1_relu") == Settings()


def test_all_problems_are_told_at_once() -> None:
    message = refused(
        {
            "Model": {"Precison": "auto", "ReuseFactor": 0},
            "LayerName": {"fc1": {"Precision": {"weight": "fixd<8,2>"}}, "fc9": {}},
            "LayerType": {"Conv2DD": {}},
        }
    )
    assert message.startswith("5 problems in the configuration")
    for said in (
        "'Precison'",
        "Model.ReuseFactor",
        "LayerName.fc1.Precision.weight",
        "LayerName.fc9",
        "LayerType.Conv2DD",
    ):
        assert said in message


def test_a_model_precision_reaches_the_trained_values_of_a_configuration_by_name() -> None:
    """As in other tools: results and accumulators that say ``auto`` keep it."""
    generated = config_from_network(NETWORK, "name")
    generated["Model"]["Precision"] = "fixed<16,6>"
    assert formats(generated, "fc1") == {"weight": "fixed<16,6>", "bias": "fixed<16,6>"}
    assert formats(generated, "bn") == {"scale": "fixed<16,6>", "bias": "fixed<16,6>"}
    assert formats(generated, "x") == {"result": "fixed<16,6>"}
    assert formats(generated, "out") == {}
    generated["Model"]["Precision"] = {"accum": "fixed<16,6>"}
    assert "Model.Precision.accum (every layer that it could apply to says 'auto'" in note(generated)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"Model": {"BramFactor": 100}}, "BramFactor (tables of weights become block memory by their size)"),
        ({"Model": {"PipelineStyle": "dataflow"}}, "PipelineStyle (all is pipelined"),
        ({"Model": {"TargetCycles": 8}}, "TargetCycles (ReuseFactor is what"),
        ({"Model": {"BitExact": True}}, "BitExact (precision 'auto' already keeps"),
        ({"LayerName": {"fc1": {"TableSize": 64}}}, "TableSize of fc1 (there is no table in it)"),
        ({"LayerType": {"Dense": {"Precision": {"table": "fixed<18,8>"}}}}, "Precision.table of Dense (there is no"),
        ({"LayerName": {"fc1": {"Static": True}, "bn": {"Static": False}}}, "Static of fc1, bn ("),
        ({"LayerName": {"fc1_linear": {"Trace": False}}}, "LayerName of fc1_linear (other tools have them as"),
        ({"LayerName": {"fc1_param0": {}, "Quant_3_param1": {}}}, "LayerName of fc1_param0, Quant_3_param1 ("),
        ({"LayerType": {"Constant": {"Trace": False}}}, "LayerType of Constant (it is part of other layers here)"),
        ({"LayerType": {"Conv2D": {"ReuseFactor": 2}}}, "LayerType of Conv2D (the model has no such layer)"),
        ({"LayerType": {"Merge": {}, "Embedding": {}}}, "LayerType of Embedding (the model has no such layer)"),
        ({"Model": {"ReuseFactor": 1, "reuse_factor": 2}}, "ReuseFactor (of its two spellings the later holds, 2)"),
    ],
)
def test_what_has_no_effect_is_one_note(config: dict[str, Any], told: str) -> None:
    assert note(config).startswith("Without effect in the configuration: ")
    assert told in note(config)


@pytest.mark.parametrize("key", MODEL_KEYS)
def test_a_key_of_the_model_in_another_place_is_proposed_there(key: str) -> None:
    assert f"did you mean 'Model.{key}'?" in refused({key: 1})
    with pytest.raises(ConfigError) as caught:
        read_project({key.lower(): 1})
    assert ("TraceOutput" if key == "TraceOutput" else f"did you mean 'HLSConfig.Model.{key}'?") in str(caught.value)


@pytest.mark.parametrize("key", ["Strategy", "Implementation"])
@pytest.mark.parametrize(
    ("value", "meant"), [("Stable", "stable"), ("latency", "latency"), ("argmax", "argmax"), ("Legacy", "stable")]
)
def test_both_keys_say_how_a_softmax_is_computed(key: str, value: str, meant: str) -> None:
    for config in ({"LayerName": {"out": {key: value}}}, {"LayerType": {"Softmax": {key: value}}}):
        assert settings_of(config, "out").implementation is SoftmaxImplementation(meant)
    both = {"LayerName": {"out": {"Implementation": "argmax", "Strategy": "Latency"}}}
    assert settings_of(both, "out").implementation is SoftmaxImplementation.ARGMAX
    assert settings_of({"Model": {"Strategy": "Latency"}}, "out").implementation is None


def test_implementations_of_convolutions_are_noted() -> None:
    for name in ("im2col", "Winograd", "combination"):
        resolved = resolve(NETWORK, {"LayerName": {"fc1": {"Implementation": name}}})
        assert "Implementation of fc1 (the products of a convolution are the same" in resolved.notes[0]
        assert all(node.settings == Settings() for node in resolved.nodes)


def test_values_of_other_tools_that_change_nothing_are_not_worth_a_note() -> None:
    config = {
        "Flows": ["vitis:fifo_depth_optimization"],
        "Model": {"BramFactor": 1_000_000_000, "PipelineStyle": "Auto", "Compression": False, "BitExact": None},
        "LayerName": {
            "fc1": {"TargetCycles": None, "ConvImplementation": "LineBuffer"},
            "bend": {"Precision": {"weight": "auto"}},
        },
    }
    resolved = resolve(NETWORK, config)
    assert resolved.notes == ()
    assert all(node.settings == Settings() for node in resolved.nodes)


_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["auto", "Latency"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Model", "LayerName", "LayerType", "fc1", "bend", "Precision", "default", "TableSize", "skip"]
            )
            | st.text(max_size=4)
            | st.integers(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(_JUNK)
@settings(max_examples=300)
def test_any_content_gives_settings_or_a_typed_error(content: Any) -> None:
    try:
        read_hls_config(content if not isinstance(content, str) else {"Model": content})
    except ConfigError as error:
        assert error.found


def test_all_granularities_of_auto_mean_the_same() -> None:
    resolved = [resolve(NETWORK, config_from_network(NETWORK, granularity)) for granularity in GRANULARITIES]
    for model, by_type, by_name in zip(*(each.nodes for each in resolved), strict=True):
        assert model.settings.precision == by_type.settings.precision == by_name.settings.precision
        assert by_type.settings == by_name.settings
        assert model.settings.table_size is by_name.settings.table_size is None


@pytest.mark.parametrize("granularity", ["type", "name"])
@pytest.mark.parametrize("default", ["ap_fixed<16,6>", "fixed<12,4,RND,SAT>"])
def test_a_default_precision_of_layers_is_that_of_inputs_and_trained_tensors(granularity: str, default: str) -> None:
    """As in hls4ml, whose results and accumulators are ``auto``: a format meant for all of them would wrap."""
    fmt = parse_precision(default)
    for node in resolve(NETWORK, config_from_network(NETWORK, granularity, default)).nodes:
        given = {"result"} if node.name == "x" else {"weight", "bias", "scale"}.intersection(node.layer.variables())
        assert node.settings.precision == dict.fromkeys(given, fmt)


@pytest.mark.parametrize("granularity", ["type", "name"])
def test_a_default_precision_that_the_model_leaves_nothing_to_is_left_out(granularity: str) -> None:
    network = Network(between_quantizers().nodes[:2], ("x",), ("x_q",))
    resolved = resolve(network, config_from_network(network, granularity, "fixed<16,6>"))
    assert resolved.node("x").settings == Settings()
    assert resolved.notes == ()


def test_the_shape_of_a_generated_configuration() -> None:
    config = config_from_network(NETWORK, granularity="name", default_precision="fixed<16,6>", backend="rtl")
    assert config["Model"] == {
        "Precision": {"default": "fixed<16,6>"},
        "ReuseFactor": 1,
        "Strategy": "Latency",
        "TraceOutput": False,
    }
    assert list(config["LayerName"]) == [node.name for node in NETWORK.nodes]
    assert config["LayerName"]["fc1"] == {
        "Trace": False,
        "Precision": {"weight": "fixed<16,6>", "bias": "fixed<16,6>", "accum": "auto", "result": "auto"},
        "ReuseFactor": 1,
        "ParallelizationFactor": 1,
    }
    assert config["LayerName"]["out"] == {
        "Trace": False,
        "Precision": dict.fromkeys(("exp_table", "inv_table", "inv_inp", "accum", "result"), "auto"),
        "TableSize": "auto",
        "TableRange": "auto",
        "Binning": "auto",
        "Implementation": "stable",
        "Skip": False,
    }
    assert list(config_from_network(NETWORK, "type")["LayerType"]) == [
        *(
            "Input",
            "Dense",
            "BatchNormalization",
            "ReLU",
            "Identity",
            "Activation",
            "Average",
            "HardActivation",
            "Softmax",
        )
    ]
    assert json.loads(json.dumps(config)) == config


def leaves(config: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


_EDITS: dict[str, Any] = {
    "ReuseFactor": 8,
    "ParallelizationFactor": 2,
    "Strategy": "Resource",
    "TraceOutput": True,
    "Trace": True,
    "TableSize": 64,
    "TableRange": [-1, 1],
    "Binning": "floor",
    "Implementation": "argmax",
    "Skip": True,
    "Outliers": "saturate",
}


@pytest.mark.parametrize("granularity", ["model", "type", "name"])
def test_each_edit_of_a_generated_configuration_takes_effect_or_is_refused(granularity: str) -> None:
    generated = config_from_network(NETWORK, granularity)
    before = resolve(NETWORK, generated)
    for path in leaves(generated):
        edited = copy.deepcopy(generated)
        place = edited
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = "fixed<9,3>" if path[-2] == "Precision" else _EDITS[path[-1]]
        try:
            after = resolve(NETWORK, edited)
        except ConfigError as error:
            assert path[0] == "Model", path
            assert error.where == ".".join(path)
            continue
        changed = [new.name for new, old in zip(after.nodes, before.nodes, strict=True) if new.settings != old.settings]
        assert changed, path
        if granularity == "name" and path[0] == "LayerName":
            assert changed == [path[1]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"granularity": "layer"}, "'model', 'type' or 'name'"),
        ({"granularity": "names"}, "did you mean 'name'?"),
        ({"default_precision": "float"}, "floating-point"),
        ({"default_reuse_factor": 0}, "an integer from 1"),
        ({"max_precision": "fixed<20.8>"}, "precision 'fixed<20.8>'"),
        ({"backend": "SymbolicExpression"}, "formulas are no networks"),
    ],
)
def test_arguments_of_config_from_network(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_network(NETWORK, **arguments)
    assert said in str(caught.value)


def test_the_examples_that_ship_are_understood() -> None:
    folder = resources.files("bitsmith") / "data" / "models"
    found = [file for file in folder.iterdir() if file.name.endswith(".config.json")]
    assert found
    for file in found:
        assert read_hls_config(json.loads(file.read_text())).names


_PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
_BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", _PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_examples_on_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    blocks = [content for language, content in _BLOCKS if language == "python"]
    assert len(blocks) == 6
    for content in blocks:
        exec(compile(content, str(_PAGE), "exec"), namespace)
    assert str(read_project(namespace["project"]).hls_config.model.precision["default"]) == "fixed<16,6>"


def test_the_yaml_on_the_page_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    files = [content for language, content in _BLOCKS if language == "yaml"]
    assert len(files) == 2
    path.write_text(files[0])
    assert str(read_hls_config(path).types["Dense"].precision["bias"]) == "fixed<8,3>"
    path.write_text(files[1])
    project = read_project(path)
    assert (project.project_name, project.clock_uncertainty) == ("jets", 0.125)


def test_the_page_tells_of_every_key_variable_and_default() -> None:
    page = _PAGE.read_text(encoding="utf-8")
    inert = [*MODEL_INERT, *(key for key in LAYER_INERT if LAYER_INERT[key].harmless)]
    for key in (*MODEL_KEYS, *LAYER_KEYS, *project_keys(), *inert, *ALL_VARIABLES, "maximum"):
        assert f"`{key}`" in page, key
    assert str(DEFAULT_INPUT) in page
    assert f"{EXACT_ENTRIES} values, beyond that {DEFAULT_ENTRIES} to {EXACT_ENTRIES} bins" in page
    assert f"{MAX_BYTES >> 10} KiB, {MAX_VALUES:,} values" in page


def test_a_generated_configuration_has_the_reuse_factor_that_is_asked_for() -> None:
    for granularity, level in (("type", "LayerType"), ("name", "LayerName")):
        entries = config_from_network(NETWORK, granularity=granularity, default_reuse_factor=4)[level].values()
        assert {entry["ReuseFactor"] for entry in entries if "ReuseFactor" in entry} == {4}
