"""Random mutants: small mistakes anywhere in the sources, and the share of them that fast and CI tests find, by room.

``python -m tests.mutants.sample --changed main`` takes mistakes of files that were changed since a revision, ``--per-room 6`` so
many of the other files of each room (a folder of ``src/bitsmith``, or the compiled solver). Each is put into a copy of ``src``;
then tests that run its line are started, the fastest first, until one fails. Another is drawn for what does not compile.
What was judged before is not judged again; ``--again`` does so for what survived. Records of what tests cover, verdicts and
the table are kept outside of the checkout (``--cache``). Mistakes that change nothing that can be seen are listed with
reasons in ``equivalent.toml``.
"""

from __future__ import annotations

import argparse
import compileall
import json
import random
import re
import shutil
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

from tests.mutants.covering import FAST_AND_CI, Covering, own_folder, record_changed
from tests.mutants.extension import Extension
from tests.mutants.operators import Change, changes
from tests.mutants.run import HERE, ROOT, SOURCES, TESTS, run_tests

SUFFIXES = (".py", ".sv", ".h", ".c", ".cpp", ".hpp")
MOST_TESTS, MOST_FILES = 300, 8
BUDGET_S = 15.0
"""The limits of a round of tests: their number, their files, which take time to import, and what they take without a mistake."""

STARTUP_S, SLOWDOWN = 60.0, 5.0
"""The limit of the tests of a mutant: for starting them, and beside what they take without a mistake."""

_BY_NAME = {
    "rtl/lib": "rtl",
    "hls/include": "hls",
    "systems/templates": "systems",
    "rtl/templates": "rtl",
    "flows": "flows",
    "native/src": "netlist",
}
"""Where the tests are of files that are written out before they run, which coverage does not see."""

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
    return next((part for part in _BY_NAME if file.startswith(f"{part}/")), None)


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


def named_tests(file: str) -> list[str]:
    """Files of tests that speak of a file which is written out before it runs; all of its folder if none does, and of others."""
    written = _written(file)
    if written is None:
        return [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob(f"{own_folder(file)}*.py"))]
    folder = _BY_NAME[written]
    name = "native" if file.startswith("native/") else Path(file).stem.removeprefix("bitsmith_")
    paths = sorted((TESTS / folder).glob("test_*.py"))
    for word in (name, name.partition("_")[0]):  # driver_links is a part of the driver
        said = [path for path in paths if re.search(rf"\b(bitsmith_)?{word}\b", path.read_text(encoding="utf-8"))]
        if said:
            return [f"tests/{path.relative_to(TESTS).as_posix()}" for path in said]
    return [f"tests/{path.relative_to(TESTS).as_posix()}" for path in paths]


def tests_of(mutant: Mutant, covering: Covering) -> list[list[str]]:
    """Rounds of tests that may find a mistake: those of its own folder, then all others, the fastest first."""
    if mutant.file.startswith("native/"):
        return [named_tests(mutant.file)]  # skipped as they were recorded, without the compiled solver
    line = mutant.change.line(mutant.text)
    found = covering.of(mutant.file, mutant.text, line) if mutant.file.endswith(".py") else []
    found = found or covering.of_files(named_tests(mutant.file))
    own = [test for test in found if test.startswith(own_folder(mutant.file))]
    others = [test for test in found if not test.startswith(own_folder(mutant.file))]
    return [_round(tests, covering.seconds) for tests in (own, others) if tests]


def _round(tests: Sequence[str], seconds: Mapping[str, float]) -> list[str]:
    """The first of ``tests`` that are within the limits, and at least one."""
    files = {*islice(dict.fromkeys(test.partition("::")[0] for test in tests), MOST_FILES)}
    few = [test for test in tests if test.partition("::")[0] in files][:MOST_TESTS]
    ends = accumulate(seconds[test] for test in few)
    return [test for k, (test, end) in enumerate(zip(few, ends, strict=True)) if k == 0 or end <= BUDGET_S]


def judge(mutant: Mutant, base: Path, covering: Covering, extension: Extension) -> str:
    """What the tests make of a mutant in a copy of the sources ``base``."""
    rounds = tests_of(mutant, covering)
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
        for tests in rounds:
            seconds = sum(covering.seconds.get(test, BUDGET_S) for test in tests)
            verdict = _verdict(mutant, sources, tests, STARTUP_S + SLOWDOWN * seconds)
            if verdict != SURVIVED:
                return verdict
    return SURVIVED


def _verdict(mutant: Mutant, sources: Path, tests: Sequence[str], limit_s: float) -> str:
    """What some tests make of a mutant that ``sources`` have."""
    try:
        code, said, _ = run_tests(sources, tests, limit_s, "-x", "--tb=short", "-m", FAST_AND_CI)
    except subprocess.TimeoutExpired:
        return "took too long"
    if code and not mutant.file.endswith(".py") and compiler_refused(Path(mutant.file).name, said):
        return INVALID
    # Of a test that is named, pytest also says that it is not there where the sources cannot be imported.
    lost = re.search(r"no tests ran|^ERROR: ", said, re.MULTILINE) and "ERROR collecting" not in said
    return {0: SURVIVED, 1: "killed", 2: "killed"}.get(code, "killed" if not lost else "tests are gone")


def compiler_refused(name: str, said: str) -> bool:
    """Whether a compiler says that a file is not of its language; what warnings make of it is a mistake like others."""
    pattern = rf"{re.escape(name)}:\d+(:\d+)?: (fatal )?error: (?!.*\[-W)|%Error: \S*{re.escape(name)}:\d+"
    return re.search(pattern, said) is not None


def judge_all(mutants: Sequence[Mutant], verdicts: dict[str, str], arguments: argparse.Namespace) -> Iterator[None]:
    """Judge mutants that have no verdict yet; yields after each."""
    for tests in arguments.tests:
        _record(tests, arguments.cache / "coverage")
    covering = Covering(ROOT, arguments.cache / "coverage")
    with tempfile.TemporaryDirectory(prefix="bitsmith-mutants-") as scratch:
        base, extension = Path(scratch) / "src", Extension(ROOT / "native", arguments.cache / "native")
        compileall.compile_dir(SOURCES, quiet=2)  # once, not for each mutant
        shutil.copytree(SOURCES, base)
        with ThreadPoolExecutor(arguments.processes) as pool:
            futures = {pool.submit(judge, each, base, covering, extension): each for each in mutants}
            try:
                for future in as_completed(futures):
                    verdicts[futures[future].key] = future.result()
                    yield
            finally:
                pool.shutdown(cancel_futures=True)


def _record(tests: str, kept: Path) -> None:
    """Record what a folder (or file) of tests covers, as far as no record knows it."""
    own = TESTS / tests
    files = [own] if own.is_file() else own.glob("test_*.py") if own == TESTS else own.rglob("test_*.py")
    names = [path.relative_to(ROOT).as_posix() for path in files]
    record_changed(ROOT, names, kept, tests.replace("/", "-").replace(".", "_"))


def score(mutants: Sequence[Mutant], verdicts: dict[str, str]) -> Table:
    """The share of mistakes that tests notice, by room."""
    table = Table("room", "mutants", "noticed", SURVIVED, NO_TEST, "share")
    rooms: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant in mutants:
        if mutant.key in verdicts:
            for room in (mutant.room, "all"):
                rooms[room][verdicts[mutant.key]] += 1
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
    parser.add_argument("--again", action="store_true", help="judge anew what was not noticed")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="list the sample and run nothing")
    arguments = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False, markup=False)
    kept = arguments.cache / "verdicts.json"
    verdicts: dict[str, str] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    if arguments.list:
        for mutant in _drawn(arguments, verdicts):
            console.print(mutant.key)
        return 0
    told = {*NOTICED, INVALID} if arguments.again else {*NOTICED, INVALID, SURVIVED, NO_TEST}
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            while left := [each for each in _drawn(arguments, verdicts) if verdicts.get(each.key) not in told]:
                task = progress.add_task("mutants", total=len(left))
                for _ in judge_all(left, verdicts, arguments):
                    kept.write_text(json.dumps(verdicts, indent=0), encoding="utf-8")
                    progress.advance(task)
                told |= {SURVIVED, NO_TEST, "tests are gone"}  # no verdict is sought twice
    except KeyboardInterrupt:
        console.print("stopped; what was judged is kept")
    mutants = _drawn(arguments, verdicts)
    for mutant in mutants:
        if verdicts.get(mutant.key, NOTICED[0]) not in NOTICED:
            old, new = mutant.lines
            where = f"{mutant.file}:{mutant.change.line(mutant.text)}"
            console.print(f"{verdicts[mutant.key]}: {where}\n  - {old}\n  + {new}")
    table = score(mutants, verdicts)
    console.print(table)
    with (arguments.cache / "score.txt").open("w", encoding="utf-8") as file:
        Console(file=file, width=100).print(table)
    return 0


def _drawn(arguments: argparse.Namespace, verdicts: Mapping[str, str]) -> list[Mutant]:
    """The sample that was asked for, without what is known not to compile."""
    invalid = {key for key, verdict in verdicts.items() if verdict == INVALID}
    changed = changed_files(arguments.changed)
    return sample(arguments.rooms, arguments.per_room, changed, arguments.per_changed, arguments.seed, invalid)


if __name__ == "__main__":
    sys.exit(main())
