"""Keras's recurrent layers and wrappers against Keras itself: live, and from all file layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras_jsons import functional, layer, source, write_model
from keras_samples import assert_same, inputs_of, outputs_of, randomised, save, save_keras2

import bitsmith
from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.read import read_keras
from bitsmith.ir import ops
from bitsmith.layers.recurrent import SimpleRNN

Build = Callable[[Any], Any]

PLAIN: dict[str, Build] = {
    "simple": layers.SimpleRNN(3),
    "simple relu": layers.SimpleRNN(3, activation="relu", return_sequences=True, use_bias=False),
    "lstm": layers.LSTM(3),
    "lstm sequences": layers.LSTM(2, return_sequences=True, activation="softsign", recurrent_activation="hard_sigmoid"),
    "lstm backwards": layers.LSTM(2, return_sequences=True, go_backwards=True, unroll=True, use_bias=False),
    "lstm dropout": layers.LSTM(2, dropout=0.5, recurrent_dropout=0.5),
    "lstm linear": layers.LSTM(2, activation=None, recurrent_activation="sigmoid"),
    "gru": layers.GRU(3),
    "gru before": layers.GRU(2, reset_after=False, return_sequences=True),
    "gru no bias": layers.GRU(2, reset_after=True, use_bias=False, go_backwards=True),
    "gru before no bias": layers.GRU(2, reset_after=False, use_bias=False),
    "states": lambda x: [*layers.LSTM(2, return_state=True)(x), *layers.GRU(2, return_state=True, name="g")(x)],
    "sequences and states": lambda x: [
        *layers.LSTM(2, return_state=True, return_sequences=True)(x),
        *layers.SimpleRNN(2, return_state=True, return_sequences=True, go_backwards=True)(x),
    ],
    "stacked": lambda x: layers.GRU(2)(layers.LSTM(3, return_sequences=True)(x)),
    "cell": layers.RNN(layers.LSTMCell(3), return_sequences=True),
    "cells": layers.RNN(
        [layers.LSTMCell(3), layers.GRUCell(2, reset_after=False), layers.LSTMCell(3)], go_backwards=True
    ),
    "cells and states": layers.RNN(
        layers.StackedRNNCells([layers.SimpleRNNCell(3), layers.GRUCell(3), layers.LSTMCell(3)]),
        return_state=True,
        return_sequences=True,
    ),
    "handed on": lambda x: layers.LSTM(2)(x, initial_state=layers.LSTM(2, return_state=True)(x)[1:]),
    "handed on to gru": lambda x: layers.GRU(2)(x, initial_state=layers.GRU(2, return_state=True)(x)[1]),
}

WRAPPED: dict[str, Build] = {
    **{
        f"merge {mode}": layers.Bidirectional(layers.LSTM(2), merge_mode=mode)
        for mode in ("concat", "sum", "mul", "ave", None)
    },
    **{
        f"sequences {mode}": layers.Bidirectional(layers.GRU(2, return_sequences=True), merge_mode=mode)
        for mode in ("concat", None)
    },
    "states": layers.Bidirectional(layers.LSTM(2, return_state=True, return_sequences=True)),
    "backwards first": layers.Bidirectional(
        layers.SimpleRNN(2, return_sequences=True, go_backwards=True),
        merge_mode="ave",
        backward_layer=layers.SimpleRNN(2, return_sequences=True),
    ),
    "different": layers.Bidirectional(
        layers.LSTM(2, return_sequences=True), backward_layer=layers.GRU(3, return_sequences=True, go_backwards=True)
    ),
    "cells": layers.Bidirectional(layers.RNN([layers.LSTMCell(2), layers.LSTMCell(2)], return_sequences=True)),
    "initial": lambda x: layers.Bidirectional(layers.GRU(2))(
        x, initial_state=list(layers.Bidirectional(layers.GRU(2, return_state=True))(x)[1:])
    ),
    "dense": layers.TimeDistributed(layers.Dense(3, activation="tanh")),
    "flatten": layers.TimeDistributed(layers.Flatten()),
    "norm": layers.TimeDistributed(layers.BatchNormalization()),
    "softmax": layers.TimeDistributed(layers.Softmax()),
}

IMAGES: dict[str, Build] = {
    "reshape": layers.TimeDistributed(layers.Reshape((4, 2, 3))),
    "permute": layers.TimeDistributed(layers.Permute((2, 3, 1))),
    "softmax": layers.TimeDistributed(layers.Softmax(axis=1)),
    "convolution": layers.TimeDistributed(layers.Conv2D(2, 2, activation="relu")),
    "pooling": layers.TimeDistributed(layers.MaxPooling2D(2)),
    "convolutional": layers.ConvLSTM2D(2, 2),
    "convolutional sequences": lambda x: layers.ConvLSTM2D(
        2, (3, 1), strides=(2, 1), padding="same", use_bias=False, return_sequences=True, return_state=True
    )(x),
    "convolutional backwards": lambda x: layers.ConvLSTM1D(
        3, 2, dilation_rate=2, activation="relu", recurrent_activation="hard_sigmoid", go_backwards=True
    )(layers.Reshape((3, 4, 6))(x)),
    "convolutional, channels first": layers.ConvLSTM2D(
        2, 2, padding="same", data_format="channels_first", return_sequences=True
    ),
    "recurrent": lambda x: layers.TimeDistributed(layers.Bidirectional(layers.LSTM(2)))(layers.Reshape((3, 4, 6))(x)),
}


def models() -> dict[str, Any]:
    """All samples, a few models for each group so that Keras has to build fewer."""
    x = keras.Input((4, 3), name="x")
    y = keras.Input((3, 4, 2, 3), name="y")
    found = {}
    for group, builds, operand in (("plain", PLAIN, x), ("wrapped", WRAPPED, x), ("images", IMAGES, y)):
        results = [result for build in builds.values() for result in keras.tree.flatten(build(operand))]
        found[group] = randomised(keras.Model(operand, results))
    return found


@pytest.fixture(scope="module")
def samples() -> dict[str, Any]:
    return models()


@pytest.mark.parametrize("group", ["plain", "wrapped", "images"])
def test_live_models(samples: dict[str, Any], group: str) -> None:
    assert_same(read_keras(samples[group]), samples[group])


@pytest.mark.parametrize("group", ["plain", "wrapped", "images"])
def test_files_hold_what_the_live_model_does(samples: dict[str, Any], group: str, tmp_path: Path) -> None:
    model = samples[group]
    text = tmp_path / "m.json"
    text.write_text(model.to_json())
    whole = [save(model, tmp_path / name) for name in ("m.keras", "m.h5")]
    weights = save(model, tmp_path / "m.weights.h5")
    inputs = [values.astype(np.float64) for values in inputs_of(model, 2)]
    live = read_keras(model)
    expected = live.evaluate(inputs)
    for network in (*map(read_keras, whole), read_keras(text, ReadOptions(weights=weights))):
        found = network.evaluate(inputs)
        for have, want in zip(network.outputs, live.outputs, strict=True):
            np.testing.assert_array_equal(found[have], expected[want])


def test_files_of_keras_2(tmp_path: Path) -> None:
    x = keras.Input((4, 3), name="x")
    inner = keras.Sequential([keras.Input((4, 3)), layers.GRU(3, return_sequences=True, name="deep")], name="inner")
    y = layers.LSTM(3, return_sequences=True, name="first")(inner(x))
    y = layers.Bidirectional(layers.GRU(2, return_sequences=True, reset_after=False), name="both")(y)
    y = layers.TimeDistributed(layers.Dense(3), name="each")(y)
    y = layers.RNN([layers.LSTMCell(3), layers.LSTMCell(3)], return_sequences=True, name="cells")(y)
    model = randomised(keras.Model(x, layers.SimpleRNN(2, name="last")(y)))
    for path in save_keras2(model, tmp_path):
        assert_same(read_keras(path), model)


def test_initial_states_of_keras_2_are_further_operands(tmp_path: Path) -> None:
    model = functional(
        source("x", 4, 3),
        source("h", 3),
        layer("SimpleRNN", "it", "x", "h", units=3),
        inputs=("x", "h"),
        outputs=("it",),
    )
    names = [f"it/simple_rnn_cell/{name}:0" for name in ("kernel", "recurrent_kernel", "bias")]
    network = read_keras(write_model(tmp_path, model, {"it": names}))
    found = network.node("it").layer
    assert isinstance(found, SimpleRNN)
    assert network.node("it").inputs == ("x", "h")
    x, h = np.zeros((1, 4, 3)), np.full((1, 3), 0.5)
    for _ in range(4):
        h = np.tanh(h @ found.recurrent_kernel + (0.0 if found.bias is None else found.bias))
    np.testing.assert_allclose(network.evaluate([x, np.full((1, 3), 0.5)])["it"], h)


def test_names_of_what_a_layer_becomes() -> None:
    x = keras.Input((4, 3), name="x")
    states = layers.LSTM(2, return_sequences=True, return_state=True, name="a")(x)
    y = layers.Bidirectional(layers.GRU(2, return_sequences=True), name="b")(states[0])
    y = layers.RNN([layers.LSTMCell(2), layers.GRUCell(2)], name="c", return_sequences=True)(y)
    y = layers.TimeDistributed(layers.Dense(2, activation="relu"), name="d")(y)
    network = read_keras(keras.Model(x, [y, *states[1:]]))
    assert [(node.name, node.layer.kind, node.source) for node in network.nodes] == [
        ("x", "Input", "InputLayer"),
        ("a", "LSTM", "LSTM"),
        ("a_state", "LSTM", "LSTM"),
        ("a_cell_state", "LSTM", "LSTM"),
        ("b_forward", "GRU", "Bidirectional"),
        ("b_backward", "GRU", "Bidirectional"),
        ("b", "Concatenate", "Bidirectional"),
        ("c_cell0", "LSTM", "RNN"),
        ("c", "GRU", "RNN"),
        ("d", "Dense", "Dense"),
        ("d_relu", "ReLU", "Activation"),
    ]


def test_the_fixed_point_model_is_close_and_shares_the_recurrence_of_its_states() -> None:
    x = keras.Input((12, 3), name="x")
    y, *states = layers.LSTM(4, return_sequences=True, return_state=True)(x)
    y = layers.Bidirectional(layers.GRU(3))(y)
    model = keras.Model(x, [layers.Dense(2)(y), *states])
    inputs = [np.round(np.clip(values, -30, 30) * 1024) / 1024 for values in inputs_of(model)]
    program = compile_network(read_keras(model)).program
    assert sum(isinstance(node.op, ops.Scan) for node in program.nodes) == 3
    for have, want in zip(Emulator(program).run(inputs), outputs_of(model, inputs), strict=True):
        assert np.max(np.abs(have - want)) < 2.0**-11


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    "cell",
    [
        layers.SimpleRNN(3, return_sequences=True),
        layers.LSTM(3, return_sequences=True),
        layers.GRU(3, return_sequences=True),
        layers.GRU(3, reset_after=False, return_sequences=True),
    ],
)
def test_loaded_weights_give_what_keras_gives_with_them(cell: Any, wrapped: bool, tmp_path: Path) -> None:
    """Both directions where ``wrapped``: weights in the order in which Keras has them, the rows of a bias one after another."""
    x = keras.Input((5, 2))
    config = {**cell.get_config(), "name": "it"}
    layer = type(cell).from_config(config)
    layer = layers.Bidirectional(layer, name="it") if wrapped else layer
    model = randomised(keras.Model(x, layer(x)))
    formats = dict.fromkeys(("weight", "recurrent_weight", "bias", "recurrent_bias"), "fixed<16,4>")
    chosen = {"LayerName": {"it": {"Weights": "reloadable", "Precision": formats}}}
    converted = bitsmith.convert(model, tmp_path, config=chosen)
    randomised(model, seed=1)
    given = iter(layer.get_weights())
    for name in ("it_forward", "it_backward") if wrapped else ("it",):
        kernel, recurrent_kernel, bias = (next(given) for _ in range(3))
        rows = dict(zip(("bias", "recurrent_bias"), np.atleast_2d(bias), strict=False))
        converted.load_weights(name, kernel=kernel, recurrent_kernel=recurrent_kernel, **rows)
    (inputs,) = inputs_of(model)
    (want,) = outputs_of(model, [inputs])
    np.testing.assert_allclose(converted.predict(inputs), want, atol=0.01)


def test_weights_of_a_model_at_each_step_in_an_old_file(tmp_path: Path) -> None:
    """Keras 3 writes the name of the whole model before that of the wrapper there."""
    inner = keras.Sequential([layers.Dense(2, use_bias=False, name="first"), layers.Dense(3, name="second")])
    model = randomised(keras.Sequential([keras.Input((4, 3)), layers.TimeDistributed(inner)]))
    model.save(tmp_path / "model.h5")
    assert_same(read_keras(tmp_path / "model.h5"), model)
