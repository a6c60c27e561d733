"""Random mutants: small mistakes anywhere in the sources, and the share of them that fast and CI tests find, by room.

``python -m tests.mutants.sample --changed main`` takes mistakes of files that were changed since a revision, ``--per-room 6`` so
many of the other files of each room (a folder of ``src/bitsmith``, or the compiled solver). Each is put into a copy of ``src``;
then tests that run its line are started, the fastest first, until one fails. Another is drawn for what does not compile.
What was judged before is not judged again, but what survived is when other tests, or changed ones, run its line. Records of
what tests cover, verdicts and the table are kept outside of the checkout (``--cache``). Mistakes that change nothing that can
be seen are listed with reasons in ``equivalent.toml``.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path

from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.mutants.covering import FAST_AND_CI, Covering, digest, own_folder, record_changed
from tests.mutants.extension import Extension
from tests.mutants.operators import Change, changes
from tests.mutants.run import HERE, ROOT, SOURCES, TESTS, run_tests

SUFFIXES = (".py", ".sv", ".h", ".c", ".cpp", ".hpp")
MOST_TESTS, MOST_FILES = 300, 8
BUDGET_S, LAST_BUDGET_S = 60.0, 600.0
"""The limits of a round of tests: their number, their files, which take time to import, and what they took in their records.

That is two or three times as long as without a record. Long tests often are the strongest: those of random programs. What has
survived runs all others as well, which only the last limit keeps from taking hours.
"""

STARTUP_S, SLOWDOWN = 60.0, 5.0
"""The processor's limit of the tests of a mutant: for starting them, and beside what they take without a mistake."""

WAITING = 5.0
"""The limit by the clock, in times of that: for tests that wait for what never comes."""

_ROOMS = {
    "rtl/lib": "rtl",
    "hls/include": "hls",
    "systems/templates": "systems",
    "rtl/templates": "rtl",
    "flows": "flows",
    "native/src": "netlist",
}
"""The folders of tests of files that are written out or compiled before they run, which are rooms of their own."""

_CALLER = "netlist/native.py"
"""What calls the compiled solver."""

NOTICED = ("killed", "took too long")
SURVIVED, NO_TEST, INVALID = "survived", "no test runs it", "does not compile"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake in a file, named from ``src/bitsmith`` on, or in one of ``native/src``."""

    file: str
    change: Change
    text: str

    @property
    def room(self) -> str:
        """The folder of the file; of frontends the framework's, of what is written out or compiled that one."""
        written = _written(self.file)
        if written is not None:
            return written
        parts = self.file.split("/")
        return "/".join(parts[: 2 if parts[0] == "frontends" and len(parts) > 2 else 1]) if len(parts) > 1 else "."

    @property
    def lines(self) -> tuple[str, str]:
        """The changed line without and with the mistake."""
        number = self.change.line(self.text) - 1
        return tuple(text.splitlines()[number].strip() for text in (self.text, self.change.applied(self.text)))  # type: ignore[return-value]

    @property
    def key(self) -> str:
        """What tells it from others, wherever its line moves."""
        old, new = self.lines
        return f"{self.file}: {old} -> {new}"


def _written(file: str) -> str | None:
    """The folder of a file that is written out before it runs, None of others."""
    return next((part for part in _ROOMS if file.startswith(f"{part}/")), None)


def _path(file: str) -> Path:
    return (ROOT if file.startswith("native/") else SOURCES / "bitsmith") / file


def mutants_of(file: str) -> list[Mutant]:
    """All mistakes of a file."""
    text = _path(file).read_text(encoding="utf-8")
    return [Mutant(file, change, text) for change in changes(text, Path(file).suffix)]


def files_by_room() -> dict[str, list[str]]:
    """All files that mistakes can be put into."""
    found = defaultdict(list)
    for base, start in ((SOURCES / "bitsmith", SOURCES / "bitsmith"), (ROOT, ROOT / "native" / "src")):
        for path in sorted(start.rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                file = path.relative_to(base).as_posix()
                found[Mutant(file, Change(0, 0, ""), "").room].append(file)
    return found


def changed_files(revision: str) -> set[str]:
    """Files that mistakes can be put into and that differ from where this branch left ``revision``."""
    folders = ("src/bitsmith", "native/src")
    command = ["git", "diff", "--name-only", "--diff-filter=AM", "--merge-base", revision, "--", *folders]
    named = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return {name.removeprefix("src/bitsmith/") for name in named}


def sample(
    rooms: Sequence[str], per_room: int, changed: set[str], per_changed: int, seed: int, invalid: Container[str] = ()
) -> list[Mutant]:
    """So many mistakes of each changed file, and of the others of each room; the same for the same sources and seed.

    Others are drawn for those whose keys are ``invalid``.
    """
    known, taken = equivalents(), list[Mutant]()
    for room, files in files_by_room().items():
        groups = [([file], per_changed) for file in files if file in changed]
        if not rooms or room in rooms:
            groups.append(([file for file in files if file not in changed], per_room))
        for group, count in groups:
            found = [mutant for file in group for mutant in mutants_of(file)] if count else []
            random.Random(f"{seed} {room} {group[:1]}").shuffle(found)
            left = (mutant for mutant in found if mutant.key not in known and mutant.key not in invalid)
            taken += islice(left, count)
    return taken


def equivalents() -> set[str]:
    """The keys of mistakes that change nothing that can be seen."""
    entries = tomllib.loads((HERE / "equivalent.toml").read_text(encoding="utf-8"))["equivalent"]
    return {f"{entry['file']}: {entry['old']} -> {entry['new']}" for entry in entries}


def rounds_of(mutant: Mutant, covering: Covering) -> list[list[str]]:
    """Rounds of tests that may find a mistake: those of its own folder, then of others, the fastest first, then what is left.

    They run its line; if coverage does not see its file, they open that or, of the compiled solver, run what calls it.
    """
    if mutant.file.startswith("native/"):
        found = covering.running(_CALLER)
    else:
        line = mutant.change.line(mutant.text)
        found = covering.of(mutant.file, mutant.text, line) if mutant.file.endswith(".py") else []
        found = found or covering.opening(mutant.file)
    folder = f"tests/{_ROOMS[room]}/" if (room := _written(mutant.file)) else own_folder(mutant.file)
    own = [test for test in found if test.startswith(folder)]
    others = [test for test in found if not test.startswith(folder)]
    first = [_round(tests, covering.seconds) for tests in (own, others) if tests]
    left = [test for test in (*own, *others) if not any(test in tests for tests in first)]
    last = _within(sorted(left, key=covering.seconds.__getitem__), covering.seconds, LAST_BUDGET_S)
    return [*first, last] if last else first


def stamp(rounds: Sequence[Sequence[str]]) -> str:
    """A digest of which tests these are, and of their files."""
    names = [test for tests in rounds for test in tests]
    files = sorted({test.partition("::")[0] for test in names})
    said = [*names, *(digest(ROOT / file) for file in files)]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def _round(tests: Sequence[str], seconds: Mapping[str, float]) -> list[str]:
    """The first of ``tests`` that are within the limits, and at least one."""
    files = {*islice(dict.fromkeys(test.partition("::")[0] for test in tests), MOST_FILES)}
    few = [test for test in tests if test.partition("::")[0] in files][:MOST_TESTS]
    return few[:1] + _within(few[1:], seconds, BUDGET_S - sum(seconds[test] for test in few[:1]))


def _within(tests: Sequence[str], seconds: Mapping[str, float], budget_s: float) -> list[str]:
    """The first of ``tests`` that together take no longer than ``budget_s``."""
    ends = accumulate(seconds[test] for test in tests)
    return [test for test, end in zip(tests, ends, strict=True) if end <= budget_s]


def judge(mutant: Mutant, rounds: Sequence[Sequence[str]], base: Path, covering: Covering, extension: Extension) -> str:
    """What rounds of tests make of a mutant in a copy of the sources ``base``."""
    if not rounds:
        return NO_TEST
    with tempfile.TemporaryDirectory(prefix="bitsmith-mutant-") as scratch:
        sources = Path(scratch) / "src"
        shutil.copytree(base, sources)
        text = mutant.change.applied(mutant.text)
        if not mutant.file.startswith("native/"):
            (sources / "bitsmith" / mutant.file).write_text(text, encoding="utf-8")
        elif not extension.build(Path(mutant.file).name, text, sources):
            return INVALID
        found = NO_TEST
        for tests in rounds:
            seconds = sum(covering.seconds.get(test, BUDGET_S) for test in tests)
            verdict = verdict_of(mutant, sources, base, tests, STARTUP_S + SLOWDOWN * seconds)
            if verdict not in (SURVIVED, NO_TEST):
                return verdict
            found = SURVIVED if SURVIVED in (found, verdict) else NO_TEST
    return found


def verdict_of(mutant: Mutant, sources: Path, base: Path, tests: Sequence[str], limit_s: float) -> str:
    """What some tests make of a mutant that ``sources`` have, and ``base`` has not.

    Tests that are there without the mutant alone have found it: it changes what they are. Others are of an older record.
    """
    try:
        options = ("-x", "--tb=short", "-m", FAST_AND_CI, f"--processor-s={limit_s:.0f}")
        code, said, _ = run_tests(sources, tests, WAITING * limit_s, *options)
    except subprocess.TimeoutExpired:
        return NOTICED[1]
    if code == -signal.SIGXCPU:
        return NOTICED[1]
    if code and not mutant.file.endswith(".py") and compiler_refused(Path(mutant.file).name, said):
        return INVALID
    # Of a test that is named, pytest also says that it is not there where the sources cannot be imported.
    lost = re.search(r"no tests ran|^ERROR: ", said, re.MULTILINE) and "ERROR collecting" not in said
    if code in (0, 1, 2) or not lost:
        return "killed" if code else SURVIVED
    there = collected(base, tests)
    if len(there) == len(tests):
        return "killed"
    return verdict_of(mutant, sources, base, there, limit_s) if there else NO_TEST


def collected(sources: Path, tests: Sequence[str]) -> list[str]:
    """Those of ``tests`` that are there with these sources."""
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    options = ("-o", "addopts=", "--collect-only", "-m", FAST_AND_CI)  # a second -q would count them alone
    _, said, _ = run_tests(sources, files, WAITING * STARTUP_S, *options)
    there = set(said.splitlines())
    return [test for test in tests if test in there]


def compiler_refused(name: str, said: str) -> bool:
    """Whether a compiler says that a file is not of its language; what warnings make of it is a mistake like others."""
    pattern = rf"{re.escape(name)}:\d+(:\d+)?: (fatal )?error: (?!.*\[-W)|%Error: \S*{re.escape(name)}:\d+"
    return re.search(pattern, said) is not None


def judge_all(
    rounds: Mapping[Mutant, Sequence[Sequence[str]]], covering: Covering, cache: Path, processes: int
) -> Iterator[tuple[Mutant, str]]:
    """Mutants and what rounds of tests make of each, as soon as it is known."""
    with tempfile.TemporaryDirectory(prefix="bitsmith-mutants-") as scratch:
        base, extension = Path(scratch) / "src", Extension(ROOT / "native", cache / "native")
        compileall.compile_dir(SOURCES, quiet=2)  # once, not for each mutant
        shutil.copytree(SOURCES, base)
        with ThreadPoolExecutor(processes) as pool:
            futures = {
                pool.submit(judge, mutant, tests, base, covering, extension): mutant for mutant, tests in rounds.items()
            }
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                pool.shutdown(cancel_futures=True)


def _record(tests: str, kept: Path) -> None:
    """Record what a folder (or file) of tests covers, as far as no record knows it."""
    own = TESTS / tests
    files = [own] if own.is_file() else own.glob("test_*.py") if own == TESTS else own.rglob("test_*.py")
    names = [path.relative_to(ROOT).as_posix() for path in files]
    record_changed(ROOT, names, kept, tests.replace("/", "-").replace(".", "_"))


class Verdicts:
    """What tests made of mutants, by key, kept in a file; of those that were not noticed, also the stamp of these tests."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def get(self, key: str) -> str | None:
        """The verdict of a mutant, None if it has none."""
        return self._kept[key][0] if key in self._kept else None

    def stands(self, key: str, tests: str) -> bool:
        """Whether a verdict is known that tests of a stamp would give, too."""
        verdict, by = self._kept.get(key, ("", ""))
        return verdict in (*NOTICED, INVALID) or (verdict != "" and by == tests)

    def put(self, key: str, verdict: str, tests: str) -> None:
        """Keep what tests of a stamp made of a mutant."""
        self._kept[key] = [verdict, tests]
        self._path.write_text(json.dumps(self._kept, indent=0), encoding="utf-8")

    def invalid(self) -> set[str]:
        """The keys of mutants that do not compile."""
        return {key for key, (verdict, _) in self._kept.items() if verdict == INVALID}


def score(mutants: Sequence[Mutant], verdicts: Verdicts) -> Table:
    """The share of mistakes that tests notice, by room."""
    table = Table("room", "mutants", "noticed", SURVIVED, NO_TEST, "share")
    rooms: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant in mutants:
        if verdict := verdicts.get(mutant.key):
            for room in (mutant.room, "all"):
                rooms[room][verdict] += 1
    for room, counts in sorted(rooms.items(), key=lambda item: (item[0] == "all", item[0])):
        total, noticed = counts.total(), sum(counts[each] for each in NOTICED)
        row = (total, noticed, counts[SURVIVED], counts[NO_TEST], f"{noticed / total:.0%}")
        table.add_row(room, *map(str, row))
    return table


def main() -> int:
    """Take a sample, judge it, and say which mistakes survived."""
    folders = [path.name for path in sorted(TESTS.iterdir()) if any(path.glob("test_*.py")) and path != HERE]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", nargs="*", default=[], help="those alone")
    parser.add_argument("--per-room", type=int, default=6)
    parser.add_argument("--changed", default="main", metavar="REVISION", help="since which files are changed ones")
    parser.add_argument("--per-changed", type=int, default=3, help="mistakes of each changed file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--tests", nargs="*", default=[*folders, "."], help="folders or files of tests whose coverage counts"
    )
    parser.add_argument("--cache", type=Path, default=user_cache_path("bitsmith-mutants"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="list the sample and run nothing")
    arguments = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False, markup=False)
    arguments.cache.mkdir(parents=True, exist_ok=True)
    verdicts = Verdicts(arguments.cache / "verdicts.json")
    if arguments.list:
        for mutant in _drawn(arguments, verdicts):
            console.print(mutant.key)
        return 0
    for tests in arguments.tests:
        _record(tests, arguments.cache / "coverage")
    try:
        _judge_drawn(arguments, verdicts, console)
    except KeyboardInterrupt:
        console.print("stopped; what was judged is kept")
    mutants = _drawn(arguments, verdicts)
    for mutant in mutants:
        if (verdict := verdicts.get(mutant.key)) and verdict not in NOTICED:
            old, new = mutant.lines
            where = f"{mutant.file}:{mutant.change.line(mutant.text)}"
            console.print(f"{verdict}: {where}\n  - {old}\n  + {new}")
    table = score(mutants, verdicts)
    console.print(table)
    with (arguments.cache / "score.txt").open("w", encoding="utf-8") as file:
        Console(file=file, width=100).print(table)
    return 0


def _judge_drawn(arguments: argparse.Namespace, verdicts: Verdicts, console: Console) -> None:
    """Judge the sample, and what is drawn for mutants that do not compile."""
    covering = Covering(ROOT, arguments.cache / "coverage")
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    judged = set[str]()
    with Progress(*columns, console=console, transient=True) as progress:
        while True:
            rounds = {
                mutant: rounds_of(mutant, covering)
                for mutant in _drawn(arguments, verdicts)
                if mutant.key not in judged
            }
            left = {mutant: tests for mutant, tests in rounds.items() if not verdicts.stands(mutant.key, stamp(tests))}
            if not left:
                return
            task = progress.add_task("mutants", total=len(left))
            for mutant, verdict in judge_all(left, covering, arguments.cache, arguments.processes):
                verdicts.put(mutant.key, verdict, stamp(left[mutant]))
                judged.add(mutant.key)
                progress.advance(task)


def _drawn(arguments: argparse.Namespace, verdicts: Verdicts) -> list[Mutant]:
    """The sample that was asked for, without what is known not to compile."""
    changed = changed_files(arguments.changed)
    return sample(
        arguments.rooms, arguments.per_room, changed, arguments.per_changed, arguments.seed, verdicts.invalid()
    )


if __name__ == "__main__":
    sys.exit(main())
