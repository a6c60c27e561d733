"""The other operators of the QONNX dialect: thresholds, pooling, layers whose channels come last, products of truth values.

Minifloats, too: few bits of exponent and mantissa, of constants and of tensors.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.onnx.call import Call, Operators, Results, Translation
from bitsmith.frontends.onnx.norm import NORMALIZATIONS
from bitsmith.frontends.onnx.qonnx import (
    MODES,
    QUANTIZERS,
    Grid,
    broadcast,
    exact,
    per_sample,
    quantized,
    read_mode,
    read_scale,
)
from bitsmith.frontends.onnx.qonnx_lstm import quantized_lstm
from bitsmith.frontends.onnx.spatial import SPATIAL
from bitsmith.frontends.ops import spatial
from bitsmith.frontends.ops.contraction import matrix_product
from bitsmith.frontends.ops.spatial import Taps
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.merge import Add
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.quantization.quantizer import Quantizer

_LAYOUTS = {2: "NC", 3: "NWC", 4: "NCHW"}
"""The layout of so many axes, if none is given."""

_MOST_BITS = 8
"""Most bits of an exponent, and of a mantissa."""

_MOST_LEVELS = 2048


def _multi_threshold(call: Call) -> Value:
    """The number of thresholds that are reached, scaled."""
    x, thresholds, attributes = call.tensor(0), call.weights(1, "the thresholds"), call.attributes
    attributes.ignore("out_dtype")
    layout = attributes.text("data_layout", "") or _LAYOUTS.get(x.rank, "")
    axis = layout.index("C") if "C" in layout else 1
    if thresholds.ndim != 2 or not thresholds.size or axis >= x.rank:
        raise UnsupportedError(f"thresholds of shape {thresholds.shape}", accepted="rows of them, one for each channel")
    scale, bias = attributes.number("out_scale", 1.0), attributes.number("out_bias", 0.0)
    levels = as_weights(scale * np.arange(thresholds.shape[1] + 1) + bias)
    rows = np.sort(thresholds, axis=1)
    shape = [1] * x.rank
    shape[axis] = len(rows)
    place = broadcast(x, as_weights(np.arange(len(rows)).reshape(shape)), "thresholds")
    places = per_sample(x, place).astype(np.int64)
    return call.build.emit(Staircase(as_weights(rows[places]), levels), x)


def _quant_avg_pool(call: Call) -> Value:
    """The sum of each window, of which so many bits are dropped as leave the wanted ones."""
    attributes = call.attributes
    kernel, stride = attributes.positive("kernel"), attributes.positive("stride")
    bits, left = attributes.positive("ibits"), attributes.positive("obits")
    attributes.ignore("signed")
    layout = attributes.text("data_layout", "NCHW")
    if layout not in ("NCHW", "NHWC") or max(bits, left) > 32:
        raise UnsupportedError(f"{bits} and {left} bits in the layout {shown(layout)}", accepted="NCHW, NHWC; 32 bits")
    dropped = max((((1 << bits) - 1) * kernel * kernel).bit_length() - left, 0)
    taps = Taps((kernel, kernel), (stride, stride), (1, 1), ((0, 0), (0, 0)))
    x = call.batched(call.tensor(0), 0)

    def total(y: Value) -> Value:
        if kernel > min(y.item[:-1]):
            raise UnsupportedError(f"windows of {kernel} elements in {min(y.item[:-1])}", accepted="windows that fit")
        ones = exact(np.ones((kernel, kernel, 1, y.item[-1])))
        return spatial.convolution(call.build, y, ones, None, taps, y.item[-1], "sum")

    y = spatial.along(call.build, x, total, (2,), first=layout == "NCHW")
    one, none, most = as_weights(1.0), as_weights(0.0), 1 << 40
    codes = quantized(call.build.within("codes"), y, Grid(one, none, -most, most, one), "ROUND")
    return quantized(call.build, codes, Grid(as_weights(2.0**dropped), none, -most, most, one), "FLOOR")


def _channels_first(build: Builder, x: Value) -> Value:
    return build.permuted(x, (0, x.rank - 1, *range(1, x.rank - 1)), "channels_first", inner=True)


def _channels_last(entry: Translation) -> Translation:
    """ONNX's own operator on an operand, and a kernel, whose channels come last."""

    def read(call: Call) -> Results:
        operands = list(call.operands)
        for number in range(1 + (call.node.operator == "Conv")):
            build = call.build.within("weight" if number else "")
            operands[number : number + 1] = [_channels_first(build, call.tensor(number))]
        y = entry.read(replace(call, operands=tuple(operands)))
        return call.build.channels_last(y) if isinstance(y, Value) else y

    return Translation(read, entry.becomes)


def _xnor_product(call: Call) -> Value:
    """The number of equal pairs of truth values: ``(K + (2a - 1)(2b - 1)) / 2`` of ``K`` pairs."""
    build = call.build
    a, b = (_signs(build, call.tensor(number), f"signs{number}") for number in (0, 1))
    pairs = a.dims[-1] if a.rank else 0
    return build.affine(matrix_product(build.within("product"), a, b), exact(0.5), exact(pairs / 2.0))


def _signs(build: Builder, x: Value, suffix: str) -> Value:
    """``2x - 1``."""
    return exact(2.0 * x.elements - 1.0) if x.is_trained else build.affine(x, exact(2.0), exact(-1.0), suffix)


def _debug_marker(call: Call) -> Value:
    call.attributes.ignore("export_debug_name")
    return call.tensor(0)


def _im2col(call: Call) -> Value:
    """Return the elements of each window, its channels counted fastest."""
    attributes, x = call.attributes, call.batched(call.tensor(0), 0)
    attributes.ignore("input_shape", "depthwise")
    size, strides = attributes.per_axis("kernel_size", 2), attributes.per_axis("stride", 2)
    dilation, pads = attributes.per_axis("dilations", 2, 1), attributes.per_axis("pad_amount", 4, 0, least=0)
    if x.rank != 4:
        raise UnsupportedError(f"windows of an operand of {x.rank} axes", accepted="batch, rows, columns, channels")
    build, value = call.build, float(attributes.integer("pad_value", 0))
    x = spatial.pad(build.within("padded"), x, {1: (pads[0], pads[2]), 2: (pads[1], pads[3])}, value=value)
    taps = Taps(size, strides, dilation, ((0, 0), (0, 0)))
    channels, rows, columns = (
        x.item[-1],
        *((n - span) // stride + 1 for n, span, stride in zip(x.item[:2], taps.spans, strides, strict=True)),
    )
    y = spatial.patches(build.within("patches"), _channels_first(build, x), taps)
    y = build.viewed(y, (1, channels, size[0] * size[1], rows * columns), y.batch, "taps")
    y = build.permuted(y, (0, 3, 2, 1), "windows")
    return build.viewed(y, (1, rows, columns, size[0] * size[1] * channels), y.batch)


@dataclass(frozen=True, slots=True)
class _Format:
    """Bits of the mantissa, the exponent of the least normal number, and the greatest number."""

    mantissa: int
    least: int
    most: Fraction

    @property
    def unit(self) -> Fraction:
        """The least number above 0."""
        return Fraction(2) ** (self.least - self.mantissa)

    def levels(self) -> Iterator[tuple[Fraction, Fraction, bool]]:
        """From 0 up: each level above 0, where it begins, and whether that place belongs to the level before it."""
        level, step, count = Fraction(0), self.unit, 0
        while level < self.most:
            tie = level + step / 2
            level, even = level + step, count % 2 == 0
            count += 1
            yield min(level, self.most), tie, even
            if count == 2 << self.mantissa:
                count, step = count // 2, step * 2


def _float_quant(call: Call) -> Value:
    x, attributes = call.tensor(0), call.attributes
    scale, mode = read_scale(call, x, 1), read_mode(call)
    exponent, mantissa = _integer(call, 2, "bits of the exponent", 1), _integer(call, 3, "bits of the mantissa", 0)
    bias, most = call.number(4, "the exponent's bias"), call.number(5, "the greatest number")
    attributes.ignore("has_inf", "has_nan", "has_subnormal", "signed")
    if not attributes.flag("saturation", True):
        raise UnsupportedError("minifloats that overflow to infinity or to no number", accepted="saturation=1")
    if not bias.is_integer() or abs(bias) > 256 or not most > 0.0:
        raise UnsupportedError(f"a bias of {bias:g} up to {most:g}", accepted="an integer, and a number above 0")
    top = (2 - Fraction(2) ** -mantissa) * Fraction(2) ** ((1 << exponent) - 1 - int(bias))
    most_known = min(top, Fraction(most)) if math.isfinite(most) else top
    fmt = _Format(mantissa, 1 - int(bias), most_known)
    if x.is_trained:
        return _trained(x, scale, fmt, mode)
    if mode not in ("ROUND", "HALF_EVEN"):
        raise UnsupportedError(f"minifloats of a tensor rounded by {mode}", accepted="ROUND")
    return _rounded(call.build, x, scale, fmt)


def _integer(call: Call, number: int, what: str, least: int) -> int:
    bits = call.number(number, what)
    if not bits.is_integer() or not least <= bits <= _MOST_BITS:
        raise UnsupportedError(f"{bits:g} {what}", accepted=f"integers from {least} to {_MOST_BITS}")
    return int(bits)


def _trained(x: Value, scale: Floats, form: _Format, mode: str) -> Value:
    """A constant as single precision makes it a minifloat, on the grid of the least one."""
    ratio = x.elements.astype(np.float32) / scale.astype(np.float32)
    tiny = np.finfo(np.float32).tiny
    powers = np.maximum(np.floor(np.log2(np.abs(ratio) + tiny)) - form.mantissa, np.float32(form.least - form.mantissa))
    steps = np.exp2(powers)
    values = steps * MODES[mode].single(ratio / steps)
    most = float(form.most)
    clipped = np.clip(values.astype(np.float64), -most, most)
    unit = min(form.unit, Fraction(1, form.most.denominator))
    codes = int(form.most / unit)
    grid = Quantizer.uniform(as_weights(scale * float(unit)), -codes, codes)
    return constant(as_weights(clipped * scale), x.label, quantizer=grid)


def _rounded(build: Builder, x: Value, scale: Floats, form: _Format) -> Value:
    """The sum of two staircases: ties go to even levels, and so some steps include the place where they are and some do not."""
    steps: list[tuple[float, float, bool]] = []
    before = Fraction(0)
    for level, tie, opens in form.levels():
        jump = float(level - before)
        steps += [(float(tie), jump, opens), (-float(tie), jump, not opens)]
        before = level
        if len(steps) > _MOST_LEVELS:
            raise UnsupportedError("a minifloat of too many values", accepted=f"at most {_MOST_LEVELS}, or constants")
    steps.sort()
    parts, factor = [], per_sample(x, broadcast(x, scale, "the scale"))[..., None]
    for above in (False, True):
        ties, jumps = (
            np.array([step[part] for step in steps if step[2] is above], dtype=np.float64) for part in (0, 1)
        )
        rises = np.concatenate([[-np.sum(jumps[ties < 0])], jumps])
        thresholds, levels = (as_weights(factor * values) for values in (ties, np.cumsum(rises)))
        name = "above" if above else "from"
        parts.append(build.emit(Staircase(thresholds, levels, above), x, suffix=name))
    return build.emit(Add(), *parts)


QONNX: Operators = {
    **QUANTIZERS,
    "FloatQuant": Translation(_float_quant, "Staircase twice and Add, or a constant", valued=True),
    "MultiThreshold": Translation(_multi_threshold, "Staircase"),
    "QuantLSTMCell": Translation(quantized_lstm, "Dense, Quantize, Multiply and Stack, step by step"),
    "QuantAvgPool2d": Translation(_quant_avg_pool, "Conv and Quantize"),
    "MaxPoolNHWC": _channels_last(SPATIAL["MaxPool"]),
    "XnorPopcountMatMul": Translation(_xnor_product, "Dense or Einsum, and BatchNormalization"),
    "Im2Col": Translation(_im2col, "Gather and Permute"),
    "DebugMarker": Translation(_debug_marker, "Identity"),
}

CHANNELS_LAST: dict[str, Translation] = {
    **{name: _channels_last(SPATIAL[name]) for name in ("Conv", "MaxPool")},
    "BatchNormalization": _channels_last(NORMALIZATIONS["BatchNormalization"]),
}
"""Operators by name of the domain of those whose channels come last."""

QONNX_DOMAIN = "qonnx.custom_op.general"

QONNX_DOMAINS: dict[str, dict[str, Translation]] = {
    **dict.fromkeys((QONNX_DOMAIN, "onnx.brevitas", "finn.custom_op.general", "finn"), QONNX),
    "qonnx.custom_op.channels_last": CHANNELS_LAST,
}
"""The tables by domain."""
