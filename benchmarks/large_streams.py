"""What it takes to estimate and to lay out large networks in tokens: seconds of processor time and memory, with their limits.

``large_streams.py [--build] [NAME:R...]``. A ResNet of 0.95 million weights, and the four networks of MLPerf Tiny, with random
weights, at 8 bits and the reuse factor R, each in a process of its own. With ``--build``, the seconds to verified SystemVerilog
instead, by default of that ResNet at 1024. Ends with 1 if a limit is passed.
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
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from keras import layers
from rich.console import Console
from rich.table import Table

import bitsmith
from bitsmith.building.design import circuit
from bitsmith.devices.parts import resolve_part
from bitsmith.estimate.size import estimate_layout
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.writer import Title

MEGABYTES = 1000
"""Of each process, libraries included."""

BUILT = 600
"""Seconds of processor time, of tools as well, from a file to a circuit that was compared with the emulator: most of it is one
process, so that it takes nearly as long."""


@dataclass(frozen=True, slots=True)
class Case:
    """A network; the most seconds from its file to the estimate, and from there to the circuit's text."""

    build: Callable[[], keras.Model]
    estimated: float
    laid_out: float


def convolved(
    x: keras.KerasTensor, filters: int, size: int, stride: int = 1, *, relu: bool = True
) -> keras.KerasTensor:
    """A convolution with what usually follows."""
    x = layers.BatchNormalization()(layers.Conv2D(filters, size, strides=stride, padding="same")(x))
    return layers.ReLU()(x) if relu else x


def separable(x: keras.KerasTensor, filters: int, stride: int = 1) -> keras.KerasTensor:
    """A convolution per channel, and one of single positions."""
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, strides=stride, padding="same")(x))
    return convolved(layers.ReLU()(x), filters, 1)


def classified(x: keras.KerasTensor, pool: int | tuple[int, int], classes: int) -> keras.KerasTensor:
    """The end of a network for images."""
    return layers.Dense(classes)(layers.Flatten()(layers.AveragePooling2D(pool)(x)))


def resnet(filters: tuple[int, int, int]) -> keras.Model:
    """ResNet-8: three blocks of two convolutions around which the operand passes."""
    image = keras.Input((32, 32, 3))
    x = convolved(image, filters[0], 3)
    for number, stride in zip(filters, (1, 2, 2), strict=True):
        y = convolved(convolved(x, number, 3, stride), number, 3, relu=False)
        passed = layers.Conv2D(number, 1, strides=stride, padding="same")(x) if stride > 1 else x
        x = layers.ReLU()(layers.Add()([passed, y]))
    return keras.Model(image, classified(x, 8, 10))


def ds_cnn() -> keras.Model:
    """For keywords."""
    sound = keras.Input((49, 10, 1))
    x = convolved(sound, 64, (10, 4), 2)
    for _ in range(4):
        x = separable(x, 64)
    return keras.Model(sound, classified(x, (25, 5), 12))


def mobilenet() -> keras.Model:
    """MobileNetV1 of a quarter of the width."""
    image = keras.Input((96, 96, 3))
    x = convolved(image, 8, 3, 2)
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    for number, stride in zip((16, 32, 32, 64, 64, *[128] * 6, 256, 256), strides, strict=True):
        x = separable(x, number, stride)
    return keras.Model(image, classified(x, 3, 2))


def autoencoder() -> keras.Model:
    """For sounds of machines."""
    x = features = keras.Input((640,))
    for units in (*[128] * 4, 8, *[128] * 4):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(units)(x)))
    return keras.Model(features, layers.Dense(640)(x))


CASES = {
    "resnet-1M": Case(lambda: resnet((56, 112, 224)), 10, 20),
    "resnet-8": Case(lambda: resnet((16, 32, 64)), 10, 20),
    "ds-cnn": Case(ds_cnn, 10, 20),
    "mobilenet": Case(mobilenet, 30, 20),
    "autoencoder": Case(autoencoder, 10, 20),
}
DEFAULT = [f"{name}:{reuse}" for name in CASES for reuse in (64, 1024, 4096)]


def saved(name: str, folder: Path) -> Path:
    """The file of a network."""
    warnings.simplefilter("ignore")
    keras.utils.set_random_seed(0)
    path = folder / "model.keras"
    CASES[name].build().save(path)
    return path


def converted(path: Path, name: str, reuse: int) -> bitsmith.Model:
    """The model of a file."""
    io_type = "io_parallel" if name == "autoencoder" else "io_stream"
    settings = {"Model": {"ReuseFactor": reuse, "Strategy": "resource"}}
    return bitsmith.convert(path, path.parent / "project", settings, io_type=io_type, bits=8)


def measure(name: str, reuse: int) -> None:
    """Print the seconds of both parts and the megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = saved(name, Path(folder))
        start = time.process_time()
        found = converted(path, name, reuse)
    family, program = resolve_part(found.target.part).family, drop_dead(found.program, keep_probes=False)
    estimate_layout(program, found.directives, family)
    estimated = time.process_time()
    budget = family.delays.budget(found.target.clock_period_ns, 0.0)
    circuit(program, found.directives, family.delays, budget, "top", Title("", ""))
    print(
        estimated - start, time.process_time() - estimated, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    )


def build(name: str, reuse: int) -> None:
    """Print the seconds of a whole build."""
    with tempfile.TemporaryDirectory() as folder:
        path = saved(name, Path(folder))
        begun, start = sum(os.times()[:4]), time.monotonic()
        converted(path, name, reuse).build(synth=False, force=True)
        print(sum(os.times()[:4]) - begun, time.monotonic() - start)


def show_builds(cases: Sequence[str]) -> None:
    """Print the table of whole builds."""
    table = Table("network", "R", "processor time: s", "limit", "elapsed: s")
    failed = False
    for given in cases:
        name, reuse = given.split(":")
        command = [sys.executable, __file__, "--build-here", name, reuse]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        spent, elapsed = map(float, done.stdout.split())
        failed |= spent > BUILT
        table.add_row(name, reuse, f"{spent:.0f}", f"{BUILT}", f"{elapsed:.0f}")
    Console().print(table)
    sys.exit(int(failed))


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] in (["--here"], ["--build-here"]):
        (measure if sys.argv[1] == "--here" else build)(sys.argv[2], int(sys.argv[3]))
        return
    if sys.argv[1:2] == ["--build"]:
        show_builds(sys.argv[2:] or ["resnet-1M:1024"])
    table = Table("network", "R", "convert, estimate: s", "limit", "lay out: s", "limit", "MB", "limit")
    failed = False
    for given in sys.argv[1:] or DEFAULT:
        name, reuse = given.split(":")
        command = [sys.executable, __file__, "--here", name, reuse]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        estimated, laid_out, megabytes = map(float, done.stdout.split())
        case = CASES[name]
        failed |= estimated > case.estimated or laid_out > case.laid_out or megabytes > MEGABYTES
        row = (f"{estimated:.1f}", f"{case.estimated:g}", f"{laid_out:.1f}", f"{case.laid_out:g}", f"{megabytes:.0f}")
        table.add_row(name, reuse, *row, f"{MEGABYTES}")
    Console().print(table)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
