"""Random models of the frameworks, converted with formats of ``auto`` and with wide ones, beside the frameworks' own outputs.

    python benchmarks/fidelity.py [--framework keras|torch|onnx] [--seeds N] [--start K] [--picture errors.png]

The tests run the same models (``tests/fidelity``), this as many as you like; it can be stopped at any time. Ends with status 1
where a model is silently wrong or ends in a traceback, and lists their seeds.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
# The same numbers as of the other backends, without compiling each shape: a tenth of the time.
os.environ.setdefault("KERAS_BACKEND", "numpy")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

from tests.fidelity.comparison import Outcome, Result, compared

FRAMEWORKS = {name: f"tests.fidelity.random_{name}" for name in ("keras", "torch", "onnx")}
CONVERSIONS = {"auto": False, "wide": True}
BAD = (Outcome.WRONG, Outcome.CRASHED)
QUANTILES = (0.5, 0.9, 0.99, 1.0)


@dataclass
class Tally:
    """What became of the models of one framework in one kind of conversion."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    errors: list[float] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)

    def add(self, seed: int, result: Result) -> None:
        self.outcomes[result.outcome] += 1
        if result.outcome is Outcome.REFUSED:
            # Names and numbers differ from model to model.
            self.reasons[re.sub(r"'[^']*'|\d[\d.e+-]*", "…", result.found.splitlines()[0])] += 1
        if result.outcome in BAD:
            self.bad.append((seed, result.found.strip().splitlines()[-1]))
        if not math.isnan(result.error):
            self.errors.append(result.error)


Tallies = dict[tuple[str, str], Tally]


def outcomes(framework: str, seed: int) -> dict[str, Result]:
    """The results of one model, by the kind of conversion."""
    case = importlib.import_module(FRAMEWORKS[framework]).case(seed)
    return {name: compared(case, wide=wide) for name, wide in CONVERSIONS.items()}


def run(console: Console, frameworks: Sequence[str], seeds: range) -> Tallies:
    """All models, in as many processes as there are processors; what is done so far if the user stops it."""
    tallies: Tallies = {(framework, name): Tally() for framework in frameworks for name in CONVERSIONS}
    # Frameworks that compile keep threads, which do not survive a fork.
    pool = ProcessPoolExecutor(mp_context=get_context("spawn"))
    with Progress(console=console) as progress:
        task = progress.add_task("models", total=len(frameworks) * len(seeds))
        try:
            jobs = {pool.submit(outcomes, one, seed): (one, seed) for seed in seeds for one in frameworks}
            for job, (framework, seed) in _done(jobs):
                progress.advance(task)
                for name, result in job.result().items():
                    tallies[framework, name].add(seed, result)
        except KeyboardInterrupt:
            console.print("Stopped.")
        finally:
            pool.shutdown(cancel_futures=True)
    return tallies


def _done(
    jobs: dict[Future[dict[str, Result]], tuple[str, int]],
) -> Iterator[tuple[Future[dict[str, Result]], tuple[str, int]]]:
    for job in as_completed(jobs):
        yield job, jobs[job]


def show(console: Console, tallies: Tallies) -> None:
    """Counts and quantiles of errors, refusals by reason, and what is wrong."""
    table = Table("models", *(f"{framework}, {name}" for framework, name in tallies))
    for outcome in Outcome:
        table.add_row(outcome.value, *(str(tally.outcomes[outcome]) for tally in tallies.values()))
    for share in QUANTILES:
        errors = (np.quantile(tally.errors, share) if tally.errors else math.nan for tally in tallies.values())
        table.add_row(f"error of {share:.0%}", *(f"{error:.1e}" for error in errors))
    console.print(table)
    console.print("An error is the greatest difference, as a share of an output's greatest magnitude.")
    for (framework, name), tally in tallies.items():
        for reason, count in tally.reasons.most_common():
            console.print(f"{framework}, {name}: refused {count}: {reason}", markup=False)
        for seed, found in sorted(tally.bad):
            console.print(f"{framework}, {name}, seed {seed}: {found}", markup=False)


def draw(tallies: Tallies, path: Path) -> None:
    """A histogram of the errors for each framework."""
    from matplotlib.figure import Figure

    frameworks = list(dict.fromkeys(framework for framework, _ in tallies))
    figure = Figure(figsize=(5 * len(frameworks), 3.5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(frameworks), sharey=True))
    bins = np.arange(-9.0, 1.5, 0.5)
    for axis, framework in zip(axes, frameworks, strict=True):
        for name in CONVERSIONS:
            errors = np.array(tallies[framework, name].errors)
            axis.hist(np.log10(np.clip(errors, 1e-9, 10.0)), bins, alpha=0.6, label=name)
        axis.set(title=framework, xlabel="log10 of the greatest error of a model, as a share of magnitude")
    axes[0].set_ylabel("models")
    axes[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--framework", choices=tuple(FRAMEWORKS), action="append", help="by default all")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    console = Console()
    tallies = run(console, given.framework or tuple(FRAMEWORKS), range(given.start, given.start + given.seeds))
    show(console, tallies)
    if given.picture:
        draw(tallies, given.picture)
    return int(any(tally.bad for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
