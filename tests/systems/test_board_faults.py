"""Every fault on every board: the table of the page is what self-tests say, of at least nine faults in ten the right thing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.devices.board import BOARDS, any_board
from tests.systems.board_faults import BEGIN, END, KINDS, Alike, alike, named, table

PAGE = Path(__file__).parents[2] / "docs/boards.md"
COLUMNS = [
    Alike(("alveo-u200", "alveo-u250", "alveo-u280", "alveo-u50", "alveo-u55c")),
    Alike(("arty-z7-10", "arty-z7-20", "kv260", "pynq-z1", "pynq-z2", "ultra96-v2", "zcu102", "zcu104")),
    Alike(("crosslink-nx-evn", "icebreaker")),
    Alike(("de1-soc", "de10-nano")),
    Alike(("ice40-hx8k-evn",)),
    Alike(("ulx3s-12f", "ulx3s-25f", "ulx3s-45f", "ulx3s-85f")),
]
"""Boards whose circuits and drivers are equal, of which one is simulated."""


def on_the_page() -> list[list[str]]:
    """The cells of the page's table, a list for each row."""
    rows = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_page_has_every_board_and_fault() -> None:
    assert sorted(name for each in COLUMNS for name in each.boards) == sorted(BOARDS)
    heads, _, *rows, counts = on_the_page()
    assert heads[2:] == [", ".join(str(any_board(name).name) for name in each.boards) for each in COLUMNS]
    assert [(row[0], row[1]) for row in rows] == list(KINDS.items())
    for column, count in enumerate(counts[2:], 2):
        found = sum(row[column] == "named" for row in rows)
        assert count == f"{found} of {len(rows)}" and found >= 0.9 * len(rows)


@pytest.mark.slow
@pytest.mark.ci
def test_boards_of_a_column_have_the_same_files() -> None:
    assert alike() == COLUMNS


@pytest.mark.slow
@pytest.mark.parametrize("each", COLUMNS, ids=lambda each: each.boards[0])
def test_faults_are_named(tmp_path: Path, each: Alike) -> None:
    said = named(each.boards[0], tmp_path)
    column = COLUMNS.index(each) + 2
    _, _, *rows = table({each: said}).splitlines()
    assert [row.strip("|").split("|")[2].strip() for row in rows] == [row[column] for row in on_the_page()[2:]]
