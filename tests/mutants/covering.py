"""Which tests run a line: a pytest plugin that records it, and what was recorded.

A record is of some files of tests, which it knows by digests of their contents. It holds coverage by test (the package
coverage), seconds by test, and the sources that were run. A file of tests that has changed since is recorded again, alone.
Lines of newer sources are found by what they say: changed ones take the tests of the lines around.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from coverage import CoverageData

FAST_AND_CI = "ci or not (slow or tools)"
_ASKED = "BITSMITH_COVERAGE"


class Recorder:
    """Switches coverage's context with each test, and keeps how long each takes."""

    def __init__(self, folder: Path) -> None:
        from coverage import Coverage  # which only runs of mutants need

        self._folder = folder
        self._seconds: dict[str, float] = {}
        self._useless: set[str] = set()
        source = [os.environ["PYTHONPATH"].partition(os.pathsep)[0]]
        self._coverage = Coverage(data_file=folder / "coverage", source=source, config_file=False, messages=False)
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration
        if not report.passed:
            self._useless.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        self._coverage.save()
        seconds = {test: value for test, value in self._seconds.items() if test not in self._useless}
        (self._folder / "seconds.json").write_text(json.dumps(seconds), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Record what this run covers."""
    config.pluginmanager.register(Recorder(Path(os.environ[_ASKED])))


def digest(path: Path) -> str:
    """A digest of the contents of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def record(root: Path, tests: Sequence[str], folder: Path) -> None:
    """Run files of ``tests`` on the sources of ``root``, and keep in ``folder`` what they cover; failures cover nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    digests = {test: digest(root / test) for test in tests}
    shutil.copytree(root / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    paths = os.pathsep.join((str(folder / "src"), *filter(None, [os.environ.get("PYTHONPATH")])))
    environment = {**os.environ, "PYTHONPATH": paths, _ASKED: str(folder), "BITSMITH_SAME_EXAMPLES": "1"}
    plugins = ("-p", "tests.mutants.covering", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", *plugins, "-m", FAST_AND_CI, *tests]
    subprocess.run(
        command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    if not (folder / "seconds.json").exists():
        raise RuntimeError(f"these tests did not run: {' '.join(command)}")
    # Last, so that a record that was interrupted has none.
    (folder / "tests.json").write_text(json.dumps(digests), encoding="utf-8")


def records(kept: Path) -> dict[Path, dict[str, str]]:
    """The records below a folder that are whole, each with the digests of its files of tests."""
    found = sorted(kept.glob("*/tests.json"))
    return {path.parent: json.loads(path.read_text(encoding="utf-8")) for path in found}


def record_changed(root: Path, tests: Sequence[str], kept: Path, name: str) -> None:
    """Record those of ``tests`` that no record below ``kept`` knows as they are; drop records that know none as it is."""
    known = records(kept)
    fresh = {path: {test for test in own if (root / test).exists() and digest(root / test) == own[test]}
             for path, own in known.items()}  # fmt: skip
    left = sorted(set(tests).difference(*fresh.values()))
    if not left:
        return
    for path, own in fresh.items():
        if not own:
            shutil.rmtree(path)
    part = hashlib.sha256("".join(test + digest(root / test) for test in left).encode()).hexdigest()[:12]
    record(root, left, kept / f"{name}-{part}")


class Covering:
    """What records say of lines."""

    def __init__(self, root: Path, kept: Path) -> None:
        from coverage import CoverageData

        self.seconds: dict[str, float] = {}
        self._data: list[tuple[Path, CoverageData, set[str]]] = []
        for folder, digests in records(kept).items():
            fresh = {test for test, old in digests.items() if (root / test).exists() and digest(root / test) == old}
            seconds: dict[str, float] = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
            own = {test: value for test, value in seconds.items() if test.partition("::")[0] in fresh}
            data = CoverageData(str(folder / "coverage"))
            data.read()
            self.seconds |= own
            self._data.append((folder, data, own.keys() | {""}))

    def of(self, file: str, text: str, line: int) -> list[str]:
        """The tests that run a line of ``bitsmith/file``, which reads ``text`` now.

        A line that runs on import has those that run its file, and all of its folder, which may use a table that it makes.
        A few variants of each come before all others; otherwise the fastest.
        """
        found, near = set[str](), set[str]()
        for folder, data, own in self._data:
            path = folder / "src" / "bitsmith" / file
            if path.exists():
                contexts = _contexts(data, file)
                here = {test for each in _lines_before(path, text, line) for test in contexts.get(each, ())}
                if here == {""}:
                    here = {test for tests in contexts.values() for test in tests}
                    near |= {test for test in own if test.startswith(own_folder(file))}
                found |= own & here
        return [*self._ordered(found - {""}), *self._ordered(near - found - {""})]

    def of_files(self, tests: Sequence[str]) -> list[str]:
        """The tests of files of tests, in the same order, for a file that coverage does not see."""
        return self._ordered({test for test in self.seconds if test.partition("::")[0] in set(tests)})

    def _ordered(self, tests: set[str]) -> list[str]:
        variants: Counter[str] = Counter()
        order = list[tuple[int, int, str]]()
        for test in sorted(tests, key=self.seconds.__getitem__):
            function = test.partition("[")[0]
            order.append((variants[function] // 3, len(order), test))
            variants[function] += 1
        return [test for *_, test in sorted(order)]


def own_folder(file: str) -> str:
    """Where the names of tests begin that mirror the folder of a file; those of the package's own files are in no folder."""
    folder, inside, _ = file.partition("/")
    return f"tests/{folder}/" if inside else "tests/test_"


@cache
def _contexts(data: CoverageData, file: str) -> dict[int, list[str]]:
    """The tests of each line of a file, wherever the record was made."""
    found = (path for path in data.measured_files() if path.endswith(f"/src/bitsmith/{file}"))
    return data.contexts_by_lineno(next(found, ""))


def _lines_before(path: Path, text: str, line: int) -> list[int]:
    """Line ``line`` of ``text`` in the recorded file, and where its statement begins; if it is new, the lines beside it."""
    before = path.read_text(encoding="utf-8")
    matcher = difflib.SequenceMatcher(None, text.splitlines(), before.splitlines(), False)
    for kind, first, last, start, end in matcher.get_opcodes():
        if first <= line - 1 < last:
            old = line - first + start
            # A function within a statement of several lines runs at its own.
            return [old, _statements(before).get(old, 0)] if kind == "equal" else [*range(start - 1, end + 2)]
    return []


@cache
def _statements(text: str) -> dict[int, int]:
    """The first line of the innermost statement of each line."""
    found = dict[int, int]()
    for node in ast.walk(ast.parse(text)):  # which gives what is outside first
        if isinstance(node, ast.stmt | ast.match_case):
            inside = getattr(node, "body", None)
            first = node.lineno if isinstance(node, ast.stmt) else node.pattern.lineno
            end = (
                max(inside[0].lineno - 1, first) if inside else node.end_lineno if isinstance(node, ast.stmt) else first
            )
            found |= dict.fromkeys(range(first, (end or first) + 1), first)
    return found
