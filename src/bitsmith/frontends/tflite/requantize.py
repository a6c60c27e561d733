"""TensorFlow Lite's multiplications of integers by scales: as quantizers, and on the integers of tables.

Source: B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018, section 2.2, and ``QuantizeMultiplier`` and ``MultiplyByQuantizedMultiplier`` of the kernels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.tflite.fixedpoint import Fixed, Integers, divided, high_product, nearest
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, Rationals
from bitsmith.layers.quantization.rescale import Rescale

INT32 = (-(1 << 31), (1 << 31) - 1)

_TO_ZERO = Fraction(1 << 62)
"""A scale by which everything rounds to 0."""


class Kernels(StrEnum):
    """Rescaling of fully connected layers: with one rounding, in double precision (the reference kernels of LiteRT since April
    2025), or with two, as all other operators do (TensorFlow 2.19 and older).
    """

    SINGLE = "single"
    DOUBLE = "double"


@dataclass(frozen=True, slots=True)
class Multiplier:
    """``mantissa * 2**(shift - 31)``, with a mantissa of 31 bits."""

    mantissa: int
    shift: int

    @staticmethod
    def of(real: float) -> Multiplier:
        """The nearest one to a number."""
        if not math.isfinite(real):
            raise UnsupportedError("scales whose ratio overflows", accepted="finite ratios")
        fraction, shift = math.frexp(abs(real))
        mantissa = math.floor(fraction * (1 << 31) + 0.5)
        if mantissa == 1 << 31:
            mantissa, shift = mantissa >> 1, shift + 1
        if shift > 30:
            raise UnsupportedError(f"the ratio {real:g} of scales", accepted="less than 2**30")
        return Multiplier(0, 0) if shift < -31 else Multiplier(mantissa if real >= 0.0 else -mantissa, shift)

    def scales(self, *, wide: bool) -> tuple[Fraction, Fraction]:
        """Return the first divisor of an integer, halves rounded up, and the second, halves rounded away from zero."""
        if wide:
            mantissa = self.mantissa + (1 << 15) >> 16 if self.mantissa < 0x7FFF0000 else 0x7FFF
            return _ratio(15 - self.shift, mantissa), Fraction(1)
        return _ratio(31 - max(self.shift, 0), self.mantissa), Fraction(1 << max(-self.shift, 0))

    def applied(self, x: Integers) -> Integers:
        """The product with integers of 32 bits."""
        check_room([math.ldexp(0.5, self.shift)], int(np.abs(x).max(initial=0)))
        product = high_product(x << max(self.shift, 0), self.mantissa)
        return divided(product, max(-self.shift, 0))


def check_room(reals: Sequence[float], most: int) -> None:
    """Refuse integers of up to ``most`` that kernels shift beyond 32 bits: by up to twice the real number, before they limit."""
    finer = max(map(abs, reals), default=0.0)
    if finer * most >= 1 << 30:
        raise UnsupportedError(
            f"a result {finer:.3g} times as fine as its operands, in which integers of 32 bits may wrap around",
            accepted="results whose steps hold their operands",
            remedy="convert the model again, with representative data that this result is not 0 for",
        )


def quotient(x: Integers, y: Integers, multiplier: Multiplier) -> Integers:
    """``x / y`` times a multiplier, for integers of few bits: by the reciprocal of 31 bits; by 0 it is as large as can be.

    Where kernels shift numbers of 32 bits by more than 31, which C++ leaves undefined, it is what the shift stands for.
    """
    dividend, divisor = np.where(y < 0, -x, x), np.maximum(np.abs(y), 1)
    digits = _bit_length(divisor)
    reciprocal = Fixed(32).reciprocal((divisor << 32 - digits) - (1 << 31))
    headroom = 31 - _bit_length(np.where(dividend >= 0, dividend, -dividend - 1))
    product = high_product(high_product(dividend << headroom, reciprocal), multiplier.mantissa)
    exponent = np.asarray(headroom + digits - 1 - multiplier.shift, dtype=np.int64)
    if bool(np.any(exponent < 0)):
        raise UnsupportedError("a quotient of scales whose ratio is large", accepted="ratios that kernels accept")
    found = divided(product, np.minimum(exponent, 62))
    return np.asarray(np.where(y == 0, np.sign(x) << 31, found), dtype=np.int64)


def _bit_length(x: Integers) -> Integers:
    """Bits of integers from 0 on."""
    return np.asarray(np.frexp(x.astype(np.float64))[1], dtype=np.int64)


def _ratio(exponent: int, mantissa: int) -> Fraction:
    return Fraction(2) ** exponent / mantissa if mantissa else _TO_ZERO


def step_of(multipliers: Sequence[Multiplier], limits: tuple[int, int], *, wide: bool) -> Layer:
    """The layer that multiplies integers, which are within ``limits`` afterwards.

    Several multipliers are those of the channels, along the last axis. ``wide`` are sums of 64 bits, whose multipliers have 15.
    """
    pairs = [one.scales(wide=wide) for one in multipliers]
    once, twice = (_array([pair[k] for pair in pairs]) for k in (0, 1))
    if all(second == 1 for _, second in pairs):
        return Quantize(integers(once, limits, Rounding.RND))
    return Rescale(integers(once, INT32, Rounding.RND), integers(twice, limits, Rounding.RND_INF))


def real_step(factors: Sequence[float], limits: tuple[int, int]) -> Quantizer:
    """The quantizer of a multiplication in double precision by these factors, halves rounded away from zero.

    Raises:
        UnsupportedError: a factor whose rounded products no exact one gives.
    """
    return integers(_array([1 / _as_rounded(factor, limits) for factor in factors]), limits, Rounding.RND_INF)


_FEW = 1 << 16
"""Greatest denominator of the ratio that a factor may stand for."""


def _as_rounded(factor: float, limits: tuple[int, int]) -> Fraction:
    """The exact factor that gives what the products in double precision do.

    That is the factor itself, unless it is the rounded form of a ratio whose products are halves: three times a sixth is
    rounded to one half exactly.
    """
    if not 0.0 < factor < math.inf:
        raise UnsupportedError(f"the ratio {factor:g} of scales", accepted="a positive number")
    for exact_factor in (Fraction(factor), Fraction(factor).limit_denominator(_FEW)):
        if exact_factor and _is_as_rounded(exact_factor, factor, limits):
            return exact_factor
    raise UnsupportedError(f"the ratio {factor!r} of scales, whose products are too near to halves")


def _is_as_rounded(exact_factor: Fraction, factor: float, limits: tuple[int, int]) -> bool:
    """Return True if each code begins at the same integer for both factors."""
    codes = np.array(range(limits[0] + 1, limits[1] + 1), dtype=np.object_)
    numerator, denominator = (2 * codes - 1) * exact_factor.denominator, 2 * exact_factor.numerator
    starts = np.where(codes > 0, -(-numerator // denominator), numerator // denominator + 1)
    first = starts.astype(np.float64)
    if not first.size or float(np.abs(first).max()) >= 2.0**53:
        return True
    wanted = codes.astype(np.float64)
    return bool(np.all(nearest(first * factor) >= wanted) and np.all(nearest((first - 1.0) * factor) < wanted))


def integers(
    scale: Rationals | Fraction, limits: tuple[int, int], rounding: Rounding, offset: Fraction | int = 0
) -> Quantizer:
    """``round(x / scale + offset)`` within ``limits``, as integers."""
    return Quantizer.uniform(scale, *limits, rounding, Overflow.SAT, step=Fraction(1), offset=Fraction(offset))


def _array(values: Sequence[Fraction]) -> Rationals:
    found = np.empty(len(values), dtype=np.object_)
    found[:] = values
    return found if len(values) > 1 else found.reshape(())


def exact(values: npt.NDArray[np.int64]) -> Floats:
    """Integers as weights."""
    return as_weights(values.astype(np.float64))
