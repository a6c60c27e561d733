"""Live models and layers of the user's own classes are traced: what Keras computes by them is what is converted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import bitsmith
from bitsmith.errors import ConfigError, FidelityWarning, UnsupportedError
from bitsmith.frontends.keras.known import KNOWN
from bitsmith.frontends.keras.read import read_keras

Dense = keras.layers.Dense
RNG = np.random.default_rng(0)


class Plain(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.second = Dense(6, "relu"), keras.layers.Dropout(0.5), Dense(2)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.second(self.drop(self.first(x), training=training)) * 2 + 1


class TwoInputs(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Dense(4, "relu"), Dense(4)

    def call(self, inputs: Any) -> Any:
        x, y = inputs
        return self.first(x) + self.second(y), self.first(y)


class Named(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Dense(4, "relu"), Dense(4)

    def call(self, inputs: Any) -> Any:
        return self.first(inputs["x"]) - self.second(inputs["y"])


class Block(keras.layers.Layer):
    """A layer that only calls others."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.first, self.second = Dense(units, "relu"), Dense(units)

    def call(self, x: Any) -> Any:
        return self.second(self.first(x)) + x


class Nested(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.blocks, self.inner = [Block(3), Block(3)], Plain()

    def call(self, x: Any) -> Any:
        for block in self.blocks:
            x = keras.ops.maximum(block(x), 0)
        return self.inner(x)


class Wired(keras.Model):
    """A class of the user's that gives Keras its wiring."""

    def __init__(self) -> None:
        x = keras.Input((3,))
        super().__init__(inputs=x, outputs=Dense(2)(Dense(4, "relu")(x)))


def functional() -> keras.Model:
    x = keras.Input((3,))
    return keras.Model(x, Dense(2)(Block(3)(Block(3)(x))))


def sequential() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), Block(3), Dense(3), Block(3)])


@pytest.fixture(autouse=True)
def same_weights() -> Iterator[None]:
    """Also, no warning of numbers in fresh memory, with which Keras's NumPy backend finds shapes."""
    keras.utils.set_random_seed(0)
    with np.errstate(all="ignore"):
        yield


X, Y = RNG.normal(size=(20, 3)).astype(np.float32), RNG.normal(size=(20, 5)).astype(np.float32)
Z = RNG.normal(size=(20, 3)).astype(np.float32)


def wavy(x: Any) -> Any:
    return keras.ops.sin(x) * x


def ending_in_functions() -> keras.Model:
    """Layers of Keras with activations of the user's; one is used twice."""
    x, shared = keras.Input((3,)), Dense(4, activation=lambda x: keras.ops.maximum(x, 0.1 * keras.ops.tanh(x)))
    hidden = keras.layers.Activation(wavy)(shared(x) - shared(x * 2.0))
    return keras.Model(x, keras.layers.Conv1D(2, 2, activation=wavy)(keras.ops.expand_dims(hidden, -1)))


MODELS: dict[str, tuple[Callable[[], keras.Model], Any]] = {
    "plain": (Plain, X),
    "two inputs and outputs": (TwoInputs, (X, Z)),
    "inputs by name": (Named, {"x": X, "y": Y}),
    "nested": (Nested, X),
    "wired": (Wired, X),
    "blocks in a functional model": (functional, X),
    "blocks in a sequential model": (sequential, X),
    "activations of the user's": (ending_in_functions, X),
}


@pytest.mark.parametrize("name", MODELS)
def test_is_what_keras_computes(name: str, tmp_path: Path) -> None:
    make, x = MODELS[name]
    model = make()
    expected = model(x)
    arrays = list(x.values()) if isinstance(x, dict) else list(x) if isinstance(x, tuple) else x
    converted = bitsmith.convert(model, tmp_path, calibration=arrays)
    results = converted.predict(arrays)
    for result, wanted in zip(
        results if isinstance(expected, tuple) else [results],
        expected if isinstance(expected, tuple) else [expected],
        strict=True,
    ):
        np.testing.assert_allclose(result, np.asarray(wanted), atol=4e-3)
    agreement = converted.fidelity.agreement
    assert agreement.framework == "Keras" and (agreement.error or 0.0) < 1e-5
    np.testing.assert_allclose(np.asarray(model(x)[0] if isinstance(expected, tuple) else model(x)),
                               np.asarray(expected[0] if isinstance(expected, tuple) else expected))  # fmt: skip


def test_classes_are_as_they_were(tmp_path: Path) -> None:
    before = Block.__call__, Plain.__call__
    bitsmith.convert(functional(), tmp_path, calibration=X)
    called = Plain()
    called(X)
    bitsmith.convert(called, tmp_path, calibration=X)
    assert (Block.__call__, Plain.__call__) == before
    assert "__call__" not in vars(Block)


def test_a_model_that_was_never_called_gets_no_random_weights(tmp_path: Path) -> None:
    model = Plain()
    with pytest.raises(ConfigError, match=r"'Plain' that has not been called(.|\n)*input_shape"):
        bitsmith.convert(model, tmp_path)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"not built: dense\w* \(Dense\), dense\w* \(Dense\)(.|\n)*call it once"):
            bitsmith.convert(model, tmp_path, input_shape=3, calibration=X)
    model.first.build((None, 3))
    model.second.build((None, 6))
    converted = bitsmith.convert(model, tmp_path, input_shape=3, calibration=X)
    np.testing.assert_allclose(converted.predict(X), np.asarray(model(X)), atol=4e-3)


class Counting(Plain):
    def call(self, x: Any, training: bool = False) -> Any:
        return self.second(self.first(x)) * 2 if x.shape[0] == 1 else self.second(self.first(x))


class Scaled(Plain):
    def call(self, x: Any, training: bool = False) -> Any:
        return self.second(self.first(x)) * (x.shape[0] or 1)


class Trying(Plain):
    def call(self, x: Any, training: bool = False) -> Any:
        try:
            return self.second(self.first(x if keras.ops.sum(x) > 0 else -x))
        except TypeError:
            return self.second(self.first(x))


@pytest.mark.parametrize("kind", [Counting, Scaled, Trying])
def test_a_choice_that_tracing_cannot_see_is_told_by_the_users_own_model(kind: type[Plain]) -> None:
    model = kind()
    model(X)
    with pytest.warns(FidelityWarning, match="not read as Keras computes it"):
        bitsmith.convert(model, calibration=X)


def test_a_call_that_branches_on_values_is_told(tmp_path: Path) -> None:
    class Branching(keras.Model):
        def call(self, x: Any) -> Any:
            return x if x[0, 0] > 0 else -x

    with pytest.raises(UnsupportedError, match="does not run on symbolic inputs"):
        bitsmith.convert(Branching(), tmp_path, input_shape=3)


def test_layers_with_weights_of_their_own_need_a_translation(tmp_path: Path) -> None:
    class Scale(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=(3,), initializer="ones")

        def call(self, x: Any) -> Any:
            return x * self.scale

    x = keras.Input((3,))
    with pytest.raises(UnsupportedError, match=r"\(Scale\)"):
        bitsmith.convert(keras.Model(x, Scale()(x)), tmp_path)


def test_a_translation_of_a_layer_goes_before(tmp_path: Path) -> None:
    seen = []

    def translate(call: Any) -> Any:
        seen.append(call)
        return -call.inputs[0]

    converted = bitsmith.convert(functional(), tmp_path, calibration=X, layers={Block: translate}, check=False)
    assert len(seen) == 2
    assert converted.predict(X).shape == (20, 2)


def test_masks_are_left_to_the_layers_that_have_them(tmp_path: Path) -> None:
    x, block = keras.Input((4, 3)), Block(3)
    block.supports_masking = True
    model = keras.Model(x, keras.layers.LSTM(2)(block(keras.layers.Masking()(x))))
    with pytest.raises(UnsupportedError, match=r"\(Block\)"):
        bitsmith.convert(model, tmp_path)


@pytest.mark.parametrize("package", sorted({name.partition(">")[0] for name in KNOWN if ">" in name}))
def test_layers_of_packages_that_are_known_are_not_traced(package: str) -> None:
    """They have translations, or are rejected by name, whatever they call."""
    kind = type("Other", (Block,), {"__module__": f"{package}.layers"})
    x = keras.Input((4,))
    with pytest.raises(UnsupportedError, match="Other"):
        bitsmith.convert(keras.Model(x, kind(4)(x)))


def test_lambdas_of_a_live_model_are_traced() -> None:
    inputs = keras.Input((6,)), keras.Input((6,))
    scale = keras.layers.Lambda(lambda x, by: x * by, arguments={"by": 0.5})
    apart = keras.layers.Lambda(lambda pair: keras.ops.abs(pair[0] - pair[1]))([scale(Dense(4)(x)) for x in inputs])
    model = keras.Model(inputs, Dense(2)(apart))
    x = [RNG.normal(size=(20, 6)).astype("float32") for _ in inputs]
    network = read_keras(model)
    found = network.evaluate([part.astype(np.float64) for part in x])[network.outputs[0]]
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)
    chain = keras.Sequential([keras.Input((6,)), Dense(4), keras.layers.Lambda(lambda x: x**2 - 1.0), Dense(2)])
    network = read_keras(chain)
    found = network.evaluate([x[0].astype(np.float64)])[network.outputs[0]]
    np.testing.assert_allclose(found, chain.predict(x[0], verbose=0), atol=1e-5)
