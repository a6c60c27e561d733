"""Counters of FIFOs and processes, beside what Yosys counts of each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from bitsmith.dataflow.kinds import Engine
from bitsmith.dataflow.timing import order_bits
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40
from bitsmith.devices.intel import CYCLONE_V
from bitsmith.devices.nexus import NEXUS
from bitsmith.devices.xilinx import XILINX_7
from bitsmith.estimate.count import Count
from bitsmith.estimate.engines import count_engine
from bitsmith.mapping.partition import partition
from tests.mapping.test_engines import residual, shared


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


def test_actions_are_counted_as_far_as_they_repeat() -> None:
    """Yosys leaves six flip-flops where each of 576 tokens comes 64 times, whose actions would need 16."""
    assert order_bits(np.repeat(np.arange(576), 64), 576) == 6
    assert order_bits(np.arange(10), 10) == 0
    assert order_bits(np.arange(0, 20, 2), 20) == 1  # every other token is dropped
    assert order_bits(np.array([1, 0, 3, 2]), 4) == 2 + 1


def test_layers_that_differ_in_places_alone_take_fewer_look_up_tables_for_their_descriptors() -> None:
    """69 layers of 11 kinds, a vision transformer's, take 552 by what Yosys leaves of its engine; 14 for each would be 938."""
    (process,) = (
        one for one in partition(residual(), shared(residual(), 250)).processes if isinstance(one.kind, Engine)
    )
    kind = process.kind
    assert isinstance(kind, Engine)
    luts = []
    for more in (kind.layers[0], replace(kind.layers[0], blocks=2)):
        count = Count(XILINX_7)
        count_engine(count, replace(kind, layers=(*kind.layers, more)), process.takes, 0)
        luts.append(count.lut)
    assert luts[1] - luts[0] == pytest.approx(14 - 7)
