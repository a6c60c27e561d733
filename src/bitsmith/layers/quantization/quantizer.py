"""Quantizers: the grid of a quantized tensor, its range, and how numbers get there, whatever framework trained it."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.ir.ladders import Ladder
from bitsmith.ir.rounding import rounded, rounded_exactly
from bitsmith.ir.types import FixedFormat, Fracs, IntLike, Ints, Overflow, Rounding, compact, frozen, objects, width_of
from bitsmith.layers.arrays import Floats, Shape
from bitsmith.layers.auto import exact_raw
from bitsmith.layers.axis_order import Order, stored

Rationals: TypeAlias = npt.NDArray[np.object_]
"""Fractions, exact."""

RationalLike: TypeAlias = Fraction | float | Rationals | Floats | Sequence[float]

MAX_GRIDS = 1 << 21
"""Most elements with a grid of their own."""

_WHOLE = 1 << 53
"""Least integer whose neighbors double precision lacks."""

_HALF = 0.5
_LEAST = objects(-(1 << 1000))
"""Beyond all codes."""

_fraction = np.frompyfunc(Fraction, 1, 1)
_numerator = np.frompyfunc(lambda value: value.numerator, 1, 1)
_denominator = np.frompyfunc(lambda value: value.denominator, 1, 1)
_power = np.frompyfunc(lambda frac: Fraction(2) ** -int(frac), 1, 1)
_width = np.frompyfunc(width_of, 2, 1)
_integer = np.frompyfunc(int, 1, 1)
_lcm = np.frompyfunc(math.lcm, 2, 1)
_exact_code = np.frompyfunc(
    lambda value, scale, offset, rounding: rounded_exactly(Fraction(value) / scale + offset, rounding), 4, 1
)

_ROUNDED_OFF = 2.0**-50
"""More than a quotient and a sum of double precision are rounded by, as a share of their operands."""


def rationals(values: RationalLike) -> Rationals:
    """Numbers as fractions, exactly; as small an array as broadcasts to the same."""
    array = np.asarray(values)
    if array.dtype != np.object_:
        if not bool(np.all(np.isfinite(array))):
            raise UnsupportedError("a quantizer with an infinite scale or one that is not a number")
        array = _least(array.astype(np.float64))
    return frozen(compact(np.asarray(_fraction(array), dtype=np.object_)))


def _least(array: Floats) -> Floats:
    """Return the smallest array that broadcasts to the same.

    Raises:
        UnsupportedError: one that is still too large for exact numbers.
    """
    for axis in range(array.ndim):
        first = array.take([0], axis) if array.shape[axis] > 1 else array
        array = first if bool(np.all(array == first)) else array
    _check_size(array.size)
    return array


def _check_size(size: int) -> None:
    if size > MAX_GRIDS:
        raise UnsupportedError(f"a quantizer of {size} grids", accepted=f"at most {MAX_GRIDS}")


def binary_exponents(values: Rationals) -> Fracs | None:
    """``e`` of values that are all ``2**e``, None if some are not."""
    numerators, denominators = objects(_numerator(values)), objects(_denominator(values))
    if bool(np.any(numerators <= 0)) or bool(
        np.any((numerators & (numerators - 1)) | (denominators & (denominators - 1)))
    ):
        return None
    return np.asarray(
        _width(objects(numerators * 0), numerators) - _width(objects(numerators * 0), denominators), dtype=np.int64
    )


def as_floats(values: Rationals) -> Floats:
    """The nearest numbers of double precision."""
    return np.asarray(values, dtype=np.float64)


class Retrained(enum.Enum):
    """Fates of numbers off the grid that replace those of a trained tensor."""

    QUANTIZED = "quantized"
    """The framework does what the quantizer does: it rounds them, and takes them into range."""

    ROUNDED = "rounded"
    """The framework rounds them, in whatever range they are."""

    REJECTED = "rejected"
    """The grid, or who puts numbers on it, is not known: it depends on the trained values."""

    UNEVEN = "uneven"
    """Rejected, too. The grid has more numbers than the quantizer gives, such as powers of two, which are exactly on it."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantizer:
    """``code = overflow(round(x / scale + offset))`` within ``lo..hi``, and ``value = code * step``.

    All arrays broadcast to one sample of an activation, or to a trained tensor as its layer has it. ``step`` is what a code is
    worth in the result: the ``scale``, unless a pass moved that on. Zero points are taken off the codes. A range of one code, 0,
    is that of a tensor, or element, that was pruned. ``retrained`` is about trained tensors.

    Source: B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
    2018, equation 1, for the grid; IEEE 1666, chapter 7, for the modes.
    """

    scale: Rationals
    step: Rationals
    offset: Rationals
    lo: Ints
    hi: Ints
    rounding: Rounding
    overflow: Overflow
    retrained: Retrained

    def __post_init__(self) -> None:
        if bool(np.any(self.scale == 0)) or bool(np.any(objects(self.lo) > objects(self.hi))):
            raise UnsupportedError("a quantizer with a scale of 0, or an empty range")
        for name in ("scale", "step", "offset", "lo", "hi"):
            # Arithmetic on arrays of objects without axes gives numbers.
            array = np.asarray(getattr(self, name), dtype=np.object_)
            object.__setattr__(self, name, frozen(compact(array)))

    @property
    def is_plain(self) -> bool:
        """True if it is the same for all elements."""
        return all(part.size == 1 for part in (self.scale, self.step, self.offset, self.lo, self.hi))

    @property
    def bounds(self) -> tuple[Rationals, Rationals]:
        """The least and the greatest value."""
        return self.lo * self.step, self.hi * self.step

    @property
    def reach(self) -> Floats:
        """The steps and bounds of all elements that may be other than one number, in a row."""
        used = np.broadcast_to(np.asarray(self.lo != self.hi, dtype=bool), self.shape)
        return np.concatenate(
            [np.broadcast_to(as_floats(part), self.shape)[used] for part in (self.step, *self.bounds)]
        )

    def finer(self, bits: int) -> Quantizer:
        """Return the quantizer of the same range, without an offset, whose steps are so many bits finer."""
        times = 1 << bits
        return Quantizer.uniform(self.scale / times, self.lo * times, self.hi * times, self.rounding, self.overflow)

    @staticmethod
    def fixed(
        keep_negative: IntLike, integer: IntLike, frac: IntLike, rounding: Rounding, overflow: Overflow
    ) -> Quantizer:
        """Fixed-point formats: ``integer`` bits without the sign, ``frac`` fractional bits; elements of no bits are 0."""
        _check_size(max(map(np.size, (keep_negative, integer, frac))))
        k, i, f = np.broadcast_arrays(objects(keep_negative), objects(integer), objects(frac))
        size = np.asarray(_power(np.minimum(-(i + f), 0)), dtype=np.object_)  # 2**(i + f), and 1 where that has no bits
        size = objects(_integer(size))
        empty = k + i + f <= 0
        lo, hi = np.where(empty, 0, -k * size), np.where(empty, 0, size - 1)
        return Quantizer.uniform(_power(f), lo, hi, rounding, overflow)

    @staticmethod
    def uniform(
        scale: RationalLike,
        lo: IntLike,
        hi: IntLike,
        rounding: Rounding = Rounding.RND_CONV,
        overflow: Overflow = Overflow.SAT,
        *,
        step: RationalLike | None = None,
        offset: RationalLike = 0.0,
        retrained: Retrained = Retrained.REJECTED,
    ) -> Quantizer:
        """Codes ``lo..hi`` in steps of ``scale``, which is taken as exactly the number that it is."""
        exact = rationals(scale)
        return Quantizer(
            exact,
            exact if step is None else rationals(step),
            rationals(offset),
            frozen(compact(objects(lo))),
            frozen(compact(objects(hi))),
            rounding,
            overflow,
            retrained,
        )

    @staticmethod
    def holding(values: Floats) -> Quantizer:
        """The coarsest grid of a power of two, one for all, that has the ``values``."""
        raw, frac = exact_raw(values)
        codes = [int(code) for code in raw.flat] or [0]
        return Quantizer.uniform(rationals(Fraction(2) ** -frac), min(codes), max(codes), retrained=Retrained.UNEVEN)

    def is_same(self, other: Quantizer) -> bool:
        """Return True if ``other`` does the same to each element."""
        pairs = zip(self._parts, other._parts, strict=True)
        return (self.rounding, self.overflow) == (other.rounding, other.overflow) and all(
            x.shape == y.shape and bool(np.all(x == y)) for x, y in pairs
        )

    @property
    def _parts(self) -> tuple[Rationals, ...]:
        return self.scale, self.step, self.offset, self.lo, self.hi

    @property
    def size(self) -> int:
        """Elements of the largest of the arrays."""
        return max(part.size for part in self._parts)

    @property
    def shape(self) -> Shape:
        """Shape that the arrays broadcast to among themselves."""
        return np.broadcast_shapes(*(part.shape for part in self._parts))

    @property
    def fracs(self) -> Fracs | None:
        """Fractional bits of a grid of powers of two that nothing is added to; None of any other."""
        exponents = binary_exponents(self.scale)
        return None if exponents is None or bool(np.any(self.offset != 0)) else -exponents

    @property
    def ladder(self) -> Ladder:
        """The codes of any numbers, exact beside thresholds."""
        saturates = self.overflow in (Overflow.SAT, Overflow.SAT_SYM)
        least, most = (self._within(end) if saturates else end for end in (np.asarray(-np.inf), np.asarray(np.inf)))
        # An offset that is no number of double precision is one of so many units.
        offset, zero = np.clip(self.offset, _LEAST, -_LEAST), rationals(0.0)
        inexact = bool(np.any(rationals(as_floats(offset)) != offset))
        shift, rest = (rationals(offset * self.scale), zero) if inexact else (zero, offset)
        times = objects(_lcm(_denominator(self.scale), _denominator(shift)))
        whole = rationals(self.scale * times), rationals(times), rationals(shift * times)
        exact = binary_exponents(times) is None and not any(bool(np.any(abs(part) >= _WHOLE)) for part in whole)
        parts = whole if exact else (self.scale, rationals(1.0), shift)
        scale, units, shifted = map(as_floats, parts)
        return Ladder(self.rounding, scale, units, shifted, as_floats(rest), least, most)

    def within(self, low: float, high: float) -> Quantizer | None:
        """The same for operands from ``low`` to ``high``, which itself takes others for the nearer one; None if it cannot."""
        if self.overflow not in (Overflow.SAT, Overflow.SAT_SYM):
            return None
        with np.errstate(invalid="ignore"):  # of infinite ends
            ends = [objects(_integer(self.codes(np.full(self.shape, end)))) for end in (low, high)]
        lo, hi = np.maximum(np.minimum(*ends), self.lo), np.minimum(np.maximum(*ends), self.hi)
        return replace(self, lo=lo, hi=hi, overflow=Overflow.SAT)

    @property
    def keeps_scale(self) -> bool:
        """True if values are on the grid that they are rounded to."""
        return self.step.shape == self.scale.shape and bool(np.all(self.step == self.scale))

    @property
    def bits(self) -> npt.NDArray[np.int64]:
        """Bits of the codes of each element."""
        return np.asarray(_width(self.lo, self.hi), dtype=np.int64)

    @property
    def code_range(self) -> tuple[int, int]:
        """Least and greatest code of any element, whatever it is worth: for tables that all elements index."""
        return min(map(int, self.lo.flat)), max(map(int, self.hi.flat))

    @property
    def format(self) -> FixedFormat | None:
        """The fixed-point format that this is; None if it is none, or not the same one for all elements."""
        fracs = self.fracs
        parts = [np.unique(part) for part in (self.lo, self.hi) if part.size]
        if fracs is None or np.unique(fracs).size != 1 or any(part.size != 1 for part in parts):
            return None
        lo, hi, frac = int(parts[0][0]), int(parts[1][0]), int(fracs.flat[0])
        if hi < 1:
            return None
        symmetric = lo == -hi and self.overflow is Overflow.SAT
        overflow = Overflow.SAT_SYM if symmetric else self.overflow
        fmt = FixedFormat(lo < 0, width_of(lo, hi), frac, self.rounding, overflow)
        return fmt if (fmt.lo, fmt.hi) == (lo - int(symmetric), hi) else None

    def reordered(self, order: Order, shape: Shape) -> Quantizer:
        """The quantizer of a tensor of ``shape`` in the user's model that is stored in ``order``."""
        scale, step, offset, lo, hi = (frozen(stored(part, order, shape)) for part in self._parts)
        return replace(self, scale=scale, step=step, offset=offset, lo=lo, hi=hi)

    def codes(self, values: Floats) -> Floats:
        """The exact codes of ``values``, in whose last axes lie those of the quantizer."""
        offset = as_floats(self.offset)
        ratio = values / as_floats(self.scale)
        sums = ratio + offset
        codes = rounded(sums, self.rounding)
        if self.fracs is None:
            near = _may_tie(sums, np.abs(ratio) + np.abs(offset), self.rounding)
            codes[near] = self._exact_codes(np.broadcast_to(values, codes.shape), near)
        return self._within(codes)

    def _exact_codes(self, values: Floats, near: npt.NDArray[np.bool_]) -> Floats:
        """The codes of those ``values`` that are ``near`` a tie, in fractions, once for each value on each grid."""
        grids = (np.arange(part.size).reshape(part.shape) for part in (self.scale, self.offset))
        scale, offset = (np.broadcast_to(part, near.shape)[near] for part in grids)
        _, value = np.unique(values[near], return_inverse=True)
        # At most as many values as elements, and few grids: far below 2**63.
        case = (value * self.scale.size + scale) * self.offset.size + offset
        _, first, which = np.unique(case, return_index=True, return_inverse=True)
        operands = (values[near][first], self.scale.ravel()[scale[first]], self.offset.ravel()[offset[first]])
        return np.asarray(_exact_code(*operands, self.rounding), dtype=np.float64)[which]

    def _within(self, codes: Floats) -> Floats:
        lo, hi = as_floats(self.lo), as_floats(self.hi)
        match self.overflow:
            case Overflow.WRAP:
                return (codes - lo) % (hi - lo + 1.0) + lo
            case Overflow.SAT_ZERO:
                return np.where((codes < lo) | (codes > hi), 0.0, codes)
            case Overflow.SAT_SYM:
                return np.clip(codes, np.maximum(lo, -hi), hi)
            case Overflow.SAT:
                return np.clip(codes, lo, hi)

    def applied(self, values: Floats) -> Floats:
        """``values`` on the grid."""
        return self.codes(values) * as_floats(self.step)

    def taken(self, values: Floats) -> Floats | None:
        """Numbers that replace trained ones, as the framework has them on the grid; None if that is not known.

        They may be out of range, unless the framework sees to that. Frameworks divide in single precision.
        """
        everywhere = replace(self, lo=_LEAST, hi=-_LEAST, overflow=Overflow.SAT)
        codes = values / as_floats(self.step)
        if everywhere.holds(values) and (
            self.retrained is not Retrained.UNEVEN or bool(np.all(codes == np.rint(codes)))
        ):
            codes = np.rint(codes)
        elif self.retrained in (Retrained.REJECTED, Retrained.UNEVEN):
            return None
        else:
            ratio = (values.astype(np.float32) / as_floats(self.scale).astype(np.float32)).astype(np.float64)
            codes = rounded(ratio + as_floats(self.offset), self.rounding)
        return (self if self.retrained is Retrained.QUANTIZED else everywhere)._within(codes) * as_floats(self.step)

    def holds(self, values: Floats) -> bool:
        """Return True if all ``values`` are on the grid and in range, but for rounding errors of double precision."""
        codes = values / as_floats(self.step)
        nearest = np.rint(codes)
        close = np.abs(codes - nearest) <= 1e-6 * np.maximum(np.abs(nearest), 1.0)
        return bool(np.all(close & (nearest >= as_floats(self.lo)) & (nearest <= as_floats(self.hi))))

    def __str__(self) -> str:
        fmt = self.format
        if fmt is not None:
            return str(fmt)
        bits = self.bits
        width = f"{bits.min()}" if bits.min() == bits.max() else f"{bits.min()}..{bits.max()}"
        steps = as_floats(self.scale)
        step = f"{steps.min():.6g}" if steps.min() == steps.max() else f"{steps.min():.3g}..{steps.max():.3g}"
        return f"{width} bits in steps of {step} ({self.rounding.value}, {self.overflow.value})"


def _may_tie(values: Floats, size: Floats, rounding: Rounding) -> npt.NDArray[np.bool_]:
    """Return where rounding errors of ``values``, made of numbers of ``size``, may decide between two codes."""
    steps = values if rounding in (Rounding.TRN, Rounding.TRN_ZERO) else values - _HALF
    off = steps - np.rint(steps)
    # Infinity less infinity is no number, and so at no tie.
    return np.asarray(np.abs(off) <= _ROUNDED_OFF * size)
