"""Tables for the terminal.

In: reports and rows. Out: renderables of rich, or plain text. Names come from the user's model, so they are shown as they
are, never as markup.
"""

import html
import io
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import assert_never, get_args

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from bitsmith.ir.program import Program
from bitsmith.ir.types import span_text
from bitsmith.layers.network import Network
from bitsmith.layers.words import many
from bitsmith.report import turns
from bitsmith.report.fifos import COLUMNS, fifo_table
from bitsmith.report.grids import bits_text
from bitsmith.report.key_figures import key_figures, verdict
from bitsmith.report.sections import (
    FIFO,
    CellUse,
    Engines,
    Fidelity,
    FIFOs,
    FigureSet,
    Files,
    LayerCells,
    LayerFidelity,
    Layers,
    Rows,
    Section,
    StageRun,
    Stages,
    Timing,
    Utilization,
    entries,
    number,
    percent,
    section_of,
)
from bitsmith.report.summary import AUTO, EXACT, ConstantRow, Design, LayerRow, rows

_MORE = "All figures: print(report.details()), or bitsmith report DIR --details"

_LEAST_WIDTH, _MOST_WIDTH, _PIPE_WIDTH = 80, 140, 130

_COLUMNS = ("Layer", "Type", "Shape", "Params", "Nonzero", "Constants", "EBOPs", "Result", "Bits", "Frac", "Range")
_LEAST_WIDTHS = {"Range": 98, "Nonzero": 124, "Constants": 124}
"""Columns that narrower tables leave out."""
_LISTS = tuple(kind.__name__ for kind in get_args(Rows))
"""Sections that are lists."""
_DETAILS = ("Nonzero", "Constants")
"""Columns that are left out before others become narrower than they should be."""
_SPARED = ("Type", "Params", "Shape")
"""Columns that are left out, in this order, where all are as narrow as they may be."""
_SHORTENED = {"Layer": 24, "Range": 8, "Result": 12, "Type": 12, "Constants": 20}
"""Columns that may be narrower than what they hold, in this order, and how narrow: names lose their middles, others wrap."""


def as_text(renderable: RenderableType, width: int | None = None) -> str:
    """``renderable`` as plain text, as wide as the terminal unless ``width`` says otherwise; lines of text are not broken."""
    if width is None:
        width = min(max(shutil.get_terminal_size((_PIPE_WIDTH, 1)).columns, _LEAST_WIDTH), _MOST_WIDTH)
    out = io.StringIO()
    # In a notebook rich would show the text, and write nothing.
    console = Console(file=out, width=width, color_system=None, legacy_windows=False, force_jupyter=False)
    console.print(renderable, soft_wrap=isinstance(renderable, Text))
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip("\n").splitlines())


def as_html(text: str) -> str:
    """Tables of :func:`as_text` as a notebook shows them: lines do not wrap, and nothing in them is markup."""
    return f'<pre style="white-space: pre; overflow-x: auto; line-height: 1.25">{html.escape(text)}</pre>'


def report_summary(sections: Sequence[Section], design: Design | None) -> Group:
    """Return one screen of a report: the verdict, key figures and notes; the whole report if it has no key figures."""
    figures = key_figures(sections, design)
    if not figures:
        return report_table(sections, design)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for figure in figures:
        style = "" if figure.good is None else "green" if figure.good else "bold red"
        value = Text(f"{figure.value} {figure.unit}".strip(), style=style)
        table.add_row(Text(f" {figure.label}"), value, Text(figure.detail, style="dim"))
    title = ": ".join(filter(None, (design.name if design is not None else "", verdict(sections, design))))
    notes = design.notes if design is not None else ()
    return Group(Text(title or "Build report", style="bold"), Text(), table, Text(), *_notes(notes), Text(_MORE))


def report_table(sections: Sequence[Section], design: Design | None) -> Group:
    """The whole report: figures with who measured them, then the stages and the files."""
    if not sections:
        return Group(Text("Nothing has been run yet."))
    parts: list[RenderableType] = [_figures(sections, design)]
    for section in sections:
        match section:
            case Fidelity(layers) if layers:
                parts.append(fidelity_table(layers))
            case Layers(rows) if rows:
                parts.append(rows_table("Cells of each layer", *cell_table(rows)))
            case Engines(rows) if rows:
                parts.append(rows_table("Layers in turn on engines", turns.COLUMNS, map(turns.cells, rows)))
            case Utilization(rows) if rows:
                parts.append(rows_table("In use after placement", USE_COLUMNS, map(cell_use, rows)))
            case FIFOs(rows) if rows:
                parts.append(_fifos(rows))
            case Stages(rows) if rows:
                parts.append(_stages(rows))
            case Files(paths) if paths:
                parts.append(_pairs("Files", paths.items()))
            case FigureSet() | Fidelity() | Layers() | Engines() | Utilization() | FIFOs() | Stages() | Files():
                pass  # among the figures, or without rows
            case _:
                assert_never(section)
    return Group(*parts, *_notes(design.notes if design is not None else ()))


def _notes(notes: Sequence[str]) -> list[Text]:
    return [Text(f"note: {note}") for note in notes]


def sections_table(sections: Mapping[str, object]) -> Group:
    """Any dictionary of sections, each as its own small table."""
    parts: list[RenderableType] = []
    for name, section in sections.items():
        if isinstance(section, Mapping):
            parts.append(_pairs(name, section.items()))
        elif name in _LISTS and isinstance(section, list):
            parts += report_table([section_of(name, section)], None).renderables[1:]
    return Group(*parts)


def _figures(sections: Sequence[Section], design: Design | None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Build report", title_justify="left", pad_edge=False)
    table.add_column("Figure")
    table.add_column("Value", justify="right")
    table.add_column("Measured by")
    for section in sections:
        if not isinstance(section, FigureSet):
            continue
        tool = Text(getattr(section, "tool", None) or "")
        for key, value in entries(section):
            if key.shown:
                share = key.unit == "%" and isinstance(value, float)
                shown = f"{100 * value:.2f}" if share and isinstance(value, float) else number(value)
                style = ("bold red" if value else "green") if key.name == "Mismatches" else ""
                table.add_row(Text(key.label or key.name), Text(f"{shown} {key.unit}".strip()), tool, style=style)
        if isinstance(section, Timing) and design is not None:
            table.add_row("Clock period asked for", f"{number(design.clock_period_ns)} ns", "")
    return table


_CELL_COLUMNS = ("Layer", "LUT", "FF", "DSP", "BRAM", "URAM", "SPRAM", "Cycles", "Stages")
USE_COLUMNS = ("Cell", "Used", "Available", "Share")


def cell_table(rows: Iterable[LayerCells]) -> tuple[list[str], list[list[str]]]:
    """The columns and rows of a table of each layer's cells, without larger memories where there are none."""
    columns = list(zip(*map(_layer_cells, rows), strict=True))
    shown = [name not in ("URAM", "SPRAM") or any(column) for name, column in zip(_CELL_COLUMNS, columns, strict=True)]
    return list(compress(_CELL_COLUMNS, shown)), [list(compress(row, shown)) for row in zip(*columns, strict=True)]


def cell_layer(row: LayerCells) -> str:
    """The name of a layer's row of cells."""
    return row.layer or "between layers"


def _layer_cells(row: LayerCells) -> tuple[str, ...]:
    """A layer's cells under `_CELL_COLUMNS`; stages are counted from 1."""
    stages = ""
    if row.first_stage is not None and row.last_stage is not None:
        stages = span_text((row.first_stage + 1, row.last_stage + 1))
    counts = (row.lut, row.ff, row.dsp, row.bram, row.uram, row.spram, row.cycles)
    return (cell_layer(row), *map(number, counts), stages)


def cell_use(row: CellUse) -> tuple[str, ...]:
    """Cells in use under :data:`USE_COLUMNS`."""
    share = percent((row.used or 0) / row.available) if row.available else ""
    return (row.cell or "", number(row.used), number(row.available), share)


def rows_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of a name in the first column, and numbers."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _stages(stages: Iterable[StageRun]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Stages", title_justify="left", pad_edge=False)
    table.add_column("Stage")
    table.add_column("Seconds", justify="right")
    table.add_column("Log", overflow="fold")
    total = 0.0
    for stage in stages:
        spent = 0.0 if stage.cached else stage.seconds or 0.0
        total += spent
        table.add_row(Text(stage.name or ""), "from cache" if stage.cached else f"{spent:.1f}", Text(stage.log or ""))
    table.add_section()
    table.add_row("Total", f"{total:.1f}", "")
    return table


def _fifos(fifos: Sequence[FIFO]) -> Table:
    shown = fifo_table(fifos)
    table = Table(box=box.SIMPLE_HEAD, title="FIFOs and buffers", title_justify="left", pad_edge=False)
    for column in COLUMNS:
        named = column in ("FIFO", "Layer")
        table.add_column(column, justify="left" if named else "right", overflow="fold" if named else "ellipsis")
    for row in shown.rows:
        table.add_row(*(Text(number(cell)) for cell in row))
    table.add_section()
    table.add_row("Total", Text(shown.total + (f", {shown.left_out:,} not shown" if shown.left_out else "")))
    return table


def fidelity_table(rows: Sequence[LayerFidelity]) -> Table:
    """A table of layers; counts that are 0 for all of them have no column."""
    columns = {
        "Error": [percent(row.error) for row in rows],
        "Worst": [percent(row.worst) for row in rows],
        "SNR dB": ["exact" if row.snr_db is None else f"{row.snr_db:.0f}" for row in rows],
        "Own error": [percent(row.own) for row in rows],
    }
    if any(row.channel is not None for row in rows):
        columns["Channel"] = [worst_channel(row) for row in rows]
    for heading, counts in (
        ("Saturate", [row.saturated for row in rows]),
        ("Wrap", [row.wrapped for row in rows]),
        ("Stuck", [row.stuck for row in rows]),
        ("Weights to 0", [row.zeroed for row in rows]),
    ):
        if any(counts):
            columns[heading] = [f"{count:,}" if count else "" for count in counts]
    table = Table(
        box=box.SIMPLE_HEAD, title="Fidelity: shares of each result's range", title_justify="left", pad_edge=False
    )
    table.add_column("Layer", overflow="fold")
    for heading, cells in columns.items():
        table.add_column(heading, justify="right", min_width=max(map(len, cells), default=0))
    for row, *cells in zip(rows, *columns.values(), strict=True):
        table.add_row(Text(row.layer or ""), *map(Text, cells))
    return table


def worst_channel(row: LayerFidelity) -> str:
    """The error of the channel that is furthest off, and which one it is; "" if it is not far above the whole's."""
    return "" if row.channel is None else f"{percent(row.channel_error)} ({row.channel})"


def _pairs(title: str, pairs: Iterable[tuple[object, object]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=Text(title), title_justify="left", pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for key, value in pairs:
        table.add_row(Text(str(key)), Text(number(value)))
    return table


@dataclass(frozen=True, slots=True)
class LayersTable:
    """The layers of a network with their sizes, formats and proved ranges, the totals, and the notes.

    A narrow terminal gets fewer columns.
    """

    name: str
    layers: tuple[LayerRow, ...]
    part: str = ""
    clock_period_ns: float | None = None
    notes: tuple[str, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [dict(zip(_COLUMNS, _cells(row), strict=True)) for row in self.layers]
        shown = [heading for heading in _COLUMNS if options.max_width >= _LEAST_WIDTHS.get(heading, 0)]
        if all(row.ebops is None for row in self.layers):
            shown.remove("EBOPs")
        widths = _widths({heading: [row[heading] for row in rows] for heading in shown}, options.max_width)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for heading, width in widths.items():
            right = heading in ("Params", "Nonzero", "EBOPs", "Bits", "Frac")
            table.add_column(heading, justify="right" if right else "left", overflow="fold", width=width)
        for row in rows:
            named: dict[str, str] = {
                heading: shortened(row[heading], widths[heading]) for heading in ("Layer", "Type") if heading in widths
            }
            table.add_row(*(Text(named.get(heading, row[heading])) for heading in widths))
        yield Text(f"{self.name}: {totals(self.layers)}", style="bold")
        clock = (
            f"{self.clock_period_ns:g} ns clock ({1000 / self.clock_period_ns:.4g} MHz)" if self.clock_period_ns else ""
        )
        target = ", ".join(filter(None, (self.part, clock)))
        if target:
            yield Text(f"for {target}")
        yield table
        for note in self.notes:
            yield Text(f"note: {note}")


def render(
    network: Network,
    program: Program,
    notes: Sequence[str] = (),
    *,
    part: str = "",
    clock_period_ns: float | None = None,
    width: int | None = None,
) -> str:
    """The table that ``print(model)`` shows, ``width`` characters wide (the terminal's by default)."""
    table = LayersTable(network.name, rows(network, program), part, clock_period_ns, tuple(notes))
    return as_text(table, width)


def _widths(columns: Mapping[str, Sequence[str]], available: int) -> dict[str, int]:
    """The columns that are shown, with widths that fit into ``available`` characters."""
    widths = {
        heading: max(cell_len(line) for cell in (heading, *cells) for line in cell.split("\n"))
        for heading, cells in columns.items()
    }
    least = {heading: min(width, _SHORTENED.get(heading, width)) for heading, width in widths.items()}
    for heading in {"Result", "Constants"} & least.keys():  # a type breaks within its numbers otherwise
        least[heading] = max(least[heading], *(cell_len(word) for cell in columns[heading] for word in cell.split()), 0)
    if sum(least.values()) + 2 * len(least) > available:
        widths = {heading: width for heading, width in widths.items() if heading not in _DETAILS}
    last = (("Result", _SHORTENED["Result"]), ("Layer", 8))
    narrowest = {**least, "Layer": min(least["Layer"], 8)}
    for heading in _SPARED:  # before numbers are broken
        if sum(narrowest[name] for name in widths) + 2 * len(widths) > available:
            del widths[heading]
    excess = sum(widths.values()) + 2 * len(widths) - available
    for heading, bound in (*((heading, least.get(heading, 0)) for heading in _SHORTENED), *last):
        if heading in widths and excess > 0:
            narrower = max(widths[heading] - excess, bound)
            excess -= widths[heading] - narrower
            widths[heading] = narrower
    return widths


def shortened(name: str, width: int) -> str:
    """``name`` without its middle if it is wider than ``width`` characters of a terminal."""
    if cell_len(name) <= width:
        return name
    head, tail = name[: width - width // 2], name[len(name) - width // 2 :]
    while cell_len(head) + 1 + cell_len(tail) > width:
        head, tail = (head[:-1], tail) if cell_len(head) > cell_len(tail) else (head, tail[1:])
    return f"{head}…{tail}"


def totals(layers: tuple[LayerRow, ...]) -> str:
    """Sizes of the whole network, in words."""
    parameters, nonzero = sum(row.parameters for row in layers), sum(row.nonzero for row in layers)
    share = f", {100 * nonzero / parameters:.0f} % of them not zero" if parameters else ""
    operations = sum(row.ebops or 0 for row in layers)
    counted = f", {operations:,} EBOPs" if any(row.ebops is not None for row in layers) else ""
    return f"{many(len(layers), 'layer')}, {many(parameters, 'parameter')}{share}{counted}"


def _cells(row: LayerRow) -> tuple[str, ...]:
    parameters = f"{row.parameters:,}" if row.parameters else ""
    nonzero = f"{100 * row.nonzero / row.parameters:.0f} %" if row.parameters else ""
    constants = "\n".join(map(constant_text, row.constants))
    operations = "" if row.ebops is None else f"{row.ebops:,}"
    left = (row.name, row.title, row.shape_text, parameters, nonzero, constants, operations)
    if row.result is None:
        return (*left, left_text(row), "", "", "")
    return (*left, declared_text(row), row.result.bits, row.result.frac, range_text(row.result.lo, row.result.hi))


def left_text(row: LayerRow) -> str:
    """Return the text for a layer without a result: where it went."""
    if row.absorbed:
        return f"absorbed by {', '.join(row.absorbed)}"
    return "folded" if row.folded else "none"


def declared_text(row: LayerRow) -> str:
    """The format of a result as it was asked for, and the bits of the elements where they differ."""
    return " ".join(filter(None, (row.declared, bits_text(row.bits))))


def constant_text(constant: ConstantRow) -> str:
    """A trained tensor's format, and that it was chosen by the rule of auto where it was; or the grid of its quantizer."""
    if constant.bits:
        return " ".join(filter(None, (constant.variable, constant.declared, bits_text(constant.bits))))
    chosen = f" ({constant.declared})" if constant.declared in (AUTO, EXACT) else ""
    return f"{constant.variable} {constant.format}{chosen}"


def range_text(lo: float | None, hi: float | None) -> str:
    """An interval of real values."""
    return "beyond float64" if lo is None or hi is None else f"{_short(lo)} .. {_short(hi)}"


def _short(value: float) -> str:
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"
