"""The meaning of an engine, layer by layer, without time."""

from __future__ import annotations

import numpy as np

from bitsmith.dataflow.engine import Engine, EngineLayer
from bitsmith.emulate import Emulator
from bitsmith.ir.indexing import moved
from bitsmith.ir.types import Ints, objects


def executed(engine: Engine, tokens: Ints) -> Ints:
    """The raw values of the last layer for those of a frame."""
    memory = np.zeros(engine.words, dtype=np.object_)
    memory[: len(tokens)] = tokens.reshape(-1)
    emulator = Emulator(engine.program, threads=1)
    given = memory
    for number, layer in enumerate(engine.layers):
        sums = _sums(layer, memory)
        results = len(sums) // len(layer.bias), len(layer.bias)
        biases, choices = (np.broadcast_to(each, results) for each in (layer.bias, layer.choices))
        raws = [objects(each).reshape(-1, 1) for each in (sums, biases, choices)]
        stored, given = (objects(raw).reshape(-1) for raw in emulator.run_raw(raws))
        if number < len(engine.layers) - 1:
            memory[layer.target : layer.target + len(stored)] = stored
    return objects(given)


def _sums(layer: EngineLayer, memory: Ints) -> Ints:
    """The sums of a layer, in the order in which they leave."""
    rows, columns = layer.grid
    words = layer.source + np.arange(rows)[:, None] * layer.pitch + np.arange(columns) * layer.channels
    taps = moved(layer.op, layer.grid).reshape(-1, 1, layer.op.size[0] * layer.op.size[1], 1)
    each = layer.channels // layer.blocks
    channels = np.arange(layer.channels).reshape(layer.blocks, 1, each)
    places = np.where(taps < 0, -1, words.reshape(-1)[taps] + channels)
    of_lanes = each if layer.apart else 1
    numbers = np.where(places < 0, 0, memory[places]).reshape(len(places), layer.blocks, 1, layer.steps, of_lanes)
    products = numbers * layer.weights  # windows, blocks, passes, steps, lanes
    return objects(products.max(axis=3) if layer.greatest else products.sum(axis=3)).reshape(-1)
