"""Counters of a board's circuit, in simulation, against counts of the same cycles in Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bitsmith.netlist.netlist import Field
from bitsmith.rtl.counters import limit
from bitsmith.rtl.library import COUNTERS_LIBRARY, library
from bitsmith.rtl.stream_ports import StreamPort
from tests.flows.runs import lint

STREAMS, INPUTS, FRAMES = 4, 2, 40

BENCH = """\
module bench;
  reg clk = 0, resetn = 0; reg [{last}:0] frame = 0; wire [31:0] value; integer k;
  reg [{last}:0] frames [0:{end}];
  bitsmith_counters #(.STREAMS({streams})) dut (.aclk(clk), .aresetn(resetn), .valid(frame), .ready(frame), .data({data}'d0),
    .limit({streams}'d0), .frame(frame), .read_word(8'd1), .value(value));
  initial begin
    $readmemb("frames.txt", frames);
    #1 clk = 1; #1 clk = 0; resetn = 1;
    for (k = 0; k <= {end}; k = k + 1) begin frame = frames[k]; #1 clk = 1; #1 clk = 0; end
    $write("%0d", value);
    $finish;
  end
endmodule
"""


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus is not installed")
@pytest.mark.parametrize("apart", [0, 9, 60])
def test_busy_cycles_are_those_with_a_frame_inside(tmp_path: Path, apart: int) -> None:
    """Streams pass a frame up to ``apart`` cycles after each other, in any order, so that some are frames ahead of others."""
    rng = np.random.default_rng(apart)
    starts = np.cumsum(rng.integers(1, 30, FRAMES))
    times = np.maximum.accumulate(starts[:, None] + rng.integers(0, apart + 1, (FRAMES, STREAMS)), axis=0)
    times += np.arange(FRAMES)[:, None]  # a frame a cycle at most
    # The last result comes with the last input or later.
    times[:, -1] = np.maximum(times[:, -1], times[:, :INPUTS].max(axis=1))
    cycles = [
        {int(cycle) for cycle in range(first, last + 1)}
        for first, last in zip(times.min(axis=1), times.max(axis=1), strict=True)
    ]
    rows = np.zeros((times.max() + 20, STREAMS), int)
    rows[times, np.arange(STREAMS)] = 1
    (tmp_path / "frames.txt").write_text("\n".join("".join(map(str, row[::-1])) for row in rows))
    for name, text in library(COUNTERS_LIBRARY).items():
        (tmp_path / name).write_text(text)
    values = {"last": STREAMS - 1, "end": len(rows) - 1, "streams": STREAMS, "data": 32 * STREAMS}
    (tmp_path / "bench.sv").write_text(BENCH.format(**values))
    sources = ["bench.sv", *COUNTERS_LIBRARY]
    subprocess.run(["iverilog", "-g2012", "-Wall", "-o", "bench", *sources], cwd=tmp_path, check=True)
    said = subprocess.run(["vvp", "-n", "bench"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert int(said.splitlines()[0]) == len(set().union(*cycles))


def test_results_of_a_thousand_classes_are_counted(tmp_path: Path) -> None:
    """Verilator takes the lines that compare them."""
    port = StreamPort("y", tuple(Field("y", k, -2496, 2495, 0) for k in range(1000)), 1)
    lines = limit("out0", 0, port, "moves").lines
    head = f"module top (input logic [{port.width - 1}:0] out0_token, input logic moves, output logic [0:0] limits);"
    (tmp_path / "top.sv").write_text("\n".join([head, *lines, "endmodule", ""]))
    lint([tmp_path / "top.sv"], "top")
    assert sum(line.count("==") for line in lines) == 2 * len(port.fields)
