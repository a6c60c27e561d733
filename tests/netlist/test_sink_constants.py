"""Constants that are added to entries of tables go into these; the outputs stay what they were."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.netlist import AddSub, Literal, Netlist, live_words
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.sink_constants import sink_constants
from bitsmith.netlist.text import to_text
from tests.netlist.check import check
from tests.netlist.checks import SteadyDelays, flat_inputs
from tests.netlist.evaluate import evaluate
from tests.netlist.reading import parse
from tests.properties.programs import random_program, random_stimuli

DELAYS = SteadyDelays()

START = """\
input x[0]: 0..7 frac 0
input x[1]: -100..100 frac 0
table 8[-3 2 0 1 3 -1 -2 3]
origin "" x
%0: 0..7 = port 0
%1: -100..100 = port 1
%2: -3..3 = rom %0 0 0
%3: 5..5 = literal 5
%4: 1..1 = literal 1
"""


def constants(netlist: Netlist) -> int:
    """The sums that add a constant."""
    words = netlist.words
    sums = [words[index].cell for index in live_words(netlist) if isinstance(words[index].cell, AddSub)]
    return sum(isinstance(words[ref.word].cell, Literal) for cell in sums for ref in (cell.a, cell.b))


CASES = {
    "beside the table": ("%5: 2..8 = add %2 %3\noutput y[0]: 2..8 frac 0 = %5\n", 0),
    "after a sum": ("%5: -103..103 = add %1 %2\n%6: -98..108 = add %5 %3\noutput y[0]: -98..108 frac 0 = %6\n", 0),
    "before a rounding": (
        "%5: -106..106 = add %1 %2<<1\n%6: -26..27 = add %5 %4<<1 >> 2\noutput y[0]: -26..27 frac 0 = %6\n",
        0,
    ),
    "after a subtraction": (
        "%5: -103..103 = sub %1 %2\n%6: -98..108 = add %5 %3\noutput y[0]: -98..108 frac 0 = %6\n",
        0,
    ),
    "that is subtracted": (
        "%5: -103..103 = add %1 %2\n%6: -108..98 = sub %5 %3\noutput y[0]: -108..98 frac 0 = %6\n",
        0,
    ),
    "in bits that the reader keeps": (
        "%5: -16..15 = add %1 %2\n%6: -16..15 = add %5 %3\noutput y[0]: -16..15 frac 0 = %6\n",
        0,
    ),
    "not below the table's last bit": (
        "%5: -106..106 = add %1 %2<<1\n%6: -101..111 = add %5 %3\noutput y[0]: -101..111 frac 0 = %6\n",
        1,
    ),
    "not of a sum that loses bits": (
        "%5: -16..15 = add %1 %2\n%6: -11..20 = add %5 %3\noutput y[0]: -11..20 frac 0 = %6\n",
        1,
    ),
    "not of a sum that others read": (
        "%5: -103..103 = add %1 %2\n%6: -98..108 = add %5 %3\n"
        "output y[0]: -98..108 frac 0 = %6\noutput y[1]: -103..103 frac 0 = %5\n",
        1,
    ),
    "not of a table that others read": (
        "%5: 2..8 = add %2 %3\noutput y[0]: 2..8 frac 0 = %5\noutput y[1]: -3..3 frac 0 = %2\n",
        1,
    ),
}


@pytest.mark.parametrize(("text", "left"), CASES.values(), ids=CASES)
def test_constants_that_sink(text: str, left: int) -> None:
    before = parse(START + text)
    after = sink_constants(before, DELAYS)
    assert constants(before) == 1
    assert constants(after) == left
    check(after)
    for pair in itertools.product(range(8), range(-100, 101)):
        assert evaluate(after, pair) == evaluate(before, pair)


@pytest.mark.parametrize(("bits", "left"), [(7, 0), (8, 1)])
def test_no_table_becomes_block_memory(bits: int, left: int) -> None:
    """256 words of 4 bits are none, of 5 bits they are."""
    half = 1 << bits - 1
    before = parse(
        f"""\
input x[0]: 0..{2 * half - 1} frac 0
table {2 * half}[{" ".join(["0"] * half + ["15"] * half)}]
origin "" x
%0: 0..{2 * half - 1} = port 0
%1: 0..15 = rom %0 0 0
%2: 1..1 = literal 1
%3: 1..16 = add %1 %2
output y[0]: 1..16 frac 0 = %3
"""
    )
    after = sink_constants(before, DELAYS)
    assert constants(after) == left
    assert all(evaluate(after, (x,)) == evaluate(before, (x,)) for x in range(2 * half))


def sums_of_tables(seed: int) -> Program:
    """Two layers of sums of tables, each with a bias; results of the first are rounded and wrap or saturate."""
    rng = np.random.default_rng(seed)
    build = ProgramBuilder()
    x = build.input("x", (3,), FixedFormat(True, int(rng.integers(2, 6)), 2))
    for wide in (3, 2):
        sums = []
        for _ in range(wide):
            _, lo, hi = x.type.full()
            entries = rng.integers(-8, 8, int(hi.max() - lo.min() + 1))
            table = build.table(x, int(lo.min()), entries, int(rng.integers(0, 4)))
            total = build.linear(table, rng.choice([-2, -1, 1, 1, 4], (3, 1)), 1)
            sums.append(build.add(total, build.const(rng.integers(-40, 40, 1), 3)))
        x = build.concat(sums, 0)
        if wide == 3:
            rounding, overflow = rng.choice([Rounding.RND, Rounding.TRN]), rng.choice([Overflow.WRAP, Overflow.SAT])
            x = build.cast(x, FixedFormat(True, 5, 3, rounding, overflow))
    return build.program([("y", x)])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_results_stay(seed: int) -> None:
    program = sums_of_tables(seed) if seed % 3 else random_program(seed, max_ops=10, hardware=True)
    netlist = reduce_widths(elaborate(program))
    after = sink_constants(netlist, DELAYS)
    check(after)
    assert parse(to_text(after)) == after
    stimuli = random_stimuli(program, seed, 8)
    for sample in range(8):
        inputs = flat_inputs(stimuli, sample)
        assert evaluate(after, inputs) == evaluate(netlist, inputs)


def test_random_sums_have_such_constants() -> None:
    netlists = [reduce_widths(elaborate(sums_of_tables(seed))) for seed in range(20)]
    assert sum(constants(sink_constants(netlist, DELAYS)) < constants(netlist) for netlist in netlists) >= 15
