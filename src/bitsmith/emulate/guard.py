"""One look at the results of many casts: as long as none of them wraps, no cast needs a look of its own.

The rounded numbers of casts with the same range are kept side by side until the end of a run. If one of them is outside, the run
is repeated with a check, and perhaps a wrap, after each cast. That is worth it where a call takes longer than its work.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitsmith.emulate.floats import MANY, FloatArray, extremes

_ALIGNED = 16
"""Elements: numbers of each cast begin at a line of the cache."""


class Guard:
    """Numbers of several casts to the range ``lo..hi``, which has 0."""

    __slots__ = ("_hi", "_kept", "_lo", "_used")

    def __init__(self, lo: float, hi: float, dtype: npt.DTypeLike) -> None:
        self._lo, self._hi = lo, hi
        self._kept = np.zeros(MANY, dtype)
        self._used = 0

    def rows(self, count: int, size: int) -> FloatArray | None:
        """An array (count, size) that is looked at; None if there is no room for it."""
        start, end = self._used, self._used + count * size
        if end > self._kept.size:
            return None
        self._used = -(-end // _ALIGNED) * _ALIGNED
        found: FloatArray = self._kept[start:end].reshape(count, size)
        return found

    def holds(self) -> bool:
        """Return True if all numbers are within the range."""
        least, greatest = extremes(self._kept[: self._used])
        return self._lo <= least and greatest <= self._hi
