"""The tutorials run, and their pages show the cells that they have."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest

from generate.tutorials import ROOT, SOURCES, executed, written

PAGES = ROOT / "docs" / "tutorials"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_page_shows_the_cells(source: Path) -> None:
    page = (PAGES / f"{source.stem}.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```python\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL)
    cells = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "code"]
    assert shown == [cell for cell in cells if cell.strip()], "renew it: make tutorials"
    texts = [cell.source.strip() for cell in jupytext.read(source).cells if cell.cell_type == "markdown"]
    assert [text for text in texts if text not in page] == [], "renew it: make tutorials"


@pytest.mark.slow
@pytest.mark.parametrize(
    "source", [pytest.param(path, marks=[pytest.mark.ci] * (path.stem[:2] == "01"), id=path.stem) for path in SOURCES]
)
def test_tutorial_runs_without_a_warning(source: Path, tmp_path: Path) -> None:
    notebook = executed(source, tmp_path)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []
    if source.stem[:2] == "01":  # trains nothing, so that it prints the same everywhere
        page = (PAGES / f"{source.stem}.md").read_text(encoding="utf-8")
        assert _without_digest(written(notebook, source.stem)[0]) == _without_digest(page), "renew it: make tutorials"


def _without_digest(page: str) -> str:
    return re.sub(r"project [0-9a-f]{16}", "project", page)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_site_has_the_notebook_as_jupyter_reads_it(source: Path, site: Path) -> None:
    notebook = nbformat.read(site / "tutorials" / f"{source.stem}.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in jupytext.read(source).cells
    ]
    for name in re.findall(r'"(models/\w+\.\w+)"', source.read_text(encoding="utf-8")):
        assert (site / "tutorials" / name).read_bytes() == (source.parent / name).read_bytes()
    page = (site / "tutorials" / f"{source.stem}.html").read_text(encoding="utf-8")
    assert f'href="{source.stem}.ipynb"' in page
