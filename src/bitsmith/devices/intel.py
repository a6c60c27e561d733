"""Intel (Altera) Cyclone V, Arria 10 (with Cyclone 10 GX), Stratix 10 and Agilex 7; place and route is the vendor's.

Yosys maps to the cells of Cyclone V, whose adaptive logic modules (ALMs) the later families have, too: of those, its counts are
estimates. Look-up tables count ALUTs, two to an ALM; multiplier blocks count products of 18 by 18 bits, two to a DSP block.

Cyclone V and Arria 10 add three bits in half an ALM, in shared arithmetic mode (CV-52001, 683461); the later families have no
such mode (683353). Quartus makes such sums of expressions of three terms (683323); for Yosys, which knows none, there are
the cells, counted as an ALUT each.

Delays are estimates that have not been held against placed circuits. Those of Cyclone V follow Yosys's cells, which have
Quartus's figures of speed grade C7 (``techlibs/intel_alm/common``), and nets of 0.7 ns; ns, without the 0.73 of the register:

    adder of 8, 16, 32 bits    2.37 2.65 3.23    net, into the carry chain 1.08, 0.036 per bit, out 0.37
    look-up table              1.31              net, slowest of 6 inputs 0.61
    sum of three               as an adder, and once more 0.37 for the way from one look-up table to the next adder

The CORDIC stages of Intel's NCO, additions of about 20 bits, reach 260 MHz on Cyclone V (683406); predicted are 276. The later
families are scaled. Blocks reach with all their registers, in MHz: Cyclone 10 GX -E6 364 (683828), Stratix 10 -E2 771 (683181),
Agilex 7 -2V 771 (683301); those of Cyclone V have none inside.

Capacities were confirmed as follows. Cyclone V (ALMs, DSP blocks, M10K): what Quartus's fitter gives as available in public
reports for 5CEBA4, 5CEBA9, 5CSEBA2, 5CSEMA5, 5CSEBA5, 5CSEBA6, 5CGXFC5 and 5CGXFC7; for 5CEBA2 the ALMs alone. Arria 10: fitter
reports for 10AS066 and 10AX115, DSP blocks in the handbook (683461), 10AT115 in document 683434; Cyclone 10 GX 220 in document
683696. Stratix 10: fitter reports for 1SG280 and 1SX280, ALMs and M20K in document 683674. Agilex 7: Quartus reports for
AGFB014 (ALMs, DSP blocks), M20K and all of AGF and AGI 027 in the product catalog.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from bitsmith.devices.area import AreaModel
from bitsmith.devices.blocks import Cut, MemoryBlock, MultiplierBlock
from bitsmith.devices.delay import DelayModel, Line
from bitsmith.devices.family import Die, Family, YosysMapping, die_first, each

_SUFFIX = re.compile(r"[a-z0-9]*", re.ASCII)
_SOURCE = "estimate from public timing figures of cells; no circuit was placed"
_CUTS = (
    Cut(most=(27, 27), least=(19, 4), product=0, parts=(27, 27), blocks=2),
    Cut(most=(18, 18), least=(10, 4), product=0, parts=(18, 18), blocks=1),
    Cut(most=(9, 9), least=(4, 4), product=0, parts=(9, 9), blocks=1),
)
_M10K = MemoryBlock(
    bits=10 * 1024,
    shapes=((256, 40), (512, 20), (1024, 10), (2048, 5), (4096, 2), (8192, 1)),
    table_bits=2048,
    unasked_bits=2048,
    worth_bits=4096,
    registers=2,
    filled_bits=512,  # Yosys asks for 5 % of a block
    pair_bits=0,
    carry_words=0,  # without block memory 32 would save 3 to 43 look-up tables, which estimates do not follow
)
_M20K = MemoryBlock(
    bits=20 * 1024,
    shapes=((512, 40), (1024, 20), (2048, 10), (4096, 5)),
    table_bits=2048,
    unasked_bits=2048,
    worth_bits=4096,
    registers=2,
    filled_bits=0,
    pair_bits=0,
    carry_words=0,  # not measured
)

# The ports that bitsmith_ternary_adder connects; synth_intel_alm declares other cells only.
_ALM_PORTS = """\
module cyclonev_lcell_comb #(parameter lut_mask = 64'h0, shared_arith = "off", extended_lut = "off")
  (input dataa, datab, datac, datad, datae, dataf, datag, cin, sharein, output combout, sumout, cout, shareout);
endmodule
"""
_SHARED_ARITHMETIC = ("verilog_defines -DBITSMITH_PRIMITIVES=2", f"read_verilog -lib <<EOT\n{_ALM_PORTS}EOT")


class _Block(NamedTuple):
    """Delays of a multiplier block: without registers, and of the slowest stage with those that it takes in."""

    ns: float
    registers: int
    stage_ns: float


def _die(alms: int, dsp_blocks: int, memories: int) -> Die:
    return Die(luts=2 * alms, ffs=4 * alms, dsps=2 * dsp_blocks, brams=memories, large=0, regions=1, cells=0)


def _family(name: str, example: str, dies: Mapping[str, Die], period_ns: float, delays: DelayModel) -> Family:
    return Family(
        name=name,
        brands={name: ""},
        vendor="Intel",
        dies=dies,
        read_part=partial(die_first, dies, _SUFFIX),
        part_form=f"a package and a speed, as in {example}",
        reserved="",
        clock_period_ns=period_ns,
        delays=delays,
        area=_area(delays),
        synthesis=YosysMapping(
            command="synth_intel_alm -family cyclonev -noiopad -noclkbuf",
            before=_SHARED_ARITHMETIC if delays.ternary_ns else (),
            prepared=(),
            after=(),
            lut={
                **each(
                    "MISTRAL_NOT", "MISTRAL_ALUT2", "MISTRAL_ALUT3", "MISTRAL_ALUT4", "MISTRAL_ALUT5", "MISTRAL_ALUT6"
                ),
                **each("MISTRAL_ALUT_ARITH", "MISTRAL_MLAB", "cyclonev_lcell_comb"),
            },
            ff=each("MISTRAL_FF"),
            dsp={**each("MISTRAL_MUL9X9", "MISTRAL_MUL18X18"), **each("MISTRAL_MUL27X27", count=2)},
            bram=each("MISTRAL_M10K"),
            large={},
            carry=("MISTRAL_ALUT_ARITH",),
            models=(),
            arithmetic=("adders.v",),
        ),
        place_and_route=None,
        correction=None,
    )


def _area(delays: DelayModel) -> AreaModel:
    return AreaModel(
        source=_SOURCE,
        adder_luts=Line(0.0, 1.0),
        comparator_luts=Line(1.0, 1.0),
        carry_bits=1,
        constant_bits=1,
        subtraction_luts=1,
        chain_luts=0,
        least_chain=1,
        carries_apart=False,
        sets_apart=True,
        joins_bits=False,
        # The chain begins with a one, and a table has the last carry and the sign; it joins that of a reader.
        constant_comparator_luts=Line(2.0, 1.0),
        product_luts=(2.0, -0.8),  # of 3 by 8 bits 40, 3 by 14 75
        shares_comparisons=False,
        bit_sums=0.3,
        mux2_luts=Line(0.0, 0.5),
        table_luts=(0.0, 0.6, 0.6, 1.0, 1.0, 1.0, 1.0, 3.6),
        unlike_power=0.5,
        table_choices=False,
        select_luts=0.67 / 2,
        choice_share=0.9,
        memory_luts=1.0,
        memory_words=32,
        memory_bits=1,
        memory_folds=1,
        memory_step=1,
        memory_choice_luts=0.0,
        block_luts=0.0,
        around_blocks=(0, 0),
        control_luts=18,
        counter_luts=Line(2.5, 1.8),  # one slot takes 5, 5 slots 25, 32 slots 37
        joined_cells=0.0,
        packing_luts=0.0,
        shift_registers=0,
        block_registers=0,
        block=delays.block,
        memory=delays.memory,
        large=None,
    )


def _delays(scale: float, register_ns: float, block: _Block, memory: MemoryBlock, *, shares: bool) -> DelayModel:
    """Delays of Cyclone V (speed grade 7), times ``scale``; blocks are faster by less. ``shares``: in shared arithmetic mode."""
    table = (0.0, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.7, 2.2, 3.0, 3.6)
    return DelayModel(
        source=_SOURCE,
        register_ns=register_ns,
        adder_ns=Line(2.1 * scale, 0.036 * scale),
        ternary_ns=Line(2.47 * scale, 0.036 * scale) if shares else None,
        sums_choose=False,
        comparator_ns=Line(2.2 * scale, 0.036 * scale),
        thresholds_in_tables=False,
        mux2_ns=Line(1.2 * scale, 0.01 * scale),
        tables_of_bits=range(6, 8),
        tokens_of_bits=range(0),
        table_ns=tuple(scale * ns for ns in table),
        block=MultiplierBlock(18, 18, _CUTS, (), registers=block.registers, digits=4, chain=1, adds=False),
        block_ns=block.ns,
        block_stage_ns=block.stage_ns,
        memory=memory,
        reached=None,
    )


CYCLONE_V = _family(
    "cyclonev",
    "5CSEBA6U23I7",
    {
        "5ceba2": _die(9_430, 25, 176),
        **dict.fromkeys(("5csema2", "5cseba2"), _die(9_430, 36, 140)),
        "5ceba4": _die(18_480, 66, 308),
        "5cgxfc5": _die(29_080, 150, 446),
        **dict.fromkeys(("5csema5", "5cseba5", "5csxfc5"), _die(32_070, 87, 397)),
        **dict.fromkeys(("5csema6", "5cseba6", "5csxfc6"), _die(41_910, 112, 553)),
        **dict.fromkeys(("5ceba7", "5cgxfc7"), _die(56_480, 156, 686)),
        **dict.fromkeys(("5ceba9", "5cgxfc9"), _die(113_560, 342, 1_220)),
    },
    10.0,
    _delays(1.0, 0.8, _Block(3.6, 0, 0.0), _M10K, shares=True),
)

ARRIA_10 = _family(
    "arria10",
    "10AX115N2F40E2SG",
    {
        "10cx220": _die(80_330, 192, 587),
        **dict.fromkeys(("10as066", "10ax066"), _die(251_680, 1_687, 2_131)),
        **dict.fromkeys(("10ax115", "10at115"), _die(427_200, 1_518, 2_713)),
    },
    5.0,
    _delays(0.6, 0.4, _Block(3.0, 2, 2.4), _M20K, shares=True),
)

STRATIX_10 = _family(
    "stratix10",
    "1SX280LU2F50E2VG",
    dict.fromkeys(("1sx280", "1sg280"), _die(933_120, 5_760, 11_721)),
    5.0,
    _delays(0.5, 0.3, _Block(2.6, 3, 1.1), _M20K, shares=False),
)

AGILEX_7 = _family(
    "agilex7",
    "AGFB014R24A2E2V",
    {
        **dict.fromkeys(("agfa014", "agfb014"), _die(487_200, 4_510, 7_110)),
        **dict.fromkeys(("agfb027", "agib027"), _die(912_800, 8_528, 13_272)),
    },
    4.0,
    _delays(0.4, 0.25, _Block(2.2, 3, 1.1), _M20K, shares=False),
)
