"""Executes the tutorials and writes them as pages with their outputs.

A tutorial is a notebook as a Python file (cells begin with ``# %%``), which Jupyter opens through jupytext. ``make tutorials``
renews the pages; a slow test executes them.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbformat import NotebookNode

from generate.lines import COLUMNS, broken

ROOT = Path(__file__).parents[2]
SOURCES = tuple(sorted((ROOT / "examples" / "tutorials").glob("[0-9]*.py")))
_PICTURES = {"image/svg+xml": "svg", "image/png": "png"}
_PROGRESS = re.compile(r"(rtl|vitis|cosim|csim|synth|pnr): ")
_ENVIRONMENT = {
    "KERAS_BACKEND": "jax",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "NO_COLOR": "1",
    "COLUMNS": str(COLUMNS),
    "PYTHONPATH": str(ROOT / "src"),
}


def executed(source: Path, folder: Path) -> NotebookNode:
    """The notebook with the outputs of a run in ``folder``, beside a copy of the models that tutorials read.

    Raises:
        CellExecutionError: a cell failed.
    """
    notebook = jupytext.read(source)
    shutil.copytree(source.parent / "models", folder / "models")
    before = dict(os.environ)
    os.environ.update(_ENVIRONMENT)
    try:
        client = NotebookClient(
            notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        )
        return client.execute()
    finally:
        os.environ.clear()
        os.environ.update(before)


def written(notebook: NotebookNode, name: str) -> tuple[str, Mapping[str, bytes]]:
    """The page, and its pictures by file name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source.strip())
        elif cell.source.strip():
            parts.append(f"```python\n{cell.source}\n```")
            parts += _outputs(cell, name, pictures)
    source = f"../../examples/tutorials/{name}.py"
    parts.insert(
        1, f"*This page is [a notebook]({source}) with what it printed. Open it with Jupyter, or run it with Python.*"
    )
    return "\n\n".join(parts) + "\n", pictures


def _outputs(cell: NotebookNode, name: str, pictures: dict[str, bytes]) -> Iterator[str]:
    said: list[str] = []
    for output in cell.outputs:
        data = output.get("data", {})
        kind = next((kind for kind in _PICTURES if kind in data), None)
        if kind is not None:
            file = f"{name}-{len(pictures) + 1}.{_PICTURES[kind]}"
            content = data[kind]
            pictures[file] = content.encode() if kind == "image/svg+xml" else base64.b64decode(content)
            yield f"![what the cell above drew]({file})"
        elif output.get("name") != "stderr":
            said += output.get("text", data.get("text/plain", "")).splitlines()
    shown = [line.rstrip() for line in said if not _PROGRESS.match(line)]
    if shown:
        yield "```text\n" + broken("\n".join(shown).strip("\n")) + "\n```"


def main() -> None:
    """Write the pages of the tutorials that are named, or all."""
    pages = ROOT / "docs" / "tutorials"
    pages.mkdir(exist_ok=True)
    for source in SOURCES:
        if len(sys.argv) > 1 and not any(source.stem.startswith(wanted) for wanted in sys.argv[1:]):
            continue
        with tempfile.TemporaryDirectory() as folder:
            text, pictures = written(executed(source, Path(folder)), source.stem)
        for old in pages.glob(f"{source.stem}-*"):
            old.unlink()
        (pages / f"{source.stem}.md").write_text(text, encoding="utf-8")
        for file, content in pictures.items():
            (pages / file).write_bytes(content)


if __name__ == "__main__":
    main()
