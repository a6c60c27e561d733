"""What a layer's ``lower`` works with: the builder, the user's settings and the rules of ``auto`` precision.

The rules of ``auto`` (what the user leaves out):

- *Weights and biases* that fit ``AUTO_BITS`` bits exactly are taken exactly. Others are rounded to nearest even with the
  power-of-two scale at which the largest magnitude of the tensor uses ``AUTO_BITS`` bits. Scales of a normalization that would
  keep fewer than ``LEAST_BITS`` bits so have a power of two each, and rows of a kernel have those of the normalization that was
  folded into them (:meth:`bitsmith.layers.layer.Layer.weight_exponents`).
- *Results* are exact as long as their step is not finer than ``2**-F``, with ``F = AUTO_BITS - 1 - ceil(log2(amplitude))``
  and the *amplitude* being the largest magnitude the float model shows on calibration data (or on generated inputs).
  A finer result is rounded (RND) to that step. Its integer bits come from the proved range, so nothing can overflow;
  with the user's calibration data they come from the observed range and one spare bit, and saturate (SAT).
  In front of layers that jump (signs, comparisons) all results are exact.
- *Accumulators* are exact always.
- *Inputs* with calibration data take the narrowest format that holds the data exactly if ``AUTO_BITS`` bits do, else that many
  for their range, and saturate. Where one format for all features would change results (see the pass ``observe``), each
  element of the last axis has its own, with a spare bit if it is rounded.

Weights that can be loaded anew may be any of their format; one that auto gives has the bits and the scale of the trained ones.
What calibration data show from such a layer on says nothing of ranges with other weights: these are proved, as without data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.rounding import drop_bits
from bitsmith.ir.types import FixedFormat, Fracs, Ints, Overflow, Rounding, objects, width_of
from bitsmith.layers.layer import Exponents, Floats
from bitsmith.layers.settings import Settings, Strategy, Weights

AUTO_BITS = 16
"""Bits of relative accuracy that ``auto`` keeps of weights and of results."""

LEAST_BITS = 10
"""Bits that each value of a vector has at least where ``auto`` gives all of them one format."""

_OF_MULTIPLIERS = (Strategy.LATENCY, Strategy.RESOURCE)


@dataclass(frozen=True, slots=True)
class ObservedRange:
    """What the float model's tensor shows: its range and, if all values are multiples of ``2**-frac``, that ``frac``.

    ``measured`` says that the inputs were the user's calibration data; otherwise they were generated. ``inner`` has the same
    of the layer's inner tensors, by precision variable (:meth:`bitsmith.layers.layer.Layer.internals`).
    """

    lo: float
    hi: float
    frac: int | None = None
    measured: bool = False
    inner: Mapping[str, ObservedRange] = field(default_factory=dict)
    features: tuple[ObservedRange, ...] = ()
    """Of an input whose data need a format for each element of its last axis: what these show."""

    @property
    def amplitude(self) -> float:
        """The largest magnitude."""
        return max(abs(self.lo), abs(self.hi))


def exact_frac(values: Floats, bits: int = AUTO_BITS) -> int | None:
    """The fewest fractional bits with which all ``values`` are exact in at most ``bits`` bits (plus sign), or None."""
    largest = float(np.max(np.abs(values), initial=0.0))
    if largest == 0.0:
        return 0
    top = math.frexp(largest)[1]
    scaled = np.ldexp(values, bits - top)
    if not bool(np.all(scaled == np.rint(scaled))):
        return None
    whole = scaled.astype(np.int64)
    spare = int(np.bitwise_or.reduce(np.abs(whole), axis=None))
    return bits - top - ((spare & -spare).bit_length() - 1)


def exponents(values: Floats) -> Exponents:
    """The power of two next above each magnitude; 0 for 0."""
    return np.frexp(values)[1].astype(np.int64)


def spread_exponents(values: Floats) -> Exponents | None:
    """Those of ``values`` if one format of ``AUTO_BITS`` bits would leave some of them too few; None if it would not."""
    found = exponents(values)
    shown = found[values != 0]
    if shown.size == 0 or shown.max() - shown.min() <= AUTO_BITS - LEAST_BITS or exact_frac(values) is not None:
        return None
    return found


def to_raw(values: Floats, fmt: FixedFormat) -> Ints:
    """Raw integers of constants: rounded to nearest even and saturated, whatever the modes of ``fmt`` say."""
    if fmt.frac + 64 > 1000 or fmt.width > 53:
        return _to_raw_exact(values, fmt)
    scaled = np.rint(np.ldexp(values, fmt.frac))
    return objects(np.clip(scaled, float(fmt.lo), float(fmt.hi)).astype(np.int64))


def _to_raw_exact(values: Floats, fmt: FixedFormat) -> Ints:
    def one(value: float) -> int:
        numerator, denominator = float(value).as_integer_ratio()
        scaled = numerator << max(fmt.frac, 0)
        denominator <<= max(-fmt.frac, 0)
        quotient, rest = divmod(scaled, denominator)
        up = 2 * rest > denominator or (2 * rest == denominator and quotient & 1)
        return min(max(quotient + int(up), fmt.lo), fmt.hi)

    return np.asarray(np.frompyfunc(one, 1, 1)(values), dtype=np.object_)


@dataclass(frozen=True, slots=True)
class Lowering:
    """The context of lowering one layer called ``name``."""

    name: str
    builder: ProgramBuilder
    settings: Settings
    observed: ObservedRange
    exact: bool = False
    """Whether whatever reads the result needs all of it."""

    def format(self, variable: str) -> FixedFormat | None:
        """The user's format of ``variable``; None is auto."""
        return self.settings.precision.get(variable)

    def input_formats(self, unknown: FixedFormat) -> tuple[FixedFormat, ...]:
        """The formats of a network input, one for all or one for each element of the last axis.

        They are the user's, else those that calibration data need, else ``unknown``.
        """
        given = self.format("result")
        if given is not None:
            return (given,)
        if not self.observed.measured:
            return (unknown,)
        # A feature alone exceeds what it showed sooner than the largest of many: rounded ones have a spare bit.
        return tuple(format_for(each, spare=1) for each in self.observed.features) or (format_for(self.observed),)

    def seen(self, variable: str) -> ObservedRange:
        """What the float model shows of ``variable``."""
        return self.observed if variable == "result" else self.observed.inner[variable]

    def result_frac(self, variable: str = "result", largest: float = math.inf) -> int:
        """Fractional bits that ``auto`` keeps of this layer's result, or of an inner tensor.

        ``largest`` is a magnitude that the result cannot exceed, whatever the float model shows (near a pole, for example).
        """
        amplitude = min(self.seen(variable).amplitude, largest)
        if amplitude == 0.0:
            return AUTO_BITS - 1
        return AUTO_BITS - 1 - math.ceil(math.log2(amplitude))

    def constant(self, variable: str, values: Floats) -> tuple[Ints, int]:
        """Raw integers and ``frac`` of a trained tensor in the user's format of ``variable``, or by the rule of auto."""
        if not bool(np.all(np.isfinite(values))):
            raise UnsupportedError(f"{variable} holds NaN or infinite values", where=f"layer {self.name!r}")
        fmt = self.format(variable)
        if fmt is not None:
            return to_raw(values, fmt), fmt.frac
        frac = exact_frac(values)
        if frac is None:
            frac = AUTO_BITS - 1 - math.frexp(float(np.max(np.abs(values))))[1]
        return objects(np.rint(np.ldexp(values, frac)).astype(np.int64)), frac

    def scaled_constant(self, variable: str, values: Floats, scale: Exponents | None) -> tuple[Ints, Fracs]:
        """As :meth:`constant`; auto rounds ``values * 2**-scale``, if there is a ``scale``, which broadcasts to the values."""
        if scale is None or self.format(variable) is not None:
            raw, frac = self.constant(variable, values)
            return raw, np.asarray(frac)
        raw, frac = self.constant(variable, np.ldexp(values, -scale))
        return raw, frac - scale

    def const(self, variable: str, values: Floats) -> Value:
        """A trained tensor as a constant of the program."""
        raw, frac = self.constant(variable, values)
        return self.builder.const(raw, frac)

    @property
    def loaded(self) -> bool:
        """Whether the layer's weights are parameters."""
        return self.settings.weights is not Weights.ONCHIP

    def parameter(self, variable: str, values: Floats) -> Value:
        """A trained tensor whose values can be given anew: any of its format, which auto takes from the trained ones."""
        if self.settings.strategy not in _OF_MULTIPLIERS:
            raise UnsupportedError(
                f"weights that are {self.settings.weights.value} with strategy {self.settings.strategy.value!r}",
                where=f"layer {self.name!r}",
                accepted=f"strategies {', '.join(repr(each.value) for each in _OF_MULTIPLIERS)}",
                remedy="adder graphs are made for the values of weights",
            )
        fmt = self.whole_format(variable, values)
        external = self.settings.weights is Weights.EXTERNAL
        return self.builder.parameter(variable, to_raw(values, fmt), fmt, external=external)

    def whole_format(self, variable: str, values: Floats) -> FixedFormat:
        """The format of a trained tensor whose values can be given anew."""
        raw, frac = self.constant(variable, values)
        return self.format(variable) or _whole_format(raw, frac)

    def trained(self, variable: str, values: Floats) -> Value:
        """A trained tensor: a parameter if the layer's can be loaded, else a constant."""
        return self.parameter(variable, values) if self.loaded else self.const(variable, values)

    def product(self, x: Value, values: Floats, scale: Exponents | None = None) -> Value:
        """``x @ values`` over the last axis of ``x``; ``values`` (n, m) are the layer's variable ``weight``.

        ``scale`` is that of :meth:`scaled_constant`; weights that can be loaded have one format.
        """
        builder = self.builder
        if not self.loaded:
            return builder.linear(x, *self.scaled_constant("weight", values, scale))
        rows = x if len(x.shape) > 1 else builder.reshape(x, (1, *x.shape))
        result = builder.matmul(self.aligned(rows), self.parameter("weight", values))
        return builder.reshape(result, (*x.shape[:-1], values.shape[-1]))

    def aligned(self, x: Value) -> Value:
        """``x`` with one ``frac`` for all elements: weights that are not known cannot take their scales."""
        frac = int(x.type.frac.max())
        shift = frac - objects(x.type.frac)
        if not np.any(shift):
            return x
        return self.builder.cast_to(x, frac, x.type.lo << shift, x.type.hi << shift, Rounding.TRN, Overflow.SAT)

    def cast(self, variable: str, x: Value) -> Value:
        """``x`` in the user's format of ``variable``; unchanged if that is auto."""
        fmt = self.format(variable)
        return x if fmt is None else self.builder.cast(x, fmt)

    def result(self, x: Value, variable: str = "result", largest: float = math.inf) -> Value:
        """The layer's result (or an inner tensor that is observed): in the user's format, or by the rule of auto.

        ``largest`` is that of :meth:`result_frac`.
        """
        fmt = self.format(variable)
        if fmt is not None:
            return self.builder.cast(x, fmt)
        if self.exact and variable == "result":
            return x
        seen = self.seen(variable)
        frac = np.minimum(x.type.frac, self.result_frac(variable, largest))
        drop = objects(x.type.frac) - objects(frac)
        lo, hi = drop_bits(x.type.lo, drop, Rounding.RND), drop_bits(x.type.hi, drop, Rounding.RND)
        if seen.measured and x.type.max_width > AUTO_BITS:
            # Twice the observed range: one spare bit against data that calibration has not seen.
            floor = [math.floor(math.ldexp(2.0 * min(seen.lo, 0.0), int(f))) for f in frac.ravel()]
            ceiling = [math.ceil(math.ldexp(2.0 * max(seen.hi, 0.0), int(f))) for f in frac.ravel()]
            lo = np.maximum(lo, objects(floor).reshape(frac.shape))
            hi = np.maximum(np.minimum(hi, objects(ceiling).reshape(frac.shape)), lo)
        elif bool(np.all(drop == 0)):
            return x
        return self.builder.cast_to(x, frac, lo, hi, Rounding.RND, Overflow.SAT)


def format_for(seen: ObservedRange, spare: int = 0) -> FixedFormat:
    """The format of an input whose calibration data look like this: exact if ``AUTO_BITS`` bits are enough, else that many.

    In the latter case ``spare`` bits of them are above those that the data need.
    """
    signed = seen.lo < 0
    if seen.frac is not None:
        bits = max(_signed_bits(seen.lo, seen.frac), _signed_bits(seen.hi, seen.frac))
        return FixedFormat(signed, max(bits - int(not signed), 1), seen.frac, Rounding.RND, Overflow.SAT)
    frac = AUTO_BITS - int(signed) - spare - math.frexp(seen.amplitude)[1]
    return FixedFormat(signed, AUTO_BITS, frac, Rounding.RND, Overflow.SAT)


def _whole_format(raw: Ints, frac: int) -> FixedFormat:
    """The signed format of as many bits as ``raw`` takes; of zeros alone, ``AUTO_BITS`` bits below 1."""
    if not np.any(raw):
        return FixedFormat(True, AUTO_BITS, AUTO_BITS - 1)
    return FixedFormat(True, width_of(min(int(raw.min()), -1), int(raw.max())), frac)


def _signed_bits(value: float, frac: int) -> int:
    raw = round(math.ldexp(value, frac))
    return (raw if raw >= 0 else -raw - 1).bit_length() + 1
