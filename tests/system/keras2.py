"""Writes Keras 2 models of dense layers: the JSON of the structure and the HDF5 file of the weights beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.keras_weights import write_weights


def write_dense(folder: Path, kernels: Sequence[npt.NDArray[np.float64]], name: str = "dense") -> Path:
    """A chain of dense layers with relu, softmax at the end; small biases. The path of the JSON file."""
    rng = np.random.default_rng(len(kernels))
    layers: list[dict[str, object]] = [
        {
            "class_name": "InputLayer",
            "config": {"batch_input_shape": [None, kernels[0].shape[0]], "dtype": "float32", "name": "x"},
            "name": "x",
            "inbound_nodes": [],
        }
    ]
    before = "x"
    names = [f"fc{k}" for k in range(1, len(kernels) + 1)]
    weights = {}
    for layer, kernel in zip(names, kernels, strict=True):
        activation = "softmax" if layer == names[-1] else "relu"
        config = {"name": layer, "units": kernel.shape[1], "activation": activation, "use_bias": True}
        node = [[[before, 0, 0, {}]]]
        layers.append({"class_name": "Dense", "config": config, "name": layer, "inbound_nodes": node})
        weights[layer] = {"kernel": kernel, "bias": 0.1 * rng.standard_normal(kernel.shape[1], dtype=np.float32)}
        before = layer
    write_weights(folder / f"{name}_weights.h5", weights)
    config = {"name": name, "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [[before, 0, 0]]}
    document = {"class_name": "Model", "config": config, "keras_version": "2.4.0", "backend": "tensorflow"}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document))
    return path
