"""Zip archives, which are untrusted: their sizes and names are checked before anything is read."""

from __future__ import annotations

import lzma
import zipfile
import zlib

from bitsmith.errors import ModelFileError
from bitsmith.frontends.files.json import shown

MAX_ARCHIVE_BYTES = 2 << 30
MAX_ARCHIVE_MEMBERS = 10_000

ZIP_ERRORS = (
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What reading a damaged archive raises."""


def checked_members(archive: zipfile.ZipFile, where: str) -> dict[str, zipfile.ZipInfo]:
    """The archive's members by name, if they are no more than can be read and lie within the archive."""
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    if len(members) > MAX_ARCHIVE_MEMBERS or total > MAX_ARCHIVE_BYTES:
        raise ModelFileError(
            f"the archive unpacks to {len(members)} files of {total} bytes in all",
            where=where,
            accepted=f"at most {MAX_ARCHIVE_MEMBERS} files and {MAX_ARCHIVE_BYTES} bytes",
        )
    for member in members:
        parts = member.filename.replace("\\", "/").split("/")
        if member.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            raise ModelFileError(f"the archive's member {shown(member.filename)} leaves the archive", where=where)
    names = {member.filename: member for member in members}
    if len(names) != len(members):
        raise ModelFileError("the archive has two members of the same name", where=where)
    return names
