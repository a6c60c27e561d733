"""Growth of circuits, and of the time that planning and writing them takes, with what they compute: each step beside the work.

``growth.py [CURVE...]``. A row for each size of each curve: look-up tables, seconds of processor time to estimate and to write,
and how many times each is that of the row before. What grows by more than the work does, and a quarter, is marked: ``<<``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from keras import layers
from rich.console import Console
from rich.table import Table

import bitsmith
from bitsmith.building.design import circuit
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.writer import Title

STEEP, QUICK_S = 1.25, 0.5
"""Times the growth of the work that are marked, and seconds below which no growth is."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A network of each of some ``sizes``; ``work`` is what it computes in a frame, and its circuit may not outgrow."""

    build: Callable[[int], keras.Model]
    sizes: Sequence[int]
    work: Callable[[int], float]
    options: Mapping[str, object]


def attention(tokens: int) -> keras.Model:
    """A block of attention of two heads on 16 channels."""
    x = keras.Input((tokens, 16))
    return keras.Model(x, layers.Add()([x, layers.MultiHeadAttention(2, 8)(x, x)]))


def recurrent(steps: int) -> keras.Model:
    """An LSTM of 16 units, of whose steps the last one is given."""
    x = keras.Input((steps, 8))
    return keras.Model(x, layers.LSTM(16)(x))


def convolution(size: int, channels: int) -> keras.Model:
    """A convolution of 3x3 with as many channels as it takes."""
    x = keras.Input((size, size, channels))
    return keras.Model(x, layers.Conv2D(channels, 3, padding="same")(x))


def dense(units: int) -> keras.Model:
    """A layer of as many numbers as it takes."""
    x = keras.Input((units,))
    return keras.Model(x, layers.Dense(units)(x))


STREAM, PARALLEL = {"io_type": "io_stream"}, {"io_type": "io_parallel"}
CURVES = {
    # Products of a row share multipliers R times, so that these grow with its tokens.
    "tokens": Curve(attention, (4, 8, 16, 32), lambda n: n, {**STREAM, "reuse_factor": 8}),
    "tokens at once": Curve(attention, (4, 8, 16), lambda n: n * n, {**PARALLEL, "reuse_factor": 8}),
    "steps at once": Curve(recurrent, (4, 8, 16, 32), lambda n: n, {**PARALLEL, "reuse_factor": 16}),
    "steps in a stream": Curve(recurrent, (4, 8, 16, 32, 128), lambda n: 1, {**STREAM, "reuse_factor": 16}),
    "channels": Curve(lambda n: convolution(16, n), (8, 16, 32, 64), lambda n: n * n, {**STREAM, "reuse_factor": 64}),
    "pixels": Curve(lambda n: convolution(n, 8), (32, 64, 128, 256), lambda n: n * n, {**STREAM, "reuse_factor": 576}),
    "weights": Curve(dense, (64, 128, 256, 512), lambda n: n * n, {**PARALLEL, "reuse_factor": 64}),
    "one over reuse": Curve(lambda n: dense(128), (512, 128, 32, 8), lambda n: 1 / n, PARALLEL),
}


def measured(curve: Curve, size: int) -> tuple[float, float, float]:
    """Look-up tables, and seconds to estimate and to write."""
    keras.utils.set_random_seed(0)
    options = {"reuse_factor": size} | dict(curve.options)
    with tempfile.TemporaryDirectory() as folder:
        model = bitsmith.convert(curve.build(size), folder, part="xczu9eg-ffvb1156-2-e", bits=8, check=False, **options)
    start = time.process_time()
    luts = model.estimate().size.lut
    planned = time.process_time()
    family = model.target.known_part.family
    program, budget_ns = drop_dead(model.program, keep_probes=False), model.target.budget_ns(family)
    circuit(program, model.directives, family.delays, budget_ns, "top", Title("", ""))
    return luts, planned - start, time.process_time() - planned


def grown(before: float, now: float, work: float, least: float) -> str:
    """How many times as much it is, marked if that is more than the ``work`` grows by."""
    times = now / max(before, least)
    return f"{times:.2f}{' <<' if now > least and times > STEEP * max(work, 1.0) else ''}"


def main() -> None:
    """Print the table of each curve."""
    warnings.simplefilter("ignore")
    for name in sys.argv[1:] or CURVES:
        curve, before = CURVES[name], None
        table = Table("size", "work: times", "LUT", "times", "plan: s", "times", "write: s", "times", title=name)
        for size in curve.sizes:
            luts, planned, written = measured(curve, size)
            if before is None:
                table.add_row(str(size), "", f"{luts:,}", "", f"{planned:.1f}", "", f"{written:.1f}", "")
            else:
                last, found = before
                work = curve.work(size) / curve.work(last)
                steps = (
                    grown(was, now, work, least)
                    for was, now, least in zip(found, (luts, planned, written), (0.0, QUICK_S, QUICK_S), strict=True)
                )
                of_luts, of_plan, of_text = steps
                row = (f"{work:.2f}", f"{luts:,}", of_luts, f"{planned:.1f}", of_plan, f"{written:.1f}", of_text)
                table.add_row(str(size), *row)
            before = size, (luts, planned, written)
        Console().print(table)


if __name__ == "__main__":
    main()
