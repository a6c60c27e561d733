"""ONNX's attention in one operator: scores, softmax and weighted sum."""

import math
from collections.abc import Sequence
from itertools import accumulate
from operator import itemgetter

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.known import Array, Known
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.frontends.onnx.call import Call, Operators, Translation
from bitsmith.frontends.ops.arithmetic import add
from bitsmith.frontends.ops.attention import Mask, attention, repeated_heads
from bitsmith.frontends.ops.contraction import affine_product
from bitsmith.frontends.ops.logic import compare, logical, negation, truth
from bitsmith.frontends.ops.reduction import REDUCERS
from bitsmith.frontends.ops.selection import split
from bitsmith.frontends.ops.shape import unsqueeze
from bitsmith.ir.ops import Relation
from bitsmith.layers.merge import Maximum, Minimum

_LEAST = -10_000.0
"""Added by onnxruntime to scores of keys that a mask leaves out, if a file does not say it."""


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
    cap, mask = attributes.number("softcap", 0.0), _mask(call, k.dims[-2])
    if flat:
        heads, shared = attributes.integer("q_num_heads", 0), attributes.integer("kv_num_heads", 0)
        result, weights, products = _of_heads(call, (q, k, v), (heads, shared, shared), mask, cap)
    else:
        k, v = (repeated_heads(build, x, q.shape[q.axis(1)], 1, suffix) for x, suffix in ((k, "keys"), (v, "values")))
        result, weights, products = attention(build, q, k, v, mask, scale=_scale(call), cap=cap)
    mode = attributes.integer("qk_matmul_output_mode", 0)
    shown = {0: None if cap > 0.0 else products, 3: weights}.get(mode)  # 3 is what the softmax makes of the products
    return result, None, None, shown


def _scale(call: Call) -> float | None:
    return call.attributes.number("scale") if "scale" in call.attributes else None


def _of_heads(
    call: Call, operands: Sequence[Value], heads: Sequence[int], mask: Mask, cap: float = 0.0
) -> tuple[Value, Value, Value]:
    """Attention of operands (samples, places, heads and channels), the weights, and the products."""
    build, names = call.build, ("query", "key", "value")
    q, k, v = (_with_heads(call, *part) for part in zip(operands, heads, names, strict=True))
    k, v = (repeated_heads(build, x, heads[0], 2, suffix) for x, suffix in ((k, "keys"), (v, "values")))
    result, weights, products = attention(
        build, q, k, v, mask, scale=_scale(call), cap=cap, heads_last=True, suffix="heads"
    )
    return build.viewed(result, (*result.dims[:-2], math.prod(result.dims[-2:])), result.batch), weights, products


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


def _merged(call: Call) -> Value:
    """Attention of onnxruntime, of one operand by weights of queries, keys and values side by side."""
    whole = call.trained(1, "the weights")
    sizes = call.attributes.integers("qkv_hidden_sizes") or (whole.shape[-1] // 3,) * 3
    bias = None if call.operand(2) is None else call.trained(2, "the bias")
    if len(sizes) != 3 or sum(sizes) != whole.shape[-1]:
        raise ModelFileError(f"parts {sizes} of {whole.shape[-1]} columns", where=call.attributes.where)
    parts = []
    for name, end, size in zip(("query", "key", "value"), accumulate(sizes), sizes, strict=True):
        columns = itemgetter((..., slice(end - size, end)))
        offset = None if bias is None else bias.moved(columns)
        build = call.build.within(f"{name}_product")
        parts.append(affine_product(build, "...ij,jk->...ik", call.tensor(0), whole.moved(columns), offset))
    return _by_runtime(call, parts, mask=3, past=(4, 6))


def _of_three(call: Call) -> Value:
    """Attention of onnxruntime, of queries, keys and values, which may have a bias side by side."""
    parts = [call.value(one) for one in call.operands[:3] if one is not None]
    if [x.rank for x in parts] != [3, 3, 3]:
        raise UnsupportedError("heads with an axis of their own", accepted="queries, keys and values of three axes")
    if call.operand(3) is not None:
        offsets = split(call.build, call.tensor(3), 0, [x.dims[-1] for x in parts])
        names = ("query_sum", "key_sum", "value_sum")
        parts = [add(call.build.within(name), *pair) for name, *pair in zip(names, parts, offsets, strict=True)]
    return _by_runtime(call, parts, mask=4, past=(6, 7, 8, 9))


def _by_runtime(call: Call, parts: Sequence[Value], mask: int, past: Sequence[int]) -> Value:
    """Attention with what masks it as onnxruntime's operators say: lengths, truth values, and numbers to be added."""
    attributes, heads = call.attributes, (call.attributes.integer("num_heads"),) * 3
    causal = attributes.flag("unidirectional", False)
    if attributes.number("mask_filter_value", _LEAST) > _LEAST:
        raise attributes.wrong("mask_filter_value", f"{_LEAST:g} or less, which leaves keys out")
    if any(call.operand(number) is not None for number in past) or attributes.flag("do_rotary", False):
        raise UnsupportedError("states of the past, or rotated places", accepted="whole sequences without them")
    masks = [] if call.operand(5) is None else [call.tensor(5)]
    if call.operand(mask) is not None:
        kept, keys = call.tensor(mask), parts[1].dims[-2]
        if kept.dims == (1,):  # the length
            kept = unsqueeze(call.build, kept, (1,))
            kept = compare(call.build, Relation.LT, constant(np.arange(float(keys))), kept, "within")
        if not 2 <= kept.rank <= 3 or kept.dims[-1] != keys:
            raise UnsupportedError(f"a mask of axes {kept.dims}", accepted="lengths, or truth values of keys")
        kept = truth(call.build, kept, "kept")
        if causal:  # each query sees those up to its own
            kept = kept if kept.rank == 3 else unsqueeze(call.build, kept, (1,))
            own = constant(np.tri(parts[0].dims[-2], keys, dtype=np.bool_))
            some = logical(Minimum(), call.build.within("before"), kept, own)
        else:
            some = kept
        some = REDUCERS["max"].of(
            call.build.within("some"), some, [-1], keepdims=True
        )  # where it leaves none, all stay
        none = negation(call.build.within("none"), some)
        kept = logical(Maximum(), call.build.within("seen"), kept, none)
        masks.append(unsqueeze(call.build, kept, (1, 2)[: 4 - kept.rank]))
    return _of_heads(call, parts, heads, Mask(None, 0 if causal else None, tuple(masks)))[0]


ATTENTION: Operators = {"Attention": Translation(_attention, "Einsum, Softmax and Einsum")}

MERGED_ATTENTION: dict[str, Translation] = {
    "Attention": Translation(_merged, "Dense, Einsum, Softmax and Einsum"),
    "MultiHeadAttention": Translation(_of_three, "Add, Einsum, Softmax and Einsum"),
}
"""Operators of the domain ``com.microsoft``, by name."""
