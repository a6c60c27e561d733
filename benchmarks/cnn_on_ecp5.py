"""A convolutional network of 14,000 weights for 32x32x3 images, with the reuse factors that ``explain`` proposes, on an ECP5-85.

Simulates a frame, synthesizes, and with ``--pnr`` places and routes, which takes many minutes. Fails if anything differs or
does not fit.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from convolution import IMAGE, SMALL
from rich.console import Console

import bitsmith
from bitsmith.conversion.explanation import explain

PART = "LFE5U-85F-6BG381C"
CLOCK_NS = 20.0
PRECISION = {"default": "fixed<8,3>", "weight": "fixed<8,1>"}


def main() -> None:
    """Explain, build, and print the report."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        path, weights = SMALL.write(Path(folder))
        console.print(f"{weights:,} weights")
        config: dict[str, object] = {"Model": {"Precision": PRECISION}}
        begun = time.perf_counter()
        told = explain(path, config=config, part=PART, clock_period=CLOCK_NS)
        if told.proposal is None:
            raise SystemExit("nothing is proposed")
        fit = told.proposal.fit
        console.print(f"explained in {time.perf_counter() - begun:.1f} s: {fit.description}, {fit.size}")
        chosen = {name: {"ReuseFactor": factor} for name, factor in fit.reuse.items()}
        model = bitsmith.convert(
            path,
            Path(folder) / "project",
            {**config, "LayerName": chosen},
            part=PART,
            clock_period=CLOCK_NS,
            io_type="io_parallel" if fit.directives.parallel else "io_stream",
        )
        frame = np.random.default_rng(0).uniform(-1.0, 1.0, (1, *IMAGE))
        console.print(model.build(inputs=frame, cosim=True, synth=True, pnr="--pnr" in sys.argv))


if __name__ == "__main__":
    main()
