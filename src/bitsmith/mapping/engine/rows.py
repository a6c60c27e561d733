"""Rows of multipliers on which layers could take turns, the layers as each executes them, and the cycles that these take."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from operator import mul
from typing import TypeAlias

import numpy as np

from bitsmith.dataflow.engine import ENGINE_STAGES, bias_group
from bitsmith.dataflow.engine_layer import EngineLayer, Grid
from bitsmith.dataflow.storage import weight_bits
from bitsmith.devices.family import Part
from bitsmith.ir.types import IntArray, objects, width_of
from bitsmith.mapping.engine.bands import Bands
from bitsmith.mapping.engine.function import TokenFunction, token_function
from bitsmith.mapping.engine.units import Unit
from bitsmith.mapping.folding import divisors

_FUNCTION_STAGES = 12
"""Cycles that the token function is taken to have, at most."""

_POWERS = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """Multipliers, of how many of these each may have a number of its own, and parts whose windows have such multipliers each.

    ``abreast``: sums of a window that may leave at once. ``bands``: units that are computed in bands of rows.
    """

    lanes: int
    banks: int
    parts: Grid
    abreast: int
    bands: tuple[Bands, ...]

    @property
    def multipliers(self) -> int:
        """Those of all parts."""
        return self.lanes * math.prod(self.parts)


def rows_of(units: Sequence[Unit], abreast: int) -> Iterator[Row]:
    """Rows of multipliers that a unit can use all of."""
    lanes = {lanes for unit in units for lanes in divisors(unit.weights.shape[2])}
    numbers = {count for unit, own in _leaving(units, abreast) for count in _POWERS if _is_apart(unit, count, own)}
    if any(len(unit.bias) % abreast for unit in units[:-1]):
        return
    for number in {1, *numbers}:
        yield from (Row(each, number, (1, 1), abreast, ()) for each in {*lanes, number} if each >= number)


def bias_words(units: Sequence[Unit], rows: Iterable[Row]) -> dict[Row, int]:
    """Words of the biases of all units for each row, if they have no more bits than sums."""
    bits, weight = max(width_of(*unit.total) for unit in units), max(weight_bits(unit.weights) for unit in units)
    count = results_of_windows(units)
    return {row: -(-count // bias_group(row.lanes * weight, bits)) for row in rows}


def bias_memories(units: Sequence[Unit], row: Row, weight: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Words and bits of the memories of the biases of all units, whose bits are those of their own formats, and of their choices.

    ``weight``: the most bits of a weight, as words of biases are as wide as those of weights.
    """
    bits, count = max(unit.room for unit in units).bit_length() + 1, results_of_windows(units)
    group = bias_group(row.lanes * weight, bits)
    return (-(-count // group), group * bits), (count, len(units).bit_length())


def results_of_windows(units: Sequence[Unit]) -> int:
    """Results of a window of each unit; of those in bands once."""
    return sum({(unit.result, unit.name): len(unit.bias) for unit in units}.values())


def _leaving(units: Sequence[Unit], abreast: int) -> Iterator[tuple[Unit, int]]:
    """The units with the sums of each that may leave at once: of the last one a result does."""
    return zip(units, [*[abreast] * (len(units) - 1), 1], strict=True)


def _is_apart(unit: Unit, banks: int, abreast: int) -> bool:
    """Return True if several lanes can have blocks of a channel each; their results leave in time."""
    blocks, steps, columns = unit.blocks, unit.weights.shape[1], unit.weights.shape[2]
    single = columns == 1 and blocks == unit.channels and blocks % banks == 0
    return 1 < banks <= steps * abreast and single


def _layer(unit: Unit, row: Row, abreast: int) -> EngineLayer:
    """A unit with as many lanes as it can use: no more than leave in its steps, so many ``abreast`` if lanes are a multiple."""
    apart, (count, steps, columns) = _is_apart(unit, row.banks, abreast), unit.weights.shape
    weights: IntArray
    if apart:
        alike = np.broadcast_to(objects(unit.weights), (max(count, row.banks), steps, 1))
        weights = alike.reshape(-1, 1, row.banks, steps).transpose(0, 1, 3, 2)
    else:
        most = ((lanes, steps * (1 if lanes % abreast else abreast)) for lanes in divisors(columns))
        lanes = max(lanes for lanes, leave in most if lanes <= min(row.lanes, leave))
        weights = unit.weights.reshape(count, steps, columns // lanes, lanes).transpose(0, 2, 1, 3)
    return EngineLayer(
        unit.name,
        unit.op,
        unit.grid,
        0,
        unit.channels,
        unit.blocks // row.banks if apart else unit.blocks,
        weights,
        unit.bias,
        unit.chosen,
        unit.greatest,
        0,
        0,
        unit.ranges,
        apart,
        outside=False,
        watched=None,
        parts=unit.parts,
        apiece=unit.apiece,
        abreast=1 if weights.shape[3] % abreast else abreast,
        loads=0,
        leaves=False,
        continues=False,
        spread=0,
        row=None if unit.computed is None else 0,
        held=None,
        like=None,
    )


def layers_on(units: Sequence[Unit], row: Row) -> list[EngineLayer]:
    """The layers of an engine, but for the places of tensors, biases and choices."""
    return [_layer(unit, row, own) for unit, own in _leaving(units, row.abreast)]


def work_of(units: Sequence[Unit], row: Row) -> tuple[int, ...]:
    """The steps of a window of each unit, and, as those of a window more, the cycles after all windows of each, together."""
    layers = layers_on(units, row)
    times = [1 if layer.row is None else layer.blocks for layer in layers]
    after = (1 + layer.lanes // layer.abreast + ENGINE_STAGES + _FUNCTION_STAGES for layer in layers)
    flushes = sum(map(mul, times, after))
    return (*(layer.blocks * layer.passes * layer.steps for layer in layers), flushes)


Way: TypeAlias = tuple[tuple[Unit, ...], Callable[[], TokenFunction], Callable[[Row], tuple[int, ...]]]
"""Units in turn, their function, and their work on a row; both are found once, whatever reuse factors are tried."""


def way_of(units: tuple[Unit, ...], part: Part | None) -> Way:
    """Units in turn, with what they share on ``part``."""
    return units, cache(partial(token_function, units, part)), cache(partial(work_of, units))
