"""Moves samples between the user's arrays, whose first axis is the batch, and workspaces, whose last axis it is."""

from __future__ import annotations

from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from bitsmith.emulate import limbs
from bitsmith.emulate.bounds import NumberKind
from bitsmith.emulate.quantize import Reals, fast, quantize_exactly, quantize_into
from bitsmith.emulate.workspace import StoredValue, factors
from bitsmith.errors import InputDataError
from bitsmith.ir.ops import Input
from bitsmith.ir.types import IntArray, Ints, TensorType, objects

Raws: TypeAlias = npt.NDArray[np.int64] | Ints


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


def load_real(value: StoredValue, op: Input, chunk: Reals) -> int:
    """Cast real numbers (batch, *shape) into the arrays of an input; how many were outside its range.

    Places of absent samples become 0.
    """
    if not fast(op):
        exact, outside = quantize_exactly(op, chunk)
        load_raw(value, exact)
    elif value.storage.kind is NumberKind.FLOAT64 and len(chunk) == value.part.shape[-1]:
        outside = quantize_into(op, chunk, cast(npt.NDArray[np.float64], value.part))
    else:
        raw = np.empty((*op.shape, len(chunk)))
        outside = quantize_into(op, chunk, raw)
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


def read_real(value: StoredValue, count: int, target: npt.NDArray[np.float64]) -> None:
    """Real numbers of the first ``count`` samples into ``target`` (batch, *shape)."""
    columns = np.moveaxis(target, 0, -1)
    factor = factors(-value.storage.scale)
    if value.storage.kind is NumberKind.LIMBS:
        np.multiply(limbs.to_float(tuple(part[..., :count] for part in value.limbs)), factor, columns)
    else:
        np.multiply(value.part[..., :count], factor, columns, dtype=np.float64)
    np.add(target, 0.0, target)  # no negative zeros
