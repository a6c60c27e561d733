"""Positions of things in the pictures of the HTML page and of ``plot_model``.

In: layer rows. Out: plain coordinates in pixels, which the page's template draws as inline SVG, and :mod:`picture` in files.
No text is composed into markup here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bitsmith.report.summary import LayerRow

_LANE_WIDTH = 36
_MARGIN = 12
_LABEL_CHARS = 24
_SWEEPS = 4

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """Sizes in pixels of the boxes, of the gaps between them, and of the room after the last one.

    The network flows downwards: swap the coordinates of a diagram, and it flows to the right.
    """

    box_width: float = 210
    box_height: float = 46
    gap_x: float = 24
    gap_y: float = 44
    behind: float = 40


@dataclass(frozen=True, slots=True)
class Box:
    """A layer of the diagram: ``x`` is its center, ``y`` its upper edge."""

    x: float
    y: float
    layer: LayerRow
    name: str
    title: str
    wires: str
    empty: bool
    output: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A piece of a connection: from the first point straight to the second, then a cubic curve over two more to the last.

    The last piece ``arrives`` at a box.
    """

    points: tuple[Point, Point, Point, Point, Point]
    arrives: bool

    @property
    def path(self) -> str:
        """The piece as an SVG path."""
        start, bend, *curve = (f"{x:.1f} {y:.1f}" for x, y in self.points)
        return f"M{start}L{bend}C{' '.join(curve)}"

    @property
    def turned(self) -> Edge:
        """The piece of a network that flows to the right."""
        first, second, third, fourth, last = ((y, x) for x, y in self.points)
        return Edge((first, second, third, fourth, last), self.arrives)


@dataclass(frozen=True, slots=True)
class Diagram:
    """Layers from top to bottom, and the connections between them."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    box_width: float
    box_height: float


@dataclass(slots=True)
class _Place:
    """A box, or the lane of an edge that passes a level; ``above`` are the places whose edges end here."""

    row: LayerRow | None
    level: int
    above: list[_Place]
    x: float = 0.0

    def width(self, frame: Frame) -> float:
        return _LANE_WIDTH if self.row is None else frame.box_width

    def top(self, frame: Frame) -> float:
        return _MARGIN + self.level * (frame.box_height + frame.gap_y)


def diagram(rows: Sequence[LayerRow], outputs: Sequence[str], frame: Frame = Frame()) -> Diagram:
    """The layers drawn in levels: each stands below everything it reads (after K. Sugiyama et al., IEEE SMC 11(2), 1981)."""
    levels = _levels(rows)
    _spread(levels, frame)
    width = 2 * _MARGIN + max((_extent(level, frame) for level in levels), default=0)
    places = [place for level in levels for place in level]
    edges = [
        Edge(_points(frame, width, source, place, index), place.row is not None)
        for place in places
        for index, source in enumerate(place.above)
    ]
    boxes = [_box(frame, width, place, place.row, outputs) for place in places if place.row is not None]
    height = 2 * _MARGIN + len(levels) * (frame.box_height + frame.gap_y) - frame.gap_y + frame.behind
    return Diagram(width, height, tuple(boxes), tuple(edges), frame.box_width, frame.box_height)


def _levels(rows: Sequence[LayerRow]) -> list[list[_Place]]:
    level: dict[str, int] = {}
    places: dict[str, _Place] = {}
    levels: list[list[_Place]] = []
    for row in rows:
        known = [name for name in row.inputs if name in places]
        level[row.name] = 1 + max((level[name] for name in known), default=-1)
        while len(levels) <= level[row.name]:
            levels.append([])
        place = _Place(row, level[row.name], [])
        for name in known:
            place.above.append(_lanes(places[name], level[row.name], levels))
        levels[place.level].append(place)
        places[row.name] = place
    return levels


def _lanes(source: _Place, level: int, levels: list[list[_Place]]) -> _Place:
    """The last of the lanes that lead from ``source`` to just above ``level``."""
    for passed in range(source.level + 1, level):
        source = _Place(None, passed, [source])
        levels[passed].append(source)
    return source


def _spread(levels: list[list[_Place]], frame: Frame) -> None:
    """Order each level by where its operands stand, and center it; ``x`` is then relative to the picture's middle."""
    for _ in range(_SWEEPS):
        for places in levels:
            places.sort(key=lambda place: sum(a.x for a in place.above) / len(place.above) if place.above else place.x)
            left = -_extent(places, frame) / 2
            for place in places:
                place.x = left + place.width(frame) / 2
                left += place.width(frame) + frame.gap_x


def _extent(places: Sequence[_Place], frame: Frame) -> float:
    return sum(place.width(frame) for place in places) + frame.gap_x * (len(places) - 1)


def _box(frame: Frame, width: float, place: _Place, row: LayerRow, outputs: Sequence[str]) -> Box:
    return Box(
        x=width / 2 + place.x,
        y=place.top(frame),
        layer=row,
        name=_shortened(row.name),
        title=_shortened(f"{row.title} \u00b7 {row.shape_text}"),
        wires=("absorbed" if row.absorbed else "folded" if row.folded else "none")
        if row.result is None
        else f"{math.prod(row.shape):,} \u00d7 {row.result.short}",
        empty=row.result is None,
        output=row.name in outputs,
    )


def _points(
    frame: Frame, width: float, source: _Place, target: _Place, index: int
) -> tuple[Point, Point, Point, Point, Point]:
    """From below ``source`` to entry ``index`` of ``target``; a lane is crossed straight."""
    x0, y0 = width / 2 + source.x, source.top(frame) + frame.box_height
    spread = 0.0
    if target.row is not None:
        spread = ((index + 1) / (len(target.above) + 1) - 0.5) * frame.box_width * 0.6
    x1, y1 = width / 2 + target.x + spread, target.top(frame)
    bend = (y1 - y0) * 0.6
    start = y0 - frame.box_height if source.row is None else y0
    return (x0, start), (x0, y0), (x0, y0 + bend), (x1, y1 - bend), (x1, y1)


def _shortened(text: str) -> str:
    return text if len(text) <= _LABEL_CHARS else text[: _LABEL_CHARS - 1] + "\u2026"


_MOST_TICKS = 12


@dataclass(frozen=True, slots=True)
class Tick:
    """A power of two on the axis; ``x`` in percent of its length."""

    x: float
    exponent: int


@dataclass(frozen=True, slots=True)
class RangeBar:
    """One layer's bits: from the lowest to the highest; marks at the largest magnitude proved and the largest seen.

    All in percent of the axis.
    """

    name: str
    left: float
    right: float
    proved: float | None
    seen: float | None
    wires: str
    frac: str
    lo: float | None
    hi: float | None


@dataclass(frozen=True, slots=True)
class RangeChart:
    """Value ranges against types on an axis of powers of two."""

    ticks: tuple[Tick, ...]
    bars: tuple[RangeBar, ...]
    has_seen: bool


def range_chart(rows: Sequence[LayerRow]) -> RangeChart | None:
    """The bits of every layer's result; None if no layer has any."""
    shown = [(row, row.result) for row in rows if row.result is not None and row.result.width_max > 0]
    if not shown:
        return None
    low = min(-result.frac_max for _, result in shown)
    high = max([result.top for _, result in shown] + [low + 1])
    high = max([high] + [math.ceil(seen) for row, _ in shown if (seen := _exponent(row.observed)) is not None])

    def x(exponent: float) -> float:
        return 100 * (max(exponent, low) - low) / (high - low)

    bars = []
    for row, result in shown:
        proved, seen = _exponent((result.lo, result.hi)), _exponent(row.observed)
        bars.append(
            RangeBar(
                name=_shortened(row.name),
                left=x(-result.frac_max),
                right=x(max(result.top, -result.frac_max + 1)),
                proved=None if proved is None else x(proved),
                seen=None if seen is None else x(seen),
                wires=result.short,
                frac=result.frac,
                lo=result.lo,
                hi=result.hi,
            )
        )
    step = max(1, math.ceil((high - low) / _MOST_TICKS))
    first = math.ceil(low / step) * step
    return RangeChart(
        ticks=tuple(Tick(x(exponent), exponent) for exponent in range(first, high + 1, step)),
        bars=tuple(bars),
        has_seen=any(bar.seen is not None for bar in bars),
    )


def _exponent(interval: tuple[float | None, float | None] | None) -> float | None:
    """Log2 of the largest magnitude; None if unknown or zero."""
    if interval is None or interval[0] is None or interval[1] is None:
        return None
    largest = max(abs(interval[0]), abs(interval[1]))
    return math.log2(largest) if largest > 0 else None
