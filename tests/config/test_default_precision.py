"""The precision of a whole model reaches what the model leaves open, and nothing else: with every framework and granularity."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import bitsmith
from bitsmith import converters, utils
from bitsmith.config.building import GRANULARITIES, config_from_network
from bitsmith.config.precision import parse_precision
from bitsmith.errors import ConfigError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.framework import KERAS
from bitsmith.frontends.onnx.framework import ONNX
from bitsmith.frontends.read import read_model
from bitsmith.layers.layer import Floats

QUANTIZED = Path(__file__).parents[1] / "quantized"
ONE_BIT = "ap_fixed<1,0>"
"""What the incumbent's tests write where the model has all formats."""

_WEIGHTS = np.random.default_rng(5).integers(-8, 8, (4, 3)) / 8.0
"""All formats below hold them."""

Made = tuple[Callable[..., dict[str, Any]], Callable[..., bitsmith.Model], Any, dict[str, object]]


def of_keras() -> Made:
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(3, use_bias=False)(keras.layers.ReLU()(x)))
    model.set_weights([_WEIGHTS])
    return utils.config_from_keras_model, converters.convert_from_keras_model, model, {}


def without_weights() -> Made:
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Add()([keras.layers.Permute((1,))(x), x]))
    return utils.config_from_keras_model, converters.convert_from_keras_model, model, {}


def of_torch() -> Made:
    dense = torch.nn.Linear(4, 3, bias=False)
    dense.weight.data = torch.tensor(_WEIGHTS.T, dtype=torch.float32)
    model = torch.nn.Sequential(torch.nn.ReLU(), dense).eval()
    return utils.config_from_pytorch_model, converters.convert_from_pytorch_model, model, {"input_shape": (4,)}


def of_onnx() -> Made:
    nodes = [helper.make_node("Relu", ["x"], ["z"]), helper.make_node("MatMul", ["z", "w"], ["y"])]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in (("x", 4), ("y", 3)))
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(_WEIGHTS.astype(np.float32), "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return utils.config_from_onnx_model, converters.convert_from_onnx_model, model, {}


def expected(made: Callable[[], Made], x: Floats) -> Floats:
    return 2.0 * x if made is without_weights else np.maximum(x, 0.0) @ _WEIGHTS


@pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")
@pytest.mark.parametrize("precision", ["fixed<32,16>", "fixed<24,12,RND,SAT>", "fixed<22,12>"])
@pytest.mark.parametrize("made", [of_keras, without_weights, of_torch, of_onnx])
def test_a_default_precision_reaches_inputs_with_every_granularity(made: Callable[[], Made], precision: str) -> None:
    configure, convert, model, options = made()
    x = np.random.default_rng(7).integers(-(1 << 13), 1 << 13, (40, 4)) / 2.0**6  # up to 128, in steps that all hold
    for granularity in GRANULARITIES:
        config = configure(model, granularity=granularity, default_precision=precision, **options)
        converted = convert(model, hls_config=config, check=False)
        (name,) = converted.network.inputs
        assert converted.network.node(name).settings.precision == {"result": parse_precision(precision)}, granularity
        np.testing.assert_array_equal(converted.predict(x), expected(made, x), granularity)


FILES = (
    *("hgq/models/older.keras", "hgq/models/nested.keras", "hgq/models/at_inputs.keras", "hgq1/models/dense_wrap.h5"),
    "hgq/models/minifloats.keras",
    *("hgq1/models/images_sat.h5", "hgq2_tables/models/tables.keras", "hgq2_tables/models/attention.keras"),
    *("qonnx/models/dense_modes.onnx", "qonnx/models/im2col.onnx", "qdq/models/cnn_qop_u8s8.onnx"),
    *("qdq/models/moves.onnx", "tflite/models/cnn_int8_codes.tflite", "hgq2_tables/models/tables_convolved.keras"),
    *("hgq2_tables/models/attention_causal.keras", "hgq2_tables/models/spiking.keras"),
)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("file", FILES)
def test_a_default_precision_leaves_quantized_models_as_they_are(file: str) -> None:
    path = QUANTIZED / file
    plain = bitsmith.convert(path, check=False)
    rng = np.random.default_rng(11)
    xs = [rng.integers(-255, 255, (20, *shape)) / 64.0 for shape in plain.network.input_shapes().values()]
    if path.suffix == ".tflite":
        xs = [np.rint(x * 16.0) for x in xs]
    wanted = plain.predict(xs if len(xs) > 1 else xs[0])
    model = bitsmith.convert(path, config={"Model": {"Precision": ONE_BIT}}, check=False)
    found = model.predict(xs if len(xs) > 1 else xs[0])
    for one, other in zip(*(y if isinstance(y, list) else [y] for y in (found, wanted)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "exact" in model.fidelity.summary


@pytest.mark.parametrize(
    "file", ["hgq/models/older.keras", "hgq1/models/dense_wrap.h5", "qonnx/models/dense_modes.onnx"]
)
def test_a_precision_of_the_input_itself_is_taken_and_shown(file: str) -> None:
    path = QUANTIZED / file
    (name,) = bitsmith.convert(path, check=False).network.inputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bitsmith.FidelityWarning)
        model = bitsmith.convert(path, config={"LayerName": {name: {"Precision": ONE_BIT}}}, check=False)
    assert str(model.network.node(name).settings.precision["result"]) == "fixed<1,0>"
    assert "exact" not in model.fidelity.summary


@pytest.mark.parametrize("precision", [ONE_BIT, "fixed<6,3>", "fixed<12,6,RND,SAT>"])
def test_what_a_precision_rounds_away_before_quantized_weights_is_shown(precision: str) -> None:
    path = QUANTIZED / "qkeras/models/adaptive_k2.h5"  # its dense layer reads the input as it is
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bitsmith.FidelityWarning)
        model = bitsmith.convert(path, config={"Model": {"Precision": precision}}, check=False)
    (name,) = model.network.inputs
    assert model.network.node(name).settings.precision == {"result": parse_precision(precision)}
    assert "exact" not in model.fidelity.summary


@pytest.mark.slow
@pytest.mark.ci
def test_all_granularities_of_a_quantized_model_mean_the_same() -> None:
    path = QUANTIZED / "hgq/models/older.keras"
    x = np.random.default_rng(13).normal(0.0, 3.0, (20, 4, 4, 2))
    wanted = bitsmith.convert(path, check=False).predict(x)
    for granularity, precision in product(GRANULARITIES, ("auto", ONE_BIT)):
        config = utils.config_from_keras_model(path, granularity=granularity, default_precision=precision)
        found = converters.convert_from_keras_model(path, hls_config=config, check=False).predict(x)
        np.testing.assert_array_equal(found, wanted, f"{granularity}, {precision}")


def of_tflite() -> Made:
    path = QUANTIZED / "tflite/models/cnn_int8_codes.tflite"
    return utils.config_from_tflite_model, converters.convert_from_tflite_model, path, {}


CHOICES: dict[str, object] = {
    "granularity": "name",
    "backend": "Vitis",
    "default_precision": "fixed<10,4>",
    "default_reuse_factor": 7,
    "max_precision": "fixed<12,6>",
}
"""In the familiar order of these arguments."""


@pytest.mark.parametrize("made", [of_keras, of_torch, of_onnx, of_tflite])
def test_each_choice_of_a_generated_configuration_reaches_it(made: Callable[[], Made]) -> None:
    """By its name and in its place; alike for all frameworks."""
    configure, _, model, options = made()
    network = read_model(model, ReadOptions(**options))
    shape = {"InputShape": options["input_shape"]} if options else {}
    single = (
        () if made is of_torch else tuple({name: value} for name, value in CHOICES.items())
    )  # it is traced each time
    usual = {"granularity": "name"} if made is of_onnx else {}
    for chosen in ({}, *single, {**CHOICES, "bits": 9}):
        wanted = {**config_from_network(network, **{**usual, **chosen}), **shape}
        assert configure(model, **options, **chosen) == wanted, chosen
    *placed, _ = CHOICES.items()  # PyTorch has others before the last
    wanted = {**config_from_network(network, **dict(placed)), **shape}
    assert configure(model, *options.values(), *(value for _, value in placed)) == wanted


def test_choices_for_a_whole_module_need_no_shape(tmp_path: Path) -> None:
    """As scripts of hls4ml 0.8 have it, which give the shape to the conversion alone."""
    _, convert, model, _ = of_torch()
    config = utils.config_from_pytorch_model(model, default_precision="fixed<12,4>", default_reuse_factor=2)
    assert {**config, "InputShape": (4,)} == utils.config_from_pytorch_model(
        model, (4,), default_precision="fixed<12,4>", default_reuse_factor=2
    )
    convert(model, (None, 4), hls_config=config, output_dir=tmp_path)
    with pytest.raises(ConfigError, match="says nothing of its inputs"):
        utils.config_from_pytorch_model(model, granularity="name")


def test_layouts_that_are_not_converted_are_kept_in_the_configuration() -> None:
    _, _, model, _ = of_torch()
    for conversion in ("full", "internal", "off"):
        config = utils.config_from_pytorch_model(model, (4,), channels_last_conversion=conversion)
        kept = {} if conversion == "full" else {"ChannelsLastConversion": conversion}
        assert {key: config["Model"][key] for key in config["Model"] if key == "ChannelsLastConversion"} == kept
    with pytest.raises(ConfigError, match="'full', 'internal', 'off'"):
        utils.config_from_pytorch_model(model, (4,), channels_last_conversion="none")


def test_frameworks_of_other_packages_have_the_familiar_name(monkeypatch: pytest.MonkeyPatch) -> None:
    configure, _, model, _ = of_keras()
    monkeypatch.setattr(
        "bitsmith.utils.config.frameworks", lambda: (replace(ONNX, stem="beads"), replace(KERAS, stem="chain"))
    )
    named = vars(utils)["__getattr__"]("config_from_chain_model")
    assert named(model, "name", default_reuse_factor=3) == configure(model, "name", default_reuse_factor=3)
    assert utils.config_from_chain_model.args == (replace(KERAS, stem="chain"),)  # type: ignore[attr-defined]
    for name in ("config_from_keras2_model", "chain", "_config_from_chain_model"):
        with pytest.raises(AttributeError, match=name):
            getattr(utils, name)
