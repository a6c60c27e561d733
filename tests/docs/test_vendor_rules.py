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


def test_every_item_of_the_second_review_has_a_row() -> None:
    found = set[str]()
    for item in items():
        for part in str(item["number"]).split(", "):
            first, _, last = part.partition(" to ")
            if first[0] in "BPC":
                found |= {f"{first[0]}{number}" for number in range(int(first[1:]), int((last or first)[1:]) + 1)}
    assert found == {
        f"{part}{number}" for part, last in (("B", 9), ("P", 12), ("C", 11)) for number in range(1, last + 1)
    }
