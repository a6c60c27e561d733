"""The reports of the Intel HLS compiler (``i++``) and of Quartus on what it made.

In: the folder of the project. Out: the familiar flat dictionary with numbers. The files are scripts of the form
``var areaJSON={...};`` whose values are JSON.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from bitsmith.base.project import write_atomically
from bitsmith.vendors.figures import Reports, Section, of_clock, renamed, scalars, signed
from bitsmith.vendors.vendor import Figures, Json, ReportFile, dig, existing_folder, nothing_found, stages

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
    sections = stages(
        {
            f"area: {_TOOL} (estimate)": (area, _area),
            f"latency: simulation by the {_TOOL}": (simulation, _simulation),
            "clock and fit: Quartus": (fitted, _fitted),
        }
    )
    if not sections:
        raise nothing_found(folder, f"the {_TOOL}")
    report: Figures = {}
    for section in sections.values():
        report |= section if isinstance(section, dict) else {}
    report["Tool"] = "; ".join(sections)
    if write_to_file:
        text = "".join(f"{key}: {value}\n" for key, value in report.items())
        write_atomically(folder / _SUMMARY, text.encode())
    return report


def compiler_folder(folder: Path) -> Path:
    """The compiler's folder: named by ``build_lib.sh``, or the only one of its kind."""
    script = ReportFile(folder / "build_lib.sh")
    named = _PROJECT.search(script.text()) if script.exists else None
    if named:
        return folder / f"{script.checked_name(named[1])}-fpga.prj"
    found = sorted(folder.glob("*-fpga.prj"))
    if len(found) != 1:
        raise nothing_found(folder, f"the {_TOOL}")
    return found[0]


def _variable(file: ReportFile, name: str) -> Json:
    """The value of a variable of a script; None if there is none of that name."""
    _, found, value = file.text().partition(f"var {name}=")
    return file.json(value) if found else None


def _area(file: ReportFile) -> Figures:
    area = _variable(file, "areaJSON")
    used, shares, capacity = (dig(area, key) for key in ("total", "total_percent", "max_resources"))
    if not isinstance(used, list) or len(used) < len(_AREA):
        raise file.wrong("no estimate of the area")
    keys = [f"HLS Estimate {name}" for name in _AREA]
    section = file.figures(dict(zip(keys, used, strict=False)))
    if capacity is None:
        return {**section, **file.figures({key: dig(shares, at) for at, key in enumerate(_PER_CENT)})}
    # The compiler's own list of shares does not start with ALUT in every version, so they are computed if possible.
    for at, key in enumerate(keys):
        most = file.number(dig(capacity, at), f"the number of {_AREA[at]}")
        if most and key in section:
            section[_PER_CENT[at]] = round(100 * section[key] / most, 3)
    return {**section}


def _simulation(file: ReportFile) -> Figures:
    """The first function's calls, latency and interval; the compiler writes an empty object until it was simulated."""
    data = dig(_variable(file, "verifJSON"), "functions", 0, "data")
    if data is None:
        return {}
    section: Figures = {**file.figures({"Number of Invoations": dig(data, 0)})}
    for at, name in ((1, "Latency"), (2, "ii")):
        triple = dig(data, at)
        values = triple.split(",") if isinstance(triple, str) else []
        if len(values) != 3:
            raise file.wrong(f"{name} is not three numbers")
        keys = [f"{name} ({which})" for which in ("MIN", "MAX", "AVG")]
        section |= file.figures(dict(zip(keys, values, strict=True)))
    return section


def _fitted(file: ReportFile) -> Figures:
    """Clock and area after the fit; the compiler writes a note or ``TBD`` until Quartus has run."""
    data = _variable(file, "quartusJSON")
    clock = file.number(dig(data, "quartusFitClockSummary", "nodes", 0, "clock"), "the clock")
    if clock is None:
        return {}
    node = dig(data, "quartusFitResourceUsageSummary", "nodes", -1)
    return {"Clock": clock, **file.figures({f"Quartus {name.upper()}": dig(node, name) for name in _FITTED})}


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
