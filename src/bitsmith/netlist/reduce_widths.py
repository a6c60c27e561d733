"""Computes no bit that nothing reads: low and high bits go, words and all, from the outputs back.

Before: ``s = a + b`` (20 bits), of which only ``s[15:4]`` is read. After: a word of 12 bits, ``(a + b) >> 4`` modulo
``2**12``, its operands no wider than 16 bits, and no view. Words that reach no output disappear.

Products that are wider than a multiplier block become sums of products that are not, so that registers can stand between these.
Before: ``x * y`` with 29 and 16 bits, two blocks and an adder in one cell. After: ``(x >> 17) * y * 2**17 + (x mod 2**17) * y``.
What alone reads a product to add something may be added by its blocks, one after the other.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from bitsmith.devices.blocks import MultiplierBlock, Parts
from bitsmith.ir.types import width_of
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.builder import NetlistBuilder
from bitsmith.netlist.netlist import Netlist, Word, WordRef, live_words, readers_of, reduce_bits
from bitsmith.netlist.reads import Read, reads


def reduce_widths(netlist: Netlist, block: MultiplierBlock | None = None) -> Netlist:
    """``netlist`` without the bits that nothing reads; products that take several of ``block`` are sums of such that take one."""
    return _Rebuild(netlist, _wanted(netlist), block).run()


def _wanted(netlist: Netlist) -> list[Read]:
    """Per word the lowest and highest bits that are read; ``low == high`` where none is, and for constants."""
    wanted = [Read(index, 0, 0) for index in range(len(netlist.words))]

    def want(read: Read) -> None:
        if isinstance(netlist.words[read.word].cell, cells.Literal):
            return
        before = wanted[read.word]
        if before.low < before.high:
            read = Read(read.word, min(before.low, read.low), max(before.high, read.high))
        wanted[read.word] = read

    for ref in netlist.results:
        want(Read(ref.word, 0, netlist.words[ref.word].width))
    for index in live_words(netlist):
        own = wanted[index]
        if own.low < own.high:
            for read in reads(netlist, index, own.low, own.high):
                want(read)
    return wanted


class _Rebuild:
    """Remakes every word with its wanted bits alone: ``new[w]`` is word ``w`` without its ``wanted[w].low`` lowest bits."""

    def __init__(self, netlist: Netlist, wanted: Sequence[Read], block: MultiplierBlock | None) -> None:
        self._old = netlist
        self._wanted = wanted
        self._block = block
        self._builder = NetlistBuilder()
        readers = readers_of(netlist) if block is not None and block.adds else {}
        results = {ref.word for ref in netlist.results}
        self._read_once = {word for word, own in readers.items() if len(own) == 1 and word not in results}
        self._new: list[WordRef | None] = [None] * len(netlist.words)

    def run(self) -> Netlist:
        old, builder = self._old, self._builder
        for index in sorted(live_words(old)):
            word, (_, low, high) = old.words[index], self._wanted[index]
            if low < high or isinstance(word.cell, cells.Literal):
                builder.resume(old.origins, word.origin)
                self._new[index] = new = self._remade(word, low, high)
                builder.name_result(new, word.element)
        results = [self._operand(ref) for ref in old.results]
        return builder.netlist(old.inputs, old.outputs, results)

    def _operand(self, ref: WordRef) -> WordRef:
        """The replacement of ``ref``, equal in all bits that are wanted of it."""
        new = self._new[ref.word]
        if new is None:
            return self._builder.constant(0)
        return new.shifted(ref.shift + self._wanted[ref.word].low)

    def _interval(self, word: Word, low: int, high: int) -> tuple[int, int]:
        """The interval of bits ``low`` to ``high - 1`` of ``word``: all values of these if upper bits are cut off."""
        if high == word.width:
            return word.lo >> low, word.hi >> low
        bits = high - low
        half = 1 << (bits - 1)
        return (-half, half - 1) if word.signed else (0, 2 * half - 1)

    def _remade(self, word: Word, low: int, high: int) -> WordRef:
        builder, cell, drop = self._builder, word.cell, word.drop + low
        lo, hi = self._interval(word, low, max(high, low + 1))
        match cell:
            case cells.Literal():
                return builder.constant(cell.value)
            case cells.InputPort():
                return builder.reduced(cell, drop, lo, hi)
            case cells.AddSub():
                whole = self._in_blocks(cell)
                return self._part(builder.drop(whole, drop), lo, hi) if whole else self._sum(cell, drop, lo, hi)
            case cells.BlockSum():
                return self._reduced(cells.BlockSum(self._operand(cell.a), self._operand(cell.b)), drop, lo, hi)
            case cells.TernaryAdder():
                refs = (self._operand(cell.a), self._operand(cell.b), self._operand(cell.c))
                return self._reduced(replace(cell, a=refs[0], b=refs[1], c=refs[2]), drop, lo, hi)
            case cells.Multiplier():
                a, b = self._operand(WordRef(cell.a)), self._operand(WordRef(cell.b))
                if self._block is not None and is_wider(builder, a, b, self._block):
                    whole = product(builder, a, b, self._block)
                    return self._part(builder.drop(whole, drop), lo, hi)
                words = sorted((a.word, b.word))
                return self._reduced(cells.Multiplier(*words), drop - a.shift - b.shift, lo, hi)
            case cells.View():
                return self._part(builder.drop(self._operand(WordRef(cell.a)), drop), lo, hi)
            case cells.Comparator():
                return builder.ordered(cell.predicate, self._operand(cell.a), self._operand(cell.b))
            case cells.Mux():
                condition = self._operand(WordRef(cell.condition))
                a, b = self._arm(cell.a, drop, lo, hi), self._arm(cell.b, drop, lo, hi)
                if builder.value(condition) is not None or a == b:
                    return self._part(builder.select(condition, a, b), lo, hi)
                return builder.reduced(cells.Mux(condition.word, a, b), 0, lo, hi)
            case cells.RomRead():
                entries = self._old.tables[cell.table]
                if drop or (lo, hi) != (word.lo, word.hi):
                    entries = tuple(reduce_bits(entry >> drop, lo, hi) for entry in entries)
                return builder.rom(self._operand(WordRef(cell.address)), cell.first, entries)
            case _:
                assert_never(cell)

    def _arm(self, ref: WordRef, drop: int, lo: int, hi: int) -> WordRef:
        arm = self._builder.drop(self._operand(ref), drop)
        given = self._builder.value(arm)
        return arm if given is None else self._builder.constant(reduce_bits(given, lo, hi))

    def _part(self, x: WordRef, lo: int, hi: int) -> WordRef:
        """``x`` in the bits of ``lo..hi``, which hold what is read of its value."""
        return self._builder.narrow(self._builder.low(x, width_of(lo, hi), lo < 0), lo, hi)

    def _in_blocks(self, cell: cells.AddSub) -> WordRef | None:
        """``cell`` as a product whose blocks add the other operand; None if they cannot."""
        builder, block = self._builder, self._block
        for ref, other in ((cell.a, cell.b), (cell.b, cell.a)):
            factors = self._old.words[ref.word].cell
            if block and not cell.subtract and ref.word in self._read_once and isinstance(factors, cells.Multiplier):
                x, y = self._operand(WordRef(factors.a)), self._operand(WordRef(factors.b))
                return _added(builder, x, y, self._operand(other), x.shift + y.shift + ref.shift, block)
        return None

    def _sum(self, cell: cells.AddSub, drop: int, lo: int, hi: int) -> WordRef:
        builder = self._builder
        a, b = self._operand(cell.a), self._operand(cell.b)
        zero_a, zero_b = builder.value(a) == 0, builder.value(b) == 0
        common = b.shift if zero_a else a.shift if zero_b else min(a.shift, b.shift)
        a, b = WordRef(a.word, max(a.shift - common, 0)), WordRef(b.word, max(b.shift - common, 0))
        drop -= common
        # Bits below the other operand's shift pass unchanged (of a subtrahend they do not): dropped ones are not added.
        # What is left of a constant may have trailing zeros, so that more bits of the other pass.
        while drop > 0:
            if b.shift > 0:
                passed = min(drop, b.shift)
                a, b = builder.drop(a, passed), b.shifted(-passed)
            elif a.shift > 0 and not cell.subtract:
                passed = min(drop, a.shift)
                a, b = a.shifted(-passed), builder.drop(b, passed)
            else:
                break
            drop -= passed
        if builder.value(b) == 0 or (builder.value(a) == 0 and not cell.subtract):
            return self._part(builder.drop(a if builder.value(b) == 0 else b, drop), lo, hi)
        return self._reduced(cells.AddSub(a, b, cell.subtract), drop, lo, hi)

    def _reduced(
        self, cell: cells.AddSub | cells.TernaryAdder | cells.BlockSum | cells.Multiplier, drop: int, lo: int, hi: int
    ) -> WordRef:
        """``cell`` without ``drop`` bits, or with ``-drop`` zeros appended."""
        if drop >= 0:
            return self._builder.reduced(cell, drop, lo, hi)
        return WordRef(self._builder.reduced(cell, 0, lo >> -drop, hi >> -drop).word, -drop)


def is_wider(builder: NetlistBuilder, x: WordRef, y: WordRef, block: MultiplierBlock) -> bool:
    """Return True if ``x * y`` takes more than one ``block``, or other cells beside it."""
    parts, given = _made(builder, x, y, block), (builder.value(WordRef(factor.word)) is not None for factor in (x, y))
    return not any(given) and (parts.blocks > 1 or bool(parts.sums))  # shifts and adders multiply by constants


def product(builder: NetlistBuilder, x: WordRef, y: WordRef, block: MultiplierBlock) -> WordRef:
    """``x * y``, no part of it wider than ``block``."""
    if not is_wider(builder, x, y, block):
        return builder.mul(x, y)
    low, high, other, bits = _cut(builder, x, y, block)
    parts = builder.add(product(builder, high, other, block).shifted(bits), product(builder, low, other, block))
    a, b = WordRef(x.word), WordRef(y.word)
    corners = [p * q for p in (builder.lo(a), builder.hi(a)) for q in (builder.lo(b), builder.hi(b))]
    least = max(builder.lo(a), -builder.hi(a), 0) ** 2 if a == b else min(corners)
    return builder.narrow(parts, least, max(corners)).shifted(x.shift + y.shift)


def _added(
    builder: NetlistBuilder, x: WordRef, y: WordRef, total: WordRef, place: int, block: MultiplierBlock
) -> WordRef:
    """``total`` and the product of two words, which begins at bit ``place``: lower parts first."""
    if is_wider(builder, x, y, block):
        low, high, factor, bits = _cut(builder, x, y, block)
        return _added(builder, high, factor, _added(builder, low, factor, total, place, block), place + bits, block)
    part, upper = builder.mul(WordRef(x.word), WordRef(y.word), by_block=True), builder.drop(total, place)
    lo, hi = builder.lo(part) + builder.lo(upper), builder.hi(part) + builder.hi(upper)
    fits = _made(builder, x, y, block) == Parts(1, (), ())
    cell = cells.BlockSum(part, upper) if fits else cells.AddSub(part, upper, subtract=False)
    added = builder.reduced(cell, 0, lo, hi).shifted(place)
    return builder.add(added, builder.low(total, place, signed=False))


def _cut(
    builder: NetlistBuilder, x: WordRef, y: WordRef, block: MultiplierBlock
) -> tuple[WordRef, WordRef, WordRef, int]:
    """The low and the high part of the wider factor, unshifted, the other factor, and the bits of the low part."""
    wide, other = sorted((WordRef(x.word), WordRef(y.word)), key=lambda ref: _width(builder, ref), reverse=True)
    bits = block.narrow - 1  # of an unsigned part; with a sign it fills the narrow factor
    return builder.low(wide, bits, signed=False), builder.drop(wide, bits), other, bits


def _made(builder: NetlistBuilder, x: WordRef, y: WordRef, block: MultiplierBlock) -> Parts:
    """Parts that synthesis makes of ``x * y``."""
    return block.parts(*block.factors(_width(builder, x), _width(builder, y), (builder.lo(x) < 0, builder.lo(y) < 0)))


def _width(builder: NetlistBuilder, x: WordRef) -> int:
    """Bits of a word, unshifted."""
    return width_of(builder.lo(WordRef(x.word)), builder.hi(WordRef(x.word)))
