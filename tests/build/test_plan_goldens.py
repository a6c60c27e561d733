"""The plans of all backends, tools and kinds of boards, as texts beside this file.

``python -m tests.build.test_plan_goldens`` writes them again; look at the difference before it is committed.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

import bitsmith
from bitsmith import Model
from bitsmith.backends import BACKENDS
from bitsmith.base.licenses import licensed
from bitsmith.building.job import Target
from bitsmith.building.logic import LOGIC_TOOLS
from bitsmith.building.plan import Plan
from bitsmith.building.stages import together
from bitsmith.compiler import Source
from bitsmith.conversion.conversion import _converted, _Read
from bitsmith.devices.board import BOARDS, AnyBoard, Board, any_board
from bitsmith.devices.system import Card, SocFpga, Zynq
from bitsmith.errors import BitsmithError, ProjectError, ToolMissingError
from bitsmith.layers.activation import ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings
from bitsmith.options.building import BuildOptions
from bitsmith.options.project import read_project
from tests.report.networks import HIDDEN, INPUT

GOLDENS = Path(__file__).parent / "goldens"
PACKAGE = Path(bitsmith.__file__).parent

PROGRAMS = (
    *("verilator", "g++", "make", "yosys", "nextpnr-ecp5", "ecppack", "nextpnr-ice40", "icepack"),
    *("nextpnr-nexus", "prjoxide"),
    *("vivado", "vivado_hls", "vitis-run", "v++", "catapult", "shls", "icpx", "cmake", "i++", "vsim"),
    *("quartus_sh", "quartus_map", "qsys-script", "qsys-generate", "radiantc"),
)
ANSWER = """\
#!/bin/sh
echo "Verilator 5.048; Yosys 0.70; g++ (stand-in) 12.2.0; GNU Make 4.3; nextpnr-0.9; ecppack Version 1.4; prjoxide 0.1"
"""
"""What all of them say of their versions."""

Case = tuple[Mapping[str, object], BuildOptions]
CASES: Mapping[str, Case] = {
    "rtl": ({"Part": "LFE5U-25F-6BG256C"}, {"pnr": True, "post_synth": True}),
    "rtl-ulx3s": ({"Board": "ulx3s-85f"}, {"cosim": False, "bitstream": True}),
    "rtl-icebreaker": ({"Board": "icebreaker", "IOType": "io_stream"}, {"bitstream": True, "pnr": True}),
    "rtl-vivado": ({"Part": "xc7z020clg400-1"}, {"tool": "vivado", "pnr": True}),
    "rtl-quartus": ({"Part": "5CSEBA6U23I7"}, {"tool": "quartus", "cosim": False, "pnr": True}),
    "rtl-quartus-pro": ({"Part": "AGFB014R24A2E2V"}, {"tool": "quartus", "cosim": False, "pnr": True}),
    "rtl-xcvu13p": ({"Part": "xcvu13p-flga2577-2-e"}, {"cosim": False, "synth": True}),
    "rtl-hx8k": ({"Board": "ice40-hx8k-evn"}, {"cosim": False, "bitstream": True}),
    "rtl-crosslink-nx": ({"Board": "crosslink-nx-evn"}, {"cosim": False, "bitstream": True, "pnr": True}),
    "rtl-zcu104": ({"Board": "zcu104"}, {"cosim": False, "synth": False, "bitstream": True}),
    "rtl-kv260-memory": (
        {"Board": "kv260", "IOType": "io_stream", "Interface": "axi_master"},
        {"cosim": False, "synth": False, "bitstream": True},
    ),
    "rtl-alveo-u250": ({"Board": "alveo-u250"}, {"cosim": False, "synth": False, "bitstream": True}),
    "vitis-alveo-u250": (
        {"Backend": "vitis", "Board": "alveo-u250"},
        {"csim": False, "synth": False, "bitstream": True},
    ),
    "vitis-pynq-z2-memory": (
        {"Backend": "vitis", "Board": "pynq-z2", "Interface": "axi_master"},
        {"csim": False, "synth": False, "bitstream": True},
    ),
    "rtl-radiant": ({"Part": "iCE40UP5K-SG48"}, {"tool": "radiant", "cosim": False, "pnr": True}),
    "vitis": ({"Backend": "vitis"}, {"synth": True, "cosim": True, "export": True, "vsynth": True}),
    "vivado": ({"Backend": "vivado"}, {"synth": True, "cosim": True, "export": True, "vsynth": True}),
    "catapult": ({"Backend": "catapult"}, {"synth": True, "cosim": True, "vsynth": True}),
    "libero": ({"Backend": "libero", "IOType": "io_stream"}, {"synth": True, "cosim": True, "pnr": True}),
    "oneapi": ({"Backend": "oneapi"}, {"synth": True, "cosim": True, "export": True}),
    "quartus": ({"Backend": "quartus"}, {"synth": True, "cosim": True, "vsynth": True}),
    "rtl-pynq-z2": ({"Board": "pynq-z2"}, {"cosim": False, "synth": False, "bitstream": True}),
    "vitis-kv260": ({"Board": "kv260", "Backend": "vitis"}, {"csim": False, "synth": False, "bitstream": True}),
    "rtl-alveo-u50": ({"Board": "alveo-u50"}, {"cosim": False, "synth": False, "bitstream": True}),
    "rtl-de10-nano": ({"Board": "de10-nano"}, {"cosim": False, "synth": False, "bitstream": True}),
    "vivado-accelerator": (
        {"Backend": "VivadoAccelerator", "AcceleratorConfig": {"Board": "zcu102", "Driver": "python"}},
        {"csim": False, "synth": False, "bitfile": True},
    ),
    "vitis-accelerator": (
        {"Backend": "VitisAccelerator", "AcceleratorConfig": {"Board": "alveo-u55c"}},
        {"csim": False, "synth": False, "bitstream": True},
    ),
    "vitis-unified": (
        {"Backend": "VitisUnified", "VitisUnifiedConfig": {"board": "zcu102", "axi_mode": "axi_stream"}},
        {"csim": False, "synth": False, "bitstream": True},
    ),
    "vivado-accelerator-memory": (
        {"Backend": "VivadoAccelerator", "AcceleratorConfig": {"Board": "pynq-z2", "Interface": "axi_master"}},
        {"csim": False, "synth": False, "bitstream": True},
    ),
}


def network() -> Network:
    """Two dense layers, with weights that say which they are."""
    first, second = ([[(3 * i + 5 * j) % 7 - 3 for j in range(n)] for i in range(m)] for m, n in ((3, 4), (4, 2)))
    return Network(
        nodes=(
            NetworkNode("x", Input((3,)), (), "InputLayer", Settings({"result": INPUT})),
            NetworkNode("fc", Dense(as_weights(first)), ("x",), "Dense"),
            NetworkNode("relu", ReLU(), ("fc",), "Activation", Settings({"result": HIDDEN})),
            NetworkNode("out", Dense(as_weights(second)), ("relu",), "Dense"),
        ),
        inputs=("x",),
        outputs=("out",),
        name="net",
    )


class Chosen(_Read):
    """Layers that have their formats."""

    def __init__(self) -> None:
        super().__init__(network(), None, {})

    def network(self) -> Network:
        return self.layers

    def source(self, network: Network, calibration: object) -> Source:
        return Source(network, None, None)


def model(keys: Mapping[str, object]) -> Model:
    project = read_project({"OutputDir": "net", "ProjectName": "net", **keys})
    return _converted(Chosen(), project, None, {"check": False})


def text(case: str) -> str:
    """The plan; estimates, which are not its part, are left out."""
    keys, asked = CASES[case]
    return re.sub(r"about [\d,]+ LUTs", "about … LUTs", str(model(keys).plan(**asked))) + "\n"


def stand_ins(folder: Path) -> dict[str, str]:
    """An environment in which all programs are there."""
    programs = folder / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(ANSWER)
        (programs / name).chmod(0o755)
    return {"PATH": f"{programs}:/usr/bin:/bin", "XDG_CACHE_HOME": str(folder / "cache")}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return stand_ins(tmp_path_factory.mktemp("tools"))


@pytest.fixture(autouse=True)
def all_tools(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("case", CASES)
def test_plans_are_as_they_were(case: str) -> None:
    remedy = "if the plan is meant to be so: python -m tests.build.test_plan_goldens"
    assert text(case) == (GOLDENS / f"{case}.txt").read_text(), remedy


@cache
def planned(case: str) -> tuple[Plan, Mapping[str, str | bytes]]:
    """The plan, and all files that it writes."""
    keys, asked = CASES[case]
    plan = model(keys).plan(**asked)
    return plan, plan.files()


@pytest.mark.parametrize("case", CASES)
def test_no_two_writers_write_one_path(case: str) -> None:
    """Two contents for one path are refused when a plan's files are put together; tools leave others."""
    plan, files = planned(case)
    assert len({path.upper() for path in files}) == len(files)  # some file systems do not tell capitals apart
    own = {"bitsmith.json", "bitsmith.lock", "report.json", "report.html", "stages.mk"}
    own |= set() if "Makefile" in plan.scripts() else {"Makefile"}
    commands = [command for stage in plan.stages for command in stage.flow().commands(Path("net"), stage.find())]
    left = {path.relative_to("net").as_posix() for command in commands for path in (command.log, *command.outputs)}
    assert left and not (left & own or left & set(files) or own & set(files))


@pytest.mark.parametrize("case", CASES)
def test_all_but_circuits_and_data_carry_their_license_once(case: str) -> None:
    """Files of an unknown kind must be given one: their names end otherwise than these."""
    data = {".bin", ".core", ".dat", ".expected", ".json", ".txt", ".vho", ".xml"}
    constraints = {".lpf", ".pcf", ".pdc", ".sdc", ".xdc"}
    plan, files = planned(case)
    for name, content in {"Makefile": plan.makefile(), **files}.items():
        path = PurePosixPath(name)
        if isinstance(content, bytes) or (path.suffix in data | constraints and path.name != "CMakeLists.txt"):
            continue
        ours = path.parts[0] not in ("rtl", "firmware") or path.suffix == ".tcl"
        ours |= path.name.startswith("bitsmith_") or path.parts[:2] == ("firmware", "bitsmith")
        assert licensed(name, content).count("SPDX-License-Identifier: Apache-2.0") == ours, name


def test_two_contents_of_one_file_are_refused() -> None:
    assert together({"a": "x", "b": "y"}, {"a": "x"}) == {"a": "x", "b": "y"}
    with pytest.raises(ProjectError, match="Makefile: two contents"):
        together({"Makefile": "all:"}, {"b": "y"}, {"Makefile": "synth:"})


@pytest.mark.parametrize("case", CASES)
def test_plans_run_on_other_machines(case: str, environment: dict[str, str]) -> None:
    """Neither the Makefile nor a file that it reads names a place of this one."""
    plan, files = planned(case)
    texts = {"Makefile": plan.makefile(), **{name: text for name, text in files.items() if isinstance(text, str)}}
    here = (
        *environment["PATH"].split(":")[:1],
        environment["XDG_CACHE_HOME"],
        str(PACKAGE),
        sys.prefix,
        str(Path.cwd()),
    )
    assert {name for name, text in texts.items() if any(place in text for place in here)} == set()


@pytest.mark.parametrize("case", CASES)
def test_plans_need_no_tools(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any tool the plan is the same; a build is refused before it has done anything."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("bitsmith.flows.tools._find_wheel", lambda tool, tried: None)
    assert text(case) == (GOLDENS / f"{case}.txt").read_text()
    keys, asked = CASES[case]
    made = model({**keys, "OutputDir": str(tmp_path / "net")})
    assert re.search(r"^\w+ \?= ([\w+-]+|\$\(shell .*\))$", made.plan(**asked).makefile(), re.MULTILINE)
    with pytest.raises(ToolMissingError, match="Without it"):
        made.build(**asked)
    assert not (tmp_path / "net").exists()


def test_every_golden_has_its_case() -> None:
    assert {path.stem for path in GOLDENS.iterdir()} == set(CASES)


def kind(board: AnyBoard) -> str:
    """What plans depend on: its nextpnr, its processor, or its card's memory."""
    match board:
        case Board():
            return board.flow.board
        case Card():
            return board.memory
        case Zynq():
            return board.processor.value
        case SocFpga():
            return board.family


def combination(target: Target) -> tuple[str, str]:
    return target.backend, kind(any_board(target.board)) if target.board else ""


def test_every_backend_tool_and_kind_of_board_has_its_golden() -> None:
    """What is not refused, such as circuits in C++ with a serial port."""
    there = {combination(model(keys).target) for keys, _ in CASES.values()}
    named = {kind(any_board(name)): {"Board": name} for name in BOARDS}
    missing = list[str]()
    for backend, keys in itertools.product(BACKENDS, ({}, *named.values())):
        try:
            asked = model({"Backend": backend, **keys})
            plan = asked.plan(bitstream=bool(keys))
        except BitsmithError:
            continue
        missing += [] if combination(asked.target) in there else [f"{backend}, {keys}: {plan}"]
    assert len(there) > 15 and not missing
    assert {asked.get("tool") for _, asked in CASES.values()} == {None, *(tool.key for tool in LOGIC_TOOLS)}


def test_makefiles_start_in_the_project_folder() -> None:
    keys, asked = CASES["rtl-icebreaker"]
    assert " cosim/bench.sv " in model(keys).plan(**asked).makefile()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        os.environ |= stand_ins(Path(made))
        for each in CASES:
            (GOLDENS / f"{each}.txt").write_text(text(each))
