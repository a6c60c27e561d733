"""Estimates of random networks, which no figure of a family was fitted to, beside what Yosys and Verilator find.

``random_estimates.py [NAME...] [--number N] [--seed K] [--later] [--seconds S] [--limit S] [--most LUTS] [--results FILE]
[--table FILE]``.
Networks of many kinds for all families are drawn for a seed, converted, estimated, synthesized and simulated, in the order in
which they are drawn, until the seconds are over: what was measured is kept, so that the next run goes on. Those of more than
``LUTS`` look-up tables by estimate are left out, and those that a tool works on for longer than the limit. The table gets a line
for each network that was measured. With names (``KIND-SEED.PLACE``) only these are. ``--later``
draws the kinds that were added later.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from drawn import KINDS, LATER, Drawn, drawn
from estimates import Found, Results, expected, ratio
from rich.console import Console
from rich.table import Table
from tests.devices.listed import family_named

from bitsmith.building.design import Circuit
from bitsmith.errors import BitsmithError, ToolFailedError
from bitsmith.estimate.figures import Size

RESULTS = Path(__file__).with_suffix(".tsv")


@dataclass(frozen=True)
class Line:
    """A network in the table: cells that Yosys counts, cycles that a simulation takes, and those that were expected."""

    name: str
    family: str
    lut: int
    expected_lut: int
    ff: int
    expected_ff: int
    dsp: int
    expected_dsp: int
    bram: int
    expected_bram: int
    latency: int
    expected_latency: int
    interval: int
    expected_interval: int
    network: str

    @classmethod
    def of(cls, name: str, network: Drawn, found: Found, size: Size, latency: int) -> Line:
        """The line of a network that was measured."""
        lut, ff, blocks = (found.lut, size.lut), (found.ff, size.ff), (found.dsp, size.dsp, found.bram, size.bram)
        cycles = found.latency, latency, found.interval, size.interval
        return cls(name, network.family, *lut, *ff, *blocks, *cycles, network.words)

    @property
    def ratios(self) -> tuple[float, float]:
        """Estimates of look-up tables and flip-flops, of what was counted."""
        return ratio(self.expected_lut, self.lut), ratio(self.expected_ff, self.ff)

    @property
    def exact(self) -> bool:
        """Return True if blocks are as expected."""
        return (self.dsp, self.bram) == (self.expected_dsp, self.expected_bram)

    @property
    def punctual(self) -> bool:
        """Return True if cycles are as expected."""
        return (self.latency, self.interval) == (self.expected_latency, self.expected_interval)


def read(path: Path) -> dict[str, Line]:
    """The lines of a table by name."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    numbers = [field.type == "int" for field in fields(Line)]
    lines = (Line(*(int(cell) if number else cell for cell, number in zip(row, numbers, strict=True))) for row in rows)
    return {line.name: line for line in lines}


def write(path: Path, lines: dict[str, Line]) -> None:
    """Write a table, sorted by name."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(field.name for field in fields(Line))
        writer.writerows(astuple(lines[name]) for name in sorted(lines))


def made(networks: dict[str, Drawn]) -> Iterator[tuple[str, Size, Circuit]]:
    """Estimates and circuits of networks."""
    for name, network in networks.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                size, circuit = expected(network.convert(Path(folder) / "made"), family_named(network.family))
            except BitsmithError as error:
                print(f"{name} on {network.family}: {error}", file=sys.stderr)
                continue
        yield name, size, circuit


def shown(lines: Sequence[Line]) -> Table:
    """Errors by family, and of all."""
    table = Table(
        "family",
        "networks",
        "LUT: median",
        "off by more than a quarter",
        "least, most",
        "FF",
        "least, most",
        "blocks differ",
        "cycles differ",
    )
    for family in [*sorted({line.family for line in lines}), "all"]:
        kept = [line for line in lines if family in (line.family, "all")]
        luts, ffs = zip(*(line.ratios for line in kept), strict=True)
        medians = [statistics.median(abs(one - 1) for one in ratios) for ratios in (luts, ffs)]
        table.add_row(
            family,
            str(len(kept)),
            f"{medians[0]:.1%}",
            str(sum(abs(one - 1) > 0.25 for one in luts)),
            f"{min(luts):.2f}, {max(luts):.2f}",
            f"{medians[1]:.1%}",
            f"{min(ffs):.2f}, {max(ffs):.2f}",
            str(sum(not line.exact for line in kept)),
            str(sum(not line.punctual for line in kept)),
        )
    return table


def main() -> None:
    """Count networks, write their lines, and print errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=56)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--later", action="store_true")
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--limit", type=float, default=600.0)
    parser.add_argument("--most", type=int, default=6000)
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "bitsmith-measured.json")
    parser.add_argument("--table", type=Path, default=RESULTS)
    parser.add_argument("names", nargs="*", metavar="NAME")
    given = parser.parse_args()
    results, start = Results(given.results), time.monotonic()
    chosen = drawn(given.number, given.seed, LATER if given.later else KINDS)
    networks = {name: network for name, network in chosen.items() if name in (given.names or chosen)}
    for name, size, circuit in made(networks):
        family = family_named(networks[name].family)
        late = time.monotonic() - start > given.seconds
        if size.lut > given.most or (late and not results.knows(circuit.sources, family)):
            print(f"{name} on {family.name} is left out: {size.lut} look-up tables", file=sys.stderr)
            continue
        try:
            found, lines = results.of(circuit, family, given.limit), read(given.table)
        except ToolFailedError as error:
            print(f"{name} on {family.name} is left out: {error}", file=sys.stderr)
            continue
        lines[name] = Line.of(name, networks[name], found, size, circuit.cycles[0])
        write(given.table, lines)
        print(name, *lines[name].ratios, lines[name], file=sys.stderr, flush=True)
    lines = read(given.table)
    if kept := [line for name, line in lines.items() if name in networks]:
        Console(width=130).print(shown(kept))


if __name__ == "__main__":
    main()
