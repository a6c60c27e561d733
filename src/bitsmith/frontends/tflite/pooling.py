"""Pooling, and means, extremes and their places over axes."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.ops import spatial
from bitsmith.frontends.ops.operations import OPERATIONS
from bitsmith.frontends.ops.reduction import REDUCERS, Reducer, extreme_index, greatest, running_sum
from bitsmith.frontends.ops.spatial import Taps
from bitsmith.frontends.tflite.call import (
    Call,
    Entry,
    Operand,
    Translation,
    alike,
    checked,
    kind_of,
    limits_of,
    zero_point,
)
from bitsmith.frontends.tflite.fixedpoint import nearest
from bitsmith.frontends.tflite.products import image, taps_of
from bitsmith.frontends.tflite.requantize import Multiplier, check_room, integers
from bitsmith.frontends.tflite.shared import fused
from bitsmith.frontends.tflite.tensors import Tensor
from bitsmith.ir.types import Rounding
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.reduction import Reduction

_MOST_SUMS = 1 << 24
"""Values of a sum that are looked at."""


def _windows(call: Call) -> Taps:
    size = tuple(call.options.positive(f"filter_{key}") for key in ("height", "width"))
    return taps_of(call, size, dilated=False)


def _max_pool(call: Call) -> Value:
    x, bounded = image(call, 0), call.options.text("fused_activation_function") != "NONE"
    build = call.build.within("pool") if bounded else call.build
    y = call.as_result(Operand(spatial.max_pool(build, x.value, _windows(call)), x.tensor))
    return call.clipped(y, call.fused()) if bounded else y


def _pooled(pool: Callable[[Builder, Value, Taps], Value], call: Call) -> Value:
    x, taps = image(call, 0).value, _windows(call)
    return fused(call, lambda build: pool(build, x, taps))


def _root_of_mean_square(build: Builder, x: Value, taps: Taps) -> Value:
    mean = spatial.average_pool(build.within("mean"), OPERATIONS["square"].make(build.within("square"), x), taps)
    return OPERATIONS["sqrt"].make(build, mean)


def _average_pool(call: Call) -> Value:
    """Sums of codes with their zero points, which kernels divide by the number of elements."""
    x, taps = image(call, 0), _windows(call)
    total = spatial.average_pool(call.build.within("sum"), x.value, taps, total=True)
    counts = spatial.counted(x.value.item[:-1], taps)
    zero, result = zero_point(x.tensor), zero_point(call.result)
    scale = np.vectorize(Fraction, otypes=[np.object_])(counts)[..., None]
    low, high = (end + result for end in call.fused())
    mean = call.quantized(total, integers(scale, (low, high), Rounding.RND_INF, zero), "mean" if result else "")
    return call.shifted(mean, -result)


def _mean(call: Call) -> Value:
    x, result = call.operand(0), checked(call.result)
    axes = sorted({x.value.counted(axis) for axis in call.integers(1, "the axes")})
    count = int(np.prod([x.value.dims[axis] for axis in axes]))
    real = float(np.float64(x.scale) / np.float64(result.quantized.scale))
    factor = Multiplier.of(real)
    check_room([real], 2 * x.most)
    if not axes or not count:
        raise UnsupportedError("a mean over no elements", accepted="axes with elements")
    # The number of elements is divided out of the multiplier, with as many more bits as it can have.
    more = min(count.bit_length() - 1, 32, 31 + factor.shift)
    divided = Multiplier((factor.mantissa << more) // count, factor.shift - more)
    keeps = call.options.flag("keep_dims")
    total = Reducer(Reduction.SUM).of(call.build.within("sum"), x.value, axes, keeps)
    return call.multiplied(total, [divided], limits_of(result))


def _sum(call: Call) -> Value:
    """Sums in the result's steps; of int8 in single precision as optimized kernels: the reference kernel takes int8 for uint8."""
    x, result = call.operand(0), checked(call.result)
    if x.is_wide:
        raise UnsupportedError("SUM of 16 bits, on whose results kernels do not agree", accepted="8 bits")
    axes, limits = sorted({x.value.counted(axis) for axis in call.integers(1, "the axes")}), limits_of(result)
    total = Reducer(Reduction.SUM).of(call.build.within("sum"), x.value, axes, call.options.flag("keep_dims"))
    count = int(np.prod([x.value.dims[axis] for axis in axes]))
    if x.tensor.dtype == "int8":
        return call.build.emit(_single(count, x.tensor, result), total)
    factor = float(np.float64(x.scale) / np.float64(result.quantized.scale))
    return call.rescaled(total, [factor], limits, most=count * x.most)


def _single(count: int, x: Tensor, result: Tensor) -> Layer:
    """The codes that kernels make of sums of ``count`` elements of ``x``; sums that they clip are not looked at."""
    (low, high), zero, (least, most) = limits_of(result), zero_point(x), limits_of(x)
    factor = np.float32(x.quantized.scale) / np.float32(result.quantized.scale)
    first, last = max(count * least, int(low / factor) - 2), min(count * most, int(high / factor) + 2)
    if last - first > _MOST_SUMS:
        raise UnsupportedError(f"a SUM of {last - first} values", accepted=f"at most {_MOST_SUMS}", remedy="use MEAN")
    sums = np.arange(first, last + 1)
    bias = np.float32(-zero) * factor * np.float32(count)
    codes = np.clip(nearest((sums + zero * count).astype(np.float32) * factor + bias), low, high)
    quantizer = integers(1 / Fraction(float(factor)), (low, high), Rounding.RND_INF)
    if np.array_equal(quantizer.codes(sums.astype(np.float64)), codes):
        return Quantize(quantizer)
    levels, places = np.unique(codes, return_index=True)  # near halves single precision decides
    return Staircase(as_weights(sums[places[1:]]), as_weights(levels))


def _top(call: Call) -> tuple[Value, Value]:
    """The greatest elements along the last axis and their places."""
    (count,) = call.integers(1, "the number of elements")
    x = Operand(call.value(0), call.required(0))
    if len(call.operator.outputs) != 2:
        raise call.error("greatest elements without a tensor for their places")
    value, place = greatest(call.build, x.value, (-1,), count)
    return call.as_result(Operand(value, x.tensor)), replace(place, kind=kind_of(call.operator.outputs[1]))


def _extreme(reduction: Reduction, call: Call) -> Value:
    x = call.operand(0)
    axes = sorted({x.value.counted(axis) for axis in call.integers(1, "the axes")})
    y = Reducer(reduction).of(call.build, x.value, axes, call.options.flag("keep_dims"))
    return call.as_result(Operand(y, x.tensor))


def _extreme_index(least: bool, call: Call) -> Value:
    axes = call.integers(1, "the axis")
    y = extreme_index(call.build, call.operand(0).value, axes, keepdims=False, least=least)
    return replace(y, kind=kind_of(call.result))


def _reduced(name: str, call: Call) -> Value:
    """Numbers reduced; over no axes they are what they are."""
    x, axes = call.value(0), call.integers(1, "the axes")
    reducer = REDUCERS[name]
    if not axes:
        return reducer.of_no_axis(call.build, x)
    return reducer.of(call.build, x, axes, call.options.flag("keep_dims"))


def _running_sum(call: Call) -> Value:
    exclusive, backwards = call.options.flag("exclusive"), call.options.flag("reverse")
    return running_sum(
        call.build, call.value(0), call.integers(1, "the axis"), exclusive=exclusive, backwards=backwards
    )


def _reduction(name: str) -> Translation:
    return Translation(partial(_reduced, name), REDUCERS[name].becomes)


def _pool(pool: Callable[[Builder, Value, Taps], Value], becomes: str) -> Translation:
    return Translation(partial(_pooled, pool), becomes)


POOLING: dict[str, Entry] = {
    "ARG_MAX": alike(partial(_extreme_index, False), "ArgMax"),
    "ARG_MIN": alike(partial(_extreme_index, True), "ArgMax"),
    "AVERAGE_POOL_2D": Entry(
        Translation(_average_pool, "AveragePool and Quantize"), _pool(spatial.average_pool, "AveragePool")
    ),
    "CUMSUM": Entry(numbers=Translation(_running_sum, "CumulativeSum, and Slice, Crop and Pad")),
    "L2_POOL_2D": Entry(numbers=_pool(_root_of_mean_square, "Power and AveragePool")),
    "MAX_POOL_2D": Entry(Translation(_max_pool, "MaxPool"), _pool(spatial.max_pool, "MaxPool")),
    "MEAN": Entry(Translation(_mean, "Reduce and Quantize"), _reduction("mean")),
    "REDUCE_ALL": Entry(numbers=_reduction("all")),
    "REDUCE_ANY": Entry(numbers=_reduction("any")),
    "REDUCE_MAX": Entry(Translation(partial(_extreme, Reduction.MAX), "Reduce"), _reduction("max")),
    "REDUCE_MIN": Entry(Translation(partial(_extreme, Reduction.MIN), "Reduce"), _reduction("min")),
    "REDUCE_PROD": Entry(numbers=_reduction("prod")),
    "SUM": Entry(Translation(_sum, "Reduce and Quantize"), _reduction("sum")),
    "TOPK_V2": alike(_top, "Reduce and ArgMax, and Comparison and Where for more than one"),
}
"""Operators by name."""
