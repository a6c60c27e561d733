"""ONNX's operators that read or write elements of a tensor at constant places: all of them pick elements by number."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import MixedSamplesError, Value
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.shape import of_a_sample
from bitsmith.frontends.onnx.values import Known, Operand, per_sample
from bitsmith.layers.layer import Shape
from bitsmith.layers.merge import Concatenate
from bitsmith.layers.shape import Gather, Reshape

_Places = npt.NDArray[np.int64]


def _indices(call: Call) -> Known:
    """Operand 1.

    Raises:
        UnsupportedError: it is computed.
    """
    found = call.required(1)
    if isinstance(found, Value):
        raise UnsupportedError("places that are computed from an input", accepted="constant ones")
    if any(array.dtype.kind not in "iu" or not 0 < array.size <= 1 << 20 or array.ndim == 0 for array in found.at):
        raise ModelFileError("indices that are no whole numbers", where=call.attributes.where)
    return found


def _in_range(call: Call, places: npt.NDArray[np.generic], sizes: Shape | int) -> _Places:
    """Indices counted from the front."""
    bounds, found = np.asarray(sizes, dtype=np.int64), places.astype(np.int64)
    if bool(np.any(found < -bounds)) or bool(np.any(found >= bounds)):
        raise ModelFileError(f"an index beyond {sizes} elements", where=call.attributes.where)
    return np.where(found < 0, found + bounds, found)


def _plain(x: Value) -> Value:
    if x.blocks:
        raise MixedSamplesError("works on a tensor whose batch axis is merged with others")
    return x


def _numbered(shape: Shape) -> _Places:
    """The number of each element."""
    return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)


def _picked(call: Call, x: Value, places: _Places, batch: int | None) -> Value:
    """The elements of ``x`` at ``places`` along its first axis; ``batch`` is the result's batch axis."""
    y = call.emit(Gather(tuple(places.ravel().tolist()), 0), (x,), "elements", batch=x.batch_axis, kind=x.kind)
    return call.emit(Reshape((*places.shape, *x.shape[1:])), (y,), batch=batch, kind=x.kind)


def _leading(call: Call, x: Value, count: int) -> Value:
    """``x`` with its first ``count`` axes as one; its batch axis counts as behind them."""
    shape = (math.prod(x.shape[:count]), *x.shape[count:])
    return call.emit(Reshape(shape), (x,), "row", batch=x.batch_axis, kind=x.kind)


def _of_each_sample(indices: Known, call: Call) -> Known:
    """Indices whose first axis and whose first number are those of the samples, without them."""
    for samples, array in zip(call.samples.sizes, indices.at, strict=False):
        numbers = np.arange(samples).reshape(-1, *(1,) * (array.ndim - 2))
        same = array.ndim > 1 and array.shape[0] == samples and bool(np.all(array[..., 0] == numbers))
        if (
            not same
            or not bool(np.all(array[..., 1:] == array[:1, ..., 1:]))
            or len(indices.at) != len(call.samples.sizes)
        ):
            raise MixedSamplesError("reads or writes at places that differ between samples")
    return Known((indices.at[0][0, ..., 1:],))


def _tuples(call: Call, x: Value) -> tuple[_Places, int, bool]:
    """Places along the first axes as one, the number of these axes, and whether the indices had the batch axis in front."""
    known, across = _indices(call), False
    depth = known.at[0].shape[-1]
    if x.batch_axis is not None and x.batch_axis < depth:
        if x.batch_axis != 0:
            raise MixedSamplesError("reads or writes at places along the batch axis")
        known, across = _of_each_sample(known, call), True
    return *_in_row(call, x, known.array()), across


def _in_row(call: Call, x: Value, indices: npt.NDArray[np.generic]) -> tuple[_Places, int]:
    """Places along the first axes as one, and the number of these axes."""
    count = indices.shape[-1]
    if not 0 < count <= len(x.shape):
        raise UnsupportedError(
            f"places of {count} numbers in a tensor of shape {x.shape}", accepted="one for each axis"
        )
    found = _in_range(call, indices, x.shape[:count])
    return np.ravel_multi_index(tuple(np.moveaxis(found, -1, 0)), x.shape[:count]).astype(np.int64), count


def _gather_nd(call: Call) -> Value:
    x = _plain(call.tensor(0))
    apart = call.attributes.integer("batch_dims", 0)
    if apart not in (0, 1) or (apart == 1 and x.batch_axis != 0):
        raise UnsupportedError("batch_dims of other axes than that of the samples", accepted="batch_dims=0")
    if apart:
        places, count = _in_row(call, x, per_sample(_indices(call), 0, False, call.samples))
        return _picked(call, _leading(call, x, count), places, 0)
    places, count, across = _tuples(call, x)
    batch = x.batch_axis if across or x.batch_axis is None else x.batch_axis - count + places.ndim
    return _picked(call, _leading(call, x, count), places, batch)


def _scatter_nd(call: Call) -> Value:
    _check_reduction(call)
    x, updates = _data_and_updates(call)
    places, count, across = _tuples(call, x)
    batch = x.batch_axis if across or x.batch_axis is None else x.batch_axis - count + places.ndim
    updates = of_a_sample(call, updates, batch) if isinstance(updates, Known) else _plain(updates)
    if updates.batch_axis != batch or updates.shape != (*places.shape, *x.shape[count:]):
        raise UnsupportedError(f"updates of shape {updates.shape} at {places.shape} places")
    rows, new = _leading(call, x, count), _leading(call, updates, places.ndim)
    return _written(call, x, rows, replace(new, batch=rows.batch), places.ravel())


def _written(call: Call, x: Value, rows: Value, new: Value, places: _Places) -> Value:
    """``x``, whose rows are ``rows``, with the rows ``new`` at ``places``."""
    source = np.arange(rows.shape[0])
    source[places] = rows.shape[0] + np.arange(len(places))
    both = call.emit(Concatenate(0), (rows, new), "both", batch=rows.batch_axis, kind=x.kind)
    taken = call.emit(Gather(tuple(source.tolist()), 0), (both,), "elements", batch=rows.batch_axis, kind=x.kind)
    return call.emit(Reshape(x.shape), (taken,), batch=x.batch_axis, kind=x.kind)


def _check_reduction(call: Call) -> None:
    if call.attributes.text("reduction", "none") != "none":
        raise UnsupportedError(
            "updates that are combined with what is there", accepted="reduction=none", remedy="use Add"
        )


def _data_and_updates(call: Call) -> tuple[Value, Operand]:
    """Operands 0 and 2, one of which has samples; constants beside it are the same for each."""
    data, updates = call.required(0), call.required(2)
    if isinstance(data, Known) and isinstance(updates, Value) and updates.batch_axis is not None:
        data = of_a_sample(call, data, updates.batch_axis)
    return _plain(call.value(data)), updates


def _elements(call: Call, x: Value) -> tuple[_Places, int]:
    """For each of the indices the number of the element of a sample that it means; and the axis."""
    known, axis = _indices(call), x.axis(call.attributes.integer("axis", 0))
    array = np.asarray(per_sample(known, x.batch_axis, False, call.samples))
    if array.ndim != len(x.shape) or any(
        size > most for k, (size, most) in enumerate(zip(array.shape, x.shape, strict=True)) if k != axis
    ):
        raise UnsupportedError(f"indices of shape {array.shape} in a tensor of shape {x.shape}")
    found = _in_range(call, array, x.shape[axis])
    cut = tuple(slice(None) if k == axis else slice(size) for k, size in enumerate(array.shape))
    return np.take_along_axis(_numbered(x.shape)[cut], found, axis), axis


def _gather_elements(call: Call) -> Value:
    x = _plain(call.tensor(0))
    places, _ = _elements(call, x)
    return _picked(call, _leading(call, x, len(x.shape)), places, x.batch_axis)


def _scatter_elements(call: Call) -> Value:
    _check_reduction(call)
    x, given = _data_and_updates(call)
    places, _ = _elements(call, x)
    updates = of_a_sample(call, given, x.batch_axis)
    if updates.blocks or updates.batch_axis != x.batch_axis or updates.shape != places.shape:
        raise UnsupportedError(f"updates of shape {updates.shape} at {places.shape} places")
    rows, new = (_leading(call, part, len(part.shape)) for part in (x, updates))
    return _written(call, x, rows, new, places.ravel())


PLACES: dict[str, Translation] = {
    "GatherND": Translation(_gather_nd, "Reshape and Gather, at constant places"),
    "GatherElements": Translation(_gather_elements, "Reshape and Gather, at constant places"),
    "ScatterND": Translation(_scatter_nd, "Concatenate and Gather, at constant places"),
    "ScatterElements": Translation(_scatter_elements, "Concatenate and Gather, at constant places"),
    "Scatter": Translation(_scatter_elements, "Concatenate and Gather, at constant places"),
}
"""Operators by name."""
