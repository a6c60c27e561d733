"""Layouts of trained tensors in the user's model, whose order of kernels and gates may be another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Shape: TypeAlias = tuple[int, ...]
Floats: TypeAlias = npt.NDArray[np.float64]

Move = Callable[[Floats], Floats]
"""A rearrangement of elements."""


@dataclass(frozen=True, slots=True)
class ModelLayout:
    """Elements of a tensor of ``shape`` that the user's model has, as its ``argument`` or the one of the same name.

    The element ``(i, j, ...)`` is ``factor`` times the sum, over the ``starts``, of the model's elements, in C order, at
    ``start + places[0][i] + places[1][j] + ...``. Where no places along axes say it, ``places`` is one line of all elements.
    Of a layer that is part of one of the user's, ``cell`` has that one's name, and the variable that this is of it.
    """

    shape: Shape
    starts: tuple[int, ...]
    places: tuple[tuple[int, ...], ...]
    factor: float = 1.0
    argument: str = ""
    cell: tuple[str, str] | None = None

    @staticmethod
    def of(shape: Shape, *moves: Move, factor: float = 1.0, argument: str = "") -> ModelLayout | None:
        """The layout of the sum of what the ``moves`` make of a tensor; None if that has no elements.

        All moves take places at the same distances from each other.
        """
        numbers = np.arange(math.prod(shape), dtype=np.float64).reshape(shape)
        moved = [np.asarray(move(numbers)).astype(np.int64) for move in moves]
        if any(not one.size for one in moved):
            return None
        starts = tuple(int(one.flat[0]) for one in moved)
        first = moved[0] - starts[0]
        lines = [first[(0,) * axis + (slice(None),) + (0,) * (first.ndim - axis - 1)] for axis in range(first.ndim)]
        layout = ModelLayout(shape, starts, tuple(tuple(line.tolist()) for line in lines), factor, argument)
        assert all(np.array_equal(one - start, first) for one, start in zip(moved, starts, strict=True))
        return (
            layout
            if np.array_equal(layout._index(), first)
            else replace(layout, places=(tuple(first.ravel().tolist()),))
        )

    @staticmethod
    def plain(shape: Shape) -> ModelLayout:
        """The layout of a tensor of ``shape`` that the user's model has as it is here."""
        strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        places = tuple(tuple(range(0, n * step, step)) for n, step in zip(shape, strides, strict=True))
        return ModelLayout(shape, (0,), places)

    def fits(self, shape: Shape) -> bool:
        """Return True if it maps each element of a tensor of ``shape`` to the model's."""
        if tuple(map(len, self.places)) not in (shape, (math.prod(shape),)) or not self.starts or not all(shape):
            return False
        least, most = (sum(end(line) for line in self.places) for end in (min, max))
        within = min(self.starts) + least >= 0 and max(self.starts) + most < math.prod(self.shape)
        return within and min(self.shape, default=1) > 0 and math.isfinite(self.factor)

    @property
    def is_plain(self) -> bool:
        """True if the tensor is the model's own."""
        return self == ModelLayout.plain(self.shape)

    @property
    def is_one_to_one(self) -> bool:
        """True if each element is one of the model's."""
        return len(self.starts) == 1 and self.factor == 1.0

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes in which the model's tensor may be given: its own or, of a tensor of which one part is taken, the part's."""
        last = self.starts[0] + sum(max(line) for line in self.places)
        one_part = len(self.shape) > 1 and len(self.starts) == 1 and last < self.part + math.prod(self.shape[1:])
        return (self.shape, self.shape[1:]) if one_part else (self.shape,)

    @property
    def part(self) -> int:
        """The first element of the part that the second of the :attr:`shapes` is of."""
        size = math.prod(self.shape[1:])
        return self.starts[0] // size * size

    def taken(self, values: Floats) -> Floats:
        """The elements of the tensor that ``values``, of one of the :attr:`shapes`, are in the user's model."""
        skipped = 0 if values.shape == self.shape else self.part
        index = self._index()
        summed = np.sum([values.ravel()[index + (start - skipped)] for start in self.starts], axis=0)
        return np.asarray(self.factor * summed, dtype=np.float64)

    def _index(self) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        index = np.zeros((1,) * len(self.places), dtype=np.int64)
        for axis, line in enumerate(self.places):
            index = index + np.asarray(line, dtype=np.int64).reshape(-1, *(1,) * (len(self.places) - axis - 1))
        return index
