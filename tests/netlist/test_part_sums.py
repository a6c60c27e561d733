"""Sums of three are taken apart where that saves registers: results stay, and nothing else costs more than it may."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitsmith.netlist import part_sums as parting
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.fuse_adders import fuse_adders
from bitsmith.netlist.netlist import AddSub, Netlist, TernaryAdder, live_words
from bitsmith.netlist.part_sums import part_sums
from bitsmith.netlist.pipeline import pipeline
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.regroup_sums import regroup_sums
from bitsmith.netlist.text import to_text
from tests.netlist.check import check
from tests.netlist.checks import SteadyDelays, TernaryDelays, dense_program
from tests.netlist.evaluate import evaluate
from tests.netlist.reading import parse

DELAYS = TernaryDelays()
PORTS = "".join(f"input x[{k}]: -8..7 frac 0\n" for k in range(9)) + 'origin "" x\n'
PORTS += "".join(f"%{k}: -8..7 = port {k}\n" for k in range(9))


def networks(seed: int, budget: float) -> Netlist:
    netlist = reduce_widths(elaborate(dense_program([9, 9, 4], 4, 4, 0.3, seed)))
    return fuse_adders(regroup_sums(netlist, DELAYS, budget), DELAYS, budget)


def chains(netlist: Netlist) -> int:
    """Bits of sums."""
    words = [netlist.words[index] for index in live_words(netlist)]
    return sum(word.width for word in words if isinstance(word.cell, AddSub | TernaryAdder))


@settings(max_examples=8)
@example(11, 2.8, False)  # one is taken apart
@given(st.integers(0, 10_000), st.floats(1.8, 8.0), st.booleans())
def test_results_stay_and_registers_pay(seed: int, budget: float, longer: bool) -> None:
    netlist = networks(seed, budget)
    at_least = pipeline(netlist, DELAYS, budget).stages + 1 if longer else None
    parted = part_sums(netlist, DELAYS, budget, at_least)
    check(parted)
    assert parse(to_text(parted)) == parted
    before, after = (pipeline(one, DELAYS, budget, at_least) for one in (netlist, parted))
    assert after.stages <= before.stages
    assert (parted == netlist) == (chains(parted) == chains(netlist)) and (
        (seed, budget) != (11, 2.8) or parted != netlist
    )
    if parted != netlist:
        assert before.register_bits - after.register_bits > 1.5 * (chains(parted) - chains(netlist))
    for sample in range(4):
        steps = ((seed * (sample + 7) * (k + 3)) % 97 for k in range(len(netlist.inputs)))
        inputs = [
            field.lo + step % (field.hi - field.lo + 1) for field, step in zip(netlist.inputs, steps, strict=True)
        ]
        assert evaluate(parted, inputs) == evaluate(netlist, inputs)


@pytest.mark.parametrize("signs", ["addadd", "addsub", "subadd", "subsub"])
@pytest.mark.parametrize("last", range(3))
@pytest.mark.parametrize("shifts", [(0, 0, 0), (1, 0, 3), (2, 2, 1)])
@pytest.mark.parametrize(("lo", "hi", "drop"), [(-500, 500, 0), (-4, 3, 0), (-60, 60, 3)])
def test_each_sum_is_two(signs: str, last: int, shifts: tuple[int, ...], lo: int, hi: int, drop: int) -> None:
    """Whatever is subtracted, comes last, is shifted, and cut off."""
    terms = [0, 1, 2]
    terms[last] = 3
    text = " ".join(f"%{word}" + f"<<{shift}" * bool(shift) for word, shift in zip(terms, shifts, strict=True))
    netlist = parse(
        f"{PORTS}%9: -16..14 = add %3 %4\n%10: {lo}..{hi} = {signs} {text.replace('%3', '%9')}"
        f"{f' >> {drop}' * bool(drop)}\noutput y[0]: {lo}..{hi} frac 0 = %10\n"
    )
    apart = parting._Trial(netlist, DELAYS, 100.0, None).netlist({10})
    check(apart)
    sums = [word.cell for word in apart.words if isinstance(word.cell, AddSub)]
    assert len(sums) == 3 and 9 in (sums[-1].a.word, sums[-1].b.word)
    for sample in range(40):
        inputs = [(sample * (5 * k + 3)) % 16 - 8 for k in range(9)]
        assert evaluate(apart, inputs) == evaluate(netlist, inputs)


def test_nothing_is_taken_apart_without_sums_of_three_or_in_large_circuits(monkeypatch: pytest.MonkeyPatch) -> None:
    netlist = networks(7, 3.1)
    assert part_sums(netlist, SteadyDelays(), 3.1, None) is netlist
    monkeypatch.setattr(parting, "_PLACED_WORDS", 2 * len(netlist.words) - 1)
    assert part_sums(netlist, DELAYS, 3.1, None) is netlist
