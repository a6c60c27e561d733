"""Softmax of 8 bits as one whole quotient of each exponential, with the codes of the kernels' reciprocal.

The kernels multiply an exponential by a reciprocal of 32 bits. Their code is that of ``round(256 * e / total)`` but where this is
within the reciprocal's error of a half. A numerator near ``512 * e`` has the code ``floor((numerator + total) / (2 * total))``
of the kernels for all totals, or for all but a few, which are exceptions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bitsmith.frontends.tflite.fixedpoint import Fixed, Integers, divided, shifted

SUM_BITS = 19
"""Fractional bits of the sum of exponentials."""

CODES = 255
"""The greatest code."""

_MOST_TOTAL_BITS = 24
"""Totals of so many bits differ by more than the kernels' errors: 8.5 * 2**-29 of the reciprocal, and half a step of the product.
So codes fall as totals rise."""

_NEAR = 2
"""Totals beside the exact place of a step within which the kernels have it: these errors are less than a step of totals."""

_MOST_EXCEPTIONS = 8
"""With more rows of them the reciprocal takes less area."""


@dataclass(frozen=True, slots=True, eq=False)
class Quotients:
    """The numerator of each exponential, and exceptions: a change, and the total at which the code of each has it, or 0."""

    numerators: Integers
    exceptions: tuple[tuple[int, Integers], ...]


def kernel_codes(exponentials: Integers, totals: Integers) -> Integers:
    """The codes that the kernels give, by a reciprocal of ``totals``."""
    bits = np.frexp(totals.astype(np.float64))[1].astype(np.int64)
    half = np.clip((totals << 32 - bits) >> 1, 1 << 30, (1 << 31) - 1)
    reciprocal = shifted(Fixed(32).newton(half), 1)
    scaled = (exponentials * reciprocal + (1 << 30)) >> 31
    return np.minimum(divided(scaled, 43 - 8 - (32 - bits)), CODES)


def quotients(exponentials: Integers, count: int) -> Quotients | None:
    """Numerators for exponentials with 31 fractional bits, the greatest last, of which ``count`` add up.

    None where too many codes are others, or ``count`` is large.
    """
    parts = divided(exponentials, 31 - SUM_BITS)
    most = count * int(parts[-1])
    if most.bit_length() > _MOST_TOTAL_BITS:
        return None
    rows = list[tuple[int, dict[int, int]]]()
    for place, (exponential, part) in enumerate(zip(exponentials.tolist(), parts.tolist(), strict=True)):
        least = int(parts[-1]) + (0 if place == len(parts) - 1 else part)
        rows.append(_numerator(exponential, least, most) if least <= most else (0, {}))
    exceptions = tuple(_in_rows([changes for _, changes in rows]))
    if len(exceptions) > _MOST_EXCEPTIONS:
        return None
    return Quotients(np.array([numerator for numerator, _ in rows], dtype=np.int64), exceptions)


def _in_rows(changes: Sequence[Mapping[int, int]]) -> Iterator[tuple[int, Integers]]:
    """Totals by their change and the place of their exponential, in as few rows as have all of them."""
    for change in (1, -1):
        totals = [[total for total, by in one.items() if by == change] for one in changes]
        for row in itertools.zip_longest(*totals, fillvalue=0):
            yield change, np.array(row, dtype=np.int64)


def _numerator(exponential: int, least: int, most: int) -> tuple[int, dict[int, int]]:
    """The numerator with the fewest exceptions for totals ``least..most``, and the changes of these."""
    odd = 2 * np.arange(1, CODES + 1) - 1  # a code of k or more is a numerator of at least total * (2 * k - 1)
    last = np.clip(_last(exponential), least - 1, most)
    low, high = np.where(last < least, 0, last * odd), np.where(last < most, (last + 1) * odd, 1 << 62)
    first, end = int(low.max()), int(high.min())
    if first < end:
        return _roundest(first, end), {}
    tried = np.unique([*low, *(high - 1)[last < most]])
    wrong = ((tried[:, None] < low) | (tried[:, None] >= high)).sum(axis=1)
    numerator = int(tried[wrong.argmin()])
    found = np.clip(numerator // odd, least - 1, most)
    changes = dict[int, int]()
    for given, wanted in zip(found.tolist(), last.tolist(), strict=True):
        changes |= dict.fromkeys(range(given + 1, wanted + 1), 1) | dict.fromkeys(range(wanted + 1, given + 1), -1)
    return numerator, changes


def _last(exponential: int) -> Integers:
    """The greatest total of which the code is at least 1, 2 and so on up to the greatest."""
    codes = np.arange(1, CODES + 1)
    exact = (exponential << 9) // ((2 * codes - 1) << 31 - SUM_BITS)
    near = np.maximum(exact[:, None] + np.arange(-_NEAR, _NEAR + 1), 1)
    reached = kernel_codes(np.full_like(near, exponential), near) >= codes[:, None]
    return np.asarray(near[:, 0] - 1 + reached.sum(axis=1), dtype=np.int64)


def _roundest(first: int, end: int) -> int:
    """The number from ``first`` to below ``end`` that ends in the most zeros."""
    zeros = 0
    while -(-first >> zeros + 1) << zeros + 1 < end and zeros < first.bit_length():
        zeros += 1
    return -(-first >> zeros) << zeros
