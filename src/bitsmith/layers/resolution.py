"""Resolutions, which layers tell apart of their operands: the format that an input needs whose readers are quantizers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resolution:
    """Numbers that a layer tells apart: those between ``least`` and ``most``, where results change in steps of ``step`` or more.

    With ``frac`` they change where an operand reaches a multiple of ``2**-frac``, so that truncation to these loses nothing.
    """

    least: float
    most: float
    step: float
    frac: int | None = None

    def joined(self, other: Resolution) -> Resolution:
        """Return the resolution of two layers of one operand."""
        frac = None if self.frac is None or other.frac is None else max(self.frac, other.frac)
        return Resolution(min(self.least, other.least), max(self.most, other.most), min(self.step, other.step), frac)
