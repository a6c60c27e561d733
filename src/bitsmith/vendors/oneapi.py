"""The reports of the oneAPI compiler (``icpx``) for FPGAs and of Quartus on what it made.

In: the folder of the project, with ``build/<project>.<target>.prj``. Out: per target the familiar sections with numbers.
The files are lists of JSON values, one to a line.
"""

import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from bitsmith.vendors.figures import Reports, Section, of_clock, renamed, scalars_of, signed
from bitsmith.vendors.vendor import Figures, Json, Number, ReportFile, dig, existing_folder, nothing_found, stages

_TOOL = "the oneAPI compiler"
_AREA = ("alut", "reg", "ram", "dsp", "mlab", "frac_dsp")
_FITTED = ("alm", "alut", "reg", "dsp", "ram", "mlab")
_TARGET = re.compile(r"(?P<project>.+)\.(?P<target>[^.]+)\.prj")


def parse_oneapi_report(output_dir: str | os.PathLike[str]) -> dict[str, object]:
    """The figures of every target (``report``, ``fpga``, ``fpga_sim``) that was built, each under its own name.

    ``worstFrequency`` is in MHz, ``worstLatency`` in cycles; what has not run is not there.

    Raises:
        ProjectError: no such folder, no report in it, or a damaged one (named).
    """
    folder = existing_folder(output_dir)
    report: dict[str, object] = {}
    for project in sorted([*folder.glob("*.prj"), *folder.glob("*/*.prj")]):
        named = _TARGET.fullmatch(project.name)
        if named is None:
            continue
        built = ReportFile(project)
        target = built.checked_name(named["target"])
        if target in report:
            raise built.wrong(f"a second project with the target {target}")
        section = _sections(project, named["project"])
        if section:
            report[target] = section
    if not report:
        raise nothing_found(folder, _TOOL)
    return report


def _sections(project: Path, name: str) -> dict[str, object]:
    data = project / "reports" / "resources" / "json"
    summary, loops, quartus = (data / f"{file}.ndjson" for file in ("summary", "loop_attr", "quartus"))
    return stages({"HLS": (summary, _area), "Loop": (loops, _loops), "Quartus": (quartus, partial(_fitted, name=name))})


def _area(file: ReportFile) -> dict[str, object]:
    """Return the compiler's estimate of the area, and the resources of the part.

    ``frac_dsp`` is there where the version counts multipliers that share a block apart from whole blocks (``dsp``).
    """
    section: dict[str, object] = {}
    for value in file.json_lines():
        name = dig(value, "name")
        if name not in ("Total", "Available") or dig(value, "parent") not in (None, "estimatedResources"):
            continue
        area = file.figures({resource: dig(value, "data", at) for at, resource in enumerate(_AREA)})
        if area:
            section[str(name).lower()] = area
    if not section:
        raise file.wrong("no estimate of the area")
    return {**section, "Tool": f"{_TOOL} (estimate)"}


def _loops(file: ReportFile) -> Figures:
    """The lowest clock, and the greatest interval and latency, over all loops and blocks."""
    measured: dict[str, list[Number]] = {"af": [], "ii": [], "lt": []}
    for value in file.json_lines():
        if all(dig(value, key) is not None for key in measured):
            for key, seen in measured.items():
                figure = file.number(_bound(dig(value, key)), key)
                if figure is not None:
                    seen.append(figure)
    worst = {"worstFrequency": measured["af"], "worstII": measured["ii"], "worstLatency": measured["lt"]}
    section: Figures = {key: (min if key == "worstFrequency" else max)(seen) for key, seen in worst.items() if seen}
    return {**section, "Tool": f"{_TOOL} (estimate)"} if section else {}


def _fitted(file: ReportFile, name: str) -> Figures:
    """Clock in MHz and area after the fit; the compiler leaves a note instead of numbers until Quartus has run."""
    data: Json = {}
    for value in file.json_lines():
        if isinstance(data, dict) and isinstance(value, dict):
            data |= value
    fmax = file.number(dig(data, "quartusFitClockSummary", "nodes", 0, "clock fmax"), "clock fmax")
    if fmax is None:
        return {}
    nodes = dig(data, "quartusFitResourceUsageSummary", "nodes")
    kernels = {_squeezed(dig(node, "name")): node for node in nodes} if isinstance(nodes, list) else {}
    node = kernels.get(_squeezed(name), dig(nodes, 0))
    fitted = file.figures({resource: dig(node, resource) for resource in _FITTED})
    return {"fmax": fmax, **fitted, "Tool": "Quartus"}


def _squeezed(name: Json) -> str:
    """A name without what the compiler changes in it: it drops underscores and starts words with capitals."""
    return name.replace("_", "").lower() if isinstance(name, str) else ""


def _bound(value: Json) -> Json:
    """An interval as the compiler writes it: a number, or ``>=`` or ``~`` before one."""
    return value.lstrip(">=~ ") if isinstance(value, str) else value


def _sections_of(folder: Path, target_period_ns: float | None) -> dict[str, Section]:
    targets = parse_oneapi_report(folder)
    chosen = next((targets[name] for name in ("fpga", "fpga_sim", "report") if name in targets), None)
    report = chosen if isinstance(chosen, Mapping) else next(iter(targets.values()))
    if not isinstance(report, Mapping):
        return {}
    names = {name: "FF" if name == "reg" else name.upper() for name in ("alm", "alut", "reg", "dsp", "ram", "mlab")}
    quartus, loops, estimate = (scalars_of(report, name) for name in ("Quartus", "Loop", "HLS"))
    area = renamed(quartus, names)
    if not quartus and isinstance(report.get("HLS"), Mapping):
        area = signed(renamed(scalars_of(report["HLS"], "total"), names), str(estimate.get("Tool", "")))
    mhz = quartus.get("fmax", loops.get("worstFrequency"))
    return {
        "Resources": area,
        # The longest loop is not the whole way from input to output, so that it is not called the latency.
        "Latency": renamed(loops, {"worstII": "II", "worstLatency": "Longest loop"}),
        "Timing": of_clock(1e3 / mhz, quartus or loops) if isinstance(mhz, (int, float)) and mhz > 0 else {},
    }


REPORTS = Reports(("*.prj/reports/resources/json/*.ndjson", "*/*.prj/reports/resources/json/*.ndjson"), _sections_of)
