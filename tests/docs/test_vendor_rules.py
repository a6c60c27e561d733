"""The page of vendors' rules is what the rule books say."""

from __future__ import annotations

from pathlib import Path

from generate.vendor_rules import BOOKS, TOOLS, page

PAGE = Path(__file__).parents[2] / "docs" / "vendor-rules.md"


def test_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


def test_all_books_are_on_the_page() -> None:
    assert {path.stem for path in BOOKS.glob("*.toml")} == set(TOOLS)
