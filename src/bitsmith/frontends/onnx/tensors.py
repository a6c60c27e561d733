"""ONNX's tensors as arrays. Weights in other files are read from the model's own folder only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bitsmith.base.files import open_file
from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.known import Array
from bitsmith.frontends.builder.value import MAX_ELEMENTS

if TYPE_CHECKING:
    import onnx

"""A tensor of numbers or truth values."""

STRING, BRAIN_FLOAT = 8, 16
_ELEMENTS: Mapping[int, str] = {
    1: "f4",
    2: "u1",
    3: "i1",
    4: "u2",
    5: "i2",
    6: "i4",
    7: "i8",
    9: "?",
    10: "f2",
    11: "f8",
    12: "u4",
    13: "u8",
    BRAIN_FLOAT: "f4",
}
"""numpy's names of ONNX's element types by their number."""

NARROW: Mapping[int, str] = {21: "u1", 22: "i1"}
"""Integers of 4 bits, which arrays have as integers of 8."""

_NAMES: Mapping[int, str] = {
    14: "complex64",
    15: "complex128",
    17: "float8e4m3fn",
    18: "float8e4m3fnuz",
    19: "float8e5m2",
    20: "float8e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4e2m1",
    24: "float8e8m0",
    25: "uint2",
    26: "int2",
}
"""Names of types that have no arrays here."""


def dtype_of(code: int, where: str) -> np.dtype[np.generic]:
    """The type of elements by its number; 16-bit floating point of the other kind counts as float32.

    Raises:
        UnsupportedError: strings, complex numbers, and the types of quantized models.
    """
    if code not in _ELEMENTS:
        raise UnsupportedError(
            f"elements of ONNX's type {_NAMES.get(code, code)}",
            where=where,
            accepted="floating point of 16 bits and more, truth values, integers of 8 bits and more; of 4 as initializers",
        )
    return np.dtype(_ELEMENTS[code])


def array_of(tensor: onnx.TensorProto, where: str, folder: Path | None, *, narrow: bool = False) -> Array:
    """The elements of a tensor, which may be ``narrow`` integers; ``folder`` is that of the model's file."""
    from onnx import TensorProto, numpy_helper

    where = f"{where}, tensor {tensor.name[:100]!r}"
    halves = narrow and tensor.data_type in NARROW
    dtype = np.dtype(NARROW[tensor.data_type]) if halves else dtype_of(tensor.data_type, where)
    dims = tuple(tensor.dims)
    if len(dims) > 32 or any(size < 0 for size in dims) or math.prod(dims) > MAX_ELEMENTS:
        raise ModelFileError(f"a tensor of shape {dims}", where=where, accepted=f"at most {MAX_ELEMENTS} elements")
    if tensor.data_location == TensorProto.EXTERNAL:
        width = 2 if tensor.data_type == BRAIN_FLOAT else dtype.itemsize
        size = -(-math.prod(dims) // 2) if halves else math.prod(dims) * width
        content = _external(tensor.external_data, size, where, folder)
        tensor = TensorProto(dims=dims, data_type=tensor.data_type, raw_data=content)
    try:
        values = numpy_helper.to_array(tensor)
        return np.array(values, dtype=dtype).reshape(dims)
    except (ValueError, TypeError, OverflowError) as error:
        raise ModelFileError(f"its data do not fit shape {dims} ({error})", where=where) from error


def _external(entries: Iterable[onnx.StringStringEntryProto], size: int, where: str, folder: Path | None) -> bytes:
    """The ``size`` bytes of a tensor that are in a file within the model's folder."""
    values = {entry.key: entry.value for entry in entries}
    if folder is None:
        raise ModelFileError(
            "its data are in another file, whose folder is not known",
            where=where,
            remedy="give the path of the model's file, or load the external data first",
        )
    location, place = values.get("location", ""), Path(values.get("location", ""))
    try:
        offset, length = int(values.get("offset", "0")), int(values.get("length", str(size)))
        root = folder.resolve()
        path = (root / place).resolve()
        outside = not location or place.is_absolute() or ".." in place.parts or not path.is_relative_to(root)
        if outside or not path.is_file():
            is_missing = "" if outside else ", which is not there"
            raise ModelFileError(
                f"its data are in {location[:200]!r}{is_missing}",
                where=where,
                accepted="a file in the model's folder",
                remedy="copy that file beside the model's; or write one file where both are: "
                "onnx.save(onnx.load(path), 'whole.onnx')",
            )
        if offset < 0 or length != size or path.stat().st_size < offset + size:
            raise ModelFileError(
                f"{length} bytes from {offset} of a file of {path.stat().st_size}",
                where=where,
                accepted=f"{size} bytes within the file",
            )
        with open_file(path) as file:
            file.seek(offset)
            return file.read(size)
    except (OSError, ValueError) as error:
        raise ModelFileError(f"its data cannot be read ({error})", where=where) from error
