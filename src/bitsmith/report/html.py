"""The report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.

In: a report. Out: the page's text. Every name on it comes from a user's model or from a file, so everything is escaped.
"""

from __future__ import annotations

import math
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from bitsmith.estimate.fit import Need, shortage
from bitsmith.report.fifos import COLUMNS, fifo_table
from bitsmith.report.figures.drawing import diagram, range_chart
from bitsmith.report.grids import BitCounts, mean_bits
from bitsmith.report.key_figures import area_of, key_figures, resources, verdict
from bitsmith.report.report import Report
from bitsmith.report.sections import (
    Fidelity,
    FIFOs,
    Files,
    LayerCells,
    LayerFidelity,
    Layers,
    Origin,
    Resources,
    Stages,
    Utilization,
    number,
    percent,
)
from bitsmith.report.summary import LayerRow
from bitsmith.report.terminal import (
    USE_COLUMNS,
    cell_layer,
    cell_table,
    cell_use,
    constant_text,
    declared_text,
    left_text,
    range_text,
    totals,
)

_LONG = 24
"""Networks of more layers are folded on the page."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A labeled bar; ``percent`` of the full length."""

    label: str
    text: str
    percent: float
    over: bool = False


def rendered(template: str, **values: object) -> str:
    """A template with values, all of them escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bitsmith.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number, href=_href, constant=constant_text, declared=declared_text, left=left_text
    )
    environment.globals.update(range_text=range_text)
    return environment.get_template(template).render(**values)


def page(report: Report) -> str:
    """The HTML page of ``report``."""
    design, area, fifos, files = report.design, area_of(report.sections), report.find(FIFOs), report.find(Files)
    rows = design.layers if design is not None else ()
    cells, placed = report.find(Layers), report.find(Utilization)
    shares = resources(report.sections, design)
    cell_columns, cell_rows = cell_table(cells.rows) if cells is not None and cells.rows else ([], [])
    return rendered(
        "page.html",
        title=design.name if design is not None else "bitsmith build",
        design=design,
        summary=totals(rows) if rows else "",
        verdict=verdict(report.sections, design),
        figures=key_figures(report.sections, design),
        resources=[used(label, need) for label, need in shares],
        shortage=shortage(need for _, need in shares),
        use_columns=USE_COLUMNS,
        utilization=[cell_use(row) for row in placed.rows] if placed is not None else [],
        cell_columns=cell_columns,
        cells=cell_rows,
        cell_bars=_cell_bars(cells.rows) if cells is not None else [],
        has_stages=cells is not None and any(row.first_stage is not None for row in cells.rows),
        long=len(rows) > _LONG,
        origin=_origin(report.find(Origin)),
        resource_tool=area.tool if area is not None else "",
        estimated=not isinstance(area, Resources),
        has_ebops=any(row.ebops is not None for row in rows),
        bits=_bits(rows),
        fidelity=_fidelity(report.find(Fidelity)),
        fifo_columns=COLUMNS,
        fifos=fifo_table(fifos.rows if fifos is not None else ()),
        stages=_stages(report.find(Stages)),
        diagram=diagram(rows, design.outputs) if design is not None and rows else None,
        ranges=range_chart(rows),
        files=files.paths if files is not None else {},
    )


def _cell_bars(rows: Sequence[LayerCells]) -> list[Bar]:
    """A bar for the LUTs of each layer."""
    most = max((row.lut or 0 for row in rows), default=0) or 1
    total = sum(row.lut or 0 for row in rows) or 1
    return [
        Bar(cell_layer(row), f"{number(row.lut)} LUTs ({percent(row.lut / total)})", 100 * row.lut / most)
        for row in rows
        if row.lut
    ]


def _origin(section: Origin | None) -> str:
    """Return the subject of the report in one line."""
    if section is None:
        return ""
    parts = (
        (section.version, "bitsmith "),
        (section.date, ""),
        (section.digest, "program "),
        (section.command, ""),
        (section.seeds, "seeds: "),
    )
    return " · ".join(f"{before}{value}" for value, before in parts if value)


def used(label: str, need: Need) -> Bar:
    """A bar for a resource of the part."""
    if not need.available:
        return Bar(label, f"{number(need.needed)}; the part has none", 100.0 if need.needed else 0.0, over=need.lacking)
    percent = 100 * need.needed / need.available
    text = f"{number(need.needed)} of {need.available:,} ({percent:.3g} %)"
    return Bar(label, text, min(percent, 100.0), over=need.lacking)


def _stages(stages: Stages | None) -> list[tuple[Bar, str]]:
    """A bar for each stage, and its log."""
    rows = stages.rows if stages is not None else ()
    spent = [0.0 if stage.cached else max(stage.seconds or 0.0, 0.0) for stage in rows]
    longest = max([max(stage.seconds or 0.0, 0.0) for stage in rows], default=0.0) or 1.0
    return [
        (
            Bar(stage.name or "", "from cache" if stage.cached else f"{seconds:.1f} s", 100 * seconds / longest),
            stage.log or "",
        )
        for stage, seconds in zip(rows, spent, strict=True)
    ]


def _bits(rows: Sequence[LayerRow]) -> list[tuple[str, list[Bar]]]:
    """A histogram for each quantizer whose elements have different bits."""
    named = [(f"{row.name}, {each.variable}", each.bits) for row in rows for each in row.constants]
    named += [(f"{row.name}, result", row.bits) for row in rows]
    return [
        (f"{name}: {mean_bits(bits):.2f} bits on the mean", _histogram(bits)) for name, bits in named if len(bits) > 1
    ]


def _histogram(bits: BitCounts) -> list[Bar]:
    most = max(count for _, count in bits)
    return [Bar(f"{width} bits", number(count), 100 * count / most) for width, count in bits]


_EXPONENTS = 6
"""Powers of ten that the bars of errors span, below the whole range."""

_LARGE_ERROR = 0.1


def _fidelity(section: Fidelity | None) -> list[Bar]:
    """A bar for each layer's error, on a scale of powers of ten."""
    return [_error(row) for row in section.rows] if section is not None else []


def _error(row: LayerFidelity) -> Bar:
    error = row.error or 0.0
    length = 1 + math.log10(max(error, 10.0**-_EXPONENTS)) / _EXPONENTS
    counts = (
        (row.saturated, "saturate"),
        (row.wrapped, "wrap"),
        (row.stuck, "never change"),
        (row.zeroed, "weights are 0"),
    )
    said = [f"{percent(error)}, own {percent(row.own)}" if error else "exact"]
    said += [f"channel {row.channel}: {percent(row.channel_error)}"] if row.channel is not None else []
    said += [f"{count:,} {verb}" for count, verb in counts if count]
    return Bar(row.layer or "", "; ".join(said), 100 * min(length, 1.0), over=error > _LARGE_ERROR)


def _href(path: object) -> str:
    """A link to a file inside the project, "" for anything that may lead elsewhere."""
    text = str(path)
    pure = PurePosixPath(text)
    if pure.is_absolute() or ".." in pure.parts or "\\" in text or not text:
        return ""
    return "./" + urllib.parse.quote(text)
