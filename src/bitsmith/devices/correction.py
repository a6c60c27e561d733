"""Corrections of estimates: what circuits that were built say of the figures that had been expected of them."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of circuits that were built.

    Attributes:
        factor: what estimates are multiplied by.
        median, worst: errors that are left, as shares of what was measured, of circuits that the factor does not come from.
        circuits: number of circuits.
    """

    factor: float
    median: float
    worst: float
    circuits: int

    def of(self, expected: float) -> float:
        """The figure that is to be expected instead of an estimate."""
        return self.factor * expected

    def __str__(self) -> str:
        median, worst = (f"{100 * error:.3g} %" for error in (self.median, self.worst))
        return f"{median} off in the median of {self.circuits:,} circuits, {worst} at worst"


@dataclass(frozen=True, slots=True)
class Correction:
    """Estimates of a family, corrected by circuits that were built.

    Blocks and cycles have none: they are counted, not estimated.

    Attributes:
        family: its name.
        lut: look-up tables.
        ff: flip-flops.
        fmax: the clock after place and route, of the one that was expected; None where no circuit was routed.
    """

    family: str
    lut: Measured
    ff: Measured
    fmax: Measured | None

    @property
    def said(self) -> str:
        """Errors of estimates in words."""
        routed = "" if self.fmax is None else f"; Fmax, {self.fmax.factor:.3g} of the clock, {self.fmax}"
        return f"LUT {self.lut}; FF {self.ff}{routed}"

    def __str__(self) -> str:
        return json.dumps(asdict(self))
