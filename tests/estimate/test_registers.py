"""Registers that are no flip-flops: in multiplier blocks, in block memories, and in look-up tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40UP
from bitsmith.devices.nexus import NEXUS
from bitsmith.devices.xilinx import ULTRASCALE_PLUS, XILINX_7
from bitsmith.estimate.alike import made_of
from bitsmith.estimate.registers import Registers, apart, registers
from bitsmith.estimate.unrolled import size_of
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.lut_packing import absorb
from bitsmith.netlist.netlist import AddSub, BlockSum, InputPort, Netlist, readers_of
from bitsmith.netlist.pipeline import PipelineStages, pipeline
from bitsmith.netlist.pipelined import pipelined
from bitsmith.netlist.reduce_widths import reduce_widths
from tests.netlist.checks import SteadyDelays

AREA = XILINX_7.area
NOWHERE = replace(XILINX_7, area=replace(AREA, block_registers=0, shift_registers=0))
BITS = 9


def product(*, read_elsewhere: bool) -> Program:
    """The product of two sums, one of which is an output too."""
    build = ProgramBuilder()
    x = build.input("x", (4,), FixedFormat(True, BITS - 1, 0))
    a, b = (build.add(build.slice(x, [k], [k + 1]), build.slice(x, [k + 1], [k + 2])) for k in (0, 2))
    outputs: list[tuple[str, Value]] = [("y", build.mul(a, b))]
    return build.program([*outputs, ("a", a)] if read_elsewhere else outputs)


def found(made: tuple[Netlist, PipelineStages]) -> tuple[Registers, Registers]:
    """What registers become, and what they would be without anything to be part of."""
    absorbed = absorb(made[0], 6, sums_choose=False)
    with_blocks, without = (registers(*made, absorbed, made_of(*made), family)[0] for family in (XILINX_7, NOWHERE))
    return with_blocks, without


@pytest.mark.parametrize(("read_elsewhere", "inside"), [(False, 4 * BITS), (True, 3 * BITS)])
def test_registers_that_only_blocks_read_or_fill_are_theirs(read_elsewhere: bool, inside: int) -> None:
    made = pipelined(product(read_elsewhere=read_elsewhere), ULTRASCALE_PLUS.delays, 2.5)
    assert made[1].stages == 2
    with_blocks, without = found(made)
    assert (without.ff - with_blocks.ff, with_blocks.lut) == (inside, 0)
    assert without.ff == made[1].register_bits + made[1].stages
    assert ECP5.area.block_registers == ULTRASCALE_PLUS.area.block_registers == ECP5.area.shift_registers == 0


def test_a_sum_apart_from_its_block_leaves_both_registers_of_the_product_inside() -> None:
    """A block takes a sum in after one register; after two of them it keeps these, and the sum has its own."""
    build = ProgramBuilder()
    x = build.input("x", (3,), FixedFormat(True, 12, 0))
    a, b, c = (build.slice(x, [k], [k + 1]) for k in range(3))
    netlist, stages = pipelined(
        build.program([("y", build.add(build.mul(a, b), build.shift(c, 5)))]), XILINX_7.delays, 3.3
    )
    ((index, cell),) = ((k, word.cell) for k, word in enumerate(netlist.words) if isinstance(word.cell, BlockSum))
    assert apart(cell, index, stages)
    with_blocks, without = found((netlist, stages))
    assert without.ff - with_blocks.ff == 2 * netlist.words[cell.a.word].width


@pytest.mark.parametrize("shift", [2, 5, 9])
def test_a_sum_apart_from_its_block_takes_the_bits_that_both_operands_have(shift: int) -> None:
    """Yosys 0.70 makes 12 look-up tables of each: in chains, bits of one operand are wires, and so are the carries above."""
    build = ProgramBuilder()
    x = build.input("x", (3,), FixedFormat(False, 12, 0))
    a, b, c = (build.slice(x, [k], [k + 1]) for k in range(3))
    program = build.program([("y", build.add(build.mul(a, b), build.shift(c, shift)))])
    assert size_of(*pipelined(program, XILINX_7.delays, 3.3), XILINX_7).lut == 12


def test_a_sum_whose_product_is_a_table_has_a_register_outside_of_blocks() -> None:
    build = ProgramBuilder()
    x, y = (build.input(name, (1,), FixedFormat(True, 12, 0)) for name in "xy")
    netlist, stages = pipelined(
        build.program([("z", build.add(build.mul(x, y), build.shift(y, 5)))]), XILINX_7.delays, 9
    )
    index, total = next((k, word) for k, word in enumerate(netlist.words) if isinstance(word.cell, BlockSum))
    assert not apart(total.cell, index, stages)
    later = replace(stages, stage=tuple(stages.stage), stages=stages.stages + 1)
    words = [*netlist.words]
    words[total.cell.a.word] = replace(words[total.cell.a.word], cell=InputPort(0))
    held = [found((replace(netlist, words=tuple(each)), later))[0].ff for each in (netlist.words, words)]
    assert held[1] - held[0] >= total.width


def test_the_first_register_after_a_block_memory_is_its_own() -> None:
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(True, 10, 0))
    values = np.random.default_rng(0).integers(0, 1 << 12, 1024)
    made = pipelined(build.program([("y", build.table(x, -512, values, 0))]), ULTRASCALE_PLUS.delays, 4.0)
    with_blocks, without = found(made)
    assert with_blocks.ff == without.ff == made[1].register_bits + made[1].stages - 12


@pytest.mark.parametrize(("budget", "shift"), [(3.6, False), (2.4, True)])
def test_words_that_wait_for_long_are_shift_registers(budget: float, shift: bool) -> None:
    """An input that goes straight to an output waits for all stages."""
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 8, 0))
    y, waits = build.slice(x, [0], [1]), build.slice(x, [1], [2])
    for k in range(2):
        y = build.cast(build.add(build.mul(y, y), build.const([2 * k + 1])), FixedFormat(True, 8, 0))
    netlist = reduce_widths(elaborate(build.program([("y", y), ("x", waits)])))
    stages = pipeline(netlist, SteadyDelays(), budget)
    assert (stages.stages >= AREA.shift_registers) == shift
    with_blocks, _ = found((netlist, stages))
    assert with_blocks.lut == (8 if shift else 0)


def test_only_bits_that_are_still_read_are_kept() -> None:
    """The top of a sum is read some stages after the sum itself."""
    build = ProgramBuilder()
    x = build.input("x", (3,), FixedFormat(True, BITS, 0))
    a, b, c = (build.slice(x, [k], [k + 1]) for k in range(3))
    total = build.add(a, b)
    top = build.cast(total, FixedFormat(True, 4, -6))
    netlist = reduce_widths(elaborate(build.program([("y", build.mul(build.mul(total, c), c)), ("top", top)])))
    stages = pipeline(netlist, SteadyDelays(), 1.0)
    index = next(k for k, word in enumerate(netlist.words) if isinstance(word.cell, AddSub))
    waits = stages.stages - max(stages.stage[k] for k in readers_of(netlist)[index])
    low = netlist.words[index].width - 4
    assert waits > 0 and low > 0
    absorbed = absorb(netlist, 6, sums_choose=False)
    without = registers(netlist, stages, absorbed, made_of(netlist, stages), NOWHERE)[0]
    assert without.ff == stages.register_bits + stages.stages - waits * low


@pytest.mark.parametrize("family", [NEXUS, ICE40UP], ids=repr)
def test_registers_before_products_of_several_blocks_are_inside_of_these(family: Family) -> None:
    """Yosys takes those of a factor into each block that has a part of it."""
    build = ProgramBuilder()
    x = build.input("x", (4,), FixedFormat(True, 19, 0))
    a, b = (build.add(build.slice(x, [k], [k + 1]), build.slice(x, [k + 1], [k + 2])) for k in (0, 2))
    netlist, stages = pipelined(build.program([("y", build.mul(a, b))]), family.delays, 9.0)
    absorbed = absorb(netlist, 4, sums_choose=False)
    nowhere = replace(family, area=replace(family.area, block_registers=0))
    inside, outside = (
        registers(netlist, stages, absorbed, made_of(netlist, stages), one)[0] for one in (family, nowhere)
    )
    assert outside.ff - inside.ff >= 2 * 20
