"""Reuse factors that follow from a number of cycles per frame."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import bitsmith
from bitsmith.dataflow.kinds import FoldedProduct, Reduce
from bitsmith.devices.parts import resolve_part
from bitsmith.estimate import size
from bitsmith.estimate.bisection import first_around
from bitsmith.estimate.figures import NO_CELLS, Size
from bitsmith.estimate.fit import Fit, _Paces, fastest_in_turn, pace, paced, proposal, sooner
from bitsmith.estimate.needs import fits, limited
from bitsmith.estimate.size import estimate_layout
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.model.points import Layouts, keys_of
from bitsmith.passes.program import drop_dead
from tests.mapping.test_engine_functions import scaled
from tests.properties import judged


@pytest.mark.parametrize(("factors", "shown"), [((4, 4), "4 for the model"), ((4, 2), "a: 4, b: 2"), ((4, 1), "a: 4")])
def test_one_factor_of_all_layers_of_streams_is_that_of_the_model(factors: tuple[int, int], shown: str) -> None:
    """Layers that are asked for it one by one, such as all steps of a recurrence, would fill a page."""
    directives = Directives(dict(zip("ab", factors, strict=True)), parallel=False)
    size = Size(1, 1, 0, 0, shares=dict.fromkeys("ab", NO_CELLS))
    assert Fit(directives, size, {}, None).description == f"io_stream with ReuseFactor {shown}"


def test_scales_of_layers_in_turn_fit_a_part_of_few_blocks() -> None:
    """With a multiplier for each of three layers they take ten blocks of eight at least."""
    program, part = scaled(0, bits=36), resolve_part("iCE40UP5K-SG48")
    found = fastest_in_turn(program, part, Directives({}, parallel=True, part=part), 40.0)
    assert found is not None and found.size.dsp <= 4


def test_pools_take_as_long_as_products(tmp_path: Path) -> None:
    """A pool that takes wide tokens would keep those before it wide."""
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.AvgPool2d(2))
    settings = {"Model": {"Strategy": "resource"}}
    model = bitsmith.convert(network, tmp_path, settings, input_shape=(1, 8, 8), io_type="io_stream", bits=8)
    program = drop_dead(model.program, keep_probes=False)
    directives = paced(program, model.directives, 64 * 36)
    assert sorted(directives.reuse.values()) == [16, 36], "a pool sums along one axis at a time: 2 x 8 elements"
    kinds = {type(process.kind): process for process in partition(program, directives).processes}
    assert kinds[Reduce].results[0].token.size < 8
    assert isinstance(kinds[FoldedProduct].kind, FoldedProduct) and kinds[FoldedProduct].kind.tile == (1, 2)


@pytest.mark.parametrize(
    ("name", "least", "most"), [("xc7z010clg400-1", 0.5, 1.0), judged("LFE5U-85F-6BG381C", 0.25, 0.5)]
)
@pytest.mark.slow
@pytest.mark.ci
def test_as_many_blocks_are_proposed_as_can_be_placed(tmp_path: Path, name: str, least: float, most: float) -> None:
    """Products alone, so that multiplier blocks decide; twice the interval would take half of them."""
    network = nn.Sequential(nn.Conv2d(8, 32, 3), nn.Conv2d(32, 32, 3))
    settings = {"Model": {"Strategy": "resource"}}
    model = bitsmith.convert(
        network, tmp_path, settings, input_shape=(8, 16, 16), io_type="io_stream", bits=12, part=name
    )
    part = resolve_part(name)
    found = proposal(
        drop_dead(model.program, keep_probes=False), part, model.directives, model.target.budget_ns(part.family), None
    )
    assert found is not None and least * part.die.dsps < found.size.dsp <= most * part.die.dsps, found
    if most == 1.0:
        assert found.faster is None
    else:  # what fits without a margin is told
        faster = found.faster
        assert faster is not None and fits(faster.size, part) and most * part.die.dsps < faster.size.dsp
        assert all(faster.directives.reuse[name] <= factor for name, factor in found.directives.reuse.items())
        choice = Layouts.of(model, model.target).point(found, {}, None)
        assert choice.margin.startswith("io_stream with ReuseFactor") and "multiplier blocks" in choice.note


@pytest.mark.parametrize(
    ("at_once", "interval", "reuse"), [(1, 36, 36), (4, 36, 144), (4, 10_000, 4 * 72), (8, 36, 288)]
)
def test_positions_that_come_at_once_share_the_cycles_of_all(
    tmp_path: Path, at_once: int, interval: int, reuse: int
) -> None:
    """A convolution of 72 products at each of 64 positions, for which there are so many cycles each."""
    settings = {"Model": {"Strategy": "resource"}}
    network = nn.Conv2d(1, 8, 3, padding=1)
    model = bitsmith.convert(network, tmp_path, settings, input_shape=(1, 8, 8), io_type="io_stream", bits=8)
    program = drop_dead(model.program, keep_probes=False)
    directives = replace(model.directives, positions={node.layer: at_once for node in program.nodes})
    assert list(paced(program, directives, 64 * interval).reuse.values()) == [reuse]


@pytest.mark.parametrize(("low", "high"), [(0, 0), (3, 4), (0, 9), (5, 38)])
def test_a_step_is_found_from_anywhere(low: int, high: int) -> None:
    """Against a scan, from each start; few steps are looked at where the start is near."""
    for first in range(low, high + 1):
        for start in range(low, high + 1):
            looked: list[int] = []

            def able(step: int, looked: list[int] = looked, first: int = first) -> bool:
                assert low <= step <= high
                looked.append(step)
                return step >= first

            assert first_around(start, low, high, able) == first
            assert len(looked) <= 3 + 2 * math.log2(abs(start - first) + 1)


@pytest.mark.slow
@pytest.mark.ci
def test_no_faster_layout_of_tokens_is_left_out(tmp_path: Path) -> None:
    """Against all intervals from the least on."""
    settings = {"Model": {"Strategy": "resource"}}
    network = nn.Conv2d(1, 8, 3, padding=1)
    model = bitsmith.convert(network, tmp_path, settings, input_shape=(1, 8, 8), io_type="io_stream", bits=8)
    program, whole = drop_dead(model.program, keep_probes=False), resolve_part("LFE5U-12F")
    budget = model.target.budget_ns(whole.family)
    sizes = [
        estimate_layout(program, paced(program, model.directives, round(2 ** (step / 4))), whole.family)
        for step in range(24, 52)  # from a position in each cycle to a product in each
    ]
    for limits in ({"lut": 500}, {"lut": 900}, {"lut": 1300}, {"lut": 2600}, {"ff": 900}, {"ff": 1235}, {"bram": 1}):
        part = limited(whole, limits)
        found = sooner(program, part, model.directives, budget, 100_000)
        able = [size.interval for size in sizes if fits(size, part) and size.dsp <= part.die.dsps / 2]
        assert (found is None) == (not able)
        if found is not None:
            assert fits(found.size, part) and found.size.interval == min(able)
            assert sooner(program, part, model.directives, budget, found.size.interval) is None


@pytest.mark.slow
@pytest.mark.ci
def test_layers_stay_adder_graphs_where_others_need_the_multiplier_blocks(tmp_path: Path) -> None:
    """A faster circuit than without, of the same program, which its configuration makes again."""
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 24, 3))
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (20, 1, 18, 18))
    model = bitsmith.convert(network, tmp_path / "one", calibration=x, io_type="io_stream", bits=10, part="LFE5U-25F")
    layouts, part = Layouts.of(model, model.target), limited(resolve_part("LFE5U-25F"), {"dsp": 8})
    found, budget = next(layouts.sooner(part, 100_000)), layouts.budget_ns
    plain = _Paces.of(layouts.program, part, replace(layouts.asked, reuse={})).fastest(0.5, budget, None)
    assert found.styles and plain is not None and fits(found.size, part)
    assert found.size.interval < plain.size.interval and "Strategy Unrolled for" in found.description
    keys = keys_of(found, layouts.asked)
    again = bitsmith.convert(
        network, tmp_path / "two", keys, calibration=x, io_type="io_stream", bits=10, part="LFE5U-25F"
    )
    assert again.estimate().size == found.size
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


@pytest.mark.slow
@pytest.mark.ci
def test_a_pace_is_about_the_least_interval_with_room(tmp_path: Path) -> None:
    """It is about the least interval with room, from wherever it is sought, and grows as room gets less.

    It is not farther off than layouts are apart, whose intervals are 36, 72, 144 and 432.
    """
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 4, 3))
    settings = {"Model": {"Strategy": "resource"}}
    model = bitsmith.convert(network, tmp_path, settings, input_shape=(1, 6, 6), io_type="io_stream", bits=6)
    program, whole = drop_dead(model.program, keep_probes=False), resolve_part("LFE5U-85F")
    parts = [limited(whole, {"lut": luts}) for luts in (8_000, 1_400, 1_200, 900, 600, 450, 300, 100)]
    paces, *others = ([pace(program, part, model.directives, near) for part in parts] for near in (math.inf, 1.0, 40.0))
    budget = model.target.budget_ns(whole.family)
    found = [sooner(program, part, model.directives, budget, 100_000) for part in parts]
    assert paces == sorted(paces) and found[0] is not None and paces[0] == found[0].size.interval < paces[-1]
    intervals = [each.size.interval for each in found if each]
    assert intervals == [36, 72, 144, 432]
    assert all(1 / 2 < about / interval < 2 for about, interval in zip(paces, intervals, strict=False))
    assert others == [paces, paces]


@pytest.mark.slow
@pytest.mark.ci
def test_the_first_layout_with_room_is_found_however_blocks_rise_and_fall(tmp_path: Path) -> None:
    """Against all intervals, of two convolutions with multipliers of blocks and of look-up tables."""
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 4, 3))
    settings = {"Model": {"Strategy": "resource"}}
    model = bitsmith.convert(network, tmp_path, settings, input_shape=(1, 6, 6), io_type="io_stream", bits=6)
    program, whole = drop_dead(model.program, keep_probes=False), resolve_part("LFE5U-12F")
    paces, budget = _Paces.of(program, whole, replace(model.directives, reuse={})), model.target.budget_ns(whole.family)
    sizes = [paces.laid_out(step, budget).size for step in range(paces.least, paces.most + 1)]
    assert any(after.dsp > before.dsp for before, after in pairwise(sizes)), "blocks rise with the interval somewhere"
    for luts, dsps in product(range(200, 1000, 100), (1, 2, 4, 28)):
        part = limited(whole, {"lut": luts, "dsp": dsps})
        found = replace(paces, part=part).fastest(1.0, budget, None)
        first = next((size for size in sizes if fits(size, part)), None)
        assert (None if found is None else found.size) == first


@pytest.mark.slow
@pytest.mark.ci
def test_few_layouts_are_looked_at_where_each_takes_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of 38 with room is found in ten looks: the search begins where each block multiplies in each cycle."""
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3))
    settings = {"Model": {"Strategy": "resource"}}
    model = bitsmith.convert(network, tmp_path, settings, input_shape=(1, 8, 8), io_type="io_stream", bits=8)
    program, whole = drop_dead(model.program, keep_probes=False), resolve_part("xc7z020clg400-1")
    paces, budget = _Paces.of(program, whole, replace(model.directives, reuse={})), model.target.budget_ns(whole.family)
    sizes = [paces.laid_out(step, budget).size for step in range(paces.least, paces.most + 1)]
    monkeypatch.setattr(size, "_MANY", 0)
    for dsps in (4, 8, 16, 32, 64, 128):
        part = limited(whole, {"dsp": dsps})
        seeking = replace(paces, part=part, rough={}, bare={})
        found = seeking.fastest(1.0, budget, None)
        first = next((each for each in sizes if fits(each, part)), None)
        assert found is not None and found.size == first
        assert len(seeking.bare) <= 10 < len(sizes) / 3
