"""Functions that are given by their values: at the points of a grid, or by the places where they step.

Staircases are core ops that are exact, in the smallest of three forms. Operands of few values are looked up. Else either all
thresholds are compared, or a binary search looks up the next one by what is known.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ladders import stairs
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Fracs, Ints, Overflow, Rounding, objects, width_of
from bitsmith.layers.auto import exact_frac, exact_raw
from bitsmith.layers.axis_order import Order, stored
from bitsmith.layers.example import INPUT, Example
from bitsmith.layers.layer import Floats, Layer, Shape, Unary, as_weights, broadcasts, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.quantization.requantize import alike
from bitsmith.layers.resolution import Resolution
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

MOST_STEPS = 4096

_EXACT_BITS = 24
"""Bits of thresholds in single precision."""

_TABLE_VALUES = 4096
"""Most values of an operand that is looked up."""

_WORTHWHILE = 0.8
"""Share of the size of comparisons, which are all at once, from which on a search, which takes more time, is preferred."""


@dataclass(frozen=True, slots=True, eq=False)
class Lookup(Unary):
    """``values[..., x * 2**frac - first]`` for operands on the grid of ``2**-frac``.

    ``values`` has shape (..., n); its leading axes, and ``frac`` as numbers, broadcast to a sample.
    """

    frac: Floats
    first: int
    values: Floats

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.GRID, elementwise=False, affine=False)
    jumps: ClassVar[bool] = True

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if (
            not self.values.ndim
            or not broadcasts(self.values.shape[:-1], shape)
            or not broadcasts(self.frac.shape, shape)
        ):
            raise UnsupportedError(f"a table of shape {self.values.shape} on an input of shape {shape}")
        return shape

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        (order,), (shape,) = orders, shapes
        frac = stored(self.frac, order, shape)
        return replace(self, frac=as_weights(frac), values=as_weights(rows_stored(self.values, order, shape))), order

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        places = np.rint(np.ldexp(inputs[0], self._fracs)).astype(np.int64) - self.first
        rows = np.broadcast_to(self.values, (*places.shape, self.values.shape[-1]))
        places = np.clip(places, 0, rows.shape[-1] - 1)
        return np.asarray(np.take_along_axis(rows, places[..., None], axis=-1)[..., 0], dtype=np.float64)

    @property
    def _fracs(self) -> Fracs:
        return self.frac.astype(np.int64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        fits = bool(np.all(x.type.frac <= self._fracs))
        last = self.first + self.values.shape[-1] - 1
        if fits:
            # Only the unit of raw values changes: nothing is rounded, and what has no entry is refused.
            shift = objects(self._fracs - x.type.frac)
            lo, hi = objects(x.type.lo << shift), objects(x.type.hi << shift)
            fits = bool(np.all(lo >= self.first) and np.all(hi <= last))
        if not fits:
            raise UnsupportedError(
                f"a table with entries {self.first} to {last} of steps of 2**-{self._fracs.max()} for {x.type}",
                accepted="operands on the grid of the table, within its range",
                remedy="a quantizer in front of the table",
            )
        x = builder.cast_to(x, self._fracs, lo, hi, Rounding.TRN, Overflow.SAT)
        return lowering.cast("result", tabulated_values(builder, x, self.first, self.values))


@dataclass(frozen=True, slots=True, eq=False)
class Staircase(Unary):
    """``levels[count]``, where ``count`` is the number of ``thresholds`` that are at most ``x``, or below it if ``above``.

    Both have their steps along the last axis, in rising order; there is one level more than thresholds. Their leading axes
    broadcast to a sample.
    """

    thresholds: Floats
    levels: Floats
    above: bool = False

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.GRID, elementwise=False, affine=False)
    jumps: ClassVar[bool] = True

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        steps, levels = self.thresholds.shape, self.levels.shape
        if not steps or not levels or steps[-1] + 1 != levels[-1] or steps[-1] > MOST_STEPS:
            raise UnsupportedError(
                f"thresholds of shape {steps} with levels of shape {levels}",
                accepted=f"one level more than thresholds, of which there are at most {MOST_STEPS}",
            )
        if bool(np.any(np.diff(self.thresholds) < 0)):
            raise UnsupportedError("thresholds that do not rise")
        if not broadcasts(steps[:-1], shape) or not broadcasts(levels[:-1], shape):
            raise UnsupportedError(f"thresholds of shape {steps} on an input of shape {shape}")
        return shape

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        (order,), (shape,) = orders, shapes
        thresholds, levels = (as_weights(rows_stored(rows, order, shape)) for rows in (self.thresholds, self.levels))
        return replace(self, thresholds=thresholds, levels=levels), order

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        (x,) = inputs
        count = np.zeros(x.shape, dtype=np.int64)
        for step in np.moveaxis(self.thresholds, -1, 0):
            count += x > step if self.above else x >= step
        rows = np.broadcast_to(self.levels, (*x.shape, self.levels.shape[-1]))
        return np.asarray(np.take_along_axis(rows, count[..., None], axis=-1)[..., 0], dtype=np.float64)

    def resolution(self, beyond: Resolution | None) -> Resolution | None:
        leading = np.broadcast_shapes(self.thresholds.shape[:-1], self.levels.shape[:-1])
        thresholds = np.broadcast_to(self.thresholds, (*leading, self.thresholds.shape[-1]))
        changes = np.broadcast_to(np.diff(self.levels) != 0.0, thresholds.shape)  # others fill up rows
        places = as_weights(thresholds[changes])
        if not places.size:
            return Resolution(-1.0, 1.0, 1.0, 0, None, ())
        least, most = float(places.min()), float(places.max())
        gaps = np.diff(thresholds)[changes[..., 1:] & changes[..., :-1]]
        step = float(gaps[gaps > 0].min(initial=max(-least, most) or 1.0))
        frac = None if self.above else exact_frac(places, _EXACT_BITS)
        # Values from the last threshold on are alike, so that a grid which has that threshold needs no larger value.
        ladders = stairs(np.where(changes, thresholds, np.inf), above=self.above)
        return Resolution(least - step, most + step if frac is None else most, step, frac, None, ladders)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        found = climbed(lowering.builder, inputs[0], self.thresholds, self.levels, above=self.above)
        return lowering.cast("result", found)


def tabulated_values(builder: ProgramBuilder, x: Value, first: int, values: Floats) -> Value:
    """``values[..., raw(x) - first]``, exactly."""
    raw, frac = exact_raw(values)
    rows = raw.reshape(-1) if raw.size == raw.shape[-1] else raw
    return builder.table(x, first, rows, frac)


def rows_stored(values: Floats, order: Order, shape: Shape) -> Floats:
    """Values whose leading axes broadcast to ``shape``, for a tensor that is stored in ``order``."""
    rows = np.moveaxis(values, -1, 0)
    return np.moveaxis(np.stack([stored(row, order, shape) for row in rows]), 0, -1)


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


EXAMPLES = (
    Example(Lookup(as_weights(3.0), -32, as_weights(np.arange(64) % 5 / 4 - 1)), ((3,),), INPUT),
    Example(Staircase(as_weights([-1.0, 0.25, 2.0]), as_weights([-1.0, 0.0, 0.5, 3.0])), ((3,),)),
)
