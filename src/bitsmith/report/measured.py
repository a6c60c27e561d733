"""Figures that vendors' tools left in a folder, as sections of our report, whichever vendor it was.

In: the folder of a project, ours or another tool's. Out: ``Resources``, ``Latency`` and ``Timing`` with the tool that each
comes from; what has not run has no section. Of several tools the one that is closest to the hardware is believed: place and
route before logic synthesis before high-level synthesis, a simulation before an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bitsmith.report.sections import Figures
from bitsmith.report.vendors.catapult import parse_catapult_report
from bitsmith.report.vendors.libero import parse_libero_report
from bitsmith.report.vendors.oneapi import parse_oneapi_report
from bitsmith.report.vendors.quartus import parse_quartus_report
from bitsmith.report.vendors.vendor import malformed
from bitsmith.report.vendors.vivado_project import find_project, hls_sections


@dataclass(frozen=True, slots=True)
class _Reports:
    """A vendor's reports: where they lie in a project, and what they become."""

    files: tuple[str, ...]
    read: Callable[[Path, float | None], dict[str, Figures]]


def measured(folder: Path, target_period_ns: float | None = None) -> dict[str, Figures]:
    """The figures of the vendor's reports in ``folder``; empty without any.

    ``target_period_ns`` is the clock period that was asked for, from which slacks are measured, unless a report has it.

    Raises:
        ProjectError: a damaged report (named).
    """
    for reports in _READERS:
        if _newest(folder, reports) is not None:
            sections = reports.read(folder, target_period_ns)
            return {name: section for name, section in sections.items() if set(section) - {"Tool"}}
    return {}


def last_run(folder: Path) -> float | None:
    """Return the time of the last report of a vendor's tool in ``folder`` (seconds since the epoch); None without reports.

    Raises:
        ProjectError: the folder cannot be read.
    """
    return max((time for reports in _READERS if (time := _newest(folder, reports)) is not None), default=None)


def _newest(folder: Path, reports: _Reports) -> float | None:
    try:
        return max((path.stat().st_mtime for pattern in reports.files for path in folder.glob(pattern)), default=None)
    except OSError as error:
        raise malformed(f"cannot be read ({error.strerror})", folder) from error


def _xilinx(folder: Path, target_period_ns: float | None) -> dict[str, Figures]:
    project = find_project(folder)
    report = {} if project is None else hls_sections(project)
    estimate, cosim, synthesis, built, slack = (
        _figures(report, name)
        for name in ("CSynthesisReport", "CosimReport", "VivadoSynthReport", "ImplementationReport", "TimingReport")
    )
    names: Mapping[str, str] = {"LUT": "LUT", "FF": "FF", "DSP": "DSP", "BRAM_18K": "BRAM_18K", "URAM": "URAM"}
    area = _renamed(estimate, names)
    if built:
        area = _renamed(built, {"TotLUTs": "LUT", "FFs": "FF", "DSPs": "DSP", "URAMs": "URAM"})
        tiles, halves = built.get("RAMB36s"), built.get("RAMB18s")
        if isinstance(tiles, int) and isinstance(halves, int):
            area["BRAM_18K"] = 2 * tiles + halves
    elif synthesis:
        area = _renamed(synthesis, {**names, "DSP48E": "DSP"})
    latency = _renamed(estimate, {"WorstLatency": "Cycles", "IntervalMax": "II"})
    if "LatencyMax" in cosim:
        simulated = _renamed(cosim, {"LatencyMax": "Cycles", "IntervalMax": "II"})
        latency = (
            simulated if "II" in simulated else {**simulated, **_renamed(estimate, {"IntervalMax": "II (estimate)"})}
        )
    asked = estimate.get("TargetClockPeriod", target_period_ns)
    timing = _slack(slack, asked) or _clock(estimate.get("EstimatedClockPeriod"), estimate)
    return {"Resources": area, "Latency": latency, "Timing": timing}


def _quartus(folder: Path, target_period_ns: float | None) -> dict[str, Figures]:
    report = _scalars(parse_quartus_report(folder, write_to_file=False))
    resources = ("ALM", "ALUT", "REG", "FF", "DSP", "RAM", "MLAB")
    fitted = _renamed(report, {f"Quartus {name}": "FF" if name == "REG" else name for name in resources})
    estimate = _renamed(report, {f"HLS Estimate {name}": name for name in resources})
    clock = report.get("Clock")
    return {
        "Resources": _signed(fitted, "Quartus") or _signed(estimate, "Intel HLS compiler (estimate)"),
        "Latency": _signed(_renamed(report, {"Latency (MAX)": "Cycles", "ii (MAX)": "II"}), "Intel HLS compiler"),
        "Timing": _clock(1e3 / clock, {"Tool": "Quartus"}) if isinstance(clock, (int, float)) and clock > 0 else {},
    }


def _oneapi(folder: Path, target_period_ns: float | None) -> dict[str, Figures]:
    targets = parse_oneapi_report(folder)
    chosen = next((targets[name] for name in ("fpga", "fpga_sim", "report") if name in targets), None)
    report = chosen if isinstance(chosen, Mapping) else next(iter(targets.values()))
    if not isinstance(report, Mapping):
        return {}
    names = {name: "FF" if name == "reg" else name.upper() for name in ("alm", "alut", "reg", "dsp", "ram", "mlab")}
    quartus, loops, estimate = (_figures(report, name) for name in ("Quartus", "Loop", "HLS"))
    area = _renamed(quartus, names)
    if not quartus and isinstance(report.get("HLS"), Mapping):
        area = _signed(_renamed(_figures(report["HLS"], "total"), names), str(estimate.get("Tool", "")))
    mhz = quartus.get("fmax", loops.get("worstFrequency"))
    return {
        "Resources": area,
        # The longest loop is not the whole way from input to output, so that it is not called the latency.
        "Latency": _renamed(loops, {"worstII": "II", "worstLatency": "Longest loop"}),
        "Timing": _clock(1e3 / mhz, quartus or loops) if isinstance(mhz, (int, float)) and mhz > 0 else {},
    }


def _catapult(folder: Path, target_period_ns: float | None) -> dict[str, Figures]:
    report = parse_catapult_report(folder)
    names = {"LUT": "LUT", "FF": "FF", "DSP48E": "DSP", "BRAM_18K": "BRAM_18K", "URAM": "URAM"}
    return {
        "Resources": _renamed(_figures(report, "UtilizationReport"), names),
        "Timing": _slack(_figures(report, "TimingReport"), target_period_ns),
    }


def _libero(folder: Path, target_period_ns: float | None) -> dict[str, Figures]:
    report = parse_libero_report(folder)
    area: Figures = {}
    resources = report.get("Resource Usage")
    for kind, figures in resources.items() if isinstance(resources, Mapping) else ():
        name = next((ours for theirs, ours in _MICROCHIP.items() if theirs in str(kind)), str(kind))
        used = _scalars(figures) if isinstance(figures, Mapping) else {}
        area |= _renamed(used, {"Used": name})
    simulation = report.get("Simulation Result")
    latency: Figures = {}
    if isinstance(simulation, Mapping):
        for key, name in (("Call Latency (min/max/avg)", "Cycles"), ("Call II (min/max/avg)", "II")):
            three = simulation.get(key)
            if isinstance(three, list) and len(three) == 3:
                latency |= _renamed({"most": three[1]}, {"most": name})
        latency = _signed(latency, str(simulation.get("Tool", "")))
    timing = _figures(report, "Timing Result")
    return {"Resources": area, "Latency": latency, "Timing": _clock(timing.get("Period"), timing)}


_MICROCHIP = {"4LUT": "LUT", "DFF": "FF", "Math": "DSP"}

_READERS = (
    _Reports(
        (
            "*_prj/*/syn/report/*_csynth.xml",
            *("*_prj/*/sim/report/*_cosim.rpt", "vivado_synth.rpt", "util.rpt", "timing.rpt"),
        ),
        _xilinx,
    ),
    _Reports(("*-fpga.prj/reports/lib/*_data.js",), _quartus),
    _Reports(("*.prj/reports/resources/json/*.ndjson", "*/*.prj/reports/resources/json/*.ndjson"), _oneapi),
    _Reports(("*/*.v*/vivado_concat_v/*.rpt", "*/*.v*/nnet_layer_results.txt"), _catapult),
    _Reports(("hls_output/reports/summary.results.rpt",), _libero),
)


def _scalars(figures: Mapping[str, object]) -> Figures:
    return {key: value for key, value in figures.items() if isinstance(value, (str, int, float, bool))}


def _figures(report: Mapping[str, object], name: str) -> Figures:
    section = report.get(name)
    return _scalars(section) if isinstance(section, Mapping) else {}


_WHOLE = frozenset({"LUT", "FF", "DSP", "Cycles", "II"})
"""Our figures that are counts: a part of a block takes the whole block."""


def _renamed(figures: Figures, names: Mapping[str, str]) -> Figures:
    """The figures of ``names`` under our names, signed by their tool."""
    section: Figures = {}
    for theirs, ours in names.items():
        value = figures.get(theirs)
        if isinstance(value, float) and ours in _WHOLE:
            value = math.ceil(value)
        if value is not None:
            section[ours] = value
    return _signed(section, str(figures.get("Tool", "")))


def _signed(section: Figures, tool: str) -> Figures:
    return {**section, "Tool": tool} if section and tool else section


def _clock(period_ns: object, source: Figures) -> Figures:
    if not isinstance(period_ns, (int, float)) or period_ns <= 0:
        return {}
    section: Figures = {"FmaxMHz": round(1e3 / period_ns, 3), "ClockPeriodNs": round(period_ns, 4)}
    return _signed(section, str(source.get("Tool", "")))


def _slack(timing: Figures, asked_ns: object) -> Figures:
    """The clock that a worst slack amounts to, when it is known of which period it is the slack."""
    slack = timing.get("WNS")
    if not isinstance(slack, (int, float)) or not isinstance(asked_ns, (int, float)):
        return {}
    return _clock(asked_ns - slack, timing)
