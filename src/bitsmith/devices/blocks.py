"""The blocks of a family beside look-up tables and registers: multipliers and memories."""

from __future__ import annotations

import math
from dataclasses import dataclass

BLOCK_TABLE_BITS = 2048
"""Registered constant tables of so many bits have the attributes of block memory."""


@dataclass(frozen=True, slots=True)
class MultiplierBlock:
    """A multiplier block: its signed factors have up to ``wide`` and ``narrow`` bits.

    Wider factors are cut into parts of ``narrow`` bits. Synthesis makes products of fewer than ``least`` bits, and those with
    a factor of one bit, of look-up tables. ``registers`` that follow a product are taken into its block, so that the block has
    shorter stages. Constants of ``digits`` signed digits and more are worth a block. Up to ``chain`` blocks in a row add up their
    products if these are written as a chain; 1 where sums are better written as trees.
    """

    wide: int
    narrow: int
    least: int
    registers: int
    digits: int
    chain: int

    def count(self, a: int, b: int, product: int | None = None) -> int:
        """Return the blocks that an ``a`` by ``b`` bit product takes of which ``product`` bits (else all) are wanted."""
        low, high = sorted((a, b))
        if low < 2 or (a + b if product is None else product) < self.least:
            return 0
        return -(-low // self.narrow) * (1 if high <= self.wide else -(-high // self.narrow))


def _blocks(shapes: tuple[tuple[int, int], ...], words: int, bits: float) -> int:
    """The blocks of a kind that ``words`` words of ``bits`` bits take."""
    return min(math.ceil(words / deep) * math.ceil(bits / wide) for deep, wide in shapes)


@dataclass(frozen=True, slots=True)
class LargeMemory:
    """A larger memory that some parts of a family have beside block memories. It has no contents before it is written.

    Attributes:
        name: the vendor's name of it, which is the key of its number in reports, too.
        shapes: words and bits of a word, as it can be configured.
        ports: words that are read or written in a cycle: with 2 one is read while one is written, with 1 one or the other.
    """

    name: str
    shapes: tuple[tuple[int, int], ...]
    ports: int

    def count(self, words: int, bits: float) -> int:
        """Return the memories that ``words`` words of ``bits`` bits take."""
        return _blocks(self.shapes, words, bits)


@dataclass(frozen=True, slots=True)
class MemoryBlock:
    """A block memory, and when a constant table becomes some of them.

    ``table_bits`` is the one fact that decides: Yosys makes block memories of a registered table that has more bits than this
    for each block that it takes; smaller ones stay in look-up tables. It is the cost of a block in Yosys's ``brams`` file of the
    family times 16, and `docs/add-a-device.md` says how it is measured. Three decisions are derived from it:
    `may_hold_table`, `suits_table` and `holds_table`.

    Attributes:
        bits: capacity; capacities of parts and figures of synthesis count blocks of this size.
        shapes: words and bits of a word, as it can be configured.
        table_bits: bits of a constant table per block that look-up tables can hold.
        registers: registers that follow a block which is read in a pipeline.
        pair_bits: two words of so many bits and more take fewer cells as memory of look-up tables than as registers; 0: never.
    """

    bits: int
    shapes: tuple[tuple[int, int], ...]
    table_bits: int
    registers: int
    pair_bits: int

    def count(self, words: int, bits: float) -> int:
        """Return the blocks that ``words`` words of ``bits`` bits take."""
        return _blocks(self.shapes, words, bits)

    def may_hold_table(self, bits: int) -> bool:
        """True if some synthesis tool makes block memory of a constant table of ``bits`` bits.

        A pipeline then gives it registers that the block can take in, which cost little where it stays in look-up tables.
        Vendors' tools choose block memory earlier than Yosys, from about half of its size on.
        """
        return 2 * bits > self.table_bits

    def suits_table(self, bits: int) -> bool:
        """True if a constant table of ``bits`` bits is to be read synchronously, so that it can be block memory.

        The least size that can fill a block: reading it so costs nothing but the freedom to use its value in the same cycle.
        """
        return bits >= self.table_bits

    def holds_table(self, words: int, bits: float) -> bool:
        """True if Yosys makes block memory of a constant table of ``words`` words of ``bits`` bits."""
        return words * bits > self.table_bits * self.count(words, bits)

    def holds_pair(self, bits: float) -> bool:
        """True if two words of ``bits`` bits are kept in memory of look-up tables."""
        return 0 < self.pair_bits <= bits

    def takes_table(self, words: int, bits: float) -> bool:
        """True if a registered constant table becomes block memory after Yosys, by itself or since it is written as one."""
        return words * bits >= BLOCK_TABLE_BITS or self.holds_table(words, bits)
