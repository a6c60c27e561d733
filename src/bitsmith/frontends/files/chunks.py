"""Chunks of HDF5 data sets, which may be much larger than the data, or become so when they are unpacked.

The HDF5 library makes room for whole chunks, and for whatever their bytes unpack to. All is checked before it reads any.
"""

from __future__ import annotations

import math
import zlib

import h5py

from bitsmith.errors import ModelFileError

_MAX_CHUNK_BYTES = 32 << 20
_MAX_SLACK_BYTES = 64 << 20
"""Most bytes of all chunks beside their data: those at the ends of axes are whole, too."""
_MAX_CHUNKS = 1 << 17
_SLACK_BYTES = 1 << 16
"""Bytes that packing may add to a chunk."""
_CHECKSUM_BYTES = 4
_DEFLATE, _SHUFFLE, _CHECKSUM = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32


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
