"""The sum of three is the same as an expression and in AMD's cells: proved, and one look-up table per bit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bitsmith.devices import ULTRASCALE_PLUS
from bitsmith.flows.tools import YOSYS, find
from bitsmith.flows.yosys import synthesize
from bitsmith.rtl.library import TERNARY_LIBRARY, library

pytestmark = pytest.mark.tools

CELLS = """\
module LUT6_2 #(parameter [63:0] INIT = 0) (input I0, I1, I2, I3, I4, I5, output O5, O6);
  assign O6 = INIT[{I5, I4, I3, I2, I1, I0}];
  assign O5 = INIT[{1'b0, I4, I3, I2, I1, I0}];
endmodule
module CARRY4 (input CI, CYINIT, input [3:0] DI, S, output [3:0] O, CO);
  wire [4:0] carry = {S[3] ? carry[3] : DI[3], S[2] ? carry[2] : DI[2], S[1] ? carry[1] : DI[1],
                      S[0] ? carry[0] : DI[0], CI | CYINIT};
  assign O = S ^ carry[3:0];
  assign CO = carry[4:1];
endmodule
"""
"""What AMD's cells do, by their documentation (UG474, UG574)."""

SHAPES = [(5, 0, 0, 0, 0), (6, 2, 0, 1, 0), (9, 1, 2, 0, 1), (8, 0, 3, 1, 1), (2, 0, 0, 1, 1)]


def top(width: int, drop: int, passed: int, subtract_b: int, subtract_c: int, cells: int) -> str:
    given = f".WIDTH({width}), .DROP({drop}), .PASSED({passed})"
    given += f", .SUBTRACT_B({subtract_b}), .SUBTRACT_C({subtract_c}), .PRIMITIVES({cells})"
    return f"""\
module top (input [{3 * width - 1}:0] terms, output [{width - drop - 1}:0] sum, expected);
  wire [{width - 1}:0] a, b, c, b_shifted, c_shifted, whole;
  assign {{c, b, a}} = terms;
  assign b_shifted = b << {passed};
  assign c_shifted = c << {passed};
  bitsmith_ternary_adder #({given}) made (.terms({{c_shifted, b_shifted, a}}), .sum(sum));
  assign whole = a + {"~" * subtract_b}b_shifted + {"~" * subtract_c}c_shifted + {subtract_b + subtract_c};
  assign expected = whole >> {drop};
endmodule
"""


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    for name, text in library(TERNARY_LIBRARY).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "cells.v").write_text(CELLS)
    return [tmp_path / name for name in (*TERNARY_LIBRARY, "cells.v", "top.v")]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cells", [0, 1])
def test_sums_are_proved(shape: tuple[int, int, int, int, int], cells: int, sources: list[Path]) -> None:
    sources[-1].write_text(top(*shape, cells))
    script = [f"read_verilog -sv {path.name}" for path in sources]
    script += ["hierarchy -check -top top", "proc", "flatten", "opt", "sat -verify -prove sum expected top"]
    command = [str(find(YOSYS).path), "-q", "-p", "; ".join(script)]
    subprocess.run(command, cwd=sources[0].parent, check=True, capture_output=True)


def test_a_bit_is_a_look_up_table(sources: list[Path]) -> None:
    sources[-1].write_text(top(12, 0, 3, 1, 0, 1).replace(", expected", "").replace("  assign expected", "  //"))
    found = synthesize(sources[0].parent, "top", [sources[0], sources[2]], ULTRASCALE_PLUS)
    assert (found.lut, found.cells["LUT6_2"], found.cells["CARRY4"]) == (9, 9, 3)
