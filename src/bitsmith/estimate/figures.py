"""The size of a circuit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """About how much a circuit takes; ``adders`` counts two-operand additions, which is what generating it takes time for."""

    lut: int
    ff: int
    dsp: int
    adders: int
    bram: int = 0

    def section(self) -> dict[str, int | str]:
        """The figures as a section of a report, with their author."""
        return {"LUT": self.lut, "FF": self.ff, "DSP": self.dsp, "BRAM": self.bram, "Tool": "bitsmith estimate"}
