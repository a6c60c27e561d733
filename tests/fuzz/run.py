"""Fuzzes every reader: `make fuzz`, or ``python -m tests.fuzz.run --minutes 10 --readers onnx torch``.

Cases are run in worker processes with limits of processor time and memory. What a reader gives for a file is a result or one of
our errors; anything else, as well as more than 20 seconds or 2 GiB, is a finding: the case is kept in a folder, once for each
place in the code. Put it into ``tests/fuzz/corpus/READER/NAME`` when it is mended: ``test_fuzz.py`` reads it ever after.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import io
import itertools
import multiprocessing
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from bitsmith.errors import BitsmithError
from tests.fuzz.mutate import mutated
from tests.fuzz.readers import CASE, FUZZED, Case, Reader

SECONDS = 20
BYTES = 2 << 30
_WAIT_S = 300
"""For a case that sleeps, which uses no processor time."""

_BATCH = 200


def make_case(seeds: Sequence[Case], seed: str) -> Case:
    """The case of a seed: one of the ``seeds`` with one of its files changed, most often the first."""
    random = Random(seed)
    case = dict(random.choice(seeds))
    names = list(case)
    name = names[0] if random.random() < 0.85 else random.choice(names)
    return {**case, name: mutated(name, case[name], random)}


def written(case: Case, folder: Path) -> Path:
    """The case as files in a fresh folder; the path of the first."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in case.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / next(iter(case))


def complaint(reader: Reader, path: Path) -> str | None:
    """What is wrong with how a reader takes a file: the error, and where it comes from; None if nothing is."""
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            reader.read(path)
    except BitsmithError:
        return None
    except (Exception, SystemExit) as error:
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/bitsmith/" in frame.filename]
        place = ours[-1] if ours else None
        where = f"{place.filename.rpartition('/bitsmith/')[2]}:{place.lineno} {place.name}" if place else "?"
        return f"{type(error).__name__} at {where}: {str(error)[:200]}"
    return None


def _limit() -> None:
    """Limits of this process: so much memory beyond what it has, and of processor time for a case."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime)
    resource.setrlimit(resource.RLIMIT_CPU, (spent + SECONDS + 1, resource.RLIM_INFINITY))


def _work(name: str, seeds: Sequence[Case], cases: Sequence[str], folder: Path, pipe: Connection) -> None:
    """Run the ``cases``, written to ``folder``; each is announced, so that the one that ends this process is known.

    After a finding it waits until the files have been copied. The other process makes no case itself: it has no limits.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.disable()
    before = Path("/proc/self/statm")
    has = int(before.read_text().split()[0]) * resource.getpagesize() if before.exists() else 1 << 30
    resource.setrlimit(resource.RLIMIT_AS, (has + BYTES, has + BYTES))
    reader = FUZZED[name]
    for case in cases:
        _limit()
        pipe.send((case, ""))
        found = complaint(reader, written(make_case(seeds, case), folder))
        if found:
            pipe.send((case, found))
            pipe.recv()
    pipe.send(("", ""))


@dataclass(slots=True)
class Findings:
    """What was found, each place in the code once; cases are written to ``folder``."""

    folder: Path
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, files: Path, case: str, found: str) -> None:
        """Keep the ``files`` of a case, if it is the first of its kind."""
        kind = f"{name}: {found.partition(': ')[0]}"
        self.seen[kind] += 1
        if self.seen[kind] == 1:
            place = self.folder / name / hashlib.sha256(kind.encode()).hexdigest()[:8]
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(files, place)
            sys.stdout.write(f"{name}: {found}\n  seed {case!r}, kept in {place}\n")
            sys.stdout.flush()


def fuzz(name: str, seeds: Sequence[Case], cases: Sequence[str], findings: Findings) -> int:
    """Run cases in workers, one after the other; the number of those that have run."""
    done = 0
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / CASE
        while done < len(cases):
            done += _watch(name, seeds, cases[done:], folder, findings)
    return done


def _watch(name: str, seeds: Sequence[Case], cases: Sequence[str], folder: Path, findings: Findings) -> int:
    """Run cases in one worker, until it ends or has to be ended; the number of those that have run."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    worker = context.Process(target=_work, args=(name, seeds, cases, folder, theirs), daemon=True)
    worker.start()
    theirs.close()
    now, done = "", 0
    try:
        while ours.poll(_WAIT_S):
            case, found = ours.recv()
            if not case:
                worker.join()
                return len(cases)
            if found:
                findings.add(name, folder, case, found)
                ours.send(None)
            else:
                now, done = case, done + 1
    except (EOFError, ConnectionError):
        pass
    worker.join(0.2)
    code = worker.exitcode
    worker.kill()
    worker.join()
    findings.add(name, folder, now, _ended(code))
    return done


def _ended(code: int | None) -> str:
    """How a worker ended that should not have."""
    if code == -signal.SIGXCPU:
        return f"is killed by SIGXCPU: after {SECONDS} s of processor time"
    if code is not None and code < 0:
        return f"is killed by {signal.Signals(-code).name}"
    return "waits" if code is None else f"exits with {code}"


def main() -> int:
    """Fuzz for so many minutes of processor time in all; the exit code is 1 if anything was found."""
    parser = argparse.ArgumentParser(description="Fuzz every reader.")
    parser.add_argument("--minutes", type=float, default=10.0, help="of processor time, for all readers together")
    parser.add_argument("--readers", nargs="*", choices=sorted(FUZZED), default=[*FUZZED])
    parser.add_argument("--seed", default=time.strftime("%Y-%m-%d"), help="another one gives other cases")
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="the folder for findings")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # of archives with members of the same name, which are made on purpose
    findings, counts, spent = Findings(asked.found), Counter[str](), dict.fromkeys(asked.readers, 0.0)
    seeds = {name: list(FUZZED[name].seeds()) for name in asked.readers}
    for turn in itertools.count():
        # Whoever has used least is next: all readers get the same time.
        name = min(asked.readers, key=spent.__getitem__)
        cases = [f"{asked.seed}-{name}-{turn}-{number}" for number in range(_BATCH)]
        before = _children_seconds()
        counts[name] += fuzz(name, seeds[name], cases, findings)
        spent[name] += _children_seconds() - before
        if turn % len(asked.readers) == 0 or sum(spent.values()) >= 60 * asked.minutes:
            ran = ", ".join(f"{each} {count}" for each, count in counts.items())
            found, seconds = len(findings.seen), sum(spent.values())
            sys.stdout.write(f"{found} findings in {seconds:.0f} s of processor time; cases: {ran}\n")
            sys.stdout.flush()
        if sum(spent.values()) >= 60 * asked.minutes:
            break
    return int(bool(findings.seen))


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
