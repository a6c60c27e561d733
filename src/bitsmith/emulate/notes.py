"""Notes of a run on casts whose range some value leaves, and how far a sample is beyond where it saturates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from bitsmith.emulate.bounds import least
from bitsmith.emulate.floats import FloatArray, Kernel
from bitsmith.ir import ops
from bitsmith.ir.types import Overflow

SPARE = 2.0**-8
"""Share of the greatest limit, or a step if that is more, by which a value must exceed its own to count: less is rounding."""


@dataclass(frozen=True, slots=True)
class Left:
    """Record of what left its range in a run: watched casts, and of each sample by how much a value saturates.

    ``beyond`` are shares of the range, 0 where none was; no numbers at all if that is so everywhere.
    """

    casts: tuple[ops.Cast, ...] = ()
    beyond: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


NOTHING = Left()


class RangeNotes:
    """Notes the ``casts`` whose range some value leaves, and of those that saturate by how much, for each of ``samples``."""

    __slots__ = ("_beyond", "_left", "casts")

    def __init__(self, casts: Collection[ops.Cast] = (), samples: int = 1) -> None:
        self.casts = casts
        self._left: dict[int, ops.Cast] = {}
        """By identity, since comparing casts takes more time than the rest of a step."""
        self._beyond = np.zeros(samples)

    def alone(self) -> RangeNotes:
        """Notes on the same casts, for one sample at a time."""
        return RangeNotes(self.casts)

    def note(self, op: ops.Cast, x: FloatArray | None = None) -> Kernel | None:
        """A step that notes that some value of ``op`` was beyond the range, if that is watched.

        Of rounded values ``x`` that saturate, it looks at how far they were.
        """
        if op not in self.casts:
            return None
        if x is None or op.overflow is Overflow.WRAP:
            return partial(self._left.__setitem__, id(op), op)
        low, high = (np.ldexp(bound.astype(np.float64), -op.frac) for bound in (least(op), op.hi))
        spare = np.maximum(SPARE * float(max(np.abs(low).max(), np.abs(high).max())), np.ldexp(1.0, -op.frac))
        low, high = (np.ldexp(bound, op.frac)[..., None] for bound in (low - spare, high + spare))
        return partial(self._measure, op, x, low, high)

    def _measure(
        self, op: ops.Cast, x: FloatArray, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
    ) -> None:
        if np.any(x < low) or np.any(x > high):
            self.mark(op, np.maximum(low - x, x - high) / (high - low))

    def mark(self, op: ops.Cast, beyond: npt.NDArray[np.float64]) -> None:
        """Note that values of ``op`` are ``beyond`` its range, by shares of it; samples are the last axis."""
        self._left[id(op)] = op
        np.fmax(self._beyond, beyond.reshape(-1, beyond.shape[-1]).max(axis=0, initial=0.0), self._beyond)

    def take(self, samples: int) -> Left:
        """Return what was noted of the first ``samples`` since the last call."""
        if not self._left:
            return NOTHING
        some = self._beyond[:samples].any()
        found = Left((*self._left.values(),), self._beyond[:samples].copy() if some else NOTHING.beyond)
        self._left.clear()
        self._beyond.fill(0.0)
        return found

    def include(self, inner: RangeNotes, sample: int) -> None:
        """Note what ``inner`` has seen of the one ``sample``."""
        found = inner.take(1)
        self._left.update((id(op), op) for op in found.casts)
        if found.beyond.size:
            self._beyond[sample] = max(self._beyond[sample], found.beyond[0])
