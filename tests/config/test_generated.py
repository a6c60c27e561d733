"""Generated configurations, and those of the pages and examples."""

from __future__ import annotations

import ast
import copy
import importlib.metadata
import inspect
import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import bitsmith.utils
from bitsmith.config.building import config_from_network
from bitsmith.config.files import MAX_BYTES, MAX_VALUES
from bitsmith.config.inert import LAYER_INERT, MODEL_INERT
from bitsmith.config.model import LAYER_KEYS, MODEL_KEYS, read_hls_config
from bitsmith.config.precision import parse_precision
from bitsmith.config.resolving import resolve
from bitsmith.config.variables import ALL_VARIABLES
from bitsmith.errors import ConfigError
from bitsmith.layers.input import DEFAULT_INPUT
from bitsmith.layers.network import Network
from bitsmith.layers.settings import Settings
from bitsmith.layers.tables import DEFAULT_ENTRIES, EXACT_ENTRIES, INNER
from bitsmith.options.project import project_keys, read_project
from tests.config.test_model import NETWORK
from tests.config.test_quantized import between_quantizers


@pytest.mark.parametrize("framework", ["keras", "pytorch", "onnx", "tflite"])
def test_backends_and_reuse_factors_are_by_default_those_of_hls4ml(framework: str) -> None:
    """Those of TensorFlow Lite, which hls4ml does not read, are those of Keras."""
    path = importlib.metadata.distribution("hls4ml").locate_file("hls4ml/utils/config.py")
    name = f"config_from_{framework.replace('tflite', 'keras')}_model"
    tree = ast.parse(Path(str(path)).read_text(encoding="utf-8"))
    (found,) = (each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == name)
    theirs = dict(zip([each.arg for each in reversed(found.args.args)], reversed(found.args.defaults), strict=False))
    parameters = inspect.signature(getattr(bitsmith.utils, f"config_from_{framework}_model")).parameters
    for key in ("backend", "default_reuse_factor", "max_precision"):
        if key in theirs:
            assert parameters[key].default == ast.literal_eval(theirs[key])


@pytest.mark.parametrize("granularity", ["type", "name"])
@pytest.mark.parametrize("default", ["ap_fixed<16,6>", "fixed<12,4,RND,SAT>"])
def test_a_default_precision_of_layers_is_that_of_inputs_and_trained_tensors(granularity: str, default: str) -> None:
    """As in hls4ml, whose results and accumulators are ``auto``: a format meant for all of them would wrap."""
    fmt = parse_precision(default)
    for node in resolve(NETWORK, config_from_network(NETWORK, granularity, default)).nodes:
        given = {"result"} if node.name == "x" else {"weight", "bias", "scale"}.intersection(node.layer.variables())
        assert node.settings.precision == dict.fromkeys(given, fmt)


@pytest.mark.parametrize("granularity", ["type", "name"])
def test_a_default_precision_that_the_model_leaves_nothing_to_is_left_out(granularity: str) -> None:
    network = Network(between_quantizers().nodes[:2], ("x",), ("x_q",))
    resolved = resolve(network, config_from_network(network, granularity, "fixed<16,6>"))
    assert resolved.node("x").settings == Settings()
    assert resolved.notes == ()


def test_the_shape_of_a_generated_configuration() -> None:
    config = config_from_network(NETWORK, granularity="name", default_precision="fixed<16,6>", backend="rtl")
    assert config["Model"] == {
        "Precision": {"default": "fixed<16,6>"},
        "ReuseFactor": 1,
        "Strategy": "Latency",
        "TraceOutput": False,
    }
    assert list(config["LayerName"]) == [node.name for node in NETWORK.nodes]
    assert config["LayerName"]["fc1"] == {
        "Trace": False,
        "Precision": {"weight": "fixed<16,6>", "bias": "fixed<16,6>", "accum": "auto", "result": "auto"},
        "ReuseFactor": 1,
        "ParallelizationFactor": 1,
    }
    assert config["LayerName"]["out"] == {
        "Trace": False,
        "Precision": dict.fromkeys(("exp_table", "inv_table", "inv_inp", "accum", "result"), "auto"),
        "TableSize": "auto",
        "TableRange": "auto",
        "Binning": "auto",
        "Implementation": "stable",
        "Skip": False,
    }
    assert list(config_from_network(NETWORK, "type")["LayerType"]) == [
        *(
            "Input",
            "Dense",
            "BatchNormalization",
            "ReLU",
            "Identity",
            "Activation",
            "Average",
            "HardActivation",
            "Softmax",
        )
    ]
    assert json.loads(json.dumps(config)) == config


def leaves(config: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


_EDITS: dict[str, Any] = {
    "ReuseFactor": 8,
    "ParallelizationFactor": 2,
    "Strategy": "Resource",
    "TraceOutput": True,
    "Trace": True,
    "TableSize": 64,
    "TableRange": [-1, 1],
    "Binning": "floor",
    "Implementation": "argmax",
    "Skip": True,
    "Outliers": "saturate",
}


@pytest.mark.parametrize("granularity", ["model", "type", "name"])
def test_each_edit_of_a_generated_configuration_takes_effect_or_is_refused(granularity: str) -> None:
    generated = config_from_network(NETWORK, granularity)
    before = resolve(NETWORK, generated)
    for path in leaves(generated):
        edited = copy.deepcopy(generated)
        place = edited
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = "fixed<9,3>" if path[-2] == "Precision" else _EDITS[path[-1]]
        try:
            after = resolve(NETWORK, edited)
        except ConfigError as error:
            assert path[0] == "Model", path
            assert error.where == ".".join(path)
            continue
        changed = [new.name for new, old in zip(after.nodes, before.nodes, strict=True) if new.settings != old.settings]
        assert changed, path
        if granularity == "name" and path[0] == "LayerName":
            assert changed == [path[1]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"granularity": "layer"}, "'model', 'type' or 'name'"),
        ({"granularity": "names"}, "did you mean 'name'?"),
        ({"default_precision": "float"}, "floating-point"),
        ({"default_reuse_factor": 0}, "an integer from 1"),
        ({"max_precision": "fixed<20.8>"}, "precision 'fixed<20.8>'"),
        ({"backend": "SymbolicExpression"}, "all backends take formulas"),
    ],
)
def test_arguments_of_config_from_network(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_network(NETWORK, **arguments)
    assert said in str(caught.value)


def test_the_examples_that_ship_are_understood() -> None:
    folder = resources.files("bitsmith") / "data" / "models"
    found = [file for file in folder.iterdir() if file.name.endswith(".config.json")]
    assert found
    for file in found:
        assert read_hls_config(json.loads(file.read_text())).names


_PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
_BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", _PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.ci
def test_the_examples_on_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    blocks = [content for language, content in _BLOCKS if language == "python"]
    assert len(blocks) == 7
    for content in blocks:
        exec(compile(content, str(_PAGE), "exec"), namespace)
    assert str(read_project(namespace["project"]).hls_config.model.precision["default"]) == "fixed<16,6>"


def test_the_yaml_on_the_page_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    files = [content for language, content in _BLOCKS if language == "yaml"]
    assert len(files) == 2
    path.write_text(files[0])
    assert str(read_hls_config(path).types["Dense"].precision["bias"]) == "fixed<8,3>"
    path.write_text(files[1])
    project = read_project(path)
    assert (project.project_name, project.clock_uncertainty) == ("jets", 0.125)


def test_the_page_tells_of_every_key_variable_and_default() -> None:
    page = _PAGE.read_text(encoding="utf-8")
    inert = [*MODEL_INERT, *(key for key in LAYER_INERT if LAYER_INERT[key].harmless)]
    for key in (*MODEL_KEYS, *LAYER_KEYS, *project_keys(), *inert, *ALL_VARIABLES, "maximum"):
        assert f"`{key}`" in page, key
    assert str(DEFAULT_INPUT) in page
    assert f"{EXACT_ENTRIES} values, beyond that {DEFAULT_ENTRIES} to {EXACT_ENTRIES} bins" in page
    assert f"{INNER.own} values, beyond that there are {INNER.least} to {EXACT_ENTRIES} bins" in page
    assert f"{MAX_BYTES >> 10} KiB, {MAX_VALUES:,} values" in page


def test_a_generated_configuration_has_the_reuse_factor_that_is_asked_for() -> None:
    for granularity, level in (("type", "LayerType"), ("name", "LayerName")):
        entries = config_from_network(NETWORK, granularity=granularity, default_reuse_factor=4)[level].values()
        assert {entry["ReuseFactor"] for entry in entries if "ReuseFactor" in entry} == {4}
