"""Zip archives of models: what they may hold, up to the last byte and member, before anything is read."""

from __future__ import annotations

import io
import zipfile

import pytest

from bitsmith.errors import ModelFileError
from bitsmith.frontends.files.archive import Members, first_member, opened_archive


def _archive(sizes: list[int], stored: int = 0) -> bytes:
    """An archive that says that its members are of these sizes; beside them a member with ``stored`` bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number, size in enumerate(sizes):
            archive.writestr(f"member{number}", b"")
            archive.infolist()[-1].file_size = size  # written when the archive is closed
        if stored:
            archive.writestr("stored", bytes(stored))
    return content.getvalue()


def _members(content: bytes) -> Members:
    with opened_archive(content, "model", "save it again") as members:
        return members


@pytest.mark.parametrize(
    ("sizes", "stored"),
    [
        ([128 << 20], 0),
        ([64 << 20, 64 << 20], 0),
        ([(200 << 20) - (1 << 20)], 1 << 20),  # less than 200 times the whole archive
        ([0] * 10_000, 0),
    ],
)
def test_archives_up_to_the_limits(sizes: list[int], stored: int) -> None:
    assert len(_members(_archive(sizes, stored)).by_name) == len(sizes) + bool(stored)


@pytest.mark.parametrize(
    ("sizes", "stored", "said"),
    [
        ([(128 << 20) + 1], 0, "unpacks to 134217729"),
        ([64 << 20, (64 << 20) + 1], 0, "unpacks to 134217729"),
        ([200 << 20], 1 << 20, "unpacks to"),
        ([0] * 10_001, 0, "10001 files"),
        ([(2 << 30) + 1], 0, "1 files of 2147483649 bytes"),
        ([1 << 30, (1 << 30) + 1], 0, "2 files of 2147483649 bytes"),
    ],
)
def test_archives_beyond_the_limits(sizes: list[int], stored: int, said: str) -> None:
    with pytest.raises(ModelFileError, match=said):
        _members(_archive(sizes, stored))


def test_members_are_read_up_to_a_limit() -> None:
    with opened_archive(_archive([], 12), "model", "save it again") as members:
        assert members.bytes("stored", 12) == bytes(12)
        with pytest.raises(ModelFileError, match="'stored' has 12 bytes"):
            members.bytes("stored", 11)
        with pytest.raises(ModelFileError, match="the archive has no 'other'") as refused:
            members.bytes("other")
    assert refused.value.remedy == "save it again"


@pytest.mark.parametrize("name", ["/x", "\\x", "a/../x", "..\\x", "C:x", "C:/x", "a\\..\\x"])
def test_names_that_leave_the_archive(name: str) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"")
    with pytest.raises(ModelFileError, match="leaves the archive"):
        _members(content.getvalue())


@pytest.mark.parametrize("name", ["x", "a/x", "a..b/x", "a/b:c", "...", "a/"])
def test_names_within_the_archive(name: str) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"")
    assert list(_members(content.getvalue()).by_name) == [name]


def test_the_first_member_is_named_by_what_follows_its_header() -> None:
    """Of 30 bytes (4.3.7 of the specification of zip)."""
    content = _archive([], 3)
    assert first_member(content) == "stored" and first_member(b"q" + content) is None
    assert first_member(content[:33]) == "sto" and first_member(content[:30]) == ""
    assert first_member(content[:29]) is None
