"""Three wishes as goals of `bitsmith.fit`: a CNN on an ECP5 and on an iCE40 with the shortest interval, and a tagger in 100 ns.

Prints the verdict of each, what was chosen, and seconds. ``--build`` simulates a sample and synthesizes what was found, and
places and routes it for parts of Lattice. The CNN has 14,000 random weights: it is compared with its float model.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from convolution import IMAGE, SMALL
from fits import CASES, trained
from rich.console import Console

import bitsmith
from bitsmith.errors import BitsmithWarning
from bitsmith.frontends.frameworks import AnyModel

Data = npt.NDArray[np.float64] | tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]


def cnn(folder: Path) -> tuple[AnyModel, Data]:
    """The network, and images to compare it on."""
    path, _ = SMALL.write(folder)
    return path, np.random.default_rng(0).uniform(-1.0, 1.0, (240, *IMAGE))


def tagger(_: Path) -> tuple[AnyModel, Data]:
    """The network, and samples that it was not trained on."""
    case = CASES["tagger"]
    x, labels = case.samples()
    net = trained(case, x[: case.trained_on], labels[: case.trained_on])
    return net, (x[case.trained_on :], labels[case.trained_on :])


@dataclass(frozen=True)
class Wish:
    """A model with its data, a goal, the clock (None: the goal's, or the usual one), tries, and whether it is routed."""

    model: Callable[[Path], tuple[AnyModel, Data]]
    goal: bitsmith.Goal
    clock_ns: float | None
    tries: int
    routed: bool


WISHES: Mapping[str, Wish] = {
    "ecp5": Wish(
        cnn, bitsmith.Goal(metric="error", loss=0.03, part="LFE5U-45F", minimize="interval", fmax=50), 16.0, 60, True
    ),
    "ice40": Wish(
        cnn, bitsmith.Goal(metric="error", loss=0.03, part="iCE40UP5K-SG48", minimize="interval"), None, 60, True
    ),
    "tagger": Wish(
        tagger,
        bitsmith.Goal(metric="accuracy", loss=0.005, part="xcvu13p-flga2577-2-e", latency_ns=100),
        2.5,
        60,
        False,
    ),
}


def told(console: Console, wish: Wish, tries: int | None, resume: Path | None, build: bool) -> None:
    """Fit, print the verdict, and build."""
    with tempfile.TemporaryDirectory() as folder:
        model, data = wish.model(Path(folder))
        begun, worked = time.perf_counter(), time.process_time()
        found = bitsmith.fit(
            model, data, wish.goal, clock_period=wish.clock_ns, tries=tries or wish.tries, resume=resume
        )
        seconds = f"{time.perf_counter() - begun:.0f} s, {time.process_time() - worked:.0f} s of processor time"
        console.print(f"{wish.goal.part}: {seconds}, {found.tried} networks: {found.verdict}")
        if found.chosen is not None:
            console.print(f"interval {found.best().size.interval:,}, {found.chosen.figures}")
        if build:
            inputs = data[0] if isinstance(data, tuple) else data
            with chdir(folder):
                console.print(found.model.build(inputs=inputs[:1], pnr=wish.routed))


def main() -> None:
    """Run the wishes that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[*WISHES], choices=[*WISHES])
    parser.add_argument("--tries", type=int)
    parser.add_argument("--resume", type=Path, help="folder of results, from which a search goes on")
    parser.add_argument("--build", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore", BitsmithWarning)
    for name in given.names:
        resume = None if given.resume is None else given.resume / f"{name}.jsonl"
        told(Console(width=140), WISHES[name], given.tries, resume, given.build)


if __name__ == "__main__":
    main()
