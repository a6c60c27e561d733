"""Measure the delays and areas of a family's record: single operations after place and route.

Every design has 64 operators (of tables and multipliers fewer) with registers before and after them; 32 registers per side
feed them in random order, so that registers drive about two operators each. Prints one line of JSON per design: ``period_ns``
is the slowest of all instances, ``luts`` and ``dsps`` are what Yosys counts per operator, ``used`` what nextpnr counts per
operator. The kind "maximum" is a comparator and a multiplexer in series, to see that delays may be added. Comparisons are
written as the sign of a difference: on ECP5 a maximum of two 8-bit words then takes 22 look-up tables and 4.4 ns, written with
``<`` 60 and 6.9 ns. `docs/add-a-device.md` says what becomes of the figures.

    python benchmarks/calibrate_delay.py PART OUT.jsonl [KIND ...]

Needs Yosys and the family's nextpnr.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.flows.runs import netlist, place_and_route, synthesize

from bitsmith.devices.family import Part
from bitsmith.devices.parts import resolve_part

OPERANDS = 32
INSTANCES = 64


@dataclass(frozen=True, slots=True)
class Case:
    """One design: operator kind and operand widths (address bits and word width for a table)."""

    kind: str
    a: int
    b: int

    def instances(self, part: Part) -> int:
        """Operators in the design: a table has one operand and no twin; large ones are fewer, to fit."""
        match self.kind:
            case "table":
                return min(OPERANDS, 4096 >> self.a)
            case "multiplier":
                blocks = part.family.block.count(self.a, self.b) if part.family.block else 1
                return min(OPERANDS, part.die.dsps // max(blocks, 1))
            case _:
                return min(INSTANCES, part.die.luts // (3 * self.a))


@dataclass(frozen=True, slots=True)
class Operator:
    """How an operator is written over operands ``x`` (a bits) and ``y`` (b bits), and the width of its result."""

    expression: Callable[[Case, str, str, random.Random], str]
    result: Callable[[Case], int]


def _sums(count: int, x: str, y: str, rng: random.Random) -> str:
    """Return ``count`` sums one after another."""
    further = [f"ys[{rng.randrange(OPERANDS)}]" for _ in range(count - 1)]
    for term in (y, *further):
        x = f"({x} {rng.choice('+-')} {term})"
    return x


OPERATORS = {
    "adder": Operator(lambda _, x, y, rng: _sums(1, x, y, rng), lambda c: c.a),
    "two sums": Operator(lambda _, x, y, rng: _sums(2, x, y, rng), lambda c: c.a),
    "three sums": Operator(lambda _, x, y, rng: _sums(3, x, y, rng), lambda c: c.a),
    "comparator": Operator(lambda _, x, y, _r: f"below({x}, {y})", lambda c: 1),
    "mux2": Operator(lambda c, x, y, _: f"{y}[0] ? {x} : {{{x}[0], {x}[{c.a - 1}:1]}}", lambda c: c.a),
    "maximum": Operator(lambda _, x, y, _r: f"below({x}, {y}) ? {y} : {x}", lambda c: c.a),
    "table": Operator(lambda c, x, _y, _r: f"rom({x})", lambda c: c.b),
    "multiplier": Operator(lambda c, x, y, _: f"$signed({x}) * $signed({y})", lambda c: c.a + c.b),
}

CASES = [
    *(Case("adder", w, w) for w in (3, 4, 5, 6, 8, 12, 16, 24, 32, 40)),
    *(Case(kind, w, w) for kind in ("two sums", "three sums") for w in (8, 16, 24, 32, 48)),
    *(Case("comparator", w, w) for w in (4, 8, 16, 24, 32, 40)),
    *(Case("mux2", w, w) for w in (8, 16, 32)),
    *(Case("maximum", w, w) for w in (8, 16, 32)),
    *(Case("table", a, w) for a, w in ((4, 8), (5, 8), (6, 8), (7, 8), (8, 8), (9, 8), (10, 8), (8, 16))),
    *(Case("multiplier", a, b) for a, b in ((4, 4), (8, 8), (12, 12), (18, 18), (24, 18), (32, 32))),
]


def source(case: Case, instances: int, rng: random.Random) -> str:
    """Return the design in SystemVerilog."""
    operator = OPERATORS[case.kind]
    width_y = case.a if case.kind == "table" else case.b
    result = operator.result(case)
    lines = [
        f"module top(input clk, input [{OPERANDS * case.a - 1}:0] x_in, input [{OPERANDS * width_y - 1}:0] y_in,",
        f"           output reg [{instances * result - 1}:0] z);",
        f"  reg [{OPERANDS * case.a - 1}:0] x;",
        f"  reg [{OPERANDS * width_y - 1}:0] y;",
        f"  wire [{case.a - 1}:0] xs [0:{OPERANDS - 1}];",
        f"  wire [{width_y - 1}:0] ys [0:{OPERANDS - 1}];",
    ]
    for k in range(OPERANDS):
        lines.append(f"  assign xs[{k}] = x[{k * case.a} +: {case.a}];")
        lines.append(f"  assign ys[{k}] = y[{k * width_y} +: {width_y}];")
    if case.kind in ("comparator", "maximum"):
        lines.append(f"  function automatic below(input signed [{case.a - 1}:0] a, input signed [{case.b - 1}:0] b);")
        lines += [f"    reg signed [{case.a}:0] difference;", "    begin", "      difference = a - b;"]
        lines += [f"      below = difference[{case.a}];", "    end", "  endfunction"]
    if case.kind == "table":
        lines.append(f"  function automatic [{case.b - 1}:0] rom(input [{case.a - 1}:0] address);")
        lines.append("    case (address)")
        lines += [f"      {case.a}'d{k}: rom = {case.b}'d{rng.getrandbits(case.b)};" for k in range(1 << case.a)]
        lines += ["    endcase", "  endfunction"]
    lines += ["  always @(posedge clk) begin", "    x <= x_in;", "    y <= y_in;"]
    for k in range(instances):
        expression = operator.expression(case, f"xs[{k % OPERANDS}]", f"ys[{rng.randrange(OPERANDS)}]", rng)
        lines.append(f"    z[{k * result} +: {result}] <= {expression};")
    lines += ["  end", "endmodule", ""]
    return "\n".join(lines)


def measure(case: Case, part: Part, folder: Path) -> dict[str, object]:
    """Synthesize, place and route one design; return its period, the parts of its critical path, and its area."""
    path = folder / "top.sv"
    instances = case.instances(part)
    path.write_text(source(case, instances, random.Random(f"{case}")))
    family = replace(
        part.family, synthesis=replace(part.family.synthesis, command=f"{part.family.synthesis.command} -nobram")
    )
    made = synthesize(folder, "top", [path], family)
    timing = place_and_route(folder, netlist(folder, family.name), target_mhz=400, part=part)
    report = json.loads((folder / "pnr" / "report.json").read_text())
    parts: dict[str, float] = {}
    hops = 0
    for found in report["critical_paths"]:
        if found["from"] == found["to"] and "posedge" in found["from"]:
            for segment in found["path"]:
                parts[segment["type"]] = round(parts.get(segment["type"], 0.0) + segment["delay"], 3)
                hops += segment["type"] == "routing"
    return {
        **asdict(case),
        "period_ns": timing.clock_period_ns,
        "parts": parts,
        "hops": hops,
        "luts": made.lut / instances,
        "dsps": made.dsp / instances,
        "used": {kind: used / instances for kind, (used, _) in timing.utilization.items()},
    }


def main() -> None:
    """Measure the cases, or those of the kinds named on the command line."""
    part, kinds = resolve_part(sys.argv[1]), sys.argv[3:]
    with Path(sys.argv[2]).open("a") as out:
        for case in CASES:
            if (case.kind == "multiplier" and part.family.block is None) or (kinds and case.kind not in kinds):
                continue
            with tempfile.TemporaryDirectory() as folder:
                line = json.dumps(measure(case, part, Path(folder)))
            print(line, flush=True)
            out.write(line + "\n")
            out.flush()


if __name__ == "__main__":
    main()
