"""Chains of products are the same as an expression and in AMD's DSP48E2 cells: proved, and nothing beside the blocks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bitsmith.flows.tools import YOSYS
from bitsmith.rtl.library import library
from tests.flows.found import find

pytestmark = pytest.mark.tools

PARTS = ("bitsmith_product_factors.sv", "bitsmith_chained_product.sv")
MODEL = Path(__file__).with_name("dsp48e2.v")
CHAIN = 3
SHAPES = [(27, 18, 1, 0), (18, 27, 1, 0), (6, 8, 0, 0), (4, 3, 1, 24)]
"""Bits of the numbers, of the weights; numbers are signed; weights come in pairs, the upper one at this bit."""


def top(x: int, w: int, signed: int, pairs: int) -> str:
    """A chain twice, as an expression and in cells, of the same numbers and weights."""
    number, weight = x + 1 - signed, 27 if pairs else w
    factors = f".N({CHAIN}), .CHAIN({CHAIN})"
    text = f"module top (input clk, input [{CHAIN * x - 1}:0] x, input [{2 * CHAIN * w - 1}:0] w,"
    text += " output [47:0] expected, cells);\n"
    for cell, sums in enumerate(("expected", "cells")):
        numbers = (
            f".VECTORS(1), .PAIRS(0), .WIDTH({x}), .SIGNED({signed}), .FACTOR_WIDTH({number}), .INSIDE({2 * cell})"
        )
        weights = f".VECTORS(2), .PAIRS({int(pairs > 0)}), .WIDTH({w}), .SIGNED(1), .FACTOR_WIDTH({weight}), .INSIDE({2 * cell})"
        text += f"wire [{CHAIN * number - 1}:0] a{cell}; wire [{2 * CHAIN * weight - 1}:0] b{cell};\n"
        text += f"bitsmith_product_factors #({factors}, {numbers}) n{cell} (.clk, .data(x), .factors(a{cell}));\n"
        text += f"bitsmith_product_factors #({factors}, {weights}, .SHIFT({pairs})) w{cell}"
        text += f" (.clk, .data(w), .factors(b{cell}));\n"
        text += f"wire [47:0] s{cell}_0 = 0;\n"
        widths = f".A_WIDTH({number}), .B_WIDTH({weight}), .SUM_WIDTH(48), .CELL({cell})"
        for k in range(CHAIN):
            given = f"{widths}, .FIRST({int(k == 0)}), .REGISTERS({min(k + 1, 2)})"
            text += f"wire [47:0] s{cell}_{k + 1}, t{cell}_{k};\n"
            text += f"bitsmith_chained_product #({given}) p{cell}_{k} (.clk, .a(a{cell}[{number * k}+:{number}]),"
            text += f" .b(b{cell}[{weight * k}+:{weight}]), .chain_in(s{cell}_{k}), .chain_out(s{cell}_{k + 1}),"
            text += f" .sum(t{cell}_{k}));\n"
        text += f"assign {sums} = t{cell}_{CHAIN - 1};\n"
    return text + "endmodule\n"


def proved(folder: Path, text: str, model: str) -> bool:
    """True if both are the same in all cycles: registers that hold the same become one, then what reads them, up to the sums."""
    files = {**library(PARTS), "dsp48e2.v": model, "top.sv": text}
    for name, source in files.items():
        (folder / name).write_text(source)
    script = [f"read_verilog -sv {' '.join(files)}", "hierarchy -check -top top", "proc", "flatten", "opt -full"]
    script += ["chformal -lower", "simplemap t:$dff"]
    script += [*["opt", "wreduce"] * 3, "opt"]
    script += ["sat -verify -seq 1 -prove-asserts -prove expected cells top"]
    command = [str(find(YOSYS).path), "-q", "-p", "; ".join(script)]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_chains_are_proved(shape: tuple[int, int, int, int], tmp_path: Path) -> None:
    assert proved(tmp_path, top(*shape), MODEL.read_text())


@pytest.mark.parametrize(("text", "instead"), [("3'b001 ? PCIN", "3'b010 ? PCIN"), ("(AREG == 2) ? a1 : A", "A")])
def test_proofs_can_fail(text: str, instead: str, tmp_path: Path) -> None:
    model = MODEL.read_text()
    assert text in model
    assert not proved(tmp_path, top(*SHAPES[3]), model.replace(text, instead))
