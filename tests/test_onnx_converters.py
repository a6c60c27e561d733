"""ONNX models by the names that users know, and by the one call that finds out by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

import bitsmith
from bitsmith import converters
from bitsmith.converters import convert_from_config, convert_from_onnx_model, onnx_to_hls
from bitsmith.errors import ConfigError, ModelFileError, ToolMissingError
from bitsmith.frontends.framework import Framework
from bitsmith.frontends.frameworks import frameworks
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.utils import config_from_onnx_model

_RNG = np.random.default_rng(0)
_KERNEL, _BIAS = _RNG.normal(size=(3, 4)).astype(np.float32), _RNG.normal(size=3).astype(np.float32)
_X = _RNG.uniform(-1, 1, (50, 4))


@pytest.fixture
def model() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gemm", ["input", "w", "b"], ["hidden"], name="/fc1/Gemm", transB=1),
        helper.make_node("Relu", ["hidden"], ["output"], name=""),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(_KERNEL, "w"), numpy_helper.from_array(_BIAS, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def _expected() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.maximum(_X @ _KERNEL.T + _BIAS, 0.0)


def _close(converted: bitsmith.Model) -> None:
    np.testing.assert_allclose(converted.predict(_X), _expected(), atol=2e-3)


def test_live_models_and_files(model: onnx.ModelProto, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    onnx.save(model, file)
    for source in (model, file, str(file)):
        _close(bitsmith.convert(source, tmp_path / "out", calibration=_X))
    _close(convert_from_onnx_model(model, str(tmp_path / "out"), hls_config={"Model": {"Precision": "fixed<24,8>"}}))
    described = tmp_path / "project.yml"
    described.write_text(yaml.safe_dump({"OnnxModel": str(file), "OutputDir": str(tmp_path / "out")}))
    _close(onnx_to_hls(described))
    _close(convert_from_config(described))
    _close(onnx_to_hls({"OnnxModel": model, "OutputDir": str(tmp_path / "out")}))


class ModelWrapper:
    """QONNX's, as far as it is looked at."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model


class ONNXProgram:
    """PyTorch's, which ``torch.onnx.export(dynamo=True)`` returns, as far as it is looked at."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model_proto = model


@pytest.mark.parametrize("wrapper", [ModelWrapper, ONNXProgram])
def test_models_in_wrappers_of_qonnx_and_pytorch(wrapper: type, model: onnx.ModelProto, tmp_path: Path) -> None:
    _close(bitsmith.convert(wrapper(model), tmp_path / "guessed"))
    _close(convert_from_onnx_model(wrapper(model), tmp_path / "named"))
    assert config_from_onnx_model(wrapper(model)) == config_from_onnx_model(model)
    with pytest.raises(ModelFileError):
        convert_from_onnx_model(wrapper("model.onnx"))


def test_names_are_the_users(model: onnx.ModelProto, tmp_path: Path) -> None:
    config = config_from_onnx_model(model, granularity="name")
    names = config["LayerName"]
    assert isinstance(names, dict)
    assert list(names) == ["input", "/fc1/Gemm", "output"]
    names["/fc1/Gemm"]["Precision"]["weight"] = "fixed<8,3>"
    converted = convert_from_onnx_model(model, tmp_path / "out", hls_config=config, calibration=_X)
    assert set(converted.trace(_X)[1]) >= {"/fc1/Gemm", "output"}
    kernel = np.rint(_KERNEL * 32) / 32
    np.testing.assert_allclose(converted.predict(_X), np.maximum(_X @ kernel.T + _BIAS, 0.0), atol=2e-3)


def test_circuits_have_the_results(model: onnx.ModelProto, tmp_path: Path) -> None:
    report = bitsmith.convert(model, tmp_path / "out", calibration=_X).build(synth=False)
    assert report.section("Verification")["Mismatches"] == 0


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="OnnxModel"):
        onnx_to_hls({"OutputDir": str(tmp_path)})
    with pytest.raises(ModelFileError, match="a path"):
        convert_from_onnx_model(3, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="PyTorch"):
        bitsmith.convert(tmp_path / "model.onnx", tmp_path, example=np.zeros((1, 3)))


@pytest.mark.parametrize("record", [None, *frameworks()], ids=lambda record: record.name if record else "any")
def test_configurations_without_a_model_name_the_keys_of_one(record: Framework | None) -> None:
    convert = convert_from_config if record is None else getattr(converters, f"{record.stem}_to_hls")
    keys = {key.name for one in (frameworks() if record is None else [record]) for key in one.keys}
    with pytest.raises(ConfigError, match="no model") as told:
        convert({"OutputDir": "out"})
    accepted = str(told.value).partition("accepted: ")[2].splitlines()[0]
    assert set(accepted.split(", ")) == keys


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ToolMissingError, match="pip install"):
        read_onnx(tmp_path / "model.onnx")


def test_it_is_loaded_when_it_is_needed() -> None:
    code = "import sys, bitsmith.converters; assert 'onnx' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
