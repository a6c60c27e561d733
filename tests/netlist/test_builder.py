"""Every request to the builder means what it says, whatever it is simplified to."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.ir.ops import Relation
from bitsmith.netlist.builder import NetlistBuilder
from bitsmith.netlist.netlist import (
    AddSub,
    Comparator,
    Field,
    InputPort,
    Literal,
    Mux,
    Netlist,
    RomRead,
    View,
    WordOrigin,
    WordRef,
    live_words,
)
from tests.netlist.evaluate import evaluate

RANGES = [(0, 1), (-1, 0), (-4, 3), (0, 5), (-7, 2), (2, 6)]
RELATIONS: dict[Relation, Callable[[int, int], bool]] = {
    Relation.LT: operator.lt,
    Relation.LE: operator.le,
    Relation.EQ: operator.eq,
    Relation.NE: operator.ne,
    Relation.GE: operator.ge,
    Relation.GT: operator.gt,
}


def start(*ranges: tuple[int, int]) -> tuple[NetlistBuilder, list[WordRef], list[Field]]:
    """A builder with a port per range."""
    builder = NetlistBuilder()
    builder.enter(WordOrigin("", "x"))
    fields = [Field("x", k, lo, hi, 0) for k, (lo, hi) in enumerate(ranges)]
    return builder, [builder.port(k, f.lo, f.hi) for k, f in enumerate(fields)], fields


def finish(builder: NetlistBuilder, fields: list[Field], result: WordRef) -> Netlist:
    return builder.netlist(fields, [Field("y", 0, builder.lo(result), builder.hi(result), 0)], [result])


def cells(netlist: Netlist) -> list[type]:
    """Kinds of the live words, ports left out."""
    kinds = [type(netlist.words[index].cell) for index in sorted(live_words(netlist))]
    return [kind for kind in kinds if kind not in (InputPort, Literal)]


def assert_computes(builder: NetlistBuilder, fields: list[Field], result: WordRef, meaning: Callable[..., int]) -> None:
    """``result`` equals ``meaning`` for all inputs and stays within its interval."""
    netlist = finish(builder, fields, result)
    for inputs in itertools.product(*(range(f.lo, f.hi + 1) for f in fields)):
        (value,) = evaluate(netlist, inputs)
        assert value == meaning(*inputs), inputs
        assert builder.lo(result) <= value <= builder.hi(result)


@pytest.mark.parametrize("shift_x", [0, 2])
@pytest.mark.parametrize("shift_y", [0, 1])
def test_two_operands(shift_x: int, shift_y: int) -> None:
    operations: dict[str, Callable[[int, int], int]] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "max": max,
        "min": min,
    }
    for range_x, range_y in itertools.product(RANGES, repeat=2):
        for name, meaning in operations.items():
            builder, (x, y), fields = start(range_x, range_y)
            result = getattr(builder, name)(WordRef(x.word, shift_x), WordRef(y.word, shift_y))
            assert_computes(builder, fields, result, lambda a, b, f=meaning: f(a << shift_x, b << shift_y))


@pytest.mark.parametrize("relation", Relation)
@pytest.mark.parametrize("shift", [0, 2])
def test_comparisons(relation: Relation, shift: int) -> None:
    holds = RELATIONS[relation]
    for range_x, range_y in itertools.product(RANGES, repeat=2):
        builder, (x, y), fields = start(range_x, range_y)
        result = builder.compare(WordRef(x.word, shift), relation, y)
        assert_computes(builder, fields, result, lambda a, b: int(holds(a << shift, b)))
    for range_x in RANGES:
        for constant in range(-9, 10):
            builder, (x,), fields = start(range_x)
            right = builder.compare(WordRef(x.word, shift), relation, builder.constant(constant))
            assert_computes(builder, fields, right, lambda a, c=constant: int(holds(a << shift, c)))
            left = builder.compare(builder.constant(constant), relation, WordRef(x.word, shift))
            assert_computes(builder, fields, left, lambda a, c=constant: int(holds(c, a << shift)))
            words = finish(builder, fields, left).words
            compared = [word.cell.a for word in words if isinstance(word.cell, Comparator)]
            assert not any(isinstance(words[ref.word].cell, Literal) for ref in compared), "a constant is on the right"


@pytest.mark.parametrize("bits", [1, 3, 8])
@pytest.mark.parametrize("relation", [Relation.GE, Relation.LT])
def test_the_upper_half_of_natural_numbers_is_their_highest_bit(bits: int, relation: Relation) -> None:
    for half, most in ((1 << bits - 1, (1 << bits) - 1), (1 << bits, (1 << bits) + 1)):
        builder, (x,), fields = start((0, most))
        result = builder.compare(x, relation, builder.constant(half))
        assert_computes(builder, fields, result, lambda a, h=half: int(RELATIONS[relation](a, h)))
        compared = [kind for kind in cells(finish(builder, fields, result)) if kind is Comparator]
        assert len(compared) == (relation is Relation.LT)


def test_choices() -> None:
    for range_c in RANGES:
        for true, false in [(0, 0), (1, 0), (0, 1), (4, 0), (6, -3)]:
            builder, (c,), fields = start(range_c)
            result = builder.select(c, builder.constant(true), builder.constant(false))
            assert_computes(builder, fields, result, lambda v, t=true, f=false: t if v else f)
        builder, (c, x), fields = start(range_c, (-3, 4))
        inverted = builder.compare(c, Relation.GE, builder.constant(1))
        result = builder.select(inverted, builder.neg(x), WordRef(x.word, 1))
        assert_computes(builder, fields, result, lambda v, a: -a if v >= 1 else 2 * a)


def test_one_operand() -> None:
    for range_x in RANGES:
        for amount in range(5):
            builder, (x,), fields = start(range_x)
            assert_computes(builder, fields, builder.drop(WordRef(x.word, 1), amount), lambda a, n=amount: (2 * a) >> n)
            doubled = builder.drop(builder.drop(x, amount), 1)
            assert_computes(builder, fields, doubled, lambda a, n=amount: a >> n >> 1)
            assert_computes(builder, fields, builder.scale(x, 2 * amount - 5), lambda a, n=amount: a * (2 * n - 5))
            assert_computes(builder, fields, builder.bit(x, amount), lambda a, n=amount: (a >> n) & 1)
        builder, (x,), fields = start(range_x)
        assert_computes(builder, fields, builder.abs(x), abs)
        assert_computes(builder, fields, builder.neg(x), operator.neg)


@pytest.mark.parametrize("signed", [False, True])
def test_low_bits(signed: bool) -> None:
    def wrapped(value: int, bits: int) -> int:
        value &= (1 << bits) - 1
        return value - (1 << bits) if signed and value >> (bits - 1) else value

    for range_x, bits, shift, drop in itertools.product(RANGES, range(1, 6), range(2), range(2)):
        builder, (x,), fields = start(range_x)
        result = builder.low(builder.drop(WordRef(x.word, shift), drop), bits, signed)
        assert_computes(builder, fields, result, lambda a, n=bits, s=shift, d=drop: wrapped((a << s) >> d, n))


def test_a_sign_beyond_the_bits_of_a_view() -> None:
    builder, (x,), fields = start((-64, 63))
    middle = builder.low(builder.drop(x, 1), 3, signed=True)
    for amount in range(6):
        result = builder.drop(middle, amount)
        assert_computes(builder, fields, result, lambda a, n=amount: (((a >> 1) + 4) % 8 - 4) >> n)


def test_tables_keep_only_what_the_address_reaches() -> None:
    builder, (x,), fields = start((-2, 3))
    values = tuple(8 * (k * k - 9) for k in range(-8, 8))
    result = builder.rom(x, -8, values)
    assert_computes(builder, fields, result, lambda a: 8 * (a * a - 9))
    (table,) = finish(builder, fields, result).tables
    assert table == tuple(k * k - 9 for k in range(-2, 4)) and result.shift == 3
    assert builder.rom(x, -8, tuple(4 * k for k in range(-8, 8))) == WordRef(x.word, 2)
    assert builder.value(builder.rom(x, -8, (5,) * 16)) == 5


def test_the_bits_that_tell_addresses_apart_are_the_address() -> None:
    builder, (x,), fields = start((-3, 2**16 - 4))
    values = tuple((k * k) % 1009 for k in range(-3, 2**16 - 3))
    result = builder.rom(x, -3, values)
    rom = finish(builder, fields, result)
    (cell,) = (word.cell for word in rom.words if isinstance(word.cell, RomRead))
    assert rom.words[cell.address].width == 16 and len(rom.tables[cell.table]) == 2**16 and cell.first == 0
    for value in (-3, -1, 0, 77, 2**15, 2**16 - 4):
        assert evaluate(rom, [value]) == [values[value + 3]]


def test_what_is_known_is_not_computed() -> None:
    builder, (x, y), fields = start((-4, 3), (0, 7))
    zero = builder.constant(0)
    assert builder.add(x, zero) == x and builder.mul(x, builder.constant(4)) == WordRef(x.word, 2)
    assert builder.mul(x, zero) == zero == builder.sub(x, x)
    assert builder.value(builder.compare(x, Relation.LT, WordRef(y.word, 3))) is None
    assert builder.value(builder.compare(x, Relation.LT, builder.constant(4))) == 1
    assert builder.max(x, builder.constant(-4)) == x and builder.max(y, zero) == y
    assert builder.add(x, y) == builder.add(y, x) and builder.sub(x, builder.neg(y)) == builder.add(x, y)
    biased = builder.add_constant(builder.add_constant(x, 3), 5)
    assert cells(finish(builder, fields, biased)) == [AddSub]
    assert builder.add_constant(biased, -8) == x
    assert cells(finish(builder, fields, builder.max(x, zero))) == [View, Mux]
    assert cells(finish(builder, fields, builder.below(x, 2))) == [View, Comparator]


def test_narrowing_to_one_value_gives_a_constant() -> None:
    builder, (x,), _ = start((-4, 3))
    assert builder.value(builder.narrow(WordRef(x.word, 1), 6, 9)) == 6
    assert builder.narrow(x, -2, 9) == x and (builder.lo(x), builder.hi(x)) == (-2, 3)


def test_rectifiers_are_recognised() -> None:
    builder, (x, y), _ = start((-4, 3), (0, 7))
    wide = builder.sub(WordRef(x.word, 1), y)
    assert builder.rectified(builder.max(wide, builder.constant(0))) == wide
    assert builder.rectified(builder.max(wide, builder.constant(1))) is None
    assert builder.rectified(builder.select(builder.below(x, 0), builder.constant(0), y)) is None


@settings(max_examples=60)
@given(st.data())
def test_sums_of_few_words_in_any_order(data: st.DataObject) -> None:
    builder, ports, fields = start((-3, 2), (0, 3))
    known: list[tuple[WordRef, tuple[int, int, int]]] = [
        (ports[0], (1, 0, 0)),
        (ports[1], (0, 1, 0)),
        (builder.constant(3), (0, 0, 3)),
        (builder.constant(-4), (0, 0, -4)),
    ]
    for _ in range(data.draw(st.integers(1, 8))):
        (x, a), (y, b) = (data.draw(st.sampled_from(known)) for _ in range(2))
        shift, minus = data.draw(st.integers(0, 2)), data.draw(st.booleans())
        sign = -1 if minus else 1
        made = (builder.sub if minus else builder.add)(x, WordRef(y.word, y.shift + shift))
        known.append(
            (made, (a[0] + sign * (b[0] << shift), a[1] + sign * (b[1] << shift), a[2] + sign * (b[2] << shift)))
        )
    for result, (p, q, r) in known:
        assert_computes(builder, fields, result, lambda a, b, p=p, q=q, r=r: p * a + q * b + r)


def test_a_sum_of_two_negated_words_is_negated() -> None:
    builder, (x, y), fields = start((-3, 2), (0, 3))
    assert_computes(builder, fields, builder.add(builder.neg(x), builder.neg(y)), lambda a, b: -a - b)


def test_constants_are_odd() -> None:
    builder = NetlistBuilder()
    for value in range(-9, 10):
        ref = builder.constant(value)
        assert builder.value(ref) == value
    words = builder.netlist([], [], []).words
    assert all(isinstance(w.cell, Literal) and (w.cell.value % 2 or w.cell.value == 0) for w in words)
