"""Outcomes of a sweep's trials: the figures that a result has, and why there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitsmith.base.project import Json
from bitsmith.devices import resolve_part
from bitsmith.errors import ConfigError
from bitsmith.estimate.fit import Need, counted
from bitsmith.report.exploration import Circuit
from bitsmith.report.figures.scatter import Mark
from bitsmith.report.sections import number, percent
from bitsmith.sweeps.search import OBJECTIVES, Keys, Objective

_CELLS = 4
"""Texts in a row of a layer."""


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
        """The keys, and the first lines of what the conversion and the build warned of; empty if of nothing."""
        notes = self.found.get("notes")
        lines = [str(note).partition("\n")[0] for note in notes] if isinstance(notes, list) else []
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


def _short(value: float) -> float:
    return round(value, 1) if isinstance(value, float) else value
