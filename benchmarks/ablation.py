"""What each idea brings: adder graphs and whole circuits as they are, and without one idea at a time.

``ablation.py [graphs] [netlists] [functions]``. Graphs: full adders and processor time, both relative to the solver as it is,
geometric means over small fixed matrices. Netlists are of the networks of ``circuits.py`` on UltraScale+: look-up tables and
flip-flops as estimated (within a few percent of Yosys for such networks), and the time of all passes. Functions are the same
for networks of ``estimates.py`` whose activations are not ReLU. No idea is an option of bitsmith: each is taken out of its
modules for the measurement.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from unittest.mock import patch

import numpy as np
from circuits import NETWORKS
from estimates import NETWORKS as CASES
from estimates import PARTS
from rich.console import Console
from rich.table import Table
from tests.netlist.evaluate import evaluate

from bitsmith.devices.xilinx import ULTRASCALE_PLUS
from bitsmith.estimate.unrolled import size_of
from bitsmith.ir.program import Program
from bitsmith.netlist import adder_graph, elaborate, pipeline, pipelined
from bitsmith.netlist.adder_graph import AdderGraph, InputRange, Search, solve, solved_naively
from bitsmith.netlist.netlist import Netlist
from bitsmith.passes.program import drop_dead

Changes = Sequence[tuple[object, str, object]]
"""What is put in place of which attributes for an idea to be missing."""

Solve = Callable[[np.ndarray, Sequence[InputRange]], AdderGraph]

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


GRAPHS: Mapping[str, Solve] = {
    "as it is": solve,
    "no search": partial(solve, search=Search(effort=0)),
    "no search, no forms but canonical digits": lambda weights, inputs: solved_naively(
        weights.T.tolist(), inputs, Search()
    ),
    "any depth": partial(solve, search=Search(extra_depth=None)),
}


def graph_of(weights: np.ndarray, solver: Solve) -> tuple[int, float]:
    """Full adders and seconds, of a graph that is checked by symbolic expansion."""
    inputs = [_INPUT] * len(weights)
    adder_graph._remembered.cache_clear()
    start = time.process_time()
    graph = solver(weights, inputs)
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
    for name, solver in GRAPHS.items():
        found = [graph_of(weights, solver) for weights in cases]
        usual = usual or found
        costs, times = ([a[k] / b[k] for a, b in zip(found, usual, strict=True)] for k in range(2))
        table.add_row(name, f"{mean(costs):.3f}", f"{max(costs):.3f}", f"{mean(times):.2f}")
    return table


def _as_it_is(netlist: Netlist, *_: object) -> Netlist:
    return netlist


def _unnarrowed(self: object, refs: object, kind: object) -> object:
    return refs


NETLISTS: Mapping[str, Changes] = {
    "as it is": (),
    "adder graphs not searched": [(elaborate, "solve", partial(solve, search=Search(effort=0)))],
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
        made = pipelined._made(program, ULTRASCALE_PLUS.delays, _BUDGET_NS, None, None)
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
