"""Positions in the pictures: nothing overlaps, nothing leaves the frame."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.report.figures.drawing import diagram, range_chart
from bitsmith.report.summary import LayerRow, ResultRow
from tests.report.reports import design


def _row(name: str, inputs: tuple[str, ...], result: ResultRow | None = None) -> LayerRow:
    return LayerRow(name, "Dense", "Dense", inputs, (4,), (), "auto", result)


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


def test_long_names_are_shortened() -> None:
    (box,) = diagram([_row("n" * 99, ())], []).boxes
    assert len(box.name) <= 24


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
