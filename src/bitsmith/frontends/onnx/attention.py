"""ONNX's attention in one operator: scores, softmax and weighted sum."""

from __future__ import annotations

import math

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.tensors import Array
from bitsmith.frontends.onnx.values import Known
from bitsmith.frontends.ops.attention import Mask, attention, repeated_heads


def _attention(call: Call) -> tuple[Value | None, ...]:
    """Attention, where heads of keys may serve several of the queries."""
    attributes, build = call.attributes, call.build
    attributes.ignore("softmax_precision")
    for number, what in enumerate(("keys of the past", "values of the past", "numbers of keys that are no padding")):
        if call.operand(4 + number) is not None:
            raise UnsupportedError(what, accepted="queries, keys, values and a mask")
    q, k, v = (call.tensor(number) for number in range(3))
    if not q.rank == k.rank == v.rank or q.rank not in (3, 4):
        raise UnsupportedError(f"operands of {q.rank}, {k.rank} and {v.rank} axes", accepted="three or four axes each")
    flat = q.rank == 3  # (samples, places, heads and channels), else (samples, heads, places, channels)
    heads, shared = attributes.integer("q_num_heads", 0), attributes.integer("kv_num_heads", 0)
    if flat:
        parts = ((q, heads, "query"), (k, shared, "key"), (v, shared, "value"))
        q, k, v = (_with_heads(call, *part) for part in parts)
    dim = 2 if flat else 1
    k, v = (repeated_heads(build, x, q.shape[q.axis(dim)], dim, suffix) for x, suffix in ((k, "keys"), (v, "values")))
    scale, cap = attributes.number("scale") if "scale" in attributes else None, attributes.number("softcap", 0.0)
    mask, suffix = _mask(call, k.dims[3 - dim]), "heads" if flat else ""
    result, weights, products = attention(build, q, k, v, mask, scale=scale, cap=cap, heads_last=flat, suffix=suffix)
    if flat:
        result = build.viewed(result, (*result.dims[:-2], math.prod(result.dims[-2:])), result.batch)
    mode = attributes.integer("qk_matmul_output_mode", 0)
    shown = {0: None if cap > 0.0 else products, 3: weights}.get(mode)  # 3 is what the softmax makes of the products
    return result, None, None, shown


def _with_heads(call: Call, x: Value, heads: int, suffix: str) -> Value:
    """``x`` (samples, places, heads and channels) with an axis for each."""
    size = x.shape[x.axis(2)]
    if heads < 1 or size % heads:
        raise ModelFileError(f"{heads} heads of {size} channels", where=call.attributes.where)
    return call.build.viewed(x, (*x.dims[:2], heads, size // heads), x.batch, suffix)


def _mask(call: Call, keys: int) -> Mask:
    attributes = call.attributes
    before, after = (attributes.integer(f"{side}_window_size", -1) for side in ("left", "right"))
    after = 0 if attributes.flag("is_causal", False) else after
    given = call.operand(3)
    if isinstance(given, Known):
        given = call.value(Known(tuple(_extended(array, keys) for array in given.at)))
    masks = () if given is None else (given,)
    return Mask(before if before >= 0 else None, after if after >= 0 else None, masks)


def _extended(mask: Array, keys: int) -> Array:
    """A mask that leaves out the keys that it does not reach."""
    missing = max(keys - mask.shape[-1], 0) if mask.ndim and mask.shape[-1] > 1 else 0
    if not missing:
        return mask
    mask = mask if mask.dtype.kind == "b" else mask.astype(np.float64)
    left_out = False if mask.dtype.kind == "b" else -np.inf
    return np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, missing)], constant_values=left_out)


ATTENTION: dict[str, Translation] = {"Attention": Translation(_attention, "Einsum, Softmax and Einsum")}
"""Operators by name."""
