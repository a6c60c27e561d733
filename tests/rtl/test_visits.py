"""Engines with several visits in simulation: every bit and every cycle, while softmax beside them makes what they read next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.dataflow import engine
from bitsmith.dataflow.engine import Engine
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.mapping.test_fetched_weights import FAST
from tests.mapping.test_visits import assert_one_engine, beside
from tests.properties.convolutional import channels_of_their_own, in_parts, inverted, random_maps, turns
from tests.properties.transformers import FORMAT, attended, dense, in_few_cycles, in_visits, transformer
from tests.rtl.streaming import assert_streams

RATES = (1e9, 16.0, 3.0)

CHECKED = {4, 6, 13}
"""Seeds of transformers whose dense layers all share one engine."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k in CHECKED else ()) for k in range(30)])
def test_random_transformers(seed: int, tmp_path: Path) -> None:
    """Weights come as the memory of a rate gives them, operands and results wait at random."""
    program, directives = transformer(seed), in_visits(transformer(seed), seed, RATES[seed % 3])
    assert_streams(program, directives, tmp_path, seed, frames=4)
    if seed in CHECKED:
        assert_one_engine(program, directives, seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [pytest.param(k, marks=pytest.mark.ci if k in (9, 12) else ()) for k in (0, 1, 4, 9, 11, 12)]
)
def test_attention_on_several_lanes(seed: int, tmp_path: Path) -> None:
    """Positions and channels of several heads are lanes of what is held, in one row or in several."""
    program = transformer(seed, more=3)
    assert_streams(program, in_few_cycles(program, seed, RATES[seed % 3]), tmp_path, seed, frames=3)


@pytest.mark.slow
@pytest.mark.usefixtures("sums_wait_in_large_memories")
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k == 5 else ()) for k in range(8)])
def test_one_circuit_for_several_normalizations_and_sums(seed: int, tmp_path: Path) -> None:
    """Their operands follow each other through it, while the engine waits for one at a time."""
    program = transformer(seed, scaled=True)
    assert_streams(program, in_visits(program, seed, RATES[seed % 3]), tmp_path, seed, frames=3)


@pytest.mark.slow
@pytest.mark.usefixtures("sums_wait_in_large_memories")
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k == 4 else ()) for k in range(8)])
def test_sums_beside_an_engine_take_what_the_circuit_makes(seed: int, tmp_path: Path) -> None:
    program = transformer(seed, scaled=True, after=True)
    assert_streams(program, in_visits(program, seed, RATES[seed % 3]), tmp_path, seed, frames=3)


@pytest.mark.slow
@pytest.mark.ci
def test_weights_that_were_computed_wait_for_none_that_come(tmp_path: Path) -> None:
    """Those of the next layer come from a slow memory meanwhile, which is less to wait for than what is computed."""
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    y = attended(builder, builder.input("x", (32, 2), FORMAT), 1, rng, "block0")
    program = builder.program([("y", dense(builder, y, 2, rng, "last"))])
    assert_streams(program, in_visits(program, 0, 0.033), tmp_path, frames=2)


@pytest.mark.slow
@pytest.mark.ci
def test_attention_beside_an_engine(tmp_path: Path) -> None:
    """Keys that leave are no weights."""
    program = beside(transformer(6))
    assert_streams(program, in_visits(program, 6, FAST), tmp_path, 6, frames=3)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "more"), [pytest.param(4, 0, marks=pytest.mark.ci), (4, 3)])
def test_numbers_of_few_bits_lie_after_those_of_many(
    seed: int, more: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last words of the memory have no room for more."""
    monkeypatch.setattr(engine, "_WORTH", 1)
    program = drop_dead(transformer(seed, more, scaled=True), keep_probes=False)
    directives = in_visits(program, seed, FAST)
    kinds = [one.kind for one in partition(program, directives).processes if isinstance(one.kind, Engine)]
    assert [(kind.number_bits, kind.narrow[1]) for kind in kinds] == [(8, 6)]
    assert_streams(program, directives, tmp_path, seed, frames=3)


@pytest.mark.slow
@pytest.mark.ci
def test_each_of_several_banks_has_numbers_of_few_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_WORTH", 1)
    program = drop_dead(channels_of_their_own(16), keep_probes=False)
    directives = replace(turns(16, program), parallel=False, reuse=dict.fromkeys(turns(16, program).reuse, 60))
    kinds = [one.kind for one in partition(program, directives).processes if isinstance(one.kind, Engine)]
    assert [(kind.banks, kind.number_bits, *kind.narrow) for kind in kinds if kind.narrow[1]] == [(8, 13, 25, 7)]
    assert_streams(program, directives, tmp_path, 16, frames=3)


POSITIONS = [
    pytest.param(in_parts, 20, 15, id="of six positions and four banks", marks=pytest.mark.ci),
    pytest.param(channels_of_their_own, 16, 40, id="of five positions and four banks"),
    pytest.param(inverted, 27, 40, id="of four positions and four banks"),
    pytest.param(in_parts, 33, 40, id="of three positions and two banks"),
    pytest.param(random_maps, 1, 40, id="of eight positions"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("maker", "seed", "reuse"), POSITIONS)
def test_each_of_several_positions_has_numbers_of_few_bits(
    maker: Callable[[int], Program], seed: int, reuse: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows read words of few bits and of all bits, their own and those of positions beside theirs."""
    monkeypatch.setattr(engine, "_WORTH", 1)
    program = drop_dead(maker(seed), keep_probes=False)
    asked = turns(seed, program)
    directives = replace(asked, parallel=False, weights_rate=FAST, reuse=dict.fromkeys(asked.reuse, reuse))
    kinds = [one.kind for one in partition(program, directives).processes if isinstance(one.kind, Engine)]
    assert any(kind.positions > 1 and kind.narrow[1] for kind in kinds)
    assert_streams(program, directives, tmp_path, seed, frames=3)


@pytest.mark.slow
@pytest.mark.ci
def test_keys_of_more_bits_than_any_map_has(tmp_path: Path) -> None:
    """Results that are held have the bits of weights."""
    builder, held = ProgramBuilder(), FixedFormat(True, 14, 5, Rounding.RND, Overflow.SAT)
    rng, x = np.random.default_rng(0), builder.input("x", (4, 3), FORMAT)
    y = attended(builder, x, 1, rng, "block0", held)
    program = drop_dead(builder.program([("y", dense(builder, y, 2, rng, "last"))]), keep_probes=False)
    directives = in_visits(program, 0, FAST)
    (kind,) = (one.kind for one in partition(program, directives).processes if isinstance(one.kind, Engine))
    assert kind.held is not None and kind.held.bits > kind.number_bits
    assert_streams(program, directives, tmp_path, frames=3)
