"""Distributions of numbers against what their types can represent, as matplotlib figures.

In: rows of values. Out: figures that belong to nobody: pyplot is not used, so no window opens, no backend is chosen and no
global state stays behind. ``figure.savefig(path)`` writes one; a notebook shows it when it is the value of a cell.
matplotlib is optional: the extra ``report``.
"""

from __future__ import annotations

import enum
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bitsmith.errors import ToolMissingError
from bitsmith.layers.layer import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_IN, _ROW_IN, _FRAME_IN, _MOST_HEIGHT_IN = 8.5, 0.34, 1.3, 300.0
_HALF = 0.36
"""Half the height of what is drawn in a row; rows are 1 apart."""
_TYPE_GRAY, _FILL, _LINE, _SOFT = "#d9d9d9", "#9cc3de", "#1f4e73", "#8a8a8a"
_DENSITY_BINS = 48
_LEAST_DIFFERENCE, _LEAST_NORM = 1e-9, 1e-12
_MOST_PERCENT = 99
_NOTEBOOK_DPI = 96


class Plot(enum.StrEnum):
    """Form in which the values of a row are drawn."""

    BOXPLOT = "boxplot"
    """Quartiles and median; lines to the least and the greatest."""
    VIOLINPLOT = "violinplot"
    HISTOGRAM = "histogram"
    """The share of values in each power of two."""


@dataclass(frozen=True, slots=True)
class Row:
    """The values of one tensor. ``span`` are the exponents of its type: the lowest bit and the end of the magnitudes."""

    label: str
    values: Floats
    span: tuple[int, int] | None = None


def figure(width_in: float, height_in: float) -> Figure:
    """An empty figure.

    Raises:
        ToolMissingError: matplotlib is not installed.
    """
    try:
        return _shown()(figsize=(width_in, height_in), layout="constrained")
    except ImportError as error:
        raise ToolMissingError(
            f"pictures are drawn by matplotlib, which cannot be imported ({error})",
            remedy="pip install 'bitsmith[report]'",
        ) from error


@cache
def _shown() -> type[Figure]:
    """Figures that notebooks show, also where pyplot has not been imported."""
    from matplotlib.figure import Figure

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            return png(self)

    return Shown


def png(drawn: Figure) -> bytes:
    """A figure as a picture."""
    file = io.BytesIO()
    drawn.savefig(file, format="png", dpi=_NOTEBOOK_DPI)
    return file.getvalue()


def distributions(rows: Sequence[Row], title: str, plot: Plot) -> Figure:
    """The magnitudes of the values that are not zero, on an axis of powers of two; grey boxes are what types represent."""
    axes = _rows(title, [row.label for row in rows])
    from matplotlib import ticker

    draw = _GLYPHS[plot]
    for y, row in enumerate(rows):
        if row.span is not None:
            low, high = row.span
            axes.barh(y, high - low, left=low, height=0.86, color=_TYPE_GRAY, zorder=0)
        magnitudes = np.abs(row.values[np.isfinite(row.values) & (row.values != 0)])
        if magnitudes.size:
            draw(axes, y, np.log2(magnitudes))
        else:
            axes.text(0.5, y, "zeros only", transform=axes.get_yaxis_transform(), ha="center", va="center", color=_SOFT)
    axes.axvline(0.0, color=_SOFT, linestyle="--", linewidth=1, zorder=0.5)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda exponent, _: f"$2^{{{exponent:g}}}$"))
    axes.set_xlabel("magnitude")
    return _figure_of(axes)


def relative_differences(differences: Mapping[str, Floats], title: str) -> Figure:
    """Box plots of shares from 0 to 1, per layer; lines reach to the 99th percentile, since values near 0 reach 1."""
    axes = _rows(title, list(differences))
    reach = _LEAST_DIFFERENCE
    for y, values in enumerate(differences.values()):
        if values.size:
            most = float(np.percentile(values, _MOST_PERCENT))
            reach = max(reach, most)
            _box(axes, y, np.minimum(values, most))
    axes.set_xlim(left=0.0, right=1.02 * reach)
    axes.set_xlabel(f"difference as a share of the float value (lines: {_MOST_PERCENT} % of the elements)")
    return _figure_of(axes)


def norms(norms_by_layer: Mapping[str, float], title: str) -> Figure:
    """A bar per layer."""
    axes = _rows(title, list(norms_by_layer))
    axes.barh(range(len(norms_by_layer)), list(norms_by_layer.values()), height=2 * _HALF, color=_FILL, edgecolor=_LINE)
    axes.set_xlim(left=0.0, right=1.05 * max([_LEAST_NORM, *norms_by_layer.values()]))
    axes.set_xlabel("norm of the vector of differences")
    return _figure_of(axes)


def _rows(title: str, labels: Sequence[str]) -> Axes:
    """Axes with a row per label, the first on top. Labels are the user's names, never mathematical markup."""
    drawn = figure(_WIDTH_IN, min(_FRAME_IN + _ROW_IN * max(len(labels), 1), _MOST_HEIGHT_IN))
    axes = drawn.add_subplot()
    axes.set_title(title)
    axes.set_yticks(range(len(labels)), [label if label.isprintable() else ascii(label) for label in labels])
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    return axes


def _figure_of(axes: Axes) -> Figure:
    found = axes.get_figure(root=True)
    assert found is not None
    return found


def _box(axes: Axes, y: float, values: Floats) -> None:
    least, first, median, third, greatest = np.percentile(values, (0, 25, 50, 75, 100))
    axes.hlines(y, least, greatest, color=_LINE, linewidth=1, zorder=2)
    axes.vlines([least, greatest], y - _HALF / 2, y + _HALF / 2, color=_LINE, linewidth=1, zorder=2)
    axes.barh(y, third - first, left=first, height=2 * _HALF, color=_FILL, edgecolor=_LINE, zorder=3)
    axes.vlines(median, y - _HALF, y + _HALF, color=_LINE, linewidth=1.8, zorder=4)


def _violin(axes: Axes, y: float, values: Floats) -> None:
    counts, edges = _counts(values, np.linspace(values.min() - 0.25, values.max() + 0.25, _DENSITY_BINS))
    half = _HALF * counts / counts.max()
    middles = (edges[:-1] + edges[1:]) / 2
    axes.fill_between(middles, y - half, y + half, facecolor=_FILL, edgecolor=_LINE, zorder=3)
    axes.vlines(np.median(values), y - _HALF / 2, y + _HALF / 2, color=_LINE, linewidth=1.8, zorder=4)


def _histogram(axes: Axes, y: float, values: Floats) -> None:
    counts, edges = _counts(values, np.arange(np.floor(values.min()), np.floor(values.max()) + 2))
    heights = 2 * _HALF * counts / counts.max()
    bottom = y + _HALF
    axes.bar(edges[:-1], -heights, width=1.0, bottom=bottom, align="edge", color=_FILL, edgecolor=_LINE, zorder=3)


def _counts(values: Floats, edges: Floats) -> tuple[Floats, Floats]:
    return np.histogram(values, edges)[0].astype(np.float64), edges


_Glyph: TypeAlias = "Callable[[Axes, float, Floats], None]"
_GLYPHS: Mapping[Plot, _Glyph] = {Plot.BOXPLOT: _box, Plot.VIOLINPLOT: _violin, Plot.HISTOGRAM: _histogram}
