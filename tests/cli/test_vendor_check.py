"""The kit for the first run of vendors' tools: designs with runner and table, run whole by stand-ins for the tools."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bitsmith.building.logic import logic_tool
from bitsmith.cli import vendor_check
from bitsmith.cli.vendor_check import _DESIGNS, _TOOLS, read_kit, write_kit
from bitsmith.errors import ProjectError
from tests.build.test_logic import stand_in
from tests.cli.test_commands import _run
from tests.flows.fake_tools import FakeTools
from tests.properties import judged
from tests.system.test_vendor_build import _HLS

ONEAPI = Path(__file__).parents[1] / "report/data/oneapi/build/my_jet.report.prj"

_ICPX = f"""\
output = pathlib.Path(arguments[arguments.index("-o") + 1]) if "-o" in arguments else None
if any(word.endswith("_test.cpp") for word in arguments):
    assert {{"-fsycl", "-fintelfpga", "-qactypes", "-DFPGA_HARDWARE"}} <= set(arguments), arguments
    output.write_text("object")
    if "-MF" in arguments:
        pathlib.Path(arguments[arguments.index("-MF") + 1]).write_text(str(output) + ":")
elif "-fsycl-link=early" in arguments:
    assert {{"-Xshardware", "-Xstarget=Agilex7"}} <= set(arguments) and "-qactypes" not in arguments, arguments
    assert any(word.startswith("-Xsclock=") for word in arguments)
    assert [pathlib.Path(word).read_text() for word in arguments if word.endswith(".o")] == ["object"]
    output.write_text("hardware description")
    shutil.copytree({str(ONEAPI)!r}, str(output) + ".prj", dirs_exist_ok=True)
else:
    os.execvp("g++", ["g++", *arguments])
"""
"""What the oneAPI compiler does for the target ``report``, and, as another compiler, what CMake asks of any.

It keeps what the real one does: a library of ac_types is not linked with a hardware description, and reports lie beside that.
"""


def ran(kit: Path, *tools: str) -> subprocess.CompletedProcess[str]:
    """The runner on this machine, which needs no bitsmith: it sees no packages."""
    command = [sys.executable, "-I", "-S", "run.py", *tools]
    return subprocess.run(command, cwd=kit, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kit") / "kit"
    write_kit(folder, ["vivado"])
    return folder


@pytest.fixture
def kit(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "kit")
    return tmp_path / "kit"


@pytest.mark.slow
def test_five_designs_are_run_and_read(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeTools(tmp_path / "empty", monkeypatch)
    assert "not on PATH: vivado" in ran(kit).stdout
    assert {row.outcome for row in read_kit(kit)} == {"not run"}
    tools = stand_in(logic_tool("vivado", "xc7z020clg400-1"), tmp_path, monkeypatch)
    assert ran(kit, "quartus").stdout == "" and tools.calls() == []
    done = ran(kit)
    assert (done.returncode, len(tools.calls())) == (0, 2 * len(_DESIGNS)), done.stdout
    result = _run("vendor-check", str(kit), "--read", "--json")
    rows = json.loads(result.stdout)["designs"]
    assert [(row["tool"], row["design"]) for row in rows] == [("vivado", name) for name in _DESIGNS]
    for row in rows:
        assert (row["outcome"], row["version"], row["luts"]) == ("clock missed", "Vivado 2019.2", 4321)
        assert row["planned_luts"] > 0 and row["planned_mhz"] > row["fmax_mhz"] > 0
    assert "Vivado 2019.2" in _run("vendor-check", str(kit), "--read").stdout


@pytest.mark.slow
@pytest.mark.parametrize("tool", [judged("vitis"), "quartus", "radiant", "oneapi"])
def test_every_tool_has_five_designs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    """Each is written, run and read; CMake is the real one."""
    kit = tmp_path / "kit"
    write_kit(kit, [tool])
    for name in _DESIGNS:
        assert (kit / tool / name / json.loads((kit / "kit.json").read_text())["projects"][0]["makefile"]).is_file()
    if tool == "oneapi":
        if not shutil.which("cmake", path="/usr/bin:/bin"):
            pytest.skip("CMake is not installed")
        FakeTools(tmp_path / "bin", monkeypatch).add("icpx", _ICPX)
    elif tool == "vitis":
        FakeTools(tmp_path / "Vitis HLS" / "2023.2" / "bin", monkeypatch).add("vitis-run", _HLS)
    else:
        stand_in(logic_tool(tool, _TOOLS[tool].part), tmp_path, monkeypatch)
    done = ran(kit)
    assert done.returncode == 0, done.stdout
    rows = read_kit(kit)
    assert len(rows) == len(_DESIGNS)
    for row in rows:
        assert row.outcome in ("passed", "clock missed") and row.version and row.planned_luts
        assert tool != "vitis" or row.interval is not None


@pytest.mark.slow
def test_a_tool_that_fails(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "print('ERROR: [Synth 8-439] module not found'); sys.exit(1)"
    stand_in(logic_tool("vivado", "xc7z020clg400-1"), tmp_path, monkeypatch, failing)
    assert ran(kit).returncode == 1
    assert {(row.outcome, row.error) for row in read_kit(kit)} == {("failed", "ERROR: [Synth 8-439] module not found")}


def broken(name: str, text: str) -> Callable[[Path], object]:
    return lambda kit: (kit / name).write_text(text)


def test_the_runner_says_what_it_does(tmp_path: Path) -> None:
    """A line before each run, which may take hours, and one after it."""
    shutil.copy(Path(vendor_check.__file__).with_name("vendor_run.py"), tmp_path / "run.py")
    recipes = {"good": "true", "bad": "echo Error: no clock; exit 2", "absent": "true"}
    for name, recipe in recipes.items():
        place = tmp_path / "tool" / name
        place.mkdir(parents=True)
        program = "no_such_program" if name == "absent" else "sh"
        (place / "Makefile").write_text(f"TOOL ?= {program}\nall:\n\t@{recipe}\n")
    listed = [{"tool": "tool", "design": name, "makefile": "Makefile", "digest": name} for name in recipes]
    (tmp_path / "kit.json").write_text(json.dumps({"projects": listed}))
    done = ran(tmp_path, "tool")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "tool, good: running",
        "tool, good: done",
        "tool, bad: running",
        "tool, bad: failed: Error: no clock",
        "tool, absent: not run, not on PATH: no_such_program",
    ]
    told = [json.loads((tmp_path / "tool" / name / "ran.json").read_text()) for name in ("good", "bad")]
    assert [each["digest"] for each in told] == ["good", "bad"] and told[0]["code"] == 0 != told[1]["code"]
    assert not (tmp_path / "tool/absent/ran.json").exists()


RAN = {"code": 0, "seconds": 1.0, "began": "2026-01-01 00:00:00", "error": ""}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda kit: (kit / "kit.json").unlink(), "not a file of a kit"),
        (broken("kit.json", "\0" * 100), "not a file of a kit"),
        (broken("kit.json", "[" * 100_000), "not a file of a kit"),
        (broken("kit.json", '{"bitsmith": "0.0.1", "projects": []}'), "a kit of bitsmith 0.0.1"),
        (broken("vivado/unrolled/ran.json", "{}"), "not a file of a kit"),
        (broken("vivado/unrolled/ran.json", json.dumps({**RAN, "digest": "0"})), "of another circuit"),
    ],
)
def test_damaged_and_foreign_folders_are_one_error(kit: Path, damage: Callable[[Path], object], said: str) -> None:
    damage(kit)
    with pytest.raises(ProjectError, match=said):
        read_kit(kit)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "\0" * 100, "| Slice LUTs | x | y |\n"])
def test_damaged_reports_are_one_error(kit: Path, text: str) -> None:
    listed = json.loads((kit / "kit.json").read_text())["projects"][0]
    project = kit / "vivado/unrolled"
    (project / "ran.json").write_text(json.dumps({**RAN, "digest": listed["digest"]}))
    for name in ("utilization_synth.rpt", "utilization.rpt", "timing.rpt"):
        (project / "vivado" / name).write_text(text)
    with pytest.raises(ProjectError, match="damaged reports"):
        read_kit(kit)


def test_refusals(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "other content" in _run("vendor-check", str(tmp_path)).stderr
    assert "unknown tools ['ise']" in _run("vendor-check", str(tmp_path / "kit"), "--tool", "ise").stderr
    assert "not a file of a kit" in _run("vendor-check", str(tmp_path), "--read").stderr
