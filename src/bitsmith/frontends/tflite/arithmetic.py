"""Sums, products, greatest and least elements of two tensors, and changes of scale."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.ops import arithmetic, logic
from bitsmith.frontends.ops.logic import Beyond
from bitsmith.frontends.ops.operations import OPERATIONS, RELATIONS
from bitsmith.frontends.tflite.call import Call, Entry, Operand, Operators, Translation, checked, kind_of, limits_of
from bitsmith.frontends.tflite.fixedpoint import Integers
from bitsmith.frontends.tflite.requantize import INT32, Multiplier, exact, integers, quotient
from bitsmith.frontends.tflite.shared import on_numbers, operation
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.merge import Add, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.quantization.lookup import Lookup
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.quantization.weighted_sum import Codes, tabulated_sum

_INT16 = (-(1 << 15), (1 << 15) - 1)

_SUMMED_BITS = 20
"""Further bits of operands of 8 bits that are added."""

_FAKE_BITS = 16

_SQUARED_BITS = 7
"""Further bits of operands whose difference is squared."""


def exponent_of(scale: np.float32) -> int | None:
    """The exponent of a scale that is (nearly) a power of two."""
    power = np.log(scale) * np.float32(1.0 / np.log(np.float32(2.0)))
    whole = float(np.rint(power))
    return int(whole) if abs(float(power) - whole) < 1e-3 else None


def _sum(layer: Layer, call: Call) -> Value:
    x, y = call.operand(0), call.operand(1)
    result, limits = checked(call.result), call.fused()
    scales = (x.scale, y.scale, result.quantized.scale)
    if call.options.flag("pot_scale_int16") and x.is_wide:
        powers = [exponent_of(scale) for scale in scales]
        if None not in powers:
            return _shifted_sum(layer, call, x, y, [power for power in powers if power is not None])
    left = 15 if x.is_wide else _SUMMED_BITS
    widest = np.float64(np.float32(2.0) * max(x.scale, y.scale))
    factor = float(widest / np.float64(np.float32(1 << left) * result.quantized.scale))
    if factor >= 1.0:  # kernels abort, or shift by negative numbers of bits
        raise UnsupportedError(
            f"a sum {factor * (1 << left - 1):.3g} times as fine as its coarser operand",
            accepted=f"less than {1 << left - 1} times",
            remedy="convert the model again, with representative data that this sum is not 0 for",
        )
    if not x.is_wide and x.value.constant is None and y.value.constant is None:
        weighted = _weighted_sum(layer, call, x, y, widest)
        if weighted is not None:
            return weighted
    total = call.build.joined(layer, *_fine_parts(call, x, y, widest, left), suffix="sum")
    return call.rescaled(total, [factor], limits, most=x.most + y.most << left)


def _weighted_sum(layer: Layer, call: Call, x: Operand, y: Operand, widest: np.float64) -> Value | None:
    """The sum of codes of 8 bits times integers, cut off at once; None if no integers give what the kernels do for all codes."""
    limits, scale = call.fused(), np.float64(call.result.quantized.scale)
    sign = -1 if isinstance(layer, Subtract) else 1
    parts = [
        Multiplier.of(float(np.float64(one.scale) / widest)).applied(np.arange(low, high + 1) << _SUMMED_BITS)
        for one in (x, y)
        for low, high in (one.limits,)
    ]
    last = Multiplier.of(float(widest / np.float64(np.float32(1 << _SUMMED_BITS) * call.result.quantized.scale)))
    sums = np.clip(last.applied(parts[0][:, None] + sign * parts[1]), *limits)
    codes = [Codes(Fraction(float(np.float64(one.scale) / scale)), *one.limits) for one in (x, y)]
    weights = tabulated_sum(codes[0], replace(codes[1], scale=sign * codes[1].scale), sums, limits)
    if weights is None:
        return None
    factors = zip(("first", "second"), (x, y), (weights.first, abs(weights.second)), strict=True)
    products = [
        arithmetic.multiply(call.build.within(name), one.value, constant(float(factor)))
        for name, one, factor in factors
    ]
    total, size = call.build.joined(layer, *products, suffix="sum"), Fraction(1 << weights.drop)
    return call.quantized(total, integers(size, limits, Rounding.TRN, weights.term / size))


def _fine_parts(call: Call, x: Operand, y: Operand, widest: np.float64, left: int) -> Iterator[Value]:
    """Both operands in finer steps, as sums take them."""
    for name, one in (("first", x), ("second", y)):
        multiplier, value = Multiplier.of(float(np.float64(one.scale) / widest)), one.value
        if value.constant is not None:
            yield call.multiplied(replace(value, node=value.constant * float(1 << left)), [multiplier], INT32, name)
            continue
        once, twice = multiplier.scales(wide=False)
        first = integers(once / (1 << left), INT32, Rounding.RND)
        value = call.quantized(value, first, name if twice == 1 else f"{name}_product")
        yield value if twice == 1 else call.quantized(value, integers(twice, INT32, Rounding.RND_INF), name)


def _shifted_sum(layer: Layer, call: Call, x: Operand, y: Operand, powers: list[int]) -> Value:
    """A sum of operands of which one is rounded to the other's steps, which are the result's."""
    parts = []
    for name, operand, power in (("first", x, powers[0]), ("second", y, powers[1])):
        drop = powers[2] - power
        if drop < 0:
            raise UnsupportedError(f"a sum of steps 2**{power} in steps of 2**{powers[2]}", accepted="coarser results")
        rounded = integers(Fraction(1 << drop), _INT16, Rounding.RND_INF)
        parts.append(call.quantized(operand.value, rounded, name) if drop else operand.value)
    return call.clipped(call.build.joined(layer, *parts, suffix="sum"), call.fused())


def _product(call: Call) -> Value:
    for number in (0, 1):
        if call.is_nothing(number):
            return constant(np.zeros(np.broadcast_shapes(call.value(0).dims, call.value(1).dims)))
    x, y = call.operand(0), call.operand(1)
    factor = x.scale * y.scale / checked(call.result).quantized.scale
    total = call.build.joined(Multiply(), x.value, y.value, suffix="product")
    return call.rescaled(total, [float(np.float64(factor))], call.fused(), most=x.most * y.most)


def _fine_quotient(call: Call) -> Value:
    """The quotient of codes: a table of one operand for constants of the other, else of both at once."""
    x, y, result = call.operand(0), call.operand(1), checked(call.result)
    if x.is_wide:
        raise UnsupportedError(
            "DIV of 16 bits, whose kernel's shifts depend on both operands",
            accepted="8 bits, whose tables have all of them",
        )
    multiplier = Multiplier.of(float(np.float64(x.scale / (y.scale * result.quantized.scale))))
    first, second = call.build.aligned(x.value, y.value)
    limits = call.fused()
    if second.constant is not None and not np.all(second.constant):
        raise UnsupportedError("a division by 0", accepted="divisors whose codes are not the zero point")

    def quotients(dividends: Integers, divisors: Integers) -> Integers:
        return np.asarray(np.clip(quotient(dividends, divisors, multiplier), *limits), dtype=np.int64)

    shape = np.broadcast_shapes(first.shape, second.shape)
    if second.constant is not None and first.shape == shape:
        divisors = second.constant[..., None].astype(np.int64)
        return call.table(Operand(first, x.tensor), lambda places: quotients(places, divisors))
    if first.constant is not None and second.shape == shape:
        dividends = first.constant[..., None].astype(np.int64)
        return call.table(Operand(second, y.tensor), lambda places: quotients(dividends, places))
    places, (low, high) = np.arange(x.limits[0], x.limits[1] + 1), y.limits
    size = high - low + 1
    pair = arithmetic.add(
        call.build.within("pair"),
        arithmetic.multiply(call.build.within("pair_dividend"), first, constant(float(size))),
        arithmetic.subtract(call.build.within("pair_divisor"), second, constant(float(low))),
    )
    values = quotients(places[:, None], np.arange(low, high + 1)).ravel()
    return call.build.emit(Lookup(as_weights(0.0), int(places[0]) * size, exact(values)), pair)


def _fake_quant(call: Call) -> Value:
    """The nearest of the numbers of a grid that has 0, as of a graph that is trained for codes: in single precision."""
    options = call.options
    bits = options.positive("num_bits")
    if not 2 <= bits <= _FAKE_BITS:
        raise UnsupportedError(f"FAKE_QUANT of {bits} bits", accepted=f"2 to {_FAKE_BITS}")
    if options.flag("narrow_range"):
        raise UnsupportedError("FAKE_QUANT with narrow_range", accepted="activations without it, as the kernel")
    most = (1 << bits) - 1
    low, high = (np.float32(options.number(end)) for end in ("min", "max"))
    if not low <= 0 <= high or low == high:
        raise UnsupportedError(f"FAKE_QUANT from {low:g} to {high:g}", accepted="a range with 0 in it")
    scale = np.float32((high - low) / np.float32(most))
    zero = min(int(np.floor(np.float64(-low / scale) + 0.5)), most)
    grid = Quantizer.uniform(Fraction(float(scale)), -zero, most - zero, Rounding.RND, Overflow.SAT)
    return call.quantized(call.value(0), grid)


def _squared_difference(call: Call) -> Value:
    difference = arithmetic.subtract(call.build.within("difference"), call.value(0), call.value(1))
    return OPERATIONS["square"].make(call.build, difference)


def _fine_squared_difference(call: Call) -> Value:
    """The square of a difference in finer steps."""
    x, y = call.operand(0), call.operand(1)
    if x.tensor.dtype != "int8":
        raise UnsupportedError(f"SQUARED_DIFFERENCE of {x.tensor.dtype}", accepted="int8, as the kernels")
    result, widest = checked(call.result), 2.0 * np.float64(max(x.scale, y.scale))
    parts = _fine_parts(call, x, y, widest, _SQUARED_BITS)
    difference = call.build.joined(Subtract(), *parts, suffix="difference")
    square = call.build.joined(Multiply(), difference, difference, suffix="square")
    factor = widest * widest / (np.float64(1 << 2 * _SQUARED_BITS) * np.float64(result.quantized.scale))
    return call.rescaled(square, [float(factor)], limits_of(result), most=(x.most + y.most << _SQUARED_BITS) ** 2)


def _extremum(layer: Layer, call: Call) -> Value:
    x, y = call.operand(0), call.operand(1)
    return call.build.joined(layer, call.as_result(x), call.as_result(y))


def _quantize(call: Call) -> Value:
    source, result = call.required(0), call.result
    if result.dtype != "int32" or not result.quantized.is_plain or result.quantized.zero_point:
        checked(result)
    limits = limits_of(result)
    if source.dtype == "float32":
        scale = Fraction(float(result.quantized.scale))
        return call.quantized(call.value(0), integers(scale, limits, Rounding.RND_INF))
    x = call.operand(0)
    factor = np.float64(x.scale) / np.float64(result.quantized.scale)
    return call.rescaled(x.value, [float(factor)], limits, most=x.most)


def _dequantize(call: Call) -> Value:
    x = call.operand(0)
    return arithmetic.multiply(call.build, x.value, constant(float(x.scale)))


def _numbers_of_codes(call: Call) -> Value:
    """The numbers of constants, which all operators on numbers get of quantized ones."""
    x, tensor = call.value(0), call.required(0)
    if x.constant is None and tensor.quantization is not None:
        raise UnsupportedError(f"DEQUANTIZE of {tensor.dtype}", accepted="int8, uint8, int16")
    return replace(x, kind=Kind.REAL)


def _cast(call: Call) -> Value:
    return logic.cast(call.build, call.value(0), kind_of(call.result), Beyond.UNDEFINED)


def _side(call: Call) -> Value:
    return arithmetic.side(call.build, call.value(0), kind_of(call.result))


_ADD, _SUBTRACT = (Translation(partial(_sum, layer), f"Quantize and {layer.kind}") for layer in (Add(), Subtract()))
_MAXIMUM, _MINIMUM = (Translation(partial(_extremum, layer), layer.kind) for layer in (Maximum(), Minimum()))

_AT_ONE_NUMBER = ("equal", "not_equal")
"""Relations that may hold, or not, for a single number."""

ARITHMETIC: Operators = {
    "ADD": Entry(_ADD, operation("add")),
    "ADD_N": Entry(
        numbers=Translation(lambda call: arithmetic.total(call.build, *call.all_values()), OPERATIONS["add"].becomes)
    ),
    "CAST": Entry(numbers=Translation(_cast, "Identity, WholeNumber or Comparison", _side)),
    "DEQUANTIZE": Entry(Translation(_dequantize, "BatchNormalization"), Translation(_numbers_of_codes, "a constant")),
    "DIV": Entry(Translation(_fine_quotient, "Lookup"), operation("quotient")),
    "FAKE_QUANT": Entry(numbers=Translation(_fake_quant, "Quantize")),
    "MAXIMUM": Entry(_MAXIMUM, operation("maximum")),
    "MINIMUM": Entry(_MINIMUM, operation("minimum")),
    "MUL": Entry(Translation(_product, "Multiply and Quantize"), operation("multiply")),
    "QUANTIZE": Entry(Translation(_quantize, "Quantize")),
    "SQUARED_DIFFERENCE": Entry(
        Translation(_fine_squared_difference, "Quantize, Subtract and Multiply"),
        Translation(_squared_difference, "Subtract and Power"),
    ),
    "SUB": Entry(_SUBTRACT, operation("subtract")),
    **on_numbers(**{name.upper(): name for name in RELATIONS}),
    **{name.upper(): Entry(numbers=replace(operation(name), judged=operation("less").read)) for name in _AT_ONE_NUMBER},
    **on_numbers(
        ATAN2="atan2",
        CEIL="ceil",
        COS="cos",
        FLOOR="floor",
        FLOOR_DIV="floor_divide",
        FLOOR_MOD="mod",
        LOGICAL_AND="logical_and",
        LOGICAL_NOT="logical_not",
        LOGICAL_OR="logical_or",
        NEG="negative",
        POW="power",
        ROUND="round",
        SELECT="where",
        SELECT_V2="where",
        SIGN="sign",
        SIN="sin",
        SQRT="sqrt",
        SQUARE="square",
    ),
}
