from dataclasses import replace
from pathlib import Path

import pytest

from tests import slow_runs
from tests.slow_runs import Row, ordered, read, state, write

OLD = Row("old", 2, passed=2, seconds=9, commit="a")
ROWS = (
    *(Row("new", 2, passed=2, seconds=9, commit="c"), Row("newer", 2, passed=2, seconds=9, commit="b"), OLD),
    *(
        Row("dear", 9, passed=1, seconds=50, commit="c"),
        Row("never", 3),
        Row("cheap", 9, passed=8, skipped=0, seconds=8),
    ),
    *(Row("failed", 1, failed=1, seconds=5, commit="b"), Row("failing", 1, failed=1, seconds=5, commit="c")),
)


def test_what_comes_next() -> None:
    """Failures come again at another commit only."""
    files = [row.file for row in ordered(ROWS, ["c", "b", "a"])]
    assert files == ["failed", "cheap", "never", "dear", "old", "newer"]


def test_a_record_is_read_back(tmp_path: Path) -> None:
    write(tmp_path / "record.tsv", ROWS)
    assert set(read(tmp_path / "record.tsv").values()) == set(ROWS)
    assert state(ROWS) == "15 of 29 tests passed, 2 failed, 0 skipped, 3 files open"


def test_a_run_goes_on_or_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies leaves failures."""
    chunks: list[list[str]] = []

    def pytest_that_dies(tests: list[str], *_: str) -> tuple[list[str], float]:
        chunks.append(tests)
        return [], 1.0

    def pytest_as_told(tests: list[str], *options: str) -> tuple[list[str], float]:
        chunks.append(tests)
        results = Path(options[-1].removeprefix("--junitxml="))
        results.write_text("<a><testcase/><testcase><skipped/></testcase><testcase><error/></testcase></a>")
        return ["what pytest says"], 60.0

    monkeypatch.setattr(slow_runs, "_pytest", pytest_as_told)
    names = [f"test_{number}" for number in range(5)]
    row = slow_runs.run(Row("file", 5), names, "c")
    assert row == Row("file", 5, passed=1, failed=1, skipped=1, seconds=60, commit="c")
    assert slow_runs.run(row, names, "d").seconds == 60
    assert slow_runs.run(replace(row, passed=2, failed=0), names, "d").commit == "c"
    monkeypatch.setattr(slow_runs, "_pytest", pytest_that_dies)
    assert slow_runs.run(row, names, "c") == replace(row, failed=3, seconds=61)
    assert chunks == [names, names, names[3:], names[3:]]
