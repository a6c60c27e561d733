"""Growth of circuits, and of the time that planning and writing them takes, with what they compute: each step beside the work.

``growth.py [CURVE...]``. A row for each size of each curve: look-up tables, seconds of processor time to estimate and to write,
and how many times each is that of the row before. Look-up tables that grow by more than what is computed at once, and a quarter,
and seconds that grow by more than what is computed in a frame, and a quarter, are marked: ``<<``.
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
    """A network of each of some ``sizes``: ``at_once`` limits the growth of its circuit, ``work`` in a frame that of seconds."""

    build: Callable[[int], keras.Model]
    sizes: Sequence[int]
    at_once: Callable[[int], float]
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


def constant(size: int) -> float:
    """What does not depend on the size."""
    return 1.0


def linear(size: int) -> float:
    """What is proportional to the size."""
    return float(size)


def squared(size: int) -> float:
    """What is proportional to the square of the size."""
    return float(size * size)


def inverse(size: int) -> float:
    """What is inversely proportional to the size."""
    return 1.0 / size


STREAM, PARALLEL = {"io_type": "io_stream"}, {"io_type": "io_parallel"}
CURVES = {
    # Products of a row share multipliers R times, so that these grow with its tokens.
    "tokens": Curve(attention, (4, 8, 16, 32), linear, linear, {**STREAM, "reuse_factor": 8}),
    "tokens at once": Curve(attention, (4, 8, 16), squared, squared, {**PARALLEL, "reuse_factor": 8}),
    "steps at once": Curve(recurrent, (4, 8, 16, 32), linear, linear, {**PARALLEL, "reuse_factor": 16}),
    "steps in a stream": Curve(recurrent, (4, 8, 16, 32, 128, 512), constant, linear, {**STREAM, "reuse_factor": 16}),
    "channels": Curve(lambda n: convolution(16, n), (8, 16, 32, 64), squared, squared, {**STREAM, "reuse_factor": 64}),
    "pixels": Curve(
        lambda n: convolution(n, 8), (32, 64, 128, 256), constant, squared, {**STREAM, "reuse_factor": 576}
    ),
    "weights": Curve(dense, (64, 128, 256, 512), squared, squared, {**PARALLEL, "reuse_factor": 64}),
    "one over reuse": Curve(lambda n: dense(128), (512, 128, 32, 8), inverse, inverse, PARALLEL),
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


def grown(before: float, now: float, limit: float, least: float) -> str:
    """How many times as much it is, marked if that is more than what it may grow by."""
    times = now / max(before, least)
    return f"{times:.2f}{' <<' if now > least and times > STEEP * max(limit, 1.0) else ''}"


def main() -> None:
    """Print the table of each curve."""
    warnings.simplefilter("ignore")
    for name in sys.argv[1:] or CURVES:
        curve, before = CURVES[name], None
        table = Table(
            "size", "at once", "in a frame", "LUT", "times", "plan: s", "times", "write: s", "times", title=name
        )
        for size in curve.sizes:
            luts, planned, written = measured(curve, size)
            if before is None:
                table.add_row(str(size), "", "", f"{luts:,}", "", f"{planned:.1f}", "", f"{written:.1f}", "")
            else:
                last, found = before
                at_once, work = (of(size) / of(last) for of in (curve.at_once, curve.work))
                limits = (at_once, 0.0), (work, QUICK_S), (work, QUICK_S)
                steps = (
                    grown(was, now, *limit)
                    for was, now, limit in zip(found, (luts, planned, written), limits, strict=True)
                )
                of_luts, of_plan, of_text = steps
                row = (
                    f"{at_once:.2f}",
                    f"{work:.2f}",
                    f"{luts:,}",
                    of_luts,
                    f"{planned:.1f}",
                    of_plan,
                    f"{written:.1f}",
                    of_text,
                )
                table.add_row(str(size), *row)
            before = size, (luts, planned, written)
        Console().print(table)


if __name__ == "__main__":
    main()
