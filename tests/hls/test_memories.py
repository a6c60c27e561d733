"""Constant arrays: memories where they are read at variable places, else none at all."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bitsmith.hls import HlsTarget, write_project
from bitsmith.hls.constants import rom
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.project import HlsDesign, Memory
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, objects
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle

XILINX = pytest.mark.parametrize(
    ("dialect", "small", "large"),
    [
        ("vivado", "RESOURCE variable={} core=ROM_nP_LUTRAM", "RESOURCE variable={} core=ROM_nP_BRAM"),
        ("vitis", "BIND_STORAGE variable={} type=rom_np impl=lutram", "BIND_STORAGE variable={} type=rom_np impl=bram"),
    ],
)


def looked_up() -> Program:
    """A large table for all elements, small ones for each, and a product."""
    rng = np.random.default_rng(0)
    build = ProgramBuilder()
    x = build.input("x", (3,), FixedFormat(True, 11, 3))
    y = build.input("y", (3,), FixedFormat(False, 3, 3))
    with build.layer("act"):
        large = build.table(x, -1024, objects(rng.integers(0, 99, 2048)), 4)
    with build.layer("each"):
        small = build.table(y, 0, objects(rng.integers(-9, 9, (3, 8))), 2)
    with build.layer("fc"):
        result = build.linear(build.add(large, small), objects(rng.integers(-9, 9, (3, 2))), 2)
    return build.program([("out", result)])


@XILINX
def test_tables_are_memories_and_other_constants_are_nothing(dialect: str, small: str, large: str) -> None:
    files = write_project(looked_up(), Directives({}, parallel=True), DIALECTS[dialect], HlsTarget("net", "part")).files
    pragmas = re.findall("#pragma HLS (.*)", files["firmware/net.cpp"])
    found = [line for line in pragmas if re.search(r"variable=(act|each|fc)_(table|weights|drop)", line)]
    banks = "ARRAY_PARTITION variable=each_table complete dim=1"
    assert found == [large.format("act_table"), banks, small.format("each_table")]
    assert "static const kernels::stored_natural<7> act_table[1][2048] = {" in files["firmware/weights/act.h"]
    assert "static const kernels::stored<5> each_table[3][8] = {" in files["firmware/weights/each.h"]


@XILINX
def test_weights_of_a_step_are_one_word(dialect: str, small: str, large: str) -> None:
    directives = Directives({"fc": 3}, parallel=False, products={"fc": MultiplierStyle.SHARED})
    files = write_project(looked_up(), directives, DIALECTS[dialect], HlsTarget("net", "part")).files
    lines = ("ARRAY_RESHAPE variable=fc_product_weights complete dim=2", small.format("fc_product_weights"))
    assert "".join(f"#pragma HLS {line}\n" for line in lines) in files["firmware/net.cpp"]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([[1, -2], [3, 4]], "kernels::stored<4> m[2][2] = {\n    {1, -2},\n    {3, 4}\n};"),
        ([[0]], "kernels::stored_natural<1> m[1][1] = {\n    {0}\n};"),
        ([[-(2**31), 2**33]], "kernels::stored<35> m[1][2] = {\n    {-2147483648LL, 8589934592LL}\n};"),
        ([[2**64]], "uint64_t m[1][1][2] = {\n    {{0x0ULL, 0x1ULL}}\n};"),
    ],
)
def test_words_have_as_many_bits_as_they_need(rows: list[list[int]], text: str) -> None:
    assert rom("m", objects(rows)) == f"static const {text}\n"


def test_catapult_is_told_the_kind_of_each_memory() -> None:
    """Several readers want registers, neighbors that are read at once banks, tables side by side blocks; others are plain."""
    kinds = {
        Memory("plain"): "memory",
        Memory("wide", width=3): "banks 3",
        Memory("tables", bank=8): "blocks 8",
        Memory("shared", readers=2): "registers",
        Memory("wide_shared", width=2, readers=2): "registers",
        Memory("wide_tables", width=2, bank=4): "banks 2",
        Memory("buffer", apart=True): "memory",
    }
    target = HlsTarget("net", "part")
    for unrolled in (False, True):
        design = HlsDesign("net", "// Title.", target, (), (), unrolled, (("s", 4),), tuple(kinds))
        text = DIALECTS["catapult"].sources(design)["directives.tcl"]
        lines = [f"    {memory.name} {{{kind}}}" for memory, kind in kinds.items()]
        assert ("\n".join(lines) in text) != unrolled and ("    s 4\n" in text) != unrolled
        assert ("set line_buffers {buffer}" in text) != unrolled
