"""Reductions over axes of a sample: sums, means, extremes, products, spreads, and what finds or accumulates along one axis.

``keepdims`` leaves reduced axes with size 1.
"""

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.layers.axis_order import Order, moved_axes, without
from bitsmith.layers.division import divided
from bitsmith.layers.enclosure import Enclosure
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.power import positive_power
from bitsmith.layers.reciprocal import logarithm, rounded
from bitsmith.layers.statistics import batched, checked_axes, kept_sum, square, variance
from bitsmith.layers.tables import Function, tabulated
from bitsmith.layers.traits import Exactness, Scales, Traits, computed, extreme

_GUARD_BITS = 2

_MOST_BITS = 48
"""Fractional bits of a logarithm beyond which float64 has none, either."""


class Reduction(enum.Enum):
    """Function of the elements."""

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    PROD = "prod"
    VARIANCE = "variance"
    """The mean square distance from the mean."""
    DEVIATION = "deviation"
    """The root of the variance."""
    NORM = "norm"
    """The root of the sum of squares."""
    LOG_SUM_EXP = "logsumexp"


def _float_log_sum_exp(x: Floats, axis: tuple[int, ...], keepdims: bool) -> Floats:
    greatest = np.max(x, axis=axis, keepdims=True)
    result = np.log(np.sum(np.exp(x - greatest), axis=axis, keepdims=keepdims))
    return np.asarray(result + greatest.reshape(result.shape), dtype=np.float64)


def _traits(scales: Scales, exactness: Exactness) -> Traits:
    return computed(scales, exactness, elementwise=False, affine=False)


_FUNCTIONS: Mapping[Reduction, tuple[Callable[..., Floats], Traits]] = {
    Reduction.SUM: (np.sum, _traits(Scales.ANY, Exactness.EXACT)),
    Reduction.MEAN: (np.mean, _traits(Scales.ANY, Exactness.QUOTIENT)),
    Reduction.MAX: (np.max, extreme(elementwise=False)),
    Reduction.MIN: (np.min, extreme(elementwise=False)),
    Reduction.PROD: (np.prod, _traits(Scales.NONE, Exactness.EXACT)),
    Reduction.VARIANCE: (np.var, _traits(Scales.NONE, Exactness.QUOTIENT)),
    Reduction.DEVIATION: (np.std, _traits(Scales.POSITIVE, Exactness.APPROXIMATE)),
    Reduction.NORM: (lambda x, **over: np.sqrt(np.sum(x * x, **over)), _traits(Scales.POSITIVE, Exactness.APPROXIMATE)),
    Reduction.LOG_SUM_EXP: (_float_log_sum_exp, _traits(Scales.NONE, Exactness.APPROXIMATE)),
}
"""The float functions, with keywords as numpy's, and what passes may conclude of them."""


def _reduced(shape: Shape, axes: Sequence[int], *, keepdims: bool) -> Shape:
    counted = {axis % len(shape) for axis in axes}
    if keepdims:
        return tuple(1 if axis in counted else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in counted)


@dataclass(frozen=True, slots=True, eq=False)
class Reduce(Layer):
    """The ``reduction`` over ``axes`` (without the batch axis; may be negative).

    Sums, products and extremes are exact; means and variances are correctly rounded for every operand.
    """

    reduction: Reduction
    axes: tuple[int, ...]
    keepdims: bool = False

    precisions: ClassVar[tuple[str, ...]] = ("accum", "table", "exp_table", "result")
    options: ClassVar[frozenset[str]] = frozenset({"table_size", "binning"})

    @property
    def traits(self) -> Traits:
        return _FUNCTIONS[self.reduction][1]

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return _reduced(
            checked_axes(single(inputs, self.kind), self.axes, self.kind), self.axes, keepdims=self.keepdims
        )

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        if len(shapes[0]) == 1:
            return None
        layer = replace(self, axes=moved_axes(self.axes, orders[0], shapes[0]))
        return layer, orders[0] if self.keepdims else without(self.axes, orders[0], shapes[0])

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        function, axes = _FUNCTIONS[self.reduction][0], batched(self.axes, inputs[0])
        return np.asarray(function(inputs[0], axis=axes, keepdims=self.keepdims), dtype=np.float64)

    def enclosed(self, operands: Sequence[Enclosure], *, anywhere: bool) -> Enclosure | None:
        (x,) = operands
        least, most = self.reference([x.least]), self.reference([x.most])
        match self.reduction:
            case Reduction.SUM | Reduction.MEAN:
                return Enclosure(least, most, self.reference([x.error]))
            case Reduction.MAX | Reduction.MIN | Reduction.LOG_SUM_EXP:
                return Enclosure(least, most, replace(self, reduction=Reduction.MAX).reference([x.error]))
            case Reduction.VARIANCE | Reduction.DEVIATION | Reduction.NORM:
                size, error = (
                    replace(self, reduction=Reduction.NORM).reference([part]) for part in (x.magnitude, x.error)
                )
                count = 1 if self.reduction is Reduction.NORM else x.least.size // size.size
                if self.reduction is Reduction.VARIANCE:
                    size, error, count = size**2, error * (2.0 * size + error), count**2
                return Enclosure(np.zeros(size.shape), size / count**0.5, error / count**0.5)
            case Reduction.PROD:
                return None

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        y = lowering.builder.reshape(self._kept(lowering, inputs[0]), self.output_shape([inputs[0].shape]))
        if self.reduction in (Reduction.MAX, Reduction.MIN):
            return lowering.cast("result", y)
        free = self.reduction is Reduction.LOG_SUM_EXP and lowering.format("result") is None
        # What is seen of the range of a result of nearly 0 is the float model's own rounding, too.
        return y if free and lowering.result_frac() > _MOST_BITS else lowering.result(y)

    def _kept(self, lowering: Lowering, x: Value) -> Value:
        """The reduction with its axes at size 1."""
        builder = lowering.builder
        count = math.prod(x.shape[axis] for axis in self.axes)
        match self.reduction:
            case Reduction.SUM:
                return lowering.cast("accum", kept_sum(lowering, x, self.axes))
            case Reduction.MEAN:
                return divided(lowering, lowering.cast("accum", kept_sum(lowering, x, self.axes)), count)
            case Reduction.MAX:
                return _largest(builder, x, self.axes)
            case Reduction.MIN:
                return builder.neg(_largest(builder, builder.neg(x), self.axes))
            case Reduction.PROD:
                return _product(builder, x, self.axes)
            case Reduction.VARIANCE:
                return divided(lowering, variance(lowering, x, self.axes, centered=True).spread, count * count)
            case Reduction.DEVIATION:
                spread = variance(lowering, x, self.axes, centered=True).spread
                root, _ = positive_power(lowering, spread, 0.5, 1.0 / count)
                return divided(lowering, root, count)
            case Reduction.NORM:
                return positive_power(lowering, kept_sum(lowering, square(lowering, x), self.axes), 0.5)[0]
            case Reduction.LOG_SUM_EXP:
                return _log_sum_exp(lowering, x, self.axes)


def _largest(builder: ProgramBuilder, x: Value, axes: Sequence[int]) -> Value:
    return builder.reshape(builder.amax(x, axes), _reduced(x.shape, axes, keepdims=True))


def _product(builder: ProgramBuilder, x: Value, axes: Sequence[int]) -> Value:
    """A balanced tree of products."""
    counted = [axis % len(x.shape) for axis in axes]
    rest = [axis for axis in range(len(x.shape)) if axis not in counted]
    kept = _reduced(x.shape, axes, keepdims=True)
    flat = builder.transpose(x, [*counted, *rest])
    shape = tuple(x.shape[axis] for axis in rest)
    flat = builder.reshape(flat, (math.prod(x.shape[axis] for axis in counted), *shape))
    while flat.shape[0] > 1:
        zeros = (0,) * len(shape)
        half, odd = divmod(flat.shape[0], 2)
        parts = [builder.slice(flat, (first * half, *zeros), ((first + 1) * half, *shape)) for first in (0, 1)]
        product = builder.mul(*parts)
        if odd:
            last = builder.slice(flat, (2 * half, *zeros), (2 * half + 1, *shape))
            product = builder.concat([product, last], 0)
        flat = product
    return builder.reshape(flat, kept)


def _log_sum_exp(lowering: Lowering, x: Value, axes: Sequence[int]) -> Value:
    """``max + log(sum(exp(x - max)))``."""
    builder = lowering.builder
    fmt = lowering.format("result")
    # A result of nearly 0 is the float model's own rounding: it deserves no finer steps.
    frac = max(min(lowering.result_frac(), _MOST_BITS) if fmt is None else fmt.frac, 0) + _GUARD_BITS
    greatest = _largest(builder, x, axes)
    decay = Function("exp(-x)", lambda d: np.exp(-np.maximum(d, 0.0)), ())
    powers = tabulated(lowering, builder.max(builder.sub(greatest, x), builder.const(0)), decay, frac + 1, "exp_table")
    total = kept_sum(lowering, rounded(lowering, powers, frac + 1, "exp_table"), tuple(axes))
    # The largest operand contributes 1 to the sum.
    total = builder.max(total, builder.const(1))
    return builder.add(greatest, logarithm(lowering, total, math.e, frac))


@dataclass(frozen=True, slots=True, eq=False)
class ArgMax(Layer):
    """The index of the first greatest (or ``least``) element along ``axis`` (without the batch axis; may be negative)."""

    axis: int
    keepdims: bool = False
    least: bool = False

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False)
    jumps: ClassVar[bool] = True

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = checked_axes(single(inputs, self.kind), (self.axis,), self.kind)
        return _reduced(shape, (self.axis,), keepdims=self.keepdims)

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        if len(shapes[0]) == 1:
            return None
        layer = replace(self, axis=moved_axes((self.axis,), orders[0], shapes[0])[0])
        return layer, orders[0] if self.keepdims else without((self.axis,), orders[0], shapes[0])

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        find = np.argmin if self.least else np.argmax
        (axis,) = batched((self.axis,), inputs[0])
        return np.asarray(find(inputs[0], axis=axis, keepdims=self.keepdims), dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        """The largest of ``size - index`` where the element is the greatest one, 0 elsewhere, counts back from the end.

        Of two elements a comparison is the index.
        """
        builder, x = lowering.builder, inputs[0]
        axis, last = self.axis % len(x.shape), len(x.shape) - 1
        if (axis, x.shape[axis]) == (last, 2):
            first, second = (builder.slice(x, (*[0] * last, k), (*x.shape[:last], k + 1)) for k in range(2))
            index = builder.compare(second, Relation.LT if self.least else Relation.GT, first)
            return lowering.cast("result", builder.reshape(index, self.output_shape([x.shape])))
        x = builder.neg(x) if self.least else x
        greatest = builder.compare(x, Relation.EQ, _largest(builder, x, (axis,)))
        size = x.shape[axis]
        back = np.arange(size, 0, -1).reshape([size if k == axis else 1 for k in range(len(x.shape))])
        marked = builder.select(greatest, builder.const(back), builder.const(0))
        index = builder.sub(builder.const(size), builder.amax(marked, [axis]))
        # One element is the greatest: the index is within the axis.
        index = builder.min(index, builder.const(size - 1))
        return lowering.cast("result", builder.reshape(index, self.output_shape([x.shape])))


@dataclass(frozen=True, slots=True, eq=False)
class CumulativeSum(Layer):
    """Each element plus all before it along ``axis`` (without the batch axis; may be negative)."""

    axis: int

    traits: ClassVar[Traits] = computed(Scales.ANY, Exactness.EXACT, elementwise=False, affine=False)
    precisions: ClassVar[tuple[str, ...]] = ("accum", "result")

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return checked_axes(single(inputs, self.kind), (self.axis,), self.kind)

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        if len(shapes[0]) == 1:
            return None
        return CumulativeSum(*moved_axes((self.axis,), orders[0], shapes[0])), orders[0]

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        (axis,) = batched((self.axis,), inputs[0])
        return np.cumsum(inputs[0], axis=axis)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        last = len(x.shape) - 1
        perm = list(range(last + 1))
        perm[self.axis], perm[last] = perm[last], perm[self.axis]
        size = x.shape[self.axis]
        if size > MAX_ACCUMULATED:
            raise UnsupportedError(f"a cumulative sum of {size} elements", accepted=f"at most {MAX_ACCUMULATED}")
        sums = builder.linear(builder.transpose(x, perm), np.triu(np.ones((size, size), dtype=np.int64)))
        return lowering.result(lowering.cast("accum", builder.transpose(sums, perm)))


MAX_ACCUMULATED = 4096
"""Most elements that are accumulated along an axis."""


EXAMPLES = (
    Example(Reduce(Reduction.MEAN, (0,)), ((3, 2),)),
    Example(ArgMax(-1), ((4,),)),
    Example(CumulativeSum(-1), ((4,),)),
)
