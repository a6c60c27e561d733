"""Areas of operations before any synthesis: the type of a family's areas.

In: operand widths. Out: look-up tables and multiplier blocks. Reports quote these numbers together with their ``source``.
"""

import math
from dataclasses import dataclass

from bitsmith.devices.blocks import LargeMemory, MemoryBlock, MultiplierBlock
from bitsmith.devices.delay import Line


@dataclass(frozen=True, slots=True)
class AreaModel:
    """Look-up tables and multiplier blocks of each operation; registers are one flip-flop per bit everywhere.

    Attributes:
        source: who says so, for reports.
        adder_luts, comparator_luts, mux2_luts: over the width of the widest operand.
        carry_bits: bits of a sum that share a carry cell, whose look-up tables count together.
        constant_bits: look-up tables of a bit of a carry chain of which one operand is constant, as above an unsigned one.
        subtraction_luts: what the carries of all terms that are subtracted begin with: synthesis keeps one cell for them.
        chain_luts: what every carry chain begins with.
        least_chain: bits of a sum from which on synthesis gives it a carry chain.
        carries_apart: True if carries are beside look-up tables and take their operands as they are: bits that are subtracted are
            inverted before, and the lowest bits of a sum that nothing reads take no table.
        sets_apart: True if registers can only be cleared in a cycle, so that bits which are set then are inverted after them.
        joins_bits: True if synthesis joins registers of bits that are alike, and not only of whole words.
        constant_comparator_luts: over the width of what is compared with a constant.
        product_luts: per bit of the products of single bits of a multiplier without blocks, and of its wider operand.
        shares_comparisons: comparisons of one word with constants are look-up tables, which share those of its upper bits.
        table_luts: per bit of the word, by address bits, from 0; each further address bit doubles them.
        unlike_power: a table of which a share has no like takes this share of them, to this power. None: all tables of an
            address are made together, of functions that have no like, also inverted.
        table_choices: tables of more bits than a look-up table has inputs have multiplexers of their own, which nothing joins.
        bit_sums: sums of single bits take this share of the look-up tables of other sums.
        select_luts: per bit of a word from which a part is selected, to compare layouts by.
        choice_share: a bit chosen from several takes this share of what choices of one of two, one after the other, would.
        memory_luts: per bit of a memory of up to `memory_words` words; larger ones in proportion.
        memory_words: words of a memory of look-up tables; 1: it is made of registers.
        memory_bits: bits of a word that a cell of such a memory holds.
        memory_folds: so many times the words a cell may hold, of as many times fewer bits.
        memory_step: bits of a word in steps of which synthesis compares the cost of such a memory with that of a block.
        memory_choice_luts: per bit for each further `memory_words` words.
        block_luts: synthesis makes block memory of what would take more look-up tables than these for each block, or registers
            if there is no other memory; 0: where it is said so.
        around_blocks: what synthesis adds to that cost where memories are made of registers, for the logic around blocks of
            `bitsmith_ram`, and of `bitsmith_fifo`; 0: nothing, or not measured.
        control_luts: counters and flags of a process and of the FIFO before it, to compare layouts by.
        counter_luts: counters of a FIFO, over their bits.
        joined_cells: of look-up tables and flip-flops, where a cell has one of both, the least share of those that are fewer
            which cells have together with one of the others; 0 where cells are not counted (`Die.cells`).
        packing_luts: what place and route takes for each addition beyond what synthesis counts.
        block: the multiplier block, None if not all parts of the family have some.
        shift_registers: so many registers in a row that nothing else reads become a look-up table; 0: none do.
        block_registers: registers in a row before and after a multiplier block that synthesis takes into it.
        memory: the block memory that large tables and FIFOs become.
        large: a larger memory, of which dies say how many they have; None if no part of the family has some.
    """

    source: str
    adder_luts: Line
    comparator_luts: Line
    mux2_luts: Line
    carry_bits: int
    constant_bits: int
    subtraction_luts: int
    chain_luts: int
    least_chain: int
    carries_apart: bool
    sets_apart: bool
    joins_bits: bool
    constant_comparator_luts: Line
    product_luts: tuple[float, float]
    shares_comparisons: bool
    bit_sums: float
    table_luts: tuple[float, ...]
    unlike_power: float | None
    table_choices: bool
    select_luts: float
    choice_share: float
    memory_luts: float
    memory_words: int
    memory_bits: int
    memory_folds: int
    memory_step: int
    memory_choice_luts: float
    block_luts: float
    around_blocks: tuple[int, int]
    control_luts: int
    counter_luts: Line
    joined_cells: float
    packing_luts: float
    block: MultiplierBlock | None
    shift_registers: int
    block_registers: int
    memory: MemoryBlock
    large: LargeMemory | None

    def comparator(self, width: int) -> int:
        """Return the look-up tables of an order comparison of ``width`` bits."""
        return math.ceil(self.comparator_luts.at(width))

    @staticmethod
    def equality(width: int, inputs: int) -> int:
        """Return the look-up tables of ``inputs`` inputs that compare words for equality: two bits of both each, and a tree."""
        tables = left = -(-width // 2)
        while left > 1:
            left = -(-left // inputs)
            tables += left
        return tables

    def comparisons(self, number: float, width: float) -> float:
        """Return the look-up tables of ``number`` comparisons of one word of ``width`` bits with constants.

        Those that share some tell as many constants apart by their upper bits, of which the last one is in two parts.
        """
        upper = min(math.log2(number), width / 2) + 1 if self.shares_comparisons else 0.0
        shared = (number - 1) * upper * self.constant_comparator_luts.per_bit
        return max(number * self.constant_comparator_luts.at(width) - shared, number)

    def table(self, address_bits: int, width: int) -> int:
        """Return the look-up tables of a constant table of ``2**address_bits`` words of ``width`` bits, at most.

        Measured on random words; regular functions take less.
        """
        last = len(self.table_luts) - 1
        return math.ceil(self.table_luts[min(address_bits, last)] * width * 2.0 ** max(address_bits - last, 0))

    def memory_of_luts(self, words: int, bits: float) -> float:
        """Return the look-up tables of a memory of ``words`` words of ``bits`` bits that is not in blocks: whole cells."""
        rows = -(-words // self.memory_words)
        deep = min(rows, self.memory_folds)
        rows = -(-rows // deep)
        held = bits if self.memory_bits == 1 else -(-bits * deep // self.memory_bits) * self.memory_bits
        return self.memory_luts * rows * held + self.memory_choice_luts * (rows - 1) * bits

    def prefers_blocks(self, words: int, bits: float, *, in_turn: bool) -> bool:
        """Return True if synthesis makes block memory of words that can be read synchronously, by itself.

        Those that are read ``in_turn`` are shown as soon as they are written.
        """
        if self.memory.filled_bits:
            return self.memory.fills(words, bits)
        if self.memory_words == 1:
            return words * bits > self.block_luts * self.memory.count(words, bits) + self.around_blocks[in_turn]
        held = -(-bits // self.memory_step) * self.memory_step
        cells = [(deep * held, -(-words // (deep * self.memory_words))) for deep in (1, self.memory_folds)]
        luts = (self.memory_luts * own * rows + self.memory_choice_luts * (rows - 1) * bits for own, rows in cells)
        return 0 < self.block_luts * self.memory.count(words, bits) < min(luts)

    def multiplier(
        self,
        a: int,
        b: int,
        product: int | None = None,
        signed: tuple[bool, bool] = (True, True),
        *,
        registered: bool = False,
    ) -> tuple[int, int]:
        """Return (multiplier blocks, look-up tables) of an ``a`` by ``b`` bit product of which ``product`` bits are wanted.

        Factors that are not ``signed`` may take a bit more in a block. A register is beside those that are ``registered``.
        """
        narrow, wide = sorted((a, b))
        block = self.block
        parts = block.parts(*block.factors(a, b, signed), product, registered=registered) if block is not None else None
        if parts is None or parts.blocks == 0:
            bits = a + b if product is None else product
            single = sum(min(wide, max(bits - place, 0)) for place in range(narrow))
            of_single, of_wide = self.product_luts
            return 0, max(round(of_single * single + of_wide * min(wide, bits)), 0)
        sums = [*parts.sums]
        for factors in parts.soft:  # a row of single products for each bit; that of the sign is subtracted
            sums += [max(factors) + 1] * max(min(factors) - 1, 1)
        return parts.blocks, sum(map(self._chain, sums)) + sum(one * other for one, other in parts.soft)

    def _chain(self, bits: int) -> int:
        """The look-up tables of a sum whose carry goes nowhere."""
        return -(-bits // self.carry_bits) * self.carry_bits
