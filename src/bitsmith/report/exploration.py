"""Explorations as a table of the terminal, and as one HTML page that needs nothing else.

In: circuits with their scores and areas. Out: renderables and texts. On the page radio buttons are the marks of the chart, and
style sheets show the circuit whose button is chosen; the one script copies texts.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from bitsmith.estimate.fit import Need
from bitsmith.report.bars import Bar, used
from bitsmith.report.figures.scatter import Mark, Scatter
from bitsmith.report.html import rendered
from bitsmith.report.sections import number
from bitsmith.report.summary import LayerRow
from bitsmith.report.terminal import constant_text, rows_table

_BETWEEN = "between layers"
_LEAST_LUTS = 0.5

_SCRIPT = """
addEventListener("click", event => {
  const button = event.target.closest("button[data-copies]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copies);
  getSelection().selectAllChildren(text);
  if (navigator.clipboard) navigator.clipboard.writeText(text.textContent).then(() => { button.textContent = "Copied"; });
});
"""


@dataclass(frozen=True, slots=True)
class Circuit:
    """A circuit with its ``bits`` of weights and results, score and loss against the float model, and what it takes.

    ``interval`` are the cycles from one result to the next; ``layout`` names its reuse factors, unless they are the user's.
    ``luts`` are look-up tables by layer; ``calls`` are texts to copy that lead to the circuit, by heading.
    """

    mark: Mark
    bits: tuple[str, str]
    interval: int
    layout: str
    score: str
    loss: float
    needs: Sequence[Need]
    layers: Sequence[LayerRow]
    luts: Mapping[str, float]
    calls: Mapping[str, str]

    @property
    def bars(self) -> list[Bar]:
        """A bar for each resource of the part."""
        return [used(need) for need in self.needs]

    @property
    def table(self) -> list[tuple[str, str, str, str]]:
        """Layers with the formats of their constants and results, and about their look-up tables."""
        known = {row.name for row in self.layers}
        rows = [
            (
                row.name,
                "; ".join(constant_text(constant) for constant in row.constants),
                row.result.short if row.result is not None else "",
                _luts(self.luts.get(row.name, 0.0)),
            )
            for row in self.layers
        ]
        others = sum(luts for layer, luts in self.luts.items() if layer not in known)
        return [*rows, *([(_BETWEEN, "", "", _luts(others))] if others > _LEAST_LUTS else [])]


@dataclass(frozen=True, slots=True)
class Sheet:
    """An exploration.

    ``kinds`` are the kinds of the circuits' scores; ``reference`` is the float model's as text, empty where circuits are
    compared with its outputs.
    """

    title: str
    part: str
    verdict: str
    samples: int
    kinds: str
    reference: str
    chart: Scatter
    circuits: Sequence[Circuit]

    @property
    def front(self) -> list[Circuit]:
        """The circuits of the front, the smallest first."""
        return sorted((each for each in self.circuits if each.mark.front), key=lambda each: each.mark.area)


def table(sheet: Sheet) -> RenderableType:
    """The verdict, and the circuits of the front."""
    columns = ("Weight bits", "Result bits", sheet.kinds.capitalize(), "LUTs", "Cycles per result", "Fits")
    title = f"Best trade-offs of {len(sheet.circuits)} circuits on {sheet.samples:,} samples"
    marked = [f"{number(each.mark.fits)}{'  < best' if each.mark.chosen else ''}" for each in sheet.front]
    cells = [
        (*circuit.bits, circuit.score, number(circuit.mark.area), number(circuit.interval), fits)
        for circuit, fits in zip(sheet.front, marked, strict=True)
    ]
    return Group(Text(sheet.verdict, style="bold"), rows_table(title, columns, cells))


def page(sheet: Sheet) -> str:
    """The HTML page of ``sheet``."""
    allowed = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    return rendered("exploration.html", sheet=sheet, script=_SCRIPT, allowed=allowed)


def _luts(luts: float) -> str:
    return number(round(luts)) if luts > _LEAST_LUTS else ""
