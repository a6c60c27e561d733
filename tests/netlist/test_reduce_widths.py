"""Bits that nothing reads are not computed; the outputs stay what they were."""

from __future__ import annotations

from bitsmith.ir.types import Overflow, Rounding
from bitsmith.netlist.builder import NetlistBuilder
from bitsmith.netlist.casts import Conversion, cast
from bitsmith.netlist.evaluate import evaluate
from bitsmith.netlist.netlist import AddSub, Field, Netlist, View, WordOrigin, WordRef, live_words
from bitsmith.netlist.reduce_widths import reduce_widths


def build(ranges: list[tuple[int, int]]) -> tuple[NetlistBuilder, list[WordRef], list[Field]]:
    builder = NetlistBuilder()
    builder.enter(WordOrigin("", "x"))
    fields = [Field("x", k, lo, hi, 0) for k, (lo, hi) in enumerate(ranges)]
    return builder, [builder.port(k, *r) for k, r in enumerate(ranges)], fields


def outputs(builder: NetlistBuilder, fields: list[Field], *results: WordRef) -> Netlist:
    items = [Field("y", k, builder.lo(r), builder.hi(r), 0) for k, r in enumerate(results)]
    return builder.netlist(fields, items, results)


def sums(netlist: Netlist) -> list[tuple[int, int]]:
    """(bits dropped, bits kept) of each live sum."""
    words = [netlist.words[index] for index in sorted(live_words(netlist))]
    return [(word.drop, word.width) for word in words if isinstance(word.cell, AddSub)]


def views(netlist: Netlist) -> int:
    return sum(isinstance(netlist.words[index].cell, View) for index in live_words(netlist))


def test_middle_bits_of_a_sum() -> None:
    builder, (a, b), fields = build([(-(1 << 18), (1 << 18) - 1)] * 2)
    middle = builder.low(builder.drop(builder.add(a, b), 4), 12, signed=True)
    before = outputs(builder, fields, middle)
    after = reduce_widths(before)
    assert (sums(before), views(before)) == ([(0, 20)], 1)
    assert (sums(after), views(after)) == ([(4, 12)], 0)
    assert [word.width for word in after.words] == [16, 16, 12]
    for x, y in [(5, -9), (12345, 99999), (-(1 << 18), -(1 << 18))]:
        assert evaluate(before, [x, y]) == evaluate(after, [x, y])


def test_low_bits_that_pass_an_adder_are_not_added() -> None:
    builder, (a, b), fields = build([(-128, 127)] * 2)
    result = builder.drop(builder.add(a, WordRef(b.word, 3)), 4)
    after = reduce_widths(outputs(builder, fields, result))
    assert sums(after) == [(1, 8)]
    for x, y in [(-128, -128), (127, 127), (5, -77)]:
        assert evaluate(after, [x, y]) == [(x + 8 * y) >> 4]


def test_low_bits_of_a_minuend_pass_and_those_of_a_subtrahend_do_not() -> None:
    for swapped, want in ((False, [(0, 9)]), (True, [(3, 9)])):
        builder, (a, b), fields = build([(-128, 127)] * 2)
        shifted = WordRef(b.word, 3)
        difference = builder.sub(shifted, a) if swapped else builder.sub(a, shifted)
        after = reduce_widths(outputs(builder, fields, builder.drop(difference, 3)))
        assert sums(after) == want
        for x, y in [(-128, 127), (3, -1), (-1, 0)]:
            value = 8 * y - x if swapped else x - 8 * y
            assert evaluate(after, [x, y]) == [value >> 3]


def test_bits_pass_on_both_sides_in_turn() -> None:
    # Below 2a the constant's last bit passes; the -2 that is left of it lets a bit of a pass.
    builder, (a,), fields = build([(-128, 127)])
    result = builder.drop(builder.add_constant(WordRef(a.word, 1), -3), 2)
    after = reduce_widths(outputs(builder, fields, result))
    assert [drop for drop, _ in sums(after)] == [0]
    for x in (-128, -1, 0, 1, 127):
        assert evaluate(after, [x]) == [(2 * x - 3) >> 2]


def test_wrapped_products_and_tables_are_cut() -> None:
    builder, (a, b), fields = build([(-128, 127)] * 2)
    product = builder.low(builder.mul(a, b), 8, signed=True)
    table = builder.low(builder.drop(builder.rom(a, -128, tuple(k * k for k in range(-128, 128))), 2), 6, signed=False)
    after = reduce_widths(outputs(builder, fields, product, table))
    assert max(word.width for word in after.words) == 8
    for x, y in [(-128, 127), (99, 3), (-1, -1)]:
        wrapped = (x * y + 128) % 256 - 128
        assert evaluate(after, [x, y]) == [wrapped, (x * x >> 2) % 64]


def test_dead_words_go() -> None:
    builder, (a, b), fields = build([(-8, 7)] * 2)
    builder.add(a, b)
    after = reduce_widths(outputs(builder, fields, builder.neg(a)))
    assert len(after.words) == 3  # a, 0, 0 - a


def test_rounding_adds_above_the_dropped_bits_only() -> None:
    builder, (a,), fields = build([(-128, 127)])
    result = cast(builder, a, Conversion(4, -8, 8, Rounding.RND, Overflow.SAT))
    after = reduce_widths(outputs(builder, fields, result))
    assert sums(after) == [(1, 5)]
    for x in range(-128, 128):
        assert evaluate(after, [x]) == [(x + 8) >> 4]
