"""Values of a model while it is read: where the batch axis is, and what one sample has.

Frameworks move, merge and split the batch axis like any other. Samples must stay independent of each other, so that each value
is followed sample by sample; an operation that would work along the batch axis is found out (:class:`MixedSamplesError`).

An axis may be the batch merged with others, as in ``view(batch * heads, ...)``: then a sample has ``outer * inner`` elements
along it, ``outer`` of them counted slower than the samples and ``inner`` faster.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial, reduce

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder import grids
from bitsmith.ir.model_layout import ModelLayout, Move
from bitsmith.layers.layer import Floats, Shape, as_weights
from bitsmith.layers.quantization.quantizer import Quantizer

MAX_ELEMENTS = 1 << 24
"""Most elements of one tensor."""

MAX_WEIGHTS = 1 << 26
"""Most elements of all constants of a model, those included that are computed of others while it is read."""

_MAX_AXES = 32

_FEW_BITS, _MOST_BITS = 16, 64
"""Limits of small integers, and of integers at all."""

SAMPLES_FIRST = (
    "of a model whose inputs have the steps of a sequence first (batch_first=False), give one that takes the samples first "
    "and transposes: module(x.transpose(0, 1)).transpose(0, 1)"
)
"""The remedy where a model has its samples along the second axis."""

ANY_SAMPLES = (1, 7, 20)
"""Numbers of samples, odd and even, few and more, for which sizes are computed where any is allowed: what is the same for all
does not depend on it. Constants of as many samples have to fit into memory."""


class MixedSamplesError(UnsupportedError):
    """An operation that would mix samples."""

    def __init__(
        self, found: str = "works along the batch axis", accepted: str = "axes within a sample", remedy: str = ""
    ) -> None:
        super().__init__(f"{found}, which would mix samples", accepted=accepted, remedy=remedy)


class Kind(enum.Enum):
    """Meaning of the model's type of a value to arithmetic."""

    REAL = "real"
    BOOL = "bool"
    INT8, UINT8 = "int8", "uint8"
    INT16, UINT16 = "int16", "uint16"
    INT32, UINT32 = "int32", "uint32"
    INT64, UINT64 = "int64", "uint64"
    STRING = "string"
    """Positions of strings in a list."""

    @staticmethod
    def of(dtype: np.dtype[np.generic]) -> Kind:
        """The kind of a NumPy type."""
        return Kind.named(dtype.name)

    @staticmethod
    def named(name: str) -> Kind:
        """The kind of a type by the name that NumPy gives it."""
        return next((kind for kind in Kind if kind.value == name and kind is not Kind.STRING), Kind.REAL)

    @property
    def is_integer(self) -> bool:
        """True of integers of any size."""
        return "int" in self.value

    @property
    def signed(self) -> bool:
        """True of integers that may be negative."""
        return self.value.startswith("int")

    @property
    def bits(self) -> int:
        """The size of an integer."""
        return int(self.value.removeprefix("u").removeprefix("int"))

    @property
    def wraps(self) -> bool:
        """True of integers that wrap around; those of 64 bits are taken not to overflow."""
        return self.is_integer and self.bits < _MOST_BITS

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest of the integers or truth values."""
        if self is Kind.BOOL:
            return 0, 1
        return (-(1 << self.bits - 1), (1 << self.bits - 1) - 1) if self.signed else (0, (1 << self.bits) - 1)

    @property
    def is_small(self) -> bool:
        """True of truth values and integers of at most 16 bits, of which an input holds all that there are."""
        return self is Kind.BOOL or (self.is_integer and self.bits <= _FEW_BITS)


@dataclass(frozen=True, slots=True)
class Batch:
    """Place of the samples: along ``axis``, perhaps merged with others."""

    axis: int
    outer: int = 1
    inner: int = 1

    @property
    def merged(self) -> int:
        """Elements that one sample has along the axis."""
        return self.outer * self.inner

    def at(self, axis: int) -> Batch:
        """The same along another axis."""
        return replace(self, axis=axis)


@dataclass(frozen=True, slots=True)
class Codes:
    """Integers from ``lo`` to ``hi`` of the model's that stand for ``(code - zero) * scale``; their type is ``kind``."""

    scale: Fraction
    zero: int
    lo: int
    hi: int
    kind: Kind


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A tensor: ``node`` is its number in the draft, or the elements of a constant; ``shape`` is that of one sample.

    Without ``batch`` it is the same for all samples. ``label`` is a constant's name, and ``quantizer`` the grid that its elements
    are on, if the model says so; its arrays broadcast to ``shape``. Of integers that are ``codes`` a value has the numbers that
    these stand for, in their place. A constant is ``factor`` times what the ``moves`` have made of the one that was ``given``;
    of None it is as the model has it.
    """

    node: int | Floats
    shape: Shape
    batch: Batch | None = None
    label: str = ""
    kind: Kind = Kind.REAL
    quantizer: Quantizer | None = None
    codes: Codes | None = None
    given: Floats | None = None
    moves: tuple[Move, ...] = ()
    factor: float = 1.0

    @property
    def dims(self) -> Shape:
        """The model's axes; that of the batch has the number of elements that belong to one sample."""
        if self.batch is None or self.batch.merged > 1:
            return self.shape
        return (*self.shape[: self.batch.axis], 1, *self.shape[self.batch.axis :])

    @property
    def rank(self) -> int:
        """Number of the model's axes."""
        return len(self.dims)

    @property
    def constant(self) -> Floats | None:
        """The elements of a constant."""
        return None if isinstance(self.node, int) else self.node

    @property
    def is_trained(self) -> bool:
        """True of a constant that is the same for all samples."""
        return self.constant is not None and self.batch is None

    @property
    def number(self) -> float | None:
        """The only element of a constant that is the same for all samples."""
        values = self.constant
        return float(values.reshape(())) if values is not None and values.size == 1 and self.batch is None else None

    @property
    def elements(self) -> Floats:
        """The elements of what is known to be a constant."""
        assert isinstance(self.node, np.ndarray)
        return self.node

    def times(self, factor: float) -> Value:
        """Return this constant multiplied by a number."""
        if factor == 1.0:
            return self
        quantizer = None if self.quantizer is None else grids.times(self.quantizer, factor)
        given = self.elements if self.given is None else self.given
        elements = as_weights(self.elements * factor)
        return replace(self, node=elements, quantizer=quantizer, given=given, factor=self.factor * factor)

    def moved(self, move: Callable[[Floats], Floats]) -> Value:
        """Return this constant with its elements where ``move`` takes them, and so its quantizer."""
        elements = as_weights(move(self.elements))
        quantizer = None if self.quantizer is None else grids.moved(self.quantizer, self.shape, move)
        return replace(self, node=elements, shape=elements.shape, quantizer=quantizer).made_of(self, move)

    def made_of(self, x: Value, move: Move) -> Value:
        """Return this constant as the result of ``move`` on the constant ``x``."""
        return replace(self, given=x.elements if x.given is None else x.given, moves=(*x.moves, move), factor=x.factor)

    def layout(self, *moves: Move, argument: str = "") -> ModelLayout | None:
        """Return the layout of the sum of what the ``moves`` make of this constant, which the model has for an ``argument``."""

        def taken(numbers: Floats, last: Move) -> Floats:
            return last(reduce(lambda values, move: move(values), self.moves, numbers))

        given = self.elements if self.given is None else self.given
        whole = [partial(taken, last=move) for move in moves]
        return ModelLayout.of(given.shape, *whole, factor=self.factor, argument=argument)

    @property
    def is_merged(self) -> bool:
        """True if the batch shares its axis with others."""
        return self.batch is not None and self.batch.merged > 1

    def sizes(self, samples: int) -> Shape:
        """The model's shape for so many samples."""
        batch = None if self.batch is None else self.batch.axis
        return tuple(size * samples if axis == batch else size for axis, size in enumerate(self.dims))

    def counted(self, dim: int, *, new: bool = False) -> int:
        """The axis ``dim``, which may be negative, from 0 on; ``new`` if it is one of the result's that is not there yet."""
        rank = self.rank + new
        if not -max(rank, 1) <= dim < max(rank, 1):
            raise UnsupportedError(f"axis {dim} of a tensor of {self.rank} axes")
        return dim % max(rank, 1)

    def axis(self, dim: int) -> int:
        """The model's axis ``dim`` as one of :attr:`shape`.

        Raises:
            MixedSamplesError: the batch axis.
        """
        counted = self.counted(dim)
        if self.rank == 0:
            raise UnsupportedError(f"axis {dim} of a single number", accepted="tensors with axes")
        if self.batch is None:
            return counted
        if counted == self.batch.axis:
            raise MixedSamplesError
        return counted - int(self.batch.merged == 1 and counted > self.batch.axis)

    def plain(self, axis: int = 0) -> Value:
        """Return this value, if its batch is all of the axis ``axis``."""
        if self.batch != Batch(axis):
            raise self._misplaced(axis)
        return self

    @property
    def item(self) -> Shape:
        """The shape after the first axis, which has the batch and perhaps more."""
        if self.batch is None or self.batch.axis != 0:
            raise self._misplaced(0)
        return self.shape if self.batch.merged == 1 else self.shape[1:]

    def _misplaced(self, axis: int) -> UnsupportedError:
        where = "no axis" if self.batch is None else f"axis {self.batch.axis}"
        merged = ", merged with others" if self.is_merged else ""
        return UnsupportedError(
            f"an operand whose batch is {where}{merged}",
            accepted=f"the batch as axis {axis}",
            remedy=f"transpose or reshape the operand before; {SAMPLES_FIRST}",
        )


def constant(
    values: Floats | float, label: str = "", kind: Kind = Kind.REAL, quantizer: Quantizer | None = None
) -> Value:
    """Numbers as a constant."""
    elements = as_weights(values)
    return Value(elements, elements.shape, None, label, kind, quantizer)


def typed(values: Floats | float, kind: Kind) -> Value:
    """Numbers as a constant of the ``kind``: integers have no fraction, and what is not 0 is true."""
    found = np.trunc(values) if kind.is_integer else np.asarray(values)
    return constant(as_weights(found != 0.0 if kind is Kind.BOOL else found), kind=kind)


def held(x: Value) -> Value:
    """A constant with the grid that holds it, so that it is taken exactly; what is computed as it is."""
    return x if x.constant is None else replace(x, quantizer=Quantizer.holding(x.constant))


def quantizers_of(**tensors: Value | None) -> dict[str, Quantizer]:
    """The quantizers of those constants that have one, by the names that a layer gives them."""
    found = {name: None if tensor is None else tensor.quantizer for name, tensor in tensors.items()}
    return {name: quantizer for name, quantizer in found.items() if quantizer is not None}


def layouts_of(**tensors: Value | None) -> dict[str, ModelLayout]:
    """Return the layouts of constants that the model stores in another way, by the names that a layer gives them."""
    found = {name: None if tensor is None else _layout(tensor) for name, tensor in tensors.items()}
    return {name: layout for name, layout in found.items() if layout is not None and not layout.is_plain}


def _layout(x: Value) -> ModelLayout | None:
    if x.given is None:
        return None
    return x.layout(lambda elements: elements)


ONE, ZERO = constant(1.0), constant(0.0)


def sample_shape(dims: Shape, batch: Batch | None) -> Shape:
    """Return the shape of one sample of a tensor of ``dims``."""
    if batch is None or batch.merged > 1:
        return dims
    return (*dims[: batch.axis], *dims[batch.axis + 1 :])


def real(x: Value) -> Value:
    """``x``, if it is of real numbers: functions of integers are cut off, wrap or are errors, by layer and backend."""
    if x.kind is not Kind.REAL:
        raise UnsupportedError(f"operands of type {x.kind.value}", accepted="floating point", remedy="cast them before")
    return x


def checked_elements(shape: Shape, where: str = "") -> Shape:
    """``shape``, if a tensor of it is of sensible size."""
    if math.prod(shape) > MAX_ELEMENTS or any(size < 0 for size in shape):
        raise UnsupportedError(f"a tensor of shape {shape}", where=where, accepted=f"at most {MAX_ELEMENTS} elements")
    if len(shape) > _MAX_AXES:
        raise UnsupportedError(f"a tensor of {len(shape)} axes", where=where, accepted=f"at most {_MAX_AXES}")
    return shape
