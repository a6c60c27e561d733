"""FIFOs that have no room on chip lie in the memory outside: values, cycles, and which ones these are."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.job import Target
from bitsmith.dataflow.kinds import Engine, Outside, Source
from bitsmith.dataflow.processes import Network
from bitsmith.dataflow.replay import StoredWeights
from bitsmith.dataflow.schedule import fifos, schedule
from bitsmith.dataflow.tokens import Stream
from bitsmith.dataflow.wires import Wiring
from bitsmith.devices.family import Part
from bitsmith.devices.parts import resolve_part
from bitsmith.devices.protection import Protection
from bitsmith.estimate.size import guess_layout
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import TensorType
from bitsmith.mapping.directives import Directives, WeightsBus
from bitsmith.mapping.fifos import _rates, with_fifos_outside
from bitsmith.mapping.memories import blocks_needed
from bitsmith.mapping.multipliers import latencies_of
from bitsmith.mapping.partition import partition
from bitsmith.model.estimates import Estimate
from bitsmith.passes.program import drop_dead
from tests.mapping.test_engines import FORMAT, convolved, shared
from tests.mapping.test_partition import assert_executed
from tests.properties.transformers import in_visits, transformer

PART = resolve_part("xc7z020clg400-1")


def skips(seed: int) -> Program:
    """A sum of an image and convolutions of it, twice: its FIFOs hold as many rows as these wait for."""
    rng, builder = np.random.default_rng(seed), ProgramBuilder()
    x = builder.input("x", (int(rng.integers(6, 9)), 12, 8), FORMAT)
    for number in range(2):
        y = x
        for depth in range(3):
            with builder.layer(f"conv_{number}_{depth}"):
                y = builder.max(convolved(builder, y, 8, seed + 7 * number + depth), builder.const(0))
        with builder.layer(f"sum_{number}"):
            x = builder.cast(builder.add(x, y), FORMAT)
    return drop_dead(builder.program([("y", x)]), keep_probes=False)


def forked(seed: int) -> Program:
    """Convolutions of an image, of what they give, and of both side by side: three engines, and a skip connection."""
    rng, builder = np.random.default_rng(seed), ProgramBuilder()
    x = builder.input("x", (int(rng.integers(6, 9)), 12, 8), FORMAT)

    def several(x: Value, part: str) -> Value:
        for number in range(2):
            with builder.layer(f"{part}{number}"):
                x = builder.max(convolved(builder, x, 8, seed + number), builder.const(0))
        return x

    passed = several(x, "first")
    with builder.layer("joined"):
        x = builder.concat([passed, several(passed, "second")], -1)
    return drop_dead(builder.program([("y", several(x, "third"))]), keep_probes=False)


def limited(blocks: int) -> Part:
    """A part of so many memory blocks."""
    return replace(PART, die=replace(PART.die, brams=blocks))


def demands(seed: int, blocks: int, rate: float | None = 1e6, bus: WeightsBus | None = None) -> Directives:
    """Directives for `skips` on a part of so many blocks, whose memory gives ``rate`` bits in a cycle."""
    rng = np.random.default_rng(seed)
    reuse = {f"conv_{number}_{depth}": int(rng.choice([4, 9, 18])) for number in range(2) for depth in range(3)}
    return Directives(
        reuse, False, block=PART.family.area.block, part=limited(blocks), weights_rate=rate, weights_bus=bus
    )


def blocks_of(network: Network) -> int:
    """The block memories of a network."""
    planned, _ = fifos(network, latencies_of(network, PART.family.area.block))
    return sum(blocks_needed(Wiring(network), planned, PART, Protection.NONE).values())


def outside(network: Network) -> list[Outside]:
    return [process.kind for process in network.processes if isinstance(process.kind, Outside)]


def short_of(seed: int, blocks: int) -> Directives:
    """Directives for a part that lacks so many blocks for `skips`."""
    network = partition(skips(seed), demands(seed, 1000))
    return demands(seed, blocks_of(network) - blocks)


def lacking_one(program: Program, directives: Directives) -> Directives:
    """``directives`` for a part that lacks a block for all FIFOs."""
    free = replace(directives, block=PART.family.area.block, part=limited(1000))
    return replace(free, part=limited(blocks_of(partition(program, free)) - 1))


def in_turn(seed: int, rate: float) -> tuple[Program, Directives]:
    """Three engines that take their weights, and lack a block for the FIFO between them."""
    program = forked(seed)
    return program, lacking_one(program, replace(shared(program, 2000), weights_rate=rate))


def visited(seed: int) -> tuple[Program, Directives]:
    """An engine with visits of attention, and a FIFO without room before a later visit."""
    program = drop_dead(transformer(seed, 10), keep_probes=False)
    return program, lacking_one(program, in_visits(program, seed, 1e9))


def stored(network: Network) -> list[StoredWeights]:
    kinds = (process.kind for process in network.processes)
    return [kind.stored for kind in kinds if isinstance(kind, Source) and kind.stored is not None]


def test_no_fifo_has_more_of_the_memory_than_it_can_use() -> None:
    """Of a vision transformer: by the bits alone the first has 20 in a cycle, and the last one 8, a token in two."""
    tokens = {(0, 0): (1_382_976, 15), (1, 0): (940_800, 9), (2, 0): (903_168, 9)}
    chosen = {
        place: Stream((count,), TensorType.of((1,), 0, 0, 2**bits - 1)) for place, (count, bits) in tokens.items()
    }
    assert [stream.bits for stream in chosen.values()] == [15, 9, 9]
    assert _rates(chosen, 126.0, 51_000_000, math.inf, None) == {(0, 0): 15, (1, 0): 9, (2, 0): 9}
    assert _rates(chosen, 126.0, 90_000_000, 13, None) == {(0, 0): 15, (1, 0): 9, (2, 0): 9}, "nor have weights"
    assert _rates(chosen, 126.0, 90_000_000, math.inf, None)[2, 0] < 9
    few = _rates(chosen, 12.0, 51_000_000, math.inf, None)
    moved = {place: count * bits for place, (count, bits) in tokens.items()}
    least = sum(moved.values())
    assert few == pytest.approx({place: 12 * own / (2 * least + 51_000_000) for place, own in moved.items()})


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1e6, pytest.param(8.0, marks=pytest.mark.ci)])
def test_weights_of_engines_come_as_much_slower_as_fifos_need(rate: float) -> None:
    """No more bits move in a cycle than the memory gives, whatever it is slower than."""
    program, directives = in_turn(0, rate)
    plain = partition(program, directives)
    network = with_fifos_outside(plain, directives)
    (fifo,) = outside(network)
    assert "joined" in fifo.name and blocks_of(network) <= blocks_of(plain)
    moved = [(stream.bits, one.kind.gap, 2) for one in network.processes if one.kind is fifo for stream in one.takes]
    moved += [
        (one.results[0].bits, one.kind.stored.gap, 1)
        for one in network.processes
        if isinstance(one.kind, Source) and one.kind.stored is not None
    ]
    assert sum(times * bits / gap for bits, gap, times in moved) <= rate
    slower = [one.gap >= before.gap for one, before in zip(stored(network), stored(plain), strict=True)]
    assert len(slower) == 3 and all(slower)
    assert (stored(network)[-1].gap > stored(plain)[-1].gap) == (rate < 10)
    assert_executed(program, network, 0)


@pytest.mark.slow
@pytest.mark.ci
def test_what_comes_of_a_visit_leaves_before_a_later_one() -> None:
    program, directives = visited(2)
    plain = partition(program, directives)
    network = with_fifos_outside(plain, directives)
    (number,) = (place for place, one in enumerate(network.processes) if isinstance(one.kind, Outside))
    (consumer,) = (place for place, one in enumerate(network.processes) if number in {arg.process for arg in one.args})
    assert isinstance(network.processes[consumer].kind, Engine) and consumer < number
    assert blocks_of(network) == blocks_of(plain) - 1
    assert_executed(program, network, 2)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "most"), [pytest.param(0, 3, marks=pytest.mark.ci), (1, 2)])
def test_the_largest_leave_until_the_rest_has_room(seed: int, most: int) -> None:
    """None leave where all have room, one where one block lacks, all large ones where so much does; results stay."""
    program, counts = skips(seed), list[int]()
    for lacking in (0, 1, most):
        directives = short_of(seed, lacking)
        network = with_fifos_outside(partition(program, directives), directives)
        counts.append(len(outside(network)))
        assert blocks_of(network) <= blocks_of(partition(program, directives)) - lacking
    assert counts == [0, 1, 2]
    assert_executed(program, network, seed)


def test_none_leave_where_that_is_not_enough_or_no_memory_is_known() -> None:
    program, short, none = skips(0), short_of(0, 1), short_of(0, 20)
    for directives in (
        none,
        replace(short, weights_rate=None),
        replace(short, weights_rate=1.0),
        replace(short, part=None),
    ):
        network = partition(program, directives)
        assert with_fifos_outside(network, directives) is network


def test_they_share_what_the_memory_gives_by_the_bits_that_they_move() -> None:
    """Two of 120 or more tokens of 64 bits in 2,592 cycles: of 32 bits in a cycle each has 16, both ways."""
    directives = replace(short_of(0, 3), weights_rate=32.0)
    network = with_fifos_outside(partition(skips(0), directives), directives)
    assert [(kind.gap, kind.latency) for kind in outside(network)] == [(8, 64), (8, 64)]
    on_bus = replace(directives, weights_bus=WeightsBus(4, 0.5))
    network = with_fifos_outside(partition(skips(0), on_bus), on_bus)
    assert [(kind.gap, kind.latency) for kind in outside(network)] == [(8, 128), (8, 128)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.ci)])
def test_frames_follow_as_fast_as_without(seed: int) -> None:
    """The memory takes no longer than the slowest layer; what waits before and behind it is less than a block."""
    directives, program = short_of(seed, 2), skips(seed)
    plain = partition(program, directives)
    network = with_fifos_outside(plain, directives)
    latencies = latencies_of(network, directives.block)
    assert schedule(network, latencies).interval == schedule(plain, latencies_of(plain, directives.block)).interval
    assert (
        guess_layout(program, directives, PART.family, None).bram
        < guess_layout(program, replace(directives, weights_rate=None), PART.family, None).bram
    )


def test_an_estimate_says_how_many_tokens_they_move() -> None:
    program, directives, target = skips(0), short_of(0, 1), Target(Path(), "net", PART.name, 10.0)
    where = "Tensors without room on chip lie in 1 buffer of the memory outside"
    text = f"{where}: 96 tokens are written with each frame, and read."
    assert text in Estimate(program, directives, target, rough=True).notes
    free = replace(directives, part=PART)
    assert text not in Estimate(program, free, target, rough=True).notes
