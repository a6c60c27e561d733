"""Bits that nothing reads are not computed; the outputs stay what they were."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.ir.types import Overflow, Rounding
from bitsmith.netlist.builder import NetlistBuilder
from bitsmith.netlist.casts import Conversion, cast
from bitsmith.netlist.netlist import AddSub, Field, Literal, Netlist, WordOrigin, WordRef, live_words
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.text import to_text
from tests.netlist.check import check
from tests.netlist.evaluate import evaluate
from tests.netlist.reading import parse


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


INPUTS = """\
input x[0]: -128..127 frac 0
input x[1]: -128..127 frac 0
origin "" x
"""

PORTS = """\
%0: -128..127 = port 0
%1: -128..127 = port 1
"""

CASES = {
    "middle bits of a sum": (
        PORTS
        + """\
%2: -256..254 = add %0 %1
%3: -8..7 = view %2 >> 2
output y[0]: -8..7 frac 0 = %3
""",
        """\
%0: -32..31 = port 0
%1: -32..31 = port 1
%2: -8..7 = add %0 %1 >> 2
output y[0]: -8..7 frac 0 = %2
""",
    ),
    "low bits that pass an adder are not added": (
        PORTS
        + """\
%2: -1152..1143 = add %0 %1<<3
%3: -72..71 = view %2 >> 4
output y[0]: -72..71 frac 0 = %3
""",
        """\
%0: -16..15 = port 0 >> 3
%1: -128..127 = port 1
%2: -72..71 = add %0 %1 >> 1
output y[0]: -72..71 frac 0 = %2
""",
    ),
    "low bits of a minuend pass": (
        PORTS
        + """\
%2: -1144..1151 = sub %0 %1<<3
%3: -143..143 = view %2 >> 3
output y[0]: -143..143 frac 0 = %3
""",
        """\
%0: -16..15 = port 0 >> 3
%1: -128..127 = port 1
%2: -143..143 = sub %0 %1
output y[0]: -143..143 frac 0 = %2
""",
    ),
    "those of a subtrahend do not": (
        PORTS
        + """\
%2: -1151..1144 = sub %1<<3 %0
%3: -144..143 = view %2 >> 3
output y[0]: -144..143 frac 0 = %3
""",
        PORTS
        + """\
%2: -144..143 = sub %1<<3 %0 >> 3
output y[0]: -144..143 frac 0 = %2
""",
    ),
    "bits pass on both sides in turn": (  # below 2a the last bit of -3 passes; the -2 that is left lets a bit of a pass
        """\
%0: -128..127 = port 0
%1: -3..-3 = literal -3
%2: -259..251 = add %0<<1 %1
%3: -65..62 = view %2 >> 2
output y[0]: -65..62 frac 0 = %3
""",
        """\
%0: -128..127 = port 0
%1: -3..-3 = literal -3
%2: -1..-1 = literal -1
%3: -64..63 = view %0 >> 1
%4: -65..62 = add %3 %2
output y[0]: -65..62 frac 0 = %4
""",
    ),
    "above a signed operand its sign is read": (
        PORTS
        + """\
%2: -256..254 = add %0 %1
%3: 345..345 = literal 345
%4: 353024..353534 = add %2 %3<<10
%5: 344..345 = view %4 >> 10
output y[0]: 344..345 frac 0 = %5
""",
        PORTS
        + """\
%2: -1..0 = add %0 %1 >> 8
%3: 345..345 = literal 345
%4: 344..345 = add %2 %3
output y[0]: 344..345 frac 0 = %4
""",
    ),
    "dead words go": (
        PORTS
        + """\
%2: -256..254 = add %0 %1
%3: 0..0 = literal 0
%4: -127..128 = sub %3 %0
output y[0]: -127..128 frac 0 = %4
""",
        """\
%0: -128..127 = port 0
%1: 0..0 = literal 0
%2: -127..128 = sub %1 %0
output y[0]: -127..128 frac 0 = %2
""",
    ),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_only_what_is_read_is_computed(before: str, after: str) -> None:
    netlist = parse(INPUTS + before)
    reduced = reduce_widths(netlist)
    assert to_text(reduced) == INPUTS + after
    for inputs in itertools.product((-128, -77, -9, -1, 0, 5, 64, 127), repeat=2):
        assert evaluate(reduced, inputs) == evaluate(netlist, inputs)


def test_wrapped_products_and_tables_are_cut() -> None:
    builder, (a, b), fields = build([(-128, 127)] * 2)
    product = builder.low(builder.mul(a, b), 8, signed=True)
    table = builder.low(builder.drop(builder.rom(a, -128, tuple(k * k for k in range(-128, 128))), 2), 6, signed=False)
    after = reduce_widths(outputs(builder, fields, product, table))
    assert max(word.width for word in after.words) == 8
    for x, y in [(-128, 127), (99, 3), (-1, -1)]:
        wrapped = (x * y + 128) % 256 - 128
        assert evaluate(after, [x, y]) == [wrapped, (x * x >> 2) % 64]


def test_rounding_adds_above_the_dropped_bits_only() -> None:
    builder, (a,), fields = build([(-128, 127)])
    result = cast(builder, a, Conversion(4, -8, 8, Rounding.RND, Overflow.SAT))
    after = reduce_widths(outputs(builder, fields, result))
    assert sums(after) == [(1, 5)]
    for x in range(-128, 128):
        assert evaluate(after, [x]) == [(x + 8) >> 4]


def bits(netlist: Netlist) -> int:
    """All bits that are computed."""
    words = (netlist.words[index] for index in live_words(netlist))
    return sum(word.width for word in words if not isinstance(word.cell, Literal))


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_words_have_the_bits_that_are_read_and_intervals_hold_their_values(rng: random.Random) -> None:
    """Of sums, products, choices, tables and parts of those; once more, no bit goes."""
    ranges = [rng.choice([(-8, 7), (0, 15), (-3, 9), (0, 1), (-16, -2)]) for _ in range(3)]
    builder, values, fields = build(ranges)
    values += [builder.constant(rng.choice([0, 1, -3, 12, 40]))]
    for _ in range(rng.randint(2, 9)):
        x, y = (WordRef(each.word, each.shift + rng.choice([0, 0, 1, 3])) for each in rng.choices(values, k=2))
        match rng.randrange(7):
            case 0:
                made = builder.add(x, y)
            case 1:
                made = builder.sub(x, y)
            case 2:
                made = builder.mul(x, y)
            case 3:
                made = builder.select(builder.below(x, rng.randint(-4, 9)), x, y)
            case 4:
                made = builder.drop(x, rng.randint(0, 3))
            case 5:
                made = builder.low(x, rng.randint(1, 6), signed=rng.random() < 0.5)
            case _:
                x = builder.low(x, rng.randint(1, 4), signed=rng.random() < 0.5)
                lo, hi = builder.lo(x), builder.hi(x)
                made = builder.rom(x, lo, tuple(rng.randint(-9, 40) for _ in range(lo, hi + 1)))
        if builder.hi(made) - builder.lo(made) < 1 << 40:
            values.append(made)
    before = outputs(builder, fields, *rng.choices(values, k=2))
    after = reduce_widths(before)
    check(after)
    assert bits(reduce_widths(after)) == bits(after)
    live = sorted(live_words(after))
    every = replace(after, results=tuple(map(WordRef, live)), outputs=(after.outputs[0],) * len(live))
    for inputs in ([rng.randint(*ends) for ends in ranges] for _ in range(30)):
        assert evaluate(after, inputs) == evaluate(before, inputs)
        for index, value in zip(live, evaluate(every, inputs), strict=True):
            assert after.words[index].lo <= value <= after.words[index].hi
