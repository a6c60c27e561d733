"""Positions in the pictures: nothing overlaps, nothing leaves the frame."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.report.figures.drawing import Frame, diagram, range_chart
from bitsmith.report.summary import LayerRow, ResultRow
from tests.report.reports import design


def _row(name: str, inputs: tuple[str, ...], result: ResultRow | None = None) -> LayerRow:
    return LayerRow(name, "Dense", "Dense", inputs, (4,), (), "auto", result, folded=False)


@st.composite
def _graphs(draw: st.DrawFn) -> list[LayerRow]:
    rows = [_row("n0", ())]
    for index in range(1, draw(st.integers(1, 14))):
        inputs = draw(st.lists(st.sampled_from([row.name for row in rows]), max_size=3))
        rows.append(_row(f"n{index}", tuple(inputs)))
    return rows


@settings(max_examples=60)
@given(_graphs())
def test_boxes_never_overlap_and_edges_lead_down(rows: list[LayerRow]) -> None:
    picture = diagram(rows, [rows[-1].name])
    by_level: dict[float, list[float]] = {}
    for box in picture.boxes:
        assert picture.box_width / 2 <= box.x <= picture.width - picture.box_width / 2
        assert 0 <= box.y <= picture.height - picture.box_height
        by_level.setdefault(box.y, []).append(box.x)
    for centres in by_level.values():
        assert all(right - left > picture.box_width for left, right in pairwise(sorted(centres)))
    heights = {box.name: box.y for box in picture.boxes}
    for row in rows:
        assert all(heights[name] < heights[row.name] for name in row.inputs)
    for edge in picture.edges:
        numbers = [float(number) for number in re.findall(r"-?\d+\.\d", edge.path)]
        assert numbers[1] < numbers[-1]
    assert sum(edge.arrives for edge in picture.edges) == sum(len(row.inputs) for row in rows)


@settings(max_examples=60)
@given(_graphs(), st.tuples(*[st.integers(10, 300)] * 5))
def test_places_of_boxes_and_ends_of_connections(rows: list[LayerRow], sizes: tuple[int, ...]) -> None:
    """Levels are as far apart as the frame says, rows of boxes are centered, and entries divide the middle of a box evenly."""
    width, height, gap_x, gap_y, behind = sizes
    picture = diagram(rows, [rows[0].name], Frame(width, height, gap_x, gap_y, behind))
    boxes = {box.name: box for box in picture.boxes}
    levels = dict[str, int]()
    for row in rows:
        levels[row.name] = 1 + max((levels[name] for name in row.inputs), default=-1)
    assert picture.height == pytest.approx(24 + max(levels.values()) * (height + gap_y) + height + behind)
    assert {name: box.y for name, box in boxes.items()} == {
        name: 12 + level * (height + gap_y) for name, level in levels.items()
    }
    assert [box.output for box in picture.boxes] == [box.name == rows[0].name for box in picture.boxes]
    for level in set(levels.values()):
        passing = sum(edge.points[-1][1] == 12 + level * (height + gap_y) for edge in picture.edges if not edge.arrives)
        names = [name for name in levels if levels[name] == level]
        extent = len(names) * width + passing * 36 + (len(names) + passing - 1) * gap_x
        assert extent <= picture.width - 24 + 1e-6
        if not passing:
            places = sorted(boxes[name].x for name in names)
            assert places == pytest.approx(
                [(picture.width - extent) / 2 + width / 2 + k * (width + gap_x) for k in range(len(names))]
            )
    arrivals = dict[tuple[float, float], int]()
    for edge in picture.edges:
        start, bend, over, under, end = edge.points
        assert start[0] == bend[0] == over[0] and under[0] == end[0]  # they leave and arrive straight down
        assert over[1] - bend[1] == pytest.approx(0.6 * (end[1] - bend[1])) == pytest.approx(end[1] - under[1])
        assert end[1] - bend[1] == pytest.approx(gap_y)
        is_below_a_box = any(start == pytest.approx((box.x, box.y + height)) for box in boxes.values())
        is_below_a_lane = any(start == pytest.approx(other.points[-1]) for other in picture.edges if not other.arrives)
        assert start == bend if is_below_a_box else is_below_a_lane and bend[1] - start[1] == pytest.approx(height)
        arrivals[end] = arrivals.get(end, 0) + edge.arrives
    for row in rows:
        box, count = boxes[row.name], len(row.inputs)
        ends = [box.x + ((k + 1) / (count + 1) - 0.5) * 0.6 * width for k in range(count)]
        found = sorted(
            x
            for (x, y), number in arrivals.items()
            for _ in range(number)
            if y == box.y and abs(x - box.x) <= width / 2
        )
        assert found == pytest.approx(ends)
        for name, end in zip(row.inputs, ends, strict=True):
            below = [
                edge.points[-1] for edge in picture.edges if edge.points[0] == (boxes[name].x, boxes[name].y + height)
            ]
            assert levels[name] + 1 < levels[row.name] or any(point == pytest.approx((end, box.y)) for point in below)


@given(st.permutations(range(4)), st.permutations(range(4)))
def test_branches_that_are_independent_do_not_cross(second: list[int], third: list[int]) -> None:
    """Whatever the order in which their layers come."""
    rows = [_row(f"a{k}", ()) for k in range(4)]
    rows += [_row(f"b{k}", (f"a{k}",)) for k in second] + [_row(f"c{k}", (f"b{k}",)) for k in third]
    at = {box.name: box.x for box in diagram(rows, ["c0"]).boxes}
    for k in range(4):
        assert at[f"a{k}"] == at[f"b{k}"] == at[f"c{k}"]


def test_long_names_are_shortened() -> None:
    for name in (("abc" * 16)[:length] for length in range(40)):
        (box,) = diagram([_row(name, ())], []).boxes
        assert box.name == (name if len(name) <= 24 else name[:23] + "\N{HORIZONTAL ELLIPSIS}")


_RESULTS = st.builds(
    lambda width, frac, top, proved: ResultRow(width, width, frac, frac, top, True, -proved, proved / 2),
    st.integers(1, 40),
    st.integers(-20, 20),
    st.integers(-20, 30),
    st.sampled_from([0.0, 0.125, 1.0, 3.0, 1e6]),
)


@given(
    st.lists(st.tuples(_RESULTS, st.none() | st.tuples(st.floats(-1e5, 0), st.floats(0, 1e5))), min_size=1, max_size=6)
)
def test_the_axis_of_ranges_is_linear_in_powers_of_two(
    layers: list[tuple[ResultRow, tuple[float, float] | None]],
) -> None:
    rows = [replace(_row(f"n{k}", (), result), observed=seen) for k, (result, seen) in enumerate(layers)]
    chart = range_chart(rows)
    assert chart is not None
    greatest = [None if seen is None else max(map(abs, seen)) for _, seen in layers]
    low = min(-result.frac_max for result, _ in layers)
    ends = [result.top for result, _ in layers] + [math.ceil(math.log2(seen)) for seen in greatest if seen]
    high = max([*ends, low + 1])

    def place(exponent: float) -> float:
        return 100 * max(exponent - low, 0) / (high - low)

    for bar, (result, _), seen in zip(chart.bars, layers, greatest, strict=True):
        assert bar.left == pytest.approx(place(-result.frac_max))
        assert bar.right == pytest.approx(place(max(result.top, 1 - result.frac_max)))
        assert bar.seen == (pytest.approx(place(math.log2(seen))) if seen else None)
        largest = -(result.lo or 0.0)
        assert bar.proved == (pytest.approx(place(math.log2(largest))) if largest else None)
    assert chart.has_seen == any(greatest)
    places = [tick.exponent for tick in chart.ticks]
    assert [tick.x for tick in chart.ticks] == pytest.approx([place(exponent) for exponent in places])
    step = max(1, -(-(high - low) // 12))  # the finest of at most twelve steps, from one end to the other
    assert places == [exponent for exponent in range(low, high + 1) if exponent % step == 0]


def test_bars_span_the_bits_and_marks_lie_within() -> None:
    chart = range_chart(design().layers)
    assert chart is not None
    assert chart.has_seen
    for bar in chart.bars:
        assert bar.left < bar.right <= 100
        assert bar.proved is not None
        assert bar.left <= bar.proved <= bar.right + 0.01
    assert chart.bars[0].seen is not None
    assert len(chart.ticks) >= 3


def test_extreme_scales_still_fit() -> None:
    rows = [
        _row("tiny", (), ResultRow(8, 8, 16384, 16384, -16376, False, 0.0, 0.0)),
        _row("huge", (), ResultRow(512, 512, -900, -900, 1411, True, None, None)),
        _row("zero", (), ResultRow(0, 0, 0, 0, 0, False, 0.0, 0.0)),
    ]
    chart = range_chart(rows)
    assert chart is not None
    assert [bar.name for bar in chart.bars] == ["tiny", "huge"]
    assert all(0 <= bar.left <= bar.right <= 100 for bar in chart.bars)
    assert range_chart(rows[2:]) is None
