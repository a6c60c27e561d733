"""Constants of a graph, which may depend on the number of samples.

Many models compute sizes themselves (``Shape``, ``Gather``, ``Concat``, ``Reshape`` of ONNX). With a batch of open size such
constants are evaluated for several numbers of samples at once: what is the same for all does not depend on the batch.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
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

    def beyond(self, counts: Sequence[int]) -> Array | None:
        """Return the array for :data:`MANY_SAMPLES`, if it is a polynomial of the ``counts``, for which it is known."""
        if self.fixed:
            return self.at[0]
        first = self.at[0]
        if first.dtype.kind not in "iuf" or len({array.shape for array in self.at}) > 1:
            return None
        shares = [
            math.prod(Fraction(MANY_SAMPLES - other, count - other) for other in counts if other != count)
            for count in counts
        ]
        elements = zip(*(array.ravel().tolist() for array in self.at), strict=True)
        values = [float(sum(map(operator.mul, shares, map(Fraction, row)))) for row in elements]
        return np.array(values).astype(first.dtype).reshape(first.shape)

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
    shapes = [array.shape for array in known.at]
    axis = next((k for k in range(first.ndim) if len({shape[k : k + 1] for shape in shapes}) > 1), 0)
    merged = first.shape[axis] // counts[0] if first.ndim else 0
    grown = [(*first.shape[:axis], merged * count, *first.shape[axis + 1 :]) for count in counts]
    if not merged or shapes != grown:
        raise UnsupportedError("values that depend on the number of samples", accepted="constants")
    one = np.take(first, [0], axis)
    if any(bool(np.any(array != one)) for array in known.at):
        raise MixedSamplesError("has a constant that differs between samples")
    elements = as_weights(np.repeat(one, merged, axis) if merged > 1 else np.squeeze(one, axis))
    return Value(elements, elements.shape, Batch(axis, merged), known.name, known.kind)
