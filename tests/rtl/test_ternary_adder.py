"""The sum of three is the same as an expression and in cells of AMD and Intel: proved, and one look-up table per bit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bitsmith.devices.family import Family
from bitsmith.devices.intel import ARRIA_10, CYCLONE_V
from bitsmith.devices.xilinx import ULTRASCALE_PLUS
from bitsmith.flows.tools import YOSYS
from bitsmith.rtl.library import TERNARY_LIBRARY, library
from tests.flows.found import find
from tests.flows.runs import synthesize

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
module cyclonev_lcell_comb #(parameter [63:0] lut_mask = 0, parameter shared_arith = "", parameter extended_lut = "")
  (input dataa, datab, datac, datad, datae, dataf, datag, cin, sharein, output combout, sumout, cout, shareout);
  wire [3:0] address = {datad, datac, datab, dataa};
  assign {cout, sumout} = lut_mask[{2'b00, address}] + sharein + cin;
  assign shareout = lut_mask[{2'b10, address}];
endmodule
"""
"""What AMD's cells do, by their documentation (UG474, UG574), and Intel's in shared arithmetic mode (CV-52001)."""

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
@pytest.mark.parametrize("cells", [0, 1, 2])
def test_sums_are_proved(shape: tuple[int, int, int, int, int], cells: int, sources: list[Path]) -> None:
    sources[-1].write_text(top(*shape, cells))
    script = [f"read_verilog -sv {path.name}" for path in sources]
    script += ["hierarchy -check -top top", "proc", "flatten", "opt", "sat -verify -prove sum expected top"]
    command = [str(find(YOSYS).path), "-q", "-p", "; ".join(script)]
    subprocess.run(command, cwd=sources[0].parent, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("family", "cells", "made"),
    [
        (ULTRASCALE_PLUS, 1, {"LUT6_2": 9, "CARRY4": 3}),
        *((x, 2, {"cyclonev_lcell_comb": 9}) for x in (CYCLONE_V, ARRIA_10)),
    ],
)
def test_a_bit_is_a_look_up_table(family: Family, cells: int, made: dict[str, int], sources: list[Path]) -> None:
    """Without that of the term that is subtracted, on Intel's."""
    sources[-1].write_text(top(12, 0, 3, 0, 0, cells).replace(", expected", "").replace("  assign expected", "  //"))
    found = synthesize(sources[0].parent, "top", [sources[0], sources[2]], family)
    assert found.lut == 9
    assert {cell: found.cells[cell] for cell in made} == made


def test_a_term_that_is_subtracted_takes_half_an_alm_more(sources: list[Path]) -> None:
    sources[-1].write_text(top(12, 0, 3, 1, 1, 2).replace(", expected", "").replace("  assign expected", "  //"))
    found = synthesize(sources[0].parent, "top", [sources[0], sources[2]], CYCLONE_V)
    assert found.lut == 11
