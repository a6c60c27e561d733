"""The familiar dictionary of a high-level-synthesis report, filled from a bitsmith build or from the vendor's reports.

Keys and sections are those that users of hls4ml know from ``read_vivado_report``; values are numbers, only what was
measured is there, and each section says under ``Tool`` who measured it. Our own sections stand beside them. Where the
vendor's tools have run, their reports fill the familiar sections.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from bitsmith.devices import Part, resolve_part
from bitsmith.errors import ConfigError
from bitsmith.report.folder import describes_sources, read_report
from bitsmith.report.report import REPORT_JSON, Report, read_own_report
from bitsmith.report.sections import C_SIMULATION, Figures
from bitsmith.report.vendors.vendor import existing_folder, nothing_found, present, print_text, read_text, show
from bitsmith.report.vendors.vivado_project import find_project, hls_sections

Familiar: TypeAlias = dict[str, object]

_BLOCK_BITS = 18 * 1024
_DETAILS = ("Stages", "Files")


def read_vivado_report(output_dir: str | os.PathLike[str], full_report: bool = False) -> Familiar:
    """Print the report of the build in ``output_dir`` and return it.

    ``full_report`` prints stages and files too, and the vendor's own synthesis report.

    Raises:
        ProjectError: no such folder, no build in it, or a damaged report.
    """
    report = parse_vivado_report(output_dir)
    print_vivado_report(report if full_report else {k: v for k, v in report.items() if k not in _DETAILS})
    project = find_project(Path(output_dir)) if full_report else None
    if project is not None:
        page = project.solution / "syn" / "report" / f"{project.top}_csynth.rpt"
        if present(page):
            print_text(read_text(page))
    return report


def parse_vivado_report(output_dir: str | os.PathLike[str]) -> Familiar:
    """The report of the build in ``output_dir`` in the familiar shape: of bitsmith, of Vivado HLS or of Vitis HLS.

    Raises:
        ProjectError: no such folder, no build in it, or a damaged report (named).
    """
    folder = existing_folder(output_dir)
    project = find_project(folder)
    if project is None:
        return familiar(read_report(folder))
    theirs = hls_sections(project)
    if present(folder / REPORT_JSON):
        ours = read_own_report(folder / REPORT_JSON)
        return {**dict(ours), **(theirs if describes_sources(folder, ours) else {})}
    if not theirs:
        raise nothing_found(folder, project.tool)
    return theirs


def print_vivado_report(report_dict: Mapping[str, object]) -> None:
    """Print a report in the familiar shape."""
    show(report_dict)


def familiar(report: Report) -> Familiar:
    """``report`` in the familiar shape, followed by our own sections."""
    shaped: dict[str, Figures] = {
        "CSynthesisReport": _synthesis(report),
        "VivadoSynthReport": _logic_synthesis(report),
        "CosimReport": _cosimulation(report),
        "TimingReport": _timing(report),
    }
    return {**{name: section for name, section in shaped.items() if section}, **dict(report)}


def _synthesis(report: Report) -> Figures:
    latency, resources, timing = (report.section(name) for name in ("Latency", "Resources", "Timing"))
    part = _part(resources.get("Part"))
    section: Figures = {}
    if timing and report.target_period_ns is not None:
        section["TargetClockPeriod"] = report.target_period_ns
    _take(section, timing, {"EstimatedClockPeriod": "ClockPeriodNs"})
    _take(section, latency, {"BestLatency": "Cycles", "WorstLatency": "Cycles"})
    _take(section, latency, {"IntervalMin": "II", "IntervalMax": "II"})
    section.update(_blocks(resources, part))
    _take(section, resources, {"DSP": "DSP", "FF": "FF", "LUT": "LUT"})
    if part is not None and resources:
        section["AvailableBRAM_18K"] = part.brams * part.family.memory.bits // _BLOCK_BITS
        section["AvailableDSP"] = part.dsps
        section["AvailableFF"] = part.ffs
        section["AvailableLUT"] = part.luts
    tools = {"area": resources, "latency": latency, "clock": timing}
    named = [f"{figure}: {source['Tool']}" for figure, source in tools.items() if source.get("Tool")]
    return _signed(section, "; ".join(named))


def _logic_synthesis(report: Report) -> Figures:
    resources = report.section("Resources")
    section: Figures = {}
    _take(section, resources, {"LUT": "LUT", "FF": "FF"})
    section.update(_blocks(resources, _part(resources.get("Part"))))
    _take(section, resources, {"DSP48E": "DSP"})
    return _signed(section, resources.get("Tool"))


def _cosimulation(report: Report) -> Figures:
    verification, latency = report.section("Verification"), report.section("Latency")
    section: Figures = {}
    if "Mismatches" in verification and verification.get("Method") != C_SIMULATION:
        section = {"RTL": "SystemVerilog", "Status": "Fail" if verification["Mismatches"] else "Pass"}
        for measure, key in (("Latency", "Cycles"), ("Interval", "II")):
            _take(section, latency, {f"{measure}{which}": key for which in ("Min", "Max", "Avg")})
    return _signed(section, verification.get("Tool"))


def _timing(report: Report) -> Figures:
    """Worst negative slack, the usual way round: positive when the clock target is met."""
    timing = report.section("Timing")
    reached, target = timing.get("ClockPeriodNs"), report.target_period_ns
    if not isinstance(reached, (int, float)) or target is None:
        return {}
    return _signed({"WNS": round(target - reached, 3)}, timing.get("Tool"))


def _take(section: Figures, source: Figures, names: Mapping[str, str]) -> None:
    section.update({name: source[key] for name, key in names.items() if key in source})


def _blocks(resources: Figures, part: Part | None) -> Figures:
    """Block memories in units of 18 Kbit."""
    blocks = resources.get("BRAM")
    if not isinstance(blocks, (int, float)):
        return {}
    scaled = blocks * (part.family.memory.bits if part else _BLOCK_BITS) / _BLOCK_BITS
    return {"BRAM_18K": int(scaled) if scaled.is_integer() else scaled}


def _signed(section: Figures, tool: object) -> Figures:
    if section and isinstance(tool, str) and tool:
        section["Tool"] = tool
    return section


def _part(name: object) -> Part | None:
    try:
        return resolve_part(name) if isinstance(name, str) else None
    except ConfigError:
        return None  # a report may come from a version that knows more parts
