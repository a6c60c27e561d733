"""Products with weights: fully connected layers, convolutions, and products of two tensors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value, checked_elements, constant
from bitsmith.frontends.ops import contraction, spatial
from bitsmith.frontends.ops.operations import OPERATIONS
from bitsmith.frontends.ops.shape import view
from bitsmith.frontends.ops.spatial import Same, Taps
from bitsmith.frontends.tflite.call import Call, Entry, Operand, Operators, Translation, Translator, checked, limits_of
from bitsmith.frontends.tflite.fixedpoint import Integers
from bitsmith.frontends.tflite.requantize import INT32, Kernels, check_room, exact, real_step
from bitsmith.frontends.tflite.shared import fused
from bitsmith.frontends.tflite.tensors import Tensor
from bitsmith.ir.model_layout import Move
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Floats
from bitsmith.layers.quantization.quantizer import Quantizer


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


def _most(x: Operand, rows: Floats, bias: Integers | None, *, wide: bool) -> int:
    """Return the greatest sum of products (of the columns of ``rows``); none may leave 32 bits, where kernels wrap around."""
    most = int((np.abs(rows).sum(axis=0) * x.most + (0 if bias is None else np.abs(bias))).max(initial=0))
    if most > INT32[1] and not wide:
        raise UnsupportedError(
            f"sums of products of up to {most}, which may wrap around",
            accepted="sums within 32 bits",
            remedy="fewer inputs or smaller weights",
        )
    return most


def _weights(codes: Integers, of: Tensor) -> Value:
    """Codes with the grid of the integers that others may have."""
    (lo, hi), zeros = of.limits, of.quantized.zero_points
    return constant(exact(codes), quantizer=Quantizer.uniform(1.0, lo - int(zeros.max()), hi - int(zeros.min())))


def _bias(bias: Integers | None, of: Tensor | None) -> Value | None:
    if bias is None:
        return None
    wide = of is not None and of.dtype == "int32"
    return constant(exact(bias), quantizer=Quantizer.uniform(1.0, *of.limits) if of is not None and wide else None)


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
    kernel = constant(weights).moved(np.transpose)
    return fused(call, lambda build: build.each(Dense(kernel.elements, bias), rows, weight=kernel))


def _fully_connected(call: Call) -> Value:
    codes, weights = call.weights(1, "the weights")
    rows, units = _rows(call, codes.shape), len(codes)
    if call.is_nothing(0):
        return constant(np.zeros((*rows.dims[:-1], units)))
    x = call.operand(0)
    bias = call.bias(2, units)
    wide = _is_wide(call, x, 2)
    most = _most(x, exact(codes.T), bias, wide=wide)
    kernel, terms = _weights(codes, weights).moved(np.transpose), _bias(bias, call.tensor(2))
    layer = Dense(kernel.elements, None if terms is None else terms.elements)
    y = call.build.within("product").each(layer, rows, weight=kernel, bias=terms)
    once = call.kernels is Kernels.SINGLE
    factors = _factors(x, weights, call.result, units, single=weights.quantized.is_plain and not once)
    if once:
        check_room(factors, most)
        return call.quantized(y, real_step(factors, call.fused()))
    return call.rescaled(y, factors, call.fused(), most=most, wide=wide)


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


def _units_last(kernel: Floats) -> Floats:
    return np.moveaxis(kernel, 0, -1)


def _groups(call: Call, x: Value, shape: Sequence[int]) -> int:
    """The number of groups of channels that a kernel (positions..., in // groups, out) has."""
    *_, inside, units = shape
    groups, rest = divmod(x.item[-1], inside)
    if not groups or rest or units % groups:
        raise call.error(f"{x.item[-1]} channels for a kernel of shape {tuple(shape)}", "equal groups")
    return groups


def _placed(call: Call, x: Value, shape: Sequence[int], number: int = 0) -> tuple[Taps, tuple[int, ...]]:
    """Place the kernel (positions..., in, out) of a transposed convolution; return the elements left 0 at the end, too.

    Input ``number`` is the shape of the result.
    """
    *size, channels, _ = shape
    if x.item[-1] != channels:
        raise call.error(f"{x.item[-1]} channels for a kernel of shape {tuple(shape)}")
    listed = call.counted(number, "the output shape")
    wanted, last = listed[0], listed[-1]
    if len(wanted) != len(shape) or min(wanted) < 1 or wanted[1:] != last[1:]:
        raise call.error(f"an output of shape {last}", f"{len(shape)} axes, constants but that of the samples")
    taps, pairs, extra = taps_of(call, size, dilated=False), [], []
    for n, output, taps_along, stride in zip(x.item, wanted[1:], taps.size, taps.strides, strict=False):
        full = (n - 1) * stride + taps_along
        before = (
            max((-(-output // stride) - 1) * stride + taps_along - output, 0) // 2 if taps.padding is Same.AFTER else 0
        )
        pairs.append((before, max(full - before - output, 0)))
        extra.append(max(output + before - full, 0))
    return Taps(taps.size, taps.strides, taps.dilation, tuple(pairs)), tuple(extra)


@dataclass(frozen=True, slots=True)
class _Convolution:
    """A convolution, or a ``transposed`` one, with a kernel of so many axes.

    ``move`` makes (positions..., in // groups, out) of it; a kernel ``by_channel`` has one element along its first axis.
    """

    axes: int
    move: Move
    by_channel: bool
    transposed: bool

    def numbers(self, call: Call) -> Value:
        """The convolution of a model that is not quantized."""
        kernel = self._kernel(call, constant(call.trained(1, "the kernel")))
        biases = call.biases(3 if self.transposed else 2, kernel.shape[-1])
        return fused(call, self._with(call, kernel, None if biases is None else constant(biases)))

    def codes(self, call: Call) -> Value:
        codes, weights = call.weights(1, "the kernel")
        kernel = self._kernel(call, _weights(codes, weights))
        x, units, place = self._image(call), kernel.shape[-1], 3 if self.transposed else 2
        bias, wide = call.bias(place, units), _is_wide(call, x, place)
        most = _most(x, kernel.elements.reshape(-1, units), bias, wide=wide)
        y = self._with(call, kernel, _bias(bias, call.tensor(place)))(call.build.within("product"))
        factors = _factors(x, weights, call.result, units, single=x.tensor.dtype == "uint8")
        return call.rescaled(y, factors, call.fused(), most=most, wide=wide)

    def _kernel(self, call: Call, stored: Value) -> Value:
        if stored.rank != self.axes or 0 in stored.shape:
            raise call.error(f"a kernel of shape {stored.shape}", f"{self.axes} axes")
        if self.by_channel and stored.shape[0] != 1:
            raise call.error(f"a kernel of shape {stored.shape}", "one element along the first axis")
        return stored.moved(self.move)

    def _image(self, call: Call) -> Operand:
        return image(call, 2 if self.transposed else 0, self.axes - 2)

    def _with(self, call: Call, kernel: Value, bias: Value | None) -> Callable[[Builder], Value]:
        x = self._image(call).value
        if self.transposed:
            placed, extra = _placed(call, x, kernel.shape)
            return lambda build: spatial.transposed(build, x, kernel, bias, placed, extra=extra)
        taps, groups = taps_of(call, kernel.shape[:-2]), _groups(call, x, kernel.shape)
        return lambda build: spatial.convolution(build, x, kernel, bias, taps, groups)


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
    most = x.value.dims[-2 if call.options.flag("adj_x") else -1] * x.most * y.most
    return call.rescaled(total, [factor], limits_of(checked(call.result)), most=most, wide=x.is_wide)


def _entry(codes: Translator, numbers: Translator, layer: str) -> Entry:
    return Entry(Translation(codes, f"{layer} and Quantize"), Translation(numbers, layer))


_CONV = _Convolution(4, _units_last, by_channel=False, transposed=False)
_CONV_3D = _Convolution(5, lambda kernel: kernel, by_channel=False, transposed=False)
_DEPTHWISE = _Convolution(4, lambda kernel: np.moveaxis(kernel, 0, 2), by_channel=True, transposed=False)
_TRANSPOSED = _Convolution(4, _units_last, by_channel=False, transposed=True)
_TRANSPOSED_3D = _Convolution(5, lambda kernel: np.swapaxes(kernel, -1, -2), by_channel=False, transposed=True)

PRODUCTS: Operators = {
    "BATCH_MATMUL": Entry(
        Translation(_batch_matmul, "Einsum and Quantize"), Translation(_matrix_product, OPERATIONS["matmul"].becomes)
    ),
    "CONV_2D": _entry(_CONV.codes, _CONV.numbers, "Conv"),
    "CONV_3D": Entry(numbers=Translation(_CONV_3D.numbers, "Conv")),
    "CONV_3D_TRANSPOSE": Entry(numbers=Translation(_TRANSPOSED_3D.numbers, "ConvTranspose")),
    "DEPTHWISE_CONV_2D": _entry(_DEPTHWISE.codes, _DEPTHWISE.numbers, "Conv"),
    "FULLY_CONNECTED": _entry(_fully_connected, _dense, "Dense"),
    "TRANSPOSE_CONV": _entry(_TRANSPOSED.codes, _TRANSPOSED.numbers, "ConvTranspose"),
}
