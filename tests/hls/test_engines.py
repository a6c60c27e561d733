"""Layers in turn on one row of multipliers, as one function in C++, beside the emulator and their plan."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.dataflow.engine import Engine
from bitsmith.dataflow.engine_layer import EngineLayer
from bitsmith.errors import VerificationError
from bitsmith.hls import HlsTarget, write_project
from bitsmith.hls.dialects import DIALECTS, Dialect
from bitsmith.hls.pipelines import cpp_timing, stages_of
from bitsmith.ir.indexing import moved
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.hls.compiled import assert_equal_to_emulator, open_headers
from tests.hls.structure.check import check
from tests.hls.test_execution import COMPILED_DIALECT, EACH_DIALECT, EACH_FAMILY
from tests.hls.test_streams import bounded
from tests.hls.test_structure import written
from tests.mapping.test_engines import by_channel, depthwise, engines, perceptron, pooled, residual, shared
from tests.properties.convolutional import random_network, turns


def cases(*seeds: int) -> tuple[dict[str, Program], dict[str, Directives]]:
    """Random networks of which layers share an engine, and what is asked of them."""
    programs, directives = dict[str, Program](), dict[str, Directives]()
    for seed in seeds:
        program = drop_dead(random_network(seed), keep_probes=False)
        asked = turns(seed, program)
        if engines(partition(program, asked)):
            programs[f"net{seed}"], directives[f"net{seed}"] = program, asked
    return programs, directives


def some() -> tuple[dict[str, Program], dict[str, Directives]]:
    """A network with a skip connection, in streams and in arrays, and dense layers."""
    programs = {"streamed": residual(), "arrays": residual(), "dense": perceptron((16, 16, 12, 8))}
    directives = {"streamed": shared(programs["streamed"], 150), "dense": shared(programs["dense"], 1000)}
    for name, made in (("depthwise", depthwise()), ("pooled", pooled()), ("by_channel", by_channel())):
        programs[name], directives[name] = made, shared(made, 150)
    return programs, {**directives, "arrays": shared(programs["arrays"], 100_000, parallel=True)}


def all_engines() -> list[Engine]:
    programs, directives = cases(*range(16))
    more, asked = some()
    programs, directives = programs | more, directives | asked
    return [one for name, program in programs.items() for one in engines(partition(program, directives[name]))]


@COMPILED_DIALECT
@pytest.mark.slow
@pytest.mark.ci
def test_equal_to_the_emulator(tmp_path: Path, dialect: Dialect) -> None:
    (programs, directives), (more, asked) = cases(3, 11), some()
    assert len(programs) == 2
    assert_equal_to_emulator(programs | more, dialect, tmp_path, demands=directives | asked, samples=3)


def test_variables_keep_the_bits_that_they_need() -> None:
    """Whatever changes in a step is masked by ones, as few as its values need: those before and after it need no more."""
    for name, program in some()[0].items():
        text = written(program, some()[1][name], "vitis").files["firmware/net.cpp"]
        body = text[text.index("for (int layer = 0;") :]
        body = body[: body.index("\n}\n")]
        assert not re.search(r"\b\w+ [-+]= |\b(?!i\b|layer\b)\w+(\+\+|--)", body)
        masks = re.findall(r"(\w+) = \(\1 [-+] \w+\) & (\d+);", body)
        assert {variable for variable, _ in masks} >= {"at", "row", "target", "left", "channel", "place0", "place1"}
        assert all(int(mask) & (int(mask) + 1) == 0 for _, mask in masks)
        assert len(set(masks)) == len({variable for variable, _ in masks})
        (words,) = {int(rows) * int(banks) for rows, banks in re.findall(r"_memory\[(\d+)\]\[(\d+)\];", text)}
        (at,) = {int(mask) for variable, mask in masks if variable == "at"}
        assert at // 2 < words - 1 <= at


def test_networks_have_all_forms() -> None:
    found = all_engines()
    layers = [layer for one in found for layer in one.layers]
    assert {one.by_layer for one in found} == {False, True}
    assert {layer.greatest for layer in layers} == {False, True}
    assert {len(layer.weights) < layer.blocks for layer in layers} == {False, True}
    assert any(layer.blocks > 1 == len(layer.weights) for layer in layers)
    assert any(layer.lanes < one.lanes for one in found for layer in one.layers)
    assert {(one.banks > 1, one.greatest_lanes > 1) for one in found} == {(False, False), (True, False), (True, True)}
    assert any(one.banks < one.lanes for one in found if one.banks > 1)


def windows_read(layer: EngineLayer) -> list[set[int]]:
    """First words of the numbers that each window reads from the memory, which have a word for each channel."""
    rows, columns = (np.arange(size) for size in layer.grid)
    words = (layer.source + rows[:, None] * layer.pitch + columns * layer.channels).reshape(-1)
    taps = moved(layer.op, layer.grid).reshape(math.prod(layer.windows), -1)
    return [{int(words[tap]) for tap in window if tap >= 0} for window in taps]


def test_no_layer_writes_what_it_reads_later() -> None:
    """That is what tools are promised of the memory within the loop of a layer: what is read was not written there.

    A sum in the words of an operand writes what the same window has read, channel by channel, and no other window reads.
    """
    in_place = 0
    for engine in all_engines():
        for layer in engine.layers[:-1]:
            results = layer.all_passes * layer.lanes // math.prod(layer.windows)
            target = range(layer.target, layer.target + layer.all_passes * layer.lanes)
            places = {word // engine.banks for word in target}
            read = windows_read(layer)
            over = [{word for word in words if places & _places(word, layer, engine)} for words in read]
            if any(over):
                in_place += 1
                assert layer.blocks * layer.lanes == layer.channels == results
                assert over == [{layer.target + number * results} for number in range(len(over))]
    assert in_place


def _places(word: int, layer: EngineLayer, engine: Engine) -> set[int]:
    """Of the memory, those with the channels of a number that begins at ``word``: each has what is read at once."""
    return {(word + channel) // engine.banks for channel in range(layer.channels)}


@pytest.mark.parametrize(
    "dialect", ["vitis", *(pytest.param(name, marks=pytest.mark.slow) for name in DIALECTS if name != "vitis")]
)
def test_the_function_keeps_the_interval_of_the_plan(dialect: str) -> None:
    programs, directives = some()
    for name, tokens in (("streamed", 144), ("pooled", 72)):
        found = check(written(programs[name], directives[name], dialect), DIALECTS[dialect], unrolled=False)
        paces = [pace for pace in found.paces if pace.process.endswith("engine")]
        (engine,) = engines(partition(programs[name], directives[name]))
        steps = [layer.all_passes * layer.steps + layer.lanes for layer in engine.layers]
        assert [(pace.trips, pace.interval) for pace in paces] == [(trips, 1) for trips in (tokens, *steps)]
        assert not found.left_out


def test_a_slower_loop_is_refused() -> None:
    programs, directives = some()
    project = written(programs["streamed"], directives["streamed"], "vitis")
    source = project.files["firmware/net.cpp"]
    check(project, DIALECTS["vitis"], unrolled=False)
    slow = re.sub(r"(PIPELINE II=)1( style=flp)", r"\g<1>2\2", source)
    with pytest.raises(VerificationError, match="engine"):
        check(replace(project, files={**project.files, "firmware/net.cpp": slow}), DIALECTS["vitis"], unrolled=False)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_is_told_that_places_are_apart(dialect: str) -> None:
    programs, directives = some()
    files = written(programs["dense"], directives["dense"], dialect).files
    said = files["directives.tcl"] if dialect == "catapult" else files["firmware/net.cpp"]
    promise = {
        "vivado": r"for \(int i = 0; i < steps; i\+\+\) \{\n.*PIPELINE.*\n#pragma HLS DEPENDENCE variable=NAME inter false",
        "vitis": r"for \(int i = 0; i < steps; i\+\+\) \{\n.*PIPELINE.*\n#pragma HLS DEPENDENCE variable=NAME inter false",
        "catapult": r"set line_buffers \{.*\bNAME\b",
        "libero": r"#pragma HLS loop dependence variable\(NAME\) .*\n +for \(int i = 0; i < steps",
        "quartus": r"#pragma ivdep array\(NAME\) .*\n +for \(int i = 0; i < steps",
        "oneapi": r"BITSMITH_APART\(NAME, \d+\)\n +for \(int i = 0; i < steps",
    }[dialect]
    assert re.search(promise.replace("NAME", "dense0_to_dense2_engine_memory"), said)


def test_results_leave_after_all_that_comes_before_them() -> None:
    """The plan has room for the pipeline to run empty after what is taken and after each layer."""
    programs, directives = some()
    for name in ("streamed", "dense"):
        network = partition(programs[name], directives[name])
        (process,) = (each for each in network.processes if isinstance(each.kind, Engine))
        assert isinstance(process.kind, Engine)
        stages, layers, tokens = stages_of(process), process.kind.layers, process.takes[0].tokens
        before = tokens + stages + sum(one.all_passes * one.steps + one.lanes + stages for one in layers[:-1])
        for dialect in DIALECTS.values():
            (one,) = cpp_timing(process, stages, dialect.streams.loops).sequencers
            fills = one.fills[0].dense()
            first = int(np.argmax(fills > 0)) + one.latency
            assert first >= before + layers[-1].steps + stages
            assert one.cycles >= before + layers[-1].all_passes * layers[-1].steps + layers[-1].lanes + stages


def test_equal_networks_give_equal_projects() -> None:
    programs, directives = some()
    made = [
        write_project(programs["dense"], directives["dense"], DIALECTS["vitis"], HlsTarget("net", "p")) for _ in "ab"
    ]
    assert made[0].files == made[1].files


@pytest.mark.slow
@pytest.mark.ci
def test_fifos_are_deep_enough(tmp_path: Path) -> None:
    (programs, directives), (more, asked) = cases(0, 3, 4, 5), some()
    demands = directives | asked
    assert_equal_to_emulator(programs | more, bounded(DIALECTS["vitis"]), tmp_path, demands=demands, samples=3)


@pytest.mark.slow
@pytest.mark.ci
@EACH_FAMILY
def test_with_the_open_headers(tmp_path: Path, dialect: Dialect) -> None:
    programs, directives = some()
    include = open_headers(dialect.family)
    assert_equal_to_emulator(programs, dialect, tmp_path, include=include, demands=directives, samples=3)


@pytest.mark.slow
@EACH_DIALECT
def test_many_networks(tmp_path: Path, dialect: Dialect) -> None:
    programs, directives = cases(*range(100, 124))
    assert_equal_to_emulator(programs, dialect, tmp_path, demands=directives, samples=3)
