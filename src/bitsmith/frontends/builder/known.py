"""Constants of a graph, which may depend on the number of samples.

Many models compute sizes themselves (``Shape``, ``Gather``, ``Concat``, ``Reshape`` of ONNX). With a batch of open size such
constants are evaluated for several numbers of samples at once: what is the same for all does not depend on the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Batch, Kind, MixedSamplesError, Value
from bitsmith.layers.layer import as_weights

Array: TypeAlias = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Known:
    """A constant: one array, or one for each of the numbers of samples where it depends on the number of samples.

    ``name`` is the initializer's, for users. Of ``words`` the array has the positions. Integers that are ``narrow`` have 4 bits,
    and those that were clipped have ``limits``. ``moved`` is the one array as moved elements of what the model stores.
    """

    at: tuple[Array, ...]
    name: str = ""
    words: tuple[str, ...] = ()
    narrow: bool = False
    limits: tuple[int, int] | None = None
    moved: Value | None = None

    @staticmethod
    def of(arrays: Sequence[Array]) -> Known:
        """A constant for each of the numbers of samples, which may all be the same."""
        first = arrays[0]
        same = all(array.dtype == first.dtype and np.array_equal(array, first) for array in arrays)
        return Known(tuple(arrays[:1] if same else arrays))

    @property
    def fixed(self) -> bool:
        """True if it is the same for any number of samples."""
        return len(self.at) == 1

    @property
    def kind(self) -> Kind:
        """Return the meaning of its type to arithmetic."""
        return Kind.of(self.at[0].dtype)

    def each(self, counts: Sequence[int]) -> int:
        """Return the elements that each sample has along the axis that grows with their number; 0 if none does.

        Raises:
            UnsupportedError: its sizes depend on the number of samples in another way.
        """
        shapes = [array.shape for array in self.at]
        return 0 if len(set(shapes)) == 1 else _growth(shapes, counts)[1]

    def beyond(self, counts: Sequence[int], many: int) -> Array:
        """Return the array for ``many`` samples, where it is known for ``counts``: one that is affine in their number.

        Elements along an axis that grows with it are affine in the sample's number, too.

        Raises:
            UnsupportedError: it depends on the number of samples in another way.
            OverflowError: integers of 32 bits do not hold it.
        """
        if self.fixed:
            return self.at[0]
        shapes, dtype = [array.shape for array in self.at], self.at[0].dtype
        grows = len(set(shapes)) > 1
        axis, merged = _growth(shapes, counts) if grows else (0, 1)
        wide = np.float64 if dtype.kind == "f" else np.int64
        rows = [
            np.moveaxis(array.astype(wide).reshape(*shape[:axis], count, merged, *shape[axis + 1 :]), axis, 0)
            if grows
            else array.astype(wide)[None]
            for array, shape, count in zip(self.at, shapes, counts, strict=True)
        ]
        first, last = rows[0][0], rows[-1]
        by_count = _slope(first, last[0], counts[-1] - counts[0])
        by_row = _slope(last[0], last[1], 1) if grows else by_count * 0

        def line(count: int) -> Array:
            numbers = np.arange(count if grows else 1).reshape(-1, *(1,) * first.ndim)
            with np.errstate(invalid="ignore"):
                return np.asarray(first + by_count * (count - counts[0]) + np.multiply(by_row, numbers))

        close = 8 * float(np.finfo(dtype.name).eps) if dtype.kind == "f" else 0.0
        if not all(np.allclose(line(count), row, close, 0.0) for count, row in zip(counts, rows, strict=True)):
            raise _by_samples()
        shape = (*shapes[0][:axis], many * merged, *shapes[0][axis + 1 :]) if grows else shapes[0]
        exact = np.moveaxis(line(many), 0, axis).reshape(shape)
        with np.errstate(over="ignore"):
            typed = exact.astype(dtype)
        if dtype.kind in "iu" and dtype.itemsize == np.int32().itemsize and not np.array_equal(typed, exact):
            raise OverflowError
        return typed

    def array(self) -> Array:
        """Return its only value.

        Raises:
            UnsupportedError: it depends on the number of samples.
        """
        if not self.fixed:
            raise UnsupportedError("an argument that depends on the number of samples", accepted="constants")
        return self.at[0]


BY_SAMPLES = (
    "by the number of samples",
    "leave what the circuit is to have, for any number of samples: a circuit takes one after the other",
)
"""Words of a refusal, which its reason ends with, and the remedy."""

MANY_SAMPLES = 1 << 20
"""More samples than programs compare with. Of as many, only sizes are computed."""

Operand: TypeAlias = "Value | Known"


def value_of(known: Known, counts: Sequence[int]) -> Value:
    """A constant as a value; ``counts`` are the numbers of samples. One that grows with them must be alike for all samples.

    Raises:
        MixedSamplesError: it differs between samples.
        UnsupportedError: it depends on the number of samples in another way.
    """
    first = known.at[0]
    if known.moved is not None:
        return known.moved
    if known.fixed:
        return Value(as_weights(first), first.shape, None, known.name, known.kind)
    axis, merged = _growth([array.shape for array in known.at], counts)
    one = np.take(first, [0], axis)
    if any(bool(np.any(array != one)) for array in known.at):
        raise MixedSamplesError("has a constant that differs between samples")
    elements = as_weights(np.repeat(one, merged, axis) if merged > 1 else np.squeeze(one, axis))
    return Value(elements, elements.shape, Batch(axis, merged), known.name, known.kind)


def _by_samples() -> UnsupportedError:
    return UnsupportedError("values that depend on the number of samples", accepted="constants", remedy=BY_SAMPLES[1])


def _growth(shapes: Sequence[tuple[int, ...]], counts: Sequence[int]) -> tuple[int, int]:
    """The axis that grows with the number of samples, and the elements that each of them has along it."""
    first = shapes[0]
    axis = next((k for k in range(len(first)) if len({shape[k : k + 1] for shape in shapes}) > 1), 0)
    merged = first[axis] // counts[0] if first else 0
    if not merged or list(shapes) != [(*first[:axis], merged * count, *first[axis + 1 :]) for count in counts]:
        raise _by_samples()
    return axis, merged


def _slope(start: Array, stop: Array, steps: int) -> Array:
    """The growth in each of ``steps``, rounded down where it is not whole; equal infinities do not grow."""
    with np.errstate(invalid="ignore"):
        rise = np.where(start == stop, 0, np.subtract(stop, start))
    return np.asarray(rise / steps if rise.dtype.kind == "f" else rise // steps)
