"""ONNX's attention in one operator: scores, softmax and weighted sum."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.tensors import Array
from bitsmith.frontends.onnx.values import Known
from bitsmith.frontends.ops.activations import softmax
from bitsmith.frontends.ops.arithmetic import add
from bitsmith.frontends.ops.contraction import contracted
from bitsmith.layers.activation import Activation
from bitsmith.layers.shape import Gather, Reshape

_ONE, _ZERO = np.ones(()), np.zeros(())

_WITH_HEADS, _FLAT = 4, 3
"""Axes of operands (samples, heads, places, channels) and (samples, places, heads and channels)."""

_RAW, _WEIGHTS = 0, 3
"""What the fourth result may be: products of queries and keys, or what the softmax makes of them."""


def _attention(call: Call) -> tuple[Value | None, ...]:
    """A. Vaswani et al., "Attention is all you need", NIPS 2017, section 3.2; heads of keys may serve several of the queries."""
    attributes = call.attributes
    attributes.ignore("softmax_precision")
    for number, what in (
        (4, "keys of the past"),
        (5, "values of the past"),
        (6, "numbers of keys that are no padding"),
    ):
        if call.operand(number) is not None:
            raise UnsupportedError(what, accepted="queries, keys, values and a mask")
    q, k, v = (call.tensor(number) for number in range(3))
    if not q.rank == k.rank == v.rank or q.rank not in (_FLAT, _WITH_HEADS):
        raise UnsupportedError(f"operands of {q.rank}, {k.rank} and {v.rank} axes", accepted="three or four axes each")
    flat = q.rank == _FLAT
    heads, shared = attributes.integer("q_num_heads", 0), attributes.integer("kv_num_heads", 0)
    if flat:
        q, k, v = (
            _with_heads(call, x, n, suffix)
            for x, n, suffix in ((q, heads, "query"), (k, shared, "key"), (v, shared, "value"))
        )
    axis = 2 if flat else 1
    k, v = (_repeated(call, x, q.shape[q.axis(axis)], axis, suffix) for x, suffix in ((k, "keys"), (v, "values")))
    scale = attributes.number("scale", 1.0 / math.sqrt(q.shape[q.axis(3)]))
    labels = ("bihd", "bjhd", "bjhe", "bihe") if flat else ("bhid", "bhjd", "bhje", "bhie")
    scores = raw = contracted(call.build.within("scores"), labels[:2], "bhij", (q, k), scale)
    cap = attributes.number("softcap", 0.0)
    if cap > 0.0:
        scaled = call.affine(scores, np.asarray(1.0 / cap), _ZERO, "scaled")
        bent = call.alike(Activation("tanh"), scaled, "tanh")
        scores = call.affine(bent, np.asarray(cap), _ZERO, "capped")
    weights = _weights(call, scores)
    heads_of = call.build.within("heads") if flat else call.build
    result = contracted(heads_of, ("bhij", labels[2]), labels[3], (weights, v))
    if flat:
        axes = result.shape
        result = call.alike(Reshape((*axes[:-2], axes[-2] * axes[-1])), result)
    mode = attributes.integer("qk_matmul_output_mode", 0)
    shown = {_RAW: None if cap > 0.0 else raw, _WEIGHTS: weights}.get(mode)
    return result, None, None, shown


def _with_heads(call: Call, x: Value, heads: int, suffix: str) -> Value:
    """``x`` (samples, places, heads and channels) with an axis for each."""
    place, size = x.axis(2), x.shape[x.axis(2)]
    if heads < 1 or size % heads:
        raise ModelFileError(f"{heads} heads of {size} channels", where=call.attributes.where)
    shape = (*x.shape[:place], heads, size // heads)
    return call.alike(Reshape(shape), x, suffix)


def _repeated(call: Call, x: Value, heads: int, axis: int, suffix: str) -> Value:
    """``x`` with each of its heads so often that there are ``heads``."""
    place, own = x.axis(axis), x.shape[x.axis(axis)]
    if own == heads:
        return x
    if heads % own:
        raise UnsupportedError(f"{own} heads of keys for {heads} of queries", accepted="numbers that divide")
    return call.alike(Gather(tuple(head // (heads // own) for head in range(heads)), place), x, suffix)


def _weights(call: Call, scores: Value) -> Value:
    """Softmax of the scores, with what the mask adds to them."""
    queries, keys = (scores.shape[scores.axis(axis)] for axis in (2, 3))
    kept = [constant(_window(call, queries, keys))]
    given = call.operand(3)
    if isinstance(given, Known):
        given = call.value(Known(tuple(_extended(array, keys) for array in given.at)))
    if given is not None and given.kind is Kind.BOOL:
        kept.append(given)
    elif given is not None and (given.constant is None or bool(np.any(given.constant))):
        scores = add(call.build.within("masked"), scores, given)
    return softmax(call.build.within("weights"), scores, 3, *kept)


def _window(call: Call, queries: int, keys: int) -> npt.NDArray[np.float64]:
    """1 where a query may look at a key by their places, 0 elsewhere."""
    distance = np.arange(queries)[:, None] - np.arange(keys)
    allowed = np.ones(distance.shape, dtype=np.bool_)
    if call.attributes.flag("is_causal", False):
        allowed &= distance >= 0
    for key, ahead in (("left_window_size", distance), ("right_window_size", -distance)):
        size = call.attributes.integer(key, -1)
        if size >= 0:
            allowed &= ahead <= size
    return allowed.astype(np.float64)


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
