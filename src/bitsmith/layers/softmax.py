"""Softmax, by tables on a sum that is first normalized, so that its accuracy does not depend on the number of classes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.activation import TABLE_OPTIONS, Activation
from bitsmith.layers.axis_order import Order, common, moved_axes, ordered_weights
from bitsmith.layers.enclosure import Enclosure
from bitsmith.layers.example import Example
from bitsmith.layers.functions import FUNCTIONS
from bitsmith.layers.layer import Floats, Layer, Shape, broadcasts, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.merge import aligned
from bitsmith.layers.reciprocal import decay, nonnegative, reciprocal, rounded
from bitsmith.layers.settings import SoftmaxImplementation
from bitsmith.layers.tables import tabulated
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

_GUARD_BITS = 2
_FEW_CLASSES_BITS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Softmax(Layer):
    """``exp(x_i) / sum_j exp(x_j)`` along ``axis`` (without the batch axis; may be negative).

    *stable* (the default) works on ``x - max(x)``; *latency* leaves the maximum out; *argmax* gives 1 at the first largest
    operand and 0 elsewhere. ``mask`` broadcasts to the operand: where it is 0, the operand takes no part and the result is
    exactly 0. So it is where a second operand, which broadcasts likewise, is 0; it may leave out whole rows.
    """

    axis: int = -1
    mask: Floats | None = None

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.APPROXIMATE, elementwise=False, affine=False)
    precisions: ClassVar[tuple[str, ...]] = ("exp_table", "inv_table", "inv_inp", "accum", "result")
    options: ClassVar[frozenset[str]] = TABLE_OPTIONS | {"implementation", "skip"}
    bounded: ClassVar[bool] = True
    functions: ClassVar[tuple[str, ...]] = ("softmax",)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs[:1] if len(inputs) == 2 else inputs, self.kind)
        if not -len(shape) <= self.axis < len(shape):
            raise UnsupportedError(f"softmax along axis {self.axis} of an input of shape {shape}")
        for mask in (*(() if self.mask is None else (self.mask.shape,)), *inputs[1:]):
            if not broadcasts(mask, shape):
                raise UnsupportedError(f"a mask of shape {mask} on an input of shape {shape}")
        if self.mask is not None and not bool(np.all(np.any(np.broadcast_to(self.mask, shape), axis=self.axis))):
            raise UnsupportedError("a softmax of nothing: the mask leaves some row no element")
        return shape

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        order = common(orders, shapes)
        if len(shapes[0]) == 1 or order is None:
            return None  # the first of equals may win
        mask = None if self.mask is None else ordered_weights(self.mask, order, shapes[0])
        return Softmax(moved_axes((self.axis,), order, shapes[0])[0], mask), order

    def over_steps(self, steps: int, inputs: Sequence[Shape]) -> Layer | None:
        return self if self.axis < 0 else replace(self, axis=self.axis + 1)

    def steep(self, least: float = -8.0, most: float = 8.0, size: float = np.inf, shape: Shape = ()) -> float:
        # Of two numbers, it is a sigmoid of their difference.
        return Activation("sigmoid").steep(least - most, most - least, size)

    def enclosed(self, operands: Sequence[Enclosure], *, anywhere: bool) -> Enclosure:
        axis, (x, *masks) = self.axis if self.axis < 0 else self.axis + 1, operands
        some = bool(masks) or x.least.max(axis=axis, keepdims=True) > -np.inf  # of -inf alone, frameworks make NaN
        most = np.broadcast_to(np.where(some, 1.0, np.nan), x.least.shape)
        # Derivatives of a share are half of 1 in all, at most.
        error = np.minimum(0.5 * x.error.max(axis=axis, keepdims=True), 1.0)
        return Enclosure(np.zeros(x.least.shape), most, np.broadcast_to(1.0 if masks else error, x.least.shape))

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        axis = self.axis if self.axis < 0 else self.axis + 1
        x = inputs[0] if self.mask is None else np.where(self.mask != 0.0, inputs[0], -np.inf)
        for kept in aligned(inputs)[1:]:
            x = np.where(kept != 0.0, x, -np.inf)
        left = x.max(axis=axis, keepdims=True) > -np.inf
        powers = np.exp(x - np.where(left, x.max(axis=axis, keepdims=True), 0.0))
        return np.asarray(powers / np.where(left, powers.sum(axis=axis, keepdims=True), 1.0), dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        if lowering.settings.skip:
            return lowering.cast("result", inputs[0])
        rank = len(inputs[0].shape)
        axis = self.axis % rank
        perm = (*(k for k in range(rank) if k != axis), axis)
        x = lowering.builder.transpose(inputs[0], perm)
        mask = self._moved_mask(lowering.builder, inputs[1:], perm)
        match lowering.settings.implementation or SoftmaxImplementation.STABLE:
            case SoftmaxImplementation.ARGMAX:
                y = _first_largest(lowering.builder, x, mask)
            case SoftmaxImplementation.STABLE:
                below = lowering.builder.sub(_largest(lowering.builder, x, mask), x)
                powers = decay(lowering, nonnegative(lowering.builder, below), _power_frac(lowering, x), "exp_table")
                # The largest operand contributes the entry at 0, the largest of the table. What is masked may wrap there.
                least = powers.type.span.greatest
                y = _normalized(lowering, _kept(lowering.builder, powers, mask), least)
            case SoftmaxImplementation.LATENCY:
                frac, bounds = _power_frac(lowering, x), lowering.settings.table_range
                powers = tabulated(lowering, x, FUNCTIONS["exponential"], frac, "exp_table", bounds)
                powers = rounded(lowering, powers, frac, "exp_table")
                y = _normalized(lowering, _kept(lowering.builder, powers, mask), least=Fraction(0))
        return lowering.builder.transpose(_probability(lowering, y), np.argsort(perm).tolist())

    def _moved_mask(self, builder: ProgramBuilder, computed: Sequence[Value], perm: Sequence[int]) -> Value | None:
        """The masks as one, not 0 where an element is kept, with its axes in the order ``perm``."""
        known = () if self.mask is None else (builder.const((self.mask != 0.0).astype(np.int64)),)
        moved = None
        for mask in (*computed, *known):
            ranked = builder.reshape(mask, (1,) * (len(perm) - len(mask.shape)) + mask.shape)
            turned = builder.transpose(ranked, perm)
            moved = turned if moved is None else builder.select(turned, moved, builder.const(0))
        return moved


def _kept(builder: ProgramBuilder, x: Value, mask: Value | None) -> Value:
    """``x``, with 0 where it is masked."""
    return x if mask is None else builder.select(mask, x, builder.const(0))


def _largest(builder: ProgramBuilder, x: Value, mask: Value | None) -> Value:
    """The greatest of what is not masked, along the last axis."""
    if mask is not None:
        x = builder.select(mask, x, builder.const(x.type.span.lo, x.type.span.frac))
    return builder.reshape(builder.amax(x, [-1]), (*x.shape[:-1], 1))


def _first_largest(builder: ProgramBuilder, x: Value, mask: Value | None) -> Value:
    tied = _kept(builder, builder.compare(x, Relation.EQ, _largest(builder, x, mask)), mask)
    size = x.shape[-1]
    earlier = builder.linear(tied, np.triu(np.ones((size, size), dtype=np.int64), 1))
    return builder.select(builder.compare(earlier, Relation.EQ, builder.const(0)), tied, builder.const(0))


def _result_frac(lowering: Lowering) -> int:
    fmt = lowering.format("result")
    return lowering.result_frac() if fmt is None else fmt.frac


def _probability(lowering: Lowering, y: Value) -> Value:
    """The result; without a given precision its range is 0..1, which intervals alone cannot prove."""
    if lowering.format("result") is not None or y.type.span.frac == 0:  # 0 and 1 need no fraction
        return lowering.result(y)
    frac, widest = lowering.result_frac(), lowering.settings.widest
    if widest is not None:
        frac = min(frac, widest - 1)  # 1 itself needs a bit beside the fraction
    return lowering.builder.cast_to(y, frac, 0, 1 << frac, Rounding.RND, Overflow.SAT)


def _power_frac(lowering: Lowering, x: Value) -> int:
    """Fractional bits of exponentials: guard bits beyond the result's step, more where many roundings add up in their sum."""
    return max(_result_frac(lowering), 1) + _GUARD_BITS + max((x.shape[-1] - 1).bit_length() - _FEW_CLASSES_BITS, 0)


def _normalized(lowering: Lowering, powers: Value, least: Fraction) -> Value:
    """``powers`` over their sum, which is known to be at least ``least``."""
    builder = lowering.builder
    total = builder.sum(powers, [-1])
    total = builder.reshape(total, (*total.shape, 1))
    if lowering.format("accum") is not None or lowering.format("inv_inp") is not None:
        total, least = lowering.cast("inv_inp", lowering.cast("accum", total)), Fraction(0)
    frac = max(_result_frac(lowering), 1) + _GUARD_BITS
    return builder.mul(powers, reciprocal(lowering, total, least, frac, "inv_table"))


EXAMPLES = (Example(Softmax(), ((3,),)), Example(Softmax(), ((2, 3), (2, 3))))
