"""Engines whose weights come from a memory outside, in simulation: every bit and every cycle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.dataflow import engine
from bitsmith.dataflow.kinds import Engine, Outside, Replay
from bitsmith.devices.ecp5 import ECP5
from bitsmith.flows import cosim
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.mapping.engine import engines
from bitsmith.mapping.multipliers import lane_multipliers
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.mapping.test_bands import MAKERS, limited, pyramid, pyramid_of_sums, tall_in_bands, with_random_bands
from tests.mapping.test_engines import FORMAT, depthwise, perceptron, residual, shared
from tests.mapping.test_fetched_weights import at_once, copied
from tests.properties import few
from tests.properties.convolutional import (
    channels_of_their_own,
    in_parts,
    inverted,
    preactivated,
    random_borders,
    random_maps,
    random_network,
    turns,
)
from tests.rtl.streaming import assert_streams, simulated

RATES = (1e9, 24.0, 6.0, 2.0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 4 else ()) for k in range(100)])
def test_random_networks(seed: int, tmp_path: Path) -> None:
    program = channels_of_their_own(seed) if seed % 3 else random_network(seed)
    directives = replace(turns(seed, program), weights_rate=RATES[seed % 4])
    network = partition(drop_dead(program, keep_probes=False), directives)
    if any(isinstance(process.kind, Replay) for process in network.processes):
        assert_streams(program, directives, tmp_path, seed, frames=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k in {0, 2, 5} else ()) for k in range(60)])
def test_bands_of_rows(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results take the words of rows that are not read any more."""
    program = MAKERS[seed % len(MAKERS)](seed)
    directives = replace(turns(seed, program), weights_rate=RATES[seed % 4])
    chosen = with_random_bands(monkeypatch, seed)
    partition(drop_dead(program, keep_probes=False), directives)
    if chosen:
        assert_streams(program, directives, tmp_path, seed, frames=4)


IN_BANDS = [(random_network, 30, False), (preactivated, 1, False), (inverted, 3, True)]


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(("maker", "seed", "outside"), IN_BANDS, ids=["in rows", "in banks", "outside"])
def test_bands_of_numbers_of_few_bits(
    maker: Callable[[int], Program], seed: int, *, outside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of a band lie among words of all bits and words of few; some leave for the memory outside."""
    monkeypatch.setattr(engine, "_WORTH", 1)
    program = drop_dead(maker(seed), keep_probes=False)
    directives = replace(turns(seed, program), weights_rate=RATES[seed % 4])
    with_random_bands(monkeypatch, seed, outside=outside)
    kinds = [process.kind for process in partition(program, directives).processes]
    (kind,) = (each for each in kinds if isinstance(each, Engine) and each.narrow[1])
    assert len(kind.layers) > len({layer.name for layer in kind.layers})
    assert any(isinstance(each, Outside) for each in kinds) == outside
    assert_streams(program, directives, tmp_path, seed, frames=4)


@pytest.mark.slow
@pytest.mark.parametrize("unlike", [False, True], ids=["of one format", "of unlike formats"])
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k in {1, 2, 10} else ()) for k in range(60)])
def test_maps_outside(seed: int, *, unlike: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows leave for the memory outside, and come back with the bands that need them."""
    program = preactivated(seed) if unlike else pyramid_of_sums(seed)
    asked = turns(seed, program) if unlike else limited(program, 10_000)
    directives = replace(asked, weights_rate=RATES[seed % 4])
    with_random_bands(monkeypatch, seed, outside=True)
    network = partition(drop_dead(program, keep_probes=False), directives)
    if any(isinstance(process.kind, Outside) for process in network.processes):
        assert_streams(program, directives, tmp_path, seed, frames=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k in {1, 6} else ()) for k in range(40)])
def test_bands_of_tall_images(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, directives, chosen = tall_in_bands(monkeypatch, seed)
    partition(drop_dead(program, keep_probes=False), directives)
    if chosen:
        assert_streams(program, directives, tmp_path, seed, frames=3)


@few("blocks", [36, 50, 32], fast=0, judged=True)
def test_bands_that_a_part_has_room_for(blocks: int, tmp_path: Path) -> None:
    assert_streams(pyramid(), limited(pyramid(), blocks, rate=RATES[blocks % 4]), tmp_path, frames=4)


def alike() -> Program:
    """Products of 1x1, those in the middle with the same weight everywhere."""
    builder, rng = ProgramBuilder(), np.random.default_rng(3)
    x = builder.input("x", (4, 2, 8), FORMAT)
    for name, weights in (
        ("first", rng.integers(-15, 16, (8, 8))),
        ("same", np.full((8, 8), 7)),
        ("last", rng.integers(-15, 16, (8, 8))),
    ):
        with builder.layer(name):
            x = builder.cast(builder.linear(x, weights, 5), FORMAT)
    return builder.program([("y", x)])


def test_products_of_equal_weights_leave_numbers_that_are_read_yet() -> None:
    """A result of each number of a position takes no word of what the next result reads."""
    for rate in (None, 24.0):
        network = partition(alike(), replace(shared(alike(), 1000), weights_rate=rate))
        (kind,) = (process.kind for process in network.processes if isinstance(process.kind, Engine))
        same = next(layer for layer in kind.layers if layer.name == "same")
        assert abs(same.target - same.source) >= 4 * 2 * 8


@few("rate", [24.0, None], fast=0, judged=True)
def test_products_of_equal_weights(rate: float | None, tmp_path: Path) -> None:
    assert_streams(alike(), replace(shared(alike(), 1000), weights_rate=rate), tmp_path, frames=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 3 else ()) for k in range(40)])
def test_poolings_beyond_the_borders(seed: int, tmp_path: Path) -> None:
    """They are layers of an engine, with weights from memory or in tables."""
    program = random_borders(seed)
    directives = replace(turns(seed, program), weights_rate=RATES[seed % 4] if seed % 2 else None)
    network = partition(drop_dead(program, keep_probes=False), directives)
    if any(isinstance(process.kind, Engine) for process in network.processes):
        assert_streams(program, directives, tmp_path, seed, frames=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k in {1, 5, 6} else ()) for k in range(40)])
def test_results_of_the_last_product_are_copied(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_WORTH", -(10**9))
    program = random_maps(seed)
    directives = copied(program, RATES[seed % 4])
    if directives is not None:
        assert_streams(program, directives, tmp_path, seed, frames=4)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(
    ("network", "reuse", "rate"),
    [
        (residual, 250, 1e9),
        (residual, 250, 1.0),
        (depthwise, 300, 3.0),
        (lambda: perceptron((16, 16, 12, 8)), 999, 3.0),
    ],
)
def test_networks_of_all_kinds_of_layers(
    network: Callable[[], Program], reuse: int, rate: float, tmp_path: Path
) -> None:
    """Both sides wait at random, and a reset comes in the middle of a frame; without waits cycles are as planned."""
    assert_streams(network(), replace(shared(network(), reuse), weights_rate=rate), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [pytest.param(k, marks=pytest.mark.ci if k in {1, 2, 3, 6} else ()) for k in range(40)]
)
def test_several_windows_at_once(seed: int, tmp_path: Path) -> None:
    program = in_parts(seed) if seed % 4 else random_network(seed)
    directives = at_once(program, RATES[seed % 3])
    if directives is not None:
        assert_streams(program, directives, tmp_path, seed, frames=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k in {1, 3, 14} else ()) for k in range(40)])
def test_two_sums_at_once(seed: int, tmp_path: Path) -> None:
    program = inverted(seed)
    directives = at_once(program, RATES[seed % 3], abreast=2)
    if directives is not None:
        assert_streams(program, directives, tmp_path, seed, frames=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 3 else ()) for k in range(20)])
def test_functions_between_other_layers(seed: int, tmp_path: Path) -> None:
    program = preactivated(seed)
    directives = at_once(program, RATES[seed % 3]) or replace(shared(program, 10_000), weights_rate=RATES[seed % 3])
    assert_streams(program, directives, tmp_path, seed, frames=3)


@pytest.mark.slow
@pytest.mark.ci
def test_a_vector_of_wide_weights_has_multipliers_of_the_first_window_alone(tmp_path: Path) -> None:
    """Two lanes of all other windows share one."""
    builder, rng = ProgramBuilder(), np.random.default_rng(5)
    x = builder.input("x", (6, 6, 4), FORMAT)
    for number in range(2):
        with builder.layer(f"image{number}"):
            x = builder.cast(builder.linear(x, rng.integers(-7, 8, (x.shape[-1], 4)), 3), FORMAT)
    with builder.layer("vector"):
        flat = builder.reshape(x, (144,))
        y = builder.cast(builder.linear(flat, rng.integers(-3000, 3001, (144, 4)), 12), FORMAT)
    program = builder.program([("y", y)])
    directives = replace(shared(program, 14), weights_rate=1e9)
    network = partition(program, directives)
    (engine,) = (process.kind for process in network.processes if isinstance(process.kind, Engine))
    array = lane_multipliers(engine, ECP5.delays.block)
    assert (engine.positions > 1, array.first, array.number) == (True, engine.lanes, engine.lanes // 2)
    assert_streams(program, directives, tmp_path, frames=3)


PERIOD, PAUSE = 1560, 70
"""Cycles of 5 ns from one refresh of a memory to the next one, and those in which it gives nothing: 7.8 us and 350 ns."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "reuse", "rate"),
    [
        pytest.param(residual, 250, 1e9, marks=pytest.mark.ci),
        (residual, 250, 1.0),
        (depthwise, 300, 3.0),
        (lambda: perceptron((16, 16, 12, 8)), 999, 3.0),
    ],
)
def test_a_memory_that_pauses(
    network: Callable[[], Program], reuse: int, rate: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A memory that is as fast as the plan says, but for its refreshes, takes at most their share of cycles more."""
    text = cosim.HARNESS.read_text()
    given, last = "cycle >= in_[k].next", "k + 1 < in_.size()"
    assert text.count(given) == 1
    harness = tmp_path / cosim.HARNESS.name
    harness.write_text(text.replace(given, f"{given} && ({last} || cycle % {PERIOD} >= {PAUSE})"))
    monkeypatch.setattr(cosim, "HARNESS", harness)
    design, found = simulated(network(), replace(shared(network(), reuse), weights_rate=rate), tmp_path)
    share = PERIOD / (PERIOD - PAUSE)
    assert design.schedule.interval <= found.ii_cycles <= design.schedule.interval * share + PAUSE
