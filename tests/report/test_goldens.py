"""How reports and pictures look, as files beside this one: any change of their layout is for review.

``python -m tests.report.test_goldens`` writes them again.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from itertools import count
from pathlib import Path

import pytest

from bitsmith.report import Report
from bitsmith.report.figures.picture import Content, Direction, dot, picture
from bitsmith.report.figures.picture import svg as picture_svg
from bitsmith.report.figures.scatter import Mark, Scatter
from bitsmith.report.figures.scatter import svg as scatter_svg
from bitsmith.report.html import page
from bitsmith.report.sections import SECTIONS, FigureSet, Files
from bitsmith.report.terminal import LayersTable, as_text, report_summary, report_table
from tests.report.reports import design, full_report

GOLDENS = Path(__file__).parent / "goldens"
ALL = Content(shapes=True, precision=True)


def figures(kind: type[FigureSet], numbers: Callable[[], int]) -> dict[str, object]:
    """All figures of a section, each with a number of its own."""
    hints, found = typing.get_type_hints(kind, include_extras=True), dict[str, object]()
    for each in fields(kind):
        for key in getattr(hints[each.name], "__metadata__", ()):
            wanted = {str: key.name.lower(), bool: True, float: numbers() / 1024, int: numbers()}
            found[key.name] = next(wanted[base] for base in wanted if base in _bases(hints[each.name]))
    return found


def _bases(hint: object) -> tuple[object, ...]:
    """The types that an annotation stands for."""
    (inner, *_) = typing.get_args(hint)
    return typing.get_args(inner) if isinstance(inner, types.UnionType) else (inner,)


def every() -> Report:
    """A report with every figure of every section."""
    numbers, found = count(1001, 3).__next__, dict[str, object]()
    for name, kind in SECTIONS.items():
        if kind is Files:
            found[name] = {"Top": "rtl/top.sv", "Log": "synth/a b.log"}
        elif issubclass(kind, FigureSet):
            found[name] = figures(kind, numbers)
        else:
            (row,) = typing.get_args(typing.get_type_hints(kind)["rows"])[:1]
            found[name] = [figures(row, numbers) for _ in range(2)]
    return Report(found, design())


def failed() -> Report:
    """A report of a build that went wrong in all ways."""
    timing = {"FmaxMHz": 80.0, "ClockPeriodNs": 12.5, "SlackNs": -2.5, "HoldSlackNs": -0.25, "CriticalPath": "dense"}
    return Report(
        {
            "Verification": {"Inputs": 1000, "Mismatches": 3, "Tool": "verilator 5.48"},
            "Estimate": {"LUT": 100_000, "BRAM": 3.5, "Tool": "bitsmith estimate"},
            "Timing": timing,
            "Utilization": [{"Cell": "TRELLIS_FF", "Used": 90_000, "Available": 83_640}],
        },
        design("failing", ("a note", "another note")),
    )


def _chart() -> Scatter:
    marks = [Mark(300.0 * k, 0.99 - 0.1 / k, f"{k} bits", k < 5, k % 2 == 1, k == 3) for k in range(1, 7)]
    return Scatter(marks, "LUTs (estimate)", 2000, "right", True, True, 0.95)


@cache
def made() -> Mapping[str, str]:
    """All of them by the names of their files."""
    reports = {"full": full_report(), "every": every(), "failed": failed()}
    found = dict[str, str]()
    for name, report in reports.items():
        found[f"{name}-summary.txt"] = as_text(report_summary(report.sections, report.design), 100)
        found[f"{name}.txt"] = as_text(report_table(report.sections, report.design), 100)
    found["every.html"] = page(reports["every"])
    for width in (80, 120, 180):
        layers = LayersTable("residual", design().layers, "LFE5U-25F", 8.0, ("a note",))
        found[f"layers-{width}.txt"] = as_text(layers, width)
    for direction in Direction:
        found[f"picture-{direction.value}.svg"] = picture_svg(picture(design(), ALL, direction)).decode()
        found[f"picture-{direction.value}.dot"] = str(dot(design(), ALL, direction))
    found["scatter.svg"] = scatter_svg(_chart(), "circuits").decode()
    return found


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDENS.iterdir()))
def test_it_looks_as_it_did(name: str) -> None:
    wanted = (GOLDENS / name).read_text(encoding="utf-8")
    assert made()[name].rstrip("\n") + "\n" == wanted, "renew it: make goldens, and look at the difference"


def test_every_report_has_its_golden_and_none_is_left_over() -> None:
    assert sorted(path.name for path in GOLDENS.iterdir()) == sorted(made())


if __name__ == "__main__":
    for name, text in made().items():
        (GOLDENS / name).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    sys.exit(0)
