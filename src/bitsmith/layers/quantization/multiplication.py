"""Staircases as multiplications: the fewest bits with which ``floor((x * factor + term) / 2**drop)`` steps where it should.

The factor is only near the true one, so that it has to be right where the steps are. (T. Granlund, P. Montgomery, "Division by
Invariant Integers using Multiplication", PLDI 1994, have the idea for quotients.) The least ``drop`` is searched, so that the
multiplier is as small as can be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

import numpy as np

from bitsmith.ir.types import Ints

_MACHINE_BITS = 62

_SAMPLED = 512
"""Steps of a long staircase that a multiplication is tried on first."""

_ANY = 1 << 200
"""A bound beyond all terms."""


def near_exponent(factor: Fraction) -> int:
    """``k`` with ``factor * 2**k`` between 1/4 and 1."""
    return factor.denominator.bit_length() - factor.numerator.bit_length() - 1


def near(factor: Fraction, drop: int) -> Iterator[int]:
    """Integers near ``factor * 2**drop``."""
    below, rest = divmod(factor.numerator << drop, factor.denominator)
    nearest = below + (2 * rest + below % 2 > factor.denominator)  # a half goes to the even one
    yield from (each for each in dict.fromkeys((nearest, below, below + 1)) if each > 0)


def roundest(low: int, high: int, zeros: int) -> int:
    """The number from ``low`` to ``high`` that ends in the most zeros, of which no more than ``zeros`` count."""
    for ending in range(zeros, 0, -1):
        number = -(-low >> ending) << ending
        if number <= high:
            return number
    return low


class Stairs(Protocol):
    """A function that rises: the code of each number, and the codes at which it saturates."""

    @property
    def lo(self) -> int: ...

    @property
    def hi(self) -> int: ...

    def code(self, raw: int, /) -> int: ...


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Steps between the numbers ``least`` and ``most``: codes, and the numbers from which on they are reached.

    ``before`` is the code of ``least`` and ``after`` the one after that of ``most``, or None where codes saturate.
    """

    codes: Ints
    starts: Ints
    least: int
    most: int
    before: int | None
    after: int | None

    @staticmethod
    def of(stairs: Stairs, codes: Ints, starts: Ints, least: int, most: int) -> Steps:
        """Those of ``stairs``; none if ``least`` is above ``most``."""
        if least > most:
            return Steps(codes, starts, least, most, None, None)
        before, after = stairs.code(least), stairs.code(most) + 1
        ends = before if before > stairs.lo else None, after if after <= stairs.hi else None
        return Steps(codes, starts, least, most, *ends)

    def some(self) -> Steps:
        """A part of them, with the first and the last one."""
        picked = np.linspace(0, self.codes.size - 1, _SAMPLED).astype(np.int64)
        return replace(self, codes=self.codes[picked], starts=self.starts[picked])

    def terms(self, factor: int, drop: int) -> tuple[int, int]:
        """The least and the greatest term with which each code begins where it should, and no further one begins in the range."""
        low, high = -_ANY, _ANY
        if self.codes.size:
            sizes = (abs(int(code)).bit_length() for code in self.codes[[0, -1]])
            bits = max(sum(sizes) + drop, max(abs(self.least), abs(self.most)).bit_length() + factor.bit_length()) + 2
            codes, starts = (
                part.astype(np.int64 if bits <= _MACHINE_BITS else object) for part in (self.codes, self.starts)
            )
            excess = (codes << drop) - factor * starts
            low, high = int(excess.max()), int(excess.min()) + factor - 1
        if self.before is not None:
            low = max(low, (self.before << drop) - factor * self.least)
        if self.after is not None:
            high = min(high, (self.after << drop) - factor * self.most - 1)
        return low, high


def multiplied(factor: Fraction, drops: int, parts: Sequence[Steps]) -> tuple[int, int, list[tuple[int, int]]] | None:
    """The integer near ``factor``, the bits that are dropped, and bounds of a term for each of the ``parts``.

    So many numbers of dropped bits are tried from the least on that can do; None if none of them does.
    """
    fine = max(near_exponent(factor), 0)
    few = [part.some() for part in parts if part.codes.size > 2 * _SAMPLED]
    for drop in range(fine, fine + drops):
        for integer in near(factor, drop):
            if any(low > high for low, high in (steps.terms(integer, drop) for steps in few)):
                continue
            bounds = [steps.terms(integer, drop) for steps in parts]
            if all(low <= high for low, high in bounds):
                return integer, drop, bounds
    return None
