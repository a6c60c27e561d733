"""Clocks that are expected before any tool runs beside those that nextpnr reaches, of random networks on ECP5.

``clocks.py [--number N] [--seed K] [--seconds S] [--most LUTS] [--results FILE] [--table FILE]``. Networks of all kinds of
``drawn.py`` but those of HGQ2 are drawn for a seed, in turn, synthesized, placed and routed until the seconds are over, unless
they have fewer than 150 or more than ``LUTS`` look-up tables by estimate. What was routed is kept: the next run goes on. The
table gets a line for each.
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from drawn import KINDS, PARTS, quiet
from estimates import Results, expected
from tests.flows.runs import netlist, place_and_route, synthesize

from bitsmith.building.design import Circuit
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.parts import resolve_part
from bitsmith.errors import BitsmithError

_LEAST = 150


def draws(number: int, seed: int) -> Iterator[tuple[str, int]]:
    """Kinds of networks in turn, each with a seed of its own."""
    rng, kinds = random.Random(seed), [kind for kind in KINDS if kind not in {"widths", "learned"}]
    for count in range(number):
        yield kinds[count % len(kinds)], rng.randrange(1 << 30)


def clocks(kind: str, seed: int, most: int, results: Results, until: float) -> tuple[int, float, float] | None:
    """Look-up tables by estimate, and the clocks that are expected and reached in MHz; None of other sizes, or ``until`` then."""
    _, convert = KINDS[kind](random.Random(seed), kind, PARTS["ecp5"])
    with tempfile.TemporaryDirectory() as name:
        model = quiet(convert)(Path(name) / "made")
        size, made = expected(model, ECP5)
        if not _LEAST < size.lut < most or (time.monotonic() > until and not results.knows(made.sources, ECP5)):
            return None
        return size.lut, model.estimate().fmax_mhz, results.kept(made, ECP5, _routed)["mhz"]


def _routed(made: Circuit, family: Family) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / source for source in made.sources]
        for path in paths:
            path.write_text(made.sources[path.name])
        synthesize(folder, made.top, paths, family)
        target, part = 1e3 / family.clock_period_ns, resolve_part(PARTS[family.name])
        return {"mhz": place_and_route(folder, netlist(folder), target_mhz=target, part=part).fmax_mhz}


def main() -> None:
    """Print and write clocks, and how far they are off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=39)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--most", type=int, default=1500)
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "bitsmith-clocks.json")
    parser.add_argument("--table", type=Path, default=Path(__file__).with_suffix(".tsv"))
    given, lines = parser.parse_args(), list[tuple[str, int, float, float]]()
    results, until = Results(given.results), time.monotonic() + given.seconds
    for count, (kind, seed) in enumerate(draws(given.number, given.seed)):
        try:
            found = clocks(kind, seed, given.most, results, until)
        except BitsmithError as error:
            print(f"{kind}: {error}")
            continue
        if found is not None:
            lines.append((f"{kind}-{given.seed}.{count}", *found))
            print(*lines[-1], flush=True)
    with given.table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(("name", "lut", "expected_mhz", "mhz"))
        writer.writerows((name, lut, round(mhz, 1), round(reached, 1)) for name, lut, mhz, reached in lines)
    offs = [abs(mhz / reached - 1) for _, _, mhz, reached in lines]
    print(f"{len(offs)} circuits, off by {statistics.median(offs):.1%} in the median, {max(offs):.0%} at worst")


if __name__ == "__main__":
    main()
