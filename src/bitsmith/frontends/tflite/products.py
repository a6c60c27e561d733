"""Products with weights: fully connected layers, convolutions, and products of two tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.ops import contraction, spatial
from bitsmith.frontends.ops.shape import view
from bitsmith.frontends.ops.spatial import Same, Taps
from bitsmith.frontends.tflite.call import Call, Operand, Translation, checked, limits_of
from bitsmith.frontends.tflite.fixedpoint import Integers
from bitsmith.frontends.tflite.graph import Tensor
from bitsmith.frontends.tflite.requantize import Kernels, exact, real_step
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Floats

_ACCUMULATOR = (1 << 31) - 1
"""The greatest sum of products in 32 bits."""


def _factors(x: Operand, weights: Tensor, result: Tensor, units: int, *, single: bool = False) -> list[float]:
    """What products are multiplied by: one factor, or one for each of the channels.

    It is a quotient in double precision, of a product in the same, or in ``single``.
    """
    scales = weights.quantized.scales
    if len(scales) not in (1, units):
        raise UnsupportedError(f"{len(scales)} scales for {units} channels", accepted="one, or one for each channel")
    product = x.scale * scales if single else np.float64(x.scale) * scales.astype(np.float64)
    found = product.astype(np.float64) / np.float64(result.quantized.scale)
    return [float(one) for one in found]


def _is_wide(call: Call, x: Operand, bias: int) -> bool:
    """Return True if sums of products have 64 bits: of operands of 16 bits, unless the bias has 32.

    Without a bias, older kernels have 32 in other operators than convolutions.
    """
    tensor = call.tensor(bias)
    if tensor is None:
        return x.is_wide and (call.kernels is Kernels.SINGLE or call.operator.kind.endswith("CONV_2D"))
    return x.is_wide and tensor.dtype == "int64"


def _check_sums(call: Call, x: Operand, rows: Integers, bias: Integers | None) -> None:
    """Refuse sums of products (of the columns of ``rows``) that may leave 32 bits, where kernels wrap around."""
    most = np.abs(rows).sum(axis=0) * max(map(abs, x.limits)) + (0 if bias is None else np.abs(bias))
    if int(most.max(initial=0)) > _ACCUMULATOR:
        raise UnsupportedError(
            f"sums of products of up to {int(most.max())}, which may wrap around",
            accepted="sums within 32 bits",
            remedy="fewer inputs or smaller weights",
        )


def _bias(bias: Integers | None) -> Floats | None:
    return None if bias is None else exact(bias)


def _fully_connected(call: Call) -> Value:
    x = call.operand(0)
    if call.options.integer("weights_format"):
        raise UnsupportedError("shuffled weights", accepted="weights in their own order")
    codes, weights = call.weights(1, "the weights")
    if codes.ndim != 2 or not codes.size:
        raise call.error(f"weights of shape {codes.shape}", "one row for each unit")
    units, width = codes.shape
    bias = call.bias(2, units)
    wide = _is_wide(call, x, 2)
    if not wide:
        _check_sums(call, x, codes.T, bias)
    flat = x.value
    if flat.shape[-1:] != (width,) or (flat.rank > 2 and not call.options.flag("keep_num_dims")):
        flat = view(call.build.within("rows"), flat, [(-1, width)])
    y = call.build.within("product").each(Dense(exact(codes.T), _bias(bias)), flat)
    if call.kernels is Kernels.SINGLE:
        y = call.quantized(y, real_step(_factors(x, weights, call.result, units), call.fused()))
    else:
        single = weights.quantized.is_plain
        y = call.rescaled(y, _factors(x, weights, call.result, units, single=single), call.fused(), wide=wide)
    return view(call.build.within("shape"), y, [call.result.shape])


def taps_of(call: Call, size: Sequence[int], *, dilated: bool = True) -> Taps:
    """Windows of the options."""
    if len(size) != 2 or min(size) < 1:
        raise call.error(f"a kernel of shape {tuple(size)}", "two axes")
    options = call.options
    dilation = (options.positive("dilation_h_factor"), options.positive("dilation_w_factor")) if dilated else (1, 1)
    strides = options.positive("stride_h"), options.positive("stride_w")
    padding = Same.AFTER if options.text("padding") == "SAME" else ((0, 0), (0, 0))
    return Taps(tuple(size), strides, dilation, padding)


def image(call: Call, number: int) -> Operand:
    x = call.operand(number)
    if x.value.rank != 4:
        raise call.error(f"an operand of {x.value.rank} axes", "samples, rows, columns and channels")
    return x


def _kernel(call: Call, number: int) -> tuple[Integers, Tensor]:
    codes, weights = call.weights(number, "the kernel")
    if codes.ndim != 4 or not codes.size:
        raise call.error(f"a kernel of shape {codes.shape}", "four axes")
    return codes, weights


def _conv(call: Call) -> Value:
    codes, weights = _kernel(call, 1)
    return _convolution(call, np.moveaxis(codes, 0, -1), weights)


def _depthwise(call: Call) -> Value:
    codes, weights = _kernel(call, 1)
    if codes.shape[0] != 1:
        raise call.error(f"a kernel of shape {codes.shape}", "one element along the first axis")
    return _convolution(call, np.moveaxis(codes, 0, 2), weights)


def _convolution(call: Call, kernel: Integers, weights: Tensor) -> Value:
    """A convolution with a kernel (rows, columns, in // groups, out)."""
    x, (*size, inside, units) = image(call, 0), kernel.shape
    channels = x.value.item[-1]
    groups, rest = divmod(channels, inside)
    if not groups or rest or units % groups:
        raise call.error(f"{channels} channels for a kernel of shape {kernel.shape}", "equal groups")
    bias = call.bias(2, units)
    wide = _is_wide(call, x, 2)
    if not wide:
        _check_sums(call, x, kernel.reshape(-1, units), bias)
    y = spatial.convolution(call.build, x.value, exact(kernel), _bias(bias), taps_of(call, size), groups, "product")
    single = x.tensor.dtype == "uint8"
    return call.rescaled(y, _factors(x, weights, call.result, units, single=single), call.fused(), wide=wide)


def _transpose_conv(call: Call) -> Value:
    codes, weights = _kernel(call, 1)
    x, kernel = image(call, 2), np.moveaxis(codes, 0, -1)
    *size, channels, units = kernel.shape
    if x.value.item[-1] != channels:
        raise call.error(f"{x.value.item[-1]} channels for a kernel of shape {kernel.shape}")
    wanted = call.integers(0, "the output shape")
    if len(wanted) != 4 or min(wanted) < 1:
        raise call.error(f"an output of shape {wanted}", "four axes")
    bias, taps = call.bias(3, units), taps_of(call, size, dilated=False)
    wide = _is_wide(call, x, 3)
    if not wide:
        _check_sums(call, x, kernel.reshape(-1, units), bias)
    pairs, extra = [], []
    for n, output, taps_along, stride in zip(x.value.item, wanted[1:], taps.size, taps.strides, strict=False):
        full = (n - 1) * stride + taps_along
        before = (
            max((-(-output // stride) - 1) * stride + taps_along - output, 0) // 2 if taps.padding is Same.AFTER else 0
        )
        pairs.append((before, max(full - before - output, 0)))
        extra.append(max(output + before - full, 0))
    placed = Taps(taps.size, taps.strides, taps.dilation, tuple(pairs))
    build = call.build.within("product")
    y = spatial.transposed(build, x.value, exact(kernel), _bias(bias), placed, extra=tuple(extra))
    single = x.tensor.dtype == "uint8"
    return call.rescaled(y, _factors(x, weights, call.result, units, single=single), call.fused(), wide=wide)


def _batch_matmul(call: Call) -> Value:
    x, y = call.operand(0), call.operand(1)
    terms = ["...ij", "...jk"]
    if call.options.flag("adj_x"):
        terms[0] = "...ji"
    if call.options.flag("adj_y"):
        terms[1] = "...kj"
    total = contraction.einsum(call.build.within("product"), f"{','.join(terms)}->...ik", (x.value, y.value))
    factor = float(np.float64(x.scale * y.scale) / np.float64(call.result.quantized.scale))
    return call.rescaled(total, factor, limits_of(checked(call.result)), wide=x.is_wide)


PRODUCTS: dict[str, Translation] = {
    "BATCH_MATMUL": Translation(_batch_matmul, "Einsum and Quantize"),
    "CONV_2D": Translation(_conv, "Conv and Quantize"),
    "DEPTHWISE_CONV_2D": Translation(_depthwise, "Conv and Quantize"),
    "FULLY_CONNECTED": Translation(_fully_connected, "Dense and Quantize"),
    "TRANSPOSE_CONV": Translation(_transpose_conv, "ConvTranspose and Quantize"),
}
"""Operators by name."""
