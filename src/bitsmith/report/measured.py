"""Figures that vendors' tools left in a folder, as sections of our report, whichever vendor it was.

In: the folder of a project, ours or another tool's. Out: ``Resources``, ``Latency`` and ``Timing`` with the tool that each
comes from; what has not run has no section. Of several tools the one that is closest to the hardware is believed: place and
route before logic synthesis before high-level synthesis, a simulation before an estimate.
"""

from __future__ import annotations

from pathlib import Path

from bitsmith.hls.dialects import DIALECTS
from bitsmith.report.sections import Figures
from bitsmith.vendors.figures import Reports
from bitsmith.vendors.vendor import ReportFile

_READERS = tuple(dict.fromkeys(dialect.reports for dialect in DIALECTS.values()))


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
