"""Progress on a terminal while tools run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_LINE_WIDTH = 50
_STAGES = ("rtl: ", "csim: ", "synth: ", "cosim: ", "export: ", "vsynth: ", "pnr: ", "bitstream: ")
"""How the lines begin that name a stage of a build; they stay until the next."""


@contextmanager
def working(task: str, console: Console | None = None) -> Iterator[Callable[[str], None]]:
    """A spinner on standard error with the time and the latest line of the running tool; without a terminal, only the
    lines that announce a stage."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield lambda line: console.print(line, markup=False, highlight=False) if line.startswith(_STAGES) else None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        row = bar.add_task(task, total=None)
        stage = ""

        def update(line: str) -> None:
            nonlocal stage
            latest = line.strip()[:_LINE_WIDTH]
            if not latest:
                return
            if latest.startswith(_STAGES):
                stage, latest = latest, ""
            bar.update(row, description=" | ".join(filter(None, (task, stage, latest))))

        yield update
