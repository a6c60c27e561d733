"""Keras's slicing, splitting, stacking and repeating against Keras itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras_jsons import functional, layer, source, write_model
from keras_samples import assert_fixed_point, assert_same, save

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.keras.read import read_keras

Build = Callable[[Any], Any]

GRID = (6, 4)
"""The shape of the operands."""

MOVES: dict[str, Build] = {
    "ellipsis": lambda x: x[..., 1:3],
    "step": lambda x: x[:, 1:5:2, -1],
    "reversed": lambda x: x[:, ::-1, 3:0:-2],
    "number": lambda x: x[:, 2],
    "scalars": lambda x: x[:, 0, -2],
    "triangles": lambda x: ops.tril(x) - ops.triu(x, 1),
    "negative number": lambda x: x[..., -1],
    "new axes": lambda x: x[:, None, ..., None],
    "short index": lambda x: x[:, -2:],
    "clamped": lambda x: x[:, -20:20],
    "all": lambda x: x[:, :],
    "stack": lambda x: ops.stack([x, -x], axis=1),
    "stack last": lambda x: ops.stack([x, -x, x], axis=-1),
    "repeat": lambda x: ops.repeat(x, 2, axis=1),
    "tile": lambda x: ops.tile(x, (1, 2, 3)),
    "tile the last": lambda x: ops.tile(x, 2),
    "tile by one": lambda x: ops.tile(x, (1, 1, 1)),
    "roll": lambda x: ops.roll(x, 2, axis=1),
    "roll two": lambda x: ops.roll(x, (-1, 9), axis=(1, 2)),
    "flip": lambda x: ops.flip(x, axis=1),
    "flip two": lambda x: ops.flip(x, axis=(1, -1)),
    "take": lambda x: ops.take(x, [0, -1, 0], axis=1),
    "take a table": lambda x: ops.take(x, np.array([[0, 1], [2, 3]]), axis=2),
    "take one": lambda x: ops.take(x, 3, axis=1),
    "moveaxis": lambda x: ops.moveaxis(x[:, None], 1, 3),
    "moveaxis two": lambda x: ops.moveaxis(x[:, None], (1, 2), (3, 1)),
    "swapaxes": lambda x: ops.swapaxes(x, 1, -1),
    "repeat vector": lambda x: layers.RepeatVector(3)(layers.Flatten()(x)),
    "split": lambda x: ops.split(x, 2, axis=1),
    "split at": lambda x: ops.split(x, [1, 3], axis=2),
    "parts of a split": lambda x: (lambda parts: parts[2] - parts[0])(ops.split(x, 3, axis=1)),
    "unstack": lambda x: ops.unstack(x, axis=1),
    "dictionary of lists": lambda x: {"b": x * 2, "a": [ops.split(x, 2, axis=2)[1], x]},
}


def test_moves(tmp_path: Path) -> None:
    """One model with all of them; the results of each are in order."""
    x = keras.Input(GRID, name="x")
    model = keras.Model(x, [build(x) for build in MOVES.values()])
    assert_same(read_keras(model), model)
    network = read_keras(save(model, tmp_path / "m.keras"))
    assert_same(network, model)
    assert_fixed_point(network)


def test_names_of_several_results() -> None:
    x = keras.Input((4, 2), name="x")
    first, second = ops.split(x, 2, axis=1)
    network = read_keras(keras.Model(x, [second, first]))
    assert [name[-2:] for name in network.outputs] == ["_1", "_0"]


ONE: dict[str, Build] = {
    "slice": lambda x: ops.slice(x, (0, 1, 0), (1, 2, 3)),
    "broadcast": lambda x: ops.broadcast_to(x[:, :1], (1, 3, 4)),
    "concatenate a constant": lambda x: ops.concatenate([np.ones((1, 2, 4), "float32"), x, x], axis=1),
    "stack a constant": lambda x: ops.stack([x, np.arange(24, dtype="float32").reshape(1, 6, 4)], axis=2),
}


@pytest.mark.parametrize("name", ONE)
def test_operations_that_keras_does_for_one_sample(name: str) -> None:
    x = keras.Input(GRID, batch_size=1)
    model = keras.Model(x, ONE[name](x))
    values = np.random.default_rng(0).normal(size=(1, *GRID))
    network = read_keras(model)
    np.testing.assert_allclose(network.evaluate([values])[network.outputs[0]], np.asarray(model(values)), rtol=1e-6)


REFUSED: dict[str, tuple[Build, str]] = {
    "samples": (lambda x: x[1:, :], "picks samples"),
    "reversed samples": (lambda x: x[::-1, :], "picks samples"),
    "index by a tensor": (lambda x: ops.take(x, ops.argmax(x, axis=-1), axis=1), "computed|Argmax"),
    "repeated samples": (lambda x: ops.tile(x, (2, 1, 1)), "batch axis"),
    "split samples": (lambda x: ops.split(x, [1], axis=0), "batch axis"),
    "flat repeat": (lambda x: ops.repeat(x, 2), "without an axis"),
    "flat roll": (lambda x: ops.roll(x, 2), "without an axis"),
    "flat flip": (lambda x: ops.flip(x), "without an axis"),
    "flat take": (lambda x: ops.take(x, [1]), "without an axis"),
    "stacked samples": (lambda x: ops.stack([x, x], axis=0), "batch is axis 1"),
    "moved batch": (lambda x: ops.swapaxes(x, 0, 1), "batch is axis 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    build, message = REFUSED[name]
    x = keras.Input(GRID, batch_size=4)
    with pytest.raises(UnsupportedError, match=message):
        read_keras(keras.Model(x, build(x)))


def test_slices_of_keras_2(tmp_path: Path) -> None:
    """TensorFlow's ``x[:, 1:5:2, 0]``."""
    spec = [{"start": None, "stop": None, "step": None}, {"start": 1, "stop": 5, "step": 2}, 0]
    sliced = layer("SlicingOpLambda", "part", "x", function="__operators__.getitem")
    sliced["inbound_nodes"] = [["x", 0, 0, {"slice_spec": spec}]]
    network = read_keras(write_model(tmp_path, functional(source("x", *GRID), sliced, outputs=("part",))))
    x = np.random.default_rng(0).normal(size=(3, *GRID))
    np.testing.assert_array_equal(network.evaluate([x])["part"], x[:, 1:5:2, 0])


def test_repetitions_of_each_element(tmp_path: Path) -> None:
    """Keras takes a list of them on some backends only."""
    repeated = layer("Repeat", "more", "x", repeats=[0, 1, 2, 3], axis=-1) | {"module": "keras.src.ops.numpy"}
    network = read_keras(write_model(tmp_path, functional(source("x", *GRID), repeated, outputs=("more",))))
    x = np.random.default_rng(0).normal(size=(3, *GRID))
    np.testing.assert_array_equal(network.evaluate([x])["more"], np.repeat(x, [0, 1, 2, 3], axis=-1))


def test_masks_of_keras_2_are_refused(tmp_path: Path) -> None:
    masked = layer("SlicingOpLambda", "part", "x", function="boolean_mask")
    with pytest.raises(UnsupportedError, match="'boolean_mask'"):
        read_keras(write_model(tmp_path, functional(source("x", *GRID), masked, outputs=("part",))))


def test_constants_that_differ_between_samples_are_refused() -> None:
    x = keras.Input(GRID, batch_size=2)
    with pytest.raises(UnsupportedError, match="differs between samples"):
        read_keras(keras.Model(x, ops.concatenate([x, np.ones((2, 1, 4), "float32")], axis=1)))


@pytest.mark.parametrize("class_name,config", [("Unstack", {}), ("Split", {"indices_or_sections": 4096})])
def test_absurdly_many_results_are_refused(class_name: str, config: dict[str, Any], tmp_path: Path) -> None:
    parts = layer(class_name, "parts", "x", axis=1, **config) | {"module": "keras.src.ops.core"}
    with pytest.raises(ModelFileError, match="at most 1024"):
        read_keras(write_model(tmp_path, functional(source("x", 4096, 2), parts, outputs=("parts",))))
