"""Layers that join branches; any number of inputs, broadcasting as the frameworks do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import accumulate
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.layers.axis_order import Order, moved_axes
from bitsmith.layers.division import divided
from bitsmith.layers.enclosure import Enclosure, by_traits
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.traits import Elements, Exactness, Scales, Traits, computed, extreme, moved, summed


def broadcast(inputs: Sequence[Shape], kind: str, exactly: int | None = None) -> Shape:
    """The shape that all of ``inputs`` broadcast to.

    Raises:
        UnsupportedError: another number of inputs than ``exactly`` or than two or more, or shapes that do not broadcast.
    """
    if exactly is not None and len(inputs) != exactly:
        raise UnsupportedError(f"{kind} of {len(inputs)} inputs", accepted=f"{exactly} inputs")
    if len(inputs) < 2:
        raise UnsupportedError(f"{kind} of {len(inputs)} inputs", accepted="two or more inputs")
    try:
        return np.broadcast_shapes(*inputs)
    except ValueError as error:
        raise UnsupportedError(f"{kind} of shapes {list(inputs)}", accepted="shapes that broadcast") from error


def aligned(inputs: Sequence[Floats]) -> list[Floats]:
    """Batches with axes of size 1 put after the batch axis, such that all have one rank."""
    rank = max(x.ndim for x in inputs)
    return [x.reshape(x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]) for x in inputs]


@dataclass(frozen=True, slots=True, eq=False)
class _Merge(Layer):
    """Any number of inputs, element by element; ``joined`` is the float function of two."""

    joined: ClassVar[np.ufunc]
    families: ClassVar[tuple[str, ...]] = ("Merge",)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return broadcast(inputs, self.kind)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return reduce(self.joined, aligned(inputs))


@dataclass(frozen=True, slots=True, eq=False)
class Add(_Merge):
    """The sum of all inputs."""

    joined: ClassVar[np.ufunc] = np.add
    precisions: ClassVar[tuple[str, ...]] = ("accum", "result")
    traits: ClassVar[Traits] = summed(1)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.result(lowering.cast("accum", reduce(lowering.builder.add, inputs)))


@dataclass(frozen=True, slots=True, eq=False)
class Subtract(_Merge):
    """The first input minus the second."""

    joined: ClassVar[np.ufunc] = np.subtract
    traits: ClassVar[Traits] = summed(-1)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return broadcast(inputs, self.kind, exactly=2)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.result(lowering.builder.sub(*inputs))


@dataclass(frozen=True, slots=True, eq=False)
class Multiply(_Merge):
    """The product of all inputs."""

    joined: ClassVar[np.ufunc] = np.multiply
    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=True, affine=True, multiplies=True)

    def enclosed(self, operands: Sequence[Enclosure], *, anywhere: bool) -> Enclosure | None:
        product = by_traits(self.traits, self.reference, operands)
        square = len(operands) == 2 and operands[0] is operands[1]
        return replace(product, least=np.maximum(product.least, 0.0)) if square and product is not None else product

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.result(reduce(lowering.builder.mul, inputs))


@dataclass(frozen=True, slots=True, eq=False)
class Average(_Merge):
    """The mean of all inputs, correctly rounded to the result's step for every possible input."""

    joined: ClassVar[np.ufunc] = np.add
    precisions: ClassVar[tuple[str, ...]] = ("accum", "result")
    traits: ClassVar[Traits] = computed(Scales.ANY, Exactness.QUOTIENT, elementwise=True, affine=True)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.asarray(reduce(np.add, aligned(inputs)) / len(inputs), dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        total = lowering.cast("accum", reduce(lowering.builder.add, inputs))
        return lowering.result(divided(lowering, total, len(inputs)))


@dataclass(frozen=True, slots=True, eq=False)
class Maximum(_Merge):
    """The element-wise maximum of all inputs."""

    joined: ClassVar[np.ufunc] = np.maximum
    traits: ClassVar[Traits] = extreme(elementwise=True)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.result(reduce(lowering.builder.max, inputs))


@dataclass(frozen=True, slots=True, eq=False)
class Minimum(_Merge):
    """The element-wise minimum of all inputs."""

    joined: ClassVar[np.ufunc] = np.minimum
    traits: ClassVar[Traits] = extreme(elementwise=True)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.result(reduce(lowering.builder.min, inputs))


@dataclass(frozen=True, slots=True, eq=False)
class Concatenate(Layer):
    """Inputs one after another along ``axis`` (without the batch axis; may be negative)."""

    axis: int = -1

    traits: ClassVar[Traits] = moved(Elements.SELECTION)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        rank = len(inputs[0]) if inputs else 0
        if not -rank <= self.axis < rank:
            raise UnsupportedError(f"concatenation of shapes {list(inputs)} along axis {self.axis}")
        axis = self.axis % rank
        rest = {(shape[:axis], shape[axis + 1 :]) for shape in inputs}
        if len(rest) != 1 or any(len(shape) != rank for shape in inputs):
            raise UnsupportedError(f"concatenation of shapes {list(inputs)} along axis {self.axis}")
        return (*inputs[0][:axis], sum(shape[axis] for shape in inputs), *inputs[0][axis + 1 :])

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        if len(shapes[0]) > 1:
            if len(set(orders)) > 1:
                return None
            return Concatenate(*moved_axes((self.axis,), orders[0], shapes[0])), orders[0]
        starts = accumulate((size for (size,) in shapes), initial=0)
        return self, tuple(start + place for start, order in zip(starts, orders, strict=False) for place in order)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.concatenate(inputs, axis=self.axis if self.axis < 0 else self.axis + 1)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.cast("result", lowering.builder.concat(inputs, self.axis))


EXAMPLES = (
    Example(Add(), ((2, 3), (2, 3))),
    Example(Subtract(), ((2, 3), (2, 3))),
    Example(Multiply(), ((2, 3), (2, 3))),
    Example(Average(), ((2, 3), (2, 3), (2, 3))),
    Example(Maximum(), ((2, 3), (2, 3))),
    Example(Minimum(), ((2, 3), (2, 3))),
    Example(Concatenate(), ((2, 3), (2, 3))),
)
