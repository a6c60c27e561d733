"""Bits that synthesis finds alike: one register for all that hold the same bit, one look-up table for logic of few bits."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40
from bitsmith.devices.intel import CYCLONE_V
from bitsmith.devices.xilinx import ULTRASCALE_PLUS, XILINX_7
from bitsmith.estimate.figures import Size
from bitsmith.estimate.unrolled import size_of
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Compare, Relation
from bitsmith.ir.types import FixedFormat
from bitsmith.netlist.netlist import AddSub, Field, InputPort, Literal, Netlist, Word, WordOrigin, WordRef
from bitsmith.netlist.pipeline import pipeline
from bitsmith.netlist.pipelined import pipelined


def size(build: ProgramBuilder, family: Family, *outputs: Value) -> Size:
    program = build.program([(f"y{number}", output) for number, output in enumerate(outputs)])
    return size_of(*pipelined(program, family.delays, 100.0), family)


@pytest.mark.parametrize("family", [ICE40, ECP5, XILINX_7], ids=repr)
def test_bits_of_a_table_that_are_alike_have_one_register(family: Family) -> None:
    """Of 0 and 0b10111 four bits are alike, and one is constant; Yosys joins registers but on Cyclone V."""
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(False, 3, 3))
    y = build.table(x, 0, np.array([[0, 0, 23, 0, 23, 23, 0, 0]]), 0)
    assert (size(build, family, y).ff, size(build, CYCLONE_V, y).ff) == (2, 5)


def test_sums_pass_bits_on_that_have_a_register() -> None:
    """Below the place of its other operand a sum is that of the first: it has no registers of its own."""
    build = ProgramBuilder()
    x, y = (build.input(name, (1,), FixedFormat(False, 8, 8)) for name in "xy")
    assert size(build, ECP5, build.add(x, build.shift(y, 5)), x).ff == 1 + 9 + 8


@pytest.mark.parametrize(("family", "luts"), [(ICE40, 14), (ECP5, 14), (CYCLONE_V, 14), (XILINX_7, 35)], ids=repr)
def test_tables_of_a_table_of_few_bits_are_look_up_tables_of_these(family: Family, luts: int) -> None:
    """But on AMD's families, where the tables of seven bits have multiplexers of their own."""
    rng, build = np.random.default_rng(0), ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(False, 4, 4))
    inner = build.table(x, 0, rng.permutation(128)[None, :16], 0)
    outer = [build.table(inner, 0, rng.integers(0, 128, (1, 128)), 0) for _ in range(2)]
    assert size(build, family, *outer).lut == luts


def test_words_are_compared_by_the_bits_that_are_unlike() -> None:
    """Of 0 and 255 all bits are alike: for equality to another such word one pair of bits is compared."""
    build = ProgramBuilder()
    x, y = (build.input(name, (1,), FixedFormat(False, 3, 3)) for name in "xy")
    a, b = (build.table(each, 0, np.array([[0, 255, 255, 0, 255, 0, 0, 0]]), 0) for each in (x, y))
    assert size(build, ULTRASCALE_PLUS, build.apply(Compare(Relation.EQ), a, b)).lut <= 3


def test_a_sum_that_is_bits_of_what_it_reads_takes_nothing() -> None:
    """Yosys finds that 7 x / 64 is the sign of a number of 4 bits, by what the carry chain computes."""
    x, sevenths, one = WordRef(0), WordRef(2), WordRef(1)
    words = (
        Word(InputPort(0), -8, 7, 0, 0, 0),
        Word(Literal(1), 1, 1, 0, 0, -1),
        Word(AddSub(x.shifted(3), x, True), -2, 1, 6, 0, -1),
        Word(AddSub(sevenths, x, True), -4, 3, 1, 0, -1),
        Word(AddSub(WordRef(3), one, False), -3, 4, 0, 0, 0),
    )
    fields = Field("x", 0, -8, 7, 0), Field("y", 0, -3, 4, 0)
    netlist = Netlist(words, (), (WordOrigin("", "x"),), fields[:1], fields[1:], (WordRef(4),))
    assert size_of(netlist, pipeline(netlist, ULTRASCALE_PLUS.delays, 100.0), ULTRASCALE_PLUS).lut == 3


@pytest.mark.parametrize(
    ("bits", "signed", "luts"), [((2, 2), (False, True), 4), ((2, 3), (False, True), 5), ((3, 3), (False, True), 6)]
)
def test_products_of_few_bits_take_a_look_up_table_for_each_of_theirs(
    bits: tuple[int, int], signed: tuple[bool, bool], luts: int
) -> None:
    """As Yosys makes them where both factors together have as many bits as a look-up table has inputs."""
    build = ProgramBuilder()
    a, b = (
        build.input(name, (1,), FixedFormat(sign, width, width))
        for name, sign, width in zip("ab", signed, bits, strict=True)
    )
    assert size(build, ULTRASCALE_PLUS, build.mul(a, b)).lut == luts


def test_bits_of_a_factor_that_are_constant_take_no_products() -> None:
    """Yosys takes 7 look-up tables for a number of 4 bits times 4 or 5."""
    build = ProgramBuilder()
    x, y = (build.input(name, (1,), FixedFormat(True, 4, 4)) for name in "xy")
    factor = build.table(x, -8, np.random.default_rng(0).integers(4, 6, (1, 16)), 0)
    assert size(build, ULTRASCALE_PLUS, build.mul(factor, y)).lut == pytest.approx(1 + 7, abs=1)
