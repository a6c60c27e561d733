"""What `bitsmith.fit` saves: its circuits beside the smallest with one format for all numbers of a network.

Two float networks are trained here. Half of the samples that no training saw are for choosing: `fit` splits them as it always
does, and of uniform formats the smallest is taken that loses at most half a percent on all of them. The other half, which
neither sees, tells what both lose. Look-up tables are Yosys's, of circuits that were simulated.

Run `python benchmarks/fits.py`; it takes some minutes. Ends with status 1 where a circuit of `fit` takes more than half of the
uniform one's look-up tables.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

import bitsmith
from bitsmith.errors import BitsmithError, BitsmithWarning
from bitsmith.model import Model

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "train"))

PART, LOSS, MOST_SHARE = "xcvu13p-flga2577-2-e", 0.005, 0.5
BITS, INTEGERS, MODES = range(5, 13), range(2, 8), ("", ",RND,SAT")

Batch = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """A network's widths, and its samples."""

    name: str
    widths: tuple[int, ...]
    samples: Callable[[], tuple[Batch, Labels]]
    trained_on: int


def jets() -> tuple[Batch, Labels]:
    """The samples of the network that ships with the package."""
    from three_layer import generate

    x, labels = generate(14_000)
    return x.astype(np.float32), labels.astype(np.int64)


def digits() -> tuple[Batch, Labels]:
    """Images of 8 by 8 pixels from 0 to 1, in random order."""
    x, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return (x[order] / 16).astype(np.float32), labels[order].astype(np.int64)


CASES = (
    Case("tagger of jets, 16-64-32-32-5", (16, 64, 32, 32, 5), jets, 6_000),
    Case("digits, 64-24-16-10", (64, 24, 16, 10), digits, 1_000),
)


def trained(case: Case, x: Batch, labels: Labels) -> torch.nn.Module:
    """The network after 60 passes over the samples."""
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for size, following in itertools.pairwise(case.widths):
        layers += [torch.nn.Linear(size, following), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1])
    rate = torch.optim.Adam(net.parameters(), lr=3e-3)
    inputs, wanted = torch.from_numpy(x), torch.from_numpy(labels)
    for _ in range(60):
        for rows in torch.randperm(len(x)).split(100):
            rate.zero_grad()
            torch.nn.functional.cross_entropy(net(inputs[rows]), wanted[rows]).backward()
            rate.step()
    return net.eval()


def accuracy(outputs: npt.NDArray[np.generic], labels: Labels) -> float:
    """The share of samples whose greatest output is that of the label."""
    return float(np.mean(np.asarray(outputs, np.float64).argmax(axis=1) == labels))


def uniform(net: torch.nn.Module, x: Batch, labels: Labels, least: float, folder: Path) -> tuple[str, Model]:
    """The format, and the model, with the fewest look-up tables by estimate that reaches an accuracy."""
    found: list[tuple[int, str, Model]] = []
    for bits, integers, modes in itertools.product(BITS, INTEGERS, MODES):
        text = f"fixed<{bits},{integers}{modes}>"
        if integers >= bits:
            continue
        try:
            model = bitsmith.convert(
                net, folder, {"Model": {"Precision": text}}, example=x[:1], part=PART, calibration=x, check=False
            )
        except BitsmithError:
            continue
        if accuracy(model.predict(x), labels) >= least:
            found.append((model.estimate().size.lut, text, model))
    _, text, model = min(found, key=lambda each: each[0])
    return text, model


def rows(case: Case, folder: Path) -> Iterator[tuple[str, int, float]]:
    """The way of choosing, look-up tables by Yosys, and the loss on samples that neither saw: uniform, then fit."""
    x, labels = case.samples()
    net = trained(case, x[: case.trained_on], labels[: case.trained_on])
    chosen, unseen = np.array_split(np.arange(case.trained_on, len(x)), 2)
    with torch.no_grad():
        float_accuracy = {
            part: accuracy(net(torch.from_numpy(x[at])).numpy(), labels[at])
            for part, at in (("chosen", chosen), ("unseen", unseen))
        }
    text, plain = uniform(net, x[chosen], labels[chosen], float_accuracy["chosen"] - LOSS, folder / "uniform")
    goal = bitsmith.Goal(metric="accuracy", loss=LOSS, part=PART)
    fitted = bitsmith.fit(net, (x[chosen], labels[chosen]), goal, example=x[:1]).model
    for way, model in ((text, plain), ("fit", fitted)):
        report = model.build(inputs=x[unseen][:500])
        assert report.section("Verification")["Mismatches"] == 0
        lost = float_accuracy["unseen"] - accuracy(model.predict(x[unseen]), labels[unseen])
        yield way, int(report.section("Resources")["LUT"]), lost


def main() -> None:
    """Measure the cases and print them."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    table = Table("network", "uniform", "LUT", "loss", "fit LUT", "loss", "ratio")
    ratios = []
    warnings.simplefilter("ignore", BitsmithWarning)  # most uniform formats are too narrow, as the accuracy shows
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            (text, before, lost), (_, after, lost_by_fit) = rows(case, Path(folder))
            ratios.append(after / before)
            table.add_row(
                case.name, text, f"{before:,}", f"{lost:.2%}", f"{after:,}", f"{lost_by_fit:.2%}", f"{ratios[-1]:.2f}"
            )
    Console(width=120).print(table)
    sys.exit(max(ratios) > MOST_SHARE)


if __name__ == "__main__":
    main()
