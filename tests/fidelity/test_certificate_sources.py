"""The certificate of files, live modules and saved models, and where it is shown."""

from __future__ import annotations

import copy
import json
import pickle
import re
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn
from typer.testing import CliRunner

from bitsmith import FidelityWarning, Model, convert
from bitsmith.cli.commands import app
from bitsmith.errors import ConfigError, ModelFileError
from bitsmith.report import Report
from bitsmith.report.html import page
from bitsmith.report.sections import percent
from bitsmith.report.terminal import as_text
from tests.fidelity.test_certificate import DIGITS, MODELS, WRAPPING, images


def test_models_are_copied_after_they_ran() -> None:
    model = convert(DIGITS)
    expected = model.predict(images()[:4])
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(twin.predict(images()[:4]), expected)


def test_saved_with_the_model(tmp_path: Path) -> None:
    model = convert(DIGITS, calibration=images())
    model.save(tmp_path / "model.json")
    assert Model.load(tmp_path / "model.json").fidelity == model.fidelity
    document = json.loads((tmp_path / "model.json").read_text())
    for damage in ({"samples": "many"}, {"layers": [{"Error": "none"}]}, {"problems": None}):
        changed = {**document, "fidelity": {**document["fidelity"], **damage}}
        (tmp_path / "model.json").write_text(json.dumps(changed))
        with pytest.raises(ModelFileError, match="certificate"):
            Model.load(tmp_path / "model.json")


def test_a_misread_layer_of_a_live_module_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 4), nn.ELU(), nn.Linear(4, 4))
    assert convert(module, input_shape=(4,)).fidelity.agreement.framework == "PyTorch"
    monkeypatch.setattr("bitsmith.layers.activation.Activation.reference", lambda self, inputs: np.tanh(inputs[0]))
    with pytest.warns(FidelityWarning, match=r"not read as PyTorch computes it.*\n  layer '1'"):
        convert(module, input_shape=(4,))


def onnx_model(node: onnx.NodeProto, inside: list[int], outside: list[int]) -> onnx.ModelProto:
    """A model of one node from ``x`` to ``y``."""
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node], "net", [info("x", TensorProto.FLOAT, inside)], [info("y", TensorProto.FLOAT, outside)]
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 8
    return proto


@pytest.mark.parametrize("operator", ["Equal", "Greater"])
def test_equality_that_single_precision_makes_is_no_misreading(operator: str) -> None:
    """Three steps of 0.7 and one of 2.1 are equal in single precision alone, and so not here; the summary says how often."""
    model = onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["": 17]>
        net (float[N, 4] x) => (float[N, 4] y) <float fine = {{0.7}}, float coarse = {{2.1}}, int8 zero = {{0}}> {{
            a = QuantizeLinear(x, fine, zero)
            b = DequantizeLinear(a, fine, zero)
            c = QuantizeLinear(x, coarse, zero)
            d = DequantizeLinear(c, coarse, zero)
            e = {operator}(b, d)
            y = Cast<to = 1>(e)
        }}""")
    x = np.random.default_rng(0).integers(-6, 7, (64, 4)) * 0.7
    fidelity = convert(model, calibration=x, check=True, strict=True).fidelity
    assert re.search(r"read as onnxruntime computes it, whose rounding differs by [2-9]\d % of range", fidelity.summary)
    assert not fidelity.problems


def test_onnx_is_compared_with_onnxruntime(tmp_path: Path) -> None:
    proto = onnx_model(helper.make_node("Softplus", ["x"], ["y"]), [1, 4], [1, 4])
    onnx.save(proto, tmp_path / "net.onnx")
    for model in (proto, tmp_path / "net.onnx"):
        agreement = convert(model).fidelity.agreement
        assert agreement.framework == "onnxruntime" and (agreement.error or 1.0) < 1e-6


@pytest.mark.filterwarnings("error")
def test_what_onnxruntime_computes_in_half_precision_may_be_further_off(tmp_path: Path) -> None:
    """Whose rounding errors are no misread layer."""
    proto = onnx_model(helper.make_node("Add", ["half", "third"], ["y"]), [1, 4], [1, 4])
    proto.graph.node.insert(0, helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16))
    proto.graph.initializer.append(helper.make_tensor("third", TensorProto.FLOAT16, [4], [1 / 3] * 4))
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(proto, tmp_path / "net.onnx")
    for model in (proto, tmp_path / "net.onnx"):
        agreement = convert(model).fidelity.agreement
        assert agreement.framework == "onnxruntime" and 3e-5 < (agreement.error or 0.0) < 0.01


def test_a_batch_that_is_moved_is_compared_as_one_sample() -> None:
    proto = onnx_model(helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0]), [3, 3], [3, 3])
    model = convert(proto)
    assert model.network.input_shapes() == {"x": (3, 3)}
    assert model.fidelity.agreement.framework == "onnxruntime" and model.fidelity.agreement.error == 0.0


@pytest.mark.slow
@pytest.mark.ci
def test_files_are_compared_if_asked_for(tmp_path: Path) -> None:
    assert convert(DIGITS).fidelity.agreement.framework == ""
    assert convert(DIGITS, check=True).fidelity.agreement.framework == "Keras"
    with pytest.raises(ConfigError, match=r"Keras opens \.keras files safely"):
        convert(MODELS / "bitsmith_3layer.json", check=True)
    with pytest.raises(ConfigError, match="check='often'"):
        convert(DIGITS, check="often")  # type: ignore[arg-type]


def test_command_line(tmp_path: Path) -> None:
    config = tmp_path / "c.json"
    config.write_text(json.dumps(WRAPPING))
    given = ["convert", str(DIGITS), "--config", str(config), "--output-dir", str(tmp_path / "prj")]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0 and "warning: output" in done.stderr
    assert CliRunner().invoke(app, [*given, "--strict"]).exit_code == 1
    told = CliRunner().invoke(app, ["explain", str(DIGITS), "--json"])
    assert json.loads(told.stdout)["fidelity"]["samples"] == 64


def test_reports_show_it() -> None:
    model = convert(DIGITS)
    report = Report((model.fidelity.section,), model.design())
    assert Report.from_json(report.to_json()).rows("Fidelity")[1]["Layer"] == "fc1"
    shown = page(report)
    assert "Fidelity to the float model" in shown and f"own {percent(model.fidelity.rows[1].own)}" in shown
    assert "Own error" in as_text(report, 140) and model.fidelity.summary in str(model)
