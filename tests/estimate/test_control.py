"""Counters of FIFOs and processes, beside what Yosys counts of each by itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bitsmith.devices import CYCLONE_V, ECP5, ICE40, NEXUS, XILINX_7, Family
from bitsmith.estimate.count import Count


@pytest.mark.parametrize(
    ("family", "counted"),
    [
        (ECP5, (3, 7, 16, 19, 32, 41)),
        (ICE40, (3, 7, 22, 25, 39, 44)),
        (NEXUS, (2, 7, 14, 19, 34, 47)),
        (CYCLONE_V, (5, 11, 22, 25, 32, 37)),
        (XILINX_7, (2, 6, 12, 15, 16, 21)),
    ],
)
def test_counters_of_fifos_take_what_their_bits_do(family: Family, counted: Sequence[int]) -> None:
    """Look-up tables that Yosys makes of FIFOs of these depths, without their memories."""
    for depth, luts in zip((1, 2, 4, 5, 16, 32), counted, strict=True):
        count = Count(family)
        count.control(depth, 0.0, 0)
        assert count.lut == pytest.approx(luts, rel=0.25, abs=5.0)


@pytest.mark.parametrize(("family", "luts"), [(NEXUS, 50), (ICE40, 50), (CYCLONE_V, 27), (XILINX_7, 22)])
def test_a_part_of_eight_costs_the_choices_of_seven(family: Family, luts: int) -> None:
    count = Count(family)
    count.select(64.0, 8.0)
    assert count.lut == pytest.approx(luts, rel=0.2)


@pytest.mark.parametrize(
    ("factors", "luts"), [((4, 4), 37), ((6, 6), 98), ((8, 8), 176), ((6, 12), 182), ((12, 12), 421), ((16, 16), 776)]
)
def test_products_without_blocks_take_carry_save_adders(factors: tuple[int, int], luts: int) -> None:
    """Look-up tables of signed products on iCE40HX."""
    blocks, found = ICE40.area.multiplier(*factors)
    assert blocks == 0
    assert found == pytest.approx(luts, rel=0.1)
