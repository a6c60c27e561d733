"""Tables without bits that values of the inputs cannot tell apart; the outputs stay what they were."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.netlist.drop_unread_bits import drop_unread_bits
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.netlist import Comparator, Netlist, RomRead, live_words
from bitsmith.netlist.reduce_widths import reduce_widths
from tests.netlist.check import check
from tests.netlist.evaluate import evaluate
from tests.netlist.reading import parse
from tests.properties import few

RELATIONS = (Relation.LT, Relation.LE, Relation.GE, Relation.GT, Relation.EQ)


def cells(netlist: Netlist, kind: type) -> int:
    return sum(isinstance(netlist.words[index].cell, kind) for index in live_words(netlist))


START = """\
input x[0]: 0..15 frac 0
input x[1]: 0..1 frac 0
table 4[{entries}]
origin "" x
%0: 0..15 = port 0
%1: 0..1 = port 1
%2: 5..5 = literal 5
%3: 9..9 = literal 9
%4: 0..1 = ge %0 %2
%5: 0..1 = {second}
%6: 0..3 = add %4 %5<<1
%7: 0..1 = rom %6 0 0
output y[0]: 0..1 frac 0 = %7
"""

CASES = {
    # Addresses 0, 1 and 3 occur.
    "above both": ("0 0 1 1", "ge %0 %3", 1),
    "the lower one": ("0 1 0 1", "ge %0 %3", 1),
    "between both": ("0 1 0 0", "ge %0 %3", 2),
    "a value that does not occur": ("0 0 1 0", "ge %0 %3", 0),
    # 1 and 2 and 3: above 5, below 9.
    "below": ("0 1 1 0", "lt %0 %3", 2),
    "one of both always": ("0 1 1 1", "lt %0 %3", 0),
    "of two words": ("0 0 1 0", "view %1", 1),
    "a constant is greater": ("0 0 1 1", "lt %3 %0", 1),
    "a constant on both sides": ("0 1 0 0", "lt %2 %0", 2),
}


@pytest.mark.parametrize("name", CASES)
def test_two_comparisons(name: str) -> None:
    entries, second, comparators = CASES[name]
    netlist = parse(START.format(entries=entries, second=second))
    after = drop_unread_bits(netlist)
    check(after)
    inputs = list(itertools.product(range(16), range(2)))
    assert [evaluate(after, each) for each in inputs] == [evaluate(netlist, each) for each in inputs]
    assert cells(after, Comparator) == comparators


def random_tables(seed: int) -> Program:
    """Tables of bits of comparisons with constants, and of tables of these."""
    rng = np.random.default_rng(seed)
    builder = ProgramBuilder()
    x = builder.input("x", (3,), FixedFormat(bool(seed % 2), 3, 1, Rounding.RND, Overflow.SAT))
    with builder.layer("tables"):
        words = [builder.slice(x, (k,), (k + 1,)) for k in range(3)]
        bits = [compared(builder, words[int(rng.integers(3))], rng) for _ in range(6)]
        for _ in range(4):
            chosen = [bits[k] for k in rng.permutation(len(bits))[: int(rng.integers(2, 6))]]
            address = chosen[0]
            for place, bit in enumerate(chosen[1:], 1):
                address = builder.add(address, builder.shift(bit, place))
            bits.append(builder.table(address, 0, rng.integers(0, 2, 1 << len(chosen)), 0))
    return builder.program([("y", builder.concat(bits[6:], 0))])


def compared(builder: ProgramBuilder, x: Value, rng: np.random.Generator) -> Value:
    relation, bound = RELATIONS[int(rng.integers(len(RELATIONS)))], builder.const([int(rng.integers(-9, 9))], 1)
    return builder.compare(x, relation, bound) if rng.integers(2) else builder.compare(bound, relation, x)


@few("seed", range(200), fast=20, judged=True)
def test_random_tables(seed: int) -> None:
    netlist = reduce_widths(elaborate(random_tables(seed)))
    after = drop_unread_bits(netlist)
    check(after)
    ranges = [range(field.lo, field.hi + 1) for field in netlist.inputs]
    for inputs in itertools.product(*ranges):
        assert evaluate(after, inputs) == evaluate(netlist, inputs)
    assert cells(after, Comparator) <= cells(netlist, Comparator)
    assert cells(after, RomRead) <= cells(netlist, RomRead)


def test_random_tables_are_reduced() -> None:
    before, after = 0, 0
    for seed in range(20):
        netlist = reduce_widths(elaborate(random_tables(seed)))
        before, after = before + cells(netlist, Comparator), after + cells(drop_unread_bits(netlist), Comparator)
    assert after < before
