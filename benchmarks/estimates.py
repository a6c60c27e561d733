"""Estimates before any tool runs beside what Yosys counts and a simulation measures: cells, blocks, latency and interval.

``estimates.py [NAME...] [--family ecp5|xcup|both] [--results FILE] [--limits]``. Networks are small
and varied; ``random_estimates.py`` draws others, which no figure of a family was fitted to. What was
measured of a circuit is kept in a file, by the circuit's text, so that a run that was stopped goes on where it was. With
``--limits`` the exit status is 1 where estimates are farther off than is promised: look-up tables by 10 % in the median and
25 % at worst, flip-flops by 10 % in the median, blocks and cycles not at all.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from drawn import PARTS, Attention, Recurrent
from rich.console import Console
from rich.table import Table
from tests.flows.runs import execute, synthesize
from torch import nn

import bitsmith
from bitsmith.building.design import Circuit, circuit
from bitsmith.building.verification import random_stimuli
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.xilinx import ULTRASCALE_PLUS
from bitsmith.estimate.figures import Size
from bitsmith.estimate.size import estimate_layout
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.writer import Title

MEDIAN, WORST = 0.10, 0.25
_FRAMES = 4
"""Samples of a simulation, or as many more as a network takes until they follow at a steady pace."""

_FEW = 20
"""Of fewer cells than this a share says little: the difference counts as one of this many."""

FAMILIES = (ECP5, ULTRASCALE_PLUS)

Maker = Callable[[], nn.Module]


def dense(*sizes: int, act: Callable[[], nn.Module] = nn.ReLU) -> Maker:
    """Dense layers with an activation between."""

    def make() -> nn.Module:
        pairs = pairwise(sizes)
        return nn.Sequential(*[layer for n, m in pairs for layer in (nn.Linear(n, m), act())][:-1])

    return make


def conv(*channels: int, size: int = 3, pool: bool = True, outputs: int = 4) -> Maker:
    """Convolutions with rectifiers and poolings of an 8x8 image, and a dense layer."""

    def make() -> nn.Module:
        layers: list[nn.Module] = []
        side = 8
        for n, m in pairwise(channels):
            layers += [nn.Conv2d(n, m, size, padding=size // 2), nn.ReLU(), *([nn.MaxPool2d(2)] if pool else [])]
            side //= 2 if pool else 1
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * side * side, outputs))

    return make


def conv1d(*channels: int, length: int) -> Maker:
    """Convolutions of a sequence, and the mean of it."""

    def make() -> nn.Module:
        pairs = pairwise(channels)
        layers = [layer for n, m in pairs for layer in (nn.Conv1d(n, m, 3, padding=1), nn.ReLU())]
        return nn.Sequential(*layers, nn.AvgPool1d(length), nn.Flatten())

    return make


@dataclass(frozen=True)
class Case:
    """A network, the shape of a sample, bits of numbers and weights, and how it is laid out."""

    make: Maker
    shape: tuple[int, ...]
    bits: int = 8
    weight_bits: int = 6
    reuse: int = 1
    stream: bool = False
    zeros: float = 0.0
    spread: float = 1.0
    strategy: str = "Latency"

    def model(self, part: str, folder: str) -> bitsmith.Model:
        """The network, converted."""
        torch.manual_seed(0)
        module = self.make().eval()
        with torch.no_grad():
            for weights in module.parameters():
                if weights.dim() > 1:
                    weights *= self.spread * (torch.rand(weights.shape) >= self.zeros)
        precision = {"default": f"fixed<{self.bits},3>", "weight": f"fixed<{self.weight_bits},1>"}
        chosen = {"Model": {"Precision": precision, "ReuseFactor": self.reuse, "Strategy": self.strategy}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bitsmith.convert(
                module,
                folder,
                chosen,
                input_shape=self.shape,
                part=part,
                io_type="io_stream" if self.stream else "io_parallel",
                check=False,
            )


IMAGE = (1, 8, 8)
NETWORKS: Mapping[str, Case] = {
    "dense4": Case(dense(16, 16, 5), (16,), 6, 4),
    "dense6": Case(dense(16, 16, 5), (16,), 6, 6),
    "dense8": Case(dense(10, 10, 4), (10,), 8, 8),
    "sparse": Case(dense(16, 32, 16, 5), (16,), 6, 6, zeros=0.75),
    "sparser": Case(dense(32, 32, 32, 5), (32,), 8, 6, zeros=0.9),
    "tanh": Case(dense(8, 8, 8, 3, act=nn.Tanh), (8,), 7, 5),
    "sigmoid": Case(dense(8, 12, 4, act=nn.Sigmoid), (8,), 9, 6),
    "blocks": Case(dense(8, 8, 4), (8,), 12, 12, strategy="MultiplierBlocks"),
    "folded": Case(dense(16, 16, 8, 4), (16,), 8, 8, reuse=16),
    "shared": Case(dense(16, 16, 8, 4), (16,), 8, 8, reuse=16, strategy="Resource"),
    "cnn": Case(conv(1, 4), IMAGE, 8, 6, stream=True),
    "narrowcnn": Case(conv(1, 4, 8), IMAGE, 8, 6, stream=True, reuse=36),
    "lstm": Case(lambda: Recurrent(nn.LSTM(4, 6, batch_first=True), 6, 3), (6, 4), 8, 6, stream=True, reuse=8),
    "gru": Case(lambda: Recurrent(nn.GRU(4, 4, batch_first=True), 4, 3), (6, 4), 8, 6, stream=True),
    "attention": Case(lambda: Attention(4, 2), (4, 4), 6, 6),
    "dense3": Case(dense(20, 20, 5), (20,), 5, 3),
    "dense10": Case(dense(8, 8, 3), (8,), 10, 10),
    "dense12": Case(dense(6, 6, 2), (6,), 12, 8),
    "ternary": Case(dense(24, 24, 4), (24,), 6, 2, spread=4.0),
    "deep": Case(dense(8, 8, 8, 8, 8, 8, 3), (8,), 6, 5),
    "wide": Case(dense(48, 8, 3), (48,), 4, 4),
    "half": Case(dense(16, 24, 4), (16,), 8, 5, zeros=0.5),
    "leaky": Case(dense(10, 10, 3, act=lambda: nn.LeakyReLU(0.25)), (10,), 7, 5),
    "relu6": Case(dense(12, 12, 3, act=nn.ReLU6), (12,), 8, 5),
    "hardtanh": Case(dense(12, 12, 3, act=nn.Hardtanh), (12,), 6, 5),
    "hardswish": Case(dense(8, 6, 2, act=nn.Hardswish), (8,), 7, 5),
    "gelu": Case(dense(8, 8, 2, act=nn.GELU), (8,), 6, 5),
    "softmax": Case(lambda: nn.Sequential(nn.Linear(8, 5), nn.Softmax(dim=-1)), (8,), 8, 5),
    "conv1d": Case(conv1d(2, 4, length=8), (2, 8), 6, 4),
    "conv1dstream": Case(conv1d(2, 6, 4, length=16), (2, 16), 8, 6, stream=True),
    "conv5": Case(conv(1, 3, size=5), IMAGE, 6, 5, stream=True),
    "twoconv": Case(conv(1, 3, 4), IMAGE, 6, 4, stream=True),
    "unpooled": Case(conv(2, 4, pool=False), (2, 8, 8), 7, 5, stream=True, reuse=4),
    "foldedcnn": Case(conv(1, 4, 6), IMAGE, 8, 6, stream=True, reuse=9),
    "smallcnn": Case(conv(1, 2, size=3, outputs=3), IMAGE, 5, 4, stream=True, reuse=9),
    "folded4": Case(dense(16, 16, 4), (16,), 8, 6, reuse=4),
    "folded64": Case(dense(32, 16, 4), (32,), 8, 8, reuse=64),
    "foldedsparse": Case(dense(32, 16, 4), (32,), 8, 6, reuse=8, zeros=0.8),
    "streamdense": Case(dense(12, 12, 4), (12,), 8, 6, stream=True),
    "rnn": Case(lambda: Recurrent(nn.RNN(3, 6, batch_first=True), 6, 2), (5, 3), 7, 5, stream=True),
    "lstmsmall": Case(lambda: Recurrent(nn.LSTM(2, 3, batch_first=True), 3, 2), (4, 2), 6, 5, stream=True),
    "rnnunrolled": Case(lambda: Recurrent(nn.RNN(2, 3, batch_first=True), 3, 2), (4, 2), 6, 5),
}


@dataclass(frozen=True)
class Found:
    """Cells that Yosys counts, and cycles that Verilator's simulation takes."""

    lut: int
    ff: int
    dsp: int
    bram: int
    latency: int
    interval: int


Measure = Callable[[Circuit, Family], dict[str, float]]


class Results:
    """What was measured, kept in a file by a digest of sources and family."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}

    def knows(self, sources: Mapping[str, str], family: Family) -> bool:
        """Return True if a design was measured."""
        return self._digest(sources, family) in self._known

    def of(self, made: Circuit, family: Family, limit: float | None = None) -> Found:
        """The cells and cycles of a design; ``limit`` is the seconds that a tool may take."""
        return Found(**{name: int(value) for name, value in self.kept(made, family, partial(_cells, limit)).items()})

    def kept(self, made: Circuit, family: Family, measure: Measure) -> dict[str, float]:
        """What is known of a design, measured if nothing is."""
        digest = self._digest(made.sources, family)
        if digest not in self._known:
            self._known[digest] = measure(made, family)
            self._path.write_text(json.dumps(self._known, indent=1))
        return self._known[digest]

    @staticmethod
    def _digest(sources: Mapping[str, str], family: Family) -> str:
        return hashlib.sha256(json.dumps([family.name, sorted(sources.items())]).encode()).hexdigest()[:24]


def _cells(limit: float | None, made: Circuit, family: Family) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in made.sources]
        for path in paths:
            path.write_text(made.sources[path.name])
        cycles = execute(made.simulation(paths, random_stimuli(made.program, _FRAMES)), Path(folder), timeout=limit)
        found = synthesize(Path(folder), made.top, paths, family, timeout=limit)
    return asdict(Found(found.lut, found.ff, found.dsp, found.bram, cycles.latency, cycles.interval))


def expected(model: bitsmith.Model, family: Family) -> tuple[Size, Circuit]:
    """What is expected before the circuit is made, and the circuit."""
    program, target = drop_dead(model.program, keep_probes=False), model.target
    budget = family.delays.budget(target.clock_period_ns, target.clock_uncertainty * target.clock_period_ns)
    size = estimate_layout(program, model.directives, family, budget)
    return size, circuit(program, model.directives, family.delays, budget, "net", Title("benchmark", ""))


def measured(case: Case, family: Family, results: Results) -> tuple[Found, Size, int]:
    """What was measured, and what was expected: the size, and the latency."""
    with tempfile.TemporaryDirectory() as folder:
        size, made = expected(case.model(PARTS[family.name], folder), family)
    return results.of(made, family), size, made.cycles[0]


def ratio(expected: int, found: int) -> float:
    """An estimate as a multiple of what there is; of few cells that of a few more."""
    few = max(_FEW - found, 0)
    return (expected + few) / (found + few)


@dataclass(frozen=True)
class Row:
    """A network on a family."""

    name: str
    family: str
    found: Found
    expected: Size
    latency: int

    @property
    def ratios(self) -> tuple[float, float]:
        """Look-up tables and flip-flops."""
        return ratio(self.expected.lut, self.found.lut), ratio(self.expected.ff, self.found.ff)

    @property
    def exact(self) -> bool:
        """Return True if blocks and cycles are as expected."""
        expected, found = self.expected, self.found
        cycles = (self.latency, expected.interval) == (found.latency, found.interval)
        return cycles and (expected.dsp, expected.bram) == (found.dsp, found.bram)

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        found, lut, ff = self.found, *self.ratios
        blocks = f"{found.dsp} / {found.bram}, {found.latency} / {found.interval}"
        expected = self.expected
        said = "" if self.exact else f" not {expected.dsp} / {expected.bram}, {self.latency} / {expected.interval}"
        return self.name, f"{found.lut:,}", f"{lut:.2f}", f"{found.ff:,}", f"{ff:.2f}", blocks + said


def summary(rows: Sequence[Row]) -> tuple[bool, str]:
    """Return True if estimates are as near as is promised, and how near they are."""
    offs = [[abs(row.ratios[k] - 1) for row in rows] for k in range(2)]
    lut, worst, ff = statistics.median(offs[0]), max(offs[0]), statistics.median(offs[1])
    inexact = sum(not row.exact for row in rows)
    said = f"LUT {lut:.1%} off in the median, {worst:.0%} at worst; FF {ff:.1%}, {max(offs[1]):.0%}"
    said += f"; blocks or cycles of {inexact} differ"
    return lut <= MEDIAN and worst <= WORST and ff <= MEDIAN and not inexact, said


def main() -> None:
    """Print a table per family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NETWORKS))
    parser.add_argument("--family", default="both", choices=[*(family.name for family in FAMILIES), "both"])
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "bitsmith-measured.json")
    parser.add_argument("--limits", action="store_true")
    given = parser.parse_args()
    results, kept, names = Results(given.results), True, given.names or NETWORKS
    for family in FAMILIES:
        if given.family not in (family.name, "both"):
            continue
        rows = []
        for name in names:
            rows.append(Row(name, family.name, *measured(NETWORKS[name], family, results)))
            print(family.name, *rows[-1].cells(), sep="  ", file=sys.stderr, flush=True)
        near, said = summary(rows)
        kept = kept and near
        table = Table(
            "network", "LUT", "estimate", "FF", "estimate", "DSP / BRAM, cycles", title=family.name, caption=said
        )
        for row in rows:
            table.add_row(*row.cells())
        Console(width=110).print(table)
    sys.exit(int(given.limits and not kept))


if __name__ == "__main__":
    main()
