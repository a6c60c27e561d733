"""The report of a project's folder: written by a build, and read with the figures that a vendor's tool has left since."""

from __future__ import annotations

import os
from pathlib import Path

from bitsmith.base.project import write_atomically
from bitsmith.errors import ProjectError
from bitsmith.report.html import page
from bitsmith.report.measured import last_run, measured
from bitsmith.report.report import REPORT_JSON, Report, read_own_report
from bitsmith.vendors.vendor import existing_folder

REPORT_HTML = "report.html"
VENDOR_STAGE = "synth"
"""The stage of a build whose presence says that the vendor's reports are of the sources as they are."""


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


def describes_sources(folder: Path, report: Report) -> bool:
    """Return True if the vendor's reports in ``folder`` and ``report``, our own there, describe the same sources."""
    return any(stage.get("Name") == VENDOR_STAGE for stage in report.stages()) or ran_since(folder)
