"""The page of vendors' rules is what the rule books say."""

from __future__ import annotations

from pathlib import Path

from generate.vendor_rules import BOOKS, TOOLS, items, page

PAGE = Path(__file__).parents[2] / "docs" / "vendor-rules.md"


def test_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


def test_all_books_are_on_the_page() -> None:
    assert {path.stem for path in BOOKS.glob("*.toml")} == set(TOOLS)


def test_what_the_table_of_the_review_names_is_there() -> None:
    """Each test by its file and function; items without one say why they are closed."""
    for item in items():
        for name in item["tests"]:
            path, _, function = name.partition("::")
            assert f"\ndef {function}(" in (PAGE.parents[1] / "tests" / path).read_text(), name
        assert item["tests"] or str(item["rule"]).startswith("closed: "), item["found"]
        assert "open" not in str(item["rule"]).split(":")[0], item["found"]
