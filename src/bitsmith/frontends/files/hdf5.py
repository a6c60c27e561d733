"""HDF5 files, which are untrusted: links to elsewhere, virtual and external data sets are refused, sizes are checked first.

Chunks of data sets may be much larger than the data, or become so when they are unpacked. The HDF5 library makes room for whole
chunks, and for whatever their bytes unpack to: all is checked before it reads any. Nor does it return from a collection of texts
with an object of no size. Layout: section III.E of https://docs.hdfgroup.org/hdf5/develop/_f_m_t3.html. A collection begins with
``GCOL``, its version, and its size; its objects follow, of which number 0 is what is free and counts its own header.
"""

import contextlib
import io
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TypeAlias

import h5py
import numpy as np

from bitsmith.base.files import open_file
from bitsmith.errors import ModelFileError
from bitsmith.frontends.builder.value import MAX_ELEMENTS, MAX_WEIGHTS
from bitsmith.frontends.files.json import shown
from bitsmith.layers.layer import Floats, Shape
from bitsmith.layers.quantization.quantizer import Quantizer

_SIZES = 8, 8
"""Bytes of an offset and of a length, which :mod:`bitsmith.frontends.files.hdf5` relies on."""

_H5_ERRORS = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    zlib.error,
)

Buffer: TypeAlias = "bytes | mmap"

_BEGIN = b"GCOL\x01\x00\x00\x00"
_SIZE = struct.Struct("<Q")
_OBJECT = struct.Struct("<HHIQ")
"""Number, references, reserved, size."""

_MAX_CHUNK_BYTES = 32 << 20
_MAX_SLACK_BYTES = 64 << 20
"""Most bytes of all chunks beside their data: those at the ends of axes are whole, too."""
_MAX_CHUNKS = 1 << 17
_SLACK_BYTES = 1 << 16
"""Bytes that packing may add to a chunk."""
_CHECKSUM_BYTES = 4
_DEFLATE, _SHUFFLE, _CHECKSUM = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32


@dataclass(frozen=True, slots=True)
class Stored:
    """A trained tensor that has not been read yet, and its grid, if it is known. ``read`` raises ``ModelFileError``."""

    shape: Shape
    read: Callable[[], Floats]
    quantizer: Quantizer | None = None


@contextlib.contextmanager
def h5_errors(where: str) -> Iterator[None]:
    """Turns whatever the HDF5 library raises on a broken file into one error."""
    try:
        yield
    except _H5_ERRORS as error:
        raise ModelFileError(f"the HDF5 data cannot be read ({shown(str(error))})", where=where) from None


class H5File:
    """An open HDF5 file, read with care; ``where`` names it in errors."""

    def __init__(self, file: h5py.File, where: str) -> None:
        self.root = file
        self.where = where
        self._left = MAX_WEIGHTS

    def child(self, group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset | None:
        """Return the item at ``path`` (parts joined by ``/``) under ``group``; None without one."""
        with h5_errors(self.where):
            for part in path.split("/"):
                link = group.get(part, getlink=True) if isinstance(group, h5py.Group) and part else None
                if link is None:
                    return None
                if not isinstance(link, h5py.HardLink):
                    found = f"{shown(path)} is a link to another place"
                    raise ModelFileError(found, where=self.where, accepted="data within the file itself")
                group = group[part]
            return group

    def group(self, group: h5py.Group, path: str) -> h5py.Group | None:
        """The group at ``path``, or None."""
        found = self.child(group, path)
        return found if isinstance(found, h5py.Group) else None

    def attribute(self, item: h5py.Group | h5py.Dataset, name: str) -> str | None:
        """A text attribute, or None."""
        texts = self._texts(item, name) or []
        return texts[0] if len(texts) == 1 else None

    def names(self, group: h5py.Group, name: str) -> list[str] | None:
        """An attribute that is a list of texts (perhaps in pieces: ``name0``, ``name1``, ...), or None."""
        if (whole := self._texts(group, name)) is not None:
            return whole
        pieces: list[list[str]] = []
        while (piece := self._texts(group, f"{name}{len(pieces)}")) is not None:
            pieces.append(piece)
        return [text for piece in pieces for text in piece] if pieces else None

    def _texts(self, item: h5py.Group | h5py.Dataset, name: str) -> list[str] | None:
        """The texts of an attribute; None if there is none of that name, or it holds something else."""
        with h5_errors(self.where):
            if name not in item.attrs:
                return None
            # The type is looked at before the value is read: the HDF5 library crashes on some broken values of other types.
            kind = item.attrs.get_id(name).dtype
            if kind.kind != "S" and h5py.check_string_dtype(kind) is None:
                return [] if item.attrs.get_id(name).shape == (0,) else None
            value = item.attrs[name]
            items: list[object] = value.ravel().tolist() if isinstance(value, np.ndarray) else [value]
            return [text.decode("utf-8") if isinstance(text, bytes) else str(text) for text in items]

    def stored(self, item: h5py.Group | h5py.Dataset | None, label: str) -> Stored:
        """The data set ``item`` as a tensor to be read later."""
        where = f"{self.where}, {label}"
        if not isinstance(item, h5py.Dataset):
            raise ModelFileError("the data set is missing", where=where)
        with h5_errors(where):
            if item.is_virtual or item.external:
                raise ModelFileError("the data set refers to other files", where=where)
            shape, kind, size = item.shape, item.dtype.kind, item.dtype.itemsize
            brain_float = self.attribute(item, "dtype") == "bfloat16" and size == 2
            if shape is None or (kind not in "fiub" and not brain_float):
                raise ModelFileError(f"the data set holds {shown(str(item.dtype))}", where=where, accepted="numbers")

        def read() -> Floats:
            self._left -= item.size
            if item.size > MAX_ELEMENTS or self._left < 0:
                accepted = f"at most {MAX_ELEMENTS} elements, and {MAX_WEIGHTS} in all"
                raise ModelFileError(f"a data set of shape {shape}", where=where, accepted=accepted)
            with h5_errors(where):
                check_chunks(item, where)
                values = np.ascontiguousarray(item[()]).reshape(shape)
            if brain_float:  # NumPy does not know bfloat16, the upper half of a float32
                values = (values.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)
            return values.astype(np.float64)

        return Stored(tuple(int(n) for n in shape), read)


def opened_h5(file: Path | io.BytesIO, where: str, stack: contextlib.ExitStack) -> H5File:
    """An HDF5 file, open as long as the ``stack``.

    Raises:
        ModelFileError: no such file, or a damaged one.
    """
    with h5_errors(where):
        if isinstance(file, Path):
            _check_file(file, where)
        else:
            check_heaps(file.getvalue(), where)
        opened = stack.enter_context(h5py.File(file, "r"))
        if opened.id.get_create_plist().get_sizes() != _SIZES:
            raise ModelFileError("HDF5 data of other sizes", where=where, accepted="offsets and lengths of 8 bytes")
        return H5File(opened, where)


def _check_file(path: Path, where: str) -> None:
    try:
        raw = open_file(path)
    except OSError as error:
        raise ModelFileError(f"cannot be opened ({error.strerror})", where=where, remedy="check the path") from error
    with raw, mmap(raw.fileno(), 0, access=ACCESS_READ) as content:
        check_heaps(content, where)


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


def check_chunks(data: h5py.Dataset, where: str) -> None:
    """Do nothing if reading the data set takes about the memory of its elements.

    Raises:
        ModelFileError: chunks that take more, or that are packed in another way than by zlib.
    """
    if data.chunks is None:
        return
    size = math.prod(data.chunks) * data.dtype.itemsize
    count = math.prod(-(-axis // part) for axis, part in zip(data.shape, data.chunks, strict=True))
    most = 4 * data.nbytes + _MAX_SLACK_BYTES
    if size > _MAX_CHUNK_BYTES or count > _MAX_CHUNKS or size * count > most:
        raise ModelFileError(
            f"a data set of shape {data.shape} in {count} chunks of shape {data.chunks}",
            where=where,
            accepted=f"chunks of at most {_MAX_CHUNK_BYTES >> 20} MiB, about as many as the data need",
        )
    properties = data.id.get_create_plist()
    filters = [properties.get_filter(k)[0] for k in range(properties.get_nfilters())]
    if not {*filters} <= {_DEFLATE, _SHUFFLE, _CHECKSUM} or filters.count(_DEFLATE) > 1:
        raise ModelFileError(
            f"a data set packed by the HDF5 filters {filters}",
            where=where,
            accepted="plain data sets, or gzip compression",
            remedy="save the model again",
        )
    _check_unpacked(data, filters, size, where)


def _check_unpacked(data: h5py.Dataset, filters: list[int], size: int, where: str) -> None:
    """Refuse chunks that have or unpack to other than ``size`` bytes."""
    stored: list[tuple[tuple[int, ...], int, int]] = []
    data.id.chunk_iter(lambda chunk: stored.append((chunk.chunk_offset, chunk.filter_mask, chunk.size)))
    wrong = ModelFileError(f"a chunk that does not unpack to {size} bytes", where=where, remedy="save the model again")
    deflate = filters.index(_DEFLATE) if _DEFLATE in filters else None
    for offset, mask, length in stored:
        if length > size + _SLACK_BYTES:
            raise wrong
        if deflate is not None and not mask >> deflate & 1:
            most = size + _CHECKSUM_BYTES * filters.count(_CHECKSUM)
            content = zlib.decompressobj().decompress(data.id.read_direct_chunk(offset)[1], most + 1)
            if not size <= len(content) <= most:
                raise wrong
