"""Seeded mutants: small plausible mistakes in copies of ``src``, each of which named tests must notice.

A mutant is an entry of one of the ``*.toml`` files here: a file below ``src/bitsmith``, text that occurs in it exactly once,
other text in its place, and tests (files or functions below ``tests``) of which at least one must fail then, and pass without the
mutant. Start with ``make mutants``, or ``python tests/mutants/run.py --only TEXT`` for those whose name or file contains a text.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
ROOT = TESTS.parent
SOURCES = ROOT / "src"

PROCESSES = 2
TIMEOUT_S = 180.0
"""For the tests of one mutant; a mistake may lead to an endless loop."""

ALL_TIMEOUT_S = 3600.0
"""For the tests that failed with a mistake, without one."""

_PYTEST_OK, _PYTEST_FAILED = 0, 1


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake; ``tests`` are pytest's names of tests, from the folder ``tests`` on."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def path(self, sources: Path = SOURCES) -> Path:
        """The file that has the mistake, below a copy of ``src``."""
        return sources / "bitsmith" / self.file

    def mutated(self) -> str:
        """The text of the file with the mistake.

        Raises:
            ValueError: the text to be replaced does not occur exactly once.
        """
        text = self.path().read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has the text of mutant {self.name!r} {text.count(self.old)} times")
        return text.replace(self.old, self.new)


class Verdict(StrEnum):
    """What the tests made of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    SLOW = "took too long"
    BROKEN = "tests did not run"
    WRONG = "tests fail without it, too"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict, how long it took, the end of what pytest wrote, and the names that it gives to the tests that failed."""

    mutant: Mutant
    verdict: Verdict
    seconds: float
    said: str
    failed: frozenset[str] = frozenset()


def read_mutants() -> list[Mutant]:
    """The mutants of all files here, in order."""
    return [
        Mutant(entry["name"], entry["file"], entry["old"], entry["new"], tuple(entry["tests"]))
        for path in sorted(HERE.glob("*.toml"))
        for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", ())
    ]


def run_tests(sources: Path, tests: Iterable[str], timeout_s: float, *options: str) -> tuple[int, str, frozenset[str]]:
    """Exit code and output of pytest on tests of the checkout and a copy of its sources, and the tests that failed.

    Raises:
        subprocess.TimeoutExpired: the tests took longer than ``timeout_s``; all of their processes are ended.
    """
    environment = {**os.environ, "PYTHONPATH": str(sources)}
    cache = sources.parent / "cache"
    plugins = ("-p", "tests.mutants.quick", "-o", f"cache_dir={cache}", "-m", "")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=line", *plugins, *options, *tests]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=timeout_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    last_failed = cache / "v" / "cache" / "lastfailed"
    failed = frozenset(json.loads(last_failed.read_text(encoding="utf-8"))) if last_failed.exists() else frozenset()
    return process.returncode, said, failed


def judge(mutant: Mutant, base: Path) -> Outcome:
    """Whether the tests of ``mutant`` notice it in a copy of the sources ``base``."""
    started = time.perf_counter()
    failed: frozenset[str] = frozenset()
    with tempfile.TemporaryDirectory(prefix="bitsmith-mutant-") as scratch:
        sources = Path(scratch) / "src"
        shutil.copytree(base, sources)
        mutant.path(sources).write_text(mutant.mutated(), encoding="utf-8")
        try:
            code, said, failed = run_tests(sources, [f"tests/{test}" for test in mutant.tests], TIMEOUT_S, "-x")
            verdict = {_PYTEST_OK: Verdict.SURVIVED, _PYTEST_FAILED: Verdict.KILLED}.get(code, Verdict.BROKEN)
        except subprocess.TimeoutExpired:
            verdict, said = Verdict.SLOW, ""
    return Outcome(mutant, verdict, time.perf_counter() - started, said[-2000:], failed)


def checked(outcomes: Sequence[Outcome], base: Path) -> list[Outcome]:
    """The outcomes, after the tests that failed with a mutant were run without one: those that fail then, too, killed nothing."""
    killers = sorted({test for outcome in outcomes for test in outcome.failed})
    if not killers:
        return list(outcomes)
    _, said, failed = run_tests(base, killers, ALL_TIMEOUT_S, "-n", str(PROCESSES))
    return [
        replace(outcome, verdict=Verdict.WRONG, said=said[-2000:]) if outcome.failed & failed else outcome
        for outcome in outcomes
    ]


def judge_all(mutants: Sequence[Mutant], base: Path, console: Console) -> list[Outcome]:
    """The outcomes of all mutants, each told as soon as it is there."""
    outcomes = []
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(PROCESSES) as pool:
        task = progress.add_task("mutants", total=len(mutants))
        futures = [pool.submit(judge, mutant, base) for mutant in mutants]
        try:
            for future in as_completed(futures):
                outcome = future.result()
                outcomes.append(outcome)
                mutant = outcome.mutant
                console.print(
                    f"{outcome.verdict:8} {outcome.seconds:5.1f} s  {mutant.file}: {mutant.name}",
                    style="" if outcome.verdict is Verdict.KILLED else "red",
                    markup=False,
                    highlight=False,
                )
                progress.advance(task)
        finally:
            pool.shutdown(cancel_futures=True)
    return outcomes


def main() -> int:
    """Judge the mutants that are asked for; 0 if all are killed."""
    parser = argparse.ArgumentParser(description="Judge seeded mutants.")
    parser.add_argument("--only", default="", help="those whose name or file contains this")
    parser.add_argument("--list", action="store_true", help="list them and run nothing")
    arguments = parser.parse_args()
    console = Console(soft_wrap=True)
    mutants = [one for one in read_mutants() if arguments.only in one.name or arguments.only in one.file]
    if arguments.list:
        for mutant in mutants:
            console.print(f"{mutant.file}: {mutant.name}", markup=False, highlight=False)
        return 0
    with tempfile.TemporaryDirectory(prefix="bitsmith-mutants-") as scratch:
        base = Path(scratch) / "src"
        shutil.copytree(SOURCES, base, ignore=shutil.ignore_patterns("__pycache__"))
        outcomes = judge_all(mutants, base, console)
        with console.status("those tests without a mutant"):
            outcomes = checked(outcomes, base)
    left = [outcome for outcome in outcomes if outcome.verdict is not Verdict.KILLED]
    for outcome in left:
        console.print(f"\n{outcome.mutant.name}: {outcome.verdict}\n{outcome.said}", markup=False, highlight=False)
    console.print(f"{len(outcomes) - len(left)} of {len(outcomes)} mutants killed")
    return int(bool(left))


if __name__ == "__main__":
    sys.exit(main())
