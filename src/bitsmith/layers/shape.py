"""Layers that move, pick and repeat elements and change none, and what is the identity at inference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.ir.data_movement import runs
from bitsmith.layers.axis_order import Order, after, elements, inverse, moved_axes, ordered_shape, unchanged
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape, StepLayer, Unary, broadcasts, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.traits import Elements, Traits, moved

_MOST_AXES = 4
"""Axes of which all orders are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Identity(Unary):
    """Does nothing at inference (dropout, noise, regularization); a given result precision still casts."""

    traits: ClassVar[Traits] = replace(moved(Elements.VIEW), elementwise=True, affine=True)
    turns: ClassVar[tuple[float, ...]] = ()

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return inputs[0]

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.cast("result", inputs[0])


@dataclass(frozen=True, slots=True, eq=False)
class Reshape(Layer):
    """The same elements in row-major order under ``target`` (one entry may be -1)."""

    target: Shape

    traits: ClassVar[Traits] = moved(Elements.VIEW)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        total = math.prod(shape)
        known = math.prod(n for n in self.target if n != -1)
        wild = self.target.count(-1)
        if wild > 1 or known < 1 or (total % known if wild else total != known):
            raise UnsupportedError(f"shape {shape} as {self.target}", accepted=f"shapes of {total} elements")
        return tuple(total // known if n == -1 else n for n in self.target)

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        shape, target = shapes[0], self.output_shape(shapes)
        order = _reshaped(orders[0], shape, target)
        return None if order is None else (Reshape(ordered_shape(target, order)), order)

    def over_steps(self, steps: int, inputs: Sequence[Shape]) -> Layer | None:
        return Reshape((steps, *self.output_shape(inputs)))

    def step_by_step(self, axis: int, shapes: Sequence[Shape]) -> StepLayer | None:
        first, *item = self.output_shape(shapes) or (0,)
        return StepLayer(Reshape((1, *item)), axis) if axis == 0 and first == shapes[0][0] else None

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return inputs[0].reshape(inputs[0].shape[0], *self.output_shape([inputs[0].shape[1:]]))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        shape = self.output_shape([inputs[0].shape])
        return lowering.cast("result", lowering.builder.reshape(inputs[0], shape))


@dataclass(frozen=True, slots=True, eq=False)
class Flatten(Layer):
    """All axes as one, row-major."""

    traits: ClassVar[Traits] = moved(Elements.VIEW)
    families: ClassVar[tuple[str, ...]] = ("Reshape",)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return (math.prod(single(inputs, self.kind)),)

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        order = _reshaped(orders[0], shapes[0], self.output_shape(shapes))
        return None if order is None else (self, order)

    def over_steps(self, steps: int, inputs: Sequence[Shape]) -> Layer | None:
        return Reshape((steps, *self.output_shape(inputs)))

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return inputs[0].reshape(inputs[0].shape[0], -1)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.cast("result", lowering.builder.reshape(inputs[0], self.output_shape([inputs[0].shape])))


@dataclass(frozen=True, slots=True, eq=False)
class Permute(Layer):
    """Axes permuted: result axis ``k`` is operand axis ``perm[k]`` (counted from 0, without the batch axis)."""

    perm: tuple[int, ...]

    traits: ClassVar[Traits] = moved(Elements.PERMUTATION)
    families: ClassVar[tuple[str, ...]] = ("Transpose",)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if sorted(self.perm) != list(range(len(shape))):
            raise UnsupportedError(f"axes {self.perm} of an input of shape {shape}")
        return tuple(shape[axis] for axis in self.perm)

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        # The operand as it is, seen the other way.
        return Identity(), orders[0] if len(self.perm) == 1 else after(inverse(self.perm), orders[0])

    def over_steps(self, steps: int, inputs: Sequence[Shape]) -> Layer | None:
        return Permute((0, *(axis + 1 for axis in self.perm)))

    def step_by_step(self, axis: int, shapes: Sequence[Shape]) -> StepLayer | None:
        return StepLayer(self, self.perm.index(axis))

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return inputs[0].transpose(0, *(axis + 1 for axis in self.perm))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.cast("result", lowering.builder.transpose(inputs[0], self.perm))


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Layer):
    """The elements at ``range(start, stop, step)`` of each axis; steps may be negative, and then ``stop`` -1."""

    start: tuple[int, ...]
    stop: tuple[int, ...]
    step: tuple[int, ...]

    traits: ClassVar[Traits] = moved(Elements.SELECTION)

    def _ranges(self) -> list[range]:
        return [range(*ends) for ends in zip(self.start, self.stop, self.step, strict=True)]

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if not len(shape) == len(self.start) == len(self.stop) == len(self.step):
            raise UnsupportedError(f"a slice of {len(self.start)} axes of an input of shape {shape}")
        if 0 in self.step:
            raise UnsupportedError("a slice with a step of 0")
        for picked, size in zip(self._ranges(), shape, strict=True):
            if not picked or min(picked) < 0 or max(picked) >= size:
                raise UnsupportedError(
                    f"{picked} of an axis of {size} elements", accepted="one or more of its elements"
                )
        return tuple(len(picked) for picked in self._ranges())

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        if len(self.start) == 1:
            return None
        return Slice(*(after(ends, orders[0]) for ends in (self.start, self.stop, self.step))), orders[0]

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        ends = zip(self.start, self.stop, self.step, strict=True)
        picked = tuple(slice(start, None if stop < 0 else stop, step) for start, stop, step in ends)
        return inputs[0][(slice(None), *picked)]

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        ranges = self._ranges()
        x = inputs[0]
        if any(len(picked) < size for picked, size in zip(ranges, x.shape, strict=True)):
            low, high = [min(picked) for picked in ranges], [max(picked) + 1 for picked in ranges]
            x = lowering.builder.slice(x, low, high, [abs(picked.step) for picked in ranges])
        for axis, picked in enumerate(ranges):
            if picked.step < 0 and len(picked) > 1:
                x = lowering.builder.gather(x, range(len(picked))[::-1], axis)
        return lowering.cast("result", x)


@dataclass(frozen=True, slots=True, eq=False)
class Gather(Layer):
    """The elements at ``indices`` along ``axis`` (without the batch axis), which may repeat: a shuffle, a roll, a tile."""

    indices: tuple[int, ...]
    axis: int

    traits: ClassVar[Traits] = moved(Elements.SELECTION)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if not 0 <= self.axis < len(shape):
            raise UnsupportedError(f"indices along axis {self.axis} of an input of shape {shape}")
        if not self.indices or min(self.indices) < 0 or max(self.indices) >= shape[self.axis]:
            raise UnsupportedError(
                f"indices that an axis of {shape[self.axis]} elements does not have",
                accepted=f"0 to {shape[self.axis] - 1}",
            )
        return (*shape[: self.axis], len(self.indices), *shape[self.axis + 1 :])

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        if len(shapes[0]) == 1:
            return None
        return Gather(self.indices, *moved_axes((self.axis,), orders[0], shapes[0])), orders[0]

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.take(inputs[0], self.indices, axis=self.axis + 1)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.cast("result", lowering.builder.gather(inputs[0], self.indices, self.axis))


@dataclass(frozen=True, slots=True, eq=False)
class Broadcast(Layer):
    """The operand repeated along axes of size 1, and along new leading axes, up to ``shape``."""

    shape: Shape

    traits: ClassVar[Traits] = moved(Elements.SELECTION)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if not broadcasts(shape, self.shape):
            raise UnsupportedError(f"shape {shape} repeated to {self.shape}", accepted="shapes that broadcast to it")
        return self.shape

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        if len(shapes[0]) != len(self.shape) or len(self.shape) == 1:
            return None
        return Broadcast(after(self.shape, orders[0])), orders[0]

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x = inputs[0]
        raised = x.reshape(len(x), *(1,) * (len(self.shape) - x.ndim + 1), *x.shape[1:])
        return np.broadcast_to(raised, (len(x), *self.shape))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.cast("result", lowering.builder.broadcast(inputs[0], self.shape))


@dataclass(frozen=True, slots=True, eq=False)
class Stack(Layer):
    """Inputs of one shape, one after another along a new axis ``axis`` (of the result, without the batch axis)."""

    axis: int

    traits: ClassVar[Traits] = moved(Elements.SELECTION)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if not inputs or len(set(inputs)) != 1 or not 0 <= self.axis <= len(inputs[0]):
            raise UnsupportedError(f"a stack of shapes {list(inputs)} along axis {self.axis}", accepted="one shape")
        return (*inputs[0][: self.axis], len(inputs), *inputs[0][self.axis :])

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        if len(set(orders)) > 1 or len(shapes[0]) == 1:
            return None
        order = [axis + (axis >= self.axis) for axis in orders[0]]
        return self, (*order[: self.axis], self.axis, *order[self.axis :])

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.stack(inputs, axis=self.axis + 1)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        shape = inputs[0].shape
        thin = (*shape[: self.axis], 1, *shape[self.axis :])
        parts = [lowering.builder.reshape(x, thin) for x in inputs]
        return lowering.cast("result", lowering.builder.concat(parts, self.axis))


def _reshaped(order: Order, shape: Shape, target: Shape) -> Order | None:
    """The order that a reshape gives to its result; None if the operand's takes axes apart that the result has as one."""
    if order == unchanged(shape):
        return unchanged(target)
    if len(target) == 1:
        return elements(order, shape)
    if len(shape) == 1:
        axes_orders = permutations(range(len(target))) if len(target) <= _MOST_AXES else ()
        return next((axes for axes in axes_orders if elements(axes, target) == order), None)
    blocks: dict[tuple[int, ...], tuple[int, ...]] = {}
    single: list[int] = []  # axes of one element lie anywhere
    for old, new in runs(shape, target):
        axes = tuple(axis for axis in old if shape[axis] > 1)
        if axes:
            blocks[axes] = tuple(new)
        else:
            single += new
    rest = [axis for axis in order if shape[axis] > 1]
    result = single
    while rest:
        axes = next((axes for axes in blocks if axes == tuple(rest[: len(axes)])), ())
        if not axes:
            return None
        result += blocks[axes]
        rest = rest[len(axes) :]
    return tuple(result)


EXAMPLES = (
    Example(Stack(0), ((2, 3), (2, 3))),
    Example(Identity(), ((2,),)),
    Example(Reshape((3, 2)), ((2, 3),)),
    Example(Flatten(), ((2, 3),)),
    Example(Permute((1, 0)), ((2, 3),)),
    Example(Slice((1,), (4,), (2,)), ((5,),)),
    Example(Gather((2, 0, 0), 0), ((3, 2),)),
    Example(Broadcast((3, 2)), ((1, 2),)),
)
