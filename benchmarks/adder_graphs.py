"""Adder graphs of random matrices against da4ml and alkaid: full adders and processor time, all in one run.

The rivals need an environment of their own, whose Python is the argument::

    python -m venv rivals && rivals/bin/pip install da4ml alkaid
    python benchmarks/adder_graphs.py rivals/bin/python

Inputs are signed 8-bit integers. Each case is solved by all one after the other, each in one thread; "theirs" is the rival with
fewer full adders. da4ml decides by the bits of adders, as we do.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bitsmith.netlist.adder_graph import InputRange, Search, _solved

SHAPES = ((8, 8), (16, 16), (32, 32), (64, 32), (64, 64))
BITS = (4, 6, 8)
DEPTHS = {"any": -1, "least": 0, "least + 2": 2}


@dataclass(frozen=True)
class Case:
    """A random matrix, and how deep its graph may be (-1: any)."""

    rows: int
    columns: int
    bits: int
    seed: int
    zeros: float
    depth: int

    def weights(self) -> np.ndarray:
        """The matrix; the rivals' script makes the same."""
        rng = np.random.default_rng(self.seed)
        limit = 2 ** (self.bits - 1)
        weights = rng.integers(-limit, limit, size=(self.rows, self.columns))
        if self.zeros:
            weights[rng.random(weights.shape) < self.zeros] = 0
        return weights


@dataclass(frozen=True)
class Result:
    """What a solver made of a case."""

    solver: str
    bits: int
    adders: int
    depth: int
    seconds: float


def cases(shapes: tuple[tuple[int, int], ...], seeds: int) -> Iterator[Case]:
    """Dense matrices of all shapes and widths, and 8-bit ones of which 75 % is zero."""
    for depth in DEPTHS.values():
        for rows, columns in shapes:
            for bits, zeros in (*((bits, 0.0) for bits in BITS), (8, 0.75)):
                for seed in range(seeds if rows * columns <= 1024 else 1):
                    yield Case(rows, columns, bits, seed, zeros, depth)


def ours(case: Case, effort: int) -> Result:
    """Our graph, checked by symbolic expansion."""
    weights = case.weights()
    inputs = [InputRange(-128, 127)] * case.rows
    search = Search(effort, 1 << 40, None if case.depth < 0 else case.depth)
    start = time.process_time()
    graph = _solved(weights.T.tolist(), inputs, search)
    seconds = time.process_time() - start
    vectors = np.eye(case.rows, dtype=np.int64)
    if any(graph.evaluate(vector.tolist()) != row.tolist() for vector, row in zip(vectors, weights, strict=True)):
        raise SystemExit(f"the graph of {case} is wrong")
    if any(output.negate for output in graph.outputs):
        raise SystemExit(f"an output of {case} is negated, which has a cost that is not counted here")
    return Result("bitsmith", graph.cost(inputs), len(graph.adders), graph.depth(), seconds)


def main() -> None:
    """Print a row per case, and geometric means per limit of depth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="interpreter of the environment that has da4ml and alkaid")
    parser.add_argument("--effort", type=int, default=Search().effort)
    parser.add_argument("--largest", type=int, default=64 * 64, help="entries of the largest matrix")
    parser.add_argument("--smallest", type=int, default=1, help="entries of the smallest matrix")
    parser.add_argument("--seeds", type=int, default=3, help="matrices of each kind of up to 1024 entries")
    options = parser.parse_args()
    shapes = tuple(shape for shape in SHAPES if options.smallest <= shape[0] * shape[1] <= options.largest)
    command = [options.python, str(Path(__file__).with_name("rival_adder_graphs.py"))]
    rival = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert rival.stdin is not None and rival.stdout is not None
    table = Table("matrix", "depth", "ours", "da4ml", "alkaid", "ours/theirs", "seconds", "of theirs")
    ratios: dict[int, list[tuple[float, float]]] = {}
    for case in cases(shapes, options.seeds):
        print(json.dumps(case.__dict__), file=rival.stdin, flush=True)
        theirs = [Result(**json.loads(rival.stdout.readline())) for _ in range(2)]
        mine = ours(case, options.effort)
        best = min(theirs, key=lambda result: (result.bits, result.seconds))
        ratios.setdefault(case.depth, []).append((mine.bits / best.bits, mine.seconds / best.seconds))
        name = f"{case.rows}x{case.columns} {case.bits} bits{' sparse' if case.zeros else ''} {case.seed}"
        shown = [f"{r.bits} / {r.adders} / {r.depth}" for r in (mine, *theirs)]
        spent = (f"{mine.bits / best.bits:.3f}", f"{mine.seconds:.3f}", f"{best.seconds:.3f}")
        table.add_row(name, next(k for k, v in DEPTHS.items() if v == case.depth), *shown, *spent)
    rival.stdin.close()
    rival.wait()
    console = Console(width=150)
    console.print(table)
    for name, depth in DEPTHS.items():
        bits, seconds = (np.array(column) for column in zip(*ratios[depth], strict=True))
        means = [float(np.exp(np.log(values).mean())) for values in (bits, seconds)]
        console.print(f"depth {name}: bits {means[0]:.3f} (worst {bits.max():.3f}), time {means[1]:.2f}")


if __name__ == "__main__":
    main()
