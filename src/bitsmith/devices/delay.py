"""Delays of operations before any synthesis: the type of a family's delays.

In: operand widths. Out: nanoseconds. Knows no netlist: pipelining adds up these numbers against ``budget``, and reports quote
them together with their ``source``.
"""

import math
from dataclasses import dataclass

from bitsmith.devices.blocks import MemoryBlock, MultiplierBlock
from bitsmith.errors import ConfigError

DEFAULT_CLOCK_UNCERTAINTY = 0.125
"""Part of the clock period kept back: in a full device nets are longer than where the delay model was measured."""


@dataclass(frozen=True, slots=True)
class Line:
    """``base + per_bit * width``."""

    base: float
    per_bit: float

    def at(self, width: float) -> float:
        """Return the value at ``width`` bits."""
        return self.base + self.per_bit * width


@dataclass(frozen=True, slots=True)
class DelayModel:
    """Nanoseconds of each operation, the net that leads to it included.

    Attributes:
        source: who says so, for reports.
        register_ns: clock-to-output plus setup.
        adder_ns, comparator_ns, mux2_ns: over the width of the widest operand.
        thresholds_in_tables: whether comparisons with constants are levels of look-up tables; else they are carry chains.
        ternary_ns: a sum of three in one row of look-up tables with carries; None where the family has none.
        sums_choose: whether the look-up tables of a sum hold a choice of its second operand, too.
        tables_of_bits: address bits of tables of look-up tables that are a constant per bit, not a case statement.
        tokens_of_bits: the same of constant tokens, in whose words there is no order; synthesis makes others no smaller so.
        table_ns: by address bits, from 0; longer tables grow on like the last two.
        block: the multiplier block, None if not all parts of the family have some.
        block_ns: one multiplier block without its registers; 0 without one.
        block_stage_ns: its slowest stage where it takes registers in; 0 without them.
        memory: the block memory that large tables become.
        reached: the period of a routed circuit as a share of its longest stage with a register, over its look-up tables, for
            wires are longer in larger ones; None: not measured.
    """

    source: str
    register_ns: float
    adder_ns: Line
    ternary_ns: Line | None
    sums_choose: bool
    comparator_ns: Line
    thresholds_in_tables: bool
    mux2_ns: Line
    tables_of_bits: range
    tokens_of_bits: range
    table_ns: tuple[float, ...]
    block: MultiplierBlock | None
    block_ns: float
    block_stage_ns: float
    memory: MemoryBlock
    reached: Line | None

    def adder(self, width: int) -> float:
        """Return the delay of an addition or subtraction with ``width`` result bits that ripple."""
        return self.adder_ns.at(width)

    def ternary_adder(self, width: int) -> float | None:
        """Return the delay of a sum of three with ``width`` result bits that ripple; None where it takes two additions."""
        return None if self.ternary_ns is None else self.ternary_ns.at(width)

    def comparator(self, width: int) -> float:
        """Return the delay of an order comparison of ``width`` bits."""
        return self.comparator_ns.at(width)

    def threshold(self, width: int, lut_inputs: int) -> float:
        """Return the delay of an order comparison of ``width`` bits with a constant, in tables of ``lut_inputs`` inputs.

        Parts that fill a look-up table are joined two by two.
        """
        if not self.thresholds_in_tables:
            return self.comparator(width)
        return (1 + _levels(math.ceil(width / lut_inputs))) * self.table(lut_inputs)

    def mux2(self, width: int) -> float:
        """Return the delay of a choice between two words of ``width`` bits by one signal."""
        return self.mux2_ns.at(width)

    def table(self, address_bits: int) -> float:
        """Return the delay of a constant table in look-up tables, whatever the width of its words."""
        last = len(self.table_ns) - 1
        beyond = max(address_bits - last, 0)
        return self.table_ns[min(address_bits, last)] + beyond * (self.table_ns[last] - self.table_ns[last - 1])

    def table_registers(self, address_bits: int, width: int, budget_ns: float) -> int:
        """Return the registers that follow a constant table that is to be block memory; 0 of one of look-up tables.

        Block memory is what costs the smaller share of a part, or where look-up tables take more than ``budget_ns``.
        """
        is_slow = self.table(address_bits) > budget_ns and self.memory.may_hold_table(width << address_bits)
        return self.memory.registers if is_slow or self.memory.pays_table(1 << address_bits, width) else 0

    def multiplier(self, a: int, b: int) -> float:
        """Return the delay of an ``a`` by ``b`` bit product without pipeline registers.

        Products wider than a block are sums of partial products, one adder level per doubling; without blocks they are
        sums of one row per bit.
        """
        narrow, wide = sorted((a, b))
        if self.block is None:
            return self.mux2(wide) + _levels(narrow) * self.adder(a + b)
        parts = self.block.parts(a, b)
        return self.block_ns + _levels(max(parts.blocks, len(parts.sums) + 1)) * self.adder(a + b)

    def staged_multiplier(self, a: int, b: int) -> tuple[int, float]:
        """Return the registers that are to follow an ``a`` by ``b`` bit product that is cut into stages, and the slowest stage.

        No registers where the product is not one block, or its block takes none in.
        """
        if self.block is None or not self.block.registers or not self.block.holds(a, b):
            return 0, self.multiplier(a, b)
        return self.block.registers, self.block_stage_ns

    def part_block(self, budget_ns: float) -> MultiplierBlock | None:
        """Return the block that wider products are put together from because several of them take longer than ``budget_ns``."""
        slow = self.block is not None and self.multiplier(self.block.wide + 1, self.block.narrow) > budget_ns
        return self.block if self.block is not None and (slow or self.block.adds) else None

    def routed(self, stage_ns: float, luts: float) -> float:
        """Return the period of a circuit of so many look-up tables whose longest stage is that; 0 where none was measured."""
        return 0.0 if self.reached is None else self.reached.at(luts) * (stage_ns + self.register_ns)

    def within(self, budget_ns: float, luts: float) -> float:
        """Return the time of a stage of a circuit of so many look-up tables, at most ``budget_ns``.

        Where wires take more than what is usually kept back of a period for them, stages take less.
        """
        whole, routed = budget_ns + self.register_ns, self.routed(budget_ns, luts) * (1 - DEFAULT_CLOCK_UNCERTAINTY)
        return budget_ns if routed <= whole else whole * whole / routed - self.register_ns

    def budget(self, clock_period_ns: float, uncertainty_ns: float) -> float:
        """Return the nanoseconds of logic that fit between two registers.

        Raises:
            ConfigError: nothing fits.
        """
        left = clock_period_ns - uncertainty_ns - self.register_ns
        least = self.table(1)
        if left < least:
            # The uncertainty is a fraction of the period, so that it grows along.
            exact = (least + self.register_ns) / (1 - uncertainty_ns / clock_period_ns)
            shortest = math.floor(100 * exact + 1) / 100
            raise ConfigError(
                f"a clock period of {clock_period_ns:g} ns ({1000 / clock_period_ns:.4g} MHz) with {uncertainty_ns:g} ns "
                "uncertainty leaves no time for logic",
                where="clock_period",
                accepted=f"at least {shortest:.2f} ns on this family, for one look-up table per stage",
                remedy="ask for a slower clock, or for a faster part",
            )
        return left


def _levels(terms: int) -> int:
    """Return the adder levels that sum ``terms`` terms."""
    return (terms - 1).bit_length()
