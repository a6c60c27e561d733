"""PyTorch's products: linear layers, matrix products, Einstein sums, attention and embeddings."""

from __future__ import annotations

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.frontends.ops.arithmetic import add_scaled
from bitsmith.frontends.ops.attention import Mask, attention, repeated_heads
from bitsmith.frontends.ops.contraction import einsum, matrix_product
from bitsmith.frontends.torch.call import Call, Result, Translation
from bitsmith.layers.dense import Dense
from bitsmith.layers.embedding import Embedding
from bitsmith.layers.layer import Floats, as_weights


def _dense(call: Call, x: Value, kernel: Floats, bias: Floats | None) -> Value:
    """``x @ kernel + bias`` over the last axis."""
    x.axis(-1)
    if not x.shape:
        raise UnsupportedError("a linear layer on scalars")
    return call.build.emit(Dense(kernel, bias), x)


def _linear(call: Call) -> Result:
    weight = call.weight("weight")
    return _dense(call, call.tensor("input"), as_weights(weight.T), call.optional("bias"))


def _addmm(call: Call) -> Result:
    """``beta * bias + alpha * x @ y``."""
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    x, y, bias = call.tensor("mat1"), call.tensor("mat2"), call.tensor("self")
    if x.constant is None and y.is_trained and y.constant is not None and bias.is_trained and bias.constant is not None:
        values = beta * bias.constant
        if values.size == y.shape[-1]:
            return _dense(call, x, as_weights(alpha * y.constant), as_weights(values.reshape(-1)))
    return add_scaled(call.build, matrix_product(call.build.within("product"), x, y, alpha), bias, beta)


def _matmul(call: Call) -> Result:
    return matrix_product(call.build, call.tensor(), call.tensor("mat2" if call.given("mat2") else "other"))


def _matrix_by_vector(call: Call) -> Result:
    return matrix_product(call.build, call.tensor(), call.tensor("vec"))


def _baddbmm(call: Call) -> Result:
    """``beta * bias + alpha * x @ y``."""
    found = matrix_product(
        call.build.within("product"), call.tensor("batch1"), call.tensor("batch2"), call.number("alpha", 1.0)
    )
    return add_scaled(call.build, found, call.tensor(), call.number("beta", 1.0))


def _einsum(call: Call) -> Result:
    return einsum(call.build, call.text("equation", ""), call.tensors("tensors"))


def _attention(call: Call) -> Result:
    query, key, value = (call.tensor(name) for name in ("query", "key", "value"))
    if call.number("dropout_p", 0.0) != 0.0:
        raise UnsupportedError(
            "dropout while training", accepted="evaluation", remedy="call model.eval() before the export"
        )
    if query.rank < 3:
        raise UnsupportedError(f"attention of axes {query.dims}", accepted="batch, positions and channels")
    if call.flag("enable_gqa"):
        heads = query.shape[query.axis(-3)]
        key, value = (repeated_heads(call.build, x, heads, -3, name) for x, name in ((key, "keys"), (value, "values")))
    mask = Mask(
        after=0 if call.flag("is_causal") else None, given=call.tensor("attn_mask") if call.given("attn_mask") else None
    )
    scale = call.number("scale") if call.given("scale") else None
    return attention(call.build, query, key, value, mask, scale=scale).result


def _embedding(call: Call) -> Result:
    table, x = call.weight("weight"), call.tensor("indices")
    if x.batch is not None and x.batch.merged > 1:
        raise UnsupportedError("an embedding of a batch that is merged with other axes", accepted="the batch by itself")
    return call.build.emit(Embedding(table), x)


def _weight_norm(call: Call) -> Result:
    """``v * g / |v|``, the length over all axes but ``dim``, of trained weights."""
    v, g, dim = call.weight("v"), call.weight("g"), call.integer("dim", 0)
    axes = tuple(axis for axis in range(v.ndim) if axis != dim % v.ndim)
    return constant(as_weights(v * g / np.sqrt(np.sum(v * v, axis=axes, keepdims=True))))


_MATMUL = Translation(_matmul, "Dense, EinsumDense or Einsum")

PRODUCTS: dict[str, Translation] = {
    "linear": Translation(_linear, "Dense"),
    "addmm": Translation(_addmm, "Dense, or Einsum and Add"),
    **dict.fromkeys(("matmul", "mm", "bmm", "dot", "vdot", "linalg_matmul"), _MATMUL),
    "mv": Translation(_matrix_by_vector, "EinsumDense or Einsum"),
    "baddbmm": Translation(_baddbmm, "Einsum and Add"),
    "einsum": Translation(_einsum, "Einsum or EinsumDense"),
    "scaled_dot_product_attention": Translation(_attention, "Einsum and Softmax"),
    "_weight_norm": Translation(_weight_norm, "Constant"),
    "embedding": Translation(_embedding, "Embedding"),
}
"""Operators by name."""
