"""The public API is what its list says: a change of a name or a signature is a change that users notice."""

from pathlib import Path

from generate.api import LIST, page, text

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_list_is_the_api() -> None:
    assert LIST.read_text(encoding="utf-8") == text(), "renew it: make docs; and see docs/deprecation.md"


def test_page_has_all_of_it() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "renew it: make docs"
