"""The five reference files of MLPerf Tiny as circuits: int8 TFLite beside the float file at 8 bits, and what others published.

``mlperf_tiny_int8.py FOLDER [--cosim] [--synth] [--layers] [--samples FOLDER] [--board BOARD] [NAME...]``. FOLDER holds a
checkout of github.com/mlcommons/tiny, ``--samples`` the folder kws01 of github.com/eembc/energyrunner, of which the accuracy of
ds-cnn is shown. For each published row, on its part and at its clock: reuse factors with which a frame takes no longer than
theirs, estimates of both files, and how many times the look-up tables of the int8 file theirs are. ``--cosim``: three whole
frames are simulated, and any bit or cycle that differs is an error. ``--synth``: cells are those of Yosys. ``--layers``: of
each row the shares of both estimates by layer, with the bits of operands and constants of the int8 file's multipliers. Where the
layers of the float file have other names, each file has a table of its own.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mlperf_tiny import SHAPES as PUBLISHED_SHAPES
from rich.console import Console
from rich.table import Table

import bitsmith
from bitsmith.devices.parts import resolve_part
from bitsmith.estimate.figures import Size
from bitsmith.estimate.fit import paced
from bitsmith.estimate.needs import missing
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.passes.program import drop_dead
from bitsmith.report.sections import Resources


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

FILES = {
    "resnet-8": ("pretrainedResnet_quant.tflite", "pretrainedResnet.tflite"),
    "ds-cnn": ("kws_ref_model.tflite", "kws_ref_model_float32.tflite"),
    "mobilenet": ("vww_96_int8.tflite", "vww_96_float.tflite"),
    "autoencoder": ("ad01_int8.tflite", "ad01_fp32.tflite"),
    "wakeword": ("str_ww_ref_model.tflite", "str_ww_ref_model.h5"),
}
ROWS = {**PUBLISHED, "wakeword": (Published("nobody, Cora-Z7", 0, 0, 0, 0, 100, 31),)}
SHAPES = {**PUBLISHED_SHAPES, "wakeword": (30, 1, 40)}
"""Of the streaming wakeword nobody published a circuit: here it has 32 ms, after which the next spectrum comes."""
PARTS = {
    "ZyBo": "xc7z010clg400-1",
    "ZedBoard": "xc7z020clg484-1",
    "Cora-Z7": "xc7z010clg400-1",
    "ZC706": "xc7z045ffg900-2",
    "Arty A7-100T": "xc7a100tcsg324-1",
}
FEW = 3
KINDS = ("lut", "ff", "dsp")


@dataclass(frozen=True)
class File:
    """A file of a network: codes as they are, or numbers that get 8 bits."""

    path: Path
    settings: Mapping[str, object] = field(default_factory=dict)

    def paced(self, row: Published, folder: str) -> bitsmith.Model:
        """The model on the part of a row, at its clock, with a frame in no more cycles."""
        model = self._configured(row, folder, {})
        program = drop_dead(model.program, keep_probes=False)
        reuse = paced(program, model.directives, row.cycles).reuse
        return self._configured(row, folder, {name: {"ReuseFactor": factor} for name, factor in reuse.items()})

    def _configured(self, row: Published, folder: str, layers: Mapping[str, object]) -> bitsmith.Model:
        config = {"Model": {"Strategy": "MultiplierBlocks"}, "LayerName": layers}
        _, _, board = row.who.partition(", ")
        options = {"io_type": "io_stream", "part": PARTS[board], "clock_period": 1e3 / row.megahertz}
        return bitsmith.convert(self.path, Path(folder) / "project", config, **options, **self.settings)


def cells(model: bitsmith.Model, inputs: np.ndarray, *, cosim: bool, synth: bool) -> tuple[int, ...]:
    """Look-up tables, flip-flops, multiplier and memory blocks: estimates, or what Yosys counts."""
    if cosim or synth:
        report = model.build(inputs=inputs, cosim=cosim, synth=synth, force=True, progress=lambda _: None)
        counted = report.find(Resources)
        assert counted is not None
        return tuple(number or 0 for number in (counted.lut, counted.ff, counted.dsp, counted.bram))
    size = model.estimate().size
    return size.lut, size.ff, size.dsp, size.bram


def rows(name: str, given: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """The lines of a network, two for each published row."""
    codes, numbers = (next(given.folder.rglob(file)) for file in FILES[name])
    rng = np.random.default_rng(0)
    calibration = rng.standard_normal((64, *SHAPES[name]))
    inputs = rng.integers(-128, 128, (FEW, *SHAPES[name])).astype(np.float64)
    for row in (row for row in ROWS[name] if given.board in row.who):
        with tempfile.TemporaryDirectory() as folder:
            model = File(codes).paced(row, folder)
            program = drop_dead(model.program, keep_probes=False)
            own = cells(model, inputs, cosim=given.cosim, synth=given.synth)
            other = File(numbers, {"bits": 8, "calibration": calibration}).paced(row, folder)
            beside, size = other.estimate().size, model.estimate().size
        if given.layers:
            title, numbers_program = f"{name}, {row.who}", drop_dead(other.program, keep_probes=False)
            tables = [by_layer(title, program, size, beside)]
            if not tables[0].row_count:
                tables = [by_operation(f"{title}, int8", program, size), by_operation(title, numbers_program, beside)]
            Console(width=160).print(*tables)
        lacking = missing(size, resolve_part(PARTS[row.who.partition(", ")[2]]))
        figures = (f"{number:,}" for number in own)
        luts = f"{beside.lut:,}", f"{size.lut / beside.lut:.2f}"
        yield (name, row.who, *figures, *luts, f"{row.cells[0] / own[0]:.1f}" if row.luts else "", lacking or "fits")
        if row.luts:
            yield ("", "published", *(f"{number:,.0f}" for number in row.cells), "", "", "", "")


def by_layer(title: str, program: Program, codes: Size, numbers: Size) -> Table:
    """The cells of both files for each layer of the float one."""
    layers = sorted({layer.removesuffix("_linear") for layer in numbers.shares}, key=len, reverse=True)

    def of(layer: str) -> str:
        return next((known for known in layers if layer.startswith(known)), "")

    factors = {of(node.layer): list[str]() for node in program.nodes if of(node.layer)}
    for node in program.nodes:
        operands = factors.get(of(node.layer), [])
        if isinstance(node.op, ops.Mul):
            operands.append(" x ".join(str(program.nodes[arg].type.max_width) for arg in node.args))
    table = Table("layer", "multipliers", title=title)
    for kind in KINDS:
        for file in ("int8", "8 bits"):
            table.add_column(f"{kind}, {file}", justify="right")
    for layer, multipliers in factors.items():
        sides = [[cells for name, cells in size.shares.items() if of(name) == layer] for size in (codes, numbers)]
        figures = (f"{sum(getattr(each, kind) for each in side):,.0f}" for kind in KINDS for side in sides)
        table.add_row(layer, ", ".join(multipliers), *figures)
    return table


def by_operation(title: str, program: Program, size: Size) -> Table:
    """The cells of each layer of a file whose layers have other names in the other one, with operations that are multiplied."""
    table = Table("layer", "products", "multipliers", *KINDS, title=title)
    for layer in dict.fromkeys(node.layer for node in program.nodes if node.layer in size.shares):
        nodes = [node for node in program.nodes if node.layer == layer]
        widths = {
            kind: dict.fromkeys(
                " x ".join(str(program.nodes[arg].type.max_width) for arg in node.args)
                for node in nodes
                if isinstance(node.op, kind)
            )
            for kind in (ops.Linear, ops.Mul)
        }
        share = size.shares[layer]
        table.add_row(layer, *map(", ".join, widths.values()), *(f"{getattr(share, kind):,.0f}" for kind in KINDS))
    return table


def accuracy(given: argparse.Namespace) -> str:
    """The share of the samples of which the greatest score of the int8 file is the label's."""
    with (given.samples / "y_labels.csv").open() as file:
        listed = [(name.strip(), int(label)) for name, _, label in csv.reader(file)]
    samples = [np.fromfile(given.samples / name, dtype=np.int8).reshape(SHAPES["ds-cnn"]) for name, _ in listed]
    with tempfile.TemporaryDirectory() as folder:
        model = bitsmith.convert(next(given.folder.rglob(FILES["ds-cnn"][0])), Path(folder) / "project")
        scores = model.predict(np.stack(samples).astype(np.float64)).reshape(len(listed), -1)
    right = scores.argmax(axis=1) == np.array([label for _, label in listed])
    return f"ds-cnn: {right.mean():.1%} of {len(listed):,} samples"


def main() -> None:
    """Print the table, and the accuracy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("networks", nargs="*", default=list(FILES), metavar="NAME")
    parser.add_argument("--samples", type=Path)
    parser.add_argument("--board", default="", help="rows of this board only")
    for option in ("cosim", "synth", "layers"):
        parser.add_argument(f"--{option}", action="store_true")
    given = parser.parse_intermixed_args()
    warnings.simplefilter("ignore")
    table = Table("network", "as", "LUT", "FF", "DSP", "BRAM18", "float, 8 bits: LUT", "ratio", "factor", "part")
    for name in given.networks:
        for line in rows(name, given):
            table.add_row(*line)
    console = Console(width=160)
    console.print(table)
    if given.samples:
        console.print(accuracy(given))


if __name__ == "__main__":
    main()
