"""ONNX's matrix products: of two tensors, or of a tensor and trained weights."""

from __future__ import annotations

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.ops.arithmetic import add_scaled
from bitsmith.frontends.ops.contraction import contracted, einsum, matrix_product
from bitsmith.layers.layer import as_weights


def _matmul(call: Call) -> Value:
    return matrix_product(call.build, call.tensor(0), call.tensor(1))


def _gemm(call: Call) -> Value:
    """``alpha * A' B' + beta * C``."""
    attributes = call.attributes
    attributes.ignore("broadcast")
    alpha, beta = attributes.number("alpha", 1.0), attributes.number("beta", 1.0)
    a = "ki" if attributes.flag("transA", False) else "ik"
    b = "jk" if attributes.flag("transB", False) else "kj"
    left, right = call.tensor(0), call.tensor(1)
    offset = None if call.operand(2) is None or beta == 0.0 else call.tensor(2)
    if left.rank != 2 or right.rank != 2:
        raise UnsupportedError(f"matrices of {left.rank} and {right.rank} axes", accepted="two axes each")
    if offset is None:
        return contracted(call.build, (a, b), "ij", (left, right), alpha)
    units = right.dims[b.index("j")]
    if left.constant is None and right.is_trained and offset.constant is not None and offset.is_trained:
        rows, columns = (1, 1, *offset.shape)[-2:]
        if rows == 1 and columns in (1, units):
            bias = as_weights(np.broadcast_to(beta * offset.constant.reshape(-1), (units,)))
            return contracted(call.build, (a, b), "ij", (left, right), alpha, bias)
    y = contracted(call.build.within("product"), (a, b), "ij", (left, right), alpha)
    return add_scaled(call.build, y, offset, beta)


def _einsum(call: Call) -> Value:
    return einsum(call.build, call.attributes.text("equation"), call.tensors())


PRODUCTS: dict[str, Translation] = {
    "MatMul": Translation(_matmul, "Dense, EinsumDense or Einsum"),
    "Gemm": Translation(_gemm, "Dense, or Einsum and Add"),
    "Einsum": Translation(_einsum, "Einsum, or EinsumDense with a constant"),
}
"""Operators by name."""
