"""Tables become smaller ones that give the same words, in fewer look-up tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.netlist import netlist as cells
from bitsmith.netlist.netlist import Field, Netlist, Word, WordOrigin, WordRef, live_words
from bitsmith.netlist.pipeline import Timing, pipeline
from bitsmith.netlist.split_tables import split_tables
from bitsmith.netlist.tabulate_cones import table_luts
from bitsmith.netlist.text import to_text
from tests.netlist.check import check
from tests.netlist.checks import SteadyDelays
from tests.netlist.evaluate import evaluate
from tests.netlist.reading import parse


class SixInputs(SteadyDelays):
    """Delays of a family with look-up tables of six inputs, and of no block memory."""

    def table(self, address_bits: int) -> float:
        return 0.5 + 0.5 * max(address_bits - 6, 0)

    def table_registers(self, address_bits: int, width: int, budget_ns: float) -> int:
        return 0


class FourInputs(SixInputs):
    """The same of four inputs."""

    def table(self, address_bits: int) -> float:
        return 0.5 + 0.5 * max(address_bits - 4, 0)


class QuickTables(SixInputs):
    """Delays of tables of many bits that take little longer than small ones."""

    def table(self, address_bits: int) -> float:
        return 0.5 if address_bits <= 6 else 0.6


DELAYS = {4: FourInputs(), 6: SixInputs()}
STAGE_NS = 4.0


def reading(entries: list[int], first: int, drop: int = 0) -> Netlist:
    """A table that the only input reads, and that is the only output."""
    lo, hi = min(entries) >> drop, max(entries) >> drop
    last = first + len(entries) - 1
    words = (Word(cells.InputPort(0), first, last, 0, 0, 0), Word(cells.RomRead(0, 0, first), lo, hi, drop, 0, 0))
    fields = Field("x", 0, first, last, 0), Field("y", 0, lo, hi, 0)
    return Netlist(words, (tuple(entries),), (WordOrigin("", "x"),), fields[:1], fields[1:], (WordRef(1),))


def luts(netlist: Netlist, inputs: int) -> int:
    """The look-up tables of all tables."""
    words = [netlist.words[index] for index in live_words(netlist)]
    tables = [(word, word.cell) for word in words if isinstance(word.cell, cells.RomRead)]
    return sum(table_luts(netlist.tables[cell.table], cell.first, word.width, inputs) for word, cell in tables)


def same(before: Netlist, after: Netlist) -> None:
    """Assert that both give the same for each input."""
    check(after)
    assert parse(to_text(after)) == after
    for value in range(before.inputs[0].lo, before.inputs[0].hi + 1):
        assert evaluate(after, (value,)) == evaluate(before, (value,))


def smooth(function: Callable[[float], float], bits: int, scale: float) -> list[int]:
    """The rounded values of ``function`` from -4 to 4."""
    return [round(scale * function(8 * x / (1 << bits) - 4)) for x in range(1 << bits)]


CLIPPED = smooth(lambda x: max(min(60.0 * x, 15.0), -15.0), 9, 1.0)


@pytest.mark.parametrize(("function", "bits", "scale"), [(np.tanh, 8, 15.0), (np.sin, 9, 15.5), (np.arctan, 8, 9.0)])
def test_smooth_functions_take_fewer(function: Callable[[float], float], bits: int, scale: float) -> None:
    before = reading(smooth(function, bits, scale), -(1 << (bits - 1)))
    after = split_tables(before, DELAYS[6], STAGE_NS)
    same(before, after)
    assert luts(after, 6) <= 0.9 * luts(before, 6)


def test_look_up_tables_of_four_inputs_are_to_become_much_fewer() -> None:
    """Synthesis finds smaller savings itself."""
    clipped = reading(CLIPPED, -256)
    after = split_tables(clipped, DELAYS[4], STAGE_NS)
    same(clipped, after)
    assert luts(after, 4) <= 0.7 * luts(clipped, 4)
    whole = reading(smooth(np.sin, 9, 15.5), -256)
    assert split_tables(whole, DELAYS[4], STAGE_NS) is whole


def test_bits_in_the_middle_can_be_apart() -> None:
    """Bits 2 and 3 choose one of four random functions of a number of eight values, which the others have."""
    rng = np.random.default_rng(3)
    number, functions = rng.integers(0, 8, 1 << 6), rng.integers(-8, 8, (8, 4))
    entries = [int(functions[number[x >> 4 << 2 | x & 3], x >> 2 & 3]) for x in range(1 << 8)]
    before = reading(entries, 0)
    after = split_tables(before, DELAYS[6], STAGE_NS)
    same(before, after)
    assert luts(after, 6) == 3 + 4


def test_upper_bits_stay_a_table_where_that_is_smaller() -> None:
    rng = np.random.default_rng(5)
    low = rng.integers(0, 16, (8, 4))[rng.integers(0, 8, 1 << 6)].reshape(-1)
    before = reading((low | rng.integers(0, 2, 1 << 8) << 4).tolist(), 0)
    after = split_tables(before, DELAYS[6], STAGE_NS)
    same(before, after)
    assert any(isinstance(word.cell, cells.AddSub) and word.hi == 31 for word in after.words)


def test_no_stage_is_added() -> None:
    """Splits of splits are taken where there is time, and none where there is none."""
    before = reading(smooth(np.sin, 9, 15.5), -256)
    assert split_tables(before, DELAYS[6], 2.0) is before
    assert luts(split_tables(before, DELAYS[6], 2.5), 6) < luts(before, 6)


def test_fewer_levels_take_less_time() -> None:
    """Of a table of 10 bits that is quick, and whose parts are split where there is time for three of them."""
    before = reading(nested(), 0)
    deep, shallow = (split_tables(before, QuickTables(), stage_ns) for stage_ns in (1.5, 1.2))
    same(before, shallow)
    assert luts(deep, 6) < luts(shallow, 6) < luts(before, 6)
    assert Timing(shallow, QuickTables(), 1.2).stages < Timing(deep, QuickTables(), 1.2).stages


def test_tables_that_are_slower_than_a_stage_are_split() -> None:
    before = reading(nested(), 0)
    after = split_tables(before, DELAYS[6], 0.5)
    same(before, after)
    assert pipeline(before, DELAYS[6], 0.5).over_budget
    assert not pipeline(after, DELAYS[6], 0.5).over_budget


def test_random_tables_stay() -> None:
    before = reading(np.random.default_rng(1).integers(-128, 128, 1 << 8).tolist(), -128)
    assert split_tables(before, DELAYS[6], STAGE_NS) is before


@pytest.mark.parametrize(("bits", "drop"), [(6, 0), (8, 1), (13, 0)])
def test_tables_that_stay(bits: int, drop: int) -> None:
    """Small ones, huge ones, and those of which bits are dropped."""
    before = reading(smooth(np.tanh, bits, 31.0), 0, drop)
    assert split_tables(before, DELAYS[6], STAGE_NS) is before


def test_block_memory_stays() -> None:
    before = reading(CLIPPED, -256)
    assert split_tables(before, SteadyDelays(), STAGE_NS) is before


@st.composite
def composed(draw: st.DrawFn) -> tuple[list[int], int]:
    """Entries that are few functions of some bits, chosen by the others, and some that differ; and the first address."""
    bits, run = draw(st.integers(5, 8)), draw(st.integers(1, 3))
    first = draw(st.integers(0, bits - run))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, width = draw(st.integers(1, 12)), draw(st.integers(1, 7))
    numbers = rng.integers(0, count, 1 << (bits - run))
    functions = rng.integers(-(1 << width) * draw(st.booleans()), 1 << width, (count, 1 << run))
    places = np.arange(1 << bits)
    others = places & ((1 << first) - 1) | places >> (first + run) << first
    entries = functions[numbers[others], places >> first & ((1 << run) - 1)]
    for place in draw(st.lists(st.integers(0, len(entries) - 1), max_size=3)):
        entries[place] = draw(st.integers(-(1 << width), 1 << width))
    length = draw(st.integers(len(entries) // 2 + 1, len(entries)))
    return entries[:length].tolist(), draw(st.sampled_from([0, -(1 << (bits - 1)), 3]))


@given(composed(), st.sampled_from([4, 6]))
@settings(max_examples=25, deadline=None)
def test_results_stay_and_take_no_more_look_up_tables(table: tuple[list[int], int], inputs: int) -> None:
    entries, first = table
    if min(entries) == max(entries):
        return
    before = reading(entries, first)
    after = split_tables(before, DELAYS[inputs], STAGE_NS)
    if after is not before:
        same(before, after)
        assert luts(after, inputs) <= luts(before, inputs)


def nested() -> list[int]:
    """Entries of 10 bits that are tables of tables."""
    rng = np.random.default_rng(2)
    inner, middle, outer = rng.integers(-9, 9, (6, 8)), rng.integers(0, 6, (5, 8)), rng.integers(0, 5, 16)
    return [int(inner[middle[outer[a], b], c]) for a, b, c in itertools.product(range(16), range(8), range(8))]


def test_every_address_reaches_its_entry() -> None:
    """Of a table of 10 bits, whose parts are split again."""
    before = reading(nested(), 0)
    after = split_tables(before, DELAYS[6], STAGE_NS)
    same(before, after)
    assert luts(after, 6) <= 3 + 3 + 6
