"""ONNX's operators on quantized integers: an operator on what these stand for, and a quantizer of its result.

Besides ONNX's own they are of the domain ``com.microsoft``, as onnxruntime's static quantizer writes them. Products are exact;
runtimes round the factor of the accumulator to single precision, which decides where a result is next to a tie. So do table, sum
and quotient of onnxruntime's QLinearSoftmax: exponentials of integers from a table, and rounded quotients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.known import Known, Operand
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.fused import FUSED, becomes, own
from bitsmith.frontends.onnx.quantized import QUANTIZED, Along, Grid, dequantized, on_grid, quantized
from bitsmith.frontends.ops.arithmetic import add, multiply, subtract
from bitsmith.frontends.ops.reduction import Reducer
from bitsmith.ir.types import frozen
from bitsmith.layers.elementwise import Whole
from bitsmith.layers.integer import WholeQuotient
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.quantization.lookup import Lookup
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.reduction import Reduction

_TENSOR = Along(0)
"""Axis of operands that may have one scale only; more are rejected where they do not fit the axis."""

_MOST = 255
"""The greatest integer of 8 bits without its zero point."""

_FRAC = 30
"""Fractional bits of exponentials, the greatest of which is 1."""

_LAST_AXIS_SINCE = 13
"""The operator set from which on softmax is along one axis."""

_MOST_STEPS = 1 << 12
_DIFFERENCES = 256


@dataclass(frozen=True, slots=True)
class _Form:
    """An operator by its name, and where its operands are: each tensor is followed by its scale and its zero point.

    ``result`` is the scale of the result, and ``plain`` are operands that are not quantized, which come first. With
    ``zero_first`` runtimes add the zero point of the result before they round.
    """

    operator: str
    tensors: tuple[int, ...]
    result: int
    plain: tuple[int, ...]
    zero_first: bool

    def read(self, call: Call) -> Value:
        """The operator on numbers, quantized."""
        call.attributes.ignore("opset")
        if call.attributes.flag("channels_last", False):
            raise UnsupportedError("channels_last", accepted="channels first")
        tensors = [_numbers(call, number) for number in self.tensors]
        operands = [*map(call.operand, self.plain), *tensors]
        return _computed(call, self.operator, operands, self.result, zero_first=self.zero_first)


def _numbers(call: Call, number: int, axis: int = 0) -> Value:
    """Return the real numbers of operand ``number``."""
    return dequantized(call, number, number + 1, number + 2, Along(axis), f"operand{number}")


def _computed(
    call: Call, operator: str, operands: Sequence[Operand | None], result: int, *, zero_first: bool = False
) -> Value:
    """``operator`` on these operands, quantized as the operands from number ``result`` on say; left out: not at all."""
    plain = call.operand(result) is None
    y = own(call, operator, operands, "" if plain else "real")
    if plain:
        return y
    return quantized(call.build, y, Grid.of(call, result, result + 1, y, _TENSOR), zero_first=zero_first)


def _integer_product(operator: str, rows: int, columns: int, call: Call) -> Value:
    """``operator`` on integers without their zero points, which the operands may have along the axes; an integer of 32 bits."""
    operands = [
        dequantized(call, number, None, number + 2, Along(axis), f"operand{number}")
        for number, axis in enumerate((rows, columns))
    ]
    y = _computed(call, operator, operands, len(call.operands))
    _check_sums(operands[1], columns)
    return replace(y, kind=Kind.INT32)


def _check_sums(weights: Value, outputs: int, bias: Value | None = None) -> None:
    """Refuse sums over all axes of ``weights`` but ``outputs``, or of matrices over one, that may leave 32 bits."""
    axes = tuple({*range(len(weights.shape))} - {outputs}) if outputs >= 0 else (max(-2, -len(weights.shape)),)
    sizes = np.full(weights.shape, _MOST) if weights.constant is None else np.abs(_codes(weights))
    offset = np.zeros(1) if bias is None else _codes(bias)
    most = _MOST * sizes.sum(axes)
    low, high = (offset - most).min(), (offset + most).max()
    least, greatest = Kind.INT32.limits
    if low < least or high > greatest:
        raise UnsupportedError(
            f"sums of products of up to {max(-low, high):.4g}, which may leave 32 bits and wrap around",
            accepted="sums within 32 bits",
            remedy="quantize_static with QuantFormat.QDQ, whose biases and sums are numbers",
        )


def _codes(value: Value) -> Floats:
    """A trained tensor's integers without zero points."""
    assert value.quantizer is not None
    return value.elements / value.quantizer.scale.astype(np.float64)


def _bias(call: Call, number: int, x: int, weights: int, factor: float = 1.0) -> Value | None:
    """A bias, whose scale is the product of two others."""
    operand = call.operand(number)
    if operand is None:
        return None
    codes = call.array(number, "the bias")
    if codes.dtype.name != "int32" or codes.ndim > 2 or not isinstance(operand, Known):
        raise ModelFileError(
            f"a bias of type {codes.dtype} and shape {codes.shape}", where=call.attributes.where, accepted="int32"
        )
    of_x, of_weights = (Grid.of(call, k, k + 1, call.value(operand), Along(-1)) for k in (x + 1, weights + 1))
    scale = frozen(of_x.scale * of_weights.scale * Fraction(factor))
    grid = replace(of_weights, scale=scale, zero=of_weights.zero * 0, lo=Kind.INT32.limits[0], hi=Kind.INT32.limits[1])
    return on_grid(codes, grid, operand.name)


def _convolution(call: Call) -> Value:
    operands = (_numbers(call, 0), _numbers(call, 3), _bias(call, 8, 0, 3))
    _check_sums(operands[1], 0, operands[2])
    return _computed(call, "Conv", operands, 6)


def _affine_product(call: Call) -> Value:
    alpha, rows = call.attributes.number("alpha", 1.0), call.attributes.flag("transB", False)
    operands = (_numbers(call, 0), _numbers(call, 3, 0 if rows else 1), _bias(call, 6, 0, 3, alpha))
    _check_sums(operands[1], 0 if rows else 1, operands[2])
    return _computed(call, "Gemm", operands, 7)


def _product(call: Call) -> Value:
    operands = (_numbers(call, 0), _numbers(call, 3, -1))
    _check_sums(operands[1], -1)
    return _computed(call, "MatMul", operands, 6)


def _concatenation(call: Call) -> Value:
    count, rest = divmod(len(call.operands) - 2, 3)
    if count < 1 or rest:
        raise ModelFileError(f"{len(call.operands)} operands", where=call.attributes.where, accepted="2 + 3 n")
    return _computed(call, "Concat", [_numbers(call, 2 + 3 * number) for number in range(count)], 0)


def _mean(call: Call) -> Value:
    """The mean along axes that the attribute has, where ONNX's own operator takes these as an operand, too."""
    axes = np.array(call.attributes.given_integers("axes") or (), dtype=np.int64)
    return _computed(call, "ReduceMean", (_numbers(call, 0), Known((axes,))), 3)


def _translation(read: Callable[[Call], Value], layers: str) -> Translation:
    return Translation(read, f"{layers} and Quantize")


def _form(
    operator: str, tensors: tuple[int, ...], result: int, plain: tuple[int, ...] = (), *, zero_first: bool = False
) -> Translation:
    return _translation(_Form(operator, tensors, result, plain, zero_first).read, becomes(operator))


def _softmax(call: Call) -> Value:
    """Quotients of exponentials and their sum, in steps of the result's."""
    opset = call.attributes.integer("opset", 1)
    axis = call.attributes.integer("axis", 1 if opset < _LAST_AXIS_SINCE else -1)
    _check_type(call)
    build, x = call.build, dequantized(call, 0, None, 2, Along(0), "integers")
    axes = [x.counted(axis)] if opset >= _LAST_AXIS_SINCE else list(range(x.counted(axis), x.rank))
    greatest = Reducer(Reduction.MAX).of(build.within("greatest"), x, axes, keepdims=True)
    below = subtract(build.within("difference"), x, greatest)
    within = build.emit(Quantize(Quantizer.uniform(1.0, 1 - _DIFFERENCES, 0)), below, suffix="below")
    powers = build.emit(_exponential(call.number(1, "the scale")), within, suffix="exp")
    total = Reducer(Reduction.SUM).of(build.within("total"), powers, axes, keepdims=True)
    grid = Grid.of(call, 3, 4, x, Along(0))
    if grid.codes is None:
        raise UnsupportedError("several scales of a softmax", accepted="one")
    return replace(build.emit(_rounding(grid), _quarters(call, powers, total, _steps(grid))), codes=grid.codes)


def _check_type(call: Call) -> None:
    found = call.tensor(0)
    kind = found.kind if found.codes is None else found.codes.kind
    if kind not in (Kind.INT8, Kind.UINT8):
        raise UnsupportedError(f"a softmax of {kind.value}", accepted="int8, uint8")


def _exponential(scale: float) -> Lookup:
    """The exponential of differences from -255 to 0, in steps of the operand's."""
    differences = np.arange(1.0 - _DIFFERENCES, 1.0)
    return Lookup(as_weights(0.0), 1 - _DIFFERENCES, as_weights(np.rint(np.exp(differences * scale) * 2.0**_FRAC)))


def _steps(grid: Grid) -> float:
    """Return the steps of the result that make 1: an integer, as the runtime has it."""
    found = np.floor(np.float32(1.0) / np.float32(float(grid.scale.item())))
    if not 1.0 <= found <= _MOST_STEPS:
        raise UnsupportedError(f"a softmax in steps of {float(grid.scale.item()):g}", accepted=f"1 to 1/{_MOST_STEPS}")
    return float(found)


def _quarters(call: Call, powers: Value, total: Value, steps: float) -> Value:
    """Four times the quotients in steps of the result's, but integers that are rounded as these are: halves are even."""
    build = call.build
    dividend = multiply(
        build.within("dividend"), powers, constant(2.0 * steps, quantizer=Quantizer.uniform(2.0 * steps, 1, 1))
    )
    # The greatest exponential, 1, is part of the sum.
    low, high = 1 << _FRAC, 1 << 2 * _FRAC
    divisor = build.emit(Quantize(Quantizer.uniform(1.0, low, high)), total, suffix="divisor")
    ends = [build.joined(WholeQuotient(way), dividend, divisor, suffix=way.value) for way in (Whole.FLOOR, Whole.CEIL)]
    return add(build.within("both"), *ends)


def _rounding(grid: Grid) -> Quantize:
    lo, hi = grid.lo - grid.zero, grid.hi - grid.zero
    return Quantize(Quantizer.uniform(Fraction(4), lo, hi, step=grid.scale))


QLINEAR: dict[str, Translation] = {
    "MatMulInteger": Translation(partial(_integer_product, "MatMul", -2, -1), "Quantize, and Dense or Einsum"),
    "ConvInteger": Translation(partial(_integer_product, "Conv", 0, 0), "Quantize and Conv"),
    "QLinearConv": _translation(_convolution, "Conv"),
    "QLinearMatMul": _translation(_product, "Dense, or Einsum"),
}
"""Operators of ONNX's own domain, by name."""

MICROSOFT: dict[str, Translation] = {
    **QUANTIZED,
    **FUSED,
    "QGemm": _translation(_affine_product, "Dense"),
    **{f"QLinear{name}": _form(name, (0, 3), 6, zero_first=True) for name in ("Add", "Mul")},
    "QLinearAveragePool": _form("AveragePool", (0,), 3, zero_first=True),
    **{f"QLinear{name}": _form(name, (0,), 3) for name in ("Sigmoid", "LeakyRelu", "GlobalAveragePool")},
    "QLinearReduceMean": _translation(_mean, becomes("ReduceMean")),
    "QLinearConcat": _translation(_concatenation, "Concatenate"),
    "QLinearSoftmax": Translation(_softmax, "Lookup, Reduce, WholeQuotient and Quantize"),
    "QLinearWhere": _form("Where", (1, 4), 7, (0,)),
}
"""Operators of the domain ``com.microsoft``, by name."""

_DYNAMIC = (
    "its scales are computed from each input while the model runs, which a circuit of fixed types cannot do",
    "quantize the model statically, with calibration data: onnxruntime.quantization.quantize_static",
)

REFUSED: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulIntegerToFloat"), _DYNAMIC
    )
}
"""Reasons to reject operators on quantized integers, and remedies."""
