"""Small Keras models with random weights, their reference outputs, and writers of the Keras 2 formats.

The Keras 2 writers are by hand: they put a live Keras 3 model's weights under the JSON and HDF5 layout of Keras 2.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.layers.network import Network


def randomised(model: Any, seed: int = 0) -> Any:
    """``model`` with random weights; variances positive."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        elif "int" not in str(weight.dtype):
            weight.assign(rng.normal(0.0, 0.6, weight.shape))
    return model


def inputs_of(model: Any, batch: int = 9) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.normal(0.0, 1.5, (batch, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]


def outputs_of(model: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    results = model(list(inputs) if len(inputs) > 1 else inputs[0])
    return [np.asarray(result, dtype=np.float64) for result in keras.tree.flatten(results)]


def assert_same(network: Network, model: Any) -> None:
    """The network's float reference is what the model computes, output by output."""
    inputs = inputs_of(model)
    network.shapes()
    results = network.evaluate([values.astype(np.float64) for values in inputs])
    expected = outputs_of(model, inputs)
    assert len(network.outputs) == len(expected)
    for name, values in zip(network.outputs, expected, strict=True):
        assert results[name].shape == values.shape
        np.testing.assert_allclose(results[name], values, rtol=1e-4, atol=2e-5)


def assert_as_keras(network: Network, model: Any, inputs: Sequence[np.ndarray]) -> None:
    """The network's float reference is what the model computes; what is no number in Keras may be anything."""
    results = network.evaluate([np.asarray(values, np.float64) for values in inputs])
    with np.errstate(invalid="ignore"):
        wanted = outputs_of(model, inputs)
    for name, want in zip(network.outputs, wanted, strict=True):
        assert results[name].shape == want.shape
        np.testing.assert_allclose(np.where(np.isnan(want), 0.0, results[name]), np.nan_to_num(want), 1e-4, 2e-5)


def assert_fixed_point(network: Network, relative: float = 2.0**-10) -> None:
    """The emulated fixed-point results are the network's float ones, up to ``relative`` of each output's greatest value."""
    program = compile_network(network).program
    rng = np.random.default_rng(1)
    raws, reals = [], []
    for op in program.input_ops():
        raw = np.clip(
            np.rint(rng.normal(0.0, 2.0 ** int(op.frac.max()), (5, *op.shape))), int(op.lo.min()), int(op.hi.max())
        )
        raws.append(raw.astype(np.int64))
        reals.append(np.ldexp(raw, -int(op.frac.max())))
    wanted = network.evaluate(reals)
    for output, name, got in zip(program.outputs, network.outputs, Emulator(program).run_raw(raws), strict=True):
        frac = np.broadcast_to(program.nodes[output.node].type.frac, got.shape[1:])
        real = np.asarray(got, dtype=np.float64) * np.exp2(-frac.astype(np.float64))
        assert np.max(np.abs(real - wanted[name])) <= relative * max(np.max(np.abs(wanted[name])), 1.0)


def save(model: Any, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (model.save_weights if path.name.endswith(".weights.h5") else model.save)(path)
    return path


def keras2_config(value: Any, class_name: str = "") -> Any:
    """A Keras 3 configuration in the words of Keras 2."""
    if isinstance(value, list):
        return [keras2_config(item) for item in value]
    if not isinstance(value, dict):
        return value
    name = value.get("class_name", "")
    if name == "DTypePolicy":
        return value["config"]["name"]
    if name == "__keras_tensor__":
        return [*value["config"]["keras_history"], {}]
    result = {}
    for key, item in value.items():
        if key in ("module", "registered_name", "build_config", "compile_config", "shared_object_id"):
            continue
        if key == "batch_shape":
            result["batch_input_shape"] = item
        elif key == "inbound_nodes":
            result[key] = [keras2_node(node) for node in item]
        elif key in ("input_layers", "output_layers"):
            result[key] = [item] if isinstance(item[0], str) else item
        elif key == "config" and name == "LeakyReLU":
            result[key] = {"alpha" if k == "negative_slope" else k: keras2_config(v) for k, v in item.items()}
        elif key == "config" and name == "BatchNormalization":
            result[key] = {**keras2_config(item), "axis": [item["axis"]]}
        else:
            result[key] = keras2_config(item)
    return result


def keras2_node(node: Any) -> list[Any]:
    args = node["args"]
    return [keras2_config(tensor) for tensor in (args[0] if isinstance(args[0], list) else args)]


def _count_from_one(config: dict[str, Any]) -> None:
    """Keras 2 counts the calls of nested models from 1; Keras 3 does so only for functional ones among the outputs."""
    chains = {layer["name"] for layer in config["layers"] if layer["class_name"] == "Sequential"}
    models = chains | {layer["name"] for layer in config["layers"] if layer["class_name"] == "Functional"}
    for layer in config["layers"]:
        if layer["class_name"] == "Functional":
            _count_from_one(layer["config"])
        for node in layer["inbound_nodes"]:
            for tensor in node:
                tensor[1] += tensor[0] in models
    for tensor in config["output_layers"]:
        tensor[1] += tensor[0] in chains


def keras2_json(model: Any) -> dict[str, Any]:
    config = keras2_config(json.loads(model.to_json()))
    if config["class_name"] == "Functional":
        _count_from_one(config["config"])
    return {**config, "keras_version": "2.9.0", "backend": "tensorflow"}


def write_keras2_weights(group: h5py.Group, model: Any) -> None:
    group.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
    group.attrs["backend"] = b"tensorflow"
    group.attrs["keras_version"] = b"2.9.0"
    for layer in model.layers:
        names = []
        weights = [weight for weight in layer.weights if weight.trainable]
        weights += [weight for weight in layer.weights if not weight.trainable]
        inner = group.create_group(layer.name)
        for weight in weights:
            parts = weight.path.split("/")
            name = "/".join(parts[-3 if parts[-2].endswith("_cell") else -2 :]) + ":0"
            names.append(name.encode())
            inner.create_dataset(name, data=np.asarray(weight))
        inner.attrs["weight_names"] = names


def save_keras2(model: Any, folder: Path) -> tuple[Path, Path]:
    """A JSON with its weights file beside it, and a whole-model file."""
    architecture = keras2_json(model)
    text = folder / "old.json"
    text.write_text(json.dumps(architecture))
    with h5py.File(folder / "old_weights.h5", "w") as file:
        write_keras2_weights(file, model)
    whole = folder / "whole.h5"
    with h5py.File(whole, "w") as file:
        file.attrs["model_config"] = json.dumps(architecture)
        file.attrs["keras_version"] = b"2.9.0"
        file.attrs["backend"] = b"tensorflow"
        write_keras2_weights(file.create_group("model_weights"), model)
    return text, whole
