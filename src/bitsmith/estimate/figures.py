"""The size of a circuit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bitsmith.devices import Family

_SUMS_OF_THREE = 0.7
"""Area of sums of three terms at once, as a share of sums two by two: 0.65 to 0.75 in six perceptrons."""


def sums_share(family: Family) -> float:
    """The area of the sums of an adder graph as a share of that of its adders one by one."""
    return 1.0 if family.delays.ternary_ns is None else _SUMS_OF_THREE


@dataclass(frozen=True, slots=True)
class Size:
    """About how much a circuit takes; ``adders`` counts two-operand additions, which is what generating it takes time for.

    ``large`` has the number of larger memories by their name, of families that have some. ``layers`` has about the look-up tables
    of each layer; those between layers are of none. ``interval`` is the planned number of cycles from one result to the next.
    """

    lut: int
    ff: int
    dsp: int
    adders: int
    bram: int = 0
    large: Mapping[str, int] = field(default_factory=dict)
    layers: Mapping[str, float] = field(default_factory=dict, compare=False, repr=False)
    interval: int = field(default=1, repr=False)

    def section(self) -> dict[str, int | str]:
        """The figures as a section of a report, with their author."""
        return {
            "LUT": self.lut,
            "FF": self.ff,
            "DSP": self.dsp,
            "BRAM": self.bram,
            **self.large,
            "Tool": "bitsmith estimate",
        }
