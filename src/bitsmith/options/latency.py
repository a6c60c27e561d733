"""Goals for the latency as users say them: cycles, nanoseconds, or a build that has the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bitsmith.config.latency import Latency
from bitsmith.config.latency import read_latency as read_text
from bitsmith.errors import ConfigError

if TYPE_CHECKING:
    from bitsmith.report.report import Report


def read_latency(value: object, where: str) -> Latency:
    """A goal of cycles or nanoseconds, or exactly the cycles of a report, or of the build in a project folder.

    Raises:
        ConfigError: neither, or a build whose circuit was not simulated.
        ProjectError: a damaged report.
    """
    # The command line imports options at once, and reports only where they are read.
    from bitsmith.report.report import REPORT_JSON, Report, read_own_report

    if isinstance(value, Report):
        return _of(value, where)
    if isinstance(value, str | Path) and (report := Path(value) / REPORT_JSON).is_file():
        return _of(read_own_report(report), str(report))
    if isinstance(value, Path):
        accepted = f"the folder of a build, with its {REPORT_JSON}"
        raise ConfigError(f"no report in {value}", where=where, accepted=accepted)
    return read_text(value, where)


def _of(report: Report, where: str) -> Latency:
    from bitsmith.report import sections

    measured = report.find(sections.Latency)
    if measured is None or measured.cycles is None:
        raise ConfigError(
            "a report without a latency",
            where=where,
            accepted="that of a build that simulated its circuit",
            remedy="build with cosim=True, or give the cycles: '=12'",
        )
    return Latency(measured.cycles, exactly=True)
