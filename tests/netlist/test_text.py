"""Netlists as text: what is printed, and what is refused."""

from __future__ import annotations

import pytest

from bitsmith.errors import ProgramError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.pipeline import pipeline
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.text import stages_to_text, to_text
from tests.netlist.check import check
from tests.netlist.checks import SteadyDelays, compiled
from tests.netlist.reading import parse
from tests.properties import few
from tests.properties.programs import random_program

SMALL = """\
input x[0]: -8..7 frac 2
input x[1]: -8..7 frac 2
table 4[0 5*2 -7]
origin "" x
%0: -8..7 = port 0 [0]
%1: -8..7 = port 1 [1]
origin dense_1 linear
%2: -24..21 = add %0 %1<<1
%3: 0..1 = view %2 >> 5 @0
%4: 0..3 = view %2 [0]
origin "odd \\"name" table
%5: -7..5 = rom %4 0 0
%6: 0..1 = lt %5 %4<<2
%7: -14..7 = mux %6 %5<<1 %0
%8: -112..112 = mul %0 %7
%9: -3..-3 = literal -3
output y[0]: -24..21 frac 3 = %2
output y[1]: -448..448 frac 2 = %8<<2
output y[2]: -3..-3 frac 0 = %9
output y[3]: 0..1 frac 0 = %3
"""


def test_reads_as_it_prints() -> None:
    assert to_text(parse(SMALL)) == SMALL


@compiled
def test_a_layer_reads_well() -> None:
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 4, 0))
    with build.layer("dense"):
        y = build.linear(x, [[3], [-1]])
    netlist = reduce_widths(elaborate(build.program([("y", y)])))
    assert (
        to_text(netlist)
        == """\
input x[0]: -8..7 frac 0
input x[1]: -8..7 frac 0
origin "" x
%0: -8..7 = port 0 [0]
%1: -8..7 = port 1 [1]
origin dense linear
%2: -15..15 = sub %0 %1
%3: -31..29 = add %0<<1 %2 [0]
output y[0]: -31..29 frac 0 = %3
"""
    )
    stages = pipeline(netlist, SteadyDelays(), 1.3)
    assert stages_to_text(stages) == "registers: 15 bits\nstage 0: %0 %1 %2\nstage 1: %3\n"


@few("seed", range(25), fast=10)
def test_random_netlists(seed: int) -> None:
    netlist = elaborate(random_program(seed, hardware=True))
    for each in (netlist, reduce_widths(netlist)):
        check(each)
        assert parse(to_text(each)) == each


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("%2: -24..21 = add", "%3: -24..21 = add", "line 8: word %3 where %2 comes next"),
        ("add %0 %1<<1", "add %0 %7<<1", "word %2: operand %7, which is not an earlier word"),
        ("add %0 %1<<1", "plus %0 %1<<1", "a cell 'plus' of 2 operands"),
        ("mul %0 %7", "mul %0 %7<<1", "'%7<<1', where a word without a shift is needed"),
        ("%9: -3..-3 = literal -3", "%9: 6..6 = literal 6", "neither odd nor 0"),
        ("%4: 0..3", "%4: 0..4", "addresses 0..4 of a table of 0..3"),
        ("%6: 0..1", "%6: 0..2", "condition %6, which is not a bit"),
        ("= port 1", "= port 2", "input element 2 of 2"),
        ("= %9", "= %10", "output y[2]: no word %10"),
        ("-448..448 frac 2 = %8<<2", "-448..448 frac 2", "which cannot be read"),
        ("@0", "@9", "origin 9 of 3"),
    ],
)
def test_refusals(old: str, new: str, found: str) -> None:
    assert SMALL.count(old) == 1
    with pytest.raises(ProgramError) as caught:
        parse(SMALL.replace(old, new))
    assert found in str(caught.value)


def test_words_that_take_longer_than_a_stage_are_named() -> None:
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 60, 0))
    netlist = reduce_widths(elaborate(build.program([("y", build.sum(x, [0]))])))
    slow, quick = (pipeline(netlist, SteadyDelays(), budget) for budget in (2.0, 3.0))
    assert f"over budget: %{slow.over_budget[0]}" in stages_to_text(slow).splitlines()
    assert "over budget" not in stages_to_text(quick)
