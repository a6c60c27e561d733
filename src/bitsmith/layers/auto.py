"""The rules of ``auto`` precision: the formats of all that the user leaves out.

``B`` is the layer's budget (:class:`bitsmith.layers.settings.Bits`), for trained factors or for results, ``AUTO_BITS`` unless the
user gives another.

- *Weights and biases* that fit ``B`` bits exactly are taken exactly. Others are rounded to nearest even with the
  power-of-two scale at which the largest magnitude of the tensor uses ``B`` bits. Scales of a normalization that would
  keep fewer than ``least_bits(B)`` bits so have a power of two each, and rows of a kernel have those of the normalization that
  was folded into them (:meth:`bitsmith.layers.layer.Layer.weight_exponents`).
- *Results* are exact as long as their step is not finer than ``2**-F``, with ``F = B - 1 - ceil(log2(amplitude))``
  and the *amplitude* being the largest magnitude the float model shows on calibration data (or on generated inputs). Where all
  readers limit the result, as a rectifier up to 6 does, it is no more than their limit.
  A finer result is rounded (RND) to that step. Its integer bits come from the proved range, so nothing can overflow;
  with the user's calibration data they come from the observed range and one spare bit, and saturate (SAT).
  In front of layers that jump (signs, comparisons) all results are exact.
- *Accumulators* are exact always.
- *Results* of at most ``widest`` bits, if the user says so, have a coarser step where their range needs it.
- *Inputs* with calibration data take the narrowest format that holds the data exactly if ``B`` bits do, else that many
  for their range, and saturate. Where data lie on a grid that is coarse, and numbers between its points would change an output,
  the input has bits below the grid, unless the data look like integers that are all there is (bytes, counts, truth values).
  Where one format for all features would change results (see :mod:`bitsmith.passes.network.calibration`), each element of the
  last axis has its own, with a spare bit if it is rounded.

- *Channels of unlike scale*, in any of these: where one step would leave a channel of a result fewer than ``least_bits(B)`` bits
  for its own range, and an output shows it, channels and what is added up in them have finer steps
  (:mod:`bitsmith.passes.network.channels`). Samples that are outliers do not count there
  (:mod:`bitsmith.passes.network.outliers`).
- *Large operands of steep functions*: what a softmax, a sigmoid or an erf takes, and what it is computed of, has steps that are
  small beside 1, if an output shows it (:mod:`bitsmith.passes.network.steepness`).

Weights that can be reloaded may be any of their format; one that auto gives has the bits and the scale of the trained ones.
What calibration data show from such a layer on says nothing of ranges with other weights: these are proved, as without data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from bitsmith.ir.rounding import drop_bits
from bitsmith.ir.types import FixedFormat, Fracs, Ints, Overflow, Rounding, objects, width_of
from bitsmith.layers.arrays import Exponents, Floats

AUTO_BITS = 16
"""Bits of relative accuracy that ``auto`` keeps of weights and of results unless the user gives others."""

_LEAST_BITS = 10


def least_bits(bits: int) -> int:
    """Bits that each value of a vector has at least where ``auto`` gives all of them one format of ``bits`` bits."""
    return min(_LEAST_BITS, bits * _LEAST_BITS // AUTO_BITS)


_FEW = 256
"""Values that are looked at before all others."""

_IN_CACHE = 1 << 15
"""Values that are looked at together from there on."""


@dataclass(frozen=True, slots=True)
class ObservedRange:
    """Observation of the float model's tensor: its range and, if all values are multiples of ``2**-frac``, that ``frac``.

    ``measured`` says that the inputs were the user's calibration data; otherwise they were generated. ``inner`` has the same
    of the layer's inner tensors, by precision variable (:meth:`bitsmith.layers.layer.Layer.internals`).
    """

    lo: float
    hi: float
    frac: int | None = None
    measured: bool = False
    inner: Mapping[str, ObservedRange] = field(default_factory=dict)
    features: tuple[ObservedRange, ...] = ()
    """Observations of each element of the last axis, of an input whose data need a format for each."""
    finer: int = 0
    """Bits below the grid of the data that an input needs, as numbers between its points change an output."""
    believed: bool = False
    """True of an input that rounds such numbers all the same, as the data look like integers that are all there is."""
    channels: tuple[Floats, Floats] | None = field(default=None, compare=False)
    """Least and greatest value of each channel of a layer's result."""
    told_apart: tuple[float, float] = (-math.inf, math.inf)
    """Values beyond which all readers of the result take values for the same, as limits do."""

    @property
    def amplitude(self) -> float:
        """The largest magnitude."""
        return max(abs(self.lo), abs(self.hi))

    @property
    def read(self) -> float:
        """The largest magnitude that makes a difference to readers."""
        least, most = self.told_apart
        return min(self.amplitude, max(-least, most))

    @property
    def read_above(self) -> float | None:
        """The largest value that makes a difference to readers, if none below 0 does."""
        return min(self.hi, self.told_apart[1]) if max(self.lo, self.told_apart[0]) >= 0.0 else None

    @property
    def on_grid(self) -> bool:
        """Return True if the user's data are multiples of a step."""
        return self.measured and self.frac is not None

    @property
    def limits(self) -> bool:
        """Return True if the range bounds the format: the user's data show it, and not zeros alone."""
        return self.measured and self.amplitude > 0.0


def exact_frac(values: Floats, bits: int) -> int | None:
    """The fewest fractional bits with which all ``values`` are exact in at most ``bits`` bits (plus sign), or None."""
    largest = max(float(np.max(values, initial=0.0)), -float(np.min(values, initial=0.0)))
    if largest == 0.0:
        return 0
    top = math.frexp(largest)[1]
    flat, ones, start, size = values.reshape(-1), 0, 0, _FEW
    scale = np.ldexp(1.0, bits - top)
    while start < len(flat):
        part = flat[start : start + size]
        scaled = part * scale if math.isfinite(scale) else np.ldexp(part, bits - top)
        whole = scaled.astype(np.int64)
        if not np.array_equal(whole, scaled):
            return None  # seldom are only later ones not exact
        ones |= int(np.bitwise_or.reduce(whole))
        start, size = start + size, _IN_CACHE
    return bits - top - ((ones & -ones).bit_length() - 1)


def exact_raw(values: Floats) -> tuple[Ints, int]:
    """``raw`` and the least ``frac`` with ``values == raw * 2**-frac``."""
    fractions, powers = np.frexp(values)
    whole = np.ldexp(fractions, 53).astype(np.int64)
    zeros = np.where(whole == 0, 0, np.frexp((whole & -whole).astype(np.float64))[1] - 1)
    fracs = 53 - powers - zeros
    shown = whole != 0
    frac = int(fracs[shown].max()) if bool(np.any(shown)) else 0
    return objects(objects(whole >> zeros) << objects(np.where(shown, frac - fracs, 0))), frac


def constant_frac(values: Floats, bits: int) -> int:
    """The fractional bits of trained values: those of :func:`exact_frac`, or with which the largest magnitude uses ``bits``."""
    frac = exact_frac(values, bits)
    return bits - 1 - math.frexp(float(np.max(np.abs(values))))[1] if frac is None else frac


def exponents(values: Floats) -> Exponents:
    """The power of two next above each magnitude; 0 for 0."""
    return np.frexp(values)[1].astype(np.int64)


def spread_exponents(values: Floats, bits: int) -> Exponents | None:
    """Those of ``values`` if one format of ``bits`` bits would leave some of them too few; None if it would not."""
    powers = exponents(values)
    shown = powers[values != 0]
    if shown.size == 0 or shown.max() - shown.min() <= bits - least_bits(bits) or exact_frac(values, bits) is not None:
        return None
    return powers


def product_scales(operand: Floats, result: Floats, terms: int) -> Floats:
    """Return the scales for errors of factors of ``operand``, where sums of so many products make ``result``."""
    with np.errstate(over="ignore"):  # of an operand next to 0
        return np.asarray(result / (operand * math.sqrt(terms)), dtype=np.float64)


def of_width(frac: Fracs, lo: Ints, hi: Ints, widest: int) -> tuple[Fracs, Ints, Ints]:
    """Fractional bits (one, or of each channel) and a range in raw values with which no element has more than ``widest`` bits."""
    widths = np.asarray(np.frompyfunc(width_of, 2, 1)(lo, hi), dtype=np.int64)
    excess = np.maximum(widths - widest, 0)
    excess = np.broadcast_to(excess, np.broadcast_shapes(excess.shape, frac.shape))
    excess = excess.max(axis=tuple(range(excess.ndim - frac.ndim)))
    drop = np.asarray(excess.max(axis=tuple(k for k, size in enumerate(frac.shape) if size == 1), keepdims=True))
    lo, hi = (drop_bits(bound, objects(drop), Rounding.RND) for bound in (lo, hi))
    most = objects(np.where(lo < 0, (1 << (widest - 1)) - 1, (1 << widest) - 1))  # rounding up may need one bit more
    return frac - drop, lo, np.minimum(hi, most)


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


_FINEST = 160
"""Most fractional bits of inputs by calibration data: the least number of single precision has eleven bits then."""


def format_for(seen: ObservedRange, bits: int, spare: int = 0) -> FixedFormat:
    """The format of an input whose calibration data look like this: exact if it has a ``frac``, else of ``bits`` bits.

    In the latter case ``spare`` bits of them are above those that the data need.
    """
    signed = seen.lo < 0
    if seen.frac is not None and seen.frac <= _FINEST:
        exact = max(_signed_bits(seen.lo, seen.frac), _signed_bits(seen.hi, seen.frac))
        fmt = FixedFormat(signed, max(exact - int(not signed), 1), seen.frac, Rounding.RND, Overflow.SAT)
        return finer_format(fmt, seen.frac + seen.finer)
    frac = bits - int(signed) - spare - math.frexp(seen.amplitude)[1]
    return FixedFormat(signed, bits, min(frac, _FINEST), Rounding.RND, Overflow.SAT)


def finer_format(fmt: FixedFormat, frac: int) -> FixedFormat:
    """``fmt`` with ``frac`` fractional bits, if it has fewer."""
    return fmt if frac <= fmt.frac else replace(fmt, width=fmt.width + frac - fmt.frac, frac=frac)


def whole_format(raw: Ints, frac: int, bits: int) -> FixedFormat:
    """The signed format of as many bits as ``raw`` takes; of zeros alone, ``bits`` bits below 1."""
    if not np.any(raw):
        return FixedFormat(True, bits, bits - 1)
    return FixedFormat(True, width_of(min(int(raw.min()), -1), int(raw.max())), frac)


def _signed_bits(value: float, frac: int) -> int:
    raw = round(math.ldexp(value, frac))
    return (raw if raw >= 0 else -raw - 1).bit_length() + 1
