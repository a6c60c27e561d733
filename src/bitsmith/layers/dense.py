"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.layers.arrays import Exponents, Floats, Shape
from bitsmith.layers.auto import exponents, product_scales
from bitsmith.layers.axis_order import Order, unchanged
from bitsmith.layers.example import Example, quarters
from bitsmith.layers.layer import Layer, Products, StepLayer, Weighted, as_weights, shifted, single
from bitsmith.layers.lowering import Lowering


@dataclass(frozen=True, slots=True, eq=False)
class Dense(Weighted):
    """``x @ kernel + bias`` over the last axis; kernel (n_in, n_out), bias (n_out,) or None. Any rank.

    ``row_scale`` (n_in,) has the factors of a normalization that was folded into the rows of the kernel, if there was one: the
    rows' rounding is in proportion to them.
    """

    bias: Floats | None = None
    row_scale: Floats | None = None

    options: ClassVar[frozenset[str]] = frozenset({"weights", "digit_price", "channel_price"})
    priced: ClassVar[Mapping[str, bool]] = {"weight": False}

    def weight_exponents(self, variable: str, bits: int) -> Exponents | None:
        return exponents(self.row_scale)[:, None] if variable == "weight" and self.row_scale is not None else None

    def trained_scales(self, operand: Floats, result: Floats, rank: int) -> Mapping[str, Floats]:
        return {"weight": product_scales(operand[:, None], result, len(operand)), "bias": result}

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if self.row_scale is not None and self.row_scale.shape != self.kernel.shape[:1]:
            raise UnsupportedError(f"scales of shape {self.row_scale.shape} for a kernel of shape {self.kernel.shape}")
        if not shape or shape[-1] != self.kernel.shape[0]:
            raise UnsupportedError(
                f"a kernel of shape {self.kernel.shape} on an input of shape {shape}",
                accepted=f"inputs whose last axis has {self.kernel.shape[0]} elements",
            )
        return (*shape[:-1], self.kernel.shape[1])

    def step_by_step(self, axis: int, shapes: Sequence[Shape]) -> StepLayer | None:
        return StepLayer(self, axis) if axis < len(shapes[0]) - 1 else None

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        (order,), (shape,) = orders, shapes
        if len(shape) == 1:
            row_scale = None if self.row_scale is None else as_weights(self.row_scale[list(order)])
            ordered = replace(self, kernel=as_weights(self.kernel[list(order)]), row_scale=row_scale)
            return ordered, unchanged(self.output_shape(shapes))
        return (self, order) if order[-1] == len(shape) - 1 else None

    def giving(self, order: Order, shape: Shape) -> Layer | None:
        if len(shape) > 1:
            return None
        bias = None if self.bias is None else as_weights(self.bias[list(order)])
        return replace(self, kernel=as_weights(self.kernel[:, list(order)]), bias=bias)

    def over_steps(self, steps: int, inputs: Sequence[Shape]) -> Layer | None:
        return self

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        result: Floats = inputs[0] @ self.kernel
        return result if self.bias is None else result + self.bias

    def trained_products(self, variable: str, operands: Sequence[Floats]) -> Products | None:
        rows = operands[0].reshape(1, -1, operands[0].shape[-1])
        return Products(rows, self.kernel[None], None, self._revised, self.bias is not None)

    def _revised(self, matrices: Floats, shift: Floats) -> Dense:
        return replace(self, kernel=as_weights(matrices[0]), bias=shifted(self.bias, shift))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        exponents = self.weight_exponents("weight", lowering.settings.bits.weight)
        result = lowering.product(inputs[0], self.kernel, exponents)
        if self.bias is not None:
            result = lowering.builder.add(result, lowering.trained("bias", self.bias))
        return lowering.result(lowering.cast("accum", result))


EXAMPLES = (Example(Dense(quarters(4, 3), quarters(3)), ((4,),)),)
