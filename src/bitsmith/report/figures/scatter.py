"""Circuits by area and score as a chart: positions for the page, and the same as an SVG file.

In: areas, scores, the front, and limits. Out: positions in percent of the frame, ticks, bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

_PADDING = 0.05
"""Share of an axis that is free at each end."""

_TICKS, _APART = 5, 13.0
"""About the ticks of an axis, and the percent of it that are between two at least."""

_DECADES = 8.0
"""Times between the ends of an axis from which ticks are 1, 2 and 5 of each power of ten."""

_WORST = 0.15
"""Shares of right samples so far below the best are drawn at the bottom."""

_NEAR = 2.0
"""A limit is drawn if it is within so many times the largest area."""

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 760, 440, 80, 50, 20, 60
_LINE, _TEXT, _SOFT, _BLUE, _RED, _GREEN, _PAPER = (
    *("#dfe4ea", "#1b2430", "#5a6675", "#2b6a99", "#b3261e", "#20744a", "#ffffff"),
)


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis between two values, on which equal distances are equal ratios if it is ``logarithmic``; it may be ``falling``."""

    low: float
    high: float
    logarithmic: bool
    falling: bool = False

    def at(self, value: float) -> float:
        """The position of a value in percent; values beyond an end are at the end."""
        scale = math.log if self.logarithmic else float
        low, high = scale(self.low), scale(self.high)
        share = (scale(min(max(value, self.low), self.high)) - low) / (high - low)
        share = _PADDING + (1 - 2 * _PADDING) * share
        return 100 * (1 - share if self.falling else share)

    def ticks(self) -> list[float]:
        """Round values within the axis, so far from each other that their texts do not meet."""
        kept: list[float] = []
        for value in self._round_values():
            if not kept or abs(self.at(value) - self.at(kept[-1])) >= _APART:
                kept.append(value)
        return kept

    def _round_values(self) -> list[float]:
        if not (self.logarithmic and self.high / self.low > _DECADES):
            rough = (self.high - self.low) / _TICKS
            unit = 10.0 ** math.floor(math.log10(rough))
            step = next(unit * digit for digit in (1, 2, 5, 10) if unit * digit >= rough)
            return [step * k for k in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            values = [digit * 10.0**power for power in powers for digit in digits]
            values = [value for value in values if self.low <= value <= self.high]
            if len(values) <= _TICKS + 1:
                break
        return values


@dataclass(frozen=True, slots=True)
class Mark:
    """A circuit; ``front``: none is better, as small and as fast."""

    area: float
    score: float
    label: str
    fits: bool
    front: bool
    chosen: bool


@dataclass(frozen=True, slots=True)
class Scatter:
    """Marks by an area and a score with their names; scores are better upwards, whether more of them is better or less.

    ``limit`` is the largest area, ``reference`` a score to reach; None: there is none. ``shares``: scores are shown in percent.
    """

    marks: Sequence[Mark]
    area: str
    limit: int | None
    score: str
    rises: bool
    shares: bool
    reference: float | None

    @property
    def x(self) -> Axis:
        """The axis of areas."""
        areas = [max(mark.area, 1) for mark in self.marks]
        near = self.limit is not None and self.limit <= _NEAR * max(areas)
        high = max(*areas, self.limit or 0) if near else max(areas)
        low = min(*areas, high / 1.5)
        return Axis(low, high, logarithmic=True)

    @property
    def y(self) -> Axis:
        """The axis of scores."""
        scores = [mark.score for mark in self.marks] + ([] if self.reference is None else [self.reference])
        if self.rises:
            high = max(scores)
            low = max(min(scores), high - _WORST) if self.shares else min(scores)
            return Axis(min(low, high - 0.01), high, logarithmic=False)
        known = [score for score in scores if score > 0] or [1.0]
        return Axis(min(min(known), max(known) / 2), max(known), logarithmic=True, falling=True)

    @property
    def has_limit(self) -> bool:
        """Return True if the limit is within the chart."""
        return self.limit is not None and self.limit <= self.x.high

    def tick(self, value: float) -> str:
        """A score at a tick."""
        return f"{100 * value:.3g} %" if self.shares else f"{value:,.5g}"

    @property
    def steps(self) -> list[tuple[float, float]]:
        """The line along the front: the best score within each area, at any speed."""
        x, y = self.x, self.y
        corners: list[tuple[float, float]] = []
        for mark in sorted((mark for mark in self.marks if mark.front), key=lambda mark: mark.area):
            height = max(y.at(mark.score), corners[-1][1] if corners else 0.0)
            corners += [(x.at(mark.area), corners[-1][1])] if corners else []
            corners.append((x.at(mark.area), height))
        return corners


def svg(drawn: Scatter, title: str) -> bytes:
    """``drawn`` as a file of SVG 1.1."""
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">'
    paper = f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="{_PAPER}"/>'
    parts = [*_frame(drawn), *_lines(drawn), *_marks(drawn)]
    return "\n".join([head, paper, _text(_LEFT, 24, title, "start", _TEXT), *parts, "</svg>", ""]).encode()


def _frame(drawn: Scatter) -> Iterator[str]:
    """The grid, and what the axes mean."""
    for value in drawn.x.ticks():
        x = _x(drawn.x.at(value))
        yield _line(x, _TOP, x, _HEIGHT - _BOTTOM, _LINE)
        yield _text(x, _HEIGHT - _BOTTOM + 18, f"{value:,.0f}", "middle", _SOFT)
    for value in drawn.y.ticks():
        y = _y(drawn.y.at(value))
        yield _line(_LEFT, y, _WIDTH - _RIGHT, y, _LINE)
        yield _text(_LEFT - 8, y + 4, drawn.tick(value), "end", _SOFT)
    yield _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 16, drawn.area, "middle", _TEXT)
    yield _text(_WIDTH - _RIGHT, _TOP - 8, f"better upwards: {drawn.score}", "end", _SOFT)


def _lines(drawn: Scatter) -> Iterator[str]:
    """The front, the part's limit, and the float model."""
    corners = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in drawn.steps)
    yield f'<polyline points="{corners}" fill="none" stroke="{_BLUE}" stroke-width="1.6"/>'
    if drawn.has_limit and drawn.limit is not None:
        x = _x(drawn.x.at(drawn.limit))
        yield _line(x, _TOP, x, _HEIGHT - _BOTTOM, _RED, dashes="6 4")
        yield _text(x - 6, _HEIGHT - _BOTTOM - 8, "limit of the part", "end", _RED)
    if drawn.reference is not None and drawn.reference > 0:
        y = _y(drawn.y.at(drawn.reference))
        yield _line(_LEFT, y, _WIDTH - _RIGHT, y, _GREEN, dashes="2 3")
        yield _text(_LEFT + 6, y - 6, "float model", "start", _GREEN)


def _marks(drawn: Scatter) -> Iterator[str]:
    for mark in sorted(drawn.marks, key=lambda mark: (mark.chosen, mark.front)):
        x, y = _x(drawn.x.at(mark.area)), _y(drawn.y.at(mark.score))
        color = _BLUE if mark.fits else _RED
        fill = color if mark.front else _PAPER
        middle = f'cx="{x:.1f}" cy="{y:.1f}" stroke-width="1.6"'
        yield f'<circle {middle} r="5" fill="{fill}" stroke="{color}"><title>{escape(mark.label)}</title></circle>'
        if mark.chosen:
            yield f'<circle {middle} r="9" fill="none" stroke="{_TEXT}"/>'


def _x(percent: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * percent / 100


def _y(percent: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * percent / 100


def _line(x0: float, y0: float, x1: float, y1: float, color: str, dashes: str = "none") -> str:
    ends = f'x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"'
    return f'<line {ends} stroke="{color}" stroke-dasharray="{dashes}"/>'


def _text(x: float, y: float, text: str, anchor: str, color: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{escape(text)}</text>'
