"""The page about new core ops names the places that the type checker names."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.prose import SOURCES

ROOT = Path(__file__).parents[2]


def test_places_are_the_closed_matches_over_ops() -> None:
    page = (ROOT / "docs" / "add-a-core-op.md").read_text(encoding="utf-8")
    places = re.findall(r"^\| `(src/[^`]+)` \|", page, re.MULTILINE)
    movements = {f"src/bitsmith/{name}" for name in ("emulate/wiring.py", "ir/indexing.py")}
    closed = {path for path in SOURCES if "assert_never(op)" in path.read_text(encoding="utf-8")}
    assert sorted(places) == sorted({path.relative_to(ROOT).as_posix() for path in closed} - movements)
