"""Convolutions, pooling, resizing and padding.

All but :func:`pad` work on operands (batch, positions..., channels); :func:`along` brings others there and back. A kernel is
(*size, in // groups, out).
"""

import math
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import MAX_ELEMENTS, Value, checked_elements, constant, real
from bitsmith.frontends.ops.selection import take, with_index
from bitsmith.layers import pooling
from bitsmith.layers.conv import Axes, Conv, ConvTranspose
from bitsmith.layers.einsum import EinsumDense
from bitsmith.layers.elementwise import Absolute
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.power import Power
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.resample import Crop, Interpolation, Pad, PadMode, Pairs, Resize

_DENOMINATOR = 1 << 14
"""Scale factors are ratios of integers up to about this: finer ones make products of many bits."""


class Same(Enum):
    """Padding for ``ceil(n / stride)`` windows: the side of an odd element."""

    AFTER = "after"
    BEFORE = "before"

    def halves(self, total: int) -> tuple[int, int]:
        """The parts of ``total`` elements before and after."""
        less, more = total // 2, total - total // 2
        return (less, more) if self is Same.AFTER else (more, less)


@dataclass(frozen=True, slots=True)
class Taps:
    """Windows of ``size`` taps, ``dilation`` apart, every ``strides`` elements, a number for each axis.

    ``padding`` has the elements (before, after) each axis; in means it ``padding_counts`` or not. With ``ceil_mode`` there is
    one more window where elements would be left over.
    """

    size: Axes
    strides: Axes
    dilation: Axes
    padding: Pairs | Same
    ceil_mode: bool = False
    padding_counts: bool = False

    @property
    def spans(self) -> Axes:
        """Elements from the first tap of a window to its last."""
        return tuple(rate * (taps - 1) + 1 for taps, rate in zip(self.size, self.dilation, strict=True))


def along(
    build: Builder, x: Value, inside: Callable[[Value], Value], ranks: Sequence[int] = (1, 2, 3), *, first: bool = True
) -> Value:
    """``inside`` on ``x`` with its channels last; they come ``first`` in ``x``, or not."""
    if len(x.item) - 1 not in ranks:
        raise UnsupportedError(
            f"an operand of {x.rank} axes", accepted=f"batch, channels and {' or '.join(map(str, ranks))} spatial axes"
        )
    return build.spatial(x, inside) if first else inside(x)


def kernel_of(weights: Floats, groups: int, *, transposed: bool) -> Floats:
    """Weights (out, in // groups, *size), or (in, out // groups, *size) of a transposed convolution, as a kernel."""
    if not 3 <= weights.ndim <= 5 or min(weights.shape) < 1 or groups < 1 or len(weights) % groups:
        raise UnsupportedError(
            f"a kernel of shape {weights.shape} in {groups} groups", accepted="one to three spatial axes, equal groups"
        )
    if not transposed:
        return as_weights(np.moveaxis(weights, (1, 0), (-2, -1)))
    parts = np.split(weights, groups)
    return as_weights(np.concatenate([np.moveaxis(part, (0, 1), (-2, -1)) for part in parts], -1))


def convolution(
    build: Builder, x: Value, kernel: Value, bias: Value | None, taps: Taps, groups: int = 1, suffix: str = ""
) -> Value:
    """A convolution with trained tensors, whose channels are in ``groups``."""
    layer = Conv(*_elements(kernel, bias), taps.strides, taps.dilation, _padded(x, taps), groups)
    return build.each(layer, x, suffix, weight=kernel, bias=bias)


def transposed(
    build: Builder,
    x: Value,
    kernel: Value,
    bias: Value | None,
    taps: Taps,
    groups: int = 1,
    extra: Axes = (),
    output: Axes = (),
) -> Value:
    """A transposed convolution with trained tensors.

    Of all elements that products go to, and ``extra`` ones after them, the padding is dropped. With :class:`Same` that
    leaves ``output`` elements, by default ``n * stride``.
    """
    tensors = _elements(kernel, bias)
    _padded(x, taps)
    sizes, extra = x.item[:-1], extra or (0,) * len(taps.size)
    axes = zip(sizes, taps.strides, taps.spans, extra, strict=True)
    full = [(n - 1) * stride + span + more for n, stride, span, more in axes]
    padding = taps.padding
    if isinstance(padding, Same):
        output = output or tuple(n * stride for n, stride in zip(sizes, taps.strides, strict=True))
        padding = tuple(padding.halves(max(n - kept, 0)) for n, kept in zip(full, output, strict=True))
    else:
        output = tuple(n - sum(pair) for n, pair in zip(full, padding, strict=True))
    crop = tuple(before for before, _ in padding)
    layer = ConvTranspose(*tensors, taps.strides, taps.dilation, crop, output, groups)
    return build.each(layer, x, weight=kernel, bias=bias)


def _elements(kernel: Value, bias: Value | None) -> tuple[Floats, Floats | None]:
    if bias is not None and bias.shape != kernel.shape[-1:]:
        raise UnsupportedError(f"a bias of shape {bias.shape}", accepted=f"one for each of {kernel.shape[-1]} channels")
    return kernel.elements, None if bias is None else bias.elements


def _padded(x: Value, taps: Taps) -> Pairs:
    """The padding of each axis."""
    if len(x.item) - 1 != len(taps.size):
        raise UnsupportedError(f"{len(taps.size)} spatial axes of an operand of {x.rank} axes")
    return pairs_of(x.item[:-1], taps)


def pairs_of(sizes: Sequence[int], taps: Taps) -> Pairs:
    """The padding of axes of these lengths."""
    padding = taps.padding
    if not isinstance(padding, Same):
        return padding
    axes = zip(sizes, taps.strides, taps.spans, strict=True)
    return tuple(padding.halves(max((-(-n // stride) - 1) * stride + span - n, 0)) for n, stride, span in axes)


def counted(sizes: Sequence[int], taps: Taps) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return the number of elements of each window that are not padding."""
    axes = zip(taps.size, taps.strides, taps.dilation, pairs_of(sizes, taps), strict=True)
    counts = np.ones((), dtype=np.int64)
    for length, (size, stride, dilation, pair) in zip(sizes, axes, strict=True):
        windows = pooling.Windows(length, size, stride, dilation, pair, taps.ceil_mode)
        counts = np.multiply.outer(counts, windows.taps(0, 0))
    return counts


def max_pool(build: Builder, x: Value, taps: Taps) -> Value:
    """The greatest element of each window."""
    return build.each(pooling.MaxPool(taps.size, taps.strides, _padded(x, taps), taps.dilation, taps.ceil_mode), x)


def average_pool(build: Builder, x: Value, taps: Taps, *, total: bool = False) -> Value:
    """The mean of each window, or its ``total``."""
    windows = taps.size, taps.strides, _padded(x, taps), taps.dilation, taps.ceil_mode
    return build.each(pooling.AveragePool(*windows, taps.padding_counts, total), x)


def norm_pool(build: Builder, x: Value, taps: Taps, order: int) -> Value:
    """The 1-norm or the 2-norm of each window; padding counts as 0."""
    if order not in (1, 2) or taps.ceil_mode:
        raise UnsupportedError(f"pooling by the {order}-norm", accepted="1 and 2, without ceil_mode")
    layer = Absolute() if order == 1 else Power(2.0)
    each = build.each(layer, x, "magnitude" if order == 1 else "square")
    channels = x.item[-1]
    ones = np.ones((*taps.size, 1, channels))
    total = convolution(build, each, constant(ones), None, taps, channels, "" if order == 1 else "sum")
    return total if order == 1 else build.each(Power(0.5), total)


def whole(build: Builder, x: Value, reduction: Reduction, *, keepdims: bool = True) -> Value:
    """All positions of each channel as one."""
    return build.each(Reduce(reduction, tuple(range(len(x.item) - 1)), keepdims), x)


def adaptive_max_pool(build: Builder, x: Value, output: Axes) -> Value:
    """The greatest element of each of ``output`` regions per axis."""
    return whole(build, x, Reduction.MAX) if set(output) == {1} else build.each(pooling.AdaptiveMaxPool(output), x)


def adaptive_average_pool(build: Builder, x: Value, output: Axes) -> Value:
    """The mean of each of ``output`` regions per axis."""
    return whole(build, x, Reduction.MEAN) if set(output) == {1} else build.each(pooling.AdaptiveAveragePool(output), x)


def patches(build: Builder, x: Value, taps: Taps) -> Value:
    """Return the elements of each window of ``x`` (batch, channels, rows, columns): (batch, channels * taps, windows)."""
    pairs = taps.padding
    if x.rank != 4 or len(taps.size) != 2 or isinstance(pairs, Same):
        raise UnsupportedError(
            f"windows of an operand of {x.rank} axes", accepted="batch, channels and two spatial axes"
        )
    x = pad(build.within("padded"), x.plain(), {2: pairs[0], 3: pairs[1]})
    channels, *sizes = x.item
    places = _places(sizes, taps)
    rows = build.viewed(x, (1, channels, math.prod(sizes)), x.batch, "rows")
    y = take(build.within("taps"), rows, 2, places.reshape(-1, math.prod(taps.size)).T)
    return build.viewed(y, (1, channels * math.prod(taps.size), y.dims[-1]), x.batch)


def from_patches(build: Builder, x: Value, image: Axes, taps: Taps) -> Value:
    """Return (batch, channels, *image) from windows (batch, channels * taps, windows), which are added where they overlap."""
    pairs, count = taps.padding, math.prod(taps.size)
    if x.rank != 3 or len(taps.size) != len(image) or isinstance(pairs, Same) or x.item[0] % count:
        raise UnsupportedError(
            f"windows {x.item} for an image of {len(image)} axes", accepted="batch, channels times taps, and windows"
        )
    sizes = tuple(n + before + after for n, (before, after) in zip(image, pairs, strict=True))
    channels, elements = x.item[0] // count, math.prod(checked_elements(sizes))
    fitting = math.prod(
        (n - span) // stride + 1 for n, span, stride in zip(sizes, taps.spans, taps.strides, strict=True)
    )
    if fitting != x.item[1]:
        raise UnsupportedError(f"{x.item[1]} windows", accepted=f"the {fitting} of an image of {image}")
    places = _places(sizes, taps).reshape(-1, count)
    columns = build.viewed(x.plain(), (1, channels, places.size), x.batch, "columns")
    empty = replace(constant(np.zeros((channels, elements))), batch=columns.batch)
    y = with_index(build.within("sums"), empty, 2, [places.T.ravel()], columns, added=True)
    y = build.viewed(y, (1, channels, *sizes), x.batch)
    return pad(build.within("cropped"), y, {2 + k: (-before, -after) for k, (before, after) in enumerate(pairs)})


def windows(build: Builder, x: Value, taps: Taps) -> Value:
    """Return the elements of each window of ``x`` (batch, positions..., channels): (batch, windows..., taps * channels)."""
    pairs = {1 + axis: pair for axis, pair in enumerate(_padded(x, taps))}
    x = pad(build.within("padded"), x, pairs)
    *sizes, channels = x.item
    places = _places(sizes, taps)
    rows = build.viewed(x, (1, math.prod(sizes), channels), x.batch, "rows")
    y = take(build.within("taps"), rows, 1, places.reshape(-1, math.prod(taps.size)))
    return build.viewed(y, (1, *places.shape[: len(sizes)], math.prod(taps.size) * channels), x.batch)


def _places(sizes: Sequence[int], taps: Taps) -> npt.NDArray[np.int64]:
    """The positions, counted over all axes of these sizes, that windows have: an axis of windows for each, then one of taps."""
    places = np.arange(math.prod(sizes)).reshape(sizes)
    for axis, (span, size) in enumerate(zip(taps.spans, sizes, strict=True)):
        if span > size:
            raise UnsupportedError(f"windows of {span} elements in {size}", accepted="windows that fit")
        starts = np.arange(0, size - span + 1, taps.strides[axis])
        inside = np.arange(taps.size[axis]) * taps.dilation[axis]
        places = np.take(places, starts[:, None] + inside, 2 * axis)
    rank = len(sizes)
    return places.transpose(*range(0, 2 * rank, 2), *range(1, 2 * rank, 2))


def scaled(sizes: Sequence[int], factors: Sequence[float] | Floats) -> tuple[Axes, tuple[Fraction, ...]]:
    """Lengths times factors, rounded down; and the factors, which say where elements lie, if that dropped something."""
    if len(factors) != len(sizes):
        raise UnsupportedError(f"{len(factors)} scale factors", accepted=f"one for each of {len(sizes)} axes")
    exact = tuple(_ratio(float(factor)) for factor in factors)
    lengths = tuple(math.floor(n * factor) for n, factor in zip(sizes, factors, strict=True))
    whole = all(n * factor == length for n, factor, length in zip(sizes, exact, lengths, strict=True))
    return lengths, () if whole else exact


def _ratio(factor: float) -> Fraction:
    ratio = Fraction(factor).limit_denominator(_DENOMINATOR) if 0.0 < factor <= MAX_ELEMENTS else Fraction(0)
    if not math.isclose(ratio, factor, rel_tol=2.0**-23):
        raise UnsupportedError(
            f"the scale factor {factor}",
            accepted=f"ratios of integers up to {_DENOMINATOR}",
            remedy="give the sizes instead",
        )
    return ratio


def filtered(build: Builder, x: Value, layer: Resize, *, antialias: bool) -> Value:
    """An image resized by shares of the elements inside, which are 1 together: a product with a matrix for each axis.

    Cubic shares are those of R. Keys, "Cubic convolution interpolation for digital image processing", 1981 (TensorFlow, JAX).
    With ``antialias``, an element of fewer takes part in all that it stands for.
    """
    layer.output_shape([x.item])
    x = real(x)
    pairs = zip(x.item, layer.sizes, strict=False)
    steps = [1 / scale for scale in layer.scales] or [Fraction(*pair) for pair in pairs]
    changed = [axis for axis, new in enumerate(layer.sizes) if steps[axis] != 1 or new != x.item[axis]]
    for axis in changed:
        old, new = x.item[axis], layer.sizes[axis]
        checked_elements((old, new))
        places = np.array([float(place) for place in layer.places(axis, old)])
        width = max(float(steps[axis]), 1.0) if antialias else 1.0
        shares = _shares(layer.interpolation, np.abs(places - np.arange(old)[:, None]) / width)
        term = string.ascii_lowercase[: len(x.item)]
        equation = f"{term},{term[axis]}Z->{term.replace(term[axis], 'Z')}"
        product = EinsumDense(equation, as_weights(shares / shares.sum(axis=0)))
        x = build.each(product, x, suffix="" if axis == changed[-1] else f"axis{axis}")
    return x


def _shares(interpolation: Interpolation, far: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The shares of elements that are so far away."""
    if interpolation is not Interpolation.CUBIC:
        return np.maximum(1.0 - far, 0.0)
    near, beyond = (1.5 * far - 2.5) * far**2 + 1.0, ((2.5 - 0.5 * far) * far - 4.0) * far + 2.0
    return np.where(far < 1.0, near, np.where(far < 2.0, beyond, 0.0))


def pad(
    build: Builder, x: Value, pairs: Mapping[int, tuple[int, int]], mode: PadMode = PadMode.CONSTANT, value: float = 0.0
) -> Value:
    """Elements added (before, after) the model's axes; negative numbers take some away, before others are added."""
    padding = [(0, 0)] * len(x.shape)
    for dim, pair in pairs.items():
        if any(pair):
            padding[x.axis(dim)] = pair
    cropped, added = (tuple((max(sign * a, 0), max(sign * b, 0)) for a, b in padding) for sign in (-1, 1))
    grows = any(map(any, added))
    if any(map(any, cropped)):
        x = build.emit(Crop(cropped), x, suffix="crop" if grows else "", kind=x.kind)
    return build.emit(Pad(added, mode, value), x, kind=x.kind) if grows else x
