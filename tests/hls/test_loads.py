"""Weights from outside in C++: the emulator's results with those that there are at first, and with others."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bitsmith.hls import HlsTarget, write_project
from bitsmith.hls.dialects import DIALECTS, Dialect
from bitsmith.hls.loads import KeptWeights, LoadPort, with_loads
from bitsmith.hls.pipelines import cpp_timing, stages_of
from bitsmith.ir.ops import Parameter
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.passes.program.load import parameters
from tests.hls.compiled import assert_equal_to_emulator, open_headers
from tests.hls.rules.book import book
from tests.hls.structure.check import check
from tests.hls.test_execution import COMPILED_DIALECT, EACH_DIALECT, EACH_FAMILY
from tests.hls.test_streams import bounded
from tests.hls.test_structure import written
from tests.hls.test_vendor_rules import found_marks
from tests.mapping.test_parameters import demands, loadable_program
from tests.properties import judged
from tests.properties.recurrent import demands as recurrent_demands
from tests.properties.recurrent import random_network
from tests.system.test_weights import Net


def cases(loadable: range, layers: range) -> tuple[dict[str, Program], dict[str, Directives]]:
    """Convolutions and dense layers as core ops; as layers convolutions in groups, depthwise and transposed ones; recurrences."""
    programs = {f"net{seed}": loadable_program(seed) for seed in loadable}
    directives = {f"net{seed}": demands(seed) for seed in loadable}
    for seed in layers:
        net = Net(seed)
        model = net.model(net.weights(), Path("unused"))
        programs[f"layers{seed}"], directives[f"layers{seed}"] = model.program, model.directives
        recurrent = programs[f"recurrent{seed}"] = random_network(seed, loaded=True)
        directives[f"recurrent{seed}"] = recurrent_demands(seed, recurrent)
    return programs, directives


@COMPILED_DIALECT
@pytest.mark.slow
@pytest.mark.ci
def test_equal_to_the_emulator(tmp_path: Path, dialect: Dialect) -> None:
    programs, directives = cases(range(2, 3), range(10, 11))
    assert_equal_to_emulator(programs, dialect, tmp_path, demands=directives, samples=4)


@pytest.mark.slow
@EACH_DIALECT
@pytest.mark.parametrize("share", range(4))
def test_random_networks(tmp_path: Path, dialect: Dialect, share: int) -> None:
    programs, directives = cases(range(100 + share, 124, 4), range(100 + share, 124, 4))
    assert_equal_to_emulator(programs, dialect, tmp_path, demands=directives, samples=4)


@pytest.mark.slow
def test_fifos_are_deep_enough(tmp_path: Path) -> None:
    programs, directives = cases(range(20, 24), range(20, 24))
    assert_equal_to_emulator(programs, bounded(DIALECTS["vitis"]), tmp_path, demands=directives, samples=3)


@pytest.mark.slow
@pytest.mark.ci
@EACH_FAMILY
def test_with_the_open_headers(tmp_path: Path, dialect: Dialect) -> None:
    programs, directives = cases(range(30, 32), range(30, 32))
    include = open_headers(dialect.family)
    assert_equal_to_emulator(programs, dialect, tmp_path, include=include, demands=directives, samples=3)


@pytest.mark.parametrize(
    "dialect", [judged("vitis"), *(pytest.param(name, marks=pytest.mark.slow) for name in DIALECTS if name != "vitis")]
)
def test_functions_keep_the_interval_of_the_plan(dialect: str) -> None:
    programs, directives = cases(range(10, 13), range(14, 16))
    for name, program in programs.items():
        made = written(drop_dead(program, keep_probes=False), directives[name], dialect)
        found = check(made, DIALECTS[dialect], unrolled=False)
        assert found.paces and not found.left_out


def test_a_frame_begins_with_a_token_of_each_port() -> None:
    """It takes a step in which nothing leaves."""
    program = loadable_program(6)
    network = with_loads(partition(program, replace(demands(6), tables=False)))
    kept = [process for process in network.processes if isinstance(process, KeptWeights)]
    ports = [process for process in network.processes if isinstance(process, LoadPort)]
    assert len(kept) == len(ports) > 0
    for process in kept:
        (one,) = cpp_timing(process, stages_of(process), DIALECTS["vitis"].streams.loops).sequencers
        assert (one.takes[0].dense()[0], one.fills[0].dense()[0]) == (1, 0)
        assert one.takes[0][-1] == 1 and one.fills[0][-1] == process.results[0].tokens


def test_ports_of_weights() -> None:
    """Those that come with each sample are streams, too; those that are kept have a token more."""
    for parallel in (False, True):
        program = loadable_program(6)
        made = write_project(
            program, replace(demands(6), parallel=parallel), DIALECTS["vitis"], HlsTarget("net", "part")
        )
        weights = {port.name: port for port in made.inputs[1:]}
        assert all(port.stream for port in (*made.inputs, *made.outputs))
        for (layer, name), node in parameters(program).items():
            assert isinstance(node.op, Parameter)
            port = weights[f"{layer}_{name}" if node.op.external else f"{layer}_{name}_load"]
            assert port.kept != node.op.external
            assert port.loaded is not None and port.stream is not None
            tiles = port.loaded.steps * port.loaded.groups
            assert port.stream.tokens == tiles + (0 if node.op.external else 1)


@pytest.mark.slow
@pytest.mark.ci
def test_weights_beside_vector_ports(tmp_path: Path) -> None:
    """Tensors are ports with a signal that they are valid; weights are streams, as they come in tiles."""
    spelled = DIALECTS["vitis"]
    vectors = replace(spelled, arrays=replace(spelled.arrays, parameter=spelled.arrays.vector))
    programs, demanded = cases(range(5, 6), range(13, 14))
    directives = {name: replace(each, parallel=True) for name, each in demanded.items()}
    for name, program in programs.items():
        made = write_project(
            drop_dead(program, keep_probes=False), directives[name], vectors, HlsTarget("net", spelled.part)
        )
        tensors = [port for port in (*made.inputs, *made.outputs) if port.loaded is None]
        weights = [port for port in made.inputs if port.loaded is not None]
        assert weights and all(port.stream for port in weights) and not any(port.stream for port in tensors)
        source = made.files["firmware/net.cpp"]
        for protocol, ports in (("ap_vld", tensors), ("axis", weights)):
            assert re.findall(rf"HLS INTERFACE {protocol} port=(.*)", source) == [port.name for port in ports]
        assert not list(filter(None, map(book("vitis").refusal, found_marks(made, "vitis"))))
        check(made, DIALECTS["vitis"], unrolled=False)
    assert_equal_to_emulator(programs, vectors, tmp_path, demands=directives, samples=3)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("dialect", DIALECTS)
def test_all_that_is_written_is_in_the_rule_book(dialect: str) -> None:
    programs, directives = cases(range(10, 12), range(14, 15))
    made = [written(drop_dead(one, keep_probes=False), directives[name], dialect) for name, one in programs.items()]
    assert not list(filter(None, (book(dialect).refusal(mark) for one in made for mark in found_marks(one, dialect))))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_kept_outlives_frames(dialect: str) -> None:
    """Kernels of SYCL have no static variables, but loops over frames, before which these stand."""
    files = written(loadable_program(6), demands(6), dialect).files
    kept = sum(port.kept for port in written(loadable_program(6), demands(6), dialect).inputs)
    found = re.findall(r"BITSMITH_KEPT bool holds = false;\n(.*)", files["firmware/net.cpp"])
    assert len(found) == kept > 0
    assert "#define BITSMITH_KEPT static\n" in files["firmware/bitsmith/kernels.h"]
    assert [line.strip() == "BITSMITH_FRAMES {" for line in found] == [dialect == "oneapi"] * kept
