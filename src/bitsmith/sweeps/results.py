"""Results of sweeps: a table of circuits, the best trade-offs among them, and how far the estimates were off."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bitsmith.base.project import write_atomically
from bitsmith.conversion.exploration import written
from bitsmith.errors import CapacityError
from bitsmith.report.figures.scatter import Mark, Scatter, svg
from bitsmith.report.sections import percent
from bitsmith.report.shown import Shown
from bitsmith.sweeps.outcome import Outcome
from bitsmith.sweeps.page import sweep_page
from bitsmith.sweeps.search import OBJECTIVES, Objective
from bitsmith.sweeps.trial import TRIALS, conversion_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bitsmith.model import Model

__all__ = ["Outcome", "Sweep"]

TABLE, DOCUMENT, PICTURE, PAGE = "sweep.csv", "sweep.json", "sweep.svg", "sweep.html"
"""Files of `Sweep.write`."""


@dataclass(frozen=True, slots=True)
class Sweep(Shown):
    """The trials of a sweep that are finished; it prints as a table.

    Attributes:
        folder: where they are.
        outcomes: the trials, in the order in which they ended.
        objectives: the figures that they are compared by.
        interrupted: it was stopped before its end.
    """

    folder: Path
    outcomes: tuple[Outcome, ...]
    objectives: tuple[Objective, ...]
    interrupted: bool

    @property
    def front(self) -> tuple[Outcome, ...]:
        """The circuits that fit and that no other beats in one objective without being worse in another."""
        able = {each.name: place for each in self.outcomes if (place := self._place(each)) is not None}
        return tuple(
            sorted(
                (each for each in self.outcomes if each.name in able and not _beaten(able[each.name], able.values())),
                key=lambda each: able[each.name],
            )
        )

    def _place(self, outcome: Outcome) -> tuple[float, ...] | None:
        """The figures that are compared, of which less is better; None if one is missing, or the circuit does not fit."""
        values = [outcome.figures.get(each.name) for each in self.objectives]
        if outcome.error or not outcome.fits or None in values:
            return None
        pairs = zip(values, self.objectives, strict=True)
        return tuple(-value if each.rises else value for value, each in pairs if value is not None)

    def best(self) -> Outcome:
        """The circuit of the front that is best in the first objective.

        Raises:
            CapacityError: no trial has a circuit that fits.
        """
        if not self.front:
            reasons = sorted({each.said for each in self.outcomes if each.error})
            remedy = f"other values to try{f'. {reasons[0]}' if reasons else ''}"
            raise CapacityError(self.verdict, where=str(self.folder), remedy=remedy)
        return self.front[0]

    def model(self, outcome: Outcome) -> Model:
        """The converted model of a trial, with its own project folder."""
        return conversion_of(self.folder / TRIALS / outcome.name).model()

    @property
    def errors(self) -> dict[str, tuple[float, float, int]]:
        """For figures that were both estimated and measured: the median and the worst error, and the number of circuits.

        Errors are shares of what was measured.
        """
        found: dict[str, tuple[float, float, int]] = {}
        for name in OBJECTIVES:
            pairs = [(each.estimate[name], each.measured[name]) for each in self.outcomes if name in each.measured]
            off = [abs(expected - measured) / measured for expected, measured in pairs if measured]
            if off:
                found[name] = statistics.median(off), max(off), len(off)
        return found

    @property
    def verdict(self) -> str:
        """Number of trials, and of those without a circuit; errors of estimates."""
        failed = sum(bool(each.error) for each in self.outcomes)
        counts = f"{len(self.outcomes)} trials{f', {failed} without a circuit' if failed else ''}"
        off = [
            f"{OBJECTIVES[name].title} {percent(middle)} (worst {percent(worst)})"
            for name, (middle, worst, _) in self.errors.items()
        ]
        wanted = ", ".join(each.title for each in self.objectives)
        none = "" if self.front else f"; no circuit that fits has these figures: {wanted}"
        beside = f"; median errors of estimates: {', '.join(off)}" if off else ""
        return f"{counts}{' (interrupted)' if self.interrupted else ''}{none}{beside}"

    def document(self) -> dict[str, object]:
        """The sweep as plain values."""
        front = {each.name for each in self.front}
        return {
            "verdict": self.verdict,
            "folder": str(self.folder),
            "objectives": [each.name for each in self.objectives],
            "errors": {name: list(found) for name, found in self.errors.items()},
            "trials": [
                {"trial": each.name, "keys": dict(each.keys), "front": each.name in front, **each.found}
                for each in self.outcomes
            ],
        }

    @property
    def _marked(self) -> list[tuple[Outcome, Mark]]:
        """The circuits that have the first two objectives, each with its place in the chart."""
        pairs = [(each, [each.figures.get(goal.name) for goal in self.objectives[:2]]) for each in self.outcomes]
        front = {each.name for each in self.front}
        return [
            (each, Mark(x, y, each.said, each.fits, each.name in front, bool(front) and each is self.front[0]))
            for each, (x, *more) in pairs
            for y in more
            if x is not None and y is not None
        ]

    @property
    def chart(self) -> Scatter | None:
        """The circuits by the first two objectives, the second upwards; None if there are no two, or no circuits."""
        marks = [mark for _, mark in self._marked]
        if not marks:
            return None
        across, up = self.objectives[:2]
        return Scatter(marks, across.title, None, up.title, up.rises, up.name == "loss", None)

    def write(self) -> Path:
        """Write ``sweep.csv``, ``sweep.json``, ``sweep.svg`` and ``sweep.html`` into the sweep's folder; the path of the table.

        Raises:
            ProjectError: they cannot be written.
        """
        front = {each.name for each in self.front}
        keys = list(dict.fromkeys(key for each in self.outcomes for key in each.keys))
        figures = list(dict.fromkeys(name for each in self.outcomes for name in each.figures))
        file = io.StringIO()
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(
            ["trial", *keys, *figures, *(f"estimated_{name}" for name in OBJECTIVES), "fits", "front", "error"]
        )
        for each in self.outcomes:
            values = [
                *(each.figures.get(name, "") for name in figures),
                *(each.estimate.get(name, "") for name in OBJECTIVES),
            ]
            tried = [each.keys.get(key, "") for key in keys]
            rows.writerow([each.name, *tried, *values, each.fits, each.name in front, each.error.partition("\n")[0]])
        text = json.dumps(self.document(), indent=1, default=str)
        picture = self.chart
        drawn = {}
        if picture is not None:
            drawn = {
                PICTURE: svg(picture, self.verdict.partition(";")[0]),
                PAGE: sweep_page(self.folder, self.verdict, picture, self._marked).encode(),
            }
        for name, content in {TABLE: file.getvalue().encode(), DOCUMENT: text.encode(), **drawn}.items():
            write_atomically(self.folder / name, partial(written, content))
        return self.folder / TABLE

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        from bitsmith.report.terminal import rows_table

        shown = [each for each in OBJECTIVES.values() if any(each.name in other.figures for other in self.outcomes)]
        keys = list(dict.fromkeys(key for each in self.outcomes for key in each.keys))
        cells = [
            (*(f"{each.keys.get(key, '')}" for key in keys), *(each.text(figure) for figure in shown), each.name)
            for each in self.front
        ]
        columns = (*keys, *(each.title for each in shown), "Trial")
        failed = Text("\n".join(each.said for each in self.outcomes if each.error), style="red")
        table = rows_table("Best trade-offs", columns, cells)
        warned = Text("\n".join(each.warned for each in self.front if each.warned), style="yellow")
        return Group(Text(self.verdict, style="bold"), table, *(text for text in (failed, warned) if text))

    def __str__(self) -> str:
        from bitsmith.report.terminal import as_text

        return as_text(self.__rich__())

    def __repr__(self) -> str:
        return f"<Sweep: {self.verdict}>"


def _beaten(place: tuple[float, ...], others: Iterable[tuple[float, ...]]) -> bool:
    """Return True if another place is as good in all and better in one."""
    return any(other != place and all(b <= a for a, b in zip(place, other, strict=True)) for other in others)
