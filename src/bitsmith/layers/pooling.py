"""Pooling over spatial axes, channels last: greatest and mean element of windows, of regions and of whole images.

Windows of several axes are taken one axis after the other, the last one first: overlapping windows then share their partial
results, and the order of maxima and of exact sums does not matter.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.scaling import rescale
from bitsmith.ir.types import MAX_ELEMENTS, IntLike, Overflow, Rounding, objects
from bitsmith.layers.division import divided
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.traits import Exactness, Scales, Traits, computed, extreme

Axes: TypeAlias = tuple[int, ...]
"""A number for each spatial axis."""

Indices: TypeAlias = npt.NDArray[np.int64]

_MAX_TAPS = 1 << 24
"""Most taps of all windows along one axis; a guard against hostile sizes."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows along one axis of ``length`` elements; ``padding`` is (before, after).

    With ``ceil_mode`` there is one more window where the last would leave elements over, if it starts
    before the padding after the axis (as PyTorch and ONNX have it).
    """

    length: int
    size: int
    stride: int
    dilation: int
    padding: tuple[int, int]
    ceil_mode: bool

    @property
    def reach(self) -> int:
        """Elements from a window's first tap to its last."""
        return self.dilation * (self.size - 1) + 1

    @property
    def count(self) -> int:
        """Number of windows; less than 1 if none fits."""
        room = self.length + sum(self.padding) - self.reach
        if not self.ceil_mode:
            return room // self.stride + 1
        count = -(-room // self.stride) + 1
        return count - int((count - 1) * self.stride >= self.length + self.padding[0])

    @property
    def padded(self) -> tuple[int, int]:
        """The padding with what the last window needs beyond it."""
        end = (self.count - 1) * self.stride + self.reach
        before, after = self.padding
        return before, max(after, end - self.length - before)

    @property
    def is_padded(self) -> bool:
        """True if some tap of some window is padding."""
        return bool(np.any(self.taps(0, 0) < self.size))

    def taps(self, before: int, after: int) -> Indices:
        """For each window, how many taps lie on the axis extended by ``before`` and ``after`` elements."""
        taps = np.arange(self.count)[:, None] * self.stride + np.arange(self.size) * self.dilation - self.padding[0]
        inside = (taps >= -before) & (taps < self.length + after)
        return np.asarray(inside.sum(axis=1), dtype=np.int64)

    def inner(self) -> Indices:
        """For each element of the padded axis one of the axis that is in all windows that the former is in."""
        before, after = self.padded
        places = np.arange(-before, self.length + after)
        last = self.length - 1
        places = np.where(places < 0, places % self.dilation, places)
        places = np.where(places > last, last - (last - places) % self.dilation, places)
        return places.clip(0, last)

    def fold(self, x: Floats, axis: int, padding: float, join: Callable[[Floats, Floats], Floats]) -> Floats:
        """The taps of each window joined, with ``padding`` for what is outside."""
        x = np.pad(x, [self.padded if k == axis else (0, 0) for k in range(x.ndim)], constant_values=padding)
        span = (self.count - 1) * self.stride + 1
        parts = (slice(t * self.dilation, t * self.dilation + span, self.stride) for t in range(self.size))
        place = (slice(None),) * axis
        result = x[(*place, next(parts))]
        for part in parts:
            result = join(result, x[(*place, part)])
        return result


@dataclass(frozen=True, slots=True, eq=False)
class _Pool(Layer):
    """Windows of ``size`` taps every ``strides`` elements; ``padding`` has (before, after) of each axis.

    Left out, ``dilation`` is 1 and ``padding`` 0. ``ceil_mode`` is that of :class:`Windows`.
    """

    size: Axes
    strides: Axes
    padding: tuple[tuple[int, int], ...] = ()
    dilation: Axes = ()
    ceil_mode: bool = False

    @property
    def families(self) -> tuple[str, ...]:
        return (f"{self.kind}ing{len(self.size)}D",)

    def windows(self, shape: Shape) -> tuple[Windows, ...]:
        """The windows along each axis of an input of ``shape``."""
        rank = len(self.size)
        padding, dilation = self.padding or ((0, 0),) * rank, self.dilation or (1,) * rank
        if not rank == len(self.strides) == len(padding) == len(dilation) == len(shape) - 1:
            raise UnsupportedError(
                f"windows of {self.size} on an input of shape {shape}",
                accepted=f"inputs of {rank} spatial axes and channels",
            )
        if min(*self.size, *self.strides, *dilation) < 1 or min(map(min, padding)) < 0:
            raise UnsupportedError(
                f"windows of {self.size} every {self.strides}, dilated by {dilation}, padded by {padding}",
                accepted="positive numbers, and padding that is not negative",
            )
        axes = zip(shape, self.size, self.strides, dilation, padding, strict=False)
        return tuple(Windows(*axis, self.ceil_mode) for axis in axes)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        windows = self.windows(shape)
        for along in windows:
            taps = max(along.count, 1) * along.size + sum(along.padding)
            if along.count < 1 or taps > _MAX_TAPS or int(along.taps(0, 0).min()) < 1:
                raise UnsupportedError(
                    f"windows of {along.size}, dilated by {along.dilation}, on {along.length} elements padded by {along.padding}",
                    accepted="windows that fit and hold at least one element that is not padding",
                )
        padded = [along.length + sum(along.padded) for along in windows]
        if math.prod(padded) * shape[-1] > MAX_ELEMENTS:
            raise UnsupportedError(f"an input that is padded to {padded}", accepted=f"at most {MAX_ELEMENTS} elements")
        return (*(along.count for along in windows), shape[-1])


@dataclass(frozen=True, slots=True, eq=False)
class MaxPool(_Pool):
    """The greatest element of each window; padding never is."""

    traits: ClassVar[Traits] = extreme(elementwise=False)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x = inputs[0]
        for axis, along in enumerate(self.windows(x.shape[1:]), 1):
            x = along.fold(x, axis, -np.inf, np.maximum)
        return x

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        for axis, along in reversed(list(enumerate(self.windows(x.shape)))):
            # Zeros do no harm where nothing is negative; elsewhere padding repeats an element of the same windows.
            zeros = not along.is_padded or bool(np.all(x.type.lo >= 0))
            if not zeros:
                x = builder.gather(x, along.inner(), axis)
            x = _reduced(builder, x, axis, along, along.padded if zeros else (0, 0), builder.amax)
        return lowering.cast("result", x)


@dataclass(frozen=True, slots=True, eq=False)
class AveragePool(_Pool):
    """The mean of each window, correctly rounded to the result's step for every possible input.

    ``count_include_pad`` counts the zeros of ``padding`` too (but never what ``ceil_mode`` adds after it). With ``total`` it is
    the sum instead of the mean.
    """

    count_include_pad: bool = False
    total: bool = False

    traits: ClassVar[Traits] = computed(Scales.ANY, Exactness.QUOTIENT, elementwise=False, affine=False)
    precisions: ClassVar[tuple[str, ...]] = ("accum", "result")

    def counts(self, shape: Shape) -> Indices:
        """Return the divisors of the windows' sums, of an input of ``shape``; as :func:`_outer` has them."""
        return self._counts(self.windows(shape))

    def _counts(self, windows: Sequence[Windows]) -> Indices:
        """Return the divisors of the windows' sums (positions, 1); positions along which all agree have size 1."""
        return _outer([along.taps(*along.padding) if self.count_include_pad else along.taps(0, 0) for along in windows])

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x = inputs[0]
        windows = self.windows(x.shape[1:])
        for axis, along in enumerate(windows, 1):
            x = along.fold(x, axis, 0.0, np.add)
        return x if self.total else np.asarray(x / self._counts(windows), dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        windows = self.windows(x.shape)
        total = x
        for axis, along in reversed(list(enumerate(windows))):
            total = _reduced(builder, total, axis, along, along.padded, builder.sum)
        if any(along.is_padded for along in windows):
            total = _bounded(builder, total, x, _outer([along.taps(0, 0) for along in windows]))
        if self.total:
            return lowering.result(lowering.cast("accum", builder.unify(total)))
        return _mean(lowering, total, self._counts(windows))


def _reduced(
    builder: ProgramBuilder,
    x: Value,
    axis: int,
    along: Windows,
    padding: tuple[int, int],
    reduce: Callable[[Value, Sequence[int]], Value],
) -> Value:
    """``reduce`` over the taps of windows along ``axis``, whose elements are padded by ``padding`` zeros here.

    The windows have a tap along the other axes: so the result's positions are those of a tensor in tokens.
    """
    if along.size == along.stride == 1 and padding == (0, 0):
        return x
    rank = len(x.shape) - 1
    ones = [1] * rank

    def only(number: int) -> list[int]:
        return [*ones[:axis], number, *ones[axis + 1 :]]

    paddings = [padding if k == axis else (0, 0) for k in range(rank)]
    windows = builder.window(x, only(along.size), only(along.stride), only(along.dilation), paddings)
    return reduce(windows, range(rank, 2 * rank))


def _outer(counts: Sequence[Indices]) -> Indices:
    """Products of one count per axis, followed by an axis of size 1; axes along which all agree have size 1."""
    product = np.ones((1,) * (len(counts) + 1), dtype=np.int64)
    for axis, along in enumerate(counts):
        varies = bool(np.any(along != along[0]))
        product = product * (along if varies else along[:1]).reshape((-1,) + (1,) * (len(counts) - axis))
    return product


def _bounded(builder: ProgramBuilder, total: Value, x: Value, counts: Indices) -> Value:
    """``total``, sums of ``counts`` elements of ``x`` and zeros, with the range that follows; no value changes."""
    one, frac = x.type.union(range(len(x.shape) - 1)), total.type.frac
    lo, hi = (rescale(part, one.frac, frac) * objects(counts) for part in (one.lo, one.hi))
    return builder.cast_to(total, frac, lo, hi, Rounding.TRN, Overflow.SAT)


def _mean(lowering: Lowering, total: Value, counts: IntLike) -> Value:
    """The sums ``total`` divided by ``counts``, with one step for all positions."""
    return lowering.result(lowering.builder.unify(divided(lowering, lowering.cast("accum", total), counts)))


@dataclass(frozen=True, slots=True)
class _Regions:
    """``count`` regions along one axis of ``length`` elements: region i is ``floor(i * length / count)`` up to, without,
    ``ceil((i + 1) * length / count)`` (PyTorch's formula)."""

    length: int
    count: int

    @property
    def starts(self) -> Indices:
        return np.arange(self.count) * self.length // self.count

    @property
    def sizes(self) -> Indices:
        return -(-np.arange(1, self.count + 1) * self.length // self.count) - self.starts

    def taps(self) -> tuple[Indices, npt.NDArray[np.bool_]]:
        """Elements (region, tap), as many as the largest region has, and which of them are in the region."""
        offsets = np.arange(int(self.sizes.max()))
        return self.starts[:, None] + offsets, offsets < self.sizes[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class _AdaptivePool(Layer):
    """Inputs of any size cut into ``output`` regions per axis, which overlap where the size is not a multiple."""

    output: Axes

    def regions(self, shape: Shape) -> tuple[_Regions, ...]:
        """The regions along each axis of an input of ``shape``."""
        return tuple(_Regions(length, count) for length, count in zip(shape, self.output, strict=False))

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if len(shape) != len(self.output) + 1 or min(self.output) < 1:
            raise UnsupportedError(
                f"{self.kind} to {self.output} of an input of shape {shape}",
                accepted="a positive size for each spatial axis",
            )
        sizes = (int(along.sizes.max()) for along in self.regions(shape) if along.count <= MAX_ELEMENTS)
        if max(self.output) > MAX_ELEMENTS or math.prod(self.output) * max(sizes) * shape[-1] > MAX_ELEMENTS:
            raise UnsupportedError(f"{self.kind} to {self.output}", accepted=f"at most {MAX_ELEMENTS} elements")
        return (*self.output, shape[-1])

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x = inputs[0]
        for axis, along in enumerate(self.regions(x.shape[1:]), 1):
            place = (slice(None),) * axis
            bounds = zip(along.starts.tolist(), (along.starts + along.sizes).tolist(), strict=True)
            x = np.stack([self._joined(x[(*place, slice(*ends))], axis) for ends in bounds], axis)
        return x

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        shape = inputs[0].shape
        if all(length % count == 0 for length, count in zip(shape, self.output, strict=False)):
            sizes = tuple(length // count for length, count in zip(shape, self.output, strict=False))
            return self._regular(sizes).lower(lowering, inputs)
        return self._irregular(lowering, inputs[0], self.regions(shape))

    @abstractmethod
    def _joined(self, part: Floats, axis: int) -> Floats:
        """The float result of one region along ``axis``."""

    @abstractmethod
    def _regular(self, sizes: Axes) -> Layer:
        """The same for regions that do not overlap."""

    @abstractmethod
    def _irregular(self, lowering: Lowering, x: Value, regions: Sequence[_Regions]) -> Value:
        """The result for regions of several sizes."""


@dataclass(frozen=True, slots=True, eq=False)
class AdaptiveMaxPool(_AdaptivePool):
    """The greatest element of each region."""

    traits: ClassVar[Traits] = extreme(elementwise=False)

    def _joined(self, part: Floats, axis: int) -> Floats:
        return np.asarray(part.max(axis=axis))

    def _regular(self, sizes: Axes) -> Layer:
        whole = set(self.output) == {1}
        return Reduce(Reduction.MAX, tuple(range(len(sizes))), keepdims=True) if whole else MaxPool(sizes, sizes)

    def _irregular(self, lowering: Lowering, x: Value, regions: Sequence[_Regions]) -> Value:
        builder = lowering.builder
        for axis, along in reversed(list(enumerate(regions))):
            taps, inside = along.taps()
            x = builder.gather(x, np.where(inside, taps, taps[:, :1]), axis)
            x = builder.amax(x, [axis + 1])
        return lowering.cast("result", x)


@dataclass(frozen=True, slots=True, eq=False)
class AdaptiveAveragePool(_AdaptivePool):
    """The mean of each region, correctly rounded to the result's step for every possible input."""

    traits: ClassVar[Traits] = computed(Scales.ANY, Exactness.APPROXIMATE, elementwise=False, affine=False)
    precisions: ClassVar[tuple[str, ...]] = ("accum", "result")

    def _joined(self, part: Floats, axis: int) -> Floats:
        return np.asarray(part.mean(axis=axis))

    def _regular(self, sizes: Axes) -> Layer:
        return AveragePool(sizes, sizes)

    def _irregular(self, lowering: Lowering, x: Value, regions: Sequence[_Regions]) -> Value:
        builder = lowering.builder
        for axis, along in reversed(list(enumerate(regions))):
            taps, inside = along.taps()
            none, one_behind = [0] * len(x.shape), [int(k == axis) for k in range(len(x.shape))]
            x = builder.gather(builder.pad(x, none, one_behind), np.where(inside, taps, along.length), axis)
            x = builder.sum(x, [axis + 1])
        return _mean(lowering, x, _outer([along.sizes for along in regions]))


EXAMPLES = (
    Example(MaxPool((2, 2), (2, 1), ((0, 0), (1, 0))), ((4, 4, 2),)),
    Example(AveragePool((3,), (1,), ((1, 1),)), ((4, 2),)),
    Example(AdaptiveMaxPool((3,)), ((5, 2),)),
    Example(AdaptiveAveragePool((3,)), ((5, 2),)),
)
