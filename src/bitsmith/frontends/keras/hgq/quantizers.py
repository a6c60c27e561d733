"""HGQ2's quantizers: configuration and trained bit widths become quantizers of ours.

A quantizer is a sub-layer: ``layers/q_dense/iq/quantizer/vars/0``. Its bit widths are floating-point variables, rounded to
even. What quantizers do was learned by observing hgq2 0.1.9 and 0.2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder, finite
from bitsmith.frontends.builder.value import ONE, Value, constant
from bitsmith.frontends.files.json import Fields, Json, shown
from bitsmith.frontends.keras.call import LayerCall, dtype_policy
from bitsmith.frontends.keras.weights import Stored
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.layer import Floats, Shape, as_weights, broadcasts
from bitsmith.layers.quantize import Quantize
from bitsmith.layers.quantizer import Quantizer, as_floats

Singles: TypeAlias = npt.NDArray[np.float32]
Bits: TypeAlias = npt.NDArray[np.int64]

_CONFIGS: Mapping[str, Mapping[str, Json]] = {
    "QuantizerConfig": {},
    "HardTanhConfig": {"overflow_mode": "SAT"},
    "HardSigmoidConfig": {"overflow_mode": "SAT", "affine": [0.25, 0.5]},
}
"""Classes of configurations, and what they leave out."""

_VARIABLES = {
    ("kbi", True): ("b", "k", "i", "decay"),
    ("kbi", False): ("b", "i", "k"),
    ("kif", True): ("f", "k", "i", "decay"),
    ("kif", False): ("i", "f", "k"),
}
"""The variables of a quantizer by its type, and whether it wraps: trained ones come first."""

_MOST_BITS = 64
"""Most bits of a number, and most places of its point from the units."""

_SIMPLE = 1000
"""The greatest denominator of a ratio that a scale is taken for."""

_HALF = np.float32(0.5)
_ROUNDED: dict[Rounding, Callable[[Singles], Singles]] = {
    Rounding.TRN: np.floor,
    Rounding.TRN_ZERO: np.trunc,
    Rounding.RND: lambda x: np.floor(x + _HALF),
    Rounding.RND_CONV: np.rint,
    Rounding.RND_ZERO: lambda x: np.sign(x) * np.ceil(np.abs(x) - _HALF),
    Rounding.RND_MIN_INF: lambda x: np.ceil(x - _HALF),
    Rounding.RND_INF: lambda x: np.sign(x) * np.floor(np.abs(x) + _HALF),
}
"""Rounding in single precision, in which the addition of a half rounds too."""


@dataclass(frozen=True, slots=True, eq=False)
class FixedPoint:
    """A fixed-point quantizer: formats of ``keep_negative + integer + frac`` bits, which broadcast to what is quantized.

    Operands are divided by ``scaler``, results multiplied by it and by ``slope``, then ``shift`` is added. A quantizer of
    weights may be one that ``only_rounds``, whatever the range.
    """

    keep_negative: Bits
    integer: Bits
    frac: Bits
    rounding: Rounding
    overflow: Overflow
    only_rounds: bool = False
    scaler: float = 1.0
    slope: float = 1.0
    shift: float = 0.0

    @property
    def shape(self) -> Shape:
        """The shape of the trained bit widths."""
        return self.frac.shape

    @property
    def quantizer(self) -> Quantizer:
        """The same as ours, but for the shift."""
        plain = Quantizer.fixed(self.keep_negative, self.integer, self.frac, self.rounding, self.overflow)
        if self.scaler == self.slope == 1.0:
            return plain
        scale = plain.scale * _ratio(self.scaler)
        return replace(plain, scale=scale, step=scale * _ratio(self.slope))

    def applied(self, values: Floats) -> Floats:
        """``values`` on the grid, computed in single precision as HGQ2 does."""
        scaler, x = np.float32(self.scaler), values.astype(np.float32)
        x = x / scaler
        scale = np.exp2(self.frac).astype(np.float32)
        if self.only_rounds:
            x = _ROUNDED[self.rounding](x * scale) / scale
        else:
            x = np.where(self.keep_negative + self.integer + self.frac > 0, self._in_range(x, scale), np.float32(0.0))
        return as_weights(x * scaler * np.float32(self.slope) + np.float32(self.shift))

    def _in_range(self, x: Singles, scale: Singles) -> Singles:
        top, k = np.exp2(self.integer).astype(np.float32), self.keep_negative.astype(np.float32)
        if self.overflow is not Overflow.WRAP:
            hi = top - np.float32(1.0) / scale
            x = np.clip(x, -k * (hi if self.overflow is Overflow.SAT_SYM else top), hi)
        x = _ROUNDED[self.rounding](x * scale) / scale
        return (x + k * top) % (top * (np.float32(1.0) + k)) - k * top if self.overflow is Overflow.WRAP else x

    def on_grid(self, values: Floats) -> tuple[Floats, Quantizer]:
        """Trained ``values`` on the grid, and the grid."""
        result = self.applied(values)
        grid = self.quantizer
        if (self.scaler, self.slope, self.shift) != (1.0, 1.0, 0.0):
            return result, Quantizer.holding(result)
        if self.only_rounds:
            codes = np.frompyfunc(int, 1, 1)(result / as_floats(grid.scale))
            grid = replace(grid, lo=np.minimum(grid.lo, codes), hi=np.maximum(grid.hi, codes))
        return result, grid

    def of_sample(self) -> FixedPoint:
        """The same for one sample: without the axis of the batch."""
        parts = (part[0] for part in (self.keep_negative, self.integer, self.frac))
        keep_negative, integer, frac = parts
        return replace(self, keep_negative=keep_negative, integer=integer, frac=frac)


def _ratio(value: float) -> Fraction:
    """The simple ratio that a number of single precision stands for, if there is one: quotients by it round to exact ones."""
    simple = Fraction(value).limit_denominator(_SIMPLE)
    return simple if np.float32(simple) == np.float32(value) else Fraction(value)


def read_quantizer(call: LayerCall, part: str, key: str | None = None) -> FixedPoint | None:
    """The quantizer that is the attribute ``part`` of a layer, configured by ``key`` (``iq_conf``); None if it does nothing.

    Raises:
        ModelFileError: a configuration or variables that are broken.
        UnsupportedError: a quantizer that cannot be honored.
    """
    return quantizer_of(call, part, call.config.fields(f"{part}_conf" if key is None else key))


def quantizer_of(call: LayerCall, part: str, configuration: Fields) -> FixedPoint | None:
    """The quantizer that is the attribute ``part`` (a path, if need be) of a layer, as ``configuration`` says."""
    if (policy := dtype_policy(call.config)) not in (None, "float32"):
        raise UnsupportedError(
            f"quantizers that compute in {shown(policy)}", accepted="float32, which HGQ2 is made for"
        )
    name = configuration.text("class_name")
    if name not in _CONFIGS:
        raise UnsupportedError(f"a quantizer configured by {shown(name)}", accepted=", ".join(_CONFIGS))
    config = configuration.fields("config")
    own = {**_CONFIGS[name], **_of_live(call.live(f"{part}/quantizer" if part else "quantizer"))}
    config = Fields({**config.values, **own}, f"{configuration.where}, quantizer {part}")
    kind = config.text("q_type").lower()
    if kind == "dummy":
        return None
    if kind not in ("kbi", "kif"):
        found = "a minifloat quantizer" if kind == "float" else f"a quantizer of type {shown(kind)}"
        raise UnsupportedError(found, accepted="kbi, kif and dummy", remedy="train with fixed-point quantizers")
    mapper = config.get("bw_mapper")
    if mapper is not None and config.fields("bw_mapper").text("class_name") != "DefaultBitwidthMapper":
        raise UnsupportedError("a bit-width mapper of another package", accepted="the default one")
    rounding, overflow = _modes(config)
    wraps = overflow is Overflow.WRAP
    names = _VARIABLES[kind, wraps]
    bits = dict(zip(names, _bits(call, part, config, len(names)), strict=False))
    frac = bits["f"] if kind == "kif" else bits["b"] - bits["i"]
    is_weight = config.flag("is_weight") and config.flag("trainable", True)
    only_rounds = is_weight and wraps and (kind == "kif" or rounding is Rounding.RND)
    slope, shift = _affine(config)
    scaler = float(np.float32(config.number("scaler", 1.0)))
    if not 0.0 < scaler < np.inf:
        raise config.wrong("scaler", "a positive number")
    widths = _checked(config, bits["k"], bits["i"], frac, only_rounds)
    return FixedPoint(*widths, rounding, overflow, only_rounds, scaler, slope, shift)


def _of_live(quantizer: object) -> Mapping[str, Json]:
    """What a configuration does not tell of a live quantizer: that it is symmetric, or was frozen with its layer."""
    found: dict[str, Json] = {}
    if isinstance(mode := getattr(quantizer, "overflow_mode", None), str):
        found["overflow_mode"] = mode
    if isinstance(trainable := getattr(quantizer, "trainable", None), bool):
        found["trainable"] = trainable
    return found


def _modes(config: Fields) -> tuple[Rounding, Overflow]:
    """The modes; stochastic rounding is not stochastic at inference."""
    rounding, overflow = config.text("round_mode").upper().removeprefix("S_"), config.text("overflow_mode").upper()
    if rounding not in {mode.value for mode in Rounding}:
        raise config.wrong("round_mode", ", ".join(mode.value for mode in Rounding))
    if overflow == "WRAP_SM":
        raise UnsupportedError("the overflow mode WRAP_SM", accepted="WRAP, SAT and SAT_SYM")
    if overflow not in ("WRAP", "SAT", "SAT_SYM"):
        raise config.wrong("overflow_mode", "WRAP, SAT or SAT_SYM")
    return Rounding(rounding), Overflow(overflow)


def _affine(config: Fields) -> tuple[float, float]:
    """What results are multiplied by, and what is added then."""
    if config.get("affine") is None:
        return 1.0, 0.0
    values = config.constant("affine").astype(np.float32)
    if values.shape != (2,) or values[0] == 0.0 or not bool(np.all(np.isfinite(values))):
        raise config.wrong("affine", "a factor other than 0, and an offset")
    return float(values[0]), float(values[1])


def _bits(call: LayerCall, part: str, config: Fields, count: int) -> list[Bits]:
    """The variables of a quantizer, rounded; but for the last ones they have one shape."""
    stored = variables(call, f"{part}/quantizer" if part else "quantizer")
    if len(stored) != count:
        raise config.error(f"{len(stored)} variables are stored for the quantizer", str(count))
    found = [finite(one.read(), "a bit width", config.where) for one in stored[:3]]
    if len({values.shape for values in found}) != 1:
        raise config.error(f"bit widths of shapes {[values.shape for values in found]}", "one shape")
    if bool(np.any(np.abs(found) > 1e12)):  # bits that were never traced are about -1e9
        raise config.error("bit widths beyond all bounds")
    return [np.rint(values).astype(np.int64) for values in found]


def _checked(config: Fields, k: Bits, i: Bits, f: Bits, only_rounds: bool) -> tuple[Bits, Bits, Bits]:
    """Sensible widths; numbers without bits are 0, whatever their point."""
    if not bool(np.all((k == 0) | (k == 1))):
        raise config.error("a sign of other than 0 or 1 bits")
    empty = (k + i + f <= 0) & (not only_rounds)
    k, i, f = (np.where(empty, 0, part) for part in (k, i, f))
    if only_rounds:
        i = np.maximum(i, -f)
    if bool(np.any(k + i + f > _MOST_BITS)) or bool(np.any(np.abs(f) > _MOST_BITS)):
        raise config.error(
            f"numbers of {(k + i + f).max()} bits, {f.max()} of them fractional", f"at most {_MOST_BITS}"
        )
    return k, i, f


def variables(call: LayerCall, part: str) -> Sequence[Stored]:
    """The variables of the sub-layer ``part`` alone."""
    return call.stored((part,))[len(call.stored(())) :]


def of_sample(found: FixedPoint, x: Value) -> FixedPoint:
    """The quantizer for one sample of ``x``; it has the batch as its first axis."""
    if len(found.shape) != x.rank or not broadcasts(found.shape, x.dims):
        raise UnsupportedError(
            f"a quantizer of shape {found.shape} for a tensor of axes {x.dims}",
            accepted="formats that are the same for each sample",
        )
    return found.of_sample()


def quantized(build: Builder, x: Value, found: FixedPoint | None, suffix: str = "") -> Value:
    """``x`` on the grid of a quantizer, which has the batch as its first axis."""
    if found is None:
        return x
    grid = Quantize(of_sample(found, x).quantizer)
    if not found.shift:
        return build.emit(grid, x, suffix=suffix)
    part = build.within(suffix)
    codes, shift = part.emit(grid, x, suffix="scaled"), as_weights(found.shift)
    exactly = {"scale": Quantizer.uniform(1.0, 1, 1), "bias": Quantizer.holding(shift)}
    return replace(part, quantizers=exactly).affine(codes, ONE, constant(shift))
