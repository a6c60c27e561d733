"""ONNX's matrix products: of two tensors, or of a tensor and trained weights."""

from __future__ import annotations

from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.onnx.arithmetic import operation
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.ops.contraction import affine_product, einsum


def _gemm(call: Call) -> Value:
    """``alpha * A' B' + beta * C``."""
    attributes = call.attributes
    attributes.ignore("broadcast")
    alpha, beta = attributes.number("alpha", 1.0), attributes.number("beta", 1.0)
    a = "ki" if attributes.flag("transA", False) else "ik"
    b = "jk" if attributes.flag("transB", False) else "kj"
    offset = None if call.operand(2) is None else call.tensor(2)
    return affine_product(call.build, f"{a},{b}->ij", call.tensor(0), call.tensor(1), offset, alpha, beta)


def _einsum(call: Call) -> Value:
    return einsum(call.build, call.attributes.text("equation"), call.tensors())


PRODUCTS: dict[str, Translation] = {
    "MatMul": operation("matmul"),
    "Gemm": Translation(_gemm, "Dense, or Einsum and Add"),
    "Einsum": Translation(_einsum, "Einsum, or EinsumDense with a constant"),
}
"""Operators by name."""
