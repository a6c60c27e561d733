"""Registers of pipelines that are not made, beside those of the same pipelines made."""

from __future__ import annotations

import time

import numpy as np
import pytest

from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.xilinx import ULTRASCALE_PLUS
from bitsmith.estimate.size import guess_layout
from bitsmith.estimate.stages import stage_registers
from bitsmith.estimate.unrolled import size_of
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.netlist.pipelined import pipelined
from tests.netlist.checks import dense_program
from tests.properties import few
from tests.properties.programs import random_program


def networks(seed: int) -> list[Program]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(4):
        sizes = [int(rng.integers(6, 20)) for _ in range(int(rng.integers(2, 5)))]
        weights, activations = int(rng.integers(3, 8)), int(rng.integers(5, 10))
        found.append(dense_program(sizes, weights, activations, float(rng.choice([0.0, 0.5])), seed))
    return found


@pytest.mark.parametrize("clocks", [1.0, 2.0])
@pytest.mark.parametrize("family", [ECP5, ULTRASCALE_PLUS], ids=lambda family: family.name)
@few("seed", range(6), fast=1)
def test_rough_sizes_are_near(seed: int, family: Family, clocks: float) -> None:
    """At the family's usual clock, and at half of it."""
    budget = family.delays.budget(clocks * family.clock_period_ns, 0.125 * clocks * family.clock_period_ns)
    ffs, luts = [], []
    for program in networks(seed):
        guessed = guess_layout(program, Directives({}, True), family, budget)
        made = size_of(*pipelined(program, family.delays, budget), family)
        ffs.append(guessed.ff / made.ff)
        luts.append(guessed.lut / made.lut)
    assert np.median(np.abs(np.log(ffs))) < 0.7
    assert np.median(np.abs(np.log(luts))) < 0.5


@few("seed", range(40), fast=10)
def test_all_ops_have_times(seed: int) -> None:
    program = random_program(seed, hardware=True)
    found = stage_registers(program, ECP5.delays, 3.0)
    assert found is None or min(found) >= 0 < found[1]


def test_slower_clocks_take_no_more_registers() -> None:
    program = dense_program((16, 12, 8), 5, 6, 0.3)
    found = [sum(stage_registers(program, ECP5.delays, budget) or ()) for budget in (2.0, 4.0, 8.0, 16.0, 100.0)]
    assert found == sorted(found, reverse=True)
    outputs = sum(program.nodes[output.node].type.width.sum() for output in program.outputs)
    assert found[-1] == outputs + 1


def test_operands_that_wait_are_held() -> None:
    """A skip connection is held in each stage of the sum beside it."""
    build = ProgramBuilder()
    x = build.input("x", (8,), FixedFormat(True, 8, 4))
    alone = build.linear(x, np.full((8, 1), 3), 0)
    without, skipped = build.program([("y", alone)]), build.program([("y", alone), ("z", x)])
    budget = 2.0
    one, both = (sum(stage_registers(program, ECP5.delays, budget) or ()) for program in (without, skipped))
    assert both >= one + 64


def test_constant_results_need_the_register_of_validity_alone() -> None:
    builder = ProgramBuilder()
    builder.input("x", (2,), FixedFormat(True, 6, 3))
    program = builder.program([("y", builder.const(np.array([3, 5])))])
    assert stage_registers(program, ECP5.delays, 8.0) == (0, 1)


def test_large_networks_take_a_fraction_of_a_second() -> None:
    program = dense_program((200, 200, 200), 8, 8, 0.5)
    started = time.process_time()
    guess_layout(program, Directives({}, True), ECP5, None)
    assert time.process_time() - started < 0.5
