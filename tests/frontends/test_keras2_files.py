"""Layers as only files of Keras 2 have them, by their definitions: Keras 3 writes these otherwise, or has none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_jsons import functional, layer, source

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.keras.read import read_keras
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network


def _read(folder: Path, model: Any, *tensors: Floats) -> Network:
    """The model ``x`` -> ``y``, whose layer ``y`` has these variables."""
    path = folder / "m.json"
    path.write_text(json.dumps(model))
    with h5py.File(folder / "m_weights.h5", "w") as file:
        file.attrs["layer_names"] = ["y"]
        group = file.create_group("y")
        group.attrs["weight_names"] = [f"y/{number}:0" for number in range(len(tensors))]
        for number, tensor in enumerate(tensors):
            group[f"y/{number}:0"] = tensor
    return read_keras(path)


def _result(network: Network, x: Floats) -> Floats:
    return network.evaluate([x])[network.outputs[0]]


def test_spectral_normalization_whose_vector_comes_after_the_bias(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kernel, bias, x = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(5, 4))
    dense = {"class_name": "Dense", "config": {"name": "d", "units": 3, "activation": "linear", "use_bias": True}}
    model = functional(source("x", 4), layer("SpectralNormalization", "y", "x", layer=dense), outputs=("y",))
    network = _read(tmp_path, model, kernel, bias, rng.normal(size=(1, 3)))
    np.testing.assert_allclose(_result(network, x), x @ kernel + bias, atol=1e-6)


def test_discretization_whose_policy_is_that_of_its_results(tmp_path: Path) -> None:
    bins = layer("Discretization", "y", "x", bin_boundaries=[-1.0, 0.5], output_mode="int", dtype="int64")
    network = _read(tmp_path, functional(source(), bins, outputs=("y",)))
    np.testing.assert_array_equal(_result(network, np.array([[-1.0, 0.25, 7.0]])), [[1, 1, 2]])


def test_batch_normalization_over_several_axes(tmp_path: Path) -> None:
    """Whose statistics have all axes of the operand."""
    rng = np.random.default_rng(1)
    gamma, beta, mean = rng.normal(size=(3, 1, 3, 1, 2))
    variance, x = rng.uniform(0.5, 2.0, (1, 3, 1, 2)), rng.normal(size=(4, 3, 5, 2))
    norm = layer("BatchNormalization", "y", "x", axis=[1, 3], epsilon=0.01, scale=True, center=True)
    network = _read(tmp_path, functional(source("x", 3, 5, 2), norm, outputs=("y",)), gamma, beta, mean, variance)
    wanted = (x - mean) / np.sqrt(variance + 0.01) * gamma + beta
    np.testing.assert_allclose(_result(network, x), wanted, atol=1e-6)


def test_random_changes_that_training_does_not_switch_off_are_refused(tmp_path: Path) -> None:
    """Keras 2 writes the argument of a call only where it is given, and obeys it then."""
    flip = layer("RandomFlip", "y", "x", mode="horizontal")
    image, model = source("x", 3, 3, 1), functional(source("x", 3, 3, 1), flip, outputs=("y",))
    _read(tmp_path, model)
    flip["inbound_nodes"][0][0][3] = {"training": True}
    with pytest.raises(UnsupportedError, match="random changes outside of training"):
        _read(tmp_path, functional(image, flip, outputs=("y",)))
