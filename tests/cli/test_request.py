"""What options and files ask for, as the configuration of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bitsmith.cli.options import ModelOptions
from bitsmith.cli.request import Request
from bitsmith.config.values import IOType
from bitsmith.errors import ConfigError
from bitsmith.frontends.named import keys_of_files, model_keys


def asked(folder: Path, project: dict[str, Any], *settings: str, **options: Any) -> Request:
    path = folder / "project.yml"
    path.write_text(yaml.safe_dump(project))
    return Request.of(ModelOptions(file=Path("net.onnx"), config=path, set_=list(settings), **options))


@pytest.mark.parametrize(
    ("layers", "setting", "wanted"),
    [
        ({}, "Model.ReuseFactor=4", {"Model": {"ReuseFactor": 4}}),
        ({}, "HLSConfig.Model.ReuseFactor=4", {"Model": {"ReuseFactor": 4}}),
        ({}, "Model..ReuseFactor=4", {"Model": {"ReuseFactor": 4}}),
        ({"Model": {"reuse_factor": 2}}, "Model.ReuseFactor=4", {"Model": {"reuse_factor": 4}}),
        ({"model": {"ReuseFactor": 2}}, "Model.Strategy=latency", {"model": {"ReuseFactor": 2, "Strategy": "latency"}}),
        ({}, "LayerName.fc1.ReuseFactor=4", {"LayerName": {"fc1": {"ReuseFactor": 4}}}),
        ({}, "LayerName.a.b.ReuseFactor=4", {"LayerName": {"a.b": {"ReuseFactor": 4}}}),
        ({}, "LayerName.precision.ReuseFactor=4", {"LayerName": {"precision": {"ReuseFactor": 4}}}),
        (
            {"LayerName": {"fc1": {"Precision": "auto"}}},
            "LayerName.fc1.Precision.weight=fixed<8,2>",
            {"LayerName": {"fc1": {"Precision": {"default": "auto", "weight": "fixed<8,2>"}}}},
        ),
        (
            {"LayerName": {"FC1": {"ReuseFactor": 2}}},
            "LayerName.fc1.ReuseFactor=4",  # names of layers are spelled as they are
            {"LayerName": {"FC1": {"ReuseFactor": 2}, "fc1": {"ReuseFactor": 4}}},
        ),
        (
            {},
            "LayerType.Dense.precision.weight=fixed<8,2>",
            {"LayerType": {"Dense": {"precision": {"weight": "fixed<8,2>"}}}},
        ),
    ],
)
def test_a_setting_goes_where_its_key_says(
    tmp_path: Path, layers: dict[str, Any], setting: str, wanted: dict[str, Any]
) -> None:
    """In whatever spelling the key is there, and the user's file is as it was."""
    assert asked(tmp_path, {"HLSConfig": layers}, setting).content["HLSConfig"] == wanted


def test_options_stand_above_files_and_single_keys_above_all(tmp_path: Path) -> None:
    project = {"Part": "lfe5u-45f", "clock_period": 8, "HLSConfig": {"Model": {"Precision": "fixed<9,3>"}}}
    found = asked(tmp_path, project, "ClockPeriod=4", "Model.ReuseFactor=3", part="lfe5u-85f", reuse_factor=2, bits="7")
    assert (found.project.part, found.project.clock_period_ns) == ("lfe5u-85f", 4.0)
    assert found.content["HLSConfig"] == {"Model": {"Precision": "fixed<9,3>", "ReuseFactor": 3, "Bits": 7}}


@pytest.mark.parametrize("key", [key.name for key in model_keys()])
def test_a_file_that_is_typed_stands_in_place_of_a_model_of_the_project(tmp_path: Path, key: str) -> None:
    found = asked(tmp_path, {key: "other"})
    assert found.model == Path("net.onnx")
    named = {name: value for name, value in found.content.items() if name in {key.name for key in model_keys()}}
    assert named == keys_of_files(found.model, None, "")


def test_a_project_that_is_written_reads_as_the_same(tmp_path: Path) -> None:
    """With what was chosen besides, under the user's settings where both say something."""
    found = asked(tmp_path, {"HLSConfig": {"Model": {"Precision": "fixed<9,3>"}}, "InputData": "x.npy"})
    (tmp_path / "written.yml").write_text(found.written({"LayerName": {"fc1": {"ReuseFactor": 4}}}, "io_stream"))
    again = Request.of(ModelOptions(file=tmp_path / "written.yml"))
    assert again.content["HLSConfig"] == {
        "Model": {"Precision": "fixed<9,3>"},
        "LayerName": {"fc1": {"ReuseFactor": 4}},
    }
    assert (again.model, again.project.io_type) == (Path("net.onnx").absolute(), IOType.STREAM)
    assert again.content["InputData"] == str(tmp_path / "x.npy")  # from the user's file on
    generated = {"Model": {"Precision": "auto", "Strategy": "latency"}}
    said = yaml.safe_load(found.defaulted(generated))["HLSConfig"]
    assert said == {"Model": {"Precision": "fixed<9,3>", "Strategy": "latency"}}


@pytest.mark.parametrize(
    ("options", "where", "message"),
    [
        ({"set_": ["ReuseFactor"]}, "--set", "KEY=VALUE"),
        ({"set_": [" =4"]}, "--set", "KEY=VALUE"),
        ({"set_": ["Model.ReuseFactor=[4"]}, "--set", "as in YAML"),
        ({"bits": "many"}, "--bits", "weight=6,result=8"),
        ({"bits": "weight=x"}, "--bits", "weight=6,result=8"),
        ({"bits": "weight=6,weight=8"}, "--bits", "each once"),
        ({"file": None}, "command line", "FILE, or a project"),
    ],
)
def test_options_that_say_nothing_are_refused(options: dict[str, Any], where: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Request.of(ModelOptions(**{"file": Path("net.onnx"), **options}))
    assert refused.value.where == where and message in str(refused.value)


@pytest.mark.parametrize("layers", [3, "layers.yml", [{"Model": {}}]])
def test_layers_that_are_no_dictionary_are_refused(tmp_path: Path, layers: object) -> None:
    """They were left out, and the circuit was another one than the file asks for."""
    with pytest.raises(ConfigError, match=r"HLSConfig: .* where a dictionary is needed"):
        asked(tmp_path, {"HLSConfig": layers})


def test_weights_beside_a_file_that_has_its_own_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"weights: weights beside m.h5, which has its own\n  accepted: .*\.json"):
        keys_of_files(Path("m.h5"), "w.h5", "weights")
