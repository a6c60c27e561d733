"""Readers of QKeras's quantizers, from their serialized arguments."""

from collections.abc import Callable
from functools import partial

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.files.json import Fields, Json, shown
from bitsmith.frontends.keras.quantizers import scales
from bitsmith.frontends.keras.quantizers.arguments import SIGNATURES, described
from bitsmith.frontends.keras.quantizers.quantization import MOST_EXPONENTS, Fixed, FromData, OfTrained, Quantization
from bitsmith.frontends.keras.quantizers.scales import AUTO, EPSILON, Scaling, Singles, single
from bitsmith.frontends.keras.quantizers.staircases import MOST_STEPS, staircase
from bitsmith.ir.types import Rounding
from bitsmith.layers.activation import HardActivation, ReLU
from bitsmith.layers.layer import Floats, Layer, as_weights, broadcasts
from bitsmith.layers.quantization.lookup import Lookup, Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer

MAX_BITS = 32
"""Most bits of a quantizer."""

_MAX_EXPONENT = 64
_LN2 = np.float32(np.log(2.0))


def read_quantizer(value: Json, where: str, major: int, *, trained: bool = False) -> Quantization | None:
    """The quantizer that ``value`` describes; ``trained`` is that of a kernel, for which no alpha means auto_po2.

    Raises:
        ModelFileError: something that is not a quantizer, or has arguments that it cannot have.
        UnsupportedError: a quantizer that is random, or partly applied.
    """
    found = described(value, where)
    if found is None:
        return None
    name, config = found
    if name in FUNCTIONS:
        return Fixed(name, (FUNCTIONS[name],))
    if name not in _MAKERS:
        raise UnsupportedError(f"the quantizer {shown(name)}", accepted=", ".join([*_MAKERS, *FUNCTIONS]))
    if trained and config.get("alpha") is None and "alpha" in SIGNATURES[name]:
        symmetric = {"symmetric": True} if "symmetric" in SIGNATURES[name] else {}
        config = Fields({**config.values, "alpha": "auto_po2", **symmetric}, config.where)
    if config.number("qnoise_factor", 1.0) != 1.0:
        raise UnsupportedError(f"qnoise_factor={config.number('qnoise_factor'):g}", accepted="1, all of the quantizer")
    if config.get("elements_per_scale") is not None:
        raise UnsupportedError("elements_per_scale", accepted="a scale for each channel")
    return _MAKERS[name](name, config, major)


def _bits(config: Fields) -> int:
    bits = config.positive("bits", 8)
    if bits > MAX_BITS:
        raise config.wrong("bits", f"at most {MAX_BITS}")
    return bits


def _unit(config: Fields) -> Floats:
    """``2**integer``, a number or one for each channel."""
    integer = np.zeros(()) if config.get("integer") is None else config.constant("integer")
    if bool(np.any(np.abs(integer) > _MAX_EXPONENT) or np.any(integer % 1)):
        raise config.wrong("integer", f"integers up to {_MAX_EXPONENT}")
    return as_weights(np.ldexp(1.0, integer.astype(np.int64)))


def _whole(unit: Floats, config: Fields) -> float:
    """A unit that must be the same for all."""
    if unit.size != 1:
        raise config.wrong("integer", "one integer")
    return float(unit.reshape(()))


def _alpha(config: Fields) -> Floats | str:
    """The factor of a quantizer: numbers in single precision, or how they are found."""
    alpha = config.get("alpha")
    if isinstance(alpha, str):
        if alpha not in AUTO:
            raise config.wrong("alpha", f"a number, {', '.join(AUTO)}")
        return alpha
    values = np.ones(()) if alpha is None else config.constant("alpha")
    while values.ndim and values.shape[0] == 1:
        values = values[0]
    units = _unit(config).shape
    if not broadcasts(values.shape, units) and not broadcasts(units, values.shape):
        raise config.wrong("alpha", f"numbers that broadcast to those of integer, of shape {units}")
    if not bool(np.all(values)):
        raise config.wrong("alpha", "a number that is not 0")
    return as_weights(values.astype(np.float32))


def _scaling(config: Fields, alpha: str) -> Scaling:
    axis, *bounds = (
        None if config.get(key) is None else config.integer(key)
        for key in ("scale_axis", "min_po2_exponent", "max_po2_exponent")
    )
    return Scaling(alpha, axis, *bounds)


def _sign(name: str, alpha: Floats, *, unsigned: bool = False) -> Fixed:
    """1 from 0 up, -1 or 0 below, times alpha."""
    levels = np.array([0.0 if unsigned else -1.0, 1.0]) * alpha[..., None]
    return Fixed(name, (_rows([0.0], levels),), alpha)


def _rows(thresholds: list[float], levels: Floats) -> Staircase:
    """A staircase, whose levels rise where an alpha is negative too."""
    return Staircase(as_weights(thresholds), as_weights(levels))


def _quantized(scale: Floats, lo: int, hi: int, factor: Floats | float = 1.0, offset: float = 0.0) -> Quantize:
    """Codes by the rule of all quantizers of QKeras, in steps of ``scale``, each worth ``scale * factor``."""
    return Quantize(Quantizer.uniform(scale, lo, hi, step=scale * factor, offset=offset))


def _quantized_bits(name: str, config: Fields, major: int) -> Quantization:
    bits, unit, alpha = _bits(config), _unit(config), _alpha(config)
    if isinstance(alpha, str):
        if config.get("post_training_scale") is not None:
            return _with_frozen_scale(name, config, bits, _whole(unit, config))
        scaling = _scaling(config, alpha)
        rule, most = scales.bits_rule(bits, _whole(unit, config), scaling, settled=major >= 3), 2 ** (bits - 1) - 1
        return FromData(name, rule, -most, most)
    signed = config.flag("keep_negative", True)
    if bits == signed:
        return _sign(name, alpha)
    most = 2 ** (bits - signed)
    lo = -most + _left_out(config, 2 * most) if signed else 0
    step = as_weights(unit / most)
    return Fixed(name, (_quantized(step, lo, most - 1, alpha),), as_weights(step * alpha))


def _with_frozen_scale(name: str, config: Fields, bits: int, unit: float) -> Quantization:
    """``quantized_bits`` with the scale that it had found when it was frozen; it rounds half away from zero."""
    scale = config.constant("post_training_scale").astype(np.float32)
    if bits < 2 or not bool(np.all(scale > 0.0)):
        raise config.wrong("post_training_scale", "positive numbers, of two bits or more")
    most = 2 ** (bits - 1) - 1
    step = as_weights(unit * scale / (most + 1))
    grid = Quantizer.uniform(step, -most, most, rounding=Rounding.RND_INF)
    return Fixed(name, (Quantize(grid),), step)


def _quantized_linear(name: str, config: Fields, _: int) -> Quantization:
    bits, unit, alpha = _bits(config), _unit(config), _alpha(config)
    signed = config.flag("keep_negative", True)
    most = 2 ** (bits - signed)
    lo, hi = -most + config.flag("symmetric", True) if signed else 0, most - 1
    if isinstance(alpha, str):
        bounds = (-0.5, 0.5) if most == 1 else (float(lo), float(hi))
        ends = (-1, 1) if most == 1 else (lo, hi)
        return FromData(name, scales.linear_rule(*bounds, _scaling(config, alpha), signed=signed), *ends)
    step = as_weights(unit / most * alpha)
    if most == 1:
        return _sign(name, as_weights(step / 2.0))
    return Fixed(name, (_quantized(step, lo, hi),), step)


def _quantized_relu(name: str, config: Fields, _: int) -> Quantization:
    bits, unit, slope = _bits(config), _unit(config), config.number("negative_slope", 0.0)
    if slope < 0.0 or (slope and np.frexp(slope)[0] != 0.5):
        raise config.wrong("negative_slope", "0 or a power of two")
    most = 2 ** (bits - (slope != 0.0))
    if config.flag("use_sigmoid", False):
        return _relu_of_sigmoid(name, config, _whole(unit, config), most)
    least = slope * most
    if least % 1:
        raise UnsupportedError(f"negative_slope={slope:g} with {bits} bits, less than a step", accepted="more bits")
    step, hi = as_weights(unit / most), most - 1
    steps: list[Layer] = [ReLU(negative_slope=slope)] if slope else []
    bound = 0.0 if config.get("relu_upper_bound") is None else float(np.float32(config.number("relu_upper_bound")))
    if bound < 0.0:
        raise config.wrong("relu_upper_bound", "a positive number")
    if bound == 0.0 or config.flag("is_quantized_clip", True):
        return Fixed(name, (*steps, _quantized(step, -int(least), hi)), step)
    granule = _whole(step, config)
    hi = min(hi, int(np.ceil(bound / granule)))
    steps.append(_quantized(step, -int(least), hi))
    if hi * granule > bound:
        values = np.minimum(np.arange(-int(least), hi + 1) * granule, bound)
        steps.append(Lookup(as_weights(-np.log2(granule)), -int(least), as_weights(values)))
        return Fixed(name, (*steps,))
    return Fixed(name, (*steps,), step)


def _relu_of_sigmoid(name: str, config: Fields, unit: float, most: int) -> Quantization:
    """``2 * q - 1`` of a quantized hard sigmoid, from 0 up."""
    if most < 2 or config.number("negative_slope", 0.0):
        raise UnsupportedError("use_sigmoid with a negative slope, or one bit", accepted="use_sigmoid=0")
    half = most // 2
    codes = np.arange(half, most + 1)
    values = unit * np.clip(2.0 * codes / most - 1.0, 0.0, 1.0 - 1.0 / most)
    first = Quantizer.uniform(2.0 * unit / most, half, most, step=1.0, offset=float(half))
    return Fixed(name, (Quantize(first), Lookup(as_weights(0.0), half, as_weights(values))))


def _between(name: str, inverse: Callable[[Floats], Floats], lo: int, hi: int, most: int) -> Fixed:
    """Codes ``lo`` to ``hi``, each worth ``1 / most``, of a rising function that is known by its inverse."""
    if hi - lo > MOST_STEPS:
        raise UnsupportedError(f"{name} of {hi - lo + 1} levels", accepted=f"at most {MOST_STEPS + 1}: fewer bits")
    codes = np.arange(lo, hi + 1)
    thresholds = inverse((codes[1:] - 0.5) / most)
    return Fixed(name, (Staircase(as_weights(thresholds), as_weights(codes / most)),))


def _left_out(config: Fields, levels: int) -> int:
    """Return the number of least ``levels`` that are left out: QKeras adds ``symmetric`` to the least code."""
    if isinstance(config.get("symmetric"), bool | None):
        return int(config.flag("symmetric", False))
    count = config.integer("symmetric")
    if not 0 <= count < levels:
        raise config.wrong("symmetric", f"false, true, or a number below {levels}")
    return count


def _quantized_tanh(name: str, config: Fields, _: int) -> Quantization:
    most = 2 ** (_bits(config) - 1)
    lo = -most + _left_out(config, 2 * most)
    if config.flag("use_real_tanh", False):
        return _between(name, np.arctanh, lo, most - 1, most)
    return Fixed(name, (_quantized(as_weights(1.0 / most), lo, most - 1),))


def _quantized_sigmoid(name: str, config: Fields, _: int) -> Quantization:
    most = 2 ** _bits(config)
    lo = _left_out(config, most)
    if config.flag("use_real_sigmoid", False):
        return _between(name, lambda p: np.log(p) - np.log1p(-p), lo, most - 1, most)
    return Fixed(name, (_quantized(as_weights(2.0 / most), lo, most - 1, 0.5, most / 2.0),))


def _quantized_ulaw(name: str, config: Fields, _: int) -> Quantization:
    """A logarithm of a quantized hard sigmoid: a table of its levels, as they are in single precision."""
    unit, bits, law = _whole(_unit(config), config), _bits(config), config.number("u", 255.0)
    if bits < 2 or bits > 12 or law <= 0.0:
        raise UnsupportedError(f"quantized_ulaw of {bits} bits, u={law:g}", accepted="2 to 12 bits, and a positive u")
    most = 2 ** (bits - 1)
    place = np.float32(2.0) * (np.arange(most + 1, dtype=np.float32) / np.float32(most)) - np.float32(1.0)
    one, u = np.float32(1.0), np.float32(law)
    values = np.sign(place) * np.log(one + u * np.abs(place)) / np.log(one + u)
    values = unit * np.clip(values, -1.0 + config.flag("symmetric", False) / most, 1.0 - 1.0 / most)
    codes = Quantizer.uniform(2.0 * unit / most, 0, most, step=1.0, offset=most / 2.0)
    return Fixed(name, (Quantize(codes), Lookup(as_weights(0.0), 0, as_weights(values))))


def _quantized_hswish(name: str, config: Fields, _: int) -> Quantization:
    """``x * min(max(x + shift, 0), bound) / bound`` on the grid of quantized_bits."""
    bits, unit, alpha = _bits(config), _whole(_unit(config), config), _alpha(config)
    shift, bound = (
        np.float32(config.number(key, value)) for key, value in (("relu_shift", 3), ("relu_upper_bound", 6))
    )
    if shift <= 0.0 or bound <= 0.0:
        raise config.error("relu_shift or relu_upper_bound is not positive")
    if isinstance(alpha, str) or alpha.size != 1 or bits < 2:
        raise UnsupportedError("quantized_hswish of one bit, or with several alphas", accepted="one number as alpha")
    most = 2 ** (bits - 1)
    step, lo = np.float32(unit / most), np.float32(-most + config.flag("symmetric", False))

    def function(x: Singles) -> Singles:
        swish = x * np.clip(x + shift, np.float32(0.0), bound) / bound
        return single(np.clip(np.rint(swish / step), lo, np.float32(most - 1)) * step * np.float32(alpha))

    return Fixed(name, (staircase(function, [-float(shift), -float(shift) / 2, 0.0, float(bound - shift)]),))


def _binary(name: str, config: Fields, _: int) -> Quantization:
    alpha, unsigned = _alpha(config), name == "binary" and config.flag("use_01", False)
    if isinstance(alpha, str):
        least = 0 if unsigned else -1
        return FromData(name, partial(scales.binary, _scaling(config, alpha), least), least, 1)
    return _sign(name, alpha, unsigned=unsigned)


def _ternary(name: str, config: Fields, _: int) -> Quantization:
    alpha, threshold = _alpha(config), np.float32(config.number("threshold", 0.33))
    if isinstance(alpha, str):
        updates = config.positive("number_of_unrolls", 5)
        if updates > 1000:
            raise config.wrong("number_of_unrolls", "at most 1000")
        return FromData(name, partial(scales.ternary, _scaling(config, alpha), updates), -1, 1)
    if threshold <= 0.0:
        raise config.wrong("threshold", "a positive number")
    above = np.nextafter(-threshold, np.float32(0.0))
    return Fixed(name, (_rows([float(above), float(threshold)], np.array([-1.0, 0.0, 1.0]) * alpha[..., None]),), alpha)


def _power_of_two(name: str, config: Fields, _: int) -> Quantization:
    """The nearest power of two; of 0 and, without a slope, of negative numbers the rectifier gives the least one."""
    rectified = name == "quantized_relu_po2"
    slope = np.float32(config.number("negative_slope", 0.0)) if rectified else np.float32(1.0)
    if slope < 0.0 or (slope and np.frexp(slope)[0] != 0.5):
        raise config.wrong("negative_slope", "0 or a power of two")
    exponent, most, span = _exponents(config, _bits(config) - (not rectified))

    def function(x: Singles) -> Singles:
        if slope == 0.0:
            return np.exp2(exponent(np.maximum(x, np.float32(0.0))))
        magnitude = np.exp2(exponent(np.where(x >= 0.0, x, -x * slope)))
        return np.where(x >= 0.0, magnitude, -magnitude)

    cuts = [0.0, float(EPSILON), most]
    below = [-cut / float(slope) for cut in reversed(cuts)] if slope else []
    steps = (staircase(function, [*below[:-1], *cuts]),)
    return OfTrained(name, steps) if span > MOST_EXPONENTS else Fixed(name, steps)


def _exponents(config: Fields, bits: int) -> tuple[Callable[[Singles], Singles], float, float]:
    """The exponent that a magnitude gets, the magnitude from which on it is the greatest, and how many there are of a sign."""
    limit = None if config.get("max_value") is None else np.float32(config.number("max_value"))
    if limit is not None and limit <= 0.0:
        raise config.wrong("max_value", "a positive number")
    rounding = config.text("log2_rounding", "rnd")
    if rounding not in ("rnd", "floor"):
        raise config.wrong("log2_rounding", "rnd or floor")
    squared = config.flag("quadratic_approximation", False)
    span = 2.0 ** (bits - (limit is None or bool(limit > 1.0)))
    least, most = np.float32(-span), np.float32(min(2 * ((span - 1) // 2) if squared else span - 1, 126))
    rounded = np.rint if rounding == "rnd" else np.floor

    def exponent(x: Singles) -> Singles:
        filtered = np.maximum(x, EPSILON)
        filtered = filtered if limit is None else np.minimum(filtered, limit)
        places = np.log(np.sqrt(filtered) if squared else filtered) / _LN2
        found = np.clip(rounded(places), least, most) * np.float32(2.0 if squared else 1.0)
        return np.where(x < EPSILON, least, found)

    return exponent, float(2.0**64 if limit is None else limit), span


def _bernoulli(name: str, config: Fields, major: int) -> Quantization:
    raise UnsupportedError(
        "bernoulli, which is random when the model is used too", accepted="quantizers that always give the same"
    )


_MAKERS: dict[str, Callable[[str, Fields, int], Quantization]] = {
    "quantized_bits": _quantized_bits,
    "quantized_linear": _quantized_linear,
    "quantized_relu": _quantized_relu,
    "quantized_tanh": _quantized_tanh,
    "quantized_sigmoid": _quantized_sigmoid,
    "quantized_ulaw": _quantized_ulaw,
    "quantized_hswish": _quantized_hswish,
    "quantized_po2": _power_of_two,
    "quantized_relu_po2": _power_of_two,
    "bernoulli": _bernoulli,
    **dict.fromkeys(("ternary", "stochastic_ternary"), _ternary),
    **dict.fromkeys(("binary", "stochastic_binary"), _binary),
}

FUNCTIONS: dict[str, Layer] = {
    "hard_sigmoid": HardActivation(0.5, 0.5, 0.0, 1.0),
    "smooth_sigmoid": HardActivation(0.1875, 0.5, 0.0, 1.0),
    "hard_tanh": HardActivation(1.0, 0.0, -1.0, 1.0),
    "smooth_tanh": HardActivation(0.375, 0.0, -1.0, 1.0),
    "binary_sigmoid": Staircase(as_weights([0.0]), as_weights([0.0, 1.0]), above=True),
    "binary_tanh": Staircase(as_weights([0.0]), as_weights([-1.0, 1.0]), above=True),
}
"""Functions of QKeras by name, some of which Keras has too, with another meaning."""
