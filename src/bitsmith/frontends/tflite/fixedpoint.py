"""Fixed-point functions of kernels, on integers: what their tables hold.

The functions have the names and constants of Google's gemmlowp (``fixedpoint/fixedpoint.h``), which the kernels call. A number of
``bits`` bits has ``bits - 1`` fractional bits less the integer bits that the function states.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Integers: TypeAlias = npt.NDArray[np.int64]
Reals: TypeAlias = npt.NDArray[np.float64]
_Real = TypeVar("_Real", np.float32, np.float64)


def high_product(x: Integers, y: Integers | int, bits: int = 32) -> Integers:
    """``x * y / 2**(bits - 1)``, halves rounded up: "saturating rounding doubling high multiply"."""
    return np.asarray(x * y + (1 << bits - 2) >> bits - 1, dtype=np.int64)


def divided(x: Integers, exponent: Integers | int) -> Integers:
    """``x / 2**exponent``, halves rounded away from zero."""
    half = np.left_shift(1, exponent) >> 1
    return np.asarray(np.where(x >= 0, x + half >> exponent, -(-x + half >> exponent)), dtype=np.int64)


def shifted(x: Integers, exponent: int, bits: int = 32) -> Integers:
    """``x * 2**exponent`` within ``bits`` bits; of a negative exponent rounded."""
    if exponent <= 0:
        return divided(x, -exponent)
    limit = 1 << bits - 1
    return np.asarray(np.clip(x << exponent, -limit, limit - 1), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Fixed:
    """Functions on numbers of ``bits`` bits."""

    bits: int

    def constant(self, value: int) -> int:
        """A constant that is given with 32 bits."""
        return int(divided(np.array(value), 32 - self.bits))

    @property
    def one(self) -> int:
        """The greatest number without integer bits."""
        return (1 << self.bits - 1) - 1

    def times(self, x: Integers, y: Integers | int) -> Integers:
        """The product, whose integer bits are those of both."""
        return high_product(x, y, self.bits)

    def exp_near_zero(self, x: Integers) -> Integers:
        """``exp(x)`` from -1/4 to 0, by Taylor's series around -1/8."""
        middle = self.constant(1895147668)
        third = self.constant(715827883)
        x = x + (1 << self.bits - 4)
        square = self.times(x, x)
        rest = shifted(self.times(square, square), -2) + self.times(square, x)
        total = x + shifted(self.times(rest, third) + square, -1)
        return np.asarray(np.minimum(middle + self.times(total, middle), self.one), dtype=np.int64)

    def exp_of_negative(self, x: Integers, integer_bits: int) -> Integers:
        """``exp(x)`` without integer bits, of ``x <= 0`` that has some."""
        fraction = self.bits - 1 - integer_bits
        # With few fractional bits a quarter has to be counted in more of them.
        quarter = 1 << fraction - 2
        inside = (x & quarter - 1) - quarter
        result = self.exp_near_zero(shifted(inside, integer_bits, self.bits))
        rest = inside - x
        for exponent, factor in POWERS:
            if integer_bits > exponent:
                held = rest & 1 << fraction + exponent
                result = np.where(held != 0, self.times(result, self.constant(factor)), result)
        if integer_bits > 5:
            result = np.where(x < -(1 << self.bits + 4 - integer_bits), 0, result)
        return np.asarray(np.where(x == 0, self.one, result), dtype=np.int64)

    def newton(self, half: Integers) -> Integers:
        """``1 / half``, which is from 1/2 to 1, with two integer bits: by three steps of Newton and Raphson."""
        one = 1 << self.bits - 3
        x = self.constant(1515870810) + self.times(half, self.constant(-1010580540))
        for _ in range(3):
            x = x + shifted(self.times(x, one - self.times(half, x)), 2, self.bits)
        return x

    def reciprocal(self, x: Integers) -> Integers:
        """``1 / (1 + x)`` of ``x`` from 0 to 1."""
        return shifted(self.newton(x + self.one + 1 >> 1), 1, self.bits)


POWERS = ((-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308), (2, 39332535), (3, 720401), (4, 242))
"""``exp(-2**n)`` with 31 fractional bits."""


def interpolated(
    function: Callable[[npt.NDArray[_Real]], npt.NDArray[_Real]], low: _Real, high: _Real, unit: _Real
) -> Integers:
    """A function on ``low..high`` at 513 places, in steps of ``unit``: straight lines between them err on both sides.

    All is computed in the precision of the arguments.
    """
    real = type(unit)
    step = (high - low) / real(512)
    places = low + np.arange(513).astype(real) * step
    fine = real(65536) / (unit * real(32767) - unit * real(-32768))
    values, middles = function(places) * fine, function(places[:-1] + step / real(2)) * fine
    samples = nearest(values)
    error = nearest((values[1:] + samples[:-1].astype(real)) / real(2)) - nearest(middles)
    samples[:-1] -= nearest(error / 2)
    samples[-1:] = nearest(function(np.array([high])) * fine)
    return np.asarray(np.clip(samples, -32768, 32767), dtype=np.int64)


def nearest(x: npt.NDArray[np.float32] | Reals) -> Reals:
    """The nearest integers, halves away from zero, of infinities these."""
    exact = x.astype(np.float64)
    whole = np.trunc(exact)
    with np.errstate(invalid="ignore"):
        return np.asarray(whole + np.copysign(np.abs(exact - whole) >= 0.5, exact), dtype=np.float64)
