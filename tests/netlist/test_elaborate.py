"""Netlists compute what their programs mean, before and after every pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from bitsmith.devices.blocks import Cut
from bitsmith.devices.xilinx import XILINX_7
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ops import Linear
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Ints
from bitsmith.netlist.elaborate import BlockLayers, elaborate
from bitsmith.netlist.netlist import AddSub, InputPort, Multiplier, live_words
from bitsmith.netlist.reduce_widths import reduce_widths
from tests.netlist.check import check
from tests.netlist.checks import dense_program, expected, flat_inputs
from tests.netlist.evaluate import evaluate
from tests.properties import few
from tests.properties.programs import random_program, random_stimuli


def agree(seed: int, hardware: bool, samples: int) -> None:
    program = random_program(seed, hardware=hardware)
    stimuli = random_stimuli(program, seed, samples)
    netlist = elaborate(program)
    small = reduce_widths(netlist)
    check(netlist)
    check(small)
    assert sum(word.width for word in small.words) <= sum(word.width for word in netlist.words)
    for sample in range(samples):
        inputs, want = flat_inputs(stimuli, sample), expected(program, stimuli, sample)
        assert evaluate(netlist, inputs) == want, (seed, sample)
        assert evaluate(small, inputs) == want, (seed, sample, "narrow")
        assert evaluate(reduce_widths(small), inputs) == want, (seed, sample, "narrow twice")


@few("seed", range(30), fast=12)
def test_random_programs(seed: int) -> None:
    agree(seed, seed % 2 == 0, 6)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 1100, 50))
def test_many_random_programs(first: int) -> None:
    for seed in range(first, first + 50):
        agree(seed, seed % 2 == 0, 10)


@pytest.mark.parametrize("bits", [2, 5])
def test_dense_network(bits: int) -> None:
    program = dense_program([6, 8, 3], bits, bits, 0.4)
    stimuli = random_stimuli(program, 0, 20)
    netlist = reduce_widths(elaborate(program))
    for sample in range(20):
        assert evaluate(netlist, flat_inputs(stimuli, sample)) == expected(program, stimuli, sample)


def test_zero_weights_and_dead_channels_cost_nothing() -> None:
    build = ProgramBuilder()
    x = build.input("x", (4,), FixedFormat(True, 8, 4))
    weights = np.zeros((4, 3), dtype=np.int64)
    weights[1, 0] = 4
    weights[2, 2] = -1
    program = build.program([("y", build.add(build.linear(x, weights), build.const([0, 5, 0])))])
    netlist = reduce_widths(elaborate(program))
    live = [netlist.words[index].cell for index in live_words(netlist)]
    assert sum(isinstance(cell, InputPort) for cell in live) == 2
    assert sum(isinstance(cell, AddSub) for cell in live) == 1
    assert evaluate(netlist, [1, 2, 3, 4]) == [2, 5, -3]  # the first in units of 1/4, the last of 1/16


def test_equal_positions_share_one_adder_graph_and_equal_columns_share_words() -> None:
    build = ProgramBuilder()
    x = build.input("x", (3,), FixedFormat(True, 6, 0))
    same = build.linear(x, np.array([[3, 3], [5, 5], [-1, -1]]))
    program = build.program([("y", same)])
    netlist = elaborate(program)
    assert netlist.results[0] == netlist.results[1]


def products_of_one_operand(matrices: Sequence[Ints]) -> Program:
    build = ProgramBuilder()
    x = build.input("x", (matrices[0].shape[0],), FixedFormat(True, 6, 6))
    return build.program([(f"y{k}", build.linear(x, matrix)) for k, matrix in enumerate(matrices)])


def adders(matrices: Sequence[Ints]) -> int:
    netlist = reduce_widths(elaborate(products_of_one_operand(matrices)))
    return sum(isinstance(netlist.words[index].cell, AddSub) for index in live_words(netlist))


@pytest.mark.parametrize("seed", range(6))
def test_products_of_one_operand_are_solved_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrices = [rng.integers(-16, 16, (8, outputs)) for outputs in (6, 5, 6)]
    program = products_of_one_operand(matrices)
    netlist = elaborate(program)
    check(netlist)
    stimuli = [rng.integers(-32, 32, (4, 8))]
    for sample in range(4):
        assert evaluate(netlist, flat_inputs(stimuli, sample)) == expected(program, stimuli, sample)
    assert adders(matrices) < sum(adders([matrix]) for matrix in matrices)


def test_products_that_take_less_long_are_solved_alone() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.integers(1, 3, (16, 6)), rng.integers(-128, 128, (16, 6))
    few[4:] = 0
    assert adders([few, many]) == adders([few]) + adders([many])


def test_names_follow_layers_and_elements() -> None:
    netlist = reduce_widths(elaborate(dense_program([3, 2], 4, 4, 0.0)))
    named = {
        (netlist.origins[word.origin].layer, netlist.origins[word.origin].op, word.element)
        for word in netlist.words
        if word.element >= 0
    }
    assert {("dense_0", "add", 0), ("dense_0", "add", 1), ("", "x", 2)} <= named


@pytest.mark.parametrize("seed", range(3))
def test_constants_of_many_digits_are_multiplied_by_blocks_where_these_hold_them(seed: int) -> None:
    """Of layers with blocks alone; products of one operand with the same constant, but for shifts, are one block."""
    block = replace(XILINX_7.area.block, narrow=9, cuts=(Cut((9, 9), (2, 2), 0, (9, 9), 1),), digits=3)
    program = dense_program([4, 5, 3], 11, 6, 0.2, seed)
    netlist = elaborate(program, BlockLayers(frozenset({"dense_0"}), block))
    stimuli = random_stimuli(program, seed, 6)
    for sample in range(6):
        assert evaluate(netlist, flat_inputs(stimuli, sample)) == expected(program, stimuli, sample)
    weights = next(node.op.weights for node in program.nodes if isinstance(node.op, Linear))
    wanted = 0
    for row in weights.tolist():
        odd = {weight // (weight & -weight) for weight in row if weight}
        # The fewest signed digits, and a sign beside the bits.
        wanted += sum((weight ^ 3 * weight).bit_count() >= 3 and abs(weight).bit_length() < 9 for weight in odd)
    assert 0 < wanted == sum(isinstance(word.cell, Multiplier) for word in netlist.words)
