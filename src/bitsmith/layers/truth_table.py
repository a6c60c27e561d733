"""Functions of a few bits, given by their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.axis_order import Order, common
from bitsmith.layers.example import COUNT, Example
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights, broadcasts
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.quantization.lookup import rows_stored, tabulated_values
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

MOST_BITS = 6
"""Most operands: the inputs of the largest look-up tables of AMD's parts."""


@dataclass(frozen=True, slots=True, eq=False)
class TruthTable(Layer):
    """``values[..., x0 + 2 * x1 + 4 * x2 + ...]`` of operands of one shape; what is not 0 counts as 1.

    ``values`` has shape (..., 2**operands); its leading axes broadcast to a sample.
    """

    values: Floats

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False)
    jumps: ClassVar[bool] = True

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if not 1 <= len(inputs) <= MOST_BITS or self.values.shape[-1:] != (1 << len(inputs),):
            raise UnsupportedError(
                f"a truth table of shape {self.values.shape} for {len(inputs)} operands",
                accepted=f"1 to {MOST_BITS} operands, and 2**operands values",
            )
        if len(set(inputs)) > 1 or not broadcasts(self.values.shape[:-1], inputs[0]):
            raise UnsupportedError(f"a truth table of shape {self.values.shape} for operands of shapes {list(inputs)}")
        return inputs[0]

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        order = common(orders, shapes)
        return (
            None
            if order is None
            else (replace(self, values=as_weights(rows_stored(self.values, order, shapes[0]))), order)
        )

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        places = sum((x != 0).astype(np.int64) << number for number, x in enumerate(inputs))
        rows = np.broadcast_to(self.values, (*np.shape(places), self.values.shape[-1]))
        return np.take_along_axis(rows, np.asarray(places)[..., None], axis=-1)[..., 0]

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, zero = lowering.builder, lowering.builder.const(0)
        bits = [builder.shift(builder.compare(x, Relation.NE, zero), number) for number, x in enumerate(inputs)]
        address = reduce(builder.add, bits)
        # The sum of what is always 0 and of an even number counts in twos.
        address = builder.cast_to(address, 0, 0, (1 << len(inputs)) - 1, Rounding.TRN, Overflow.SAT)
        return lowering.cast("result", tabulated_values(builder, address, 0, self.values))


EXAMPLES = (
    Example(
        TruthTable(as_weights([[0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.5]])), ((3,), (3,)), COUNT
    ),
)
