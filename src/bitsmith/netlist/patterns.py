"""Two-term patterns of digits, and where they occur.

In: digits of two nodes in a column. Out: the pairs of them that form a pattern, and the adder that computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bitsmith.netlist.adders import Adder

NODE_BITS = 24
SHIFT_BITS = 15
SHIFT_BIAS = 1 << SHIFT_BITS - 1


class ColumnEntry(NamedTuple):
    """One entry of a column: ``node`` times (``plus`` - ``minus``), two bit masks without a common bit."""

    node: int
    plus: int
    minus: int


class Pattern(NamedTuple):
    """Node ``a`` with node ``b`` shifted by ``shift`` (which may be negative) against it, of equal or opposite sign."""

    a: int
    b: int
    shift: int
    opposite: int

    @property
    def key(self) -> int:
        """The pattern as a number."""
        return (((self.a << NODE_BITS | self.b) << SHIFT_BITS | self.shift + SHIFT_BIAS) << 1) | self.opposite

    @classmethod
    def of(cls, key: int) -> Pattern:
        """The pattern of a key."""
        nodes = key >> SHIFT_BITS + 1
        return cls(
            nodes >> NODE_BITS, nodes & (1 << NODE_BITS) - 1, (key >> 1 & (1 << SHIFT_BITS) - 1) - SHIFT_BIAS, key & 1
        )

    @property
    def swapped(self) -> bool:
        """True if ``a`` is subtracted from ``b``, which has the lower digit: its bits below ``a`` then cost nothing."""
        return bool(self.opposite) and self.shift < 0

    def adder(self) -> Adder:
        """The adder of the pattern."""
        shift_a, shift_b = max(-self.shift, 0), max(self.shift, 0)
        if self.swapped:
            return Adder(self.b, self.a, shift_b, shift_a, True)
        return Adder(self.a, self.b, shift_a, shift_b, bool(self.opposite))


def matches_of(in_a: Sequence[int], in_b: Sequence[int], pattern: Pattern) -> list[tuple[int, int]]:
    """Return (position, sign) of digits of ``a`` that form the pattern with a digit of ``b``, each digit used once."""
    matches: list[tuple[int, int]] = []
    for minus in (0, 1):
        partner = in_b[minus ^ pattern.opposite]
        aligned = partner >> pattern.shift if pattern.shift >= 0 else partner << -pattern.shift
        matches += [(position, minus) for position in set_bits(in_a[minus] & aligned)]
    matches.sort()
    if pattern.a != pattern.b:
        return matches
    used = 0
    kept: list[tuple[int, int]] = []
    for position, minus in matches:
        both = (1 << position) | (1 << (position + pattern.shift))
        if not used & both:
            used |= both
            kept.append((position, minus))
    return kept


class TwoDigits(NamedTuple):
    """Two digits of a node in a column and what else they may be written as, (position, sign) of each digit of it.

    ``number`` tells pairs apart.
    """

    low: int
    high: int
    number: int
    form: tuple[tuple[int, int], ...]


def pairs_with_other_form(plus: int, minus: int) -> list[TwoDigits]:
    """Return the pairs of digits that stand for three times a power of two, 4 - 1 or 2 + 1, then those that stand for one, 2 - 1.

    The other form of three needs a position that has no digit.
    """
    taken = plus | minus
    found: list[TwoDigits] = []
    signs = ((0, plus, minus), (1, minus, plus))
    for sign, same, other in signs:
        differences, sums = same >> 2 & other & ~(taken >> 1), same & same >> 1 & ~(taken >> 2)
        found += [TwoDigits(k, k + 2, k * 4 + sign * 2, ((k + 1, sign), (k, sign))) for k in set_bits(differences)]
        found += [TwoDigits(k, k + 1, k * 4 + sign * 2 + 1, ((k + 2, sign), (k, 1 - sign))) for k in set_bits(sums)]
    for sign, same, other in signs:
        found += [TwoDigits(k, k + 1, k * 4 + sign * 2, ((k, sign),)) for k in set_bits(same >> 1 & other)]
    return found


def set_bits(mask: int) -> list[int]:
    """Return the positions of the ones of ``mask``, rising."""
    found: list[int] = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found
