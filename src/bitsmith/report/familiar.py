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

from bitsmith.devices.family import Part
from bitsmith.devices.parts import resolve_part
from bitsmith.errors import ConfigError
from bitsmith.report.folder import VENDOR_STAGE, ran_since, read_report
from bitsmith.report.printing import print_text, show
from bitsmith.report.report import REPORT_JSON, Report, read_own_report
from bitsmith.report.sections import C_SIMULATION, Figures, Latency, Resources, Timing, Verification
from bitsmith.vendors.vendor import ReportFile, existing_folder, nothing_found
from bitsmith.vendors.vivado_project import find_project, hls_sections

Familiar: TypeAlias = dict[str, object]

_BLOCK_BITS = 18 * 1024
_AREA = ("BRAM_18K", "DSP", "FF", "LUT", "URAM")
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
        page = ReportFile(project.solution / "syn" / "report" / f"{project.top}_csynth.rpt")
        if page.exists:
            print_text(page.text())
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
    if ReportFile(folder / REPORT_JSON).exists:
        ours = read_own_report(folder / REPORT_JSON)
        of_same_sources = any(stage.get("Name") == VENDOR_STAGE for stage in ours.stages()) or ran_since(folder)
        return {**dict(ours), **(theirs if of_same_sources else {})}
    if not theirs:
        raise nothing_found(folder, project.tool)
    return theirs


def print_vivado_report(report_dict: Mapping[str, object]) -> None:
    """Print a report in the familiar shape."""
    show(report_dict)


def aggregate_graph_reports(graph_reports: Mapping[str, Mapping[str, object]] | None) -> Familiar:
    """The sums of reports in the familiar shape, of circuits that are used together; the slowest clock holds.

    Figures are those of logic synthesis (``VivadoSynthReport``) if the first report has them, else of ``CSynthesisReport``.
    """
    if not graph_reports:
        return {}
    reports = list(graph_reports.values())
    section = "VivadoSynthReport" if "VivadoSynthReport" in reports[0] else "CSynthesisReport"
    first, counted = _section(reports[0], "CSynthesisReport"), [_section(report, section) for report in reports]
    periods = [_section(report, "CSynthesisReport").get("EstimatedClockPeriod") for report in reports]
    known = [_number(period) for period in periods if period is not None]
    total: Familiar = {
        "TargetClockPeriod": first.get("TargetClockPeriod", "N/A"),
        "EstimatedClockPeriod": max(known) if known else "N/A",
        "BestLatency": "N/A",
        "WorstLatency": "N/A",
        **{f"Available{name}": first.get(f"Available{name}", "N/A") for name in _AREA},
    }
    for name in _AREA:
        total[name] = sum(_number(each.get(name, each.get("DSP48E") if name == "DSP" else 0)) for each in counted)
    return {"StitchedDesignReport": total}


def _section(report: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = report.get(name, {})
    if not isinstance(found, Mapping):
        raise ConfigError(f"a {type(found).__name__}", where=name, accepted="the section of a report")
    return found


def _number(figure: object) -> float:
    """A figure, which the vendors' reports have as text."""
    try:
        return float(str(figure or 0))
    except ValueError as error:
        raise ConfigError(f"figure {figure!r}", where="aggregate_graph_reports", accepted="a number") from error


def familiar(report: Report) -> Familiar:
    """``report`` in the familiar shape, followed by our own sections."""
    shaped = {
        "CSynthesisReport": _synthesis(report),
        "VivadoSynthReport": _logic_synthesis(report.find(Resources) or Resources()),
        "CosimReport": _cosimulation(report),
        "TimingReport": _timing(report),
    }
    return {**{name: section for name, section in shaped.items() if section}, **dict(report)}


def _synthesis(report: Report) -> Figures:
    latency, resources = report.find(Latency) or Latency(), report.find(Resources) or Resources()
    timing, part = report.find(Timing), _part(resources.part)
    tools = {"area": resources.tool, "latency": latency.tool, "clock": timing.tool if timing is not None else None}
    figures: Figures = {
        "TargetClockPeriod": report.target_period_ns if timing is not None else None,
        "EstimatedClockPeriod": timing.clock_period_ns if timing is not None else None,
        "BestLatency": latency.cycles,
        "WorstLatency": latency.cycles,
        "IntervalMin": latency.ii,
        "IntervalMax": latency.ii,
        "BRAM_18K": _blocks(resources.bram, part),
        "DSP": resources.dsp,
        "FF": resources.ff,
        "LUT": resources.lut,
        "URAM": resources.uram,
    }
    if part is not None:
        figures |= {
            "AvailableBRAM_18K": part.die.brams * part.family.memory.bits // _BLOCK_BITS,
            "AvailableDSP": part.die.dsps,
            "AvailableFF": part.die.ffs,
            "AvailableLUT": part.die.luts,
            "AvailableURAM": part.die.large if resources.uram is not None else None,
        }
    return _known(figures, "; ".join(f"{figure}: {tool}" for figure, tool in tools.items() if tool))


def _logic_synthesis(resources: Resources) -> Figures:
    blocks = _blocks(resources.bram, _part(resources.part))
    figures: Figures = {"LUT": resources.lut, "FF": resources.ff, "BRAM_18K": blocks, "DSP48E": resources.dsp}
    figures["URAM"] = resources.uram
    return _known(figures, resources.tool)


def _cosimulation(report: Report) -> Figures:
    verification, latency = report.find(Verification), report.find(Latency) or Latency()
    if verification is None or verification.mismatches is None or verification.method == C_SIMULATION:
        return {}
    figures: Figures = {"RTL": "SystemVerilog", "Status": "Fail" if verification.mismatches else "Pass"}
    for measure, cycles in (("Latency", latency.cycles), ("Interval", latency.ii)):
        figures |= {f"{measure}{which}": cycles for which in ("Min", "Max", "Avg")}
    return _known(figures, verification.tool)


def _timing(report: Report) -> Figures:
    """Worst negative slack, the usual way round: positive when the clock target is met."""
    timing, target = report.find(Timing), report.target_period_ns
    if timing is None or timing.clock_period_ns is None or target is None:
        return {}
    return _known({"WNS": round(target - timing.clock_period_ns, 3)}, timing.tool)


def _blocks(blocks: float | None, part: Part | None) -> float | None:
    """Block memories in units of 18 Kbit."""
    if blocks is None:
        return None
    scaled = blocks * (part.family.memory.bits if part else _BLOCK_BITS) / _BLOCK_BITS
    return int(scaled) if scaled.is_integer() else scaled


def _known(figures: Figures, tool: str | None) -> Figures:
    known: Figures = {name: value for name, value in figures.items() if value is not None}
    return {**known, "Tool": tool} if known and tool else known


def _part(name: str | None) -> Part | None:
    try:
        return None if name is None else resolve_part(name)
    except ConfigError:
        return None  # a report may come from a version that knows more parts
