"""Schedules respect data, time and the latency contract, and save registers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitsmith.devices.ice40 import ICE40
from bitsmith.estimate.unrolled import size_of
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ops import Relation
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.netlist import pipeline as pipelines
from bitsmith.netlist.delays import Delays, carry_start, registers_after
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.fuse_adders import fuse_adders
from bitsmith.netlist.lut_packing import Absorption, absorb
from bitsmith.netlist.netlist import (
    AddSub,
    Comparator,
    InputPort,
    Literal,
    Mux,
    Netlist,
    RomRead,
    TernaryAdder,
    View,
    WordRef,
    live_words,
    operands,
)
from bitsmith.netlist.pipeline import PipelineStages, Timing, pipeline
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.regroup_sums import regroup_sums
from tests.netlist.checks import SteadyDelays, TernaryDelays, dense_program
from tests.properties import few
from tests.properties.programs import random_program


class SteepDelays(TernaryDelays):
    """Delays of sums that nearly all their ripples are."""

    def adder(self, width: int) -> float:
        return 0.1 + 0.25 * width

    def ternary_adder(self, width: int) -> float | None:
        return 0.2 + 0.25 * width


DELAYS, TERNARY, STEEP = SteadyDelays(), TernaryDelays(), SteepDelays()
LUT_INPUTS = 4


def netlist_of(program: Program) -> Netlist:
    return reduce_widths(elaborate(program))


def delay(netlist: Netlist, absorbed: Absorption, index: int, delays: Delays, budget: float) -> float:
    inputs = absorbed.inputs[index]
    return delays.table(inputs) if inputs else registers_after(netlist, netlist.words[index], delays, budget)[1]


def bits_of(netlist: Netlist, absorbed: Absorption, ref: WordRef, times: Mapping[int, list[float]]) -> list[float]:
    """When each bit of what is read is there; all of an absorbed word at once, as late as the last of its sources."""
    word = netlist.words[ref.word]
    if isinstance(word.cell, Literal):
        found = [0.0] * word.width
    elif ref.word in times:
        found = times[ref.word]
    elif isinstance(word.cell, View):
        whole = bits_of(netlist, absorbed, WordRef(word.cell.a), times)
        found = (whole + [max(whole)] * word.width)[word.drop : word.drop + word.width]
    else:
        parts = [time for source in absorbed.sources[ref.word] for time in times.get(source, ())]
        found = [max(parts, default=0.0)] * word.width
    return [0.0] * ref.shift + found


def ready(
    netlist: Netlist, absorbed: Absorption, index: int, times: Mapping[int, list[float]], delays: Delays, budget: float
) -> list[float]:
    """When each bit of a word is there: of a sum by the bits below alone, of others when all that is read is there."""
    word, cell = netlist.words[index], netlist.words[index].cell
    if not isinstance(cell, AddSub | TernaryAdder):
        reads = (source for operand in operands(cell) for source in absorbed.sources[operand])
        start = max((max(times.get(source, [0.0])) for source in reads), default=0.0)
        return [start + delay(netlist, absorbed, index, delays, budget)] * word.width
    refs = (cell.a, cell.b) if isinstance(cell, AddSub) else (cell.a, cell.b, cell.c)
    chain = delays.adder if isinstance(cell, AddSub) else delays.ternary_adder
    first = carry_start(cell) if isinstance(cell, AddSub) else cell.passed
    terms = [bits_of(netlist, absorbed, ref, times) or [0.0] for ref in refs]
    columns = [max(term[min(place, len(term) - 1)] for term in terms) for place in range(word.drop + word.width)]
    made = columns[:first]
    for place in range(first, len(columns)):
        made.append(max(columns[low] + (chain(place - low + 1) or 0.0) for low in range(first, place + 1)))
    return made[word.drop :]


def check(netlist: Netlist, schedule: PipelineStages, budget: float, delays: Delays = DELAYS) -> None:
    """Nothing is read before it is made, each bit's way fits the longest stage, and that the budget; registers are counted."""
    absorbed = absorb(netlist, LUT_INPUTS, sums_choose=False)
    finish: dict[int, list[float]] = {}
    last: dict[int, int] = {}
    for index in sorted(live_words(netlist)):
        word, stage = netlist.words[index], schedule.stage[index]
        staged = absorbed.sources[index] == (index,) and not isinstance(word.cell, Literal)
        assert (stage >= 0) == staged
        if not staged:
            continue
        assert stage < schedule.stages and (stage == 0 or not isinstance(word.cell, InputPort))
        reads = [source for operand in operands(word.cell) for source in absorbed.sources[operand] if source in finish]
        for source in reads:
            last[source] = max(last.get(source, 0), stage)
            after, _ = registers_after(netlist, netlist.words[source], delays, budget)
            assert schedule.stage[source] + after <= stage
        registered = {k: bits if schedule.stage[k] == stage else [0.0] * len(bits) for k, bits in finish.items()}
        finish[index] = ready(netlist, absorbed, index, registered, delays, budget)
        slow = index in schedule.over_budget or registers_after(netlist, word, delays, budget)[0] > 0
        start = max((max(registered[source], default=0.0) for source in reads), default=0.0)
        assert max(finish[index], default=0.0) <= schedule.longest_ns + 1e-6 or (slow and start == 0)
    for ref in netlist.results:
        for source in absorbed.sources[ref.word]:
            if source in finish:
                last[source] = schedule.stages
    assert schedule.longest_ns <= budget + 1e-6
    width = sum((stage - schedule.stage[word]) * netlist.words[word].width for word, stage in last.items())
    assert schedule.register_bits == width


@pytest.mark.parametrize("budget", [0.6, 1.3, 2.0, 4.0, 1000.0])
@few("seed", range(8), fast=4)
def test_random_programs(seed: int, budget: float) -> None:
    netlist = netlist_of(random_program(seed, hardware=True))
    free = pipeline(netlist, DELAYS, budget)
    check(netlist, free, budget)
    longer = pipeline(netlist, DELAYS, budget, free.stages + seed % 3)
    assert longer.stages == free.stages + seed % 3
    check(netlist, longer, budget)


@settings(max_examples=15)
@given(st.integers(0, 1000), st.floats(1.2, 12.0))
def test_dense_networks(seed: int, budget: float) -> None:
    netlist = netlist_of(dense_program([6, 10, 4], 5, 5, 0.4, seed))
    check(netlist, pipeline(netlist, DELAYS, budget), budget)


@settings(max_examples=15)
@given(st.integers(0, 1000), st.floats(1.8, 12.0))
def test_sums_of_three(seed: int, budget: float) -> None:
    netlist = netlist_of(dense_program([6, 10, 4], 5, 5, 0.4, seed))
    netlist = fuse_adders(regroup_sums(netlist, TERNARY, budget), TERNARY, budget)
    check(netlist, pipeline(netlist, TERNARY, budget), budget, TERNARY)


@settings(max_examples=60)
@example(13272, 2.375, STEEP)  # a shifted sum is later than the registers beside it
@given(st.integers(0, 10**6), st.floats(1.3, 8.0), st.sampled_from([DELAYS, TERNARY, STEEP]))
def test_sums_of_what_is_left_of_sums(seed: int, budget: float, delays: Delays) -> None:
    """Sums are cut at both ends, multiplied, and read at several places."""
    rng = np.random.default_rng(seed)
    build = ProgramBuilder()
    x = build.input("x", (4,), FixedFormat(True, int(rng.integers(2, 12)), 2))
    values = [build.slice(x, [k], [k + 1]) for k in range(4)]
    for _ in range(int(rng.integers(4, 12))):
        a, b = (values[max(-len(values), -1 - int(rng.integers(0, 5)))] for _ in range(2))
        y = build.add(a, b) if rng.random() < 0.6 else build.sub(a, b)
        if rng.random() < 0.3:
            y = build.linear(y, rng.choice([3, 5, 9], (1, 1)))
        if rng.random() < 0.5:
            frac = int(rng.integers(-3, 2))
            y = build.cast(y, FixedFormat(True, int(rng.integers(3, 14)), frac, Rounding.TRN, Overflow.WRAP))
        values.append(y)
    netlist = netlist_of(build.program([("y", values[-1]), ("z", values[-2])]))
    netlist = fuse_adders(regroup_sums(netlist, delays, budget), delays, budget)
    check(netlist, pipeline(netlist, delays, budget), budget, delays)


@given(st.integers(3, 12), st.integers(3, 30))
def test_only_one_of_the_sums_in_a_row_ripples_over_all_bits(terms: int, bits: int) -> None:
    """Each further sum takes as long as its few bits above those of the sum before."""
    build = ProgramBuilder()
    x = build.input("x", (terms,), FixedFormat(True, bits, 0))
    total = build.slice(x, [0], [1])
    for k in range(1, terms):
        total = build.cast(build.add(total, build.slice(x, [k], [k + 1])), FixedFormat(True, bits, 0))
    netlist = netlist_of(build.program([("y", total)]))
    exact = DELAYS.adder(bits) + (terms - 2) * DELAYS.adder(1)
    for budget, stages in ((exact + 1e-6, 1), (exact - 1e-6, 2)):
        schedule = pipeline(netlist, DELAYS, budget)
        check(netlist, schedule, budget)
        assert schedule.stages == stages


@given(st.floats(0.5, 20.0), st.floats(0.0, 60.0), st.floats(0.01, 1.0))
def test_cells_begin_when_they_may_or_in_the_next_stage(budget: float, start: float, share: float) -> None:
    """No cell takes a part of two stages, and none waits that has time."""
    delay = share * budget
    timing = Timing(netlist_of(dense_program([2, 2], 3, 3, 0.5)), DELAYS, budget)
    begin = timing.after(start, delay) - delay
    stage = int(start / budget + 1e-6)
    late = start + delay > (stage + 1) * budget + 1e-6
    assert begin == pytest.approx((stage + 1) * budget if late else start, abs=1e-5)


def test_longer_stages_give_fewer_of_them() -> None:
    netlist = netlist_of(dense_program([12, 16, 5], 5, 6, 0.5))
    schedules = [pipeline(netlist, DELAYS, budget) for budget in (1.5, 3.0, 6.0, 1000.0)]
    stages = [schedule.stages for schedule in schedules]
    assert stages == sorted(stages, reverse=True) and stages[0] > stages[2] and stages[-1] == 1
    assert schedules[-1].register_bits == sum(netlist.words[ref.word].width for ref in netlist.results)


@pytest.mark.parametrize("large", [False, True])
def test_words_wait_where_they_are_narrow(monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    """Multiples of x can be made when they are wanted; holding x and these over all stages would cost more."""
    if large:
        monkeypatch.setattr(pipelines, "_EXACT_WORDS", 0)
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(True, 8, 0))
    y = x
    for k in range(6):
        y = build.cast(build.add(y, build.const([2 * k + 1])), FixedFormat(True, 8, 0))
        y = build.mul(y, y)
        y = build.cast(y, FixedFormat(True, 8, 0))
    with build.layer("triple"):
        triple = build.linear(x, np.array([[3]]))
    with build.layer("shown"):
        shown = build.linear(x, np.array([[5]]))
    netlist = netlist_of(build.program([("y", build.add(y, triple)), ("z", shown)]))
    schedule = pipeline(netlist, DELAYS, 3.0)
    check(netlist, schedule, 3.0)
    for layer, before_the_last in (("triple", 1), ("shown", 0)):
        words = [k for k, word in enumerate(netlist.words) if netlist.origins[word.origin].layer == layer]
        stages = [schedule.stage[word] for word in words if schedule.stage[word] >= 0]
        assert stages and min(stages) >= schedule.stages - 1 - before_the_last


@pytest.mark.parametrize("budget", [0.6, 2.0, 4.0])
@pytest.mark.parametrize("seed", range(4))
def test_large_circuits(monkeypatch: pytest.MonkeyPatch, seed: int, budget: float) -> None:
    """As all are taken for one: schedules are valid, too, no better than the optimum, and not much worse."""
    netlist = netlist_of(random_program(seed, hardware=True))
    least = pipeline(netlist, DELAYS, budget)
    monkeypatch.setattr(pipelines, "_EXACT_WORDS", 0)
    schedule = pipeline(netlist, DELAYS, budget)
    check(netlist, schedule, budget)
    assert schedule.stages == least.stages
    assert least.register_bits <= schedule.register_bits <= 1.1 * least.register_bits


def test_products_of_large_circuits_wait_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four words wait for what is late, in place of the 24 that are made of them."""
    build = ProgramBuilder()
    x = build.input("x", (4,), FixedFormat(True, 8, 0))
    late = build.sum(x, (0,))
    for k in range(9):
        late = build.cast(build.mul(late, build.add(late, build.const([2 * k + 1]))), FixedFormat(True, 8, 0))
    weights = np.random.default_rng(0).integers(-99, 99, (4, 24))
    netlist = netlist_of(build.program([("y", build.add(build.linear(x, weights), late))]))
    least = pipeline(netlist, DELAYS, 3.0)
    monkeypatch.setattr(pipelines, "_EXACT_WORDS", 0)
    schedule = pipeline(netlist, DELAYS, 3.0)
    check(netlist, schedule, 3.0)
    assert least.register_bits <= schedule.register_bits <= 1.1 * least.register_bits


def test_words_slower_than_a_stage_are_reported() -> None:
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 60, 0))
    netlist = netlist_of(build.program([("y", build.sum(x, [0]))]))
    assert len(pipeline(netlist, DELAYS, 2.0).over_budget) == 1
    assert not pipeline(netlist, DELAYS, 3.0).over_budget


def test_outputs_are_registered_even_if_nothing_is_computed() -> None:
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 4, 0))
    netlist = netlist_of(build.program([("y", build.concat([x, build.const([1])], 0))]))
    schedule = pipeline(netlist, DELAYS, 2.0)
    assert (schedule.stages, schedule.register_bits) == (1, 8)


@pytest.mark.parametrize("greatest", [251, (1 << 30) - 35])  # wide results are cheaper to look up late
def test_large_tables_have_two_registers_at_their_outputs(greatest: int) -> None:
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(True, 10, 0))
    values = [(k * 7919 * 7919) % greatest for k in range(1024)]
    y = build.table(x, -512, values, 0)
    netlist = netlist_of(build.program([("y", build.add(y, build.const([1])))]))
    schedule = pipeline(netlist, DELAYS, 50.0)
    rom = next(k for k, word in enumerate(netlist.words) if isinstance(word.cell, RomRead))
    assert schedule.stages == 3 and schedule.stage[rom] == 0 and not schedule.over_budget


def test_a_saturation_is_one_look_up_table_per_bit() -> None:
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(True, 8, 0))
    y = build.cast(x, FixedFormat(True, 6, 0, Rounding.TRN, Overflow.SAT))
    netlist = netlist_of(build.program([("y", y)]))
    kinds = [type(netlist.words[k].cell) for k in live_words(netlist)]
    assert {Comparator, Mux, View} <= set(kinds)
    absorbed = absorb(netlist, LUT_INPUTS, sums_choose=False)
    (result,) = netlist.results
    assert [k for k in live_words(netlist) if absorbed.inputs[k] and absorbed.sources[k] == (k,)] == [result.word]
    assert absorbed.inputs[result.word] == 4  # three upper bits and the bit itself
    assert pipeline(netlist, DELAYS, 0.6).stages == 1
    assert len(absorb(netlist, 2, sums_choose=False).sources[result.word]) == 1


def test_a_saturation_and_the_rectifier_after_it_are_one_look_up_table_per_bit() -> None:
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(True, 8, 0))
    y = build.max(build.cast(x, FixedFormat(True, 6, 0, Rounding.TRN, Overflow.SAT)), build.const(0))
    netlist = netlist_of(build.program([("y", y)]))
    absorbed = absorb(netlist, LUT_INPUTS, sums_choose=False)
    (result,) = netlist.results
    assert isinstance(netlist.words[result.word].cell, Mux)
    assert [k for k in live_words(netlist) if absorbed.inputs[k] and absorbed.sources[k] == (k,)] == [result.word]
    assert absorbed.inputs[result.word] == 4
    assert pipeline(netlist, DELAYS, 0.6).stages == 1


def test_a_choice_whose_bits_are_the_result_is_counted() -> None:
    """Without its place a choice that no other word reads was in no look-up table, and the count of it did not end."""
    build = ProgramBuilder()
    x, y = (build.input(name, (1,), FixedFormat(True, 6, 0)) for name in "xy")
    chosen = build.select(build.compare(y, Relation.LT, build.const(0)), x, build.add(x, y))
    netlist = netlist_of(build.program([("y", build.cast(chosen, FixedFormat(False, 7, 0, overflow=Overflow.WRAP)))]))
    (result,) = netlist.results
    view = netlist.words[result.word].cell
    assert isinstance(view, View) and isinstance(netlist.words[view.a].cell, Mux)
    assert absorb(netlist, LUT_INPUTS, sums_choose=False).sources[result.word] == (view.a,)
    counted = size_of(netlist, pipeline(netlist, DELAYS, 50.0), ICE40)
    assert counted.lut >= netlist.words[view.a].width


def test_a_bit_of_a_choice_is_read_with_what_it_is_made_of() -> None:
    build = ProgramBuilder()
    x, y = (build.input(name, (1,), FixedFormat(True, 6, 0)) for name in "xy")
    chosen = build.select(build.compare(y, Relation.LT, build.const(0)), build.const(-3), x)
    netlist = netlist_of(build.program([("y", build.max(chosen, build.const(0)))]))
    absorbed = absorb(netlist, LUT_INPUTS, sums_choose=False)
    (result,) = netlist.results
    assert absorbed.inputs[result.word] == 3  # the sign of one, and the sign and the bit itself of the other


def test_look_up_tables_of_a_sum_choose_its_second_operand() -> None:
    build = ProgramBuilder()
    x, y, z = (build.input(name, (1,), FixedFormat(True, 8, 0)) for name in "xyz")
    chosen = build.select(build.compare(x, Relation.GE, build.const(0)), build.neg(y), z)
    netlist = netlist_of(build.program([("first", build.add(x, chosen)), ("second", build.sub(y, chosen))]))
    (choice,) = (index for index in live_words(netlist) if isinstance(netlist.words[index].cell, Mux))
    kept, gone = (absorb(netlist, LUT_INPUTS, sums_choose=sums).sources[choice] for sums in (False, True))
    assert kept == (choice,)
    assert len(gone) == 3  # the sign's word, and both arms
    assert absorb(netlist, 3, sums_choose=True).sources[choice] == (choice,)
    other = netlist_of(build.program([("first", build.sub(chosen, y))]))
    (choice,) = (index for index in live_words(other) if isinstance(other.words[index].cell, Mux))
    assert absorb(other, LUT_INPUTS, sums_choose=True).sources[choice] == (choice,)


def test_the_sign_alone_tells_what_is_not_negative() -> None:
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(True, 30, 0))
    netlist = netlist_of(build.program([("y", build.compare(x, Relation.GE, build.const(0)))]))
    (compared,) = (word.cell for word in netlist.words if isinstance(word.cell, Comparator))
    assert netlist.words[compared.a.word].width == 1
    assert absorb(netlist, LUT_INPUTS, sums_choose=False).inputs[netlist.results[0].word] == 1


def test_a_sum_of_words_without_a_common_bit_is_wiring() -> None:
    build = ProgramBuilder()
    x = build.input("x", (3,), FixedFormat(False, 2, 2))
    program = build.program([("y", build.linear(x, np.array([[1, 1, 1], [4, 3, 4], [16, 16, -16]])))])
    netlist = netlist_of(program)
    absorbed = absorb(netlist, LUT_INPUTS, sums_choose=False)
    sums = [index for index in live_words(netlist) if isinstance(netlist.words[index].cell, AddSub)]
    inputs = {index for index in live_words(netlist) if isinstance(netlist.words[index].cell, InputPort)}
    assert set(absorbed.sources[netlist.results[0].word]) == inputs
    assert sum(absorbed.sources[index] == (index,) for index in sums) == 3  # x1 * 3, the sum with it, a difference
    schedule = pipeline(netlist, DELAYS, 100.0)
    check(netlist, schedule, 100.0)
