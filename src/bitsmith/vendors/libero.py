"""The summary report of SmartHLS, and of Libero on what it made.

In: the folder of the project. Out: the familiar sections with numbers. The report has numbered headings, each with a
table or a line that says which step would fill it.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from bitsmith.vendors.figures import Reports, Section, of_clock, renamed, scalars, scalars_of, signed
from bitsmith.vendors.vendor import Figures, Number, ReportFile, existing_folder, nothing_found, rows

_FILE = Path("hls_output") / "reports" / "summary.results.rpt"
_MICROCHIP = {"4LUT": "LUT", "DFF": "FF", "Math": "DSP"}
"""Our names of resources, by parts of those of Microchip."""

_HEADING = re.compile(r"====== ([1-3])\. ")
_SIMULATION = ("Number of calls", "Simulation time (cycles)", "Call Latency (min/max/avg)", "Call II (min/max/avg)")
_TIMING = ("Target Period", "Target Fmax", "Worst Slack", "Period", "Fmax")
_LINES = {
    "Number of calls": "Number of calls",
    "Simulation time (cycles)": "Simulation time (cycles)",
    "Cycle latency": "Simulation time (cycles)",
}


def parse_libero_report(output_dir: str | os.PathLike[str]) -> dict[str, object]:
    """The figures of simulation, timing and fit; a step that has not run has no section.

    Periods and slack are in ns, Fmax in MHz; the two keys that end in ``(min/max/avg)`` hold lists of three numbers.
    If there are several functions or clocks, the first one listed counts.

    Raises:
        ProjectError: no such folder, no report in it, or a damaged one (named).
    """
    folder = existing_folder(output_dir)
    file = ReportFile(folder / _FILE)
    if not file.exists:
        raise nothing_found(folder, "SmartHLS")
    parts = _parts(file.text())
    if not parts:
        raise file.wrong("not a summary of SmartHLS")
    report = {
        "Simulation Result": _simulation(parts.get(1, ""), file),
        "Timing Result": _timing(parts.get(2, ""), file),
        "Resource Usage": _resources(parts.get(3, ""), file),
    }
    found: dict[str, object] = {name: section for name, section in report.items() if section}
    if not found:
        raise nothing_found(folder, "SmartHLS")
    return found


def _parts(text: str) -> dict[int, str]:
    """The text under each numbered heading."""
    parts: dict[int, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if heading:
            lines = parts.setdefault(int(heading[1]), [])
        else:
            lines.append(line)
    return {at: "\n".join(part) for at, part in parts.items()}


def _simulation(text: str, file: ReportFile) -> Figures:
    section: Figures = {}
    for cells in _table(text, 1 + len(_SIMULATION), "Top-Level Name", file):
        section |= file.figures(dict(zip(_SIMULATION[:2], cells[1:3], strict=True)))
        threes = {key: _three(cell, key, file) for key, cell in zip(_SIMULATION[2:], cells[3:], strict=True)}
        section |= {key: three for key, three in threes.items() if three is not None}
        break
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "SW/HW co-simulation" and value.strip():
            section["Status"] = value.strip()
        elif name.strip() in _LINES:
            section |= file.figures({_LINES[name.strip()]: value})
    return _signed(section, "SmartHLS co-simulation")


def _timing(text: str, file: ReportFile) -> Figures:
    first = next(iter(_table(text, 1 + len(_TIMING), "Clock Domain", file)), ())
    cells = [cell.removesuffix(" ns").removesuffix(" MHz") for cell in first[1:]]
    return _signed(file.figures(dict(zip(_TIMING, cells, strict=False))), "Libero, after place and route")


def _resources(text: str, file: ReportFile) -> Figures:
    section: Figures = {}
    for kind, used, total, share in _table(text, 4, "Resource Type", file):
        # A sum is written out, as in "424 + 36 = 460".
        counts = {"Used": used.rpartition("=")[2], "Total": total, "Percentage": share}
        section[kind] = _signed(file.figures(counts), "Libero")
    return section


def _table(text: str, columns: int, heading: str, file: ReportFile) -> Iterable[list[str]]:
    """The rows of the table whose first heading is ``heading``."""
    for cells in rows(text):
        if cells[0] == heading:
            continue
        if len(cells) != columns:
            raise file.wrong(f"a row of {len(cells)} columns instead of {columns} under {heading}")
        yield cells


def _three(cell: str, what: str, file: ReportFile) -> list[Number] | None:
    single = cell.removesuffix("(single call)")
    values = [file.number(word, what) for word in (cell.split("/") if single == cell else [single] * 3)]
    known = [value for value in values if value is not None]
    if not known:
        return None
    if len(known) != 3:
        raise file.wrong(f"{what} is not three numbers")
    return known


def _signed(section: Mapping[str, object], tool: str) -> Figures:
    return {**section, "Tool": tool} if section else {}


def _sections_of(folder: Path, target_period_ns: float | None) -> dict[str, Section]:
    report = parse_libero_report(folder)
    area: Section = {}
    resources = report.get("Resource Usage")
    for kind, counts in resources.items() if isinstance(resources, Mapping) else ():
        name = next((ours for theirs, ours in _MICROCHIP.items() if theirs in str(kind)), str(kind))
        used = scalars(counts) if isinstance(counts, Mapping) else {}
        area |= renamed(used, {"Used": name})
    simulation = report.get("Simulation Result")
    latency: Section = {}
    if isinstance(simulation, Mapping):
        for key, name in (("Call Latency (min/max/avg)", "Cycles"), ("Call II (min/max/avg)", "II")):
            three = simulation.get(key)
            if isinstance(three, list) and len(three) == 3:
                latency |= renamed({"most": three[1]}, {"most": name})
        latency = signed(latency, str(simulation.get("Tool", "")))
    timing = scalars_of(report, "Timing Result")
    return {"Resources": area, "Latency": latency, "Timing": of_clock(timing.get("Period"), timing)}


REPORTS = Reports(("hls_output/reports/summary.results.rpt",), _sections_of)
