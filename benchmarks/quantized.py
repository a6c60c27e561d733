"""Quantized models as circuits: what Yosys finds for UltraScale+ (LUT, FF, DSP, no block RAM), and cycles from input to output.

Each model is converted with no configuration, simulated against the emulator and synthesized. Give the files; of Keras 2 models
as JSON the weights are found beside them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import bitsmith

PART = "xcvu13p-flga2577-2-e"
COLUMNS = ("Model", "Layers", "LUT", "FF", "DSP", "Cycles", "Mismatches")


def built(path: Path, folder: Path, samples: int) -> tuple[str, ...]:
    """A row of the table."""
    model = bitsmith.convert(path, folder, part=PART, check=False)
    rng = np.random.default_rng(0)
    inputs = [rng.normal(0.0, 1.0, (samples, *op.shape)) for op in model.program.input_ops()]
    report = model.build(inputs=inputs, force=True)
    resources, timing = report.section("Resources"), report.section("Latency")
    layers = len([node for node in model.network.nodes if not node.inner])
    figures = (resources["LUT"], resources["FF"], resources["DSP"], timing["Cycles"])
    return (path.stem, str(layers), *map(str, figures), str(report.section("Verification")["Mismatches"]))


def main() -> None:
    """Build the models that are given and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--samples", type=int, default=200)
    given = parser.parse_args()
    table = Table(*COLUMNS)
    for number, path in enumerate(given.models):
        with tempfile.TemporaryDirectory() as folder:
            table.add_row(*built(path, Path(folder) / str(number), given.samples))
    Console().print(table)


if __name__ == "__main__":
    main()
