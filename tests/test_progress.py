"""Progress of long work: steps on a terminal alone, and all lines for the logger."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from rich.console import Console

import bitsmith
from bitsmith.base.progress import heard, tell, tell_of_tool
from bitsmith.report.live import working
from tests.logged import logged
from tests.system.examples import MODELS, three_layer

STEPS = ["convert: reading the model", "convert: choosing formats", "convert: comparing with the float model"]


@pytest.mark.slow
@pytest.mark.ci
def test_conversions_and_projects_tell_the_logger_of_their_steps(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with logged(logging.INFO) as records:
        three_layer(tmp_path / "project")[0].write()
    assert {record.name for record in records} == {"bitsmith"}
    *steps, written = (record.getMessage() for record in records)
    assert steps == STEPS and written.startswith("rtl: ")
    assert capfd.readouterr() == ("", "")


def test_what_tools_write_is_for_debugging() -> None:
    with logged(logging.DEBUG) as records:
        tell_of_tool("2.1. Executing [PROC] pass\n")
    assert [(record.levelno, record.getMessage()) for record in records] == [
        (logging.DEBUG, "2.1. Executing [PROC] pass")
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_steps_show_on_a_terminal_and_nowhere_else(tmp_path: Path, terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with working("converting", console=console):
        three_layer(tmp_path / "project")
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert all(f"converting | {step}" in shown for step in STEPS) == terminal
    assert bool(shown) == terminal


def test_work_within_other_work_is_a_step_of_it() -> None:
    lines: list[str] = []
    with working("fitting", lines.append):
        with working("converting"):
            tell("convert: reading the model")
        assert heard()
    assert lines == ["convert: reading the model"] and not heard()


@pytest.mark.slow
@pytest.mark.ci
def test_proposals_tell_of_what_they_try() -> None:
    with logged(logging.INFO) as records:
        assert not bitsmith.explain(MODELS / "digits.keras", part="LFE5U-12F").estimate.fits
    messages = [record.getMessage() for record in records]
    assert messages[0] == "convert: reading the model"
    assert {"fit: 8 bits of weights and 16 of results", "fit: reuse factors"} <= set(messages)


def test_steps_are_gone_from_a_terminal_once_the_work_is_done() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with working("converting", console=console):
        tell("convert: reading the model")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().endswith("\x1b[2K")  # which erases the line
