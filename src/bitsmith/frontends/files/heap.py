"""Checks what the HDF5 library does not: it never returns from a collection of texts with an object of no size.

Layout: section III.E of https://docs.hdfgroup.org/hdf5/develop/_f_m_t3.html. A collection begins with ``GCOL``, its version, and
its size; its objects follow, of which number 0 is what is free and counts its own header.
"""

from __future__ import annotations

import struct
from mmap import mmap
from typing import TypeAlias

from bitsmith.errors import ModelFileError

Buffer: TypeAlias = "bytes | mmap"

_BEGIN = b"GCOL\x01\x00\x00\x00"
_SIZE = struct.Struct("<Q")
_OBJECT = struct.Struct("<HHIQ")
"""Number, references, reserved, size."""


def check_heaps(content: Buffer, where: str) -> None:
    """Check each collection in ``content``.

    Raises:
        ModelFileError: an object that is not within its collection.
    """
    place = content.find(_BEGIN)
    while place >= 0:
        _check_heap(content, place, where)
        place = content.find(_BEGIN, place + 1)


def _check_heap(content: Buffer, start: int, where: str) -> None:
    place = start + len(_BEGIN) + _SIZE.size
    if place > len(content):
        return
    (size,) = _SIZE.unpack_from(content, start + len(_BEGIN))
    end = min(start + size, len(content))
    while place + _OBJECT.size <= end:
        number, _, _, length = _OBJECT.unpack_from(content, place)
        needed = length if number == 0 else _OBJECT.size + -(-length // 8) * 8
        if needed < _OBJECT.size or place + needed > start + size:
            raise ModelFileError("the HDF5 data cannot be read (a damaged heap)", where=where)
        place += needed
