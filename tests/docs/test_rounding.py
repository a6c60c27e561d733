"""The documentation of rounding and overflow is what the code does."""

from __future__ import annotations

from pathlib import Path

from bitsmith.ir.types import Overflow, Rounding
from generate.rounding import OVERFLOW_MEANING, ROUNDING_MEANING, page

PAGE = Path(__file__).parents[2] / "docs" / "rounding.md"


def test_page_is_what_the_code_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "renew it: make docs"


def test_all_modes_are_described() -> None:
    assert set(ROUNDING_MEANING) == set(Rounding)
    assert set(OVERFLOW_MEANING) == set(Overflow)
    assert all(f"| `{r.value}` | `{o.value}` |" in page() for r in Rounding for o in Overflow)
