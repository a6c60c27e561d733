"""Ladders: where an input's real numbers have other codes, so that steps of the port's own change none of them.

A port may have steps of its own, finer than those of the quantizers that read it. Rounding to such a step may move a number
across a threshold of a quantizer, or onto a tie. The neighboring step keeps the number's side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.ir.rounding import rounded
from bitsmith.ir.types import Fracs, Rounding, compact

Reals: TypeAlias = npt.NDArray[np.float64]

Places: TypeAlias = npt.NDArray[np.int64]

Bools: TypeAlias = npt.NDArray[np.bool_]

_SLACK = 2.0**-40
"""Far more than rounding of the numbers of a ladder, relative to these."""

_MOST, _FAR = 2.0**100, 2.0**300
"""Beyond all thresholds, though singles reach farther; the end of a ladder that has none."""

_TOLD_APART = 2.0**-21
"""Share of a threshold by which another one differs that numbers in single precision lie between."""

_FINER_BITS, _MOST_THRESHOLDS, _UNLIKE = 8, 1 << 12, 1 << 8
"""Bits by which steps may become finer for ladders; thresholds of a ladder, and unlike elements, of which all are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """The codes ``round((x * units + shift) / scale + offset)``, from ``least`` to ``most``; arrays broadcast to a sample.

    These are infinite where a quantizer does not saturate. Sides of thresholds are exact for units of 29 bits, and for 29 bits of
    codes less offsets.
    """

    rounding: Rounding
    scale: Reals
    units: Reals
    shift: Reals
    offset: Reals
    least: Reals
    most: Reals

    @property
    def arrays(self) -> tuple[Reals, ...]:
        """All numbers, as they are written."""
        return self.scale, self.units, self.shift, self.offset, self.least, self.most

    @property
    def _key(self) -> tuple[object, ...]:
        return self.rounding, *((part.shape, part.tobytes()) for part in self.arrays)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ladder) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def suits(self, shape: tuple[int, ...]) -> bool:
        """Return True if samples of ``shape`` have codes: numbers are finite, steps are not zero, and ends are in order."""
        numbers = all(np.isfinite(part).all() for part in self.arrays[:4]) and bool(np.all(self.scale * self.units))
        ends = np.broadcast_arrays(self.least, self.most) if numbers else ()
        return (
            bool(ends)
            and bool(np.all(ends[0] <= ends[1]))
            and np.broadcast_shapes(shape, *(part.shape for part in self.arrays)) == shape
        )

    def of_line(self, slope: Reals, shift: Reals) -> Ladder:
        """The ladder of operands ``x`` where it is one of ``slope * x + shift``; one code where the slope is 0."""
        flat = slope == 0.0
        line = replace(self, units=np.where(flat, 1.0, self.units * slope), shift=self.shift + shift * self.units)
        return replace(line, least=np.where(flat, 0.0, self.least), most=np.where(flat, 0.0, self.most))

    def of_rectifier(self, slope: Reals) -> tuple[Ladder, ...]:
        """The ladders of operands that are as they are from 0 on, and of those below times ``slope``."""
        zero, rises = self.codes(np.zeros(())), self.scale * self.units > 0.0
        sides = []
        for is_below in (False, True):
            low = np.where(rises == is_below, self.least, np.maximum(self.least, zero))
            sides.append(
                replace(self, least=low, most=np.where(rises == is_below, np.minimum(self.most, zero), self.most))
            )
        return (sides[0], sides[1].of_line(slope, np.zeros(()))) if np.any(slope) else (sides[0],)

    def moved(self, shape: tuple[int, ...], sources: Places, seen: tuple[int, ...], places: Places) -> Ladder:
        """The ladder of samples of ``shape`` whose elements at ``sources`` are seen at ``places`` of ones of ``seen``."""

        def back(part: Reals, other: float) -> Reals:
            whole = np.full(math.prod(shape), other)
            whole[sources] = np.broadcast_to(part, seen).ravel()[places]
            return whole.reshape(shape)

        neutral = (1.0, 1.0, 0.0, 0.0, 0.0, 0.0)
        return Ladder(self.rounding, *map(back, self.arrays, neutral))

    def compact(self) -> Ladder:
        """The ladder in the smallest arrays."""
        return Ladder(self.rounding, *map(compact, self.arrays))

    def of_any_shape(self) -> Ladder:
        """The ladder, which is one for all elements, for samples of other shapes."""
        return Ladder(self.rounding, *(part.reshape(()) for part in self.arrays))

    def near(self, low: Reals, high: Reals) -> Bools:
        """True where numbers from ``low`` to ``high`` may have several codes; where they have one, mostly False."""
        ends = [
            np.clip(end, -_FAR, _FAR) - self.offset for end in (self.least + (self.rounding is Rounding.TRN), self.most)
        ]
        places = [(end * self.scale - self.shift) / self.units for end in ends]
        slack = [_SLACK * (abs(end * self.scale) + abs(self.shift)) / abs(self.units) for end in ends]
        least = np.minimum(places[0] - slack[0], places[1] - slack[1])
        most = np.maximum(places[0] + slack[0], places[1] + slack[1])
        return np.asarray((low <= most) & (high >= least))

    def at(self, chosen: Bools) -> Ladder:
        """The ladder of the ``chosen`` elements (batch, ...), in one row."""
        row = (part if part.size == 1 else np.broadcast_to(part, chosen.shape)[chosen] for part in self.arrays)
        return Ladder(self.rounding, *(part.reshape(-1) for part in row))

    def codes(self, x: Reals) -> Reals:
        """The codes of real numbers: codes change at multiples of a half alone, and on which side ``x`` is of one is exact."""
        x = np.clip(x, -_MOST, _MOST)
        half = np.rint(2.0 * ((x * self.units + self.shift) / self.scale + self.offset)) / 2.0
        times = half - self.offset
        coarse, near = (
            each.astype(np.float32).astype(np.float64) for each in (self.scale, x)
        )  # their products are exact
        product, bound = near * self.units, times * coarse
        apart = product - bound
        back = apart - product
        lost = (product - (apart - back)) - (bound + back)  # by rounding, where the shift cancels what is apart
        off = ((apart + self.shift) + lost) + ((x - near) * self.units - times * (self.scale - coarse))
        side = np.sign(off) * np.sign(self.scale)
        return np.clip(rounded(half + side / 4.0, self.rounding), self.least, self.most)


def stairs(thresholds: Reals, *, above: bool) -> tuple[Ladder, ...]:
    """The ladders of the number of ``thresholds``, which rise along the last axis, that are at most ``x``, or below if ``above``.

    Infinite ones do not count. Steps that are exactly alike are one ladder; each other threshold has its own.
    """
    low, high = thresholds[..., :-1], thresholds[..., 1:]
    with np.errstate(invalid="ignore"):
        gaps = high - low
        rest = gaps - high
        exact = (high - (gaps - rest)) - (low + rest) == 0.0
    even = bool(np.all(exact & (gaps > 0.0) & (gaps == gaps[..., :1])))
    parts = [thresholds] if even else np.split(thresholds, thresholds.shape[-1], axis=-1)
    sign, ladders = np.asarray(-1.0 if above else 1.0), list[Ladder]()
    for part in parts:
        first, there = part[..., -1 if above else 0], np.isfinite(part).all(axis=-1)
        scale = gaps[..., 0] if part.shape[-1] > 1 else np.ones(())
        least, most = (np.where(there, end, 0.0) for end in (-1.0, part.shape[-1] - 1.0))
        ladders.append(
            Ladder(Rounding.TRN, scale, sign, np.where(there, -sign * first, 0.0), np.zeros(()), least, most)
        )
    return tuple(ladders)


def finer_by(ladders: Sequence[Ladder], frac: int, reach: float) -> int:
    """The bits beyond ``frac`` with which steps lie between any two thresholds that are within ``reach`` of 0, up to a bound.

    Thresholds that single precision hardly tells apart do not count, nor do elements beyond the first ones that are unlike.
    """
    shape = np.broadcast_shapes(*(part.shape for each in ladders for part in each.arrays))
    columns = np.array([np.broadcast_to(part, shape).ravel() for each in ladders for part in each.arrays])
    gap = math.inf
    for column in np.unique(columns, axis=1).T[:_UNLIKE]:
        parts = zip(ladders, column.reshape(len(ladders), -1), strict=True)
        at = np.sort(np.concatenate([_thresholds(ladder.rounding, numbers, reach) for ladder, numbers in parts]))
        gaps = np.diff(at)
        gap = min(gap, float(gaps[gaps > _TOLD_APART * abs(at[1:])].min(initial=math.inf)))
    return 0 if gap == math.inf else min(max(1 - math.floor(math.log2(gap)) - frac, 0), _FINER_BITS)


def _thresholds(rounding: Rounding, numbers: Reals, reach: float) -> Reals:
    """Return where codes change within ``reach`` of 0, on the ladder of such ``numbers``; two of them if there are very many."""
    scale, units, shift, offset, least, most = map(float, numbers)
    half = 0.0 if rounding in (Rounding.TRN, Rounding.TRN_ZERO) else 0.5
    ends = [(end * units + shift) / scale + offset - half for end in (-reach, reach)]
    first, last = max(min(ends), least + (half == 0.0)), min(max(ends), most - (half != 0.0))
    if last - first > _MOST_THRESHOLDS:
        last = first + 1.0
    at = np.arange(math.ceil(first), math.floor(last) + 1) + half
    return np.asarray(((at - offset) * scale - shift) / units)


def other_codes(ladders: Sequence[Ladder], x: Reals, reals: Reals) -> Bools:
    """True where numbers that ``x`` (batch, ...) is rounded to have other codes than ``x`` on some ladder."""
    low, high = np.minimum(x, reals), np.maximum(x, reals)
    low, high = low - _SLACK * abs(low), high + _SLACK * abs(high)
    wrong = np.zeros(x.shape, dtype=bool)
    for ladder in ladders:
        near = ladder.near(low, high)
        here = ladder.at(near)
        wrong[near] |= here.codes(x[near]) != here.codes(reals[near])
    return wrong


def kept_codes(ladders: Sequence[Ladder], frac: Fracs, x: Reals, raw: Reals) -> Reals:
    """The raw numbers with the codes of ``x`` on all ladders: ``raw``, which ``x`` (batch, ...) is rounded to, or a neighbor.

    Where steps are so coarse that neither has all of these, they stay.
    """
    reals = np.ldexp(raw, -frac)
    wrong = other_codes(ladders, x, reals)
    if not wrong.any():
        return raw
    beside = raw[wrong] + np.where(x[wrong] > reals[wrong], 1.0, -1.0)
    others = np.ldexp(beside, -np.broadcast_to(frac, raw.shape)[wrong])
    kept = np.ones(beside.shape, dtype=bool)
    for ladder in (each.at(wrong) for each in ladders):
        kept &= ladder.codes(x[wrong]) == ladder.codes(others)
    nearer = raw.copy()
    nearer[wrong] = np.where(kept, beside, raw[wrong])
    return nearer
