"""Layers that move elements and change none: flatten, reshape, permute, and what is the identity at inference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.layers.layer import Floats, Layer, Shape, single
from bitsmith.layers.lowering import Lowering


@dataclass(frozen=True, slots=True, eq=False)
class Identity(Layer):
    """Does nothing at inference (dropout, noise, regularisation); a given result precision still casts."""

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return single(inputs, self.kind)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return inputs[0]

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.cast("result", inputs[0])


@dataclass(frozen=True, slots=True, eq=False)
class Reshape(Layer):
    """The same elements in row-major order under ``target`` (one entry may be -1)."""

    target: Shape

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        total = math.prod(shape)
        known = math.prod(n for n in self.target if n != -1)
        wild = self.target.count(-1)
        if wild > 1 or known < 1 or (total % known if wild else total != known):
            raise UnsupportedError(f"shape {shape} as {self.target}", accepted=f"shapes of {total} elements")
        return tuple(total // known if n == -1 else n for n in self.target)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return inputs[0].reshape(inputs[0].shape[0], *self.output_shape([inputs[0].shape[1:]]))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        shape = self.output_shape([inputs[0].shape])
        return lowering.cast("result", lowering.builder.reshape(inputs[0], shape))


@dataclass(frozen=True, slots=True, eq=False)
class Flatten(Layer):
    """All axes as one, row-major."""

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return (math.prod(single(inputs, self.kind)),)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return inputs[0].reshape(inputs[0].shape[0], -1)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.cast("result", lowering.builder.reshape(inputs[0], self.output_shape([inputs[0].shape])))


@dataclass(frozen=True, slots=True, eq=False)
class Permute(Layer):
    """Axes permuted: result axis ``k`` is operand axis ``perm[k]`` (counted from 0, without the batch axis)."""

    perm: tuple[int, ...]

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if sorted(self.perm) != list(range(len(shape))):
            raise UnsupportedError(f"axes {self.perm} of an input of shape {shape}")
        return tuple(shape[axis] for axis in self.perm)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return inputs[0].transpose(0, *(axis + 1 for axis in self.perm))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.cast("result", lowering.builder.transpose(inputs[0], self.perm))
