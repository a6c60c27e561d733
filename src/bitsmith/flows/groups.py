"""Programs with all their children: started as a group, ended as a group, also when the process that started them is killed.

On POSIX a group is a session of its own, on Windows what psutil finds below a process.

Run as a script, this module watches one: ``groups.py GROUP`` ends it, unless there is a byte on its standard input before the end
of that. The other end of the pipe belongs to the process that started both, so that the death of that is the end.
"""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

GRACE_S = 3.0
"""From the polite end to the other."""


_SHELL = "/bin/sh"
_GATE = 'read -r _ || exit 1; exec "$@" </dev/null'
"""A program that begins with a line on its standard input, and not at all if that ends first."""


def start(argv: Sequence[str], cwd: Path, env: Mapping[str, str], console: int) -> subprocess.Popen[bytes]:
    """A program as the first of a group, which begins when it is `watched`; ``console`` is the descriptor of its log.

    Raises:
        OSError: it cannot be started.
    """
    _check(argv[0], cwd, env)
    return subprocess.Popen(
        argv if sys.platform == "win32" else [_SHELL, "-c", _GATE, argv[0], *argv],
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=console,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def _check(program: str, cwd: Path, env: Mapping[str, str]) -> None:
    """Raise what starting a program would."""
    named = Path(program).name != program
    if shutil.which(cwd / program if named else program, path=env.get("PATH")) is None:
        code = errno.EACCES if named and (cwd / program).exists() else errno.ENOENT
        raise OSError(code, os.strerror(code), program)


def end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a group."""

    def wait() -> None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)

    _end(process.pid, wait)
    process.wait()


@contextmanager
def watched(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let the group begin, and see to it that it ends with this process, if that dies within the context."""
    watch = subprocess.Popen(
        [sys.executable, "-I", *([] if sys.platform == "win32" else ["-S"]), __file__, str(process.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin as gate:
            gate.write(b"\n")
        yield
    finally:
        with suppress(OSError):
            watch.communicate(b".")


def _end(group: int, wait: Callable[[], object]) -> None:
    for forced in (False, True):
        if not _signal(group, forced=forced):
            return
        wait()


def _signal(group: int, *, forced: bool) -> bool:
    """Ask a group to end, or make it; False if there is nothing left of it."""
    if sys.platform == "win32":
        return signal_tree(group, forced=forced)
    try:
        os.killpg(group, signal.SIGKILL if forced else signal.SIGTERM)
    except (ProcessLookupError, PermissionError):  # only dead members are left, which await their parent
        return False
    return True


def signal_tree(root: int, *, forced: bool) -> bool:
    """The same for a process and all below it."""
    import psutil

    try:
        first = psutil.Process(root)
        tree = [*first.children(recursive=True), first]
    except psutil.NoSuchProcess:
        return False
    for each in tree:
        with suppress(psutil.NoSuchProcess):
            (each.kill if forced else each.terminate)()
    return True


if __name__ == "__main__" and not sys.stdin.buffer.read(1):
    _end(int(sys.argv[1]), lambda: time.sleep(GRACE_S))
