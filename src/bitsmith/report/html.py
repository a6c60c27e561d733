"""The report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.

In: a report. Out: the page's text. Every name on it comes from a user's model or from a file, so everything is escaped.
"""

from collections.abc import Sequence

from bitsmith.estimate.needs import shortage
from bitsmith.report import turns
from bitsmith.report.bars import Bar, cell_bars, error_bar, used
from bitsmith.report.fifos import COLUMNS, fifo_table
from bitsmith.report.figures.drawing import diagram, range_chart
from bitsmith.report.figures.roofline import rooflines
from bitsmith.report.grids import BitCounts, mean_bits
from bitsmith.report.key_figures import area_of, key_figures, resources, verdict
from bitsmith.report.report import Report
from bitsmith.report.sections import Fidelity, FIFOs, Files, Layers, Origin, Resources, Stages, Utilization, number
from bitsmith.report.summary import LayerRow
from bitsmith.report.template import rendered
from bitsmith.report.terminal import USE_COLUMNS, cell_table, cell_use, totals

_LONG = 24
"""Networks of more layers are folded on the page."""


def page(report: Report) -> str:
    """The HTML page of ``report``."""
    design, area, fifos, files = report.design, area_of(report.sections), report.find(FIFOs), report.find(Files)
    rows = design.layers if design is not None else ()
    in_turn = turns.layers_in_turn(report.sections)
    cells, placed, fidelity = report.find(Layers), report.find(Utilization), report.find(Fidelity)
    shares = resources(report.sections, design)
    cell_columns, cell_rows = cell_table(cells.rows) if cells is not None and cells.rows else ([], [])
    return rendered(
        "page.html",
        title=design.name if design is not None else "bitsmith build",
        design=design,
        summary=totals(rows) if rows else "",
        verdict=verdict(report.sections, design),
        figures=key_figures(report.sections, design),
        resources=[used(need) for need in shares],
        shortage=shortage(shares),
        use_columns=USE_COLUMNS,
        utilization=[cell_use(row) for row in placed.rows] if placed is not None else [],
        cell_columns=cell_columns,
        cells=cell_rows,
        cell_bars=cell_bars(cells.rows) if cells is not None else [],
        turn_columns=turns.COLUMNS,
        turns=[turns.cells(row) for row in in_turn],
        rooflines=[*rooflines(in_turn)],
        has_stages=cells is not None and any(row.first_stage is not None for row in cells.rows),
        long=len(rows) > _LONG,
        origin=_origin(report.find(Origin)),
        resource_tool=area.tool if area is not None else "",
        estimated=not isinstance(area, Resources),
        has_ebops=any(row.ebops is not None for row in rows),
        bits=_bits(rows),
        fidelity=[error_bar(row) for row in fidelity.rows] if fidelity is not None else [],
        fifo_columns=COLUMNS,
        fifos=fifo_table(fifos.rows if fifos is not None else ()),
        stages=_stages(report.find(Stages)),
        diagram=diagram(rows, design.outputs) if design is not None and rows else None,
        ranges=range_chart(rows),
        files=files.paths if files is not None else {},
    )


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
