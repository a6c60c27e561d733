"""Cells that synthesis makes of an unrolled circuit, counted word by word: for circuits that are small enough to be made for it.

In: a netlist, its stages and a family's areas. Out: look-up tables, flip-flops, blocks. The rules are what Yosys does with each
cell; where bits of an operand are constant (above an unsigned one, or a literal) chains of some families take no look-up table.
"""

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from bitsmith.devices.area import AreaModel
from bitsmith.devices.family import Family
from bitsmith.estimate.alike import CONSTANT, Bit, made_of, operand_bits, tabulated
from bitsmith.estimate.figures import Size
from bitsmith.estimate.registers import apart, registers
from bitsmith.estimate.tables import columns, table_luts
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.delays import carry_start, lut_inputs
from bitsmith.netlist.lut_packing import absorb
from bitsmith.netlist.netlist import Netlist, Predicate, Word, WordRef, live_words, operands, readers_of
from bitsmith.netlist.pipeline import PipelineStages
from bitsmith.netlist.reads import Read, reads

_LEAST_OF_THREE = 3
"""Bits from which on `bitsmith_ternary_adder` has cells of its own."""

_CARRY = -2
"""Stands for a word in the carry of a sum."""

_A_BIT_BY_ANOTHER = 2
"""Inputs of a choice between a bit and a constant."""


def size_of(netlist: Netlist, stages: PipelineStages, family: Family) -> Size:
    """The size of ``netlist`` with registers as in ``stages``, and those of the pipeline of valid samples."""
    counted = _Counted(netlist, stages, family)
    for index in live_words(netlist):
        counted.add(index)
    luts, kept = counted.lut + counted.shared(), counted.registers
    cells = round(luts) + kept.lut, kept.ff, counted.dsp, counted.adders, counted.bram
    return Size(*cells, routed_ns=family.delays.routed(stages.longest_ns, luts))


class _Counted:
    """Running totals over the words of a netlist."""

    def __init__(self, netlist: Netlist, stages: PipelineStages, family: Family) -> None:
        self.lut = 0.0
        self.dsp = self.bram = self.adders = 0
        self._words = netlist.words
        self._area: AreaModel = family.area
        self._netlist = netlist
        self._inputs, self._sums_choose = lut_inputs(family.delays), family.delays.sums_choose
        self._in_tables = family.delays.thresholds_in_tables
        self.absorbed = absorb(netlist, self._inputs, sums_choose=self._sums_choose)
        self._stages = stages
        self._made = made_of(netlist, stages, simulated=True)
        joined = made_of(netlist, stages)
        self.registers, self._memories = registers(netlist, stages, self.absorbed, joined, family)
        self._read_at_once = bytearray(len(netlist.words))
        self._readers = readers_of(netlist)
        self._passed = dict[Read, list[Read]]()
        self._sums = dict[tuple[frozenset[WordRef], int], float]()
        """Look-up tables of sums, by operands and stage."""
        self._summed = set[tuple[int | Bit, ...]]()
        """Bits of sums by stage and operands."""
        self._carries = dict[tuple[int | Bit, ...], Bit]()
        """The carry of such a bit, where carries are apart."""
        self._subtracts = False
        """Subtraction by a carry chain: synthesis makes one cell of what all of them begin with."""
        self._tables: defaultdict[tuple[int, int], list[npt.NDArray[np.uint8]]] = defaultdict(list)
        """Bits of larger tables, by the word of the address of those that share parts, and by stage."""
        self._columns = set[tuple[int, bytes]]()
        """Bits of tables that are one look-up table, by address and contents: of those that are alike there is one."""
        self._compared: defaultdict[int, list[int]] = defaultdict(list)
        """Comparisons with constants, by the word that is compared."""
        for index in live_words(netlist):
            for operand in operands(netlist.words[index].cell):
                if stages.stage[index] in (-1, stages.stage[operand]):
                    self._read_at_once[operand] = 1
        self._tabulated = tabulated(netlist, stages, self._inputs, self._is_logic)
        self._needed = {ref.word for ref in netlist.results}
        """Words that something reads but for tables of fewer bits, which synthesis makes in their place."""
        for index in live_words(netlist):
            if index in self._needed:
                table = self._tabulated.get(index)
                apart = table is not None and self.absorbed.sources[index] == (index,)
                read = {table.address} if table and apart else {*operands(netlist.words[index].cell)}
                self._needed |= {bit.word for bit in self._made[index]} if self._is_known(index) else read

    def add(self, index: int) -> None:
        """Count a word."""
        word = self._words[index]
        cell = word.cell
        if isinstance(cell, cells.InputPort | cells.Literal | cells.View) or self.absorbed.sources[index] != (index,):
            return
        if index not in self._needed or self._is_known(index):
            return
        if (table := self._tabulated.get(index)) is not None and not self._in_sum(
            index, self._words[table.address].width
        ):
            self._table(table.address, table.first, np.array([table.entries], dtype=np.object_), word.width)
            return
        if isinstance(cell, cells.AddSub):
            self.adders += 1
            luts, terms = self._sum(index, word, cell), (frozenset((cell.a, cell.b)), self._stages.stage[index])
            if not cell.subtract:  # synthesis makes one of sums that are alike but for the order of their operands
                before = self._sums.get(terms, 0.0)
                self._sums[terms], luts = max(before, luts), max(luts - before, 0.0)
            self.lut += luts
        elif isinstance(cell, cells.TernaryAdder):
            self.adders += 2
            self.lut += self._of_three(max(word.width + word.drop - cell.passed, 0), cell)
        elif isinstance(cell, cells.Mux):
            self.lut += self._choice(index, word, cell) + self._set_bits(index, word, cell)
        elif isinstance(cell, cells.Comparator):
            self._compare(index, cell)
        elif isinstance(cell, cells.Multiplier):
            blocks, luts = self._product(index, word, cell)
            self.dsp, self.lut = self.dsp + blocks, self.lut + luts
        elif isinstance(cell, cells.BlockSum):
            top, below = word.width + word.drop, max(cell.a.shift, cell.b.shift)  # which bits of one operand are
            top = top if self._area.constant_bits else min(top, *map(self._top, (cell.a, cell.b)))
            self.lut += max(top - below, 0) * apart(cell, index, self._stages)
        else:
            self._read(index, word, cell)

    def _is_known(self, index: int) -> bool:
        """Return True if all bits of a sum are bits of other words, or constants."""
        return isinstance(self._words[index].cell, cells.AddSub) and all(bit.word != index for bit in self._made[index])

    def _is_logic(self, index: int) -> bool:
        """Return True if synthesis makes look-up tables of a word, no chain and no block."""
        word = self._words[index]
        match word.cell:
            case cells.AddSub() as cell:
                return word.width + word.drop - carry_start(cell) < self._area.least_chain
            case cells.Comparator() as cell:
                return bool(self.absorbed.inputs[index]) or cell.predicate in (Predicate.EQ, Predicate.NE)
            case cells.RomRead():
                own = self._area.table_choices and self._words[word.cell.address].width > self._inputs
                return index not in self._memories and not own
            case cells.Mux() as cell:
                return not self._resets(index, cell)
            case _:
                return False

    def _computed(self, read: Read) -> list[Read]:
        """The same bits where they are computed: views, and those of one operand below a chain, are wires.

        Sums that follow each other pass the same bits on, so that what is known of operands is kept.
        """
        if read not in self._passed:
            word, low, high = read
            cell, passed = self._words[word].cell, low
            if self.absorbed.sources[word] != (word,):
                passed = high
            elif isinstance(cell, cells.AddSub):
                passed = min(max(carry_start(cell) - self._words[word].drop, low), high)
            inside = reads(self._netlist, word, low, passed) if low < passed else []
            own = [Read(word, passed, high)] if passed < high else []
            self._passed[read] = [part for inner in inside for part in self._computed(inner)] + own
        return self._passed[read]

    def _inverters(self) -> int:
        """Bits that carries take inverted, but for those that look-up tables in the same stage compute for these alone."""
        plain, inverted = defaultdict[int, int](int), defaultdict[tuple[int, int], int](int)
        taken = [(Read(ref.word, 0, self._words[ref.word].width), False, -1) for ref in self._netlist.results]
        for index in live_words(self._netlist):
            cell, stage = self._words[index].cell, self._stages.stage[index]
            bits = [] if isinstance(cell, cells.View) else reads(self._netlist, index, 0, self._words[index].width)
            compares = isinstance(cell, cells.Comparator) and cell.predicate in (Predicate.LT, Predicate.GE)
            subtracts = isinstance(cell, cells.AddSub) and cell.subtract
            subtracts |= compares and len(bits) > 1 and not self.absorbed.inputs[index]
            taken += [(read, subtracts and read is bits[-1], stage) for read in bits]
        taken.sort(key=lambda each: each[0].word)  # operands before those that pass their bits on
        for read, subtracted, stage in taken:
            for word, low, high in self._computed(read):
                logic = (cells.AddSub, cells.Mux, cells.RomRead)
                at_once = self._stages.stage[word] == stage and isinstance(self._words[word].cell, logic)
                for bit in self._made[word][low:high]:
                    if subtracted and bit.word != CONSTANT:
                        inverted[bit.word, stage] |= 1 << bit.number
                    if not (subtracted and at_once):
                        plain[bit.word] |= 1 << bit.number
        return sum((mask & plain[word]).bit_count() for (word, _), mask in inverted.items())

    def shared(self) -> float:
        """The look-up tables that words share: of tables, of comparisons with constants, of bits that carries take inverted."""
        luts = float(self._inverters() if self._area.carries_apart else self._subtracts * self._area.subtraction_luts)
        luts += sum(table_luts(np.vstack(tables), self._inputs, self._area) for tables in self._tables.values())
        for compared in self._compared.values():
            width = sum(self._words[operands(self._words[index].cell)[0]].width for index in compared) / len(compared)
            if self._in_tables and len(compared) == 1:
                luts += self._threshold(compared[0], round(width))
            else:  # the last look-up table of a chain joins that of its only reader
                joined = 0 if self._in_tables else sum(map(self._joins_its_reader, compared))
                luts += self._area.comparisons(len(compared), width) - joined * self._area.subtraction_luts
        return luts

    def _threshold(self, index: int, width: int) -> float:
        """A comparison in look-up tables, the last of which joins those of choices where these have inputs left."""
        tables, readers = self._area.comparisons(1, width) if width > self._inputs else 1.0, {index}
        while absorbed := {
            reader for reader in readers if reader == index or self.absorbed.sources[reader] != (reader,)
        }:
            readers = readers - absorbed | {reader for one in absorbed for reader in self._readers[one]}
        chosen = (self.absorbed.inputs[one] if isinstance(self._words[one].cell, cells.Mux) else 0 for one in readers)
        return max(tables - all(0 < 2 * inputs <= self._inputs + 1 for inputs in chosen), 1.0)

    def _joins_its_reader(self, index: int) -> bool:
        """Return True if a word is in the look-up tables of its only reader, which a register or a sum does not have."""
        readers = self._readers[index]
        sums = (cells.AddSub, cells.TernaryAdder)
        if len(readers) != 1 or not self._read_at_once[index]:
            return False
        return not isinstance(self._words[readers[0]].cell, sums) or self.absorbed.sources[readers[0]] != (readers[0],)

    def _product(self, index: int, word: Word, cell: cells.Multiplier) -> tuple[int, float]:
        """The blocks and look-up tables of a product.

        In look-up tables a bit of a factor that is always 0 takes none, one that is always 1 a sum. A product of few bits takes
        no more than a table of these. Of a square, products of two of its bits come twice.
        """
        a, b = self._words[cell.a], self._words[cell.b]
        signs, later = (a.signed, b.signed), not self._read_at_once[index]
        later |= any(self._stages.stage[factor] < self._stages.stage[index] for factor in (cell.a, cell.b))
        bits = word.width + word.drop
        blocks, rows = self._area.multiplier(a.width, b.width, bits, signs, registered=later)
        if blocks:
            return blocks, rows
        luts = float(rows)
        of_a, of_b = factors = self._made[cell.a], self._made[cell.b]
        of_rows, of_columns = (sum(bit.word != CONSTANT for bit in factor) for factor in factors)
        sums = of_a.count(Bit(CONSTANT, 1)) * of_columns + of_b.count(Bit(CONSTANT, 1)) * of_rows
        if cell.a == cell.b:
            luts *= (a.width + 1) / (2 * a.width)
            luts = min(luts, 2 * a.width - 1) if a.width <= self._inputs else luts
        elif (of_rows, of_columns) != (len(of_a), len(of_b)):
            luts = min(luts, self._area.multiplier(of_rows, of_columns, bits, signs, registered=later)[1] + sums)
        unlike = {bit for factor in factors for bit in factor if bit.word != CONSTANT}
        return 0, min(luts, self._area.table(len(unlike), word.width))

    def _of_three(self, bits: int, cell: cells.TernaryAdder) -> int:
        """A sum of three: a cell for each bit, or of few bits two sums of two, in chains where these are so short."""
        rows = 2 if self._area.least_chain <= bits < _LEAST_OF_THREE else 1
        return rows * bits + (cell.subtract_b + cell.subtract_c) * self._area.subtraction_luts

    def _sum(self, index: int, word: Word, cell: cells.AddSub) -> float:
        bits = max(word.width + word.drop - carry_start(cell), 0)
        if bits < self._area.least_chain:  # look-up tables of bits, and of carries of more than two bits
            widest = max(self._words[ref.word].width + ref.shift for ref in (cell.a, cell.b)) - carry_start(cell)
            return bits + max(min(bits, widest) - 2, 0.0)
        if self._area.carries_apart:
            return max(self._bits_of(index, word, cell) - self._chosen_bits(index), 0)
        if not self._area.constant_bits:
            return self._bits_of(index, word, cell)
        self._subtracts |= cell.subtract
        return float(-(-bits // self._area.carry_bits) * self._area.carry_bits + self._area.chain_luts)

    def _bits_of(self, index: int, word: Word, cell: cells.AddSub) -> int:
        """The bits of a sum that no other one has in its stage: of the same bits, and of the same carry where it is an input.

        A bit of constants, or of one operand beside these, is a wire; where carries are apart, two constants say the carry.
        """
        size, start, before = word.width + word.drop, carry_start(cell), len(self._summed)
        sides = (operand_bits(self._netlist, self._made, ref, size)[start:] for ref in (cell.a, cell.b))
        carry, inverted = Bit(CONSTANT, int(cell.subtract)), int(cell.subtract)
        for number, (a, plain) in enumerate(zip(*sides, strict=True), start):
            b = Bit(plain.word, plain.number ^ (inverted if plain.word == CONSTANT else -inverted))
            terms = [a, b, carry] if self._area.carries_apart else [a, b]
            known = [term.number for term in terms if term.word == CONSTANT]
            left = [term for term in terms if term.word != CONSTANT]
            key = (self._stages.stage[index], *sorted(terms))
            if not self._area.carries_apart:
                unlike = a.word != b.word or a.number not in (b.number, ~b.number)
                self._summed |= {key} if len(left) > 1 and unlike else set()
                continue
            wired = len(known) == len(terms) or (len(left) == 1 and sum(known) % 2 == 0)
            self._summed |= {key} if number >= word.drop and not wired else set()
            if len(known) > 1:
                said = {bit for bit in known if known.count(bit) > 1}
                carry = Bit(CONSTANT, said.pop()) if said else left[0]
            else:
                carry = self._carries.setdefault(key, Bit(_CARRY, len(self._carries)))
        return len(self._summed) - before

    def _chosen_bits(self, index: int) -> int:
        """Bits of a sum in the look-up tables of the only choice that reads them: one input of these is beside a carry's three.

        The outermost choice of a register between a sum and a constant is its set or reset.
        """
        others, chosen = 0, dict[int, int]()
        views = {reader for reader in self._readers[index] if isinstance(self._words[reader].cell, cells.View)}
        for source in (index, *views):
            mask = ((1 << self._words[source].width) - 1) << (self._words[source].drop if source in views else 0)
            for reader in {*self._readers[source]} - views:
                cell = self._words[reader].cell
                if isinstance(cell, cells.Mux) and source != cell.condition:
                    chosen[reader] = chosen.get(reader, 0) | mask
                else:
                    others |= mask
        choices = [*chosen]
        while choices and self.absorbed.sources[choices[-1]] != (choices[-1],):
            choices += self._readers[choices[-1]][:1]
        if len(chosen) != 1 or self._stages.stage[choices[-1]] != self._stages.stage[index]:
            return 0
        first, last = (self._words[choice].cell for choice in (choices[0], choices[-1]))
        if not isinstance(first, cells.Mux) or not isinstance(last, cells.Mux):
            return 0
        if not self._read_at_once[choices[-1]] and len(self._variables(last)) == 1:
            choices.pop()
        joined = choices and self.absorbed.inputs[choices[-1]] == _A_BIT_BY_ANOTHER
        # The look-up table of a comparison has more inputs.
        if not joined or isinstance(self._words[first.condition].cell, cells.Comparator):
            return 0
        return (sum(chosen.values()) & ~others).bit_count()

    def _top(self, ref: WordRef) -> int:
        """The bit above which an operand is constant."""
        word = self._words[ref.word]
        if isinstance(word.cell, cells.Literal):
            return 0
        return 1 << 30 if word.signed else word.width + ref.shift

    def _choice(self, index: int, word: Word, cell: cells.Mux) -> float:
        """A choice; one of a constant is the reset of a register if nothing reads it before that."""
        arms = self._variables(cell)
        if self._resets(index, cell):
            return 0.0
        if len(arms) == 1 and self._chosen_again(index):
            return 1.0
        if self._readers[index] and all(self._equals_its_choice(one, index, arms) for one in self._readers[index]):
            return 0.0
        own = sum(bit.word == index for bit in self._made[index])
        return float(own) * (1.0 if self.absorbed.inputs[index] else self._area.mux2_luts.per_bit)

    def _resets(self, index: int, cell: cells.Mux) -> bool:
        """Return True if a choice of a constant is the reset of a register."""
        arms = self._variables(cell)
        alone = not any(
            isinstance(self._words[arm].cell, cells.Mux) and self.absorbed.sources[arm] != (arm,) for arm in arms
        )
        return len(arms) == 1 and alone and not self._read_at_once[index]

    def _equals_its_choice(self, index: int, choice: int, arms: list[int]) -> bool:
        """Return True if a word says if a choice in its stage is one of its arms: the choice is in its look-up tables."""
        cell = self._words[index].cell
        if not isinstance(cell, cells.Comparator) or self._stages.stage[index] != self._stages.stage[choice]:
            return False
        return cell.predicate in (Predicate.EQ, Predicate.NE) and {cell.a.word, cell.b.word} <= {choice, *arms}

    def _variables(self, cell: cells.Mux) -> list[int]:
        """The words that a choice is between but for constants."""
        return [ref.word for ref in (cell.a, cell.b) if not isinstance(self._words[ref.word].cell, cells.Literal)]

    def _set_bits(self, index: int, word: Word, cell: cells.Mux) -> int:
        """The inverters of a register that a constant sets, where registers can only be cleared."""
        if not self._area.sets_apart or self._read_at_once[index]:
            return 0
        arms = ((self._words[ref.word].cell, ref.shift) for ref in (cell.a, cell.b))
        given = [arm.value << shift >> word.drop for arm, shift in arms if isinstance(arm, cells.Literal)]
        return sum((value & (1 << word.width) - 1).bit_count() for value in given)

    def _chosen_again(self, index: int) -> bool:
        """Return True if a word only goes into another choice: its bits are in that choice's tables."""
        mine = [isinstance(self._words[reader].cell, cells.Mux) for reader in self._readers[index]]
        return mine == [True] and self._read_at_once[index] == 1

    def _compare(self, index: int, cell: cells.Comparator) -> None:
        if self.absorbed.inputs[index]:
            self.lut += 1
        elif isinstance(self._words[cell.b.word].cell, cells.Literal):
            self._compared[cell.a.word].append(index)
        else:
            width = max(self._words[ref.word].width + ref.shift for ref in (cell.a, cell.b))
            if cell.predicate in (Predicate.EQ, Predicate.NE):
                self.lut += self._area.equality(self._unlike(cell, width), self._inputs)
            else:  # the bits that are inverted are counted apart
                self.lut += self._area.comparator(0 if self._area.carries_apart else width)

    def _unlike(self, cell: cells.Comparator, width: int) -> int:
        """The pairs of bits that a comparison of so many bits for equality is of: those that may differ, each once."""
        sides = (operand_bits(self._netlist, self._made, ref, width) for ref in (cell.a, cell.b))
        pairs = set(zip(*sides, strict=True))
        return sum(a != b for a, b in pairs)

    def _in_sum(self, index: int, address: int) -> bool:
        """Return True if a table is in the look-up tables of the chain that reads it, which take its other operand, too."""
        readers = self._readers[index]
        if not self._sums_choose or address >= self._inputs or len(readers) != 1 or not self._read_at_once[index]:
            return False
        word = self._words[readers[0]]
        cell = word.cell
        return (
            index in self._stages.tables_of_bits
            and isinstance(cell, cells.AddSub)
            and word.width + word.drop - carry_start(cell) >= self._area.least_chain
            and (cell.b.word == index or not isinstance(self._words[cell.b.word].cell, cells.RomRead))
        )

    def _read(self, index: int, word: Word, cell: cells.RomRead) -> None:
        address = self._words[cell.address].width
        if index in self._memories:
            self.bram += self._memories[index]
        elif not self._in_sum(index, address):
            entries = np.array([self._netlist.tables[cell.table]], dtype=np.object_) >> word.drop
            if address > self._inputs:
                alike = cell.address if self._area.unlike_power is None else ~index
                bits = columns(entries, cell.first, address, word.width)[0]
                self._tables[alike, self._stages.stage[index]].append(bits)
                return
            self._table(cell.address, cell.first, entries, word.width)

    def _table(self, address: int, first: int, entries: npt.NDArray[np.object_], width: int) -> None:
        """A table of as few address bits as look-up tables have inputs."""
        size = self._words[address].width
        wires = np.vstack([np.arange(1 << size) >> np.arange(size)[:, None] & 1, np.full(1 << size, 1)])
        plain = {row.astype(np.uint8).tobytes() for row in (*wires, 0 * wires[-1])}  # no logic
        bits = {row.tobytes() for row in columns(entries, first, size, width)[0]} - plain
        before = len(self._columns)
        self._columns |= {(address, contents) for contents in bits}
        self.lut += (len(self._columns) - before) * self._area.table_luts[size]
