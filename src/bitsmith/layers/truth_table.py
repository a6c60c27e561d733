"""Functions of a few bits, given by their values."""

import math
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
from bitsmith.layers.words import Operand, many

MOST_BITS = 6
"""Most operands of functions that are found: the inputs of the largest look-up tables of AMD's parts."""

_FEW = 8
"""Fewer tables are no network of tables, but part of something else."""

MOST_ADDRESS_BITS = 16
"""Most bits that a function reads."""


@dataclass(frozen=True, slots=True, eq=False)
class TruthTable(Layer):
    """``values[..., x0 + (x1 << bits) + (x2 << 2 * bits) + ...]`` of operands of one shape.

    Operands are integers of so many ``bits`` without a sign; of one bit, what is not 0 counts as 1. ``values`` has shape
    (..., 2**(bits * operands)); its leading axes broadcast to a sample.
    """

    values: Floats
    bits: int

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False)
    jumps: ClassVar[bool] = True

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        read = self.bits * len(inputs)
        if not 1 <= read <= MOST_ADDRESS_BITS or self.values.shape[-1:] != (1 << read,):
            raise UnsupportedError(
                f"a truth table of shape {self.values.shape} for {len(inputs)} operands of {self.bits} bits",
                accepted=f"1 to {MOST_ADDRESS_BITS} bits, and 2**bits values",
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

    def words(self, operands: Sequence[Operand]) -> tuple[str, ...]:
        """Return the number of tables, of those that are constant, and of bits that no table depends on."""
        shape, read = operands[0].type.shape, self.bits * len(operands)
        if math.prod(shape) < _FEW:
            return ()
        rows = np.broadcast_to(self.values, (*shape, self.values.shape[-1])).reshape(-1, *(2,) * read)
        axes = range(1, read + 1)
        halves = ((np.take(rows, 0, axis), np.take(rows, 1, axis)) for axis in axes)
        unread = np.stack([np.all(first == second, axis=tuple(axes[:-1])) for first, second in halves])
        return (
            f"{many(len(rows), 'truth table')} of {many(read, 'bit')}; {many(int(np.all(unread, axis=0).sum()), 'table')} "
            f"constant, and {many(int(unread.sum()), 'bit')} of {rows.shape[0] * read:,} not needed.",
        )

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        # Codes that are none count as the nearest ones: what judges decisions moves operands.
        codes = [x != 0 if self.bits == 1 else np.clip(x, 0, (1 << self.bits) - 1) for x in inputs]
        places = sum(code.astype(np.int64) << number * self.bits for number, code in enumerate(codes))
        rows = np.broadcast_to(self.values, (*np.shape(places), self.values.shape[-1]))
        return np.take_along_axis(rows, np.asarray(places)[..., None], axis=-1)[..., 0]

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder = lowering.builder
        if self.bits == 1:
            inputs = [builder.compare(x, Relation.NE, builder.const(0)) for x in inputs]
        for x in inputs:
            least, most = x.type.real_range()
            if np.any(x.type.frac > 0) or least < 0 or most >= 1 << self.bits:
                raise UnsupportedError(f"a truth table on {x.type}", accepted=f"integers of {self.bits} bits")
        address = reduce(builder.add, (builder.shift(x, number * self.bits) for number, x in enumerate(inputs)))
        # The sum of what is always 0 and of an even number counts in twos.
        address = builder.cast_to(address, 0, 0, (1 << self.bits * len(inputs)) - 1, Rounding.TRN, Overflow.SAT)
        return lowering.cast("result", tabulated_values(builder, address, 0, self.values))


EXAMPLES = (
    Example(
        TruthTable(as_weights([[0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.5]]), 1),
        ((3,), (3,)),
        COUNT,
    ),
)
