"""Data sets as users hold them: files, pairs with labels, and loaders of batches -> arrays of a model's inputs."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from bitsmith.base.files import local_path
from bitsmith.emulate.batches import Arrays, Batch, Table, as_array, columns_of, read_arrays
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
    batches, count = list[list[object]](), 0
    for batch in data:
        parts = [part for part in (batch if isinstance(batch, tuple | list) else [batch]) if part is not None]
        batches.append(parts)
        first = next(iter(_leaves(parts)), None)
        if first is None or not np.ndim(first):
            break
        count += len(first)
        if count >= MOST_OF_A_LOADER:
            break
    if not count:
        raise InputDataError(f"a {type(data).__name__} that yields no batch", accepted=_BATCHES)
    try:
        joined = tuple(map(_joined, zip(*batches, strict=True)))
    except ValueError as error:
        raise InputDataError(f"batches of a {type(data).__name__} that differ ({error})", accepted=_BATCHES) from None
    return joined if len(joined) > 1 else joined[0]


def _leaves(part: object) -> Iterator[Batch]:
    """The arrays of a batch, in order."""
    if isinstance(part, Mapping):
        part = [*part.values()]
    if isinstance(part, tuple | list):
        for inner in part:
            yield from _leaves(inner)
    else:
        yield as_array(part)


def _joined(parts: Sequence[object]) -> Any:
    """Arrays of batches, put together as the first batch has them: alone, in a tuple, or by name.

    Raises:
        ValueError: batches that differ.
    """
    first = parts[0]
    if isinstance(first, Mapping):
        if not all(isinstance(part, Mapping) and {*part} == {*first} for part in parts):
            raise ValueError(f"not all have {', '.join(map(repr, first))}")
        return {name: _joined([part[name] for part in parts if isinstance(part, Mapping)]) for name in first}
    if _are_arrays(first):
        return tuple(map(_joined, zip(*(part if _are_arrays(part) else () for part in parts), strict=True)))
    columns = {columns_of(part) for part in parts}
    if len(columns) > 1:
        raise ValueError("columns have other names")
    array, names = np.concatenate([as_array(part) for part in parts])[:MOST_OF_A_LOADER], columns.pop()
    return Table(array, names) if names else array


def _are_arrays(part: object) -> TypeGuard[Sequence[Any]]:
    """Return True for several arrays, which are no rows of numbers."""
    return isinstance(part, tuple | list) and len(part) > 0 and all(getattr(x, "shape", ()) for x in part)


def without_labels(arrays: Samples, inputs: int | None = None) -> Arrays:
    """Return the arrays of ``inputs`` of a model; labels that come after them are left out.

    Where the number of inputs is not known, a last array of one number per sample is one of labels, and so are several together.
    """
    arrays = _pair(arrays, inputs)
    if not isinstance(arrays, tuple) or len(arrays) < 2:
        return arrays  # type: ignore[return-value]  # as above
    if isinstance(arrays[0], Mapping) or _are_together(arrays, inputs):
        inside: Arrays = arrays[0]
        return inside
    *first, last = arrays
    together = last if isinstance(last, tuple | list) else (last,)
    if not all(hasattr(part, "shape") for part in (*first, *together)):
        return arrays
    if inputs is None:
        count = len(first) if together is last or as_array(last).ndim == 1 else len(arrays)
    else:  # Keras's weights of samples may come after labels
        count = (
            inputs if len(arrays) == inputs + 1 or (len(arrays) == inputs + 2 and np.ndim(last) == 1) else len(arrays)
        )
    return arrays[:count] if count > 1 else arrays[0]


def labels_apart(data: Arrays, inputs: int, outputs: int) -> tuple[Arrays, list[npt.NDArray[np.generic]] | None]:
    """Inputs, and labels if there are some: ``(x, y)``, or of several outputs ``(x, (y1, y2))`` or ``(x, y1, y2)``.

    Several inputs may be together, too: ``((x1, x2), y)``, or a dictionary of them.
    """
    data = _pair(data, inputs)
    if not isinstance(data, tuple) or len(data) <= (count := 1 if _are_together(data, inputs) else inputs):
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


def _are_together(data: Sequence[Any], inputs: int | None) -> bool:
    """Return True if the first of some data has several inputs; if not known how many, as many samples of each as labels."""
    first, labels = data[:2]
    if inputs is None:
        several = labels if _are_arrays(labels) else labels.values() if isinstance(labels, Mapping) else [labels]
        return _are_arrays(first) and len({np.shape(part)[:1] for part in (*first, *several)}) == 1
    return inputs > 1 and (isinstance(first, Mapping) or (_are_arrays(first) and len(first) == inputs))
