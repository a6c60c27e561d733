"""Tokens that a tool's streams cannot have travel as beats: the same numbers, no deadlock, and as often as planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bitsmith.dataflow import kinds
from bitsmith.dataflow.processes import Network, OutputPort, Stream
from bitsmith.hls import HlsTarget, write_project
from bitsmith.hls.beats import passes_beats, step_cycles, token_beats
from bitsmith.hls.dialects import DIALECTS, Dialect
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.hls.compiled import assert_equal_to_emulator, open_headers
from tests.hls.rules.book import book
from tests.hls.structure.check import check
from tests.hls.test_execution import COMPILED_DIALECT, EACH_FAMILY, networks, programs
from tests.hls.test_streams import FEW, bounded, cnns, random_demands
from tests.hls.test_vendor_rules import found_marks


def narrow(dialect: Dialect, bits: int = 24) -> Dialect:
    """``dialect`` whose streams take so few bits that most tokens are cut."""
    return replace(dialect, streams=replace(dialect.streams, most_bits=bits, port_bits=bits))


def some() -> tuple[dict[str, Program], dict[str, Directives]]:
    cases, demands = cnns()
    random = programs(FEW)
    return {**cases, **random}, {**demands, **random_demands(random)}


def cut(program: Program, directives: Directives, dialect: Dialect) -> tuple[Network, Mapping[OutputPort, int]]:
    network = partition(drop_dead(program, keep_probes=False), directives)
    return network, token_beats(network, dialect.streams, parallel=directives.parallel)


@pytest.mark.slow
@pytest.mark.ci
@COMPILED_DIALECT
def test_the_same_numbers(tmp_path: Path, dialect: Dialect) -> None:
    cases, demands = some()
    assert_equal_to_emulator(cases, narrow(dialect), tmp_path, demands=demands, samples=4)


@pytest.mark.slow
@pytest.mark.ci
@EACH_FAMILY
def test_random_networks(tmp_path: Path, dialect: Dialect) -> None:
    cases = networks(range(6))
    assert_equal_to_emulator(cases, narrow(dialect), tmp_path, demands=random_demands(cases), samples=4)


@pytest.mark.slow
@pytest.mark.ci
@EACH_FAMILY
def test_with_the_open_headers(tmp_path: Path, dialect: Dialect) -> None:
    cases = {"folded": cnns()[0]["folded"], **programs((36,))}
    demands = {**random_demands(cases), "folded": cnns()[1]["folded"]}
    include = open_headers(dialect.family)
    assert_equal_to_emulator(cases, narrow(dialect), tmp_path, include=include, demands=demands, samples=4)


@pytest.mark.parametrize("bits", [0, 8, 24, 64, 512])
def test_beats_are_whole_parts_no_wider_than_streams_may_be(bits: int) -> None:
    cases, demands = cnns()
    streams = replace(DIALECTS["vitis"].streams, most_bits=bits, port_bits=0)
    cuts = 0
    for name, program in cases.items():
        network = partition(drop_dead(program, keep_probes=False), demands[name])
        beats = token_beats(network, streams, parallel=demands[name].parallel)
        for number, process in enumerate(network.processes):
            for port, result in enumerate(process.results):
                size, count = result.token.size, beats.get(OutputPort(number, port), 1)
                assert size % count == 0 and (not bits or count == size or size // count * width_of(result) <= bits)
                cuts += count > 1
    assert bool(cuts) == bool(bits)


@pytest.mark.parametrize("bits", [16, 100])
def test_width_converters_pass_a_beat_in_each_cycle(bits: int) -> None:
    """A step takes as many cycles as its smaller token has beats, however many the larger one has."""
    cases, demands = cnns()
    unlike = 0
    for name, program in cases.items():
        network, beats = cut(program, demands[name], narrow(DIALECTS["vitis"], bits))
        for number, process in enumerate(network.processes):
            if not isinstance(process.kind, kinds.WidthConverter):
                continue
            ends = [(process.takes[0], process.args[0]), (process.results[0], OutputPort(number))]
            counts = [(stream.token.size, beats.get(end, 1)) for stream, end in ends]
            assert passes_beats(network, number, beats)
            assert step_cycles(network, number, beats) == min(counts)[1]
            unlike += len({size // count for size, count in counts}) > 1
    assert unlike


def width_of(stream: Stream) -> int:
    """The bits of any element of a token."""
    _, lo, hi = stream.token.full()
    return max(max(int(high), ~int(low)).bit_length() + (low < 0) for low, high in zip(lo.flat, hi.flat, strict=True))


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("many", [False, True])
def test_fifos_are_deep_enough(tmp_path: Path, many: bool) -> None:
    """Each process is a thread of its own, and FIFOs fill."""
    cases, demands = some()
    if not many:
        cases = {name: cases[name] for name in ("streamed", "arrays")}
    assert_equal_to_emulator(cases, narrow(bounded(DIALECTS["vitis"])), tmp_path, demands=demands, samples=3)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("dialect", ["vitis", "vivado"])
def test_the_plan_counts_beats(dialect: str) -> None:
    cases, demands = some()
    narrowed, longer = narrow(DIALECTS[dialect]), 0
    for name, program in cases.items():
        program = drop_dead(program, keep_probes=False)
        made = [
            write_project(program, demands[name], each, HlsTarget("net", "part"))
            for each in (DIALECTS[dialect], narrowed)
        ]
        assert not check(made[1], DIALECTS[dialect], unrolled=demands[name].unrolled(program)).left_out
        assert not list(filter(None, map(book(dialect).refusal, found_marks(made[1], dialect))))
        assert made[0].interval is not None and made[1].interval is not None
        longer += made[0].interval < made[1].interval
    assert longer > 2
