"""Sums of three compute what two sums of two do, in no more stages; what is chosen is near the best."""

from __future__ import annotations

import itertools
from collections.abc import Collection

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.fuse_adders import fuse_adders, is_exact
from bitsmith.netlist.netlist import AddSub, Netlist, TernaryAdder, live_words
from bitsmith.netlist.pipeline import Timing, pipeline
from bitsmith.netlist.reduce_widths import reduce_widths
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
input x[2]: -8..7 frac 0
origin "" x
%0: -8..7 = port 0
%1: -8..7 = port 1
%2: -8..7 = port 2
"""

CASES = {
    "a sum goes where all its readers can add its terms": (
        """\
%3: -24..21 = add %0 %1<<1
%4: -56..56 = sub %2<<2 %3
%5: -32..28 = add %2 %3
output y[0]: -56..56 frac 0 = %4
output y[1]: -32..28 frac 0 = %5
""",
        """\
%3: -56..56 = subsub %2<<2 %0 %1<<1
%4: -32..28 = addadd %2 %0 %1<<1
output y[0]: -56..56 frac 0 = %3
output y[1]: -32..28 frac 0 = %4
""",
    ),
    "the term whose lowest bits pass comes first": (
        """\
%3: -23..22 = sub %1<<1 %0
%4: -100..95 = add %3<<2 %2
output y[0]: -100..95 frac 0 = %4
""",
        """\
%3: -100..95 = addsub %2 %1<<3 %0<<2
output y[0]: -100..95 frac 0 = %3
""",
    ),
    "a truncated sum has the bits that its reader wants": (
        """\
%3: -8..7 = add %0 %1
%4: -8..7 = add %2 %3
output y[0]: -8..7 frac 0 = %4
""",
        """\
%3: -8..7 = addadd %2 %0 %1
output y[0]: -8..7 frac 0 = %3
""",
    ),
    "or it has not": (
        """\
%3: -8..7 = add %0 %1
%4: -16..14 = add %2 %3
output y[0]: -16..14 frac 0 = %4
""",
        None,
    ),
    "what an output or something else reads stays": (
        """\
%3: -16..14 = add %0 %1
%4: -24..21 = add %2 %3
%5: -224..256 = mul %0 %3
output y[0]: -24..21 frac 0 = %4
output y[1]: -224..256 frac 0 = %5
""",
        None,
    ),
    "dropped bits have a carry": (
        """\
%3: -8..7 = add %0 %1 >> 1
%4: -8..7 = add %2 %3
output y[0]: -8..7 frac 0 = %4
""",
        None,
    ),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_what_is_joined(before: str, after: str | None) -> None:
    netlist = parse(PORTS + before)
    fused = fuse_adders(netlist, DELAYS, 10.0)
    assert to_text(fused) == PORTS + (after or before)
    for inputs in itertools.product((-8, -3, -1, 0, 5, 7), repeat=3):
        assert evaluate(fused, inputs) == evaluate(netlist, inputs)


def sums(netlist: Netlist) -> tuple[int, int]:
    """The number of sums of two and of three."""
    cells = [netlist.words[index].cell for index in live_words(netlist)]
    return sum(isinstance(cell, AddSub) for cell in cells), sum(isinstance(cell, TernaryAdder) for cell in cells)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(1.8, 12.0), st.booleans())
def test_results_stay_and_there_are_no_more_stages(seed: int, budget: float, dense: bool) -> None:
    program = dense_program([5, 7, 3], 5, 4, 0.3, seed) if dense else random_program(seed, max_ops=10, hardware=True)
    netlist = reduce_widths(elaborate(program))
    fused = fuse_adders(netlist, DELAYS, budget)
    check(fused)
    assert parse(to_text(fused)) == fused
    assert pipeline(fused, DELAYS, budget).stages <= pipeline(netlist, DELAYS, budget).stages
    stimuli = random_stimuli(program, seed, 8)
    for sample in range(8):
        inputs = flat_inputs(stimuli, sample)
        assert evaluate(fused, inputs) == evaluate(netlist, inputs)
        assert evaluate(reduce_widths(fused), inputs) == evaluate(netlist, inputs)


@settings(max_examples=100)
@given(st.booleans(), st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 6)), min_size=2, max_size=2), st.data())
def test_sums_are_exact_whose_interval_holds_all_of_them(
    subtract: bool, operands: list[tuple[int, int]], data: st.DataObject
) -> None:
    shifts = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    ranges = [range(lo, lo + size + 1) for lo, size in operands]
    sums = [(a << shifts[0]) + (-b if subtract else b) * 2 ** shifts[1] for a, b in itertools.product(*ranges)]
    lo = data.draw(st.sampled_from([min(sums) - 1, min(sums), min(sums) + 1]))
    hi = data.draw(st.sampled_from([max(sums) - 1, max(sums), max(sums) + 1]))
    if lo > hi:
        return
    ports = "".join(f"%{k}: {own[0]}..{own[-1]} = port {k}\n" for k, own in enumerate(ranges))
    inputs = "".join(f"input x[{k}]: {own[0]}..{own[-1]} frac 0\n" for k, own in enumerate(ranges))
    cell = (
        f"{'sub' if subtract else 'add'} %0{f'<<{shifts[0]}' * bool(shifts[0])} %1{f'<<{shifts[1]}' * bool(shifts[1])}"
    )
    text = f'{inputs}origin "" x\n{ports}%2: {lo}..{hi} = {cell}\noutput y[0]: {lo}..{hi} frac 0 = %2\n'
    netlist = parse(text)
    assert is_exact(netlist, netlist.words[2]) == (lo <= min(sums) and max(sums) <= hi)


def test_two_sums_of_five_become_one() -> None:
    netlist = reduce_widths(elaborate(dense_program([16, 16, 5], 6, 6, 0.5)))
    (before, _), (two, three) = sums(netlist), sums(fuse_adders(netlist, DELAYS, 100.0))
    assert two + three < 0.7 * before and three > two


def test_nothing_is_joined_where_it_takes_more_time_or_saves_nothing() -> None:
    netlist = reduce_widths(elaborate(dense_program([6, 5], 5, 5, 0.0)))
    assert fuse_adders(netlist, SteadyDelays(), 100.0) == netlist
    assert fuse_adders(netlist, DELAYS, 1.5) == netlist
    assert fuse_adders(netlist, DELAYS, 100.0) != netlist


def test_the_result_depends_on_nothing_but_the_netlist() -> None:
    rng = np.random.default_rng(0)
    netlist = reduce_widths(elaborate(dense_program([8, 8, 4], 6, 6, 0.2, int(rng.integers(100)))))
    assert fuse_adders(netlist, DELAYS, 5.0) == fuse_adders(netlist, DELAYS, 5.0)


@pytest.mark.parametrize(("seed", "budget"), [(0, 2.0), (1, 3.0), (2, 4.0), (3, 5.0)])
def test_times_are_those_of_the_netlist_with_fused_sums(
    seed: int, budget: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not all worked out again for each choice of sums."""
    tried: list[tuple[Timing, Netlist]] = []
    usual = Timing.fused

    def fused(before: Timing, netlist: Netlist, sums: Collection[int], gone: Collection[int]) -> Timing:
        tried.append((usual(before, netlist, sums, gone), netlist))
        return tried[-1][0]

    monkeypatch.setattr(Timing, "fused", fused)
    fuse_adders(reduce_widths(elaborate(dense_program([8, 8, 4], 6, 6, 0.2, seed))), DELAYS, budget)
    assert tried
    for timing, netlist in tried:
        again = Timing(netlist, DELAYS, budget)
        assert timing.stages == again.stages
        assert timing.due(timing.stages) == again.due(timing.stages)
        assert timing.late(timing.stages - 1) == again.late(timing.stages - 1)
