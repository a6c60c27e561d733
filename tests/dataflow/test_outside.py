"""Tokens that pass through memories outside of a circuit: their values, and their cycles against a clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bitsmith.dataflow import kinds
from bitsmith.dataflow.kinds import Outside
from bitsmith.dataflow.processes import Network
from bitsmith.dataflow.schedule import schedule
from bitsmith.dataflow.text import to_text
from bitsmith.dataflow.tokens import Stream
from bitsmith.devices.ecp5 import ECP5
from bitsmith.emulate import Emulator
from bitsmith.estimate.size import estimate_network
from bitsmith.ir.types import TensorType, objects
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.dataflow.dense_schedule import dense_schedule
from tests.dataflow.execute import Left, execute
from tests.dataflow.reading import parse
from tests.dataflow.test_schedule import ROUND, Clock, small
from tests.mapping.test_partition import assert_equal_values, demanded
from tests.properties import few
from tests.properties.outside import through_memories
from tests.properties.programs import random_program, random_stimuli, sample
from tests.properties.recurrent import demands as recurrent_demands
from tests.properties.recurrent import random_network as random_recurrent_network


def pipelines(network: Network, seed: int) -> dict[int, int]:
    """Random latencies of processes with pipelines."""
    rng, kept = np.random.default_rng(seed), (kinds.Map, kinds.FoldedProduct, kinds.Scan)
    return {k: int(rng.integers(0, 6)) for k, one in enumerate(network.processes) if isinstance(one.kind, kept)}


def test_spans_are_read_in_order() -> None:
    kind = Outside("maps", ((2, 3), (0, 1), (3, 2)), 1, 4)
    stream = Stream((6,), TensorType.of((2,), 0, -99, 99))
    rows = objects(np.arange(12).reshape(6, 2))
    (found,) = kind.run((stream,), (replace(stream, grid=(6,)),), [rows])
    assert found.tolist() == rows[[2, 3, 4, 0, 3, 4]].tolist()
    assert kind.memories((stream,), (stream,), 0) == []


def test_reads_wait_for_what_was_written_and_the_last_one_makes_room() -> None:
    stream = Stream((6,), TensorType.of((), 0, 0, 1))
    timing = Outside("maps", ((2, 3), (0, 1), (3, 1)), 3, 8).timing((stream,), (stream,), 0)
    write, read = timing.sequencers
    assert (timing.places, write.gap, write.latency, read.gap, read.latency) == (6, 3, 7, 3, 0)
    assert read.needs[0].dense().tolist() == [3, 4, 5, 5, 6]
    assert read.takes[0].dense().tolist() == [0, 0, 0, 0, 6]
    assert [rows[0].dense().tolist() for rows in (write.fills, read.fills)] == [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5]]


def test_each_read_of_a_whole_frame_makes_room() -> None:
    stream = Stream((5,), TensorType.of((), 0, 0, 1))
    _, read = Outside("maps", ((0, 5),), 3, 8).timing((stream,), (stream,), 0).sequencers
    assert read.needs[0].dense().tolist() == read.takes[0].dense().tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("seed", [0, 5, 7])
def test_values_are_those_of_the_program(seed: int, whole: bool) -> None:
    program = drop_dead(random_program(seed, hardware=True), keep_probes=False)
    network = through_memories(partition(program, demanded(seed, program)), seed, whole=whole)
    assert any(isinstance(process.kind, Outside) for process in network.processes)
    assert to_text(parse(to_text(network))) == to_text(network)
    stimuli, left = random_stimuli(program, seed, 2), Left()
    expected = Emulator(program).run_raw(stimuli)
    streams = [network.processes[number].takes[0] for number in network.sinks]
    for k in range(2):
        results = execute(network, sample(stimuli, k), None, left)
        for want, have, output, stream in zip(expected, results, program.outputs, streams, strict=True):
            frac = program.nodes[output.node].type.frac
            assert_equal_values(np.asarray(want[k]), frac, have, stream.token.frac)


@few("seeds", [range(10), range(10, 80)], fast=1)
def test_cycles_are_those_of_a_clock(seeds: range) -> None:
    for seed in seeds:
        network = through_memories(small(seed)[0], seed)
        latencies = pipelines(network, seed)
        found = schedule(network, latencies)
        clock = Clock(network, latencies, found)
        acts = clock.run(found.frames)
        assert found.latency == clock.ends(acts, 0) - min(acts[n][0] for n in clock.sources)
        assert found.interval == clock.pace(acts, found.frames) >= max(part.cycles for part in clock.sequencers)
        wanted = dense_schedule(network, latencies)
        assert (found, found.frames) == (wanted, wanted.frames)


@pytest.mark.parametrize("seed", range(8))
def test_no_stall_at_the_borders_locks_up(seed: int) -> None:
    network = through_memories(small(seed)[0], seed)
    latencies = pipelines(network, seed)
    Clock(network, latencies, schedule(network, latencies)).run(2, np.random.default_rng(seed))


def test_a_round_through_a_memory_sets_the_interval() -> None:
    """A token comes back 8 cycles after it was given, and 9 later where it passes the FIFO of a memory of 8 cycles."""
    memory = '%3 = outside %2 name="maps" spans=(0,4) gap=1 latency=8 gives (4) (1) 0 -8 7'
    outside = ROUND.replace("%3 = sink %2", f"{memory}\n%4 = sink %3")
    network = parse(outside.replace("%0 %2 takes", "%0 %3 takes"))
    assert schedule(network, {2: 6}).interval == 4 * 17 + 1


@pytest.mark.parametrize("seed", [1, 2, 4, 5])
def test_states_that_go_round(seed: int) -> None:
    program = drop_dead(random_recurrent_network(seed), keep_probes=False)
    network = through_memories(partition(program, recurrent_demands(seed, program)), seed, whole=True)
    latencies = pipelines(network, seed)
    found = schedule(network, latencies)
    clock = Clock(network, latencies, found)
    acts = clock.run(found.frames)
    assert found.latency == clock.ends(acts, 0) - min(acts[n][0] for n in clock.sources)
    assert found.interval >= clock.pace(acts, found.frames)


def test_it_takes_a_handshake_and_no_memory_on_chip() -> None:
    source, memory, sink = MEMORY.strip().splitlines()
    plain = parse(f"{source}\n{sink.replace('%2 = sink %1', '%1 = sink %0')}")
    with_memory, without = (estimate_network(each, Directives({}, False), ECP5, 8.0) for each in (parse(MEMORY), plain))
    assert "outside" in memory and with_memory.bram == without.bram == 0
    assert 0 < with_memory.lut - without.lut < 100


MEMORY = """
%0 = source name=x gives (1000) (1) 0 -8 7
%1 = outside %0 name="maps" spans=(0,1000) gap=1 latency=20 gives (1000) (1) 0 -8 7
%2 = sink %1 name=y
"""
