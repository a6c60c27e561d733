"""Yosys reads what is written and maps it as meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.design import circuit as circuit_of_layout
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40
from bitsmith.devices.intel import CYCLONE_V
from bitsmith.devices.xilinx import ULTRASCALE_PLUS, XILINX_7
from bitsmith.estimate.size import estimate, estimate_layout
from bitsmith.flows.yosys import Resources
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.rtl.library import library
from tests.estimate.test_unrolled import UNROLLED
from tests.flows.runs import synthesize
from tests.netlist.checks import dense_program
from tests.properties.programs import random_program
from tests.rtl.circuits import TITLE, circuit, save

pytestmark = pytest.mark.tools


def mapped(program: Program, folder: Path, budget_ns: float = 4.0) -> Resources:
    design = circuit(program, budget_ns, "dut", 1).design
    return synthesize(folder, "dut", save(design, folder), ECP5)


@pytest.mark.parametrize(
    ("family", "address_bits", "budget_ns", "blocks"),
    [
        (ECP5, 5, 8.0, 0),
        (ECP5, 8, 8.0, 0),
        (ECP5, 9, 8.0, 1),
        (ECP5, 10, 8.0, 1),
        (ULTRASCALE_PLUS, 10, 4.0, 0),
        (ULTRASCALE_PLUS, 10, 1.0, 1),
        (ULTRASCALE_PLUS, 11, 4.0, 1),
        (ICE40, 8, 20.0, 1),
    ],
)
def test_large_tables_become_block_memory(
    family: Family, address_bits: int, budget_ns: float, blocks: int, tmp_path: Path
) -> None:
    """Of 8 bits: those that take a larger share of the look-up tables than of the blocks, or more than a stage."""
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(True, address_bits, 0))
    values = np.random.default_rng(0).integers(0, 256, 1 << address_bits)
    y = build.table(x, -(1 << (address_bits - 1)), values, 0)
    program = build.program([("y", build.add(y, build.const([3])))])
    design = circuit(program, budget_ns, "dut", 1, delays=family.delays).design
    found = synthesize(tmp_path, "dut", save(design, tmp_path), family)
    assert found.bram == estimate_layout(program, UNROLLED, family, budget_ns).bram == blocks
    assert (found.lut < 20) == bool(blocks)


def test_network_takes_what_is_estimated(tmp_path: Path) -> None:
    program = dense_program([16, 32, 16, 5], 4, 6, 0.75)
    resources = mapped(program, tmp_path)
    assert resources.lut == pytest.approx(estimate(program, ECP5).lut, rel=0.35)


@pytest.mark.parametrize(("cycles", "bits", "blocks"), [(4, 8, 0), (8, 6, 0), (8, 8, 7), (16, 8, 4)])
def test_weights_take_the_blocks_that_are_estimated(cycles: int, bits: int, blocks: int, tmp_path: Path) -> None:
    """Those of 8 words and 2,048 bits: all bits but those that are the same in all words."""
    half = 1 << (bits - 1)
    build = ProgramBuilder()
    x = build.input("x", (16,), FixedFormat(True, 8, 4))
    with build.layer("dense"):
        y = build.linear(x, np.random.default_rng(0).integers(-half, half, (16, 16)), bits - 1)
    program = build.program([("y", y)])
    directives = Directives({"dense": cycles}, True, {"dense": MultiplierStyle.SHARED})
    made = circuit_of_layout(program, directives, ECP5.delays, 8.0, "dut", TITLE)
    found = synthesize(tmp_path, "dut", save(made, tmp_path), ECP5)
    assert found.bram == estimate_layout(program, directives, ECP5).bram == blocks


@pytest.mark.parametrize(("bits", "budget_ns"), [(17, 5.0), (25, 8.0), (25, 5.0)])
def test_blocks_of_7_series_add_what_is_added_to_their_products(bits: int, budget_ns: float, tmp_path: Path) -> None:
    """A rescaling whose factor and term come beside its operand: only the saturation is left, with a factor of two parts, too."""
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(True, 19, 19))
    factor = build.input("factor", (1,), FixedFormat(False, bits, bits))
    term = build.input("term", (1,), FixedFormat(False, 12, 19))
    y = build.cast(build.add(build.mul(x, factor), term), FixedFormat(True, 8, 8, Rounding.TRN, Overflow.SAT))
    program = build.program([("y", y)])
    made = circuit_of_layout(program, UNROLLED, XILINX_7.delays, budget_ns, "dut", TITLE)
    found = synthesize(tmp_path, "dut", save(made, tmp_path), XILINX_7)
    expected = estimate_layout(program, UNROLLED, XILINX_7, budget_ns)
    assert found.dsp == expected.dsp == (2 if bits > 17 else 1)
    assert found.lut == pytest.approx(expected.lut, abs=4)
    assert budget_ns < 8.0 or found.ff == expected.ff
    assert (bits > 17 and budget_ns < 8.0) or not found.carry


@pytest.mark.parametrize("seed", [1, 2])
def test_random_programs_are_read(seed: int, tmp_path: Path) -> None:
    assert mapped(random_program(seed, max_ops=8, hardware=True), tmp_path).cells


COUNTERS = {
    ("engine_addresses",): """
        input clk, start, runs, step, pass_ends, block_ends, window_ends, round_ends, is_last, move, abreast, alike, outside,
        input [5:0] first_weights, input [3:0] first_bias,
        output [5:0] address, output [3:0] bias_address, output logic [6:0] word
    );
        bitsmith_engine_addresses dut (
            .*, .rst(1'b0), .finish(1'b0), .put(1'b0), .fills(), .bias_place(), .weights_address(address)
        );
    """,
    ("folded_product", "product_factors", "chained_product"): """
        input clk, rst, x_valid, y_free, input [7:0] x_data, rom_data,
        output x_take, y_claim, y_put, output [23:0] y_data, output [5:0] address, output logic [6:0] word
    );
        bitsmith_folded_product #(.N(1), .M(1), .STEPS(32), .ADDS_VALID(1)) dut (.*, .rom_address(address));
    """,
}
"""What counts the address of weights, with the modules that it is made of."""


@pytest.mark.ci
@pytest.mark.parametrize("parts", COUNTERS)
def test_weights_share_nothing_with_their_address(parts: tuple[str, ...], tmp_path: Path) -> None:
    """A table of six address bits is a look-up table for each bit, whatever counts the address."""
    for name, text in library([f"bitsmith_{part}.sv" for part in parts]).items():
        (tmp_path / name).write_text(text)
    sources = [*tmp_path.glob("*.sv"), design := tmp_path / "dut.sv"]
    words = [f"{place}: word <= {value};" for place, value in enumerate(np.random.default_rng(0).integers(0, 128, 64))]
    luts = []
    for table in (f"case (address) {' '.join(words)} endcase", "word <= 0;"):
        design.write_text(f"module dut ({COUNTERS[parts]} always_ff @(posedge clk) {table} endmodule")
        luts.append(synthesize(tmp_path, "dut", sources, CYCLONE_V).lut)
    assert luts[0] - luts[1] == 7
