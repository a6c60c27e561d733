"""Bounded proofs of the memory that gives tokens over and over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rtl.test_stream_proofs import assert_proved

pytestmark = pytest.mark.tools


@pytest.mark.parametrize(
    ("first", "second", "frames", "depth"),
    [
        pytest.param((1, 2), (1, 1), 2, 1, marks=pytest.mark.ci),
        pytest.param((2, 2), (1, 1), 1, 2, marks=pytest.mark.ci),
        pytest.param((2, 1), (1, 2), 2, 2, marks=pytest.mark.slow),
        pytest.param((2, 1), (2, 2), 1, 3, marks=pytest.mark.slow),
        pytest.param((2, 2), (1, 1), 2, 2, marks=pytest.mark.slow),
    ],
)
def test_replay(tmp_path: Path, first: tuple[int, int], second: tuple[int, int], frames: int, depth: int) -> None:
    """Tokens and times of both parts of a frame: each comes in order, none too early, none twice."""
    parts = {name: f"8'h{times}{tokens}" for name, (tokens, times) in (("FIRST", first), ("SECOND", second))}
    reads = sum(tokens * times for tokens, times in (first, second))
    by = frames * (reads + first[0] + second[0]) + 4
    assert_proved(tmp_path, "replay", {**parts, "FRAMES": frames, "DEPTH": depth, "BY": by}, by + 3)
