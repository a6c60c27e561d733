"""Figures of vendors' reports under our names, signed by the tool that each comes from."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Section: TypeAlias = dict[str, str | int | float | bool | None]
"""A section of our report."""


@dataclass(frozen=True, slots=True)
class Reports:
    """A vendor's reports.

    Args:
        files: patterns of their paths in a project.
        read: the sections ``Resources``, ``Latency`` and ``Timing`` of the project in a folder, for a clock period in ns that
            was asked for; what has not run has none, or only ``Tool``.
    """

    files: tuple[str, ...]
    read: Callable[[Path, float | None], dict[str, Section]]


def scalars(figures: Mapping[str, object]) -> Section:
    """The plain figures among others."""
    return {key: value for key, value in figures.items() if isinstance(value, (str, int, float, bool))}


def scalars_of(report: Mapping[str, object], name: str) -> Section:
    """The plain figures of a section of a vendor's report; none without that section."""
    section = report.get(name)
    return scalars(section) if isinstance(section, Mapping) else {}


_WHOLE = frozenset({"LUT", "FF", "DSP", "Cycles", "II"})
"""Our figures that are counts: a part of a block takes the whole block."""


def renamed(figures: Section, names: Mapping[str, str]) -> Section:
    """The figures of ``names`` under our names, signed by their tool."""
    section: Section = {}
    for theirs, ours in names.items():
        value = figures.get(theirs)
        if isinstance(value, float) and ours in _WHOLE:
            value = math.ceil(value)
        if value is not None:
            section[ours] = value
    return signed(section, str(figures.get("Tool", "")))


def signed(section: Section, tool: str) -> Section:
    """The section with the name of its tool, if it has any figure."""
    return {**section, "Tool": tool} if section and tool else section


def of_clock(period_ns: object, source: Section) -> Section:
    """The section ``Timing`` of a period, signed by the tool of ``source``; empty without a positive number."""
    if not isinstance(period_ns, (int, float)) or period_ns <= 0:
        return {}
    section: Section = {"FmaxMHz": round(1e3 / period_ns, 3), "ClockPeriodNs": round(period_ns, 4)}
    return signed(section, str(source.get("Tool", "")))


def of_slack(timing: Section, asked_ns: object) -> Section:
    """The section ``Timing`` of a worst slack of the period that was asked for; empty if one of them is unknown."""
    slack = timing.get("WNS")
    if not isinstance(slack, (int, float)) or not isinstance(asked_ns, (int, float)):
        return {}
    return of_clock(asked_ns - slack, timing)
