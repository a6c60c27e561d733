"""Normalizations by statistics of each sample: layer, RMS, group and unit (L2) normalization.

Sums and sums of squares are exact, and nothing is divided by the number ``n`` of elements: with ``S = sum(x)``,
``d = n * x - S`` and ``q = n * sum(x**2) - S**2`` are ``n`` times the centered operand and ``n**2`` times the variance, so that
``(x - mean) / sqrt(variance + epsilon) = d / sqrt(q + n**2 * epsilon)``. Only the reciprocal square root is rounded, with an
accuracy that keeps the result's error below one step at any magnitude of the operand.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.axis_order import Order, moved_axes, ordered_weights
from bitsmith.layers.example import Example, quarters
from bitsmith.layers.layer import MUCH, PARTS, Floats, Layer, Shape, as_weights, broadcasts, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.reciprocal import cut, power
from bitsmith.layers.settings import Binning
from bitsmith.layers.statistics import Statistics, batched, checked_axes, given_variance, kept_sum, square, variance
from bitsmith.layers.tables import Function, tabulated, uniform
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

_GUARD_BITS = 2
_EPSILON_BITS = 3
"""Bits of epsilon beyond those of the result, by which its rounding disappears."""

_COARSEST = 0.25
"""The largest bin of a table of reciprocal roots, as a share of the geometric mean of the least variance and the greatest."""

_FEW = 3
"""Numbers that are often small together, so that little makes much of their result."""


@dataclass(frozen=True, slots=True, eq=False)
class _OverAxes(Layer):
    """A normalization by statistics over ``axes`` (without the batch axis). What is trained broadcasts to the operand."""

    axes: tuple[int, ...]

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.APPROXIMATE, elementwise=False, affine=False)
    options: ClassVar[frozenset[str]] = frozenset({"table_size", "binning"})

    @property
    @abstractmethod
    def floor(self) -> float:
        """The size of numbers below which the result is proportional to them, which epsilon sets."""

    def trained_scales(self, operand: Floats, result: Floats, rank: int) -> Mapping[str, Floats]:
        return dict.fromkeys(self.trained, result)

    def steep(self, least: float = -8.0, most: float = 8.0, size: float = np.inf, shape: Shape = ()) -> float:
        count = math.prod(shape[axis] for axis in self.axes) if shape else np.inf
        if count > _FEW or (most - least) / PARTS < MUCH * 2.0 * self.floor:
            return 0.0
        return min(size, 2.0 * math.sqrt(count) * float(np.abs(self.weights().get("scale", np.ones(()))).max()))

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = checked_axes(single(inputs, self.kind), self.axes, self.kind)
        for name, values in self.weights().items():
            if not broadcasts(values.shape, shape):
                raise UnsupportedError(f"{name} of shape {values.shape} on an input of shape {shape}")
        return shape

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        order, shape = orders[0], shapes[0]
        trained = {name: ordered_weights(values, order, shape) for name, values in self.weights().items()}
        return replace(self, axes=moved_axes(self.axes, order, shape)).with_weights(trained), order


@dataclass(frozen=True, slots=True, eq=False)
class LayerNormalization(_OverAxes):
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta``, mean and variance over ``axes`` (without the batch axis).

    Gamma and beta broadcast to the operand. Without ``centered`` the mean is not subtracted, but the variance is still that
    around the mean (Keras's ``rms_scaling``).
    J. L. Ba et al., "Layer Normalization", 2016, equations 3 and 4.
    """

    gamma: Floats
    beta: Floats
    epsilon: float
    centered: bool = True

    precisions: ClassVar[tuple[str, ...]] = ("mean", "variance", "table", "scale", "bias", "accum", "result")
    trained: ClassVar[Mapping[str, str]] = {"scale": "gamma", "bias": "beta"}

    @property
    def floor(self) -> float:
        return math.sqrt(self.epsilon)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x, axes = inputs[0], batched(self.axes, inputs[0])
        centered = x - x.mean(axis=axes, keepdims=True) if self.centered else x
        scale = 1.0 / np.sqrt(x.var(axis=axes, keepdims=True) + self.epsilon)
        return np.asarray(centered * scale * self.gamma + self.beta, dtype=np.float64)

    def internals(self, inputs: Sequence[Floats]) -> Mapping[str, Floats]:
        return {"variance": inputs[0].var(axis=batched(self.axes, inputs[0]))}

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        found = variance(lowering, inputs[0], self.axes, centered=self.centered)
        # By Cauchy-Schwarz; a mean that is rounded first may be off by as much as the spread.
        limit = math.sqrt(found.count - (lowering.format("mean") is None)) if self.centered else None
        return _affine(lowering, _quotient(lowering, found, self.epsilon, self.gamma, limit), self.gamma, self.beta)


@dataclass(frozen=True, slots=True, eq=False)
class RMSNormalization(_OverAxes):
    """``x / sqrt(mean(x**2) + epsilon) * gamma``, the mean over ``axes`` (without the batch axis); gamma broadcasts.

    B. Zhang, R. Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019, equation 4.
    """

    gamma: Floats
    epsilon: float

    precisions: ClassVar[tuple[str, ...]] = ("variance", "table", "scale", "accum", "result")
    trained: ClassVar[Mapping[str, str]] = {"scale": "gamma"}

    @property
    def floor(self) -> float:
        return math.sqrt(self.epsilon)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x = inputs[0]
        square = np.mean(x * x, axis=batched(self.axes, x), keepdims=True)
        return np.asarray(x / np.sqrt(square + self.epsilon) * self.gamma, dtype=np.float64)

    def internals(self, inputs: Sequence[Floats]) -> Mapping[str, Floats]:
        return {"variance": np.mean(inputs[0] ** 2, axis=batched(self.axes, inputs[0]))}

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        count = math.prod(x.shape[axis] for axis in self.axes)
        squares = builder.mul(kept_sum(lowering, square(lowering, x), self.axes), builder.const(count))
        found = Statistics(builder.mul(x, builder.const(count)), given_variance(lowering, squares, count), count)
        y = _quotient(lowering, found, self.epsilon, self.gamma, math.sqrt(count))
        return _affine(lowering, y, self.gamma, None)


@dataclass(frozen=True, slots=True, eq=False)
class GroupNormalization(Layer):
    """:class:`LayerNormalization` over all axes within each of ``groups`` equal parts of ``axis`` (without the batch axis).

    Gamma and beta have one entry per index of ``axis``. As many groups as channels make an instance normalization.
    Y. Wu, K. He, "Group Normalization", ECCV 2018, equations 1 to 4.
    """

    groups: int
    axis: int
    gamma: Floats
    beta: Floats
    epsilon: float

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.APPROXIMATE, elementwise=False, affine=False)
    precisions: ClassVar[tuple[str, ...]] = LayerNormalization.precisions
    trained: ClassVar[Mapping[str, str]] = LayerNormalization.trained
    options: ClassVar[frozenset[str]] = _OverAxes.options

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = checked_axes(single(inputs, self.kind), (self.axis,), self.kind)
        channels = shape[self.axis]
        if self.groups < 1 or channels % self.groups:
            raise UnsupportedError(f"{channels} channels in {self.groups} groups", accepted="groups of equal size")
        for name, values in self.weights().items():
            if values.shape != (channels,):
                raise UnsupportedError(f"{name} of shape {values.shape} for {channels} channels")
        return shape

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        if len(shapes[0]) == 1:
            return None
        return replace(self, axis=moved_axes((self.axis,), orders[0], shapes[0])[0]), orders[0]

    def _inner(self, shape: Shape) -> tuple[Shape, LayerNormalization]:
        """The shape with the groups as an axis of their own, and the layer normalization that acts there."""
        axis = self.axis % len(shape)
        split = (*shape[:axis], self.groups, shape[axis] // self.groups, *shape[axis + 1 :])
        axes = tuple(k for k in range(len(split)) if k != axis)
        parameters = (self.groups, shape[axis] // self.groups, *(1,) * (len(shape) - axis - 1))
        gamma, beta = as_weights(self.gamma.reshape(parameters)), as_weights(self.beta.reshape(parameters))
        return split, LayerNormalization(axes, gamma, beta, self.epsilon)

    def steep(self, least: float = -8.0, most: float = 8.0, size: float = np.inf, shape: Shape = ()) -> float:
        if not shape:
            return 0.0
        split, inner = self._inner(shape)
        return inner.steep(least, most, size, split)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x = inputs[0]
        split, inner = self._inner(x.shape[1:])
        return inner.reference([x.reshape(x.shape[0], *split)]).reshape(x.shape)

    def internals(self, inputs: Sequence[Floats]) -> Mapping[str, Floats]:
        split, inner = self._inner(inputs[0].shape[1:])
        return inner.internals([inputs[0].reshape(-1, *split)])

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        x = inputs[0]
        split, inner = self._inner(x.shape)
        return lowering.builder.reshape(inner.lower(lowering, [lowering.builder.reshape(x, split)]), x.shape)


@dataclass(frozen=True, slots=True, eq=False)
class UnitNormalization(_OverAxes):
    """``x / max(sqrt(sum(x**2)), epsilon)``, the sum over ``axes`` (without the batch axis): vectors of length 1."""

    epsilon: float = 1e-12

    precisions: ClassVar[tuple[str, ...]] = ("table", "result")

    @property
    def floor(self) -> float:
        return self.epsilon

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x = inputs[0]
        length = np.sqrt(np.sum(x * x, axis=batched(self.axes, x), keepdims=True))
        return np.asarray(x / np.maximum(length, self.epsilon), dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        total = kept_sum(lowering, square(lowering, x), self.axes)
        if self.epsilon > 0.0 and self.epsilon**2 > total.type.span.step:
            total = builder.max(total, _constant(lowering, self.epsilon**2, 2 * _kept(lowering, 1.0)))
        return lowering.result(_quotient(lowering, Statistics(x, total, 1), 0.0, np.ones(()), 1.0))


def _kept(lowering: Lowering, greatest: float) -> int:
    """Fractional bits of a normalized value that is then multiplied by up to ``greatest``."""
    fmt = lowering.format("result")
    frac = lowering.result_frac() if fmt is None else fmt.frac
    return frac + _GUARD_BITS + math.ceil(math.log2(greatest))


def _constant(lowering: Lowering, value: float, bits: int) -> Value:
    """A positive constant with at most ``bits`` significant bits."""
    places = bits - math.frexp(value)[1]
    return lowering.builder.const(round(math.ldexp(value, places)), places)


def _quotient(lowering: Lowering, statistics: Statistics, epsilon: float, gamma: Floats, limit: float | None) -> Value:
    """``numerator / sqrt(spread + count**2 * epsilon)``, at most ``limit`` if exact; ``gamma`` will multiply it.

    Without a ``limit`` the numerator is not around the mean.
    """
    builder = lowering.builder
    kept = _kept(lowering, max(float(np.max(np.abs(gamma))), 2.0**-64))
    spread, numerator = uniform(lowering, statistics.spread), statistics.numerator
    least, finest = max(spread.type.span.least, Fraction(0)), float(spread.type.span.step)
    added = epsilon * statistics.count**2
    largest = max(abs(bound) for bound in numerator.type.real_range())
    # Without a limit the numerator is not around the mean: it need not be 0 where the spread is.
    lowest = added + float(least) if limit is None else max(added, float(least) or finest)
    bound = largest / math.sqrt(lowest or finest)
    if limit is not None and lowering.format("variance") is None and lowering.format("table") is None:
        bound = min(bound, limit)
    # One relative step of the reciprocal root is a quarter of a step of the result, whatever is multiplied by it.
    bits = max(kept + math.ceil(math.log2(max(bound, 2.0**-16))), 1)
    fine = kept + max(math.ceil(math.log2(max(largest, finest))), 0) + 1
    root = _root_of_seen(lowering, spread, statistics.count**2, added, fine)
    if root is None:
        # Where the spread is 0 so is a numerator around it: an epsilon that is nothing beside the least other does not matter.
        if limit is None or added > math.ldexp(finest, -bits - _EPSILON_BITS):
            spread = builder.add(spread, _constant(lowering, added, bits + _EPSILON_BITS))
            least = max(spread.type.span.least, Fraction(0))
        root = power(lowering, spread, -0.5, least, bits, "table")
        if lowering.format("table") is None:
            root = cut(builder, root, fine)
    y = builder.mul(numerator, root)
    whole = math.ceil(math.ldexp(bound, kept))
    lo = -whole if y.type.span.lo < 0 else 0
    return builder.cast_to(y, kept, lo, whole, Rounding.RND, Overflow.SAT)


def _root_of_seen(lowering: Lowering, spread: Value, scale: int, added: float, frac: int) -> Value | None:
    """``1 / sqrt(spread + added)`` in one table over ``scale`` times the variances that calibration shows, and some room.

    A spread beyond counts as that at the table's end. It takes fewer look-up tables than to seek a leading one. None unless the
    user says the table's size, with values at the middles of bins, or if these would be too coarse.
    """
    settings, seen = lowering.settings, lowering.observed.inner.get("variance")
    if seen is None or not seen.limits or settings.table_size is None or settings.binning is not Binning.CENTER:
        return None
    room, finest = max(settings.headroom, 1.0) ** 2, float(spread.type.span.step)
    least, most = seen.lo / room, seen.hi * room
    if most - least > _COARSEST * settings.table_size * math.sqrt(seen.lo * seen.hi):
        return None
    root = Function("1 / sqrt(x)", lambda x: np.asarray((np.maximum(x, finest) + added) ** -0.5, dtype=np.float64), ())
    return tabulated(lowering, spread, root, frac, bounds=(scale * least, scale * most))


def _affine(lowering: Lowering, y: Value, gamma: Floats, beta: Floats | None) -> Value:
    builder = lowering.builder
    y = builder.mul(y, lowering.const("scale", gamma))
    if beta is not None:
        y = builder.add(y, lowering.const("bias", beta))
    return lowering.result(lowering.cast("accum", y))


EXAMPLES = (
    Example(LayerNormalization((-1,), as_weights([0.5, 1.0, 0.75, 1.25]), quarters(4), 0.125), ((4,),)),
    Example(RMSNormalization((-1,), as_weights([0.5, 1.0, 0.75, 1.25]), 0.125), ((4,),)),
    Example(GroupNormalization(2, -1, as_weights([0.5, 1.0, 0.75, 1.25]), quarters(4), 0.125), ((4,),)),
    Example(UnitNormalization((-1,)), ((3,),)),
)
