"""Runs the slow and tools tests that CI leaves out, over several runs: ``python -m tests.slow_runs --minutes 60``.

``slow_runs.tsv`` has a line for each file of tests: how many it has, how many ran at which commit, seconds of processor time.
Files come first that are not complete or have failed at another commit, the cheapest first, then those of the oldest commits.
A later run goes on where one has ended, also at another commit: the record names the first. A file begins again if a test of it
failed at another commit, or if its tests are more or fewer.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from xml.etree import ElementTree

RECORD = Path(__file__).with_suffix(".tsv")
_HEADER = "file\ttests\tpassed\tfailed\tskipped\tseconds\tcommit\n"
_LONG_S = 300
"""Seconds after which tests of a file make way for others: a process ends with the test in which they end."""


@dataclass(frozen=True)
class Row:
    """Counts of a file's tests, and of the first of these that ran, with seconds of processor time."""

    file: str
    tests: int
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0
    commit: str = "-"

    @property
    def ran(self) -> int:
        """Count the tests that ran."""
        return self.passed + self.failed + self.skipped

    @property
    def whole_s(self) -> float:
        """Seconds of all tests, as far as these are known."""
        return self.seconds / self.ran * self.tests if self.ran else _LONG_S


def read(record: Path) -> dict[str, Row]:
    """Rows of a record, by file; none if there is no record."""
    cells = [line.split("\t") for line in record.read_text().splitlines()[1:]] if record.exists() else []
    return {c[0]: Row(c[0], int(c[1]), int(c[2]), int(c[3]), int(c[4]), float(c[5]), c[6]) for c in cells}


def write(record: Path, rows: Collection[Row]) -> None:
    """Write the record of rows."""
    lines = ("\t".join(map(str, astuple(row))) + "\n" for row in sorted(rows, key=lambda row: row.file))
    record.write_text(_HEADER + "".join(lines))


def state(rows: Collection[Row]) -> str:
    """Counts of tests that passed, failed and were skipped, and of files that have others."""
    passed, failed, skipped, tests = (
        sum(getattr(row, name) for row in rows) for name in ("passed", "failed", "skipped", "tests")
    )
    files = sum(row.ran < row.tests for row in rows)
    return f"{passed} of {tests} tests passed, {failed} failed, {skipped} skipped, {files} files open"


def ordered(rows: Collection[Row], commits: Sequence[str]) -> list[Row]:
    """Rows to run, next one first, of ``commits`` from the present one to the oldest."""
    age = {commit: number for number, commit in enumerate(commits)}

    def rank(row: Row) -> tuple[bool, int, float, int]:
        complete = row.ran == row.tests and not row.failed
        return complete, -age.get(row.commit, len(age)) if complete else 0, row.whole_s, -row.tests

    return sorted((row for row in rows if row.ran < row.tests or row.commit != commits[0]), key=rank)


def _pytest(tests: Sequence[str], *options: str) -> tuple[list[str], float]:
    """Lines that pytest prints of tests, and seconds of processor time, of all its programs."""
    with TemporaryDirectory() as folder:
        names = Path(folder, "tests")
        names.write_text("\n".join(tests))
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, f"@{names}"]
        with subprocess.Popen(command, cwd=RECORD.parents[1], stdout=subprocess.PIPE, text=True) as process:
            printed = process.stdout.read().splitlines() if process.stdout else []
            usage = os.wait4(process.pid, 0)[2]
    return printed, usage.ru_utime + usage.ru_stime


def run(row: Row, names: Sequence[str], commit: str) -> Row:
    """Run further tests of a row, or all again if one failed at another commit; prints what pytest says of bad ones."""
    if row.commit != commit and (row.failed or row.ran in {0, row.tests}):
        row = Row(row.file, row.tests, commit=commit)
    names = names[row.ran :]
    with TemporaryDirectory() as folder:
        results = Path(folder, "results.xml")
        limits = ("--timeout=7200", f"--session-timeout={_LONG_S}")
        printed, seconds = _pytest(names, "-m", "", "-rs", "--tb=short", *limits, f"--junitxml={results}")
        cases = list(ElementTree.parse(results).iter("testcase")) if results.exists() else []
    skipped, passed = sum(case.find("skipped") is not None for case in cases), sum(not len(case) for case in cases)
    failed = (len(cases) or len(names)) - passed - skipped  # without results the process has died
    row = replace(row, passed=row.passed + passed, failed=row.failed + failed, skipped=row.skipped + skipped)
    row = replace(row, seconds=round(row.seconds + seconds))
    sys.stdout.write("\n".join([*(printed if failed or skipped else ()), " ".join(map(str, astuple(row))), ""]))
    sys.stdout.flush()
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what comes next; the exit code is 1 if a test of the record has failed."""
    parser = argparse.ArgumentParser(description="Run slow and tools tests that CI leaves out, and record them.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--jobs", type=int, default=1, help="files at a time")
    asked = parser.parse_args(arguments)
    until = time.monotonic() + 60 * asked.minutes
    commits = subprocess.check_output(["git", "log", "--format=%h"], cwd=RECORD.parent, text=True).split()
    files: dict[str, list[str]] = {}
    for name in _pytest(
        ["tests"], "-o", "addopts=", "-q", "-m", "(slow or tools) and (spare or not ci)", "--collect-only"
    )[0]:
        if "::" in name:
            files.setdefault(name.partition("::")[0], []).append(name)
    known, lock = read(RECORD), Lock()
    rows = {
        name: known[name] if name in known and known[name].tests == len(tests) else Row(name, len(tests))
        for name, tests in files.items()
    }
    waiting = dict(rows)

    def work(_: int) -> None:
        while time.monotonic() < until:
            with lock:
                following = ordered(waiting.values(), commits)
                if not following:
                    return
                row = waiting.pop(following[0].file)
            row = run(row, files[row.file], commits[0])
            with lock:
                rows[row.file] = waiting[row.file] = row
                write(RECORD, rows.values())

    with ThreadPoolExecutor(asked.jobs) as pool:
        list(pool.map(work, range(asked.jobs)))
    sys.stdout.write(f"{state(rows.values())}\n")
    return int(any(row.failed for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
