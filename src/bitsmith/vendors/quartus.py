"""The reports of the Intel HLS compiler (``i++``) and of Quartus on what it made.

In: the folder of the project. Out: the familiar flat dictionary with numbers. The files are scripts of the form
``var areaJSON={...};`` whose values are JSON.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from bitsmith.project import write_atomically
from bitsmith.vendors.figures import Reports, Section, of_clock, renamed, scalars, signed
from bitsmith.vendors.vendor import (
    Figures,
    Json,
    dig,
    existing_folder,
    file_name,
    malformed,
    nothing_found,
    number,
    present,
    put,
    read_json,
    read_text,
)

_TOOL = "Intel HLS compiler"
_PROJECT = re.compile(r"^(?:export )?PROJECT=\"?([^\s\"]+)\"?$", re.MULTILINE)
_AREA = ("ALUT", "FF", "RAM", "DSP", "MLAB")
_PER_CENT = (
    "HLS Estimate ALUT (%)",
    "HLS Estimate FF(%)",
    "HLS Estimate RAM (%)",
    "HLS Estimate DSP (%)",
    "HLS Estimate MLAB (%)",
)
_FITTED = ("alm", "reg", "dsp", "ram", "mlab")
_SUMMARY = "synthesis-report.txt"


def parse_quartus_report(output_dir: str | os.PathLike[str], write_to_file: bool = True) -> Figures:
    """The figures of the HLS compiler, its simulation and Quartus; what has not run is not there.

    The familiar key ``Number of Invoations`` keeps its familiar spelling. ``Clock`` is in MHz, latency and ``ii`` are in
    cycles. ``write_to_file`` also writes the figures to ``synthesis-report.txt`` in the project.

    Raises:
        ProjectError: no such folder, no report in it, or a damaged one (named).
    """
    folder = existing_folder(output_dir)
    library = compiler_folder(folder) / "reports" / "lib"
    area, simulation, fitted = (library / f"{name}_data.js" for name in ("report", "verification", "quartus"))
    report: Figures = {}
    tools: list[str] = []
    for path, read, tool in (
        (area, _area, f"area: {_TOOL} (estimate)"),
        (simulation, _simulation, f"latency: simulation by the {_TOOL}"),
        (fitted, _fitted, "clock and fit: Quartus"),
    ):
        section = read(path) if present(path) else {}
        if section:
            report |= section
            tools.append(tool)
    if not report:
        raise nothing_found(folder, f"the {_TOOL}")
    report["Tool"] = "; ".join(tools)
    if write_to_file:
        text = "".join(f"{key}: {value}\n" for key, value in report.items())
        write_atomically(folder / _SUMMARY, lambda file: file.write(text.encode()))
    return report


def compiler_folder(folder: Path) -> Path:
    """The compiler's folder: named by ``build_lib.sh``, or the only one of its kind."""
    script = folder / "build_lib.sh"
    named = _PROJECT.search(read_text(script)) if present(script) else None
    if named:
        return folder / f"{file_name(named[1], script)}-fpga.prj"
    found = sorted(folder.glob("*-fpga.prj"))
    if len(found) != 1:
        raise nothing_found(folder, f"the {_TOOL}")
    return found[0]


def _variable(path: Path, name: str) -> Json:
    """The value of a variable of a script; None if there is none of that name."""
    _, found, value = read_text(path).partition(f"var {name}=")
    return read_json(value, path) if found else None


def _area(path: Path) -> Figures:
    area = _variable(path, "areaJSON")
    used, shares, capacity = (dig(area, key) for key in ("total", "total_percent", "max_resources"))
    if not isinstance(used, list) or len(used) < len(_AREA):
        raise malformed("no estimate of the area", path)
    section: Figures = {}
    counts = [number(value, name, path) for name, value in zip(_AREA, used, strict=False)]
    for name, count in zip(_AREA, counts, strict=True):
        put(section, f"HLS Estimate {name}", count)
    for at, (key, count) in enumerate(zip(_PER_CENT, counts, strict=True)):
        # The compiler's own list of shares does not start with ALUT in every version, so they are computed if possible.
        most = number(dig(capacity, at), f"the number of {_AREA[at]}", path)
        if most and count is not None:
            section[key] = round(100 * count / most, 3)
        elif capacity is None:
            put(section, key, number(dig(shares, at), key, path))
    return section


def _simulation(path: Path) -> Figures:
    """The first function's calls, latency and interval; the compiler writes an empty object until it was simulated."""
    data = dig(_variable(path, "verifJSON"), "functions", 0, "data")
    if data is None:
        return {}
    section: Figures = {}
    put(section, "Number of Invoations", number(dig(data, 0), "the number of invocations", path))
    for at, name in ((1, "Latency"), (2, "ii")):
        triple = dig(data, at)
        values = triple.split(",") if isinstance(triple, str) else []
        if len(values) != 3:
            raise malformed(f"{name} is not three numbers", path)
        for which, value in zip(("MIN", "MAX", "AVG"), values, strict=True):
            put(section, f"{name} ({which})", number(value, name, path))
    return section


def _fitted(path: Path) -> Figures:
    """Clock and area after the fit; the compiler writes a note or ``TBD`` until Quartus has run."""
    data = _variable(path, "quartusJSON")
    clock = number(dig(data, "quartusFitClockSummary", "nodes", 0, "clock"), "the clock", path)
    if clock is None:
        return {}
    section: Figures = {"Clock": clock}
    node = dig(data, "quartusFitResourceUsageSummary", "nodes", -1)
    for name in _FITTED:
        put(section, f"Quartus {name.upper()}", number(dig(node, name), name, path))
    return section


def _sections_of(folder: Path, target_period_ns: float | None) -> dict[str, Section]:
    report = scalars(parse_quartus_report(folder, write_to_file=False))
    resources = ("ALM", "ALUT", "REG", "FF", "DSP", "RAM", "MLAB")
    fitted = renamed(report, {f"Quartus {name}": "FF" if name == "REG" else name for name in resources})
    estimate = renamed(report, {f"HLS Estimate {name}": name for name in resources})
    clock = report.get("Clock")
    return {
        "Resources": signed(fitted, "Quartus") or signed(estimate, "Intel HLS compiler (estimate)"),
        "Latency": signed(renamed(report, {"Latency (MAX)": "Cycles", "ii (MAX)": "II"}), "Intel HLS compiler"),
        "Timing": of_clock(1e3 / clock, {"Tool": "Quartus"}) if isinstance(clock, (int, float)) and clock > 0 else {},
    }


REPORTS = Reports(("*-fpga.prj/reports/lib/*_data.js",), _sections_of)
