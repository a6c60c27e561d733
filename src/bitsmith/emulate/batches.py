"""Arrays that users give, as batches: one array per input of a program."""

from __future__ import annotations

import tokenize
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import InputDataError
from bitsmith.ir.ops import Input

Batch: TypeAlias = npt.NDArray[np.floating | np.integer | np.bool_]
"""Real numbers for one input, (samples, *input shape)."""

Arrays: TypeAlias = npt.ArrayLike | Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike]
"""One array, or one per input, in order or by name; each of shape (samples, *input shape)."""


def checked_batches(inputs: Sequence[Input], x: Arrays) -> list[Batch]:
    """One batch per input.

    Raises:
        InputDataError: another number of arrays, other shapes, or elements that are not real numbers.
    """
    given = as_batches(x, {op.name: op.shape for op in inputs})
    if len(given) != len(inputs):
        raise InputDataError(f"{len(given)} input arrays", accepted=f"a list of {len(inputs)} arrays")
    for op, batch in zip(inputs, given, strict=True):
        if batch.dtype.kind not in "fiub" or batch.shape[1:] != op.shape or batch.ndim != len(op.shape) + 1:
            raise InputDataError(
                f"an array of {batch.dtype} and shape {batch.shape}",
                where=f"input {op.name!r}",
                accepted=f"real numbers of shape (samples, {', '.join(map(str, op.shape))})",
            )
    if len({len(batch) for batch in given}) > 1:
        raise InputDataError(f"batches of different lengths {[len(batch) for batch in given]}")
    return given


def as_batches(x: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> list[Batch]:
    """``x`` as one array per input, whose ``shapes`` are in order.

    A list or tuple is several inputs, unless it is one input's samples as nested lists.

    Raises:
        InputDataError: samples of different shapes, or arrays by other names.
    """
    if isinstance(x, Mapping):
        if set(x) != set(shapes):
            raise InputDataError(f"inputs {', '.join(map(repr, x)) or '(none)'}", accepted=", ".join(map(repr, shapes)))
        return [_as_batch(x[name]) for name in shapes]
    if isinstance(x, (list, tuple)):
        rank = len(next(iter(shapes.values()), ())) + 1
        several = len(shapes) > 1 or (len(x) == 1 and _as_batch(x[0]).ndim == rank)
        if several or any(isinstance(part, np.ndarray) and part.ndim == rank for part in x):
            return [_as_batch(part) for part in x]
    return [_as_batch(x)]


def _as_batch(x: npt.ArrayLike | Sequence[npt.ArrayLike]) -> Batch:
    try:
        return np.asarray(x)
    except ValueError as error:
        raise InputDataError(f"samples of different shapes ({error})") from error


def read_array(path: Path) -> Batch:
    """The numbers of an ``.npy`` file.

    Raises:
        InputDataError: no such file, or another kind of file.
    """
    try:
        with path.open("rb") as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    # A header may declare any size, and numpy's reader of headers has errors of its own.
    except (OSError, ValueError, EOFError, MemoryError, tokenize.TokenError) as error:
        raise InputDataError(
            f"not an array file ({error})", where=str(path), accepted=".npy without pickles"
        ) from error
