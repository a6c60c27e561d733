"""Run the cells of a ``# %%`` script in a Jupyter kernel, as a notebook does, and print what each shows; for ``run.py``."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

_SHOWN = 1500


def main(script: Path) -> None:
    """Print streams, the forms in which each value is offered, and errors, which notebooks show too."""
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in script.read_text(encoding="utf-8").split("# %%\n")[1:]]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=600, kernel_name="python3", allow_errors=True).execute()
    nbformat.write(notebook, script.with_suffix(".ipynb"))
    for number, cell in enumerate(notebook.cells, 1):
        sys.stdout.write(f"[{number}] {cell.source.splitlines()[-1]}\n")
        for output in cell.outputs:
            if output.output_type == "stream":
                sys.stdout.write(f"  {output.name}: {output.text!r}\n")
            elif output.output_type == "error":
                sys.stdout.write(f"  error: {output.ename}\n")
            else:
                for form, value in output.data.items():
                    sys.stdout.write(f"  {form}: {str(value)[:_SHOWN]!r}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
