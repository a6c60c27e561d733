"""Clocks that are expected before any tool runs beside those that nextpnr reaches, of random networks on ECP5.

``clocks.py [--number N] [--seed K] [--most LUTS] [--table FILE]``. Networks of all kinds of ``drawn.py`` but those of HGQ2 are
drawn for a seed, in turn, synthesized, placed and routed, unless they have fewer than 150 or more than ``LUTS`` look-up tables by
estimate. The table gets a line for each.
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from drawn import KINDS, PARTS, quiet
from estimates import expected
from tests.flows.runs import netlist, place_and_route, synthesize

from bitsmith.devices import ECP5, resolve_part
from bitsmith.errors import BitsmithError

_LEAST = 150


def draws(number: int, seed: int) -> Iterator[tuple[str, int]]:
    """Kinds of networks in turn, each with a seed of its own."""
    rng, kinds = random.Random(seed), [kind for kind in KINDS if kind not in {"widths", "learned"}]
    for count in range(number):
        yield kinds[count % len(kinds)], rng.randrange(1 << 30)


def clocks(kind: str, seed: int, most: int) -> tuple[int, float, float] | None:
    """Look-up tables by estimate, and the clocks that are expected and reached in MHz; None of other sizes."""
    _, convert = KINDS[kind](random.Random(seed), kind, PARTS["ecp5"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = quiet(convert)(folder / "made")
        size, made = expected(model, ECP5)
        if not _LEAST < size.lut < most:
            return None
        paths = [folder / source for source in made.sources]
        for path in paths:
            path.write_text(made.sources[path.name])
        synthesize(folder, made.top, paths, ECP5)
        target = 1e3 / model.target.clock_period_ns
        reached = place_and_route(folder, netlist(folder), target_mhz=target, part=resolve_part(PARTS["ecp5"]))
        return size.lut, model.estimate().fmax_mhz, reached.fmax_mhz


def main() -> None:
    """Print and write clocks, and how far they are off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=39)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=1500)
    parser.add_argument("--table", type=Path, default=Path(__file__).with_suffix(".tsv"))
    given, lines = parser.parse_args(), list[tuple[str, int, float, float]]()
    for count, (kind, seed) in enumerate(draws(given.number, given.seed)):
        try:
            found = clocks(kind, seed, given.most)
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
