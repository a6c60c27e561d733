"""Stored programs name no folders of whoever made them."""

from __future__ import annotations

from tests.traces import has_traces, programs


def test_stored_programs_have_no_traces() -> None:
    assert not [path.name for path in programs() if has_traces(path)], "python -m tests.traces"
