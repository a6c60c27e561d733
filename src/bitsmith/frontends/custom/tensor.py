"""Tensors with Python's operators, as translations of the user's own layers see them.

Shapes and axes are those of one sample: the batch is nowhere to be seen. A tensor is a value with the builder that emits what is
computed of it. It translates notation and axes only: what an operation means is in :mod:`bitsmith.frontends.ops`, which readers
call with the builder itself and with values that show the batch.
"""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError, one_of
from bitsmith.frontends.builder.builder import Builder, finite
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.custom.operators import Make, Number, Operators
from bitsmith.frontends.ops import activations, arithmetic, equations, logic, selection, shape
from bitsmith.frontends.ops.reduction import REDUCERS
from bitsmith.layers.activation import Activation
from bitsmith.layers.functions import FUNCTIONS
from bitsmith.layers.layer import Floats, Shape, as_weights
from bitsmith.layers.power import Logarithm, Power

Operand: TypeAlias = "Tensor | Number"

_Places: TypeAlias = "npt.NDArray[np.generic]"
_Index: TypeAlias = "SupportsIndex | slice | EllipsisType | Sequence[int] | Sequence[bool] | _Places | None"


@dataclass(frozen=True, slots=True, eq=False)
class Tensor(Operators["Tensor"]):
    """An operand or a result of one sample, or a constant; ``build`` emits what is computed of it."""

    build: Builder
    value: Value

    @property
    def shape(self) -> Shape:
        """The sizes of the axes of one sample."""
        return self.value.shape

    @property
    def array(self) -> Floats | None:
        """The elements of a constant; None if it is computed."""
        return self.value.constant

    def __repr__(self) -> str:
        return f"Tensor(shape={self.shape})"

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, known: object) -> Tensor:
        return self  # a copy of the builder would make layers of another model

    def __len__(self) -> int:
        if not self.shape:
            raise UnsupportedError("the length of a single number", accepted="tensors with axes")
        return self.shape[0]

    def __matmul__(self, other: Operand) -> Tensor:
        return _product(self, self._tensor(other))

    def __rmatmul__(self, other: Operand) -> Tensor:
        return _product(self._tensor(other), self)

    def equals(self, other: Operand) -> Tensor:
        """1 where the elements are equal, 0 elsewhere."""
        return self == other

    def __getitem__(self, index: _Index | tuple[_Index, ...]) -> Tensor:
        """Elements at integers, slices, ``None``, ``...``, and at a list of integers or truth values, as NumPy picks them."""
        x, axis = self, 0
        for item in self._completed(index if isinstance(index, tuple) else (index,)):
            if item is None:
                x = x.expand(axis)
                axis += 1
            elif isinstance(item, np.ndarray):
                x = x._with(selection.take(self.build.within("items"), x.value, x._dim(axis), item))
                axis += 1
            elif isinstance(item, slice):
                picked = range(x.shape[axis])[item]
                x = x._with(selection.part(self.build.within("slice"), x.value, {x._dim(axis): picked}))
                axis += 1
            else:
                x = x._with(selection.select(self.build.within("item"), x.value, x._dim(axis), item))
        return x

    def expand(self, axis: int) -> Tensor:
        """The tensor with a new axis of size 1, which is the result's ``axis``."""
        rank = len(self.shape) + 1
        place = axis + rank if axis < 0 else axis
        if not 0 <= place < rank:
            raise UnsupportedError(
                f"a new axis {axis} of a tensor of {rank - 1} axes", accepted=f"{-rank} to {rank - 1}"
            )
        batch = None if self.value.batch is None else self.value.batch.axis
        return self._with(shape.unsqueeze(self.build, self.value, [place + int(batch is not None and place >= batch)]))

    def reshape(self, *sizes: int) -> Tensor:
        """The elements in the same order under another shape; one size may be -1."""
        of_samples = self.value.batch is not None
        counts = [[count, *sizes] if of_samples else [*sizes] for count in self.build.counts]
        return self._with(shape.view(self.build.within("reshape"), self.value, counts))

    def transpose(self, *axes: int) -> Tensor:
        """Axis ``k`` of the result is ``axes[k]``; without ``axes`` in reverse order."""
        order = [self._counted(axis) for axis in axes] or list(reversed(range(len(self.shape))))
        if sorted(order) != list(range(len(self.shape))):
            raise UnsupportedError(
                f"the axes {axes} of a tensor of {len(self.shape)} axes", accepted="each of them once"
            )
        perm = [self._dim(axis) for axis in order]
        if self.value.batch is not None:
            perm.insert(self.value.batch.axis, self.value.batch.axis)
        return self._with(self.build.within("transpose").permuted(self.value, perm))

    def reduce(self, way: str, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
        """Reduced over axes, all by default: ``way`` is sum, mean, max, min, prod, var, std, logsumexp, l1, l2 or another
        name of :data:`REDUCERS`.
        """
        reducer = one_of(REDUCERS, way, f"the reduction {way!r}")
        every = range(len(self.shape)) if axis is None else [axis] if isinstance(axis, int) else axis
        dims = [self._dim(one) for one in every]
        if not dims:
            return self
        return self._with(reducer.of(self.build.within(way), self.value, dims, keepdims))

    def sum(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
        """The sum over axes, all by default."""
        return self.reduce("sum", axis, keepdims=keepdims)

    def mean(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
        """The mean over axes, all by default."""
        return self.reduce("mean", axis, keepdims=keepdims)

    def max(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
        """The greatest element along axes, all by default."""
        return self.reduce("max", axis, keepdims=keepdims)

    def min(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Tensor:
        """The least element along axes, all by default."""
        return self.reduce("min", axis, keepdims=keepdims)

    def function(self, name: str) -> Tensor:
        """A function of each element: sigmoid, tanh, exponential, erf, softplus or another name of :data:`FUNCTIONS`."""
        if name not in FUNCTIONS:
            raise UnsupportedError(f"the function {name!r}", accepted=", ".join(sorted(FUNCTIONS)))
        return self._with(self.build.emit(Activation(name), self.value, suffix=name))

    def relu(self, limit: float | None = None) -> Tensor:
        """The positive part of each element, at most ``limit``."""
        return self._with(activations.relu(self.build.within("relu"), self.value, limit))

    def sigmoid(self) -> Tensor:
        """The logistic function of each element."""
        return self.function("sigmoid")

    def tanh(self) -> Tensor:
        """The hyperbolic tangent of each element."""
        return self.function("tanh")

    def exp(self) -> Tensor:
        """The exponential of each element."""
        return self.function("exponential")

    def log(self) -> Tensor:
        """The natural logarithm of each element."""
        return self._with(self.build.emit(Logarithm(), self.value, suffix="log"))

    def sqrt(self) -> Tensor:
        """The square root of each element."""
        return self._with(self.build.emit(Power(0.5), self.value, suffix="sqrt"))

    def floor(self) -> Tensor:
        """The greatest integer that is not above each element."""
        return self.__floor__()

    def clip(self, low: float, high: float) -> Tensor:
        """Each element, but at least ``low`` and at most ``high``."""
        return self._with(arithmetic.clip(self.build.within("clip"), self.value, low, high))

    def softmax(self, axis: int = -1) -> Tensor:
        """The softmax along an axis."""
        return self._with(activations.softmax(self.build.within("softmax"), self.value, self._dim(axis)))

    def _joined(self, name: str, make: Make, other: Operand, *, reflected: bool = False) -> Tensor:
        left, right = same_rank(self, self._tensor(other))
        if reflected:
            left, right = right, left
        return self._with(make(self.build.within(name), left.value, right.value))

    def _changed(self, name: str, make: Make) -> Tensor:
        return self._with(make(self.build.within(name), self.value))

    def _known(self) -> float | None:
        return float(self.array.item()) if self.array is not None and self.array.size == 1 else None

    def _tensor(self, other: Operand) -> Tensor:
        """``other`` as a tensor beside this one."""
        return other if isinstance(other, Tensor) else constant_tensor(self.build, other)

    def _with(self, value: Value) -> Tensor:
        return replace(self, value=value)

    def _counted(self, axis: int) -> int:
        rank = len(self.shape)
        if not -rank <= axis < rank:
            raise UnsupportedError(f"axis {axis} of a tensor of {rank} axes", accepted=f"{-rank} to {rank - 1}")
        return axis % rank

    def _dim(self, axis: int) -> int:
        """An axis of one sample as one of the model's."""
        counted, batch = self._counted(axis), self.value.batch
        return counted + int(batch is not None and counted >= batch.axis)

    def _completed(self, items: tuple[_Index, ...]) -> tuple[int | slice | _Places | None, ...]:
        """An index with a slice for each axis that ``...`` stands for, or that is left out."""
        named = sum(item is not None and item is not Ellipsis for item in items)
        dots = [place for place, item in enumerate(items) if item is Ellipsis]
        if named > len(self.shape) or len(dots) > 1:
            raise UnsupportedError(
                f"an index of {named} axes of a tensor of {len(self.shape)}", accepted="its own axes"
            )
        at = dots[0] if dots else len(items)
        before, after = items[:at], items[at + 1 :]
        rest = (slice(None),) * (len(self.shape) - named)
        completed: list[int | slice | _Places | None] = []
        axis = 0
        for item in (*before, *rest, *after):
            completed.append(None if item is None else _picked(item, self.shape[axis]))
            axis += item is not None
        if sum(isinstance(item, np.ndarray) for item in completed) > 1:
            raise UnsupportedError("an index of several lists", accepted="one list, beside integers and slices")
        if any(isinstance(item, np.ndarray) for item in completed) and any(isinstance(item, int) for item in completed):
            raise UnsupportedError(
                "an index of a list beside integers", remedy="pick one after the other: x[[0, 1]][:, 2]"
            )
        return tuple(completed)


def _picked(item: object, size: int) -> int | slice | _Places:
    """One axis's part of an index: an integer, a slice of integers, or the places of a list.

    Raises:
        UnsupportedError: something else.
    """
    if isinstance(item, slice):
        bounds = [item.start, item.stop, item.step]
        if all(isinstance(one, SupportsIndex | None) for one in bounds) and item.step != 0:
            return slice(*(None if one is None else operator.index(one) for one in bounds))
    elif isinstance(item, SupportsIndex) and not isinstance(item, bool | np.bool_ | np.ndarray):
        return operator.index(item)
    elif isinstance(item, list | np.ndarray):
        places = np.asarray(item)
        if places.ndim == 1 and places.dtype == np.bool_ and len(places) == size:
            places = np.flatnonzero(places)
        if places.ndim == 1 and places.size and places.dtype.kind in "iu":
            return places
    raise UnsupportedError(
        f"the index {reprlib.repr(item)} of an axis of {size} elements",
        where="a translation",
        accepted="integers, slices, None, ..., and a list of integers or of a truth value for each element",
        remedy="where(condition, x, y) of bitsmith.custom chooses by a tensor",
    )


def constant_tensor(build: Builder, values: Number) -> Tensor:
    """Finite numbers as a tensor that is the same for all samples."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError):  # lists of unlike lengths
        array = np.array(None)
    if array.dtype.kind in "OSUTcmM" or array.dtype.names is not None or not array.size:
        raise UnsupportedError(
            f"{reprlib.repr(values)} beside a tensor", where=build.where, accepted="numbers and arrays of real numbers"
        )
    kind = Kind.BOOL if array.dtype == np.bool_ else Kind.REAL
    return Tensor(build, constant(finite(as_weights(array), "a constant", build.where, stored=False), kind=kind))


def same_rank(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors with as many axes as the one that has most: new ones come first, after the batch."""
    rank = max(len(one.shape) for one in tensors)

    def lifted(x: Tensor) -> Tensor:
        while len(x.shape) < rank:
            x = x.expand(0)
        return x

    return tuple(x if x.array is not None and x.value.batch is None else lifted(x) for x in tensors)


def _product(x: Tensor, y: Tensor) -> Tensor:
    """The matrix product as NumPy means it, of one sample; leading axes have equal sizes."""
    if not x.shape or not y.shape:
        raise UnsupportedError("a matrix product with a single number", accepted="tensors with axes", remedy="use *")
    leading = "abcdefgh"[: max(len(x.shape), len(y.shape), 2) - 2]
    rows = "i" * (len(x.shape) > 1)
    columns = "k" * (len(y.shape) > 1)
    left = leading[len(leading) - max(len(x.shape) - 2, 0) :]
    right = leading[len(leading) - max(len(y.shape) - 2, 0) :]
    return einsum(f"{left}{rows}j,{right}j{columns}->{leading}{rows}{columns}", x, y)


def maximum(*operands: Operand) -> Tensor:
    """The greatest of the operands, element by element; at least one of them is a tensor."""
    build, tensors = of(*operands)
    return Tensor(build, arithmetic.maximum(build.within("maximum"), *(x.value for x in same_rank(*tensors))))


def minimum(*operands: Operand) -> Tensor:
    """The least of the operands, element by element; at least one of them is a tensor."""
    build, tensors = of(*operands)
    return Tensor(build, arithmetic.minimum(build.within("minimum"), *(x.value for x in same_rank(*tensors))))


def where(condition: Tensor, x: Operand, y: Operand) -> Tensor:
    """``x`` where the condition is not 0, ``y`` elsewhere."""
    build, tensors = of(condition, x, y)
    holds, one, other = same_rank(*tensors)
    build = build.within("where")
    return Tensor(build, logic.where(build, logic.truth(build, holds.value, "truth"), one.value, other.value))


def concatenate(tensors: Sequence[Operand], axis: int = -1) -> Tensor:
    """The tensors one after the other along an axis."""
    build, operands = of(*tensors)
    first = next(x for x in operands if x.value.batch is not None)
    assert first.value.batch is not None
    place = first.value.batch.axis
    values = [
        x.value if x.value.batch is not None else x.value.moved(lambda array: np.expand_dims(array, place))
        for x in operands
    ]
    return Tensor(build, selection.concatenate(build.within("concatenate"), values, first._dim(axis)))


def einsum(equation: str, *operands: Operand) -> Tensor:
    """The Einstein sum of tensors of one sample: the equation has no letter for the batch."""
    build, tensors = of(*operands)
    left, arrow, right = equation.replace(" ", "").partition("->")
    letter = next(one for one in "zyxwvutsrqponmlkjihgfedcba" if one not in equation)
    texts = left.split(",")
    if len(texts) != len(tensors) or not arrow:
        raise UnsupportedError(
            f"the equation {equation!r} of {len(tensors)} tensors", accepted="'ij,jk->ik', a text for each"
        )
    batched = [letter * (x.value.batch is not None) + text for x, text in zip(tensors, texts, strict=True)]
    values = [x.value.plain() if x.value.batch is not None else x.value for x in tensors]
    text = f"{','.join(batched)}->{letter * any(x.value.batch is not None for x in tensors)}{right}"
    return Tensor(build, equations.einsum(build.within("einsum"), text, values))


def of(*operands: Operand) -> tuple[Builder, tuple[Tensor, ...]]:
    """Return the emitter of the layers of the operands, and all operands as tensors."""
    build = next((x.build for x in operands if isinstance(x, Tensor)), None)
    if build is None:
        raise UnsupportedError("an operation on constants only", accepted="at least one tensor", remedy="use NumPy")
    return build, tuple(x if isinstance(x, Tensor) else constant_tensor(build, x) for x in operands)
