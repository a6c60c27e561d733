"""The quantizers of the QONNX dialect: integers of any scale, zero point, width and rounding; two values; truncation.

What they compute is that of qonnx's own executor, which clips before it rounds, adds the zero point before it rounds, and puts
constants on their grids in single precision.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ONE, Value, constant
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.onnx.call import Call, Operators, Translation
from bitsmith.ir.types import Rounding, objects
from bitsmith.layers.auto import exact_raw
from bitsmith.layers.layer import Floats, as_weights, broadcasts
from bitsmith.layers.merge import Add
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, Retrained

_MOST_BITS = 32

_WIDE = 1 << _MOST_BITS
"""Codes that have no bounds in the executor are kept within plus and minus this."""

_Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Mode:
    """A rounding as the executor does it, as a quantizer does, and what it is to numbers from 0 on."""

    single: Callable[[_Singles], _Singles]
    rounding: Rounding | None
    unsigned: Rounding | None


MODES: Mapping[str, _Mode] = {
    **dict.fromkeys(("ROUND", "HALF_EVEN"), _Mode(np.rint, Rounding.RND_CONV, Rounding.RND_CONV)),
    "FLOOR": _Mode(np.floor, Rounding.TRN, Rounding.TRN),
    "CEIL": _Mode(np.ceil, None, None),
    "UP": _Mode(lambda x: np.sign(x) * np.ceil(np.abs(x)), None, None),
    **dict.fromkeys(("DOWN", "ROUND_TO_ZERO"), _Mode(np.trunc, Rounding.TRN_ZERO, Rounding.TRN)),
    "HALF_UP": _Mode(lambda x: np.sign(x) * np.floor(np.abs(x) + np.float32(0.5)), Rounding.RND_INF, Rounding.RND),
    "HALF_DOWN": _Mode(
        lambda x: np.sign(x) * np.ceil(np.abs(x) - np.float32(0.5)), Rounding.RND_ZERO, Rounding.RND_MIN_INF
    ),
}
"""Without a rounding: CEIL is the floor of what is mirrored; UP is CEIL above 0 and FLOOR below. Brevitas says ROUND_TO_ZERO."""


@dataclass(frozen=True, slots=True)
class Grid:
    """``clip(round(x / scale + zero), lo, hi)``, of which ``zero`` is taken off, times ``step``.

    ``scale``, ``zero`` and ``step`` broadcast to the model's axes of what is quantized.
    """

    scale: Floats
    zero: Floats
    lo: int
    hi: int
    step: Floats


def read_mode(call: Call, key: str = "rounding_mode", default: str = "ROUND") -> str:
    """The rounding mode."""
    mode = call.attributes.text(key, default).upper()
    if mode not in MODES:
        raise UnsupportedError(f"the rounding mode {shown(mode)}", accepted=", ".join(MODES))
    return mode


def broadcast(x: Value, values: Floats, what: str) -> Floats:
    """``values``, if they broadcast to the model's axes of ``x`` and are the same for all samples."""
    if not broadcasts(values.shape, x.dims):
        raise UnsupportedError(
            f"{what} of shape {values.shape} on a tensor of shape {x.dims}",
            accepted="one number, or one for each channel",
        )
    return values


def per_sample(x: Value, values: Floats) -> Floats:
    """Numbers that broadcast to the model's axes of ``x`` as numbers for one sample."""
    if values.size == 1:
        return values.reshape(())
    raised = values.reshape((1,) * (x.rank - values.ndim) + values.shape)
    return raised if x.batch is None or x.is_merged else np.squeeze(raised, x.batch.axis)


def read_scale(call: Call, x: Value, number: int, what: str = "the scale") -> Floats:
    values = broadcast(x, call.weights(number, what), what)
    if bool(np.any(values <= 0.0)):
        raise UnsupportedError(f"{what} is {shown(float(values.min()))}", accepted="numbers above 0")
    return values


def _zero(call: Call, x: Value, number: int = 2) -> Floats:
    values = broadcast(x, call.weights(number, "the zero point"), "the zero point")
    if bool(np.any(np.abs(values) > _WIDE)):
        raise UnsupportedError(f"the zero point is {shown(float(np.abs(values).max()))}", accepted=f"at most {_WIDE}")
    return values


def _bits(call: Call, number: int, what: str = "the bit width") -> int:
    bits = call.number(number, what)
    if not bits.is_integer() or not 1 <= bits <= _MOST_BITS:
        raise UnsupportedError(f"{what} is {bits:g}", accepted=f"integers from 1 to {_MOST_BITS}")
    return int(bits)


def code_range(bits: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    """The least and the greatest code."""
    if signed:
        return -(1 << bits - 1) + narrow, (1 << bits - 1) - 1
    return 0, (1 << bits) - 1 - narrow


def _quant(call: Call) -> Value:
    x = call.tensor(0)
    scale, zero = read_scale(call, x, 1), _zero(call, x)
    bits, mode = _bits(call, 3), read_mode(call)
    signed, narrow = call.attributes.flag("signed", True), call.attributes.flag("narrow", True)
    if bits == 1 and signed:
        return _bipolar(call.build, x, scale, zero)
    lo, hi = code_range(bits, signed=signed, narrow=narrow)
    grid = Grid(scale, zero, lo, hi, scale)
    return trained(x, grid, MODES[mode]) if x.is_trained else quantized(call.build, x, grid, mode)


def quantized_within(call: Call, build: Builder, x: Value, number: int, prefix: str) -> Value:
    """``x`` by one of several quantizers of an operator: its operands from ``number`` on, and attributes that begin so."""
    scale, zero = read_scale(call, x, number), _zero(call, x, number + 1)
    bits, mode = _bits(call, number + 2), read_mode(call, f"{prefix}_rounding_mode")
    flags = [call.attributes.flag(f"{prefix}_{key}", False) for key in ("signed", "narrow", "narrow_range")]
    lo, hi = code_range(bits, signed=flags[0], narrow=any(flags[1:]))
    return quantized(build, x, Grid(scale, zero, lo, hi, scale), mode)


def _bipolar_quant(call: Call) -> Value:
    x = call.tensor(0)
    scale = read_scale(call, x, 1)
    return _bipolar(call.build, x, scale, as_weights(0.0))


def _bipolar(build: Builder, x: Value, scale: Floats, zero: Floats) -> Value:
    """1 from ``-zero`` on and -1 below, of which ``zero`` is taken off."""
    grid = Grid(scale, zero, -1, 1, scale)
    if x.is_trained:
        signs = _Mode(lambda ratio: np.where(ratio >= 0, np.float32(1), np.float32(-1)), None, None)
        return trained(x, grid, signs)
    thresholds = per_sample(x, -zero * scale)[..., None]
    levels = per_sample(x, (-1.0 - zero) * scale), per_sample(x, (1.0 - zero) * scale)
    return build.emit(Staircase(as_weights(thresholds), as_weights(np.stack(levels, -1))), x)


def trained(x: Value, grid: Grid, mode: _Mode) -> Value:
    """A constant on the grid, as single precision puts it there."""
    scale, zero = grid.scale.astype(np.float32), grid.zero.astype(np.float32)
    ratio = x.elements.astype(np.float32) / scale + zero
    codes = np.clip(
        mode.single(np.clip(ratio, np.float32(grid.lo), np.float32(grid.hi))).astype(np.float64), grid.lo, grid.hi
    )
    parts = max((float(value).as_integer_ratio()[1] for value in grid.zero.ravel()), default=1)
    zeros = np.frompyfunc(int, 1, 1)(grid.zero * parts)
    lo, hi = objects(grid.lo * parts - zeros), objects(grid.hi * parts - zeros)
    values = as_weights((codes - grid.zero) * grid.scale)
    quantizer = Quantizer.uniform(as_weights(grid.scale / parts), lo, hi)
    rounding = mode.unsigned if grid.lo >= 0 else mode.rounding
    if rounding is not None and not bool(np.any(grid.zero)):
        quantizer = replace(quantizer, rounding=rounding, retrained=Retrained.QUANTIZED)
    return constant(values, x.label, quantizer=quantizer)


def exact(values: Floats | float) -> Value:
    """A constant of numbers that are taken exactly."""
    raw, frac = exact_raw(as_weights(values))
    return constant(values, quantizer=Quantizer.uniform(2.0**-frac, int(raw.min()), int(raw.max())))


def quantized(build: Builder, x: Value, grid: Grid, mode: str) -> Value:
    """A tensor on the grid, rounded exactly.

    A zero point is taken off the range of codes where that changes no rounding; else it is added before rounding, as an offset,
    and subtracted from the result.
    """
    rounding = MODES[mode].unsigned if grid.lo >= 0 else MODES[mode].rounding
    moves = mode == "CEIL" or (mode == "UP" and grid.lo >= 0) or rounding in _MOVING
    period = 1.0 if moves else 2.0 if rounding is Rounding.RND_CONV else math.inf
    if bool(np.all(np.fmod(grid.zero, period) == 0.0)):
        return _rounded(build, x, grid, mode, grid.zero)
    with_zero = _rounded(build.within("with_zero"), x, grid, mode, as_weights(0.0))
    return build.affine(with_zero, ONE, exact(-grid.zero * grid.step))


_MOVING = (Rounding.TRN, Rounding.RND, Rounding.RND_MIN_INF)
"""Roundings of which an integer may be taken off before or after."""


def _rounded(build: Builder, x: Value, grid: Grid, mode: str, folded: Floats) -> Value:
    """The codes times the step: of the zero point what is ``folded`` is taken off the codes, the rest is still in them."""
    rounding = MODES[mode].unsigned if grid.lo >= 0 else MODES[mode].rounding
    if rounding is not None:
        return build.emit(Quantize(_quantizer(x, grid, rounding, folded)), x)
    if mode == "CEIL" or grid.lo >= 0:
        return build.emit(Quantize(_quantizer(x, grid, Rounding.TRN, folded, sign=-1)), x)
    above = _rounded(build.within("above"), x, replace(grid, lo=0), "CEIL", folded)
    below = _rounded(build.within("below"), x, replace(grid, hi=0), "FLOOR", folded)
    return build.emit(Add(), above, below)


def _quantizer(x: Value, grid: Grid, rounding: Rounding, folded: Floats, sign: int = 1) -> Quantizer:
    """The quantizer of a grid; on scales of the other ``sign``, and so with codes of the other sign, it rounds up what it rounds
    down on these.
    """
    zeros = np.frompyfunc(int, 1, 1)(per_sample(x, folded))
    ends = sign * (grid.lo - zeros), sign * (grid.hi - zeros)
    return Quantizer.uniform(
        sign * per_sample(x, grid.scale),
        objects(ends[sign < 0]),
        objects(ends[sign > 0]),
        rounding,
        step=sign * per_sample(x, grid.step),
        offset=sign * per_sample(x, grid.zero - folded),
    )


def _trunc(call: Call) -> Value:
    """Codes divided by a power of two. Version 2 has the scale of the result, and clips.

    First the operand is rounded to codes, as the executor does; of codes that are clipped later so many as matter are kept.
    """
    x, second = call.tensor(0), call.operand(5) is not None
    scale, zero = read_scale(call, x, 1), _zero(call, x)
    before, mode = _bits(call, 3, "the bit width of the operand"), read_mode(call, default="FLOOR")
    after = _bits(call, 5 if second else 4, "the bit width of the result")
    lo, hi, step, power = -_WIDE, _WIDE, scale, np.asarray(2.0 ** (before - after))
    rest = zero
    if second:
        signed, narrow = call.attributes.flag("signed", True), call.attributes.flag("narrow", False)
        lo, hi = code_range(after, signed=signed, narrow=narrow)
        step = read_scale(call, x, 4, "the scale of the result")
        power = 2.0 ** np.rint(np.log2(step.astype(np.float32) / scale.astype(np.float32))).astype(np.float64)
        rest = zero / power
    most_power = float(power.max())
    least, most = math.floor(lo * most_power), math.ceil(hi * most_power)
    codes = Grid(scale, zero, least, most, scale)
    y = _rounded(call.build.within("codes"), x, codes, "ROUND", as_weights(0.0))
    plain = as_weights(0.0)
    grid = Grid(as_weights(scale * power), plain, lo, hi, step)
    if not bool(np.any(rest)):
        return quantized(call.build, y, grid, mode)
    return call.build.affine(quantized(call.build.within("with_zero"), y, grid, mode), ONE, exact(-rest * step))


QUANTIZERS: Operators = {
    **dict.fromkeys(("Quant", "IntQuant"), Translation(_quant, "Quantize, or a constant", valued=True)),
    "BipolarQuant": Translation(_bipolar_quant, "Staircase, or a constant", valued=True),
    "Trunc": Translation(_trunc, "Quantize twice"),
}
