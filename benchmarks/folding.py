"""What reuse factors cost: synthesized area, estimated area, and cycles that simulation confirms.

``folding.py [CASE...] [--family ecp5|xcup] [--reuse 1,4,16] [--positions 1,2] [--resource] [--build]``. Area is in look-up tables
with each multiplier block counted as the look-up tables of such a product. Fails (exit status 1) if the area grows with the reuse
factor by more than 2 %. Without ``--build`` nothing is simulated and the cycles are those of the schedule.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tests.devices.listed import family_named
from tests.flows import runs
from tests.flows.runs import execute

import bitsmith
from bitsmith.building import design
from bitsmith.building.verification import compare, random_stimuli
from bitsmith.devices.family import Family
from bitsmith.devices.parts import FAMILIES
from bitsmith.emulate import Emulator
from bitsmith.estimate.figures import Size
from bitsmith.estimate.size import estimate_layout
from bitsmith.flows.yosys import Resources
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.writer import Title

TOLERANCE = 1.02


@dataclass(frozen=True)
class Case:
    """A program, whether tensors are whole, the reuse factors to try, and the look-up tables that a product would take."""

    program: Program
    parallel: bool
    reuse: Sequence[int]
    product_luts: int


def dense(n: int, m: int, operand_bits: int, weight_bits: int, zeros: float = 0.0) -> Program:
    """A dense layer with bias and rectifier and random weights."""
    rng = np.random.default_rng(0)
    half = 1 << (weight_bits - 1)
    weights = rng.integers(-half, half, (n, m)) * (rng.random((n, m)) >= zeros)
    form = FixedFormat(True, operand_bits, operand_bits // 2, Rounding.TRN, Overflow.SAT)
    builder = ProgramBuilder()
    x = builder.input("x", (n,), form)
    with builder.layer("dense"):
        y = builder.add(builder.linear(x, weights, weight_bits - 1), builder.const(rng.integers(-99, 99, m), 6))
        y = builder.cast(builder.max(y, builder.const(0)), form)
    return builder.program([("y", y)])


def convolutional() -> Program:
    """Two convolutions of 8x8 images with pooling, and a dense layer on the flattened image."""
    rng = np.random.default_rng(0)
    form = FixedFormat(True, 8, 3, Rounding.RND, Overflow.SAT)
    builder = ProgramBuilder()
    y, side, channels = builder.input("image", (8, 8, 2), form), 8, 2
    for k, filters in enumerate((4, 8)):
        with builder.layer(f"conv{k}"):
            windows = builder.window(y, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
            flat = builder.reshape(windows, (side, side, 9 * channels))
            y = builder.linear(flat, rng.integers(-127, 128, (9 * channels, filters)), 8)
            y = builder.cast(builder.max(y, builder.const(0)), form)
        with builder.layer(f"pool{k}"):
            y = builder.amax(builder.window(y, (2, 2), (2, 2), (1, 1), ((0, 0), (0, 0))), (2, 3))
        side, channels = side // 2, filters
    with builder.layer("dense"):
        n = side * side * channels
        y = builder.cast(builder.linear(builder.reshape(y, (n,)), rng.integers(-127, 128, (n, 5)), 8), form)
    return builder.program([("scores", y)])


def keras_3layer() -> Program:
    """The example model at ``ap_fixed<16,6>``."""
    models = Path(str(resources.files("bitsmith"))) / "data" / "models"
    model = bitsmith.convert(
        models / "bitsmith_3layer.json",
        config={"Model": {"Precision": "ap_fixed<16,6>"}},
        weights=models / "bitsmith_3layer_weights.h5",
    )
    return model.program


CASES: Mapping[str, Callable[[], Case]] = {
    "dense": lambda: Case(dense(16, 16, 8, 8), True, (1, 2, 4, 8, 16, 32, 64, 128, 256), 8 * 9),
    "sparse": lambda: Case(dense(16, 16, 8, 8, 0.8), True, (1, 4, 16, 64, 256), 8 * 9),
    "cnn": lambda: Case(convolutional(), False, (1, 2, 4, 8, 16, 32, 64, 128), 8 * 9),
    "keras_3layer": lambda: Case(keras_3layer(), True, (1, 4, 16, 64), 16 * 17),
}


@dataclass(frozen=True)
class Row:
    """A circuit: reuse factor, latency and interval, what Yosys makes of it and what was expected."""

    reuse: int
    cycles: tuple[int, int]
    found: Resources
    expected: Size


def measured(
    case: Case, reuse: int, positions: int, products: MultiplierStyle, family: Family, *, simulate: bool
) -> Row:
    """The circuit with one reuse factor, and one number of positions at once, for all layers."""
    program = drop_dead(case.program, keep_probes=False)
    layers = {node.layer for node in program.nodes}
    directives = Directives(
        dict.fromkeys(layers, reuse), case.parallel, dict.fromkeys(layers, products), dict.fromkeys(layers, positions)
    )
    delays, period = family.delays, family.clock_period_ns
    budget_ns = delays.budget(period, period / 8)
    made = design.circuit(program, directives, delays, budget_ns, "net", Title("benchmark", ""))
    with tempfile.TemporaryDirectory() as folder:
        root, paths = Path(folder), []
        for name, text in made.sources.items():
            paths.append(root / "rtl" / name)
            paths[-1].parent.mkdir(exist_ok=True)
            paths[-1].write_text(text)
        if simulate:
            _simulated(program, made, root, paths)
        found = runs.synthesize(root, made.top, paths, family)
    return Row(reuse, made.cycles, found, estimate_layout(program, directives, family, budget_ns))


def _simulated(program: Program, made: design.Circuit, root: Path, paths: Sequence[Path]) -> None:
    """Results must be the emulator's, cycles the schedule's."""
    emulator = Emulator(program)
    raws = [raw[:8] for raw in random_stimuli(program)]
    run = execute(made.simulation(paths, raws), root)
    compare(emulator, program, run.outputs, raws)
    if (run.latency, run.interval) != made.cycles:
        raise SystemExit(f"{run.latency}, {run.interval} cycles measured, {made.cycles} planned")


def main() -> None:
    """Print a table per case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=["dense"], metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--family", default="ecp5", choices=[family.name for family in FAMILIES])
    parser.add_argument("--reuse", default="")
    parser.add_argument("--positions", default="1", help="at once, of streams")
    parser.add_argument("--resource", action="store_true", help="share multipliers, as with strategy Resource")
    parser.add_argument("--build", action="store_true", help="simulate, too")
    chosen = parser.parse_args()
    failed = False
    for name in chosen.cases:
        case = CASES[name]()
        factors = [int(factor) for factor in chosen.reuse.split(",")] if chosen.reuse else case.reuse
        products = MultiplierStyle.SHARED if chosen.resource else MultiplierStyle.CHEAPEST
        table = Table(
            "positions",
            "R",
            "LUT",
            "FF",
            "DSP",
            "BRAM",
            "estimate",
            "latency",
            "II",
            "area",
            title=f"{name}, {chosen.family}",
        )
        for positions in map(int, chosen.positions.split(",")):
            least = float("inf")
            for factor in factors:
                row = measured(case, factor, positions, products, family_named(chosen.family), simulate=chosen.build)
                area = row.found.lut + case.product_luts * row.found.dsp
                grows = area > TOLERANCE * least
                failed, least = failed or grows, min(least, area)
                figures = (row.found.lut, row.found.ff, row.found.dsp, row.found.bram)
                guess = f"{row.expected.lut} {row.expected.ff} {row.expected.dsp} {row.expected.bram}"
                told = (*map(str, figures), guess, *map(str, row.cycles), f"{area}{' grows' if grows else ''}")
                table.add_row(str(positions), str(factor), *told)
        Console(width=130).print(table)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
