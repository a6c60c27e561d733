"""The report of a project's folder: written by a build, and read with the figures that a vendor's tool has left since.

These are sections of our report, whichever vendor it was: ``Resources``, ``Latency`` and ``Timing`` with the tool that each
comes from; what has not run has no section. Of several tools the one that is closest to the hardware is believed: place and
route before logic synthesis before high-level synthesis, a simulation before an estimate.
"""

from __future__ import annotations

import os
from pathlib import Path

from bitsmith.base.project import write_atomically
from bitsmith.errors import ProjectError
from bitsmith.hls.dialects import DIALECTS
from bitsmith.report.html import page
from bitsmith.report.report import REPORT_JSON, Report, read_own_report
from bitsmith.report.sections import Figures
from bitsmith.vendors.figures import Reports
from bitsmith.vendors.vendor import ReportFile, existing_folder

REPORT_HTML = "report.html"
VENDOR_STAGE = "synth"
"""The stage of a build whose presence says that the vendor's reports are of the sources as they are."""

_READERS = tuple(dict.fromkeys(dialect.reports for dialect in DIALECTS.values()))


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write ``report.json`` and ``report.html`` into the folder; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    data, html = folder / REPORT_JSON, folder / REPORT_HTML
    write_atomically(data, report.to_json().encode())
    write_atomically(html, page(report).encode())
    return data, html


def read_report(output_dir: str | os.PathLike[str]) -> Report:
    """The report of the project in ``output_dir``: of a bitsmith build, or of a vendor's tool on any project.

    Where a vendor's tool was started by hand after our build, its figures take the place of ours.

    Raises:
        ProjectError: no such folder, nothing was run in it, or a damaged report.

    Examples:
        ```python
        model.build(synth=False, cosim=False)
        report = bitsmith.report.read_report(model.output_dir)
        print(report["Estimate"]["LUT"])
        ```
    """
    folder = existing_folder(output_dir)
    own = folder / REPORT_JSON
    if own.is_file():
        report = read_own_report(own)
        if ran_since(folder):
            for name, section in measured(folder, report.target_period_ns).items():
                report = report.with_section(name, section)
        return report
    sections = measured(folder)
    if not sections:
        raise ProjectError(
            "no report: this folder holds no finished build",
            where=str(folder),
            remedy="run build() on the model, or `bitsmith build` on this folder",
        )
    return Report(sections)


def ran_since(folder: Path) -> bool:
    """Return True if a vendor's tool has written reports after our build wrote its own."""
    newest = last_run(folder)
    return newest is not None and newest > (folder / REPORT_JSON).stat().st_mtime


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


def _newest(folder: Path, reports: Reports) -> float | None:
    try:
        return max((path.stat().st_mtime for pattern in reports.files for path in folder.glob(pattern)), default=None)
    except OSError as error:
        raise ReportFile(folder).wrong(f"cannot be read ({error.strerror})") from error
