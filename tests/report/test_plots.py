"""Figures of distributions: what is drawn in each row, by the artists of matplotlib and the definitions of statistics."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from bitsmith.report.figures.plots import Plot, Row, distributions, norms, relative_differences

pytest.importorskip("matplotlib")

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

HALF = 0.36


def axes_of(figure: Figure) -> Axes:
    (axes,) = figure.axes
    return axes


def lines(axes: Axes) -> list[tuple[float, ...]]:
    """The straight lines that glyphs have, as (x, y) of both ends."""
    found = (each for each in axes.collections if isinstance(each, LineCollection))
    return [tuple(np.asarray(ends).ravel().tolist()) for each in found for ends in each.get_segments()]


def boxes(axes: Axes) -> list[tuple[float, float, float, float]]:
    """Left, right, and both heights of rectangles, the lower one first."""
    found = list[tuple[float, float, float, float]]()
    for patch in axes.patches:
        (x0, y0), (x1, y1) = patch.get_bbox().get_points()  # type: ignore[attr-defined]
        found.append((min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)))
    return found


def box_of(values: np.ndarray, y: float) -> tuple[list[tuple[float, ...]], tuple[float, ...]]:
    """The lines and the rectangle of a box plot: whiskers to the ends, quartiles, median."""
    least, first, median, third, greatest = (float(np.quantile(values, part)) for part in (0, 0.25, 0.5, 0.75, 1))
    quarter = HALF / 2
    wanted = [
        (least, y, greatest, y),
        (least, y - quarter, least, y + quarter),
        (greatest, y - quarter, greatest, y + quarter),
        (median, y - HALF, median, y + HALF),
    ]
    return wanted, (first, third, y - HALF, y + HALF)


ROWS = [np.array([0.0, 0.5, -1.0, 3.0, 8.0, np.inf, np.nan]), np.geomspace(1e-3, 5.0, 40), -np.array([2.0])]


def test_box_plots_show_quartiles_of_magnitudes_and_ranges_of_types() -> None:
    spans = [(-3, 4), None, (0, 2)]
    rows = [Row(f"n{k}", values, span) for k, (values, span) in enumerate(zip(ROWS, spans, strict=True))]
    axes = axes_of(distributions(rows, "title", Plot.BOXPLOT))
    wanted_lines, wanted_boxes = list[tuple[float, ...]](), list[tuple[float, ...]]()
    for y, (values, span) in enumerate(zip(ROWS, spans, strict=True)):
        if span is not None:
            wanted_boxes.append((*span, y - 0.43, y + 0.43))
        segments, box = box_of(np.log2(np.abs(values[np.isfinite(values) & (values != 0)])), y)
        wanted_lines += segments
        wanted_boxes.append(box)
    assert np.allclose(sorted(lines(axes)), sorted(wanted_lines))
    assert np.allclose(sorted(boxes(axes)), sorted(wanted_boxes))
    assert axes.get_title() == "title" and [text.get_text() for text in axes.get_yticklabels()] == ["n0", "n1", "n2"]
    assert axes.get_ylim() == (2.5, -0.5)  # the first row on top
    assert (axes.lines[0].get_xdata()[0], axes.get_xlabel()) == (0.0, "magnitude")  # type: ignore[index]


def test_histograms_show_the_share_in_each_power_of_two() -> None:
    values = np.array([0.3, 0.49, 0.5, 1.0, 1.99, 2.0, 3.0, 3.9, 17.0, -2.5])
    axes = axes_of(distributions([Row("n", np.ones(1)), Row("m", values)], "t", Plot.HISTOGRAM))
    counts = {-2: 2, -1: 1, 0: 2, 1: 4, 2: 0, 3: 0, 4: 1}
    bars = [(k, k + 1.0, 1 + HALF - 2 * HALF * count / 4, 1 + HALF) for k, count in counts.items()]
    assert np.allclose(sorted(boxes(axes)), sorted([(0.0, 1.0, -HALF, HALF), *bars]))


def test_violins_are_as_wide_as_values_are_dense() -> None:
    values = 2.0 ** np.random.default_rng(0).normal(0.0, 2.0, 3000)
    axes = axes_of(distributions([Row("n", np.ones(1)), Row("m", values)], "t", Plot.VIOLINPLOT))
    exponents = np.log2(values)
    _, violin = (each for each in axes.collections if isinstance(each, PolyCollection))
    outline = violin.get_paths()[0].vertices
    assert np.allclose((outline[:, 1].min(), outline[:, 1].max()), (1 - HALF, 1 + HALF))
    step = (np.ptp(exponents) + 0.5) / 47
    left = exponents.min() - 0.25
    assert np.allclose((outline[:, 0].min(), outline[:, 0].max()), (left + step / 2, left + 46.5 * step))
    counts = np.array([np.sum((left + k * step <= exponents) & (exponents < left + (k + 1) * step)) for k in range(47)])
    upper = {round(float(x), 6): float(y) for x, y in outline if y > 1}
    for k in np.flatnonzero(counts):
        assert upper[round(float(left + (k + 0.5) * step), 6)] == pytest.approx(1 + HALF * counts[k] / counts.max())
    median = float(np.median(exponents))
    assert any(np.allclose(line, (median, 1 - HALF / 2, median, 1 + HALF / 2)) for line in lines(axes))


def test_rows_of_zeros_say_so() -> None:
    for plot in Plot:
        axes = axes_of(distributions([Row("n", np.zeros(4)), Row("m", np.array([np.nan, 1.0]))], "t", plot))
        assert [(text.get_text(), text.get_position()) for text in axes.texts] == [("zeros only", (0.5, 0))]


def test_magnitudes_are_labeled_as_powers_of_two() -> None:
    axes = axes_of(distributions([Row("n0", np.array([0.25, 1.0, 64.0]), None)], "title", Plot.BOXPLOT))
    assert axes.get_ylim() == (0.5, -0.5)  # a single row
    ticks = axes.get_xticks()
    assert len(ticks) > 2 and all(tick == round(tick) for tick in ticks)
    assert axes.xaxis.get_major_formatter().format_ticks(ticks) == [f"$2^{{{tick:.0f}}}$" for tick in ticks]


def test_differences_reach_to_the_ninety_ninth_percentile() -> None:
    shares = {"a": np.linspace(0, 1, 200) ** 3, "none": np.zeros(0), "b": np.full(5, 0.25)}
    axes = axes_of(relative_differences(shares, "t"))
    segments = list[tuple[float, ...]]()
    for y, values in ((0, shares["a"]), (2, shares["b"])):
        segments += box_of(np.minimum(values, np.quantile(values, 0.99)), y)[0]
    assert np.allclose(sorted(lines(axes)), sorted(segments))
    assert axes.get_xlim() == pytest.approx((0, 1.02 * np.quantile(shares["a"], 0.99)))
    assert axes_of(relative_differences({"a": np.zeros(3)}, "t")).get_xlim() == pytest.approx((0, 1.02e-9))


def _heights(artists: Iterable[Artist]) -> list[float]:
    return [artist.get_zorder() for artist in artists]


@pytest.mark.parametrize("plot", Plot)
def test_what_types_represent_lies_behind_and_what_values_are_in_front(plot: Plot) -> None:
    """From behind: ranges of types, the grid and the line at 1, values; of boxes whiskers, quartiles and a bold median."""
    axes = axes_of(distributions([Row("n", np.geomspace(1e-3, 5.0, 40), (-4, 3))], "t", plot))
    (one,) = axes.lines  # at the magnitude 1
    assert one.get_xdata() == [0.0, 0.0] and one.get_linewidth() == 1
    gray, *values = [*axes.patches, *(each for each in axes.collections if isinstance(each, PolyCollection))]
    drawn = [each for each in axes.collections if isinstance(each, LineCollection)]
    assert gray.get_zorder() < one.get_zorder() == axes.xaxis.get_zorder() < min(_heights([*values, *drawn]))
    *thin, bold = drawn if plot is not Plot.HISTOGRAM else [None]
    assert bold is None or (bold.get_linewidths() == 1.8 and bold.get_zorder() > max(_heights(values)))
    assert all(each.get_linewidths() == 1 and each.get_zorder() < min(_heights(values)) for each in thin)


def test_the_grid_is_behind_all_bars() -> None:
    for figure in (norms({"a": 2.0}, "t"), relative_differences({"a": np.linspace(0, 1, 9)}, "t")):
        axes = axes_of(figure)
        assert axes.get_axisbelow() is True and axes.xaxis.get_zorder() < min(_heights(axes.patches))
        assert all(line.get_visible() for line in axes.xaxis.get_gridlines())
        assert not any(line.get_visible() for line in axes.yaxis.get_gridlines())


def test_norms_are_bars_from_zero() -> None:
    axes = axes_of(norms({"a": 2.0, "b": 0.5, "$x^$\n": 0.0}, "t"))
    assert np.allclose(boxes(axes), [(0, size, y - HALF, y + HALF) for y, size in enumerate((2.0, 0.5, 0.0))])
    assert axes.get_xlim() == pytest.approx((0, 2.1))
    labels = axes.get_yticklabels()
    assert [text.get_text() for text in labels] == ["a", "b", r"'$x^$\n'"] and not any(
        text.get_parse_math() for text in labels
    )
    assert axes_of(norms({"a": 0.0}, "t")).get_xlim() == pytest.approx((0, 1.05e-12))


def test_figures_are_as_high_as_their_rows_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def heights() -> list[float]:
        return [norms(dict.fromkeys(map(str, range(count)), 1.0), "t").get_figheight() for count in (0, 1, 5)]

    assert heights() == pytest.approx([1.64, 1.64, 3.0])
    monkeypatch.setattr("bitsmith.report.figures.plots._MOST_HEIGHT_IN", 2.0)
    assert heights() == pytest.approx([1.64, 1.64, 2.0])
