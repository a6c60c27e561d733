"""Which tests run a line: a pytest plugin that records it, and what was recorded.

A record is of one folder (or file) of tests and holds coverage by test (the package coverage), seconds by test, and the
sources that were run. Lines of newer sources are found by what they say: changed ones take the tests of the lines around.
"""

from __future__ import annotations

import ast
import difflib
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
        if report.when == "call" and report.passed:
            self._seconds[report.nodeid] = report.duration

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        self._coverage.save()
        (self._folder / "seconds.json").write_text(json.dumps(self._seconds), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Record what this run covers."""
    config.pluginmanager.register(Recorder(Path(os.environ[_ASKED])))


def record(root: Path, tests: str, folder: Path) -> None:
    """Run a folder of ``tests`` on the sources of ``root``, and keep in ``folder`` what they cover; failures cover nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copytree(root / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    paths = os.pathsep.join((str(folder / "src"), *filter(None, [os.environ.get("PYTHONPATH")])))
    environment = {**os.environ, "PYTHONPATH": paths, _ASKED: str(folder), "BITSMITH_SAME_EXAMPLES": "1"}
    plugins = ("-p", "tests.mutants.covering", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", *plugins, "-m", FAST_AND_CI, f"tests/{tests}"]
    subprocess.run(
        command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    if not (folder / "seconds.json").exists():
        raise RuntimeError(f"the tests of tests/{tests} did not run: {' '.join(command)}")


class Covering:
    """What records say of lines."""

    def __init__(self, folders: Sequence[Path]) -> None:
        from coverage import CoverageData

        self._folders = folders
        self.seconds: dict[str, float] = {}
        self._data: list[CoverageData] = []
        for folder in folders:
            self.seconds |= json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
            data = CoverageData(str(folder / "coverage"))
            data.read()
            self._data.append(data)

    def of(self, file: str, text: str, line: int) -> list[str]:
        """The tests that run a line of ``bitsmith/file``, which reads ``text`` now; those that run its file if it runs on import.

        Those of the same folder come first, and a few variants of each before all others; otherwise the fastest.
        """
        found: set[str] = set()
        for folder, data in zip(self._folders, self._data, strict=True):
            path = folder / "src" / "bitsmith" / file
            if path.exists():
                contexts = _contexts(data, str(path))
                here = {test for each in _lines_before(path, text, line) for test in contexts.get(each, ())}
                found |= here if here != {""} else {test for tests in contexts.values() for test in tests}
        variants: Counter[str] = Counter()
        order = list[tuple[int, bool, int, str]]()
        for test in sorted(found & self.seconds.keys(), key=self.seconds.__getitem__):
            function = test.partition("[")[0]
            order.append(
                (variants[function] // 3, not test.startswith(f"tests/{file.partition('/')[0]}/"), len(order), test)
            )
            variants[function] += 1
        return [test for *_, test in sorted(order)]


@cache
def _contexts(data: CoverageData, path: str) -> dict[int, list[str]]:
    return data.contexts_by_lineno(path)


def _lines_before(path: Path, text: str, line: int) -> list[int]:
    """Where the statement of line ``line`` of ``text`` begins in the recorded file; if it is new, the lines beside it."""
    before = path.read_text(encoding="utf-8")
    matcher = difflib.SequenceMatcher(None, text.splitlines(), before.splitlines(), False)
    for kind, first, last, start, end in matcher.get_opcodes():
        if first <= line - 1 < last:
            return (
                [_statements(before).get(line - first + start, 0)] if kind == "equal" else [*range(start - 1, end + 2)]
            )
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
