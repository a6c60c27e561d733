"""A picture of the area of single layers over the reuse factor, down to one multiplier.

``area_by_reuse.py [PICTURE] [--synth]``. Layers of Keras with fixed random weights, 8 bits, ``io_stream``, for ECP5. Lines are
estimates; dots, with ``--synth``, are what Yosys makes of it. Area is in look-up tables, a multiplier block counted as the
72 look-up tables of a product of 8 by 8 bits. Ends with 1 if the estimated area of a layer ever grows by more than 2 %.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import matplotlib as mpl
import numpy as np
from folding import Case, measured
from keras import layers
from rich.console import Console
from rich.table import Table

import bitsmith
from bitsmith.devices.ecp5 import ECP5
from bitsmith.estimate.size import estimate_layout
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.passes.program import drop_dead

mpl.use("Agg")

import matplotlib.pyplot as plt

REUSE = (1, 4, 16, 64, 256, 1024, 4096)
PRODUCT_LUTS = 8 * 9
TOLERANCE = 1.02

LAYERS: Mapping[str, tuple[tuple[int, ...], Callable[[], list[layers.Layer]]]] = {
    "dense, 128 to 8": ((16, 8), lambda: [layers.Flatten(), layers.Dense(8, activation="relu")]),
    "convolution, 3x3, 8 to 8": ((16, 16, 8), lambda: [layers.Conv2D(8, 3, padding="same", activation="relu")]),
    "depthwise, 3x3, 16": ((16, 16, 16), lambda: [layers.DepthwiseConv2D(3, padding="same", activation="relu")]),
    "recurrent, 8 to 8": ((16, 8), lambda: [layers.SimpleRNN(8)]),
}


def program_of(name: str) -> Program:
    """The core program of a layer, with ranges of results from normally distributed inputs."""
    warnings.simplefilter("ignore")
    keras.utils.set_random_seed(0)
    shape, made = LAYERS[name]
    data = np.random.default_rng(0).standard_normal((64, *shape))
    with tempfile.TemporaryDirectory() as folder:
        network = keras.Sequential([keras.Input(shape), *made()])
        model = bitsmith.convert(
            network, Path(folder) / "project", io_type="io_stream", bits=8, calibration=data, check=False
        )
    return drop_dead(model.program, keep_probes=False)


def main() -> None:
    """Draw the picture, and print the figures."""
    synth, paths = "--synth" in sys.argv, [given for given in sys.argv[1:] if not given.startswith("--")]
    table = Table(
        "layer", "R", "LUT", "FF", "DSP", "BRAM", "area", *(("Yosys LUT", "FF", "DSP", "BRAM", "area") * synth)
    )
    figure, (luts, registers) = plt.subplots(1, 2, figsize=(9, 4), sharex=True)
    failed = False
    for number, name in enumerate(LAYERS):
        program, areas = program_of(name), []
        named = {node.layer for node in program.nodes}
        for reuse in REUSE:
            styles = dict.fromkeys(named, MultiplierStyle.CHEAPEST)
            size = estimate_layout(program, Directives(dict.fromkeys(named, reuse), False, styles), ECP5)
            areas.append((size.lut + PRODUCT_LUTS * size.dsp, size.ff))
            told = [f"{each:,}" for each in (size.lut, size.ff, size.dsp, size.bram, areas[-1][0])]
            if synth:
                found = measured(
                    Case(program, False, REUSE, PRODUCT_LUTS), reuse, 1, MultiplierStyle.CHEAPEST, ECP5, simulate=False
                ).found
                area = found.lut + PRODUCT_LUTS * found.dsp
                told += [f"{each:,}" for each in (found.lut, found.ff, found.dsp, found.bram, area)]
                luts.plot(reuse, area, "o", color=f"C{number}")
                registers.plot(reuse, found.ff, "o", color=f"C{number}")
            table.add_row(name, str(reuse), *told)
        failed |= any(after > TOLERANCE * before for (before, _), (after, _) in pairwise(areas))
        luts.plot(REUSE, [area for area, _ in areas], color=f"C{number}", label=name)
        registers.plot(REUSE, [ffs for _, ffs in areas], color=f"C{number}")
    Console(width=130).print(table)
    for axes, title in ((luts, "look-up tables, 72 for a multiplier block"), (registers, "flip-flops")):
        axes.set(xscale="log", yscale="log", xlabel="reuse factor", title=title)
        axes.set_xticks(REUSE, [str(reuse) for reuse in REUSE])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    luts.legend(fontsize="small")
    figure.tight_layout()
    for path in paths:
        figure.savefig(path)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
