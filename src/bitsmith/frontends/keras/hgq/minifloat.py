"""HGQ2's minifloat quantizers: a sign, a mantissa of trained width, and an exponent of trained width and offset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.keras.hgq.grids import Bits, FixedPoint, Singles, of_sample
from bitsmith.frontends.keras.hgq.tables import stacked
from bitsmith.frontends.keras.quantizers.staircases import staircase
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.quantization.lookup import Staircase

_EPSILON = np.float32(1e-7)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Minifloat(FixedPoint):
    """Numbers of ``mantissa`` bits after the leading one and exponents up to ``highest``, down to ``lowest``.

    The formats are those that hold all of them.
    """

    mantissa: Bits
    lowest: Bits
    highest: Bits

    @staticmethod
    def trained(mantissa: Bits, exponent: Bits, offset: Bits, scales: tuple[float, float, float]) -> Minifloat:
        """Return the quantizer of trained bits of mantissa and exponent; ``scales`` are scaler, slope and shift."""
        reach = np.maximum(np.floor(np.exp2(exponent - 1.0)), 1).astype(np.int64)
        lowest, highest = offset - reach + 1, offset + reach - 1
        parts = np.ones_like(mantissa), highest + 1, mantissa - lowest
        modes = Rounding.RND_CONV, Overflow.SAT, False
        return Minifloat(*parts, *modes, *scales, mantissa=mantissa, lowest=lowest, highest=highest)

    @property
    def plain(self) -> FixedPoint:
        return FixedPoint(self.keep_negative, self.integer, self.frac, self.rounding, self.overflow)

    def mapped(self, change: Callable[[Bits], Bits]) -> Self:
        mantissa, lowest, highest = (change(part) for part in (self.mantissa, self.lowest, self.highest))
        return replace(FixedPoint.mapped(self, change), mantissa=mantissa, lowest=lowest, highest=highest)

    def applied(self, values: Floats) -> Floats:
        scaler, x = np.float32(self.scaler), values.astype(np.float32)
        x = x / scaler
        wanted = np.frexp(np.abs(x) + _EPSILON)[1] - 1
        exponent = np.clip(wanted, self.lowest, self.highest)
        step = np.exp2(exponent - self.mantissa).astype(np.float32)
        most = np.exp2(self.mantissa + 1).astype(np.float32) - (exponent == self.highest)
        result = np.clip(np.rint(x / step), -most, most).astype(np.float32) * step
        return as_weights(result * scaler * np.float32(self.slope) + np.float32(self.shift))

    def of(self, build: Builder, x: Value, suffix: str) -> Value:
        return build.emit(self.staircase(x), x, suffix=suffix)

    def staircase(self, x: Value) -> Staircase:
        sample = of_sample(self, x)
        parts = np.broadcast_arrays(sample.mantissa, sample.lowest, sample.highest)
        rows = np.stack([part.ravel() for part in parts], axis=1)
        found = {tuple(row): self._steps(*(np.array(part) for part in row)) for row in rows.tolist()}
        return stacked([found[tuple(row)] for row in rows.tolist()], sample.shape)

    def _steps(self, mantissa: Bits, lowest: Bits, highest: Bits) -> tuple[Floats, Floats]:
        """Return the steps of the numbers of one format, and the levels."""
        one = replace(self, mantissa=mantissa, lowest=lowest, highest=highest)

        def function(x: Singles) -> Singles:
            return one.applied(x.astype(np.float64)).astype(np.float32)

        powers = np.exp2(np.arange(int(lowest), int(highest) + 2)) * self.scaler
        found = staircase(function, [*-powers[::-1], 0.0, *powers])
        return found.thresholds, found.levels
