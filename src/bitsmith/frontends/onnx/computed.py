"""Operators on constants, which may depend on the number of samples: computed for several, and judged for all.

What depends on the number of samples is affine in it, or refused. Where an operator makes of such operands what is affine, or the
same, for a few numbers of samples and for many, it is so for all: functions that are affine piece by piece (absolute values,
bounds, comparisons, quotients) bend between these. One that differs at a single number, as equality does, is judged by another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.known import BY_SAMPLES, MANY_SAMPLES, Array, Known, Operand
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.onnx.call import Call, Translation, Translator
from bitsmith.layers.layer import Floats, as_weights

_DTYPES: Mapping[Kind, str] = {
    kind: "f4" if kind is Kind.REAL else kind.value for kind in Kind if kind is not Kind.STRING
}
"""The types of what is computed of constants, if no operand is of its kind."""

_FEW_ELEMENTS = 1 << 16


def constants(entry: Translation, call: Call) -> tuple[Known | None, ...]:
    """Return the results of an operator on constants, for each of the batch's sizes that they depend on.

    Raises:
        UnsupportedError: they depend on the number of samples, and are not affine in it.
    """
    known = [value for value in call.operands if isinstance(value, Known)]
    dtypes = {**_DTYPES, **{value.kind: value.at[0].dtype.str for value in reversed(known)}}
    found, results = _results_by_count(entry.read, call, known, dtypes)
    if any(not value.fixed for value in known):
        _check_affine(entry.read, call, known, dtypes, found)
        if entry.judged is not None:
            sides, _ = _results_by_count(entry.judged, call, known, dtypes)
            with _as_choice():
                _check_affine(entry.judged, call, known, dtypes, sides)
    return tuple(
        None if one is None else _with_history(one, result) for one, result in zip(found, results, strict=True)
    )


def _results_of(
    read: Translator, call: Call, known: Sequence[Array], dtypes: Mapping[Kind, str], count: int
) -> tuple[tuple[Operand | None, ...], list[Array | None]]:
    """The results of an operator whose constants are ``known``, for so many samples; and their arrays."""
    left = iter(known)
    operands = tuple(replace(value, at=(next(left),)) if isinstance(value, Known) else None for value in call.operands)
    found = read(replace(call, operands=operands, build=replace(call.build, samples=count)))
    results = found if isinstance(found, tuple) else (found,)
    return results, [_array(result, dtypes) for result in results]


def _results_by_count(
    read: Translator, call: Call, known: Sequence[Known], dtypes: Mapping[Kind, str]
) -> tuple[list[Known | None], tuple[Operand | None, ...]]:
    """The constants that an operator makes of others, for each of the batch's sizes; and the results for the last."""
    rows: list[list[Array | None]] = []
    results: tuple[Operand | None, ...] = ()
    for k, count in enumerate(call.build.counts[: max((len(value.at) for value in known), default=1)]):
        results, arrays = _results_of(read, call, [value.at[k % len(value.at)] for value in known], dtypes, count)
        rows.append(arrays)
    columns = ([array for array in column if array is not None] for column in zip(*rows, strict=True))
    return [Known.of(column) if column else None for column in columns], results


@contextlib.contextmanager
def _as_choice() -> Iterator[None]:
    try:
        yield
    except (UnsupportedError, ModelFileError) as error:
        raise UnsupportedError(f"a choice or a bound {BY_SAMPLES[0]}", remedy=BY_SAMPLES[1]) from error


def _check_affine(
    read: Translator, call: Call, known: Sequence[Known], dtypes: Mapping[Kind, str], constants: Sequence[Known | None]
) -> None:
    """Refuse an operator on constants whose results are not affine in the number of samples, as its operands are.

    A function that is affine piece by piece is so for a few numbers of samples, and for many is not what follows from these.

    Raises:
        UnsupportedError: such a choice, bound or number.
    """
    counts = call.build.counts
    given = [(one, one.at[-1].size // counts[-1]) for one in (*known, *constants) if one is not None]
    grown = [size for one, size in given if not one.fixed and one.each(counts)]
    most = max(2 * counts[-1], _FEW_ELEMENTS // max(1, *grown)) if grown else MANY_SAMPLES
    for many in (most, min(most, 1 << 10), min(most, 1 << 7)):
        try:
            operands = [one.beyond(counts, many) for one in known]
            wanted = [None if one is None else one.beyond(counts, many) for one in constants]
        except OverflowError:
            continue
        with _as_choice():
            _, arrays = _results_of(read, call, operands, dtypes, many)
            if not all(map(_alike, wanted, arrays)):
                raise UnsupportedError("others")
        return


def _alike(one: Array | None, other: Array | None) -> bool:
    """Return True of arrays that differ by no more than sums of their type's rounding errors."""
    if one is None or other is None or one.shape != other.shape:
        return one is other
    close = 8 * float(np.finfo(one.dtype.name).eps) if one.dtype.kind == "f" else 0.0
    return np.array_equal(one, other) or (close > 0 and np.allclose(one, other, close, 0.0))


def _with_history(known: Known, result: Operand | None) -> Known:
    """``known``, the ``result`` of an operator on constants, with its limits and with what it was before its elements moved."""
    if isinstance(result, Known):
        return replace(known, limits=result.limits, moved=result.moved)
    if result is None or result.given is None or not known.fixed:
        return known
    return replace(known, moved=replace(result, node=as_weights(known.array())))


def _typed(values: Floats, dtype: np.dtype[np.generic]) -> Array:
    """Numbers in double precision in their own type, whose greatest integer may be no double: the end of a slice often is it."""
    if dtype.kind not in "iu":
        return values.astype(dtype)
    most = np.iinfo(dtype.name).max
    with np.errstate(invalid="ignore"):
        return np.where(values >= float(most), most, values.astype(dtype)).astype(dtype)


def _array(result: Operand | None, dtypes: Mapping[Kind, str]) -> Array | None:
    """A result of constants."""
    if isinstance(result, Value):
        if result.constant is None:
            raise UnsupportedError(
                "constants that are not computed at once", accepted="operands that depend on an input"
            )
        return _typed(result.constant, np.dtype(dtypes[result.kind]))
    return None if result is None else result.array()
