"""The words of a netlist under construction: equal ones are made once, and each has an interval, a depth and a name.

Knows no arithmetic beyond constants; :class:`bitsmith.netlist.builder.NetlistBuilder` does.
"""

from collections.abc import Sequence

from bitsmith.ir.types import low_zeros, width_of
from bitsmith.netlist.netlist import Cell, Field, Literal, Netlist, View, Word, WordOrigin, WordRef


class WordStore:
    """The words of a netlist under construction, each one once, with their intervals and names."""

    def __init__(self) -> None:
        self._cells: list[Cell] = []
        self._lo: list[int] = []
        self._hi: list[int] = []
        self._drop: list[int] = []
        self._depth: list[int] = []
        self._origin: list[int] = []
        self._element: list[int] = []
        self._known: dict[tuple[object, ...], int] = {}
        self._tables: list[tuple[int, ...]] = []
        self._table_ids: dict[tuple[int, ...], int] = {}
        self._origins: Sequence[WordOrigin] = []
        self._current = -1

    def __len__(self) -> int:
        return len(self._cells)

    def enter(self, origin: WordOrigin) -> None:
        """Words made from here on come from ``origin``."""
        self._origins = [*self._origins, origin]
        self._current = len(self._origins) - 1

    def resume(self, origins: Sequence[WordOrigin], current: int) -> None:
        """Words made from here on come from origin ``current`` of another netlist's ``origins``."""
        self._origins = origins
        self._current = current

    def name_results(self, refs: Sequence[WordRef]) -> None:
        """Name words of the current origin after the element of ``refs`` that they hold."""
        for index, ref in enumerate(refs):
            self.name_result(ref, index)

    def name_result(self, ref: WordRef, element: int) -> None:
        """Name a word of the current origin, which has no name yet, after ``element`` of the op's result."""
        if self._element[ref.word] < 0 and self._origin[ref.word] == self._current:
            self._element[ref.word] = element

    def netlist(self, inputs: Sequence[Field], outputs: Sequence[Field], results: Sequence[WordRef]) -> Netlist:
        """The words so far as a netlist."""
        words = tuple(map(Word, self._cells, self._lo, self._hi, self._drop, self._origin, self._element))
        return Netlist(words, tuple(self._tables), tuple(self._origins), tuple(inputs), tuple(outputs), tuple(results))

    def lo(self, x: WordRef) -> int:
        """Least value of ``x``."""
        return self._lo[x.word] << x.shift

    def hi(self, x: WordRef) -> int:
        """Greatest value of ``x``."""
        return self._hi[x.word] << x.shift

    def depth(self, x: WordRef) -> int:
        """Approximate number of adders before ``x``."""
        return self._depth[x.word]

    def value(self, x: WordRef) -> int | None:
        """The value of ``x`` if it is a constant."""
        cell = self._cells[x.word]
        return cell.value << x.shift if isinstance(cell, Literal) else None

    def narrow(self, x: WordRef, lo: int, hi: int) -> WordRef:
        """``x``, of which ``lo <= x <= hi`` is known."""
        word = x.word
        least, most = max(self._lo[word], -(-lo >> x.shift)), min(self._hi[word], hi >> x.shift)
        if least == most:
            return self.constant(least << x.shift)
        self._lo[word], self._hi[word] = least, most
        return x

    def constant(self, value: int) -> WordRef:
        """The constant ``value``."""
        shift = low_zeros(value)
        odd = value >> shift
        return WordRef(self._make(Literal(odd), odd, odd, 0), shift)

    def _make(self, cell: Cell, lo: int, hi: int, depth: int) -> int:
        """The exact word of ``cell``, whose results lie in ``lo..hi``."""
        return self._intern((cell,), cell, 0, lo, hi, depth)

    def _view(self, source: int, drop: int, lo: int, hi: int, depth: int) -> int:
        """Bits of ``source`` from ``drop`` up, as many and as signed as ``lo..hi`` has."""
        cell = View(source)
        return self._intern((cell, drop, width_of(lo, hi), lo < 0), cell, drop, lo, hi, depth)

    def _intern(self, key: tuple[object, ...], cell: Cell, drop: int, lo: int, hi: int, depth: int) -> int:
        known = self._known.setdefault(key, len(self._cells))
        if known == len(self._cells):
            self._cells.append(cell)
            self._drop.append(drop)
            self._lo.append(lo)
            self._hi.append(hi)
            self._depth.append(depth)
            self._origin.append(self._current)
            self._element.append(-1)
        return known

    def _is_exact(self, word: int) -> bool:
        """True if the word is its cell's result, nothing dropped or truncated."""
        return self._known.get((self._cells[word],)) == word
