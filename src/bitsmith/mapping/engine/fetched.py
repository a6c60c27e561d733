"""The words of weights and biases of engines that come from a memory outside: what each reads of it, and what is held."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from bitsmith.dataflow.engine import Engine
from bitsmith.dataflow.engine_layer import EngineLayer
from bitsmith.dataflow.kinds import Replay, Source
from bitsmith.dataflow.replay import StoredWeights
from bitsmith.dataflow.storage import weight_bits
from bitsmith.dataflow.tokens import Stream
from bitsmith.devices.family import Part
from bitsmith.devices.system import beat_bytes
from bitsmith.ir.types import TensorType
from bitsmith.mapping.builder import DataflowBuilder, StepId
from bitsmith.mapping.directives import WeightsBus
from bitsmith.mapping.engine.rows import Row, bias_words, layers_on
from bitsmith.mapping.engine.units import Unit, element
from bitsmith.mapping.engine.visits import numbers_of, visits_of
from bitsmith.mapping.memories import has_room

_LEAST_HELD = 16
"""Words that are fetched ahead where none comes twice."""

_OTHERS, _TABLES = 6, 16
"""Memory blocks of which numbers and weights of an engine leave one to all else, and to tables and FIFOs."""

_SHARE_AHEAD = 4
"""Memory blocks, or larger memories, that an engine leaves, to each that may hold words for later parts."""


def fetched(builder: DataflowBuilder, engine: Engine, rate: float) -> StepId:
    """The words of biases and of the weights of each step, from a memory outside that gives so many bits in a cycle.

    There is room for two parts in a row, so that the words of the next one come while one is read over and over; for one, where
    the part of the circuit has no more. There is more for later ones that are read faster than they come, if it has.
    """
    count, half = engine.biases + sum(layer.words for layer in engine.layers), 1 << (engine.weight_bits - 1)
    stream = Stream((count,), TensorType.of((engine.lanes,), 0, -half, half - 1))
    biases = ((engine.biases, 1),) if engine.biases else ()
    parts = (*biases, *(part for layer in engine.layers for part in layer.fetched))
    gap = word_cycles(stream.bits, rate, builder.directives.weights_bus)
    stored = StoredWeights(partial(engine.words_of, engine.layers), gap)
    places = _places_ahead(builder, engine, parts, gap, stream.bits)
    coming = builder.add(Source(f"{engine.layers[0].name}_weights", stored=stored), (), stream)
    steps = sum(count * times for count, times in parts)
    return builder.add(Replay(parts, places), (coming,), Stream((steps,), stream.token))


def _places_ahead(
    builder: DataflowBuilder, engine: Engine, parts: Sequence[tuple[int, int]], gap: int, bits: int
) -> int:
    """Words of so many ``bits`` that are held of ``parts``, of which one comes in ``gap`` cycles."""
    held = [count if times > 1 else 0 for count, times in parts]
    places = max(_LEAST_HELD, *(sum(pair) for pair in zip(held, [*held[1:], held[0]], strict=True)))
    part = builder.directives.part
    if part is None:
        return places
    maps = engine.positions * engine.banks * part.family.memory.count(engine.bank_words, engine.number_bits)
    biases = engine.biases, engine.bias_bits * engine.bias_group
    choices = engine.results_of_windows, len({layer.name for layer in engine.layers}).bit_length()
    if not has_room(places, bits, maps + blocks_beside(part, (biases, choices)), 1, part):
        return max(held) + _LEAST_HELD
    wanted, lacking = places, 0  # when a part begins, of those from it on
    for own, (count, times) in zip(reversed(held), reversed(parts), strict=True):
        wanted, lacking = max(wanted, own + lacking), max(0, lacking + count - count * times // gap)
    while wanted > places and not has_room(wanted - places, bits, maps, _SHARE_AHEAD, part):
        wanted //= 2
    return max(wanted, places)


def blocks_beside(part: Part, memories: Sequence[tuple[int, int]]) -> int:
    """Blocks that maps and weights of engines leave to ``memories`` (words, bits) of biases and choices, tables and FIFOs."""
    biases = sum(part.family.memory.count(words, bits) for words, bits in memories if words)
    return max(part.die.brams // _OTHERS, biases + part.die.brams // _TABLES)


def least_held(layers: Sequence[EngineLayer], weight: int) -> tuple[int, int]:
    """Words and bits of a memory of the most words that layers read over and over, of weights of so many bits, and a few more."""
    *others, last = layers
    parts = [part for layer in others for part in replace(layer, outside=layer.blocks == 1 < layer.passes).fetched]
    most = max((count for count, times in (*parts, *last.fetched) if times > 1), default=0)
    return most + _LEAST_HELD, max(one.lanes for one in layers) * weight


def word_cycles(bits: int, rate: float, bus: WeightsBus | None) -> int:
    """Cycles from one word of ``bits`` to the next, of a memory that gives ``rate`` bits in a cycle."""
    if bus is None:
        return max(math.ceil(bits / rate), 1)
    size = -(-bits // 8)
    beat = beat_bytes(size, bus.beat_bytes)
    beats = -(-size // beat)
    return max(math.ceil(8 * beat * beats / rate), math.ceil(beats * bus.beat_cycles), beats)


class Rates(NamedTuple):
    """The bits in a cycle that an engine takes of the memory outside: of ``weights``, and of ``maps`` both ways."""

    weights: float
    maps: float


def memory_rates(builder: DataflowBuilder, placed: Sequence[tuple[Sequence[Unit], Row]]) -> list[Rates] | list[None]:
    """The rates of each engine: as many times more of the memory's as it needs for a frame. None: weights are in tables."""
    rate = builder.directives.weights_rate
    if rate is None or not placed:
        return [None] * len(placed)
    moved = [(_weight_bits(units, row), *_moved(builder, units, row)) for units, row in placed]
    share = rate / sum(weights + numbers * bits for weights, numbers, bits in moved)
    return [_divided(share * (weights + numbers * bits), weights, numbers, bits) for weights, numbers, bits in moved]


def _divided(rate: float, weights: int, numbers: int, bits: int) -> Rates:
    """A ``rate`` for bits of ``weights``, and for so many ``numbers`` of ``bits`` each.

    Multipliers wait for numbers. So these get more than their part, if that is less than one in each cycle both ways: at most as
    much as makes the time of both least, one after the other.
    """
    maps = numbers * bits
    least = math.sqrt(maps) / (math.sqrt(maps) + math.sqrt(weights))
    own = rate * max(maps / (weights + maps), min(least, 2 * bits / rate))
    return Rates(rate - own, own)


def _weight_bits(units: Sequence[Unit], row: Row) -> int:
    layers = layers_on(units, row)
    has_biases = any(bool(np.any(unit.bias != 0)) for unit in units)
    biases = bias_words(units, [row])[row] if has_biases else 0
    word = max(layer.lanes for layer in layers) * max(weight_bits(layer.weights) for layer in layers)
    return word * (biases + sum(layer.words for layer in layers))


def _moved(builder: DataflowBuilder, units: Sequence[Unit], row: Row) -> tuple[int, int]:
    """Numbers of all tensors that leave in bands, and come with some, and the bits of each in whole bytes."""
    if not any(bands.leaves for bands in row.bands):
        return 0, 0
    leaving = {unit.result for unit in units if unit.leaves}
    _, *later = visits_of(units)
    numbers = sum(math.prod(builder.shape(tensor)) for tensor in leaving)
    numbers += sum(numbers_of(builder, visit[0])[1] for visit in later)
    widths = (element(builder.program.nodes[tensor].type).max_width for tensor in leaving)
    return numbers, 8 * -(-max(widths) // 8)
