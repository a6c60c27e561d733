"""The model's configuration: reading, look-up order, refusals, and the dictionaries that users start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.config.building import GRANULARITIES, config_from_network
from bitsmith.config.matching import type_names
from bitsmith.config.model import KEYS, HLSConfig
from bitsmith.config.precision import parse_precision
from bitsmith.config.resolving import resolve
from bitsmith.config.variables import takes_default
from bitsmith.errors import ConfigError
from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer
from bitsmith.layers.merge import Add, Average
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.pooling import AveragePool, MaxPool
from bitsmith.layers.settings import Binning, Settings, SoftmaxImplementation, Strategy
from bitsmith.layers.shape import Flatten, Identity, Permute
from bitsmith.layers.softmax import Softmax
from bitsmith.layers.table import LAYERS


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


def test_every_option_of_every_layer_is_known() -> None:
    ours = LAYERS.values()
    options = {name for kind in ours for name in kind.options}
    assert options == {
        "table_size",
        "table_range",
        "binning",
        "implementation",
        "skip",
        "weights",
        "outliers",
        "digit_price",
        "channel_price",
    }


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
    assert names(Activation("elu"), "ELU") == ("elu", "ELU", "Activation")
    assert names(HardActivation(1.0, 0.0, None, 1.0), "") == ("HardActivation", "Activation")
    assert names(MaxPool((2,), (2,)), "") == ("MaxPool", "MaxPooling1D")
    assert names(AveragePool((2, 2), (2, 2)), "AvgPool2d") == ("AvgPool2d", "AveragePool", "AveragePooling2D")
    assert names(Flatten(), "Flatten") == ("Flatten", "Reshape")
    assert names(Permute((1, 0)), "Permute") == ("Permute", "Transpose")


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


def test_all_granularities_of_auto_mean_the_same() -> None:
    resolved = [resolve(NETWORK, config_from_network(NETWORK, granularity)) for granularity in GRANULARITIES]
    for model, by_type, by_name in zip(*(each.nodes for each in resolved), strict=True):
        assert model.settings.precision == by_type.settings.precision == by_name.settings.precision
        assert by_type.settings == by_name.settings
        assert model.settings.table_size is by_name.settings.table_size is None


def test_keys_of_options_are_those_that_layers_name() -> None:
    """A key that some layers have is an option of just those; one that no layer names is of all."""
    options = frozenset[str]().union(*(layer.options for layer in LAYERS.values()))
    assert {key.field for key in KEYS.values() if key.is_option} == options
