"""Random mistakes can be made, are the same for the same seed, and lead to the tests that run their lines."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.covering import Covering, record
from tests.mutants.operators import changes
from tests.mutants.run import SOURCES
from tests.mutants.sample import equivalents, files_by_room, mutants_of, named_tests, sample

SAID = '''
def f(a: list[int | None], b: int) -> int:
    """What a + b is."""
    if a and b < 3:
        raise ValueError(f"{b + 1} is less than " + "3")
    total = g(a, b, key=[k for k in a if k is not None])
    total += -b
    h.append(total[0, b])
    return min(total, b)
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


@pytest.mark.parametrize("file", ["passes/outliers.py", "layers/sample_norm.py", "frontends/onnx/spatial.py"])
def test_mutants_of_python_can_be_read(file: str) -> None:
    found = mutants_of(file)
    assert len(found) > 30
    for mutant in found[::7]:
        text = mutant.change.applied(mutant.text)
        assert text != mutant.text
        ast.parse(text)


def test_samples_are_those_of_their_seed() -> None:
    rooms = files_by_room()
    assert {"passes", "frontends/keras", "rtl", "hls", "."} <= set(rooms)
    taken = sample(["passes", "rtl"], 4, {"ir/rounding.py"}, 2, seed=1)
    assert [mutant.room for mutant in taken].count("ir") == 2 and len(taken) == 10
    assert [mutant.key for mutant in taken] == [
        mutant.key for mutant in sample(["passes", "rtl"], 4, {"ir/rounding.py"}, 2, seed=1)
    ]
    assert taken != sample(["passes", "rtl"], 4, {"ir/rounding.py"}, 2, seed=2)


def test_equivalent_mutants_are_those_that_can_be_made() -> None:
    for key in equivalents():
        assert key in {mutant.key for mutant in mutants_of(key.partition(": ")[0])}, key


def test_files_that_are_written_out_have_tests() -> None:
    for file in ("rtl/lib/bitsmith_memory_read.sv", "hls/include/bitsmith/axi.h", "systems/templates/driver.c"):
        assert (SOURCES / "bitsmith" / file).exists() and named_tests(file)
    assert named_tests("rtl/lib/bitsmith_memory_read.sv") != named_tests("rtl/lib/bitsmith_order.sv")


@pytest.mark.slow
@pytest.mark.ci
def test_a_line_has_the_tests_that_run_it(tmp_path: Path) -> None:
    """Of a project of one function: lines that moved are found, and those that only import runs have all tests of the file."""
    project, text = (
        tmp_path / "project",
        "LIMIT = 3\n\n\ndef f(x):\n    if x > LIMIT:\n        return 1\n    return 0\n",
    )
    (project / "src/bitsmith").mkdir(parents=True)
    (project / "src/bitsmith/__init__.py").touch()
    (project / "src/bitsmith/part.py").write_text(text)
    (project / "tests/part").mkdir(parents=True)
    calls = (
        "from bitsmith.part import f\ndef test_more():\n    assert f(4) == 1\ndef test_less():\n    assert f(1) == 0\n"
    )
    (project / "tests/part/test_part.py").write_text(calls)
    (project / "tests/mutants").symlink_to(Path(__file__).parent)
    record(project, "part", tmp_path / "kept")
    covering = Covering([tmp_path / "kept"])
    moved = '"""A part."""\n\n' + text
    more, less = (f"tests/part/test_part.py::test_{name}" for name in ("more", "less"))
    assert covering.of("part.py", moved, moved.splitlines().index("        return 1") + 1) == [more]
    assert covering.of("part.py", moved, moved.splitlines().index("    return 0") + 1) == [less]
    assert set(covering.of("part.py", moved, 3)) == {more, less}
    assert covering.of("other.py", "", 1) == []
