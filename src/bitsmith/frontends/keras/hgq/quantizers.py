"""HGQ2's quantizers: configuration and trained bit widths become quantizers of ours.

A quantizer is a sub-layer: ``layers/q_dense/iq/quantizer/vars/0``. Its bit widths are floating-point variables, rounded to
even. What quantizers do was learned by observing hgq2 0.1.9 and 0.2.0. Minifloats have a sign, a mantissa of trained width, and
an exponent of trained width and offset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from bitsmith.errors import UnsupportedError, one_of
from bitsmith.frontends.builder.builder import Builder, finite
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.hdf5 import Stored
from bitsmith.frontends.files.json import Fields, Json, shown
from bitsmith.frontends.keras.call import LayerCall, dtype_policy
from bitsmith.frontends.keras.hgq.grids import Bits, FixedPoint, Singles, of_sample
from bitsmith.frontends.keras.hgq.reflected import Reflected
from bitsmith.frontends.keras.hgq.tables import of_formats
from bitsmith.frontends.keras.quantizers.staircases import staircase
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.quantization.lookup import Staircase

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

_MOST_MANTISSA, _MOST_EXPONENT = 23, 6
_MINIFLOATS = (
    f"-1 to {_MOST_MANTISSA} bits of mantissa, at most {_MOST_EXPONENT} of exponent, offsets up to {_MOST_BITS}"
)

_EPSILON = np.float32(1e-7)


def read_quantizer(call: LayerCall, part: str, key: str = "", *, enabled: bool = True) -> FixedPoint | None:
    """The quantizer that is the attribute ``part`` (``cell/iq``) of a layer; None if it does nothing, or is not ``enabled``.

    Its configuration is the entry ``key``, by default that of its name (``iq_conf``).

    Raises:
        ModelFileError: a configuration or variables that are broken.
        UnsupportedError: a quantizer that cannot be honored.
    """
    key = key or f"{part.rpartition('/')[2]}_conf"
    return quantizer_of(call, part, call.config.fields(key)) if enabled else None


def own_quantizer(call: LayerCall, name: str, default: bool) -> FixedPoint | None:
    """The quantizer of the operand (``iq``) or result (``oq``) of a layer, if it has one."""
    return read_quantizer(call, name, enabled=call.config.flag(f"enable_{name}", default))


def quantizer_of(call: LayerCall, part: str, configuration: Fields) -> FixedPoint | None:
    """The quantizer that is the attribute ``part`` (a path, if need be) of a layer, as ``configuration`` says."""
    if (policy := dtype_policy(call.config)) not in (None, "float32"):
        raise UnsupportedError(
            f"quantizers that compute in {shown(policy)}", accepted="float32, which HGQ2 is made for"
        )
    name = configuration.text("class_name")
    configured = one_of(_CONFIGS, name, f"a quantizer configured by {shown(name)}")
    config = configuration.fields("config")
    own = {**configured, **_of_live(call.live(f"{part}/quantizer" if part else "quantizer"))}
    config = Fields({**config.values, **own}, f"{configuration.where}, quantizer {part}")
    kind = config.text("q_type").lower()
    if kind == "dummy":
        return None
    if kind not in ("kbi", "kif", "float"):
        raise UnsupportedError(f"a quantizer of type {shown(kind)}", accepted="kbi, kif, float and dummy")
    mapper = config.get("bw_mapper")
    if mapper is not None and config.fields("bw_mapper").text("class_name") != "DefaultBitwidthMapper":
        raise UnsupportedError("a bit-width mapper of another package", accepted="the default one")
    slope, shift = _affine(config)
    scaler = float(np.float32(config.number("scaler", 1.0)))
    if not 0.0 < scaler < np.inf:
        raise config.wrong("scaler", "a positive number")
    if kind == "float":
        return _minifloat(config, _bits(call, part, config, 3), (scaler, slope, shift))
    rounding, overflow, reflects = _modes(config)
    wraps = overflow is Overflow.WRAP and not reflects
    names = _VARIABLES[kind, wraps]
    bits = dict(zip(names, _bits(call, part, config, len(names)), strict=False))
    frac = bits["f"] if kind == "kif" else bits["b"] - bits["i"]
    is_weight = config.flag("is_weight") and config.flag("trainable", True)
    only_rounds = is_weight and wraps and (kind == "kif" or rounding is Rounding.RND)
    widths = _checked(config, bits["k"], bits["i"], frac, only_rounds)
    return (Reflected if reflects else FixedPoint)(*widths, rounding, overflow, only_rounds, scaler, slope, shift)


def _minifloat(config: Fields, bits: Sequence[Bits], scales: tuple[float, float, float]) -> Minifloat:
    mantissa, exponent, offset = bits
    if bool(np.any((mantissa < -1) | (mantissa > _MOST_MANTISSA))) or bool(np.any(exponent > _MOST_EXPONENT)):
        raise config.error("a minifloat quantizer of other widths", _MINIFLOATS)
    if bool(np.any(np.abs(offset) > _MOST_BITS)):
        raise config.error("a minifloat quantizer of other exponents", _MINIFLOATS)
    return Minifloat.trained(mantissa, exponent, offset, scales)


def _of_live(quantizer: object) -> Mapping[str, Json]:
    """Return traits of a live quantizer that its configuration lacks: that it is symmetric, or was frozen with its layer."""
    config: dict[str, Json] = {}
    if isinstance(mode := getattr(quantizer, "overflow_mode", None), str):
        config["overflow_mode"] = mode
    if isinstance(trainable := getattr(quantizer, "trainable", None), bool):
        config["trainable"] = trainable
    return config


def _modes(config: Fields) -> tuple[Rounding, Overflow, bool]:
    """The modes, and if what overflows is reflected; stochastic rounding is not stochastic at inference."""
    rounding, overflow = config.text("round_mode").upper().removeprefix("S_"), config.text("overflow_mode").upper()
    reflects = overflow == "WRAP_SM"
    known = [mode.value for mode in ((Rounding.RND, Rounding.RND_CONV) if reflects else Rounding)]
    if rounding not in known:
        raise config.wrong("round_mode", ", ".join(known))
    if overflow not in ("WRAP", "SAT", "SAT_SYM", "WRAP_SM"):
        raise config.wrong("overflow_mode", "WRAP, SAT, SAT_SYM or WRAP_SM")
    return Rounding(rounding), Overflow.WRAP if reflects else Overflow(overflow), reflects


def _affine(config: Fields) -> tuple[float, float]:
    """Return the factor of results, and the number added then."""
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
    widths = [finite(one.read(), "a bit width", config.where) for one in stored[:3]]
    if len({values.shape for values in widths}) != 1:
        raise config.error(f"bit widths of shapes {[values.shape for values in widths]}", "one shape")
    if bool(np.any(np.abs(widths) > 1e12)):  # bits that were never traced are about -1e9
        raise config.error("bit widths beyond all bounds")
    return [np.rint(values).astype(np.int64) for values in widths]


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
    return call.stored_of(part)(())


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Minifloat(FixedPoint):
    """Numbers of ``mantissa`` bits after the leading one and exponents up to ``highest``, down to ``lowest``.

    The formats are those that hold all of them.
    """

    mantissa: Bits
    lowest: Bits
    highest: Bits

    @staticmethod
    def trained(mantissa: Bits, exponent: Bits, offset: Bits, scales: tuple[float, float, float]) -> Minifloat:
        """Return the quantizer of trained bits of mantissa and exponent; ``scales`` are scaler, slope and shift."""
        reach = np.maximum(np.floor(np.exp2(exponent - 1.0)), 1).astype(np.int64)
        lowest, highest = offset - reach + 1, offset + reach - 1
        parts = np.ones_like(mantissa), highest + 1, mantissa - lowest
        modes = Rounding.RND_CONV, Overflow.SAT, False
        return Minifloat(*parts, *modes, *scales, mantissa=mantissa, lowest=lowest, highest=highest)

    @property
    def plain(self) -> FixedPoint:
        return FixedPoint(self.keep_negative, self.integer, self.frac, self.rounding, self.overflow)

    def mapped(self, change: Callable[[Bits], Bits]) -> Self:
        mantissa, lowest, highest = (change(part) for part in (self.mantissa, self.lowest, self.highest))
        return replace(FixedPoint.mapped(self, change), mantissa=mantissa, lowest=lowest, highest=highest)

    def _on_grid(self, x: Singles) -> Singles:
        wanted = np.frexp(np.abs(x) + _EPSILON)[1] - 1
        exponent = np.clip(wanted, self.lowest, self.highest)
        step = np.exp2(exponent - self.mantissa).astype(np.float32)
        most = np.exp2(self.mantissa + 1).astype(np.float32) - (exponent == self.highest)
        return np.asarray(np.clip(np.rint(x / step), -most, most).astype(np.float32) * step, np.float32)

    def of(self, build: Builder, x: Value, suffix: str) -> Value:
        return build.emit(self.staircase(x), x, suffix=suffix)

    def staircase(self, x: Value) -> Staircase:
        sample = of_sample(self, x)
        return of_formats((sample.mantissa, sample.lowest, sample.highest), self._steps)

    def _steps(self, mantissa: Bits, lowest: Bits, highest: Bits) -> Staircase:
        """Return the steps of the numbers of one format, and the levels."""
        one = replace(self, mantissa=mantissa, lowest=lowest, highest=highest)

        def function(x: Singles) -> Singles:
            return one.applied(x.astype(np.float64)).astype(np.float32)

        powers = np.exp2(np.arange(int(lowest), int(highest) + 2)) * self.scaler
        return staircase(function, [*-powers[::-1], 0.0, *powers])
