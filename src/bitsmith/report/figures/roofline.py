"""Rooflines of engines: what layers attain, beside what multipliers and the memory allow (Williams et al., CACM 52(4), 2009).

In: rows of the section ``Engines``. Out: charts as those of :mod:`scatter`.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from bitsmith.report.figures.scatter import Axis, Mark, Scatter
from bitsmith.report.sections import LayerInTurn, number
from bitsmith.report.terminal import shortened
from bitsmith.report.turns import cycles, rate, waits, weight_bytes

_ROOM = 1.6
"""Times by which an axis goes beyond what it shows, at each end."""

_CHARS, _CHAR, _LINE = 16, 1.15, 5.0
"""Characters of a name at most; the width of one and the height of a line, in percent of the chart."""


@dataclass(frozen=True, slots=True)
class Roofline(Scatter):
    """Layers of an engine by multiplications per byte of weights, and in a cycle; ``names`` are those of the marks.

    ``bandwidth`` is in bytes of weights in a cycle, None where they are in the circuit. Layers without weights are at the right
    end.
    """

    names: Sequence[str]
    multipliers: int
    bandwidth: float | None

    @property
    def x(self) -> Axis:
        """The axis of multiplications per byte, with the place where both parts of the roof meet."""
        ridge = [] if self.bandwidth is None else [self.multipliers / self.bandwidth]
        known = [*(mark.area for mark in self.marks if mark.area < math.inf), *ridge] or [1.0]
        return Axis(min(known) / _ROOM, max(known) * _ROOM, logarithmic=True)

    @property
    def y(self) -> Axis:
        """The axis of multiplications in a cycle."""
        scores = [mark.score for mark in self.marks]
        return Axis(min(scores) / _ROOM, max(*scores, self.multipliers) * _ROOM, logarithmic=True)

    @property
    def steps(self) -> list[tuple[float, float]]:
        """The roof: the rate of the memory as far as it is the lower one, then that of the multipliers."""
        x, y = self.x, self.y
        if self.bandwidth is None:
            corners = [(x.low, float(self.multipliers))]
        else:
            low = max(x.low, y.low / self.bandwidth)
            corners = [(low, low * self.bandwidth), (self.multipliers / self.bandwidth, float(self.multipliers))]
        return [(x.at(area), y.at(score)) for area, score in (*corners, (x.high, float(self.multipliers)))]

    @property
    def texts(self) -> list[tuple[float, float, str]]:
        """Names above their marks, the first ones first, as far as there is room."""
        x, y, kept = self.x, self.y, list[tuple[float, float, str]]()
        for mark, name in zip(self.marks, self.names, strict=True):
            across, up, text = x.at(mark.area), y.at(mark.score) + mark.radius / 3 + 1, shortened(name, _CHARS)
            if all(
                abs(up - other) >= _LINE or abs(across - beside) >= _CHAR * (len(text) + len(taken)) / 2
                for beside, other, taken in kept
            ):
                kept.append((across, up, text))
        return kept


def rooflines(rows: Iterable[LayerInTurn]) -> Iterator[tuple[str, Roofline]]:
    """A chart with a title for each engine; layers of most cycles come first, those of which too little is known do not."""
    for engine, turns in groupby(rows, key=lambda row: row.engine):
        layers = sorted((row for row in turns if row.multipliers and rate(row)), key=cycles, reverse=True)
        if not layers:
            continue
        first, most = layers[0], cycles(layers[0])
        bandwidth = first.word_bits / 8 / first.word_cycles if first.word_bits and first.word_cycles else None
        comes = (
            "weights are in the circuit" if bandwidth is None else f"{number(bandwidth)} bytes of weights in a cycle"
        )
        yield (
            f"Engine {engine}: {number(first.multipliers)} multipliers, {comes}",
            Roofline(
                marks=[_mark(row, 3 + 7 * math.sqrt(cycles(row) / most)) for row in layers],
                area="multiplications per byte of weights",
                limit=None,
                score="multiplications in a cycle",
                rises=True,
                shares=False,
                reference=None,
                names=[row.layer or "" for row in layers],
                multipliers=first.multipliers or 0,
                bandwidth=bandwidth,
            ),
        )


def _mark(row: LayerInTurn, radius: float) -> Mark:
    area = (row.products or 0) / weight_bytes(row) if weight_bytes(row) else math.inf
    label = f"{row.layer}: {number(cycles(row))} cycles, {number(rate(row))} multiplications in each"
    return Mark(area, rate(row), label, not waits(row), not waits(row), False, radius)
