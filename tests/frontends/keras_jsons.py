"""Keras 2 models written by hand: JSON as Python values, and a weights file that fits them. No framework is needed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Config = dict[str, Any]


def layer(class_name: str, name: str, *inbound: Any, **config: Any) -> Config:
    """A layer of a functional model; ``inbound`` are the operands' names of its only call."""
    nodes = [[[source, 0, 0, {}] for source in inbound]] if inbound else []
    return {"class_name": class_name, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def source(name: str = "x", *shape: int | None) -> Config:
    return layer("InputLayer", name, batch_input_shape=[None, *(shape or (3,))], dtype="float32")


def functional(*layers: Config, inputs: tuple[str, ...] = ("x",), outputs: tuple[str, ...]) -> Config:
    return {
        "class_name": "Functional",
        "keras_version": "2.9.0",
        "config": {
            "name": "model",
            "layers": copy.deepcopy(list(layers)),
            "input_layers": [[name, 0, 0] for name in inputs],
            "output_layers": [[name, 0, 0] for name in outputs],
        },
    }


def small_model() -> Config:
    """Most kinds of layer and reference, all weights of size 3."""
    inner = functional(source("i"), layer("Dense", "d", "i", units=3, activation="tanh"), inputs=("i",), outputs=("d",))
    nested = {**inner, "name": "inner", "inbound_nodes": [[["fc", 0, 0, {}]], [["x", 0, 0, {}]]]}
    nested["config"]["name"] = "inner"
    join = layer("Add", "sum")
    join["inbound_nodes"] = [[["inner", 1, 0, {}], ["inner", 2, 0, {}], ["bn", 0, 0, {}]]]
    return functional(
        source(),
        layer("Dense", "fc", "x", units=3, activation="relu", use_bias=True, trainable=True, dtype="float32"),
        layer("BatchNormalization", "bn", "fc", axis=[1], epsilon=0.001, scale=True, center=True),
        nested,
        join,
        layer("Reshape", "shape", "sum", target_shape=[3, 1]),
        layer("Permute", "permute", "shape", dims=[2, 1]),
        layer("Softmax", "soft", "permute", axis=-1),
        layer("LeakyReLU", "leaky", "x", alpha=0.25),
        layer("Concatenate", "join", "leaky", "fc", axis=-1),
        outputs=("soft", "join"),
    )


WEIGHTS = {
    "fc": ["fc/kernel:0", "fc/bias:0"],
    "bn": ["bn/gamma:0", "bn/beta:0", "bn/moving_mean:0", "bn/moving_variance:0"],
    "inner": ["d/kernel:0", "d/bias:0"],
}


def write_weights(path: Path, weights: dict[str, list[str]] | None = None) -> Path:
    """Random positive weights of size 3 for :func:`small_model`, or for the given groups."""
    weights = WEIGHTS if weights is None else weights
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = list(weights)
        for name, tensors in weights.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = tensors
            for tensor in tensors:
                group[tensor] = rng.uniform(0.1, 1.0, (3, 3) if "kernel" in tensor else (3,)).astype(np.float32)
    return path


def write_model(folder: Path, model: Any, weights: dict[str, list[str]] | None = None) -> Path:
    """``model`` as JSON with its weights beside it."""
    path = folder / "m.json"
    path.write_text(json.dumps(model))
    write_weights(folder / "m_weights.h5", weights)
    return path
