"""Every rounding and overflow mode against the definitions, on all values of small words."""

from __future__ import annotations

from fractions import Fraction

import pytest

from bitsmith.ir.types import Overflow, Rounding
from bitsmith.netlist.builder import NetlistBuilder
from bitsmith.netlist.casts import Conversion, cast
from bitsmith.netlist.netlist import AddSub, Field, Literal, Mux, Netlist, WordOrigin, WordRef, live_words
from bitsmith.netlist.reduce_widths import reduce_widths
from tests.ir.oracle import bring_inside, round_to_integer
from tests.netlist.evaluate import evaluate
from tests.properties import few

TARGETS = [(-4, 3), (0, 7), (0, 1), (-1, 0), (-8, 7), (0, 5), (-3, 4), (-64, 63)]
RANGES = [(-16, 15), (0, 31), (-13, 6), (-20, -3), (5, 19)]


def convert(to: Conversion, lo: int, hi: int, shift: int = 0, rectify: bool = False) -> Netlist:
    builder = NetlistBuilder()
    builder.enter(WordOrigin("", "x"))
    field = Field("x", 0, lo, hi, 0)
    x = builder.port(0, lo, hi)
    if rectify:
        x = builder.max(builder.add_constant(x, 1), builder.constant(0))
    result = cast(builder, WordRef(x.word, x.shift + shift), to)
    return builder.netlist([field], [Field("y", 0, builder.lo(result), builder.hi(result), 0)], [result])


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("rounding", Rounding)
@few("rectify", [False, True], fast=1, judged=True)
def test_modes(rounding: Rounding, overflow: Overflow, rectify: bool) -> None:
    drops = (1,) if rectify else (-1, 0, 1, 3)
    for (least, most), (lo, hi), drop in ((r, t, d) for r in RANGES for t in TARGETS for d in drops):
        for shift in (0, 2):
            netlist = convert(Conversion(drop, lo, hi, rounding, overflow), least, most, shift, rectify)
            small = reduce_widths(netlist)
            for x in range(least, most + 1):
                value = max(x + 1, 0) if rectify else x
                want = bring_inside(
                    round_to_integer(Fraction(value << shift) / Fraction(2) ** drop, rounding), lo, hi, overflow
                )
                assert evaluate(netlist, [x]) == [want] == evaluate(small, [x]), (x, lo, hi, drop, shift)


@pytest.mark.parametrize("rectify", [False, True])
def test_the_upper_limit_is_chosen_last(rectify: bool) -> None:
    """Otherwise Yosys has two look-up tables in a row between a sum and the register after its rectifier."""
    netlist = convert(Conversion(0, 0, 7, Rounding.TRN, Overflow.SAT), -16, 15, rectify=rectify)
    choices = [word.cell for word in netlist.words if isinstance(word.cell, Mux)]
    arms = [[netlist.words[ref.word].cell for ref in (choice.a, choice.b)] for choice in choices]
    assert [cell.value for both in arms for cell in both if isinstance(cell, Literal)] == [0, 7]


def test_a_bias_a_rectifier_and_rounding_take_one_adder() -> None:
    builder = NetlistBuilder()
    builder.enter(WordOrigin("", "x"))
    x, y = builder.port(0, -100, 100), builder.port(1, -100, 100)
    biased = builder.add_constant(builder.add(x, y), 7)
    rectified = builder.max(biased, builder.constant(0))
    result = cast(builder, rectified, Conversion(3, 0, 15, Rounding.RND, Overflow.SAT))
    fields = [Field("x", k, -100, 100, 0) for k in range(2)]
    netlist = reduce_widths(builder.netlist(fields, [Field("y", 0, 0, 15, 0)], [result]))
    sums = [index for index in live_words(netlist) if isinstance(netlist.words[index].cell, AddSub)]
    assert len(sums) == 2
