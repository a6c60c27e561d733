"""onnxruntime's QLinearSoftmax: exponentials of integers from a table, and rounded quotients.

The runtime has the table, the sum and the quotient in single precision, whose errors decide where a quotient is next to a tie.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.onnx.call import Call
from bitsmith.frontends.onnx.quantized import Along, Grid, dequantized
from bitsmith.frontends.ops.arithmetic import add, multiply, subtract
from bitsmith.frontends.ops.reduction import Reducer
from bitsmith.layers.elementwise import Whole
from bitsmith.layers.integer import WholeQuotient
from bitsmith.layers.layer import as_weights
from bitsmith.layers.quantization.lookup import Lookup
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.reduction import Reduction

_FRAC = 30
"""Fractional bits of exponentials, the greatest of which is 1."""

_LAST_AXIS_SINCE = 13
"""The operator set from which on softmax is along one axis."""

_MOST_STEPS = 1 << 12
_DIFFERENCES = 256


def softmax(call: Call) -> Value:
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
