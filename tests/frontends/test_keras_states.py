"""Stateful layers of Keras over frames in order, with resets between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.properties import few

import bitsmith
from bitsmith.errors import UnsupportedError
from bitsmith.frontends.keras.outputs import keras_outputs
from bitsmith.frontends.outputs import ModelRun

keras = pytest.importorskip("keras")
layers = keras.layers

FRAMES, STEPS, CHANNELS = 20, 3, 2
Floats = npt.NDArray[np.float32]


def reset(model: Any) -> None:
    """Zeros for all states; Keras's own method fails for stacked cells."""
    for layer in model._flatten_layers():
        for state in keras.tree.flatten(getattr(layer, "states", None) or []):
            state.assign(np.zeros(state.shape, np.float32))


def framework(model: Any, frames: Floats) -> Floats:
    """What Keras gives frame by frame."""
    size = model.inputs[0].shape[0]
    return np.concatenate([keras.ops.convert_to_numpy(model(np.repeat(one[None], size, 0)))[:1] for one in frames])


def stateful(layer: Callable[[Any], Any], size: int = 1) -> Any:
    """A model of ``layer`` for ``size`` streams at once."""
    keras.utils.set_random_seed(0)
    x = keras.Input((STEPS, CHANNELS), batch_size=size)
    return keras.Model(x, layer(x))


LAYERS: dict[str, Callable[[Any], Any]] = {
    "lstm": lambda x: layers.LSTM(3, stateful=True)(x),
    "gru": lambda x: layers.GRU(3, stateful=True, return_sequences=True)(x),
    "gru, reset before": lambda x: layers.GRU(3, stateful=True, reset_after=False)(x),
    "simple, backwards": lambda x: layers.SimpleRNN(3, stateful=True, go_backwards=True)(x),
    "both ways": lambda x: layers.Bidirectional(layers.LSTM(2, stateful=True, return_sequences=True))(x),
    "one of two": lambda x: layers.LSTM(2)(layers.GRU(2, stateful=True, return_sequences=True)(x)),
    "cells": lambda x: layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)], stateful=True)(x),
    "states, too": lambda x: layers.Concatenate()(layers.LSTM(2, stateful=True, return_state=True)(x)),
    "given": lambda x: layers.GRU(2, stateful=True)(x, initial_state=layers.GRU(2)(x)),
}


@few("name", LAYERS, fast=4)
def test_frames_in_order_give_what_keras_gives(name: str) -> None:
    model = stateful(LAYERS[name], size=2 if name == "gru" else 1)
    frames = np.random.default_rng(0).uniform(-1, 1, (FRAMES, STEPS, CHANNELS)).astype(np.float32)
    circuit = bitsmith.convert(model, calibration=frames)
    for first, last in ((0, 9), (9, 12), (12, FRAMES)):
        if first != 9:
            reset(model)
            circuit.reset_states()
        expected = framework(model, frames[first:last])
        assert np.abs(circuit.predict(frames[first:last]) - expected).max() < 2.0**-11


def test_a_conversion_leaves_the_states_of_the_live_model_as_they_were() -> None:
    model = stateful(LAYERS["lstm"])
    frames = np.random.default_rng(1).uniform(-1, 1, (4, STEPS, CHANNELS)).astype(np.float32)
    framework(model, frames)
    before = [np.array(each) for each in map(keras.ops.convert_to_numpy, model.layers[1].states)]
    found = keras_outputs(ModelRun(model, [frames], None, insist=False))
    after = [keras.ops.convert_to_numpy(each) for each in model.layers[1].states]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)) and np.any(before[0])
    reset(model)
    assert found is not None
    np.testing.assert_array_equal(found.outputs[0], framework(model, frames))


def test_notes_and_fidelity_speak_of_states() -> None:
    model = stateful(LAYERS["lstm"])
    circuit = bitsmith.convert(model)
    assert any(f"States of {model.layers[1].name!r} live on between samples" in note for note in circuit.notes)
    assert not circuit.fidelity.problems and "as Keras computes it" in circuit.fidelity.summary


def test_calls_go_on_where_the_one_before_ended(tmp_path: Any) -> None:
    frames = np.random.default_rng(2).uniform(-1, 1, (6, STEPS, CHANNELS))
    circuit = bitsmith.convert(stateful(LAYERS["gru"]), calibration=frames)
    whole = circuit.predict(frames)
    circuit.reset_states()
    np.testing.assert_array_equal(np.concatenate([circuit.predict(frames[:2]), circuit.trace(frames[2:])[0]]), whole)
    circuit.save(tmp_path / "saved.bitsmith")
    again = bitsmith.Model.load(tmp_path / "saved.bitsmith")  # which begins after a reset
    np.testing.assert_array_equal(again.predict(frames), whole)


def test_masks_are_refused() -> None:
    model = stateful(lambda x: layers.LSTM(2, stateful=True)(layers.Masking()(x)))
    with pytest.raises(UnsupportedError, match="a mask for a stateful layer"):
        bitsmith.convert(model)


@pytest.mark.parametrize(("count", "whole"), [(40, False), (70, True)])
def test_a_model_of_many_layers_is_compiled_as_a_whole_and_gives_the_same(count: int, *, whole: bool) -> None:
    x = keras.Input((CHANNELS,))
    y = layers.Dense(3)(x)
    for _ in range(count):
        y = layers.ReLU(negative_slope=0.9)(y)
    model = keras.Model(x, [layers.Dense(2)(y), y])
    frames = np.random.default_rng(2).uniform(-1, 1, (40, CHANNELS)).astype(np.float32)
    run = keras_outputs(ModelRun(model, [frames], None, insist=False))
    assert run is not None
    for found, wanted in zip(run.outputs, model(frames), strict=True):
        np.testing.assert_allclose(found, keras.ops.convert_to_numpy(wanted), rtol=1e-4, atol=1e-6)
    assert (model.predict_function is not None) == (whole and keras.backend.backend() == "jax")
