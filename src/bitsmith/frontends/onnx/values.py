"""Constants of an ONNX graph, which may depend on the number of samples.

Sizes are computed by the graph itself in many models (``Shape``, ``Gather``, ``Concat``, ``Reshape``). With a batch of open size
such constants are evaluated for several numbers of samples at once: what is the same for all does not depend on the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import ANY_SAMPLES, MAX_ELEMENTS, Batch, Kind, MixedSamplesError, Value
from bitsmith.frontends.onnx.tensors import Array
from bitsmith.layers.layer import Floats, as_weights


@dataclass(frozen=True, slots=True)
class Samples:
    """The number of samples; None is any."""

    size: int | None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of samples for which sizes are computed."""
        return ANY_SAMPLES if self.size is None else (self.size,)


@dataclass(frozen=True, slots=True)
class Known:
    """A constant: one array, or one for each of :attr:`Samples.sizes` where it depends on the number of samples.

    ``name`` is the initialiser's, for users. Of ``words`` the array has the positions.
    """

    at: tuple[Array, ...]
    name: str = ""
    words: tuple[str, ...] = ()

    @staticmethod
    def of(arrays: Sequence[Array]) -> Known:
        """A constant for each of :attr:`Samples.sizes`, which may all be the same."""
        first = arrays[0]
        same = all(array.dtype == first.dtype and np.array_equal(array, first) for array in arrays)
        return Known(tuple(arrays[:1] if same else arrays))

    def one(self, number: int) -> Known:
        """The constant for :attr:`Samples.sizes` of this number."""
        return replace(self, at=self.at[number : number + 1] or self.at)

    @property
    def fixed(self) -> bool:
        """Whether it is the same for any number of samples."""
        return len(self.at) == 1

    @property
    def rank(self) -> int:
        """The number of axes."""
        return self.at[0].ndim

    @property
    def kind(self) -> Kind:
        """What its type means to arithmetic."""
        return Kind.of(self.at[0].dtype)

    def array(self) -> Array:
        """Its only value.

        Raises:
            UnsupportedError: it depends on the number of samples.
        """
        if not self.fixed:
            raise UnsupportedError("an argument that depends on the number of samples", accepted="constants")
        return self.at[0]


Operand: TypeAlias = "Value | Known"


def per_sample(known: Known, axis: int | None, merged: bool, samples: Samples) -> Array:
    """A constant as each sample sees it, if the batch axis of what it is combined with is its ``axis`` (None: it has none).

    Raises:
        MixedSamplesError: it differs between samples.
    """
    first = known.at[0]
    if axis is None or axis < 0:
        return known.array()
    for count, array in zip(samples.sizes, known.at, strict=False):
        sizes = [size for k, size in enumerate(array.shape) if k != axis]
        if array.ndim != first.ndim or sizes != [size for k, size in enumerate(first.shape) if k != axis]:
            raise MixedSamplesError
        one = np.take(array, [0], axis) if array.shape[axis] else array
        length = array.shape[axis]
        fits = length in (1, count) or (merged and length % count == 0)
        if not fits or not bool(np.all(array == one)):
            raise MixedSamplesError("has a constant that differs between samples")
    one = np.take(first, [0], axis)
    return one if merged else one[(slice(None),) * axis + (0,)]


def batch_axis(known: Known) -> int | None:
    """The axis of a constant whose length is the number of samples; None if there is none.

    Raises:
        UnsupportedError: it depends on the number of samples in another way.
    """
    if known.fixed:
        return None
    lengths = {array.shape for array in known.at}
    axes = [axis for axis in range(known.rank) if len({shape[axis : axis + 1] for shape in lengths}) > 1]
    if len(axes) != 1 or any(len(shape) != known.rank for shape in lengths):
        raise UnsupportedError("values that depend on the number of samples", accepted="constants")
    return axes[0]


def value_of(known: Known, samples: Samples) -> Value:
    """A constant as a value. One that grows with the number of samples must be alike for all of them.

    Raises:
        MixedSamplesError: it differs between samples.
        UnsupportedError: it depends on the number of samples in another way.
    """
    axis = batch_axis(known)
    if axis is None:
        elements = _numbers(known.at[0])
        return Value(elements, elements.shape, None, known.name, known.kind)
    parts = {divmod(array.shape[axis], count) for count, array in zip(samples.sizes, known.at, strict=False)}
    merged, rest = parts.pop()
    if parts or rest or not merged:
        raise UnsupportedError("values that depend on the number of samples", accepted="constants")
    one = _numbers(per_sample(known, axis, merged > 1, samples))
    batch = Batch(axis, merged)
    if merged > 1:
        one = as_weights(np.repeat(one, merged, axis))
    return Value(one, one.shape, batch, known.name, known.kind)


def _numbers(array: Array) -> Floats:
    if array.size > MAX_ELEMENTS:
        raise UnsupportedError(f"a constant of {array.size} elements", accepted=f"at most {MAX_ELEMENTS}")
    return as_weights(np.asarray(array, dtype=np.float64))


def floats(array: Array) -> Floats:
    """A constant as numbers.

    Raises:
        UnsupportedError: NaN or infinite values, or too many.
    """
    values = _numbers(array)
    if not bool(np.all(np.isfinite(values))):
        raise UnsupportedError("NaN or infinite values in a constant", accepted="finite numbers")
    return values
