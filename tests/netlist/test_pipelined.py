"""A pipeline of few stages, whatever the clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bitsmith.devices.delay import DEFAULT_CLOCK_UNCERTAINTY, Line
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.xilinx import ULTRASCALE_PLUS
from bitsmith.errors import CapacityError
from bitsmith.estimate.unrolled import size_of
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.netlist import TernaryAdder
from bitsmith.netlist.pipeline import Timing
from bitsmith.netlist.pipelined import StageGoal, pipelined, stage_budget
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.tabulate_cones import tabulate_cones
from tests.netlist.checks import dense_program


@pytest.mark.parametrize("family", [ECP5, ULTRASCALE_PLUS], ids=lambda family: family.name)
def test_stages_are_no_longer_than_a_latency_needs(family: Family) -> None:
    """They are sought before sums of three are made, which may take less."""
    program, budget = dense_program([8, 8, 4], 5, 5, 0.3), 3.0
    _, free = pipelined(program, family.delays, budget)
    lengths = []
    for latency in range(1, free.stages + 2):
        _, found = pipelined(program, family.delays, budget, latency=StageGoal(latency, exactly=False))
        assert found.stages <= latency and not found.over_budget
        lengths.append(found.stage_ns)
        if latency < free.stages:
            shorter = found.stage_ns - 0.02
            netlist = reduce_widths(elaborate(program), family.delays.part_block(shorter))
            assert Timing(tabulate_cones(netlist, family.delays), family.delays, shorter).stages > latency
    assert lengths[-2:] == [budget, budget] and lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("family", [ECP5, ULTRASCALE_PLUS], ids=lambda family: family.name)
def test_exactly_so_many_stages(family: Family) -> None:
    """Further registers change no result, and fewer stages than the clock needs are refused with the least."""
    program, budget = dense_program([6, 5, 3], 5, 5, 0.3), 3.0
    netlist, free = pipelined(program, family.delays, budget)
    bits = [free.register_bits]
    for stages in range(free.stages, free.stages + 4):
        same, found = pipelined(program, family.delays, budget, latency=StageGoal(stages, exactly=True))
        assert same == netlist and found.stages == stages and found.stage_ns == budget and not found.over_budget
        bits.append(found.register_bits)
    assert bits[0] == bits[1] and bits == sorted(bits)
    with pytest.raises(CapacityError, match=rf"(?s)a pipeline of {free.stages} cycles at least.*'={free.stages}'"):
        pipelined(program, family.delays, budget, latency=StageGoal(free.stages - 1, exactly=True))


def test_stages_of_large_circuits_leave_time_for_long_wires() -> None:
    program, budget = dense_program([12, 10, 4], 6, 6, 0.0), 7.0
    plain = replace(ECP5.delays, reached=None)
    whole, period = budget + plain.register_ns, (budget + plain.register_ns) / (1 - DEFAULT_CLOCK_UNCERTAINTY)
    stages = [pipelined(program, plain, budget)[1].stages]
    for slope in (0.0, 2e-4, 4e-4, 8e-4):
        delays = replace(plain, reached=Line(0.8, slope))
        netlist, found = pipelined(program, delays, stage_budget([program], delays, budget))
        luts = size_of(netlist, found, ECP5).lut
        assert delays.routed(delays.within(budget, luts), luts) == pytest.approx(min(0.8 + slope * luts, 8 / 7) * whole)
        assert delays.routed(found.stage_ns, luts) <= period * 1.1
        stages.append(found.stages)
    assert stages == sorted(stages) and stages[0] < stages[-1]
    assert plain.routed(budget, 1e4) == 0.0 and plain.within(budget, 1e6) == budget


def test_sums_of_three_are_made_though_sums_of_two_could_do_with_fewer_stages() -> None:
    """Overlapping sums of two fit one stage here, which would take more look-up tables than registers save."""
    program, delays = dense_program([12, 6], 8, 8, 0.0), ULTRASCALE_PLUS.delays
    whole = reduce_widths(elaborate(program))
    budget = next(ns for ns in np.arange(2.0, 9.0, 0.05) if Timing(whole, delays, ns).stages == 1)
    netlist, found = pipelined(program, delays, budget)
    assert found.stages == Timing(whole, delays, budget, overlap=False).stages == 2
    assert sum(isinstance(word.cell, TernaryAdder) for word in netlist.words) > len(netlist.words) / 4
    _, short = pipelined(program, delays, budget, latency=StageGoal(1, exactly=False))
    assert (short.stages, short.stage_ns) == (1, budget)
