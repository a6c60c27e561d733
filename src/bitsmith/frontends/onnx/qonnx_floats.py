"""Minifloats of the QONNX dialect: few bits of exponent and mantissa, of constants and of tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.qonnx import MODES, broadcast, per_sample, read_mode, read_scale
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.merge import Add
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.quantization.quantizer import Quantizer

_MOST_BITS = 8
"""Most bits of an exponent, and of a mantissa."""

_MOST_LEVELS = 2048


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
    parts = []
    for above in (False, True):
        ties, jumps = (
            np.array([step[part] for step in steps if step[2] is above], dtype=np.float64) for part in (0, 1)
        )
        rises = np.concatenate([[-np.sum(jumps[ties < 0])], jumps])
        thresholds, levels = (_scaled(x, scale, values) for values in (ties, np.cumsum(rises)))
        name = "above" if above else "from"
        parts.append(build.emit(Staircase(thresholds, levels, above), x, suffix=name))
    return build.emit(Add(), *parts)


def _scaled(x: Value, scale: Floats, values: Floats) -> Floats:
    return as_weights(per_sample(x, broadcast(x, scale, "the scale"))[..., None] * values)


FLOATS: dict[str, Translation] = {
    "FloatQuant": Translation(_float_quant, "Staircase twice and Add, or a constant", valued=True)
}
"""Operators by name."""
