"""The sum of two quantized tensors of unlike scales, quantized again, as integers.

``floor((x * first + y * second + term) / 2**drop)`` is the same for all codes ``x`` and ``y`` as rounding the sum of their
values, for suitable integers, although these are only near the true scales: as
:mod:`bitsmith.layers.quantization.multiplication` has it for one operand. The least ``drop`` is searched.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from bitsmith.layers.quantization.multiplication import near, near_exponent, roundest
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.quantization.requantize import Staircase

_MOST_PAIRS = _MOST_STEPS = 1 << 18
"""Most pairs of codes that are looked at, and places where a sum steps."""

_MOST_DROP = 40
_MOST_WEIGHTS = 24
"""Bits of weights, beyond which sums that round in between are as well rounded in between."""

_MOST_CODE = 1 << 16
"""The greatest code that may be reached: all fits into machine integers."""
_SAMPLED = 16
_MACHINE_BITS = 62

_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes from ``lo`` to ``hi``, worth ``scale`` each."""

    scale: Fraction
    lo: int
    hi: int

    @property
    def count(self) -> int:
        """Return their number."""
        return self.hi - self.lo + 1


@dataclass(frozen=True, slots=True)
class WeightedSum:
    """``floor((x * first + y * second + term) / 2**drop)``."""

    first: int
    second: int
    term: int
    drop: int


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """Steps of sums: from ``start`` on, beside a second operand ``beside``, the first one reaches ``code``.

    ``low`` are the least terms there may be by the codes at the ends of ranges, ``high`` the greatest: of rows (code, x, y).
    """

    code: _Integers
    start: _Integers
    beside: _Integers
    low: _Integers
    high: _Integers

    @staticmethod
    def of(rows: Sequence[tuple[int, Staircase]]) -> _Steps:
        """The steps of the first operand beside each second one."""
        code, start, beside, low, high = [], [], [], [], []
        for y, stairs in rows:
            codes, starts = stairs.steps()
            code += codes.tolist()
            start += starts.tolist()
            beside += [y] * len(codes)
            if stairs.code(stairs.least) > stairs.lo:
                low.append((stairs.code(stairs.least), stairs.least, y))
            if stairs.code(stairs.most) < stairs.hi:
                high.append((stairs.code(stairs.most) + 1, stairs.most, y))
        steps = (np.array(each, dtype=np.int64) for each in (code, start, beside))
        return _Steps(*steps, *(np.array(each, dtype=np.int64).reshape(-1, 3) for each in (low, high)))

    def term(self, first: int, second: int, drop: int) -> int | None:
        """A term with which all steps are where they are, None if there is none; the roundest there is."""
        excess = (self.code << drop) - first * self.start - second * self.beside
        least, most = (int(excess.max()), int(excess.min()) + first - 1) if excess.size else (-(1 << 62), 1 << 62)
        ends = [(rows[:, 0] << drop) - first * rows[:, 1] - second * rows[:, 2] for rows in (self.low, self.high)]
        least = max(least, int(ends[0].max(initial=least)))
        most = min(most, int(ends[1].min(initial=most + 1)) - 1)
        return None if least > most else roundest(least, most, _MACHINE_BITS)


def tabulated_sum(first: Codes, second: Codes, sums: _Integers, limits: tuple[int, int]) -> WeightedSum | None:
    """Weights that give the ``sums`` (first codes, second codes), which saturate at ``limits``; None if none are found.

    The scale of the second codes is negative where these are taken off.
    """
    x, y = (np.arange(codes.lo, codes.hi + 1) for codes in (first, second))
    sign = 1 if second.scale > 0 else -1
    for drop in range(max(near_exponent(first.scale), 0), _MOST_WEIGHTS):
        for factor, other in itertools.product(near(first.scale, drop), near(abs(second.scale), drop)):
            excess = (sums << drop) - factor * x[:, None] - sign * other * y
            least = int(excess[sums > limits[0]].max(initial=-(1 << 62)))
            most = int(excess[sums < limits[1]].min(initial=1 << 61)) + (1 << drop) - 1
            if least <= most:
                return WeightedSum(factor, sign * other, roundest(least, most, _MACHINE_BITS), drop)
    return None


def weighted_sum(first: Codes, second: Codes, sign: int, quantizer: Quantizer) -> WeightedSum | None:
    """Return ``quantizer``, which saturates, of ``first`` plus ``sign`` times ``second``; None if no integers do the same."""
    if first.count * second.count > _MOST_PAIRS:
        return None
    scale, offset = quantizer.scale.item(), quantizer.offset.item()
    factors = first.scale / scale, sign * second.scale / scale
    lo, hi = int(quantizer.lo.item()), int(quantizer.hi.item())
    reached = max(abs(factors[0] * code) for code in (first.lo, first.hi))
    reached += max(abs(factors[1] * code) for code in (second.lo, second.hi)) + abs(offset)
    in_reach = reached <= _MOST_CODE and lo <= reached and -reached <= hi
    steps = min(hi - lo, factors[0] * first.count) * second.count
    if factors[0] <= 0 or sign * factors[1] <= 0 or not in_reach or steps > _MOST_STEPS:
        return None
    rows = [
        (y, Staircase(factors[0], factors[1] * y + offset, first.lo, first.hi, lo, hi, quantizer.rounding))
        for y in range(second.lo, second.hi + 1)
    ]
    some, every = _Steps.of(rows[:: max(len(rows) // _SAMPLED, 1)]), _Steps.of(rows)
    for drop in range(max(near_exponent(factors[0]), 0), _MOST_DROP):
        for factor, other in itertools.product(near(factors[0], drop), near(abs(factors[1]), drop)):
            if some.term(factor, sign * other, drop) is None:
                continue
            term = every.term(factor, sign * other, drop)
            if term is not None:
                return WeightedSum(factor, sign * other, term, drop)
    return None
