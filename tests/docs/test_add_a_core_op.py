"""The page about new core ops names the places that the type checker names."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_places_are_closed_matches_over_ops() -> None:
    page = (ROOT / "docs" / "add-a-core-op.md").read_text(encoding="utf-8")
    places = re.findall(r"^\| `(src/[^`]+)` \|", page, re.MULTILINE)
    assert len(places) == 10
    for place in places:
        assert "assert_never(op)" in (ROOT / place).read_text(encoding="utf-8"), place
