"""Labeled bars of figures, for the page of a report and for notebooks.

In: rows of sections and of layers. Out: bars as values, and the markup of notebooks.
"""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bitsmith.estimate.needs import Need
from bitsmith.report.figures.picture import Content, Direction, picture, svg
from bitsmith.report.sections import LayerCells, LayerFidelity, number, percent
from bitsmith.report.summary import Design, LayerRow
from bitsmith.report.terminal import cell_layer

_GRID = (
    "display: inline-grid; grid-template-columns: max-content 240px max-content; gap: 3px 12px; align-items: center; "
    "margin: 4px 0 10px"
)
_TRACK = "background: rgba(128, 128, 128, .25); height: 10px"
_FILL, _OVER = "#3574ab", "#c0392b"
_LONG = 24
"""Bars of more layers are folded in notebooks."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A labeled bar; ``percent`` of the full length."""

    label: str
    text: str
    percent: float
    over: bool = False


def as_html(title: str, bars: Iterable[Bar]) -> str:
    """Bars as a notebook shows them, light or dark; nothing if there are none."""
    rows = [
        f'<div>{html.escape(bar.label)}</div><div style="{_TRACK}"><div style="width: {bar.percent:.2f}%; height: 100%; '
        f'background: {_OVER if bar.over else _FILL}"></div></div><div>{html.escape(bar.text)}</div>'
        for bar in bars
    ]
    unfolded = " open" if len(rows) <= _LONG else ""
    grid = f'<div style="{_GRID}">{"".join(rows)}</div>'
    return f"<details{unfolded}><summary>{html.escape(title)}</summary>{grid}</details>" if rows else ""


def design_html(design: Design) -> str:
    """The bits of the layers' results as bars, and the picture of the layers to unfold."""
    drawn = svg(picture(design, Content(), Direction.DOWN)).decode()
    bars = as_html("Bits of the results", _width_bars(design.layers))
    return f"{bars}<details><summary>Picture of the layers</summary>{drawn}</details>"


def _width_bars(rows: Iterable[LayerRow]) -> list[Bar]:
    """A bar for the most bits of each layer's result."""
    found = [(row.name, row.result.bits, row.result.width_max) for row in rows if row.result is not None]
    most = max((bits for *_, bits in found), default=0) or 1
    return [Bar(name, f"{text} bits", 100 * bits / most) for name, text, bits in found]


def cell_bars(rows: Sequence[LayerCells]) -> list[Bar]:
    """A bar for the LUTs of each layer."""
    most = max((row.lut or 0 for row in rows), default=0) or 1
    total = sum(row.lut or 0 for row in rows) or 1
    return [
        Bar(cell_layer(row), f"{number(row.lut)} LUTs ({percent(row.lut / total)})", 100 * row.lut / most)
        for row in rows
        if row.lut
    ]


def used(need: Need) -> Bar:
    """A bar for a resource of the part."""
    if not need.available:
        text, share = f"{number(need.needed)}; the part has none", 100.0 if need.needed else 0.0
        return Bar(need.label, text, share, over=need.lacking)
    percent = 100 * need.needed / need.available
    text = f"{number(need.needed)} of {need.available:,} ({percent:{'.3g' if percent < 999.5 else ',.0f'}} %)"
    return Bar(need.label, text, min(percent, 100.0), over=need.lacking)


_EXPONENTS = 6
"""Powers of ten that the bars of errors span, below the whole range."""

_LARGE_ERROR = 0.1


def error_bar(row: LayerFidelity) -> Bar:
    """The error of a layer, on a scale of powers of ten."""
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
