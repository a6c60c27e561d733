"""Images of other models are taken where a circuit computes these, and refused by the layer's name where it does not."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import KerasTensor, layers

import bitsmith
from bitsmith import FidelityWarning
from bitsmith.errors import UnsupportedError

X = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)


def converted(model: keras.Model, folder: Path) -> bitsmith.Model:
    return bitsmith.convert(
        model,
        folder,
        calibration=X,
        io_type="io_stream",
        strategy="shared",
        reuse_factor=128,
        part="xc7z020clg400-1",
        weight_memory="32 bits, 533 MHz, 200 ns, 75 %",
    )


def small(seed: int, limit: float = 6.0, name: str | None = None) -> keras.Model:
    """A network whose layers Keras numbers on, so that names differ each time."""
    keras.utils.set_random_seed(seed)
    parts = [layers.Dense(8, name=name), layers.ReLU(limit, name=None if name is None else "b"), layers.Dense(4)]
    return keras.Sequential([keras.Input((8,)), *parts])


def branched(make: Callable[[KerasTensor, KerasTensor], object]) -> keras.Model:
    keras.utils.set_random_seed(1)
    x = keras.Input((8,))
    first = layers.Dense(8)(x)
    return keras.Model(x, make(first, layers.Dense(8)(layers.ReLU()(first))))


def test_the_same_network_built_twice(tmp_path: Path) -> None:
    """Names that Keras counts differ; the result computes the second one, and has the names of the circuit's model."""
    first, second, rng = small(1), small(1), np.random.default_rng(1)
    assert first.layers[0].name != second.layers[0].name
    second.set_weights(
        [
            np.clip(values + 0.1 * rng.standard_normal(values.shape), values.min(), values.max())
            for values in second.get_weights()
        ]
    )
    model = converted(first, tmp_path / "first")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        computed = bitsmith.write_image(model, converted(second, tmp_path / "second"), tmp_path / "image")
    wanted = np.asarray(second(X))
    assert np.abs(computed.predict(X) - wanted).max() < 0.01 * np.ptp(wanted)
    assert np.abs(model.predict(X) - wanted).max() > 0.1 * np.ptp(wanted)
    assert list(computed.trace(X)[1]) == list(model.trace(X)[1])


def test_results_for_which_there_is_no_room_are_told(tmp_path: Path) -> None:
    """Other weights of the same magnitudes, with results beyond those of the circuit's model."""
    first, second = small(1), small(2)
    model = converted(first, tmp_path / "first")
    with pytest.warns(
        FidelityWarning, match="differs from the float model's.*ranges stay those of the circuit's model"
    ):
        computed = bitsmith.write_image(model, converted(second, tmp_path / "second"), tmp_path / "image")
    with pytest.warns(FidelityWarning, match="values leave their formats"):
        results = computed.predict(X)
    wanted = np.asarray(second(X))
    assert np.abs(results - wanted).max() > 0.01 * np.ptp(wanted)


def test_limits_of_the_other_model_are_not_left_out_unsaid(tmp_path: Path) -> None:
    model = converted(small(1, name="a"), tmp_path / "first")
    same = bitsmith.write_image(model, converted(small(1), tmp_path / "same"), tmp_path / "image")
    np.testing.assert_array_equal(same.predict(X), model.predict(X))
    with pytest.raises(UnsupportedError, match=r"(?s)layer 're_lu_?\d*': another ReLU.*of 'b' in the circuit"):
        bitsmith.write_image(model, converted(small(1, 5.0), tmp_path / "other"), tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("is_own", [True, False])
def test_layers_of_equal_weights_have_no_room_for_others(is_own: bool, tmp_path: Path) -> None:
    """Their results have other ranges, of which circuits leave out what cannot be; the error names the layer."""
    equal, other = small(1, name="a"), small(2, name="a")
    kernel, bias = equal.layers[0].get_weights()
    equal.layers[0].set_weights([np.full_like(kernel, 0.25), bias])
    models = converted(equal, tmp_path / "equal"), converted(other, tmp_path / "other")
    with pytest.raises(UnsupportedError, match="layer 'b': another model of another structure"):
        bitsmith.write_image(*models[:: 1 if is_own else -1], tmp_path / "image")


OTHERS: Mapping[str, tuple[Callable[..., object], Callable[..., object]]] = {
    "outputs in another order": (lambda x, y: [x, y], lambda x, y: [y, x]),
    "operands in another order": (lambda x, y: layers.Subtract()([x, y]), lambda x, y: layers.Subtract()([y, x])),
    "other operands": (lambda x, y: layers.Add()([x, y]), lambda x, y: layers.Add()([y, y])),
    "another layer": (lambda x, y: layers.Add()([x, y]), lambda x, y: layers.Maximum()([x, y])),
    "a layer more": (lambda x, y: layers.Add()([x, y]), lambda x, y: layers.ReLU()(layers.Add()([x, y]))),
    "other places": (lambda x, y: keras.ops.take(y, [1, 2, 3], 1), lambda x, y: keras.ops.take(y, [1, 3, 2], 1)),
    "other pads": (
        lambda x, y: layers.ZeroPadding1D((1, 0))(layers.Reshape((4, 2))(y)),
        lambda x, y: layers.ZeroPadding1D((0, 1))(layers.Reshape((4, 2))(y)),
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_networks_of_other_structures_are_refused(what: str, tmp_path: Path) -> None:
    own, theirs = OTHERS[what]
    model = converted(branched(own), tmp_path / "first")
    with pytest.raises(UnsupportedError, match=r"another|other"):
        bitsmith.write_image(model, converted(branched(theirs), tmp_path / "other"), tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("layer", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_weights_that_lie_in_recurrences_are_refused(layer: type[layers.Layer], tmp_path: Path) -> None:
    """They stay in the circuit."""

    def network(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        parts = [layers.Reshape((4, 2)), layer(3), layers.Dense(3)]
        return keras.Sequential([keras.Input((8,)), *parts])

    model = converted(network(1), tmp_path / "first")
    with pytest.raises(UnsupportedError, match=r"another model of another structure"):
        bitsmith.write_image(model, converted(network(2), tmp_path / "other"), tmp_path / "none")
