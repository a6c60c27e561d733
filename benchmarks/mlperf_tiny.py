"""The four networks of MLPerf Tiny as circuits, beside what fpgaConvNet and hls4ml published of them.

``mlperf_tiny.py [--synth] [NAME:R...]``. Fixed random weights, 8 bits. Look-up tables, flip-flops, multiplier blocks and memory
blocks are estimates for a Zynq-7020, with ``--synth`` those of Yosys. The interval is the planned one; frames per second are
reckoned at the clock of the published row.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from large_streams import saved
from rich.console import Console
from rich.table import Table

import bitsmith
from bitsmith.build.design import circuit
from bitsmith.devices import resolve_part
from bitsmith.estimate.size import estimate_layout
from bitsmith.passes import drop_dead
from bitsmith.report.sections import Resources
from bitsmith.rtl.writer import Title

PART = "xc7z020clg400-1"


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

DEFAULT = [f"{name}:{reuse}" for name in PUBLISHED for reuse in (64, 1024, 4096)]


def cells(model: bitsmith.Model) -> tuple[float, ...]:
    """Look-up tables, flip-flops, multiplier blocks and memory blocks by synthesis in the model's project folder."""
    found = model.build(cosim=False, synth=True, force=True).find(Resources)
    assert found is not None
    return tuple(number or 0 for number in (found.lut, found.ff, found.dsp, found.bram))


def row(name: str, reuse: int, *, synth: bool) -> tuple[str, ...]:
    """A line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"Model": {"ReuseFactor": reuse, "Strategy": "resource"}}
        start = time.process_time()
        path, data = saved(name, Path(folder)), np.random.default_rng(0).standard_normal((64, *SHAPES[name]))
        model = bitsmith.convert(
            path, Path(folder) / "project", settings, io_type="io_stream", bits=8, part=PART, calibration=data
        )
        converted = time.process_time()
        family, program = resolve_part(PART).family, drop_dead(model.program, keep_probes=False)
        size = estimate_layout(program, model.directives, family)
        estimated = time.process_time()
        budget = family.delays.budget(model.target.clock_period_ns, 0.0)
        made = circuit(program, model.directives, family.delays, budget, "top", Title("", ""))
        seconds = time.process_time() - estimated
        latency, interval = made.cycles
        found: tuple[float, ...] = (size.lut, size.ff, size.dsp, size.bram)
        if synth:
            found = cells(model)
    rates = ", ".join(f"{theirs.megahertz * 1e6 / interval:,.0f}" for theirs in PUBLISHED[name])
    areas = tuple(f"{number:,.0f}" for number in found)
    spent = f"{converted - start:.0f} + {estimated - converted:.0f} + {seconds:.0f}"
    return (name, str(reuse), *areas, f"{latency:,}", f"{interval:,}", rates, spent)


def main() -> None:
    """Print the table."""
    arguments = [given for given in sys.argv[1:] if given != "--synth"]
    table = Table(
        "network", "R", "LUT", "FF", "DSP", "BRAM", "latency", "interval", "frames/s", "convert, estimate, lay out: s"
    )
    for given in arguments or DEFAULT:
        name, reuse = given.split(":")
        table.add_row(*row(name, int(reuse), synth="--synth" in sys.argv))
    for name, rows in PUBLISHED.items():
        if not arguments or any(given.startswith(f"{name}:") for given in arguments):
            for theirs in rows:
                areas = (f"{theirs.luts}k", f"{theirs.ffs}k", f"{theirs.dsps}", f"{theirs.brams:g}")
                table.add_row(f"{name} ({theirs.who})", "", *areas, "", "", f"{theirs.frames:,}", "")
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
