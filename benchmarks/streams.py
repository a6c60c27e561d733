"""Networks in tokens (io_stream) with several reuse factors: what they cost, how long they take, and that nothing differs.

``streams.py [MODEL...] [--reuse 1,4,16,64] [--resource] [--pnr] [--fifos R] [--picture FILE]``. MODEL is a Keras or ONNX file (a
``.json`` with ``_weights.h5`` beside it); without one, a small convolutional network and a small U-Net with random weights. Each
is built for an ECP5-85 (simulated, synthesized, with ``--pnr`` placed and routed) and for a Kintex UltraScale+ (synthesized), and
as C++ for Vitis (compiled and run). A build ends with an error if a bit or a cycle is not as planned. ``--fifos R`` shows each
FIFO at the reuse factor R instead: its depth, and the most slots that were in use in simulation.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table

import bitsmith
from bitsmith.building.design import circuit
from bitsmith.devices.parts import resolve_part
from bitsmith.model import Model
from bitsmith.passes.program import drop_dead
from bitsmith.report.report import Report
from bitsmith.rtl.writer import Title

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.keras_weights import write_weights

ECP5 = "LFE5U-85F-6BG381C"
KINTEX = "xcku5p-ffvb676-2-e"
PRECISION = {"default": "fixed<8,3>", "weight": "fixed<8,1>"}
FRAMES = 20
_KERNEL = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A network with one reuse factor for all layers: cells of ECP5 and of UltraScale+, MHz, cycles, and wrong bits."""

    reuse: int
    lut: int
    ff: int
    dsp: int
    bram: int
    fmax_mhz: str
    lut_us: int
    ff_us: int
    dsp_us: int
    bram_us: int
    latency_planned: int
    latency: int
    interval_planned: int
    interval: int
    cosim_mismatches: int
    csim_mismatches: int


class Drawn:
    """A Keras model with random weights under construction, as the text of its file and the arrays beside it."""

    def __init__(self, side: int, channels: int) -> None:
        self._rng = np.random.default_rng(0)
        self._layers: list[dict[str, object]] = []
        self._arrays: dict[str, list[np.ndarray]] = {}
        self.channels: dict[str, int] = {}
        config = {"name": "image", "batch_input_shape": [None, side, side, channels]}
        self.image = self._put("InputLayer", config, channels)

    def _put(self, kind: str, config: dict[str, object], channels: int, *inputs: str) -> str:
        name = str(config["name"])
        wired = [[[operand, 0, 0, {}] for operand in inputs]] if inputs else []
        self._layers.append({"class_name": kind, "name": name, "config": config, "inbound_nodes": wired})
        self.channels[name] = channels
        return name

    def conv(self, name: str, x: str, filters: int) -> str:
        """A 3x3 convolution with rectifier that keeps the size."""
        config = {
            "name": name,
            "filters": filters,
            "kernel_size": [_KERNEL, _KERNEL],
            "padding": "same",
            "activation": "relu",
        }
        self._draw(name, _KERNEL, _KERNEL, self.channels[x], filters)
        return self._put("Conv2D", config, filters, x)

    def halved(self, name: str, x: str) -> str:
        """The greatest of each 2x2 elements."""
        return self._put("MaxPooling2D", {"name": name, "pool_size": [2, 2]}, self.channels[x], x)

    def doubled(self, name: str, x: str) -> str:
        """Each element four times."""
        return self._put("UpSampling2D", {"name": name, "size": [2, 2]}, self.channels[x], x)

    def joined(self, name: str, *inputs: str) -> str:
        """The channels of all."""
        return self._put("Concatenate", {"name": name}, sum(self.channels[x] for x in inputs), *inputs)

    def dense(self, name: str, x: str, features: int, units: int) -> str:
        """A dense layer on the flattened ``x``, which has so many elements."""
        flat = self._put("Flatten", {"name": f"{name}_flat"}, features, x)
        self._draw(name, features, units)
        return self._put("Dense", {"name": name, "units": units}, units, flat)

    def _draw(self, name: str, *shape: int) -> None:
        scale = np.sqrt(2.0 / np.prod(shape[:-1]))
        self._arrays[name] = [self._rng.normal(0.0, scale, shape), self._rng.normal(0.0, 0.1, shape[-1])]

    def write(self, path: Path, result: str) -> Path:
        """The model's file, its weights beside it."""
        config = {
            "name": path.stem,
            "layers": self._layers,
            "input_layers": [[self.image, 0, 0]],
            "output_layers": [[result, 0, 0]],
        }
        path.write_text(json.dumps({"class_name": "Functional", "config": config, "keras_version": "2.9.0"}))
        weights = {name: {"kernel": kernel, "bias": bias} for name, (kernel, bias) in self._arrays.items()}
        write_weights(path.with_name(f"{path.stem}_weights.h5"), weights)
        return path


def small_cnn(folder: Path) -> Path:
    """Two convolutions, each pooled, and a dense layer, for images of 8x8x2."""
    drawn = Drawn(8, 2)
    x = drawn.halved("pool0", drawn.conv("conv0", drawn.image, 4))
    x = drawn.halved("pool1", drawn.conv("conv1", x, 8))
    return drawn.write(folder / "cnn.json", drawn.dense("dense", x, 2 * 2 * 8, 5))


def u_net(folder: Path) -> Path:
    """Down twice and up twice, joined with what was there before, for images of 16x16x1."""
    drawn = Drawn(16, 1)
    top = drawn.conv("conv0", drawn.image, 4)
    middle = drawn.conv("conv1", drawn.halved("pool0", top), 8)
    bottom = drawn.conv("conv2", drawn.halved("pool1", middle), 8)
    x = drawn.conv("conv3", drawn.joined("join0", drawn.doubled("up0", bottom), middle), 8)
    x = drawn.conv("conv4", drawn.joined("join1", drawn.doubled("up1", x), top), 4)
    return drawn.write(folder / "u_net.json", drawn.conv("conv5", x, 2))


def converted(path: Path, folder: Path, reuse: int, part: str, backend: str, *, resource: bool) -> Model:
    """The model of a file, in tokens, in a project of its own for each backend and part."""
    chosen = {"Precision": PRECISION, "ReuseFactor": reuse, "Strategy": "Resource" if resource else "Latency"}
    weights = path.with_name(f"{path.stem}_weights.h5") if path.suffix == ".json" else None
    return bitsmith.convert(
        path,
        folder / f"{path.stem}_{backend}_{part}",
        {"Model": chosen},
        backend=backend,
        part=part,
        io_type="io_stream",
        weights=weights,
    )


def stimuli(model: Model) -> list[np.ndarray]:
    """Random frames for each input."""
    rng = np.random.default_rng(0)
    return [rng.uniform(-2.0, 2.0, (FRAMES, *op.shape)) for op in model.program.input_ops()]


def number(report: Report, section: str, key: str) -> int:
    """A figure of a report."""
    return int(str(report.section(section)[key]))


def measured(path: Path, folder: Path, reuse: int, *, resource: bool, pnr: bool) -> Row:
    """All builds of one network with one reuse factor."""
    model = converted(path, folder, reuse, ECP5, "rtl", resource=resource)
    planned = planned_cycles(model)
    ecp5 = model.build(inputs=stimuli(model), pnr=pnr, progress=_quiet)
    kintex = converted(path, folder, reuse, KINTEX, "rtl", resource=resource).build(cosim=False, progress=_quiet)
    code = converted(path, folder, reuse, KINTEX, "vitis", resource=resource)
    csim = code.build(csim=True, synth=False, inputs=stimuli(code), progress=_quiet)
    cells = [number(report, "Resources", key) for report in (ecp5, kintex) for key in ("LUT", "FF", "DSP", "BRAM")]
    fmax = f"{ecp5.section('Timing')['FmaxMHz']:.0f}" if pnr else ""
    return Row(
        reuse,
        *cells[:4],
        fmax,
        *cells[4:],
        planned[0],
        number(ecp5, "Latency", "Cycles"),
        planned[1],
        number(ecp5, "Latency", "II"),
        *(number(report, "Verification", "Mismatches") for report in (ecp5, csim)),
    )


def _quiet(line: str) -> None:
    """Tools say nothing on the terminal."""


def planned_cycles(model: Model) -> tuple[int, int]:
    """Latency and interval as the schedule has them."""
    part, target = resolve_part(model.target.part), model.target
    delays = part.family.delays
    budget = delays.budget(target.clock_period_ns, target.clock_uncertainty * target.clock_period_ns)
    program = drop_dead(model.program, keep_probes=False)
    return circuit(program, model.directives, delays, budget, target.project_name, Title("benchmark", "")).cycles


def show(name: str, rows: Sequence[Row]) -> Table:
    """The table of a network."""
    titles = (
        "R",
        "LUT",
        "FF",
        "DSP",
        "BRAM",
        "MHz",
        "LUT",
        "FF",
        "DSP",
        "BRAM",
        "latency",
        "",
        "interval",
        "",
        "cosim",
        "csim",
    )
    table = Table(*titles, title=f"{name}: ECP5-85 | Kintex UltraScale+ | cycles planned, measured | mismatches")
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell for cell in astuple(row)))
    return table


def markdown(rows: Sequence[Row]) -> str:
    """The table as it stands in the documentation: equal rows once, equal cycles once."""
    lines: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        if (row.latency_planned, row.interval_planned) != (row.latency, row.interval):
            raise SystemExit(f"reuse factor {row.reuse}: not the cycles that were planned")
        cells = [f"{cell:,}" if isinstance(cell, int) else cell for cell in astuple(row)[1:]]
        kept = [
            cell
            for k, cell in enumerate(cells)
            if fields(row)[k + 1].name not in ("latency_planned", "interval_planned")
        ]
        lines.setdefault(tuple(kept), []).append(str(row.reuse))
    return "\n".join(
        " | ".join(("|", ", ".join(reuse), *cells, "|")).replace("| |", "|") for cells, reuse in lines.items()
    )


def show_fifos(name: str, report: Report) -> Table:
    """All FIFOs of a build: depth, and the most slots in use in simulation."""
    table = Table("FIFO", "layer", "bits", "depth", "peak", title=f"{name}: FIFOs")
    for row in report.rows("FIFOs"):
        table.add_row(*(str(row[key]) for key in ("FIFO", "Layer", "Width", "Depth", "Peak")))
    return table


def draw(found: dict[str, list[Row]], path: Path) -> None:
    """Look-up tables, multiplier blocks and interval over the reuse factor, a line per network."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained")
    shown = (("ECP5 look-up tables", "lut"), ("ECP5 multiplier blocks", "dsp"), ("cycles per frame", "interval"))
    for axis, (title, field) in zip(axes, shown, strict=True):
        for name, rows in found.items():
            axis.plot([row.reuse for row in rows], [getattr(row, field) for row in rows], marker="o", label=name)
        axis.set_xscale("log", base=2)
        axis.set_xlabel("reuse factor")
        axis.set_title(title)
        axis.set_ylim(bottom=0)
    axes[0].legend()
    figure.savefig(path)


def main() -> None:
    """Print a table per network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL")
    parser.add_argument("--reuse", default="1,4,16,64")
    parser.add_argument(
        "--resource", action="store_true", help="strategy Resource: multipliers are shared wherever R allows"
    )
    parser.add_argument("--pnr", action="store_true", help="place and route for the ECP5, too")
    parser.add_argument("--fifos", type=int, metavar="R", help="show the FIFOs at this reuse factor instead")
    parser.add_argument("--picture", type=Path, help="a picture of the table")
    chosen = parser.parse_args()
    console, found = Console(width=150), {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in chosen.models or [small_cnn(folder), u_net(folder)]:
            if chosen.fifos:
                model = converted(path, folder, chosen.fifos, ECP5, "rtl", resource=chosen.resource)
                console.print(show_fifos(path.stem, model.build(synth=False, inputs=stimuli(model), progress=_quiet)))
                continue
            factors = map(int, chosen.reuse.split(","))
            rows = [measured(path, folder, reuse, resource=chosen.resource, pnr=chosen.pnr) for reuse in factors]
            found[path.stem] = rows
            console.print(show(path.stem, rows))
            print(markdown(rows))
    if chosen.picture and found:
        draw(found, chosen.picture)


if __name__ == "__main__":
    main()
