"""What a build measured: sections of plain figures, each with the tool that measured it.

In: figures from the flows. Out: a mapping, a terminal table, ``report.json`` and (through :mod:`bitsmith.report.html`)
``report.html``. A report read from disk is untrusted: its shape is checked before anything shows it.
"""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bitsmith.errors import ProjectError
from bitsmith.project import write_atomically
from bitsmith.report.summary import Design, design_from_json, design_to_json

if TYPE_CHECKING:
    from rich.console import RenderableType

Scalar: TypeAlias = str | int | float | bool | None
Section: TypeAlias = dict[str, Scalar]

REPORT_JSON = "report.json"
REPORT_HTML = "report.html"
C_SIMULATION = "C simulation"
"""The ``Method`` of a verification in which C++ was compared with the emulator; without one it was the circuit."""
_FORMAT = "bitsmith report"
_VERSION = 1
_MAX_BYTES = 64 << 20
_MAX_DIGITS = 18

_COUNTS = {"LUT": int, "FF": int, "DSP": int, "BRAM": float}
_FIELDS: Mapping[str, Mapping[str, type]] = {
    "Verification": {"Inputs": int, "Mismatches": int, "Tool": str, "Method": str},
    "Accuracy": {"Float": float, "Fixed": float, "Samples": int},
    "Latency": {"Cycles": int, "II": int, "Tool": str},
    "Resources": {**_COUNTS, "Tool": str, "Part": str, "Family": str},
    "Timing": {"FmaxMHz": float, "ClockPeriodNs": float, "Tool": str},
    "Estimate": {**_COUNTS, "Tool": str},
    "Queues": {"Queue": str, "Layer": str, "Width": int, "Depth": int, "Peak": int},
    "Files": {},
    "Stages": {"Name": str, "Seconds": float, "Log": str, "Cached": bool},
}
SECTIONS = tuple(_FIELDS)
_LISTS = ("Queues", "Stages")
"""Sections that are lists of dictionaries."""


class Report(Mapping[str, object]):
    """The results of a build by section, in the order of ``SECTIONS``; only what ran has one.

    Sections are handed out as copies, so a report never changes. ``Queues`` and ``Stages`` are lists of dictionaries, every
    other section a dictionary. ``design`` describes the network that was built; the HTML page shows it.

    Raises:
        ProjectError: a section or a field that does not exist or is of the wrong kind.
    """

    __slots__ = ("_design", "_sections")

    def __init__(self, sections: Mapping[str, object], design: Design | None = None) -> None:
        unknown = [str(name) for name in sections if name not in _FIELDS]
        if unknown:
            raise ProjectError(f"unknown section {unknown[0]!r}", where="report", accepted=", ".join(SECTIONS))
        self._sections = {name: _checked(name, sections[name]) for name in SECTIONS if name in sections}
        self._design = design

    @property
    def design(self) -> Design | None:
        """The network that was built, if the builder described it."""
        return self._design

    @property
    def target_period_ns(self) -> float | None:
        """The clock period that was asked for; that of the section Timing is the one that was reached."""
        return None if self._design is None else self._design.clock_period_ns

    def __getitem__(self, name: str) -> object:
        return copy.deepcopy(self._sections[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._sections)

    def __len__(self) -> int:
        return len(self._sections)

    def section(self, name: str) -> Section:
        """The figures of a section that is a dictionary; empty if it did not run."""
        found = self._sections.get(name, {})
        return dict(found) if isinstance(found, dict) else {}

    def stages(self) -> list[Section]:
        """The stages, in the order in which they ran."""
        return self.rows("Stages")

    def rows(self, name: str) -> list[Section]:
        """The rows of a section that is a list; none if it did not run."""
        found = self._sections.get(name, [])
        return copy.deepcopy(found) if isinstance(found, list) else []

    def with_section(self, name: str, section: Mapping[str, object]) -> Report:
        """This report with one section added or replaced."""
        return Report({**self._sections, name: section}, self._design)

    def to_json(self) -> str:
        """The report as the text of ``report.json``."""
        document = {
            "format": _FORMAT,
            "version": _VERSION,
            "sections": self._sections,
            "design": None if self._design is None else design_to_json(self._design),
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

    def write(self, project_dir: Path) -> tuple[Path, Path]:
        """Write ``report.json`` and ``report.html`` into the project; their paths."""
        from bitsmith.report.html import page  # jinja2 is needed here only

        folder = Path(project_dir)
        folder.mkdir(parents=True, exist_ok=True)
        data, html = folder / REPORT_JSON, folder / REPORT_HTML
        _write(data, self.to_json())
        _write(html, page(self))
        return data, html

    def __rich__(self) -> RenderableType:
        from bitsmith.report.terminal import report_table

        return report_table(self)

    def __str__(self) -> str:
        from bitsmith.report.terminal import as_text

        return as_text(self.__rich__())

    def __repr__(self) -> str:
        return f"<Report: {', '.join(self._sections) or 'empty'}>"


def read_own_report(path: Path) -> Report:
    """The report in the file ``path``, which :meth:`Report.write` wrote.

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


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a number that a report can hold")
    return value


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _checked(name: str, section: object) -> Section | list[Section]:
    """A private copy of the section, after a check of its fields."""
    if name not in _LISTS:
        return _checked_section(name, section)
    if not isinstance(section, Sequence) or isinstance(section, str):
        raise ProjectError(f"the section {name!r} is not a list", where="report")
    return [_checked_section(name, stage) for stage in section]


def _checked_section(name: str, section: object) -> Section:
    if not isinstance(section, Mapping) or not all(isinstance(key, str) for key in section):
        raise ProjectError(f"the section {name!r} is not a set of named figures", where="report")
    result: Section = {}
    for key, value in section.items():
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if value is not None and not isinstance(value, (str, int, float)):
            raise ProjectError(f"{name}.{key} is neither text nor a number", where="report")
        if isinstance(value, float) and not math.isfinite(value):
            raise ProjectError(f"{name}.{key} is not a finite number", where="report")
        wanted = str if name == "Files" else _FIELDS[name].get(key)
        if wanted is not None and not _is(value, wanted):
            raise ProjectError(f"{name}.{key} is {value!r}", where="report", accepted=_KINDS[wanted])
        result[key] = value
    return result


_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def _is(value: Scalar, kind: type) -> bool:
    if kind in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if kind is float else kind)
