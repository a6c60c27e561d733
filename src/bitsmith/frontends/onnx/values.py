"""What is known of an ONNX value while its graph is translated, above all where the batch axis is.

ONNX has no batch axis: a model's first axis usually is one, and operators move, merge and split it like any other. Samples must
stay independent of each other, so that each value is followed sample by sample: an operation that would work along the batch axis
is found out here (:class:`MixedSamplesError`).

Sizes are computed by the graph itself in many models (``Shape``, ``Gather``, ``Concat``, ``Reshape``). With a batch of open size
such constants are evaluated for batches of 1, 7 and 11 samples at once: what is the same for all does not depend on the batch.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.onnx.graph import MAX_ELEMENTS, Array
from bitsmith.layers.layer import Floats, Shape, as_weights

_PROBES = (1, 7, 11)


class MixedSamplesError(UnsupportedError):
    """An operation along the batch axis."""

    def __init__(self, found: str = "works along the batch axis") -> None:
        super().__init__(found, accepted="operations within a sample")


class Kind(enum.Enum):
    """What ONNX's type of a tensor means to arithmetic."""

    REAL = "real"
    WHOLE = "whole"
    """Whole numbers of 32 or 64 bits, which are taken not to overflow."""
    NARROW = "narrow"
    """Whole numbers of 8 or 16 bits, which wrap around."""
    TRUTH = "truth"
    TEXT = "text"
    """Positions of words in a list."""

    @staticmethod
    def of(dtype: np.dtype[np.generic]) -> Kind:
        """The kind of a NumPy type."""
        if dtype.kind in "iu":
            return Kind.WHOLE if dtype.itemsize > 2 else Kind.NARROW
        return Kind.TRUTH if dtype.kind == "b" else Kind.REAL


@dataclass(frozen=True, slots=True)
class Batch:
    """The number of samples; None is any."""

    size: int | None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of samples for which sizes are computed."""
        return _PROBES if self.size is None else (self.size,)


@dataclass(frozen=True, slots=True)
class Known:
    """A constant: one array, or one for each of :attr:`Batch.sizes` where it depends on the number of samples.

    ``name`` is the initialiser's, for users. Of ``words`` the array has the positions.
    """

    at: tuple[Array, ...]
    name: str = ""
    words: tuple[str, ...] = ()

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


@dataclass(frozen=True, slots=True)
class Tensor:
    """The result of ``node``, whose shape (of one sample) is ``shape``.

    ``batch`` is the batch axis among ONNX's axes, which ``shape`` does not have; None if there is none. If ``merged`` is not 0,
    ``shape`` has it, with the elements of one sample in so many equal blocks, and in ONNX's tensor each block comes once for
    every sample before the next one does.
    Where ``mask`` is 0, ONNX's value is minus infinity, or as good as that; only a softmax takes such a tensor.
    """

    node: str
    shape: Shape
    batch: int | None
    merged: int = 0
    kind: Kind = Kind.REAL
    mask: Floats | None = None

    @property
    def rank(self) -> int:
        """The number of ONNX's axes."""
        return len(self.shape) + self.has_pure_batch

    @property
    def has_pure_batch(self) -> bool:
        """Whether there is a batch axis that ``shape`` does not have."""
        return self.batch is not None and not self.merged

    def sizes(self, samples: int) -> Shape:
        """ONNX's shape for a batch of so many samples."""
        if self.batch is None:
            return self.shape
        if self.merged:
            return tuple(size * samples if axis == self.batch else size for axis, size in enumerate(self.shape))
        return (*self.shape[: self.batch], samples, *self.shape[self.batch :])

    def counted(self, axis: int) -> int:
        """ONNX's ``axis``, which may be negative, counted from the front.

        Raises:
            UnsupportedError: there is no such axis.
        """
        if not -self.rank <= axis < self.rank:
            raise UnsupportedError(f"axis {axis} of a tensor of {self.rank} axes")
        return axis % self.rank

    def axis(self, axis: int) -> int:
        """ONNX's ``axis`` as one of ``shape``.

        Raises:
            MixedSamplesError: it is the batch axis.
        """
        counted = self.counted(axis)
        if counted == self.batch:
            raise MixedSamplesError
        return counted - int(self.has_pure_batch and counted > (self.batch or 0))


Value: TypeAlias = Tensor | Known


def per_sample(known: Known, axis: int | None, merged: int, batch: Batch) -> Array:
    """A constant as each sample sees it, if the batch axis of what it is combined with is its ``axis`` (None: it has none).

    Raises:
        MixedSamplesError: it differs between samples.
    """
    first = known.at[0]
    if axis is None or axis < 0:
        return known.array()
    for samples, array in zip(batch.sizes, known.at, strict=False):
        sizes = [size for k, size in enumerate(array.shape) if k != axis]
        if array.ndim != first.ndim or sizes != [size for k, size in enumerate(first.shape) if k != axis]:
            raise MixedSamplesError
        one = np.take(array, [0], axis) if array.shape[axis] else array
        length = array.shape[axis]
        fits = length in (1, samples) or (merged and length % samples == 0)
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


def placed_batch(before: Tensor, after: Sequence[Shape], batch: Batch) -> tuple[Shape, int | None, int]:
    """Where the batch axis of ``before`` is once its elements are in row-major order under other shapes.

    Args:
        before: a tensor.
        after: ONNX's new shape, for each of the batch's sizes.

    Returns:
        The new shape of one sample, where its batch axis is, and in how many blocks it is merged.

    Raises:
        MixedSamplesError: elements of several samples would lie between those of one.
        UnsupportedError: other numbers of elements.
    """
    for samples, shape in zip(batch.sizes, after, strict=True):
        if math.prod(shape) != math.prod(before.sizes(samples)) or min(shape, default=1) < 1:
            raise UnsupportedError(f"shape {before.sizes(samples)} as {shape}", accepted="as many elements")
    first = after[0]
    if before.batch is None:
        return first, None, 0
    ahead = math.prod(before.shape[: before.batch]) * max(before.merged, 1)
    ranks = {len(shape) for shape in after}
    found: list[tuple[int, Shape, int]] = []
    for axis in range(len(first) if len(ranks) == 1 else 0):
        others = {(*shape[:axis], 1, *shape[axis + 1 :]) for shape in after}
        parts = {divmod(shape[axis], samples) for samples, shape in zip(batch.sizes, after, strict=True)}
        blocks, uneven = divmod(ahead, math.prod(first[:axis]))
        if not uneven and blocks and len(others) == 1 and len(parts) == 1:
            ((elements, rest),) = parts
            if rest == 0 and elements % blocks == 0:
                found.append((blocks if elements > 1 else 0, (*first[:axis], elements, *first[axis + 1 :]), axis))
    if not found:
        raise MixedSamplesError("a reshape that moves elements between samples")
    # A batch axis of its own rather than a merged one.
    merged, sizes, axis = min(found, key=lambda candidate: candidate[0] > 0)
    if merged and batch.size == 1:  # anything could be
        raise MixedSamplesError("a reshape after which the batch axis may be anywhere")
    return (sizes if merged else (*sizes[:axis], *sizes[axis + 1 :])), axis, merged


def floats(array: Array) -> Floats:
    """A constant as numbers.

    Raises:
        UnsupportedError: NaN or infinite values, or too many.
    """
    values = np.asarray(array, dtype=np.float64)
    if values.size > MAX_ELEMENTS:
        raise UnsupportedError(f"a constant of {values.size} elements", accepted=f"at most {MAX_ELEMENTS}")
    if not bool(np.all(np.isfinite(values))):
        raise UnsupportedError("NaN or infinite values in a constant", accepted="finite numbers")
    return as_weights(values)
