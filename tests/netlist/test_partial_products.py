"""Products that are wider than a multiplier block become sums of products that are not, and stay what they were."""

from __future__ import annotations

import random

import pytest

from bitsmith.devices.blocks import Cut, MultiplierBlock
from bitsmith.devices.ecp5 import ECP5
from bitsmith.netlist.builder import NetlistBuilder
from bitsmith.netlist.netlist import (
    AddSub,
    BlockSum,
    Field,
    Multiplier,
    Netlist,
    WordOrigin,
    WordRef,
    is_wiring,
    live_words,
)
from bitsmith.netlist.reduce_widths import product, reduce_widths
from bitsmith.netlist.text import to_text
from tests.netlist.evaluate import evaluate
from tests.netlist.reading import parse

BLOCK = MultiplierBlock(
    wide=7,
    narrow=5,
    cuts=(Cut(most=(7, 5), least=(2, 2), product=0, parts=(5, 5), blocks=1),),
    beside_registers=(),
    registers=0,
    digits=4,
    chain=1,
    adds=True,
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


@pytest.mark.parametrize("factors", RANGES.values(), ids=RANGES)
@pytest.mark.parametrize(("place", "other"), [(0, (-5000, 70)), (6, (0, 900)), (3, (17, 17))])
@pytest.mark.parametrize("drop", [0, 8])
def test_blocks_add_what_is_added_to_their_product(
    factors: tuple[tuple[int, int], ...], place: int, other: tuple[int, int], drop: int
) -> None:
    builder = NetlistBuilder()
    builder.enter(WordOrigin("", "x"))
    ranges = (*factors, other)
    fields = [Field("x", k, lo, hi, 0) for k, (lo, hi) in enumerate(ranges)]
    x, y, z = (builder.port(k, *given) for k, given in enumerate(ranges))
    found = builder.drop(builder.add(builder.mul(x, y), z.shifted(place)), drop)
    whole = builder.netlist(fields, [Field("y", 0, builder.lo(found), builder.hi(found), 0)], [found])
    parts = reduce_widths(whole, BLOCK)
    cells = {index: parts.words[index].cell for index in live_words(parts)}
    sums = [
        cell for index, cell in cells.items() if isinstance(cell, AddSub | BlockSum) and not is_wiring(parts, index)
    ]
    assert sums and all(isinstance(one, BlockSum) and isinstance(cells[one.a.word], Multiplier) for one in sums)
    assert len(sums) == sum(isinstance(cell, Multiplier) for cell in cells.values())
    assert parse(to_text(parts)) == parts
    again = reduce_widths(parts)  # as passes after it do, which know of no block
    rng = random.Random(0)
    for inputs in ([rng.randint(*given) for given in ranges] for _ in range(60)):
        assert evaluate(whole, inputs) == evaluate(parts, inputs) == evaluate(again, inputs)


def test_blocks_add_nothing_to_a_product_that_others_read() -> None:
    builder = NetlistBuilder()
    builder.enter(WordOrigin("", "x"))
    x, y, z = (builder.port(k, -8, 7) for k in range(3))
    product_of, total = builder.mul(x, y), builder.add(builder.mul(x, y), z)
    fields = [Field("x", k, -8, 7, 0) for k in range(3)]
    ends = [Field("y", k, builder.lo(ref), builder.hi(ref), 0) for k, ref in enumerate((product_of, total))]
    parts = reduce_widths(builder.netlist(fields, ends, [product_of, total]), BLOCK)
    assert not any(isinstance(word.cell, BlockSum) for word in parts.words)
