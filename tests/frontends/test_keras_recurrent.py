"""Keras's recurrent layers and wrappers against Keras itself: live, and from all file layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers
from keras_jsons import functional, layer, source, write_model
from keras_samples import assert_same, randomised, save, save_keras2

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.keras import read_keras
from bitsmith.layers.recurrent import LSTM
from bitsmith.layers.time_distributed import TimeDistributed

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
    "cells": layers.RNN([layers.LSTMCell(3), layers.GRUCell(2, reset_after=False), layers.LSTMCell(3)], go_backwards=True),
    "cells and states": layers.RNN(
        layers.StackedRNNCells([layers.SimpleRNNCell(3), layers.GRUCell(3), layers.LSTMCell(3)]), return_state=True,
        return_sequences=True,
    ),
    "handed on": lambda x: layers.LSTM(2)(x, initial_state=layers.LSTM(2, return_state=True)(x)[1:]),
    "handed on to gru": lambda x: layers.GRU(2)(x, initial_state=layers.GRU(2, return_state=True)(x)[1]),
}  # fmt: skip

WRAPPED: dict[str, Build] = {
    **{f"merge {mode}": layers.Bidirectional(layers.LSTM(2), merge_mode=mode) for mode in ("concat", "sum", "mul", "ave", None)},
    **{
        f"sequences {mode}": layers.Bidirectional(layers.GRU(2, return_sequences=True), merge_mode=mode)
        for mode in ("concat", None)
    },
    "states": layers.Bidirectional(layers.LSTM(2, return_state=True, return_sequences=True)),
    "backwards first": layers.Bidirectional(
        layers.SimpleRNN(2, return_sequences=True, go_backwards=True), merge_mode="ave",
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
}  # fmt: skip

IMAGES: dict[str, Build] = {
    "reshape": layers.TimeDistributed(layers.Reshape((4, 2, 3))),
    "permute": layers.TimeDistributed(layers.Permute((2, 3, 1))),
    "softmax": layers.TimeDistributed(layers.Softmax(axis=1)),
    "convolution": layers.TimeDistributed(layers.Conv2D(2, 2, activation="relu")),
    "pooling": layers.TimeDistributed(layers.MaxPooling2D(2)),
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
def test_files(samples: dict[str, Any], group: str, tmp_path: Path) -> None:
    model = samples[group]
    for name in ("m.keras", "m.h5"):
        assert_same(read_keras(save(model, tmp_path / name)), model)
    (tmp_path / "m.json").write_text(model.to_json())
    assert_same(read_keras(tmp_path / "m.json", save(model, tmp_path / "m.weights.h5")), model)
