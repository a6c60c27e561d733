"""The report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.

In: a report. Out: the page's text. Every name on it comes from a user's model or from a file, so everything is escaped.
"""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from pathlib import PurePosixPath

from jinja2 import Environment, PackageLoader, StrictUndefined

from bitsmith.devices import resolve_part
from bitsmith.errors import ConfigError
from bitsmith.report.figures.drawing import diagram, range_chart
from bitsmith.report.queues import COLUMNS, queue_table
from bitsmith.report.report import C_SIMULATION, Report, Section
from bitsmith.report.terminal import constant_text, number, range_text, totals

_COUNTED = (("LUT", "luts"), ("FF", "ffs"), ("DSP", "dsps"), ("BRAM", "brams"))


@dataclass(frozen=True, slots=True)
class Figure:
    """A key figure: ``good`` is None where there is nothing to judge."""

    label: str
    value: str
    unit: str = ""
    detail: str = ""
    good: bool | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A labelled bar; ``percent`` of the full length."""

    label: str
    text: str
    percent: float
    over: bool = False


def page(report: Report) -> str:
    """The HTML page of ``report``."""
    environment = Environment(
        loader=PackageLoader("bitsmith.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, href=_href, constant=constant_text)
    environment.globals.update(range_text=range_text)
    design = report.design
    rows = design.layers if design is not None else ()
    return environment.get_template("page.html").render(
        title=design.name if design is not None else "bitsmith build",
        design=design,
        summary=totals(rows) if rows else "",
        figures=_figures(report),
        resources=_resources(report),
        resource_tool=(report.section("Resources") or report.section("Estimate")).get("Tool") or "",
        estimated="Resources" not in report,
        queue_columns=COLUMNS,
        queues=queue_table(report.rows("Queues")),
        stages=_stages(report),
        diagram=diagram(rows, design.outputs) if design is not None and rows else None,
        ranges=range_chart(rows),
        files=report.section("Files"),
    )


def _figures(report: Report) -> list[Figure]:
    latency, timing = report.section("Latency"), report.section("Timing")
    figures = [*_verified(report), *_accuracy(report)]
    source = "Resources" if "Resources" in report else "Estimate"
    for name, _ in _COUNTED:
        section = report.section(source)
        if section.get(name) is not None:
            kind = "estimate" if source == "Estimate" else number(section.get("Tool"))
            figures.append(Figure(name, number(section[name]), detail=kind))
    fmax, target = timing.get("FmaxMHz"), report.target_period_ns
    if isinstance(fmax, (int, float)):
        met = fmax * target >= 1000 if target else None
        wanted = f"target {1000 / target:.4g} MHz" if target else ""
        figures.append(Figure("Fmax", f"{fmax:,.1f}", "MHz", _joined(wanted, timing.get("Tool")), met))
    cycles, interval = latency.get("Cycles"), latency.get("II")
    if isinstance(cycles, int):
        at = f"{1000 * cycles / fmax:,.3g} ns at Fmax" if isinstance(fmax, (int, float)) and fmax > 0 else ""
        figures.append(Figure("Latency", number(cycles), "cycles", _joined(at, latency.get("Tool"))))
    if isinstance(interval, int):
        rate = f"{fmax / interval:,.3g} M samples/s" if isinstance(fmax, (int, float)) and interval > 0 else ""
        figures.append(Figure("Initiation interval", number(interval), "cycles", _joined(rate, latency.get("Tool"))))
    return figures


def _verified(report: Report) -> list[Figure]:
    section = report.section("Verification")
    if "Mismatches" not in section:
        return []
    inputs, mismatches = section.get("Inputs"), section["Mismatches"]
    value = "bit for bit" if mismatches == 0 else f"{number(mismatches)} differ"
    detail = f"{number(inputs)} inputs, {number(mismatches)} mismatches"
    what = "C++" if section.get("Method") == C_SIMULATION else "Circuit"
    return [Figure(f"{what} = emulator", value, "", _joined(detail, section.get("Tool")), mismatches == 0)]


def _accuracy(report: Report) -> list[Figure]:
    section = report.section("Accuracy")
    fixed, floating, samples = section.get("Fixed"), section.get("Float"), section.get("Samples")
    if not isinstance(fixed, (int, float)):
        return []
    against = f"float model {100 * floating:.2f} %" if isinstance(floating, (int, float)) else ""
    counted = f"{number(samples)} samples" if samples is not None else ""
    return [Figure("Accuracy", f"{100 * fixed:.2f}", "%", _joined(against, counted))]


def _resources(report: Report) -> list[Bar]:
    section = report.section("Resources") or report.section("Estimate")
    name = section.get("Part") or (report.design.part if report.design is not None else "")
    try:
        part = resolve_part(str(name))
    except ConfigError:
        return []
    bars = []
    for label, capacity_name in _COUNTED:
        used, capacity = section.get(label), getattr(part, capacity_name)
        if not isinstance(used, (int, float)):
            continue
        if capacity:
            percent = 100 * used / capacity
            text = f"{number(used)} of {capacity:,} ({percent:.3g} %)"
        else:
            percent = 100.0 if used else 0.0
            text = f"{number(used)}; the part has none"
        bars.append(Bar(label, text, min(percent, 100.0), over=used > capacity))
    return bars


def _stages(report: Report) -> list[tuple[Bar, Section]]:
    def seconds(stage: Section) -> float:
        value = stage.get("Seconds")
        return float(value) if isinstance(value, (int, float)) and value >= 0 else 0.0

    stages = report.stages()
    longest = max([seconds(stage) for stage in stages], default=0.0) or 1.0
    return [
        (
            Bar(
                label=number(stage.get("Name")),
                text="from cache" if stage.get("Cached") else f"{seconds(stage):.1f} s",
                percent=0.0 if stage.get("Cached") else 100 * seconds(stage) / longest,
            ),
            stage,
        )
        for stage in stages
    ]


def _joined(*texts: object) -> str:
    return ", ".join(str(text) for text in texts if text)


def _href(path: object) -> str:
    """A link to a file inside the project, "" for anything that may lead elsewhere."""
    text = str(path)
    pure = PurePosixPath(text)
    if pure.is_absolute() or ".." in pure.parts or "\\" in text or not text:
        return ""
    return "./" + urllib.parse.quote(text)
