"""HGQ2's fixed-point quantizers, as formats for each element, and what they do to weights and activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.layer import Floats, Shape, as_weights, broadcasts
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, Retrained, as_floats

Singles: TypeAlias = npt.NDArray[np.float32]
Bits: TypeAlias = npt.NDArray[np.int64]

_SIMPLE = 1000
"""The greatest denominator of a ratio that a scale is taken for."""

_HALF = np.float32(0.5)
ROUNDED: dict[Rounding, Callable[[Singles], Singles]] = {
    Rounding.TRN: np.floor,
    Rounding.TRN_ZERO: np.trunc,
    Rounding.RND: lambda x: np.floor(x + _HALF),
    Rounding.RND_CONV: np.rint,
    Rounding.RND_ZERO: lambda x: np.sign(x) * np.ceil(np.abs(x) - _HALF),
    Rounding.RND_MIN_INF: lambda x: np.ceil(x - _HALF),
    Rounding.RND_INF: lambda x: np.sign(x) * np.floor(np.abs(x) + _HALF),
}
"""Rounding in single precision, in which the addition of a half rounds too."""


@dataclass(frozen=True, slots=True, eq=False)
class FixedPoint:
    """A fixed-point quantizer: formats of ``keep_negative + integer + frac`` bits, which broadcast to what is quantized.

    Operands are divided by ``scaler``, results multiplied by it and by ``slope``, then ``shift`` is added. A quantizer of
    weights may be one that ``only_rounds``, whatever the range.
    """

    keep_negative: Bits
    integer: Bits
    frac: Bits
    rounding: Rounding
    overflow: Overflow
    only_rounds: bool = False
    scaler: float = 1.0
    slope: float = 1.0
    shift: float = 0.0

    @property
    def shape(self) -> Shape:
        """The shape of the trained bit widths."""
        return self.frac.shape

    @property
    def quantizer(self) -> Quantizer:
        """The same as ours, but for the shift."""
        plain = Quantizer.fixed(self.keep_negative, self.integer, self.frac, self.rounding, self.overflow)
        if self.scaler == self.slope == 1.0:
            return plain
        scale = plain.scale * _ratio(self.scaler)
        return replace(plain, scale=scale, step=scale * _ratio(self.slope))

    def applied(self, values: Floats) -> Floats:
        """``values`` on the grid, computed in single precision as HGQ2 does."""
        return as_weights(self.scaled(self._on_grid(values.astype(np.float32) / np.float32(self.scaler))))

    def scaled(self, x: Singles) -> Singles:
        """Numbers of the grid as the quantizer gives them."""
        return x * np.float32(self.scaler) * np.float32(self.slope) + np.float32(self.shift)

    def _on_grid(self, x: Singles) -> Singles:
        scale = np.exp2(self.frac).astype(np.float32)
        if self.only_rounds:
            return ROUNDED[self.rounding](x * scale) / scale
        return np.where(self.keep_negative + self.integer + self.frac > 0, self._in_range(x, scale), np.float32(0.0))

    def _in_range(self, x: Singles, scale: Singles) -> Singles:
        top, k = np.exp2(self.integer).astype(np.float32), self.keep_negative.astype(np.float32)
        if self.overflow is not Overflow.WRAP:
            hi = top - np.float32(1.0) / scale
            x = np.clip(x, -k * (hi if self.overflow is Overflow.SAT_SYM else top), hi)
        x = ROUNDED[self.rounding](x * scale) / scale
        return (x + k * top) % (top * (np.float32(1.0) + k)) - k * top if self.overflow is Overflow.WRAP else x

    def on_grid(self, values: Floats) -> tuple[Floats, Quantizer]:
        """Trained ``values`` on the grid, and the grid."""
        result = self.applied(values)
        grid = self.plain.quantizer
        if not self.is_plain:
            return result, Quantizer.holding(result)
        if self.plain is not self:
            return result, grid
        if not self.only_rounds:
            return result, replace(grid, retrained=Retrained.QUANTIZED)
        codes = np.frompyfunc(int, 1, 1)(result / as_floats(grid.scale))
        lo, hi = np.minimum(grid.lo, codes), np.maximum(grid.hi, codes)
        return result, replace(grid, lo=lo, hi=hi, retrained=Retrained.ROUNDED)

    @property
    def is_plain(self) -> bool:
        """Return True if nothing is scaled or shifted."""
        return (self.scaler, self.slope, self.shift) == (1.0, 1.0, 0.0)

    @property
    def plain(self) -> FixedPoint:
        """The fixed-point quantizer that leaves the results of this one, which has no scales, as they are."""
        return self

    def staircase(self, x: Value) -> Staircase | None:
        """The steps of a quantizer of few numbers that are on no narrow grid, for one sample of ``x``."""
        return None

    def mapped(self, change: Callable[[Bits], Bits]) -> Self:
        """The same with other arrays of bit widths."""
        keep_negative, integer, frac = (change(part) for part in (self.keep_negative, self.integer, self.frac))
        return replace(self, keep_negative=keep_negative, integer=integer, frac=frac)

    def of(self, build: Builder, x: Value, suffix: str) -> Value:
        """``x`` on the grid; bit widths have the batch as their first axis."""
        grid = Quantize(of_sample(self, x).quantizer)
        if not self.shift:
            return build.emit(grid, x, suffix=suffix)
        part = build.within(suffix)
        codes, shift = part.emit(grid, x, suffix="scaled"), as_weights(self.shift)
        one = constant(1.0, quantizer=Quantizer.uniform(1.0, 1, 1))
        return part.affine(codes, one, constant(shift, quantizer=Quantizer.holding(shift)))


def _ratio(value: float) -> Fraction:
    """The simple ratio that a number of single precision stands for, if there is one: quotients by it round to exact ones."""
    simple = Fraction(value).limit_denominator(_SIMPLE)
    return simple if np.float32(simple) == np.float32(value) else Fraction(value)


Grid = TypeVar("Grid", bound=FixedPoint)


def of_sample(grid: Grid, x: Value) -> Grid:
    """The quantizer for one sample of ``x``; it has the batch as its first axis."""
    if len(grid.shape) != x.rank or not broadcasts(grid.shape, x.dims):
        raise UnsupportedError(
            f"a quantizer of shape {grid.shape} for a tensor of axes {x.dims}",
            accepted="formats that are the same for each sample",
        )
    return grid.mapped(lambda part: part[0])


def quantized(build: Builder, x: Value, found: FixedPoint | None, suffix: str = "") -> Value:
    """``x`` on the grid of a quantizer, which has the batch as its first axis."""
    return x if found is None else found.of(build, x, suffix)
