"""The size of a circuit, whole and by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bitsmith.devices.correction import Correction


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of a part of a circuit: look-up tables, flip-flops, multiplier blocks, block memories, larger memories."""

    lut: float
    ff: float
    dsp: float
    bram: float
    large: float

    def plus(self, other: Cells, share: float = 1.0) -> Cells:
        """These and a ``share`` of the ``other`` ones."""
        return Cells(
            self.lut + share * other.lut,
            self.ff + share * other.ff,
            self.dsp + share * other.dsp,
            self.bram + share * other.bram,
            self.large + share * other.large,
        )


NO_CELLS = Cells(0.0, 0.0, 0.0, 0.0, 0.0)


class Shares:
    """Running totals of the cells of each layer, and of all of them."""

    def __init__(self) -> None:
        self.by_layer: dict[str, Cells] = {}
        self.total = NO_CELLS

    def give(self, layers: Sequence[str], cells: Cells) -> None:
        """Count ``cells`` as those of ``layers``, the same number for each."""
        for layer in layers:
            self.by_layer[layer] = self.by_layer.get(layer, NO_CELLS).plus(cells, 1.0 / len(layers))
        if layers:
            self.total = self.total.plus(cells)

    def split(self, weights: Sequence[tuple[str, float]], cells: Cells) -> None:
        """Count ``cells`` as those of layers, in proportion to the weights of each."""
        every = sum(number for _, number in weights)
        for layer, number in weights:
            self.give((layer,), NO_CELLS.plus(cells, number / every))


@dataclass(frozen=True, slots=True)
class Size:
    """About how much a circuit takes; ``adders`` counts two-operand additions, which is what generating it takes time for.

    ``large`` has the number of larger memories by their name, of families that have some. ``shares`` has about the cells
    of each layer; those between layers are of none. ``interval`` is the planned number of cycles from one result to the next,
    ``routed_ns`` the period by the longest stage of what was made for it, 0 if nothing was or the family was not measured.
    ``beside`` are those of the totals that are not the circuit's: of what joins it to a board's memory or serial port.
    """

    lut: int
    ff: int
    dsp: int
    adders: int
    bram: int = 0
    large: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, Cells] = field(default_factory=dict, compare=False, repr=False)
    interval: int = field(default=1, repr=False)
    routed_ns: float = field(default=0.0, compare=False, repr=False)
    beside: Cells = field(default=NO_CELLS, compare=False, repr=False)

    @property
    def layers(self) -> Mapping[str, float]:
        """About the look-up tables of each layer."""
        return {layer: cells.lut for layer, cells in self.shares.items()}

    def corrected(self, correction: Correction | None) -> Size:
        """The size that is to be expected after circuits that were built."""
        if correction is None:
            return self
        lut, ff = correction.lut, correction.ff
        shares = {
            layer: replace(cells, lut=lut.of(cells.lut), ff=ff.of(cells.ff)) for layer, cells in self.shares.items()
        }
        return replace(self, lut=round(lut.of(self.lut)), ff=round(ff.of(self.ff)), shares=shares)

    def section(self) -> dict[str, int | str]:
        """The figures as a section of a report, with their author."""
        lut, ff, bram = (round(cells) for cells in (self.beside.lut, self.beside.ff, self.beside.bram))
        port = {"PortLUT": lut, "PortFF": ff, "PortBRAM": bram} if lut else {}
        cells = {"LUT": self.lut - lut, "FF": self.ff - ff, "DSP": self.dsp, "BRAM": self.bram - bram, **self.large}
        return {**cells, **port, "Tool": "bitsmith estimate"}
