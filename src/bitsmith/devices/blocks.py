"""The blocks of a family beside look-up tables and registers: multipliers and memories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

_TABLE_BITS = 2048
"""Registered constant tables of so many bits have the attributes of block memory, unless their words are too few."""

_TABLE_WORDS = 8
"""Yosys takes no fewer words for a table, and one of so few long words would fill hardly any of a block."""

_NEVER = 1 << 60
"""More bits than any memory has."""

_FEW_BITS = 256
"""Bits of a table up to which it takes about one look-up table for each bit of its words, on any family."""

_CHOICE_LUTS = 16
"""Look-up tables that choose between parts of a table, for each block memory that these save."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A rule of synthesis: products of factors that are not too small become cells, wider factors are cut into parts.

    Attributes:
        most: bits of the wider and of the narrower factor of a cell, with a sign.
        least: bits of the wider and of the narrower factor from which on products are made of such cells.
        product: bits of a product from which on they are.
        parts: bits of each part but the last of a wider and of a narrower factor that are cut.
        blocks: multiplier blocks of a cell.
    """

    most: tuple[int, int]
    least: tuple[int, int]
    product: int
    parts: tuple[int, int]
    blocks: int


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts of a product: blocks, products of look-up tables by their factors' bits, and sums by their bits."""

    blocks: int
    soft: tuple[tuple[int, int], ...]
    sums: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MultiplierBlock:
    """A multiplier block: its signed factors have up to ``wide`` and ``narrow`` bits.

    Products become blocks by ``cuts``: of what one of them leaves, the next one makes some, and what the last one leaves becomes
    look-up tables. Products beside a register have ``beside_registers`` instead, if any. ``registers`` that follow a product
    are taken into its block, so that the block has shorter stages. Constants of ``digits`` signed digits and more are worth a
    block. Up to ``chain`` blocks in a row add up their products if these are written as a chain; 1 where sums are better written
    as trees. One that ``adds`` takes a sum behind it.
    """

    wide: int
    narrow: int
    cuts: tuple[Cut, ...]
    beside_registers: tuple[Cut, ...]
    registers: int
    digits: int
    chain: int
    adds: bool

    def factors(self, a: int, b: int, signed: tuple[bool, bool]) -> tuple[int, int]:
        """Return the bits of factors of ``a`` and ``b`` bits as cells take them, which may be ``signed``.

        One without a sign gets a bit for it beside one that has a sign, and where all factors of cells have signs.
        """
        with_signs = any(signed) or self.cuts[0].parts[1] < self.cuts[0].most[1]
        more = [with_signs and not own for own in signed]
        return a + more[0], b + more[1]

    def count(self, a: int, b: int, product: int | None = None) -> int:
        """Return the blocks that an ``a`` by ``b`` bit product takes of which ``product`` bits (else all) are wanted."""
        return self.parts(a, b, product).blocks

    def parts(self, a: int, b: int, product: int | None = None, *, registered: bool = False) -> Parts:
        """Return what an ``a`` by ``b`` bit product is made of that has ``product`` bits, else all; it may be ``registered``."""
        bits = a + b if product is None else min(product, a + b)
        cuts = self.beside_registers if registered and self.beside_registers else self.cuts
        return _parts(cuts, min(a, bits), min(b, bits), bits)

    def holds(self, a: int, b: int, product: int | None = None) -> bool:
        """Return True if an ``a`` by ``b`` bit product is one block and nothing else."""
        return self.parts(a, b, product) == Parts(1, (), ())


def _parts(cuts: tuple[Cut, ...], a: int, b: int, product: int) -> Parts:
    """Return the parts of a product by the first of ``cuts`` and those after it."""
    return _cut(cuts, (max(a, b), min(a, b)), product) if cuts else Parts(0, ((a, b),), ())


def _cut(cuts: tuple[Cut, ...], factors: tuple[int, int], product: int) -> Parts:
    """Return the parts of a product, or of a part of one, by the first of ``cuts``, whatever factor is the wider one."""
    cut = cuts[0]
    if factors[0] < cut.least[0] or factors[1] < cut.least[1] or product < cut.product:
        return _parts(cuts[1:], *factors, product)
    side = next((side for side in range(2) if factors[side] > cut.most[side]), None)
    if side is None:
        return Parts(cut.blocks, (), ())
    other, most, part = factors[1 - side], cut.most[side], cut.parts[side]
    number = -(-(factors[side] - most) // part)

    def of(bits: int, product: int) -> Parts:
        return _cut(cuts, (bits, other) if side == 0 else (other, bits), product)

    width, last = min(part + 1, most), factors[side] - number * part  # a part has no sign, but may need one
    lower, upper = of(width, min(product, other + width)), of(last, other + last)
    return Parts(
        lower.blocks * number + upper.blocks,
        lower.soft * number + upper.soft,
        (*lower.sums * number, *upper.sums, *(other + part,) * (number - 1), other + last),
    )


def _blocks(shapes: tuple[tuple[int, int], ...], words: int, bits: float) -> int:
    """The blocks of a kind that ``words`` words of ``bits`` bits take."""
    return min(math.ceil(words / deep) * math.ceil(bits / wide) for deep, wide in shapes)


@dataclass(frozen=True, slots=True)
class LargeMemory:
    """A larger memory that some parts of a family have beside block memories. It has no contents before it is written.

    Attributes:
        name: the vendor's name of it, which is the key of its number in reports, too.
        shapes: words and bits of a word, as it can be configured, the widest words first.
        ports: words that are read or written in a cycle: with 2 one is read while one is written, with 1 one or the other.
    """

    name: str
    shapes: tuple[tuple[int, int], ...]
    ports: int

    @property
    def bits(self) -> int:
        """Capacity."""
        return max(deep * wide for deep, wide in self.shapes)

    def together(self, beside: int, column: int) -> int:
        """Return the words of ``column`` bits that a row gives at once to memories ``beside`` each other, read at one place."""
        return min(beside, self.shapes[0][1] // column)

    def column(self, words: int, bits: float, beside: int = 1) -> int:
        """Return the bits of a word in the shape of which ``words`` words of ``bits`` bits take the fewest memories."""
        return min(self.shapes, key=lambda shape: self.count(words, bits, shape[1], beside))[1]

    def count(self, words: int, bits: float, column: int, beside: int = 1) -> int:
        """Return the memories with ``column`` bits in a word that ``words`` words of ``bits`` bits take, so many times."""
        together = self.together(beside, column)
        shapes = tuple(shape for shape in self.shapes if shape[1] == column)
        return beside // together * _blocks(shapes, words * together, bits)

    def rest(self, words: int, bits: int, column: int, beside: int, block: MemoryBlock) -> int:
        """Return the last of ``words`` words of each memory that are better block memories: less than half of larger ones."""
        together = self.together(beside, column)
        deep = next(deep for deep, wide in self.shapes if wide == column) // together
        blocks, own = beside * block.count(words % deep, bits), self.count(deep, bits, column, beside)
        return words % deep if words > deep and self.ports > 1 and 2 * blocks * block.bits < own * self.bits else 0


@dataclass(frozen=True, slots=True)
class MemoryBlock:
    """A block memory, and when a constant table becomes some of them.

    Yosys makes block memories of a registered table that has more than ``unasked_bits`` for each block that it takes; smaller
    ones stay in look-up tables, unless attributes ask for blocks. It is the cost of a block in Yosys's ``brams`` file of the
    family times 16, and `docs/add-a-device.md` says how it is measured. Two decisions are derived from ``table_bits``:
    `may_hold_table` and `suits_table`. Tables of pipelines say themselves what they are to be: see `pays_table`.

    Attributes:
        bits: capacity; capacities of parts and figures of synthesis count blocks of this size.
        shapes: words and bits of a word, as it can be configured.
        table_bits: bits of a constant table per block that look-up tables can hold.
        unasked_bits: bits of a constant table per block that Yosys leaves in look-up tables if nothing asks for blocks.
        worth_bits: bits of a pipeline's constant table per block above which a block is cheaper than look-up tables: at most what
            those look-up tables hold of which parts of the family have one block.
        registers: registers that follow a block which is read in a pipeline.
        filled_bits: synthesis makes blocks of all that is read synchronously and has so many bits for each, or their share of a
            shape with fewer bits; 0: by cost.
        pair_bits: two words of so many bits and more take fewer cells as memory of look-up tables than as registers; 0: never.
        carry_words: synthesis makes a constant table of so many words and more of the carries of the counter that reads it, if
            that adds a constant; 0: of none, or not measured.
    """

    bits: int
    shapes: tuple[tuple[int, int], ...]
    table_bits: int
    unasked_bits: int
    worth_bits: int
    registers: int
    filled_bits: int
    pair_bits: int
    carry_words: int

    def forbidden(self) -> MemoryBlock:
        """The same memory where nothing may be made of it."""
        return replace(self, table_bits=_NEVER, unasked_bits=_NEVER, worth_bits=_NEVER, filled_bits=_NEVER)

    def for_tables(self) -> MemoryBlock:
        """The same memory where constant tables of pipelines are it wherever that saves look-up tables."""
        return replace(self, worth_bits=_FEW_BITS)

    @property
    def is_forbidden(self) -> bool:
        """True if nothing may be made of it."""
        return self.filled_bits == _NEVER

    def count(self, words: int, bits: float) -> int:
        """Return the blocks that ``words`` words of ``bits`` bits take."""
        return _blocks(self.shapes, words, bits)

    def shape(self, words: int, bits: float) -> tuple[int, int]:
        """Return the words and bits of a word of each of the blocks that ``words`` words of ``bits`` bits take."""
        return min(self.shapes, key=lambda shape: _blocks((shape,), words, bits))

    def unread(self, words: int, read: Sequence[bool]) -> int:
        """Return those of the blocks of ``words`` words of which no bit is ``read``: synthesis removes them."""
        deep, wide = self.shape(words, len(read))
        return -(-words // deep) * sum(not any(read[low : low + wide]) for low in range(0, len(read), wide))

    def says_table(self, words: int, bits: float) -> bool:
        """True if a registered constant table of ``words`` words of ``bits`` bits has the attributes of block memory."""
        return words >= _TABLE_WORDS and words * bits >= _TABLE_BITS and not self.is_forbidden

    def table_count(self, words: int, width: int, bits: float) -> int:
        """Return the blocks of a constant table of ``words`` words of ``width`` bits, ``bits`` of which are not constant."""
        parts = pairwise([*table_parts(words, width, self), words])
        return sum(self.count(_padded(end - start), bits) for start, end in parts)

    def may_hold_table(self, bits: int) -> bool:
        """True if a constant table of ``bits`` bits may be block memory where look-up tables are too slow for the clock."""
        return 2 * bits > self.table_bits

    def pays_table(self, words: int, bits: float) -> bool:
        """True if blocks are the cheaper share of a part for a constant table of ``words`` words of ``bits`` bits."""
        return words >= _TABLE_WORDS and words * bits > self.worth_bits * self.count(words, bits)

    def suits_table(self, bits: int) -> bool:
        """True if a constant table of ``bits`` bits is to be read synchronously, so that it can be block memory.

        The least size that can fill a block: reading it so costs nothing but the freedom to use its value in the same cycle.
        """
        return bits >= self.table_bits

    def holds_table(self, words: int, bits: float) -> bool:
        """True if Yosys makes block memory of a registered constant table of ``words`` words of ``bits`` bits.

        It counts words up to a power of two.
        """
        if self.filled_bits:
            return self.fills(_padded(words), bits)
        return _padded(words) * bits > self.unasked_bits * self.count(words, bits)

    def fills(self, words: int, bits: float) -> bool:
        """True if ``words`` words of ``bits`` bits have the share `filled_bits` of the blocks that they take in a shape."""
        cells = (math.ceil(words / deep) * math.ceil(bits / wide) * deep * wide for deep, wide in self.shapes)
        return words * bits * self.bits >= self.filled_bits * min(cells)

    def holds_pair(self, bits: float) -> bool:
        """True if two words of ``bits`` bits are kept in memory of look-up tables."""
        return 0 < self.pair_bits <= bits

    def takes_table(self, words: int, bits: float) -> bool:
        """True if a registered constant table becomes block memory after Yosys, by itself or since it is written as one."""
        return self.says_table(words, bits) or (words >= _TABLE_WORDS and self.holds_table(words, bits))

    def finds_carries(self, words: int, bits: float) -> bool:
        """True if a registered constant table is look-up tables that a counter which adds no constant makes fewer."""
        return 0 < self.carry_words <= words and not self.takes_table(words, bits)


def table_parts(words: int, width: int, block: MemoryBlock) -> list[int]:
    """Return the starts of the parts into which a constant table is cut, since synthesis makes tables of a power of two words.

    Each has as many words as the largest power of two that is left, but the last; there are so many as save blocks.
    """
    best, starts, blocks = [0], [0], 0
    least = _CHOICE_LUTS * block.count(_padded(words), width)
    while words - starts[-1] > 1:
        whole = _padded(words - starts[-1]) // 2
        blocks += block.count(whole, width)
        starts = [*starts, starts[-1] + whole]
        last = block.count(_padded(words - starts[-1]), width)
        cost = _CHOICE_LUTS * (blocks + last) + (len(starts) - 1) * width
        if cost < least:
            best, least = starts, cost
    return best


def _padded(words: int) -> int:
    return 1 << (words - 1).bit_length()
