"""Engines whose weights come from a memory outside compute the same, in the cycles that the memory leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from bitsmith.dataflow.kinds import Engine, Replay, Source
from bitsmith.dataflow.processes import Network
from bitsmith.dataflow.schedule import schedule
from bitsmith.dataflow.text import to_text
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives, WeightsBus
from bitsmith.mapping.engine import engines
from bitsmith.mapping.engine.fetched import word_cycles
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.dataflow.dense_schedule import dense_schedule
from tests.dataflow.reading import parse
from tests.mapping.test_engines import FORMAT, convolved, depthwise, perceptron, residual, shared
from tests.mapping.test_partition import assert_same
from tests.properties import shares
from tests.properties.convolutional import (
    channels_of_their_own,
    in_parts,
    inverted,
    preactivated,
    random_maps,
    random_network,
    turns,
)

FAST = 1e9
"""Bits in a cycle of a memory that is never waited for."""


def latencies(network: Network) -> Mapping[int, int]:
    """Some cycles for the token functions of engines."""
    return {number: 6 for number, process in enumerate(network.processes) if isinstance(process.kind, Engine)}


def images(network: Network) -> list[tuple[int, int]]:
    """The words of weights of a frame, and the cycles from one to the next, of each engine."""
    kinds = (process.kind for process in network.processes)
    stored = (kind.stored for kind in kinds if isinstance(kind, Source) and kind.stored)
    return [(len(each.raw), each.gap) for each in stored]


@shares(8, fast=1)
def test_random_networks(share: int) -> None:
    """The rows that come are those that the steps need, in their order."""
    found = 0
    for seed in range(share, 60, 8):
        program = channels_of_their_own(seed) if seed % 3 else random_network(seed)
        rate = (FAST, 16.0, 3.0)[seed % 3]
        network = assert_same(program, replace(turns(seed, program), weights_rate=rate), seed)
        text = to_text(network)
        assert to_text(parse(text)) == text
        engines = sum(isinstance(process.kind, Engine) for process in network.processes)
        assert len(images(network)) == engines
        assert sum(isinstance(process.kind, Replay) for process in network.processes) == engines
        found += engines
    assert found > 0


def copied(program: Program, rate: float) -> Directives | None:
    """Cycles for a frame that an engine meets with a copy after its last product; None if there are none."""
    for reuse in (12, 60, 10_000):
        directives = replace(shared(program, reuse), weights_rate=rate)
        network = partition(drop_dead(program, keep_probes=False), directives)
        ends = [process.kind.layers[-2:] for process in network.processes if isinstance(process.kind, Engine)]
        if any(last.name == f"{before.name}_copy" for before, last in ends):
            return directives
    return None


@shares(4, fast=1)
def test_results_of_the_last_product_are_copied(share: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """That product computes several windows at once, or has the weights of a pass alone, as others do."""
    monkeypatch.setattr(engines, "_WORTH", -(10**9))
    found = 0
    for seed in range(share + 1, 41, 4):
        program = random_maps(seed)
        directives = copied(program, (FAST, 16.0, 3.0)[seed % 3])
        if directives is not None:
            found += 1
            assert_same(program, directives, seed)
    assert found > 1


def test_a_copy_is_made_where_fewer_weights_are_held_or_few_cycles_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the last product computes one window at once, and its weights are held as a whole."""
    channels = 4, 16, 64
    steps, most = 9 * channels[1], 9 * channels[1] * channels[2]

    def planned(reuse: int) -> tuple[Engine, int]:
        builder = ProgramBuilder()
        x = builder.input("x", (3, 3, channels[0]), FORMAT)
        for number, count in enumerate(channels[1:]):
            with builder.layer(f"layer{number}"):
                x = convolved(builder, x, count, number)
        program = builder.program([("y", x)])
        network = partition(drop_dead(program, keep_probes=False), replace(shared(program, reuse), weights_rate=FAST))
        (engine,) = (process.kind for process in network.processes if isinstance(process.kind, Engine))
        (replay,) = (process.kind for process in network.processes if isinstance(process.kind, Replay))
        return engine, replay.places

    (saving, held), (fast, _) = planned(most // 2), planned(steps - 1)
    assert len(saving.layers) == len(fast.layers) == 3
    assert held == 2 * steps
    monkeypatch.setattr(engines, "_WORTH", 10**9)
    whole, places = planned(most // 2)
    assert (len(whole.layers), whole.positions) == (2, 1)
    assert whole.lanes * places > most > saving.lanes * held
    assert whole.lanes >= saving.lanes * saving.positions
    assert len(planned(steps - 1)[0].layers) == 3
    monkeypatch.setattr(engines, "copied", lambda *_: None)
    with pytest.raises(ValueError, match="not enough values"):
        planned(steps - 1)


def at_once(program: Program, rate: float = FAST, abreast: int = 1) -> Directives | None:
    """Cycles for a frame that an engine meets with several windows at once, along both axes if it can; None if there are none.

    With sums ``abreast`` if that is more than 1, and then with one window or several.
    """
    found: dict[int, Directives] = {}
    for reuse in (100, 60, 40, 30, 20, 14, 10, 7, 5, 3):
        directives = replace(shared(program, reuse), weights_rate=rate)
        network = partition(drop_dead(program, keep_probes=False), directives)
        for engine in (process.kind for process in network.processes if isinstance(process.kind, Engine)):
            if engine.abreast >= abreast > 1 or engine.positions > 1 == abreast:
                found.setdefault(min(engine.parts), directives)
    return found[max(found)] if found else None


@shares(16, fast=1)
def test_several_windows_at_once(share: int) -> None:
    """Tensors in parts, beside others, in random networks."""
    found = 0
    for seed in range(share, 80, 16):
        program = in_parts(seed) if seed // 16 % 4 else random_network(seed)
        directives = at_once(program)
        if directives is not None:
            network = assert_same(program, directives, seed)
            assert to_text(parse(to_text(network))) == to_text(network)
            found += 1
    assert found > 0


@shares(16, fast=1)
def test_two_sums_at_once(share: int) -> None:
    """Blocks of many channels between few leave no layer waiting for its results, but for the last one."""
    found = 0
    for seed in range(share, 48, 16):
        program = inverted(seed)
        directives = at_once(program, abreast=2)
        if directives is not None:
            network = assert_same(program, directives, seed)
            assert to_text(parse(to_text(network))) == to_text(network)
            found += 1
    assert found > 0 or share not in {0, 1, 3, 5, 14}


@shares(16, fast=1)
def test_what_is_read_before_and_after_a_function_is_in_the_same_engine(share: int) -> None:
    """The function has a turn of its own, with one lane, between the others; one by one, or several windows at once."""
    found = 0
    for seed in range(share, 48, 16):
        program = preactivated(seed)
        for directives in (shared(program, 10_000), at_once(program)):
            if directives is None:
                continue
            network = assert_same(program, directives, seed)
            engines = [process.kind for process in network.processes if isinstance(process.kind, Engine)]
            found += sum(layer.name.startswith("function") for engine in engines for layer in engine.layers)
            assert to_text(parse(to_text(network))) == to_text(network)
    assert found > 0 or share == 7  # two of its networks are constant, the third has too few layers for an engine


def test_a_function_at_either_end_is_no_turn_of_an_engine() -> None:
    """It takes a number in each cycle beside it."""
    builder = ProgramBuilder()
    x = builder.input("x", (4, 4, 2), FORMAT)
    with builder.layer("before"):
        x = builder.max(x, builder.const(0))
    with builder.layer("first"):
        y = convolved(builder, x, 2, 1)
    with builder.layer("join"):
        x = builder.add(x, convolved(builder, y, 2, 2))
    with builder.layer("after"):
        y = builder.max(x, builder.const(0))
    program = builder.program([("x", x), ("y", y)])
    network = assert_same(program, shared(program, 10_000))
    (engine,) = (process.kind for process in network.processes if isinstance(process.kind, Engine))
    assert [layer.name for layer in engine.layers] == ["first", "join", "join"]


def test_windows_at_once_take_a_part_of_the_cycles() -> None:
    """Threefold parts take a third of the cycles, and no more multipliers than that takes. The vector's layer has one window."""
    program, engines = residual(), list[Engine]()
    for reuse in (250, 36, 18):
        network = assert_same(program, replace(shared(program, reuse), weights_rate=FAST))
        engines += [process.kind for process in network.processes if isinstance(process.kind, Engine)]
    one, three, nine = engines
    assert [engine.parts for engine in engines] == [(1, 1), (1, 3), (3, 3)]
    for engine in (three, nine):
        assert [layer.positions for layer in engine.layers] == [engine.positions] * 4 + [1]
    assert [engine.words for engine in engines] == [432, 144, 48]
    assert three.starts([48], 6)[-1] < one.starts([144], 6)[-1] / 3
    assert nine.starts([48], 6)[-1] < one.starts([144], 6)[-1] / 6


def test_windows_that_lose_rows_and_columns_come_one_at_once() -> None:
    """Six rows of windows over eight rows are in two parts, which those of the image are not, and so are columns."""
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    x = builder.input("x", (8, 6, 2), FORMAT)
    for name, channels in (("first", 2), ("second", 4)):
        with builder.layer(name):
            rows, columns, _ = x.shape
            windows = builder.window(x, (3, 3), (1, 1), (1, 1), ((0, 0), (0, 0)))
            flat = builder.reshape(windows, (rows - 2, columns - 2, 9 * channels))
            x = builder.cast(builder.linear(flat, rng.integers(-15, 16, (9 * channels, 4)), 5), FORMAT)
    with builder.layer("dense"):
        flat = builder.reshape(x, (32,))
        y = builder.linear(flat, rng.integers(-15, 16, (32, 2)), 5)
    assert at_once(builder.program([("y", y)])) is None


def test_one_window_at_once_where_the_circuit_has_no_use_for_more() -> None:
    """Monitors watch numbers in order, and weights in tables belong to circuits in C++, too."""
    program = residual()
    directives = replace(shared(program, 30), weights_rate=FAST)
    for other in (replace(directives, taps=True), replace(directives, weights_rate=None)):
        network = partition(program, other)
        assert not any(isinstance(process.kind, Engine) for process in network.processes)


@pytest.mark.parametrize(
    ("program", "reuse"), [(residual(), 250), (depthwise(), 300), (perceptron((16, 16, 12, 8)), 9999)]
)
def test_cycles_are_bound_by_steps_or_by_memory(program: Program, reuse: int) -> None:
    """A fast memory costs a cycle for each bias alone; one that is slower than all steps gives the interval alone."""
    directives = shared(program, reuse)
    network = assert_same(program, directives)
    alone = schedule(network, latencies(network))
    for rate in (FAST, 2.0, 0.125):
        network = assert_same(program, replace(directives, weights_rate=rate))
        found = schedule(network, latencies(network))
        ((words, gap),) = images(network)
        assert found.interval >= max(alone.interval, words * gap)
        if rate == FAST:
            (engine,) = (process.kind for process in network.processes if isinstance(process.kind, Engine))
            assert (found.interval, gap) == (alone.interval + engine.biases, 1)
        if rate == 0.125:
            assert found.interval == words * gap
            assert found.latency > (words - 1) * gap


@pytest.mark.parametrize("rate", [FAST, 3.0, 1.0])
def test_the_schedule_is_that_of_all_actions_one_by_one(rate: float) -> None:
    network = assert_same(residual(), replace(shared(residual(), 250), weights_rate=rate))
    fast, slow = schedule(network, latencies(network)), dense_schedule(network, latencies(network))
    assert (fast.latency, fast.interval, fast.fifos) == (slow.latency, slow.interval, slow.fifos)


def test_a_memory_has_room_for_two_parts_in_a_row() -> None:
    """A pass of a convolution is one, all passes of other layers are."""
    network = assert_same(residual(), replace(shared(residual(), 250), weights_rate=FAST))
    (replay,) = (process.kind for process in network.processes if isinstance(process.kind, Replay))
    assert replay.parts == ((18, 1), (36, 36), (36, 36), (36, 36), (36, 36), (2, 144), (4, 36), (108, 1))
    assert replay.places == 36 + 36
    assert replay.source.tolist()[18 + 35 * 36 : 18 + 37 * 36 + 1] == [*range(18, 54), *range(54, 90), 54]
    assert len(replay.source) == sum(tokens * times for tokens, times in replay.parts)
    assert np.array_equal(replay.source[-108:], np.arange(168, 276))


@pytest.mark.parametrize(
    ("rate", "bus", "gap"),
    [
        (FAST, None, 1),
        (FAST, WeightsBus(8, 0.5), 2),
        (FAST, WeightsBus(1, 0.5), 9),
        (FAST, WeightsBus(8, 1.6), 4),
        (8.0, WeightsBus(8, 0.5), 16),
        (8.0, None, 9),
        (FAST, WeightsBus(64, 0.5), 1),
    ],
)
def test_a_board_brings_words_in_whole_beats(rate: float, bus: WeightsBus | None, gap: int) -> None:
    """Words of 72 bits are 9 bytes: two beats of 8, or one of 16."""
    assert word_cycles(72, rate, bus) == gap


def side_by_side() -> Program:
    """Two networks of two dense layers each, one of which has nine times the weights of the other."""
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    results = []
    for branch, size in (("wide", 24), ("narrow", 8)):
        x = builder.input(branch, (size,), FORMAT)
        for number in range(2):
            with builder.layer(f"{branch}{number}"):
                x = builder.cast(builder.linear(x, rng.integers(-15, 16, (size, size)), 6), FORMAT)
        results.append((f"{branch}_y", x))
    return builder.program(results)


@pytest.mark.parametrize("rate", [FAST, 16.0, 3.0])
def test_engines_share_what_the_memory_gives(rate: float) -> None:
    """All together take no more bits in a cycle than come; none waits for longer than all of a frame's bits take."""
    network = assert_same(side_by_side(), replace(shared(side_by_side(), 9999), weights_rate=rate))
    sources = [process for process in network.processes if isinstance(process.kind, Source) and process.kind.stored]
    assert len(sources) == 2
    bits = [source.results[0].bits for source in sources]
    assert sum(one / gap for one, (_, gap) in zip(bits, images(network), strict=True)) <= rate
    if rate < FAST:
        frame = sum(one * words for one, (words, _) in zip(bits, images(network), strict=True))
        assert all(words * (gap - 1) < frame / rate for words, gap in images(network))
