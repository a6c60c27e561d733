"""Circuits by area and score as a chart: positions for the page, and the same as an SVG file.

In: areas, scores, the front, and limits. Out: positions in percent of the frame, ticks, bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.report.template import rendered

_PADDING = 0.05
"""Share of an axis that is free at each end."""

_TICKS, _APART = 5, 13.0
"""About the ticks of an axis, and the percent of it that are between two at least."""

_DECADES = 8.0
"""Times between the ends of an axis from which ticks are 1, 2 and 5 of each power of ten."""

_WORST = 0.15
"""Shares of right samples so far below the best are drawn at the bottom."""

_COLORS = "#dfe4ea", "#1b2430", "#5a6675", "#2b6a99", "#b3261e", "#20744a", "#ffffff"
"""Grid, ink, soft ink, what fits and the front, what does not and limits, references, and paper."""

_NEAR = 2.0
"""A limit is drawn if it is within so many times the largest area."""


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
    """A circuit; ``front``: none is better, as small and as fast. ``radius`` is in pixels."""

    area: float
    score: float
    label: str
    fits: bool
    front: bool
    chosen: bool
    radius: float = 5.0


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

    @property
    def texts(self) -> list[tuple[float, float, str]]:
        """Positions of texts, and these; circuits are too many for names."""
        return []


def svg(drawn: Scatter, title: str) -> bytes:
    """``drawn`` as a file of SVG 1.1."""
    return rendered("scatter.svg", chart=drawn, title=title, colors=_COLORS).encode()
