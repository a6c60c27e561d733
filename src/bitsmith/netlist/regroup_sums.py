"""Rebuilds trees of sums of two from sums of three, where the family adds three terms in one row of look-up tables.

Before: seven sums of two join eight terms. After: three sums of three and one of two do, as early as the tree is needed. A tree
is a sum and those sums below it that nothing else reads. The terms with the least highest bits are joined first, as far as the
time allows (Huffman's rule for three, with Kraft's inequality for what is left); of three terms the lowest is never subtracted.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

from bitsmith.ir.types import low_zeros, width_of
from bitsmith.netlist.delays import Delays, carry_start
from bitsmith.netlist.fuse_adders import CONSTANT_SHARE, is_exact, is_sum, luts_of_sum
from bitsmith.netlist.netlist import AddSub, Literal, Netlist, TernaryAdder, View, Word, WordRef, readers_of
from bitsmith.netlist.pipeline import Timing
from bitsmith.netlist.renumber import moved, renumbered, with_words

_LEAST_TERMS = 4
_CHOICES = 7
"""Terms with the least tops, and as many of the earliest, of which a row takes those that cost least."""

_SHARE = 4
"""Share of the trees in the way that stay as they were at a time where there are too many stages, those nearest inputs first."""

_NEVER = 1e9


class _Term(NamedTuple):
    """A word, its multiple of a power of two, its interval (both unshifted), its sign, and when it is ready."""

    ref: WordRef
    lo: int
    hi: int
    minus: bool
    ready: float
    given: bool

    @property
    def top(self) -> int:
        """The bit above the highest one."""
        return width_of(self.lo, self.hi) + self.ref.shift


class _Row(NamedTuple):
    """A sum of two or three terms: its cell, its interval, what it costs; ``shift`` and ``minus`` are those of its result."""

    cell: AddSub | TernaryAdder
    lo: int
    hi: int
    shift: int
    minus: bool
    cost: float
    ready: float


@dataclass(frozen=True, slots=True)
class SumTree:
    """Terms that a sum and the sums below it add, and the look-up tables of these."""

    terms: tuple[tuple[bool, WordRef], ...]
    cost: float


def regroup_sums(netlist: Netlist, delays: Delays, budget_ns: float, most: int | None = None) -> Netlist:
    """``netlist`` with trees of sums of three where these are smaller.

    It has ``most`` stages of ``budget_ns`` at most, no more than before if None.
    """
    if delays.ternary_adder(1) is None:
        return netlist
    trees = sum_trees(netlist, _LEAST_TERMS)
    while trees:
        builder = _Builder(netlist, trees, delays, budget_ns, most)
        rebuilt = builder.run()
        if not builder.made:
            return netlist
        timing = Timing(rebuilt, delays, budget_ns)
        if timing.stages <= builder.stages:
            return renumbered(rebuilt)
        spared = _spared(builder.made, timing.late(builder.stages))
        trees = {root: tree for root, tree in trees.items() if root not in spared}
    return netlist


def _spared(made: Mapping[int, int], late: Collection[int]) -> frozenset[int]:
    """Rebuilt trees that are to stay as they were: some of those that are late, the first ones; all if none of them is."""
    guilty = sorted(root for root, word in made.items() if word in late)
    return frozenset(guilty[: -(-len(guilty) // _SHARE)] or made)


def sum_trees(netlist: Netlist, least: int) -> dict[int, SumTree]:
    """The trees of at least so many terms, by their roots."""
    readers = readers_of(netlist)
    results = {ref.word for ref in netlist.results}
    parts = {index for index, own in readers.items() if len(own) == 1 and index not in results}
    trees: dict[int, SumTree] = {}
    inner: set[int] = set()
    for index in reversed(readers):
        if is_sum(netlist, index) and index not in inner:
            tree, below = _tree(netlist, index, parts)
            inner |= below
            if len(tree.terms) >= least:
                trees[index] = tree
    return trees


def _tree(netlist: Netlist, root: int, parts: Collection[int]) -> tuple[SumTree, set[int]]:
    """The tree of a sum, and the sums below it.

    A sum below another is in the tree if it is one of ``parts`` and has all the bits that the root has, or its exact value.
    """
    top = netlist.words[root].width + netlist.words[root].drop
    terms: list[tuple[bool, WordRef]] = []
    below: set[int] = set()
    cost = 0.0
    open_terms = [(False, WordRef(root))]
    while open_terms:
        minus, ref = open_terms.pop()
        word = netlist.words[ref.word]
        if not is_sum(netlist, ref.word) or (ref.word != root and not _is_part(netlist, ref, top, parts)):
            terms.append((minus, ref))
            continue
        assert isinstance(word.cell, AddSub)
        below.add(ref.word)
        cost += luts_of_sum(netlist, word)
        open_terms.append((minus != word.cell.subtract, word.cell.b.shifted(ref.shift)))
        open_terms.append((minus, word.cell.a.shifted(ref.shift)))
    return SumTree(tuple(terms), cost), below - {root}


def _is_part(netlist: Netlist, ref: WordRef, top: int, parts: Collection[int]) -> bool:
    """True if a sum that is read as ``ref`` may be taken apart within a tree whose root has ``top`` bits."""
    word = netlist.words[ref.word]
    return ref.word in parts and not word.drop and (word.width + ref.shift >= top or is_exact(netlist, word))


class _Builder:
    """A netlist under construction: words of the old one, and rows in the place of trees.

    ``made`` has the new word of each old sum whose tree became such rows; ``stages`` are those there may be.
    """

    def __init__(
        self, netlist: Netlist, trees: Mapping[int, SumTree], delays: Delays, budget_ns: float, most: int | None
    ) -> None:
        self.made: dict[int, int] = {}
        self._netlist = netlist
        self._trees = trees
        self._delays = delays
        self._budget_ns = budget_ns
        self._timing = Timing(netlist, delays, budget_ns)
        self.stages = self._timing.stages if most is None else max(most, self._timing.stages)
        self._due = self._timing.due(self.stages)
        self._words: list[Word] = []
        self._numbers: dict[int, int] = {}
        self._times: list[float] = []

    def run(self) -> Netlist:
        """The netlist; dead words are still there."""
        for index, word in enumerate(self._netlist.words):
            tree = self._trees.get(index)
            ready = None if tree is None else self._regrouped(index, word, tree)
            if ready is None:
                ready = self._timing.ready(index, self._times)
                self._words.append(replace(word, cell=moved(word.cell, self._numbers)))
            self._numbers[index] = len(self._words) - 1
            self._times.append(ready)
        return with_words(self._netlist, self._words, self._numbers)

    def _regrouped(self, root: int, word: Word, tree: SumTree) -> float | None:
        """Make the rows of a tree and return when they are ready; None if the tree stays as it is."""
        before, due = len(self._words), self._due[root]
        terms = self._with_one_constant([self._term(minus, ref) for minus, ref in tree.terms], word)
        first = len(self._words)
        rows = self._rows(terms, first, word, due) if len(terms) > 1 else None
        if rows is None or sum(row.cost for row in rows) >= tree.cost:
            del self._words[before:]
            return None
        self._words += [Word(row.cell, row.lo, row.hi, 0, word.origin, -1) for row in rows[:-1]]
        last = self._without_passed(replace(word, cell=rows[-1].cell))
        if last is None:
            del self._words[before:]
            return None
        self._words.append(last)
        self.made[root] = len(self._words) - 1
        return rows[-1].ready

    def _with_one_constant(self, terms: list[_Term], word: Word) -> list[_Term]:
        """``terms`` of the sum ``word`` with at most one constant, a word of its own: a row of constants has no bits."""
        constants = [term for term in terms if term.given]
        if len(constants) < 2:
            return terms
        value = sum((-term.lo if term.minus else term.lo) << term.ref.shift for term in constants)
        others = [term for term in terms if not term.given]
        if value == 0:
            return others
        shift = low_zeros(value)
        odd = value >> shift
        self._words.append(Word(Literal(odd), odd, odd, 0, word.origin, -1))
        ready = max(term.ready for term in constants)
        return [*others, _Term(WordRef(len(self._words) - 1, shift), odd, odd, False, ready, True)]

    def _without_passed(self, word: Word) -> Word | None:
        """A sum without dropped bits that are bits of its first term, unchanged; None if nothing is left of that.

        The first term's view comes before it.
        """
        cell = word.cell
        assert isinstance(cell, AddSub | TernaryAdder)
        others = (cell.b,) if isinstance(cell, AddSub) else (cell.b, cell.c)
        passed = min(word.drop, *(ref.shift for ref in others))
        if not passed:
            return word
        first, cut = cell.a, passed - min(passed, cell.a.shift)
        if cut:
            whole = self._words[first.word]
            if whole.lo >> cut == whole.hi >> cut:
                return None
            self._words.append(Word(View(first.word), whole.lo >> cut, whole.hi >> cut, cut, word.origin, -1))
            first = WordRef(len(self._words) - 1)
        else:
            first = first.shifted(-passed)
        if isinstance(cell, AddSub):
            return replace(word, cell=replace(cell, a=first, b=cell.b.shifted(-passed)), drop=word.drop - passed)
        lowered = replace(cell, a=first, b=cell.b.shifted(-passed), c=cell.c.shifted(-passed))
        return replace(word, cell=lowered, drop=word.drop - passed)

    def _term(self, minus: bool, ref: WordRef) -> _Term:
        word = self._netlist.words[ref.word]
        given = isinstance(word.cell, Literal)
        moved_ref = WordRef(self._numbers[ref.word], ref.shift)
        return _Term(moved_ref, word.lo, word.hi, minus, self._times[ref.word], given)

    def _rows(self, terms: list[_Term], first: int, word: Word, due: float) -> list[_Row] | None:
        """Rows that add ``terms``, the last of them ``word``; None if they would not be ready in time."""
        top = word.width + word.drop
        row_ns = self._delays.ternary_adder(top)
        if row_ns is None or row_ns > self._budget_ns:
            return None
        rows: list[_Row] = []
        while len(terms) > 1:
            group = self._group(terms, top, due, row_ns)
            if group is None:
                return None
            for term in group:
                terms.remove(term)
            row = self._row(group, top, is_root=not terms, is_plus=all(term.minus for term in terms))
            rows.append(row)
            terms.append(_Term(WordRef(first + len(rows) - 1, row.shift), row.lo, row.hi, row.minus, row.ready, False))
        return rows if rows[-1].ready <= due else None

    def _group(self, terms: Sequence[_Term], top: int, due: float, row_ns: float) -> tuple[_Term, ...] | None:
        """The terms that the next row adds: those of least cost after which there is time for the rest."""

        def share(ready: float) -> float:
            return float(3.0 ** ((ready - due) / row_ns)) if ready < due + row_ns else _NEVER

        total = sum(share(term.ready) for term in terms)
        by_top = sorted(terms, key=lambda term: (term.top, term.ready))[:_CHOICES]
        by_time = sorted(terms, key=lambda term: (term.ready, term.top))[:_CHOICES]
        pool = by_top + [term for term in by_time if term not in by_top]
        for size in (2, 3) if len(terms) % 2 == 0 else (3,):
            best: tuple[tuple[float, float], tuple[_Term, ...]] | None = None
            for group in combinations(pool, size):
                ready = self._timing.after(max(term.ready for term in group), self._delay(size, top))
                if len(terms) > size and total - sum(share(term.ready) for term in group) + share(ready) > 1.0:
                    continue
                lowest = sorted(term.ref.shift for term in group)
                key = (min(max(term.top for term in group) + 1, top) - lowest[1], ready)
                if best is None or key < best[0]:
                    best = (key, group)
            if best is not None:
                return best[1]
        return None

    def _delay(self, size: int, width: int) -> float:
        return (self._delays.ternary_adder(width) if size == 3 else None) or self._delays.adder(width)

    def _row(self, group: Sequence[_Term], top: int, is_root: bool, is_plus: bool) -> _Row:
        """The sum of ``group``: the least shifted term is not subtracted, unless the sum itself must not be (``is_plus``)."""
        order = sorted(group, key=lambda term: ((is_plus and term.minus), term.ref.shift, term.minus))
        minus = order[0].minus
        shift = 0 if is_root else min(term.ref.shift for term in group)
        refs = [term.ref.shifted(-shift) for term in order]
        signs = [term.minus != minus for term in order]
        lows = [-term.hi if sign else term.lo for term, sign in zip(order, signs, strict=True)]
        highs = [-term.lo if sign else term.hi for term, sign in zip(order, signs, strict=True)]
        lo = sum(low << ref.shift for low, ref in zip(lows, refs, strict=True))
        hi = sum(high << ref.shift for high, ref in zip(highs, refs, strict=True))
        bits = max(top - shift, 1)
        if width_of(lo, hi) > bits:
            lo, hi = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if lo < 0 else (0, (1 << bits) - 1)
        cell: AddSub | TernaryAdder
        if len(refs) == 2:
            cell = AddSub(refs[0], refs[1], signs[1])
            passed = carry_start(cell)
        else:
            cell = TernaryAdder(refs[0], refs[1], refs[2], signs[1], signs[2])
            passed = cell.passed
        width = max((top if is_root else width_of(lo, hi)) - passed, 1)
        cost = width * (CONSTANT_SHARE if len(refs) == 2 and any(term.given for term in group) else 1.0)
        ready = self._timing.after(max(term.ready for term in group), self._delay(len(refs), width))
        return _Row(cell, lo, hi, shift, minus, cost, ready)
