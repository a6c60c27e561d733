"""Functions that are given by their values: at the points of a grid, or by the places where they step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.types import Fracs, Overflow, Rounding, objects
from bitsmith.layers.auto import exact_frac, exact_raw
from bitsmith.layers.axis_order import Order, stored
from bitsmith.layers.example import INPUT, Example
from bitsmith.layers.layer import Floats, Layer, Shape, Unary, as_weights, broadcasts, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.quantization.staircases import climbed
from bitsmith.layers.resolution import Resolution
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

_MOST_STEPS = 4096

_EXACT_BITS = 24
"""Bits of thresholds in single precision."""


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
        if not steps or not levels or steps[-1] + 1 != levels[-1] or steps[-1] > _MOST_STEPS:
            raise UnsupportedError(
                f"thresholds of shape {steps} with levels of shape {levels}",
                accepted=f"one level more than thresholds, of which there are at most {_MOST_STEPS}",
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
            return Resolution(-1.0, 1.0, 1.0, 0)
        least, most = float(places.min()), float(places.max())
        gaps = np.diff(thresholds)[changes[..., 1:] & changes[..., :-1]]
        step = float(gaps[gaps > 0].min(initial=max(-least, most) or 1.0))
        return Resolution(least - step, most + step, step, None if self.above else exact_frac(places, _EXACT_BITS))

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


EXAMPLES = (
    Example(Lookup(as_weights(3.0), -32, as_weights(np.arange(64) % 5 / 4 - 1)), ((3,),), INPUT),
    Example(Staircase(as_weights([-1.0, 0.25, 2.0]), as_weights([-1.0, 0.0, 0.5, 3.0])), ((3,),)),
)
