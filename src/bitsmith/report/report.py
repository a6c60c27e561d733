"""Reports of builds: sections, each with the tool that measured it, as one immutable mapping.

In: sections as values, or as plain figures. Out: the same, a table for the terminal, and the text of ``report.json``. A report
read from disk is untrusted: its shape is checked before anything shows it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import RenderableType

from bitsmith.errors import ProjectError
from bitsmith.report.key_figures import resources
from bitsmith.report.sections import SECTIONS, Figures, Kind, Layers, Section, find, plain, section_of
from bitsmith.report.shown import Shown
from bitsmith.report.summary import Design, design_from_json
from bitsmith.report.terminal import as_text, report_summary, report_table

REPORT_JSON = "report.json"
_FORMAT = "bitsmith report"
_VERSION = 1
_MAX_BYTES = 64 << 20
_MAX_DIGITS = 18


class Report(Shown, Mapping[str, object]):
    """The results of a build by section, in the order of ``SECTIONS``; only what ran has one.

    As a mapping it holds plain figures, of which it hands out copies: ``FIFOs`` and ``Stages`` are lists of dictionaries, every
    other section a dictionary. :meth:`find` gives the sections as typed values.

    Args:
        sections: values, of which a later one replaces an earlier one of its kind, or plain figures by section.
        design: the network that was built; the HTML page shows it.

    Raises:
        ProjectError: a section or a field that does not exist or is of the wrong kind.
    """

    __slots__ = ("_design", "_sections")

    def __init__(self, sections: Iterable[Section] | Mapping[str, object], design: Design | None = None) -> None:
        if isinstance(sections, Mapping):
            sections = [section_of(str(name), figures) for name, figures in sections.items()]
        found = {type(section).__name__: section for section in sections}
        self._sections = {name: found[name] for name in SECTIONS if name in found}
        self._design = design

    @property
    def design(self) -> Design | None:
        """The network that was built, if the builder described it."""
        return self._design

    @property
    def target_period_ns(self) -> float | None:
        """The clock period that was asked for; that of the section Timing is the one that was reached."""
        return None if self._design is None else self._design.clock_period_ns

    @property
    def sections(self) -> tuple[Section, ...]:
        """All sections, in their order."""
        return tuple(self._sections.values())

    def find(self, kind: type[Kind]) -> Kind | None:
        """The section of this kind; None if it did not run."""
        return find(self._sections.values(), kind)

    def __getitem__(self, name: str) -> object:
        return plain(self._sections[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._sections)

    def __len__(self) -> int:
        return len(self._sections)

    def section(self, name: str) -> Figures:
        """The figures of a section that is a dictionary; empty if it did not run."""
        found = plain(self._sections[name]) if name in self._sections else {}
        return found if isinstance(found, dict) else {}

    def rows(self, name: str) -> list[Figures]:
        """The rows of a section that is a list; none if it did not run."""
        found = plain(self._sections[name]) if name in self._sections else []
        return found if isinstance(found, list) else []

    def stages(self) -> list[Figures]:
        """The stages, in the order in which they ran."""
        return self.rows("Stages")

    def with_section(self, name: str, section: Mapping[str, object]) -> Report:
        """Return this report with one section added or replaced."""
        return Report((*self.sections, section_of(name, section)), self._design)

    def to_json(self) -> str:
        """The report as the text of ``report.json``."""
        document = {
            "format": _FORMAT,
            "version": _VERSION,
            "sections": dict(self),
            "design": None if self._design is None else asdict(self._design),
        }
        return json.dumps(document, indent=1, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str, where: str = REPORT_JSON) -> Report:
        """The report that :meth:`to_json` wrote.

        Raises:
            ProjectError: the text is not such a report; ``where`` names it.
        """
        try:
            document = json.loads(text, parse_float=_finite, parse_int=_whole, parse_constant=_finite)
        except (ValueError, RecursionError) as error:
            raise _damaged(f"not a readable report ({error})", where) from error
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            raise _damaged("a file that is not a bitsmith report", where)
        if document.get("version") != _VERSION:
            raise ProjectError(
                f"a report of version {document.get('version')!r}",
                where=where,
                accepted=f"version {_VERSION}",
                remedy="build the project again, or read it with the bitsmith that wrote it",
            )
        sections = document.get("sections")
        if not isinstance(sections, dict):
            raise _damaged("a report without sections", where)
        try:
            design = document.get("design")
            return Report(sections, None if design is None else design_from_json(design))
        except ProjectError as error:
            raise _damaged(error.found, where) from error

    def details(self) -> str:
        """Return all figures with who measured them, and tables of layers, cells, FIFOs, files and stages, as text."""
        return as_text(report_table(self.sections, self._design))

    def __rich__(self) -> RenderableType:
        return report_summary(self.sections, self._design)

    def __repr__(self) -> str:
        return f"<Report: {', '.join(self._sections) or 'empty'}>"

    def _repr_html_(self) -> str:
        """The first screen, and the area as bars, for notebooks."""
        from bitsmith.report.bars import as_html, cell_bars, used

        cells = self.find(Layers)
        of_part = as_html("Share of the part", map(used, resources(self.sections, self.design)))
        of_layers = as_html("LUTs of each layer", cell_bars(cells.rows) if cells is not None else ())
        return f"{super()._repr_html_()}{of_part}{of_layers}"


def read_own_report(path: Path) -> Report:
    """The report in the file ``path``, which a build wrote.

    Raises:
        ProjectError: a damaged report.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise _damaged(f"a report of more than {_MAX_BYTES >> 20} MiB", str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _damaged("a report that is not text", str(path)) from error
    return Report.from_json(text, str(path))


def _damaged(found: str, where: str) -> ProjectError:
    return ProjectError(found, where=where, remedy="delete the file and build the project again")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a number that a report can hold")
    return value


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)
