"""The overflow mode WRAP_SM: what is out of range is reflected at its ends, as HGQ2 and HGQ 1 do it."""

from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.keras.hgq.grids import ROUNDED, Bits, FixedPoint, Singles, of_sample
from bitsmith.frontends.keras.hgq.tables import looked_up
from bitsmith.frontends.keras.quantizers.staircases import Function
from bitsmith.frontends.ops.arithmetic import add
from bitsmith.ir.types import Overflow, Rounding


@dataclass(frozen=True, slots=True, eq=False)
class Reflected(FixedPoint):
    """HGQ2's. Twice the range is its period, but for half a step below the multiples of the range.

    There HGQ2 compares the operand with the range before it is rounded, and does not reflect what it should; but it does next
    to 0.
    """

    def __post_init__(self) -> None:
        bits = self.keep_negative + self.integer + self.frac
        if self.rounding is Rounding.RND_CONV and bool(np.any(bits == 1)):
            raise UnsupportedError(
                "the overflow mode WRAP_SM with RND_CONV of a number of one bit", accepted="more bits, or RND"
            )

    @property
    def plain(self) -> FixedPoint:
        """Numbers without a sign may be reflected to negative ones."""
        signs = np.where(self.keep_negative + self.integer + self.frac > 0, 1, 0)
        return FixedPoint(signs, self.integer, self.frac, Rounding.RND, Overflow.SAT)

    def _on_grid(self, x: Singles) -> Singles:
        return self._reflected(x, *self._parts)

    @property
    def _parts(self) -> tuple[Bits, Bits, Bits]:
        return self.keep_negative, self.integer, self.frac

    def _reflected(self, x: Singles, k: Bits, i: Bits, f: Bits) -> Singles:
        """Return the reflection as the package ``quantizers`` computes it."""
        step, top, period = (np.exp2(part).astype(np.float32) for part in (-f, i, i + k))
        half, two = np.float32(0.5), np.float32(2.0)
        beyond = ((x / period) % two >= 1.0) & (np.abs(x) > step * half)
        turned = ((x + step * half) / (period * half)) % two >= 1.0
        result = (ROUNDED[self.rounding](x / step) * step - top) % period - top * k.astype(np.float32)
        result = np.where(turned, -result - step, result)
        result = np.where(beyond, -result - step, result)
        return np.asarray(np.where(k + i + f > 0, result, 0.0), np.float32)

    def of(self, build: Builder, x: Value, suffix: str) -> Value:
        """Three tables: of the period, of the half steps in it where HGQ2 does otherwise, and next to 0, where it does not."""
        sample = of_sample(self, x)
        k, i, f = (part[..., None] for part in sample._parts)
        step = np.exp2(-f).astype(np.float32)
        some = k + i + f > 0
        fault = np.where(some, self.scaled(-step) - self.scaled(np.zeros_like(step)), np.float32(0.0))

        def period(points: Singles) -> Singles:
            return self.scaled(self._reflected(np.rint(points / (scaler * step)) * step, k, i, f))

        def corrected(points: Singles) -> Singles:
            halves = np.rint(points / (scaler * step) * np.float32(2.0))
            last = np.exp2(i + k + f + 1) - 1
            return np.where(halves == -1, fault, np.where(some & (halves == last), -fault, np.float32(0.0)))

        def beside_zero(points: Singles) -> Singles:
            return np.where(np.rint(points / (scaler * step) * np.float32(2.0)) == -1, -fault, np.float32(0.0))

        scaler, build = np.float32(self.scaler), build.within(suffix)
        full, nothing = self.keep_negative + self.integer + self.frac > 0, np.zeros_like(self.frac)
        sign = np.where(full, 1, 0)
        wraps = FixedPoint(sign, self.integer + self.keep_negative, self.frac, self.rounding, Overflow.WRAP)
        wraps = replace(wraps, scaler=self.scaler)
        finer = np.where(full, self.frac + 1, 0)
        halves = replace(wraps, frac=finer, rounding=Rounding.TRN)
        near = replace(halves, integer=np.where(full, -self.frac, nothing), overflow=Overflow.SAT)
        y = looked_up(build, x, period, wraps, None, "period")
        first = looked_up(build, x, corrected, halves, None, "ends")
        return add(build, y, add(build.within("faults"), first, looked_up(build, x, beside_zero, near, None, "zero")))


def reflected(sign: Bits, bits: Bits, frac: Bits) -> Function:
    """Return HGQ 1's result for numbers (..., n) that it has rounded to ``frac`` places, of ``bits`` with the ``sign``."""
    most, step = np.exp2(bits - sign)[..., None] - 1.0, np.exp2(-frac)[..., None]
    least = -(most + 1.0) * sign[..., None]
    count = most - least + 1.0

    def function(x: Singles) -> Singles:
        codes = np.abs((x / step - most - 1.0) % (2.0 * count) - count + 0.5) - 0.5 + least
        return np.asarray(np.where(bits[..., None] == 0, 0.0, codes * step), np.float32)

    return function
