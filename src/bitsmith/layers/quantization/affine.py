"""Scales and offsets between a stored tensor and the user's, which wait for the next quantizer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.types import frozen
from bitsmith.layers.arrays import Floats, Shape
from bitsmith.layers.axis_order import Order, stored
from bitsmith.layers.quantization.quantizer import Rationals, as_floats, rationals
from bitsmith.layers.quantization.requantize import constant, times


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """The user's value is ``stored * scale + offset``; both broadcast to a sample and are exact."""

    scale: Rationals
    offset: Rationals

    @staticmethod
    def of(scale: Rationals, offset: Rationals | None = None) -> Affine:
        """The same with arrays that are as small as can be."""
        return Affine(rationals(scale), rationals(0.0) if offset is None else rationals(offset))

    @property
    def is_centered(self) -> bool:
        """True if 0 is stored as 0."""
        return bool(np.all(self.offset == 0))

    @property
    def is_rising(self) -> bool:
        """True if the greater of two values is stored as the greater one."""
        return bool(np.all(self.scale > 0))

    @property
    def is_uniform(self) -> bool:
        """True if it is the same for all elements."""
        return self.scale.size == self.offset.size == 1

    def is_along_last(self, shape: Shape) -> bool:
        """Return True if only the channels of a tensor of ``shape`` differ."""
        return all(part.ndim <= 1 or all(size == 1 for size in part.shape[:-1]) for part in (self.scale, self.offset))

    def is_same(self, other: Affine) -> bool:
        """Return True if ``other`` has the same scale."""
        return self.scale.shape == other.scale.shape and bool(np.all(self.scale == other.scale))

    def full(self, shape: Shape) -> tuple[Rationals, Rationals]:
        """Scale and offset of each element."""
        return np.broadcast_to(self.scale, shape), np.broadcast_to(self.offset, shape)

    def ordered(self, order: Order, shape: Shape) -> Affine:
        """Return the map of a tensor of ``shape`` whose axes, or elements, are put in ``order``."""
        scale, offset = (frozen(stored(part, order, shape)) for part in (self.scale, self.offset))
        return Affine(scale, offset)

    def __str__(self) -> str:
        scales = as_floats(self.scale)
        span = f"{scales.min():.6g}" if scales.min() == scales.max() else f"{scales.min():.3g}..{scales.max():.3g}"
        return f"scale {span}" + ("" if self.is_centered else ", shifted")

    def applied(self, values: Floats) -> Floats:
        """The user's values of stored ones."""
        return values * as_floats(self.scale) + as_floats(self.offset)

    def stored(self, values: Floats) -> Floats:
        """The stored values of the user's."""
        return (values - as_floats(self.offset)) / as_floats(self.scale)

    def lowered(self, builder: ProgramBuilder, x: Value) -> Value:
        """The same as core ops: exact, but for factors that no binary number is."""
        scaled = times(builder, x, self.scale)
        return scaled if self.is_centered else builder.add(scaled, constant(builder, self.offset))
