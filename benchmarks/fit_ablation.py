"""What each part of the search of `bitsmith.fit` brings: look-up tables by estimate, and seconds, without some of its dials.

Run `python benchmarks/fit_ablation.py digits lstm`, or without names for all networks of `fits.py`. No part is an option of
bitsmith: each is taken out of its module for the measurement.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import torch
from fits import CASES, LOSS, PART, Case, accuracy, trained
from rich.console import Console

import bitsmith
from bitsmith.compiler import Source
from bitsmith.errors import BitsmithError, BitsmithWarning
from bitsmith.model import descent
from bitsmith.passes.network.sensitivity import Sensitivity

_ALL = frozenset({"weight", "result", "price", "table"})

WAYS: dict[str, tuple[bool, bool, frozenset[str]]] = {
    "the same bits in all layers": (False, True, frozenset()),
    "and weights of few digits": (True, True, frozenset()),
    "bits layer by layer, of weights alone": (False, True, frozenset({"weight"})),
    "of weights and results": (False, True, frozenset({"weight", "result"})),
    "and weights of few digits, layer by layer": (True, True, _ALL - {"table"}),
    "and small tables: all": (True, True, _ALL),
    "all, but errors of weights count as their own layer shows them": (True, False, _ALL),
}
"""Whether digits have a price in networks whose layers are alike, whether errors count as outputs show them, and the dials of
single layers."""


def row(case: Case, way: str, tries: int) -> str:
    """Look-up tables, the loss on samples that nobody saw, networks and seconds."""
    x, labels = case.samples()
    net = trained(case, x[: case.trained_on], labels[: case.trained_on])
    chosen, unseen = np.array_split(np.arange(case.trained_on, len(x)), 2)
    priced, shown, dials = WAYS[way]
    ladder = descent._LADDER if priced else tuple(dict.fromkeys(replace(each, price=0) for each in descent._LADDER))
    every = descent._open_dials

    def some(source: Source) -> Iterator[tuple[str, str]]:
        return (each for each in every(source) if each[1] in dials)

    begun, at = time.process_time(), Sensitivity.at if shown else Sensitivity.own
    with (
        patch.object(descent, "_LADDER", ladder),
        patch.object(descent, "_open_dials", some),
        patch.object(Sensitivity, "at", at),
    ):
        goal = bitsmith.Goal(metric="accuracy", loss=LOSS, part=PART)
        found = bitsmith.fit(net, (x[chosen], labels[chosen]), goal, example=x[:1], tries=tries)
    seconds = time.process_time() - begun
    try:
        model = found.model
    except BitsmithError as error:
        return str(error)
    with torch.no_grad():
        lost = accuracy(net(torch.from_numpy(x[unseen])).numpy(), labels[unseen])
    lost -= accuracy(model.predict(x[unseen]), labels[unseen])
    return f"{found.best().size.lut:,} LUT, {lost:.2%} on others, {found.tried} networks, {seconds:.0f} s"


def main() -> None:
    """Print a line for each network and way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(CASES), choices=CASES)
    parser.add_argument("--tries", type=int, default=150, help="most networks that are tried")
    given = parser.parse_args()
    warnings.simplefilter("ignore", BitsmithWarning)
    console = Console(width=140)
    for name in given.names:
        for way in WAYS:
            console.print(f"{CASES[name].name}: {way}: {row(CASES[name], way, given.tries)}")


if __name__ == "__main__":
    main()
