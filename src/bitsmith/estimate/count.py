"""Running totals of what ops, processes and memories take, without making any circuit.

Adders are those of `bitsmith.estimate.sums`, areas per operation come from `bitsmith.devices.area`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np

from bitsmith.dataflow.kinds import FoldedProduct
from bitsmith.dataflow.storage import Words, addressed, differing_bits
from bitsmith.dataflow.tokens import Numbers, Stream
from bitsmith.dataflow.wires import WIRING
from bitsmith.devices.blocks import table_parts
from bitsmith.devices.delay import Line
from bitsmith.devices.family import Family
from bitsmith.estimate.figures import Cells, Shares, Size
from bitsmith.estimate.reads import Mask, elements_read, share
from bitsmith.estimate.sums import adders_of, sums_share
from bitsmith.estimate.tables import columns, table_area, table_luts
from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import Overflow, Rounding, TensorType
from bitsmith.mapping.memories import in_blocks, paired, table_blocks, takes_block
from bitsmith.mapping.multipliers import Multipliers, Pairs, multipliers, number_bits, used_blocks
from bitsmith.netlist import csd
from bitsmith.netlist.delays import lut_inputs
from bitsmith.netlist.elaborate import BlockLayers

REGISTERS = 2
"""FIFOs of so many slots have no memory, or two slots one of look-up tables."""

_REGISTERS_PER_LUT = 0.6
"""A perceptron of few bits on ECP5 at 125 MHz: 5,300 flip-flops, 9,900 look-up tables. Faster clocks take more."""

_UP_AND_DOWN = 1.0
"""Look-up tables of a bit of a counter beyond those of a FIFO's, where it is compared with a table's word, too."""

_LOAD_LUTS, _LOAD_FFS = 12, 8
"""Counters of a memory that can be loaded."""

_LOOKED_AT = 1 << 20
"""Bits of a table in look-up tables whose contents are looked at, in some tenths of a second."""

_PACKING_LUTS = 2
"""Look-up tables that pack two factors where carry chains take single bits as they are: of 16 and 32 pairs on Zynq 32 and 64."""

_SINGLE_PORT_LUTS, _SINGLE_PORT_FFS = Line(-30.0, 6.4), 4.0
"""Cells of a FIFO of single-port memory beyond one of block memory, over the bits of a token: of 8, 16 and 32 bits on iCE40."""


def _late(n: int, chain: int) -> list[int]:
    """The cycles that each of ``n`` factors waits for those before it in its chain; in the last one the first ones lack."""
    lacking = -n % chain
    return [term % chain if term < n - n % chain else term % chain + lacking for term in range(n)]


class Count:
    """Running totals over the nodes of a program."""

    def __init__(self, family: Family, blocks: BlockLayers | None = None) -> None:
        self.lut = 0.0
        self.dsp = 0.0
        self.adders = 0.0
        self.ff = 0.0
        self.bram = 0.0
        self.large = 0.0
        self.shares = Shares()
        self.area, self._inputs = family.area, lut_inputs(family.delays)
        self._sums, self._sums_choose = sums_share(family), family.delays.sums_choose
        self._blocks = blocks

    def program(self, program: Program, padded: Mapping[int, float], repeats: float = 1.0) -> None:
        """Count all elements that an output depends on, ``repeats`` times; ``padded`` as for `registered`."""
        for index, (node, read) in enumerate(zip(program.nodes, elements_read(program), strict=True)):
            if read.any():
                before = self.cells
                self._node(node, program, repeats * float(read.mean()), padded.get(index, 0.0))
                self.shares.give((node.layer,), self.cells.plus(before, -1.0))

    def made(self, size: Size) -> None:
        """Count a circuit that was made."""
        self.lut += size.lut
        self.ff += size.ff
        self.dsp += size.dsp
        self.adders += size.adders
        self.bram += size.bram

    @property
    def cells(self) -> Cells:
        """The cells so far."""
        return Cells(self.lut, self.ff, self.dsp, self.bram, self.large)

    def size(self) -> Size:
        """The totals."""
        large = {self.area.large.name: round(self.large)} if self.area.large else {}
        lut, ff, dsp, adders, bram = map(round, (self.lut, self.ff, self.dsp, self.adders, self.bram))
        return Size(lut, ff, dsp, adders, bram, large, self.shares.by_layer)

    def registered(self, program: Program, padded: Mapping[int, float], kept: int | None = None) -> None:
        """Count a program and the registers of its pipeline, ``kept`` if that is known.

        Of the operand's elements of a product with a constant matrix a share ``padded``, by node, is always zero.
        """
        before = self.lut
        self.program(program, padded)
        self.ff += (self.lut - before) * _REGISTERS_PER_LUT * self._sums if kept is None else kept

    def fold(self, kind: FoldedProduct, x: TensorType, y: TensorType, live: Mask, distinct: float) -> None:
        """A tile of multipliers, the adders after it, their registers, and the weights' memory.

        Of the operand's elements, (lanes, n), those that are not ``live`` are always zero, products with which disappear; a share
        ``distinct`` has wires of its own.
        """
        groups, steps, (n, m) = kind.groups, kind.steps, kind.tile
        lanes, operand, result = x.shape[0], max(x.max_width, 1), max(y.max_width, 1)
        array = multipliers(kind, x, y, self.area.block)
        filled, rows = kind.weight_rows
        used = float(live.mean())
        sums = max(array.sums * used * filled, 1)
        blocks, luts = self.area.multiplier(array.number, array.weight, array.wanted, registered=True)
        cells = array.chain > 1 and self.area.block is not None and not self.area.block.adds  # which synthesis keeps
        number_blocks, number_luts = live.astype(np.int64), luts * live.astype(np.int64)
        if array.pairs is Pairs.NONE:
            array = replace(array, blocks=blocks * lanes * n * m)
        if array.pairs is Pairs.NONE and not cells:
            number_blocks, number_luts = (live * areas for areas in self._of_numbers(array, number_bits(x)))
            array = replace(array, blocks=lanes * n * m)
        self.dsp += round(array.blocks * (1.0 if cells else used_blocks(kind, array, number_blocks)))
        width = array.weight if array.pairs is Pairs.COLUMNS else array.number
        joined = 0 if self.area.constant_bits else array.packing // width  # to carry chains: bits that are packed
        self.lut += (array.luts - joined * (width - _PACKING_LUTS)) * used + float(number_luts.sum()) * m * rows
        self.add(lanes * (sums - 1) * m, array.product)
        if steps > 1:  # a sum that chooses its first operand takes look-up tables for that, too
            self.accumulate(lanes * m, result, chooses=n > 1 or array.pairs is not Pairs.NONE)
        # There are registers after operands and weights, products and every second level of adders.
        _, unlike = kind.kept_bits
        packs = self.area.block_registers if array.blocks else 0  # synthesis takes so many into blocks without chains
        alone = array.pairs is Pairs.NONE
        late, written = _late(n, array.chain), array.weight * n * m * kind.sets
        in_blocks = bool(kind.loaded) or self.area.memory.takes_table(steps * groups, written)
        self.ff += lanes * m * result
        for each in late:
            more = self._outside(array, each, packed=array.pairs is Pairs.COLUMNS)
            self._weights(array, m * kind.sets, unlike / n, int(not in_blocks), more)
            more = self._outside(array, each, packed=array.pairs is Pairs.LANES)
            row = 1 + more if array.chain > 1 else 2 - packs if alone else 2 - min(packs, 1)
            self.row(row, lanes * distinct * operand)
        held = packs > 0 and (blocks, luts) == (1, 0)
        terms, inside = array.sums, array.chain > 1 or held
        for level in range(0, (terms - 1).bit_length() + 1, 2):
            self.ff += 0 if inside and level == 0 else lanes * m * terms * used * min(array.product + level, result)
            terms = -(-terms // 4)
        if kind.loaded:
            self.loadable(steps * groups, float(kind.loaded.token((n, m)).max_width * n * m * kind.sets))
        elif in_blocks:
            self.bram += table_blocks(kind.table, self.area.memory)
            self._cuts(steps * groups, written, unlike + joined * (width - 1))  # carry chains take bits twice
        else:
            self.table(steps * groups, unlike, clocked=False)

    def _of_numbers(self, array: Multipliers, bits: Numbers) -> tuple[Numbers, Numbers]:
        """Blocks and look-up tables of a product of each number of so many ``bits``, of which synthesis sees each one's own."""
        blocks, luts = np.zeros_like(bits), np.zeros_like(bits)
        for width in np.unique(bits[bits > 0]).tolist():
            areas = self.area.multiplier(width, array.weight, array.wanted, registered=True)
            blocks[bits == width], luts[bits == width] = areas
        return blocks, luts

    def _cuts(self, words: int, width: int, bits: float) -> None:
        """Choices between the parts of a table in blocks, of ``bits`` that are not constant."""
        parts = len(table_parts(words, width, self.area.memory))
        self.lut += math.ceil((parts - 1) * self.area.mux2_luts.per_bit) * bits

    def _outside(self, array: Multipliers, late: int, *, packed: bool) -> int:
        """The registers of a factor that waits ``late`` cycles which are not inside of blocks, two of which could be.

        Of two factors that are packed synthesis leaves the first one where it is: bits between them repeat a sign.
        """
        inside = 2 if array.chain > 1 else self.area.block_registers * (array.blocks > 0 and array.pairs is Pairs.NONE)
        if packed and array.chain > 1 and self.area.block_registers:
            return 1 + max(late - inside, 0)
        return max(late + 1 - inside, 0)

    def _weights(self, array: Multipliers, columns: int, unlike: float, read: int, more: int) -> None:
        """Registers of a row of weights: ``read`` from a table, which a memory has inside, and ``more`` after it.

        Of its bits so many are ``unlike`` each other. The upper one of two that are packed is made less by 1 between, or not.
        """
        pairs = columns // 2 if array.pairs is Pairs.COLUMNS else 0
        lower = unlike * (columns - pairs) / columns
        self.row(read + more, lower)
        self.row(read, unlike - lower)
        self.row(more, pairs * (array.packed - array.product))

    def row(self, number: int, bits: float) -> None:
        """So many registers in a row that nothing else reads."""
        if 0 < self.area.shift_registers <= number:
            self.lut += bits
        else:
            self.ff += number * bits

    def loadable(self, words: int, bits: float) -> None:
        """A constant table that can be loaded: a memory, its register, and one that collects a word."""
        self.lut += _LOAD_LUTS
        self.ff += _LOAD_FFS + 2 * bits
        if words > 1:
            self.memory(Words.IN_TURN, words, bits)
        else:
            self.ff += bits

    def control(self, depth: int, luts: float, ffs: int) -> None:
        """The counters of a FIFO of ``depth`` slots, and those of the process after it."""
        places = (depth - 1).bit_length() if depth > REGISTERS else 0
        self.lut += max(self.area.counter_luts.at(2 * (depth.bit_length() + places)), 0) + luts
        self.ff += 2 * depth.bit_length() + ffs

    def places(self, bits: float) -> None:
        """Counters of so many bits that are added to and subtracted from what tables or other processes say."""
        self.lut += bits * (self.area.counter_luts.per_bit + _UP_AND_DOWN)

    def select(self, bits: float, chosen: float) -> None:
        """``chosen`` bits selected from ``bits`` bits."""
        self._choose(self.area.choice_share, max(bits - chosen, 0.0))

    def registers(self, words: int, bits: float) -> None:
        """The slots of a FIFO as registers, each filled from outside or from the one after it: a look-up table for each bit."""
        self.ff += words * bits
        self.lut += (words - 1) * bits

    def memory(
        self, kind: Words, words: int, bits: float, column: int = 0, *, read: float = 1.0, beside: int = 1
    ) -> bool:
        """A memory of so many ``words``, a larger one than block memory if that has columns of ``column`` bits.

        Look-up tables hold a share ``read`` of it, which has a reader. There are so many ``beside`` each other.
        Returns True if it has a register inside.
        """
        in_turn = kind is Words.IN_TURN
        large = self.area.large if column and takes_block(words, bits, self.area.memory) else None
        if large is not None and large.ports == 1:
            shape = paired(words, round(bits)) if in_turn else (words, round(bits))
            self.large += large.count(*shape, column, beside)
            self.lut += max(_SINGLE_PORT_LUTS.at(round(bits)), 0.0) if in_turn else 0.0
            self.ff += _SINGLE_PORT_FFS * bits if in_turn else 0.0
        elif large is not None:
            self.large += large.count(words, bits, column, beside)
            # Of a row so many words are chosen from.
            places = large.shapes[0][1] // column // large.together(beside, column)
            self.lut += beside * bits * (places // 2) * self.area.mux2_luts.per_bit
            self.ff += places.bit_length() - 1
        elif in_blocks(kind, words, bits, self.area):
            self.bram += beside * self.area.memory.count(words, bits)
        else:
            self.lut += beside * self.area.memory_of_luts(words, bits * read)
            self.ff += beside * words * bits * read if self.area.memory_words == 1 else 0
            return False
        return True

    def together(self, kind: Words, words: int, bits: int) -> int:
        """Bits of a word of a memory that are in a cell, which keeps all of them if one is read."""
        return (
            self.area.memory.shape(words, bits)[1] if in_blocks(kind, words, bits, self.area) else self.area.memory_bits
        )

    def queue(self, words: int, bits: float, read: Mask, column: int, unlike: float) -> None:
        """The slots of a FIFO as a memory, with counters; one of blocks has a word beside it, which is shown if just put.

        Of its bits a share is ``unlike`` the others, of which registers hold each once.
        """
        kept = share(read, self.area.memory_bits) * (unlike if self.area.memory_words == 1 else 1.0)
        inside = self.memory(Words.IN_TURN, words, bits, column, read=kept)
        self.ff += 2 * (words - 1).bit_length()
        if inside and not column and len(read) == bits:
            self.bram -= self.area.memory.unread(words, read.tolist())
        if inside and not column:
            self.ff += bits * share(read) + 1
            self._choose(bits, share(read))

    def reorder(self, taken: Stream, rows: Sequence[int], width: int, depth: int, column: int) -> None:
        """A memory of ``depth`` tokens, read in the order of a table of ``rows`` of ``width`` bits."""
        places, reads = addressed(depth), len(rows)
        address = (places - 1).bit_length()
        differing = self.contents(rows, width)
        self.ff += differing * self.area.memory.suits_table(reads * width)  # it is read ahead, into a register
        self.places(address + depth.bit_length() + (reads - 1).bit_length())
        self.ff += address + depth.bit_length()
        if not self.memory(Words.BY_ADDRESS, places, taken.bits, column):
            self.ff += taken.bits

    def contents(self, rows: Sequence[int], width: int) -> int:
        """A constant table of ``rows`` of ``width`` bits; returned are bits that differ: others are left out."""
        differing = differing_bits(rows)
        block, address = self.area.memory, (len(rows) - 1).bit_length()
        if block.says_table(len(rows), width) or block.takes_table(len(rows), differing):
            self.bram += block.table_count(len(rows), width, differing)
            self._cuts(len(rows), width, differing)
        elif len(rows) * width > _LOOKED_AT:
            self.lut += self.area.table(address, differing)
        elif differing:
            words = np.array([rows], dtype=np.object_)
            self.lut += table_luts(columns(words, 0, address, width)[0], self._inputs, self.area)
        return differing

    def table(self, words: int, bits: float, *, clocked: bool) -> None:
        """A constant table, which block memory can hold if it is ``clocked``: a register follows it."""
        if clocked and self.area.memory.takes_table(words, bits):
            self.bram += self.area.memory.table_count(words, round(bits), bits)
            self._cuts(words, round(bits), bits)
        elif words > 1:
            self.lut += self.area.table((words - 1).bit_length(), round(bits))

    def add(self, adders: float, width: float) -> None:
        """Additions of ``width`` bits; the carry's way out of a chain is not charged."""
        self.adders += adders
        self.lut += adders * (width * self.area.adder_luts.per_bit + self.area.chain_luts)

    def reduce(self, op: ops.Sum | ops.AMax, result: Stream, read: float) -> None:
        """The sum of tokens so far, or the greatest of them, of a share ``read`` of their elements."""
        size, width = result.token.size * read, result.token.max_width
        (self.accumulate if isinstance(op, ops.Sum) else self.greater)(size, width)
        self.ff += result.bits * read

    def accumulate(self, count: float, width: float, *, chooses: bool = True) -> None:
        """Sums of ``width`` bits with what there is so far, which begin anew: of some families a sum ``chooses`` by itself."""
        self.add(count, width)
        self.lut += 0 if self._sums_choose and chooses else count * width

    def _choose(self, count: float, width: float) -> None:
        self.lut += count * width * self.area.mux2_luts.per_bit

    def greater(self, count: float, width: float) -> None:
        """The greater of two words of ``width`` bits."""
        self._compare(count, width)
        self._choose(count, width)

    def _compare(self, count: float, width: float) -> None:
        self.lut += count * width * self.area.comparator_luts.per_bit

    def _compare_constants(
        self, program: Program, operand: int, constants: TensorType, count: float, repeats: float
    ) -> None:
        """``count`` comparisons of the elements of ``operand``, each of which may be in many places, with ``constants``.

        Bits below those of the constant say nothing.
        """
        below = float(np.maximum(program.nodes[operand].type.frac - constants.frac, 0).mean())
        words = program.nodes[operand]
        while isinstance(words.op, ops.Broadcast | ops.Reshape):
            words = program.nodes[words.args[0]]
        number = min(words.type.size * repeats, count)
        self.lut += number * self.area.comparisons(count / number, _mean_width(words.type) - below)

    def _node(self, node: Node, program: Program, repeats: float, padded: float) -> None:
        op, args = node.op, program.types(node.args)
        size, width = node.type.size * repeats, _mean_width(node.type)
        constants = [isinstance(program.nodes[index].op, ops.Const) for index in node.args]
        match op:
            case _ if isinstance(op, WIRING):
                pass
            case ops.Linear():
                self._linear(op, args[0], node, repeats * (1 - padded))
            case ops.MatMul():
                self._products(args[0], args[1], size * args[0].shape[-1])
                terms = csd.adder_width(_mean_width(args[0]) + _mean_width(args[1]), width)
                self.add(size * (args[0].shape[-1] - 1), self._sums * terms)
            case ops.Mul():
                if any(constants):
                    self._scale(args, constants, size)
                else:
                    self._products(args[0], args[1], size)
            case ops.Add() if any(constants) and self._sums < 1:
                pass  # it joins the last sum of three
            case ops.Add() | ops.Sub() | ops.Neg():
                self.add(size * _nonzero_share(args, constants), width)
            case ops.Abs():
                self.add(size, width)
                self._choose(size, width)
            case ops.Max() | ops.Min():
                # A rectifier joins the look-up tables of the saturation after it.
                if not any(constants):
                    self.greater(size, width)
            case ops.Compare():
                if any(constants):
                    self._compare_constants(program, node.args[constants[0]], args[constants[1]], size, repeats)
                else:
                    self._compare(size, max(map(_mean_width, args)))
            case ops.Select():
                self._choose(size, width)
            case ops.Sum():
                terms = args[0].size * repeats * float((args[0].width > 0).mean())
                self.add(max(terms - size, 0), self._sums * csd.adder_width(_mean_width(args[0]), width))
            case ops.AMax():
                self.greater(args[0].size * repeats - size, width)
            case ops.Table():
                luts, blocks = table_area(op, args[0], node.type, repeats, self.area, self._inputs)
                self.lut, self.bram = self.lut + luts, self.bram + blocks
            case ops.Cast():
                follows_add = isinstance(program.nodes[node.args[0]].op, ops.Add | ops.Max)
                self._cast(op, args[0], node.type, size, follows_add)
            case ops.Scan():
                self.program(op.body, {}, repeats * node.type.shape[0])
            case _:
                assert_never(op)

    def _linear(self, op: ops.Linear, x: TensorType, node: Node, repeats: float) -> None:
        y, weights = node.type, op.weights
        positions = y.size // y.shape[-1] * repeats
        if self._blocks is not None and node.layer in self._blocks.layers:
            by_block = np.where(csd.in_blocks(weights, csd.signed_width(x), self._blocks.block), weights, 0)
            self.dsp += sum(len(set(row[row != 0] // (row & -row)[row != 0])) for row in by_block) * positions
            self.add(int(np.count_nonzero(by_block)) * positions, _mean_width(y))
            weights = weights - by_block
        adders, width = adders_of(replace(op, weights=weights), x, y, self._sums)
        self.add(adders * positions, width * (self.area.bit_sums / self._sums if x.max_width == 1 else 1.0))

    def _products(self, x: TensorType, y: TensorType, count: float) -> None:
        blocks, luts = self.area.multiplier(max(x.max_width, 1), max(y.max_width, 1))
        self.dsp += blocks * count
        self.lut += luts * count

    def _scale(self, args: Sequence[TensorType], constants: Sequence[bool], count: float) -> None:
        """Products with constants, in shifts and adders."""
        factors, x = (args[0], args[1]) if constants[0] else (args[1], args[0])
        adders = float(np.maximum(csd.count_digits(factors.lo) - 1, 0).mean()) * count
        self.add(adders, self._sums * (_mean_width(x) + _mean_width(factors) / 2))

    def _cast(self, op: ops.Cast, x: TensorType, y: TensorType, count: float, follows_add: bool) -> None:
        width, dropped = _mean_width(y), x.frac - op.frac
        # Constants for rounding join a bias that was added before.
        if op.rounding is not Rounding.TRN and not (follows_add and op.rounding is Rounding.RND):
            self.add(count * float(((dropped > 0) & (y.width > 0)).mean()), width + 1)
        if op.overflow is not Overflow.WRAP:
            self.lut += count * float((x.width - np.maximum(dropped, 0) > y.width).mean()) * width


def _mean_width(kind: TensorType) -> float:
    return float(kind.width.mean())


def _nonzero_share(args: Sequence[TensorType], constants: Sequence[bool]) -> float:
    """The share of a constant operand that is not 0; 1 without one."""
    for kind, constant in zip(args, constants, strict=True):
        if constant:
            return float(np.mean(kind.lo != 0))
    return 1.0
