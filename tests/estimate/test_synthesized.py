"""Estimates of small unrolled circuits beside what Yosys makes of them, on families whose figures are not in the benchmark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.design import circuit
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40
from bitsmith.devices.intel import CYCLONE_V
from bitsmith.devices.parts import resolve_part
from bitsmith.devices.xilinx import ULTRASCALE_PLUS
from bitsmith.estimate.figures import Size
from bitsmith.estimate.size import estimate_layout
from bitsmith.flows.yosys import Resources
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.rtl.writer import Title
from tests.estimate.test_unrolled import UNROLLED, perceptron
from tests.flows.runs import synthesize
from tests.mapping.test_engine_functions import scaled
from tests.mapping.test_engines import shared


@pytest.mark.tools
@pytest.mark.parametrize(
    "network",
    [((8, 8, 4), 4, 4, 0.5), ((16, 16, 5), 3, 4, 0.0), ((16, 32, 16, 5), 4, 5, 0.75), ((12, 6), 8, 8, 0.0)],
    ids=str,
)
@pytest.mark.parametrize("family", [CYCLONE_V], ids=repr)
def test_unrolled_networks(tmp_path: Path, family: Family, network: tuple[tuple[int, ...], int, int, float]) -> None:
    compare(perceptron(*network), family, tmp_path)


@pytest.mark.tools
@pytest.mark.parametrize("address_bits", [4, 5, 6, 7])
@pytest.mark.parametrize("family", [ULTRASCALE_PLUS, ECP5], ids=repr)
def test_random_tables(tmp_path: Path, family: Family, address_bits: int) -> None:
    rng, build = np.random.default_rng(0), ProgramBuilder()
    x = build.input("x", (24,), FixedFormat(False, address_bits, 0))
    words = rng.integers(0, 16, (24, 1 << address_bits))
    compare(build.program([("y", build.table(x, 0, words, 0))]), family, tmp_path)


@pytest.mark.tools
def test_squares(tmp_path: Path) -> None:
    build = ProgramBuilder()
    words = [build.input(f"x{bits}", (1,), FixedFormat(True, bits, bits)) for bits in range(3, 9)]
    program = build.program([(f"y{number}", build.mul(x, x)) for number, x in enumerate(words)])
    expected, found = sizes(program, ICE40, tmp_path)
    assert expected.lut == pytest.approx(found.lut, rel=0.1)


@pytest.mark.tools
@pytest.mark.parametrize(
    "network", [((8, 8, 4), 4, 4, 0.5), ((16, 32, 16, 5), 4, 5, 0.75), ((12, 6), 8, 8, 0.0)], ids=str
)
@pytest.mark.parametrize("family", [CYCLONE_V, ECP5, ICE40], ids=repr)
def test_networks_without_valid_signals(
    tmp_path: Path, family: Family, network: tuple[tuple[int, ...], int, int, float]
) -> None:
    compare(perceptron(*network), family, tmp_path, replace(UNROLLED, valid=False))


@pytest.mark.tools
@pytest.mark.slow
@pytest.mark.ci
def test_layers_in_turn_share_a_multiplier_where_a_part_has_few_blocks(tmp_path: Path) -> None:
    """With one each for the scales of three layers they would take eleven blocks of eight."""
    program, part = scaled(0), resolve_part("iCE40UP5K-SG48")
    directives = replace(shared(program, 100, parallel=True), part=part, block=part.family.area.block)
    expected, found = sizes(program, part.family, tmp_path, directives)
    assert expected.lut == pytest.approx(found.lut, rel=0.1)
    assert (expected.dsp, found.dsp) == (7, 7)


def compare(program: Program, family: Family, folder: Path, directives: Directives = UNROLLED) -> None:
    """Estimates of an unrolled program beside what Yosys counts."""
    expected, found = sizes(program, family, folder, directives)
    assert expected.lut == pytest.approx(found.lut, rel=0.1)
    assert (expected.ff, expected.dsp, expected.bram) == (found.ff, found.dsp, found.bram)


def sizes(program: Program, family: Family, folder: Path, directives: Directives = UNROLLED) -> tuple[Size, Resources]:
    """The estimate of an unrolled program, and what Yosys counts."""
    budget = 6.0
    expected = estimate_layout(program, directives, family, budget)
    made = circuit(program, directives, family.delays, budget, "net", Title("test", ""))
    for name, text in made.sources.items():
        (folder / name).write_text(text)
    return expected, synthesize(folder, made.top, [folder / name for name in made.sources], family)
