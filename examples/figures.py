"""The figures of the scenarios beside what is required: kept in results, shown in tables.

Needs neither Keras nor bitsmith's tools. A table stands between two marks of a page, which name the scenario.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

import bitsmith

Floats = npt.NDArray[np.float32]
EXAMPLES = Path(__file__).parent
PAGE = EXAMPLES.parent / "docs" / "scenarios.md"

EMULATOR = "emulator"
SIMULATION = "co-simulation"
SYNTHESIS = "Yosys"
ROUTED = "nextpnr"
ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True)
class Figure:
    """What was found and who measured it; where something is required, the limit, from above unless ``at_least``."""

    name: str
    found: float
    unit: str
    source: str
    limit: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Return True if the limit holds, None without a limit."""
        if self.limit is None:
            return None
        return self.found >= self.limit if self.at_least else self.found <= self.limit

    @property
    def row(self) -> str:
        """A line of the table."""
        if self.limit is None:
            required, judged = "", ""
        else:
            required = f"{'at least' if self.at_least else 'at most'} {_number(self.limit)} {self.unit}".rstrip()
            judged = "yes" if self.met else f"no, by {_number(abs(self.found - self.limit))} {self.unit}".rstrip()
        return f"| {self.name} | {_number(self.found)} {self.unit} | {required} | {judged} | {self.source} |"


def _number(value: float) -> str:
    """Counts in full, others to four digits."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def table(figures: Iterable[Figure]) -> str:
    """The figures as a table of Markdown."""
    head = "| figure | result | required | met | by |\n|---|---|---|---|---|\n"
    return head + "\n".join(figure.row.replace("  ", " ") for figure in figures)


def stored(name: str) -> list[Figure]:
    """The figures of the last whole run."""
    content = json.loads((EXAMPLES / name / "results.json").read_text(encoding="utf-8"))
    return [Figure(**figure) for figure in content["figures"]]


def with_table(page: str, name: str, figures: Iterable[Figure]) -> str:
    """The page with the table between the two marks of a scenario; a page without marks stays as it is."""
    begin, end = f"<!-- figures of {name} -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n\n{table(figures)}\n\n{end}", page)


def stale(name: str, figures: Iterable[Figure]) -> list[str]:
    """A line for each figure that the pages of a scenario state otherwise than a run has found it."""
    now = {figure.name: figure.row for figure in figures}
    then = {figure.name: figure.row for figure in stored(name)}
    rows = [(then.get(key, "nothing"), now.get(key, "nothing")) for key in {**then, **now}]
    lines = [f"stale: {old}, now {new}" for old, new in rows if old != new]
    return [*lines, f"Renew them: make scenario-{name} RENEW=--renew"] if lines else []


def keep(name: str, figures: Sequence[Figure]) -> None:
    """Write the figures of a whole run to ``results.json`` and into the tables of the pages."""
    write(EXAMPLES / name / "results.json", figures)
    for page in (EXAMPLES / name / "README.md", PAGE):
        if page.exists():
            page.write_text(with_table(page.read_text(encoding="utf-8"), name, figures), encoding="utf-8")


def write(path: Path, figures: Iterable[Figure]) -> None:
    """Write the figures as they are stored."""
    today = date.today().isoformat()
    content = {"bitsmith": bitsmith.__version__, "measured": today, "figures": [asdict(figure) for figure in figures]}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
