"""A small engine for proofs: numbers of two bits, sums and biases that wrap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from bitsmith.dataflow.engine import ENGINE_STAGES, Engine
from bitsmith.dataflow.engine_layer import EngineLayer, Grid
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.rtl.engines import engine_parameters, packed
from bitsmith.rtl.tokens import Element

WIDTH = 2
RANGES = ((-2, 1),)

of_one_part = partial(
    EngineLayer,
    apart=False,
    outside=False,
    watched=None,
    parts=(1, 1),
    apiece=False,
    abreast=1,
    loads=0,
    leaves=False,
    continues=False,
    spread=0,
    row=None,
    held=None,
    like=None,
)
"""A layer whose sums leave one by one."""


def dense(weights: Sequence[Sequence[int]], lanes: int, bias: Sequence[int], source: int, target: int) -> EngineLayer:
    """A matrix (inputs, results) as a layer."""
    matrix = np.array(weights, dtype=np.object_)
    tiles = matrix.reshape(1, len(matrix), -1, lanes).transpose(0, 2, 1, 3)
    single = ops.Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))
    arrays = objects(tiles), objects(list(bias)), objects([0])
    return of_one_part("dense", single, (1, 1), len(matrix), len(matrix), 1, *arrays, False, source, target, RANGES)


def convolution(weights: Sequence[int], size: int, blocks: int, source: int, target: int) -> EngineLayer:
    """Windows of the taps that ``weights`` has for each block, zeros before the first place, over ``size`` places."""
    taps = np.array(weights, dtype=np.object_).reshape(1, 1, -1, 1)
    op = ops.Window((1, taps.shape[2]), (1, 1), (1, 1), ((0, 0), (taps.shape[2] - 1, 0)))
    arrays = objects(taps), objects(np.arange(blocks)), objects([0])
    return of_one_part("conv", op, (1, size), size * blocks, blocks, blocks, *arrays, False, source, target, RANGES)


def outside(weights: Sequence[int], positions: int, source: int, target: int) -> EngineLayer:
    """A single number at each position becomes its products with ``weights``, a pass each, which are outside of positions."""
    tiles = np.array(weights, dtype=np.object_).reshape(1, -1, 1, 1)
    single = ops.Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))
    arrays = objects(tiles), objects(np.arange(len(weights))), objects([0])
    return of_one_part(
        "outside", single, (1, positions), positions, 1, 1, *arrays, False, source, target, RANGES, outside=True
    )


def parts(weights: Sequence[Sequence[int]], grid: Grid, count: Grid, source: int, target: int) -> EngineLayer:
    """A window of taps over each of so many parts of rows and columns, zeros before the first ones."""
    taps = np.array(weights, dtype=np.object_)
    (tall, wide), pitch = taps.shape, grid[1] // count[1]
    op = ops.Window((tall, wide), (1, 1), (1, 1), ((tall - 1, 0), (wide - 1, 0)))
    arrays = objects(taps.reshape(1, 1, -1, 1)), objects([1]), objects([0])
    return of_one_part("parts", op, grid, pitch, 1, 1, *arrays, False, source, target, RANGES, parts=count, apiece=True)


def gathered(weights: Sequence[int] | Sequence[Sequence[int]], grid: Grid, count: Grid, source: int) -> EngineLayer:
    """The sums of the products of all numbers of rows and columns in parts, one for each column of weights."""
    op = ops.Window(grid, (1, 1), (1, 1), ((0, 0), (0, 0)))
    tiles = np.array(weights, dtype=np.object_).reshape(1, 1, len(weights), -1)
    arrays = objects(tiles), objects([1] * tiles.shape[3]), objects([0])
    return of_one_part("gathered", op, grid, grid[1] // count[1], 1, 1, *arrays, False, source, 0, RANGES, parts=count)


def apart(weights: Sequence[Sequence[int]], source: int, target: int) -> EngineLayer:
    """A window of as many taps as there are rows of weights; each channel has a column of these, and a lane."""
    taps, channels = np.array(weights, dtype=np.object_).shape
    op = ops.Window((1, taps), (1, 1), (1, 1), ((0, 0), (0, 0)))
    arrays = objects(np.array([[weights]], dtype=np.object_)), objects([1] * channels), objects([0])
    return of_one_part(
        "apart", op, (1, taps), taps * channels, channels, 1, *arrays, False, source, target, RANGES, apart=True
    )


def wrapping(width: int = WIDTH) -> Program:
    """The sum of a sum and a bias, cut to the bits of a number."""
    builder = ProgramBuilder()
    total, bias = (builder.input(name, (1,), FixedFormat(True, 16, 0)) for name in ("sum", "bias"))
    builder.input("choice", (1,), FixedFormat(False, 4, 0))
    y = builder.cast(builder.add(total, bias), FixedFormat(True, width, 0, Rounding.TRN, Overflow.WRAP))
    return builder.program([("stored", y), ("given", y)])


def proof_parameters(
    layers: Sequence[EngineLayer], tokens: int, words: int, *, fed: bool = False, width: int = WIDTH
) -> tuple[dict[str, int | str], int]:
    """The parameters of ``formal_engine``, and the cycle by which two frames are done if nothing waits; ``fed``: biases come.

    Numbers and sums have ``width`` bits. Visits, if layers load numbers, take from one operand, and give one result.
    """
    loads = [layer.loads for layer in layers if layer.loads] or [tokens]
    one = (0,) * len(loads) if len(loads) > 1 else None
    engine = Engine(tuple(layers), words, wrapping(width), fed=False, gap=1, checked=False, shares=one, gives=one)
    parameters, descriptors = engine_parameters(engine, tokens, Element(width, True, 0), width)
    bits = sum(width for _, width in descriptors[0])
    rows = [[(int(one), WIDTH) for one in row] for each in layers for row in each.rows(engine.lanes)]
    biases = [(int(one), width) for each in layers for one in each.bias]
    shape = tokens, engine.parts[1]
    (offsets,) = engine.run((), (), [objects(np.zeros(shape, dtype=np.int64))])
    units = (objects(row.reshape(shape)) for row in np.eye(math.prod(shape), dtype=np.int64))
    columns = [engine.run((), (), [unit])[0] - offsets for unit in units]
    found: dict[str, int | str] = {
        name: value for name, value in parameters.items() if name not in ("WEIGHT", "SUM", "GREATEST")
    }
    found |= {
        "DESCRIPTOR": bits,
        "RESULTS": len(offsets),
        "DESCRIPTORS": vector([(packed(fields), bits) for fields in descriptors], bits * len(layers)),
        "WEIGHTS": vector(
            [(packed(row), WIDTH * engine.lanes) for row in rows], WIDTH * engine.lanes << parameters["WEIGHTS_BITS"]
        ),
        "BIASES": vector(biases, width << parameters["BIAS_BITS"]),
        "MATRIX": vector(
            [(int(one), width) for one in np.stack(columns, axis=1).ravel()], width * math.prod(shape) * len(offsets)
        ),
        "OFFSETS": vector([(int(one), width) for one in offsets], width * len(offsets)),
    }
    engine = replace(engine, fed=fed)
    by = 2 * engine.starts(loads, ENGINE_STAGES)[-1]
    return found | {"BY": by, "FED": engine.biases}, by


def vector(fields: list[tuple[int, int]], width: int) -> str:
    """A constant of ``width`` bits that has ``fields``, the first lowest."""
    return f"{width}'h{packed(fields):x}"
