"""Output of commands: results to standard output, progress and errors to standard error, JSON for machines."""

import json
import shutil
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TextIO

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from bitsmith.cli.wording import worded
from bitsmith.errors import BitsmithError, BitsmithWarning, ConfigProblemsError

OK, FAILED, INTERRUPTED = 0, 1, 130
"""Exit codes; 2 is wrong usage."""

_PIPE_WIDTH = 130


@dataclass(frozen=True, slots=True)
class Terminal:
    """Output of a command: ``show`` for its result, ``working`` for progress; ``verbose`` keeps the lines of tools.

    ``resumes``: started again after an interruption, the command goes on where it stopped.
    """

    as_json: bool
    out: Console
    err: Console
    verbose: bool
    resumes: bool

    def show(self, document: Mapping[str, object], *renderables: RenderableType) -> None:
        """The result: as a document for machines, or rendered for people; text is not broken into lines."""
        if self.as_json:
            with _standard_output():
                sys.stdout.write(json.dumps(document, indent=1) + "\n")
            return
        self.begin(*renderables)

    def begin(self, *renderables: RenderableType) -> None:
        """The first part of a result, for people who wait for the rest; machines get one document at the end."""
        with _standard_output():
            for renderable in () if self.as_json else renderables:
                self.out.print(renderable, soft_wrap=isinstance(renderable, Text))

    def note(self, notes: Iterable[str]) -> None:
        """Notes on a result, on standard error; silent for machines."""
        for text in () if self.as_json else notes:
            self.err.print(Text(f"note: {text}"), soft_wrap=True)

    def fail(self, parts: Mapping[str, str], message: str) -> None:
        """An error: a message, and for machines its parts."""
        if self.as_json:
            with suppress(OSError), _standard_output():  # the message below says what there is no room for
                sys.stdout.write(json.dumps({"error": parts}, indent=1) + "\n")
        self.err.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)

    @contextmanager
    def working(self, task: str) -> Iterator[None]:
        """Progress of ``task``; silent for machines."""
        from bitsmith.report.live import working

        with working(task, (lambda line: None) if self.as_json else None, console=self.err, verbose=self.verbose):
            yield


@contextmanager
def _standard_output() -> Iterator[None]:
    """Writes to standard output, all of it before this ends; an error names it."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ends with a message where a command is interrupted that has done nothing yet."""
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def command(as_json: bool, *, verbose: bool = False, resumes: bool = False) -> Iterator[Terminal]:
    """Runs a command's body; an error raised on purpose becomes a message and exit code 1."""
    width = None if sys.stdout.isatty() else shutil.get_terminal_size((_PIPE_WIDTH, 1)).columns
    terminal = Terminal(as_json, Console(width=width), Console(stderr=True), verbose, resumes)

    usual = warnings.showwarning

    def shown(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, BitsmithWarning):
            usual(message, category, filename, lineno, file, line)
            return
        terminal.err.print(Text.assemble(("warning: ", "bold yellow"), str(message)), soft_wrap=True)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", BitsmithWarning)
            warnings.showwarning = shown
            yield terminal
    except BitsmithError as error:
        terminal.fail(error_document(error), said(error))
        raise typer.Exit(FAILED) from None
    except BrokenPipeError:
        raise  # the reader of our output has seen enough
    except OSError as error:
        terminal.fail({"type": type(error).__name__, "found": str(error)}, str(error))
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        again = "goes on where this one stopped" if terminal.resumes else "starts from the beginning"
        stopped = f"interrupted; no file is half written, and the same command {again}"
        terminal.fail({"type": "Interrupted", "found": stopped}, stopped)
        raise typer.Exit(INTERRUPTED) from None


def said(error: BitsmithError) -> str:
    """The message of an error in the words of the command line."""
    return error.told(worded)


def error_document(error: BitsmithError) -> dict[str, str]:
    """An error as plain values."""
    return {
        "type": type(error).__name__,
        "found": error.told(worded) if isinstance(error, ConfigProblemsError) else error.found,
        "where": error.where,
        "accepted": error.accepted,
        "remedy": worded(error.remedy),
    }
