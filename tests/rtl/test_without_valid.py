"""Pipelines of clock and data alone: Icarus runs them as they are, Verilator in the wrapper that adds valid signals."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.design import Pipeline, circuit
from bitsmith.building.verification import compare
from bitsmith.compiler import compile_network
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.ice40 import ICE40
from bitsmith.devices.protection import Protection
from bitsmith.devices.xilinx import ULTRASCALE_PLUS
from bitsmith.emulate import Emulator
from bitsmith.errors import ConfigError
from bitsmith.flows.run import Command, run
from bitsmith.flows.tools import YOSYS
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.rtl.integration import module_ports
from bitsmith.rtl.names import Wrapper
from bitsmith.rtl.packing import Words, pack
from tests.flows.found import find
from tests.flows.runs import execute
from tests.netlist.checks import dense_program
from tests.properties import few, judged
from tests.properties.programs import random_program, random_stimuli
from tests.rtl.circuits import TITLE, lint
from tests.rtl.test_states import cells

VALID = Directives({}, True)
BARE = replace(VALID, valid=False)
FAMILIES = (ECP5, ULTRASCALE_PLUS, ICE40)
BUDGETS = (1.3, 2.0, 4.0, 50.0)

BENCH = """
module bench;
  reg clk = 0;
  reg [{inside}:0] samples [0:{last}], in_data;
  wire [{outside}:0] out_data;
  integer k;
  net dut (.clk(clk), .in_data(in_data), .out_data(out_data));
  initial begin
    $readmemh("samples.txt", samples);
    for (k = 0; k <= {last} + {latency} - 1; k = k + 1) begin
      in_data = k > {last} ? ~in_data : samples[k];
      #1 clk = 1;
      #1 clk = 0;
      #1 if (k + 1 >= {latency}) $display("%h", out_data);
    end
  end
endmodule
"""
"""A sample in each cycle; nothing but the number of cycles says which result is whose."""


def made(program: Program, seed: int = 0, directives: Directives = BARE) -> Pipeline:
    budget_ns = BUDGETS[seed % len(BUDGETS)]
    found = circuit(program, directives, FAMILIES[seed % len(FAMILIES)].delays, budget_ns, "net", TITLE)
    assert isinstance(found, Pipeline)
    return found


def save(folder: Path, each: Pipeline) -> list[Path]:
    """The files of the circuit, in the folder ``rtl`` as in projects; the wrapper with valid signals last."""
    (folder / "rtl").mkdir()
    texts = {**each.sources, "net_valid.sv": each.extras["rtl/net_valid.sv"]}
    for name, text in texts.items():
        (folder / "rtl" / name).write_text(text)
    return [folder / "rtl" / name for name in texts]


def numbers(words: Words) -> list[int]:
    """Rows of 32-bit words, the lowest first, as numbers."""
    return [int.from_bytes(row.astype("<u4").tobytes(), "little") for row in words]


@few("seed", range(24), fast=3)
def test_icarus_gives_the_emulators_results_in_each_cycle(seed: int, tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("needs Icarus")
    program = random_program(seed, max_ops=16, hardware=True)
    if not BARE.unrolled(program):
        pytest.skip("no pipeline")
    each, raws = made(program, seed), random_stimuli(program, seed, 24)
    samples = numbers(pack(each.design.inputs, raws))
    (tmp_path / "samples.txt").write_text("".join(f"{sample:x}\n" for sample in samples))
    widths = {"inside": each.design.in_width - 1, "outside": each.design.out_width - 1}
    (tmp_path / "bench.sv").write_text(BENCH.format(**widths, last=len(samples) - 1, latency=each.cycles[0]))
    sources = ["bench.sv", *map(str, save(tmp_path, each)[:-1])]
    for argv in (["iverilog", "-g2012", "-Wall", "-o", "bench", *sources], ["vvp", "-n", "bench"]):
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stderr == ""
    results = numbers(pack(each.design.outputs, Emulator(program).run_raw(raws)))
    assert [int(line, 16) for line in done.stdout.split()] == results


@few("seed", [*map(judged, range(2)), *range(2, 12)], fast=0)
def test_verilator_gives_the_emulators_results(seed: int, tmp_path: Path) -> None:
    """As a sample comes in each cycle, and with pauses, between which there is garbage."""
    program = random_program(seed, max_ops=16, hardware=True)
    each, raws = made(program, seed), random_stimuli(program, seed, 24)
    found = execute(each.simulation(save(tmp_path, each)[:-1], raws), tmp_path)
    compare(Emulator(program), program, found.outputs, raws)
    assert (found.latency, found.interval) == each.cycles


@few("seed", [*map(judged, range(3)), *range(3, 24)], fast=0)
def test_all_tools_read_it(seed: int, tmp_path: Path) -> None:
    """And the wrapper with valid signals around it; also with the port of check bits."""
    program = random_program(seed, max_ops=16, hardware=True)
    each = made(program, seed, replace(BARE, protection=[*Protection][seed % 3]))
    paths = save(tmp_path, each)
    lint(paths[:-1], "net")
    lint(paths, "net_valid")
    script = [
        f"read_verilog -sv {' '.join(f'rtl/{path.name}' for path in paths)}",
        "hierarchy -check -top net_valid",
        "proc",
        "check -assert",
    ]
    (tmp_path / "read.ys").write_text("\n".join(script) + "\n")
    run(Command((str(find(YOSYS).path), "-q", "-s", "read.ys"), tmp_path, tmp_path / "read.log"))
    assert "arning" not in (tmp_path / "read.log").read_text()


@pytest.mark.parametrize("constant", [False, True])
def test_nothing_but_the_valid_signals_is_left_out(constant: bool, tmp_path: Path) -> None:
    """The clock stays, even where all results are constants."""
    builder = ProgramBuilder()
    x = builder.input("x", (2,), FixedFormat(True, 6, 3))
    with builder.layer("fc"):
        y = builder.const([3, 5]) if constant else builder.linear(x, np.array([[3, 5], [7, -9]]))
    with_them, bare = (made(builder.program([("y", y)]), 1, each) for each in (VALID, BARE))
    assert with_them.cycles == bare.cycles and set(with_them.sources) == set(bare.sources)
    assert set(bare.extras) - set(with_them.extras) == {"rtl/net_valid.sv"}
    ports = [each.name for each in module_ports(bare.sources["net.sv"], "net")]
    assert ports == ["clk", "in_data", "out_data"] and "valid" not in bare.sources["net.sv"]
    wrapper = module_ports(bare.extras["rtl/net_valid.sv"], "net_valid")
    assert wrapper == module_ports(with_them.sources["net.sv"], "net")
    assert {**bare.sources, "net.sv": ""} == {**with_them.sources, "net.sv": ""}
    paths = save(tmp_path, bare)
    lint(paths[:-1], "net")


def test_layers_are_no_wrappers() -> None:
    """Their modules have other names, and so other files."""
    builder = ProgramBuilder()
    x = builder.input("x", (2,), FixedFormat(True, 6, 3))
    results = list[tuple[str, Value]]()
    for number, name in enumerate(Wrapper):
        with builder.layer(name.value):
            results.append((f"y{number}", builder.mul(x, builder.add(x, builder.const([number, 3])))))
    each = made(builder.program(results))
    names = {*map(Path, each.extras)} | {
        Path("rtl") / f"{name}.sv" for name in (Wrapper.UART.of("net"), Wrapper.PINS.of("net"))
    }
    assert Path("rtl/net_valid.sv") in names
    assert len(each.sources) == 1 + len(Wrapper) and not names & {Path("rtl") / name for name in each.sources}


def test_what_shares_hardware_needs_them() -> None:
    program = dense_program((8, 4), 4, 4, 0.0)
    layer = next(node.layer for node in program.nodes if node.layer)
    shared = replace(BARE, reuse={layer: 4}, products={layer: MultiplierStyle.SHARED})
    for directives, said in (
        (shared, rf"'{layer}', which shares multipliers"),
        (replace(BARE, parallel=False), "streams"),
    ):
        with pytest.raises(ConfigError, match=rf"(?s)Interface.*ap_none.*{said}.*a pipeline"):
            made(program, 0, directives)
    with pytest.raises(ConfigError, match="states of 'gru' that live on between samples"):
        made(compile_network(cells("gru")).program)
