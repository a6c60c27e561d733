"""How long operations take and how much they occupy, per device family, before any synthesis.

In: a family and operand widths. Out: nanoseconds, look-up tables, multiplier blocks. Knows no netlist: pipelining adds up
``DelayModel`` numbers against ``budget``, and reports quote ``AreaModel`` numbers together with their ``source``.

The ECP5 numbers are fitted to ``benchmarks/calibrate_delay.py``: up to 64 operators between registers on an LFE5U-85F, speed
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

One placement each, so that single entries scatter: 10 address bits are taken as 6.7 ns, a step above 9, and longer tables
grow by that step. Very narrow adders are slower and larger than the line: Yosys maps them to plain logic. A maximum takes
less than comparator and multiplexer together, so that their summed delays err on the safe side.
The numbers of the other families are estimates from the order of magnitude of public data sheets (a level of look-up tables
with its net; a carry bit); they are to be replaced when somebody measures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from bitsmith.devices.parts import Block, Family, multiplier_block
from bitsmith.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Line:
    """``base + per_bit * width``."""

    base: float
    per_bit: float

    def at(self, width: int) -> float:
        """Return the value at ``width`` bits."""
        return self.base + self.per_bit * width


@dataclass(frozen=True, slots=True)
class DelayModel:
    """Nanoseconds of each operation, the net that leads to it included.

    Attributes:
        source: who says so, for reports.
        register_ns: clock-to-output plus setup.
        adder_ns, comparator_ns, mux2_ns: over the width of the widest operand.
        table_ns: by address bits, from 0; longer tables grow on like the last two.
        block: the multiplier block, None if the family has none.
        block_ns: one multiplier block without its registers.
    """

    source: str
    register_ns: float
    adder_ns: Line
    comparator_ns: Line
    mux2_ns: Line
    table_ns: tuple[float, ...]
    block: Block | None
    block_ns: float

    def adder(self, width: int) -> float:
        """Return the delay of an addition or subtraction with ``width`` result bits that ripple."""
        return self.adder_ns.at(width)

    def comparator(self, width: int) -> float:
        """Return the delay of an order comparison of ``width`` bits."""
        return self.comparator_ns.at(width)

    def mux2(self, width: int) -> float:
        """Return the delay of a choice between two words of ``width`` bits by one signal."""
        return self.mux2_ns.at(width)

    def table(self, address_bits: int) -> float:
        """Return the delay of a constant table in look-up tables, whatever the width of its words."""
        return _extended(self.table_ns, address_bits)

    def multiplier(self, a: int, b: int) -> float:
        """Return the delay of an ``a`` by ``b`` bit product without pipeline registers.

        Products wider than a block are sums of partial products, one adder level per doubling; without blocks they are
        sums of one row per bit.
        """
        narrow, wide = sorted((a, b))
        if self.block is None:
            return self.mux2(wide) + _levels(narrow) * self.adder(a + b)
        parts = max(self.block.count(a, b), 1)
        return self.block_ns + _levels(parts) * self.adder(a + b)

    def budget(self, clock_period_ns: float, uncertainty_ns: float) -> float:
        """Return the nanoseconds of logic that fit between two registers.

        Raises:
            ConfigError: nothing fits.
        """
        left = clock_period_ns - uncertainty_ns - self.register_ns
        least = self.table(1)
        if left < least:
            shortest = least + self.register_ns + uncertainty_ns
            raise ConfigError(
                f"a clock period of {clock_period_ns:g} ns with {uncertainty_ns:g} ns uncertainty leaves no time for logic",
                where="clock_period",
                accepted=f"at least {shortest:.2f} ns on this family, for one look-up table per stage",
                remedy="ask for a slower clock, or for a faster part",
            )
        return left


@dataclass(frozen=True, slots=True)
class AreaModel:
    """Look-up tables and multiplier blocks of each operation; registers are one flip-flop per bit everywhere.

    Attributes:
        source: who says so, for reports.
        adder_luts, comparator_luts, mux2_luts: over the width of the widest operand.
        table_luts: per bit of the word, by address bits, from 0; each further address bit doubles them.
        block: the multiplier block, None if the family has none.
    """

    source: str
    adder_luts: Line
    comparator_luts: Line
    mux2_luts: Line
    table_luts: tuple[float, ...]
    block: Block | None

    def adder(self, width: int) -> int:
        """Return the look-up tables of an addition or subtraction with ``width`` result bits that ripple."""
        return math.ceil(self.adder_luts.at(width))

    def comparator(self, width: int) -> int:
        """Return the look-up tables of an order comparison of ``width`` bits."""
        return math.ceil(self.comparator_luts.at(width))

    def mux2(self, width: int) -> int:
        """Return the look-up tables of a choice between two words of ``width`` bits."""
        return math.ceil(self.mux2_luts.at(width))

    def table(self, address_bits: int, width: int) -> int:
        """Return the look-up tables of a constant table of ``2**address_bits`` words of ``width`` bits, at most.

        Measured on random words; regular functions take less.
        """
        last = len(self.table_luts) - 1
        return math.ceil(self.table_luts[min(address_bits, last)] * width * 2.0 ** max(address_bits - last, 0))

    def multiplier(self, a: int, b: int, product: int | None = None) -> tuple[int, int]:
        """Return (multiplier blocks, look-up tables) of an ``a`` by ``b`` bit product of which ``product`` bits are wanted."""
        narrow, wide = sorted((a, b))
        parts = 0 if self.block is None else self.block.count(a, b, product)
        if self.block is None or parts == 0:
            return 0, narrow * self.adder(wide + 1)
        return parts, (parts - 1) * self.adder(max(a + b - self.block.narrow, 0))


def delay_model(family: Family) -> DelayModel:
    """Return the delays of a family."""
    return _DELAYS[family]


def area_model(family: Family) -> AreaModel:
    """Return the areas of a family."""
    return _AREAS[family]


def _extended(values: tuple[float, ...], index: int) -> float:
    """Return the value at ``index``, past the end by the step between the last two."""
    last = len(values) - 1
    return values[min(index, last)] + max(index - last, 0) * (values[last] - values[last - 1])


def _levels(terms: int) -> int:
    """Return the adder levels that sum ``terms`` terms."""
    return (terms - 1).bit_length()


_MEASURED = "fitted to single operators, placed and routed by nextpnr"
_ESTIMATE = "estimate from data-sheet orders of magnitude"

_DELAYS = {
    Family.ECP5: DelayModel(
        source=_MEASURED,
        register_ns=0.53,
        adder_ns=Line(2.32, 0.04),
        comparator_ns=Line(2.37, 0.042),
        mux2_ns=Line(2.15, 0.012),
        table_ns=(0.0, 1.5, 1.5, 1.5, 1.5, 2.2, 2.5, 3.0, 4.0, 5.7, 6.7),
        block=multiplier_block(Family.ECP5),
        block_ns=7.5,
    ),
    Family.ICE40: DelayModel(
        source=_ESTIMATE,
        register_ns=1.0,
        adder_ns=Line(1.9, 0.13),
        comparator_ns=Line(2.2, 0.13),
        mux2_ns=Line(1.5, 0.01),
        table_ns=(0.0, 1.5, 1.5, 1.5, 1.5, 3.0, 3.0, 4.5, 4.5, 6.0, 7.0),
        block=multiplier_block(Family.ICE40),
        block_ns=0.0,
    ),
    Family.XILINX_7: DelayModel(
        source=_ESTIMATE,
        register_ns=0.6,
        adder_ns=Line(1.1, 0.03),
        comparator_ns=Line(1.2, 0.03),
        mux2_ns=Line(0.9, 0.005),
        table_ns=(0.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 1.1, 1.3, 2.0, 2.4),
        block=multiplier_block(Family.XILINX_7),
        block_ns=4.5,
    ),
    Family.ULTRASCALE: DelayModel(
        source=_ESTIMATE,
        register_ns=0.2,
        adder_ns=Line(0.75, 0.02),
        comparator_ns=Line(0.8, 0.02),
        mux2_ns=Line(0.6, 0.004),
        table_ns=(0.0, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.7, 0.8, 1.3, 1.5),
        block=multiplier_block(Family.ULTRASCALE),
        block_ns=3.0,
    ),
    Family.ULTRASCALE_PLUS: DelayModel(
        source=_ESTIMATE,
        register_ns=0.12,
        adder_ns=Line(0.6, 0.015),
        comparator_ns=Line(0.65, 0.015),
        mux2_ns=Line(0.45, 0.003),
        table_ns=(0.0, 0.45, 0.45, 0.45, 0.45, 0.45, 0.45, 0.55, 0.6, 1.0, 1.15),
        block=multiplier_block(Family.ULTRASCALE_PLUS),
        block_ns=2.3,
    ),
}

_LUT6 = AreaModel(
    source=_ESTIMATE,
    adder_luts=Line(0.0, 1.0),
    comparator_luts=Line(1.0, 1.0),
    mux2_luts=Line(0.0, 0.5),
    table_luts=(0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 1.0),
    block=None,
)

_AREAS = {
    Family.ECP5: AreaModel(
        source=_MEASURED,
        adder_luts=Line(4.0, 1.0),
        comparator_luts=Line(6.0, 1.0),
        mux2_luts=Line(0.0, 1.0),
        table_luts=(0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 19.0, 38.0, 85.0),
        block=multiplier_block(Family.ECP5),
    ),
    Family.ICE40: AreaModel(
        source=_ESTIMATE,
        adder_luts=Line(1.0, 1.0),
        comparator_luts=Line(2.0, 1.0),
        mux2_luts=Line(0.0, 1.0),
        table_luts=(0.0, 1.0, 1.0, 1.0, 1.0, 3.0),
        block=multiplier_block(Family.ICE40),
    ),
    **{
        family: replace(_LUT6, block=multiplier_block(family))
        for family in (Family.XILINX_7, Family.ULTRASCALE, Family.ULTRASCALE_PLUS)
    },
}
