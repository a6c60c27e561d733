"""The table of CONTRIBUTING.md names files that are there, and at most two for each kind of change."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    line.strip("|").split("|")
    for line in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| to add")
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_places(row: list[str]) -> None:
    first, second = re.findall(r"`([^`]+)`", row[1]), re.findall(r"`([^`]+)`", row[2])
    assert len(first) >= 1 and len(second) <= 1
    for place in (*first, *second):
        assert (ROOT / place).is_dir() if place.endswith("/") else (ROOT / place).is_file()
    for page in re.findall(r"\]\(([^)]+)\)", row[3]):
        assert (ROOT / page).is_file()
