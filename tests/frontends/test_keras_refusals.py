"""What is not translated is refused by name, all of it at once, with the nearest thing that works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras_jsons import functional, layer, source, write_model

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.keras.read import read_keras


def test_all_untranslatable_layers_in_one_message(tmp_path: Path) -> None:
    model = functional(
        source("x", 8, 8, 3),
        layer("SpatialPyramid2D", "conv1", "x", filters=4),
        layer("SpatialPyramid2D", "conv2", "conv1", filters=4),
        layer("Flatten", "flat", "conv2"),
        layer("Lambda", "fun", "flat"),
        layer("Dense", "fc", "fun", units=3, activation="wiggle"),
        layer("MyLayer", "mine", "fc"),
        layer("Softmax", "soft", "mine"),
        outputs=("soft",),
    )
    with pytest.raises(UnsupportedError) as caught:
        read_keras(write_model(tmp_path, model))
    text = str(caught.value)
    assert "5 layers cannot be translated" in text
    assert "conv1, conv2 (SpatialPyramid2D): it is not a layer that is known here; say what it computes" in text
    assert "fun (Lambda): it holds Python code" in text
    assert "fc (Dense): the activation 'wiggle'" in text
    assert "mine (MyLayer): it is not a layer that is known here" in text
    assert "soft (" not in text
    *nearest, last = caught.value.accepted.split(", ")
    assert len(nearest) == 9 and re.fullmatch(r"\w+ and \d+ more", last)


def test_known_layers_are_not_listed_where_no_class_is_unknown(tmp_path: Path) -> None:
    model = functional(source("x", 8), layer("Dense", "fc", "x", units=3, activation="wiggle"), outputs=("fc",))
    with pytest.raises(UnsupportedError) as caught:
        read_keras(write_model(tmp_path, model))
    assert "accepted: " in str(caught.value)
    assert not caught.value.accepted


def test_known_layers_are_not_listed_where_the_remedy_names_what_does(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"saved as such$") as caught:
        read_keras(write_model(tmp_path, functional(source("x", 8), layer("Lambda", "it", "x"), outputs=("it",))))
    assert not caught.value.accepted


def _one(class_name: str, *shape: int, **config: Any) -> Any:
    return functional(source("x", *shape), layer(class_name, "it", "x", **config), outputs=("it",))


REFUSED: dict[str, tuple[Any, str]] = {
    "masks of pruning": (_one("PruneLowMagnitude", 8, layer={}), "strip_pruning"),
    "softmax over the batch and another axis": (_one("Softmax", 2, 3, axis=[0, 2]), "batch axis"),
    "softmax over the batch": (_one("Softmax", 3, axis=0), "batch axis"),
    "softmax over a missing axis": (_one("Softmax", 3, axis=3), "axis 3 of a tensor of 2 axes"),
    "layer norm over one axis many times": (
        _one("LayerNormalization", 64, axis=[1] * 20, scale=False, center=False),
        "at most",
    ),
    "custom activation": (
        _one("Activation", activation={"class_name": "function", "config": "f", "registered_name": "me>relu"}),
        "'me>relu'",
    ),
    "a function of the user's": (
        _one("Dense", 4, units=2, activation={"class_name": "function", "config": "f", "module": "builtins"}),
        "the activation 'f'; accepted: ",
    ),
    "a lambda in a file": (
        _one("Dense", 4, units=2, activation={"class_name": "__lambda__"}),
        "a Python lambda as an activation",
    ),
    "a lambda": (
        _one("Dense", 4, units=2, activation={"value": ["4wEA", None, None]}),
        "a Python lambda as an activation",
    ),
    "sparsemax": (_one("Activation", activation="sparsemax"), "'sparsemax'"),
    "glu of an odd number": (_one("Activation", 2, 3, activation="glu"), "glu of 3 elements"),
    "glu in a recurrence": (_one("LSTM", 2, 3, units=2, activation="glu"), "functions of one number"),
    "axis that is not there": (_one("Softmax", 2, axis=3), "axis 3 of a tensor of 2 axes"),
    "stateful": (_one("ReLU", stateful=True), "stateful"),
    "integer policy": (_one("Dense", units=3, dtype="int8"), "dtype policy 'int8'"),
    "quantized policy": (
        _one("Dense", units=3, dtype={"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}),
        "dtype policy",
    ),
    "quantized": (
        _one("Dense", units=3, quantization_config={"mode": "int8"}),
        "the greatest magnitude of each sample",
    ),
    "float8": (
        _one("Dense", units=3, quantization_config={"class_name": "Float8QuantizationConfig", "config": {}}),
        "float8, whose scales follow the data of training",
    ),
    "quantized weights": (
        _one(
            "Dense",
            units=3,
            quantization_config={"class_name": "Int4QuantizationConfig", "config": {"activation_quantizer": None}},
        ),
        "int4, weights alone",
    ),
    "layer of another package": ({**_one("ReLU")}, "a custom layer"),
    "cudnn": (_one("CuDNNLSTM", 2, 3, units=2), "as LSTM or GRU and save it again"),
    "convolutional recurrence": (_one("ConvLSTM3D", 2, 4, 4, 4, 3), "convolutions of volumes within a recurrence"),
    "stateful convolutional recurrence": (
        _one("ConvLSTM2D", 2, 4, 4, 3, filters=2, kernel_size=2, stateful=True),
        "a stateful layer",
    ),
    "convolutional recurrence with causal padding": (
        _one("ConvLSTM1D", 2, 4, 3, filters=2, kernel_size=2, padding="causal"),
        "the padding 'causal'",
    ),
    "time major": (_one("LSTM", 2, 3, units=2, time_major=True), "time_major=True"),
    "stateful recurrence at each step": (
        _one("TimeDistributed", 4, 2, 3, layer={"class_name": "LSTM", "config": {"units": 2, "stateful": True}}),
        "stateful",
    ),
    "softmax within a recurrence": (_one("LSTM", 2, 3, units=2, activation="softmax"), "the activation softmax"),
    "custom cell": (
        _one("RNN", 2, 3, cell={"class_name": "C", "registered_name": "me>C", "config": {}}),
        "RNN of the custom 'C'",
    ),
    "bidirectional of a wrapper": (
        _one("Bidirectional", 2, 3, layer={"class_name": "ConvLSTM1D", "config": {}}),
        "Bidirectional of 'ConvLSTM1D'",
    ),
}
REFUSED["layer of another package"][0]["config"]["layers"][1]["module"] = "mylib.layers"


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    model, message = REFUSED[name]
    with pytest.raises(UnsupportedError, match=message) as caught:
        read_keras(write_model(tmp_path, model))
    assert "it (" in str(caught.value)


@pytest.mark.parametrize("name", ["custom activation", "a function of the user's", "a lambda in a file", "a lambda"])
def test_what_to_do_with_a_function_of_the_users(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"live model, .*, function\(Dense\(8\)\(x\)\): keras.ops are read"):
        read_keras(write_model(tmp_path, REFUSED[name][0]))


def relu(x: Any) -> Any:
    return ops.tanh(x)


def test_functions_named_like_those_of_keras() -> None:
    """Keras saves the function of a live layer by its name alone, and computes it as it is."""
    cells = [layers.SimpleRNNCell(3), layers.SimpleRNNCell(3, activation=relu)]
    for made in (
        layers.SimpleRNN(3, activation=relu),
        layers.TimeDistributed(layers.Dense(3, activation=relu)),
        layers.TimeDistributed(keras.Sequential([layers.Activation(relu)])),
        layers.RNN(cells),
    ):
        with pytest.raises(UnsupportedError, match=f"the activation is the function 'relu' of '{__name__}'"):
            read_keras(keras.Sequential([layers.Input((4, 3)), made]))
    named = [layers.Dense(3, activation=one) for one in ("relu", keras.activations.relu, ops.relu)]
    read_keras(keras.Sequential([layers.Input((4, 3)), *named]))


@pytest.mark.parametrize("key", ["sparse", "ragged"])
def test_refused_inputs(key: str, tmp_path: Path) -> None:
    model = functional(source(), outputs=("x",))
    model["config"]["layers"][0]["config"][key] = True
    with pytest.raises(UnsupportedError, match=f"{key} input"):
        read_keras(write_model(tmp_path, model))


def test_string_input(tmp_path: Path) -> None:
    model = functional(source(), outputs=("x",))
    model["config"]["layers"][0]["config"]["dtype"] = "string"
    with pytest.raises(UnsupportedError, match="'string'"):
        read_keras(write_model(tmp_path, model))


@pytest.mark.parametrize(("key", "value"), [("training", True), ("scale", 2.0)])
def test_call_arguments(key: str, value: Any, tmp_path: Path) -> None:
    model = functional(source(), layer("ReLU", "it", "x"), outputs=("it",))
    model["config"]["layers"][1]["inbound_nodes"][0][0][3][key] = value
    with pytest.raises(UnsupportedError, match=f"argument {key}"):
        read_keras(write_model(tmp_path, model))


def test_training_argument_of_a_nested_model_reaches_its_layers(tmp_path: Path) -> None:
    inner = functional(source("i"), layer("Dropout", "drop", "i"), inputs=("i",), outputs=("drop",))
    nested = {**inner, "name": "inner", "inbound_nodes": [[["x", 0, 0, {"training": True}]]]}
    model = functional(source(), nested, outputs=())
    model["config"]["output_layers"] = [["inner", 1, 0]]
    with pytest.raises(UnsupportedError, match=r"drop \(Dropout\): called with the argument training"):
        read_keras(write_model(tmp_path, model))


OPERATIONS = {
    "ranks that would mix batches": (lambda x: x + ops.sum(x, axis=1), "batch axes differ"),
    "softmax of all samples": (lambda x: ops.softmax(x, axis=None), "without an axis"),
    "mean square of all samples": (lambda x: ops.rms_normalization(x, axis=None), "without an axis"),
    "unknown": (lambda x: ops.median(x, axis=1), "Median"),
    "shrink width": (lambda x: ops.soft_shrink(x, threshold=-0.25), "shrinking by -0.25"),
    "reshape across samples": (lambda x: ops.reshape(x, (4, -1)), "mix samples"),
    "lambda": (
        lambda x: layers.Lambda(lambda v: np.asarray(v), (4,), name="fun")(x),
        "does not run on symbolic inputs",
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_refused_operations(name: str) -> None:
    build, message = OPERATIONS[name]
    x = keras.Input((4,), name="x")
    with pytest.raises(UnsupportedError, match=message):
        read_keras(keras.Model(x, build(x)))


def test_a_dot_product_with_a_constant() -> None:
    x = keras.Input((4,))
    with pytest.raises(UnsupportedError, match="Dot of 1 operands"):
        read_keras(keras.Model(x, layers.Dot(axes=1)([x, np.ones((1, 4), np.float32)])))


@pytest.mark.parametrize(("shape", "message"), [((4,), r"operands of \[3, 1\] axes"), ((2, 3, 4), "between samples")])
def test_merges_with_constants_that_do_not_fit(shape: tuple[int, ...], message: str, tmp_path: Path) -> None:
    add = layer("Add", "it")
    add["inbound_nodes"] = [[["x", 0, 0, {}], ["_CONSTANT_VALUE", -1, np.ones(shape).tolist(), {}]]]
    model = write_model(tmp_path, functional(source("x", 3, 4), add, outputs=("it",)), {})
    with pytest.raises(UnsupportedError, match=message):
        read_keras(model)


def test_operands_of_different_rank() -> None:
    x, y = keras.Input((2, 4)), keras.Input((4,))
    with pytest.raises(UnsupportedError, match="batch axes differ"):
        read_keras(keras.Model([x, y], ops.add(x, y)))


def test_a_file_has_no_code_of_a_subclassed_model(tmp_path: Path) -> None:
    class Mine(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    model = Mine()
    model(np.zeros((1, 3)))
    model.save(tmp_path / "mine.keras")
    with pytest.raises(UnsupportedError, match="functional API, or give the live model"):
        read_keras(tmp_path / "mine.keras")


def test_a_file_has_no_code_of_a_custom_class(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable(package="mine")
    class Dense(layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    x = keras.Input((4,))
    keras.Model(x, Dense(name="it")(x)).save(tmp_path / "custom.keras")
    with pytest.raises(
        UnsupportedError, match=r"it \(Dense\): a custom layer, whose code .*; of a file give the live model"
    ):
        read_keras(tmp_path / "custom.keras")


@pytest.mark.filterwarnings("ignore:Layer InputLayer")
def test_a_quantized_model_that_keras_cannot_describe() -> None:
    """GPTQ's configuration holds the layers that hold it."""
    model = keras.Sequential([keras.Input((8,)), layers.Dense(4)])
    blocks = {"pre_block_layers": [], "sequential_blocks": [model]}
    config = keras.quantizers.GPTQConfig(None, None, quantization_layer_structure=blocks)
    with pytest.raises(ValueError, match="dataset"):
        model.quantize("gptq", config=config)
    with pytest.raises(UnsupportedError, match="as it was before quantize"):
        read_keras(model)
