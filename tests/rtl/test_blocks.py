"""Wide constants multiplied by blocks: the values of adder graphs, and as many blocks as planned in Yosys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.design import Pipeline, circuit
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.xilinx import ULTRASCALE_PLUS, XILINX_7
from bitsmith.estimate.size import estimate_layout
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.netlist.elaborate import BlockLayers, elaborate
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.rtl.packing import pack, unpack
from bitsmith.rtl.writer import Title
from tests.flows.runs import simulate, synthesize
from tests.netlist.checks import expected
from tests.netlist.evaluate import evaluate
from tests.rtl.circuits import lint, save

WEIGHTS = np.array([[11_469, -3, 0], [-13_107, 8, 21_845], [5, 16_384, -22_938]])
"""Four of four signed digits and more; others that shifts and adders multiply by; one is twice the other."""
BLOCKS = Directives({}, True, {"wide": MultiplierStyle.BLOCKS})


def wide(bits: int = 12) -> Program:
    build = ProgramBuilder()
    x = build.input("x", (3,), FixedFormat(True, bits, 4))
    with build.layer("wide"):
        y = build.add(build.linear(x, WEIGHTS, 10), build.const([5, -7, 1], 10))
    return build.program([("y", y)])


def made(family: Family, clock_ns: float) -> Pipeline:
    delays = family.delays
    found = circuit(wide(), BLOCKS, delays, delays.budget(clock_ns, 0.0), "net", Title("test", "0"))
    assert isinstance(found, Pipeline)
    return found


def samples(count: int) -> list[np.ndarray]:
    return [np.random.default_rng(0).integers(-(2**11), 2**11, (count, 3)).astype(np.object_)]


def test_planned_blocks_and_values() -> None:
    assert ECP5.block is not None
    netlist = reduce_widths(elaborate(wide(), BlockLayers(frozenset({"wide"}), ECP5.block)))
    assert BLOCKS.block_layers is None  # no family, no blocks
    assert estimate_layout(wide(), Directives({}, True), ECP5).dsp == 0
    for family in (ECP5, ULTRASCALE_PLUS):
        assert estimate_layout(wide(), BLOCKS, family).dsp == 4
        assert made(family, 5.0).design.cells["Multiplier"] == 4
    raws = samples(8)
    for k, row in enumerate(raws[0]):
        assert evaluate(netlist, row.tolist()) == expected(wide(), raws, k)


def test_products_of_short_periods_have_registers_that_blocks_take_in() -> None:
    slow, fast = made(ULTRASCALE_PLUS, 5.0).design, made(ULTRASCALE_PLUS, 2.0).design
    assert fast.latency > slow.latency
    text = fast.sources["net_wide.sv"]
    assert text.count('use_dsp = "yes", multstyle = "dsp", syn_multstyle = "block_mult"') == 4
    assert made(ULTRASCALE_PLUS, 2.0).over_budget == 0


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(("family", "clock_ns"), [(ECP5, 20.0), (ULTRASCALE_PLUS, 2.0), (XILINX_7, 8.0)])
def test_simulation(tmp_path: Path, family: Family, clock_ns: float) -> None:
    design = made(family, clock_ns).design
    sources, raws = save(design, tmp_path), samples(200)
    lint(sources, "net")
    found = simulate(
        tmp_path, "net", sources, design.in_width, design.out_width, pack(design.inputs, raws), design.latency
    )
    assert found.latency_cycles == design.latency
    (got,) = unpack(design.outputs, found.outputs[0][:, 0])
    assert [row.tolist() for row in got] == [expected(wide(), raws, k) for k in range(200)]


@pytest.mark.tools
@pytest.mark.ci
@pytest.mark.parametrize(("family", "clock_ns"), [(ECP5, 20.0), (ULTRASCALE_PLUS, 2.0), (XILINX_7, 8.0)])
def test_yosys_makes_the_planned_blocks(tmp_path: Path, family: Family, clock_ns: float) -> None:
    design = made(family, clock_ns).design
    found = synthesize(tmp_path, "net", save(design, tmp_path), family)
    assert found.dsp == estimate_layout(wide(), BLOCKS, family).dsp == 4
    assert found.lut < estimate_layout(wide(), Directives({}, True), family).lut


def summed() -> Program:
    """Numbers times a constant for each of two tensors, added: a rescaled sum."""
    build = ProgramBuilder()
    x, y = (build.input(name, (6, 1), FixedFormat(True, 9, 0)) for name in "xy")
    with build.layer("wide"):
        z = build.add(
            build.add(build.mul(x, build.const([11_469])), build.mul(y, build.const([-22_938]))), build.const([5])
        )
    return build.program([("z", z)])


def test_constants_of_elements_are_multiplied_by_blocks_in_streams_too() -> None:
    blocks, graphs = (replace(BLOCKS, parallel=False, products=one) for one in (BLOCKS.products, {}))
    for family in (XILINX_7, ULTRASCALE_PLUS):
        sizes = [estimate_layout(summed(), one, family, 8.0) for one in (blocks, graphs)]
        assert [size.dsp for size in sizes] == [2, 0]
        assert sizes[0].lut < sizes[1].lut


@pytest.mark.tools
@pytest.mark.ci
def test_yosys_makes_the_planned_blocks_of_streams(tmp_path: Path) -> None:
    directives = replace(BLOCKS, parallel=False)
    design = circuit(summed(), directives, XILINX_7.delays, 8.0, "net", Title("test", "0"))
    found = synthesize(tmp_path, "net", save(design, tmp_path), XILINX_7)
    planned = estimate_layout(summed(), directives, XILINX_7, 8.0)
    assert found.dsp == planned.dsp == 2
    assert found.lut == pytest.approx(planned.lut, rel=0.2)
