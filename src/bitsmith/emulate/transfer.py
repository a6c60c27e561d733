"""Moves samples between the user's arrays, whose first axis is the batch, and workspaces, whose last axis it is."""

from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from bitsmith.emulate import limbs
from bitsmith.emulate.batches import Batch
from bitsmith.emulate.bounds import NumberKind
from bitsmith.emulate.quantize import FEW, Quantization, quantize_exactly
from bitsmith.emulate.workspace import StoredValue, factors
from bitsmith.errors import InputDataError
from bitsmith.ir.types import IntArray, Ints, TensorType, objects

Raws: TypeAlias = npt.NDArray[np.int64] | Ints


_ZERO = np.zeros(())
"""Zero as an array, which numpy takes sooner than a number."""


def checked_raw(name: str, kind: TensorType, x: npt.ArrayLike) -> IntArray:
    """``x`` as an array of raw values (batch, *shape) of an input of type ``kind``.

    Raises:
        InputDataError: values outside the type, another shape, no integers.
    """
    array = np.asarray(x)
    where = f"input {name!r}"
    if array.dtype.kind not in "iuO":
        raise InputDataError(f"raw values of type {array.dtype}", where=where, accepted="integers")
    if array.ndim == 0 or array.shape[1:] != kind.shape:
        raise InputDataError(f"raw values of shape {array.shape}", where=where, accepted=f"(batch, *{kind.shape})")
    if array.size and (bool(np.any(array < kind.lo)) or bool(np.any(array > kind.hi))):
        raise InputDataError("raw values outside the range of the input", where=where, accepted=str(kind))
    return array


def narrow(raw: Ints, kind: TensorType) -> Raws:
    """Python integers as int64, if values of ``kind`` are no wider."""
    return raw.astype(np.int64) if kind.max_width <= 63 else raw


def empty_raw(batch: int, kind: TensorType) -> Raws:
    """An array for raw values of ``kind``."""
    if kind.max_width <= 63:
        return np.zeros((batch, *kind.shape), dtype=np.int64)
    return np.zeros((batch, *kind.shape), dtype=np.object_)


class RealLoader:
    """Casts real numbers into the arrays of an input."""

    __slots__ = ("_direct", "_quantization", "_quick", "_raw", "_value")

    def __init__(self, quantization: Quantization, value: StoredValue) -> None:
        self._quantization = quantization
        self._value = value
        direct = quantization.fast and value.storage.kind is NumberKind.FLOAT64
        self._direct = cast(npt.NDArray[np.float64], value.part) if direct else None
        # What is kept in single precision is cast in double precision.
        indirect = quantization.fast and value.storage.kind is NumberKind.FLOAT32 and value.part.size < FEW
        self._raw = np.zeros(value.part.shape) if indirect else self._direct
        self._quick = None if self._raw is None else quantization.of_few(self._raw)

    def load_unseen(self, chunk: Batch) -> bool:
        """Cast ``chunk`` without a look at whether it is within the range; False if that takes more than few calls."""
        if self._quick is None or not self._quick(chunk):
            return False
        if self._direct is None and self._raw is not None:
            self._value.part[...] = self._raw
        return True

    def load(self, chunk: Batch) -> int:
        """Cast ``chunk`` (batch, *shape); how many were outside the range. Places of absent samples become 0."""
        value, quantization = self._value, self._quantization
        if self.load_unseen(chunk) and self._raw is not None and quantization.surely_inside(self._raw):
            return 0
        if self._direct is not None and len(chunk) == self._direct.shape[-1]:
            return quantization.into(chunk, self._direct)
        if not quantization.fast:
            exact, outside = quantize_exactly(quantization.op, chunk)
            load_raw(value, exact)
            return outside
        raw = np.empty((*quantization.op.shape, len(chunk)))
        outside = quantization.into(chunk, raw)
        np.copyto(value.part[..., : len(chunk)], raw, casting="unsafe")
        value.part[..., len(chunk) :] = 0
        return outside


def load_raw(value: StoredValue, raw: IntArray) -> None:
    """Put raw numbers (batch, *shape) into the arrays of an input; places of absent samples become 0."""
    columns = np.moveaxis(raw, 0, -1)
    count = columns.shape[-1]
    if value.storage.kind is NumberKind.LIMBS:
        for part, numbers in zip(value.parts, limbs.from_objects(objects(columns), len(value.parts)), strict=True):
            part[..., :count] = numbers
    else:
        value.part[..., :count] = columns.astype(value.part.dtype)
    for part in value.parts:
        part[..., count:] = 0


def read_raw(value: StoredValue, count: int) -> Raws:
    """Raw numbers (batch, *shape) of the first ``count`` samples."""
    kind = value.type
    if value.storage.kind is NumberKind.LIMBS:
        parts = tuple(part[..., :count] for part in value.limbs)
        raw: Raws = limbs.resize(parts, 1)[0] if kind.max_width <= 63 else limbs.to_objects(parts)
    else:
        raw = (value.part[..., :count] * factors(kind.frac - value.storage.scale)).astype(np.int64)
    return np.moveaxis(raw, -1, 0)


class RealReader:
    """Reads the real numbers of a value."""

    __slots__ = ("_axes", "_factor", "_rows", "_shape", "_value")

    def __init__(self, value: StoredValue) -> None:
        self._value = value
        self._factor = np.asarray(factors(-value.storage.scale))
        self._axes = (*range(1, len(value.type.shape) + 1), 0)
        alike = self._factor.ndim == 0 and value.storage.kind is not NumberKind.LIMBS
        self._rows = np.moveaxis(value.floats, -1, 0) if alike else None
        self._shape = value.type.shape

    def of(self, count: int) -> npt.NDArray[np.float64]:
        """Real numbers of the first ``count`` samples (batch, *shape)."""
        target = np.empty((count, *self._shape))
        self.read(count, target)
        return target

    def read(self, count: int, target: npt.NDArray[np.float64]) -> None:
        """Put them into ``target``."""
        rows = self._rows
        if rows is not None and count == len(rows):
            target[...] = rows  # at first, since a product of mixed or transposed numbers takes longer
            np.multiply(target, self._factor, target)
        elif self._value.storage.kind is NumberKind.LIMBS:
            numbers = limbs.to_float(tuple(part[..., :count] for part in self._value.limbs))
            np.multiply(numbers, self._factor, target.transpose(self._axes))
        else:
            np.multiply(self._value.floats[..., :count], self._factor, target.transpose(self._axes))
        np.add(target, _ZERO, target)  # no negative zeros
