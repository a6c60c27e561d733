"""Running external programs, and the shape of a flow.

A flow is data plus functions: `find` (which tools), `files` and `commands` (a pure plan that can be looked at before anything
runs) and `read` (the tools' own reports as a typed result). `execute` is the only place that puts them together. Nothing here
knows what a network is.
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Generic, Protocol, TypeVar

from bitsmith.base import seals
from bitsmith.base.files import open_file
from bitsmith.base.progress import Progress
from bitsmith.errors import ToolFailedError
from bitsmith.flows import groups
from bitsmith.flows.tools import FoundTool

_MOST_STAMP = 100
_POLL_S = 0.1
_ERROR_GRACE_S = 5.0  # for what a tool says about an error after it has named it
_SPOKEN_ERROR = re.compile(
    r"(?i)^(?!\W*(?:warning|info|note)\b).*(?<!\bno )(?<!\b0 )(?<!\bzero )(?<!\bwithout )\b(?:errors?|fatal)\b(?!\W*0\b)"
)
"""Pattern of lines that report an error, and not "0 errors"; too loose to tell whether a tool has failed."""


@dataclass(frozen=True, slots=True)
class Made:
    """A program that commands make, and the file ``stamp`` whose name tells of what.

    The stamp holds a seal on the program: one that was not made here, by this user, is made again. Makefiles do not ask.
    """

    program: Path
    stamp: Path

    def holds(self) -> bool:
        """Return True if the program is what this user's commands made of the same things."""
        try:
            with open_file(self.stamp) as stamp:
                return seals.holds(stamp.read(_MOST_STAMP).decode("ascii", "replace"), *self._sealed())
        except OSError:
            return False

    def note(self) -> None:
        """Seal the program."""
        self.stamp.write_bytes(seals.seal(*self._sealed()).encode())

    def _sealed(self) -> tuple[str, bytes]:
        with open_file(self.program) as program:
            return self.stamp.name, hashlib.file_digest(program, "sha256").digest()


@dataclass(frozen=True, slots=True)
class Command:
    """One call of one program, as a value.

    Args:
        argv: program and arguments; paths inside the project are relative to ``cwd`` (the WebAssembly tools see a
            private folder in place of /tmp, so that absolute paths do not always mean the same to them).
        cwd: the folder it runs in.
        log: the file that ends up holding what the tool said.
        env: variables set besides the inherited ones.
        outputs: files it makes. They are removed before it starts and whenever it does not end well, so that a
            half-written one is never taken for a result.
        writes_log: the tool writes ``log`` itself; its console text goes beside it, into ``*.console``.
        error_pattern: what the tool's error lines look like.
        errors_fail: an error line is a failure whatever the exit code, and soon the end of the program.
        watch: called with each line of the log; an exception in it ends the program.
        unless: the command is not run where all of these files exist.
        made: the program that this and the commands beside it make, which is not made again where it is still as it was.
    """

    argv: tuple[str, ...]
    cwd: Path
    log: Path
    env: tuple[tuple[str, str], ...] = ()
    outputs: tuple[Path, ...] = ()
    writes_log: bool = False
    error_pattern: str = r"(?i)\berror\b"
    errors_fail: bool = False
    watch: Progress | None = None
    unless: tuple[Path, ...] = ()
    made: Made | None = None

    @property
    def console(self) -> Path:
        """The file that receives standard output and standard error."""
        return self.log.with_name(self.log.name + ".console") if self.writes_log else self.log

    @property
    def key(self) -> str:
        """Text of the call without its folder: an ingredient of a stage's digest."""
        return json.dumps([self.argv, self.env])


def run(command: Command, progress: Progress | None = None, timeout: float | None = None) -> None:
    """Run a command to its end with its output in its log; ``timeout`` is in seconds.

    On any other end than success (failure, timeout, Ctrl-C, SIGTERM, an exception in ``progress``) its whole process
    group is ended and its outputs are removed; when this process is killed the group is ended, too.

    Raises:
        ToolFailedError: with the command, the path of the log and the log's first error line.
    """
    if command.unless and all(path.exists() for path in command.unless):
        return
    if command.made is not None and command.made.holds():
        return
    command.log.parent.mkdir(parents=True, exist_ok=True)
    for path in (*command.outputs, command.log, command.console):
        path.unlink(missing_ok=True)
    done = False
    try:
        with _terminable():
            with command.console.open("wb") as console:
                process = _start(command, console.fileno())
            try:
                with groups.watched(process):
                    code = _follow(process, command, progress, timeout)
            finally:
                groups.end(process)
        missing = [path for path in command.outputs if not path.exists()]
        if code != 0 or missing or (command.errors_fail and _error_line(command)[0]):
            raise _failure(command, code, missing, timeout)
        if command.made is not None and command.made.program in command.outputs:
            command.made.note()
        done = True
    finally:
        if not done:
            for path in command.outputs:
                path.unlink(missing_ok=True)


@contextmanager
def _terminable() -> Iterator[None]:
    """Lets SIGTERM unwind the stack as Ctrl-C does, so that running programs are ended; where nobody else handles it."""
    usual = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if usual:
        signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        if usual:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _start(command: Command, console: int) -> subprocess.Popen[bytes]:
    try:
        return groups.start(command.argv, command.cwd, {**os.environ, **dict(command.env)}, console)
    except OSError as error:
        raise ToolFailedError(
            f"the program could not be started: {error.strerror}", where=command.argv[0], log=str(command.log)
        ) from error


def _follow(
    process: subprocess.Popen[bytes], command: Command, progress: Progress | None, timeout: float | None
) -> int | None:
    """Report the log's lines as they come; the exit code, or None when the time was over or an error line was enough."""
    deadline = None if timeout is None else time.monotonic() + timeout
    error = re.compile(command.error_pattern) if command.errors_fail else None
    listeners = [listen for listen in (progress, command.watch) if listen is not None]
    reader = _LineReader(command.log)
    while True:
        try:
            code: int | None = process.wait(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            code = None
        ended = code is not None
        if listeners or error is not None:
            for line in reader.lines(final=ended):
                for listen in listeners:
                    listen(line)
                if error is not None and error.search(line):
                    error, grace = None, time.monotonic() + _ERROR_GRACE_S
                    deadline = grace if deadline is None else min(deadline, grace)
        if ended or (deadline is not None and time.monotonic() > deadline):
            return code


class _LineReader:
    """Complete lines of a file that another process is still writing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def lines(self, final: bool) -> list[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []  # the tool has not opened its log yet
        end = len(data) if final else data.rfind(b"\n") + 1
        self._offset += end
        return data[:end].decode(errors="replace").splitlines()


def _failure(command: Command, code: int | None, missing: Sequence[Path], timeout: float | None) -> ToolFailedError:
    is_error, line = _error_line(command)
    if code is None:
        cause = (
            "stopped at an error"
            if command.errors_fail and is_error
            else f"not finished after {timeout:g} s, its time limit"
        )
    elif code < 0:  # on POSIX only
        cause = f"ended by signal {-code} ({signal.strsignal(-code)})"
    elif code > 0:
        cause = f"exit code {code}"
    elif command.errors_fail and is_error:
        cause = "ended as if all were well"
    else:
        cause = f"ended without writing {', '.join(path.name for path in missing)}"
    return ToolFailedError(
        f"{cause}: {line}" if line else cause,
        where=" ".join(command.argv),
        log=str(command.log),
        remedy=f"read the log {command.log}",
    )


def _error_line(command: Command) -> tuple[bool, str]:
    """Return True and the first line of the logs that matches the command's error pattern.

    Else False and the first line that mentions an error in other words or, without one, the last that is not empty.
    """
    last = spoken = ""
    for path in dict.fromkeys((command.log, command.console)):
        if not path.exists():
            continue
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if re.search(command.error_pattern, line):
                    return True, line.strip()
                if not spoken and _SPOKEN_ERROR.search(line):
                    spoken = line.strip()
                last = line.strip() or last
    return False, spoken or last


Before = TypeVar("Before")
After = TypeVar("After")
Result_co = TypeVar("Result_co", covariant=True)


class Flow(Protocol[Result_co]):
    """Work of external tools on a project folder."""

    def find(self) -> tuple[FoundTool, ...]:
        """The tools it needs, also those that are not there."""

    def files(self) -> Mapping[str, str | bytes]:
        """The scripts, settings and data that the commands read: path inside the project -> content; usually none. Pure."""
        return {}

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        """The calls, in order. Pure."""

    def read(self, project: Path, tools: Sequence[FoundTool]) -> Result_co:
        """The result, from the files that the commands wrote."""


@dataclass(frozen=True, slots=True)
class Computed(Flow[After]):
    """Work of this process, without files or commands: a function of the project's folder; ``tools`` made what it uses."""

    compute: Callable[[Path], After]
    tools: tuple[FoundTool, ...] = ()

    def find(self) -> tuple[FoundTool, ...]:
        return self.tools

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        return ()

    def read(self, project: Path, tools: Sequence[FoundTool]) -> After:
        return self.compute(project)


@dataclass(frozen=True, slots=True)
class Converted(Generic[Before, After]):
    """``flow`` with its result converted."""

    flow: Flow[Before]
    convert: Callable[[Before], After]

    def find(self) -> tuple[FoundTool, ...]:
        return self.flow.find()

    def files(self) -> Mapping[str, str | bytes]:
        return self.flow.files()

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        return self.flow.commands(project, tools)

    def read(self, project: Path, tools: Sequence[FoundTool]) -> After:
        return self.convert(self.flow.read(project, tools))


@dataclass(frozen=True, slots=True)
class Chained(Generic[After]):
    """One flow after another, as one with the result of the second; ``extra`` are further files."""

    first: Flow[object]
    second: Flow[After]
    extra: Mapping[str, str]

    def find(self) -> tuple[FoundTool, ...]:
        return (*self.first.find(), *self.second.find())

    def files(self) -> Mapping[str, str | bytes]:
        return {**self.extra, **self.first.files(), **self.second.files()}

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        early = len(self.first.find())
        return (*self.first.commands(project, tools[:early]), *self.second.commands(project, tools[early:]))

    def read(self, project: Path, tools: Sequence[FoundTool]) -> After:
        return self.second.read(project, tools[len(self.first.find()) :])


def inside(project: Path, path: Path) -> str:
    """``path`` as seen from the project folder, for a command that runs there; the whole path if it is on another drive."""
    try:
        return Path(os.path.relpath(path.resolve(), project.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
