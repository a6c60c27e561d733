"""Keys and values of a model's configuration that are rejected, or noted as without effect."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.config.building import config_from_network
from bitsmith.config.model import MODEL_KEYS, read_hls_config
from bitsmith.config.resolving import resolve
from bitsmith.errors import ConfigError
from bitsmith.layers.settings import Settings, SoftmaxImplementation
from bitsmith.options.project import PROJECT_KEYS, read_project
from tests.config.test_model import NETWORK, formats, note, refused, settings_of


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
        ({"Model": {"Headroom": 0.1}}, "Model.Headroom", "a factor from 0.25 to 16"),
        ({"Model": {"ReuseFactor": True}}, "Model.ReuseFactor", "an integer from 1"),
        ({"Model": {"ReuseFactor": "two"}}, "Model.ReuseFactor", "an integer from 1"),
        ({"Model": {"ReuseFactor": "0"}}, "Model.ReuseFactor", "an integer from 1"),
        ({"Model": {"ReuseFactor": "1.5"}}, "Model.ReuseFactor", "an integer from 1"),
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
        ({"LayerName": {"gate": {"exp_table_t": "fixed<8,2>"}}}, "LayerName.gate.Precision.exp_table", "LayerName.out"),
        ({"LayerName": {"gate": {"Implementation": "stable"}}}, "LayerName.gate.Implementation", "LayerName.out"),
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
    if key in PROJECT_KEYS:  # which mean the same there
        return
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
