"""Files and zip archives, which are untrusted: sizes and names are checked before anything is read."""

import contextlib
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bitsmith.base.files import open_file
from bitsmith.errors import ModelFileError
from bitsmith.frontends.files.json import MAX_JSON_BYTES, Fields, parse_json, shown

MAX_ARCHIVE_BYTES = 2 << 30
MAX_ARCHIVE_MEMBERS = 10_000

_ALWAYS_UNPACKED, _MAX_UNPACKED = 128 << 20, 200
"""Bytes that any archive may unpack to, and how many times its size: trained weights do not shrink as much."""

_ZIP_ERRORS = (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
"""Errors that reading a damaged archive raises."""


FIRST_NAME_BYTES = 30 + 255
"""First bytes of a zip archive, within which the name of its first member stands."""


def first_member(first: bytes) -> str | None:
    """The name of the first member of a zip archive that begins with these bytes; None if it is no such archive."""
    if not first.startswith(b"PK\x03\x04") or len(first) < 30:
        return None
    return first[30 : 30 + int.from_bytes(first[26:28], "little")].decode(errors="replace")


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a file, all if there are fewer.

    Raises:
        ModelFileError: no file that can be read.
    """
    with _opened(path) as file:
        return file.read(count)


def whole_file(path: Path, most: int, remedy: str = "") -> bytes:
    """All of a file, which has at ``most`` so many bytes; of larger ones the ``remedy`` is told.

    Raises:
        ModelFileError: a larger file, or none that can be read.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            accepted = f"at most {most} bytes"
            raise ModelFileError(f"a file of {size} bytes", where=str(path), accepted=accepted, remedy=remedy)
        return file.read()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if "\0" in str(path):
        raise ModelFileError("a path with a null character", where=str(path).replace("\0", "\\0"))
    try:
        with open_file(path) as file:
            yield file
    except OSError as error:
        raise ModelFileError(f"cannot be opened ({error.strerror})", where=str(path)) from error
    except UnicodeEncodeError:
        raise ModelFileError("a path that no file has", where=str(path)) from None


@dataclass(frozen=True, slots=True)
class Members:
    """Members of a zip archive; ``remedy`` is said where something is missing."""

    archive: zipfile.ZipFile
    by_name: Mapping[str, zipfile.ZipInfo]
    where: str
    remedy: str

    def json(self, name: str) -> Fields:
        """A member that holds a JSON object."""
        where = f"{self.where}, {name}"
        return Fields(parse_json(self.bytes(name, MAX_JSON_BYTES), where), where)

    def bytes(self, name: str, limit: int = MAX_ARCHIVE_BYTES) -> bytes:
        """A member of at most ``limit`` bytes."""
        if name not in self.by_name:
            raise ModelFileError(f"the archive has no {shown(name)}", where=self.where, remedy=self.remedy)
        size = self.by_name[name].file_size
        if size > limit:
            raise ModelFileError(f"{shown(name)} has {size} bytes", where=self.where, accepted=f"at most {limit} bytes")
        with self.archive.open(self.by_name[name]) as file:
            return file.read(size)


@contextlib.contextmanager
def opened_archive(source: Path | bytes, where: str, remedy: str) -> Iterator[Members]:
    """A zip archive, given as a file or as its bytes.

    Raises:
        ModelFileError: no archive, or one that is damaged or hostile.
    """
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            yield Members(archive, _checked_members(archive, size, where), where, remedy)
    except _ZIP_ERRORS as error:
        raise ModelFileError(f"the archive is damaged ({shown(str(error))})", where=where) from error


def _checked_members(archive: zipfile.ZipFile, size: int, where: str) -> dict[str, zipfile.ZipInfo]:
    """The members by name of an archive of ``size`` bytes, if they are no more than can be read and lie within the archive."""
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    if len(members) > MAX_ARCHIVE_MEMBERS or total > MAX_ARCHIVE_BYTES:
        found = f"the archive unpacks to {len(members)} files of {total} bytes in all"
        accepted = f"at most {MAX_ARCHIVE_MEMBERS} files and {MAX_ARCHIVE_BYTES} bytes"
        raise ModelFileError(found, where=where, accepted=accepted)
    if total > max(_ALWAYS_UNPACKED, _MAX_UNPACKED * size):
        raise ModelFileError(
            f"an archive of {size} bytes unpacks to {total}",
            where=where,
            accepted=f"at most {_MAX_UNPACKED} times as many",
            remedy="save the model again, without compression",
        )
    for member in members:
        parts = member.filename.replace("\\", "/").split("/")
        if member.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            raise ModelFileError(f"the archive's member {shown(member.filename)} leaves the archive", where=where)
    names = {member.filename: member for member in members}
    if len(names) != len(members):
        raise ModelFileError("the archive has two members of the same name", where=where)
    return names
