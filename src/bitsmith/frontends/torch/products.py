"""PyTorch's products: linear layers, matrix products, Einstein sums, attention and embeddings."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence, Set
from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Batch, Kind, Value, constant
from bitsmith.frontends.ops.activations import softmax
from bitsmith.frontends.ops.arithmetic import add, add_scaled
from bitsmith.frontends.torch.call import Call, Result, Translation
from bitsmith.layers.dense import Dense
from bitsmith.layers.einsum import Einsum, EinsumDense, parse_equation
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
    return add_scaled(call.build, matrix_product(call, x, y, "product", alpha), bias, beta)


def matrix_product(call: Call, x: Value, y: Value, suffix: str = "", scale: float = 1.0) -> Value:
    """``x @ y`` as torch means it: vectors count as matrices, leading axes broadcast."""
    if not x.rank or not y.rank:
        raise UnsupportedError("a matrix product with a number", accepted="tensors with axes")
    leading = string.ascii_uppercase[: max(x.rank, y.rank, 2) - 2]
    left = leading[len(leading) - max(x.rank - 2, 0) :] + ("ij" if x.rank > 1 else "j")
    right = leading[len(leading) - max(y.rank - 2, 0) :] + ("jk" if y.rank > 1 else "j")
    result = leading + "i" * (x.rank > 1) + "k" * (y.rank > 1)
    return contracted(call, (left, right), result, (x, y), suffix, scale)


def contracted(
    call: Call, terms: Sequence[str], result: str, tensors: Sequence[Value], suffix: str = "", scale: float = 1.0
) -> Value:
    """An Einstein sum of one or two tensors, whose axes of size 1 broadcast."""
    large = {
        label
        for term, x in zip(terms, tensors, strict=True)
        for dim, label in enumerate(term)
        if x.dims[dim] > 1 or (x.batch is not None and x.batch.axis == dim)
    }
    pairs = [_thinned(call, term, x, large) for term, x in zip(terms, tensors, strict=True)]
    batches = {(term[x.batch.axis], x.batch.outer, x.batch.inner) for term, x in pairs if x.batch is not None}
    if not batches:
        # No samples: both are constants.
        found = np.einsum(
            f"{','.join(term for term, _ in pairs)}->{result}", *(np.asarray(x.constant) for _, x in pairs)
        )
        return constant(as_weights(found * scale))
    ((label, outer, inner),) = batches if len(batches) == 1 else (("", 1, 1),)
    if not label or label not in result:
        raise UnsupportedError(
            f"{','.join(terms)}->{result} of axes {[x.dims for x in tensors]}, which mixes samples",
            accepted="products within a sample",
        )
    for term, x in pairs:
        if x.batch is None and label in term:
            raise UnsupportedError("a constant that differs between samples", accepted="one constant for all samples")
    batch = Batch(result.index(label), outer, inner)
    gone = label if batch.merged == 1 else ""
    named = [(_left_out(term, gone) if x.batch is not None else term, x) for term, x in pairs]
    return replace(_product(call, named, _left_out(result, gone), suffix, scale), batch=batch)


def _left_out(term: str, label: str) -> str:
    return term.replace(label, "") if label else term


def _thinned(call: Call, term: str, x: Value, large: Set[str]) -> tuple[str, Value]:
    """A term without the axes of size 1 that broadcast to ``large`` ones of the other tensor."""
    gone = [
        dim
        for dim, label in enumerate(term)
        if x.dims[dim] == 1 and label in large and not (x.batch is not None and x.batch.axis == dim)
    ]
    if not gone:
        return term, x
    batch = None if x.batch is None else x.batch.at(x.batch.axis - sum(dim < x.batch.axis for dim in gone))
    dims = tuple(size for dim, size in enumerate(x.dims) if dim not in gone)
    return "".join(label for dim, label in enumerate(term) if dim not in gone), call.build.viewed(
        x, dims, batch, "thin"
    )


def _product(call: Call, named: Sequence[tuple[str, Value]], result: str, suffix: str, scale: float) -> Value:
    variables = [(term, x) for term, x in named if x.constant is None or x.batch is not None]
    trained = [(term, x.constant) for term, x in named if x.constant is not None and x.batch is None]
    if not trained or not variables:
        equation = f"{','.join(term for term, _ in named)}->{result}"
        return call.build.emit(Einsum(equation, scale), *(x for _, x in named), suffix=suffix)
    ((term, x),), ((kernel_term, kernel),) = variables, trained
    kernel = as_weights(kernel * scale)
    if kernel.ndim == 2 and term and kernel_term[0] == term[-1] and result == term[:-1] + kernel_term[1]:
        return call.build.emit(Dense(kernel), x, suffix=suffix)
    if kernel.ndim == 2 and term and kernel_term[1] == term[-1] and result == term[:-1] + kernel_term[0]:
        return call.build.emit(Dense(as_weights(kernel.T)), x, suffix=suffix)
    return call.build.emit(EinsumDense(f"{term},{kernel_term}->{result}", kernel), x, suffix=suffix)


def _matmul(call: Call) -> Result:
    return matrix_product(call, call.tensor(), call.tensor("mat2" if call.given("mat2") else "other"))


def _matrix_by_vector(call: Call) -> Result:
    return matrix_product(call, call.tensor(), call.tensor("vec"))


def _baddbmm(call: Call) -> Result:
    """``beta * bias + alpha * x @ y``."""
    found = matrix_product(call, call.tensor("batch1"), call.tensor("batch2"), "product", call.number("alpha", 1.0))
    return add_scaled(call.build, found, call.tensor(), call.number("beta", 1.0))


def _einsum(call: Call) -> Result:
    tensors = call.tensors("tensors")
    if len(tensors) not in (1, 2):
        raise UnsupportedError(
            f"einsum of {len(tensors)} tensors", accepted="one or two", remedy="multiply them pair by pair"
        )
    equation = parse_equation(call.text("equation", ""), [x.rank for x in tensors])
    return contracted(call, equation.operands, equation.result, tensors)


def _attention(call: Call) -> Result:
    """A. Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.1."""
    query, key, value = (call.tensor(name) for name in ("query", "key", "value"))
    if call.number("dropout_p", 0.0) != 0.0:
        raise UnsupportedError(
            "dropout while training", accepted="evaluation", remedy="call model.eval() before the export"
        )
    if call.flag("enable_gqa"):
        raise UnsupportedError(
            "query heads that share key heads",
            accepted="as many key heads as query heads",
            remedy="repeat the key heads",
        )
    if query.rank < 3:
        raise UnsupportedError(f"attention of axes {query.dims}", accepted="batch, positions and channels")
    scale = call.number("scale") if call.given("scale") else 1.0 / math.sqrt(query.dims[-1])
    leading = string.ascii_uppercase[: max(query.rank, key.rank) - 2]
    terms = (leading[len(leading) - query.rank + 2 :] + "id", leading[len(leading) - key.rank + 2 :] + "jd")
    scores = contracted(call, terms, f"{leading}ij", (query, key), "scores", scale)
    kept = [constant(np.tri(scores.dims[-2], scores.dims[-1]))] if call.flag("is_causal") else []
    mask = call.tensor("attn_mask") if call.given("attn_mask") else None
    if mask is not None and mask.kind is Kind.BOOL:
        kept.append(mask)
    elif mask is not None:
        scores = add(call.build.within("masked"), scores, mask)
    return matrix_product(call, softmax(call.build.within("softmax"), scores, -1, *kept), value)


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
