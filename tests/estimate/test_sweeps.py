"""Sizes of sweeps, beside what Yosys made of each by itself."""

from __future__ import annotations

import pytest

from bitsmith.dataflow.kinds import Sweep
from bitsmith.dataflow.tokens import Stream
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.xilinx import XILINX_7
from bitsmith.estimate.count import Count
from bitsmith.estimate.sweeps import count_sweep
from bitsmith.ir import ops
from bitsmith.ir.types import TensorType


def window(taps: int, stride: int = 1, padding: tuple[int, int] = (0, 0)) -> ops.Window:
    return ops.Window((taps, taps), (stride, stride), (1, 1), (padding, padding))


def counted(family: Family, kind: Sweep, size: int, words: int) -> Count:
    """A sweep over as many rows and columns of tokens of 8 bits, with a memory for some."""
    count = Count(family)
    taken = Stream((size, size, kind.blocks * kind.parts), TensorType.of((), 0, -128, 127))
    count_sweep(count, kind, taken, words, 8, 0, 1.0)
    return count


@pytest.mark.parametrize(
    ("family", "kind", "size", "words", "luts", "ffs", "blocks"),
    [
        (XILINX_7, Sweep(window(3, 1, (1, 1)), 4, 1, 1), 48, 407, 96, 72, 1),
        (ECP5, Sweep(window(3, 1, (1, 1)), 4, 1, 1), 48, 407, 195, 72, 1),
        (XILINX_7, Sweep(window(3, 2, (0, 1)), 8, 1, 1), 24, 427, 84, 67, 1),
        (ECP5, Sweep(window(3, 2, (0, 1)), 8, 1, 1), 24, 427, 161, 67, 1),
        (XILINX_7, Sweep(window(3, 2, (0, 1)), 1, 3, 8), 96, 594, 110, 79, 1),
        (ECP5, Sweep(window(3, 2, (0, 1)), 1, 3, 8), 96, 594, 195, 79, 1),
        (XILINX_7, Sweep(window(1), 1, 32, 16), 24, 99, 52, 64, 0),
        (ECP5, Sweep(window(1), 1, 32, 16), 24, 99, 252, 64, 0),
    ],
    ids=repr,
)
def test_sweeps_take_what_yosys_makes_of_them(
    family: Family, kind: Sweep, size: int, words: int, luts: int, ffs: int, blocks: int
) -> None:
    count = counted(family, kind, size, words)
    assert count.lut == pytest.approx(luts, rel=0.2)
    assert count.ff == pytest.approx(ffs, abs=1)
    assert count.bram == blocks


def test_places_are_counted_only_where_windows_differ() -> None:
    """Windows of one position without padding are the same everywhere: a grid four times as large takes two bits of counters."""
    small, large, padded = (
        counted(XILINX_7, Sweep(window(1, 1, padding), 1, 4, 8), size, 16).ff
        for size, padding in ((16, (0, 0)), (32, (0, 0)), (32, (0, 1)))
    )
    assert (small, large) == (small, small + 4)
    assert padded > large + 12
