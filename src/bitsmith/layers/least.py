"""Marks of the least elements of a vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.ir.ops import Relation
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.traits import Exactness, Scales, Traits, computed


@dataclass(frozen=True, slots=True, eq=False)
class Least(Layer):
    """1 for each of the ``count`` least elements of a vector, the first of equal ones, and 0 for all others."""

    count: int

    traits: ClassVar[Traits] = replace(
        computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False), bits=True
    )
    jumps: ClassVar[bool] = True
    bounded: ClassVar[bool] = True

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if len(shape) != 1 or not 1 <= self.count <= shape[0]:
            raise UnsupportedError(f"the {self.count} least elements of shape {shape}", accepted="1 to all of a vector")
        return shape

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        chosen = np.argsort(inputs[0], axis=-1, kind="stable")[:, : self.count]
        marks = np.zeros(inputs[0].shape)
        np.put_along_axis(marks, chosen, 1.0, axis=-1)
        return as_weights(marks)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        """The least element gives way to a number beyond all others, as often as one is wanted."""
        builder = lowering.builder
        x = builder.aligned(inputs[0])
        far = builder.const(x.type.span.hi + 1, x.type.span.frac)
        back = builder.const(np.arange(x.shape[0], 0, -1))
        for _ in range(self.count):
            least = builder.neg(builder.amax(builder.neg(x), [0]))
            marked = builder.select(builder.compare(x, Relation.EQ, least), back, builder.const(0))
            first = builder.compare(marked, Relation.EQ, builder.amax(marked, [0]))
            x = builder.select(first, far, x)
        return lowering.cast("result", builder.compare(x, Relation.EQ, far))


EXAMPLES = (Example(Least(4), ((16,),)),)
