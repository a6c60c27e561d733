"""What the scenarios share: the command line, figures beside their requirements, and the tables of README and results.

A scenario is a package of this folder with a function ``run(settings) -> list[Figure]``. ``python -m examples.NAME`` runs it
from the root of the source tree, ``make scenario-NAME`` in an environment of its own. All that a run makes is in the output
folder. A whole one says which figures of the pages are stale; with ``--renew`` it replaces them, with ``results.json`` and the
pictures. With ``--quick`` it takes tiny settings.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# Before Keras is imported anywhere: models are trained.
os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_TRAINS_WITH", "jax")

import keras
import matplotlib as mpl
from examples.figures import (
    ESTIMATE,
    EXAMPLES,
    ROUTED,
    SIMULATION,
    SYNTHESIS,
    Figure,
    Floats,
    keep,
    stale,
    table,
    write,
)

import bitsmith

mpl.use("Agg")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a scenario is run: ``folder`` takes projects, ``pictures`` takes what is shown."""

    folder: Path
    pictures: Path
    quick: bool


def main(name: str, run: Callable[[Settings], list[Figure]]) -> None:
    """Run a scenario as the command line says, print its figures, and which of those on the pages are stale."""
    parser = argparse.ArgumentParser(prog=f"python -m examples.{name}", description=f"The scenario {name!r}.")
    parser.add_argument("--quick", action="store_true", help="tiny data and no synthesis: does it run at all?")
    parser.add_argument("--renew", action="store_true", help="replace the figures and pictures of the pages")
    parser.add_argument("--output", type=Path, default=Path("scenario-output") / name, help="where projects go")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    renewed = given.renew and not given.quick
    figures = run(Settings(given.output, EXAMPLES / name if renewed else given.output, given.quick))
    print(table(figures))
    print(f"{time.monotonic() - begun:.0f} seconds")
    write(given.output / "results.json", figures)
    if renewed:
        keep(name, figures)
    elif not given.quick:
        lines = stale(name, figures) or ["The pages state these figures."]
        print("\n".join(lines))


def built(model: bitsmith.Model, inputs: Floats, settings: Settings, *, pnr: bool = True) -> bitsmith.Report:
    """The report of a build: co-simulated on ``inputs``; synthesized, placed and routed unless the run is quick."""
    whole = not settings.quick
    return model.build(inputs=inputs, cosim=True, synth=whole, pnr=pnr and whole)


def squared_error(given: keras.KerasTensor, again: keras.KerasTensor) -> keras.KerasTensor:
    """The sum of the squares of the differences, which a circuit computes as well: the score of an autoencoder."""
    difference = keras.layers.Subtract(name="difference")([given, again])
    square = keras.layers.Multiply(name="square")([difference, difference])
    ones = keras.initializers.Ones()
    return keras.layers.Dense(1, use_bias=False, kernel_initializer=ones, trainable=False, name="error")(square)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is required of a circuit: nanoseconds to the result and between samples; None where nothing is."""

    latency_ns: float | None = None
    interval_ns: float | None = None


def circuit_figures(
    report: bitsmith.Report, period_ns: float, limits: Limits, parts: Mapping[str, int], what: str = ""
) -> list[Figure]:
    """The figures of a build beside the limits and the cells that the part has.

    Times are simulated cycles of the clock that was asked for, or of the slower one that place and route reached.
    """
    made = f"{what}: " if what else ""
    timing, checked, cycles = report.get("Timing"), report["Verification"], report["Latency"]
    if timing is not None:
        period_ns = max(period_ns, 1e3 / timing["FmaxMHz"])
    source = f"{SIMULATION}, {ROUTED}" if timing is not None else f"{SIMULATION}; clock: {ESTIMATE}"
    figures = [
        Figure(f"{made}samples compared bit by bit", checked["Inputs"], "", SIMULATION),
        Figure(f"{made}samples that differ", checked["Mismatches"], "", SIMULATION, 0),
        *_time(f"{made}latency", cycles["Cycles"], period_ns, source, limits.latency_ns),
        *_time(f"{made}time between samples", cycles["II"], period_ns, source, limits.interval_ns),
    ]
    if timing is not None:
        figures.append(Figure(f"{made}fastest clock", timing["FmaxMHz"], "MHz", ROUTED))
    if "Resources" in report:
        cells = report["Resources"]
        figures += [
            Figure(f"{made}{kind}", cells[kind], "", SYNTHESIS, limit) for kind, limit in parts.items() if kind in cells
        ]
    return figures


def _time(name: str, cycles: int, period_ns: float, source: str, limit_ns: float | None) -> list[Figure]:
    """The time of so many cycles, in nanoseconds below a microsecond and in microseconds above."""
    unit, scale = ("ns", 1.0) if (limit_ns or cycles * period_ns) <= 1000 else ("us", 1e3)
    limit = None if limit_ns is None else limit_ns / scale
    return [
        Figure(f"{name}, cycles", cycles, "", SIMULATION),
        Figure(name, round(cycles * period_ns / scale, 2), unit, source, limit),
    ]
