"""Monitors of ranges in Icarus, on tokens whose elements have formats of their own, against the numbers that these stand for."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.design import circuit
from bitsmith.devices.ecp5 import ECP5
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import Overflow, Rounding, objects
from bitsmith.mapping.directives import Directives
from bitsmith.rtl import library
from bitsmith.rtl.ranges import Watch, range_monitors, watches
from bitsmith.rtl.writer import Title

FORMATS = {
    "one format": [(4, -8, 7)] * 3,
    "unlike steps and signs": [(5, -64, 63), (2, 0, 7), (-3, -4, 3), (4, 0, 1), (0, -100, -3)],
    "more than 32 bits": [(20, -(1 << 40), (1 << 40) - 1), (3, 0, 200), (21, -5, 4)],
    "elements below the grid": [(0, -(1 << 45), (1 << 45) - 1), (3, -9, 8), (5, 0, 31)],
    "one element": [(2, 0, 255)],
    "an element that is always zero": [(6, -1, 1), (2, 0, 0), (6, 0, 1)],
}
"""Fractional bits, least and greatest raw value of each element."""

BENCH = """\
module bench;
reg aclk = 0, aresetn = 0, take = 0;
reg [11:0] range_word;
reg [{top}:0] in0_token;
reg [{top}:0] tokens [0:{last}];
wire [31:0] range_value;
integer k;
{lines}
task tick; begin #1 aclk = 1; #1 aclk = 0; end endtask
initial begin
$readmemh("tokens.hex", tokens);
in0_token = 0; repeat (8) tick; aresetn = 1;
for (k = 0; k <= {last}; k = k + 1) begin in0_token = tokens[k]; take = 1; tick; take = 0; if (k % 3 == 0) tick; end
repeat (8) tick;
for (k = 0; k < 16; k = k + 1) begin range_word = k; #1 $display("%0d", $signed(range_value)); end
$finish; end
endmodule
"""


def program_of(formats: Sequence[tuple[int, int, int]]) -> Program:
    builder = ProgramBuilder()
    frac, lo, hi = (objects(list(column)) for column in zip(*formats, strict=True))
    x = builder.apply(ops.Input("x", (len(formats),), frac.astype(np.int64), lo, hi, Rounding.TRN, Overflow.SAT, ()))
    return builder.program([("y", builder.neg(x))])


def counted(folder: Path, watch: Watch, tokens: Sequence[Sequence[int]]) -> list[int]:
    """The registers of a monitor that has seen these tokens, which are raw values."""
    text = range_monitors([watch], {"in0": "take"})
    assert text.ports == ("input logic [11:0] range_word", "output logic [31:0] range_value")
    bits = max(low + field.width for low, field in watch.fields)
    packed = [
        sum((raw & (1 << field.width) - 1) << low for raw, (low, field) in zip(token, watch.fields, strict=True))
        for token in tokens
    ]
    (folder / "tokens.hex").write_text("\n".join(f"{word:x}" for word in packed))
    lines = "\n".join(text.lines)
    (folder / "bench.sv").write_text(BENCH.format(top=bits - 1, last=len(tokens) - 1, lines=lines))
    for name, content in library.library(library.RANGES_LIBRARY).items():
        (folder / name).write_text(content)
    sources = ["bench.sv", *library.RANGES_LIBRARY]
    subprocess.run(["iverilog", "-g2012", "-o", "bench", *sources], cwd=folder, check=True)
    said = subprocess.run(["vvp", "-n", "bench"], cwd=folder, check=True, capture_output=True, text=True).stdout
    return [int(line) for line in said.split()]


def bits_named(text: str) -> set[int]:
    """The bits of the first input's token that a text names."""
    found = re.findall(r"in0_token\[(\d+)(?::(\d+))?\]", text)
    return {bit for high, low in found for bit in range(int(low or high), int(high) + 1)}


@pytest.mark.parametrize("name", FORMATS)
def test_bits_that_no_monitor_reads_are_named_as_unused(name: str) -> None:
    program = program_of(FORMATS[name])
    each = circuit(program, Directives({}, True), ECP5.delays, 8.0, "net", Title("test", "0"))
    watch = watches(program, each.interface, None, each.in_engines)[0]
    text = range_monitors([watch], {"in0": "take"})
    read = bits_named("\n".join(text.lines))
    assert bits_named("\n".join(text.unused)) == {*range(sum(field.width for _, field in watch.fields))} - read


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus is not installed")
@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("name", FORMATS)
def test_formats(tmp_path: Path, name: str, calibrated: bool) -> None:
    formats, rng = FORMATS[name], np.random.default_rng(1)
    program = program_of(formats)
    each = circuit(program, Directives({}, True), ECP5.delays, 8.0, "net", Title("test", "0"))
    tokens = [[int(rng.integers(lo, hi, endpoint=True)) for _, lo, hi in formats] for _ in range(60)]
    tokens += [[bound for _, *bounds in formats for bound in bounds[end : end + 1]] for end in (0, 1)]
    halves = [[min(max(raw // 2, lo), hi) for raw, (_, lo, hi) in zip(token, formats, strict=True)] for token in tokens]
    samples = [np.array(halves, dtype=object)] if calibrated else None
    watch = watches(program, each.interface, samples, each.in_engines)[0]

    def on_the_grid(raw: int, frac: int) -> int:
        return floor(Fraction(raw) * Fraction(2) ** (watch.frac - frac))

    bounds = [Fraction(bound) / Fraction(2) ** frac for frac, *ends in formats for bound in ends]
    finest = max(frac for frac, *_ in formats)
    while not all(-(1 << 31) <= bound * Fraction(2) ** finest < 1 << 31 for bound in bounds):
        finest -= 1
    assert watch.frac == finest, "the finest grid on which all fit into 32 bits"
    ends = [on_the_grid(bound, frac) for frac, *each in formats for bound in each]
    assert watch.width == 1 + max(max(ends), -min(ends) - 1).bit_length(), "the bits of what an element may be"
    values, known = (
        [[on_the_grid(raw, frac) for raw, (frac, *_) in zip(token, formats, strict=True)] for token in rows]
        for rows in (tokens, halves)
    )
    if calibrated:
        assert (watch.ends[0], watch.ends[-1]) == (min(map(min, known)), max(map(max, known)))
    words = counted(tmp_path, watch, tokens)
    least, most = watch.ends[0], watch.ends[-1]
    greatest = np.array([max(row) for row in values], dtype=object)
    bins = [int(sum(np.sum(top >= end) for end in watch.ends[1:-1])) for top in greatest]
    assert words[:3] == [
        min(map(min, values)),
        max(map(max, values)),
        sum(min(row) < least or max(row) > most for row in values),
    ]
    assert words[8:] == [bins.count(k) for k in range(8)]
