"""Outcomes of a sweep's trials: the figures that a result has, and why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bitsmith.base.project import Json
from bitsmith.report.sections import number, percent
from bitsmith.sweeps.search import OBJECTIVES, Keys, Objective


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
    def of(name: str, keys: Keys, found: Mapping[str, Json]) -> Outcome:
        """The outcome that a result says."""
        figures, estimate = _numbers(found.get("figures")), _numbers(found.get("estimate"))
        measured = {key: value for key, value in _numbers(found.get("measured")).items() if key in estimate}
        fits, error = bool(found.get("fits")), str(found.get("error") or "")
        return Outcome(name, keys, figures, estimate, measured, fits, error, found)

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


def _numbers(values: Json) -> dict[str, float]:
    items = values.items() if isinstance(values, Mapping) else ()
    return {name: value for name, value in items if isinstance(value, int | float) and not isinstance(value, bool)}


def _short(value: float) -> float:
    return round(value, 1) if isinstance(value, float) else value
