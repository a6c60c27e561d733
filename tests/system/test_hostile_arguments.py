"""Whatever is given to the public functions, there is one typed error or a result, and nothing half-written."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bitsmith
from bitsmith import converters, utils
from bitsmith.errors import BitsmithError, ConfigError, InputDataError, ModelFileError, ProjectError
from tests.system.examples import MODELS, digits

MODEL, WEIGHTS = MODELS / "bitsmith_3layer.json", MODELS / "bitsmith_3layer_weights.h5"
TINY = {
    "class_name": "Sequential",
    "keras_version": "2.9.0",
    "config": {
        "name": "tiny",
        "layers": [
            {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 2]}},
            {"class_name": "ReLU", "config": {"name": "relu"}},
        ],
    },
}

JUNK: tuple[Any, ...] = (
    True,
    -1,
    3.5,
    float("nan"),
    float("inf"),
    10**30,
    5e-324,
    "",
    "x",
    "auto",
    "fixed<999999,3>",
    "ufixed<0,0>",
    "fixed<8,300>",
    "\ud800",
    "a\0b",
    "../../x",
    "a" * 5000,
    b"x",
    [],
    ["a"],
    [None],
    {},
    {"a": 1},
    {1: 2},
    (1,),
    {1, 2},
    object(),
    1j,
    [[1, 2], [3]],
    "1e999",
    "-5",
    range(3),
    2**40,
    [8, -8],
)

PROJECT_KEYS = (
    "OutputDir",
    "ProjectName",
    "Backend",
    "IOType",
    "Part",
    "ClockPeriod",
    "ClockUncertainty",
    "InputData",
    "HLSConfig",
    "KerasModel",
    "KerasJson",
    "KerasH5",
    "Version",
    "WriterConfig",
    "InputShape",
    "Unknown",
)
ARGUMENTS = (
    "output_dir",
    "config",
    "calibration",
    "backend",
    "part",
    "clock_period",
    "io_type",
    "project_name",
    "weights",
    "clock_uncertainty",
    "input_data_tb",
    "example",
    "input_shape",
    "bits",
)


def refused_or_done(folder: Path, call: Any) -> None:
    """``call`` gives a result or one of our errors with a text, and writes nothing."""
    try:
        call()
    except BitsmithError as error:
        assert str(error).encode("ascii", "backslashreplace")
    assert not folder.exists()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.json"
    path.write_text(json.dumps(TINY))
    return path


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_of_convert(name: str, tiny: Path, tmp_path: Path) -> None:
    for value in JUNK:
        arguments: dict[str, Any] = {"output_dir": tmp_path / "project", name: value}
        refused_or_done(tmp_path / "project", lambda given=arguments: bitsmith.convert(tiny, **given))


@pytest.mark.parametrize("key", PROJECT_KEYS)
def test_project_configurations(key: str, tiny: Path, tmp_path: Path) -> None:
    for value in JUNK:
        config: dict[str, Any] = {"KerasJson": str(tiny), "OutputDir": tmp_path / "project", key: value}
        refused_or_done(tmp_path / "project", lambda given=config: converters.convert_from_config(given))


def test_what_is_no_model_and_no_configuration(tmp_path: Path) -> None:
    for value in JUNK:
        refused_or_done(tmp_path / "project", lambda given=value: bitsmith.convert(given, tmp_path / "project"))
        for read in (utils.config_from_keras_model, utils.config_from_onnx_model, utils.config_from_pytorch_model):
            with pytest.raises(BitsmithError):
                read(value)
        if isinstance(value, str | dict):
            continue
        for convert in (converters.keras_to_hls, converters.pytorch_to_hls, converters.convert_from_config):
            with pytest.raises(ConfigError):
                convert(value)


CONFIG: dict[str, Any] = utils.config_from_keras_model(MODEL, granularity="name")
KEYS = ("Precision", "ReuseFactor", "Strategy", "weight", "result", "TableSize", "TableRange", "Implementation", "x", 1)
VALUES: tuple[Any, ...] = (
    *JUNK,
    None,
    0,
    1,
    2,
    64,
    "fixed<16,6>",
    "fixed<512,2>",
    "ap_int<3>",
    "ufixed<3,-40>",
    "latency",
    "resource",
    "argmax",
    [-8, 8],
    [float("nan"), 1],
    4096,
    1 << 20,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, child in value.items() if isinstance(value, dict) else ():
        yield (*path, key)
        yield from _places(child, (*path, key))


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """A whole configuration with one to three entries replaced, renamed, removed or added."""
    config = copy.deepcopy(CONFIG)
    for _ in range(draw(st.integers(1, 3))):
        *path, key = draw(st.sampled_from(list(_places(config)) or [("Model",)]))
        holder = config
        for step in path:
            holder = holder[step]
        match draw(st.sampled_from(["replace", "rename", "remove", "add"])):
            case "replace":
                holder[key] = draw(st.sampled_from(VALUES))
            case "rename":
                holder[draw(st.sampled_from(KEYS))] = holder.pop(key, None)
            case "remove":
                holder.pop(key, None)
            case _:
                holder[draw(st.sampled_from(KEYS))] = draw(st.sampled_from(VALUES))
    return config


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(configurations())
def test_configurations_of_layers(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> None:
    folder = tmp_path_factory.getbasetemp() / "unwritten"
    refused_or_done(folder, lambda: str(bitsmith.convert(MODEL, folder, config, weights=WEIGHTS)))


def _header(text: str) -> bytes:
    padded = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode()


ARRAYS = {
    "huge": _header("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 64), }"),
    "unfinished header": _header("{'descr': '<f8', 'fortran_order': False, 'shape': (5, 64, "),
    "negative": _header("{'descr': '<f8', 'fortran_order': False, 'shape': (-5, 64), }"),
    "short": _header("{'descr': '<f8', 'fortran_order': False, 'shape': (5, 64), }") + b"\0" * 100,
    "objects": _header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + b"\x80\x04N.",
    "code": _header("{'descr': '<f8', 'fortran_order': False, 'shape': (print(1),), }"),
    "empty": b"",
    "text": b"hello",
}


@pytest.mark.parametrize("name", ARRAYS)
def test_input_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / "inputs.npy"
    path.write_bytes(ARRAYS[name])
    model, _ = digits(tmp_path, input_data_tb=path)
    with pytest.raises(InputDataError, match="not an array file"):
        model.build(synth=False, cosim=False)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize(
    "x", [None, "x", 3, [], {}, object(), np.full((2, 8, 8, 1), np.nan), np.zeros((2, 8)), [[1], [2, 3]]]
)
def test_inputs(x: Any, tmp_path: Path) -> None:
    model, _ = digits(tmp_path)
    for use in (model.predict, model.trace):
        with pytest.raises(InputDataError):
            use(x)
    assert not (tmp_path / "project").exists()


def test_places_that_no_file_can_have(tmp_path: Path) -> None:
    for suffix in (".keras", ".onnx", ".pt2", ".json", ".h5"):
        for name in ("\ud800", "a\0b", "a" * 5000):
            with pytest.raises(ModelFileError) as caught:
                bitsmith.convert(name + suffix)
            assert str(caught.value).encode()
    model, _ = digits(tmp_path)
    for name in ("\ud800", "a\0b", "a" * 5000):
        with pytest.raises(ProjectError):
            model.save(tmp_path / f"{name}.json")
        with pytest.raises((ConfigError, ProjectError)):
            utils.plot_model(model, tmp_path / f"{name}.svg")
    for dpi in (0, -1, 1e30, float("nan")):
        with pytest.raises(ConfigError, match="dpi="):
            utils.plot_model(model, tmp_path / "model.png", dpi=dpi)


SAVED: dict[str, Any] = {
    "an array that is a number": lambda saved: saved["nodes"][1]["fields"].update(kernel=3),
    "an array that is missing": lambda saved: saved["nodes"][1]["fields"].update(kernel=None),
    "a number that is text": lambda saved: saved["nodes"][0]["fields"].update(integer="yes"),
    "a shape of numbers with a point": lambda saved: saved["nodes"][0]["fields"].update(shape=[8.5]),
    "a range of one": lambda saved: saved["nodes"][1]["settings"].update(table_range=[1]),
    "a name that is no text": lambda saved: saved.update(inputs=[False]),
    "another input": lambda saved: saved.update(inputs=[saved["nodes"][1]["name"]]),
    "another output": lambda saved: saved.update(outputs=["nothing"]),
    "no output": lambda saved: saved.update(outputs=[]),
}


@pytest.mark.parametrize("name", SAVED)
def test_saved_models(name: str, tmp_path: Path) -> None:
    model, _ = digits(tmp_path)
    model.save(tmp_path / "saved.json")
    document = json.loads((tmp_path / "saved.json").read_text())
    SAVED[name](document)
    (tmp_path / "saved.json").write_text(json.dumps(document))
    with pytest.raises(ModelFileError, match=r"saved\.json"):
        bitsmith.Model.load(tmp_path / "saved.json")


@pytest.mark.parametrize("name", ["huge", "unfinished header", "negative", "short", "objects"])
def test_weights_of_saved_models(name: str, tmp_path: Path) -> None:
    model, _ = digits(tmp_path)
    model.save(tmp_path / "saved.json")
    with zipfile.ZipFile(tmp_path / "saved.npz", "w") as archive:
        archive.writestr("0.npy", ARRAYS[name])
    with pytest.raises(ModelFileError, match="saved"):
        bitsmith.Model.load(tmp_path / "saved.json")
