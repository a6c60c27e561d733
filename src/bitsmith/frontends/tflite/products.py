"""Products with weights: fully connected layers, convolutions, and products of two tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value, checked_elements, constant, kernel_layouts
from bitsmith.frontends.ops import contraction, spatial
from bitsmith.frontends.ops.operations import OPERATIONS
from bitsmith.frontends.ops.shape import view
from bitsmith.frontends.ops.spatial import Same, Taps
from bitsmith.frontends.tflite.call import Call, Entry, Operand, Translation, Translator, checked, limits_of
from bitsmith.frontends.tflite.fixedpoint import Integers
from bitsmith.frontends.tflite.requantize import Kernels, exact, real_step
from bitsmith.frontends.tflite.shared import fused
from bitsmith.frontends.tflite.tensors import Tensor
from bitsmith.ir.model_layout import Move
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Floats, Shape, as_weights

_Number = TypeVar("_Number", bound=np.generic)


class _Mover(Protocol):
    """A rearrangement of elements, of any type."""

    def __call__(self, kernel: npt.NDArray[_Number], /) -> npt.NDArray[_Number]: ...


_ACCUMULATOR = (1 << 31) - 1
"""The greatest sum of products in 32 bits."""


def _factors(x: Operand, weights: Tensor, result: Tensor, units: int, *, single: bool = False) -> list[float]:
    """Return the factors of products: one factor, or one for each of the channels.

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


def _rows(call: Call, shape: Sequence[int]) -> Value:
    """The operand of a fully connected layer, with axes as weights of this shape take them."""
    x = call.value(0)
    if call.options.integer("weights_format"):
        raise UnsupportedError("shuffled weights", accepted="weights in their own order")
    if len(shape) != 2 or 0 in shape:
        raise call.error(f"weights of shape {tuple(shape)}", "one row for each unit")
    if x.shape[-1:] != (shape[1],) or (x.rank > 2 and not call.options.flag("keep_num_dims")):
        return view(call.build.within("rows"), x, [(-1, shape[1])])
    return x


def _dense(call: Call) -> Value:
    weights = call.trained(1, "the weights")
    rows, bias = _rows(call, weights.shape), call.biases(2, len(weights))
    layouts = kernel_layouts(weights.shape, np.transpose)
    return fused(call, lambda build: build.each(Dense(as_weights(weights.T), bias), rows, layouts=layouts))


def _fully_connected(call: Call) -> Value:
    codes, weights = call.weights(1, "the weights")
    rows, units = _rows(call, codes.shape), len(codes)
    if call.is_nothing(0):
        return constant(np.zeros((*rows.dims[:-1], units)))
    x = call.operand(0)
    bias = call.bias(2, units)
    wide = _is_wide(call, x, 2)
    if not wide:
        _check_sums(call, x, codes.T, bias)
    layer, layouts = Dense(exact(codes.T), _bias(bias)), kernel_layouts(codes.shape, np.transpose)
    y = call.build.within("product").each(layer, rows, layouts=layouts)
    if call.kernels is Kernels.SINGLE:
        return call.quantized(y, real_step(_factors(x, weights, call.result, units), call.fused()))
    single = weights.quantized.is_plain
    return call.rescaled(y, _factors(x, weights, call.result, units, single=single), call.fused(), wide=wide)


def taps_of(call: Call, size: Sequence[int], *, dilated: bool = True) -> Taps:
    """Windows of the options."""
    names = "dhw"[-len(size) :]
    if len(size) != len(names) or min(size) < 1:
        raise call.error(f"a kernel of shape {tuple(size)}", f"{len(names)} axes")
    checked_elements(tuple(size))
    options = call.options
    dilation = tuple(options.positive(f"dilation_{name}_factor") if dilated else 1 for name in names)
    strides = tuple(options.positive(f"stride_{name}") for name in names)
    padding = Same.AFTER if options.text("padding") == "SAME" else ((0, 0),) * len(names)
    return Taps(tuple(size), strides, dilation, padding)


def image(call: Call, number: int, axes: int = 2) -> Operand:
    """An operand with so many axes of positions, and channels."""
    x = call.operand(number)
    if x.value.rank != axes + 2:
        raise call.error(f"an operand of {x.value.rank} axes", f"samples, {axes} axes of positions, and channels")
    return x


def _kernel(call: Call, number: int) -> tuple[Integers, Tensor]:
    codes, weights = call.weights(number, "the kernel")
    _check_kernel(call, codes.shape)
    return codes, weights


def _check_kernel(call: Call, shape: Sequence[int], rank: int = 4) -> None:
    if len(shape) != rank or 0 in shape:
        raise call.error(f"a kernel of shape {tuple(shape)}", f"{rank} axes")


def _real_kernel(call: Call, number: int, rank: int = 4) -> Floats:
    kernel = call.trained(number, "the kernel")
    _check_kernel(call, kernel.shape, rank)
    return kernel


def _conv(call: Call) -> Value:
    codes, weights = _kernel(call, 1)
    return _convolution(call, codes, _units_last, weights)


def _real_conv(call: Call) -> Value:
    return _real_convolution(call, _real_kernel(call, 1), _units_last)


def _conv_3d(call: Call) -> Value:
    return _real_convolution(call, _real_kernel(call, 1, 5), lambda kernel: kernel)


def _depthwise(call: Call) -> Value:
    codes, weights = _kernel(call, 1)
    _check_by_channel(call, codes.shape)
    return _convolution(call, codes, _channels_third, weights)


def _real_depthwise(call: Call) -> Value:
    kernel = _real_kernel(call, 1)
    _check_by_channel(call, kernel.shape)
    return _real_convolution(call, kernel, _channels_third)


def _check_by_channel(call: Call, shape: Shape) -> None:
    if shape[0] != 1:
        raise call.error(f"a kernel of shape {shape}", "one element along the first axis")


def _units_last(kernel: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    return np.moveaxis(kernel, 0, -1)


def _channels_third(kernel: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    return np.moveaxis(kernel, 0, 2)


def _exchanged(kernel: Floats) -> Floats:
    return np.swapaxes(kernel, -1, -2)


def _groups(call: Call, x: Value, shape: Sequence[int]) -> int:
    """The number of groups of channels that a kernel (positions..., in // groups, out) has."""
    *_, inside, units = shape
    groups, rest = divmod(x.item[-1], inside)
    if not groups or rest or units % groups:
        raise call.error(f"{x.item[-1]} channels for a kernel of shape {tuple(shape)}", "equal groups")
    return groups


def _real_convolution(call: Call, stored: Floats, move: Move) -> Value:
    """A convolution with the kernel (positions..., in // groups, out) that ``move`` makes of the model's."""
    kernel, layouts = as_weights(move(stored)), kernel_layouts(stored.shape, move)
    *size, _, units = kernel.shape
    x = image(call, 0, len(size)).value
    taps, groups, bias = taps_of(call, size), _groups(call, x, kernel.shape), call.biases(2, units)
    return fused(call, lambda build: spatial.convolution(build, x, kernel, bias, taps, groups, layouts=layouts))


def _convolution(call: Call, codes: Integers, move: _Mover, weights: Tensor) -> Value:
    """A convolution of codes with the kernel (rows, columns, in // groups, out) that ``move`` makes of the model's."""
    kernel, layouts = move(codes), kernel_layouts(codes.shape, move)
    x, (*size, _, units) = image(call, 0), kernel.shape
    groups = _groups(call, x.value, kernel.shape)
    bias = call.bias(2, units)
    wide = _is_wide(call, x, 2)
    if not wide:
        _check_sums(call, x, kernel.reshape(-1, units), bias)
    layer, taps = (exact(kernel), _bias(bias)), taps_of(call, size)
    y = spatial.convolution(call.build, x.value, *layer, taps, groups, "product", layouts=layouts)
    single = x.tensor.dtype == "uint8"
    return call.rescaled(y, _factors(x, weights, call.result, units, single=single), call.fused(), wide=wide)


def _placed(call: Call, x: Value, shape: Sequence[int], given: int = 0) -> tuple[Taps, tuple[int, ...]]:
    """Place the kernel (positions..., in, out) of a transposed convolution; return the elements left 0 at the end, too.

    Input ``given`` is the shape of the result.
    """
    *size, channels, _ = shape
    if x.item[-1] != channels:
        raise call.error(f"{x.item[-1]} channels for a kernel of shape {tuple(shape)}")
    wanted = call.integers(given, "the output shape")
    if len(wanted) != len(shape) or min(wanted) < 1:
        raise call.error(f"an output of shape {wanted}", f"{len(shape)} axes")
    taps, pairs, extra = taps_of(call, size, dilated=False), [], []
    for n, output, taps_along, stride in zip(x.item, wanted[1:], taps.size, taps.strides, strict=False):
        full = (n - 1) * stride + taps_along
        before = (
            max((-(-output // stride) - 1) * stride + taps_along - output, 0) // 2 if taps.padding is Same.AFTER else 0
        )
        pairs.append((before, max(full - before - output, 0)))
        extra.append(max(output + before - full, 0))
    return Taps(taps.size, taps.strides, taps.dilation, tuple(pairs)), tuple(extra)


def _transpose_conv(call: Call) -> Value:
    codes, weights = _kernel(call, 1)
    x, kernel, layouts = image(call, 2), _units_last(codes), kernel_layouts(codes.shape, _units_last)
    units = kernel.shape[-1]
    taps, extra = _placed(call, x.value, kernel.shape)
    bias = call.bias(3, units)
    wide = _is_wide(call, x, 3)
    if not wide:
        _check_sums(call, x, kernel.reshape(-1, units), bias)
    build = call.build.within("product")
    y = spatial.transposed(build, x.value, exact(kernel), _bias(bias), taps, extra=extra, layouts=layouts)
    single = x.tensor.dtype == "uint8"
    return call.rescaled(y, _factors(x, weights, call.result, units, single=single), call.fused(), wide=wide)


def _real_transpose_conv(call: Call) -> Value:
    return _real_transposed(call, _real_kernel(call, 1), _units_last)


def _transpose_conv_3d(call: Call) -> Value:
    return _real_transposed(call, _real_kernel(call, 1, 5), _exchanged)


def _real_transposed(call: Call, stored: Floats, move: Move) -> Value:
    """A transposed convolution with the kernel (positions..., in, out) that ``move`` makes of the model's."""
    kernel, layouts = as_weights(move(stored)), kernel_layouts(stored.shape, move)
    x = image(call, 2, kernel.ndim - 2).value
    (taps, extra), bias = _placed(call, x, kernel.shape), call.biases(3, kernel.shape[-1])
    return fused(call, lambda build: spatial.transposed(build, x, kernel, bias, taps, extra=extra, layouts=layouts))


def _matrices(call: Call) -> str:
    """The product of the matrices along the last axes, in Einstein's notation."""
    left, right = "ji" if call.options.flag("adj_x") else "ij", "kj" if call.options.flag("adj_y") else "jk"
    return f"...{left},...{right}->...ik"


def _matrix_product(call: Call) -> Value:
    return contraction.einsum(call.build, _matrices(call), (call.value(0), call.value(1)))


def _batch_matmul(call: Call) -> Value:
    x, y = call.operand(0), call.operand(1)
    total = contraction.einsum(call.build.within("product"), _matrices(call), (x.value, y.value))
    factor = float(np.float64(x.scale * y.scale) / np.float64(call.result.quantized.scale))
    return call.rescaled(total, factor, limits_of(checked(call.result)), wide=x.is_wide)


def _entry(codes: Translator, numbers: Translator, layer: str) -> Entry:
    return Entry(Translation(codes, f"{layer} and Quantize"), Translation(numbers, layer))


PRODUCTS: dict[str, Entry] = {
    "BATCH_MATMUL": Entry(
        Translation(_batch_matmul, "Einsum and Quantize"), Translation(_matrix_product, OPERATIONS["matmul"].becomes)
    ),
    "CONV_2D": _entry(_conv, _real_conv, "Conv"),
    "CONV_3D": Entry(numbers=Translation(_conv_3d, "Conv")),
    "CONV_3D_TRANSPOSE": Entry(numbers=Translation(_transpose_conv_3d, "ConvTranspose")),
    "DEPTHWISE_CONV_2D": _entry(_depthwise, _real_depthwise, "Conv"),
    "FULLY_CONNECTED": _entry(_fully_connected, _dense, "Dense"),
    "TRANSPOSE_CONV": _entry(_transpose_conv, _real_transpose_conv, "ConvTranspose"),
}
"""Operators by name."""
