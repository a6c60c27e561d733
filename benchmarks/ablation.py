"""What each idea brings: adder graphs and whole circuits as they are, and without one idea at a time.

``ablation.py [graphs] [netlists] [functions]``. Graphs are those of the solver in Python, which makes the same ones as that in
C++: full adders and processor time, both relative to the solver as it is, geometric means over small fixed matrices. Netlists are
of the networks of ``circuits.py`` on UltraScale+: look-up tables and flip-flops as estimated (within a few percent of Yosys for
such networks), and the time of all passes. Functions are the same for networks of ``estimates.py`` whose activations are not
ReLU. No idea is an option of bitsmith: each is taken out of its modules for the measurement.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from unittest.mock import patch

import numpy as np
from circuits import NETWORKS
from estimates import NETWORKS as CASES
from estimates import PARTS
from rich.console import Console
from rich.table import Table

from bitsmith.devices import ULTRASCALE_PLUS
from bitsmith.estimate.unrolled import size_of
from bitsmith.ir.program import Program
from bitsmith.netlist import adder_graph, elaborate, pipeline, pipelined, sharing
from bitsmith.netlist.adder_graph import AdderGraph, InputRange, Search, solved_in_python
from bitsmith.netlist.adders import Nodes
from bitsmith.netlist.elaborate import BlockLayers
from bitsmith.netlist.evaluate import evaluate
from bitsmith.netlist.netlist import Netlist
from bitsmith.netlist.patterns import Pattern
from bitsmith.netlist.sharing import Sharing
from bitsmith.netlist.sums import Deadline, Sum, _Place
from bitsmith.passes import drop_dead

Changes = Sequence[tuple[object, str, object]]
"""What is put in place of which attributes for an idea to be missing."""

_NEVER = 1 << 62
_INPUT = InputRange(-128, 127)
_BUDGET_NS = 4.0


def matrices() -> Iterator[np.ndarray]:
    """Three of each of eight kinds, of 8x8 to 16x16 entries: 4 and 8 bits, dense and with 75 % zeros; and ternary ones."""
    kinds = (
        *((8, 8, bits, 0.0) for bits in (4, 8)),
        *((16, 16, bits, zeros) for bits in (4, 8) for zeros in (0.0, 0.75)),
        (12, 48, 2, 0.75),
        (4, 32, 2, 0.0),
    )
    for rows, columns, bits, zeros in kinds:
        for seed in range(3):
            rng = np.random.default_rng((rows * columns + bits, seed))
            limit, shape = 2 ** (bits - 1), (rows, columns)
            weights = rng.integers(-limit, limit, size=shape) if bits > 2 else rng.integers(-1, 2, size=shape)
            weights[rng.random(shape) < zeros] = 0
            yield weights


def _by_count(_: Sharing, pattern: Pattern, count: int) -> int:
    """What replacing saves in adders, however wide."""
    return 2 * (count - 1)


def _by_own_adder(self: Sharing, pattern: Pattern, count: int) -> int:
    """What replacing saves if each adder of a column's sum is as wide as the pattern's."""
    adder = pattern.adder()
    a, b = self._nodes[adder.a].range, self._nodes[adder.b].range
    return 2 * adder.cost(*adder.range(a, b)) * (count - (pattern.key not in self._made))


def _in_order(self: Sum, partial: int, order: int) -> tuple[int, int, bool, int, int, int]:
    """The place of a value that is added as it comes, those of the least arrival first."""
    return (self._partials[partial].arrival, 0, False, 0, order, partial)


def _next_in_line(
    self: Sum, waiting: Sequence[_Place], i: int, deadline: Deadline, load: int
) -> tuple[int, int, int] | None:
    """The first of the other values that the limit allows."""
    for j in range(i + 1, len(waiting)):
        arrivals = (self._partials[waiting[k][-1]].arrival for k in (i, j))
        added = 0 if deadline.limit is None else deadline.added(*arrivals)
        if deadline.limit is None or load + added <= deadline.limit:
            return i, j, added
    return None


def _apart(columns: Sequence[Sequence[int]]) -> tuple[list[tuple[int, ...]], list[object]]:
    """Every column for itself."""
    place = adder_graph._ColumnPlace
    kept = [tuple(column) for column in columns if any(column)]
    numbers = iter(range(len(kept)))
    return kept, [place(next(numbers), 0) if any(column) else None for column in columns]


def _not_turned(_: Nodes, __: int) -> None:
    """A negated value stays negated."""


def _rewriting_nothing(self: Sharing, *_: int) -> None:
    """All numbers stay as they are."""


def _sharing_nothing(self: Sharing) -> None:
    """Each column is summed alone."""
    self._recount()


_SEARCH = Search(most_steps=_NEVER)
_GREEDY = Search(effort=0)

GRAPHS: Mapping[str, tuple[Search, Changes]] = {
    "as it is": (_SEARCH, ()),
    "equal columns solved each": (_SEARCH, [(adder_graph, "_unique_columns", _apart)]),
    "no sharing": (_GREEDY, [(Sharing, "run", _sharing_nothing)]),
    "no search": (_GREEDY, ()),
    "search without noise": (_SEARCH, [(sharing, "_NOISE", 1)]),
    "search that keeps nothing that costs more": (_SEARCH, [(sharing, "_FIRST_WARMTH", 0)]),
    "no digit more where all is subtracted": (_SEARCH, [(Sharing, "_expand_one", _rewriting_nothing)]),
    "forms not chosen before sharing": (_SEARCH, [(Sharing, "_choose_forms", _rewriting_nothing)]),
    "no other forms in the search": (_SEARCH, [(Sharing, "_rewrite_some", _rewriting_nothing)]),
    "canonical digits only": (
        _SEARCH,
        [(Sharing, "_choose_forms", _rewriting_nothing), (Sharing, "_rewrite_some", _rewriting_nothing)],
    ),
    "nodes dissolved in all columns": (_SEARCH, [(sharing, "_EVERYWHERE", _NEVER)]),
    "search as long as the greedy solution": (_SEARCH, [(sharing, "_PER_DIGIT", 0)]),
    "patterns by their own adders": (_SEARCH, [(Sharing, "_saving", _by_own_adder)]),
    "patterns by count": (_SEARCH, [(Sharing, "_saving", _by_count)]),
    "sums of the two least tops": (_SEARCH, [(Sum, "_fitting", _next_in_line)]),
    "sums by arrival": (_SEARCH, [(Sum, "_place", _in_order)]),
    "shared in blocks of rows": (_SEARCH, [(adder_graph, "_PAIR_LIMIT", 600)]),
    "signs of outputs free": (_SEARCH, [(Sum, "_wrong", False), (Nodes, "turned", _not_turned)]),
    "any depth": (Search(most_steps=_NEVER, extra_depth=None), ()),
}


def graph_of(weights: np.ndarray, search: Search, changes: Changes) -> tuple[int, float]:
    """Full adders and seconds, of a graph that is checked by symbolic expansion."""
    inputs = [_INPUT] * len(weights)
    with ExitStack() as stack:
        for where, name, value in changes:
            stack.enter_context(patch.object(where, name, value))
        start = time.process_time()
        graph: AdderGraph = solved_in_python(weights.T.tolist(), inputs, search)
        seconds = time.process_time() - start
    for vector, row in zip(np.eye(len(weights), dtype=np.int64), weights, strict=True):
        if graph.evaluate(vector.tolist()) != row.tolist():
            raise SystemExit("a graph is wrong")
    return graph.cost(inputs), seconds


def graphs() -> Table:
    """A row for each idea."""
    cases = list(matrices())
    table = Table("adder graphs", "full adders", "most", "time")
    usual: list[tuple[int, float]] = []
    for name, (search, changes) in GRAPHS.items():
        found = [graph_of(weights, search, changes) for weights in cases]
        usual = usual or found
        costs, times = ([a[k] / b[k] for a, b in zip(found, usual, strict=True)] for k in range(2))
        table.add_row(name, f"{mean(costs):.3f}", f"{max(costs):.3f}", f"{mean(times):.2f}")
    return table


def _as_it_is(netlist: Netlist, *_: object) -> Netlist:
    return netlist


def _unsearched(program: Program, blocks: BlockLayers | None, search: Search) -> Netlist:
    return elaborate.elaborate(program, blocks, _GREEDY)


def _unnarrowed(self: object, refs: object, kind: object) -> object:
    return refs


NETLISTS: Mapping[str, Changes] = {
    "as it is": (),
    "adder graphs not searched": [(pipelined, "elaborate", _unsearched)],
    "ranges of the program not used": [(elaborate._Elaborator, "_narrowed", _unnarrowed)],
    "widths not reduced": [(pipelined, "reduce_widths", _as_it_is)],
    "trees not rebuilt from sums of three": [(pipelined, "regroup_sums", _as_it_is)],
    "no sums of three": [(pipelined, "regroup_sums", _as_it_is), (pipelined, "fuse_adders", _as_it_is)],
    "registers swept, not placed by flow": [(pipeline, "_EXACT_WORDS", 0)],
    "registers as soon as possible": [(pipeline, "_EXACT_WORDS", 0), (pipeline, "_SWEEPS", 0)],
}

FUNCTIONS: Mapping[str, Changes] = {
    "as it is": (),
    "functions of one narrow word not made tables": [(pipelined, "tabulate_cones", _as_it_is)],
}
_ACTIVATED = ("tanh", "leaky", "hardtanh", "hardswish", "gelu", "softmax")


def with_other_activations() -> Iterator[Program]:
    """Networks whose activations are not ReLU."""
    for name in _ACTIVATED:
        with tempfile.TemporaryDirectory() as folder:
            yield CASES[name].model(PARTS[ULTRASCALE_PLUS.name], folder).program


def netlist_of(program: Program, changes: Changes) -> tuple[Netlist, tuple[int, int, float]]:
    """The netlist; look-up tables, flip-flops and seconds."""
    with ExitStack() as stack:
        for where, attribute, value in changes:
            stack.enter_context(patch.object(where, attribute, value))
        adder_graph._remembered.cache_clear()
        start = time.process_time()
        made = pipelined._made(program, ULTRASCALE_PLUS.delays, _BUDGET_NS, None, adder_graph.DEFAULT_SEARCH, None)
        seconds = time.process_time() - start
        size = size_of(*made, ULTRASCALE_PLUS)
    return made[0], (size.lut, size.ff, seconds)


def outputs(netlist: Netlist) -> list[list[int]]:
    """What a netlist gives for a few inputs, the ends of all ranges among them."""
    fields, rng = netlist.inputs, np.random.default_rng(0)
    ends = [[field.lo for field in fields], [field.hi for field in fields]]
    between = [[int(rng.integers(field.lo, field.hi + 1)) for field in fields] for _ in range(8)]
    return [evaluate(netlist, vector) for vector in (*ends, *between)]


def netlists(title: str, programs: Sequence[Program], ideas: Mapping[str, Changes]) -> Table:
    """A row for each idea."""
    table = Table(title, "look-up tables", "flip-flops", "time")
    programs = [drop_dead(program, keep_probes=False) for program in programs]
    usual: list[tuple[int, int, float]] = []
    meant: list[list[list[int]]] = []
    for name, changes in ideas.items():
        made, found = zip(*(netlist_of(program, changes) for program in programs), strict=True)
        meant = meant or [outputs(netlist) for netlist in made]
        if [outputs(netlist) for netlist in made] != meant:
            raise SystemExit("a netlist is wrong")
        usual = usual or list(found)
        ratios = [mean([a[k] / b[k] for a, b in zip(found, usual, strict=True)]) for k in range(3)]
        table.add_row(name, f"{ratios[0]:.3f}", f"{ratios[1]:.3f}", f"{ratios[2]:.2f}")
    return table


def mean(values: Sequence[float]) -> float:
    """The geometric mean."""
    return float(np.exp(np.log(values).mean()))


def main() -> None:
    """Print a table for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="graphs, netlists, functions")
    parts = parser.parse_args().parts or ["graphs", "netlists", "functions"]
    console = Console(width=100)
    for part in parts:
        match part:
            case "graphs":
                console.print(graphs())
            case "netlists":
                console.print(netlists(part, [make() for make in NETWORKS.values()], NETLISTS))
            case "functions":
                console.print(netlists(part, list(with_other_activations()), FUNCTIONS))
            case _:
                parser.error(f"{part} is not a part")


if __name__ == "__main__":
    main()
