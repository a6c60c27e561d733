"""All configurations that hls4ml generates are accepted for the networks that it generates them for.

The configurations and the small networks in ``familiar`` are written by ``familiar/make.py``, which needs hls4ml. Of the
incumbent's example models only the names and kinds of layers are kept, of which networks of the same layers are made here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.config.resolving import resolve
from bitsmith.emulate import Emulator
from bitsmith.errors import ConfigError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.read import read_keras
from bitsmith.frontends.read import read_model
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.network import Network
from bitsmith.options.project import ProjectConfig, read_project
from tests.keras_weights import write_weights

FOLDER = Path(__file__).parent / "familiar"
GRANULARITIES = ("model", "type", "name")
Config = dict[str, Any]

OWN = sorted(path for path in FOLDER.iterdir() if path.suffix in (".keras", ".pt2", ".onnx"))
EXAMPLES = sorted(FOLDER.glob("example_*.json"))


def generated(path: Path) -> list[Config]:
    """The configurations for a network, of every granularity and backend."""
    content = json.loads(path.with_suffix(".json").read_text())
    return [row["config"] for granularity in GRANULARITIES for row in content[granularity]]


def without_shape(config: Config) -> Config:
    return {key: value for key, value in config.items() if key != "InputShape"}


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_every_generated_configuration_is_accepted(path: Path) -> None:
    network = read_model(path)
    for config in generated(path):
        resolved = resolve(network, without_shape(config))
        for name, fmt in written(config, resolved).items():
            assert resolved.node(name).settings.precision.get("weight") == fmt
        assert len(resolved.notes) <= len(network.notes) + 1


@pytest.mark.parametrize("granularity", ["model", "name"])
@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_what_a_generated_configuration_gives_is_near_the_float_model(path: Path, granularity: str) -> None:
    network = read_model(path)
    config = json.loads(path.with_suffix(".json").read_text())[granularity][0]["config"]
    program = compile_network(resolve(network, without_shape(config))).program
    rng = np.random.default_rng(17)
    xs = [np.clip(rng.normal(size=(20, *shape)), -7.0, 7.0) for shape in network.input_shapes().values()]
    if "embedding" in path.stem:
        xs = [np.rint(np.abs(x)) for x in xs]
    expected = network.evaluate(xs)
    for name, values in zip(network.outputs, Emulator(program).run(xs), strict=True):
        assert np.max(np.abs(values - expected[name])) < 0.03 * np.max(np.abs(expected[name])), name


def with_auto(config: Any) -> Any:
    """A configuration with ``auto`` for each of its formats, and without sizes of tables."""
    if not isinstance(config, dict):
        return config
    formats = {"Precision": "auto"} if "Precision" in config else {}
    kept = {key: with_auto(value) for key, value in config.items() if "table" not in key.lower()}
    return {**kept, **formats}


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_but_for_its_formats_a_generated_configuration_changes_no_number(path: Path) -> None:
    """Of every granularity and backend: factors, strategies and what only other tools know."""
    network = read_model(path)
    rng = np.random.default_rng(17)
    xs = [np.abs(np.rint(4.0 * rng.normal(size=(20, *shape)))) / 4.0 for shape in network.input_shapes().values()]
    xs = [np.rint(x) for x in xs] if "embedding" in path.stem else xs
    plain = Emulator(compile_network(resolve(network, None)).program).run(xs)
    for config in generated(path):
        program = compile_network(resolve(network, with_auto(without_shape(config)))).program
        for values, wanted in zip(Emulator(program).run(xs), plain, strict=True):
            np.testing.assert_array_equal(values, wanted)


def written(config: Config, network: Network) -> dict[str, FixedFormat]:
    """What trained weights have, which is the model's format but for quantized ones."""
    dense = [node for node in network.nodes if "weight" in node.layer.variables() and "weight" not in node.quantizers]
    precision = config["Model"]["Precision"]["default"]
    assert precision in ("fixed<16,6>", "ap_fixed<16,6>")
    return {node.name: FixedFormat(True, 16, 10) for node in dense if not node.inner}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_configuration_of_the_example_models_is_accepted(path: Path, tmp_path: Path) -> None:
    network = of_layers(json.loads(path.read_text())["layers"], tmp_path)
    for config in generated(path):
        resolve(network, config)
    by_hand = FOLDER / f"written_{path.stem.removeprefix('example_')}_config.json"
    if by_hand.exists():
        resolve(network, read_project(json.loads(by_hand.read_text())).hls_config)


def of_layers(layers: list[Config], folder: Path) -> Network:
    """A chain of layers of the given names and kinds, with few weights."""
    classes = " ".join(layer["class"] for layer in layers)
    shape = [4, 4, 2] if "Conv2D" in classes else [8, 2] if "Conv1D" in classes else [3]
    shape = [4, 3] if "GarNet" in classes else shape
    made: list[Config] = []
    inputs: list[str] = []
    weights: dict[str, dict[str, np.ndarray]] = {}
    for layer in layers:
        config = {key: value for key, value in layer.items() if key != "class"}
        kind, name = layer["class"], layer["name"]
        if not made and kind != "InputLayer":
            inputs.append(f"{name}_input")
            made.append(input_layer(inputs[0], shape))
        if "Conv" in kind:
            config |= {"filters": 2, "kernel_size": [1] * (len(shape) - 1), "strides": [1] * (len(shape) - 1)}
            config |= {"padding": "valid", "use_bias": True}
            weights[name] = {"kernel": np.ones((*config["kernel_size"], 2, 2)), "bias": np.ones(2)}
        elif kind.startswith("GarNet"):
            weights[name] = garnet(config, shape[-1])
            shape = [2]
        elif "Dense" in kind:
            config |= {"units": 2, "use_bias": True}
            weights[name] = {"kernel": np.ones((shape[-1], 2)), "bias": np.ones(2)}
            shape = [2]
        elif kind == "BatchNormalization":
            names = ("gamma", "beta", "moving_mean", "moving_variance")
            weights[name] = {key: np.ones(shape[-1]) for key in names}
            config |= {"axis": -1, "epsilon": 0.001, "scale": True, "center": True}
        elif kind == "Flatten":
            shape = [int(np.prod(shape))]
        elif kind == "MaxPooling2D":
            config |= {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid"}
            shape = [shape[0] // 2, shape[1] // 2, shape[2]]
        if kind == "InputLayer":
            inputs.append(name)
            made.append(input_layer(name, shape if len(inputs) == 1 else [1]))
        else:
            read = inputs if kind.startswith("GarNet") else [made[-1]["name"]]
            nodes = [[[source, 0, 0, {}] for source in read]]
            made.append({"class_name": kind, "name": name, "config": config, "inbound_nodes": nodes})
    write_weights(folder / "model_weights.h5", weights)
    model = {
        "class_name": "Model",
        "keras_version": "2.2.4",
        "config": {
            "name": "model",
            "layers": made,
            "input_layers": [[name, 0, 0] for name in inputs],
            "output_layers": [[made[-1]["name"], 0, 0]],
        },
    }
    (folder / "model.json").write_text(json.dumps(model))
    return read_keras(folder / "model.json", ReadOptions(weights=folder / "model_weights.h5"))


def garnet(config: Config, features: int) -> dict[str, np.ndarray]:
    """The weights of a layer of two of everything, whose configuration is completed."""
    config |= {"simplified": True, "collapse": "mean", "input_format": "xn", "output_activation": None}
    config |= {"n_propagate": 2, "n_aggregators": 2, "n_filters": 2}
    shapes = {"FLR": (features, 2), "S": (features, 2), "Fout": (4, 2)}
    return {
        f"{name}_{part}": np.ones(shape if part == "kernel" else 2)
        for name, shape in shapes.items()
        for part in ("kernel", "bias")
    }


def input_layer(name: str, shape: list[int]) -> Config:
    config = {"name": name, "batch_input_shape": [None, *shape], "dtype": "float32"}
    return {"class_name": "InputLayer", "name": name, "config": config, "inbound_nodes": []}


@pytest.mark.parametrize(("backend", "config"), json.loads((FOLDER / "projects.json").read_text()).items())
def test_the_project_of_every_backend_is_accepted(backend: str, config: Config) -> None:
    project = read_project(config)
    assert isinstance(project, ProjectConfig) and project.board == (
        "pynq-z2" if backend == "vivadoaccelerator" else None
    )
    assert project.backend == ("vivado" if backend == "vivadoaccelerator" else backend)
    assert project.accelerator == ("VivadoAccelerator" if backend == "vivadoaccelerator" else "")


@pytest.mark.parametrize("config", json.loads((FOLDER / "boards.json").read_text()))
def test_every_project_for_a_board_is_accepted(config: Config) -> None:
    project = read_project(config)
    asked = config["AcceleratorConfig"]
    assert (project.board, project.platform) == (asked["Board"], asked.get("Platform"))
    unlike = {key for key, other in (("Interface", "axi_lite"), ("Driver", "c")) if asked[key] == other}
    assert project.interface == ("axi_master" if asked["Interface"] == "axi_master" else None)
    types = {key: None if value == "float" else value for key, value in asked["Precision"].items()}
    kept = {"Input": project.bus_input, "Output": project.bus_output}
    assert {key: value and f"ap_{value}" for key, value in kept.items()} == types
    assert {idle.key for idle in project.idle if idle.key not in ("WriteTar", "WriteWeightsTxt")} == unlike


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_a_misspelt_key_stays_an_error(path: Path) -> None:
    network, config = read_model(path), without_shape(generated(path)[-1])
    name, entry = next(iter(config["LayerName"].items()))
    for wrong in ({**entry, "Tracee": False}, {**entry, "Precision": {"resullt": "auto"}}):
        with pytest.raises(ConfigError, match="did you mean"):
            resolve(network, {**config, "LayerName": {**config["LayerName"], name: wrong}})
    with pytest.raises(ConfigError, match="no layer is called"):
        resolve(network, {**config, "LayerName": {**config["LayerName"], f"{name}x": entry}})
