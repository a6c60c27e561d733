"""The reports of a Vivado HLS or Vitis HLS project, and of Vivado on what they made.

In: the folder of the project. Out: the familiar sections with numbers; a stage that has not run has none. Formats are
those of Vivado HLS 2018 to 2020, Vitis HLS from 2020 on, and Vivado of the same years.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element

from bitsmith.errors import ProjectError
from bitsmith.vendors.figures import Reports, Section, of_clock, of_slack, renamed, scalars_of
from bitsmith.vendors.vendor import Figures, Number, ReportFile, plain, rows, stages

_INDEX_FILES = {"vivado_hls.app": "Vivado HLS", "hls.app": "Vitis HLS"}
_SETTING = re.compile(r'set (project_name|backend) "([^"]*)"')
_VERSION = re.compile(r"[0-9]{4}\.[0-9]{1,2}")

_PERFORMANCE = {
    "TargetClockPeriod": "UserAssignments/TargetClockPeriod",
    "EstimatedClockPeriod": "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod",
    "BestLatency": "PerformanceEstimates/SummaryOfOverallLatency/Best-caseLatency",
    "WorstLatency": "PerformanceEstimates/SummaryOfOverallLatency/Worst-caseLatency",
    "IntervalMin": "PerformanceEstimates/SummaryOfOverallLatency/Interval-min",
    "IntervalMax": "PerformanceEstimates/SummaryOfOverallLatency/Interval-max",
}
_AREA = {"BRAM_18K": "BRAM_18K", "DSP48E": "DSP", "DSP": "DSP", "FF": "FF", "LUT": "LUT", "URAM": "URAM"}
_SITES = {
    "CLB LUTs": "LUT",
    "Slice LUTs": "LUT",
    "CLB Registers": "FF",
    "Slice Registers": "FF",
    "Registers": "FF",
    "Block RAM Tile": "BRAM_18K",
    "URAM": "URAM",
    "DSPs": "DSP48E",
    "DSP Slices": "DSP48E",
}
_HIERARCHY = {
    "Total LUTs": "TotLUTs",
    "Logic LUTs": "LogicLUTs",
    "LUTRAMs": "LUTRAMs",
    "SRLs": "SRLs",
    "FFs": "FFs",
    "RAMB36": "RAMB36s",
    "RAMB18": "RAMB18s",
    "URAM": "URAMs",
    "DSP48 Blocks": "DSPs",
    "DSP Blocks": "DSPs",
    "DSP Slices": "DSPs",
}
_COSIM_COLUMNS = ("LatencyMin", "LatencyAvg", "LatencyMax", "IntervalMin", "IntervalAvg", "IntervalMax")
_TIMING_COLUMNS = ("WNS", "TNS", None, None, "WHS", "THS", None, None, "WPWS", "TPWS", None, None)


@dataclass(frozen=True, slots=True)
class HlsProject:
    """A project of the vendor's HLS tool: the folder it was made in, its name, first solution, top function and tool."""

    folder: Path
    name: str
    solution: Path
    top: str
    tool: str


def find_project(folder: Path) -> HlsProject | None:
    """The HLS project that was made in ``folder``; None if the tool has not made one.

    ``project.tcl`` names it; without that script there must be one only.

    Raises:
        ProjectError: several projects, or a damaged script or index file.
    """
    script = ReportFile(folder / "project.tcl")
    settings: Mapping[str, str] = {}
    if script.exists:
        settings = {key: value for key, value in _SETTING.findall(script.text()) if value}
    if "project_name" in settings:
        candidates = [folder / f"{script.checked_name(settings['project_name'])}_prj"]
    else:
        candidates = sorted(child for child in folder.glob("*_prj") if child.is_dir())
    indices = ((ReportFile(child / name), tool) for child in candidates for name, tool in _INDEX_FILES.items())
    projects = [(index, tool) for index, tool in indices if index.exists]
    if len({index.path.parent for index, _ in projects}) > 1:
        names = ", ".join(index.path.parent.name for index, _ in projects)
        raise ProjectError(f"several HLS projects: {plain(names)}", where=str(folder), remedy="keep one in the folder")
    if not projects:
        return None
    index, tool = projects[0]
    return _indexed(folder, index, tool, settings.get("backend", ""))


def _indexed(folder: Path, file: ReportFile, tool: str, backend: str) -> HlsProject:
    index = file.xml()
    project = file.path.parent
    name = file.checked_name(project.name.removesuffix("_prj"))
    top = index.get("top") or (f"{name}_axi" if "accelerator" in backend.lower() else name)
    solutions = [file.checked_name(solution.get("name", "")) for solution in index.findall("solutions/solution")]
    built = [project / solution for solution in solutions if (project / solution).is_dir()]
    return HlsProject(folder, name, built[0] if built else project / "solution1", file.checked_name(top), tool)


def hls_sections(project: HlsProject) -> dict[str, object]:
    """The familiar sections of every stage that has run.

    Raises:
        ProjectError: a stage left a damaged report.
    """
    folder, reports, top = project.folder, project.solution, project.top
    accelerator = folder / f"{project.name}_vivado_accelerator" / "project_1.runs" / "impl_1"
    routed = folder / "timing.rpt"  # of our own scripts
    if not ReportFile(routed).exists:
        routed = accelerator / "design_1_wrapper_timing_summary_routed.rpt"
    return stages(
        {
            "CSimResults": (folder / "tb_data" / "csim_results.log", ReportFile.samples),
            "CosimResults": (folder / "tb_data" / "rtl_cosim_results.log", ReportFile.samples),
            "CSynthesisReport": (
                reports / "syn" / "report" / f"{top}_csynth.xml",
                partial(csynthesis, tool=project.tool),
            ),
            "VivadoSynthReport": (folder / "vivado_synth.rpt", utilization),
            "CosimReport": (reports / "sim" / "report" / f"{top}_cosim.rpt", partial(_cosimulation, project=project)),
            "ImplementationReport": (folder / "util.rpt", _implementation),
            "TimingReport": (routed, timing),
        }
    )


def csynthesis(file: ReportFile, tool: str) -> Figures:
    """Return the estimate of HLS: clock in ns, latency and interval in cycles, area, and the part's resources.

    Raises:
        ProjectError: the file is not such a report.
    """
    root = file.xml()
    section = file.figures({key: root.findtext(where) for key, where in _PERFORMANCE.items()})
    for prefix, where in (("", "AreaEstimates/Resources"), ("Available", "AreaEstimates/AvailableResources")):
        area = [child for child in root.find(where) or () if child.tag in _AREA]
        section |= file.figures({prefix + _AREA[child.tag]: child.text for child in area})
    if not section:
        raise file.wrong("an XML file without results of synthesis")
    return {**section, "Tool": f"{tool}{_version(root)} (estimate)"}


def utilization(file: ReportFile) -> Figures:
    """Return the cells of Vivado's synthesis. Block memories are counted in units of 18 Kbit, two to a tile.

    Raises:
        ProjectError: the file is not such a report.
    """
    text = file.text()
    section: dict[str, Number] = {}
    for cells in rows(text):
        key = _SITES.get(cells[0].rstrip("*"))
        used = None if key is None or key in section or len(cells) < 2 else file.number(cells[1], cells[0])
        if key is not None and used is not None:
            section[key] = round(2 * used) if key == "BRAM_18K" else used
    if not section:
        raise file.wrong("no table of a utilization report")
    return {**section, "Tool": _vivado(text)}


def timing(file: ReportFile) -> Figures:
    """The slacks of a timing summary, in ns: setup, hold and pulse width, worst and total.

    Raises:
        ProjectError: the file is not such a report.
    """
    text = file.text()
    lines = iter(text.splitlines())
    for line in lines:
        if line.split()[:2] == ["WNS(ns)", "TNS(ns)"]:
            next(lines, None)  # the rule under the headings
            values = next(lines, "").split()
            break
    else:
        raise file.wrong("no design timing summary")
    if len(values) != len(_TIMING_COLUMNS):
        raise file.wrong(f"a timing summary of {len(values)} columns instead of {len(_TIMING_COLUMNS)}")
    section = file.figures({key: value for key, value in zip(_TIMING_COLUMNS, values, strict=True) if key is not None})
    return {**section, "Tool": _vivado(text)} if section else {}


def _cosimulation(file: ReportFile, project: HlsProject) -> Figures:
    """Status, and latency and interval in cycles; those of single transactions where the simulator wrote them down."""
    known = False
    section: Figures = {}
    for cells in rows(file.text()):
        if cells[0] not in ("VHDL", "Verilog", "SystemC") or len(cells) < 2 + len(_COSIM_COLUMNS):
            continue
        known = True
        if cells[1] == "NA":  # this language was not simulated
            continue
        measured = file.figures(dict(zip(_COSIM_COLUMNS, cells[2:], strict=False)))
        section = {"RTL": cells[0], "Status": cells[1], **measured}
    if not known:
        raise file.wrong("no table of a co-simulation report")
    if section:
        language = str(section["RTL"]).lower()
        record = ReportFile(project.solution / "sim" / language / f"{project.top}.performance.result.transaction.xml")
        if record.exists:
            section.update(_transactions(record))
        section["Tool"] = f"{project.tool} co-simulation"
    return section


def _transactions(file: ReportFile) -> Figures:
    """Least, greatest and mean latency and interval over all transactions (``transaction 0: latency interval``)."""
    section: Figures = {}
    measured: dict[str, list[Number]] = {"Latency": [], "Interval": []}
    for line in file.text().splitlines():
        words = line.split()
        if len(words) == 4 and words[0] == "transaction":
            for key, word in zip(measured, words[2:], strict=True):
                value = file.number(word, key)
                if value is not None:
                    measured[key].append(value)
    for key, values in measured.items():
        if values:
            section |= {f"{key}Min": min(values), f"{key}Max": max(values), f"{key}Avg": sum(values) / len(values)}
    return section


def _implementation(file: ReportFile) -> Figures:
    """The whole design's row of a hierarchical utilization report, in numbers and, where it has them, in per cent."""
    text = file.text()
    headings: list[str] = []
    for cells in rows(text):
        if cells[:2] == ["Instance", "Module"]:
            headings = cells
        elif headings and len(cells) == len(headings) and cells[1] == "(top)":
            break
    else:
        raise file.wrong("no row of the whole design in a hierarchical utilization report")
    section: Figures = {}
    for heading, cell in zip(headings, cells, strict=True):
        if heading in _HIERARCHY:
            count, _, share = cell.partition("(")
            key = _HIERARCHY[heading]
            section |= file.figures({key: count, f"{key}%": share.rstrip("%)").lstrip("<")})
    section["Tool"] = _vivado(text)
    return section


def _version(root: Element) -> str:
    found = _VERSION.match(root.findtext("ReportVersion/Version") or "")
    return f" {found[0]}" if found else ""


def _vivado(text: str) -> str:
    for line in text.splitlines():
        if line.startswith("| Tool Version"):
            found = _VERSION.search(line)
            return f"Vivado {found[0]}" if found else "Vivado"
    return "Vivado"


def _sections_of(folder: Path, target_period_ns: float | None) -> dict[str, Section]:
    project = find_project(folder)
    report = {} if project is None else hls_sections(project)
    estimate, cosim, synthesis, built, slack = (
        scalars_of(report, name)
        for name in ("CSynthesisReport", "CosimReport", "VivadoSynthReport", "ImplementationReport", "TimingReport")
    )
    names: Mapping[str, str] = {"LUT": "LUT", "FF": "FF", "DSP": "DSP", "BRAM_18K": "BRAM_18K", "URAM": "URAM"}
    area = renamed(estimate, names)
    if built:
        area = renamed(built, {"TotLUTs": "LUT", "FFs": "FF", "DSPs": "DSP", "URAMs": "URAM"})
        tiles, halves = built.get("RAMB36s"), built.get("RAMB18s")
        if isinstance(tiles, int) and isinstance(halves, int):
            area["BRAM_18K"] = 2 * tiles + halves
    elif synthesis:
        area = renamed(synthesis, {**names, "DSP48E": "DSP"})
    latency = renamed(estimate, {"WorstLatency": "Cycles", "IntervalMax": "II"})
    if "LatencyMax" in cosim:
        simulated = renamed(cosim, {"LatencyMax": "Cycles", "IntervalMax": "II"})
        latency = (
            simulated if "II" in simulated else {**simulated, **renamed(estimate, {"IntervalMax": "II (estimate)"})}
        )
    asked = estimate.get("TargetClockPeriod", target_period_ns)
    timing = of_slack(slack, asked) or of_clock(estimate.get("EstimatedClockPeriod"), estimate)
    return {"Resources": area, "Latency": latency, "Timing": timing}


REPORTS = Reports(
    ("*_prj/*/syn/report/*_csynth.xml", "*_prj/*/sim/report/*_cosim.rpt", "vivado_synth.rpt", "util.rpt", "timing.rpt"),
    _sections_of,
)
