"""Adder graphs: multiplication of a vector by a constant integer matrix with shifts, additions and subtractions only.

In: an integer matrix and the ranges and arrival times of its inputs. Out: a graph of two-operand adders. The module
knows neither the core program nor any hardware language; ``solve`` is the one function that other code calls. The extension
in C++ does the work where it is installed; what is here says what it does.

Method: every weight in canonical signed digits, greedy extraction of the two-term pattern that saves most over all columns and
shifts (after R. Hartley, "Subexpression sharing in filters using canonic signed digit multipliers", IEEE Trans. Circuits and
Systems II 43(10), 1996), every column's remaining terms summed narrowest first, and a search that removes and rebuilds parts.
``docs/adder-graphs.md`` has what each step brings.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ProgramError, RangeError
from bitsmith.ir.types import IntArray
from bitsmith.netlist import native
from bitsmith.netlist.adders import Adder, InputRange, Nodes
from bitsmith.netlist.csd import count_digits, digit_masks
from bitsmith.netlist.patterns import ColumnEntry
from bitsmith.netlist.sharing import Sharing
from bitsmith.netlist.sums import Term

__all__ = ["DEFAULT_SEARCH", "Adder", "AdderGraph", "GraphOutput", "InputRange", "Search", "solve"]

# Pairs of digits that may be counted, for the time that takes: half a minute at most, many minutes without the extension.
# Matrices of 256x256 entries of 8 bits are below; larger ones share within blocks of rows.
_PAIR_LIMIT = 250_000_000


_REMEMBERED = 1 << 14
"""Weights of matrices whose graphs are kept for the next time; 64 of them take about 200 MB at most."""


@dataclass(frozen=True, slots=True)
class Search:
    """How long to search, and how deep graphs may be.

    Attributes:
        effort: steps of the search, in steps of the first greedy solution.
        most_steps: limit of the steps of the search.
        extra_depth: by how many adders the latest output may be later than it has to be; None for any depth.
    """

    effort: int = 24
    most_steps: int = 30_000_000
    extra_depth: int | None = 0


DEFAULT_SEARCH = Search()


@dataclass(frozen=True, slots=True)
class GraphOutput:
    """One output: ``v[node] << shift``, negated if ``negate``; zero if ``node`` is None."""

    node: int | None
    shift: int
    negate: bool


@dataclass(frozen=True, slots=True)
class AdderGraph:
    """Adders in an order in which each reads only inputs (nodes 0..n_inputs-1) and earlier adders (n_inputs + k)."""

    n_inputs: int
    adders: tuple[Adder, ...]
    outputs: tuple[GraphOutput, ...]

    def evaluate(self, inputs: Sequence[int]) -> list[int]:
        """Return the outputs for one input vector, exactly."""
        values = [int(x) for x in inputs]
        for adder in self.adders:
            values.append(adder.apply(values[adder.a], values[adder.b]))
        results: list[int] = []
        for output in self.outputs:
            value = 0 if output.node is None else values[output.node] << output.shift
            results.append(-value if output.negate else value)
        return results

    def arrivals(self, inputs: Sequence[InputRange]) -> list[int]:
        """Return when each node arrives, in adders."""
        times = [i.arrival for i in inputs]
        for adder in self.adders:
            times.append(max(times[adder.a], times[adder.b]) + 1)
        return times

    def part(self, first: int, end: int) -> AdderGraph:
        """Return the graph of the outputs ``first`` to ``end - 1``."""
        return _without_dead(replace(self, outputs=self.outputs[first:end]))

    def cost(self, inputs: Sequence[InputRange]) -> int:
        """Return the full adders of all adders."""
        nodes = Nodes(inputs)
        for adder in self.adders:
            nodes.add(adder)
        return sum(adder.paid(nodes.ranges[adder.a], nodes.ranges[adder.b]) for adder in nodes.adders)

    def depth(self) -> int:
        """Return the number of adders on the longest path from an input to an output."""
        times = self.arrivals([InputRange(0, 0)] * self.n_inputs)
        return max((times[output.node] for output in self.outputs if output.node is not None), default=0)


class _ColumnPlace(NamedTuple):
    """Where an output comes from: a unique column, shifted left by ``shift``."""

    column: int
    shift: int


def solve(weights: IntArray, inputs: Sequence[InputRange], search: Search = DEFAULT_SEARCH) -> AdderGraph:
    """Return a graph that computes ``weights.T @ inputs`` exactly, by default no later than summing each column alone would be.

    Args:
        weights: integers (n_in, n_out) of any size; an object array holds Python integers.
        inputs: range and arrival of each input. Ranges decide what an adder costs; arrivals (in adders, any common
            origin) decide what may be shared: the latest output is as early as it can be without sharing.
        search: budgets and limits.

    Columns that are equal up to a power of two share one sum. An output sets ``negate`` only where no
    subtraction can be turned round instead.

    Raises:
        RangeError: an entry is not an integer.
        ProgramError: the number of inputs is not that of the rows.
    """
    columns = _integer_columns(weights, inputs)
    # Inputs that nothing reads would change the order in which equally good patterns are taken.
    used = np.flatnonzero((weights != 0).any(axis=1)).tolist()
    origin = min((inputs[k].arrival for k in used), default=0)
    relative = tuple(replace(inputs[k], arrival=inputs[k].arrival - origin) for k in used)
    dense = tuple(tuple(column[k] for k in used) for column in columns)
    graph = (_remembered if weights.size <= _REMEMBERED else _solved)(dense, relative, search)
    return graph if len(used) == len(inputs) else _spread(graph, used, len(inputs))


def least_depth(weights: IntArray, inputs: Sequence[InputRange]) -> int:
    """Return when the latest output can be there at the earliest; arguments as of :func:`solve`."""
    digits = count_digits(weights).tolist()
    loads = [sum(n << i.arrival for n, i in zip(column, inputs, strict=True)) for column in zip(*digits, strict=True)]
    return max(((load - 1).bit_length() for load in loads if load), default=0)


def _spread(graph: AdderGraph, used: Sequence[int], n_inputs: int) -> AdderGraph:
    """The graph among more inputs, of which ``used`` are its own."""
    nodes = [*used, *range(n_inputs, n_inputs + len(graph.adders))]
    adders = tuple(replace(adder, a=nodes[adder.a], b=nodes[adder.b]) for adder in graph.adders)
    outputs = tuple(o if o.node is None else replace(o, node=nodes[o.node]) for o in graph.outputs)
    return AdderGraph(n_inputs, adders, outputs)


def _solved(columns: Sequence[Sequence[int]], inputs: Sequence[InputRange], search: Search) -> AdderGraph:
    weights = np.array(columns, dtype=np.object_).reshape(len(columns), len(inputs)).T
    depth = -1 if search.extra_depth is None else search.extra_depth
    settings = _PAIR_LIMIT, search.effort, search.most_steps, depth
    found = native.solve(weights, inputs, settings)
    if found is None:
        return solved_in_python(columns, inputs, search)
    adders = tuple(Adder(a, b, shift_a, shift_b, bool(subtract)) for a, b, shift_a, shift_b, subtract in found[0])
    outputs = tuple(GraphOutput(None if node < 0 else node, shift, bool(minus)) for node, shift, minus in found[1])
    return AdderGraph(len(inputs), adders, outputs)


def solved_in_python(columns: Sequence[Sequence[int]], inputs: Sequence[InputRange], search: Search) -> AdderGraph:
    """The graph of the weights in ``columns``, made without the extension."""
    unique, places = _unique_columns(columns)
    nodes = Nodes(inputs)
    entries = [[ColumnEntry(i, *digit_masks(w)) for i, w in enumerate(column) if w] for column in unique]
    blocks, owners = _row_blocks(entries, len(inputs))
    latest = None if search.extra_depth is None else _earliest(nodes, entries) + search.extra_depth
    sharing = Sharing(inputs, blocks, owners, latest)
    sharing.run()
    sharing.improve(search.effort, search.most_steps)
    roots = sharing.build(nodes)
    zero = GraphOutput(None, 0, False)
    outputs = [_output(nodes, roots[p.column], p) if p else zero for p in places]
    return _without_dead(AdderGraph(len(inputs), tuple(nodes.adders), tuple(outputs)))


_remembered = lru_cache(maxsize=64)(_solved)
"""A network that is written again, for other inputs or another part, has the same products."""


def _integer_columns(weights: IntArray, inputs: Sequence[InputRange]) -> list[list[int]]:
    """Return the columns as Python integers, or refuse."""
    if weights.ndim != 2 or weights.shape[0] != len(inputs):
        raise ProgramError(
            f"a matrix of shape {weights.shape} for {len(inputs)} inputs", accepted=f"({len(inputs)}, n_out)"
        )
    try:
        return [[operator.index(w) for w in column] for column in weights.T.tolist()]
    except TypeError as error:
        raise RangeError(
            f"weights of type {weights.dtype} that are not all integers",
            accepted="an integer array, or an object array of Python integers",
            remedy="scale the weights by a power of two until they are integers",
        ) from error


def _unique_columns(columns: Iterable[Sequence[int]]) -> tuple[list[tuple[int, ...]], list[_ColumnPlace | None]]:
    """Return the columns that differ by more than a shift, and the place of each given column, None if zero."""
    known: dict[tuple[int, ...], int] = {}
    places: list[_ColumnPlace | None] = []
    for column in columns:
        bits = 0
        for w in column:
            bits |= w
        if not bits:
            places.append(None)
            continue
        shift = (bits & -bits).bit_length() - 1
        key = tuple(w >> shift for w in column)
        places.append(_ColumnPlace(known.setdefault(key, len(known)), shift))
    return list(known), places


def _row_blocks(entries: Sequence[Sequence[ColumnEntry]], n_in: int) -> tuple[list[list[ColumnEntry]], list[int]]:
    """Cut columns into the fewest equal blocks of rows that keep the pairs of digits within the limit.

    Returns the parts and, for each, the column it is a part of.
    """
    counts = np.zeros((len(entries), n_in), dtype=np.int64)
    for column, column_entries in enumerate(entries):
        for entry in column_entries:
            counts[column, entry.node] = entry.plus.bit_count() + entry.minus.bit_count()
    rows = n_in
    while rows > 1 and _pairs(counts, rows) > _PAIR_LIMIT:
        rows = (rows + 1) // 2
    parts: list[list[ColumnEntry]] = []
    owners: list[int] = []
    for column, column_entries in enumerate(entries):
        for start in range(0, n_in, rows):
            part = [entry for entry in column_entries if start <= entry.node < start + rows]
            if part:
                parts.append(part)
                owners.append(column)
    return parts, owners


def _pairs(counts: npt.NDArray[np.int64], rows: int) -> int:
    """Return the square sum of digits per column and block of ``rows`` rows; ``counts`` is (column, row)."""
    per_block = np.add.reduceat(counts, np.arange(0, counts.shape[1], rows), axis=1)
    return int((per_block**2).sum())


def _earliest(nodes: Nodes, entries: Sequence[Sequence[ColumnEntry]]) -> int:
    """Return the earliest time by which every column can be summed: the Kraft bound on its digits' arrivals."""
    loads = [
        sum((e.plus.bit_count() + e.minus.bit_count()) << nodes.arrivals[e.node] for e in column) for column in entries
    ]
    return max(((load - 1).bit_length() for load in loads), default=0)


def _output(nodes: Nodes, root: Term, place: _ColumnPlace) -> GraphOutput:
    """Return the output at ``place`` of a column whose sum is ``root``."""
    node, minus = root.node, root.minus
    if minus:
        turned = nodes.turned(node)
        if turned is not None:
            node, minus = turned, False
    return GraphOutput(node, root.shift + place.shift, minus)


def _without_dead(graph: AdderGraph) -> AdderGraph:
    """Return the graph without adders that no output needs."""
    live = {output.node for output in graph.outputs}
    for k in reversed(range(len(graph.adders))):
        if graph.n_inputs + k in live:
            live |= {graph.adders[k].a, graph.adders[k].b}
    renamed = {k: k for k in range(graph.n_inputs)}
    adders: list[Adder] = []
    for k, adder in enumerate(graph.adders, start=graph.n_inputs):
        if k in live:
            renamed[k] = graph.n_inputs + len(adders)
            adders.append(replace(adder, a=renamed[adder.a], b=renamed[adder.b]))
    outputs = tuple(o if o.node is None else replace(o, node=renamed[o.node]) for o in graph.outputs)
    return AdderGraph(graph.n_inputs, tuple(adders), outputs)
