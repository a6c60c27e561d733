"""Staircases as core ops: exact, and the smallest of three forms.

In: an operand, rising thresholds and a level for each number of them that are passed. Out: the level of each element. Operands of
few values are looked up. Else either all thresholds are compared, or a binary search looks up the next one by what is known.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Fracs, Ints, Overflow, Rounding, objects, width_of
from bitsmith.layers.arrays import Floats
from bitsmith.layers.auto import exact_raw
from bitsmith.layers.quantization.requantize import alike

_TABLE_VALUES = 4096
"""Most values of an operand that is looked up."""

_WORTHWHILE = 0.8
"""Share of the size of comparisons, which are all at once, from which on a search, which takes more time, is preferred."""


def climbed(builder: ProgramBuilder, x: Value, thresholds: Floats, levels: Floats, *, above: bool) -> Value:
    """``levels[..., n]``, with the number ``n`` of ``thresholds`` that are at most ``x``, or below it if ``above``."""
    x = builder.aligned(x, alike(x, np.broadcast_shapes(thresholds.shape[:-1], levels.shape[:-1])))
    least, most = x.type.raw_range
    starts = objects(np.clip(_starts(thresholds, x.type.frac, above=above), least, most + 1))
    steps, width, values = starts.shape[-1], width_of(least, most), most - least + 1
    raw, frac = exact_raw(levels)
    bits = width_of(int(raw.min()), int(raw.max()))
    searched = _luts_searched(steps, width, bits)
    if values <= _TABLE_VALUES and _luts_looked_up(values, bits) <= searched:
        return builder.table(x, least, _picked(raw, _counts(starts, least, most)), frac)
    if searched <= _WORTHWHILE * _luts_compared(steps, width):
        return _searched(builder, x, starts, levels)
    return _compared(builder, x, starts, levels)


def _luts_looked_up(values: int, bits: int) -> float:
    """About how many look-up tables of six inputs a table takes.

    Measured with Yosys, as the numbers below: one for each bit of 64 values, and more than one for each further 64.
    """
    return bits * (max(values, 16) / 64 if values <= 64 else 3 * math.sqrt(values / 128))


def _luts_searched(steps: int, width: int, bits: int) -> float:
    """The same of a binary search: comparisons one after another, tables of thresholds and one of levels."""
    depth = steps.bit_length()
    tables = sum(_luts_looked_up(1 << number, width) for number in range(1, depth))
    return depth * width / 2 + tables + _luts_looked_up(1 << depth, bits)


def _luts_compared(steps: int, width: int) -> float:
    """The same of a comparison with each threshold and the sum of what is passed: the more, the more they share."""
    return (2 * steps + 10 * math.sqrt(steps)) * width / 16


def _starts(thresholds: Floats, frac: Fracs, *, above: bool) -> Ints:
    """The least raw value that passes each threshold."""
    raw, own = exact_raw(np.clip(thresholds, -sys.float_info.max, sys.float_info.max))
    more = (frac - own)[..., None]
    raw, dropped = objects(raw << objects(np.maximum(more, 0))), objects(np.maximum(-more, 0))
    return objects((raw >> dropped) + 1 if above else -(-raw >> dropped))


def _counts(starts: Ints, least: int, most: int) -> Ints:
    """Return the number of thresholds that each raw value passes."""
    rows, numbers = starts.reshape(-1, starts.shape[-1]).astype(np.int64), np.arange(least, most + 1)
    counts = [np.searchsorted(row, numbers, side="right") for row in rows]
    return objects(np.stack(counts).reshape(*starts.shape[:-1], numbers.size))


def _picked(levels: Ints, places: Ints) -> Ints:
    """``levels[..., places]``: one row where all are alike."""
    lead = np.broadcast_shapes(levels.shape[:-1], places.shape[:-1])
    rows = np.broadcast_to(levels, (*lead, levels.shape[-1]))
    found = np.take_along_axis(rows, np.broadcast_to(places, (*lead, places.shape[-1])).astype(np.int64), -1)
    return objects(found.reshape(-1) if found.size == found.shape[-1] else found)


def _compared(builder: ProgramBuilder, x: Value, starts: Ints, levels: Floats) -> Value:
    """The sum of what each threshold adds that is passed."""
    steps = starts.shape[-1]
    wide = builder.broadcast(builder.reshape(x, (*x.shape, 1)), (*x.shape, steps))
    passed = builder.compare(wide, Relation.GE, builder.const(starts, _like(starts, x.type.frac[..., None])))
    raw, frac = exact_raw(np.diff(levels))
    if levels.ndim == 1:
        total = builder.linear(passed, raw.reshape(steps, 1), frac)
    else:
        total = builder.sum(builder.mul(passed, builder.const(raw, frac)), (-1,))
    return builder.add(builder.reshape(total, x.shape), builder.const(*exact_raw(levels[..., 0])))


def _searched(builder: ProgramBuilder, x: Value, starts: Ints, levels: Floats) -> Value:
    """The level of the number of thresholds that are passed, whose bits are found one after another."""
    steps = starts.shape[-1]
    depth = steps.bit_length()

    def passed(known: int) -> Ints:
        """The thresholds that decide on the next bit for each number of ``known`` bits; the last again beyond it."""
        numbers = (2 * np.arange(1 << known) + 1 << depth - 1 - known) - 1
        return objects(starts[..., np.minimum(numbers, steps - 1)])

    middle = passed(0)[..., 0]
    count = builder.compare(x, Relation.GE, builder.const(middle, _like(middle, x.type.frac)))
    for known in range(1, depth):
        rows = passed(known)
        rows = rows.reshape(-1) if rows.size == rows.shape[-1] else rows
        bound = builder.table(count, 0, rows, x.type.frac)
        count = builder.add(builder.shift(count, 1), builder.compare(x, Relation.GE, bound))
        # A last bit that is known to be 0 is not in the raw value, which is to be an address.
        if objects(count.type.frac).any():
            count = builder.cast_to(count, 0, 0, (2 << known) - 1, Rounding.TRN, Overflow.SAT)
    raw, frac = exact_raw(levels)
    return builder.table(count, 0, _picked(raw, objects(np.minimum(np.arange(1 << depth), steps))), frac)


def _like(raw: Ints, frac: Fracs) -> Fracs:
    """``frac`` as it broadcasts with ``raw``, in the shape of this."""
    return np.broadcast_to(frac, raw.shape)
