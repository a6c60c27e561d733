"""AMD (Xilinx) 7 series, UltraScale and UltraScale+, synthesized by Yosys; place and route is the vendor's.

Areas are estimates; delays are, too, from figures of Vivado that others have published. No circuit was placed for them.

7 series, speed grade -1 (FloPoCo's Zynq-7000 target; the multiplier in Yosys's cells_sim.v, from prjxray), with nets of
0.77 ns, as placed ones of two readers have them; ns, without the 0.58 of the register:

    adder of 8, 16, 32 bits    1.64 1.87 2.32    net, in and out 0.754, 0.114 per further CARRY4
    look-up table              0.89              net, 0.124
    DSP48E1                    4.36              nets on both sides, 2.823; into its register M 2.19

UltraScale+, speed grade -2 (FloPoCo's target xcvu3p-2, RapidWright's timing data), with nets of 0.18 ns, which are local ones; in
whole networks they are two to three times as long, for which the model allows:

    adder of 8, 16, 32 bits    0.47 0.50 0.58    net, in and out 0.292, 0.041 per further CARRY8
    look-up table              0.33              net, 0.148
    DSP48E2                    1.98              nets on both sides, 1.62 from its register A to its result; 775 MHz in stages

Sums of three take one look-up table (LUT6_2) per bit and, since the carry of three bits goes through the look-up table above, the
time of one more level than a sum of two. Carries take one operand as it is, so that
the look-up tables may choose the other.

UltraScale lies between them; nothing was found for it. Multipliers are DSP48E1 and DSP48E2, of which Yosys makes products of
9 bits and more; chains of DSP48E2 are written as cells, since it makes none. Memories count in halves of 18 Kib.
"""

import re
from collections.abc import Mapping
from functools import partial

from bitsmith.devices.area import AreaModel
from bitsmith.devices.blocks import Cut, LargeMemory, MemoryBlock, MultiplierBlock
from bitsmith.devices.delay import DelayModel, Line
from bitsmith.devices.family import Die, Family, YosysMapping, die_first, each

_SUFFIX = re.compile(r"(-?[a-z]{3,4}\d{3,4})?(-[1-4][a-z]{0,3}(-[a-z])?(-[a-z0-9]+)*)?", re.ASCII)
_SOURCE = "estimate from public timing figures of cells; no circuit was placed"
# Longer chains save fewer look-up tables of adders than they take to delay factors.
_DSP48E1, _DSP48E2 = (
    MultiplierBlock(
        wide=wide,
        narrow=18,
        cuts=(Cut(most=(wide, 18), least=(2, 2), product=9, parts=(17, 17), blocks=1),),
        beside_registers=(),
        registers=2,
        digits=4,
        chain=4,
        adds=adds,
    )
    for wide, adds in ((25, True), (27, False))  # Yosys puts no sum into a DSP48E2
)
# The ports that bitsmith_chained_product connects: Yosys declares the cell in a file of all cells, which takes seconds to read.
_DSP48E2_PORTS = """\
module DSP48E2 #(parameter AREG = 1, BREG = 1, ACASCREG = 1, BCASCREG = 1, ALUMODEREG = 1, CARRYINREG = 1, CARRYINSELREG = 1,
  INMODEREG = 1, OPMODEREG = 1) (input [29:0] A, ACIN, input [17:0] B, BCIN, input [47:0] C, PCIN, input [26:0] D,
  input [8:0] OPMODE, input [4:0] INMODE, input [3:0] ALUMODE, input [2:0] CARRYINSEL, input CLK, CARRYIN, CARRYCASCIN,
  MULTSIGNIN, CEA1, CEA2, CEB1, CEB2, CEC, CED, CEAD, CEM, CEP, CEALUMODE, CECARRYIN, CECTRL, CEINMODE, RSTA, RSTB, RSTC, RSTD,
  RSTM, RSTP, RSTALLCARRYIN, RSTALUMODE, RSTCTRL, RSTINMODE, output [47:0] P, PCOUT);
endmodule
"""
_CHAINS = ("verilog_defines -DBITSMITH_DSP48E2=1", f"read_verilog -lib <<EOT\n{_DSP48E2_PORTS}EOT")
_MEMORY = MemoryBlock(
    bits=18 * 1024,
    shapes=((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
    table_bits=2048,
    unasked_bits=16 * 513,
    worth_bits=8192,
    registers=2,
    filled_bits=0,
    pair_bits=64,
    carry_words=24,  # 8 to 20 words take one to six look-up tables more
)
_delays = partial(
    DelayModel,
    source=_SOURCE,
    sums_choose=True,
    thresholds_in_tables=True,
    tables_of_bits=range(1, 13),  # those that are a constant per bit, of which ``tables.v`` makes look-up tables
    tokens_of_bits=range(6, 13),
    memory=_MEMORY,
    reached=None,
)
# A word of 72 bits has bytes of 9 that are written alone: bitsmith_ram has several words in one.
_ULTRARAM = LargeMemory(name="URAM", shapes=((4096, 72), (8192, 36), (16384, 18), (32768, 9)), ports=2)

_PRIMITIVES = ("verilog_defines -DBITSMITH_PRIMITIVES=1", "read_verilog -lib +/xilinx/cells_sim.v")

_LUTS = {
    **each("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "LUT6_2", "SRL16E", "SRLC16E", "SRLC32E"),
    **each("RAM32X1S", "RAM64X1S"),
    **each("RAM32X1D", "RAM64X1D", "RAM128X1S", count=2),
    **each("RAM128X1D", "RAM256X1S", "RAM32M", "RAM64M", count=4),
    **each("RAM32M16", "RAM64M8", count=8),
}


def _area(delays: DelayModel, large: LargeMemory | None) -> AreaModel:
    """Return the area of circuits as Yosys maps them, on families with the multiplier block of ``delays``."""
    return AreaModel(
        source=_SOURCE,
        adder_luts=Line(0.0, 1.0),
        comparator_luts=Line(0.0, 0.6875),  # two of three bits of both, and a carry: 4, 8, 16 bits take 3, 6, 11
        mux2_luts=Line(0.0, 0.5),
        carry_bits=1,
        constant_bits=0,
        subtraction_luts=0,
        chain_luts=0,
        least_chain=3,
        carries_apart=False,
        sets_apart=False,
        joins_bits=True,
        constant_comparator_luts=Line(0.0, 0.3),
        product_luts=(2.0, -1.5),  # of 4 by 4 bits 26
        shares_comparisons=True,  # of 16 bits, 1, 7, 31, 100 thresholds: 5, 26, 104, 248; of 32 bits, 7: 65
        bit_sums=0.3,  # of what 15, 63, 255 thresholds of 16 bits add up to: 63, 209, 663 in all
        table_luts=(0.0, 0.3, 0.3, 0.9, 1.0, 1.0, 1.0, 2.0, 4.0, 9.0, 17.0),
        unlike_power=0.75,
        table_choices=True,
        select_luts=0.67 / 2,
        choice_share=0.9,
        memory_luts=2 / 3 if delays.block is _DSP48E1 else 4 / 7,  # RAM32M: 6 bits in 4; RAM32M16: 14 in 8
        memory_words=32,
        memory_bits=6 if delays.block is _DSP48E1 else 14,
        memory_folds=2,
        memory_step=1,
        memory_choice_luts=0.25,
        block_luts=64.5,  # Yosys counts 129 for a block, 16 for 8 look-up tables of memory
        around_blocks=(0, 0),
        control_luts=22,
        counter_luts=Line(1.5, 1.0),  # one slot takes 2, 5 slots 15, 32 slots 21
        joined_cells=0.0,
        packing_luts=0.0,
        shift_registers=3,
        block_registers=2 if delays.block is _DSP48E1 else 0,  # Yosys packs none into DSP48E2
        block=delays.block,
        memory=_MEMORY,
        large=large,
    )


def _family(
    name: str, brands: Mapping[str, str], dies: Mapping[str, Die], delays: DelayModel, large: LargeMemory | None
) -> Family:
    """Return a family of what all of them have in common.

    LUTs count those that serve as shift registers and memories, too. Pairs that Vivado would merge into one LUT6_2 are counted
    as two, so that the figure is above Vivado's.
    """
    return Family(
        name=name,
        brands=brands,
        vendor="AMD",
        dies=dies,
        read_part=partial(die_first, dies, _SUFFIX),
        part_form="a package, a speed and a grade, as in xcvu13p-flga2577-2-e",
        reserved="xc",
        clock_period_ns=5.0,
        delays=delays,
        area=_area(delays, large),
        synthesis=YosysMapping(
            command=f"synth_xilinx -family {name} -noiopad -noclkbuf -flatten",
            before=(*_PRIMITIVES, *(() if delays.block is _DSP48E1 else _CHAINS)),
            prepared=(),
            after=(),
            lut=_LUTS,
            ff=each("FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1"),
            dsp=each("DSP48E1", "DSP48E2"),
            bram={**each("RAMB18E1", "RAMB18E2"), **each("RAMB36E1", "RAMB36E2", count=2)},
            large=each("URAM288") if large else {},
            carry=("CARRY4", "CARRY8"),
            models=(),
            arithmetic=("adders.v", "thresholds.v", "tables.v"),
        ),
        place_and_route=None,
        correction=None,
    )


XILINX_7 = _family(
    name="xc7",
    brands={"artix": "xc7a", "kintex": "xc7k", "virtex": "xc7v", "zynq": "xc7z"},
    dies={
        "xc7a15t": Die(10_400, 20_800, 45, 50, large=0, regions=1, cells=0),
        "xc7a35t": Die(20_800, 41_600, 90, 100, large=0, regions=1, cells=0),
        "xc7a50t": Die(32_600, 65_200, 120, 150, large=0, regions=1, cells=0),
        "xc7a75t": Die(47_200, 94_400, 180, 210, large=0, regions=1, cells=0),
        "xc7a100t": Die(63_400, 126_800, 240, 270, large=0, regions=1, cells=0),
        "xc7a200t": Die(134_600, 269_200, 740, 730, large=0, regions=1, cells=0),
        "xc7k325t": Die(203_800, 407_600, 840, 890, large=0, regions=1, cells=0),
        "xc7vx690t": Die(433_200, 866_400, 3_600, 2_940, large=0, regions=1, cells=0),
        "xc7z010": Die(17_600, 35_200, 80, 120, large=0, regions=1, cells=0),
        "xc7z020": Die(53_200, 106_400, 220, 280, large=0, regions=1, cells=0),
        "xc7z045": Die(218_600, 437_200, 900, 1_090, large=0, regions=1, cells=0),
    },
    delays=_delays(
        register_ns=0.6,
        adder_ns=Line(1.4, 0.03),
        ternary_ns=Line(2.3, 0.03),
        comparator_ns=Line(1.5, 0.03),
        mux2_ns=Line(0.9, 0.005),
        table_ns=(0.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 1.1, 1.3, 2.0, 2.4),
        block=_DSP48E1,
        block_ns=4.5,
        block_stage_ns=2.3,
    ),
    large=None,
)

ULTRASCALE = _family(
    name="xcu",
    brands={"kintexultrascale": "xcku"},
    dies={
        "xcku040": Die(242_400, 484_800, 1_920, 1_200, large=0, regions=1, cells=0),
        "xcku060": Die(331_680, 663_360, 2_760, 2_160, large=0, regions=1, cells=0),
        "xcku115": Die(663_360, 1_326_720, 5_520, 4_320, large=0, regions=2, cells=0),
    },
    delays=_delays(
        register_ns=0.2,
        adder_ns=Line(0.75, 0.02),
        ternary_ns=Line(1.35, 0.02),
        comparator_ns=Line(0.8, 0.02),
        mux2_ns=Line(0.6, 0.004),
        table_ns=(0.0, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.7, 0.8, 1.3, 1.5),
        block=_DSP48E2,
        block_ns=3.0,
        block_stage_ns=1.7,
    ),
    large=None,
)

ULTRASCALE_PLUS = _family(
    name="xcup",
    brands={
        "kintexultrascaleplus": "xcku",
        "virtexultrascaleplus": "xcvu",
        "zynqultrascale": "xczu",
        "zynqmp": "xczu",
        "kria": "xck26",
        "alveo": "xcu",
    },
    dies={
        "xck26": Die(117_120, 234_240, 1_248, 288, large=64, regions=1, cells=0),
        "xcku3p": Die(162_720, 325_440, 1_368, 720, large=48, regions=1, cells=0),
        "xcku5p": Die(216_960, 433_920, 1_824, 960, large=64, regions=1, cells=0),
        "xcku15p": Die(522_720, 1_045_440, 1_968, 1_968, large=128, regions=1, cells=0),
        "xcu55c": Die(1_303_680, 2_607_360, 9_024, 4_032, large=960, regions=3, cells=0),
        "xcu50": Die(871_680, 1_743_360, 5_952, 2_688, large=640, regions=2, cells=0),
        "xcu200": Die(1_182_240, 2_364_480, 6_840, 4_320, large=960, regions=3, cells=0),
        "xcu250": Die(1_728_000, 3_456_000, 12_288, 5_376, large=1_280, regions=4, cells=0),
        "xcu280": Die(1_303_680, 2_607_360, 9_024, 4_032, large=960, regions=3, cells=0),
        "xcvu7p": Die(788_160, 1_576_320, 4_560, 2_880, large=640, regions=2, cells=0),
        "xcvu9p": Die(1_182_240, 2_364_480, 6_840, 4_320, large=960, regions=3, cells=0),
        "xcvu11p": Die(1_296_000, 2_592_000, 9_216, 4_032, large=960, regions=3, cells=0),
        "xcvu13p": Die(1_728_000, 3_456_000, 12_288, 5_376, large=1_280, regions=4, cells=0),
        "xczu2eg": Die(47_232, 94_464, 240, 300, large=0, regions=1, cells=0),
        "xczu3eg": Die(70_560, 141_120, 360, 432, large=0, regions=1, cells=0),
        "xczu5ev": Die(117_120, 234_240, 1_248, 288, large=64, regions=1, cells=0),
        "xczu7ev": Die(230_400, 460_800, 1_728, 624, large=96, regions=1, cells=0),
        "xczu9eg": Die(274_080, 548_160, 2_520, 1_824, large=0, regions=1, cells=0),
        "xczu28dr": Die(425_280, 850_560, 4_272, 2_160, large=80, regions=1, cells=0),
        "xczu48dr": Die(425_280, 850_560, 4_272, 2_160, large=80, regions=1, cells=0),
    },
    delays=_delays(
        register_ns=0.12,
        adder_ns=Line(0.6, 0.015),
        ternary_ns=Line(1.05, 0.015),
        comparator_ns=Line(0.65, 0.015),
        mux2_ns=Line(0.45, 0.003),
        table_ns=(0.0, 0.45, 0.45, 0.45, 0.45, 0.45, 0.45, 0.55, 0.65, 1.1, 1.15),
        block=_DSP48E2,
        block_ns=2.3,
        block_stage_ns=1.3,
    ),
    large=_ULTRARAM,
)
