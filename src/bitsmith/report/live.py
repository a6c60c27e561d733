"""Progress on a terminal while tools run: what is done now, for how long, and how long it is expected to take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

_WIDTH = 100
_STAGES = ("rtl: ", "csim: ", "synth: ", "post_synth: ", "cosim: ", "export: ", "vsynth: ", "pnr: ", "bitstream: ")
"""Prefix of lines about a stage of a build; all others are a tool's."""


@contextmanager
def working(task: str, console: Console | None = None, *, verbose: bool = False) -> Iterator[Callable[[str], None]]:
    """A spinner on standard error with the stage and its time; the lines of stages stay, one when each begins and ends.

    A line that begins with ``task`` stands in its place until the next does.

    Args:
        verbose: show the lines of tools as well.
    """
    console = console or Console(stderr=True)
    if console.is_jupyter:
        console = Console(force_jupyter=False, force_terminal=False)  # plain lines in one output, and not as errors

    def stays(line: str) -> bool:
        return line.startswith(_STAGES) or (verbose and bool(line.strip()))

    if not console.is_terminal:
        yield lambda line: console.print(line.rstrip(), markup=False, highlight=False) if stays(line) else None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        row = bar.add_task(task, total=None)

        def update(line: str) -> None:
            if stays(line):
                bar.console.print(Text(line.rstrip()), soft_wrap=True)
            if line.startswith(_STAGES):
                bar.reset(row, description=f"{task} | {line.strip()[:_WIDTH]}")
            elif line.startswith(task):
                bar.update(row, description=line)

        yield update
