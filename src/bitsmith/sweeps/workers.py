"""Workers of sweeps: processes of this machine, or those of a Dask cluster.

Workers are handed files and give files back; nothing of the user's code or memory goes to them. Each trial is a process of its
own, so that one that is killed takes no other with it.
"""

import importlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from bitsmith.config.reading import integer
from bitsmith.errors import ToolFailedError, ToolMissingError
from bitsmith.sweeps.trial import LOG, RESULT, TRIALS, Trial

_POLL_S, _MOST = 0.1, 1 << 10


class Client(Protocol):
    """The methods of a ``distributed.Client`` that are used."""

    def get_executor(self, **options: object) -> Executor:
        """An executor whose functions run on the workers."""

    def nthreads(self) -> Mapping[str, int]:
        """Threads of each worker."""

    def close(self) -> None:
        """Leave the cluster."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Trials that run at the same time: ``start`` one, as many as there are ``slots``."""

    start: Callable[[Trial], Future[bytes]]
    slots: Callable[[], int]


@contextmanager
def workers(folder: Path, count: int | None, cluster: str | Client | None) -> Iterator[Workers]:
    """Workers for the sweep in ``folder``: ``count`` processes here (by default one per core), or those of a Dask cluster.

    Raises:
        ConfigError: a count of none.
        ToolMissingError: Dask is not installed, or its scheduler is not there.
    """
    if cluster is None:
        ended, most = threading.Event(), os.cpu_count() or 1
        if count is not None:
            most = integer(count, "workers", 1, _MOST)
        with ThreadPoolExecutor(most) as pool:
            try:
                yield Workers(lambda trial: pool.submit(evaluate, str(folder), trial, ended), lambda: most)
            finally:
                ended.set()
                pool.shutdown(wait=True, cancel_futures=True)
        return
    client = _client(cluster) if isinstance(cluster, str) else cluster
    run = client.get_executor(pure=False)
    try:
        yield Workers(
            lambda trial: run.submit(evaluate, str(folder), trial), lambda: max(sum(client.nthreads().values()), 1)
        )
    finally:
        run.shutdown(wait=False)  # which cancels what has not begun
        if isinstance(cluster, str):
            client.close()


def _client(address: str) -> Client:
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise ToolMissingError(
            "the package distributed is not installed", where="Dask", remedy="pip install 'bitsmith[sweep]'"
        ) from error
    try:
        return cast("Client", distributed.Client(address))
    except (OSError, ValueError) as error:
        raise ToolMissingError(
            f"no scheduler answers ({error})",
            where=address,
            accepted="the address that `dask scheduler` says, such as tcp://host:8786",
        ) from error


def evaluate(folder: str, trial: Trial, ended: threading.Event | None = None) -> bytes:
    """Run a trial and return its result, in the sweep's folder where this machine sees it, else in a scratch folder.

    Raises:
        ToolFailedError: its process ended without a result.
    """
    if all(_has(Path(folder) / path, content) for path, content in trial.placed.items()):
        return _run(Path(folder) / TRIALS / trial.name, ended)
    with tempfile.TemporaryDirectory(prefix="bitsmith-") as scratch:
        for path, content in trial.placed.items():
            (Path(scratch) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(scratch) / path).write_bytes(content)
        return _run(Path(scratch) / TRIALS / trial.name, ended)


def _has(path: Path, content: bytes) -> bool:
    """Return True if a file has that content."""
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _run(folder: Path, ended: threading.Event | None) -> bytes:
    """The result of the trial in ``folder``, from a process that ends with this one."""
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bitsmith.sweeps.trial", str(folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdin is not None
        with process.stdin:
            while (code := _code(process)) is None:
                if ended is not None and ended.is_set():
                    break
        process.wait()
    if code != 0:
        last = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise ToolFailedError(f"ended without a result: {''.join(last)}", where=str(folder), log=str(folder / LOG))
    return (folder / RESULT).read_bytes()


def _code(process: subprocess.Popen[bytes]) -> int | None:
    """The exit code of a process; None while it runs."""
    try:
        return process.wait(timeout=_POLL_S)
    except subprocess.TimeoutExpired:
        return None
