"""Generated SystemVerilog: what it looks like, that linters accept it, and that it computes what the program means."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.intel import CYCLONE_V
from bitsmith.devices.xilinx import ULTRASCALE_PLUS, XILINX_7
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Compare, Relation
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.netlist.delays import Delays
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.netlist import Field
from bitsmith.netlist.pipeline import pipeline
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.rtl.packing import pack, unpack
from bitsmith.rtl.writer import _described, write
from tests.flows.runs import simulate
from tests.netlist.checks import SteadyDelays, TernaryDelays, compiled, dense_program, expected
from tests.properties import JUDGED
from tests.properties.programs import random_program
from tests.rtl.circuits import TITLE, assert_simulation_equals_oracle, circuit, lint, save

DELAYS = (TernaryDelays(), SteadyDelays())
BUDGETS = (1.3, 2.0, 4.0, 50.0)


def tiny() -> Program:
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 4, 2))
    with build.layer("fc1"):
        y = build.add(build.linear(x, np.array([[3, 1], [-1, 2]])), build.const([1, 0]))
    with build.layer("relu"):
        y = build.max(y, build.const(0))
        y = build.cast(y, FixedFormat(False, 4, 1, Rounding.RND, Overflow.SAT))
    return build.program([("y", y)])


TOP = """\
// Written by bitsmith 0, project 0123456789ab.
// A sample per clock cycle, results 2 cycles later.
// in_data, from bit 0 up:
//   [7:0] x[0..1], 4 bits each, signed, 2 fractional bits
// out_data, from bit 0 up:
//   [7:0] y[0..1], 4 bits each, unsigned, 1 fractional bits
module tiny (
  input logic clk,
  input logic rst,
  input logic in_valid,
  input logic [7:0] in_data,
  output logic out_valid,
  output logic [7:0] out_data
);
"""

FC1 = """\
// Written by bitsmith 0, project 0123456789ab.
// Layer fc1.
module tiny_fc1 (
  input logic clk,
  input logic signed [3:0] x_0,
  input logic signed [3:0] x_1,
  output logic signed [5:0] fc1_linear_0_r1,
  output logic signed [5:0] fc1_linear_1
);
  logic signed [4:0] fc1_linear_t1;
  logic signed [5:0] fc1_linear_0;
  assign fc1_linear_t1 = 5'(x_0) - 5'(x_1);
  assign fc1_linear_0 = (6'(x_0) <<< 1) + 6'(fc1_linear_t1);
  assign fc1_linear_1 = 6'(x_0) + (6'(x_1) <<< 1);
  always_ff @(posedge clk) begin
    fc1_linear_0_r1 <= fc1_linear_0;
  end
endmodule
"""


def test_top_module() -> None:
    design = circuit(tiny(), 3.0, "tiny", 1).design
    assert list(design.sources) == ["tiny.sv", "tiny_fc1.sv", "tiny_relu.sv"]
    assert design.sources["tiny.sv"].startswith(TOP)
    assert (design.top, design.latency, design.in_width, design.out_width) == ("tiny", 2, 8, 8)


@compiled
def test_layer_module() -> None:
    assert circuit(tiny(), 3.0, "tiny", 1).design.sources["tiny_fc1.sv"] == FC1


def test_text_depends_on_nothing_but_the_program() -> None:
    texts = [circuit(dense_program([5, 6, 3], 4, 4, 0.3), 2.0, "net", 1).design.sources for _ in range(2)]
    assert texts[0] == texts[1]


def test_hostile_names_do_not_reach_the_code(tmp_path: Path) -> None:
    build = ProgramBuilder()
    x = build.input("clk;endmodule", (2,), FixedFormat(True, 4, 0))
    for layer in ("a b", "a/b", "a_b", "always", "*/\n`include", "A_B"):
        with build.layer(layer):
            x = build.add(x, build.linear(x, np.array([[1, 2], [3, 4]])))
            x = build.table(build.cast(x, FixedFormat(True, 4, 0)), -8, [(k * k) % 13 - 6 for k in range(16)], 0)
    program = build.program([("out_data\nendmodule", x)])
    each = circuit(program, 2.0, "module", 8)
    sources = save(each.design, tmp_path)
    assert each.design.top == "module_" and len(set(map(str.lower, each.design.sources))) == len(sources)
    lint(sources, each.design.top)


@pytest.mark.parametrize("seed", [pytest.param(k, marks=() if k < 2 else JUDGED) for k in range(6)])
def test_lint(seed: int, tmp_path: Path) -> None:
    each = circuit(random_program(seed, hardware=True), BUDGETS[seed % 4], "dut", 1, delays=DELAYS[seed % 2])
    lint(save(each.design, tmp_path), "dut")


def test_layers_may_read_one_word(tmp_path: Path) -> None:
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 4, 2))
    with build.layer("first"):
        y = build.linear(x, np.array([[3, 1], [-1, 2]]))
    with build.layer("left"):
        left = build.linear(y, np.array([[5, 3], [7, -1]]))
    with build.layer("right"):
        right = build.linear(y, np.array([[1, 1], [3, -9]]))
    lint(save(circuit(build.program([("l", left), ("r", right)]), 50.0, "dut", 1).design, tmp_path), "dut")


def test_a_layer_may_read_a_part_of_what_others_read(tmp_path: Path) -> None:
    """Its port has all bits of the word, and a sink for those that it does not read."""
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(True, 6, 2))
    with build.layer("first"):
        y = build.linear(x, np.array([[3]]))
    with build.layer("upper"):
        upper = build.add(build.cast(y, FixedFormat(True, 7, 0, Rounding.TRN, Overflow.WRAP)), build.const([1]))
    with build.layer("whole"):
        whole = build.add(y, build.const([1]))
    design = circuit(build.program([("upper", upper), ("whole", whole)]), 50.0, "dut", 1).design
    assert "unused" in design.sources["dut_upper.sv"]
    lint(save(design, tmp_path), "dut")


def mixed_signs() -> Program:
    """Signed and unsigned numbers of like and unlike widths and steps, compared with each other."""
    formats = [FixedFormat(signed, bits, frac) for signed, bits, frac in ((True, 4, 1), (False, 4, 1), (False, 3, 0))]
    build, results = ProgramBuilder(), list[Value]()
    operands = [build.input(name, (3,), fmt) for name, fmt in zip("abc", formats, strict=True)]
    for x, y in permutations(operands, 2):
        results += [build.apply(Compare(relation), x, y) for relation in (Relation.LT, Relation.EQ)]
        results.append(build.max(x, build.neg(y)))
    return build.program([(f"y{k}", result) for k, result in enumerate(results)])


@pytest.mark.slow
@pytest.mark.ci
def test_simulation(tmp_path: Path) -> None:
    programs = [dense_program([6, 8, 3], 4, 5, 0.3), tiny(), random_program(0, max_ops=12), mixed_signs()]
    circuits = [circuit(p, BUDGETS[k % 4], f"dut{k}", 20, k, DELAYS[k % 2]) for k, p in enumerate(programs)]
    assert_simulation_equals_oracle(circuits, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "first", [pytest.param(first, marks=[pytest.mark.ci] if first < 140 else []) for first in range(100, 340, 20)]
)
def test_many_random_programs(first: int, tmp_path: Path) -> None:
    circuits = []
    for seed in range(first, first + 20):
        program = random_program(seed, hardware=seed % 3 != 0)
        circuits.append(circuit(program, BUDGETS[seed % 4], f"dut{seed}", 16, seed, DELAYS[seed % 2]))
        folder = tmp_path / str(seed)
        folder.mkdir()
        lint(save(circuits[-1].design, folder), f"dut{seed}")
    assert_simulation_equals_oracle(circuits, tmp_path)


@pytest.mark.slow
def test_sixteen_bit_network(tmp_path: Path) -> None:
    program = dense_program([16, 64, 32, 32, 5], 16, 16, 0.0)
    netlist = reduce_widths(elaborate(program))
    design = write(netlist, pipeline(netlist, SteadyDelays(), 4.0), "net", TITLE)
    rng = np.random.default_rng(0)
    raw = rng.integers(-(2**15), 2**15, (1000, 16))
    sources = save(design, tmp_path)
    result = simulate(
        tmp_path, "net", sources, design.in_width, design.out_width, pack(design.inputs, [raw]), design.latency
    )
    assert result.latency_cycles == design.latency
    (got,) = unpack(design.outputs, result.outputs[0][:, 0])
    for sample in range(0, 1000, 50):
        assert got[sample].tolist() == expected(program, [raw.astype(np.object_)], sample)


def test_packings_name_each_run_of_like_elements() -> None:
    """Of one element, too, at either end; another tensor, width, sign or number of fractional bits begins one."""
    ranges = [("x", -4, 3, 2), ("x", 0, 7, 2), ("x", 0, 7, 2), ("x", 0, 7, 1), ("x", 0, 3, 1), ("y", 0, 3, 1)]
    fields = [Field(tensor, index, lo, hi, frac) for index, (tensor, lo, hi, frac) in enumerate(ranges)]
    assert _described("in", fields)[1:] == [
        "  [2:0] x[0], 3 bits each, signed, 2 fractional bits",
        "  [8:3] x[1..2], 3 bits each, unsigned, 2 fractional bits",
        "  [11:9] x[3], 3 bits each, unsigned, 1 fractional bits",
        "  [13:12] x[4], 2 bits each, unsigned, 1 fractional bits",
        "  [15:14] y[5], 2 bits each, unsigned, 1 fractional bits",
    ]


def _table(delays: Delays, budget_ns: float) -> str:
    """The module of a table of 1,024 words of 8 bits, in front of an addition."""
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(True, 10, 0))
    y = build.table(x, -512, [(k * k) % 251 for k in range(1024)], 0)
    design = circuit(build.program([("y", build.add(y, build.const([3])))]), budget_ns, "dut", 1, delays=delays).design
    (table,) = (text for name, text in design.sources.items() if name.endswith("table.sv"))
    return table


@pytest.mark.parametrize(("words", "said"), [(32, False), (64, True)])
def test_tables_that_a_tool_might_put_into_blocks_say_that_they_are_look_up_tables(words: int, said: bool) -> None:
    """Yosys makes a block of 512 bits behind a register, on Cyclone V, and of no fewer."""
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(False, words.bit_length() - 1, 0))
    y = build.table(x, 0, np.random.default_rng(0).permutation(256)[:words], 0)
    program = build.program([("y", build.add(y, build.const([3])))])
    sources = circuit(program, 2.0, "dut", 1, delays=CYCLONE_V.delays).design.sources
    (table,) = (text for name, text in sources.items() if name.endswith("table.sv"))
    assert ('rom_style = "distributed"' in table) == said


def test_tables_of_a_few_cells_are_a_constant_per_bit() -> None:
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(True, 6, 0))
    program = build.program([("y", build.table(x, -32, np.arange(64) // 16, 0))])
    sources = circuit(program, 4.0, "dut", 1, delays=SteadyDelays()).design.sources
    (table,) = (text for name, text in sources.items() if name.endswith("table.sv"))
    # Address -32 is index 32, and has value 0.
    assert "BIT_0 = 64'hffff0000ffff0000;" in table and "BIT_1 = 64'hffffffff;" in table


@pytest.mark.parametrize(
    ("family", "bits", "constants"),
    [(ULTRASCALE_PLUS, 4, True), (XILINX_7, 4, True), (ECP5, 4, False), (ECP5, 6, True), (ULTRASCALE_PLUS, 8, True)],
)
def test_families_say_which_tables_are_a_constant_per_bit(family: Family, bits: int, constants: bool) -> None:
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(False, bits, 0))
    program = build.program([("y", build.table(x, 0, np.arange(1 << bits) * 7 % 5, 0))])
    sources = circuit(program, 8.0, "dut", 1, delays=family.delays).design.sources
    (table,) = (text for name, text in sources.items() if name.endswith("table.sv"))
    assert ("localparam" in table, "case" in table) == (constants, not constants)


def test_tables_that_are_registered_anyway_have_the_register_inside() -> None:
    table = _table(SteadyDelays(), 4.0)
    assert "input logic clk" in table and "always_ff @(posedge clk) begin\n    case (address)" in table
    assert '(* rom_style = "block", syn_romstyle = "EBR" *) output logic [7:0] value' in table


@pytest.mark.parametrize(
    ("family", "budget_ns", "in_block"),
    [(ECP5, 8.0, True), (XILINX_7, 8.0, False), (ULTRASCALE_PLUS, 4.0, False), (ULTRASCALE_PLUS, 1.0, True)],
)
def test_tables_say_what_memory_they_are_to_be(family: Family, budget_ns: float, in_block: bool) -> None:
    """Block memory where that is the smaller share of a part, or where look-up tables are too slow."""
    table = _table(family.delays, budget_ns)
    assert ('rom_style = "block"' in table) == in_block
    assert ('syn_romstyle = "logic"' in table) != in_block
    assert ('(* rom_style = "distributed" *)\nmodule' in table) != in_block
