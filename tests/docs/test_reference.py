"""Pages of reference have every name that the code has."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bitsmith.config.model import LAYER_KEYS, MODEL_KEYS
from bitsmith.options.project import project_keys
from generate.reference import PAGES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("name", "text"), PAGES.items(), ids=list(PAGES))
def test_page_is_what_the_code_says(name: str, text: Callable[[], str]) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == text(), "renew it: make docs"


def test_every_key_of_configurations_is_explained() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert [key for key in (*MODEL_KEYS, *LAYER_KEYS, *project_keys()) if f"`{key}`" not in page] == []
