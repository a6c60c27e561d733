"""Random mistakes can be made, are the same for the same seed, and lead to the tests that run their lines."""

from __future__ import annotations

import ast
import signal
from pathlib import Path

import pytest

from tests.mutants.covering import Covering, record_changed
from tests.mutants.operators import Change, changes
from tests.mutants.run import ROOT, SOURCES, run_tests
from tests.mutants.sample import (
    BUDGET_S,
    LAST_BUDGET_S,
    NO_TEST,
    SURVIVED,
    Mutant,
    Verdicts,
    compiler_refused,
    equivalents,
    files_by_room,
    mutants_of,
    rounds_of,
    sample,
    stamp,
    verdict_of,
)

SAID = '''
def f(a: list[int | None], b: int) -> int:
    """What a + b is."""
    if a and b < 3:
        raise ValueError(f"{b + 1} is less than " + "3")
    total = g(a, b, key=[k for k in a if k is not None])
    total += -b
    h.append(total[0, b])
    return min(total, b)

EXAMPLES = (f([1], 2),)
Pair: TypeAlias = tuple[int, str]
'''


def test_python_is_changed_where_it_computes() -> None:
    made = {each.applied(SAID) for each in changes(SAID, ".py")}
    lines = {
        new.strip()
        for text in made
        for new, old in zip(text.splitlines(), SAID.splitlines(), strict=True)
        if new != old
    }
    assert lines == {
        "if a or b < 3:",
        "if a and b <= 3:",
        "if a and b < 4:",
        "if (not (a and b < 3)):",
        "total = g(b, a, key=[k for k in a if k is not None])",
        "total = g(a, b, key=[k for k in a if k is None])",
        "pass",
        "total += (b)",
        "h.append(total[b, 0])",
        "h.append(total[1, b])",
        "return max(total, b)",
    }


HARDWARE = """
    // a < b & c
    input logic [7:0] x,
    assign y = (a < b) & ~c | (d == 1'b0);
        if (take) held <= word;
"""


def test_hardware_is_changed_but_not_its_comments_and_ports() -> None:
    made = {each.applied(HARDWARE) for each in changes(HARDWARE, ".sv")}
    assert len(made) == 7
    assert all(text.splitlines()[1:3] == HARDWARE.splitlines()[1:3] for text in made)
    assert any("(a <= b) & ~c" in text for text in made) and any("if (!take)" in text for text in made)


@pytest.mark.parametrize("file", ["passes/network/outliers.py", "layers/sample_norm.py", "frontends/onnx/spatial.py"])
def test_mutants_of_python_can_be_read(file: str) -> None:
    found = mutants_of(file)
    assert len(found) > 30
    for mutant in found[::7]:
        text = mutant.change.applied(mutant.text)
        assert text != mutant.text
        ast.parse(text)


@pytest.mark.slow
@pytest.mark.ci
def test_samples_are_those_of_their_seed() -> None:
    rooms = files_by_room()
    assert {"passes", "frontends/keras", "rtl", "rtl/lib", "hls", "native/src", "."} <= set(rooms)
    taken = sample(["passes", "rtl"], 4, {"ir/rounding.py"}, 2, seed=1)
    assert [mutant.room for mutant in taken].count("ir") == 2 and len(taken) == 10
    assert [mutant.key for mutant in taken] == [
        mutant.key for mutant in sample(["passes", "rtl"], 4, {"ir/rounding.py"}, 2, seed=1)
    ]
    assert taken != sample(["passes", "rtl"], 4, {"ir/rounding.py"}, 2, seed=2)


def test_another_mutant_is_drawn_for_one_that_does_not_compile() -> None:
    first = [mutant.key for mutant in sample(["native/src"], 3, set(), 0, seed=1)]
    others = [mutant.key for mutant in sample(["native/src"], 3, set(), 0, seed=1, invalid={first[1]})]
    assert len(others) == 3 and first[1] not in others and {first[0], first[2]} <= set(others)


@pytest.mark.parametrize(
    ("output", "refused"),
    [
        ("driver.c:12:9: error: expected expression before ';' token", True),
        ("driver.c:12: error: expected expression", True),
        ("%Error: /tmp/x/driver.c:28:5: syntax error, unexpected else", True),
        ("driver.c:12:9: error: unused variable 'k' [-Werror=unused-variable]", False),
        ("%Warning-UNUSEDSIGNAL: driver.c:28:5: Signal is not used", False),
        ("other.c:12:9: error: expected expression before ';' token", False),
        ("AssertionError: error: 3 in driver.c", False),
    ],
)
def test_what_compilers_refuse_is_told_from_what_tests_find(output: str, refused: bool) -> None:
    assert compiler_refused("driver.c", output) is refused


@pytest.mark.slow
@pytest.mark.ci
def test_equivalent_mutants_are_those_that_can_be_made() -> None:
    for key in equivalents():
        assert key in {mutant.key for mutant in mutants_of(key.partition(": ")[0])}, key


def test_survivors_are_judged_again_by_other_tests(tmp_path: Path) -> None:
    own = Path(__file__).relative_to(ROOT).as_posix()
    few, more = stamp([[f"{own}::test_a"]]), stamp([[f"{own}::test_a", f"{own}::test_b"]])
    assert few != more and few == stamp([[f"{own}::test_a"]])
    for verdict, again in ((SURVIVED, True), ("killed", False)):
        Verdicts(tmp_path / "kept.json").put("x", verdict, few)
        kept = Verdicts(tmp_path / "kept.json")
        assert kept.get("x") == verdict and kept.stands("x", few) and kept.stands("x", more) != again
    assert Verdicts(tmp_path / "kept.json").get("y") is None and not kept.stands("y", few)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one function, whose branches have a test each."""
    root = tmp_path / "project"
    (root / "src/bitsmith").mkdir(parents=True)
    (root / "src/bitsmith/__init__.py").touch()
    (root / "src/bitsmith/part.py").write_text(PART)
    (root / "tests/part").mkdir(parents=True)
    for name, call in (("more", "f(4) == 1"), ("less", "f(1) == 0")):
        text = f"from bitsmith.part import f\ndef test_{name}():\n    assert {call}\n"
        (root / f"tests/part/test_{name}.py").write_text(text)
    (root / "tests/mutants").symlink_to(Path(__file__).parent)
    return root


PART = "LIMIT = 3\n\n\ndef f(x):\n    if x > LIMIT:\n        return 1\n    return 0\n"
MORE, LESS = (f"tests/part/test_{name}.py::test_{name}" for name in ("more", "less"))
FILES = [test.partition("::")[0] for test in (MORE, LESS)]


@pytest.mark.slow
@pytest.mark.ci
def test_a_line_has_the_tests_that_run_it(project: Path, tmp_path: Path) -> None:
    """Lines that moved are found, and those that only import runs have all tests of the file and of its folder."""
    record_changed(project, FILES, tmp_path / "kept", "part")
    covering = Covering(project, tmp_path / "kept")
    moved = '"""A part."""\n\n' + PART
    assert covering.of("part.py", moved, moved.splitlines().index("        return 1") + 1) == [MORE]
    assert covering.of("part.py", moved, moved.splitlines().index("    return 0") + 1) == [LESS]
    assert set(covering.of("part.py", moved, 3)) == {MORE, LESS}
    assert covering.of("other.py", "", 1) == []
    assert covering.running("part.py") == sorted((MORE, LESS), key=covering.seconds.__getitem__)


SHARED = """from functools import cache
from pathlib import Path
import bitsmith
import pytest
from bitsmith.part import f

@cache
def text():
    return (Path(bitsmith.__file__).parent / "part.c").read_text()

@pytest.fixture(scope="module")
def made():
    return f(4)

def test_a(made):
    assert text()

def test_b(made):
    assert made == 1 and text()

def test_c():
    assert f(1) == 0
"""


@pytest.mark.slow
@pytest.mark.ci
def test_what_tests_share_is_all_of_theirs(project: Path, tmp_path: Path) -> None:
    """What the first of them alone runs, a fixture of the module or a cached function, shows in all that use it."""
    (project / "src/bitsmith/part.c").write_text("int x;")
    file = "tests/part/test_shared.py"
    (project / file).write_text(SHARED)
    record_changed(project, [file], tmp_path / "kept", "part")
    covering = Covering(project, tmp_path / "kept")
    users = {f"{file}::test_a", f"{file}::test_b"}
    assert set(covering.of("part.py", PART, 6)) == users == set(covering.opening("part.c"))
    assert covering.of("part.py", PART, 7) == [f"{file}::test_c"] and covering.opening("part.h") == []


@pytest.mark.slow
@pytest.mark.ci
def test_changed_tests_alone_are_recorded_again(project: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    record_changed(project, FILES, kept, "part")
    (first,) = kept.iterdir()
    stamp = (first / "tests.json").stat().st_mtime_ns
    for test in FILES:
        (project / test).touch()
    record_changed(project, FILES, kept, "part")
    assert [first] == list(kept.iterdir()) and (first / "tests.json").stat().st_mtime_ns == stamp
    (project / FILES[0]).write_text(
        "from bitsmith.part import f\ndef test_both():\n    assert (f(4), f(1)) == (1, 0)\n"
    )
    assert set(Covering(project, kept).of("part.py", PART, 6)) == set()
    record_changed(project, FILES, kept, "part")
    assert len(list(kept.iterdir())) == 2
    assert set(Covering(project, kept).of("part.py", PART, 7)) == {LESS, "tests/part/test_more.py::test_both"}


class Known(Covering):
    """Tests that run every line, and their times."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds

    def of(self, file: str, text: str, line: int) -> list[str]:
        return list(self.seconds)


def test_what_survives_the_first_tests_is_judged_by_all_others() -> None:
    """Limits of the first rounds leave out nothing but what takes very long."""
    names = {f"tests/{folder}/test_{k}.py::test": float(k) for folder in ("ir", "other") for k in range(20)}
    longest = "tests/ir/test_it.py::test_long"
    mutant = mutants_of("ir/rounding.py")[0]
    own, others, left = rounds_of(mutant, Known(names | {longest: LAST_BUDGET_S}))
    assert all(test.startswith("tests/ir/") for test in own) and sum(map(names.__getitem__, own)) <= BUDGET_S
    assert not any(test.startswith("tests/ir/") for test in others)
    assert own and others and left and sorted([*own, *others, *left]) == sorted(names)
    assert rounds_of(mutant, Known({longest: LAST_BUDGET_S})) == [[longest]]


@pytest.mark.slow
@pytest.mark.ci
def test_an_endless_loop_ends_by_the_time_of_the_processor(tmp_path: Path) -> None:
    """Tests that wait, or are kept waiting by others, take none."""
    (tmp_path / "test_ends.py").write_text("import time\n\ndef test_ends():\n    time.sleep(9)\n")
    (tmp_path / "test_loops.py").write_text("def test_loops():\n    while True:\n        pass\n")
    codes = [
        run_tests(SOURCES, [str(tmp_path / f"test_{name}.py")], 120.0, "--processor-s=8")[0]
        for name in ("ends", "loops")
    ]
    assert codes == [0, -signal.SIGXCPU]


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(("named", "verdict"), [("ab", "killed"), ("ac", SURVIVED), ("abc", "killed"), ("c", NO_TEST)])
def test_tests_that_a_mistake_takes_away_are_told_from_those_of_old_records(
    project: Path, monkeypatch: pytest.MonkeyPatch, named: str, verdict: str
) -> None:
    """The sources make tests a and b, of which the mistake takes b away; older sources also made c."""
    file = "tests/part/test_names.py"
    (project / file).write_text(NAMED)
    (project / "pytest.ini").write_text("[pytest]\naddopts = -q -m 'not slow'\nmarkers =\n    slow\n")
    for folder, names in (("base", "ab"), ("mutant", "a")):
        (project / folder).mkdir()
        (project / folder / "names.py").write_text(f"NAMES = {names!r}\n")
    monkeypatch.setattr("tests.mutants.run.ROOT", project)
    tests = [f"{file}::test[{name}]" for name in named]
    mutant = Mutant("names.py", Change(0, 0, ""), "")
    assert verdict_of(mutant, project / "mutant", project / "base", tests, 60.0) == verdict


NAMED = "import names, pytest\n\n@pytest.mark.parametrize('name', names.NAMES)\ndef test(name):\n    assert name\n"
