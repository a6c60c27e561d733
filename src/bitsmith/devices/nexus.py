"""Lattice Nexus: CrossLink-NX (LIFCL) and Certus-NX (LFD2NX) parts, synthesized by Yosys; place and route is Radiant's.

Look-up tables, carries of two bits and memories are like those of ECP5, whose delays and areas stand here: no circuit was placed.
nextpnr-nexus 0.11 places only designs whose ports have pins, and refuses the carry chains of Yosys 0.70, whose first carry is
a constant (Yosys issues 4081 and 5639). Capacities are those of its data base.

Multipliers count products of 18 by 18 bits. Yosys makes blocks of products of two numbers of four bits and more.
"""

from __future__ import annotations

import re
from dataclasses import replace

from bitsmith.devices.blocks import MultiplierBlock
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Die, Family, PartName, YosysMapping, each

_NAME = re.compile(r"(?P<die>(?:lifcl|lfd2nx)-\d+)(?:-[789][a-z]{2,3}\d+[acmi]?)?", re.ASCII)
_SOURCE = "taken from ECP5, whose look-up tables are alike; no circuit was placed"
_BLOCK = MultiplierBlock(wide=18, narrow=18, least=8, registers=0, digits=4, chain=1)
_SMALL, _LARGE = Die(13_824, 13_824, 24, 24), Die(32_256, 32_256, 56, 84)


def _read_part(name: str) -> PartName | None:
    match = _NAME.fullmatch(name)
    return PartName(match["die"], ()) if match else None


NEXUS = Family(
    name="nexus",
    dies={"lifcl-17": _SMALL, "lifcl-40": _LARGE, "lfd2nx-40": _LARGE},
    read_part=_read_part,
    part_form="a speed of 7, 8, 9 and a package, as in LIFCL-40-9BG400C",
    clock_period_ns=10.0,
    delays=replace(ECP5.delays, source=_SOURCE, block=_BLOCK),
    area=replace(ECP5.area, source=_SOURCE, block=_BLOCK),
    synthesis=YosysMapping(
        command="synth_nexus -noiopad",
        before=(),
        lut={"LUT4": 1, "WIDEFN9": 2, "CCU2": 2, "DPR16X4": 6},
        ff=each("FD1P3BX", "FD1P3DX", "FD1P3IX", "FD1P3JX"),
        dsp={**each("MULT9X9", "MULT18X18"), "MULT18X36": 2, "MULT36X36": 4},
        bram=each("DP16K", "PDP16K", "PDPSC16K", "SP16K"),
        carry=("CCU2",),
    ),
    place_and_route=None,
)
