"""Project configurations and the files that hold them, hostile ones included."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitsmith.config.model import HLSConfig, read_hls_config
from bitsmith.config.values import IOType
from bitsmith.errors import ConfigError
from bitsmith.frontends.keras.framework import KERAS
from bitsmith.frontends.named import NamedModel
from bitsmith.options.project import ProjectConfig, create_config, parse_yaml_config, read_project

FULL = """
OutputDir: my-hls-test
ProjectName: jets
Backend: rtl
Version: 1.2.0
Part: xcvu13p-flga2577-2-e
ClockPeriod: 5
ClockUncertainty: 12.5%
IOType: io_parallel
KerasJson: models/jets.json
KerasH5: models/jets_weights.h5
InputData: data/x.npy
OutputPredictions: data/y.npy
WriterConfig:
  Namespace:
  WriteWeightsTxt: true
  WriteTar: false
  TBOutputStream: both
HLSConfig:
  Model:
    Precision: ap_fixed<16,6>
    ReuseFactor: 1
"""


def write(folder: Path, text: str, name: str = "config.yml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    project = read_project(write(tmp_path, FULL))
    assert project == ProjectConfig(
        output_dir=tmp_path / "my-hls-test",
        project_name="jets",
        backend="rtl",
        version="1.2.0",
        part="xcvu13p-flga2577-2-e",
        clock_period_ns=5.0,
        clock_uncertainty=0.125,
        io_type=IOType.PARALLEL,
        hls_config=read_hls_config({"Model": {"Precision": "ap_fixed<16,6>", "ReuseFactor": 1}}),
        model=NamedModel(KERAS, KERAS.keys[1], tmp_path / "models/jets.json", tmp_path / "models/jets_weights.h5"),
        input_data=tmp_path / "data/x.npy",
        output_predictions=tmp_path / "data/y.npy",
        write_weights_txt=True,
    )


def test_nothing_said_is_the_defaults() -> None:
    assert read_project({}) == ProjectConfig()
    assert read_project({"Part": None, "ClockPeriod": None, "HLSConfig": None}) == ProjectConfig()
    assert ProjectConfig().output_dir is None
    assert read_project(create_config()).output_dir == Path("my-hls-test")


def test_paths_in_a_file_are_relative_to_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", "{OutputDir: out, keras_h5: ../m.h5, KerasModel: /abs/m.keras, ProjectName: out}")
    monkeypatch.chdir(tmp_path)
    config = parse_yaml_config("sub/config.yml")
    assert config == {
        "OutputDir": str(tmp_path / "sub/out"),
        "keras_h5": str(tmp_path / "sub/../m.h5"),
        "KerasModel": "/abs/m.keras",
        "ProjectName": "out",
    }


@pytest.mark.parametrize(
    ("key", "file", "name"),
    [("Board", "mine.toml", "pynq-z2"), ("Estimates", "ecp5.json", ""), ("Latency", "r.json", "40ns")],
)
def test_values_that_may_be_files_are_relative_where_they_are(tmp_path: Path, key: str, file: str, name: str) -> None:
    assert parse_yaml_config(write(tmp_path, f"{{{key}: {file}}}")) == {key: str(tmp_path / file)}
    assert parse_yaml_config(write(tmp_path, f"{{{key}: '{name}'}}")) == {key: name}


def test_json_reads_like_yaml(tmp_path: Path) -> None:
    content = {"ProjectName": "a", "HLSConfig": {"Model": {"Precision": {"default": "auto"}}}}
    assert parse_yaml_config(write(tmp_path, json.dumps(content), "c.json")) == content
    assert read_hls_config(write(tmp_path, "{}", "d.json")) == HLSConfig()


def test_a_live_model_is_passed_on() -> None:
    live = object()
    for given, source in ((live, live), ("a.keras", Path("a.keras"))):
        model = read_project({"KerasModel": given}).model
        assert model is not None and model.source == source and model.framework is KERAS


def test_create_config_gives_every_setting_and_checks_it() -> None:
    config = create_config("out", "jets", part="xcvu13p-flga2577-2-e", clock_period=2.5, clock_uncertainty=0.2)
    assert config == {
        "OutputDir": "out",
        "ProjectName": "jets",
        "Backend": "rtl",
        "Version": "1.0.0",
        "Part": "xcvu13p-flga2577-2-e",
        "ClockPeriod": 2.5,
        "ClockUncertainty": 0.2,
        "IOType": "io_parallel",
        "HLSConfig": {},
    }
    assert read_project(config).clock_uncertainty == 0.2
    assert create_config()["Part"] is None
    config = create_config("out", write_tar=True, namespace="nn", WriterConfig={"WriteWeightsTxt": True})
    assert config["WriterConfig"] == {"WriteWeightsTxt": True, "WriteTar": True, "Namespace": "nn"}
    assert read_project(config).write_tar and read_project(config).write_weights_txt
    with pytest.raises(ConfigError, match="did you mean 'ClockPeriod'"):
        create_config("out", "jets", clock_perid=5)
    with pytest.raises(ConfigError, match="all backends take formulas"):
        create_config("out", "jets", "SymbolicExpression")


def test_keys_of_older_versions_of_hls4ml_are_taken() -> None:
    assert read_project({"XilinxPart": "xc7z020"}).part == read_project({"Part": "xc7z020"}).part == "xc7z020"
    both = read_project({"XilinxPart": "xcvu9p", "Part": "xc7z020"})
    assert both.part == "xc7z020" and [idle.key for idle in both.idle] == ["Part"]


def test_numbers_of_numpy_are_numbers() -> None:
    assert read_project({"ClockPeriod": np.int64(4)}).clock_period_ns == 4.0
    assert read_project({"ClockPeriod": np.float32(2.5)}).clock_period_ns == 2.5


@pytest.mark.parametrize(
    ("config", "where", "said"),
    [
        ({"OutputDir": b"a"}, "OutputDir", "the path of a file or folder"),
        ({"OutputDir": {"Model": {}}}, "OutputDir", "name the arguments: config="),
        ({"InputData": np.zeros((2, 3))}, "InputData", "build(inputs=x) takes arrays"),
        ({"OutputDirr": "a"}, "", "did you mean 'OutputDir'?"),
        ({"FPGAPart": "xc7z020"}, "", "did you mean 'Part'?"),
        ({"XilinxPart": "a; rm"}, "Part", "ordering code"),
        ({"ProjectName": "a b"}, "ProjectName", "letters, digits and underscores"),
        ({"ProjectName": "../x"}, "ProjectName", "letters, digits and underscores"),
        ({"ProjectName": "x;$finish"}, "ProjectName", "letters"),
        ({"ProjectName": "1x"}, "ProjectName", "starting with a letter"),
        ({"ProjectName": "jäts"}, "ProjectName", "letters"),
        ({"ProjectName": "x\n"}, "ProjectName", "letters"),
        ({"ProjectName": "x" * 65}, "ProjectName", "at most 64"),
        ({"Version": 1.0}, "Version", "'1.0.0'"),
        ({"Part": "a; rm"}, "Part", "ordering code"),
        ({"OutputDir": ""}, "OutputDir", "path"),
        ({"OutputDir": "a\0b"}, "OutputDir", "path"),
        ({"OutputDir": 3}, "OutputDir", "path"),
        ({"ClockPeriod": 0}, "ClockPeriod", "nanoseconds"),
        ({"ClockPeriod": -5}, "ClockPeriod", "nanoseconds"),
        ({"ClockPeriod": float("inf")}, "ClockPeriod", "nanoseconds"),
        ({"ClockPeriod": float("nan")}, "ClockPeriod", "nanoseconds"),
        ({"ClockPeriod": 10**400}, "ClockPeriod", "a huge number"),
        ({"ClockPeriod": "5us"}, "ClockPeriod", "nanoseconds"),
        ({"ClockPeriod": True}, "ClockPeriod", "nanoseconds"),
        ({"ClockUncertainty": "112%"}, "ClockUncertainty", "percentage"),
        ({"ClockUncertainty": 1.5}, "ClockUncertainty", "fraction"),
        ({"ClockUncertainty": "a lot"}, "ClockUncertainty", "percentage"),
        ({"Latency": 0}, "Latency", "at least one cycle"),
        ({"Latency": 2.5}, "Latency", "at least one cycle"),
        ({"Latency": "2.5 cycles"}, "Latency", "at least one cycle"),
        ({"Latency": "40 us"}, "Latency", "nanoseconds"),
        ({"Latency": True}, "Latency", "nanoseconds"),
        ({"IOType": 3}, "IOType", "io_parallel, io_stream"),
        ({"IOType": "io_paralel"}, "IOType", "did you mean 'io_parallel'?"),
        ({"Backend": "SymbolicExpression"}, "Backend", "all backends take formulas"),
        ({"Backend": "rtx"}, "Backend", "did you mean 'rtl'?"),
        ({"Backend": 3}, "Backend", "'rtl'"),
        ({"OnnxModel": "a.onnx", "PytorchModel": "a.pt2"}, "OnnxModel", "two models"),
        ({"PytorchModel": "a.pt2", "KerasModel": "a.keras"}, "PytorchModel", "two models"),
        ({"KerasModel": "a.keras", "OnnxModel": "a.onnx", "PytorchModel": "a.pt2"}, "OnnxModel", "two models"),
        ({"PytorchModel": "a.pt2", "InputShape": "3"}, "InputShape", "the shape of one sample"),
        ({"Board": 3}, "Board", "such as 'pynq-z2'"),
        ({"ClockPeriod": "0 MHz"}, "ClockPeriod", "'200 MHz'"),
        ({"Interface": "axis"}, "Interface", "wrappers for AXI4-Stream"),
        ({"TraceOutput": True}, "TraceOutput", "HLSConfig.Model"),
        ({"WriterConfig": {"WriteTar": 1}}, "WriterConfig.WriteTar", "true or false"),
        ({"WriterConfig": {"WriteTarr": True}}, "WriterConfig", "did you mean 'WriteTar'?"),
        ({"KerasModel": "a.keras", "KerasH5": "a.h5"}, "KerasH5", "two models"),
        ({"HLSConfig": {"Model": {"ReuseFactor": 0}}}, "HLSConfig.Model.ReuseFactor", "an integer from 1"),
        ({"HLSConfig": [1]}, "HLSConfig", "a dictionary is needed"),
    ],
)
def test_refusals_name_the_key(config: dict[str, Any], where: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_project(config)
    assert caught.value.where == where
    assert said in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_project(
            {
                "Backend": "SymbolicExpression",
                "ClockPeriod": -1,
                "HLSConfig": {"Model": {"Precison": 1, "Strategy": "x"}},
            }
        )
    for said in ("4 problems", "Backend", "ClockPeriod", "HLSConfig.Model: ", "HLSConfig.Model.Strategy"):
        assert said in str(caught.value)


def bomb(levels: int, merge: bool) -> str:
    """Each level refers nine times to the one before: 9**levels values once written out."""
    lines = ["a0: &a0 {x: 1}"] if merge else ["a0: &a0 [1]"]
    for k in range(levels):
        inside = ", ".join([f"*a{k}"] * 9)
        lines.append(f"a{k + 1}: &a{k + 1} {{<<: [{inside}]}}" if merge else f"a{k + 1}: &a{k + 1} [{inside}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("KerasModel: !!python/object/apply:os.system ['touch pwned']", "python/object"),
        ("KerasModel: !!python/name:os.system ''", "python/name"),
        ("!!python/object:pathlib.Path {}", "python/object"),
        ("KerasModel: !keras_model [model.h5]", "keras_model"),
        ("KerasModel: !torch_model model.pt", "torch_model"),
        ("? !!python/tuple [1]\n: 2", "python/tuple"),
        ("a: &a [*a]", "contains itself"),
        ("a: &a {b: *a}", "contains itself"),
        (bomb(12, merge=False), "aliases"),
        (bomb(12, merge=True), "aliases"),
        ("[" * 2000, "nested beyond reason"),
        ("a: " + "[" * 200 + "]" * 200, "nested beyond reason"),
        ("HLSConfig: {}\nHLSConfig: {}", "given twice"),
        ("a: b: c", "not valid YAML: mapping values are not allowed here, line 1, column 5"),
        ("--- 1\n--- 2", "not valid YAML"),
        ("a: \x07", "not valid YAML"),
        ("a: 0x", "unknown key"),
        ("a: 2020-13-45", "not valid"),
        ("- 1", "a dictionary is needed"),
        ("just text", "a dictionary is needed"),
        ("? [1, 2]\n: 3", "a key that is not text"),
        ("1: 2", "put it in quotes"),
        ("#" * (1 << 19), "512 KiB"),
        ("a: " + "1" * 5000, "not valid"),
    ],
)
def test_hostile_yaml_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, text + "\n")
    started = time.process_time()
    with pytest.raises(ConfigError) as caught:
        read_project(path)
    assert said in str(caught.value)
    assert time.process_time() - started < 10
    assert [file.name for file in tmp_path.iterdir()] == ["config.yml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": NaN}', "NaN"),
        ('{"ProjectName": "a", "ProjectName": "b"}', "given twice"),
        ("[" * 100_000, "nested beyond reason"),
        ('{"a": ' + "1" * 5000 + "}", "not valid"),
        ("{", "not valid"),
        ("[]", "a dictionary is needed"),
    ],
)
def test_hostile_json_is_one_error(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_project(write(tmp_path, text, "c.json"))
    assert said in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read it"):
        parse_yaml_config(tmp_path / "none.yml")
    with pytest.raises(ConfigError, match="cannot read it"):
        parse_yaml_config(tmp_path)
    (tmp_path / "latin.yml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        parse_yaml_config(tmp_path / "latin.yml")


def test_anchors_and_merge_keys_within_bounds_work(tmp_path: Path) -> None:
    text = """
    Model: {Precision: {default: auto}}
    LayerName:
      fc1: &same {Precision: {weight: 'fixed<8,2>'}, Trace: true}
      fc2: {<<: *same, Trace: false}
      fc3: *same
    """
    names = read_hls_config(write(tmp_path, text)).names
    assert names["fc1"] == names["fc3"]
    assert names["fc2"].precision == names["fc1"].precision
    assert names["fc2"].trace is False
