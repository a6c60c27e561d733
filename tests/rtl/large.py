"""A part of little block memory and many larger memories of a few words, for circuits that simulate fast."""

from __future__ import annotations

from dataclasses import replace

from bitsmith.devices.blocks import LargeMemory
from bitsmith.devices.family import Die, Part
from bitsmith.devices.xilinx import ULTRASCALE_PLUS

LARGE = LargeMemory("URAM", ((8, 72), (16, 36), (32, 18), (64, 9)), 2)
PART = Part(
    "xczu7ev",
    replace(ULTRASCALE_PLUS, area=replace(ULTRASCALE_PLUS.area, large=LARGE)),
    Die(230_400, 460_800, 1_728, 0, large=100_000, regions=1, cells=0),
    (),
)
