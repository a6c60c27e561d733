"""Operators of ONNX on constants, which may depend on the number of samples: computed for several, and judged for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.counted import computed
from bitsmith.frontends.builder.known import Array, Known, Operand
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.onnx.call import Call, Translation, Translator
from bitsmith.layers.layer import Floats, as_weights

_DTYPES: Mapping[Kind, str] = {
    kind: "f4" if kind is Kind.REAL else kind.value for kind in Kind if kind is not Kind.STRING
}
"""The types of what is computed of constants, if no operand is of its kind."""


def constants(entry: Translation, call: Call) -> tuple[Known | None, ...]:
    """Return the results of an operator on constants, for each of the batch's sizes that they depend on.

    Raises:
        UnsupportedError: they depend on the number of samples, and are not affine in it.
    """
    known = [value for value in call.operands if isinstance(value, Known)]
    dtypes = {**_DTYPES, **{value.kind: value.at[0].dtype.str for value in reversed(known)}}
    read, judged = (
        None if one is None else partial(_results_of, one, call, dtypes) for one in (entry.read, entry.judged)
    )
    assert read is not None
    results, made = computed(known, call.build.counts, read, judged)
    return tuple(None if one is None else _with_history(one, result) for one, result in zip(results, made, strict=True))


def _results_of(
    read: Translator, call: Call, dtypes: Mapping[Kind, str], known: Sequence[Array], count: int
) -> tuple[tuple[Operand | None, ...], list[Array | None]]:
    """The results of an operator whose constants are ``known``, for so many samples; and their arrays."""
    left = iter(known)
    operands = tuple(replace(value, at=(next(left),)) if isinstance(value, Known) else None for value in call.operands)
    made = read(replace(call, operands=operands, build=replace(call.build, samples=count)))
    results = made if isinstance(made, tuple) else (made,)
    return results, [_array(result, dtypes) for result in results]


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
