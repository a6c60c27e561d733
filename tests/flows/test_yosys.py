"""Synthesis: what cells count as, and real runs for both families."""

from __future__ import annotations

import itertools
import json
import random
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40
from bitsmith.devices.nexus import NEXUS
from bitsmith.devices.parts import FAMILIES
from bitsmith.devices.xilinx import ULTRASCALE_PLUS, XILINX_7
from bitsmith.errors import ToolFailedError
from bitsmith.flows.tools import YOSYS, FoundTool, Origin
from bitsmith.flows.yosys import Synthesis, count, part_of
from bitsmith.rtl.library import library
from tests.flows.designs import adders
from tests.flows.found import find
from tests.flows.runs import netlist, synthesize

TOOL = FoundTool("yosys", Path("/opt/yosys"), "0.70", Origin.PATH)


def test_ecp5_cells() -> None:
    cells = {"LUT4": 7, "CCU2C": 10, "TRELLIS_FF": 30, "MULT18X18D": 2, "DP16KD": 3, "PFUMX": 4, "$scopeinfo": 1}
    found = count(ECP5, cells, "yosys 0.70")
    assert (found.lut, found.ff, found.dsp, found.bram, found.carry) == (27, 30, 2, 3, 10)
    assert "$scopeinfo" not in found.cells
    assert found.cells["PFUMX"] == 4


def test_ultrascale_plus_cells() -> None:
    cells = {"LUT2": 1, "LUT6": 2, "SRL16E": 3, "FDRE": 5, "FDSE": 1, "CARRY8": 2, "CARRY4": 1, "DSP48E2": 4}
    found = count(ULTRASCALE_PLUS, {**cells, "RAMB18E2": 1, "RAMB36E2": 2}, "yosys 0.70")
    assert (found.lut, found.ff, found.dsp, found.bram, found.carry) == (6, 6, 4, 5, 3)


def test_the_plan_can_be_looked_at_before_anything_runs(tmp_path: Path) -> None:
    flow = Synthesis("ecp5", "net", ("rtl/net.sv", "rtl/my table.sv"), ECP5)
    files = flow.files()
    assert files["synth/ecp5/synth.ys"] == (
        "read_verilog -sv rtl/net.sv\n"
        'read_verilog -sv "rtl/my table.sv"\n'
        "hierarchy -check -top net\n"
        "proc\n"
        "memory_map -rom-only * */w:clk %m %d A:rom_style=distributed %u */a:rom_style=block %m %d\n"
        "techmap -map synth/ecp5/adders.v -map synth/ecp5/comparators.v * */t:$add */a:use_dsp %i %d\n"
        "synth_ecp5 -top net\n"
        "tee -q -o synth/ecp5/cells.json stat -json\n"
        "write_verilog -noattr synth/ecp5/netlist.v\n"
        "write_json synth/ecp5/netlist.json\n"
    )
    assert list(files) == ["synth/ecp5/synth.ys", "synth/ecp5/adders.v", "synth/ecp5/comparators.v"]
    chains = replace(flow, sources=("rtl/net.sv", "rtl/bitsmith_chained_product.sv")).files()["synth/ecp5/synth.ys"]
    assert "-map synth/ecp5/comparators.v * */t:$add */a:use_dsp %i %d *bitsmith_chained_product* %d\n" in str(chains)
    (command,) = flow.commands(tmp_path, (TOOL,))
    assert command.argv == ("/opt/yosys", "-q", "-l", "synth/ecp5/yosys.log", "-s", "synth/ecp5/synth.ys")
    assert list(tmp_path.iterdir()) == []


def test_a_netlist_to_place_without_pads_has_no_port_but_the_clock() -> None:
    with_pads, without = (
        Synthesis("net", "net", (), ICE40, pads).files()["synth/net/synth.ys"] for pads in (True, False)
    )
    assert isinstance(with_pads, str) and isinstance(without, str)
    written, simulated = "write_json synth/net/netlist.json\n", "write_verilog -noattr synth/net/netlist.v\n"
    assert with_pads.endswith(written)
    assert without == with_pads.removesuffix(written) + simulated + "delete -port net/w:* net/w:clk %d\n" + written
    assert "delete" not in str(Synthesis("net", "net", (), ECP5).files())


def test_pads_are_put_where_nextpnr_wants_them() -> None:
    with_pads, without = (str(Synthesis("net", "net", (), NEXUS, pads).files()) for pads in (True, False))
    assert "iopadmap" in with_pads and "OSCA" not in with_pads and "delete" not in with_pads
    assert without.index("net/w:clk %d") < without.index("OSCA") < without.index("delete -port net/w:clk")
    assert "iopadmap" not in str(Synthesis("net", "net", (), ICE40, pads=True).files())


def test_cell_counts_that_cannot_be_read(tmp_path: Path) -> None:
    flow = Synthesis("ecp5", "net", (), ECP5)
    (tmp_path / "synth" / "ecp5").mkdir(parents=True)
    for text in ("", "{}", '{"design": {"num_cells_by_type": 3}}'):
        (tmp_path / "synth" / "ecp5" / "cells.json").write_text(text)
        with pytest.raises(ToolFailedError, match="cannot be read"):
            flow.read(tmp_path, (TOOL,))


@pytest.mark.tools
@pytest.mark.parametrize("family", FAMILIES)
def test_pipelined_adders(tmp_path: Path, family: Family) -> None:
    """Registers are known exactly (the last stage is kept whole), an adder takes a LUT for each bit or two."""
    design = adders(words=8, stages=4, width=12)
    source = tmp_path / "net.sv"
    source.write_text(design.source)
    lines: list[str] = []
    found = synthesize(tmp_path, "net", [source], family, progress=lines.append)
    assert 0.6 * 384 <= found.ff <= 384 + 4
    assert 0.6 * 384 <= found.lut <= 1.6 * 384
    assert (found.dsp, found.bram) == (0, 0)
    assert found.carry > 0
    assert lines  # the log is followed while it is written
    if family is ECP5:
        modules = json.loads(netlist(tmp_path).read_text())["modules"]
        assert "net" in modules


@pytest.mark.tools
@pytest.mark.ci
def test_chains_go_into_multiplier_blocks(tmp_path: Path) -> None:
    """Sums of four products that are chained take no carry cells on 7 series; two chains, and what adds over time, do."""
    sources = []
    parts = [f"bitsmith_{name}.sv" for name in ("folded_product", "product_factors", "chained_product")]
    for name, text in library(parts).items():
        sources.append(tmp_path / name)
        given = {"N": 8, "M": 2, "CHAIN": 4, "STEPS": 4, "GROUPS": 2}
        for parameter, value in given.items() if name == parts[0] else ():
            text = re.sub(rf"(parameter int {parameter}) = \d+", rf"\1 = {value}", text)
        sources[-1].write_text(text)
    found = synthesize(tmp_path, "bitsmith_folded_product", sources, XILINX_7)
    assert found.dsp == 16
    assert found.carry < 30  # of 24 bits: two sums of two chains, two accumulators; 12 more would be of 18 bits


@pytest.mark.tools
def test_multiplier_and_table(tmp_path: Path) -> None:
    source = tmp_path / "net.sv"
    entries = "\n".join(f"      10'd{i}: q <= 16'd{(i * i * 7919 + 13 * i) % 65536};" for i in range(1024))
    source.write_text(
        "module net (input logic clk, input logic signed [15:0] a, b, input logic [9:0] n,\n"
        "  output logic signed [31:0] p, output logic [15:0] q);\n"
        "  always_ff @(posedge clk) begin\n    p <= a * b;\n    case (n)\n"
        f"{entries}\n    endcase\n  end\nendmodule\n"
    )
    found = synthesize(tmp_path, "net", [source], "ecp5")
    assert found.dsp == 1
    assert found.bram == 1


@pytest.mark.tools
def test_error_of_yosys_is_shown(tmp_path: Path) -> None:
    source = tmp_path / "net.sv"
    source.write_text("module net (input logic clk;\nendmodule\n")
    with pytest.raises(ToolFailedError, match=r"net\.sv:1: ERROR: syntax error") as raised:
        synthesize(tmp_path, "net", [source], "ecp5")
    assert Path(raised.value.log).exists()
    assert not netlist(tmp_path).exists()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("fc1_inst.sum_3_LUT4_Z", "fc1_inst"),
        ("\\fc1_inst.deep.x", "fc1_inst"),
        ("valid_TRELLIS_FF_Q", ""),
        ("fc2_inst.x", ""),
        ("p3_x0_fifo.memory", "p3"),
        ("p3_core.valid", "p3"),
        ("p3_core.fc1_inst.x", "p3_core.fc1_inst"),
        ("p30.x", ""),
    ],
)
def test_cells_belong_to_parts_by_their_names(name: str, part: str) -> None:
    assert part_of(name, {"fc1_inst", "p3", "p3_core.fc1_inst"}) == part


@pytest.mark.tools
@pytest.mark.ci
def test_comparisons_are_carry_chains_that_are_proved_the_same(tmp_path: Path) -> None:
    """Of any widths, signed, unsigned and mixed, in all orders; those of three bits and fewer, or with constants, stay."""
    shapes = [
        (4, 4, 1, 1),
        (5, 5, 1, 1),
        (8, 8, 1, 1),
        (9, 9, 0, 0),
        (6, 9, 1, 1),
        (7, 4, 0, 0),
        (8, 5, 1, 0),
        (3, 3, 1, 1),
    ]
    ports, made = list[str](), list[str]()
    for n, ((a, b, *signs), order) in enumerate(itertools.product(shapes, ("<", "<=", ">", ">="))):
        first, second = ("signed" if sign else "" for sign in signs)
        ports += [f"input {first} [{a - 1}:0] a{n}", f"input {second} [{b - 1}:0] b{n}", f"output y{n}"]
        made.append(f"assign y{n} = a{n} {order} b{n};")
    ports += ["input signed [7:0] c", "output low", "output high"]
    made += ["assign low = c < -8'sd3;", "assign high = 8'sd5 <= c;"]
    (tmp_path / "top.sv").write_text("\n".join([f"module top ({', '.join(ports)});", *made, "endmodule", ""]))
    (tmp_path / "maps.v").write_text(str(Synthesis("n", "top", (), ECP5).files()["synth/n/comparators.v"]))
    script = ["read_verilog -sv top.sv", "proc", "copy top gold", "rename top gate", "techmap -map maps.v gate"]
    script += [
        "select -assert-count 28 gate/t:$alu",
        "select -assert-count 6 gate/t:$lt gate/t:$le gate/t:$gt gate/t:$ge",
    ]
    script += ["miter -equiv -flatten gold gate miter", "sat -verify -prove trigger 0 miter"]
    argv = [str(find(YOSYS).path), "-q", "-p", "; ".join(script)]
    found = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.tools
@pytest.mark.ci
def test_comparisons_with_constants_are_logic_that_is_proved_the_same(tmp_path: Path) -> None:
    """Of signed and unsigned words, in all orders, at the ends of the range and within; comparisons of variables stay."""
    limits = {
        5: (0, 1, 13, 31),
        8: (1, 96, 255),
        16: (1, 0x4D20, 0xFFFF),
        -5: (-16, -3, 15),
        -13: (-4000, -1, 0, 1, 77),
    }
    ports, made = ["input [6:0] a", "input [6:0] b", "output y"], ["assign y = a < b;"]
    for bits, bounds in limits.items():
        word, signed, s = ("s", "signed", "s") if bits < 0 else ("u", "", "")
        ports.append(f"input {signed} [{abs(bits) - 1}:0] {word}{abs(bits)}")
        for n, (bound, order) in enumerate(itertools.product(bounds, ("<", "<=", ">", ">="))):
            name, sign = f"y{word}{abs(bits)}_{n}", "-" if bound < 0 else ""
            ports.append(f"output {name}")
            made.append(f"assign {name} = {word}{abs(bits)} {order} {sign}{abs(bits)}'{s}d{abs(bound)};")
    (tmp_path / "top.sv").write_text("\n".join([f"module top ({', '.join(ports)});", *made, "endmodule", ""]))
    (tmp_path / "maps.v").write_text(str(Synthesis("n", "top", (), ULTRASCALE_PLUS).files()["synth/n/thresholds.v"]))
    script = ["read_verilog -sv top.sv", "proc", "copy top gold", "rename top gate", "techmap -map maps.v gate"]
    script.append("select -assert-count 1 gate/t:$lt gate/t:$le gate/t:$gt gate/t:$ge")
    script += ["miter -equiv -flatten gold gate miter", "sat -verify -prove trigger 0 miter"]
    argv = [str(find(YOSYS).path), "-q", "-p", "; ".join(script)]
    found = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.tools
@pytest.mark.ci
def test_constant_bits_that_an_address_chooses_are_look_up_tables_that_are_proved_the_same(tmp_path: Path) -> None:
    """Of 6 to 10 bits: random ones, ones that have equal or constant parts, and constants; short ones and variables stay."""
    ports, made, rng = ["input [9:0] a", "input [63:0] b", "output y"], ["assign y = b[a[5:0]];"], random.Random(0)
    for bits in range(5, 11):
        half = rng.getrandbits(1 << bits - 1)
        words = (rng.getrandbits(1 << bits), half << (1 << bits - 1) | half, half, (1 << (1 << bits)) - 1 ^ half, 0)
        for n, word in enumerate(words):
            ports.append(f"output y{bits}_{n}")
            made.append(f"localparam [{(1 << bits) - 1}:0] WORD_{bits}_{n} = {1 << bits}'h{word:x};")
            made.append(f"assign y{bits}_{n} = WORD_{bits}_{n}[{{a[{bits - 1}:0]}}];")
    (tmp_path / "top.sv").write_text("\n".join([f"module top ({', '.join(ports)});", *made, "endmodule", ""]))
    (tmp_path / "maps.v").write_text(str(Synthesis("n", "top", (), ULTRASCALE_PLUS).files()["synth/n/tables.v"]))
    script = ["read_verilog -sv top.sv", "proc", "copy top gold", "rename top gate", "techmap -map maps.v gate"]
    script += ["select -assert-count 6 gate/t:$shiftx", "select -assert-min 50 gate/t:LUT6"]
    script += ["read_verilog +/xilinx/cells_sim.v", "hierarchy", "proc", "flatten gate"]
    script += ["miter -equiv -flatten gold gate miter", "sat -verify -prove trigger 0 miter"]
    argv = [str(find(YOSYS).path), "-q", "-p", "; ".join(script)]
    found = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.tools
@pytest.mark.ci
@pytest.mark.parametrize("family", [ULTRASCALE_PLUS, ICE40])
def test_thresholds_of_one_word_share_logic(tmp_path: Path, family: Family) -> None:
    """Seven thresholds of 16 bits; carry chains are 39 look-up tables and 7 chains on UltraScale+, 101 cells on iCE40."""
    source, bounds = tmp_path / "net.sv", (2201, 9530, 18307, 27946, 33141, 46089, 60603)
    outputs = "".join(f"  assign y[{n}] = x < 16'd{bound};\n" for n, bound in enumerate(bounds))
    source.write_text(f"module net (input logic [15:0] x, output logic [6:0] y);\n{outputs}endmodule\n")
    found = synthesize(tmp_path, "net", [source], family)
    assert found.carry == 0
    assert found.lut <= (32 if family is ULTRASCALE_PLUS else 48)
    assert found.lut == pytest.approx(family.area.comparisons(7, 16), rel=0.2)


@pytest.mark.tools
@pytest.mark.ci
@pytest.mark.parametrize("width", [4, 7, 8, 16])
def test_a_signed_maximum_takes_its_bits_twice(tmp_path: Path, width: int) -> None:
    """A carry cell for every two bits, at least three, and a choice for each bit."""
    source = tmp_path / "net.sv"
    source.write_text(
        f"module net (input logic clk, input logic signed [{width - 1}:0] a, b, output logic signed [{width - 1}:0] y);\n"
        f"  logic signed [{width - 1}:0] c, d;\n"
        "  always_ff @(posedge clk) begin\n    c <= a;\n    d <= b;\n    y <= c < d ? d : c;\n  end\nendmodule\n"
    )
    assert synthesize(tmp_path, "net", [source], ECP5).lut <= 2 * max(3, (width + 1) // 2) + width + 1
