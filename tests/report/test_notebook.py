"""What notebooks show of results, where rich would write to the notebook itself."""

from __future__ import annotations

import pytest
from rich.console import Console
from rich.table import Table

from bitsmith.base.progress import Kind, tell, tell_of_tool
from bitsmith.report import live
from bitsmith.report.figures.plots import figure
from bitsmith.report.terminal import as_text


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert Console().is_jupyter


@pytest.mark.usefixtures("notebook")
def test_tables_are_text_there_too() -> None:
    table = Table("name")
    table.add_row("fc1")
    assert "fc1" in as_text(table)


@pytest.mark.usefixtures("notebook")
def test_progress_is_plain_lines_in_the_cell(capsys: pytest.CaptureFixture[str]) -> None:
    with live.working("building"):
        tell("rtl: done in 1 s", Kind.STAGE)
        tell("convert: formats")
        tell_of_tool("a line of a tool")
    assert capsys.readouterr() == ("rtl: done in 1 s\n", "")


def test_figures_are_pictures() -> None:
    assert figure(2, 1)._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
