"""Activations of two or three levels, as binary and ternary networks have them.

(I. Hubara et al., "Binarized Neural Networks", NIPS 2016; F. Li et al., "Ternary Weight Networks", 2016.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bitsmith.ir.builder import Value
from bitsmith.ir.ladders import stairs
from bitsmith.ir.ops import Relation
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Unary, as_weights
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.resolution import Resolution
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

_HALF = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class BinaryTanh(Unary):
    """1 from 0 up, -1 below."""

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.GRID, elementwise=True, affine=False)
    jumps: ClassVar[bool] = True
    bounded: ClassVar[bool] = True

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.where(inputs[0] >= 0.0, 1.0, -1.0)

    def resolution(self, beyond: Resolution | None) -> Resolution | None:
        return Resolution(-1.0, 0.0, 1.0, 0, None, stairs(as_weights([0.0]), above=False))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder = lowering.builder
        condition = builder.compare(inputs[0], Relation.GE, builder.const(0))
        return lowering.cast("result", builder.sub(builder.shift(condition, 1), builder.const(1)))


@dataclass(frozen=True, slots=True, eq=False)
class TernaryTanh(Unary):
    """1 above a half, -1 below minus a half, else 0."""

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.GRID, elementwise=True, affine=False)
    jumps: ClassVar[bool] = True
    bounded: ClassVar[bool] = True

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.rint(np.clip(inputs[0], -1.0, 1.0))

    def resolution(self, beyond: Resolution | None) -> Resolution | None:
        return Resolution(-1.0, 1.0, 0.5, None, None, (Quantizer.uniform(1.0, -1, 1).ladder,))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder = lowering.builder
        above = builder.compare(inputs[0], Relation.GT, builder.const(1, 1))
        below = builder.compare(inputs[0], Relation.LT, builder.const(-1, 1))
        return lowering.cast("result", builder.sub(above, below))


def as_staircase(layer: Layer) -> Staircase | None:
    """A layer of this file, or a staircase, as a staircase; None of any other."""
    match layer:
        case Staircase():
            return layer
        case BinaryTanh():
            return Staircase(as_weights([0.0]), as_weights([-1.0, 1.0]))
        case TernaryTanh():
            return Staircase(as_weights([-_HALF, math.nextafter(_HALF, 1.0)]), as_weights([-1.0, 0.0, 1.0]))
        case _:
            return None


EXAMPLES = (Example(BinaryTanh(), ((3,),)), Example(TernaryTanh(), ((3,),)))
