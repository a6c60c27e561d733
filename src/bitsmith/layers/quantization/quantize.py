"""Quantizers of activations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.axis_order import Order
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape, StepLayer, Unary, alike_along, broadcasts, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.quantization.quantizer import Quantizer, as_floats
from bitsmith.layers.quantization.requantize import quantized_values
from bitsmith.layers.resolution import Resolution
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

_FEW_BITS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Quantize(Unary):
    """Each element on the grid of ``quantizer``."""

    quantizer: Quantizer

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.GRID, elementwise=False, affine=False)

    @property
    def jumps(self) -> bool:
        return bool(self.quantizer.bits.max() < _FEW_BITS)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if not broadcasts(self.quantizer.shape, shape):
            raise UnsupportedError(f"a quantizer of shape {self.quantizer.shape} on an input of shape {shape}")
        return shape

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        return replace(self, quantizer=self.quantizer.reordered(orders[0], shapes[0])), orders[0]

    def step_by_step(self, axis: int, shapes: Sequence[Shape]) -> StepLayer | None:
        return StepLayer(self, axis) if alike_along(axis, self.quantizer.shape, len(shapes[0])) else None

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return self.quantizer.applied(inputs[0])

    def resolution(self, beyond: Resolution | None) -> Resolution | None:
        quantizer = self.quantizer
        if quantizer.overflow not in (Overflow.SAT, Overflow.SAT_SYM):
            return None
        ends = [as_floats((code - quantizer.offset) * quantizer.scale) for code in (quantizer.lo, quantizer.hi)]
        least, most = (float(end(np.concatenate([each.ravel() for each in ends]))) for end in (np.min, np.max))
        step = float(np.abs(as_floats(quantizer.scale)).min())
        return Resolution(least, most, step, None, None, (quantizer.ladder,))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        if lowering.format("result") is not None:
            return lowering.cast("result", inputs[0])
        return quantized_values(lowering.builder, inputs[0], self.quantizer)


EXAMPLES = (
    Example(Quantize(Quantizer.fixed(1, [0, 1, 2], [2, 1, 0], Rounding.RND, Overflow.WRAP)), ((3,),)),
    Example(Quantize(Quantizer.uniform(0.3125 + 2.0**-20, -8, 7)), ((3,),)),
)
