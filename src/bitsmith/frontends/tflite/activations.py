"""Activations: of 8 bits from tables, of 16 bits in their kernels' own arithmetic."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.ops import activations
from bitsmith.frontends.ops.activations import relu
from bitsmith.frontends.ops.arithmetic import absolute, add, multiply, subtract
from bitsmith.frontends.tflite.call import Call, Entry, Operand, Operators, Translation, activated, checked, limits_of
from bitsmith.frontends.tflite.fixedpoint import Integers, divided, high_product, interpolated, nearest
from bitsmith.frontends.tflite.requantize import INT32, Multiplier, exact
from bitsmith.frontends.tflite.shared import activation, on_numbers, operation
from bitsmith.frontends.tflite.softmax import real_softmax, softmax
from bitsmith.frontends.tflite.wide import straight_lines, wide_function

_WIDE = ("LOGISTIC", "TANH")
"""Functions that kernels have of 16 bits, in fixed point."""

_LINES, _LINE_BITS = ("EXP", "GELU"), 7
"""Those of which they have straight lines between values in single precision, and bits of an operand along one."""

Singles = npt.NDArray[np.float32]


def _relu(activation: str, call: Call) -> Value:
    x, result = call.operand(0), checked(call.result)
    factor = np.float64(x.scale / result.quantized.scale)
    return call.rescaled(x.value, [float(factor)], activated(result, activation), most=x.most)


def _function(function: Callable[[Singles], Singles], kind: str, call: Call) -> Value:
    """A function in single precision, whose table the kernels compute."""
    x, result = call.operand(0), checked(call.result)
    if x.is_wide and kind in _WIDE:
        return wide_function(call, x, kind)
    if x.is_wide and kind in _LINES:
        return straight_lines(call.build, x.value, _lines(function, x.scale, result.quantized.scale), _LINE_BITS)
    if x.is_wide:
        raise UnsupportedError(f"{kind} of 16 bits", accepted=f"8 bits; of 16 {', '.join((*_WIDE, *_LINES))}")
    unit = np.float32(1.0) / result.quantized.scale
    return call.table(x, lambda places: nearest(function(x.scale * places.astype(np.float32)) * unit))


def _lines(function: Callable[[Singles], Singles], scale: np.float32, unit: np.float32) -> Integers:
    """Values of a function of 16 bits, between which kernels draw straight lines."""
    low, high = (scale * np.float32(end) for end in (-32768, 32767))
    with np.errstate(over="ignore"):
        if not np.all(np.isfinite(function(np.array([low, high])) / unit)):
            raise UnsupportedError(f"a function of steps of {scale:g} that overflows", accepted="smaller steps")
    return interpolated(function, low, high, unit)


def _logistic(x: Singles) -> Singles:
    one = np.float32(1.0)
    return np.asarray(one / (one + np.exp(-x.astype(np.float64)).astype(np.float32)), dtype=np.float32)


def _tanh(x: Singles) -> Singles:
    return np.tanh(x.astype(np.float64)).astype(np.float32)


def _gelu(call: Call) -> Value:
    smooth = _gelu_of_tanh if call.options.flag("approximate") else _gelu_of_erf
    return _function(smooth, "GELU", call)


def _real_gelu(call: Call) -> Value:
    return activations.gelu(call.build, call.value(0), "tanh" if call.options.flag("approximate") else "none")


def _gelu_of_tanh(x: Singles) -> Singles:
    """In single precision, operation by operation."""
    half, one, root = np.float32(0.5), np.float32(1.0), np.float32(math.sqrt(2.0 / math.pi))
    inside = root * (x + np.float32(0.044715) * x * x * x)
    return np.asarray(half * x * (one + _tanh(inside)), dtype=np.float32)


def _gelu_of_erf(x: Singles) -> Singles:
    erf = np.vectorize(math.erf, otypes=[np.float32])(x * np.float32(math.sqrt(0.5)))
    return np.asarray(np.float32(0.5) * x * (np.float32(1.0) + erf), dtype=np.float32)


def _logarithm(x: Singles) -> Singles:
    """Return logarithms; those of numbers that have none are the least number."""
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(x.astype(np.float64), 0.0)).astype(np.float32)


def _absolute(call: Call) -> Value:
    x, result = call.operand(0), checked(call.result)
    size, limits = absolute(call.build.within("size"), x.value), limits_of(result)
    if x.scale == result.quantized.scale:
        return call.clipped(size, limits)
    return call.rescaled(size, [float(np.float64(x.scale / result.quantized.scale))], limits, most=x.most)


def _leaky_relu(call: Call) -> Value:
    x, result = call.operand(0), checked(call.result)
    scale = result.quantized.scale
    slope = np.float32(call.options.number("alpha"))
    below, above = (Multiplier.of(float(np.float64(one / scale))) for one in (np.float32(x.scale * slope), x.scale))
    if x.is_wide:
        return _two_slopes(call, x, x.value, (above, below))
    return call.table(x, lambda places: np.where(places >= 0, above.applied(places), _sloped(below, places)))


def _sloped(multiplier: Multiplier, places: Integers) -> Integers:
    """A multiplication by a number that may be negative."""
    found = Multiplier(abs(multiplier.mantissa), multiplier.shift).applied(places)
    return found if multiplier.mantissa >= 0 else -found


def _two_slopes(call: Call, x: Operand, scaled: Value, multipliers: tuple[Multiplier, Multiplier]) -> Value:
    """``x`` by one multiplier where it is positive, ``scaled`` by the other elsewhere."""
    limits, build = limits_of(call.result), call.build
    if min(one.mantissa for one in multipliers) < 0:
        raise UnsupportedError("a negative slope of 16 bits", accepted="positive ones")
    positive = relu(build.within("positive"), x.value)
    negative = subtract(build.within("negative"), x.value, positive) if scaled is x.value else scaled
    above = call.multiplied(positive, [multipliers[0]], INT32, "above")
    below = call.multiplied(negative, [multipliers[1]], INT32, "below")
    return call.clipped(add(build.within("sum"), above, below), limits)


def _prelu(call: Call) -> Value:
    x, result = call.operand(0), checked(call.result)
    slopes, tensor = call.weights(1, "the slopes")
    scale = result.quantized.scale
    factors = (x.scale / scale, x.scale * tensor.quantized.scale / scale)
    above, below = (Multiplier.of(float(np.float64(one))) for one in factors)
    build = call.build
    negative = subtract(build.within("negative"), x.value, relu(build.within("kept"), x.value))
    slope = Value(exact(slopes), slopes.shape)
    return _two_slopes(call, x, multiply(build.within("sloped"), negative, slope), (above, below))


def _hard_swish(call: Call) -> Value:
    x, result = call.operand(0), checked(call.result)
    if x.is_wide:
        raise UnsupportedError("HARD_SWISH of 16 bits", accepted="8 bits, as in TensorFlow Lite")
    fine = np.float32(1.0 / 128.0) * x.scale
    reluish = fine / (np.float32(3.0) / np.float32(32768.0))
    gate, output = (Multiplier.of(float(np.float64(one))) for one in (reluish, fine / result.quantized.scale))
    if output.shift > 0:
        raise UnsupportedError("HARD_SWISH into finer steps", accepted="a result of scales that kernels accept")
    return call.table(x, lambda places: _swished(places, gate, output))


def _swished(x: Integers, gate: Multiplier, output: Multiplier) -> Integers:
    """Hard swish as the kernel computes it, with numbers of 16 bits."""
    fine = x << 7
    value = high_product(fine, _halved(output.mantissa), 16)
    if gate.shift > 0:
        fine = _within(fine << gate.shift - 1)
    opened = high_product(fine, _halved(gate.mantissa), 16)
    if gate.shift > 0:
        opened = _within(opened << 1)
    if gate.shift < 0:
        opened = divided(opened, -gate.shift)
    product = (opened + (1 << 15) >> 1) * value
    return divided(np.asarray(np.sign(product) * (np.abs(product) >> 15), dtype=np.int64), -output.shift)


def _halved(mantissa: int) -> int:
    """A multiplier of 31 bits with 15 bits."""
    return (1 << 15) - 1 if mantissa >= (1 << 31) - 1 - (1 << 15) else mantissa + (1 << 15) >> 16


def _within(x: Integers) -> Integers:
    return np.asarray(np.clip(x, -(1 << 15), (1 << 15) - 1), dtype=np.int64)


def _table(function: Callable[[Singles], Singles], kind: str) -> Translation:
    return Translation(partial(_function, function, kind), "Lookup")


_RELUS = ("RELU", "RELU_0_TO_1", "RELU6", "RELU_N1_TO_1")

ACTIVATIONS: Operators = {
    "ABS": Entry(Translation(_absolute, "Absolute and Quantize"), operation("absolute")),
    "EXP": Entry(_table(lambda x: np.exp(x.astype(np.float64)).astype(np.float32), "EXP"), operation("exp")),
    "GELU": Entry(Translation(_gelu, "Lookup"), Translation(_real_gelu, "Activation")),
    "HARD_SWISH": Entry(Translation(_hard_swish, "Lookup"), operation("hard_silu")),
    "LEAKY_RELU": Entry(Translation(_leaky_relu, "Lookup"), operation("relu", slope="alpha")),
    "LOG": Entry(_table(_logarithm, "LOG"), operation("log")),
    "LOGISTIC": Entry(_table(_logistic, "LOGISTIC"), operation("sigmoid")),
    "LOG_SOFTMAX": Entry(
        numbers=Translation(lambda call: activations.log_softmax(call.build, call.value(0), -1), "Reduce and Subtract")
    ),
    "PRELU": Entry(
        Translation(_prelu, "ReLU, Multiply, Quantize and Add"),
        Translation(lambda call: activations.prelu(call.build, call.value(0), call.value(1)), "PReLU"),
    ),
    **{name: Entry(Translation(partial(_relu, name), "Quantize"), activation(name)) for name in _RELUS},
    "SOFTMAX": Entry(
        Translation(softmax, "Lookup, Reduce, Multiply and Quantize"), Translation(real_softmax, "Softmax")
    ),
    "TANH": Entry(_table(_tanh, "TANH"), operation("tanh")),
    **on_numbers(ELU="elu"),
}
