"""Keras layers of the user's own, by translations."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from test_custom_layers import Scaled, X, keras_model, scaled

from bitsmith import custom
from bitsmith.custom import Call, Tensor
from bitsmith.errors import BitsmithError, UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.read import read_keras
from bitsmith.layers.dense import Dense


class Block(keras.layers.Layer):  # type: ignore[misc]
    """A layer of layers, one of which is the user's own, too."""

    def __init__(self, units: int, **others: object) -> None:
        super().__init__(**others)
        self.units = units
        self.dense = keras.layers.Dense(units, activation="relu")
        self.scaled = Scaled()

    def build(self, shape: tuple[int, ...]) -> None:
        self.gain = self.add_weight(shape=(1,), initializer="random_normal", name="gain")
        self.dense.build(shape)
        self.scaled.build((shape[0], self.units))

    def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def call(self, x: object) -> object:
        return self.gain * self.scaled(self.dense(x)) + x


def block(call: Call) -> Tensor:
    (x,) = call.inputs
    (gain,) = call.weights()
    return gain * call.apply("scaled", call.apply("dense", x)) + x


def _keras_error(model: keras.Model, layers: custom.Layers) -> float:
    x = np.random.default_rng(4).normal(size=(50, 6))
    network = read_keras(model, ReadOptions(layers=layers))
    return float(np.abs(np.asarray(model(x)) - network.evaluate([x])[network.outputs[0]]).max())


def test_a_keras_layer_by_class_and_by_name_live_and_from_a_file(tmp_path: Path) -> None:
    model = keras_model()
    assert _keras_error(model, {Scaled: scaled}) < 1e-5
    assert _keras_error(model, {Scaled: scaled, "Dense": _dense}) < 1e-5
    model.save(tmp_path / "model.keras")
    network = read_keras(tmp_path / "model.keras", ReadOptions(layers={"Scaled": scaled}))
    assert [node.name for node in network.nodes if node.source == "Scaled"][:3] == [
        "mine_multiply",
        "mine_tanh",
        "mine",
    ]
    with pytest.raises(UnsupportedError, match=r"layers=\{"):
        read_keras(model)


def _dense(call: Call) -> Tensor:
    kernel, bias = call.weights()
    return call.emit(Dense(kernel, bias), call.inputs[0])


def test_a_keras_layer_of_layers() -> None:
    keras.utils.set_random_seed(5)
    x = inputs = keras.Input((6,))
    model = keras.Model(inputs, Block(6)(Block(6)(x)))
    assert _keras_error(model, {Block: block, Scaled: scaled}) < 1e-5
    with pytest.raises(UnsupportedError, match="Scaled is not a layer that is known"):
        read_keras(model, ReadOptions(layers={Block: block}))
    with pytest.raises(BitsmithError, match="no attribute 'other'"):
        read_keras(model, ReadOptions(layers={Block: lambda call: call.apply("other", call.inputs[0])}))


class Nameless(keras.layers.Layer):  # type: ignore[misc]
    """A layer that takes nothing from its base class, so that its configuration has no name."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def call(self, x: object) -> object:
        return x * self.factor  # type: ignore[operator]


def test_a_layer_whose_configuration_has_no_name() -> None:
    model = keras.Sequential([keras.Input((6,)), Nameless(2.0), keras.layers.Dense(3), Nameless(-0.5)])
    assert _keras_error(model, {Nameless: lambda call: call.inputs[0] * call.options["factor"]}) < 1e-5


@pytest.mark.parametrize("live", [True, False], ids=["live", "file"])
def test_a_keras_layer_on_each_time_step(live: bool, tmp_path: Path) -> None:
    """Constants within a translation stand beside operands that have an axis of time steps."""
    keras.utils.set_random_seed(6)
    model = keras.Sequential([keras.Input((3, 4)), keras.layers.TimeDistributed(Scaled(name="inner"), name="steps")])

    def translate(call: Call) -> Tensor:
        return custom.maximum(scaled(call), np.full(4, 0.01))

    model.save(tmp_path / "model.keras")
    layers: custom.Layers = {Scaled: translate} if live else {"Scaled": translate}
    network = read_keras(model if live else tmp_path / "model.keras", ReadOptions(layers=layers))
    wanted = np.maximum(np.asarray(model(X)), 0.01)
    np.testing.assert_allclose(network.evaluate([X])[network.outputs[0]], wanted, atol=1e-5)
