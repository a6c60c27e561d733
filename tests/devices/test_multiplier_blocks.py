"""Products of any width: the blocks that Yosys makes of them, and what of them it makes of look-up tables."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from bitsmith.devices.blocks import Cut, MultiplierBlock, Parts
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.intel import CYCLONE_V
from bitsmith.devices.nexus import NEXUS
from bitsmith.devices.xilinx import ULTRASCALE_PLUS, XILINX_7
from bitsmith.flows.tools import YOSYS
from bitsmith.flows.yosys import count
from tests.devices.listed import family_named
from tests.flows.found import find
from tests.flows.runs import synthesize

ICE40UP = family_named("ice40up")
WIDTHS = (2, 3, 4, 8, 9, 10, 17, 18, 19, 22, 27, 28, 36, 37)
PAIRS = [(a, b) for a in WIDTHS for b in WIDTHS if b <= a]


def test_a_last_part_of_one_bit_takes_no_block() -> None:
    assert ECP5.area.block is not None and ICE40UP.area.block is not None
    assert ECP5.area.block.parts(19, 18) == Parts(1, ((1, 18),), (19,))
    assert ECP5.area.block.parts(20, 18) == Parts(2, (), (20,))
    assert ICE40UP.area.block.count(17, 17) == 1 < ICE40UP.area.block.count(18, 18)


@pytest.mark.parametrize("last", [2, 9, 18])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_parts_are_added_where_they_overlap(number: int, last: int) -> None:
    """A sum for each part after the first, as wide as that part's product."""
    assert ECP5.area.block is not None
    found = ECP5.area.block.parts(18 * number + last, 18)
    assert found == Parts(number + 1, (), (36,) * (number - 1) + (18 + last,))


def test_parts_of_amd_have_a_sign() -> None:
    block = XILINX_7.area.block
    assert block is not None
    assert [block.count(a, 8) for a in (25, 26, 42, 43)] == [1, 2, 2, 3]
    assert [block.count(20, b) for b in (18, 19, 20)] == [1, 2, 2]


def test_what_one_cell_leaves_goes_into_smaller_ones() -> None:
    assert CYCLONE_V.area.block is not None and NEXUS.area.block is not None
    assert CYCLONE_V.area.block.parts(36, 8) == Parts(3, (), (17,))  # 27x27, which is two, and 9x9
    assert NEXUS.area.block.parts(36, 18) == Parts(2, (), ())
    assert NEXUS.area.block.parts(23, 9) == Parts(2, (), (14,))


@pytest.mark.parametrize(
    ("factors", "blocks"), [((9, 4), 1), ((10, 4), 1), ((18, 18), 1), ((19, 4), 2), ((27, 27), 2), ((10, 3), 0)]
)
def test_the_narrowest_and_widest_factors_of_cells_of_intel(factors: tuple[int, int], blocks: int) -> None:
    """As Yosys's synth_intel_alm gives them to mul2dsp: 9x9 from 4x4 on, 18x18 from 10x4 on, 27x27 from 19x4 on."""
    assert CYCLONE_V.area.block is not None
    assert CYCLONE_V.area.block.parts(*factors) == Parts(blocks, () if blocks else (factors,), ())


def test_a_part_without_a_sign_needs_one_in_a_block() -> None:
    """As the lower 17 of 35 bits do, which are as wide then as the narrowest factor that becomes a block here."""
    block = MultiplierBlock(
        18, 18, (Cut((18, 18), (18, 2), 0, (17, 17), 1),), (), registers=0, digits=1, chain=1, adds=False
    )
    assert block.parts(35, 4) == Parts(2, (), (22,))


def test_a_product_is_not_wider_than_its_bits() -> None:
    assert ECP5.area.block is not None and XILINX_7.area.block is not None
    assert ECP5.area.block.count(24, 24, 18) == 1
    assert XILINX_7.area.block.count(8, 8, 8) == 0
    assert ICE40UP.area.multiplier(4, 6, 16)[0] == 0


def test_factors_without_a_sign_are_wider_where_cells_take_signs() -> None:
    for family, both in ((ECP5, (18, 18)), (XILINX_7, (19, 19))):
        assert family.area.block is not None
        assert family.area.block.factors(18, 18, (False, False)) == both
        assert family.area.block.factors(18, 18, (True, False)) == (18, 19)


def _design(
    products: Sequence[tuple[int, int]], signs: tuple[bool, bool] = (True, True), *, registered: bool = False
) -> str:
    """A module for each product, all in one top."""
    modules, ports, instances = list[str](), list[str](), list[str]()
    for n, (a, b) in enumerate(products):
        given = [
            f"input {'signed' * signs[0]} [{a - 1}:0] a{n}",
            f"input {'signed' * signs[1]} [{b - 1}:0] b{n}",
            f"output {'reg ' * registered}signed [{a + b - 1}:0] y{n}",
        ]
        other = f"b{n}" if signs[0] == signs[1] else f"$signed({a + b}'(b{n}))"
        made = f"always @(posedge clk) y{n} <=" if registered else f"assign y{n} ="
        modules.append(
            f"(* keep_hierarchy *) module m{n} (input clk, {', '.join(given)}); {made} a{n} * {other}; endmodule"
        )
        ports += [port.replace("reg ", "") for port in given]
        instances.append(f"m{n} i{n} (clk, a{n}, b{n}, y{n});")
    return "\n".join([*modules, f"module top (input clk, {', '.join(ports)});", *instances, "endmodule", ""])


FAMILIES = [ECP5, ICE40UP, NEXUS, XILINX_7, ULTRASCALE_PLUS, CYCLONE_V]
RECORDED = {
    name: dict(zip(PAIRS, map(int, counts), strict=True))
    for name, *counts in map(str.split, (Path(__file__).parent / "blocks_of_yosys.txt").read_text().splitlines())
}
"""Blocks that Yosys makes of each product, by families."""


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_blocks_are_those_that_yosys_made(family: Family) -> None:
    assert family.area.block is not None
    assert {product: family.area.block.count(*product) for product in PAIRS} == RECORDED[family.name]


@pytest.mark.tools
@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_blocks_are_those_of_yosys(tmp_path: Path, family: Family) -> None:
    assert RECORDED[family.name] == dict(zip(PAIRS, _blocks_of_yosys(tmp_path, family, _design(PAIRS)), strict=True))


@pytest.mark.tools
@pytest.mark.parametrize("signs", [(True, False), (False, False)], ids=str)
@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_blocks_of_factors_without_a_sign_are_those_of_yosys(
    tmp_path: Path, family: Family, signs: tuple[bool, bool]
) -> None:
    products = [(a, b) for a, b in PAIRS if a > 4]
    found = _blocks_of_yosys(tmp_path, family, _design(products, signs))
    assert found == [family.area.multiplier(a, b, a + b, signs)[0] for a, b in products]


@pytest.mark.tools
def test_blocks_beside_registers_are_those_of_yosys(tmp_path: Path) -> None:
    """A pass of its own makes them of products of any width; one after a product is enough."""
    products = [(1, 1), (3, 2), (6, 3), (18, 18), (19, 4), (36, 18), (20, 19), (36, 36)]
    found = _blocks_of_yosys(tmp_path, NEXUS, _design(products, registered=True))
    assert found == [NEXUS.area.multiplier(a, b, registered=True)[0] for a, b in products]


def _blocks_of_yosys(folder: Path, family: Family, design: str) -> list[int]:
    """Multiplier blocks of each module of a design."""
    mapping = family.synthesis
    (folder / "top.sv").write_text(design)
    last = {"synth_xilinx": "map_memory", "synth_intel_alm": "map_bram"}.get(mapping.command.split()[0], "map_ram")
    script = [*mapping.before, "read_verilog -sv top.sv", "proc", f"{mapping.command} -top top -run begin:{last}"]
    (folder / "top.ys").write_text("\n".join([*script, "tee -q -o cells.json stat -json", ""]))
    argv = [str(find(YOSYS).path), "-q", "-s", "top.ys"]
    found = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    modules = json.loads((folder / "cells.json").read_text())["modules"]
    number = design.count("keep_hierarchy")
    return [count(family, modules[f"\\m{n}"]["num_cells_by_type"], "").dsp for n in range(number)]


@pytest.mark.tools
@pytest.mark.parametrize(("a", "b"), [(19, 8), (19, 18), (19, 19), (24, 18), (36, 36)])
def test_look_up_tables_of_parts_are_those_of_yosys(tmp_path: Path, a: int, b: int) -> None:
    source = tmp_path / "net.sv"
    ports = f"input signed [{a - 1}:0] a, input signed [{b - 1}:0] b, output signed [{a + b - 1}:0] y"
    source.write_text(f"module net ({ports});\n  assign y = a * b;\nendmodule\n")
    found = synthesize(tmp_path, "net", [source], ECP5)
    assert (found.dsp, found.lut) == ECP5.area.multiplier(a, b)
