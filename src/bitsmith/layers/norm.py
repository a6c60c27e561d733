"""Normalization layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.layers.auto import product_scales, spread_exponents
from bitsmith.layers.axis_order import Order, moved_axes, ordered
from bitsmith.layers.example import Example, quarters
from bitsmith.layers.layer import Exponents, Floats, Layer, Shape, StepLayer, as_weights, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class BatchNormalization(Layer):
    """``x * scale + offset`` along ``axis`` (without the batch axis; may be negative): batch normalization at inference.

    With the trained statistics, ``scale = gamma / sqrt(variance + epsilon)`` and ``offset = beta - mean * scale``
    (S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015, algorithm 2).
    """

    scale: Floats
    offset: Floats
    axis: int = -1

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=True, multiplies=True)
    precisions: ClassVar[tuple[str, ...]] = ("scale", "bias", "accum", "result")
    trained: ClassVar[Mapping[str, str]] = {"scale": "scale", "bias": "offset"}

    def weight_exponents(self, variable: str, bits: int) -> Exponents | None:
        return spread_exponents(self.scale, bits) if variable == "scale" else None

    def trained_scales(self, operand: Floats, result: Floats, rank: int) -> Mapping[str, Floats]:
        last = self.axis in (-1, rank - 1)
        return {"scale": product_scales(operand, result, 1), "bias": result} if last else {}

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if not -len(shape) <= self.axis < len(shape) or self.scale.shape != (shape[self.axis],):
            raise UnsupportedError(
                f"{self.scale.shape[0]} channels along axis {self.axis} of an input of shape {shape}"
            )
        return shape

    def step_by_step(self, axis: int, shapes: Sequence[Shape]) -> StepLayer | None:
        return StepLayer(self, axis) if self.axis % len(shapes[0]) != axis else None

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        if len(shapes[0]) > 1:
            return replace(self, axis=moved_axes((self.axis,), orders[0], shapes[0])[0]), orders[0]
        scale, offset = (as_weights(ordered(values, orders[0])) for values in (self.scale, self.offset))
        return BatchNormalization(scale, offset), orders[0]

    def _along_axis(self, values: npt.NDArray[_Number], rank: int) -> npt.NDArray[_Number]:
        shape = [1] * rank
        shape[self.axis] = -1
        return values.reshape(shape)

    def over_steps(self, steps: int, inputs: Sequence[Shape]) -> Layer | None:
        return self if self.axis < 0 else replace(self, axis=self.axis + 1)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        rank = inputs[0].ndim - 1
        scale, offset = self._along_axis(self.scale, rank), self._along_axis(self.offset, rank)
        return np.asarray(inputs[0] * scale + offset, dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, rank = lowering.builder, len(inputs[0].shape)
        exponents = self.weight_exponents("scale", lowering.settings.bits.weight)
        raw, frac = lowering.scaled_constant("scale", self.scale, exponents)
        fracs = np.broadcast_to(frac, self.scale.shape)
        scaled = builder.mul(inputs[0], builder.const(self._along_axis(raw, rank), self._along_axis(fracs, rank)))
        result = builder.add(scaled, lowering.const("bias", self._along_axis(self.offset, rank)))
        return lowering.result(lowering.cast("accum", result))


EXAMPLES = (Example(BatchNormalization(quarters(3), as_weights([0.5, 0.25, -1.0])), ((2, 3),)),)
