"""Arrays that users give, as batches: one array per input of a program."""

import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.base.files import open_file
from bitsmith.errors import InputDataError, nearest

Shape: TypeAlias = tuple[int, ...]

Columns: TypeAlias = tuple[str, ...]
"""Names of the features of an input, in order; () where nothing names them."""

Batch: TypeAlias = npt.NDArray[np.floating | np.integer | np.bool_]
"""Real numbers for one input, (samples, *input shape)."""


@dataclass(frozen=True, slots=True)
class Table:
    """An array whose ``columns`` have names, as tables of other packages have."""

    values: Batch
    columns: Columns

    @property
    def shape(self) -> Shape:
        return self.values.shape

    def to_numpy(self) -> Batch:
        """Return the values."""
        return self.values

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Batch:
        return np.asarray(self.values, dtype)


Arrays: TypeAlias = npt.ArrayLike | Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike]
"""One array, or one per input, in order or by name; each of shape (samples, *input shape)."""


Results: TypeAlias = npt.NDArray[np.float64] | Any
"""An array (samples, *output shape), or for several outputs a list of them, which type checkers cannot know: ``Any`` lets both be
used as what they are."""


_MOST = float(np.finfo(np.float32).max)
"""The largest number of single precision."""


_NUMBERS = (int, float, np.integer, np.floating, np.bool_)

_SHOWN = 40
"""Most characters of an element that messages show."""

_KINDS = {
    "U": ("text", "numpy.load reads the array of a file"),
    "O": ("objects that are no numbers", "give texts and missing values numbers, such as x['a'].cat.codes"),
}
"""Names of arrays without numbers, by the letter of their kind, and what to do."""


def checked_batches(shapes: Mapping[str, Shape], columns: Mapping[str, Columns], x: Arrays) -> list[Batch]:
    """``x`` as one array of numbers per input, in the order of ``shapes``, which has the shape of a sample by name.

    A list or tuple is several inputs, unless it is one input's samples as nested lists. An array of the shape of a sample is one
    sample. Tables have the ``columns`` of their input, in order.

    Raises:
        InputDataError: arrays by other names or of another number, other shapes, batches of different lengths, or elements that
            are not real numbers; tables with other columns.
    """
    if type(x) is np.ndarray and x.ndim and x.dtype.char in "fd" and [x.shape[1:]] == [*shapes.values()]:
        return [x]  # what most calls have
    parts = _parts(shapes, x)
    batches = [as_array(part) for part in parts]
    if len(batches) != len(shapes):
        raise InputDataError(
            f"arrays for {len(batches)} inputs", accepted=f"one for each of {', '.join(map(repr, shapes))}"
        )
    for name, part in zip(shapes, parts, strict=True):
        _check_columns(part, name, columns.get(name, ()))
    batches = [_with_samples(batch, shape) for batch, shape in zip(batches, shapes.values(), strict=True)]
    for name, batch in zip(shapes, batches, strict=True):
        check_batch(batch, name, shapes[name])
    if len(batches) > 1 and len({len(batch) for batch in batches}) > 1:
        counts = ", ".join(f"{len(batch)} of {name!r}" for name, batch in zip(shapes, batches, strict=True))
        raise InputDataError(f"different numbers of samples: {counts}", accepted="as many for each input")
    return batches


def _with_samples(batch: Batch, shape: Shape) -> Batch:
    """Return ``batch`` with an axis of samples, which users of hls4ml leave out of a single one."""
    return batch[None] if batch.shape == shape else batch


def check_batch(batch: Batch, name: str, shape: Shape) -> None:
    """Refuse what is not numbers of shape (samples, *shape) for input ``name``.

    Raises:
        InputDataError: another shape, another kind of numbers.
    """
    if batch.dtype.kind not in "fiub" or batch.dtype.itemsize > 8:
        kind, remedy = _KINDS.get(batch.dtype.kind, (f"an array of {batch.dtype}", ""))
        strange = batch.flat if batch.dtype.kind == "O" else ()
        example = next((f", such as {item!r:.{_SHOWN}}" for item in strange if not isinstance(item, _NUMBERS)), "")
        raise InputDataError(
            kind + example,
            where=f"input {name!r}",
            accepted="float16, float32, float64, integers or booleans",
            remedy=remedy,
        )
    if not batch.ndim or batch.shape[1:] != shape:
        accepted = f"(samples, {', '.join(map(str, shape))})" if shape else "(samples,)"
        raise InputDataError(
            f"an array of shape {batch.shape}",
            where=f"input {name!r}",
            accepted=accepted,
            remedy=_moved(batch.shape, shape),
        )


def _moved(own: Shape, shape: Shape) -> str:
    """The call that makes batches of ``shape`` of an array with its channels elsewhere, or samples that are or should be flat."""
    calls = {
        (*shape[1:], *shape[:1]): "if channels are the last axis: numpy.moveaxis(x, -1, 1)",
        (*shape[-1:], *shape[:-1]): "if channels are the first axis: numpy.moveaxis(x, 1, -1)",
        (math.prod(shape),): f"if each row is a sample: x.reshape(-1, {', '.join(map(str, shape))})",
    }
    if len(shape) > 1 or not own:
        return calls.get(own[1:], "")
    return "to make each sample flat: x.reshape(len(x), -1)" if (math.prod(own[1:]),) == shape else ""


def in_frames(batches: Sequence[Batch] | None, samples: int) -> Sequence[Batch] | None:
    """Batches as frames of so many samples, of which the last is filled up with the last sample; None if there are none."""
    if batches is None or samples == 1:
        return batches
    count = len(batches[0])
    places = np.minimum(np.arange(-(-count // samples) * samples).reshape(-1, samples), count - 1)
    return [batch[places] for batch in batches]


def float_batches(
    shapes: Mapping[str, Shape], columns: Mapping[str, Columns], x: Arrays
) -> list[npt.NDArray[np.float64]]:
    """Return :func:`checked_batches` in double precision.

    Raises:
        InputDataError: as there, or values that are not finite, or beyond single precision, in which frameworks compute.
    """
    batches = checked_batches(shapes, columns, x)
    for name, batch in zip(shapes, batches, strict=True):
        if bad := int(np.count_nonzero(~np.isfinite(batch))):
            raise InputDataError.not_finite(name, bad, batch.size)
        if batch.size and (most := max(abs(float(batch.min())), abs(float(batch.max())))) > _MOST:
            raise InputDataError(
                f"values up to {most:.3g}", where=f"input {name!r}", accepted=f"magnitudes up to {_MOST:.3g}"
            )
    return [batch.astype(np.float64) for batch in batches]


def columns_of(x: object) -> Columns:
    """The names of a table's columns, or of the elements of a row of one; () of what has none, as of an array."""
    listed: Any = getattr(x, "columns", getattr(x, "index", ())) if hasattr(x, "to_numpy") else ()
    names = tuple(getattr(x, "column_names", listed))  # of Arrow, whose columns are arrays
    return tuple(map(str, names)) if any(isinstance(name, str) for name in names) else ()


def _check_columns(part: object, name: str, columns: Columns) -> None:
    """Refuse a table whose columns are not those of an input, as scikit-learn does; without names they count by their places.

    Raises:
        InputDataError: other columns, or these in another order.
    """
    own = columns_of(part)
    spelled = tuple(each.replace(" ", "_") for each in own)  # as LightGBM keeps them
    if not own or not columns or columns in (own, spelled):
        return
    strange = [each for each, kept in zip(own, spelled, strict=True) if not {each, kept} & {*columns}]
    missing = [each for each in columns if each not in own and each not in spelled]
    kinds = [
        f"{kind} {nearest((), map(repr, names))}" for kind, names in (("with", strange), ("without", missing)) if names
    ]
    raise InputDataError(
        f"a table {' and '.join(kinds) or 'whose columns are in another order, or there twice'}",
        where=f"input {name!r}",
        accepted=f"the columns that the model was trained on, in their order: {nearest((), map(repr, columns))}",
        remedy="choose them by name: x[names]; or x.to_numpy(), whose columns count by their places",
    )


def _parts(shapes: Mapping[str, Shape], x: Arrays) -> list[object]:
    """The part of ``x`` for each input; those by name in the order of ``shapes``."""
    if isinstance(x, Mapping):
        if set(x) != set(shapes):
            raise InputDataError(
                f"arrays for {', '.join(map(repr, x)) or 'no input'}", accepted=", ".join(map(repr, shapes))
            )
        return [x[name] for name in shapes]
    if isinstance(x, (list, tuple)):
        rank = len(next(iter(shapes.values()), ())) + 1
        several = len(shapes) > 1 or (len(x) == 1 and as_array(x[0]).ndim == rank)
        if several or any(isinstance(part, np.ndarray) and part.ndim == rank for part in x):
            return list(x)
    return [x]


def shapes_of(x: Arrays | None) -> list[Shape] | None:
    """The shapes of samples that arrays show; None if they do not say which input is which.

    Raises:
        InputDataError: samples of different shapes.
    """
    if x is None or isinstance(x, Mapping):
        return None
    if isinstance(x, list | tuple) and all(as_array(part).ndim > 1 for part in x):
        return [as_array(part).shape[1:] for part in x]
    return [as_array(x).shape[1:]]


def as_array(x: object) -> Batch:
    """Return ``x`` as an array, also a tensor of PyTorch, a sparse matrix, and a table of columns of unlike kinds of numbers.

    Raises:
        InputDataError: what numpy makes no array of, samples of different shapes, or masked values.
    """
    data: Any = x
    if hasattr(data, "detach"):  # a tensor of PyTorch may need gradients, or lie on another device
        data = data.detach().cpu()
        data = data.float() if str(data.dtype) == "torch.bfloat16" else data
    elif not hasattr(data, "__array__"):
        data = getattr(data, "to_numpy", getattr(data, "toarray", lambda: x))()
    if isinstance(data, np.ma.MaskedArray) and (masked := int(np.sum(np.ma.getmaskarray(data)))):
        raise InputDataError(
            f"an array with {masked:,} masked values",
            accepted="arrays without masked values",
            remedy="leave these samples out, or give the values numbers: x.filled(0)",
        )
    try:
        array = np.asarray(data)
    except TypeError as error:
        raise InputDataError(str(error), accepted="arrays of numbers that numpy knows") from error
    except ValueError as error:
        raise InputDataError(
            f"samples of different shapes ({error})",
            accepted="an array whose first axis counts samples",
            remedy="of a loader of batches with labels: np.concatenate([x for x, _ in loader])",
        ) from error
    return np.array(array.tolist()) if _all_numbers(array) else array


def _all_numbers(array: npt.NDArray[Any]) -> bool:
    """Return True of an array of objects all of which are numbers, as numpy makes of columns of unlike kinds."""
    return array.dtype.kind == "O" and all(issubclass(kind, _NUMBERS) for kind in set(map(type, array.flat)))


def read_array(path: Path) -> Batch:
    """The numbers of an ``.npy`` file.

    Raises:
        InputDataError: no such file, or another kind of file.
    """
    try:
        with open_file(path) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except FileNotFoundError as error:
        raise InputDataError(
            "there is no such file", where=str(path), accepted="an .npy or .npz file", remedy="check the path"
        ) from error
    except _NO_ARRAY as error:
        raise _not_an_array(path, error) from error


def read_arrays(path: Path) -> Arrays:
    """The numbers of an ``.npy`` file; of an ``.npz`` file those of each input by its name, or of the only one.

    Raises:
        InputDataError: as :func:`read_array`.
    """
    names = _arrays_in(path)
    if not names:
        return read_array(path)
    try:
        with open_file(path) as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in names}
    except _NO_ARRAY as error:
        raise _not_an_array(path, error) from error
    return arrays if len(arrays) > 1 else arrays[names[0]]


# A header may declare any size; numpy's reader of headers and archives have errors of their own.
_NO_ARRAY = (
    *(OSError, ValueError, TypeError, EOFError, MemoryError, SyntaxError, tokenize.TokenError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, KeyError),
)


def _not_an_array(path: Path, error: Exception) -> InputDataError:
    """The error of a file that is no array, with the line that makes an array of what it is."""
    kind, name = f"not an array file ({error})", str(path)
    remedy = "write it with np.save('x.npy', x)"
    if arrays := _arrays_in(path):
        kind = f"an archive of several arrays: {nearest((), arrays)}"
        remedy = f"np.save('x.npy', np.load({name!r})[{arrays[0]!r}])"
    elif path.suffix in _SEPARATORS:
        kind = "a text"
        remedy = f"np.save('x.npy', np.loadtxt({name!r}, delimiter={_SEPARATORS[path.suffix]!r}))"
    return InputDataError(kind, where=name, accepted=".npy without pickles", remedy=remedy)


def _arrays_in(path: Path) -> list[str]:
    """The names of the arrays of an archive; none of a damaged one, or of anything else."""
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            return [entry.removesuffix(".npy") for entry in archive.namelist() if entry.endswith(".npy")]
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile):
        return []


_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": " "}
"""Separators of the numbers of a text, by the ending of its name."""
