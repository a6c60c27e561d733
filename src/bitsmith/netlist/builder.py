"""Builds netlists: every word once, constants folded, and what the intervals decide not computed at all.

In: requests for sums, products, comparisons and so on, of references. Out: a :class:`Netlist`. Common subexpressions, zero
weights and dead channels vanish here, word by word, so that no pass has to look for them.
"""

from collections.abc import Sequence

import numpy as np

from bitsmith.ir.ops import Relation
from bitsmith.ir.types import low_zeros, width_of
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.adder_graph import AdderGraph, InputRange, solve
from bitsmith.netlist.contents import Contents, by_low_bits
from bitsmith.netlist.netlist import Cell, WordRef, reduce_bits
from bitsmith.netlist.words import WordStore

_OPPOSITE = {
    cells.Predicate.LT: cells.Predicate.GE,
    cells.Predicate.GE: cells.Predicate.LT,
    cells.Predicate.EQ: cells.Predicate.NE,
    cells.Predicate.NE: cells.Predicate.EQ,
}
_NEGATIVE = (cells.Predicate.GE, cells.Predicate.NE)
_PRODUCT_DEPTH = 4
_ROM_DEPTH = 2
_MOST_PAIRS = 256
"""Most pairs of values of operands, less one each, for which a table is looked through."""


class NetlistBuilder(WordStore):
    """A netlist under construction, by requests for sums, products, comparisons and so on of references."""

    def __init__(self) -> None:
        super().__init__()
        self._products: dict[int, AdderGraph] = {}
        self._contents: dict[tuple[int, int, int, int, int], Contents] = {}

    def port(self, element: int, lo: int, hi: int) -> WordRef:
        """Input element ``element``."""
        return self.constant(lo) if lo == hi else WordRef(self._make(cells.InputPort(element), lo, hi, 0))

    def add(self, x: WordRef, y: WordRef) -> WordRef:
        """``x + y``."""
        constant = self.value(y)
        if constant is not None:
            return self.add_constant(x, constant)
        constant = self.value(x)
        if constant is not None:
            return self.add_constant(y, constant)
        if x == y:
            return x.shifted(1)
        minus_x, minus_y = self._negated(x), self._negated(y)
        if minus_y is not None:
            return self.sub(x, minus_y) if minus_x is None else self.neg(self.add(minus_x, minus_y))
        if minus_x is not None:
            return self.sub(y, minus_x)
        if (y.word, y.shift) < (x.word, x.shift):
            x, y = y, x
        return self._sum(x, y, subtract=False)

    def sub(self, x: WordRef, y: WordRef) -> WordRef:
        """``x - y``."""
        constant = self.value(y)
        if constant is not None:
            return self.add_constant(x, -constant)
        if x == y:
            return self.constant(0)
        minus_y = self._negated(y)
        if minus_y is not None:
            return self.add(x, minus_y)
        constant = self.value(x)
        if constant is not None:
            return self.add_constant(y, constant, negated=True)
        minus_x = self._negated(x)
        if minus_x is not None:
            return self.neg(self.add(minus_x, y))
        return self._sum(x, y, subtract=True)

    def neg(self, x: WordRef) -> WordRef:
        """``-x``."""
        return self.sub(self.constant(0), x)

    def add_constant(self, x: WordRef, value: int, *, negated: bool = False) -> WordRef:
        """``value + x``, or ``value - x``; joins a constant that ``x`` is already the sum with."""
        if not (value or negated):
            return x
        sign, given = -1 if negated else 1, self.value(x)
        if given is not None:
            return self.constant(value + sign * given)
        cell = self._cells[x.word]
        if isinstance(cell, cells.AddSub) and self._is_exact(x.word):
            for constant, other, minus in ((cell.b, cell.a, negated), (cell.a, cell.b, not negated)):
                if (inner := self.value(constant)) is not None:
                    return self.add_constant(other.shifted(x.shift), value + sign * (inner << x.shift), negated=minus)
        operands = (self.constant(value), x) if negated else (x, self.constant(value))
        return self._sum(*operands, subtract=negated)

    def scale(self, x: WordRef, factor: int) -> WordRef:
        """``x * factor``, in shifts and adders."""
        magnitude = abs(factor)
        if magnitude == 0:
            return self.constant(0)
        graph = self._products.get(magnitude)
        if graph is None:
            graph = solve(np.array([[magnitude]], dtype=object), [InputRange(self.lo(x), self.hi(x))])
            self._products[magnitude] = graph
        product = self.instantiate(graph, [x])[0]
        return self.neg(product) if factor < 0 else product

    def rectified(self, x: WordRef) -> WordRef | None:
        """``y`` where ``x`` was made as ``max(y, 0)``."""
        cell = self._cells[x.word]
        if not isinstance(cell, cells.Mux) or self.value(cell.a) != 0 or not self._is_exact(x.word):
            return None
        sign = self._cells[cell.condition]
        if (
            not isinstance(sign, cells.View)
            or self._drop[cell.condition] != width_of(self._lo[sign.a], self._hi[sign.a]) - 1
        ):
            return None
        return cell.b.shifted(x.shift) if sign.a == cell.b.word and self._lo[sign.a] < 0 else None

    def instantiate(self, graph: AdderGraph, inputs: Sequence[WordRef]) -> list[WordRef]:
        """The outputs of ``graph`` applied to ``inputs``."""
        nodes = list(inputs)
        for adder in graph.adders:
            a, b = nodes[adder.a], nodes[adder.b]
            a, b = a.shifted(adder.shift_a), b.shifted(adder.shift_b)
            nodes.append(self.sub(a, b) if adder.subtract else self.add(a, b))
        results: list[WordRef] = []
        for output in graph.outputs:
            if output.node is None:
                results.append(self.constant(0))
                continue
            node = nodes[output.node]
            node = node.shifted(output.shift)
            results.append(self.neg(node) if output.negate else node)
        return results

    def mul(self, x: WordRef, y: WordRef, *, by_block: bool = False) -> WordRef:
        """``x * y``; with ``by_block`` by a multiplier even if ``y`` is a constant."""
        if self.value(x) is not None:
            x, y = y, x
        given = self.value(y)
        if given is not None and not by_block:
            return self.scale(x, given)
        shift = x.shift + y.shift
        a, b = sorted((x.word, y.word))
        for bit, other in ((a, b), (b, a)):
            if (self._lo[bit], self._hi[bit]) == (0, 1):
                product = self.select(WordRef(bit), WordRef(other), self.constant(0))
                return product.shifted(shift)
        corners = [p * q for p in (self._lo[a], self._hi[a]) for q in (self._lo[b], self._hi[b])]
        lo = min(corners) if a != b else max(self._lo[a], -self._hi[a], 0) ** 2
        depth = max(self._depth[a], self._depth[b]) + _PRODUCT_DEPTH
        return WordRef(self._make(cells.Multiplier(a, b), lo, max(corners), depth), shift)

    def drop(self, x: WordRef, bits: int) -> WordRef:
        """``x`` divided by ``2**bits``, rounded down."""
        if bits <= x.shift:
            return x.shifted(-bits)
        bits -= x.shift
        word = x.word
        cell, lo, hi = self._cells[word], self._lo[word] >> bits, self._hi[word] >> bits
        if lo == hi:
            return self.constant(lo)
        if lo < 0:  # above its sign bit there are only more of it
            bits = min(bits, width_of(self._lo[word], self._hi[word]) - 1)
            if bits == 0:
                return WordRef(word)
        if isinstance(cell, cells.View):
            return WordRef(self._view(cell.a, self._drop[word] + bits, lo, hi, self._depth[word]))
        return WordRef(self._view(word, bits, lo, hi, self._depth[word]))

    def low(self, x: WordRef, bits: int, signed: bool) -> WordRef:
        """The ``bits`` lowest bits of ``x`` as a number."""
        lo, hi = _interval(bits, signed)
        if lo <= self.lo(x) and self.hi(x) <= hi:
            return x
        given = self.value(x)
        if given is not None:
            return self.constant(reduce_bits(given, lo, hi))
        if bits <= x.shift:
            return self.constant(0)
        word, bits = x.word, bits - x.shift
        lo, hi = _interval(bits, signed)
        cell = self._cells[word]
        source, drop = word, 0
        if isinstance(cell, cells.View) and bits <= width_of(self._lo[word], self._hi[word]):
            source, drop = cell.a, self._drop[word]
        return WordRef(self._view(source, drop, lo, hi, self._depth[word]), x.shift)

    def bit(self, x: WordRef, index: int) -> WordRef:
        """Bit ``index`` of ``x``, 0 or 1."""
        return self.low(self.drop(x, index), 1, signed=False)

    def compare(self, x: WordRef, relation: Relation, y: WordRef) -> WordRef:
        """1 where the relation holds, else 0."""
        match relation:
            case Relation.GT:
                return self.ordered(cells.Predicate.LT, y, x)
            case Relation.LE:
                return self.ordered(cells.Predicate.GE, y, x)
            case Relation.LT | Relation.GE | Relation.EQ | Relation.NE:
                return self.ordered(cells.Predicate[relation.name], x, y)

    def below(self, x: WordRef, value: int) -> WordRef:
        """1 where ``x < value``."""
        return self.ordered(cells.Predicate.LT, x, self.constant(value))

    def above(self, x: WordRef, value: int) -> WordRef:
        """1 where ``x > value``."""
        return self.ordered(cells.Predicate.GE, x, self.constant(value + 1))

    def select(self, condition: WordRef, x: WordRef, y: WordRef) -> WordRef:
        """``x`` where ``condition`` is not 0, else ``y``."""
        given = self.value(condition)
        if given is not None:
            return x if given else y
        if x == y:
            return x
        if self.lo(condition) < 0 or self.hi(condition) > 1:
            condition = self.ordered(cells.Predicate.NE, WordRef(condition.word), self.constant(0))
            return self.select(condition, x, y)
        cell = self._cells[condition.word]
        if isinstance(cell, cells.Comparator) and (cell.predicate in _NEGATIVE or self._is_inverted(cell)):
            return self.select(self.ordered(_OPPOSITE[cell.predicate], cell.a, cell.b), y, x)
        given_x, given_y = self.value(x), self.value(y)
        if (given_x, given_y) == (1, 0):
            return condition
        if (given_x, given_y) == (0, 1):
            return self.ordered(cells.Predicate.EQ, condition, self.constant(0))
        shift_x = y.shift if given_x == 0 else x.shift
        shift_y = x.shift if given_y == 0 else y.shift
        common = min(shift_x, shift_y)
        a = x if given_x == 0 else x.shifted(-common)
        b = y if given_y == 0 else y.shifted(-common)
        lo, hi = min(self.lo(a), self.lo(b)), max(self.hi(a), self.hi(b))
        depth = max(self._depth[word] for word in (condition.word, a.word, b.word)) + 1
        return WordRef(self._make(cells.Mux(condition.word, a, b), lo, hi, depth), common)

    def _is_inverted(self, cell: cells.Comparator) -> bool:
        """Return True if a comparison is 1 where a bit is 0."""
        bit = (self.lo(cell.a), self.hi(cell.a)) == (0, 1)
        return bit and cell.predicate is cells.Predicate.EQ and self.value(cell.b) == 0

    def max(self, x: WordRef, y: WordRef) -> WordRef:
        """The greater of the two."""
        greater = self.select(self.ordered(cells.Predicate.LT, x, y), y, x)
        return self.narrow(greater, max(self.lo(x), self.lo(y)), max(self.hi(x), self.hi(y)))

    def min(self, x: WordRef, y: WordRef) -> WordRef:
        """The lesser of the two."""
        lesser = self.select(self.ordered(cells.Predicate.LT, x, y), x, y)
        return self.narrow(lesser, min(self.lo(x), self.lo(y)), min(self.hi(x), self.hi(y)))

    def abs(self, x: WordRef) -> WordRef:
        """``|x|``."""
        most = max(-self.lo(x), self.hi(x))
        return self.narrow(self.select(self.below(x, 0), self.neg(x), x), 0, most)

    def rom(self, x: WordRef, first: int, values: tuple[int, ...]) -> WordRef:
        """``values[x - first]``; every value of ``x`` has an entry."""
        part = self._part_read(x, first, values)
        if part is not None:
            return self.rom(*part, values)
        lo, hi = self._lo[x.word], self._hi[x.word]
        key = (id(values), first, lo, hi, x.shift)
        contents = self._contents.get(key)
        if contents is None:
            reached = values[(lo << x.shift) - first : (hi << x.shift) - first + 1 : 1 << x.shift]
            self._contents[key] = contents = self._table(lo, width_of(lo, hi), reached, values)
        if contents.least == contents.most:
            return self.constant(contents.least << contents.shift)
        if contents.is_identity:
            return WordRef(x.word, contents.shift)
        address = x.word if contents.bits is None else self.low(WordRef(x.word), contents.bits, signed=False).word
        cell = cells.RomRead(address, contents.table, contents.first)
        word = self._make(cell, contents.least, contents.most, self._depth[address] + _ROM_DEPTH)
        return WordRef(word, contents.shift)

    def _part_read(self, x: WordRef, first: int, values: tuple[int, ...]) -> tuple[WordRef, int] | None:
        """The operand that a table of a sum depends on, if it is only one, and the operand's value of the first entry."""
        cell = self._cells[x.word]
        if not isinstance(cell, cells.AddSub) or cell.subtract:
            return None
        a, b = cell.a.shifted(x.shift), cell.b.shifted(x.shift)
        if (self.lo(x), self.hi(x)) != (self.lo(a) + self.lo(b), self.hi(a) + self.hi(b)):
            return None  # cut off, or known better
        if not 0 < (self.hi(a) - self.lo(a) >> a.shift) * (self.hi(b) - self.lo(b) >> b.shift) < _MOST_PAIRS:
            return None
        of_a, of_b = (range(self.lo(ref), self.hi(ref) + 1, 1 << ref.shift) for ref in (a, b))
        rows = [[values[p + q - first] for q in of_b] for p in of_a]
        if all(row == rows[0] for row in rows):
            return b, first - self.lo(a)
        return (a, first - self.lo(b)) if all(row.count(row[0]) == len(row) for row in rows) else None

    def _table(self, first: int, width: int, entries: tuple[int, ...], source: tuple[int, ...]) -> Contents:
        """The table of ``entries`` for an operand of ``width`` bits, their common trailing zeros left out.

        Where fewer bits than the operand has tell its values apart, as of -3..4, those are the address.
        """
        union = 0
        for entry in entries:
            union |= entry
        shift = low_zeros(union)
        if shift:
            entries = tuple(entry >> shift for entry in entries)
        is_identity = all(entry == first + index for index, entry in enumerate(entries))
        needed = (len(entries) - 1).bit_length()
        bits = needed if 0 < needed < width else None
        if bits is not None:
            entries, first = by_low_bits(first, bits, entries), 0
        table = self._table_ids.setdefault(entries, len(self._tables))
        if table == len(self._tables):
            self._tables.append(entries)
        return Contents(table, first, bits, shift, min(entries), max(entries), is_identity, source)

    def reduced(self, cell: Cell, drop: int, lo: int, hi: int) -> WordRef:
        """The result of ``cell`` without its ``drop`` lowest bits, in the bits of ``lo..hi``: a word that is not taken apart.

        Its values lie in ``lo..hi``, all values of that width where upper bits are cut off.
        """
        if lo == hi:
            return self.constant(lo)
        key = (cell, drop, width_of(lo, hi), lo < 0)
        word = self._intern(key, cell, drop, lo, hi, 0)
        return self.narrow(WordRef(word), lo, hi)

    def _negated(self, x: WordRef) -> WordRef | None:
        """``-x`` where ``x`` itself is made as ``0 - y``."""
        cell = self._cells[x.word]
        if isinstance(cell, cells.AddSub) and cell.subtract and self.value(cell.a) == 0 and self._is_exact(x.word):
            return cell.b.shifted(x.shift)
        return None

    def _sum(self, x: WordRef, y: WordRef, subtract: bool) -> WordRef:
        """``x + y`` or ``x - y`` as an adder, their common trailing zeros left out."""
        shift_x = y.shift if self.value(x) == 0 else x.shift
        common = min(shift_x, y.shift)
        a = WordRef(x.word, max(x.shift - common, 0))
        b = y.shifted(-common)
        if subtract:
            lo, hi = self.lo(a) - self.hi(b), self.hi(a) - self.lo(b)
        else:
            lo, hi = self.lo(a) + self.lo(b), self.hi(a) + self.hi(b)
        depth = max(self._depth[a.word], self._depth[b.word]) + 1
        return WordRef(self._make(cells.AddSub(a, b, subtract), lo, hi, depth), common)

    def ordered(self, order: cells.Predicate, x: WordRef, y: WordRef) -> WordRef:
        """1 where ``x order y``, else 0."""
        if self.value(x) is not None and self.value(y) is None:
            x, order, y = self._exchanged(order, x, y)
        decided = self._decided(order, x, y)
        if decided is not None:
            return self.constant(int(decided))
        given = self.value(y)
        if given is not None:
            return self._compare_constant(order, x, given)
        common = min(x.shift, y.shift)
        a, b = x.shifted(-common), y.shifted(-common)
        if order in (cells.Predicate.EQ, cells.Predicate.NE) and (b.word, b.shift) < (a.word, a.shift):
            a, b = b, a
        return self._compare_words(order, a, b)

    def _exchanged(self, order: cells.Predicate, x: WordRef, y: WordRef) -> tuple[WordRef, cells.Predicate, WordRef]:
        """``x order y`` with the constant ``x`` on the right: ``c < y`` is ``y >= c + 1``."""
        if order in (cells.Predicate.EQ, cells.Predicate.NE):
            return y, order, x
        return y, _OPPOSITE[order], self.constant(self.lo(x) + 1)

    def _decided(self, order: cells.Predicate, x: WordRef, y: WordRef) -> bool | None:
        """The outcome if the intervals settle it."""
        lo_x, hi_x, lo_y, hi_y = self.lo(x), self.hi(x), self.lo(y), self.hi(y)
        match order:
            case cells.Predicate.LT | cells.Predicate.GE:
                if hi_x < lo_y:
                    return order is cells.Predicate.LT
                if lo_x >= hi_y or x == y:
                    return order is cells.Predicate.GE
            case cells.Predicate.EQ | cells.Predicate.NE:
                if hi_x < lo_y or hi_y < lo_x:
                    return order is cells.Predicate.NE
                if x == y:
                    return order is cells.Predicate.EQ
        if lo_x == hi_x and lo_y == hi_y:
            return bool(cells.RELATIONS[order](lo_x, lo_y))
        return None

    def _compare_constant(self, order: cells.Predicate, x: WordRef, value: int) -> WordRef:
        """``x order value`` on the bits of ``x`` that matter; the intervals do not decide it."""
        word = WordRef(x.word)
        if order in (cells.Predicate.EQ, cells.Predicate.NE):
            if value & ((1 << x.shift) - 1):
                return self.constant(int(order is cells.Predicate.NE))
            value >>= x.shift
            is_bit = (self.lo(word), self.hi(word)) == (0, 1)
            if is_bit and (order is cells.Predicate.EQ) == (value == 1):
                return word
            return self._compare_words(order, word, self.constant(value))
        value = -(-value >> x.shift)
        if value == 0:
            sign = self.bit(word, width_of(self.lo(word), self.hi(word)) - 1)
            return (
                sign if order is cells.Predicate.LT else self._compare_words(cells.Predicate.EQ, sign, self.constant(0))
            )
        zeros = low_zeros(value)
        upper = self.drop(word, zeros)
        if order is cells.Predicate.GE and value >> zeros == 1 and (self.lo(upper), self.hi(upper)) == (0, 1):
            return upper
        return self._compare_words(order, upper, self.constant(value >> zeros))

    def _compare_words(self, order: cells.Predicate, a: WordRef, b: WordRef) -> WordRef:
        depth = max(self._depth[a.word], self._depth[b.word]) + 1
        return WordRef(self._make(cells.Comparator(order, a, b), 0, 1, depth))


def _interval(bits: int, signed: bool) -> tuple[int, int]:
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
