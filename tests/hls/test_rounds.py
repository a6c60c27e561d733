"""Recurrences whose states go round, as one function in C++, beside the emulator and their plan."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bitsmith.dataflow.kinds import Feedback, FoldedProduct, Map, Reorder, Rom, Sink, WidthConverter
from bitsmith.dataflow.processes import Network, OutputPort, Process
from bitsmith.dataflow.tokens import Stream
from bitsmith.hls.dialects import DIALECTS, Dialect
from bitsmith.hls.pipelines import scheduled, stages_of
from bitsmith.hls.recurrence.parts import Fed, Recurrence, Slices
from bitsmith.hls.recurrence.rounds import circles, in_rounds
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, TensorType
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.hls.compiled import assert_equal_to_emulator, open_headers
from tests.hls.named_networks import named_networks
from tests.hls.structure.check import check
from tests.hls.test_execution import COMPILED_DIALECT, EACH_DIALECT, EACH_FAMILY
from tests.hls.test_streams import bounded
from tests.hls.test_structure import written
from tests.properties import judged
from tests.properties.recurrent import demands, random_network

FEW = (0, 18, 43)


def cases(*seeds: int) -> tuple[dict[str, Program], dict[str, Directives]]:
    """Random networks, and what is asked of them."""
    programs = {f"net{seed}": drop_dead(random_network(seed), keep_probes=False) for seed in seeds}
    return programs, {f"net{seed}": demands(seed, programs[f"net{seed}"]) for seed in seeds}


def recurrences(*seeds: int) -> list[Recurrence]:
    """Those whose states go round."""
    programs, directives = cases(*seeds)
    found = list[Recurrence]()
    for name, program in programs.items():
        network = in_rounds(partition(program, directives[name]))
        assert network is not None
        found += [process for process in network.processes if isinstance(process, Recurrence)]
    return found


def lstm() -> tuple[Network, Recurrence]:
    """The network of a user's layer, and its recurrence."""
    network = in_rounds(partition(*named_networks()["lstm_io_stream"]))
    assert network is not None
    (found,) = (process for process in network.processes if isinstance(process, Recurrence))
    return network, found


@COMPILED_DIALECT
@pytest.mark.slow
@pytest.mark.ci
def test_equal_to_the_emulator(tmp_path: Path, dialect: Dialect) -> None:
    programs, directives = cases(*FEW)
    assert_equal_to_emulator(programs, dialect, tmp_path, demands=directives, samples=3)


def test_networks_have_all_forms() -> None:
    found = recurrences(*FEW)
    assert {each.states for each in found} == {1, 2}
    assert any(memory.row > memory.token.size for each in found for memory in each.memories)
    assert any(sum(isinstance(loop[0].process.kind, FoldedProduct) for loop in each.loops) > 1 for each in found)
    parts = [part for each in found for loop in each.loops for part in loop[1:]]
    assert any(isinstance(operand, Fed) and operand.part > 0 for part in parts for operand in part.operands)


def test_a_circle_becomes_one_process() -> None:
    """Nothing but products and functions is left of a step: what only moves tokens takes no time, next states neither."""
    before = partition(*named_networks()["lstm_io_stream"])
    (circle,) = circles(before)
    network, found = lstm()
    assert len(network.processes) == len(before.processes) - len(circle) + 1
    assert [loop[0].process.takes[0].tokens for loop in found.loops] == [16, 4, 2, 2, 3]
    names = [[type(part.process.kind).__name__ for part in loop] for loop in found.loops]
    assert names[0] == ["FoldedProduct", "Map"] and names[2] == ["Map", "Map"]
    assert names[4:] == [["Map", "WidthConverter"]]  # the one state is not needed any more, the other has two halves


def halves(each: Recurrence) -> tuple[list[set[tuple[int, bool]]], list[set[tuple[int, bool]]]]:
    """What the loops read and write: a memory or that half of it which has what the step before made, or this step makes."""
    reads = [[slices for part in loop for slices in part.operands if isinstance(slices, Slices)] for loop in each.loops]
    writes = [[slices for part in loop for slices in part.targets if slices is not None] for loop in each.loops]
    made, read = ([{(one.memory, one.made) for one in loop} for loop in loops] for loops in (writes, reads))
    return read, made


def test_no_loop_reads_what_it_writes() -> None:
    """So steps of a loop need not wait for one another, and no state is written before all of the step has read it."""
    for each in recurrences(*FEW, 12, 19):
        reads, writes = halves(each)
        assert not any(read & written for read, written in zip(reads, writes, strict=True))
        for state in range(each.states):
            turns = each.memories[state].turns
            (end,) = (number for number, written in enumerate(writes) if (state, turns) in written)
            later, earlier = reads[end + 1 :], reads[: end + 1]
            assert not any((state, turns) in read for read in (earlier if turns else [*later, reads[end]]))


@pytest.mark.slow
@pytest.mark.ci
def test_next_states_are_written_into_the_other_half() -> None:
    """No loop passes them on, but where a memory would need more ports than two."""
    found = [each for seed in range(20) for each in recurrences(seed)]
    assert sum(memory.turns for each in found for memory in each.memories) > len(found) // 2
    for each in found:
        reads, writes = halves(each)
        for number, memory in enumerate(each.memories):
            touched = {(number, False), (number, True)} & set[tuple[int, bool]]().union(*reads, *writes)
            assert touched == ({(number, False), (number, True)} if memory.turns else touched - {(number, True)})
            assert not memory.turns or (number < each.states and not any((number, False) in one for one in writes))
            slices = [
                [
                    one
                    for part in loop
                    for one in (*part.operands, *part.targets)
                    if isinstance(one, Slices) and one.memory == number
                ]
                for loop in each.loops
            ]
            assert not memory.turns or max(map(len, slices)) <= 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_is_told_that_halves_are_apart(dialect: str) -> None:
    _, found = lstm()
    (rows,) = (memory.elements // memory.row for memory in found.memories if memory.turns)
    files = written(*named_networks()["lstm_io_stream"], dialect).files
    (name,) = set(re.findall(r"(\w+)\[half\d \+", files["firmware/net.cpp"]))
    promise = DIALECTS[dialect].streams.apart.format(name=name, steps=rows)
    if promise:
        assert files["firmware/net.cpp"].count(promise) == 1
    else:
        assert re.search(rf"set line_buffers \{{.*\b{name}\b", files["directives.tcl"])


def test_parts_wait_for_one_another() -> None:
    """A part begins when the pipeline of the one before it is empty."""
    network, found = lstm()
    steps = [loop[0].process.takes[0].tokens + sum(stages_of(part.process) for part in loop) for loop in found.loops]
    begun = sum(stream.tokens + stages_of(found.initial(0).process) for stream in found.takes[: found.states])
    plan = scheduled(network, DIALECTS["vitis"].streams.loops)
    assert plan.interval == begun + found.rounds * sum(steps)


@pytest.mark.parametrize(
    "dialect", [judged("vitis"), *(pytest.param(name, marks=pytest.mark.slow) for name in DIALECTS if name != "vitis")]
)
def test_processes_keep_the_interval_of_the_plan(dialect: str) -> None:
    programs, directives = cases(18)
    found = check(written(programs["net18"], directives["net18"], dialect), DIALECTS[dialect], unrolled=False)
    assert not found.left_out and any(pace.process.endswith("recurrence") for pace in found.paces)


def test_loops_within_others_do_not_rewind() -> None:
    project = written(*named_networks()["lstm_io_stream"], "vitis")
    text = project.files["firmware/net.cpp"]
    begun = text.index("void lstm_recurrence(")
    function = text[begun : text.index("\n}\n", begun)]
    assert "PIPELINE" in function and "rewind" not in function


def test_steps_that_differ_stay_apart() -> None:
    """Tokens that change places from step to step are not those of a loop over steps."""
    build = ProgramBuilder()
    token = TensorType.of((1,), 0, -8, 7)
    one, all_steps = Stream((1,), token), Stream((2,), token)
    same = build.program([("y", build.neg(build.neg(build.input("x", (1,), FixedFormat(True, 4, 4)))))])
    for source in ([0, 1], [1, 0]):
        network = Network(
            (
                Process(Rom(np.zeros((1, 1), dtype=np.object_)), (), (), (one,)),
                Process(Feedback(2, kept=False), (OutputPort(0), OutputPort(3)), (one, all_steps), (all_steps,)),
                Process(Map(same), (OutputPort(1),), (all_steps,), (all_steps,)),
                Process(Reorder(np.array(source)), (OutputPort(2),), (all_steps,), (all_steps,)),
                Process(Sink("y"), (OutputPort(2),), (all_steps,), ()),
            )
        )
        assert (in_rounds(network) is None) == (source == [1, 0])


def read_of_state(each: Recurrence, operand: Slices, size: int) -> list[int]:
    """The numbers of the first state that an operand's tokens of ``size`` have, those brought together before included."""
    parts = [part for loop in each.loops for part in loop]
    numbers = (operand.places[:, None] * size + np.arange(size)).ravel()
    if operand.memory < each.states:
        return list(map(int, numbers))
    source = dict[int, int]()
    for part in parts:
        (target,), (taken,) = part.targets, part.operands
        if target is not None and target.memory == operand.memory:
            assert isinstance(taken, Slices) and taken.memory < each.states
            source |= dict(zip(map(int, target.places), map(int, taken.places), strict=True))
    return [source[int(number)] for number in numbers]


ORDERS = (
    [*range(8)],
    [4, 5, 6, 7, 0, 1, 2, 3],
    [0, 2, 1, 3, 4, 6, 5, 7],
    [2, 3, 4, 5, 1, 2, 3, 4],
    [0, 2, 4, 6, 1, 3, 5, 7],
)


@pytest.mark.parametrize("order", ORDERS)
def test_parts_of_states_are_those_that_a_step_moves(order: list[int]) -> None:
    """Also where a token has numbers of the state that are not beside each other, or begins within a token of these."""
    build = ProgramBuilder()
    tokens, numbers = (Stream((count,), TensorType.of((size,), 0, -8, 7)) for count, size in ((4, 4), (16, 1)))
    initial = Stream((2,), tokens.token)
    same = build.program([("y", build.neg(build.neg(build.input("x", (4,), FixedFormat(True, 4, 4)))))])
    moved = np.concatenate([order, np.array(order) + len(order)])
    network = Network(
        (
            Process(Rom(np.zeros((2, 4), dtype=np.object_)), (), (), (initial,)),
            Process(Feedback(2, kept=False), (OutputPort(0), OutputPort(5)), (initial, tokens), (tokens,)),
            Process(WidthConverter(), (OutputPort(1),), (tokens,), (numbers,)),
            Process(Reorder(moved), (OutputPort(2),), (numbers,), (numbers,)),
            Process(WidthConverter(), (OutputPort(3),), (numbers,), (tokens,)),
            Process(Map(same), (OutputPort(4),), (tokens,), (tokens,)),
            Process(Sink("y"), (OutputPort(5),), (tokens,), ()),
        )
    )
    made = in_rounds(network)
    assert made is not None
    (found,) = (process for process in made.processes if isinstance(process, Recurrence))
    (part,) = (part for loop in found.loops for part in loop if isinstance(part.process.kind, Map))
    (operand,) = part.operands
    assert isinstance(operand, Slices)
    assert read_of_state(found, operand, 4) == order


@pytest.mark.slow
def test_fifos_are_deep_enough(tmp_path: Path) -> None:
    programs, directives = cases(3, 17, 21, 27)
    assert_equal_to_emulator(programs, bounded(DIALECTS["vitis"]), tmp_path, demands=directives, samples=3)


@pytest.mark.slow
@pytest.mark.ci
@EACH_FAMILY
def test_with_the_open_headers(tmp_path: Path, dialect: Dialect) -> None:
    programs, directives = cases(16)
    include = open_headers(dialect.family)
    assert_equal_to_emulator(programs, dialect, tmp_path, include=include, demands=directives, samples=3)


@pytest.mark.slow
@EACH_DIALECT
def test_many_networks(tmp_path: Path, dialect: Dialect) -> None:
    programs, directives = cases(*range(100, 124))
    assert_equal_to_emulator(programs, dialect, tmp_path, demands=directives, samples=3)
