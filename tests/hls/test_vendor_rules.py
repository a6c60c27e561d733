"""All that generators write for a vendor's tool is in that tool's rule book, where it may stand, with values that it accepts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache

import pytest

from bitsmith import hls
from bitsmith.hls import HlsProject, HlsTarget, write_project
from bitsmith.hls.dialects import DIALECTS
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.passes.program import drop_dead
from tests.hls.compiled import ALL_AT_ONCE
from tests.hls.named_networks import named_networks
from tests.hls.rules.book import book
from tests.hls.rules.marks import Mark, marks
from tests.hls.rules.tcl import Command, tool_commands
from tests.hls.structure.check import check
from tests.hls.test_execution import networks, programs
from tests.hls.test_rounds import FEW as ROUNDS
from tests.hls.test_states import lasting_cases
from tests.hls.test_streams import cnns, random_demands
from tests.hls.test_writer import dense
from tests.properties import few, judged

RULED = tuple(DIALECTS)
FEW, MANY = (36,), (43, 79, 98, 243)

SHOWN = 30


def once(function: Callable[..., object]) -> Callable[..., object]:
    """``function``, which answers the same values, the very same, from memory."""
    known = dict[tuple[int, ...], tuple[object, object]]()

    def found(*given: object) -> object:
        key = tuple(map(id, given))
        if key not in known:
            known[key] = (given, function(*given))
        return known[key][1]

    return found


PARTITION, SCHEDULED = once(hls.partition), once(hls.scheduled)

NOT_YET: dict[str, str] = {}
"""What is written against the rules today."""


@cache
def cases(many: bool) -> list[tuple[Program, Directives]]:
    """Programs that have all that a dialect ever writes; ``many``: random networks of all layers too."""
    known, demands = cnns()
    if not many:
        del known["streamed"]
    others = {**programs(MANY), **networks(range(6))} if many else programs(FEW)
    demands |= random_demands(others)
    needed = {name: drop_dead(program, keep_probes=False) for name, program in {**known, **others}.items()}
    at_once = [dense(), *(needed.values() if many else ())]
    named = named_networks()
    users = list(named.values()) if many else [named["lstm_io_stream"], named["attention_io_parallel"]]
    return [(program, ALL_AT_ONCE) for program in at_once] + [(needed[name], demands[name]) for name in needed] + users


@pytest.fixture(autouse=True)
def scheduled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes and schedule of a program, which all dialects share, are found once."""
    monkeypatch.setattr(hls, "partition", PARTITION)
    monkeypatch.setattr(hls, "scheduled", SCHEDULED)


def projects(dialect: str, many: bool) -> Iterator[HlsProject]:
    """Projects for a dialect."""
    for program, directives in cases(many):
        yield write_project(program, directives, DIALECTS[dialect], HlsTarget("net", DIALECTS[dialect].part))


def main_file(files: Mapping[str, str]) -> str:
    """The file that includes all others that the tool compiles, but for the test bench."""
    return next((name for name in files if name.endswith(("_component.cpp", "_kernel.hpp"))), "firmware/net.cpp")


def found_marks(project: HlsProject, dialect: str) -> list[Mark]:
    return marks(project.files, main_file(project.files), dialect, project.top)


def commands(project: HlsProject) -> Iterator[tuple[str, Command]]:
    for name, text in project.files.items():
        if name.endswith((".tcl", ".xdc")):
            yield from ((f"{name}:{command.line}", command) for command in tool_commands(text))


@pytest.mark.parametrize("dialect", ["vitis", judged("vivado"), judged("catapult")])
def test_resets_reach_what_says_whether_states_have_begun(dialect: str) -> None:
    states, demands = lasting_cases(*ROUNDS)
    statics = r"BITSMITH_KEPT (?:bool|int) (\w+) = \w+;\n(.*)"
    found = list[tuple[str, str]]()
    for name, program in states.items():
        project = write_project(program, demands[name], DIALECTS[dialect], HlsTarget("net", DIALECTS[dialect].part))
        assert not list(filter(None, map(book(dialect).refusal, found_marks(project, dialect))))
        found += re.findall(statics, "\n".join(project.files.values()))
    assert "begun" in {variable for variable, _ in found}
    for variable, line in found:
        assert (line.strip() == f"#pragma HLS RESET variable={variable}") is (dialect != "catapult")


@pytest.mark.parametrize("many", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["few", "many"])
@few("dialect", RULED, fast=2, judged=True)
def test_all_that_is_written_is_in_the_rule_book(dialect: str, many: bool) -> None:
    rules, problems = book(dialect), list[str]()
    for project in projects(dialect, many):
        problems += filter(None, map(rules.refusal, found_marks(project, dialect)))
        problems += filter(None, (rules.command_refusal(command.words, at) for at, command in commands(project)))
    wrong = [problem for problem in dict.fromkeys(problems) if NOT_YET.get(dialect, "\n") not in problem]
    assert not wrong, "\n".join(wrong[:SHOWN])


@pytest.mark.parametrize("dialect", ["vivado", "vitis"])
def test_vector_ports_are_in_the_rule_book(dialect: str) -> None:
    spelled = DIALECTS[dialect]
    vectors = replace(spelled, arrays=replace(spelled.arrays, parameter=spelled.arrays.vector))
    for program, directives in ((dense(), ALL_AT_ONCE), named_networks()["attention_io_parallel"]):
        project = write_project(program, directives, vectors, HlsTarget("net", spelled.part))
        assert project.files["firmware/net.cpp"].count("HLS INTERFACE ap_vld") == len(project.inputs + project.outputs)
        assert not list(filter(None, map(book(dialect).refusal, found_marks(project, dialect))))
        check(project, DIALECTS[dialect], unrolled=directives.unrolled(program))


CODE = """\
#include <ap_fixed.h>
#include <hls_stream.h>
const int table[4] = {1, 2, 3, 4};
void inner(const int x[4], int y[4]) {
    #pragma HLS INLINE
    for (int i = 0; i < 4; i++) {
        _Pragma("HLS UNROLL")
        y[i] = x[i] + table[i];
    }
}
void net(const int x[4], int y[4]) {
    #pragma HLS INTERFACE axis port=x
    #pragma HLS PIPELINE II=1
    int kept[4];
    #pragma HLS ARRAY_PARTITION variable=kept complete
    inner(x, kept);
    inner(kept, y);
}
"""


def refusals(code: str, dialect: str = "vitis") -> list[str]:
    found = marks({"firmware/net.cpp": code}, "firmware/net.cpp", dialect, "net")
    return [problem for problem in map(book(dialect).refusal, found) if problem]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("HLS INLINE", "HLS INLINED", "not in the table"),
        ("HLS UNROLL", "HLS UNROLL fully", "plain words"),
        ("HLS UNROLL", "HLS UNROLL factor=0", "not count"),
        ("HLS UNROLL", "HLS INTERFACE axis port=x", "stands in loop"),
        ("HLS INLINE", "HLS UNROLL", "may stand in loop"),
        ("HLS INLINE", "HLS INTERFACE axis port=x", "may stand in top function"),
        ("port=x", "port=kept", "is not port"),
        ("II=1", "II=1 rewind", "rewind stands in"),
        ("II=1", "II=1 enable_flush", "plain words"),
        ("HLS PIPELINE II=1", "HLS DATAFLOW\n#pragma HLS PIPELINE II=1", "excludes"),
        ("variable=kept complete", "variable=later complete", "is not array"),
        ("variable=kept complete", "variable=kept complete factor=2", "both complete and factor"),
        ("variable=kept complete", "variable=kept completely", "is not one of complete"),
        ("variable=kept complete", "variable=kept type=complete", "2021.1 or later"),
        ("variable=kept complete", "complete", "lacks variable"),
    ],
)
def test_what_is_not_in_the_rule_book_is_refused(right: str, wrong: str, said: str) -> None:
    assert not refusals(CODE)
    (problem, *_) = refusals(CODE.replace(right, wrong, 1))
    assert said in problem and "firmware/net.cpp:" in problem


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("open_project -fresh net", "accepts -reset"),
        ("open_solution", "takes 1 to 1"),
        ("if {$a} {\n  csynth\n}", "build.tcl:2: 'csynth': is not a command"),
        ("catch {config_array_partition -maximum_size 4096}", "accepts -complete_threshold"),
        ("set x [get_port clk]", "is not a command"),
        ("cosim_design -trace_level some", "is not one of none"),
        ("create_clock -period short -name default", "is not number"),
    ],
)
def test_commands_that_are_not_in_the_rule_book_are_refused(script: str, said: str) -> None:
    rules = book("vitis")
    problems = [rules.command_refusal(found.words, f"build.tcl:{found.line}") for found in tool_commands(script)]
    assert said in "".join(filter(None, problems))
