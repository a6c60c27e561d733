"""Trees of sums of three compute what those of two do, in no more stages and shorter rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.devices.xilinx import ULTRASCALE_PLUS
from bitsmith.netlist.delays import carry_start
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.fuse_adders import fuse_adders
from bitsmith.netlist.netlist import AddSub, Netlist, TernaryAdder, live_words
from bitsmith.netlist.pipeline import pipeline
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.regroup_sums import regroup_sums
from bitsmith.netlist.text import to_text
from tests.netlist.check import check
from tests.netlist.checks import SteadyDelays, TernaryDelays, dense_program, flat_inputs
from tests.netlist.evaluate import evaluate
from tests.netlist.reading import parse
from tests.properties.programs import random_program, random_stimuli

DELAYS = TernaryDelays()

PORTS = """\
input x[0]: -8..7 frac 0
input x[1]: -8..7 frac 0
input x[2]: -128..127 frac 0
input x[3]: -128..127 frac 0
input x[4]: -8..7 frac 0
origin "" x
%0: -8..7 = port 0
%1: -8..7 = port 1
%2: -128..127 = port 2
%3: -128..127 = port 3
%4: -8..7 = port 4
"""

CASES = {
    "the terms with the least tops come first": (
        """\
%5: -256..254 = add %2 %3
%6: -16..14 = add %0 %1
%7: -24..21 = add %4 %6
%8: -280..275 = add %5 %7
output y[0]: -280..275 frac 0 = %8
""",
        """\
%5: -24..21 = addadd %4 %0 %1
%6: -280..275 = addadd %5 %2 %3
output y[0]: -280..275 frac 0 = %6
""",
    ),
    "signs wait for the last sum": (
        """\
%5: -256..254 = add %2 %3
%6: -263..262 = sub %5 %0
%7: -295..318 = sub %6 %4<<2
%8: -302..326 = sub %7 %1<<1
output y[0]: -302..326 frac 0 = %8
""",
        """\
%5: -56..49 = addadd %0 %1<<1 %4<<2
%6: -302..326 = addsub %2 %3 %5
output y[0]: -302..326 frac 0 = %6
""",
    ),
    "a truncated sum has the bits that the tree wants": (
        """\
%5: -16..15 = add %2 %3
%6: -16..15 = add %5 %0
%7: -16..15 = add %6 %1
%8: -16..15 = add %7 %4
output y[0]: -16..15 frac 0 = %8
""",
        """\
%5: -16..15 = addadd %0 %1 %4
%6: -16..15 = addadd %5 %2 %3
output y[0]: -16..15 frac 0 = %6
""",
    ),
    "also with zeros below": (
        """\
%5: -4..3 = add %2 %3
%6: -16..15 = add %5<<2 %0
%7: -16..15 = add %6 %1
%8: -16..15 = add %7 %4
output y[0]: -16..15 frac 0 = %8
""",
        """\
%5: -16..15 = addadd %0 %2<<2 %3<<2
%6: -16..15 = addadd %1 %4 %5
output y[0]: -16..15 frac 0 = %6
""",
    ),
    "dropped bits of the first term alone are not added": (
        """\
%5: -264..261 = add %0 %2<<1
%6: -776..769 = add %5 %3<<2
%7: -211..207 = add %6 %1<<3 >> 2
output y[0]: -211..207 frac 0 = %7
output y[1]: -8..7 frac 0 = %4
""",
        """\
%5: -72..63 = add %0 %1<<3
%6: -36..31 = view %5 >> 1
%7: -211..207 = addadd %6 %2 %3<<1 >> 1
output y[0]: -211..207 frac 0 = %7
output y[1]: -8..7 frac 0 = %4
""",
    ),
    "or it has not": (
        """\
%5: -16..15 = add %2 %3
%6: -24..22 = add %5 %0
%7: -32..29 = add %6 %1
output y[0]: -32..29 frac 0 = %7
""",
        None,
    ),
    "what something else reads stays": (
        """\
%5: -256..254 = add %2 %3
%6: -264..261 = add %5 %0
%7: -272..268 = add %6 %1
output y[0]: -272..268 frac 0 = %7
output y[1]: -264..261 frac 0 = %6
output y[2]: -256..254 frac 0 = %5
""",
        None,
    ),
    "a sum that is wiring is a term": (
        """\
%5: 0..15 = view %2
%6: -2048..2047 = add %5 %3<<4
%7: -2056..2054 = add %6 %0
%8: -2064..2061 = add %7 %1
%9: -2072..2068 = add %8 %4
output y[0]: -2072..2068 frac 0 = %9
""",
        """\
%5: 0..15 = view %2
%6: -2048..2047 = add %5 %3<<4
%7: -16..14 = add %0 %1
%8: -2072..2068 = addadd %4 %7 %6
output y[0]: -2072..2068 frac 0 = %8
""",
    ),
    "constants are one": (
        """\
%5: 5..5 = literal 5
%6: 3..3 = literal 3
%7: -123..132 = add %2 %5
%8: -131..140 = add %7 %0
%9: -125..130 = add %3 %6
%10: -256..270 = add %8 %9
output y[0]: -256..270 frac 0 = %10
output y[1]: -8..7 frac 0 = %1
output y[2]: -8..7 frac 0 = %4
""",
        """\
%5: 1..1 = literal 1
%6: 0..15 = add %0 %5<<3
%7: -256..270 = addadd %6 %2 %3
output y[0]: -256..270 frac 0 = %7
output y[1]: -8..7 frac 0 = %1
output y[2]: -8..7 frac 0 = %4
""",
    ),
    "constants that cancel are none": (
        """\
%5: -1..-1 = literal -1
%6: 1..1 = literal 1
%7: -129..126 = add %2 %5
%8: -137..133 = add %7 %0
%9: -127..128 = add %3 %6
%10: -264..261 = add %8 %9
output y[0]: -264..261 frac 0 = %10
output y[1]: -8..7 frac 0 = %1
output y[2]: -8..7 frac 0 = %4
""",
        """\
%5: -264..261 = addadd %0 %2 %3
output y[0]: -264..261 frac 0 = %5
output y[1]: -8..7 frac 0 = %1
output y[2]: -8..7 frac 0 = %4
""",
    ),
    "dropped bits have a carry": (
        """\
%5: -128..127 = add %2 %3 >> 1
%6: -128..127 = add %5 %0
%7: -128..127 = add %6 %1
output y[0]: -128..127 frac 0 = %7
""",
        None,
    ),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_what_is_rebuilt(before: str, after: str | None) -> None:
    netlist = parse(PORTS + before)
    rebuilt = regroup_sums(netlist, DELAYS, 10.0)
    check(rebuilt)
    assert to_text(rebuilt) == PORTS + (after or before)
    for inputs in itertools.product((-8, -3, 0, 7), (-8, 5), (-128, -7, 127), (-128, 99), (-8, 1, 7)):
        assert evaluate(rebuilt, inputs) == evaluate(netlist, inputs)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(1.8, 12.0), st.booleans())
def test_results_stay_and_there_are_no_more_stages(seed: int, budget: float, dense: bool) -> None:
    program = dense_program([7, 6, 3], 5, 4, 0.3, seed) if dense else random_program(seed, max_ops=10, hardware=True)
    netlist = reduce_widths(elaborate(program))
    rebuilt = regroup_sums(netlist, DELAYS, budget)
    check(rebuilt)
    assert parse(to_text(rebuilt)) == rebuilt
    assert pipeline(rebuilt, DELAYS, budget).stages <= pipeline(netlist, DELAYS, budget).stages
    stimuli = random_stimuli(program, seed, 8)
    for sample in range(8):
        inputs = flat_inputs(stimuli, sample)
        assert evaluate(rebuilt, inputs) == evaluate(netlist, inputs)


def full_adders(netlist: Netlist) -> int:
    """The bits of all sums but for those that pass."""
    total = 0
    for word in (netlist.words[index] for index in live_words(netlist)):
        if isinstance(word.cell, AddSub | TernaryAdder):
            passed = carry_start(word.cell) if isinstance(word.cell, AddSub) else word.cell.passed
            total += word.width + word.drop - passed
    return total


def test_rows_are_shorter_than_where_sums_are_only_joined() -> None:
    before = after = 0
    for seed in range(8):
        netlist = reduce_widths(elaborate(dense_program([16, 16, 5], 6, 6, 0.5, seed)))
        before += full_adders(fuse_adders(netlist, DELAYS, 100.0))
        after += full_adders(fuse_adders(regroup_sums(netlist, DELAYS, 100.0), DELAYS, 100.0))
    assert after < 0.995 * before


def test_nothing_is_rebuilt_where_it_takes_more_time_or_saves_nothing() -> None:
    netlist = reduce_widths(elaborate(dense_program([6, 5], 5, 5, 0.0)))
    assert regroup_sums(netlist, SteadyDelays(), 100.0) == netlist
    assert regroup_sums(netlist, DELAYS, 1.5) == netlist
    assert regroup_sums(netlist, DELAYS, 100.0) != netlist


def test_trees_in_the_way_of_a_clock_stay_and_others_are_rebuilt() -> None:
    delays, budget = ULTRASCALE_PLUS.delays, 2.0
    netlist = reduce_widths(elaborate(dense_program([12, 8, 4], 5, 5, 0.3, 1)))
    rebuilt = regroup_sums(netlist, delays, budget)
    check(rebuilt)
    assert pipeline(rebuilt, delays, budget).stages <= pipeline(netlist, delays, budget).stages
    assert full_adders(rebuilt) < 0.85 * full_adders(netlist)
    rng = np.random.default_rng(0)
    for _ in range(20):
        inputs = [int(rng.integers(field.lo, field.hi, endpoint=True)) for field in netlist.inputs]
        assert evaluate(rebuilt, inputs) == evaluate(netlist, inputs)
