"""Large networks whose layers take turns on rows of multipliers, with weights from memory: the plan for a few parts.

``networks_in_turn.py [NAME[:PART,PART...]...]``. Weights are random, the same each time, of the magnitudes of trained ones (He);
normalizations have the statistics that smooth images show, as after training. Each network is converted at 8 bits, once, in a
process of its own. Printed are the circuit, cycles and frames in a second of the plan, or what the part lacks; the error of the
outputs beside the framework's (rms, of their spread); processor time, and memory.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import large_networks
import numpy as np

import bitsmith
from bitsmith.config.weight_memory import read_weight_memory
from bitsmith.devices.parts import part_or_typical
from bitsmith.model.estimates import Estimate
from bitsmith.model.model import Model


@dataclass(frozen=True, slots=True)
class Board:
    """A part, a clock that such circuits meet there, and the memory beside it."""

    part: str
    clock_ns: float
    memory: str


BOARDS = {
    "xc7z020": Board("xc7z020clg400-1", 10, "32 bits, 1066 MHz, 200 ns, 75 %"),
    "xczu7ev": Board("xczu7ev-ffvc1156-2-e", 5, "64 bits, 2400 MHz, 200 ns, 75 %"),
    "xczu9eg": Board("xczu9eg-ffvb1156-2-e", 5, "128 bits, 2400 MHz, 200 ns, 75 %"),
    "xcu50": Board("xcu50-fsvh2104-2-e", 5, "256 bits, 1800 MHz, 200 ns, 75 %"),
    "xcu250": Board("xcu250-figd2104-2l-e", 5, "256 bits, 2400 MHz, 200 ns, 75 %"),
}
"""DDR3 of 32 bits, DDR4 of 64, of two channels, four of the 32 channels of HBM2, and DDR4 of four channels.

UG1393 2021.2, "HBM Configuration and Use", has the last two: 14.375 GB/s for each channel of HBM, 77 GB/s for cards with DDR4.
"""

NETWORKS: dict[str, tuple[Callable[[], keras.Model], int]] = {
    "bert": (lambda: large_networks.bert(32, 128, 2, 2), 2048),
    "vit": (lambda: large_networks.vit(32, 4, 64, 4, 4), 1024),
    "u-net": (lambda: large_networks.u_net(256, 16), 1024),
    "resnet-18": (large_networks.resnet18, 430),
    "mobilenet-v2": (large_networks.mobilenet_v2, 172),
    "efficientnet-lite0": (large_networks.efficientnet_lite0, 172),
    "resnet-50": (lambda: keras.applications.ResNet50(weights=None, classifier_activation=None), 900),
}
"""Networks and the reuse factors that ask for as many multipliers as they keep busy."""


def settled(model: keras.Model, images: np.ndarray) -> keras.Model:
    """``model`` with weights as after training, as far as scales go."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        for weight in layer.weights:
            shape = weight.shape
            fan = int(np.prod(shape[:2] if isinstance(layer, keras.layers.DepthwiseConv2D) else shape[:-1]))
            drawn = {
                "kernel": lambda shape=shape, fan=fan: rng.normal(0, np.sqrt(2 / fan), shape),
                "gamma": lambda shape=shape: rng.uniform(0.3, 1.5, shape),
                "beta": lambda shape=shape: rng.normal(0, 0.3, shape),
                "bias": lambda shape=shape: rng.normal(0, 0.1, shape),
            }.get(weight.name)
            if drawn is not None:
                weight.assign(drawn())
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images, training=True)
    return model


def samples(shape: tuple[int, ...]) -> np.ndarray:
    """Smooth images, or tokens of an embedding."""
    if len(shape) == 3:
        return large_networks.images(shape)
    return np.random.default_rng(0).normal(0, 1, (large_networks.IMAGES, *shape)).astype(np.float32)


def planned(name: str, boards: Sequence[str]) -> None:
    """Print the rows of a network."""
    warnings.simplefilter("ignore")
    keras.utils.set_random_seed(0)
    build, reuse = NETWORKS[name]
    model = build()
    x = samples(model.input_shape[1:])
    settled(model, x)
    start, first = time.process_time(), BOARDS[boards[0]]
    with tempfile.TemporaryDirectory() as folder:
        made = bitsmith.convert(
            model,
            folder,
            calibration=x,
            bits=8,
            io_type="io_stream",
            strategy="shared",
            reuse_factor=reuse,
            part=first.part,
            clock_period=first.clock_ns,
            weight_memory=first.memory,
        )
    converting = time.process_time() - start
    wanted = np.asarray(model(x))
    error = np.sqrt(np.mean((made.predict(x).reshape(wanted.shape) - wanted) ** 2)) / wanted.std()
    print(f"{name}: {converting:.0f} s to convert, rms error of outputs {error:.1%}", flush=True)
    for each in boards:
        board, start = BOARDS[each], time.process_time()
        memory = read_weight_memory(board.memory, "the table of boards")
        target = replace(made.target, part=board.part, clock_period_ns=board.clock_ns, weight_memory=memory)
        told = Model(made.network, made.program, target).estimate()
        figures = large_networks.figures(told.size, told.interval, board.clock_ns)
        busy = ", ".join(f"{engine.multipliers} multipliers {engine.busy:.1%} busy" for engine in told.fetched)
        seconds = converting + time.process_time() - start
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{name} on {each}: {lacking(told, board)}; {figures}; {busy}; {seconds:.0f} s, {megabytes:,} MB",
            flush=True,
        )


def lacking(told: Estimate, board: Board) -> str:
    """What the part has too little of."""
    part, size = part_or_typical(board.part), told.size
    of = {"LUT": (size.lut, part.luts), "DSP": (size.dsp, part.dsps), "BRAM": (size.bram, part.brams)}
    found = [f"{needed:,} of {has:,} {name}" for name, (needed, has) in of.items() if needed > has]
    return "fits" if told.fits else f"does not fit: {', '.join(found) or 'no room for routing'}"


def main() -> None:
    """Print the rows."""
    names = sys.argv[1:] or [*NETWORKS]
    if len(names) == 1:
        name, _, boards = names[0].partition(":")
        planned(name, boards.split(",") if boards else [*BOARDS])
        return
    for name in names:
        subprocess.run([sys.executable, __file__, name], check=False)


if __name__ == "__main__":
    main()
