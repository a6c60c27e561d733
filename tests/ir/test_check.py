"""What the checker refuses, and how it says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bitsmith.errors import ProgramError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.check import check
from bitsmith.ir.ops import Concat
from bitsmith.ir.program import Node, Output, Program
from bitsmith.ir.text import parse
from bitsmith.ir.types import FixedFormat, TensorType
from tests.properties.programs import random_program

PROGRAM = parse("""
%0 = input name=a shape=(3) frac=0 lo=-8 hi=7 rounding=TRN overflow=SAT
%1 = input name=b shape=(3) frac=2 lo=-8 hi=7 rounding=TRN overflow=SAT
%2 = add %0 %1 @sum
%3 = neg %2
output y %3
""")

PARAMETERS = parse("""
%0: 2 s4 frac 1 = parameter name=weight raw=2[3 -8] frac=1 lo=-8 hi=7 external=0 @dense
%1: 2 s4 frac 1 = parameter name=bias raw=2[3 -8] frac=1 lo=-8 hi=7 external=1 @dense
%2 = add %0 %1
output y %2
""")


def with_node(index: int, node: Node) -> Program:
    nodes = list(PROGRAM.nodes)
    nodes[index] = node
    return Program(tuple(nodes), PROGRAM.outputs)


def test_sound_programs_pass() -> None:
    check(PROGRAM)
    for seed in range(40):
        check(random_program(seed))


def test_numbers_of_operands() -> None:
    """Of any operation with one fewer and one more; a list that is joined has one or more."""
    seen = dict[type, tuple[Program, int]]()
    for program in map(random_program, range(12)):
        for index, node in enumerate(program.nodes):
            if index < 12:  # all before are checked each time
                seen.setdefault(type(node.op), (program, index))
    for kind, (program, index) in seen.items():
        node = program.nodes[index]
        assert len(node.args) in node.op.arity
        for args in (node.args[1:], (*node.args, 0)):
            if index and len(args) not in node.op.arity:
                nodes = (*program.nodes[:index], replace(node, args=args))
                with pytest.raises(ProgramError, match=f"{len(args)} operands of {kind.__name__}, which"):
                    check(Program(nodes, (Output("y", index),)))
    assert len(seen) > 10
    build = ProgramBuilder()
    x = build.input("x", (2, 3), FixedFormat(True, 8, 4))
    for count in (1, 2, 3):
        check(build.program([("y", build.apply(Concat(0), *[x] * count))]))


def test_message_shows_the_neighbourhood() -> None:
    node = PROGRAM.nodes[2]
    narrow = TensorType.of((3,), 2, -1, 1)
    with pytest.raises(ProgramError, match="does not hold all results") as caught:
        check(with_node(2, replace(node, type=narrow)))
    message = str(caught.value)
    assert message.startswith("node %2: ")
    assert "> %2: 3 s2 frac 2 = add %0 %1 @sum" in message
    assert "  %1: 3 s4 frac 2 = input" in message and "  %3: 3 s7 frac 2 = neg %2" in message


@pytest.mark.parametrize(
    ("program", "found"),
    [
        (Program((*PARAMETERS.nodes, PARAMETERS.nodes[0]), PARAMETERS.outputs), "two parameters called 'dense.weight'"),
        (with_node(2, replace(PROGRAM.nodes[2], args=(0, 2))), "not an earlier node"),
        (with_node(2, replace(PROGRAM.nodes[2], args=(0, -1))), "not an earlier node"),
        (with_node(2, replace(PROGRAM.nodes[2], args=(0,))), "1 operands of Add, which takes 2"),
        (with_node(2, replace(PROGRAM.nodes[2], type=TensorType.of((3,), 3, -99, 99))), "does not hold"),
        (with_node(2, replace(PROGRAM.nodes[2], type=TensorType.of((1,), 2, -99, 99))), "does not hold"),
        (Program((PROGRAM.nodes[0],) * 2, (Output("y", 1),)), "two inputs called 'a'"),
        (Program(PROGRAM.nodes, ()), "without outputs"),
        (Program(PROGRAM.nodes, (Output("y", 4),)), "which does not exist"),
        (Program(PROGRAM.nodes, (Output("y", 3), Output("y", 2))), "two outputs called 'y'"),
        (Program(PROGRAM.nodes, PROGRAM.outputs, (Output("p", 9),)), "probe 'p'"),
        (Program(PROGRAM.nodes, PROGRAM.outputs, (Output("p", 2), Output("p", 3))), "two probes called 'p'"),
    ],
)
def test_refusals(program: Program, found: str) -> None:
    with pytest.raises(ProgramError) as caught:
        check(program)
    assert found in str(caught.value)
