"""Which tests run a line: a pytest plugin that records it, and what was recorded.

A record is of some files of tests, which it knows by digests of their contents. It holds coverage by test (the package
coverage), the files of other languages that each test opens, processor seconds by test, and the sources that were run. Lines
that a fixture of several tests runs belong to each of these tests. Caches are emptied before each test, so that the first one
does not run lines for all others. A file of tests that has changed since is recorded again, alone. Lines of newer sources are
found by what they say: changed ones take the tests of the lines around.
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
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import _lru_cache_wrapper, cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from coverage import CoverageData

FAST_AND_CI = "ci or not (slow or tools)"
_ASKED = "BITSMITH_COVERAGE"
_FIXTURE = " fixture "


class Recorder:
    """Switches coverage's context with each test or shared fixture; keeps the time of tests, and what contexts open."""

    def __init__(self, folder: Path) -> None:
        from coverage import Coverage  # which only runs of mutants need

        self._folder = folder
        self._seconds: dict[str, float] = {}
        self._useless: set[str] = set()
        self._opened: dict[str, set[str]] = defaultdict(set)
        self._users: dict[str, list[str]] = defaultdict(list)
        self._context = ""
        source = os.environ["PYTHONPATH"].partition(os.pathsep)[0]
        self._coverage = Coverage(data_file=folder / "coverage", source=[source], config_file=False, messages=False)
        self._package = f"{Path(source) / 'bitsmith'}{os.sep}"
        sys.addaudithook(self._hear)
        self._coverage.start()

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        """Keep files of the package that are opened: those of other languages are text that tests write out."""
        path = str(arguments[0]) if event == "open" else ""
        if path.startswith(self._package) and not path.endswith(".pyc"):
            self._opened[path.removeprefix(self._package)].add(self._context)

    def _enter(self, context: str) -> str:
        """Switch to a context, and return the one before."""
        before, self._context = self._context, context
        self._coverage.switch_context(context)
        return before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        _empty_caches()
        for name in getattr(item, "fixturenames", ()):
            self._users[name].append(item.nodeid)
        before, started = self._enter(item.nodeid), _processor_s()
        try:
            return (yield)
        finally:
            self._enter(before)
            self._seconds[item.nodeid] = _processor_s() - started

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
        shared = fixturedef.scope != "function"
        before = self._enter(f"{fixturedef.baseid}{_FIXTURE}{fixturedef.argname}" if shared else self._context)
        try:
            return (yield)
        finally:
            self._enter(before)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self._useless.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        self._coverage.save()
        seconds = {test: value for test, value in self._seconds.items() if test not in self._useless}
        opened = {file: sorted(contexts) for file, contexts in self._opened.items()}
        for name, content in (("seconds", seconds), ("opened", opened), ("users", self._users)):
            (self._folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def _processor_s() -> float:
    """What this process and its children have taken; what others run on the machine at the same time does not count."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _empty_caches() -> None:
    """Forget what functions of the package and of its tests remember."""
    tests = f"{Path.cwd() / 'tests'}{os.sep}"
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "bitsmith" or str(getattr(module, "__file__", "")).startswith(tests):
            for value in list(vars(module).values()):
                if isinstance(value, _lru_cache_wrapper):
                    value.cache_clear()


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


@dataclass(frozen=True, slots=True)
class _Record:
    """A record's folder, and what is known of it: lines, opened files, tests of fixtures, tests that stand as recorded."""

    folder: Path
    data: CoverageData
    opened: Mapping[str, Sequence[str]]
    users: Mapping[str, Sequence[str]]
    own: frozenset[str]

    def tests(self, contexts: Iterable[str]) -> set[str]:
        """The tests of some contexts: those that are tests, and users of those that are fixtures."""
        found = set[str]()
        for context in contexts:
            base, fixture, name = context.partition(_FIXTURE)
            found |= {test for test in self.users.get(name, ()) if test.startswith(base)} if fixture else {context}
        return found & self.own


class Covering:
    """What records say of lines and files."""

    def __init__(self, root: Path, kept: Path) -> None:
        from coverage import CoverageData

        self.seconds: dict[str, float] = {}
        self._records: list[_Record] = []
        for folder, digests in records(kept).items():
            fresh = {test for test, old in digests.items() if (root / test).exists() and digest(root / test) == old}
            seconds, opened, users = (
                json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
                for name in ("seconds", "opened", "users")
            )
            own = {test: value for test, value in seconds.items() if test.partition("::")[0] in fresh}
            data = CoverageData(str(folder / "coverage"))
            data.read()
            self.seconds |= own
            self._records.append(_Record(folder, data, opened, users, frozenset(own)))

    def of(self, file: str, text: str, line: int) -> list[str]:
        """The tests that run a line of ``bitsmith/file``, which reads ``text`` now.

        A line that runs on import has those that run its file, and all of its folder, which may use a table that it makes.
        A few variants of each come before all others; otherwise the fastest.
        """
        found, near = set[str](), set[str]()
        for record in self._records:
            path = record.folder / "src" / "bitsmith" / file
            if path.exists():
                contexts = _contexts(record.data, file)
                here = {test for each in _lines_before(path, text, line) for test in contexts.get(each, ())}
                if here == {""}:
                    here = {test for tests in contexts.values() for test in tests}
                    near |= {test for test in record.own if test.startswith(own_folder(file))}
                found |= record.tests(here)
        return [*self._ordered(found), *self._ordered(near - found)]

    def running(self, file: str) -> list[str]:
        """The tests that run anything of ``bitsmith/file`` beside what its import does, in the same order."""
        lines = (_contexts(record.data, file).values() for record in self._records)
        here = (
            record.tests({test for tests in each for test in tests})
            for record, each in zip(self._records, lines, strict=True)
        )
        return self._ordered(set[str]().union(*here))

    def opening(self, file: str) -> list[str]:
        """The tests that open ``bitsmith/file``, which is of another language, in the same order."""
        return self._ordered(set[str]().union(*(each.tests(each.opened.get(file, ())) for each in self._records)))

    def _ordered(self, tests: set[str]) -> list[str]:
        variants: Counter[str] = Counter()
        order = list[tuple[int, int, str]]()
        for test in sorted(tests, key=lambda test: (self.seconds[test], test)):
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
