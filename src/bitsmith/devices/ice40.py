"""Lattice iCE40: LP, HX and UltraPlus parts, synthesized by Yosys.

Delays and areas are estimates from the order of magnitude of public data sheets (a level of look-up tables with its net; a
carry bit); they are to be replaced when somebody measures. Memories are SB_RAM40_4K of 4 Kib; only UltraPlus has multipliers
(SB_MAC16), so that none are planned with.
"""

from __future__ import annotations

import re

from bitsmith.devices.area import AreaModel
from bitsmith.devices.blocks import MemoryBlock
from bitsmith.devices.delay import DelayModel, Line
from bitsmith.devices.family import Die, Family, PartName, YosysMapping, each

_PACKAGES = {"up5k": "sg48", "hx1k": "tq144", "hx8k": "ct256", "lp384": "qn32", "lp1k": "qn84", "lp8k": "cm81"}
_NAME = re.compile(r"(?P<die>ice40(?P<model>(?:lp|hx|up)\d+k?))(?:-(?P<package>[a-z]{2}\d+))?", re.ASCII)


def _read_part(name: str) -> PartName | None:
    """Without a package: that of the usual board."""
    match = _NAME.fullmatch(name)
    if match is None or match["model"] not in _PACKAGES:
        return None
    package = match["package"] or _PACKAGES[match["model"]]
    return PartName(match["die"], (f"--{match['model']}", "--package", package))


_SOURCE = "estimate from data-sheet orders of magnitude"
_MEMORY = MemoryBlock(bits=4 * 1024, shapes=((256, 16), (512, 8), (1024, 4), (2048, 2)), table_bits=1024, registers=2)
_KINDS = ("", "E", "SR", "R", "SS", "S", "ESR", "ER", "ESS", "ES")

ICE40 = Family(
    name="ice40",
    dies={
        "ice40lp384": Die(384, 384, 0, 0),
        "ice40lp1k": Die(1_280, 1_280, 0, 16),
        "ice40lp8k": Die(7_680, 7_680, 0, 32),
        "ice40hx1k": Die(1_280, 1_280, 0, 16),
        "ice40hx8k": Die(7_680, 7_680, 0, 32),
        "ice40up5k": Die(5_280, 5_280, 8, 30),
    },
    read_part=_read_part,
    part_form="a package, as in iCE40UP5K-SG48",
    clock_period_ns=25.0,
    delays=DelayModel(
        source=_SOURCE,
        register_ns=1.0,
        adder_ns=Line(1.9, 0.13),
        comparator_ns=Line(2.2, 0.13),
        mux2_ns=Line(1.5, 0.01),
        table_ns=(0.0, 1.5, 1.5, 1.5, 1.5, 3.0, 3.0, 4.5, 4.5, 6.0, 7.0),
        block=None,
        block_ns=0.0,
        memory=_MEMORY,
    ),
    area=AreaModel(
        source=_SOURCE,
        adder_luts=Line(1.0, 1.0),
        comparator_luts=Line(2.0, 1.0),
        mux2_luts=Line(0.0, 1.0),
        table_luts=(0.0, 1.0, 1.0, 1.0, 1.0, 3.0),
        select_luts=0.67,
        memory_luts=1.5,
        memory_words=16,
        control_luts=18,
        block=None,
        memory=_MEMORY,
    ),
    synthesis=YosysMapping(
        command="synth_ice40 -dsp",
        lut=each("SB_LUT4"),
        ff=each(*(f"SB_DFF{edge}{kind}" for edge in ("", "N") for kind in _KINDS)),
        dsp=each("SB_MAC16"),
        bram=each("SB_RAM40_4K", "SB_RAM40_4KNR", "SB_RAM40_4KNW", "SB_RAM40_4KNRNW"),
        carry=("SB_CARRY",),
    ),
    place_and_route=None,
)
