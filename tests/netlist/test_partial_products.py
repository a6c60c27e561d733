"""Products that are wider than a multiplier block become sums of products that are not, and stay what they were."""

from __future__ import annotations

import random

import pytest

from bitsmith.devices.blocks import Cut, MultiplierBlock
from bitsmith.devices.ecp5 import ECP5
from bitsmith.netlist.builder import NetlistBuilder
from bitsmith.netlist.netlist import Field, Multiplier, Netlist, WordOrigin, WordRef, live_words
from bitsmith.netlist.reduce_widths import product, reduce_widths
from tests.netlist.evaluate import evaluate

BLOCK = MultiplierBlock(
    wide=7,
    narrow=5,
    cuts=(Cut(most=(7, 5), least=(2, 2), product=0, parts=(5, 5), blocks=1),),
    registers=0,
    digits=4,
    chain=1,
)
RANGES = {
    "signed": ((-(1 << 12), (1 << 12) - 1), (-(1 << 10), (1 << 10) - 1)),
    "unsigned": ((0, (1 << 12) - 1), (0, (1 << 9) - 1)),
    "of either sign": ((-300, -7), (0, 5000)),
    "one wide factor": ((-(1 << 15), 1 << 15), (-8, 7)),
    "in one block": ((-64, 63), (-16, 15)),
}


def multiplied(factors: tuple[tuple[int, int], ...], drop: int, bits: int | None, *, square: bool) -> Netlist:
    """Bits of a product, from ``drop`` on: all, or so many."""
    builder = NetlistBuilder()
    builder.enter(WordOrigin("", "x"))
    fields = [Field("x", k, lo, hi, 0) for k, (lo, hi) in enumerate(factors)]
    x, y = (builder.port(k, *given) for k, given in enumerate(factors))
    found: WordRef = builder.drop(builder.mul(x, x if square else y), drop)
    found = found if bits is None else builder.low(found, bits, signed=True)
    return builder.netlist(fields, [Field("y", 0, builder.lo(found), builder.hi(found), 0)], [found])


@pytest.mark.parametrize("factors", RANGES.values(), ids=RANGES)
@pytest.mark.parametrize(("drop", "bits"), [(0, None), (6, None), (3, 8)])
@pytest.mark.parametrize("square", [False, True])
def test_the_product_stays(factors: tuple[tuple[int, int], ...], drop: int, bits: int | None, *, square: bool) -> None:
    whole = multiplied(factors, drop, bits, square=square)
    parts = reduce_widths(whole, BLOCK)
    assert parts.outputs == whole.outputs
    for index in live_words(parts):
        cell = parts.words[index].cell
        if isinstance(cell, Multiplier):
            assert BLOCK.count(parts.words[cell.a].width, parts.words[cell.b].width) <= 1
    rng = random.Random(0)
    corners = [(x, y) for x in factors[0] for y in factors[1]]
    for x, y in [*corners, *((rng.randint(*factors[0]), rng.randint(*factors[1])) for _ in range(50))]:
        assert evaluate(parts, [x, y]) == evaluate(whole, [x, y])


@pytest.mark.parametrize("factors", RANGES.values(), ids=RANGES)
@pytest.mark.parametrize("shifts", [(0, 3), (2, 0), (1, 4)])
def test_parts_of_shifted_factors_are_shifted_as_the_product_is(
    factors: tuple[tuple[int, int], ...], shifts: tuple[int, int]
) -> None:
    builder = NetlistBuilder()
    builder.enter(WordOrigin("", "x"))
    fields = [Field("x", k, lo, hi, 0) for k, (lo, hi) in enumerate(factors)]
    x, y = (builder.port(k, *ends).shifted(shift) for k, (ends, shift) in enumerate(zip(factors, shifts, strict=True)))
    found = product(builder, x, y, BLOCK)
    netlist = builder.netlist(fields, [Field("y", 0, builder.lo(found), builder.hi(found), 0)], [found])
    for a, b in [(a, b) for a in (*factors[0], 1, -77) for b in (*factors[1], 1, 99)]:
        if factors[0][0] <= a <= factors[0][1] and factors[1][0] <= b <= factors[1][1]:
            assert evaluate(netlist, [a, b]) == [(a << shifts[0]) * (b << shifts[1])]


def test_only_where_the_clock_wants_it() -> None:
    delays = ECP5.delays
    assert delays.part_block(delays.budget(10.0, 1.25)) is delays.block
    assert delays.part_block(delays.budget(40.0, 5.0)) is None
