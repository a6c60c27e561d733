"""Operators that onnxruntime's optimizers make of several of ONNX's own, which they become again; domain ``com.microsoft``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.known import Array, Known, Operand
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.onnx.activations import ACTIVATIONS
from bitsmith.frontends.onnx.arithmetic import ARITHMETIC, operation
from bitsmith.frontends.onnx.attention import MERGED_ATTENTION
from bitsmith.frontends.onnx.attributes import Attributes
from bitsmith.frontends.onnx.call import Call, Operators, Translation
from bitsmith.frontends.onnx.quantized import Grid, on_grid
from bitsmith.frontends.onnx.reduction import REDUCTIONS
from bitsmith.frontends.onnx.shape import SHAPES
from bitsmith.frontends.onnx.spatial import SPATIAL
from bitsmith.frontends.ops import activations, arithmetic, normalization
from bitsmith.frontends.ops.contraction import affine_product
from bitsmith.frontends.ops.normalization import Parameters
from bitsmith.frontends.ops.reduction import Reducer
from bitsmith.layers.layer import as_weights
from bitsmith.layers.quantization.quantizer import rationals
from bitsmith.layers.reduction import Reduction

_REAL: Mapping[str, Translation] = {**ACTIVATIONS, **ARITHMETIC, **REDUCTIONS, **SHAPES, **SPATIAL}


def becomes(operator: str) -> str:
    """The kinds of layer that an operator of ONNX's own becomes."""
    return _REAL[operator].becomes


def own(call: Call, operator: str, operands: Sequence[Operand | None], suffix: str = "") -> Value:
    """An operator of ONNX's own with the attributes of this node, on these operands."""
    node = replace(call.node, operator=operator, domain="")
    y = _REAL[operator].read(replace(call, node=node, operands=tuple(operands), build=call.build.within(suffix)))
    assert isinstance(y, Value)
    return y


def _activated(call: Call, operator: str, operands: Sequence[Operand | None], parameters: Mapping[str, float]) -> Value:
    """An operator of ONNX's own, the sum with the fourth operand if there is one, and an activation if one is named."""
    name, build, more = call.attributes.text("activation", ""), call.build, call.operand(3)
    y = own(call, operator, operands, "product" if name or more is not None else "")
    if more is not None:
        y = arithmetic.add(build.within("sum") if name else build, y, call.value(more))
    if name == "Clip":
        return arithmetic.clip(build, y, parameters.get("alpha", -math.inf), parameters.get("beta", math.inf))
    if name and name not in ACTIVATIONS:
        raise UnsupportedError(f"the activation {name[:50]!r}", accepted=", ".join(("Clip", *ACTIVATIONS)))
    attributes = Attributes(parameters, call.attributes.where)
    return own(replace(call, node=replace(call.node, attributes=attributes)), name, (y,)) if name else y


def _convolution(call: Call) -> Value:
    parameters = call.attributes.numbers("activation_params") or ()
    return _activated(call, "Conv", call.operands[:3], dict(zip(("alpha", "beta"), parameters, strict=False)))


def _affine_product(call: Call) -> Value:
    listed = [(key, call.attributes.numbers(f"activation_{key}")) for key in ("alpha", "beta", "gamma")]
    return _activated(call, "Gemm", call.operands[:3], {key: found[0] for key, found in listed if found})


def _product(call: Call) -> Value:
    """``alpha * A' B'``, of operands whose last two axes, or whose first and those between, are exchanged."""
    sides = []
    for number, side in enumerate("AB"):
        x, axes = call.tensor(number), list(range(call.tensor(number).rank))
        if call.attributes.flag(f"transBatch{side}", False):
            axes = [*axes[1:-1], 0, axes[-1]]
        if call.attributes.flag(f"trans{side}", False):
            axes[-2:] = axes[:-3:-1]
        sides.append(call.build.permuted(x, axes, f"operand{number}"))
    x, y = sides
    return affine_product(call.build, "...ij,...jk->...ik", x, y, None, call.attributes.number("alpha", 1.0))


def _unpacked(packed: Array, rows: int, bits: int, count: int) -> Array:
    """``count`` integers of each row of bytes, the least significant ones first."""
    octets = packed.astype(np.int64).reshape(rows, -1, 1)
    return (octets >> np.arange(0, 8, bits) & ((1 << bits) - 1)).reshape(rows, -1)[:, :count]


def _product_of_few_bits(call: Call) -> Value:
    """A product with weights of few bits, of which each block of rows has a scale."""
    attributes = call.attributes
    bits, block, rows, columns = (attributes.integer(key) for key in ("bits", "block_size", "K", "N"))
    if attributes.integer("accuracy_level", 0) > 1:
        call.say(f"{call.name} rounds its operand in runtimes, by its accuracy_level; the circuit does not.")
    packed, blocks = call.array(1, "the weights"), -(-rows // max(block, 1))
    zeros = None if call.operand(3) is None else call.array(3, "the zero points")
    if bits not in (2, 4, 8) or packed.dtype != np.uint8 or packed.size * 8 != columns * blocks * block * bits:
        raise ModelFileError(f"{bits} bits, weights of shape {packed.shape}", where=attributes.where)
    if (zeros is not None and zeros.dtype != np.uint8) or call.operand(4) or attributes.integer("weight_prepacked", 0):
        raise UnsupportedError("real zero points, rows out of order, or other packing", accepted="plain weights")
    codes = _unpacked(packed, columns, bits, rows)
    zeros = np.array(1 << bits - 1) if zeros is None else _unpacked(zeros, columns, bits, blocks)
    scales, offsets = (
        np.repeat(np.broadcast_to(one, (columns, blocks)), block, axis=1)[:, :rows].T
        for one in (call.weights(2, "the scales").reshape(columns, blocks), as_weights(zeros))
    )
    grid = Grid(rationals(as_weights(scales)), offsets.astype(np.int64), 0, (1 << bits) - 1, Kind.UINT8)
    bias = None if call.operand(5) is None else call.tensor(5)
    return affine_product(call.build, "...ij,jk->...ik", call.tensor(0), on_grid(codes.T, grid, ""), bias)


def _sum(call: Call, *numbers: int) -> Value:
    """The sum of those of the operands that there are."""
    operands = [call.value(one) for one in map(call.operand, numbers) if one is not None]
    return arithmetic.total(call.build.within("sum"), *operands)


def _gelu(approximate: str) -> Translation:
    """GELU of the sum with a bias, if there is one."""
    return Translation(lambda call: activations.gelu(call.build, _sum(call, 0, 1), approximate), "Add and Activation")


def _normalized(call: Call, total: Value, scale: int, bias: int) -> Value:
    """Normalization over the last axis."""
    beta = as_weights(0.0) if call.operand(bias) is None else call.weights(bias, "the bias")
    parameters = Parameters(call.weights(scale, "the scale"), beta, call.attributes.number("epsilon", 1e-12))
    return normalization.over_axes(call.build, total, [-1], parameters)


def _sum_normalized(call: Call) -> tuple[Value | None, ...]:
    """The normalization of a sum, which is the fourth result."""
    total = _sum(call, 0, 1, 4)
    return _normalized(call, total, 2, 3), None, None, total


def _sum_by_square(call: Call) -> tuple[Value | None, ...]:
    """The same by the root mean square."""
    total, gamma, epsilon = _sum(call, 0, 1, 3), call.weights(2, "the scale"), call.attributes.number("epsilon", 1e-12)
    return normalization.root_mean_square(call.build, total, [-1], gamma, epsilon), None, None, total


def _embedded(call: Call) -> tuple[Value | None, ...]:
    """The normalized sum of rows of tables for words, places and segments; lengths of the mask; the sum."""
    call.attributes.ignore("mask_index_type")
    places = call.operand(8) or Known((np.arange(call.tensor(0).dims[-1])[None],))
    rows = {"words": (2, call.required(0)), "places": (3, places), "segments": (4, call.operand(1))}
    parts = [own(call, "Gather", (call.required(k), one), name) for name, (k, one) in rows.items() if one is not None]
    total, lengths = arithmetic.total(call.build.within("sum"), *parts), None
    if call.operand(7) is not None and call.wanted[1:2] == (True,):
        lengths = Reducer(Reduction.SUM).of(call.build.within("lengths"), call.tensor(7), [-1])
    return _normalized(call, total, 5, 6), lengths, total


FUSED: Operators = {
    **MERGED_ATTENTION,
    "Gelu": operation("gelu"),
    "QuickGelu": operation("silu", alpha=("alpha", 1.702)),
    "BiasGelu": _gelu("none"),
    "FastGelu": _gelu("tanh"),
    "FusedConv": Translation(_convolution, "Conv, Add and an activation"),
    "FusedGemm": Translation(_affine_product, "Dense, or Einsum and Add, and an activation"),
    "FusedMatMul": Translation(_product, "Permute, and Dense or Einsum"),
    "MatMulNBits": Translation(_product_of_few_bits, "Dense"),
    "SkipLayerNormalization": Translation(_sum_normalized, "Add and LayerNormalization"),
    "SkipSimplifiedLayerNormalization": Translation(_sum_by_square, "Add and RMSNormalization"),
    "EmbedLayerNormalization": Translation(_embedded, "Embedding, Add and LayerNormalization"),
}
