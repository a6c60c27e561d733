"""Windows as single tokens in C++: the steps of the loop, the memory that they use, and networks of them beside the emulator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bitsmith.dataflow.kinds import FoldedProduct, Interleave, Sink, Source, Sweep
from bitsmith.dataflow.processes import Network, OutputPort, Process
from bitsmith.dataflow.tokens import Stream
from bitsmith.hls.dialects import DIALECTS, Dialect
from bitsmith.hls.sweeps import SETTLED, sweep_lines, sweep_loop
from bitsmith.ir.program import Program
from bitsmith.ir.types import TensorType, objects
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.dataflow.execute import execute
from tests.hls.compiled import assert_equal_to_emulator, open_headers
from tests.hls.structure.check import check
from tests.hls.test_execution import COMPILED_DIALECT, EACH_DIALECT, EACH_FAMILY
from tests.hls.test_streams import bounded
from tests.hls.test_structure import written
from tests.properties.convolutional import demands, random_decoder, random_network
from tests.properties.pairs import attention_at_once, random_pair


def cases(*seeds: int) -> tuple[dict[str, Program], dict[str, Directives]]:
    programs = {f"net{seed}": drop_dead(random_network(seed), keep_probes=False) for seed in seeds}
    return programs, {f"net{seed}": demands(seed, programs[f"net{seed}"]) for seed in seeds}


def decoders(*seeds: int) -> tuple[dict[str, Program], dict[str, Directives]]:
    """Networks of transposed convolutions, whose results are read from memories in another order."""
    programs = {f"net{seed}": drop_dead(random_decoder(seed), keep_probes=False) for seed in seeds}
    return programs, {f"net{seed}": demands(seed, programs[f"net{seed}"]) for seed in seeds}


def processes(*seeds: int) -> list[Process]:
    programs, directives = cases(*seeds)
    return [process for name, program in programs.items() for process in partition(program, directives[name]).processes]


def as_python(lines: Sequence[str]) -> str:
    """Our C++ of counters, with other words."""
    text = "\n".join(line for line in lines if line.strip() != "}")
    for pattern, word in WORDS.items():
        text = re.sub(pattern, word, text)
    return text


WORDS = {
    r"} else {": "else:",
    r"if \((.*)\) {": r"if \1:",
    r"(const )?\b(bool|int) ": "",
    r";": "",
    r"\+\+": " += 1",
    r"&&": "and",
    r"\|\|": "or",
    r"!(\w)": r"not \1",
    r"\(takes \? 1 : 0\)": "int(takes)",
    r"\b(true|false)\b": lambda found: found[0].capitalize(),
}


def given(process: Process) -> list[int]:
    """The numbers of the tokens (-1 in the padding) that the steps of a frame give, out of a memory, twice over.

    None is read earlier than the tool is promised.
    """
    loop = sweep_loop(process)
    take = ["memory[write_at] = (came, i);"]
    give = [
        "assert not real or i - memory[read_at][1] >= distance;",
        "found.append(memory[read_at][0] if real else -1);",
    ]
    declared, step = map(as_python, sweep_lines(loop, process, take, give))
    world = {"memory": {}, "found": [], "distance": loop.distance}
    exec(declared, world)
    code, came = compile(step, "step", "exec"), loop.takes.dense().tolist()
    for _ in range(2):
        for i in range(loop.steps):
            world["i"] = i
            exec(code, world)
            assert i == loop.steps - 1 or world["came"] == came[i]
    return world["found"]


def wanted(process: Process) -> list[int]:
    """The same by the meaning of a network."""
    stream, token = process.takes[0], TensorType.of((1,), 0, 0, process.takes[0].tokens)
    one, many = Stream(stream.grid, token), Stream(process.results[0].grid, token)
    source, sink = Process(Source("x"), (), (), (one,)), Process(Sink("y"), (OutputPort(1),), (many,), ())
    network = Network((source, Process(process.kind, (OutputPort(0),), (one,), (many,)), sink))
    numbers = objects(np.arange(stream.tokens) + 1).reshape(one.shape)
    return [int(number) - 1 for number in execute(network, [numbers])[0].reshape(-1)] * 2


@pytest.mark.parametrize("first", [0, *(pytest.param(first, marks=pytest.mark.slow) for first in range(40, 320, 40))])
def test_each_token_is_in_its_place(first: int) -> None:
    programs, directives = decoders(*range(first, first + 8))
    networks = [partition(program, directives[name]).processes for name, program in programs.items()]
    found = [*processes(*range(first, first + 40)), *(process for network in networks for process in network)]
    sweeps = [process for process in found if isinstance(process.kind, Sweep)]
    loops = [sweep_loop(process) for process in sweeps]
    for process in sweeps:
        assert given(process) == wanted(process)
    assert {loop.distance for loop in loops} == {1, SETTLED}
    assert any(loop.places < loop.tokens for loop in loops)


def test_networks_have_all_forms() -> None:
    kinds = [process.kind for process in processes(91, 27, 162)]
    assert any(isinstance(kind, FoldedProduct) and kind.sets > 1 for kind in kinds)
    assert sum(isinstance(kind, Sweep) for kind in kinds) > 1
    assert any(isinstance(kind, Interleave) for kind in kinds)


@pytest.mark.slow
@pytest.mark.ci
@COMPILED_DIALECT
def test_equal_to_the_emulator(tmp_path: Path, dialect: Dialect) -> None:
    programs, directives = cases(21, 27)
    assert_equal_to_emulator(programs, dialect, tmp_path, demands=directives, samples=3)


@pytest.mark.slow
@pytest.mark.ci
def test_fifos_are_deep_enough(tmp_path: Path) -> None:
    programs, directives = cases(7, 18, 33)
    assert_equal_to_emulator(programs, bounded(DIALECTS["vitis"]), tmp_path, demands=directives, samples=3)


@pytest.mark.slow
@pytest.mark.ci
@EACH_FAMILY
def test_with_the_open_headers(tmp_path: Path, dialect: Dialect) -> None:
    programs, directives = cases(7)
    include = open_headers(dialect.family)
    assert_equal_to_emulator(programs, dialect, tmp_path, include=include, demands=directives, samples=3)


@pytest.mark.parametrize(
    "dialect", ["vitis", *(pytest.param(name, marks=pytest.mark.slow) for name in DIALECTS if name != "vitis")]
)
def test_processes_keep_the_interval_of_the_plan(dialect: str) -> None:
    programs, directives = cases(11)
    found = check(written(programs["net11"], directives["net11"], dialect), DIALECTS[dialect], unrolled=False)
    assert not found.left_out and any(pace.process.endswith("sweep") for pace in found.paces)


@pytest.mark.slow
@EACH_DIALECT
def test_many_networks(tmp_path: Path, dialect: Dialect) -> None:
    programs, directives = cases(*range(100, 112))
    assert_equal_to_emulator(programs, dialect, tmp_path, demands=directives, samples=3)


@pytest.mark.slow
@EACH_DIALECT
def test_transposed_convolutions(tmp_path: Path, dialect: Dialect) -> None:
    programs, directives = decoders(*range(6))
    assert_equal_to_emulator(programs, dialect, tmp_path, demands=directives, samples=3)


@pytest.mark.slow
@EACH_DIALECT
def test_products_of_two_variables(tmp_path: Path, dialect: Dialect) -> None:
    cases = {f"net{seed}": random_pair(seed) for seed in range(12)}
    cases["at_once"] = attention_at_once(2, 4, 3, "values"), Directives({"scores": 4}, True)
    programs, directives = ({name: case[k] for name, case in cases.items()} for k in range(2))
    assert any(isinstance(one.kind, Sweep) for case in cases.values() for one in partition(*case).processes)
    assert_equal_to_emulator(programs, dialect, tmp_path, demands=directives, samples=3)
