"""Adder graphs: multiplication of a vector by a constant integer matrix with shifts, additions and subtractions only.

In: an integer matrix and the ranges and arrival times of its inputs. Out: a graph of two-operand adders. The module
knows neither the core program nor any hardware language; ``solve`` is the one function that other code calls. The solver is
compiled (``native/src``); :mod:`bitsmith.netlist.naive_graph` takes its place where there was no compiler.

Method: every weight in signed digits, greedy extraction of the two-term pattern that saves most over all columns and shifts
(after R. Hartley, "Subexpression sharing in filters using canonic signed digit multipliers", IEEE Trans. Circuits and Systems
II 43(10), 1996), every column's remaining terms summed lowest top first, and a search that removes and rebuilds parts.
``docs/adder-graphs.md`` has what each step brings.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from bitsmith.errors import ProgramError, RangeError
from bitsmith.ir.types import IntArray
from bitsmith.netlist import naive_graph, native
from bitsmith.netlist.adders import Adder, InputRange, Nodes
from bitsmith.netlist.csd import count_digits

__all__ = ["DEFAULT_SEARCH", "Adder", "AdderGraph", "GraphOutput", "InputRange", "Search", "solve"]

# Pairs of digits that may be counted, for the time that takes: half a minute at most.
# Matrices of 256x256 entries of 8 bits are below; larger ones share within blocks of rows.
_PAIR_LIMIT = 250_000_000


_REMEMBERED = 1 << 14
"""Weights of matrices whose graphs are kept for the next time; 64 of them take about 200 MB at most."""


@dataclass(frozen=True, slots=True)
class Search:
    """Budgets of the search, and the depth that graphs may have.

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

    def paid(self, inputs: Sequence[InputRange]) -> list[int]:
        """Return the full adders of each adder."""
        ranges = [(i.lo, i.hi) for i in inputs]
        paid = []
        for adder in self.adders:
            operands = ranges[adder.a], ranges[adder.b]
            paid.append(adder.paid(*operands))
            ranges.append(adder.range(*operands))
        return paid

    def cost(self, inputs: Sequence[InputRange], *, of_three: bool = False) -> int:
        """Return the full adders of all adders; those ``of_three`` terms take up a sum that nothing else reads."""
        paid, taken = [0] * self.n_inputs + self.paid(inputs), set[int]()
        read = Counter(node for adder in self.adders for node in (adder.a, adder.b))
        read.update(output.node for output in self.outputs if output.node is not None)
        for node in reversed(range(self.n_inputs, len(paid)) if of_three else ()):
            adder = self.adders[node - self.n_inputs]
            alone = [term for term in (adder.a, adder.b) if read[term] == 1 and paid[term] > 0]
            if alone and node not in taken and paid[node] > 0:
                taken.add(max(alone, key=lambda term: paid[term]))
        return sum(paid[node] for node in range(len(paid)) if node not in taken)

    def depth(self) -> int:
        """Return the number of adders on the longest path from an input to an output."""
        times = self.arrivals([InputRange(0, 0)] * self.n_inputs)
        return max((times[output.node] for output in self.outputs if output.node is not None), default=0)


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
    rows = native.solve(weights, inputs, (_PAIR_LIMIT, search.effort, search.most_steps, depth))
    if rows is None:
        return solved_naively(columns, inputs, search)
    adders = tuple(Adder(a, b, shift_a, shift_b, bool(subtract)) for a, b, shift_a, shift_b, subtract in rows[0])
    outputs = tuple(GraphOutput(None if node < 0 else node, shift, bool(minus)) for node, shift, minus in rows[1])
    return AdderGraph(len(inputs), adders, outputs)


def solved_naively(columns: Sequence[Sequence[int]], inputs: Sequence[InputRange], search: Search) -> AdderGraph:
    """Return the graph of the weights in ``columns`` that needs no compiled solver: it is right, and larger."""
    nodes = Nodes(inputs)
    weights = np.array(columns, dtype=np.object_).reshape(len(columns), len(inputs)).T
    latest = None if search.extra_depth is None else least_depth(weights, inputs) + search.extra_depth
    outputs: list[GraphOutput] = []
    for root in naive_graph.solve(columns, nodes, latest):
        if root is None:
            outputs.append(GraphOutput(None, 0, False))
            continue
        turned = nodes.turned(root.node) if root.minus else None
        outputs.append(GraphOutput(root.node if turned is None else turned, root.shift, root.minus and turned is None))
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
