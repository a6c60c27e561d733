"""Keras's wrappers of layers and models, live and as files."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.read import read_model

RECURRENT = Path(__file__).parents[1] / "quantized" / "qkeras" / "models" / "recurrent_k3.keras"


def picture() -> Any:
    x = keras.Input((4, 4, 2))
    return keras.Model(x, layers.GlobalAveragePooling2D()(layers.Add()([layers.Conv2D(2, 3, padding="same")(x), x])))


def row() -> Any:
    return keras.Sequential([keras.Input((3,)), layers.Dense(2, activation="relu"), layers.BatchNormalization()])


def of_pictures() -> Any:
    return keras.Sequential([keras.Input((3, 4, 4, 2)), layers.TimeDistributed(picture()), layers.LSTM(2)])


def shared() -> Any:
    x, y, each = keras.Input((2, 3)), keras.Input((2, 3)), layers.TimeDistributed(row())
    return keras.Model([x, y], layers.Concatenate()([each(x), each(y)]))


def spectral() -> Any:
    wrapped = layers.SpectralNormalization(layers.Conv2D(2, 3, activation="relu"))
    last = layers.SpectralNormalization(layers.Dense(2, use_bias=False))
    return keras.Sequential([keras.Input((4, 4, 1)), wrapped, layers.Flatten(), layers.Dense(1), last])


@pytest.mark.parametrize("make", [of_pictures, shared, spectral])
def test_as_keras(make: Callable[[], Any], tmp_path: Path) -> None:
    model, rng = make(), np.random.default_rng(2)
    inputs = [rng.normal(size=(4, *x.shape[1:])) for x in model.inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras's, about its own arrays
        model.set_weights([rng.uniform(0.2, 1.0, size=weight.shape) for weight in model.weights])
        wanted = np.asarray(model(inputs if len(inputs) > 1 else inputs[0]))
        model.save(tmp_path / "model.keras")
    for source in (model, tmp_path / "model.keras"):
        network = read_model(source)
        np.testing.assert_allclose(network.evaluate(inputs)[network.outputs[0]], wanted, rtol=1e-5, atol=1e-6)


def test_models_on_each_step_of_each_step_are_refused() -> None:
    inner = keras.Sequential([keras.Input((2, 3)), layers.TimeDistributed(row())])
    model = keras.Sequential([keras.Input((2, 2, 3)), layers.TimeDistributed(inner)])
    with pytest.raises(UnsupportedError, match="each step of each step"):
        read_model(model)


def test_quantized_layers_in_the_wrapper_of_keras(tmp_path: Path) -> None:
    """What QKeras's own wrapper makes of QLSTM and QGRU."""
    path = tmp_path / "both.keras"
    with zipfile.ZipFile(RECURRENT) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                for layer in config["config"]["layers"]:
                    if layer["class_name"] == "QBidirectional":
                        layer |= {"module": "keras.layers", "class_name": "Bidirectional", "registered_name": None}
                content = json.dumps(config).encode()
            new.writestr(name, content)
    network, expected = read_model(path), read_model(RECURRENT)
    x = np.random.default_rng(0).integers(-8, 8, (9, 5, 3)) / 8.0
    for result, right in zip(network.outputs, expected.outputs, strict=True):
        np.testing.assert_array_equal(network.evaluate([x])[result], expected.evaluate([x])[right])
