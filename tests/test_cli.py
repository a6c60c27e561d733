"""The command line: what it prints where, and how it exits."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bitsmith import __version__
from bitsmith.cli import app
from bitsmith.errors import ToolMissingError
from tests.report.reports import full_report


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A project folder that holds a report."""
    full_report().write(tmp_path)
    return tmp_path


def test_version() -> None:
    result = _run("--version")
    assert (result.exit_code, result.stdout) == (0, f"bitsmith {__version__}\n")


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
    for command in ("convert", "build", "report", "demo", "doctor", "explain"):
        result = _run(command, "--help")
        assert result.exit_code == 0
        assert "--json" in result.stdout


def test_report_shows_figures(built: Path) -> None:
    result = _run("report", built)
    assert result.exit_code == 0
    assert "125 MHz" in result.stdout
    assert result.stderr == ""


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


@pytest.mark.parametrize("arguments", [("nonsense",), ("report",), ("report", "x", "--nonsense"), ("convert",)])
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    result = _run(*arguments)
    assert result.exit_code == 2
    assert "Usage" in result.stderr


def test_interruption_is_exit_code_130(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(output_dir: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bitsmith.report.read_report", interrupted)
    result = _run("report", built)
    assert result.exit_code == 130
    assert "interrupted" in result.stderr


def test_doctor_lists_tools_and_packages() -> None:
    result = _run("doctor", "--json")
    assert result.exit_code == 0
    findings = {(finding["kind"], finding["name"]): finding for finding in json.loads(result.stdout)["findings"]}
    assert findings["python", "Python"]["where"] == sys.executable
    assert findings["package", "numpy"]["found"]
    assert findings["package", "numpy"]["version"]
    assert findings["package", "matplotlib"]["install"] == 'pip install "bitsmith[report]"'
    assert ("package", "hypothesis") not in findings
    assert ("tool", "yosys") in findings


def test_doctor_says_how_to_install_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(name: str) -> None:
        raise ToolMissingError("not there", where=name)

    monkeypatch.setattr("bitsmith.flows.base.find", lambda tool: nowhere(tool.name))
    result = _run("doctor")
    assert result.exit_code == 0
    assert "missing  yosys: not there" in result.stdout
    assert "apt install g++ make" in result.stdout
