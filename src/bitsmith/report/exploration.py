"""Explorations as a table of the terminal, and as one HTML page that needs nothing else.

In: circuits with their scores and areas. Out: renderables and texts. On the page radio buttons are the marks of the chart, and
style sheets show the circuit whose button is chosen; the one script copies texts.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from bitsmith.estimate.needs import Need
from bitsmith.report.bars import Bar, used
from bitsmith.report.figures.scatter import Mark, Scatter
from bitsmith.report.sections import number
from bitsmith.report.summary import LayerRow
from bitsmith.report.template import rendered
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
    """A circuit: its mark in the chart, what it is called, and sentences on it.

    ``cells`` are its row among the best, ``needs`` what it takes of the part, and ``layers`` rows of layers with the formats of
    constants and results, and about their look-up tables. ``words`` gives what layers say of themselves. ``shared``: it takes
    several cycles per result. ``calls`` are texts to copy that lead to the circuit, by heading.
    """

    mark: Mark
    title: str
    said: str
    cells: Sequence[str]
    shared: bool
    needs: Sequence[Need]
    layers: Sequence[Sequence[str]]
    words: Callable[[], Sequence[str]]
    calls: Mapping[str, str]

    @property
    def bars(self) -> list[Bar]:
        """A bar for each resource of the part."""
        return [used(need) for need in self.needs]


def layer_rows(layers: Sequence[LayerRow], luts: Mapping[str, float]) -> list[tuple[str, str, str, str]]:
    """Layers with the formats of their constants and results, and about their look-up tables."""
    known = {row.name for row in layers}
    rows = [
        (
            row.name,
            "; ".join(constant_text(constant) for constant in row.constants),
            row.result.short if row.result is not None else "",
            _luts(luts.get(row.name, 0.0)),
        )
        for row in layers
    ]
    others = sum(count for layer, count in luts.items() if layer not in known)
    return [*rows, *([(_BETWEEN, "", "", _luts(others))] if others > _LEAST_LUTS else [])]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Circuits of an exploration, or of a sweep.

    Attributes:
        title: of the page.
        kind: word for what the circuits come from.
        part: the parts' name.
        data: what scores are of.
        reference: the float model's score; empty where there is none.
        verdict: the best circuit in a sentence.
        note: what areas and scores are.
        chart: all circuits.
        columns: of the table of the best.
        texts: number of columns, from the first on, that are no figures.
        circuits: all of them.
        decided: what was tried with its shares of the figures' variances, the heading first; empty without.
    """

    title: str
    kind: str
    part: str
    data: str
    reference: str
    verdict: str
    note: str
    chart: Scatter
    columns: Sequence[str]
    texts: int
    circuits: Sequence[Circuit]
    decided: Sequence[Sequence[str]]

    @property
    def front(self) -> list[Circuit]:
        """The circuits of the front, the smallest first."""
        return sorted((each for each in self.circuits if each.mark.front), key=lambda each: each.mark.area)


def table(sheet: Sheet) -> RenderableType:
    """The verdict, the circuits of the front, and what layers of the chosen one say of themselves."""
    title = f"Best trade-offs of {len(sheet.circuits)} circuits on {sheet.data}"
    cells = [(*each.cells[:-1], f"{each.cells[-1]}{'  < best' if each.mark.chosen else ''}") for each in sheet.front]
    words = [Text(sentence) for each in sheet.circuits if each.mark.chosen for sentence in each.words()]
    return Group(Text(sheet.verdict, style="bold"), rows_table(title, sheet.columns, cells), *words)


def page(sheet: Sheet) -> str:
    """The HTML page of ``sheet``."""
    allowed = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    return rendered("exploration.html", sheet=sheet, script=_SCRIPT, allowed=allowed)


def _luts(luts: float) -> str:
    return number(round(luts)) if luts > _LEAST_LUTS else ""
