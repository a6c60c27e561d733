"""Judges constants that are computed from the number of samples.

What depends on the number of samples is affine in it, or refused. Where an operator makes of such operands what is affine, or the
same, for a few numbers of samples and for many, it is so for all: functions that are affine piece by piece (absolute values,
bounds, comparisons, quotients) bend between these. One that differs at a single number, as equality does, is judged by another.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, TypeVar

import numpy as np

from bitsmith.errors import BitsmithError, UnsupportedError
from bitsmith.frontends.builder.known import BY_SAMPLES, MANY_SAMPLES, Array, Known

_FEW_ELEMENTS = 1 << 16

Made = TypeVar("Made")
"""The results of a reader on constants."""

_Computing: TypeAlias = Callable[[Sequence[Array], int], tuple[Made, Sequence[Array | None]]]


@contextlib.contextmanager
def as_choice() -> Iterator[None]:
    """Refuse what is refused within as a choice by the number of samples.

    Raises:
        UnsupportedError: such a choice or bound.
    """
    try:
        yield
    except BitsmithError as error:
        raise UnsupportedError(f"a choice or a bound {BY_SAMPLES[0]}", remedy=BY_SAMPLES[1]) from error


def computed(
    known: Sequence[Known], counts: Sequence[int], compute: _Computing[Made], judge: _Computing[Made] | None = None
) -> tuple[list[Known | None], Made]:
    """Return the constants that an operator makes of others, the ``known``, and what it makes for the last of the ``counts``.

    Args:
        counts: the numbers of samples that constants are known for.
        compute: makes it of arrays in the place of ``known``, for a number of samples; and its arrays.
        judge: the same of an operator that is judged in this one's place.

    Raises:
        UnsupportedError: they depend on the number of samples, and are not affine in it.
    """
    results, last = _by_count(known, counts, compute)
    if any(not one.fixed for one in known):
        check_affine(known, results, counts, lambda arrays, many: compute(arrays, many)[1])
        if judge is not None:
            sides, _ = _by_count(known, counts, judge)
            with as_choice():
                check_affine(known, sides, counts, lambda arrays, many: judge(arrays, many)[1])
    return results, last


def _by_count(
    known: Sequence[Known], counts: Sequence[int], compute: _Computing[Made]
) -> tuple[list[Known | None], Made]:
    """The constants for each of the numbers of samples that they may depend on, and what is made for the last."""
    most = max((len(one.at) for one in known), default=1)
    rows = [compute([one.at[k % len(one.at)] for one in known], count) for k, count in enumerate(counts[:most])]
    columns = zip(*(arrays for _, arrays in rows), strict=True)
    listed = ([array for array in column if array is not None] for column in columns)
    return [Known.of(column) if column else None for column in listed], rows[-1][0]


def check_affine(
    known: Sequence[Known],
    results: Sequence[Known | None],
    counts: Sequence[int],
    compute: Callable[[Sequence[Array], int], Sequence[Array | None]],
) -> None:
    """Refuse what was computed of constants, the ``results``, where they are not affine in the number of samples, as these are.

    Args:
        counts: the numbers of samples that they are known for.
        compute: makes them of arrays in the place of ``known``, for a number of samples.

    Raises:
        UnsupportedError: such a choice, bound or number.
    """
    listed = [(one, one.at[-1].size // counts[-1]) for one in (*known, *results) if one is not None]
    grown = [size for one, size in listed if not one.fixed and one.each(counts)]
    most = max(2 * counts[-1], _FEW_ELEMENTS // max(1, *grown)) if grown else MANY_SAMPLES
    for many in (most, min(most, 1 << 10), min(most, 1 << 7)):
        try:
            arrays = [one.beyond(counts, many) for one in known]
            wanted = [None if one is None else one.beyond(counts, many) for one in results]
        except OverflowError:
            continue
        with as_choice():
            if not all(map(_alike, wanted, compute(arrays, many))):
                raise UnsupportedError("others")
        return


def _alike(left: Array | None, right: Array | None) -> bool:
    """Return True of arrays that differ by no more than sums of their type's rounding errors."""
    if left is None or right is None or left.shape != right.shape:
        return left is right
    close = 8 * float(np.finfo(left.dtype.name).eps) if left.dtype.kind == "f" else 0.0
    return np.array_equal(left, right) or (close > 0 and np.allclose(left, right, close, 0.0))
