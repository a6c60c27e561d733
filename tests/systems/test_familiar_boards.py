"""Configurations of other tools' backends for boards, unchanged: what is built, and what of them has no effect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitsmith import Model, converters
from bitsmith.errors import ConfigError
from bitsmith.options.project import read_project
from tests.config.test_familiar import FOLDER
from tests.flows.fake_tools import FakeTools
from tests.properties import few
from tests.system.examples import MODELS
from tests.systems.vivado import stand_in

pytest.importorskip("_tkinter")

Config = dict[str, Any]
FILES = {"KerasJson": MODELS / "bitsmith_3layer.json", "KerasH5": MODELS / "bitsmith_3layer_weights.h5"}
LAYERS = json.loads((MODELS / "bitsmith_3layer.config.json").read_text())
BOARDS: list[Config] = json.loads((FOLDER / "boards.json").read_text())
# As `create_initial_config` of hls4ml/backends/vitis_unified/vitis_unified_backend.py writes it, and its platform's file.
UNIFIED = {
    "Backend": "VitisUnified",
    "Part": "xck26-sfvc784-2LV-c",
    "ClockPeriod": 10,
    "ClockUncertainty": "27%",
    "IOType": "io_stream",
    "VitisUnifiedConfig": {
        "Board": "kv260",
        "Platform": "platforms/mine/mine.xpfm",
        "axi_mode": "axi_stream",
        "in_stream_buf_size": 128,
        "out_stream_buf_size": 128,
        "Driver": "python",
        "InputDtype": "float",
        "OutputDtype": "float",
    },
}
CARDS = {
    "Backend": "VitisAccelerator",
    "AcceleratorConfig": {
        "Board": "alveo-u55c",
        "Num_Kernel": 1,
        "Num_Worker": 2,
        "Batchsize": 8192,
        "HW_Quant": False,
    },
}


def converted(config: Config, folder: Path) -> Model:
    return converters.convert_from_config({**config, **FILES, "HLSConfig": LAYERS, "OutputDir": str(folder)})


def idle(model: Model) -> str:
    return " ".join(note for note in model.notes if note.startswith("Without effect"))


@pytest.mark.parametrize("config", BOARDS, ids=lambda config: config["AcceleratorConfig"]["Board"])
def test_every_generated_configuration_gives_a_system(tmp_path: Path, config: Config) -> None:
    model = converted(config, tmp_path)
    board = config["AcceleratorConfig"]["Board"]
    assert model.target.board == board
    assert model.target.backend == ("vitis" if "alveo" in board else "vivado")
    assert model.target.part.lower().startswith({"p": "xc7z020", "z": "xczu9eg", "a": f"xc{board[6:]}"}[board[0]])
    assert ("Part of" in idle(model) or "Part (" in idle(model)) is (config["Part"] != "xc7z020clg400-1")
    platform = config["AcceleratorConfig"].get("Platform", "")
    assert (model.target.platform or "") == (platform if board.removeprefix("alveo-") in platform.split("_") else "")


@pytest.mark.parametrize(
    ("config", "told"),
    [(UNIFIED, ("In_Stream_Buf_Size", "Platform of platforms/mine")), (CARDS, ("Num_Worker", "Batchsize"))],
)
def test_other_backends(tmp_path: Path, config: Config, told: tuple[str, ...]) -> None:
    model = converted(config, tmp_path)
    assert model.target.backend == "vitis"
    assert model.target.board == ("kv260" if config is UNIFIED else "alveo-u55c")
    assert all(each in idle(model) for each in told)
    assert config is CARDS or model.target.clock_uncertainty == 0.27


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"Board": "pynq-z3"}, "unknown board"),
        ({"Interface": "axi"}, "Interface"),
        ({"Driver": "rust"}, "Driver"),
        ({"Precision": {"Input": "int8; exec"}}, "Precision.Input"),
        ({"Precision": {"Output": "ap_fixed<40,8>"}}, "at most 32 bits"),
        ({"Precision": {"In": "float"}}, "unknown key 'In'"),
        ({"Bord": "zcu102"}, "did you mean 'Board'"),
        ({"Platform": "a b"}, "Platform"),
    ],
)
def test_what_is_refused(tmp_path: Path, keys: Config, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        converted({"Backend": "vivadoaccelerator", "AcceleratorConfig": keys}, tmp_path)


@pytest.mark.parametrize(("mode", "interface"), [("axi_stream", None), ("axi_master", "axi_master")])
def test_arguments_of_vitis_unified(tmp_path: Path, mode: str, interface: str | None) -> None:
    """As its documentation has them."""
    keras = pytest.importorskip("keras")
    model = converters.convert_from_keras_model(
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]),
        tmp_path,
        backend="VitisUnified",
        board="kv260",
        axi_mode=mode,
        clock_period=10,
        in_stream_buf_size=256,
        out_stream_buf_size=256,
    )
    assert (model.target.board, model.target.interface) == ("kv260", interface)
    assert "In_Stream_Buf_Size" in idle(model)


def test_types_of_the_bus(tmp_path: Path) -> None:
    (config,) = (each for each in BOARDS if each["AcceleratorConfig"]["Precision"]["Input"] == "ap_fixed<16,6>")
    model = converted(config, tmp_path)
    assert (model.target.bus_input, model.target.bus_output) == ("fixed<16,6>", "fixed<18,8>")
    assert "Precision" not in idle(model)
    model.save(tmp_path / "model.bitsmith")
    assert Model.load(tmp_path / "model.bitsmith").target.bus_output == "fixed<18,8>"
    text = model.plan(csim=False).scripts()["system/export/predicting.py"]
    assert '"frac": 10' in str(text)


def test_names_in_any_case() -> None:
    for name, board in (
        ("vivado_accelerator", "pynq-z2"),
        ("VITISACCELERATOR", "alveo-u55c"),
        ("vitisUnified", "zcu102"),
    ):
        assert read_project({"Backend": name}).board == board


def test_a_platform_without_a_card(tmp_path: Path) -> None:
    for config in ({"Platform": "xilinx_u50"}, {"Platform": "xilinx_u50", "Board": "pynq-z2"}):
        with pytest.raises(ConfigError, match="a platform"):
            converted(config, tmp_path)


_HLS = """\
import re
top = re.search(r"^set core (\\S+)$", pathlib.Path("system/settings.tcl").read_text(), re.M)[1]
assert pathlib.Path(f"firmware/{top}.cpp").exists() and arguments[-1] == "system/core.tcl"
place = pathlib.Path(f"{top}_prj/solution1/impl/ip/component.xml")
place.parent.mkdir(parents=True, exist_ok=True)
place.write_text("component")
"""


@few("io_type", ["io_stream", "io_parallel"], fast=1, judged=True)
def test_a_bitfile_of_a_circuit_in_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, io_type: str) -> None:
    fakes = FakeTools(tmp_path / "bin", monkeypatch)
    fakes.add("vivado_hls", _HLS)
    fakes.add("vivado", stand_in(ips=("myproject_axi",)))
    model = converted({**BOARDS[0], "IOType": io_type}, tmp_path / "out")
    report = model.build(csim=False, synth=False, bitfile=True)
    assert [(call.name, call.arguments[-1]) for call in fakes.calls()] == [
        ("vivado_hls", "system/core.tcl"),
        ("vivado", "system/zynq.tcl"),
    ]
    assert report.section("Files")["Bitstream"] == "system/export/myproject.bit"
    names = {path.name for path in (tmp_path / "out/system/export").iterdir()}
    assert names == {
        "axi_stream_driver.py",
        "predicting.py",
        "myproject.py",
        "myproject_driver.c",
        "myproject_driver.h",
        "myproject.bit",
        "myproject.hwh",
        "myproject.xsa",
    }


@pytest.mark.parametrize(("board", "backend"), [("pynq-z2", "oneapi"), ("pynq-z2", "quartus"), ("de10-nano", "vitis")])
def test_boards_of_another_vendor_than_the_tool(tmp_path: Path, board: str, backend: str) -> None:
    with pytest.raises(ConfigError, match=rf"of (AMD|Intel) with backend '{backend}'\n  accepted: parts of"):
        converted({"Backend": backend, "Board": board}, tmp_path)


def test_compilers_without_a_system(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PYNQ-Z2 with backend 'catapult'"):
        converted({"Backend": "catapult", "Board": "pynq-z2"}, tmp_path).plan(csim=False).scripts()
