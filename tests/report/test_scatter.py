"""Charts of circuits by area and score: what their axes show, and where the line along the front runs."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.report.figures.scatter import Axis, Mark, Scatter, svg

_MARKS = st.builds(
    Mark,
    area=st.sampled_from([0, 1, 2, 500, 501, 90_000]),
    score=st.sampled_from([0.0, 1e-5, 0.001, 0.02, 0.5, 0.9, 0.95, 0.951]),
    label=st.sampled_from(["a", "<b>", "c & d"]),
    fits=st.booleans(),
    front=st.booleans(),
    chosen=st.booleans(),
)
_CHARTS = st.builds(
    Scatter,
    marks=st.lists(_MARKS, min_size=1, max_size=6),
    area=st.just("LUTs (estimate)"),
    limit=st.none() | st.sampled_from([1, 2, 3, 499, 750, 1002, 1003, 90_001, 130_000, 180_000, 180_001, 300_000]),
    score=st.just("right"),
    rises=st.booleans(),
    shares=st.booleans(),
    reference=st.sampled_from([None, 0.0, 0.01, 0.94, 1.0]),
)


@settings(max_examples=80)
@given(_CHARTS)
def test_the_line_shows_the_best_score_within_each_area(chart: Scatter) -> None:
    front = [(chart.x.at(mark.area), chart.y.at(mark.score)) for mark in chart.marks if mark.front]
    corners = chart.steps
    assert len(corners) == max(2 * len(front) - 1, 0)
    assert [corner[0] for corner in corners[::2]] == sorted(x for x, _ in front)
    for place, (x, y) in enumerate(corners):
        if place % 2:  # the line goes on at its height until the next circuit
            assert y == corners[place - 1][1] and x == corners[place + 1][0]
        elif place + 1 == len(corners) or corners[place + 1][0] > x:
            assert y == max(height for at, height in front if at <= x)


@settings(max_examples=80)
@given(_CHARTS)
def test_axes_have_all_circuits_and_better_ones_are_higher(chart: Scatter) -> None:
    x, y = chart.x, chart.y
    areas = [max(mark.area, 1) for mark in chart.marks]
    limit = float("inf") if chart.limit is None else chart.limit
    assert (x.low, x.high) == (min(*areas, x.high / 1.5), max(*areas, limit if limit <= 2 * max(areas) else 1))
    assert chart.has_limit is (limit <= x.high)
    assert chart.tick(0.125) == ("12.5 %" if chart.shares else "0.125")
    best = max if chart.rises else min
    scores = [mark.score for mark in chart.marks]
    assert y.at(best(scores)) == max(y.at(score) for score in scores)
    for axis in (x, y):
        ends = sorted((axis.at(axis.low), axis.at(axis.high)))
        assert ends == pytest.approx([5.0, 95.0])
        ticks = axis.ticks()
        assert ticks == sorted(ticks) and all(axis.low <= tick <= axis.high * (1 + 1e-12) for tick in ticks)
        assert all(abs(axis.at(one) - axis.at(other)) >= 13.0 for one, other in pairwise(ticks))


@settings(max_examples=30)
@given(_CHARTS)
def test_files_show_each_circuit_at_its_position(chart: Scatter) -> None:
    """Of one that was chosen there is a ring around the mark; an empty mark is not on the front."""
    text = svg(chart, "a < b").decode()
    found = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" stroke-width="1.6" r="(\d)" fill="(#?\w+)"', text)
    wanted = [
        (f"{80 + 6.6 * chart.x.at(mark.area):.1f}", f"{380 - 3.3 * chart.y.at(mark.score):.1f}", radius, empty)
        for mark in chart.marks
        for radius, empty in [("5", not mark.front), *([("9", True)] if mark.chosen else [])]
    ]
    assert sorted((x, y, radius, fill in ("#ffffff", "none")) for x, y, radius, fill in found) == sorted(wanted)
    assert ("limit of the part" in text) is chart.has_limit
    assert ("float model" in text) is bool(chart.reference)
    assert "a &lt; b" in text and "<b>" not in text


@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize(
    ("low", "high", "logarithmic", "ticks"),
    [
        (1.0, 9.0, False, [2, 4, 6, 8]),
        (0.9, 0.95, False, [0.9, 0.91, 0.92, 0.93, 0.94, 0.95]),
        (3.0, 20.0, True, [5, 10, 15, 20]),  # less than a decade
        (2.0, 50.0, True, [2, 5, 10, 20, 50]),
        (1.9, 51.0, True, [2, 5, 10, 20, 50]),
        (2.1, 49.0, True, [5, 10, 20]),
        (1.0, 100.0, True, [1, 3, 10, 30, 100]),
        (1.0, 1e5, True, [1, 10, 100, 1e3, 1e4, 1e5]),
        (1.0, 1e8, True, [1, 100, 1e4, 1e6, 1e8]),  # as many as there is room for
    ],
)
def test_ticks_are_round_numbers_of_one_kind(
    low: float, high: float, logarithmic: bool, falling: bool, ticks: list[float]
) -> None:
    assert Axis(low, high, logarithmic, falling).ticks() == pytest.approx(ticks)


@settings(max_examples=30)
@given(_CHARTS)
def test_all_that_is_drawn_lies_within_the_picture_and_lines_within_the_frame(chart: Scatter) -> None:
    root = ElementTree.fromstring(svg(chart, "a < b"))
    width, height = (float(root.attrib[side]) for side in ("width", "height"))
    texts = {text.text: text for text in root.iterfind(".//{*}text")}
    for across, down, beyond in (("x", "y", 0.0), ("cx", "cy", 0.0), ("x1", "y1", 20.0), ("x2", "y2", 20.0)):
        for drawn in root.iter():
            if across in drawn.attrib and down in drawn.attrib:
                assert beyond <= float(drawn.attrib[across]) <= width - beyond
                assert beyond <= float(drawn.attrib[down]) <= height - beyond
    axis, score = texts["LUTs (estimate)"], texts["better upwards: right"]
    ticks = [float(text.attrib["y"]) for text in texts.values() if (text.text or "").replace(",", "").isdigit()]
    assert float(axis.attrib["y"]) > max(ticks) > float(score.attrib["y"])
