"""Layers that change the number of positions without trained weights: padding, cropping and resizing."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from typing import ClassVar, TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.ir.types import MAX_ELEMENTS
from bitsmith.layers.axis_order import Order
from bitsmith.layers.division import divided
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape, StepLayer, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.traits import Elements, Exactness, Scales, Traits, computed, moved

_LARGEST_DIVISOR = 1 << 48
"""Sums of weights that are divided by it fit into 64 bits."""

Pairs: TypeAlias = tuple[tuple[int, int], ...]
"""A number before and one after, for each axis from the first on; axes left out have (0, 0)."""


class PadMode(StrEnum):
    """Content of padding; the words are numpy's and ONNX's, PyTorch's are in brackets."""

    CONSTANT = "constant"
    EDGE = "edge"
    """The outermost element [replicate]."""
    REFLECT = "reflect"
    """The elements mirrored at the outermost one, which is not repeated."""
    SYMMETRIC = "symmetric"
    """The elements mirrored at the edge: the outermost one is repeated."""
    WRAP = "wrap"
    """The elements from the other end [circular]."""


@dataclass(frozen=True, slots=True, eq=False)
class Pad(Layer):
    """Elements added before and after each axis; ``value`` is that of PadMode.CONSTANT.

    The value has the result's precision: exactly that of the user's format, or as a number of the layer's definition. -inf may
    only be in front of max pooling, which :mod:`bitsmith.passes.network.fold_padding` sees to.
    """

    padding: Pairs
    mode: PadMode = PadMode.CONSTANT
    value: float = 0.0

    @property
    def traits(self) -> Traits:
        if self.mode != PadMode.CONSTANT:
            return moved(Elements.SELECTION)
        scales = Scales.ANY if self.value == 0.0 else Scales.NONE
        return replace(moved(Elements.PADDED), scales=scales)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if (
            len(self.padding) > len(shape)
            or any(min(pair) < 0 for pair in self.padding)
            or not -math.inf <= self.value < math.inf
        ):
            raise UnsupportedError(
                f"padding of {self.padding} with {self.value} on an input of shape {shape}",
                accepted="numbers of elements for its axes, and a finite value, or -inf",
            )
        result = tuple(n + sum(pair) for n, pair in zip(shape, self._pairs(len(shape)), strict=True))
        if math.prod(result) > MAX_ELEMENTS:
            raise UnsupportedError(f"padding to {result}", accepted=f"at most {MAX_ELEMENTS} elements")
        return result

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        rank = len(shapes[0])
        if rank == 1:
            return None
        return replace(self, padding=tuple(self._pairs(rank)[axis] for axis in orders[0])), orders[0]

    def step_by_step(self, axis: int, shapes: Sequence[Shape]) -> StepLayer | None:
        pairs = list(self._pairs(len(shapes[0])))
        (before, after), pairs[axis] = pairs[axis], (0, 0)
        if after or (before and (self.mode != PadMode.CONSTANT or self.value != 0.0)):
            return None
        return StepLayer(replace(self, padding=tuple(pairs)), axis, before)

    def _pairs(self, rank: int) -> Pairs:
        return (*self.padding, *((0, 0),) * (rank - len(self.padding)))

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        pairs = [(0, 0), *self._pairs(inputs[0].ndim - 1)]
        if self.mode == PadMode.CONSTANT:
            return np.pad(inputs[0], pairs, constant_values=self.value)
        for axis, pair in enumerate(pairs):
            if any(pair):
                inputs = [np.take(inputs[0], self._sources(inputs[0].shape[axis], pair), axis)]
        return inputs[0]

    def _sources(self, length: int, pair: tuple[int, int]) -> npt.NDArray[np.int64]:
        """Return the element of the axis at each place of the padded axis."""
        places = np.arange(-pair[0], length + pair[1])
        match PadMode(self.mode):
            case PadMode.EDGE | PadMode.CONSTANT:
                return places.clip(0, length - 1)
            case PadMode.WRAP:
                return places % length
            case PadMode.SYMMETRIC:
                places %= 2 * length
                return np.minimum(places, 2 * length - 1 - places)
            case PadMode.REFLECT:
                period = max(2 * length - 2, 1)
                places %= period
                return np.minimum(places, period - places) if length > 1 else places
            case _ as mode:
                assert_never(mode)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        pairs = self._pairs(len(x.shape))
        if self.mode == PadMode.CONSTANT and self.value == 0.0:
            return lowering.cast("result", builder.pad(x, *zip(*pairs, strict=True)))
        if self.mode == PadMode.CONSTANT:
            value = builder.reshape(lowering.number("result", self.value), (1,) * len(x.shape))
            x = lowering.cast("result", x)
            for axis, pair in enumerate(pairs):
                around = [
                    builder.broadcast(value, (*x.shape[:axis], n, *x.shape[axis + 1 :])) if n else None for n in pair
                ]
                x = builder.concat([part for part in (around[0], x, around[1]) if part is not None], axis)
            return builder.unify(x)
        for axis, pair in enumerate(pairs):
            if any(pair):
                x = builder.gather(x, self._sources(x.shape[axis], pair), axis)
        return lowering.cast("result", x)


@dataclass(frozen=True, slots=True, eq=False)
class Crop(Layer):
    """Elements left out before and after each axis."""

    cropping: Pairs

    traits: ClassVar[Traits] = moved(Elements.SELECTION)

    def _pairs(self, rank: int) -> Pairs:
        return (*self.cropping, *((0, 0),) * (rank - len(self.cropping)))

    def reordered(self, orders: Sequence[Order], shapes: Sequence[Shape]) -> tuple[Layer, Order] | None:
        rank = len(shapes[0])
        return None if rank == 1 else (Crop(tuple(self._pairs(rank)[axis] for axis in orders[0])), orders[0])

    def _box(self, shape: Shape) -> tuple[list[int], list[int]]:
        pairs = self._pairs(len(shape))
        return [before for before, _ in pairs], [n - after for n, (_, after) in zip(shape, pairs, strict=True)]

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if len(self.cropping) > len(shape) or any(min(pair) < 0 for pair in self.cropping):
            raise UnsupportedError(
                f"cropping of {self.cropping} on an input of shape {shape}", accepted="numbers of elements for its axes"
            )
        start, stop = self._box(shape)
        result = tuple(b - a for a, b in zip(start, stop, strict=True))
        if min(result) < 1:
            raise UnsupportedError(
                f"cropping of {self.cropping} on an input of shape {shape}", accepted="what leaves some"
            )
        return result

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        start, stop = self._box(inputs[0].shape[1:])
        return inputs[0][(slice(None), *map(slice, start, stop))]

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.cast("result", lowering.builder.slice(inputs[0], *self._box(inputs[0].shape)))


class Interpolation(StrEnum):
    """Interpolation of a resized axis."""

    NEAREST = "nearest"
    LINEAR = "linear"
    CUBIC = "cubic"
    """Keys's cubic convolution of four elements with the coefficient -3/4 (PyTorch, ONNX); beyond the ends is the last one."""


class Coordinates(StrEnum):
    """Position of element i of a resized axis on the original one (ONNX's words); ``scale`` is new / old length by default."""

    HALF_PIXEL = "half_pixel"
    """``(i + 1/2) / scale - 1/2`` (Keras, TensorFlow 2, PyTorch with align_corners=False)."""
    PYTORCH_HALF_PIXEL = "pytorch_half_pixel"
    """HALF_PIXEL, but 0 if there is only one element."""
    ALIGN_CORNERS = "align_corners"
    """``i * (old length - 1) / (new length - 1)``, 0 if there is only one element."""
    ASYMMETRIC = "asymmetric"
    """``i / scale`` (PyTorch's "nearest")."""


class NearestMode(StrEnum):
    """Element that is the nearest to a coordinate (ONNX's words)."""

    FLOOR = "floor"
    CEIL = "ceil"
    ROUND_PREFER_FLOOR = "round_prefer_floor"
    ROUND_PREFER_CEIL = "round_prefer_ceil"


_NEAREST: Mapping[NearestMode, Callable[[Fraction], int]] = {
    NearestMode.FLOOR: math.floor,
    NearestMode.CEIL: math.ceil,
    NearestMode.ROUND_PREFER_FLOOR: lambda place: math.ceil(place - Fraction(1, 2)),
    NearestMode.ROUND_PREFER_CEIL: lambda place: math.floor(place + Fraction(1, 2)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Resize(Layer):
    """The first ``len(sizes)`` axes with new lengths. No antialiasing: a smaller result skips elements.

    A linear result is an exact sum of products, one axis after the other, that is divided and rounded once. ``scales``, one
    for each of the axes, say where elements lie if that is not by the lengths.
    """

    sizes: tuple[int, ...]
    interpolation: Interpolation = Interpolation.NEAREST
    coordinates: Coordinates = Coordinates.HALF_PIXEL
    nearest: NearestMode = NearestMode.ROUND_PREFER_CEIL
    scales: tuple[Fraction, ...] = ()

    @property
    def traits(self) -> Traits:
        if self.interpolation == Interpolation.NEAREST:
            return moved(Elements.SELECTION)
        return computed(Scales.ANY, Exactness.QUOTIENT, elementwise=False, affine=False)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if len(self.sizes) >= len(shape) or min(self.sizes, default=1) < 1:
            raise UnsupportedError(
                f"an input of shape {shape} resized to {self.sizes}", accepted="a positive size for each spatial axis"
            )
        result = (*self.sizes, *shape[len(self.sizes) :])
        weights = max(old * new for old, new in zip(shape, result, strict=True))
        largest = max(math.prod(result), 0 if self.interpolation == Interpolation.NEAREST else weights)
        if largest > MAX_ELEMENTS:
            raise UnsupportedError(
                f"an input of shape {shape} resized to {self.sizes}",
                accepted=f"at most {MAX_ELEMENTS} elements, and as many weights per axis",
            )
        return result

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x = inputs[0]
        for axis, new in enumerate(self.sizes, 1):
            places = self.places(axis - 1, x.shape[axis])
            if self.interpolation == Interpolation.NEAREST:
                x = np.take(x, self._nearest(places, x.shape[axis]), axis)
            elif x.shape[axis] != new or self.scales:
                weights, divisor = self._weights(places, x.shape[axis])
                x = np.moveaxis(np.moveaxis(x, axis, -1) @ (weights / divisor), -1, axis)
        return x

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x, divisor = lowering.builder, inputs[0], 1
        for axis, new in enumerate(self.sizes):
            old = x.shape[axis]
            if old == new and not self.scales:
                continue
            places = self.places(axis, old)
            if self.interpolation == Interpolation.NEAREST:
                x = builder.gather(x, self._nearest(places, old), axis)
                continue
            weights, divisor_here = self._weights(places, old)
            swapped = list(range(len(x.shape)))
            swapped[axis], swapped[-1] = swapped[-1], swapped[axis]
            x = builder.transpose(builder.linear(builder.transpose(x, swapped), weights), swapped)
            divisor *= divisor_here
        x = builder.unify(x)
        return lowering.cast("result", x) if divisor == 1 else lowering.result(divided(lowering, x, divisor))

    def _nearest(self, places: Sequence[Fraction], old: int) -> npt.NDArray[np.int64]:
        """The element of the old axis that each of the new one is."""
        return np.clip(list(map(_NEAREST[NearestMode(self.nearest)], places)), 0, old - 1).astype(np.int64)

    def places(self, axis: int, old: int) -> list[Fraction]:
        """Return the coordinates of the new axis's elements on the old one."""
        half, new = Fraction(1, 2), self.sizes[axis]
        step = 1 / self.scales[axis] if self.scales else Fraction(old, new)
        match Coordinates(self.coordinates):
            case Coordinates.PYTORCH_HALF_PIXEL | Coordinates.ALIGN_CORNERS if new == 1:
                return [Fraction(0)]
            case Coordinates.HALF_PIXEL | Coordinates.PYTORCH_HALF_PIXEL:
                return [(i + half) * step - half for i in range(new)]
            case Coordinates.ALIGN_CORNERS:
                return [i * Fraction(old - 1, new - 1) for i in range(new)]
            case Coordinates.ASYMMETRIC:
                return [i * step for i in range(new)]
            case _ as coordinates:
                assert_never(coordinates)

    def _weights(self, places: Sequence[Fraction], old: int) -> tuple[npt.NDArray[np.int64], int]:
        """Integers (old, new) and their divisor: each new element is the sum of the old ones by its column."""
        taps = _cubic if self.interpolation == Interpolation.CUBIC else _linear
        if taps is _linear:
            places = [min(max(place, Fraction(0)), Fraction(old - 1)) for place in places]
        shares = [taps(place - math.floor(place)) for place in places]
        divisor = math.lcm(*(share.denominator for column in shares for share in column.values()))
        if divisor > _LARGEST_DIVISOR:
            raise UnsupportedError(
                f"{old} elements resized with a common divisor of {divisor}", accepted="whole factors"
            )
        weights = np.zeros((old, len(places)), dtype=np.int64)
        for index, (place, column) in enumerate(zip(places, shares, strict=True)):
            for tap, share in column.items():
                weights[min(max(math.floor(place) + tap, 0), old - 1), index] += int(share * divisor)
        return weights, divisor


def _linear(rest: Fraction) -> dict[int, Fraction]:
    """The shares of the elements before and after a place between them."""
    return {0: 1 - rest, 1: rest}


def _cubic(rest: Fraction) -> dict[int, Fraction]:
    """The shares of two elements before and two after a place between them."""
    a = Fraction(-3, 4)
    near = {tap: (a + 2) * size**3 - (a + 3) * size**2 + 1 for tap, size in ((0, rest), (1, 1 - rest))}
    far = {tap: a * (size**3 - 5 * size**2 + 8 * size - 4) for tap, size in ((-1, 1 + rest), (2, 2 - rest))}
    return {**near, **far}


EXAMPLES = (
    Example(Resize((4, 6)), ((2, 3, 1),)),
    Example(Pad(((1, 2), (0, 0))), ((3, 2),)),
    Example(Crop(((1, 1), (0, 0))), ((4, 2),)),
)
