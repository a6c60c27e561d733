"""Estimates of small unrolled circuits are near what Yosys made of the same netlists."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40
from bitsmith.devices.intel import CYCLONE_V
from bitsmith.devices.nexus import NEXUS
from bitsmith.devices.xilinx import ULTRASCALE_PLUS, XILINX_7
from bitsmith.estimate.size import estimate_layout
from bitsmith.estimate.unrolled import size_of
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Compare, Relation, Select
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.mapping.directives import Directives
from bitsmith.netlist import native
from bitsmith.netlist.pipelined import pipelined
from tests.netlist.checks import compiled, dense_program
from tests.properties import judged

UNROLLED = Directives({}, parallel=True)


def perceptron(sizes: tuple[int, ...], weight_bits: int, bits: int, zeros: float) -> Program:
    """Dense layers with biases and rectifiers, random weights of which a share are ``zeros``."""
    rng = np.random.default_rng(0)
    builder = ProgramBuilder()
    x = builder.input("x", sizes[:1], FixedFormat(True, bits, 2, Rounding.RND, Overflow.SAT))
    largest = 2 ** (weight_bits - 1) - 1
    for k, (n, m) in enumerate(pairwise(sizes)):
        weights = np.clip(np.rint(rng.normal(0.0, largest / 2.5, (n, m))), -largest, largest).astype(np.int64)
        weights[rng.random((n, m)) < zeros] = 0
        x = builder.linear(x, weights, weight_bits)
        x = builder.add(x, builder.const(rng.integers(-largest, largest, m), 6))
        if k + 2 < len(sizes):
            x = builder.max(x, builder.const(0))
            x = builder.cast(x, FixedFormat(False, bits, 3, Rounding.RND, Overflow.SAT))
    return builder.program([("y", x)])


MEASURED = [
    (((8, 8, 4), 4, 4, 0.5), ULTRASCALE_PLUS, 167, 60),
    (((8, 8, 4), 4, 4, 0.5), ECP5, 371, 156),
    (((16, 16, 5), 3, 4, 0.0), ULTRASCALE_PLUS, 665, 111),
    (((16, 16, 5), 3, 4, 0.0), ECP5, 1216, 387),
    (((10, 20, 5), 6, 8, 0.9), ULTRASCALE_PLUS, 23, 12),
    (((10, 20, 5), 6, 8, 0.9), ECP5, 33, 17),
    (((16, 64, 32, 5), 2, 6, 0.5), ECP5, 1016, 390),
    (((16, 32, 16, 5), 4, 5, 0.75), ECP5, 1038, 357),
    (((12, 6), 8, 8, 0.0), ULTRASCALE_PLUS, 737, 249),
    (((12, 6), 8, 8, 0.0), ECP5, 1248, 400),
    (((16, 16, 5), 3, 4, 0.0), CYCLONE_V, 820, 235),
    (((12, 6), 8, 8, 0.0), CYCLONE_V, 818, 445),
]
"""Networks, and look-up tables and flip-flops after synthesis for the family's usual clock."""


@compiled
@pytest.mark.parametrize(("network", "family", "lut", "ff"), MEASURED, ids=str)
def test_small_networks(network: tuple[tuple[int, ...], int, int, float], family: Family, lut: int, ff: int) -> None:
    size = estimate_layout(perceptron(*network), UNROLLED, family)
    assert size.lut == pytest.approx(lut, rel=0.1)
    assert size.ff == pytest.approx(ff, rel=0.1)
    assert (size.dsp, size.bram) == (0, 0)


def test_a_faster_clock_takes_more_registers() -> None:
    program = dense_program([16, 16, 5], 6, 6, 0.3)
    slow, fast = (estimate_layout(program, UNROLLED, ECP5, budget) for budget in (20.0, 4.0))
    assert fast.ff > 2 * slow.ff and fast.lut < 1.2 * slow.lut


@pytest.mark.parametrize(("sizes", "bits"), [((16, 16, 5), 4), judged((64, 32), 8)])
def test_estimates_without_the_native_solver_are_quick(
    sizes: tuple[int, ...], bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = perceptron(sizes, bits, bits, 0.0)
    expected = estimate_layout(program, UNROLLED, ULTRASCALE_PLUS).lut
    monkeypatch.setattr(native, "SOLVE", None)
    start = time.process_time()
    assert estimate_layout(program, UNROLLED, ULTRASCALE_PLUS).lut == pytest.approx(expected, rel=0.25)
    assert time.process_time() - start < 2  # 0.1 s on an idle machine


def test_a_netlist_that_was_estimated_is_written() -> None:
    program = perceptron((8, 8, 4), 4, 4, 0.5)
    estimate_layout(program, UNROLLED, ECP5, 6.0)
    made = pipelined(program, ECP5.delays, 6.0, replace(UNROLLED, block=ECP5.area.block).block_layers)
    assert pipelined(perceptron((8, 8, 4), 4, 4, 0.5), ECP5.delays, 6.0)[0] is made[0]


@pytest.mark.parametrize("family", [ULTRASCALE_PLUS, ECP5, CYCLONE_V])
def test_comparisons_of_one_word_with_constants_share_by_their_number(family: Family) -> None:
    def luts(bits: int, number: int) -> float:
        builder = ProgramBuilder()
        x = builder.input("x", (1,), FixedFormat(False, bits, 0))
        limits = np.random.default_rng(0).choice(np.arange(9, (1 << bits) - 9, 2), number, replace=False)
        return luts_of(builder, builder.apply(Compare(Relation.LT), x, builder.const(limits, 0)), family)

    comparisons = family.area.comparisons
    assert luts(12, 200) == pytest.approx(comparisons(200, 12), rel=0.1)
    assert luts(12, 200) / luts(12, 50) == pytest.approx(comparisons(200, 12) / comparisons(50, 12), rel=0.02)
    assert luts(20, 100) / luts(10, 100) == pytest.approx(comparisons(100, 20) / comparisons(100, 10), rel=0.02)


@pytest.mark.parametrize("family", [XILINX_7, ICE40])
def test_comparisons_with_constants_are_about_those_of_yosys(family: Family) -> None:
    """Look-up tables that Yosys makes of so many thresholds of a word of so many bits."""
    made = {
        "xc7": {(1, 16): 5, (7, 16): 26, (31, 16): 104, (100, 16): 248, (7, 32): 65},
        "ice40": {(1, 16): 7, (7, 16): 41, (31, 16): 136, (7, 8): 12, (31, 8): 49},
    }
    for (number, width), luts in made[family.name].items():
        assert family.area.comparisons(number, width) == pytest.approx(luts, rel=0.17)


@pytest.mark.parametrize("shift", [0, 1, 3, 6])
@pytest.mark.parametrize("widths", [(4, 8), (8, 4), (6, 6), (12, 9)])
def test_sums_and_comparisons_take_tables_where_both_operands_have_bits(widths: tuple[int, int], shift: int) -> None:
    """Of unsigned numbers at different binary points: chains of AMD take none below or above the shorter one."""
    builder = ProgramBuilder()
    x, y = (
        builder.input(name, (1,), FixedFormat(False, width, width - frac))
        for name, width, frac in (("x", widths[0], 0), ("y", widths[1], shift))
    )
    added, compared = builder.add(x, y), builder.apply(Compare(Relation.LT), x, y)
    both = set(range(shift, shift + widths[0])) & set(range(widths[1]))
    longest = max(shift + widths[0], widths[1])

    if len(both) >= 3:  # shorter sums have no chain
        assert luts_of(builder, added, XILINX_7) == len(both)
    for family in (XILINX_7, ECP5):
        assert luts_of(builder, compared, family) == round(family.area.comparator(longest))


def luts_of(builder: ProgramBuilder, z: Value, family: Family) -> int:
    return size_of(*pipelined(builder.program([("z", z)]), family.delays, 100.0), family).lut


@pytest.mark.parametrize("family", [XILINX_7, ULTRASCALE_PLUS, ECP5], ids=lambda family: family.name)
def test_bits_of_a_sum_that_nothing_reads_still_carry(family: Family) -> None:
    builder = ProgramBuilder()
    x, y = (builder.input(name, (1,), FixedFormat(True, 8, 4)) for name in "xy")
    added = builder.add(x, y)
    found = {luts_of(builder, builder.cast(added, FixedFormat(True, 9 - k, 4 - k)), family) for k in range(5)}
    assert found == {luts_of(builder, added, family)}


@pytest.mark.parametrize("family", [XILINX_7, ULTRASCALE_PLUS, ECP5], ids=lambda family: family.name)
def test_a_choice_of_zero_is_the_reset_of_a_register_if_it_is_the_first(family: Family) -> None:
    """Yosys makes 0 and 8 tables of these for registers with a reset."""
    builder = ProgramBuilder()
    first, second = (builder.input(name, (1,), FixedFormat(False, 1, 0)) for name in "cd")
    x, y = (builder.input(name, (1,), FixedFormat(True, 8, 4)) for name in "xy")
    for chosen, luts in ((x, 0), (builder.apply(Select(), second, x, y), 8)):
        assert luts_of(builder, builder.apply(Select(), first, chosen, builder.const([0], 4)), family) == luts


@pytest.mark.parametrize("family", [ECP5, CYCLONE_V, NEXUS], ids=lambda family: family.name)
def test_differences_take_the_tables_that_the_family_says_beside_those_of_sums(family: Family) -> None:
    builder = ProgramBuilder()
    x, y = (builder.input(name, (1,), FixedFormat(True, 8, 4)) for name in "xy")
    for z, more in ((builder.add(x, y), 0), (builder.sub(x, y), family.area.subtraction_luts)):
        step = family.area.carry_bits
        assert luts_of(builder, z, family) == -(-(9 + more) // step) * step + family.area.chain_luts


def test_bits_that_are_subtracted_are_inverted_once_for_all() -> None:
    """Yosys makes 9, 17, and 26 cells of these on iCE40: the carries take both operands as they are."""
    builder = ProgramBuilder()
    x, y, z = (builder.input(name, (1,), FixedFormat(True, 8, 4)) for name in "xyz")
    added, one, other = builder.add(x, y), builder.sub(x, y), builder.sub(z, y)
    assert luts_of(builder, added, ICE40) == 9
    assert luts_of(builder, one, ICE40) == 9 + 8
    assert luts_of(builder, builder.concat([one, other], 0), ICE40) == 9 + 8 + 9
    assert luts_of(builder, one, ECP5) == luts_of(builder, added, ECP5)


@pytest.mark.parametrize(("family", "luts"), [(ECP5, (3, 5, 11)), (ULTRASCALE_PLUS, (3, 5, 11))], ids=repr)
def test_equality_is_a_tree_of_pairs_of_bits(family: Family, luts: tuple[int, ...]) -> None:
    """Yosys makes 3, 5 and 11 look-up tables of four inputs of it, and 3, 5 and 9 of six."""
    for bits, expected in zip((4, 8, 16), luts, strict=True):
        builder = ProgramBuilder()
        x, y = (builder.input(name, (1,), FixedFormat(False, bits, 0)) for name in "xy")
        assert luts_of(builder, builder.apply(Compare(Relation.EQ), x, y), family) == expected


@pytest.mark.parametrize(("family", "luts"), [(ULTRASCALE_PLUS, (6, 11)), (NEXUS, (11, 19))], ids=repr)
def test_comparisons_of_variables_are_as_long_as_yosys_makes_them(family: Family, luts: tuple[int, ...]) -> None:
    for bits, expected in zip((8, 16), luts, strict=True):
        builder = ProgramBuilder()
        x, y = (builder.input(name, (1,), FixedFormat(False, bits, 0)) for name in "xy")
        assert luts_of(builder, builder.apply(Compare(Relation.LT), x, y), family) == expected


@pytest.mark.parametrize(
    ("bits", "family", "luts"), [(4, ULTRASCALE_PLUS, 64), (4, ECP5, 144), (6, ULTRASCALE_PLUS, 128)], ids=repr
)
def test_sums_hold_small_tables_of_an_operand(bits: int, family: Family, luts: int) -> None:
    """Of the first Yosys makes 65 look-up tables: one for each bit of the sums, as without tables."""
    builder = ProgramBuilder()
    x = builder.input("x", (8,), FixedFormat(False, bits, 0))
    y = builder.input("y", (8,), FixedFormat(False, 8, 0))
    table = builder.table(x, 0, np.random.default_rng(0).integers(0, 256, (8, 1 << bits)), 0)
    assert luts_of(builder, builder.add(y, table), family) == luts


@pytest.mark.parametrize(
    ("family", "luts"), [(ECP5, (2, 4, 6, 6)), (NEXUS, (2, 4, 6, 8)), (ICE40, (2, 3, 4, 5))], ids=repr
)
def test_short_sums_have_no_chain(family: Family, luts: tuple[int, ...]) -> None:
    """Yosys makes carry chains of Lattice's of five bits and more, of others' of three and more."""
    for bits, expected in zip(range(2, 6), luts, strict=True):
        builder = ProgramBuilder()
        x, y = (builder.input(name, (1,), FixedFormat(True, bits, bits)) for name in "xy")
        z = builder.cast(builder.add(x, y), FixedFormat(True, bits, bits))
        assert luts_of(builder, z, family) == expected


def test_chains_that_subtract_begin_with_one_cell() -> None:
    builder = ProgramBuilder()
    x, y, z = (builder.input(name, (1,), FixedFormat(True, 8, 4)) for name in "xyz")
    one, other = builder.sub(x, y), builder.sub(z, y)
    assert luts_of(builder, one, CYCLONE_V) == 9 + 1
    assert luts_of(builder, builder.concat([one, other], 0), CYCLONE_V) == 9 + 9 + 1


def test_a_chain_that_compares_with_a_constant_has_a_table_after_it_unless_a_reader_has_room() -> None:
    """Yosys makes 9 and 1 cells of Cyclone V of a comparison of 8 bits, and 10 and 6 of one of 9 bits and a choice of 6."""
    builder = ProgramBuilder()
    x = builder.input("x", (3,), FixedFormat(True, 14, 0))
    alone = builder.apply(Compare(Relation.GE), x, builder.const(np.array([5, -77, 19])))
    assert luts_of(builder, alone, CYCLONE_V) == 3 * (14 + 2)
    y, z = builder.input("y", (1,), FixedFormat(True, 14, 0)), builder.input("z", (1,), FixedFormat(True, 6, 0))
    above = builder.apply(Compare(Relation.GE), y, builder.const(np.array([21])))
    assert luts_of(builder, builder.apply(Select(), above, y, z), CYCLONE_V) == 14 + 1 + 14


def test_a_sum_of_three_of_two_bits_is_two_chains_where_these_are_so_short() -> None:
    """Yosys makes 4 cells of Cyclone V, and 2 look-up tables without carries of UltraScale+."""
    builder = ProgramBuilder()
    x, y, z = (builder.input(name, (1,), FixedFormat(False, 1, 0)) for name in "xyz")
    bits = builder.add(builder.add(x, y), z)
    assert [luts_of(builder, bits, family) for family in (CYCLONE_V, ULTRASCALE_PLUS)] == [4, 2]


@pytest.mark.parametrize("family", [ICE40, ECP5, CYCLONE_V, ULTRASCALE_PLUS], ids=repr)
def test_sums_of_operands_in_another_order_are_one(family: Family) -> None:
    builder = ProgramBuilder()
    x, y = (builder.input(name, (1,), FixedFormat(True, 8, 4)) for name in "xy")
    both = builder.concat([builder.add(x, y), builder.add(y, x)], 0)
    assert luts_of(builder, both, family) == luts_of(builder, builder.add(x, y), family)


@pytest.mark.parametrize(
    ("family", "luts"), [(XILINX_7, {(3, 1): 7, (4, 1): 9, (4, 0): 10}), (ICE40, {(3, 1): 10, (4, 1): 12})], ids=repr
)
def test_bits_of_sums_that_are_alike_are_one(family: Family, luts: dict[tuple[int, int], int]) -> None:
    """Yosys makes so many look-up tables of a sum of two tables of words that repeat so many bits and zeros three times."""
    for (bits, zeros), found in luts.items():
        rng, builder = np.random.default_rng(1), ProgramBuilder()
        x, y = (builder.input(name, (1,), FixedFormat(False, 4, 4)) for name in "xy")
        words = [rng.integers(0, 1 << bits, (1, 16)) * sum(1 << k * (bits + zeros) for k in range(3)) for _ in "xy"]
        added = builder.add(builder.table(x, 0, words[0], 0), builder.table(y, 0, words[1], 0))
        assert luts_of(builder, added, family) == pytest.approx(found, abs=2)


def test_carries_of_ice40_take_no_table_of_bits_that_nothing_reads() -> None:
    builder = ProgramBuilder()
    x, y = (builder.input(name, (1,), FixedFormat(True, 8, 4)) for name in "xy")
    found = [
        luts_of(builder, builder.cast(builder.add(x, y), FixedFormat(True, 9 - k, 4 - k)), ICE40) for k in range(4)
    ]
    assert found == [9, 8, 7, 6]


def test_tables_of_ice40_add_carries_to_bits_of_one_operand_but_for_the_last() -> None:
    """Yosys makes so many look-up tables of 8 bits and 4 unsigned ones, and of half of 8 bits and 1."""
    for signed, sum_luts, half_luts in ((False, 8, 7), (True, 9, 8)):
        builder = ProgramBuilder()
        x = builder.input("x", (1,), FixedFormat(signed, 8, 0))
        y = builder.input("y", (1,), FixedFormat(False, 4, 0))
        assert luts_of(builder, builder.add(x, y), ICE40) == sum_luts
        half = builder.cast(builder.add(x, builder.const(1)), FixedFormat(signed, 8, -1, Rounding.TRN))
        assert luts_of(builder, half, ICE40) == half_luts


@pytest.mark.parametrize(
    ("signed", "bits", "rounded", "summed"),
    [
        (False, 3, 11, 12),
        (False, 5, 10, 11),
        (False, 7, 9, 11),
        (True, 3, 16, 18),
        (True, 5, 17, 18),
        (True, 7, 17, 19),
    ],
)
def test_tables_of_ice40_choose_by_one_bit_between_a_limit_and_a_sum(
    signed: bool, bits: int, rounded: int, summed: int
) -> None:
    """Yosys makes so many of 9 bits that saturate to ``bits``: of half a number, and of a sum of two."""
    for luts, rounding, frac in ((rounded, Rounding.RND, 1), (summed, Rounding.TRN, 0)):
        builder = ProgramBuilder()
        z, y = (builder.input(name, (1,), FixedFormat(True, 9, frac)) for name in "xy")
        z = z if frac else builder.add(z, y)
        limited = builder.cast(z, FixedFormat(signed, bits, 0, rounding, Overflow.SAT))
        assert luts_of(builder, limited, ICE40) == pytest.approx(luts, abs=2 if signed else 1)


def test_a_sum_that_waits_for_its_choice_has_tables_of_its_own() -> None:
    """Yosys makes 27 cells of iCE40 of half a number of 9 bits that saturates to 7 unsigned bits, and a sum, in three stages."""
    builder = ProgramBuilder()
    x, y = (builder.input(name, (1,), FixedFormat(True, 9, frac)) for name, frac in (("x", 1), ("y", 0)))
    limited = builder.cast(x, FixedFormat(False, 7, 0, Rounding.RND, Overflow.SAT))
    program, budget = builder.program([("z", builder.add(limited, y))]), ICE40.delays.adder_ns.at(9) + 0.5
    assert size_of(*pipelined(program, ICE40.delays, budget), ICE40).lut == pytest.approx(27, abs=1)


def test_tables_of_ice40_give_bits_inverted_that_are_only_subtracted() -> None:
    """Yosys makes so many cells of each."""
    builder = ProgramBuilder()
    x, y, z, w = (builder.input(name, (1,), FixedFormat(True, 8, 0)) for name in "xyzw")
    added, subtracted = builder.add(y, z), builder.sub(y, z)
    both = builder.concat([builder.sub(x, added), builder.sub(w, added)], 0)
    deep = builder.sub(x, builder.sub(y, builder.sub(z, w)))
    for value, luts in ((builder.sub(x, added), 19), (both, 29), (builder.sub(x, subtracted), 27), (deep, 37)):
        assert luts_of(builder, value, ICE40) == luts
    plain = builder.concat([builder.sub(x, added), builder.add(added, w)], 0)
    assert luts_of(builder, plain, ICE40) == 19 + 9 + 10


def test_long_chains_of_sums_that_pass_their_lowest_bit_on() -> None:
    """Each sum is one bit wider than its carries, all the way down."""
    builder = ProgramBuilder()
    first, y = (builder.input(name, (1,), FixedFormat(True, 8, 0)) for name in "xy")
    total, doubled = first, builder.mul(y, builder.const(2))
    for _ in range(1100):
        total = builder.add(total, doubled)
    plain, inverted = (luts_of(builder, join(y, total), ICE40) for join in (builder.add, builder.sub))
    assert 0 < inverted - plain < 20


@pytest.mark.parametrize(
    ("relation", "before", "after"), [(Relation.GE, 13, 24), (Relation.LT, 13, 24), (Relation.GT, 24, 13)]
)
def test_comparisons_of_ice40_invert_what_they_subtract(relation: Relation, before: int, after: int) -> None:
    """Yosys makes so many cells of a comparison of 12 bits with a choice, and of the choice with these, and 12 without it."""
    builder = ProgramBuilder()
    chosen = builder.input("c", (1,), FixedFormat(False, 1, 0))
    x, y, z = (builder.input(name, (1,), FixedFormat(True, 12, 0)) for name in "xyz")
    choice = builder.apply(Select(), chosen, y, z)
    for operands, luts in (((x, choice), before), ((choice, x), after), ((x, y), 12)):
        assert luts_of(builder, builder.apply(Compare(relation), *operands), ICE40) == pytest.approx(luts, abs=1)


@pytest.mark.parametrize("family", [ICE40, ECP5, ULTRASCALE_PLUS], ids=repr)
def test_bits_of_small_tables_that_are_alike_are_one(family: Family) -> None:
    """Bits that are constant, or those of the address, take none."""
    words = np.array([[1, 2, 4, 7, 11, 13, 14, 8, 1, 6, 9, 12, 3, 10, 5, 15]])
    builder = ProgramBuilder()
    x = builder.input("x", (1,), FixedFormat(False, 4, 4))
    one, same = builder.table(x, 0, words, 0), builder.table(x, 0, words + 32, 0)
    wires = builder.table(x, 0, np.arange(16)[None], 0)
    alone = luts_of(builder, one, family)
    assert 0 < alone <= 4
    assert luts_of(builder, builder.concat([one, same], 0), family) == alone
    assert luts_of(builder, wires, family) == 0


def test_a_register_that_a_constant_sets_is_inverted_where_it_can_only_be_cleared() -> None:
    """Yosys makes 8 inverters of an upper limit of 127 for Cyclone V, and none elsewhere."""
    builder = ProgramBuilder()
    chosen = builder.input("c", (1,), FixedFormat(False, 1, 1))
    x = builder.input("x", (1,), FixedFormat(True, 8, 8))
    zero, limit = (builder.apply(Select(), chosen, x, builder.const([value], 0)) for value in (0, 127))
    assert luts_of(builder, limit, CYCLONE_V) - luts_of(builder, zero, CYCLONE_V) == 7
    assert luts_of(builder, limit, ECP5) == luts_of(builder, zero, ECP5)


@pytest.mark.parametrize(("words", "memory"), [(1024, True), (200, False)])
def test_tables_of_few_named_words_are_no_memory(words: int, memory: bool) -> None:
    """Yosys makes block memory of Cyclone V of a case statement that names at least one in four words."""
    values = np.zeros(1024, dtype=np.int64)
    values[: words - 1] = np.random.default_rng(0).integers(1, 256, words - 1)
    values[-1] = 1
    builder = ProgramBuilder()
    x = builder.input("x", (1,), FixedFormat(False, 10, 10))
    found = estimate_layout(builder.program([("y", builder.table(x, 0, values[None], 0))]), UNROLLED, CYCLONE_V)
    assert (found.bram > 0) == memory
