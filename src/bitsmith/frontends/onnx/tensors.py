"""ONNX's tensors as arrays. Weights in other files are read from the model's own folder only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import MAX_ELEMENTS

if TYPE_CHECKING:
    import onnx

Array: TypeAlias = npt.NDArray[np.generic]
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


def dtype_of(code: int, where: str) -> np.dtype[np.generic]:
    """The type of elements by its number; 16-bit floating point of the other kind counts as float32.

    Raises:
        UnsupportedError: strings, complex numbers, and the types of quantized models.
    """
    if code not in _ELEMENTS:
        raise UnsupportedError(
            f"elements of ONNX's type {code}",
            where=where,
            accepted="floating point, integers of 8 bits and more, and truth values",
        )
    return np.dtype(_ELEMENTS[code])


def array_of(tensor: onnx.TensorProto, where: str, folder: Path | None) -> Array:
    """The elements of a tensor; ``folder`` is that of the model's file."""
    from onnx import TensorProto, numpy_helper

    where = f"{where}, tensor {tensor.name[:100]!r}"
    dtype = dtype_of(tensor.data_type, where)
    dims = tuple(tensor.dims)
    if len(dims) > 32 or any(size < 0 for size in dims) or math.prod(dims) > MAX_ELEMENTS:
        raise ModelFileError(f"a tensor of shape {dims}", where=where, accepted=f"at most {MAX_ELEMENTS} elements")
    if tensor.data_location == TensorProto.EXTERNAL:
        width = 2 if tensor.data_type == BRAIN_FLOAT else dtype.itemsize
        content = _external(tensor.external_data, math.prod(dims) * width, where, folder)
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
            raise ModelFileError(
                f"its data are in {location[:200]!r}", where=where, accepted="a file in the model's folder"
            )
        if offset < 0 or length != size or path.stat().st_size < offset + size:
            raise ModelFileError(
                f"{length} bytes from {offset} of a file of {path.stat().st_size}",
                where=where,
                accepted=f"{size} bytes within the file",
            )
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
    except (OSError, ValueError) as error:
        raise ModelFileError(f"its data cannot be read ({error})", where=where) from error
