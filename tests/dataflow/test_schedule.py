"""Depths and cycles of networks of processes, against a clock that goes from cycle to cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from bitsmith.dataflow import advance, kinds
from bitsmith.dataflow.links import Link
from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.processes import Network, Process
from bitsmith.dataflow.schedule import Schedule, _SequencerGraph, schedule
from bitsmith.dataflow.text import to_text
from bitsmith.dataflow.timing import Sequencer, product_latency, reorder_timing
from bitsmith.errors import ProgramError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.dataflow.dense_schedule import dense_schedule
from tests.dataflow.reading import parse
from tests.mapping.test_partition import demanded
from tests.properties import few, judged, shares
from tests.properties.convolutional import demands, random_network, turns
from tests.properties.programs import random_program
from tests.properties.recurrent import demands as recurrent_demands
from tests.properties.recurrent import random_network as random_recurrent_network


class Clock:
    """All sequencers and FIFOs of a network, cycle by cycle; each acts as soon as tokens and places are there."""

    def __init__(self, network: Network, latencies: dict[int, int], found: Schedule) -> None:
        self.sequencers: list[Sequencer] = []
        self.links: list[tuple[int, int, int, int, int, int]] = []
        """Writer and row, reader and column, places, registers each way."""
        first, last = {}, {}
        for number, process in enumerate(network.processes):
            parts = process.timing(latencies.get(number, 0)).sequencers
            first[number], last[number] = len(self.sequencers), len(self.sequencers) + len(parts) - 1
            self.sequencers += parts
        for fifo in found.fifos:
            within = fifo.operand == -1
            ends = (
                (first[fifo.producer], last[fifo.consumer]) if within else (last[fifo.producer], first[fifo.consumer])
            )
            way = 0 if within else network.processes[fifo.consumer].slice(fifo.operand)
            self.links.append((ends[0], fifo.port, ends[1], max(fifo.operand, 0), fifo.depth, way))
        self.sources = [first[number] for number in network.sources]
        self.sinks = [first[number] for number in network.sinks]

    def run(self, frames: int, stalls: np.random.Generator | None = None) -> list[list[int]]:
        """When each sequencer acts; with ``stalls`` the borders wait at random."""
        acts: list[list[int]] = [[] for _ in self.sequencers]
        now = 0
        while any(len(at) < part.actions * frames for at, part in zip(acts, self.sequencers, strict=True)):
            waiting = {n for n in (*self.sources, *self.sinks) if stalls is not None and stalls.random() < 0.5}
            for number in [n for n in range(len(acts)) if n not in waiting and self._may(n, now, acts, frames)]:
                acts[number].append(now)
            now += 1
            assert now < 20_000, "locked up"
        return acts

    def ends(self, acts: list[list[int]], frame: int) -> int:
        """The cycle in which the last token of a frame leaves."""
        return max(acts[n][(frame + 1) * self.sequencers[n].actions - 1] for n in self.sinks)

    def pace(self, acts: list[list[int]], frames: int) -> int:
        """Cycles per frame of the slowest input or output, over the last frames."""
        several = frames // 4 * 2
        parts = [(acts[n], several * self.sequencers[n].actions) for n in self.sinks]
        tokens = [self.sequencers[n].actions for n in self.sources]
        return max(*tokens, *((at[-1] - at[-1 - count]) // several for at, count in parts))

    def _count(self, number: int, what: str, row: int, actions: int) -> int:
        """A cumulative count after so many actions."""
        counts: Polyline = getattr(self.sequencers[number], what)[row]
        frame, action = divmod(actions, len(counts))
        return frame * counts[-1] + (counts[action - 1] if action else 0)

    def _may(self, number: int, now: int, acts: list[list[int]], frames: int) -> bool:
        part, done = self.sequencers[number], acts[number]
        if len(done) == part.actions * frames or (done and now < done[-1] + part.gap):
            return False
        frame, action = divmod(len(done), part.actions)
        for writer, row, reader, column, depth, way in self.links:
            if reader == number:
                seen = sum(at + self.sequencers[writer].latency + way < now for at in acts[writer])
                need = frame * part.takes[column][-1] + part.needs[column][action]
                if self._count(writer, "fills", row, seen) < need:
                    return False
            if writer == number:
                fill = self._count(number, "fills", row, len(done) + 1)
                gone = self._count(reader, "takes", column, sum(at + way < now for at in acts[reader]))
                if fill > self._count(number, "fills", row, len(done)) and fill - gone > depth:
                    return False
        return True


def small(seed: int) -> tuple[Network, dict[int, int]]:
    """A random network, and latencies of its pipelines."""
    program = drop_dead(random_program(seed, hardware=True), keep_probes=False)
    network = partition(program, demanded(seed, program))
    rng = np.random.default_rng(seed)
    pipelined = (kinds.Map, kinds.FoldedProduct, kinds.Scan)
    latencies = {k: int(rng.integers(0, 6)) for k, p in enumerate(network.processes) if isinstance(p.kind, pipelined)}
    return network, latencies


def small_with_slices(seed: int) -> tuple[Network, dict[int, int]]:
    """The same with registers each way on some of its streams."""
    network, latencies = small(seed)
    rng = np.random.default_rng(seed)
    ways = ([max(0, int(way)) for way in rng.integers(-2, 4, len(process.args))] for process in network.processes)
    return Network(
        tuple(replace(one, slices=tuple(way)) for one, way in zip(network.processes, ways, strict=True))
    ), latencies


@pytest.mark.parametrize("seed", range(16))
def test_cycles_with_slices_are_those_of_a_clock(seed: int) -> None:
    network, latencies = small_with_slices(seed)
    found = schedule(network, latencies)
    clock = Clock(network, latencies, found)
    acts = clock.run(found.frames)
    assert found.latency == clock.ends(acts, 0) - min(acts[n][0] for n in clock.sources)
    assert found.interval == clock.pace(acts, found.frames)
    assert found.interval == max(part.cycles for part in clock.sequencers)  # full throughput
    assert found == dense_schedule(network, latencies)
    assert to_text(parse(to_text(network))) == to_text(network)


def test_results_are_late_by_a_pipeline_or_the_read_of_a_memory() -> None:
    """A token function, a product, a sum: by its pipeline. A memory of tokens: by the cycle of its read. All else hands on."""
    pipelines = (kinds.Map, kinds.FoldedProduct, kinds.Reduce, kinds.Scan)
    memories = (kinds.Sweep, kinds.Reorder)
    images = [drop_dead(random_network(seed), keep_probes=False) for seed in range(8)]
    networks = [
        *(small(seed)[0] for seed in range(40)),
        *(partition(each, demands(k, each)) for k, each in enumerate(images)),
    ]
    for process in (process for network in networks for process in network.processes):
        *writers, reader = process.timing(5).sequencers
        assert reader.latency == (5 if isinstance(process.kind, pipelines) else len(writers)), process
        assert all(writer.latency == 0 and isinstance(process.kind, memories) for writer in writers), process
    seen = {type(process.kind) for network in networks for process in network.processes}
    assert {kinds.WidthConverter, kinds.Window, kinds.Interleave, *pipelines, *memories} <= seen


@pytest.mark.parametrize("seed", range(24))
def test_cycles_are_those_of_a_clock(seed: int) -> None:
    network, latencies = small(seed)
    found = schedule(network, latencies)
    clock = Clock(network, latencies, found)
    acts = clock.run(found.frames)
    begun = min(acts[n][0] for n in clock.sources)
    assert found.latency == clock.ends(acts, 0) - begun
    assert found.interval == clock.pace(acts, found.frames)
    assert found.interval == max(part.cycles for part in clock.sequencers)  # no FIFO lowers the rate


@pytest.mark.parametrize(
    "seeds", [range(100, 116), *(pytest.param(range(k, k + 30), marks=pytest.mark.slow) for k in range(200, 500, 30))]
)
def test_schedules_are_those_of_arrays_of_all_actions(seeds: range) -> None:
    for seed in seeds:
        found, wanted = schedule(*small(seed)), dense_schedule(*small(seed))
        assert (found, found.frames) == (wanted, wanted.frames)


@few("seeds", [[128, 155], range(100), range(300, 400)], fast=1)
def test_fifos_of_any_size_are_tried_after_what_waits_in_them(
    monkeypatch: pytest.MonkeyPatch, seeds: Sequence[int]
) -> None:
    """Processes that are held back keep their gaps: frames follow at the planned interval, though tokens wait for many."""
    monkeypatch.setattr("bitsmith.dataflow.trials._LEAST_BITS", 1)
    monkeypatch.setattr("tests.dataflow.dense_schedule._LEAST_BITS", 1)
    for seed in seeds:
        network, latencies = small(seed)
        long = {number: 3 * (seed % 4 + 1) * latency for number, latency in latencies.items()}
        found, graph = schedule(network, long), _SequencerGraph(network, long, Process.timing)
        wanted = dense_schedule(network, long, 8)
        bits = [sum(map(Link.memory_bits, graph.links, (fifo.depth for fifo in one.fifos))) for one in (found, wanted)]
        assert found == wanted or bits[1] < bits[0] <= 1.1 * bits[1]
        acts = graph.run([fifo.depth for fifo in found.fifos], 256, None)
        assert graph.pace(acts, network, 256) == found.interval


def test_fifos_are_tried_together_where_few_are_tried_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that are left after two that fail: they are as small or smaller, and frames still follow at the interval."""
    monkeypatch.setattr("bitsmith.dataflow.trials._LEAST_BITS", 1)
    monkeypatch.setattr("bitsmith.dataflow.trials._MOST_CORNERS", 0)
    fewer = 0
    for seed in (77, 93, 128, *range(100, 110)):
        network, latencies = small(seed)
        graph, alone = (_SequencerGraph(network, latencies, Process.timing) for _ in range(2))
        together, interval = graph.planned, graph.interval
        with monkeypatch.context() as only:
            only.setattr("bitsmith.dataflow.trials._MOST_FAILED", 2)
            single = alone.planned
        bits = [sum(map(Link.memory_bits, graph.links, one)) for one in (together, single)]
        assert bits[0] <= bits[1]
        fewer += bits[0] < bits[1]
        assert graph.pace(graph.run(together, 256, None), network, 256) == interval
    assert fewer


@pytest.mark.parametrize("seed", [1, 62, 116])
def test_what_comes_after_the_last_token_waits_for_none(seed: int) -> None:
    """Windows that end in padding, from a FIFO of one place."""
    program = drop_dead(random_network(seed), keep_probes=False)
    network = partition(program, demands(seed, program))
    pipelined = (kinds.Map, kinds.FoldedProduct, kinds.Scan)
    latencies = {number: 2 for number, one in enumerate(network.processes) if isinstance(one.kind, pipelined)}
    assert schedule(network, latencies) == dense_schedule(network, latencies)


@pytest.mark.parametrize("seed", [1, 23, 39])
def test_engines(seed: int) -> None:
    """Tokens are taken first, and results leave after each pass of the last layer."""
    program = drop_dead(random_network(seed), keep_probes=False)
    network = partition(program, turns(seed, program))
    latencies = {number: 2 for number, one in enumerate(network.processes) if isinstance(one.kind, kinds.Map)}
    latencies |= {number: 3 for number, one in enumerate(network.processes) if isinstance(one.kind, kinds.Engine)}
    assert len(latencies) > 0
    assert schedule(network, latencies) == dense_schedule(network, latencies)


@pytest.mark.parametrize("seeds", [range(500, 502), judged(range(502, 530))])
def test_slices_of_time_give_the_same_schedules(monkeypatch: pytest.MonkeyPatch, seeds: range) -> None:
    monkeypatch.setattr("bitsmith.dataflow.advance._PATIENCE", 0)
    for seed in seeds:
        found, wanted = schedule(*small(seed)), dense_schedule(*small(seed))
        assert (found, found.frames) == (wanted, wanted.frames)


def parts() -> Program:
    """Two parts that are not connected, of which the one with more tokens gives results at once, and an input without a use."""
    form = FixedFormat(True, 4, 2)
    builder = ProgramBuilder()
    builder.input("unused", (2, 1), form)
    x, y = builder.input("x", (3, 1), form), builder.input("y", (5, 1), form)
    with builder.layer("late"):
        late = builder.linear(x, np.full((1, 1), 5), 0)
    return builder.program([("late", late), ("early", builder.cast(y, FixedFormat(True, 3, 1)))])


def test_the_interval_is_that_of_the_slowest_part() -> None:
    network = partition(parts(), Directives({}, parallel=False))
    late = next(number for number, process in enumerate(network.processes) if "late" in process.layers)
    for latency in (0, 5, 30, 50):
        assert schedule(network, {late: latency}).interval == 5


ROUND = """
%0 = source name=x gives (1) (1) 0 -8 7
%1 = feedback %0 %2 takes (4) (1) 0 -8 7 rounds=4 kept=0 gives (4) (1) 0 -8 7
%2 = map %1 gives (4) (1) 0 -8 7 {
  %0: 1 s4 frac 0 = input name=x0 shape=(1) frac=0 lo=-8 hi=7 rounding=TRN overflow=WRAP
  output y0 %0
}
%3 = sink %2 name=y
"""


def test_a_round_sets_the_interval() -> None:
    """A token comes back 8 cycles after it was given, and is dropped the fourth time."""
    assert schedule(parse(ROUND), {2: 6}).interval == 4 * 8 + 1


@pytest.mark.parametrize("seed", [1, 2, 4, 5])
def test_states_that_go_round(seed: int) -> None:
    program = drop_dead(random_recurrent_network(seed), keep_probes=False)
    network = partition(program, recurrent_demands(seed, program))
    latencies = {
        number: 2 + number % 7
        for number, process in enumerate(network.processes)
        if isinstance(process.kind, kinds.Map | kinds.FoldedProduct | kinds.Scan)
    }
    found, graph = schedule(network, latencies), _SequencerGraph(network, latencies, Process.timing)
    depths = [fifo.depth for fifo in found.fifos]
    assert Clock(network, latencies, found).run(2) == [at.dense().tolist() for at in graph.run(depths, 2, None)]
    assert graph.pace(graph.run(depths, 64, None), network, 64) == found.interval
    Clock(network, latencies, found).run(2, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(40, 52))
def test_frames_follow_at_the_interval_in_the_long_run(seed: int) -> None:
    network, latencies = small(seed)
    slow = {number: 20 * latency for number, latency in latencies.items()}
    found, graph = schedule(network, slow), _SequencerGraph(network, slow, Process.timing)
    acts = graph.run([fifo.depth for fifo in found.fifos], 512, None)
    assert found.interval == graph.pace(acts, network, 512)


SHARED = """
%0 = source name=x gives (2) (1) 0 -8 7
%1 = rom raw=2x1[3 -4] gives (2) (1) 0 -8 7
%2 = map %0 %1 gives (2) (1) 0 -8 7 {
  %0: 1 s4 frac 0 = input name=x0 shape=(1) frac=0 lo=-8 hi=7 rounding=TRN overflow=WRAP
  %1: 1 s4 frac 0 = input name=x1 shape=(1) frac=0 lo=-8 hi=7 rounding=TRN overflow=WRAP
  %2: 1 s4 frac 0 = max %0 %1
  output y0 %2
}
%3 = map %2 %1 gives (2) (1) 0 -8 7 {
  %0: 1 s4 frac 0 = input name=x0 shape=(1) frac=0 lo=-8 hi=7 rounding=TRN overflow=WRAP
  %1: 1 s4 frac 0 = input name=x1 shape=(1) frac=0 lo=-8 hi=7 rounding=TRN overflow=WRAP
  %2: 1 s4 frac 0 = max %0 %1
  output y0 %2
}
%4 = sink %3 name=y
"""


@pytest.mark.parametrize("late", [0, 9, 80])
def test_constants_that_are_read_early_and_late_lower_no_rate(late: int) -> None:
    """With few places for both, what reads a table again after a long pipeline would hold back what reads it first."""
    network, latencies = parse(SHARED), {2: late, 3: 4}
    found = schedule(network, latencies)
    clock = Clock(network, latencies, found)
    acts = clock.run(64)
    assert found.interval == clock.pace(acts, 64) == 2
    assert found.latency == clock.ends(acts, 0)
    assert found == dense_schedule(network, latencies)
    clock.run(4, np.random.default_rng(late))


@pytest.mark.parametrize("seed", range(16))
def test_no_stall_at_the_borders_locks_up(seed: int) -> None:
    network, latencies = small(seed)
    Clock(network, latencies, schedule(network, latencies)).run(2, np.random.default_rng(seed))


def test_fifos_that_are_too_short_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    builder = ProgramBuilder()
    x = builder.input("x", (6, 1), FixedFormat(True, 4, 2))
    windows = builder.window(x, (3,), (1,), (1,), ((1, 1),))
    program = builder.program([("y", builder.add(builder.sum(windows, (1,)), x))])
    graph = _SequencerGraph(partition(program, Directives({}, parallel=False)), {}, Process.timing)
    assert max(graph.depths(6)) > 1
    for patience in (4, 0):
        monkeypatch.setattr("bitsmith.dataflow.advance._PATIENCE", patience)
        with pytest.raises(ProgramError, match="locks up"):
            graph.run([1] * len(graph.links), 1, None)


@shares(4, fast=2)
def test_random_programs_have_a_schedule(share: int) -> None:
    for seed in range(share, 120, 4):
        found = schedule(*small(seed))
        assert found.latency >= 1
        assert found.interval >= 1


def test_what_waits_for_a_slow_product_waits_before_it_becomes_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    form = FixedFormat(True, 8, 3)
    builder = ProgramBuilder()
    x = builder.input("x", (12, 12, 2), form)
    with builder.layer("conv"):
        windows = builder.reshape(builder.window(x, (3, 3), (2, 2), (1, 1), ((0, 0), (0, 0))), (5, 5, 18))
        y = builder.linear(windows, np.arange(18 * 4).reshape(18, 4) % 13 - 6, 3)
    directives = Directives({"conv": 24}, False, {"conv": MultiplierStyle.SHARED})
    monkeypatch.setattr("bitsmith.mapping.products.takes_narrow_tokens", lambda *_: False)
    network = partition(builder.program([("y", y)]), directives)
    found = schedule(network, {})
    assert found.interval == 25 * 24
    (window,) = [k for k, process in enumerate(network.processes) if isinstance(process.kind, kinds.Window)]

    def behind(one: Schedule) -> int:
        return next(fifo.depth for fifo in one.fifos if fifo.producer == window)

    def bits(one: Schedule) -> int:
        return sum(
            fifo.depth * int(network.processes[fifo.consumer].takes[fifo.operand].token.width.sum())
            for fifo in one.fifos
        )

    assert behind(found) <= 2
    monkeypatch.setattr("bitsmith.dataflow.schedule._BOUNDS", ())
    unbounded = schedule(replace(network), {})  # another object, of which no plan is kept
    # Windows of a row come every other cycle, each is multiplied for 24, and rows come at the pace of the image.
    assert behind(unbounded) > 2
    assert bits(unbounded) > bits(found)
    assert unbounded.interval == found.interval


def convolution(builder: ProgramBuilder, x: Value, name: str, channels: int, stride: int) -> Value:
    """A 3x3 convolution with padding, and 4 bits."""
    height, width, depth = x.shape
    with builder.layer(name):
        after = 1 if stride == 1 else 0
        windows = builder.window(x, (3, 3), (stride, stride), (1, 1), ((1, after), (1, after)))
        flat = builder.reshape(windows, (height // stride, width // stride, 9 * depth))
        weights = np.arange(9 * depth * channels).reshape(9 * depth, channels) % 13 - 6
        return builder.cast(builder.linear(flat, weights, 3), FixedFormat(False, 4, 2))


def test_raises_do_not_follow_tokens_around_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small U-Net: the image comes in parts through FIFOs of one token, what is passed by waits for what goes down and up."""
    builder = ProgramBuilder()
    first = convolution(builder, builder.input("x", (16, 16, 3), FixedFormat(True, 6, 2)), "first", 4, 1)
    second = convolution(builder, first, "second", 6, 2)
    with builder.layer("grow"):
        rows = builder.broadcast(builder.reshape(second, (8, 1, 8, 1, 6)), (8, 2, 8, 2, 6))
        joined = builder.concat([builder.reshape(rows, (16, 16, 6)), first], 2)
    program = builder.program([("y", convolution(builder, joined, "last", 4, 1))])
    factors = {"first": 108, "second": 54, "last": 360}
    network = partition(program, Directives(factors, False, dict.fromkeys(factors, MultiplierStyle.SHARED)))
    latencies = {k: 6 for k, p in enumerate(network.processes) if isinstance(p.kind, kinds.Map | kinds.FoldedProduct)}
    raises: list[int] = []

    def counted(tracks: Sequence[advance._Track], active: Sequence[int], end: int) -> int:
        raises.append(settle(tracks, active, end))
        return raises[-1]

    settle = advance._settle
    monkeypatch.setattr(advance, "_settle", counted)
    found = schedule(network, latencies)
    assert found.interval == 256 * 360
    assert sum(raises) < 512  # 2,209 if FIFOs of one token are found out about token by token


@pytest.mark.parametrize("n", range(1, 40))
def test_a_product_is_as_late_as_its_registers_say(n: int) -> None:
    """Two after the operands, one after the products and in the accumulator, and one after every second level of the tree."""
    levels, width = 0, n
    while width > 1:
        levels, width = levels + 1, -(-width // 2)
    assert product_latency(n) == 2 + 1 + 1 + levels // 2
    # Each of the sums of a chain has a register; the tree adds up the last ones.
    assert product_latency(3 * n - 1, 3) == product_latency(n) + 3


@pytest.mark.parametrize("source", [[2, 1, 0], [1, 0, 3, 2], [0, 2, 1, 3], [3, 0, 1, 2], [1, 0, 0, 3, 2, 1]])
def test_a_memory_keeps_tokens_until_they_were_read_last(source: list[int]) -> None:
    """After each read all tokens before the first one that is still to come are free; a frame frees all of its own."""
    tokens = max(source) + 1
    read = reorder_timing(np.array(source), tokens).sequencers[1]
    needs, freed = (list(map(each.__getitem__, range(len(source)))) for each in (read.needs[0], read.takes[0]))
    wanted = [max(source[: k + 1]) + 1 for k in range(len(source))]
    left = [min([*source[k + 1 :], tokens]) for k in range(len(source))]
    assert needs == [*wanted[:-1], tokens]
    assert freed == [*(min(a, b) for a, b in zip(left[:-1], wanted[:-1], strict=True)), tokens]
