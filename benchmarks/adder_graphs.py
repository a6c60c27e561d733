"""Adder graphs of random matrices and of trained layers against da4ml and alkaid: full adders and processor time, all in one run.

The rivals need an environment of their own, whose Python is the argument::

    python -m venv rivals && rivals/bin/pip install da4ml alkaid
    python benchmarks/adder_graphs.py rivals/bin/python [--sets dense...] [--models FILE...] [--efforts N...] [--picture FILE]

There are three sets: random matrices of 4, 6 and 8 bits, the same with 75 % zeros, and the dense layers of trained networks and
model files. Inputs are signed 8-bit integers. Each case is solved by all one after the other, each in one thread; "theirs" is the
rival with fewer full adders. da4ml decides by the bits of adders, as we do. Outputs have their signs on all sides: where a graph
ends in the opposite value, the bits of a negation are counted. What takes less than 0.1 s is solved three times, of which the
shortest counts. The picture shows what more time brings, for several efforts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from circuits import NETWORKS, converted
from rich.console import Console
from rich.table import Table
from timed import timed

from bitsmith.ir import ops
from bitsmith.ir.scaling import machine_weights
from bitsmith.ir.types import width_of
from bitsmith.netlist.adder_graph import AdderGraph, InputRange, Search, _solved
from bitsmith.netlist.adders import Nodes

SHAPES = ((8, 8), (16, 16), (32, 32), (64, 32), (64, 64))
BITS = (4, 6, 8)
DEPTHS = {"any": -1, "least": 0, "least + 2": 2}
SETS = ("dense", "75 % zeros", "trained")
TRAINED = ("sparse4", "digits", "3layer6")


@dataclass(frozen=True)
class Case:
    """A matrix of a set, and how deep its graph may be (-1: any)."""

    group: str
    name: str
    weights: np.ndarray
    depth: int


@dataclass(frozen=True)
class Result:
    """What a solver made of a case."""

    solver: str
    bits: int
    adders: int
    depth: int
    seconds: float


def random_matrices(shapes: Sequence[tuple[int, int]], seeds: int, zeros: float) -> Iterator[tuple[str, np.ndarray]]:
    """Matrices of all shapes and widths, of which so many entries are zero."""
    for (rows, columns), bits, seed in product(shapes, BITS, range(seeds)):
        rng = np.random.default_rng(seed)
        limit = 2 ** (bits - 1)
        weights = rng.integers(-limit, limit, size=(rows, columns))
        weights[rng.random(weights.shape) < zeros] = 0
        yield f"{rows}x{columns} {bits} bits {seed}", weights


def layers(models: Sequence[Path], largest: int) -> Iterator[tuple[str, np.ndarray]]:
    """The matrices of trained networks and of models, without rows and columns that are zero."""
    programs = {name: NETWORKS[name]() for name in TRAINED} | {path.stem: converted(path) for path in models}
    for name, program in programs.items():
        for number, node in enumerate(program.nodes):
            if isinstance(node.op, ops.Linear) and node.op.weights.size <= largest:
                weights = machine_weights(node.op, program.nodes[node.args[0]].type)[0].astype(np.int64)
                weights = weights[(weights != 0).any(axis=1)][:, (weights != 0).any(axis=0)]
                if weights.size:
                    yield f"{name} %{number} {weights.shape[0]}x{weights.shape[1]}", weights


def ours(case: Case, effort: int) -> Result:
    """Our graph, checked by symbolic expansion."""
    weights = case.weights
    inputs = [InputRange(-128, 127)] * len(weights)
    search = Search(effort=effort, extra_depth=None if case.depth < 0 else case.depth)
    columns = weights.T.tolist()
    graph, seconds = timed(lambda: _solved(columns, inputs, search))
    vectors = np.eye(len(weights), dtype=np.int64)
    if any(graph.evaluate(vector.tolist()) != row.tolist() for vector, row in zip(vectors, weights, strict=True)):
        raise SystemExit(f"the graph of {case.name} is wrong")
    bits = graph.cost(inputs) + negations(graph, inputs)
    return Result("bitsmith", bits, len(graph.adders), graph.depth(), seconds)


def negations(graph: AdderGraph, inputs: Sequence[InputRange]) -> int:
    """The bits of the negations that outputs need, one of each node."""
    nodes = Nodes(inputs)
    for adder in graph.adders:
        nodes.add(adder)
    negated = {output.node for output in graph.outputs if output.node is not None and output.negate}
    return sum(width_of(-hi, -lo) for lo, hi in (nodes.ranges[node] for node in negated))


class Rivals:
    """The process that solves cases with both rivals."""

    def __init__(self, python: str) -> None:
        command = [python, str(Path(__file__).with_name("rival_adder_graphs.py"))]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=one_thread
        )

    def solve(self, case: Case) -> list[Result]:
        """What both make of a case."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps({"weights": case.weights.tolist(), "depth": case.depth}), file=self._process.stdin, flush=True)
        return [Result(**json.loads(self._process.stdout.readline())) for _ in range(2)]

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@dataclass(frozen=True)
class Comparison:
    """Our graph of a case with so much effort, and the better one of theirs."""

    case: Case
    effort: int
    ours: Result
    theirs: Result

    @property
    def bits(self) -> float:
        """Full adders, ours over theirs."""
        return self.ours.bits / self.theirs.bits

    @property
    def time(self) -> float:
        """Processor time, ours over theirs."""
        return self.ours.seconds / self.theirs.seconds


def compared(cases: Sequence[Case], efforts: Sequence[int], rivals: Rivals) -> tuple[Table, list[Comparison]]:
    """A row for each case and effort."""
    table = Table("set", "matrix", "depth", "effort", "ours", "da4ml", "alkaid", "ours/theirs", "seconds", "of theirs")
    found: list[Comparison] = []
    for case in cases:
        theirs = rivals.solve(case)
        best = min(theirs, key=lambda result: (result.bits, result.seconds))
        depth = next(name for name, value in DEPTHS.items() if value == case.depth)
        for effort in efforts:
            mine = ours(case, effort)
            found.append(Comparison(case, effort, mine, best))
            shown = [f"{r.bits} / {r.adders} / {r.depth}" for r in (mine, *theirs)]
            spent = (f"{found[-1].bits:.3f}", f"{mine.seconds:.4f}", f"{best.seconds:.4f}")
            table.add_row(case.group, case.name, depth, str(effort), *shown, *spent)
    return table, found


def mean(values: Iterable[float]) -> float:
    """The geometric mean."""
    return float(np.exp(np.log(list(values)).mean()))


def summed_up(found: Sequence[Comparison], efforts: Sequence[int]) -> Table:
    """A row for each set, and for all, of each limit of depth and effort: geometric means, and all seconds over all of theirs."""
    table = Table("set", "depth", "effort", "cases", "ours/theirs", "worst", "time", "all seconds")
    groups = list(dict.fromkeys(each.case.group for each in found))
    for (name, depth), group, effort in product(DEPTHS.items(), [*groups, "all"], efforts):
        chosen = [e for e in found if e.case.depth == depth and e.effort == effort and group in (e.case.group, "all")]
        bits = [each.bits for each in chosen]
        spent = sum(each.ours.seconds for each in chosen) / sum(each.theirs.seconds for each in chosen)
        figures = (mean(bits), max(bits), mean(each.time for each in chosen), spent)
        table.add_row(group, name, str(effort), str(len(chosen)), *(f"{figure:.3f}" for figure in figures))
    return table


def draw(found: Sequence[Comparison], efforts: Sequence[int], path: Path) -> None:
    """Full adders against time, both relative to the better rival, a line for each limit of depth."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axis = figure.subplots()
    for name, depth in DEPTHS.items():
        points = [[e for e in found if e.case.depth == depth and e.effort == effort] for effort in efforts]
        seconds = [mean(each.time for each in point) for point in points]
        axis.plot(seconds, [mean(each.bits for each in point) for point in points], marker="o", label=f"depth: {name}")
    axis.plot([1], [1], "ks", label="better of da4ml and alkaid")
    axis.set(xscale="log", xlabel="processor time, ours/theirs", ylabel="full adders, ours/theirs")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path)


def main() -> None:
    """Print a row per case, and geometric means per set and limit of depth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="interpreter of the environment that has da4ml and alkaid")
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="files of trained networks")
    parser.add_argument("--efforts", type=int, nargs="+", default=[Search().effort])
    parser.add_argument("--largest", type=int, default=64 * 64, help="entries of the largest matrix")
    parser.add_argument("--seeds", type=int, default=3, help="random matrices of each kind")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    shapes = [shape for shape in SHAPES if shape[0] * shape[1] <= options.largest]
    sources = {
        "dense": lambda: random_matrices(shapes, options.seeds, 0),
        "75 % zeros": lambda: random_matrices(shapes, options.seeds, 0.75),
        "trained": lambda: layers(options.models, options.largest),
    }
    matrices = [(name, *matrix) for name in options.sets for matrix in sources[name]()]
    rivals = Rivals(options.python)
    cases = [Case(group, name, weights, depth) for depth in DEPTHS.values() for group, name, weights in matrices]
    table, found = compared(cases, options.efforts, rivals)
    rivals.close()
    console = Console(width=160)
    console.print(table)
    console.print(summed_up(found, options.efforts))
    if options.picture:
        draw(found, options.efforts, options.picture)


if __name__ == "__main__":
    main()
