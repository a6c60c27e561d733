"""Pooling, and means, extremes and their places over axes."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.ops import spatial
from bitsmith.frontends.ops.reduction import Reducer, extreme_index
from bitsmith.frontends.ops.spatial import Taps
from bitsmith.frontends.tflite.call import Call, Operand, Translation, checked, limits_of, zero_point
from bitsmith.frontends.tflite.products import image, taps_of
from bitsmith.frontends.tflite.requantize import Multiplier, integers
from bitsmith.ir.types import Rounding
from bitsmith.layers.layer import as_weights
from bitsmith.layers.reduction import Reduction


def _windows(call: Call) -> Taps:
    size = tuple(call.options.positive(f"filter_{key}") for key in ("height", "width"))
    return taps_of(call, size, dilated=False)


def _max_pool(call: Call) -> Value:
    x, fused = image(call, 0), call.options.text("fused_activation_function") != "NONE"
    build = call.build.within("pool") if fused else call.build
    y = call.as_result(Operand(spatial.max_pool(build, x.value, _windows(call)), x.tensor))
    return call.clipped(y, call.fused()) if fused else y


def _average_pool(call: Call) -> Value:
    """Sums of codes with their zero points, which kernels divide by the number of elements."""
    x, taps = image(call, 0), _windows(call)
    channels = x.value.item[-1]
    ones = as_weights(np.ones((*taps.size, 1, channels)))
    total = spatial.convolution(call.build, x.value, ones, None, taps, channels, "sum")
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
    factor = Multiplier.of(float(np.float64(x.scale) / np.float64(result.quantized.scale)))
    if not axes or not count:
        raise UnsupportedError("a mean over no elements", accepted="axes with elements")
    # The number of elements is divided out of the multiplier, with as many more bits as it can have.
    more = min(count.bit_length() - 1, 32, 31 + factor.shift)
    divided = Multiplier((factor.mantissa << more) // count, factor.shift - more)
    keeps = call.options.flag("keep_dims")
    total = Reducer(Reduction.SUM).of(call.build.within("sum"), x.value, axes, keeps)
    return call.multiplied(total, [divided], limits_of(result))


def _extreme(reduction: Reduction, call: Call) -> Value:
    x = call.operand(0)
    axes = sorted({x.value.counted(axis) for axis in call.integers(1, "the axes")})
    y = Reducer(reduction).of(call.build, x.value, axes, call.options.flag("keep_dims"))
    return call.as_result(Operand(y, x.tensor))


def _extreme_index(least: bool, call: Call) -> Value:
    return extreme_index(call.build, call.operand(0).value, call.integers(1, "the axis"), keepdims=False, least=least)


POOLING: dict[str, Translation] = {
    "ARG_MAX": Translation(partial(_extreme_index, False), "ArgMax"),
    "ARG_MIN": Translation(partial(_extreme_index, True), "ArgMax"),
    "AVERAGE_POOL_2D": Translation(_average_pool, "Conv and Quantize"),
    "MAX_POOL_2D": Translation(_max_pool, "MaxPool"),
    "MEAN": Translation(_mean, "Reduce and Quantize"),
    "REDUCE_MAX": Translation(partial(_extreme, Reduction.MAX), "Reduce"),
    "REDUCE_MIN": Translation(partial(_extreme, Reduction.MIN), "Reduce"),
}
"""Operators by name."""
