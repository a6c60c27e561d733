"""Which products of a fold take multiplier blocks: those with weights that are always the same power of two are shifts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitsmith.building import design
from bitsmith.building.verification import compare, random_stimuli
from bitsmith.dataflow.kinds import FoldedProduct
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.ice40 import ICE40UP
from bitsmith.emulate import Emulator
from bitsmith.estimate.count import Count
from bitsmith.estimate.size import estimate_layout
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, TensorType
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.multipliers import multipliers, number_bits, used_blocks
from bitsmith.rtl.writer import Title
from tests.flows import runs

WIDE, NARROW = 16, 8
"""Bits of numbers that products with weights of four bits take alone, and of those that let two share a block."""


@pytest.mark.parametrize(
    ("tiles", "bits", "share"),
    [
        ([[4, -8, 0, 1]], WIDE, 0),
        ([[4, -8, 0, 1], [4, -8, 0, 1]], WIDE, 0),
        ([[4, -8, 0, 1], [4, 4, 0, 0]], WIDE, 2 / 4),
        ([[3, 3, 5, 3], [3, 3, 5, 3]], WIDE, 1),
        ([[3, 3, 5, 3]], WIDE, 2 / 4),  # equal products are made once
        ([[0, 4, 2, 0]], NARROW, 0),
        ([[4, 4, 0, 3]], NARROW, 1),
        ([[4, 4, 4, 4], [4, 4, 4, 4]], NARROW, 1 / 2),
        ([[-4, 0, 0, -4]], NARROW, 1 / 2),  # the upper one is made less
        ([[3, 0, -4]], NARROW, 1 / 2),
    ],
)
def test_shifts_and_equal_products_take_no_blocks(tiles: list[list[int]], bits: int, share: float) -> None:
    kind = FoldedProduct(np.array(tiles)[None, :, None], 0)
    x = TensorType.of((1, 1), 0, -(1 << bits - 1), (1 << bits - 1) - 1)
    y = TensorType.of((1, len(tiles[0])), 0, -(1 << 11), (1 << 11) - 1)
    array = multipliers(kind, x, y, ECP5.area.block)
    assert used_blocks(kind, array, np.ones((1, 1), dtype=bool)) == share
    assert used_blocks(kind, array, np.zeros((1, 1), dtype=bool)) == 0


def test_numbers_have_bits_of_their_own() -> None:
    """In the finest scale of their lanes, with a sign; constants that are powers of two only shift."""
    lo, hi = np.array([[0, -8, 4, 6], [0, -2, 4, 6]]), np.array([[3, 7, 4, 6], [31, 1, 4, 6]])
    x = TensorType.of((2, 4), np.array([[2, 0, 0, 0], [0, 0, 0, 0]]), lo, hi)
    assert number_bits(x).tolist() == [[3, 4, 0, 4], [8, 2, 0, 4]]


def test_narrow_numbers_take_look_up_tables_beside_wide_ones_in_blocks() -> None:
    """A rule of Yosys for ECP5: both factors of a block have two bits or more, as it sees them."""

    def blocks(highest: list[int]) -> int:
        x = TensorType.of((1, 3), 0, np.zeros((1, 3), dtype=np.int64), np.array([highest]))
        y = TensorType.of((1, 1), 0, -(1 << 11), (1 << 11) - 1)
        count = Count(ICE40UP)
        count.fold(FoldedProduct(np.array([3, 5, -7])[None, None, :, None], 0), x, y, np.ones((1, 3), dtype=bool), 1.0)
        return count.size().dsp

    assert (blocks([255, 255, 255]), blocks([255, 1, 255]), blocks([1, 1, 1])) == (3, 2, 0)


def shifting() -> Program:
    """A dense layer of which half the rows have a power of two in all columns."""
    weights = np.random.default_rng(0).integers(-127, 128, (8, 8))
    weights[::4], weights[1::4] = 4, -32
    builder = ProgramBuilder()
    x = builder.input("x", (8,), FixedFormat(True, 8, 6))
    with builder.layer("dense"):
        y = builder.cast(builder.linear(x, weights, 6), FixedFormat(True, 8, 6))
    return builder.program([("y", y)])


@pytest.mark.slow
@pytest.mark.tools
def test_yosys_makes_no_blocks_of_shifts(tmp_path: Path) -> None:
    program = shifting()
    directives = Directives({"dense": 4}, True, {"dense": MultiplierStyle.SHARED})
    made = design.circuit(program, directives, ECP5.delays, 8.0, "net", Title("test", ""))
    paths = []
    for name, text in made.sources.items():
        paths.append(tmp_path / name)
        paths[-1].write_text(text)
    raws = [raw[:50] for raw in random_stimuli(program)]
    run = runs.execute(made.simulation(paths, raws), tmp_path / "simulated")
    compare(Emulator(program), program, run.outputs, raws)
    found = runs.synthesize(tmp_path / "synthesized", made.top, paths, ECP5)
    assert found.dsp == estimate_layout(program, directives, ECP5).dsp == 8
