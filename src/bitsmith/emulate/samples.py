"""Data sets as users hold them: files, pairs with labels, and loaders of batches -> arrays of a model's inputs."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.base.files import local_path
from bitsmith.emulate.batches import Arrays, Columns, Table, as_array, columns_of, read_arrays
from bitsmith.errors import InputDataError

Samples: TypeAlias = Arrays | os.PathLike[str] | Iterable[object]
"""Arrays; a path of an ``.npy`` or ``.npz`` file; inputs and labels, also named ``x`` and ``y``; or a loader of such batches."""

MOST_OF_A_LOADER = 1024
"""Samples that are taken of a loader, which may have no end."""

_BATCHES = "batches of samples, or of samples and labels"


def arrays_of(data: Samples) -> Arrays:
    """Return what ``data`` is as arrays: a file's content, and the first batches of a loader, put together.

    Raises:
        InputDataError: a file without numbers, a loader without a batch or with batches that differ, or a dataset without one.
    """
    if isinstance(data, str | os.PathLike):
        return read_arrays(local_path(data))
    if isinstance(data, Mapping | Sequence) and not data:
        raise InputDataError(f"an empty {type(data).__name__}", accepted="arrays, or a path of a file with some")
    if isinstance(data, Mapping | Sequence) or any(
        hasattr(data, name) for name in ("__array__", "to_numpy", "toarray")
    ):
        return data  # type: ignore[return-value]  # what is not an array is rejected where it becomes one
    if not isinstance(data, Iterable):
        if hasattr(data, "__getitem__"):  # else numpy would count single samples as batches
            remedy = "of a dataset of PyTorch: calibration=torch.utils.data.DataLoader(dataset, batch_size=64)"
            raise InputDataError(f"a {type(data).__name__}, which has no batches", accepted=_BATCHES, remedy=remedy)
        return data
    batches, columns, count = list[tuple[np.ndarray, ...]](), set[tuple[Columns, ...]](), 0
    for batch in data:
        held = batch if isinstance(batch, tuple | list) else (batch,)
        parts = tuple(as_array(part) for part in held if part is not None)
        columns.add(tuple(columns_of(part) for part in held if part is not None))
        batches.append(parts)
        count += len(parts[0]) if parts and parts[0].ndim else 0
        if count >= MOST_OF_A_LOADER or not parts or not parts[0].ndim:
            break
    if not count:
        raise InputDataError(f"a {type(data).__name__} that yields no batch", accepted=_BATCHES)
    try:
        joined = tuple(np.concatenate(parts)[:MOST_OF_A_LOADER] for parts in zip(*batches, strict=True))
        (names,) = columns
    except ValueError as error:
        raise InputDataError(f"batches of a {type(data).__name__} that differ ({error})", accepted=_BATCHES) from None
    tables = tuple(Table(*pair) if pair[1] else pair[0] for pair in zip(joined, names, strict=True))
    return tables if len(tables) > 1 else tables[0]


def without_labels(arrays: Samples, inputs: int | None = None) -> Arrays:
    """Return the arrays of ``inputs`` of a model; labels that come after them are left out.

    Where the number of inputs is not known, a last array of one number per sample is one of labels, and so are several together.
    """
    arrays = _pair(arrays, inputs)
    if not isinstance(arrays, tuple) or len(arrays) < 2:
        return arrays  # type: ignore[return-value]  # as above
    *first, last = arrays
    together = last if isinstance(last, tuple | list) else (last,)
    if not all(hasattr(part, "shape") for part in (*first, *together)):
        return arrays
    labels = together is last or as_array(last).ndim == 1 if inputs is None else len(arrays) == inputs + 1
    if not labels:
        return arrays
    return arrays[:-1] if len(arrays) > 2 else arrays[0]


def labels_apart(data: Arrays, inputs: int, outputs: int) -> tuple[Arrays, list[npt.NDArray[np.generic]] | None]:
    """Inputs, and labels if there are some: ``(x, y)``, or of several outputs ``(x, (y1, y2))`` or ``(x, y1, y2)``.

    Several inputs may be together, too: ``((x1, x2), y)``, or a dictionary of them.
    """
    data = _pair(data, inputs)
    if not isinstance(data, tuple) or len(data) <= (count := 1 if _are_together(data[0], inputs) else inputs):
        return data, None
    first, last = data[:count], data[count:]
    if len(last) == 1 and isinstance(last[0], tuple | list) and outputs > 1:
        last = tuple(last[0])
    return (first if count > 1 else first[0]), [_numbers(as_array(labels)) for labels in last]


def _numbers(labels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    if labels.dtype.kind in "biu" or (labels.dtype.kind == "f" and np.isfinite(labels).all()):
        return labels
    names = "number the names of classes: y = np.unique(y, return_inverse=True)[1], if outputs are in their order"
    raise InputDataError(
        "labels that are no numbers",
        where="test data",
        accepted="finite numbers: classes from 0, or values",
        remedy=names if labels.dtype.kind in "USO" else "",
    )


def _pair(data: Samples, inputs: int | None) -> Any:
    """``(x, y)`` of a dictionary or a file with arrays of these names that are no two inputs; else ``data``."""
    if not isinstance(data, Mapping) or not {"x", "y"} <= {*data}:
        return data
    return (data["x"], data["y"]) if inputs == 1 or (inputs is None and as_array(data["y"]).ndim == 1) else data


def _are_together(first: object, inputs: int) -> bool:
    """Return True if the first of some data has several inputs."""
    several = isinstance(first, tuple | list) and len(first) == inputs and all(hasattr(x, "shape") for x in first)
    return inputs > 1 and (several or isinstance(first, Mapping))
