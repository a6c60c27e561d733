"""Streams of tokens: a tensor travels as one token per position of its *grid*, its leading axes in row-major order.

A token holds the elements of the remaining axes.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.base.lately import lately
from bitsmith.ir.types import Ints, TensorType, objects, short

Grid: TypeAlias = tuple[int, ...]
Numbers: TypeAlias = npt.NDArray[np.int64]
Blocks: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """Tokens of one tensor: one for each position of ``grid``; ``token`` is a type that each of them has."""

    grid: Grid
    token: TensorType

    @property
    def tokens(self) -> int:
        """Tokens per frame."""
        return math.prod(self.grid)

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return (*self.grid, *self.token.shape)

    @property
    def bits(self) -> int:
        width = self.token.width
        return int(width.sum()) * (self.token.size // width.size)


@dataclass(frozen=True, slots=True)
class LoadableWeights:
    """Weights from outside: tensor ``name`` of ``layer``, whose raw values are any of ``lo..hi`` in units of ``2**-frac``.

    The tensor is seen as a matrix (rows, columns), of which rows of zeros fill up what ``steps`` does not divide. It is cut
    into tiles: ``steps`` parts of its rows, ``groups`` parts of its columns. Tiles come as those of a :class:`FoldedProduct`,
    elements of each row by row.

    The matrix is made of ``blocks`` of the tensor, all of one size: its rows are as wide as ``across`` of them, which are
    numbered row by row; -1 is zeros. Mostly a single block is all of the tensor.
    """

    layer: str
    name: str
    matrix: tuple[int, int]
    steps: int
    groups: int
    lo: int
    hi: int
    frac: int
    blocks: Blocks = ((0,),)
    across: int = 1

    @property
    def block(self) -> tuple[int, int]:
        """Rows and columns of a block."""
        return self.matrix[0] // len(self.blocks), self.matrix[1] // len(self.blocks[0])

    def tiles(self, raw: Ints) -> Ints:
        """The tiles (groups, steps, rows, columns) of the tensor's raw values."""
        rows, columns = self.matrix
        size = -(-rows // self.steps)
        height, width = self.block
        parts = raw.reshape(-1, height, self.across, width).transpose(0, 2, 1, 3).reshape(-1, height, width)
        parts = np.concatenate([parts, np.zeros((1, height, width), dtype=np.object_)])
        padded = np.zeros((self.steps * size, columns), dtype=np.object_)
        padded[:rows] = parts[np.array(self.blocks)].transpose(0, 2, 1, 3).reshape(rows, columns)
        cut = padded.reshape(self.steps, size, self.groups, columns // self.groups)
        return objects(np.ascontiguousarray(cut.transpose(2, 0, 1, 3)))

    def token(self, shape: tuple[int, ...]) -> TensorType:
        """The type of a token of such elements."""
        padded = self.matrix[0] % self.steps > 0 or min(map(min, self.blocks)) < 0
        return TensorType.of(
            shape, self.frac, min(self.lo, 0) if padded else self.lo, max(self.hi, 0) if padded else self.hi
        )


Streams: TypeAlias = tuple[Stream, ...]
"""Operands as a process takes them, or its results."""


@lately(512)
def period(rows: Ints | Numbers) -> int:
    """The least number of rows of which all are repetitions; kept of constants, which each look at a network asks for."""
    words = short(rows)
    divisors = np.flatnonzero(len(words) % np.arange(1, len(words) // 2 + 1) == 0) + 1
    starting = (number for number in divisors.tolist() if np.array_equal(words[number], words[0]))  # which few do
    return next((number for number in starting if bool(np.all(words[number:] == words[:-number]))), len(words))


def run_length(numbers: Numbers) -> int:
    """The greatest length of which all runs of equal numbers are multiples."""
    return int(np.gcd.reduce(np.append(np.flatnonzero(np.diff(numbers)) + 1, len(numbers))))


def union_type(kind: TensorType, axes: int) -> TensorType:
    """A type that the tensor has at every position of its first ``axes`` axes, which disappear."""
    if axes == 0:
        return kind
    one = kind.union(range(axes))
    parts = (objects(part).reshape(part.shape[axes:]) for part in (one.frac, one.lo, one.hi))
    return TensorType.of(kind.shape[axes:], *parts)


def regrouped(token: TensorType, shape: tuple[int, ...]) -> TensorType:
    """The type of tokens of ``shape`` that hold the same elements in the same order as tokens of type ``token``."""
    have, want = token.size, math.prod(shape)
    flat = [objects(part).reshape(-1) for part in token.full()]
    if want > have:
        parts = [np.tile(part, want // have) for part in flat]
        return TensorType.of(shape, *(part.reshape(shape) for part in parts))
    split = TensorType.of((have // want, *shape), *(part.reshape(have // want, *shape) for part in flat))
    return union_type(split, 1)


def with_zeros(rows: Ints) -> Ints:
    """``rows`` and one of zeros after them, for index -1."""
    return np.concatenate([rows, np.zeros((1, *rows.shape[1:]), dtype=np.object_)])
