"""ONNX's operators that read or write elements of a tensor at constant places."""

from __future__ import annotations

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import Batch, MixedSamplesError, Value
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.tensors import Array
from bitsmith.frontends.onnx.values import Known
from bitsmith.frontends.ops import selection


def _indices(call: Call) -> Known:
    """Operand 1, which must be constant integers."""
    places = call.required(1)
    if isinstance(places, Value):
        raise UnsupportedError("places that are computed from an input", accepted="constant ones")
    if any(array.dtype.kind not in "iu" or array.ndim == 0 for array in places.at):
        raise ModelFileError("indices that are not integers", where=call.attributes.where)
    return places


def _without_samples(call: Call, indices: Known) -> Known:
    """Indices whose first axis and whose first number are those of the samples, without the number."""
    same = len(indices.at) == len(call.build.counts)
    for n, array in zip(call.build.counts, indices.at, strict=False):
        numbers = np.arange(n).reshape(-1, *(1,) * (array.ndim - 2))
        same = same and array.ndim > 1 and array.shape[0] == n and bool(np.all(array[..., 0] == numbers))
    if not same:
        raise MixedSamplesError("reads or writes at places that differ between samples")
    return Known(tuple(array[..., 1:] for array in indices.at))


def _columns(call: Call, *values: Value) -> tuple[int, list[Array]]:
    """The first axis that tuples of indices are of, and the indices of each axis."""
    known = _indices(call)
    batch = next((value.batch for value in values if value.batch is not None), None)
    apart = call.attributes.integer("batch_dims", 0)
    if apart not in (0, 1) or (apart == 1 and (batch is None or batch.axis != 0)):
        raise UnsupportedError("batch_dims of other axes than that of the samples", accepted="batch_dims=0")
    if batch is None or (not apart and batch.axis >= known.at[0].shape[-1]):
        return 0, list(np.moveaxis(known.array(), -1, 0))
    if batch.axis != 0:
        raise MixedSamplesError("reads or writes at places along the batch axis")
    sample = call.build.per_sample(call.value(known if apart else _without_samples(call, known)), Batch(0))
    if sample.constant is not None and sample.batch is None and sample.shape[:1] == (1,):
        return 1, list(np.moveaxis(sample.constant[0], -1, 0))
    if sample.constant is None or sample.batch != Batch(0):
        raise MixedSamplesError("has a constant that differs between samples")
    return 1, list(np.moveaxis(sample.constant, -1, 0))


def _written(call: Call) -> tuple[Value, Value]:
    """Operands 0 and 2: a tensor, and elements that replace some of its own."""
    if call.attributes.text("reduction", "none") != "none":
        raise UnsupportedError(
            "updates that are combined with what is there", accepted="reduction=none", remedy="use Add"
        )
    return call.tensor(0), call.tensor(2)


def _gather_nd(call: Call) -> Value:
    x = call.tensor(0)
    return selection.index(call.build, x, *_columns(call, x))


def _scatter_nd(call: Call) -> Value:
    x, new = _written(call)
    return selection.with_index(call.build, x, *_columns(call, x, new), new)


def _elements(call: Call) -> tuple[int, Value]:
    """The axis of the indices, and these."""
    given = call.required(1)
    return call.attributes.integer("axis", 0), given if isinstance(given, Value) else call.value(_indices(call))


def _scatter_elements(call: Call) -> Value:
    x, new = _written(call)
    return selection.scatter_elements(call.build, x, *_elements(call), new)


_READ, _WRITTEN = "Reshape and Gather, at constant places", "Concatenate and Gather, at constant places"

PLACES: dict[str, Translation] = {
    "GatherND": Translation(_gather_nd, _READ),
    "GatherElements": Translation(
        lambda call: selection.gather_elements(call.build, call.tensor(0), *_elements(call)), f"{_READ}; Embedding"
    ),
    "ScatterND": Translation(_scatter_nd, _WRITTEN),
    **dict.fromkeys(("ScatterElements", "Scatter"), Translation(_scatter_elements, _WRITTEN)),
}
"""Operators by name."""
