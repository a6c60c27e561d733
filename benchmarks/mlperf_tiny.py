"""The four networks of MLPerf Tiny as circuits, beside what fpgaConvNet and hls4ml published of them.

``mlperf_tiny.py [--part PART] [--cosim] [--synth] [--post-synth] [--pnr] [NAME|NAME:R|NAME:fit...]``. Fixed random weights,
8 bits, tokens.
``NAME``: for each published row of that network the reuse factors with which a frame takes no longer than theirs at their clock,
with what is above theirs; ``NAME:R``: the reuse factor R for all layers; ``NAME:fit``: those that ``explain`` proposes for the
part, with what is above what it has. Look-up tables, flip-flops, multiplier blocks and memory blocks of 18 Kibit are estimates
for a Zynq-7020; with ``--synth`` those of Yosys. ``--cosim``: whole frames are simulated, without and with random waits of both
sides, and any bit or cycle that differs from emulator and plan is an error. ``--post-synth``: so is the netlist for an LFE5U-85F.
``--pnr``: place and route for an LFE5U-85F at 50 MHz, and its cells. The interval is the planned one; beside it stands how many
times the cycles it is that the slowest layer's multiplications by anything but 0 take its multipliers.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from large_streams import saved
from rich.console import Console
from rich.table import Table

import bitsmith
from bitsmith.building.design import Streaming, circuit
from bitsmith.dataflow.kinds import FoldedProduct
from bitsmith.devices import resolve_part
from bitsmith.estimate.fit import paced
from bitsmith.estimate.size import estimate_layout
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.report.sections import Resources, Timing
from bitsmith.rtl.writer import Title

ZYNQ, ECP5 = "xc7z020clg400-1", "LFE5U-85F-6BG381C"
ECP5_CLOCK_NS = 20.0


@dataclass(frozen=True, slots=True)
class Published:
    """Measured by others: thousands of look-up tables and flip-flops, blocks, the clock, and frames per second."""

    who: str
    luts: int
    ffs: int
    dsps: int
    brams: float
    megahertz: int
    frames: int

    @property
    def cycles(self) -> int:
        """Between frames, at that clock."""
        return self.megahertz * 10**6 // self.frames

    @property
    def cells(self) -> Sequence[float]:
        """Look-up tables, flip-flops, multiplier blocks and halves of memory blocks."""
        return 1000 * self.luts, 1000 * self.ffs, self.dsps, 2 * self.brams


PUBLISHED: Mapping[str, Sequence[Published]] = {
    "resnet-8": (
        Published("fpgaConvNet, ZyBo", 16, 16, 78, 36, 125, 317),
        Published("fpgaConvNet, ZedBoard", 47, 42, 211, 93, 143, 2431),
    ),
    "ds-cnn": (
        Published("fpgaConvNet, Cora-Z7", 13, 13, 55, 28, 143, 237),
        Published("fpgaConvNet, ZyBo", 15, 17, 60, 16, 125, 465),
        Published("fpgaConvNet, ZedBoard", 37, 37, 188, 97, 143, 3088),
    ),
    "mobilenet": (
        Published("fpgaConvNet, ZedBoard", 34, 36, 189, 123, 111, 105),
        Published("fpgaConvNet, ZC706", 133, 124, 564, 366, 200, 1388),
    ),
    "autoencoder": (Published("hls4ml, Arty A7-100T", 51, 62, 207, 22, 100, 30686),),
}
"""MLPerf Tiny 0.7 (hls4ml, another autoencoder) and 1.1 (fpgaConvNet): github.com/mlcommons/tiny_results_v0.7, _v1.1."""

SHAPES = {"resnet-8": (32, 32, 3), "ds-cnn": (49, 10, 1), "mobilenet": (96, 96, 3), "autoencoder": (640,)}
"""Of inputs, of which ranges of results are taken from normally distributed ones: all results have 8 bits."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is done with each circuit, and the part it is for."""

    part: str
    cosim: bool
    synth: bool
    post_synth: bool
    pnr: bool

    @property
    def clock_period(self) -> float | None:
        return ECP5_CLOCK_NS if self.part == ECP5 else None


class Converted:
    """A network as a model, with any reuse factors."""

    def __init__(self, name: str, folder: Path, asked: Asked) -> None:
        self.name, self.folder, self.asked = name, folder, asked
        self.path, self.data = saved(name, folder), np.random.default_rng(0).standard_normal((64, *SHAPES[name]))
        start = time.process_time()
        self.model = self.configured()
        self.seconds = time.process_time() - start
        self.program = drop_dead(self.model.program, keep_probes=False)

    def configured(
        self, reuse: int = 1, layers: Mapping[str, int] | None = None, *, fit: bool = False
    ) -> bitsmith.Model:
        """The model with a reuse factor and others for some layers, or with those with which it fits."""
        chosen = {layer: {"ReuseFactor": factor} for layer, factor in (layers or {}).items()}
        config = {"Model": {"Strategy": "resource", "ReuseFactor": reuse}, "LayerName": chosen}
        return bitsmith.convert(
            *(self.path, self.folder / "project", config),
            io_type="io_stream",
            bits=8,
            part=self.asked.part,
            clock_period=self.asked.clock_period,
            calibration=self.data,
            fit=fit,
        )

    def row(
        self, model: bitsmith.Model, configured: str, limits: Sequence[float] = (), megahertz: int | None = None
    ) -> tuple[str, ...]:
        """A line of the table: at a clock, with what is above the limits."""
        directives = model.directives
        asked, target, family = self.asked, self.model.target, resolve_part(self.asked.part).family
        start = time.process_time()
        size = estimate_layout(self.program, directives, family)
        estimated = time.process_time()
        delays, budget = family.delays, target.budget_ns(family)
        made = circuit(self.program, directives, delays, budget, "top", Title("", ""))
        seconds = time.process_time() - estimated
        assert isinstance(made, Streaming)
        latency, interval = made.cycles
        least = multiplying(self.program, replace(directives, block=delays.block))
        found: tuple[float, ...] = (size.lut, size.ff, size.dsp, size.bram)
        clock = megahertz or 1e3 / target.clock_period_ns
        if asked.cosim or asked.synth or asked.post_synth or asked.pnr:
            cells, reached = self.built(model)
            found, clock = cells or found, reached or clock
        areas = tuple(f"{number:,.0f}" for number in found)
        spent = f"{self.seconds:.0f} + {estimated - start:.0f} + {seconds:.0f}"
        rate = f"{clock * 1e6 / interval:,.0f} at {clock:.0f}"
        return (
            *(self.name, configured, *areas, f"{latency:,}", f"{interval:,}", f"{interval / least:.2f}", rate),
            *(", ".join(above(found, limits)) if limits else "", spent),
        )

    def built(self, model: bitsmith.Model) -> tuple[tuple[float, ...], float | None]:
        """Cells by synthesis, and the clock after place and route, of what is asked for."""
        asked = self.asked
        report = model.build(
            inputs=self.data[:1],
            cosim=asked.cosim,
            synth=asked.synth,
            post_synth=asked.post_synth,
            pnr=asked.pnr,
            force=True,
            progress=lambda _: None,
        )
        cells, timing = report.find(Resources), report.find(Timing)
        found = () if cells is None else (cells.lut, cells.ff, cells.dsp, cells.bram)
        return tuple(number or 0 for number in found), None if timing is None else timing.fmax_mhz


def multiplying(program: Program, directives: Directives) -> int:
    """The most cycles that a layer's multiplications by anything but 0 take its multipliers."""
    products = Counter[str]()
    for node in program.nodes:
        if isinstance(node.op, ops.Linear):
            products[node.layer] += int(np.count_nonzero(node.op.weights)) * math.prod(node.type.shape[:-1])
    multipliers = {
        process.layers[0]: math.prod((*process.kind.tile, *process.takes[0].token.shape[:-1]))
        for process in partition(program, directives).processes
        if isinstance(process.kind, FoldedProduct)
    }
    return max(-(-products[layer] // number) for layer, number in multipliers.items())


def above(found: Sequence[float], limits: Sequence[float]) -> Iterator[str]:
    """What is more than that."""
    for name, number, limit in zip(("LUT", "FF", "DSP", "BRAM"), found, limits, strict=True):
        if number > limit:
            yield name


def rows(given: str, asked: Asked) -> Iterator[tuple[str, ...]]:
    """The lines of a network: one, or beside each of the published ones."""
    name, _, reuse = given.partition(":")
    with tempfile.TemporaryDirectory() as folder:
        network = Converted(name, Path(folder), asked)
        if reuse == "fit":
            part = resolve_part(asked.part)
            has = (part.die.luts, part.die.ffs, part.die.dsps, part.die.brams)
            yield network.row(network.configured(fit=True), "as explain proposes", has)
            yield (part.name, "", *(f"{number:,}" for number in has), *("",) * 6)
            return
        if reuse:
            yield network.row(network.configured(int(reuse)), f"R = {reuse}")
            return
        for theirs in PUBLISHED[name]:
            layers = paced(network.program, network.model.directives, theirs.cycles).reuse
            yield network.row(network.configured(layers=layers), f"as {theirs.who}", theirs.cells, theirs.megahertz)
            areas = (f"{theirs.luts}k", f"{theirs.ffs}k", f"{theirs.dsps}", f"{2 * theirs.brams:g}")
            rate = f"{theirs.frames:,} at {theirs.megahertz}"
            yield (theirs.who, "", *areas, "", f"{theirs.cycles:,}", "", rate, "", "")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(PUBLISHED), metavar="NAME[:R|:fit]")
    parser.add_argument("--part")
    for option in ("cosim", "synth", "post-synth", "pnr"):
        parser.add_argument(f"--{option}", action="store_true")
    chosen = parser.parse_args()
    part = chosen.part or (ECP5 if chosen.pnr or chosen.post_synth else ZYNQ)
    asked = Asked(part, chosen.cosim, chosen.synth, chosen.post_synth, chosen.pnr)
    titles = (
        "network",
        "reuse factors",
        "LUT",
        "FF",
        "DSP",
        "BRAM",
        "latency",
        "interval",
        "of least",
        "frames/s at MHz",
    )
    table = Table(*titles, "above", "convert, estimate, lay out: s")
    for given in chosen.networks:
        for line in rows(given, asked):
            table.add_row(*line)
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
