"""Progress on a terminal during long work: the step, for how long, and how long it is expected to take."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from bitsmith.base.progress import Kind, Progress, heard, listening

_WIDTH = 100


@contextmanager
def working(
    task: str, progress: Progress | None = None, *, console: Console | None = None, verbose: bool = False
) -> Iterator[None]:
    """A spinner on standard error with the step and its time; the lines of a build's stages stay.

    Where it is not a terminal there are these lines alone. Work within other work is a step of that.

    Args:
        progress: called with each line, in place of all this.
        verbose: let all lines stay, those of tools as well.
    """
    if progress is not None:
        with listening(lambda line, kind: progress(line)):
            yield
        return
    if heard():
        yield
        return
    console = console or Console(stderr=True)
    if console.is_jupyter:
        console = Console(force_jupyter=False, force_terminal=False)  # plain lines in one output, and not as errors

    def stays(line: str, kind: Kind) -> bool:
        return kind is Kind.STAGE or (verbose and bool(line.strip()))

    def printed(line: str, kind: Kind) -> None:
        if stays(line, kind):
            console.print(line.rstrip(), markup=False, highlight=False)

    if not console.is_terminal:
        with listening(printed):
            yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        row = bar.add_task(task, total=None)

        def update(line: str, kind: Kind) -> None:
            if stays(line, kind):
                bar.console.print(Text(line.rstrip()), soft_wrap=True)
            text = f"{task} | {line.strip()[:_WIDTH]}"
            if kind is Kind.STAGE:
                bar.reset(row, description=text)
            elif kind is Kind.STEP:
                bar.update(row, description=text, refresh=True)

        with listening(update):
            yield
