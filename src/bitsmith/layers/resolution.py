"""Resolutions, which layers tell apart of their operands: the format of an input whose readers are quantizers or trees."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from bitsmith.ir.ladders import Ladder
from bitsmith.layers.arrays import Floats
from bitsmith.layers.auto import exact_frac

_OFFSET_BITS = 24
"""Bits that a number may have that is added before results change, if truncation is to lose nothing."""

Edges: TypeAlias = tuple[Floats, ...]
"""For each element of an operand's last axis, rising numbers after which results change."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Numbers that a layer tells apart: those between ``least`` and ``most``, where results change in steps of ``step`` or more.

    With ``frac`` they change where an operand reaches a multiple of ``2**-frac``, so that truncation to these loses nothing.
    With ``edges`` they change nowhere else. Quantizers among what comes to see an operand as it is have ``ladders``.
    """

    least: float
    most: float
    step: float
    frac: int | None
    edges: Edges | None
    ladders: tuple[Ladder, ...]

    def joined(self, other: Resolution) -> Resolution:
        """Return the resolution of two layers of one operand."""
        frac = None if self.frac is None or other.frac is None else max(self.frac, other.frac)
        edges = None
        if self.edges is not None and other.edges is not None and len(self.edges) == len(other.edges):
            edges = tuple(np.union1d(*pair) for pair in zip(self.edges, other.edges, strict=True))
        least, most = min(self.least, other.least), max(self.most, other.most)
        return Resolution(least, most, min(self.step, other.step), frac, edges, self.ladders + other.ladders)

    def before(self, scale: float, offset: Floats) -> Resolution:
        """Return the resolution of what comes times ``scale``, a power of two, plus an ``offset`` for each element."""
        own = exact_frac(offset, _OFFSET_BITS)
        exact = None if self.frac is None or own is None else max(self.frac, own) + round(math.log2(scale))
        least, most = (self.least - float(offset.max())) / scale, (self.most - float(offset.min())) / scale
        ladders = tuple(each.of_line(np.asarray(scale), offset) for each in self.ladders)
        return Resolution(least, most, self.step / scale, exact, None, ladders)

    def anywhere(self) -> Resolution:
        """Return the resolution of an operand whose elements come in another order."""
        alike = tuple(each for each in self.ladders if all(part.size == 1 for part in each.arrays))
        return replace(self, edges=None, ladders=tuple(each.of_any_shape() for each in alike))


ANY = Resolution(-1.0, 1.0, 1.0, None, None, ())
"""Resolution that some layer may have."""
