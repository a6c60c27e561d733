"""Adder graphs of random matrices and of trained layers against da4ml and alkaid: full adders and processor time, all in one run.

The rivals need an environment of their own, whose Python is the argument::

    python -m venv rivals && rivals/bin/pip install da4ml alkaid
    python benchmarks/adder_graphs.py rivals/bin/python [--sparse] [--models FILE...] [--efforts N...] [--picture FILE]

Inputs are signed 8-bit integers. Each case is solved by all one after the other, each in one thread; "theirs" is the rival with
fewer full adders. da4ml decides by the bits of adders, as we do. Outputs have their signs on all sides: where a graph ends in the
opposite value, the bits of a negation are counted. The picture shows what more time brings, for several efforts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from circuits import NETWORKS, converted
from rich.console import Console
from rich.table import Table

from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.scaling import linear_weights
from bitsmith.ir.types import width_of
from bitsmith.netlist.adder_graph import AdderGraph, InputRange, Search, _solved
from bitsmith.netlist.adders import Nodes

SHAPES = ((8, 8), (16, 16), (32, 32), (64, 32), (64, 64))
BITS = (4, 6, 8)
DEPTHS = {"any": -1, "least": 0, "least + 2": 2}


@dataclass(frozen=True)
class Case:
    """A matrix, and how deep its graph may be (-1: any)."""

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


def random_matrices(shapes: Sequence[tuple[int, int]], seeds: int, sparse: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Matrices of all shapes and widths: dense ones and 8-bit ones of which 75 % is zero, or all such with 75 % zeros."""
    kinds = [(bits, 0.75) for bits in BITS] if sparse else [*((bits, 0.0) for bits in BITS), (8, 0.75)]
    for rows, columns in shapes:
        for bits, zeros in kinds:
            for seed in range(seeds if rows * columns <= 1024 else 1):
                rng = np.random.default_rng(seed)
                limit = 2 ** (bits - 1)
                weights = rng.integers(-limit, limit, size=(rows, columns))
                if zeros:
                    weights[rng.random(weights.shape) < zeros] = 0
                yield f"{rows}x{columns} {bits} bits{' sparse' if zeros else ''} {seed}", weights


def layers(programs: Mapping[str, Program], largest: int) -> Iterator[tuple[str, np.ndarray]]:
    """The matrices of networks, without rows and columns that are zero."""
    for name, program in programs.items():
        for number, node in enumerate(program.nodes):
            if isinstance(node.op, ops.Linear) and node.op.weights.size <= largest:
                weights = linear_weights(node.op, program.nodes[node.args[0]].type)[0].astype(np.int64)
                weights = weights[(weights != 0).any(axis=1)][:, (weights != 0).any(axis=0)]
                if weights.size:
                    yield f"{name} %{number} {weights.shape[0]}x{weights.shape[1]}", weights


def ours(case: Case, effort: int) -> Result:
    """Our graph, checked by symbolic expansion."""
    weights = case.weights
    inputs = [InputRange(-128, 127)] * len(weights)
    search = Search(effort, 1 << 40, None if case.depth < 0 else case.depth)
    start = time.process_time()
    graph = _solved(weights.T.tolist(), inputs, search)
    seconds = time.process_time() - start
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


Ratios = dict[tuple[int, int], list[tuple[float, float]]]
"""By depth and effort: full adders and time of ours over theirs, of each case."""


def compared(cases: Sequence[Case], efforts: Sequence[int], rivals: Rivals) -> tuple[Table, Ratios]:
    """A row for each case and effort."""
    table = Table("matrix", "depth", "effort", "ours", "da4ml", "alkaid", "ours/theirs", "seconds", "of theirs")
    ratios: Ratios = {}
    for case in cases:
        theirs = rivals.solve(case)
        best = min(theirs, key=lambda result: (result.bits, result.seconds))
        depth = next(name for name, value in DEPTHS.items() if value == case.depth)
        for effort in efforts:
            mine = ours(case, effort)
            ratios.setdefault((case.depth, effort), []).append((mine.bits / best.bits, mine.seconds / best.seconds))
            shown = [f"{r.bits} / {r.adders} / {r.depth}" for r in (mine, *theirs)]
            spent = (f"{mine.bits / best.bits:.3f}", f"{mine.seconds:.4f}", f"{best.seconds:.4f}")
            table.add_row(case.name, depth, str(effort), *shown, *spent)
    return table, ratios


def mean(values: Sequence[float]) -> float:
    """The geometric mean."""
    return float(np.exp(np.log(values).mean()))


def draw(ratios: Ratios, path: Path) -> None:
    """Full adders against time, both relative to the better rival, a line for each limit of depth."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axis = figure.subplots()
    for name, depth in DEPTHS.items():
        points = [
            [mean(column) for column in zip(*found, strict=True)] for (d, _), found in ratios.items() if d == depth
        ]
        bits, seconds = zip(*points, strict=True)
        axis.plot(seconds, bits, marker="o", label=f"depth: {name}")
    axis.plot([1], [1], "ks", label="better of da4ml and alkaid")
    axis.set(xscale="log", xlabel="processor time, ours/theirs", ylabel="full adders, ours/theirs")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path)


def main() -> None:
    """Print a row per case, and geometric means per limit of depth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="interpreter of the environment that has da4ml and alkaid")
    parser.add_argument("--efforts", type=int, nargs="+", default=[Search().effort])
    parser.add_argument("--largest", type=int, default=64 * 64, help="entries of the largest matrix")
    parser.add_argument("--smallest", type=int, default=1, help="entries of the smallest matrix")
    parser.add_argument("--seeds", type=int, default=3, help="matrices of each kind of up to 1024 entries")
    parser.add_argument("--sparse", action="store_true", help="75 %% of all matrices is zero")
    parser.add_argument(
        "--networks", nargs="*", default=[], choices=NETWORKS, help="layers of these, not random matrices"
    )
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="layers of these, not random matrices")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    if options.models or options.networks:
        programs = {path.stem: converted(path) for path in options.models}
        programs |= {name: NETWORKS[name]() for name in options.networks}
        matrices = list(layers(programs, options.largest))
    else:
        shapes = [shape for shape in SHAPES if options.smallest <= shape[0] * shape[1] <= options.largest]
        matrices = list(random_matrices(shapes, options.seeds, options.sparse))
    rivals = Rivals(options.python)
    cases = [Case(name, weights, depth) for depth in DEPTHS.values() for name, weights in matrices]
    table, ratios = compared(cases, options.efforts, rivals)
    rivals.close()
    console = Console(width=160)
    console.print(table)
    names = {depth: name for name, depth in DEPTHS.items()}
    for (depth, effort), found in ratios.items():
        bits, seconds = zip(*found, strict=True)
        console.print(
            f"depth {names[depth]}, effort {effort}: bits {mean(bits):.3f} (worst {max(bits):.3f}), time {mean(seconds):.2f}"
        )
    if options.picture:
        draw(ratios, options.picture)


if __name__ == "__main__":
    main()
