"""The page of a sweep: a chart to choose a circuit from, with the layers and the area of each, and texts to copy.

In: a sweep whose outcomes may come from files of other machines. Out: HTML. What an outcome does not say is left out.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from bitsmith.base.project import Json
from bitsmith.devices import resolve_part
from bitsmith.errors import ConfigError
from bitsmith.estimate.fit import Need, counted
from bitsmith.report.exploration import Circuit, Sheet, page
from bitsmith.report.figures.scatter import Mark, Scatter
from bitsmith.report.sections import number
from bitsmith.sweeps.outcome import Outcome
from bitsmith.sweeps.search import OBJECTIVES
from bitsmith.sweeps.trial import PROJECT, TRIALS

_CELLS = 4
"""Texts in a row of a layer."""

_NOTE = "Figures are those that tools measured, and estimates where no tool did."


def sweep_page(folder: Path, verdict: str, chart: Scatter, marked: Sequence[tuple[Outcome, Mark]]) -> str:
    """The HTML page of the sweep in ``folder`` with its ``chart``, whose marks are those of the outcomes."""
    outcomes = [outcome for outcome, _ in marked]
    keys = list(dict.fromkeys(key for each in outcomes for key in each.keys))
    shown = [each for each in OBJECTIVES.values() if any(each.name in other.figures for other in outcomes)]
    circuits = []
    for outcome, mark in marked:
        cells = [*(f"{outcome.keys.get(key, '')}" for key in keys), *(outcome.text(each) for each in shown)]
        title = ", ".join(f"{key} {value}" for key, value in outcome.keys.items()) or outcome.name
        taken = mark, title, _sentence(outcome), (*cells, number(outcome.fits)), outcome.figures.get("interval", 1) > 1
        circuits.append(Circuit(*taken, _needs(outcome), _layers(outcome.found), _calls(folder, outcome)))
    return page(
        Sheet(
            title=f"Sweep {folder.name}",
            kind="sweep",
            part=_said(outcomes, "part") or "their part",
            data=_said(outcomes, "scored"),
            reference=_said(outcomes, "reference"),
            verdict=verdict,
            note=_NOTE,
            chart=chart,
            columns=(*keys, *(each.title for each in shown), "Fits"),
            texts=len(keys),
            circuits=circuits,
        )
    )


def _said(outcomes: Sequence[Outcome], key: str) -> str:
    """The texts of outcomes, each once."""
    return ", ".join(dict.fromkeys(str(each.found[key]) for each in outcomes if each.found.get(key)))


def _sentence(outcome: Outcome) -> str:
    """The figures of an outcome, beside those that were expected where tools measured others, and its score."""
    texts = []
    for each in OBJECTIVES.values():
        if outcome.text(each):
            expected = outcome.estimate.get(each.name)
            other = each.name in outcome.measured and expected != outcome.measured[each.name]
            beside = f" (expected {number(expected)})" if other and expected is not None else ""
            texts.append(f"{each.title} {outcome.text(each)}{beside}")
    score = outcome.found.get("score")
    return f"{'; '.join([*([f'Score {score}'] if score else []), *texts])}."


def _needs(outcome: Outcome) -> tuple[Need, ...]:
    """Needs of a circuit for its part; none without figures, or of a part that is not known here."""
    figures = outcome.figures
    areas = [figures.get(name) for name in ("lut", "ff", "dsp", "bram")]
    lut, ff, dsp, bram = (None if value is None else round(value) for value in areas)
    try:
        part = resolve_part(str(outcome.found.get("part") or ""))
    except ConfigError:
        return ()
    if lut is None or ff is None or dsp is None or bram is None:
        return ()
    return counted(part, luts=lut, ffs=ff, dsps=dsp, brams=bram, large=0)


def _layers(found: Mapping[str, Json]) -> list[list[str]]:
    """The rows of layers that a result has."""
    rows = found.get("layers")
    listed = rows if isinstance(rows, list) else []
    return [list(map(str, row)) for row in listed if isinstance(row, list) and len(row) == _CELLS]


def _calls(folder: Path, outcome: Outcome) -> dict[str, str]:
    """Texts to copy: the command that converts a trial, and its project."""
    path = folder / TRIALS / outcome.name / PROJECT
    calls = {"Command": f"bitsmith convert {shlex.quote(str(path))} -o {shlex.quote(outcome.name)}"}
    return {**calls, **({"Project (YAML)": path.read_text(encoding="utf-8")} if path.is_file() else {})}
