"""Networks of processes as text: what is printed, and what is refused."""

from __future__ import annotations

import pytest

from bitsmith.dataflow.text import to_text
from bitsmith.errors import ProgramError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition
from tests.dataflow.execute import execute
from tests.dataflow.reading import parse
from tests.properties.programs import random_program, random_stimuli

SMALL = """\
%0 = source name=x gives (6) (2) 0 -8 7
%1 = window %0 op="window size=(2) stride=(1) dilation=(1) padding=(0,0)" gives (5) (2,2) 0 -8 7 @conv
%2 = width_converter %1 times=2 gives (20) (2) 0 -8 7
%3 = folded_product %2 takes (20) (1,2) 0 -8 7 weights=2x2x2x1[1 2*3 -1 0*3] frac=1 sets=1 gives (10) (1,1) 1 -56 49 @"a layer" @b
%4 = reorder %3 source=3[0 -1 9] gives (3) (1) 1 -56 49
%5 = rom raw=3x1[1 2 3] gives (3) (1) 1 1 3
%6 = interleave %4 %5 source=6[0 1 0 1 0 1] gives (6) (1) 1 -56 49
%7 = reduce %6 op="amax axes=(0)" count=3 gives (2) (1) 1 -56 49
%8 = map %7 gives (2) (1) 1 -112 98 gives (2) (1) 1 -56 49 @double {
  %0: 1 s7 frac 1 = input name=x0 shape=(1) frac=1 lo=-56 hi=49 rounding=TRN overflow=WRAP
  %1: 1 s8 frac 1 = add %0 %0
  output y0 %1
  output y1 %0
}
%9 = sink %8.1 name=y
%10 = source name="w 0" loaded="[\\"dense\\", \\"kernel\\", [4, 3], 2, 1, -8, 7, 4, [[0]], 1]" gives (2) (2,3) 4 -8 7
"""


def test_reads_as_it_prints() -> None:
    assert to_text(parse(SMALL)) == SMALL


def test_a_layer_reads_well() -> None:
    builder = ProgramBuilder()
    x = builder.input("x", (2,), FixedFormat(True, 4, 0))
    with builder.layer("dense"):
        y = builder.linear(x, [[3], [-1]])
    assert (
        to_text(
            partition(builder.program([("y", y)]), Directives({"dense": 2}, True, {"dense": MultiplierStyle.SHARED}))
        )
        == """\
%0 = source name=x gives () (2) 0 -8 7
%1 = width_converter %0 takes (1) (1,2,1) 0 -8 7 times=1 gives (1,2) (1,1) 0 -8 7 @dense
%2 = folded_product %1 weights=1x2x1x1[3 -1] frac=0 sets=1 gives (1,1) (1,1) 0 -31 29 @dense
%3 = map %2 gives (1,1) (1,1) 0 -31 29 @dense {
  %0: 1x1 s6 frac 0 = input name=x0 shape=(1,1) frac=1x1[0] lo=1x1[-31] hi=1x1[29] rounding=TRN overflow=WRAP @dense
  output y0 %0
}
%4 = sink %3 takes () (1) 0 -31 29 name=y @dense
"""
    )


@pytest.mark.parametrize("seed", range(24))
def test_random_networks_come_back(seed: int) -> None:
    program = random_program(seed, hardware=True, parameters=seed % 4 == 0)
    layers = {node.layer for node in program.nodes}
    directives = Directives(
        dict.fromkeys(layers, seed % 5 + 1), seed % 3 == 0, positions=dict.fromkeys(layers, seed % 2 + 1)
    )
    network = partition(program, directives)
    again = parse(to_text(network))
    assert to_text(again) == to_text(network)
    if seed % 4:
        for frame in zip(*random_stimuli(program, seed, 2), strict=True):
            for have, want in zip(execute(again, list(frame)), execute(network, list(frame)), strict=True):
                assert (have == want).all()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("%0 = nonsense", "a process of kind 'nonsense'"),
        ("%1 = source name=x", "no process %0"),
        ("%0 = source name=x other=1", "'other=1', which is out of place"),
        ("%0 = source", "name"),
        ("%0 = sink %0 name=y", "out of range"),
        ("%0 = map", "map without a program in braces"),
        ("%0 = map {", "a { without its }"),
        ("%0 = source name=x {\n  output y %0\n}", "line 1"),
        ("%0 = rom raw=2[1 2", "array"),
        ("%0 = source name=x gives (2) (2) 0 0 1\n%1 = sink %0 takes (3) (2) 0 0 1 name=y", "in other tokens"),
        ('%0 = source name=x gives (2) () 0 0 1\n%1 = window %0 op="add"', "accepted: window"),
    ],
)
def test_what_is_refused(line: str, found: str) -> None:
    with pytest.raises(ProgramError) as raised:
        parse(line)
    assert found in str(raised.value)
