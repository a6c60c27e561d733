"""Results of sweeps: a table of circuits, the best trade-offs among them, and how far the estimates were off.

The outcome of a trial has the figures that its result has, or why there are none.
"""

from __future__ import annotations

import csv
import io
import json
import shlex
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from bitsmith.base.project import Json, write_atomically
from bitsmith.devices.parts import resolve_part
from bitsmith.errors import CapacityError, ConfigError
from bitsmith.estimate.needs import Need, counted
from bitsmith.report.exploration import Circuit, Sheet, page
from bitsmith.report.figures.scatter import Mark, Scatter, svg
from bitsmith.report.sections import number, percent
from bitsmith.report.shown import Shown
from bitsmith.sweeps.search import OBJECTIVES, Keys, Objective
from bitsmith.sweeps.trial import PROJECT, TRIALS, conversion_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bitsmith.model import Model

_CELLS = 4
"""Texts in a row of a layer."""

__all__ = ["Outcome", "Sweep"]

TABLE, DOCUMENT, PICTURE, PAGE = "sweep.csv", "sweep.json", "sweep.svg", "sweep.html"
"""Files of `Sweep.write`."""

_NOTE = "Figures are those that tools measured, and estimates where no tool did."


@dataclass(frozen=True, slots=True)
class Outcome:
    """A trial that is finished.

    Attributes:
        name: of its folder below ``trials``.
        keys: what was tried, by the grid's keys.
        figures: area, speed, score and loss: as measured, or else as estimated.
        estimate: the figures that were expected before any tool ran.
        measured: those of them that tools counted or measured.
        fits: whether the circuit is estimated to fit its part.
        error: why there are no figures; empty if there are.
        found: the content of its ``result.json``.
    """

    name: str
    keys: Keys
    figures: Mapping[str, float]
    estimate: Mapping[str, float]
    measured: Mapping[str, float]
    fits: bool
    error: str
    found: Mapping[str, Json]

    @staticmethod
    def of(name: str, keys: Keys, record: Mapping[str, Json]) -> Outcome:
        """The outcome that a result says."""
        figures, estimate = _numbers(record.get("figures")), _numbers(record.get("estimate"))
        measured = {key: value for key, value in _numbers(record.get("measured")).items() if key in estimate}
        fits, error = bool(record.get("fits")), str(record.get("error") or "")
        return Outcome(name, keys, figures, estimate, measured, fits, error, record)

    @property
    def said(self) -> str:
        """The keys, and figures or the first line of the error."""
        keys = ", ".join(f"{key}={value}" for key, value in self.keys.items())
        shown = (
            f"{each.title} {self.text(each)}" for each in OBJECTIVES.values() if each.name in ("lut", "fmax", "loss")
        )
        return f"{keys}: {self.error.splitlines()[0] if self.error else ', '.join(shown)}"

    @property
    def warned(self) -> str:
        """The keys, and the beginnings of what the conversion and the build warned of; empty if of nothing."""
        notes = self.found.get("notes")
        lines = [_first(str(note)) for note in notes] if isinstance(notes, list) else []
        keys = ", ".join(f"{key}={value}" for key, value in self.keys.items())
        return f"{keys}: {'; '.join(lines)}" if lines else ""

    def text(self, figure: Objective) -> str:
        """A figure as tables show it; empty if there is none."""
        value = self.figures.get(figure.name)
        return "" if value is None else percent(value) if figure.name == "loss" else number(_short(value))

    @property
    def _sentence(self) -> str:
        """The figures, beside those that were expected where tools measured others, and the score."""
        score = self.found.get("score")
        texts = [f"Score {score}"] if score else []
        for each in OBJECTIVES.values():
            expected = self.estimate.get(each.name, 0)
            beside = f" (expected {number(expected)})" if self.measured.get(each.name, expected) != expected else ""
            texts += [f"{each.title} {self.text(each)}{beside}"] if self.text(each) else []
        return f"{'; '.join(texts)}."

    @property
    def _needs(self) -> tuple[Need, ...]:
        """Needs of the circuit for its part; none without figures, or of a part that is not known here."""
        try:
            luts, ffs, dsps, brams = (round(self.figures[name]) for name in ("lut", "ff", "dsp", "bram"))
            part = resolve_part(str(self.found.get("part") or ""))
        except (ConfigError, KeyError):
            return ()
        return counted(part, luts=luts, ffs=ffs, dsps=dsps, brams=brams, large=0)

    @property
    def _layers(self) -> list[list[str]]:
        """The rows of layers."""
        rows = self.found.get("layers")
        listed = rows if isinstance(rows, list) else []
        return [list(map(str, row)) for row in listed if isinstance(row, list) and len(row) == _CELLS]


def circuit_of(outcome: Outcome, mark: Mark, cells: Sequence[str], calls: Mapping[str, str]) -> Circuit:
    """An outcome as pages show it. What it does not say, as that of a file from another machine, is left out."""
    title = ", ".join(f"{key} {value}" for key, value in outcome.keys.items()) or outcome.name
    shared = outcome.figures.get("interval", 1) > 1
    return Circuit(mark, title, outcome._sentence, cells, shared, outcome._needs, outcome._layers, tuple, calls)


def _numbers(values: Json) -> dict[str, float]:
    items = values.items() if isinstance(values, Mapping) else ()
    return {name: value for name, value in items if isinstance(value, int | float) and not isinstance(value, bool)}


def _first(note: str) -> str:
    """The first line of a note, and the next one where that only announces it."""
    first, *rest = note.splitlines() or [""]
    return " ".join([first, *map(str.strip, rest[:1])]) if first.endswith(":") else first


def _short(value: float) -> float:
    return round(value, 1) if isinstance(value, float) else value


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
        errors: dict[str, tuple[float, float, int]] = {}
        for name in OBJECTIVES:
            pairs = [(each.estimate[name], each.measured[name]) for each in self.outcomes if name in each.measured]
            off = [abs(expected - measured) / measured for expected, measured in pairs if measured]
            if off:
                errors[name] = statistics.median(off), max(off), len(off)
        return errors

    @property
    def importance(self) -> dict[str, dict[str, float]]:
        """For each key of several values, and each objective: the share of the figure's variance that the key's values explain.

        It is that of the means of circuits with the same value. Shares of keys sum to 1 at most if all combinations were tried.
        """
        shares: dict[str, dict[str, float]] = {}
        for key in self._keys:
            groups: dict[str, list[Outcome]] = {}
            for each in self.outcomes:
                groups.setdefault(str(each.keys.get(key)), []).append(each)
            for name in (goal.name for goal in self.objectives if len(groups) > 1):
                figures = [[each.figures[name] for each in group if name in each.figures] for group in groups.values()]
                share = _explained([values for values in figures if values])
                shares.setdefault(key, {}).update({} if share is None else {name: share})
        return shares

    @property
    def _decided(self) -> list[tuple[str, ...]]:
        """The same as a table, its heading first; empty where one key alone was tried."""
        rows = [
            (key, *(percent(shares[goal.name]) if goal.name in shares else "" for goal in self.objectives))
            for key, shares in self.importance.items()
        ]
        return [("Key", *(each.title for each in self.objectives)), *rows] if len(rows) > 1 else []

    @property
    def verdict(self) -> str:
        """Number of trials, and of those without a circuit; errors of estimates."""
        failed = sum(bool(each.error) for each in self.outcomes)
        pruned = sum(bool(each.found.get("pruned")) for each in self.outcomes)
        counts = f"{len(self.outcomes)} trials{f', {failed} without a circuit' if failed else ''}"
        counts += f", {pruned} stopped since they do not fit" if pruned else ""
        off = [
            f"{OBJECTIVES[name].title} {percent(middle)} (worst {percent(worst)})"
            for name, (middle, worst, _) in self.errors.items()
        ]
        wanted = ", ".join(each.title for each in self.objectives)
        none = "" if self.front else f"; no circuit that fits has these figures: {wanted}"
        beside = f"; median errors of estimates: {', '.join(off)}" if off else ""
        data = f". {assumed}" if (assumed := self._said("assumed")) else ""
        return f"{counts}{' (interrupted)' if self.interrupted else ''}{none}{beside}{data}"

    def document(self) -> dict[str, object]:
        """The sweep as plain values."""
        front = {each.name for each in self.front}
        return {
            "verdict": self.verdict,
            "folder": str(self.folder),
            "objectives": [each.name for each in self.objectives],
            "errors": {name: list(found) for name, found in self.errors.items()},
            "importance": self.importance,
            "trials": [
                {"trial": each.name, "keys": dict(each.keys), "front": each.name in front, **each.found}
                for each in self.outcomes
            ],
        }

    @property
    def _keys(self) -> list[str]:
        """All keys that were tried."""
        return list(dict.fromkeys(key for each in self.outcomes for key in each.keys))

    @property
    def _shown(self) -> list[Objective]:
        """The figures that tables show."""
        return [each for each in OBJECTIVES.values() if any(each.name in other.figures for other in self.outcomes)]

    def _cells(self, outcome: Outcome) -> list[str]:
        """The keys of an outcome, and its figures."""
        return [*(f"{outcome.keys.get(key, '')}" for key in self._keys), *map(outcome.text, self._shown)]

    @property
    def _sheet(self) -> Sheet | None:
        """The circuits of the chart as pages show them; None where there is no chart."""
        front, circuits = self.front, []
        for trial in self.outcomes:
            places = [trial.figures[goal.name] for goal in self.objectives[:2] if goal.name in trial.figures]
            for x, y in pairwise(places):
                mark = Mark(x, y, trial.said, trial.fits, trial in front, bool(front) and trial is front[0])
                circuits.append(circuit_of(trial, mark, [*self._cells(trial), number(trial.fits)], self._calls(trial)))
        if not circuits:
            return None
        across, up = self.objectives[:2]
        marks = [circuit.mark for circuit in circuits]
        return Sheet(
            title=f"Sweep {self.folder.name}",
            kind="sweep",
            part=self._said("part") or "their part",
            data=self._said("scored"),
            reference=self._said("reference"),
            verdict=self.verdict,
            note=_NOTE,
            chart=Scatter(marks, across.title, None, up.title, up.rises, up.name == "loss", None),
            columns=(*self._keys, *(each.title for each in self._shown), "Fits"),
            texts=len(self._keys),
            circuits=circuits,
            decided=self._decided,
        )

    @property
    def chart(self) -> Scatter | None:
        """The circuits by the first two objectives, the second upwards; None if there are no two, or no circuits."""
        return None if self._sheet is None else self._sheet.chart

    def _said(self, key: str) -> str:
        """The texts of outcomes, each once."""
        return ", ".join(dict.fromkeys(str(each.found[key]) for each in self.outcomes if each.found.get(key)))

    def _calls(self, outcome: Outcome) -> dict[str, str]:
        """Texts to copy: the command that converts a trial, and its project."""
        path = self.folder / TRIALS / outcome.name / PROJECT
        calls = {"Command": f"bitsmith convert {shlex.quote(str(path))} -o {shlex.quote(outcome.name)}"}
        return {**calls, **({"Project (YAML)": path.read_text(encoding="utf-8")} if path.is_file() else {})}

    def write(self) -> Path:
        """Write ``sweep.csv``, ``sweep.json``, ``sweep.svg`` and ``sweep.html`` into the sweep's folder; the path of the table.

        Raises:
            ProjectError: they cannot be written.
        """
        front = {each.name for each in self.front}
        figures = list(dict.fromkeys(name for each in self.outcomes for name in each.figures))
        file = io.StringIO()
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(
            ["trial", *self._keys, *figures, *(f"estimated_{name}" for name in OBJECTIVES), "fits", "front", "error"]
        )
        for trial in self.outcomes:
            values = [
                *(trial.figures.get(name, "") for name in figures),
                *(trial.estimate.get(name, "") for name in OBJECTIVES),
            ]
            tried = [trial.keys.get(key, "") for key in self._keys]
            rows.writerow(
                [trial.name, *tried, *values, trial.fits, trial.name in front, trial.error.partition("\n")[0]]
            )
        text = json.dumps(self.document(), indent=1, default=str)
        sheet, drawn = self._sheet, {}
        if sheet is not None:
            drawn = {PICTURE: svg(sheet.chart, self.verdict.partition(";")[0]), PAGE: page(sheet).encode()}
        for name, content in {TABLE: file.getvalue().encode(), DOCUMENT: text.encode(), **drawn}.items():
            write_atomically(self.folder / name, content)
        return self.folder / TABLE

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        from bitsmith.report.terminal import rows_table

        cells = [(*self._cells(each), each.name) for each in self.front]
        columns = (*self._keys, *(each.title for each in self._shown), "Trial")
        failed = Text("\n".join(each.said for each in self.outcomes if each.error), style="red")
        tables = [rows_table("Best trade-offs", columns, cells)]
        if decided := self._decided:
            tables.append(rows_table("What decides (shares of the variance)", decided[0], decided[1:]))
        warned = Text("\n".join(each.warned for each in self.front if each.warned), style="yellow")
        return Group(Text(self.verdict, style="bold"), *tables, *(text for text in (failed, warned) if text))

    def __repr__(self) -> str:
        return f"<Sweep: {self.verdict}>"


def _explained(groups: Sequence[Sequence[float]]) -> float | None:
    """The share of the variance of all values that is one of the groups' means; None if all values are the same."""
    every = [value for group in groups for value in group]
    spread = len(every) * statistics.pvariance(every) if every else 0.0
    middle = statistics.fmean(every) if every else 0.0
    between = sum(len(group) * (statistics.fmean(group) - middle) ** 2 for group in groups)
    return between / spread if spread else None


def _beaten(place: tuple[float, ...], others: Iterable[tuple[float, ...]]) -> bool:
    """Return True if another place is as good in all and better in one."""
    return any(other != place and all(b <= a for a, b in zip(place, other, strict=True)) for other in others)
