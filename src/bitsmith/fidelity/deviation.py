"""Deviations of results from those that are wanted: as a whole, and channel by channel.

Results are batches. Their channels are the elements of one axis of a sample, of any axis; a result without axes is one channel.
"""

import math
import sys
from dataclasses import dataclass

import numpy as np

from bitsmith.layers.layer import Floats

MOST = 1e9
"""No share of a range is reported as more than this."""

FEW_VALUES = 16
"""Values of a channel below which their range says little of what others would show."""

_STILL = 2.0**-20
"""Share of the greatest magnitude by which what is constant may vary: frameworks round to single precision."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """Distance of results from those that are wanted; shares of the range of these."""

    error: float
    worst: float
    errors: Floats
    """The mean error of each channel, as a share of the whole's range."""
    worsts: Floats


@dataclass(frozen=True, slots=True)
class Span:
    """The least and the greatest value of a layer's float result."""

    lo: float
    hi: float

    @property
    def size(self) -> float:
        """The range; of a constant, but for rounding, its magnitude."""
        size = min(self.hi - self.lo, sys.float_info.max)
        return size if size > _STILL * max(-self.lo, self.hi) else abs(self.hi) or 1.0

    @property
    def largest(self) -> float:
        """The range, or the greatest magnitude where that is more: what the steps of formats go by."""
        return max(self.size, -self.lo, self.hi)


@dataclass(frozen=True, slots=True)
class Spans:
    """The least and the greatest value of each channel."""

    least: Floats
    most: Floats
    noise: float = 0.0
    """Magnitude up to which a channel is rounding errors alone, and has no scale of its own."""
    few: bool = False
    """So few values were seen of each channel that they show no scale of its own."""

    @property
    def whole(self) -> Span:
        """Return the least and the greatest value of all channels."""
        return Span(float(self.least.min()), float(self.most.max()))

    def sizes(self) -> Floats:
        """The range of each channel; that of the whole for a channel that shows no scale: a constant, or few values."""
        size = np.minimum(self.most - self.least, sys.float_info.max)
        if self.few:
            return np.full_like(size, self.whole.size)
        magnitudes = self._magnitudes()
        return np.where((size > _STILL * magnitudes) & (magnitudes > self.noise), size, self.whole.size)

    def largest(self) -> Floats:
        """Return :meth:`sizes`, or the greatest magnitude where that is more."""
        return np.maximum(self.sizes(), self._magnitudes())

    def _magnitudes(self) -> Floats:
        return np.maximum(-self.least, self.most)


def spans(values: Floats, axis: int = -1) -> Spans:
    """The ranges of the channels' finite ``values``; 0 to 0 where there are none."""
    lo, hi = _by_channel(np.minimum, values, axis), _by_channel(np.maximum, values, axis)
    if not (np.isfinite(lo).all() and np.isfinite(hi).all()):
        usable = np.isfinite(values)
        lo = _by_channel(np.minimum, np.where(usable, values, np.inf), axis)
        hi = _by_channel(np.maximum, np.where(usable, values, -np.inf), axis)
        lo, hi = np.where(lo <= hi, lo, 0.0), np.where(lo <= hi, hi, 0.0)
    return Spans(lo, hi, few=values.size < FEW_VALUES * lo.size)


def deviation(wanted: Floats, found: Floats, size: float, axis: int = -1) -> Deviation:
    """Return the deviation of ``found`` from ``wanted`` where both are finite, beside a range of ``size``."""
    with np.errstate(all="ignore"):
        difference = np.abs(found - wanted)
        difference /= size
        worsts = _by_channel(np.maximum, difference, axis)
        count = difference.size / worsts.size
        if not bool(np.isfinite(worsts).all()):
            usable = np.isfinite(difference)
            difference = np.where(usable, difference, 0.0)
            worsts, count = _by_channel(np.maximum, difference, axis), np.count_nonzero(usable) / worsts.size
        if not worsts.any():
            return Deviation(0.0, 0.0, worsts, worsts)
        if worsts.max() > MOST:
            difference, worsts = np.minimum(difference, MOST), np.minimum(worsts, MOST)
        squares = _by_channel(np.add, np.square(difference, out=difference), axis)
    noise = float(squares.sum()) / (count * squares.size)
    return Deviation(math.sqrt(noise), float(worsts.max()), np.sqrt(squares / count), worsts)


def signal_to_noise(wanted: Floats, error: float, size: float) -> float | None:
    """Return the ratio of the finite ``wanted`` to a mean ``error`` beside a range of ``size``, in dB.

    None: there is no noise. 0: there is no signal.
    """
    if error == 0.0:
        return None
    with np.errstate(all="ignore"):
        usable = wanted / size
        signal = float(usable.var())
        if not math.isfinite(signal):
            signal = float(usable[np.isfinite(usable)].var())
    return 10 * math.log10(signal) - 20 * math.log10(error) if 0.0 < signal < math.inf else 0.0


def _by_channel(reduce: np.ufunc, values: Floats, axis: int) -> Floats:
    """One number for each channel; rows of whole samples first, which is fast however few channels there are."""
    rows: Floats = reduce.reduce(values, axis=0)
    if rows.ndim == 0:
        return rows.reshape(1)
    kept = axis % rows.ndim
    return np.asarray(reduce.reduce(rows, axis=tuple(k for k in range(rows.ndim) if k != kept)))
