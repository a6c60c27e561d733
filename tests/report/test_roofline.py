"""Layers in turn on engines: rows and rooflines have the plan's figures, and no layer is above its roof."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.estimate.turns import EngineCycles, LayerCycles, engine_cycles
from bitsmith.mapping.partition import partition
from bitsmith.report import Report
from bitsmith.report.figures.roofline import Roofline, rooflines
from bitsmith.report.html import page
from bitsmith.report.sections import Engines, LayerInTurn
from bitsmith.report.turns import COLUMNS, cells, section
from tests.mapping.test_engines import residual, shared

_COUNTS = st.none() | st.sampled_from([0, 1, 3, 64, 999_999_999_999_999_999])
_ROWS = st.builds(
    LayerInTurn,
    engine=st.sampled_from([None, 1, 2]),
    layer=st.none() | st.text(max_size=30),
    **dict.fromkeys(("multipliers", "products", "multiplier_cycles", "memory_cycles"), _COUNTS),
    **dict.fromkeys(("words", "word_bits", "word_cycles"), _COUNTS),
)


@st.composite
def planned(draw: st.DrawFn) -> EngineCycles:
    """An engine of some layers, each with some of the multipliers."""
    multipliers, gap = draw(st.integers(1, 512)), draw(st.integers(0, 50))
    layers = list[LayerCycles]()
    for place in range(draw(st.integers(1, 60))):
        words, steps = draw(st.integers(0, 5000)), draw(st.integers(1, 10**6))
        products = steps * draw(st.integers(1, multipliers))
        layers.append(LayerCycles(f"layer_of_some_name_{place}", words, words * gap, steps, products))
    return EngineCycles(layers, multipliers, draw(st.integers(2, 4096)), gap, 0, 0, 0)


def chart_of(engine: EngineCycles) -> tuple[str, Roofline]:
    (found,) = rooflines(section([engine]).rows)
    return found


def drawn_roof(chart: Roofline, across: float) -> float:
    """The height of the line as it is drawn."""
    xs, ys = zip(*chart.steps, strict=True)
    return float(np.interp(across, xs, ys, left=-math.inf))


@pytest.mark.parametrize(("rate", "waiting"), [(1e9, 0), (0.25, 4)])
def test_marks_are_where_the_plan_has_the_layers(rate: float, waiting: int) -> None:
    (engine,) = engine_cycles(partition(residual(), replace(shared(residual(), 250), weights_rate=rate)))
    title, chart = chart_of(engine)
    marks = dict(zip(chart.names, chart.marks, strict=True))
    assert chart.bandwidth == engine.bits / 8 / engine.gap
    assert f"{engine.multipliers} multipliers, " in title and "bytes of weights in a cycle" in title
    for layer in engine.layers:
        mark = marks[layer.name]
        assert mark.area == layer.products / (layer.words * engine.bits / 8)
        assert mark.score == layer.products / max(layer.memory_cycles, layer.multiplier_cycles)
        assert mark.fits is mark.front is not layer.waits
        assert f"{layer.name}: " in mark.label
    assert len(marks) == len(engine.layers) and sum(not mark.fits for mark in chart.marks) == waiting


@settings(max_examples=40)
@given(planned())
def test_no_layer_is_above_its_roof_and_those_that_wait_are_on_its_slope(engine: EngineCycles) -> None:
    _, chart = chart_of(engine)
    x, y = chart.x, chart.y
    assert len(chart.marks) == len(engine.layers)
    for mark, name in zip(chart.marks, chart.names, strict=True):
        (layer,) = (layer for layer in engine.layers if layer.name == name)
        above = y.at(mark.score) - drawn_roof(chart, x.at(mark.area))
        assert above <= 1e-6
        assert not layer.waits or above >= -1e-6
        assert x.low <= mark.area and y.low <= mark.score <= y.high
        assert mark.area <= x.high or layer.words == 0
    radii = [mark.radius for mark in chart.marks]
    assert radii == sorted(radii, reverse=True) and radii[0] == 10


@settings(max_examples=40)
@given(planned())
def test_names_do_not_meet_and_the_longest_layer_has_one(engine: EngineCycles) -> None:
    _, chart = chart_of(engine)
    texts = chart.texts
    assert texts[0][2] == f"{chart.names[0][:8]}\u2026{chart.names[0][-7:]}"
    for place, (across, up, _) in enumerate(texts):
        for beside, other, _ in texts[:place]:
            assert abs(up - other) >= 5 or abs(across - beside) >= 16


def test_weights_in_the_circuit_have_a_flat_roof() -> None:
    (engine,) = engine_cycles(partition(residual(), shared(residual(), 250)))
    title, chart = chart_of(engine)
    (left, low), *_, (right, high) = chart.steps
    assert chart.bandwidth is None and "weights are in the circuit" in title
    assert low == high == chart.y.at(engine.multipliers) and left < right
    assert all(mark.fits for mark in chart.marks)


def test_each_engine_has_a_roof_of_its_own() -> None:
    layers = [LayerCycles("first", 8, 16, 40, 400), LayerCycles("second", 0, 0, 40, 10)]
    rows = section([EngineCycles(layers[:1], 10, 64, 2, 0, 0, 0), EngineCycles(layers, 16, 64, 0, 0, 0, 0)]).rows
    (first, one), (second, two) = rooflines(rows)
    assert first == "Engine 1: 10 multipliers, 4 bytes of weights in a cycle" and one.names == ["first"]
    assert second == "Engine 2: 16 multipliers, weights are in the circuit" and two.names == ["first", "second"]
    assert two.marks[1].area == math.inf and two.x.at(math.inf) == two.x.at(two.x.high)


def test_the_table_says_what_bounds_each_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    layers = [LayerCycles(name, words, 2 * words, 40, 400) for name, words in (("slow", 90), ("fast", 8), ("same", 20))]
    report = Report([section([EngineCycles(layers, 10, 60, 2, 0, 0, 0)])])
    assert [cells(row) for row in report.find(Engines).rows] == [  # type: ignore[union-attr]
        ("slow", "1", "400", "2.2", "675", "180", "memory"),
        ("fast", "1", "400", "10", "60", "40", "multipliers"),
        ("same", "1", "400", "10", "150", "40", "both"),
    ]
    text, again = report.details(), Report.from_json(report.to_json())
    assert all(column in text for column in (*COLUMNS, "675", "memory"))
    assert again.find(Engines) == report.find(Engines) and "polyline" in page(again)


@settings(max_examples=40, deadline=None)
@given(st.lists(_ROWS, max_size=6))
def test_reports_with_unknown_figures_have_no_marks_for_them(rows: list[LayerInTurn]) -> None:
    for _, chart in rooflines(rows):
        assert all(math.isfinite(at) for corner in chart.steps for at in corner)
        assert all(0 <= chart.x.at(mark.area) <= 100 and 0 <= chart.y.at(mark.score) <= 100 for mark in chart.marks)
        assert chart.x.ticks() is not None and chart.y.ticks() is not None
    assert all(len(cells(row)) == len(COLUMNS) for row in rows)
