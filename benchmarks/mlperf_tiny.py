"""The four networks of MLPerf Tiny as circuits, with the reuse factors that are proposed for a part, or one for all layers.

``mlperf_tiny.py [--part PART] [--cosim] [--synth] [--post-synth] [--pnr] [NAME:R|NAME:fit...]``. Fixed random weights, 8 bits,
tokens. ``NAME:R``: the reuse factor R for all layers; ``NAME:fit``: those that ``explain`` proposes for the part, with what is
above what it has. Look-up tables, flip-flops, multiplier blocks and memory blocks of 18 Kibit are estimates for a Zynq-7020; with
``--synth`` those of Yosys. ``--cosim``: whole frames are simulated, without and with random waits of both
sides, and any bit or cycle that differs from emulator and plan is an error. ``--post-synth``: so is the netlist for an LFE5U-85F.
``--pnr``: place and route for an LFE5U-85F at 50 MHz, and its cells. The interval is the planned one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from large_streams import saved
from rich.console import Console
from rich.table import Table

import bitsmith
from bitsmith.building.design import Streaming, circuit
from bitsmith.devices.parts import resolve_part
from bitsmith.estimate.size import estimate_layout
from bitsmith.passes.program import drop_dead
from bitsmith.report.sections import Resources, Timing
from bitsmith.rtl.writer import Title

ZYNQ, ECP5 = "xc7z020clg400-1", "LFE5U-85F-6BG381C"
ECP5_CLOCK_NS = 20.0

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

    def configured(self, reuse: int = 1, *, fit: bool = False) -> bitsmith.Model:
        """The model with a reuse factor, or with those with which it fits."""
        config = {"Model": {"Strategy": "resource", "ReuseFactor": reuse}}
        return bitsmith.convert(
            *(self.path, self.folder / "project", config),
            io_type="io_stream",
            bits=8,
            part=self.asked.part,
            clock_period=self.asked.clock_period,
            calibration=self.data,
            fit=fit,
        )

    def row(self, model: bitsmith.Model, configured: str, limits: Sequence[float] = ()) -> tuple[str, ...]:
        """A line of the table, with what is above the limits."""
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
        found: tuple[float, ...] = (size.lut, size.ff, size.dsp, size.bram)
        clock = 1e3 / target.clock_period_ns
        if asked.cosim or asked.synth or asked.post_synth or asked.pnr:
            cells, reached = self.built(model)
            found, clock = cells or found, reached or clock
        areas = tuple(f"{number:,.0f}" for number in found)
        spent = f"{self.seconds:.0f} + {estimated - start:.0f} + {seconds:.0f}"
        rate = f"{clock * 1e6 / interval:,.0f} at {clock:.0f}"
        return (
            *(self.name, configured, *areas, f"{latency:,}", f"{interval:,}", rate),
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


def above(found: Sequence[float], limits: Sequence[float]) -> Iterator[str]:
    """What is more than that."""
    for name, number, limit in zip(("LUT", "FF", "DSP", "BRAM"), found, limits, strict=True):
        if number > limit:
            yield name


def rows(given: str, asked: Asked) -> Iterator[tuple[str, ...]]:
    """The lines of a network: one, or beside it what the part has."""
    name, _, reuse = given.partition(":")
    with tempfile.TemporaryDirectory() as folder:
        network = Converted(name, Path(folder), asked)
        if reuse == "fit":
            part = resolve_part(asked.part)
            has = (part.die.luts, part.die.ffs, part.die.dsps, part.die.brams)
            yield network.row(network.configured(fit=True), "as explain proposes", has)
            yield (part.name, "", *(f"{number:,}" for number in has), *("",) * 5)
            return
        yield network.row(network.configured(int(reuse)), f"R = {reuse}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=[f"{name}:fit" for name in SHAPES], metavar="NAME:R|NAME:fit")
    parser.add_argument("--part")
    for option in ("cosim", "synth", "post-synth", "pnr"):
        parser.add_argument(f"--{option}", action="store_true")
    chosen = parser.parse_args()
    part = chosen.part or (ECP5 if chosen.pnr or chosen.post_synth else ZYNQ)
    asked = Asked(part, chosen.cosim, chosen.synth, chosen.post_synth, chosen.pnr)
    titles = ("network", "reuse factors", "LUT", "FF", "DSP", "BRAM", "latency", "interval", "frames/s at MHz")
    table = Table(*titles, "above", "convert, estimate, lay out: s")
    for given in chosen.networks:
        for line in rows(given, asked):
            table.add_row(*line)
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
