"""Tables that are added to each other become one; the outputs stay what they were."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.join_tables import join_tables
from bitsmith.netlist.netlist import Netlist, RomRead, live_words
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.text import to_text
from tests.netlist.check import check
from tests.netlist.checks import SteadyDelays, flat_inputs
from tests.netlist.evaluate import evaluate
from tests.netlist.reading import parse
from tests.properties.programs import random_stimuli


class WideDelays(SteadyDelays):
    """Delays of a family with look-up tables of six inputs."""

    def table(self, address_bits: int) -> float:
        return 0.5 + 0.5 * max(address_bits - 6, 0)


DELAYS = {4: SteadyDelays(), 6: WideDelays()}


def tables(netlist: Netlist) -> list[int]:
    """The entries of each table that is read."""
    words = (netlist.words[index].cell for index in live_words(netlist))
    return sorted(len(netlist.tables[cell.table]) for cell in words if isinstance(cell, RomRead))


START = """\
input x[0]: 0..1 frac 0
input x[1]: 0..1 frac 0
input x[2]: 0..1 frac 0
input x[3]: 0..1 frac 0
input x[4]: 0..1 frac 0
input x[5]: 0..1 frac 0
input x[6]: -4..3 frac 0
table 8[3 0 7 5 6 1 2 4]
table 8[9 1 4 12 7 3 10 2]
table 8[1 6 2 8 5 3 4 7]
origin "" x
%0: 0..1 = port 0
%1: 0..1 = port 1
%2: 0..1 = port 2
%3: 0..1 = port 3
%4: 0..1 = port 4
%5: 0..1 = port 5
%6: -4..3 = port 6
%7: 0..3 = add %0 %1<<1
%8: 0..7 = add %7 %2<<2
%9: 0..3 = add %3 %4<<1
%10: 0..7 = add %9 %5<<2
%11: 0..3 = add %1 %2<<1
%12: 0..7 = add %11 %3<<2
%13: 0..7 = rom %8 0 0
%14: 1..12 = rom %10 1 0
%15: 1..8 = rom %12 2 0
"""

CASES = {
    "two": ("%16: 1..19 = add %13 %14\noutput y[0]: 1..19 frac 0 = %16\n", [64]),
    "three, of six bits": (
        "%16: 1..19 = add %13 %14\n%17: 2..27 = add %16 %15\noutput y[0]: 2..27 frac 0 = %17\n",
        [64],
    ),
    "one is subtracted": ("%16: -12..6 = sub %13 %14\noutput y[0]: -12..6 frac 0 = %16\n", [64]),
    "beside another word": (
        "%16: -4..10 = add %13 %6\n%17: -16..9 = sub %16 %14\noutput y[0]: -16..9 frac 0 = %17\n",
        [64],
    ),
    "in bits of its own": ("%16: 2..31 = add %13 %14<<1\noutput y[0]: 2..31 frac 0 = %16\n", [64]),
    "where upper bits are lost": ("%16: 0..7 = add %13 %14\noutput y[0]: 0..7 frac 0 = %16\n", [64]),
    "before a rounding": (
        "%16: 1..19 = add %13 %14\n%17: -1..5 = add %16 %6 >> 2\noutput y[0]: -1..5 frac 0 = %17\n",
        [64],
    ),
    "not where an output is one": (
        "%16: 1..19 = add %13 %14\noutput y[0]: 1..19 frac 0 = %16\noutput y[1]: 0..7 frac 0 = %13\n",
        [8, 8],
    ),
    "not where others read one": (
        "%16: 1..19 = add %13 %14\n%17: -4..10 = add %13 %6\n"
        "output y[0]: 1..19 frac 0 = %16\noutput y[1]: -4..10 frac 0 = %17\n",
        [8, 8],
    ),
}


@pytest.mark.parametrize(("text", "left"), CASES.values(), ids=CASES)
def test_tables_that_are_joined(text: str, left: list[int]) -> None:
    before = parse(START + text)
    after = join_tables(before, DELAYS[6])
    assert tables(after) == left
    check(after)
    for given in itertools.product(*[(0, 1)] * 6, (-4, -1, 3)):
        assert evaluate(after, given) == evaluate(before, given)


def sums_of_tables(seed: int) -> Program:
    """Sums of tables of a few bits, some shared, with signs and shifts; some are read elsewhere, and some sums wrap around."""
    rng = np.random.default_rng(seed)
    build = ProgramBuilder()
    bits, other = build.input("b", (6,), FixedFormat(False, 1, 0)), build.input("x", (1,), FixedFormat(True, 4, 2))
    terms: list[Value] = [other]
    for _ in range(int(rng.integers(2, 9))):
        own = rng.choice(6, int(rng.integers(1, 5)), replace=False)
        address = build.gather(bits, [int(own[0])], 0)
        for place, bit in enumerate(own[1:].tolist(), 1):
            address = build.add(address, build.shift(build.gather(bits, [bit], 0), place))
        terms.append(build.table(address, 0, rng.integers(-20, 20, 1 << len(own)), int(rng.integers(0, 3))))
    total = build.linear(build.concat(terms, 0), rng.choice([-2, -1, 1, 1, 1, 0], (len(terms), 2)), 0)
    rounding, overflow = (Rounding.RND, Rounding.TRN)[seed % 2], (Overflow.WRAP, Overflow.SAT)[seed // 2 % 2]
    total = build.cast(total, FixedFormat(True, 6, 5, rounding, overflow))
    return build.program([("y", total), *([("z", terms[1])] if rng.random() < 0.3 else [])])


@pytest.mark.parametrize("seed", range(60))
def test_results_stay(seed: int) -> None:
    program = sums_of_tables(seed)
    netlist = reduce_widths(elaborate(program))
    after = join_tables(netlist, DELAYS[4 if seed % 3 else 6])
    check(after)
    assert parse(to_text(after)) == after
    stimuli = random_stimuli(program, seed, 20)
    for sample in range(20):
        inputs = flat_inputs(stimuli, sample)
        assert evaluate(after, inputs) == evaluate(netlist, inputs)


def test_random_sums_have_such_tables() -> None:
    netlists = [reduce_widths(elaborate(sums_of_tables(seed))) for seed in range(20)]
    fewer = [len(tables(join_tables(netlist, DELAYS[6]))) < len(tables(netlist)) for netlist in netlists]
    assert sum(fewer) >= 12
