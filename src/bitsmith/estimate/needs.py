"""Needs of a circuit for the resources of a part, and the room that it leaves.

In: sizes of circuits, parts. Out: what is needed and available of each resource, and in words what a part lacks.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from bitsmith.devices.family import Part
from bitsmith.estimate.figures import Cells, Size

_FULL = 0.75
"""The share of look-up tables and flip-flops that is placed and routed without trouble."""

_PLACED = 0.9
"""The share of cells of both: nextpnr found no placement on an iCE40UP5K for 95 %."""

_NAMED = 3
"""Layers that are named as those that take most of a resource."""


@dataclass(frozen=True, slots=True)
class Need:
    """Need of a circuit for one resource of a part.

    Args:
        label: the resource as reports count it.
        comfortably: the share of what is available that may be used.
        among: how much of the resource so many cells are.
    """

    label: str
    resource: str
    needed: int
    available: int
    comfortably: float
    among: Callable[[Cells], float]

    @property
    def lacking(self) -> bool:
        """Return True if the part has too little."""
        return self.needed > self.available

    @property
    def share(self) -> float:
        """Times what may be used that is needed; to 1 there is room."""
        room = self.comfortably * self.available
        return self.needed / room if room else math.inf if self.needed else 0.0

    @property
    def beyond(self) -> str:
        """In words, how many a part must have in which the circuit has room; empty if this one has."""
        least = math.ceil(self.needed / self.comfortably)
        return f"{least:,} {self.resource} instead of {self.available:,}" if least > self.available else ""

    def by_layer(self, size: Size) -> dict[str, float]:
        """About how much each layer takes in a circuit of ``size``, the most first; what lies between layers is of none."""
        taken = {layer: self.among(cells) for layer, cells in size.shares.items() if layer}
        return dict(sorted(taken.items(), key=lambda pair: -pair[1]))

    def most(self, size: Size) -> dict[str, int]:
        """The layers that take most, at most three, with how much each takes."""
        return {layer: round(taken) for layer, taken in [*self.by_layer(size).items()][:_NAMED] if round(taken)}

    def said_of(self, size: Size) -> str:
        """In words, what is needed, and the layers that take most, with their shares of what is available."""
        taken = [f"{layer!r} ({number:,}{self._in_percent(number)})" for layer, number in self.most(size).items()]
        return (
            f"{self}, most of them for layer{'s' if len(taken) > 1 else ''} {', '.join(taken)}" if taken else str(self)
        )

    def _in_percent(self, number: int) -> str:
        return f", {number / self.available:,.0%}" if self.available else ""

    def __str__(self) -> str:
        of = f" of {self.available:,}" if self.available else ", of which it has none"
        return f"{self.needed:,} {self.resource}{of}"


def counted(part: Part, *, luts: int, ffs: int, dsps: int, brams: int, large: int) -> tuple[Need, ...]:
    """Return the needs of so many cells on ``part``; logic cells and larger memories come last, where there are some."""
    kind = part.family.large
    larger = (
        [Need(kind.name, kind.name, large, part.die.large, 1.0, lambda cells: cells.large)]
        if kind and (large or part.die.large)
        else []
    )
    share = part.family.area.joined_cells

    def together(lut: float, ff: float) -> float:
        return lut + ff - share * min(lut, ff)

    cells = math.ceil(together(luts, ffs))
    joined = (
        [Need("LC", "logic cells", cells, part.die.cells, _PLACED, lambda taken: together(taken.lut, taken.ff))]
        if part.die.cells
        else []
    )
    return (
        Need("LUT", "LUTs", luts, part.die.luts, _FULL, lambda cells: cells.lut),
        Need("FF", "flip-flops", ffs, part.die.ffs, _FULL, lambda cells: cells.ff),
        Need("DSP", "multiplier blocks", dsps, part.die.dsps, 1.0, lambda cells: cells.dsp),
        Need("BRAM", "memory blocks", brams, part.die.brams, 1.0, lambda cells: cells.bram),
        *joined,
        *larger,
    )


def needs(size: Size, part: Part) -> tuple[Need, ...]:
    """Return the needs of a circuit of ``size`` on ``part``; look-up tables as place and route packs them."""
    return counted(
        part, luts=packed_luts(size, part), ffs=size.ff, dsps=size.dsp, brams=size.bram, large=sum(size.large.values())
    )


def packed_luts(size: Size, part: Part) -> int:
    """Look-up tables after packing, which are more than synthesis counts: ends of carry chains take some."""
    return size.lut + round(part.family.area.packing_luts * size.adders)


def limited(part: Part, limits: Mapping[str, int]) -> Part:
    """A part that holds no more than ``limits``, by the names ``lut``, ``ff``, ``dsp`` and ``bram``."""
    die = part.die

    def most(name: str, there: int, share: float = 1.0) -> int:
        return min(there, int(limits[name] / share)) if name in limits else there

    luts, ffs = most("lut", die.luts, _FULL), most("ff", die.ffs, _FULL)
    dsps, brams = most("dsp", die.dsps), most("bram", die.brams)
    return replace(part, die=replace(die, luts=luts, ffs=ffs, dsps=dsps, brams=brams))


def missing(size: Size, part: Part) -> str:
    """In words, what a circuit of ``size`` needs more of than ``part`` has, and for which layers; empty if it has enough."""
    return "; ".join(need.said_of(size) for need in needs(size, part) if need.lacking)


def shortage(found: Iterable[Need]) -> str:
    """In words, what a part has too little of; empty if it has enough."""
    return " and ".join(str(need) for need in found if need.lacking)


def fits(size: Size, part: Part) -> bool:
    """Return True if a circuit of ``size`` fits ``part``, with room for routing."""
    return all(need.share <= 1 for need in needs(size, part))
