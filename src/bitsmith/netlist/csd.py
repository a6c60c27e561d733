"""Canonical signed digits: the non-adjacent form of integer constants, and how many adders a matrix of them takes.

In: integer matrices. Out: digit masks per entry, digit counts. Knows nothing of graphs.
"""

from __future__ import annotations


def digit_masks(value: int) -> tuple[int, int]:
    """Return the non-adjacent form of ``value``: bit masks with ``value == plus - minus`` and no two digits adjacent.

    Bits of ``x + (x >> 1)`` and ``x >> 1`` differ exactly where the form has a digit (Prodinger, "On binary
    representations of integers with digits -1, 0, 1", Integers 0, 2000).
    """
    magnitude = abs(value)
    half = magnitude >> 1
    sum_ = magnitude + half
    digits = half ^ sum_
    plus, minus = sum_ & digits, half & digits
    return (minus, plus) if value < 0 else (plus, minus)
