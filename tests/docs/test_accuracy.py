"""The documentation of accuracy is what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.layers.functions import FUNCTIONS
from generate.accuracy import CASES, Case, measure, page

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
RENEW = "renew it: make docs"
EXACT = {"hard_shrink", "soft_shrink", "sparse_sigmoid"}


def _rows(text: str) -> dict[str, list[str]]:
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows[2:]}


def test_every_function_is_on_the_page() -> None:
    rows = _rows(PAGE.read_text(encoding="utf-8"))
    assert list(rows) == [case.name for case in CASES], RENEW
    assert set(FUNCTIONS) <= set(rows)
    steps = {name: float(row[4]) for name, row in rows.items()}
    assert max(steps.values()) < 1.0
    assert {name for name in steps if steps[name] == 0.0} == EXACT


@pytest.mark.parametrize("case", CASES[:: len(CASES) // 6], ids=lambda case: case.name)
def test_some_rows_are_what_is_measured(case: Case) -> None:
    row = _rows(PAGE.read_text(encoding="utf-8"))[case.name]
    found = measure(case)
    assert row[1] == f"`{found.result}`", RENEW
    assert (float(row[2]), float(row[3])) == pytest.approx((found.most, found.mean), rel=0.06, abs=1e-12), RENEW


@pytest.mark.slow
@pytest.mark.ci
def test_the_page_is_what_the_code_writes() -> None:
    """Up to the last digit of a number: sines and exponentials differ a little between machines."""
    written, fresh = PAGE.read_text(encoding="utf-8"), page()
    assert written.split("| ---")[0] == fresh.split("| ---")[0], RENEW
    rows = _rows(fresh)
    for name, row in _rows(written).items():
        assert row[:2] == rows[name][:2], RENEW
        for have, want in zip(row[2:], rows[name][2:], strict=True):
            assert float(have) == pytest.approx(float(want), rel=0.06, abs=0.011 if "." in have else 0.0), RENEW
