"""L2 normalization in the kernels' fixed-point arithmetic: the inverse square root is five steps of Newton on 32 bits (gemmlowp).

The sum of squares is brought to ``2**27..2**29`` by a power of 4; the inverse root is multiplied by that of 2 afterwards, in two
steps, which each round.
"""

from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.frontends.ops import normalization
from bitsmith.frontends.ops.arithmetic import multiply, subtract
from bitsmith.frontends.ops.reduction import Reducer
from bitsmith.frontends.tflite.call import Call, Entry, Operators, Translation, checked, limits_of
from bitsmith.frontends.tflite.fixed_layers import FixedLayers, rounded
from bitsmith.frontends.tflite.fixedpoint import Fixed, Integers, divided, shifted
from bitsmith.frontends.tflite.requantize import Multiplier
from bitsmith.frontends.tflite.shared import fused, operation
from bitsmith.ir.types import Rounding
from bitsmith.layers.layer import as_weights
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.reduction import Reduction

_MOST = 1 << 12
"""Most elements of a row, whose sum of squares stays below ``2**29``."""

_PAIRS = range(14, -1, -1)
"""Most bits, in pairs, by which a sum of squares is shifted: of 1 most."""

_START = 11
"""Pairs below the most, from which the inverse root is multiplied by a power of 2 after it is rounded."""

_LEAST_LENGTH = 1e-6
"""Least divisor of kernels in floating point."""

_RESULT_BITS = 7
_STEPS = 5
_FINE = 20
"""Fractional bits of inverse roots."""
_HALF_ROOT, _THREE_HALVES, _ONE = 1518500250, 402653184, 1 << 28


def _normalized(call: Call) -> Value:
    x, result = call.operand(0), checked(call.result)
    if call.options.text("fused_activation_function") != "NONE":
        raise UnsupportedError("L2_NORMALIZATION with an activation", accepted="none")
    if x.is_wide or x.value.shape[-1] > _MOST:
        raise UnsupportedError(
            f"L2_NORMALIZATION of {x.value.shape[-1]} elements of {x.tensor.dtype}", accepted=f"{_MOST} of 8 bits"
        )
    if result.quantized.scale != np.float32(2.0**-_RESULT_BITS) or limits_of(result) != (-128, 127):
        raise call.error(f"L2_NORMALIZATION in steps of {result.quantized.scale:g}", "1/128, without an offset")
    build, signed = call.build, x.tensor.dtype == "int8"
    square = multiply(build.within("squares"), x.value, x.value)
    total = Reducer(Reduction.SUM).of(build.within("total"), square, [x.value.rank - 1], keepdims=True)
    normal = multiply(build.within("normal"), total, _by_size(build, total, [4.0**pairs for pairs in _PAIRS], "room"))
    inverse = _inverse_root(build.within("root"), normal)
    before, after = zip(*(_exponents(pairs, signed=signed) for pairs in _PAIRS), strict=True)
    last = max(after)
    raised = multiply(build.within("raised"), x.value, _by_size(build, total, [2.0**n for n in before], "before"))
    product = FixedLayers(build, Fixed(32)).times(raised, inverse, "product")
    moved = multiply(
        build.within("moved"), product, _by_size(build, total, [2.0 ** (last - n) for n in after], "after")
    )
    return rounded(build, moved, last, Rounding.RND_INF, "", limits_of(result))


def _exponents(pairs: int, *, signed: bool) -> tuple[int, int]:
    """The power of 2 by which an element is multiplied before the inverse root, and by which the product is divided after.

    Where the root's own is negative, that is part of it; elements of uint8 have all of the result's bits before.
    """
    own = _START - pairs
    if not signed:
        return _RESULT_BITS + max(-own, 0), max(own, 0)
    return max(_RESULT_BITS - max(own, 0), 0) + max(-own, 0), max(own - _RESULT_BITS, 0)


def _by_size(build: Builder, total: Value, levels: list[float], suffix: str) -> Value:
    """One of the ``levels`` by the size of a sum of squares: the first below 2, the next below 8, and so on."""
    steps = [2.0 * 4.0**k for k in range(len(levels) - 1)]
    return build.emit(Staircase(as_weights(steps), as_weights(levels)), total, suffix=suffix)


def _inverse_root(build: Builder, normal: Value) -> Value:
    """``2**31 / sqrt(8 * normal)`` and so on: gemmlowp's numbers with three integer bits."""
    layers = FixedLayers(build, Fixed(32))
    whole = rounded(build, normal, 1, Rounding.TRN, "whole")
    half = rounded(build, whole, 1, Rounding.RND_INF, "half")
    x: Value = constant(float(_ONE))
    for step in range(_STEPS):
        own = layers.within(f"step{step}")
        cube = own.raised(own.times(own.times(x, x, "square"), x, "cube"), 6, "cubed")
        more = own.times(x, _THREE_HALVES, "more")
        change = subtract(own.build.within("change"), more, own.times(half, cube, "less"))
        x = own.raised(change, 3, "next")
    return layers.times(x, _HALF_ROOT, "inverse")


def _reciprocal_root(call: Call) -> Value:
    """A table of the kernel's inverse roots; of 0, and of negative numbers, at which the kernel stops, the greatest code."""
    x, result = call.operand(0), checked(call.result)
    if x.is_wide:
        raise UnsupportedError("RSQRT of 16 bits", accepted="8 bits")
    factor = 1.0 / (float(np.sqrt(x.scale)) * float(result.quantized.scale))
    output, (_, most) = Multiplier.of(factor), limits_of(result)
    output = replace(output, shift=output.shift - _FINE)

    def codes(places: Integers) -> Integers:
        roots = [_inverse_root_of(int(place)).applied(np.array(1)) for place in np.maximum(places, 1)]
        return np.where(places > 0, output.applied(np.array(roots)), most)

    return call.table(x, codes)


def _inverse_root_of(value: int) -> Multiplier:
    """``2**20 / sqrt(value)`` as gemmlowp has it, of up to 29 bits."""
    if value <= 1:
        return Multiplier((1 << 31) - 1, _FINE)
    fixed, pairs = Fixed(32), (31 - value.bit_length()) // 2 - 1
    half, x = divided(np.array((value << 2 * pairs) >> 1), 1), np.array(_ONE)
    for _ in range(_STEPS):
        cube = shifted(fixed.times(fixed.times(x, x), x), 6)
        x = shifted(fixed.times(x, _THREE_HALVES) - fixed.times(half, cube), 3)
    own = _START - pairs
    return Multiplier(int(fixed.times(x, _HALF_ROOT)) << max(-own, 0), _FINE - max(own, 0))


def _unit(call: Call) -> Value:
    x = call.value(0)
    return fused(call, lambda build: normalization.unit(build, x, [-1], epsilon=_LEAST_LENGTH))


def _around(call: Call) -> Value:
    """By the squares of neighbors along the channels, of which alpha counts each."""
    size, alpha = 2 * call.options.integer("radius") + 1, call.options.number("alpha")
    beta, bias = call.options.number("beta"), call.options.number("bias")
    return normalization.around(call.build, call.value(0), -1, size, alpha * size, beta, bias)


NORMALIZATIONS: Operators = {
    "L2_NORMALIZATION": Entry(
        Translation(_normalized, "Multiply, Reduce, Staircase and Quantize"), Translation(_unit, "UnitNormalization")
    ),
    "RSQRT": Entry(Translation(_reciprocal_root, "Lookup"), operation("rsqrt")),
    "LOCAL_RESPONSE_NORMALIZATION": Entry(
        numbers=Translation(_around, "Power, EinsumDense, BatchNormalization, Power and Multiply")
    ),
}
