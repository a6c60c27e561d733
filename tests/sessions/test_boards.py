"""First sessions with boards: the blocks of the documentation, as they are, in an empty folder, on stand-ins.

Stand-ins are the vendors' programs, and the libraries on the machine with the board, whose circuit is simulated.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bitsmith.building.design import Circuit, circuit
from bitsmith.devices.board import Board, any_board, read_board
from bitsmith.model import Model
from bitsmith.rtl.writer import Title
from tests.cli.test_commands import _run
from tests.devices.listed import SYSTEM_BOARDS
from tests.flows.fake_tools import FakeTools
from tests.rtl.test_serial_selftest import BAUD, line
from tests.systems.test_bare_metal import STUBS
from tests.systems.test_builds import stand_ins
from tests.systems.test_simulated_boards import Fault, simulated
from tests.systems.test_simulated_hosts import SHELLS, joined

DOCS = Path(__file__).parents[2] / "docs"
SECTIONS = {
    "pynq-z2": "## Zynq and Zynq UltraScale+\n",
    "kv260": "## Zynq and Zynq UltraScale+\n",
    "alveo-u50": "## Alveo\n",
    "de10-nano": "## DE10-Nano and DE1-SoC\n",
}
"""Boards with a processor or in a host, and their part of the page."""

TOP = "digits"
Names = dict[str, Any]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget drivers of other projects of the same name."""
    monkeypatch.delitem(sys.modules, TOP, raising=False)


def section(title: str) -> str:
    """A part of the page on boards."""
    text = (DOCS / "boards.md").read_text(encoding="utf-8")
    assert title in text
    return re.split(r"^## ", text.partition(title)[2], maxsplit=1, flags=re.MULTILINE)[0]


def blocks(text: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def typed(block: str, names: Names) -> None:
    """Run a block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(block, "typed", "exec"), names)


def circuit_of(model: Model) -> Circuit:
    """The circuit of a project, for the names and widths of its streams."""
    job = model._job()
    family = job.target.known_part.family
    return circuit(job.program, job.directives, family.delays, job.target.budget_ns(family), TOP, Title("", ""))


@contextmanager
def on_the_machine(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, model: Model) -> Iterator[None]:
    """The machine with the board, which has a copy of what the page says, and nothing else of the project."""
    project, about = model.output_dir.absolute(), any_board(name)
    assert not isinstance(about, Board)
    shutil.copytree(project / "system/export", folder / "system/export")
    each, settings = circuit_of(model), (SHELLS[type(about)], about.bus_bytes, model.target.clock_period_ns)
    monkeypatch.chdir(folder / "system/export")
    with simulated(project, each, Fault(""), *settings) as board:
        joined(monkeypatch, folder, each, board, about, TOP)
        yield


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.ci] * (name != "kv260")) for name in SECTIONS])
def test_a_board_of_a_vendor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    pytest.importorskip("_tkinter")
    at_home, at_the_board = blocks(section(SECTIONS[name]).partition("\n### ")[0])
    boards = [board for board in SYSTEM_BOARDS if f'board="{board}"' in at_home]
    assert len(boards) == 1
    stand_ins(FakeTools(tmp_path / "bin", monkeypatch), name, "rtl", TOP)
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    names: Names = {}
    typed(at_home.replace(boards[0], name), names)
    with on_the_machine(monkeypatch, tmp_path / "machine", name, names["model"]):
        capsys.readouterr()
        there: Names = {}
        typed(at_the_board, there)
        said = capsys.readouterr().out
    assert there["y"].shape == (100, 10) and np.array_equal(there["y"], names["model"].predict(names["x"][:100]))
    assert "100 were counted" in said


class Serial:
    """A port of pyserial, at whose other end a circuit is simulated."""

    def __init__(self, end: Any) -> None:
        self._end, self._clocks = end, round(read_board("ulx3s-85f").clock_hz / BAUD)
        self.write, self.read, self.send_break = end.write, end.read, end.send_break
        self.close: Callable[[], None] = lambda: None
        self.baudrate = BAUD


@pytest.mark.slow
def test_a_board_with_a_serial_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Synthesis, place and route are real here."""
    at_home, *at_the_port = blocks((DOCS / "serial-port.md").read_text(encoding="utf-8"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    names: Names = {}
    typed(at_home, names)
    project = names["model"].output_dir.absolute()
    assert (project / "pnr/digits.bit").stat().st_size > 0
    shutil.copy(project / "driver/digits.py", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    sources = sorted((project / "rtl").glob("*.sv"))
    clocks = round(read_board("ulx3s-85f").clock_hz / BAUD)
    with line(project, sources, clocks, most_bits=2000, top="digits_uart") as end:
        serial = ModuleType("serial")
        monkeypatch.setattr(serial, "Serial", lambda *_, **__: Serial(end), raising=False)
        monkeypatch.setitem(sys.modules, "serial", serial)
        for block in at_the_port:
            typed(block, names)
        assert end.light == 1
        result = _run("doctor", "--board", str(project), "--port", "/dev/ttyUSB0")
        assert (result.exit_code, "the right result" in result.stdout) == (0, True), result.stdout
    assert "SerialReport" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.ci
def test_the_application_in_c_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the driver of the network that the page converts."""
    (code,) = blocks(section(SECTIONS["pynq-z2"]), "c")
    at_home = blocks(section(SECTIONS["pynq-z2"]))[0]
    monkeypatch.chdir(tmp_path)
    names: Names = {}
    typed(at_home.partition("model.build")[0], names)
    names["model"].write()
    for name, text in STUBS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "application.c").write_text(code)
    options = [
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Werror",
        "-fPIC",
        "-shared",
        "-I.",
        "-Idigits/system/export",
    ]
    sources = ["application.c", "digits/system/export/digits_driver.c", "board.c"]
    subprocess.run(["gcc", *options, *sources, "-o", "application.so", "-lm"], cwd=tmp_path, check=True)
