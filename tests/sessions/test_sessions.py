"""The first sessions of users, whole; minutes, and packages from an index."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sessions.run import SESSIONS, commands, main


def test_there_are_forty_and_each_has_its_text(tmp_path: Path) -> None:
    assert len(SESSIONS) == 40
    for session in SESSIONS:
        assert commands(session, tmp_path)


@pytest.mark.slow
def test_first_sessions(tmp_path: Path) -> None:
    assert main(["--folder", str(tmp_path)]) == 0
