"""Whole networks, unrolled, after Yosys: look-up tables, flip-flops, and which operations the look-up tables are of.

``circuits.py [NAME...] [--family xcup|ecp5] [--stages N] [--models FILE...] [--csv FILE]``. No block memory: tables are logic.
Networks are synthetic perceptrons, the ones in the package, and any Keras or ONNX files. With ``--stages`` the clock is the
slowest at which the pipeline has that many stages or more. Look-up tables are told apart by the net that they drive, which is
named after the operation: synthesis merges small ones into neighbors, so that the columns are about right and their sum is exact.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tests.devices.listed import family_named
from tests.flows.runs import execute

import bitsmith
from bitsmith.config.resolving import ConfigLike
from bitsmith.devices.family import Family
from bitsmith.estimate.figures import Size
from bitsmith.estimate.unrolled import size_of
from bitsmith.flows.yosys import Resources, Synthesis
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.netlist.pipelined import pipelined
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.design import RtlDesign
from bitsmith.rtl.writer import Title, write

KINDS = ("linear", "add", "cast", "max", "table", "compare", "other")
_FASTEST_NS, _SLOWEST_NS = 0.7, 200.0


def perceptron(sizes: tuple[int, ...], weight_bits: int, bits: int, zeros: float) -> Program:
    """Dense layers with biases and rectifiers, random weights of which a share are ``zeros``."""
    rng = np.random.default_rng(0)
    builder = ProgramBuilder()
    x = builder.input("x", sizes[:1], FixedFormat(True, bits, 2, Rounding.RND, Overflow.SAT))
    largest = 2 ** (weight_bits - 1) - 1
    for k, (n, m) in enumerate(pairwise(sizes)):
        with builder.layer(f"fc{k}"):
            weights = np.clip(np.rint(rng.normal(0.0, largest / 2.5, (n, m))), -largest, largest).astype(np.int64)
            weights[rng.random((n, m)) < zeros] = 0
            x = builder.add(
                builder.linear(x, weights, weight_bits), builder.const(rng.integers(-largest, largest, m), 6)
            )
        if k + 2 < len(sizes):
            with builder.layer(f"relu{k}"):
                x = builder.cast(
                    builder.max(x, builder.const(0)), FixedFormat(False, bits, 3, Rounding.RND, Overflow.SAT)
                )
    return builder.program([("y", x)])


def converted(path: Path, precision: str | None = None) -> Program:
    """The program of a model file, with its own configuration where that lies beside it."""
    beside = path.with_suffix(".config.json")
    config: ConfigLike = {"Model": {"Precision": precision}} if precision else beside if beside.exists() else None
    with tempfile.TemporaryDirectory() as folder:
        model = bitsmith.convert(path, folder, config, check=False)
    return model.program


def _shipped(name: str, precision: str | None = None) -> Program:
    with resources.as_file(resources.files("bitsmith") / "data" / "models") as folder:
        return converted(folder / name, precision)


NETWORKS: Mapping[str, Callable[[], Program]] = {
    "sparse4": lambda: perceptron((16, 32, 16, 5), 4, 5, 0.75),
    "sparse6": lambda: perceptron((16, 64, 32, 32, 5), 6, 6, 0.75),
    "dense4": lambda: perceptron((16, 16, 5), 4, 6, 0.0),
    "dense6": lambda: perceptron((16, 16, 16, 5), 6, 6, 0.0),
    "dense8": lambda: perceptron((16, 16, 5), 8, 8, 0.0),
    "ternary": lambda: perceptron((16, 64, 32, 5), 2, 6, 0.5),
    "digits": lambda: _shipped("digits.keras"),
    "3layer6": lambda: _shipped("bitsmith_3layer.json", "fixed<6,2>"),
}


def stages_of(program: Program, family: Family, stages: int | None, budget_ns: float) -> tuple[RtlDesign, Size]:
    """The circuit of ``program`` and its expected size, in ``stages`` stages or at ``budget_ns``."""
    if stages is not None:
        budget_ns = slowest(program, family, stages)
    netlist, found = pipelined(program, family.delays, budget_ns)
    return write(netlist, found, "top", Title("bitsmith", "benchmark")), size_of(netlist, found, family)


def slowest(program: Program, family: Family, stages: int) -> float:
    """The longest nanoseconds per stage at which there are at least so many stages."""
    low, high = _FASTEST_NS, _SLOWEST_NS
    for _ in range(14):
        middle = (low * high) ** 0.5
        if pipelined(program, family.delays, middle)[1].stages >= stages:
            low = middle
        else:
            high = middle
    return low


def kind_of(cell: str) -> str:
    """The kind of operation that a cell, named after the net that it drives, belongs to."""
    for kind in KINDS[:-1]:
        if re.search(rf"(^|[._]){kind}\d*_", cell):
            return kind
    return KINDS[-1]


@dataclass(frozen=True)
class Row:
    """A circuit: what Yosys counts, by kinds of operations too, and what was estimated."""

    name: str
    stages: int
    found: Resources
    kinds: Mapping[str, int]
    expected: Size
    seconds: float

    def cells(self) -> Iterator[str]:
        """The row of the table."""
        yield from (self.name, f"{self.stages}", f"{self.found.lut:,}", f"{self.found.ff:,}")
        yield from (f"{self.kinds.get(kind, 0):,}" for kind in KINDS)
        yield from (
            f"{self.expected.lut / max(self.found.lut, 1):.2f}",
            f"{self.expected.ff / max(self.found.ff, 1):.2f}",
        )
        yield f"{self.seconds:.1f}"


def measured(name: str, program: Program, family: Family, stages: int | None, budget_ns: float) -> Row:
    """The row of one network."""
    program = drop_dead(program, keep_probes=False)
    started = time.process_time()
    design, expected = stages_of(program, family, stages, budget_ns)
    seconds = time.process_time() - started
    mapping = replace(family.synthesis, command=f"{family.synthesis.command} -nobram")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for file, text in design.sources.items():
            (project / file).write_text(text)
        # Any name of a part makes Yosys write the names of all cells.
        flow = Synthesis("all", "top", tuple(design.sources), replace(family, synthesis=mapping), parts=("none",))
        resources_found = execute(flow, project)
        kinds: Counter[str] = Counter()
        for kind, weight in mapping.lut.items():
            for line in (project / flow.folder / f"{kind}.names").read_text().splitlines():
                kinds[kind_of(line.partition("/")[2])] += weight
    return Row(name, design.latency, resources_found, kinds, expected, seconds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NETWORKS))
    parser.add_argument("--family", default="xcup")
    parser.add_argument("--stages", type=int)
    parser.add_argument("--budget", type=float, default=4.0, help="nanoseconds of logic per stage")
    parser.add_argument("--models", type=Path, nargs="*", default=[])
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    family = family_named(given.family)
    networks = {name: NETWORKS[name] for name in given.names or ([] if given.models else NETWORKS)}
    programs = {name: make() for name, make in networks.items()} | {p.stem: converted(p) for p in given.models}
    headings = ("network", "stages", "LUT", "FF", *KINDS, "LUT estimate", "FF estimate", "CPU s")
    table = Table()
    rows: list[tuple[str, ...]] = [headings]
    for column in headings:
        table.add_column(column, justify="left" if column == "network" else "right")
    for name, program in programs.items():
        row = tuple(measured(name, program, family, given.stages, given.budget).cells())
        print(*row, sep="  ", file=sys.stderr, flush=True)
        rows.append(row)
        table.add_row(*row)
    Console(width=180).print(table)
    if given.csv:
        with given.csv.open("w", newline="") as file:
            csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main()
