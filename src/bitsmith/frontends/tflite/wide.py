"""Functions of 16 bits: tables with straight lines between their places."""

import math
from fractions import Fraction

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ZERO, Value, constant
from bitsmith.frontends.ops.arithmetic import absolute, add, multiply, subtract
from bitsmith.frontends.ops.logic import compare, where
from bitsmith.frontends.tflite.call import Call, Operand
from bitsmith.frontends.tflite.fixedpoint import Integers
from bitsmith.frontends.tflite.requantize import INT32, exact, integers
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Rounding
from bitsmith.layers.layer import as_weights
from bitsmith.layers.quantization.lookup import Lookup
from bitsmith.layers.quantization.quantize import Quantize

_MOST = 30


def straight_lines(build: Builder, x: Value, table: Integers, bits: int) -> Value:
    """A table with 513 places, ``2**bits`` apart, of ``x`` from ``-256 * 2**bits`` on: rounded to integers."""
    total = _line(build, x, bits, -256, table[:-1] << bits, np.diff(table))
    return build.emit(Quantize(integers(Fraction(1 << bits), INT32, Rounding.RND)), total)


def _line(build: Builder, x: Value, bits: int, first: int, bases: Integers, slopes: Integers) -> Value:
    """``bases[k] + slopes[k] * rest`` for ``x = (first + k) * 2**bits + rest``; beyond the last place, as there."""
    last = first + len(bases) - 1
    place = build.emit(Quantize(integers(Fraction(1 << bits), (first, last), Rounding.TRN)), x, suffix="place")
    start = multiply(build.within("start"), place, constant(float(1 << bits)))
    rest = subtract(build.within("rest"), x, start)
    base, slope = (
        build.emit(Lookup(as_weights(0.0), first, exact(values)), place, suffix=name)
        for name, values in (("base", bases), ("slope", slopes))
    )
    return add(build.within("line"), base, multiply(build.within("rise"), slope, rest))


def wide_function(call: Call, x: Operand, kind: str) -> Value:
    """The logistic function or the hyperbolic tangent, from the kernels' table of the former."""
    scale = float(call.result.quantized.scale)
    if scale != 2.0**-15:
        raise UnsupportedError(f"{kind} into steps of {scale:g}", accepted="2**-15, as the kernels")
    build, is_logistic = call.build, kind == "LOGISTIC"
    numerator, shift = _input_scale(float(x.scale), 0 if is_logistic else 1)
    inside = call.quantized(x.value, integers(Fraction(1 << shift, numerator), INT32, Rounding.RND), "input")
    bits = 9 if is_logistic else 8
    table = _sigmoid()
    # From the last place on both functions are as near to 1 as can be.
    bases = np.append(table[:-1] << bits, 0x7FFF << 10 if is_logistic else 0xFFFF << 8)
    slopes = np.append(np.diff(table), 0)
    total = _line(build, absolute(build.within("size"), inside), bits, 0, bases, slopes)
    start = 0 if is_logistic else 1 << 23
    drop = 10 if is_logistic else 8
    shifted = call.shifted(total, -start, "centered")
    positive = call.quantized(shifted, integers(Fraction(1 << drop), INT32, Rounding.RND), "positive")
    negative = subtract(build.within("negative"), constant(32768.0 if is_logistic else 0.0), positive)
    return where(build, compare(build, Relation.GE, inside, ZERO, "sign"), positive, negative)


def _input_scale(scale: float, most: int) -> tuple[int, int]:
    """``n`` and ``k`` of the factor ``n / 2**k`` that takes an operand to steps of 1/12288."""
    power = math.log(scale) / math.log(2.0)
    left = 12 + round(power)
    if abs(power - round(power)) < 1e-3 and 0 <= left <= most:
        return 3 << left, 0
    factor, shift = scale * 4096.0 * 3.0, 0
    while factor <= 32767.0 / 2.0 and shift <= _MOST:
        factor, shift = factor * 2.0, shift + 1
    if not 1.0 <= factor < 2.0**31:
        raise UnsupportedError(f"a function of steps of {scale:g}", accepted="steps that kernels accept")
    return int(factor), shift


def _sigmoid() -> Integers:
    """The logistic function at multiples of 1/24, with 16 fractional bits, so that straight lines err on both sides."""
    values = 65536.0 / (1.0 + np.exp(-np.arange(257) / 24.0))
    middles = 65536.0 / (1.0 + np.exp(-(np.arange(256) + 0.5) / 24.0))
    lines = (values[1:] + values[:-1]) / 2.0
    table: Integers = np.floor(values[:-1] - (lines - middles) / 2.0 + 0.5).astype(np.int64)
    table[-1] = (1 << 16) - 1
    return table
