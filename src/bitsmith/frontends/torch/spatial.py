"""PyTorch's convolutions, pooling, padding and resizing, whose channels come first."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import ZERO, Kind, Value, constant
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.ops import spatial
from bitsmith.frontends.ops.spatial import Same, Taps
from bitsmith.frontends.torch.call import Call, Operators, Result, Translation, Unknown
from bitsmith.layers.conv import Axes
from bitsmith.layers.resample import Coordinates, Interpolation, NearestMode, PadMode, Pairs, Resize
from bitsmith.layers.shape import Gather

_MODES = {"constant": PadMode.CONSTANT, "reflect": PadMode.REFLECT, "replicate": PadMode.EDGE, "circular": PadMode.WRAP}

Inside: TypeAlias = Callable[[Call, Value], Value]
"""Function of an operator on its operand with channels last."""


def _pooled(pool: Callable[..., Value], read: Callable[[Call, Value], object]) -> Inside:
    """``pool`` of what ``read`` gives."""
    return lambda call, x: pool(call.build, x, read(call, x))


def _along(inside: Inside, *ranks: int, indices: bool = False) -> Callable[[Call], Result]:
    """``inside``, on operands of so many spatial axes; and ``indices``, which nothing may read."""

    def read(call: Call) -> Result:
        x = call.tensor("input" if call.given("input") else "self")
        y = spatial.along(call.build, x, lambda x: inside(call, x), ranks)
        return (y, Unknown("the indices of maxima are not computed")) if indices else y

    return read


def _taps(call: Call, size: Axes, strides: Axes) -> Taps:
    """Windows; ``strides`` if none are given."""
    rank, padding = len(size), call.get("padding")
    if padding in ("same", "valid"):
        pairs: Pairs | Same = Same.AFTER if padding == "same" else ((0, 0),) * rank
    else:
        pairs = tuple((n, n) for n in call.per_axis("padding", rank, 0, least=0))
    strides = call.per_axis("stride", rank, 1) if call.integers("stride") else strides
    ceil_mode, counts = call.flag("ceil_mode"), call.flag("count_include_pad", True)
    return Taps(size, strides, call.per_axis("dilation", rank, 1), pairs, ceil_mode, counts)


def _windows(call: Call, x: Value) -> Taps:
    size = call.per_axis("kernel_size", len(x.item) - 1, 1)
    return _taps(call, size, size)


def _patches(call: Call) -> Result:
    taps = _taps(call, call.per_axis("kernel_size", 2, 1), (1, 1))
    return spatial.patches(call.build, call.tensor(), taps)


def _average(call: Call, x: Value) -> Value:
    if call.kind_of_result() not in (None, Kind.REAL):
        raise UnsupportedError(
            "means of integers, which drop fractions", accepted="floating point", remedy="cast to floating point first"
        )
    divisor = call.integer("divisor_override", 0)
    if divisor in (0, 1):
        return spatial.average_pool(call.build, x, _windows(call, x), total=divisor == 1)
    total = spatial.average_pool(call.build.within("sum"), x, _windows(call, x), total=True)
    return call.build.affine(total, constant(1 / divisor), ZERO)


def _output_size(call: Call, x: Value) -> Axes:
    return call.per_axis("output_size", len(x.item) - 1, 1)


def _convolution(call: Call, x: Value, *, transposed: bool = False) -> Value:
    groups, bias = call.positive("groups", 1), call.trained_value("bias") if call.given("bias") else None
    weight = call.trained_value("weight").moved(lambda one: spatial.kernel_of(one, groups, transposed=transposed))
    weight, bias = call.build.draft.shared(weight), None if bias is None else call.build.draft.shared(bias)
    taps = _taps(call, weight.shape[:-2], (1,) * (weight.rank - 2))
    if not transposed:
        call.ignore("output_padding")
        return spatial.convolution(call.build, x, weight, bias, taps, groups)
    extra = call.per_axis("output_padding", len(taps.size), 0, least=0)
    return spatial.transposed(call.build, x, weight, bias, taps, groups, extra)


def _pad(call: Call, mode: str = "constant") -> Result:
    """A pair for each axis, from the last one on."""
    x, numbers, word = call.tensor(), call.integers(call.named("pad", "padding")), call.text("mode", mode)
    if word not in _MODES or len(numbers) % 2 or len(numbers) // 2 > x.rank:
        raise UnsupportedError(f"padding {numbers} in the mode {shown(word)}", accepted=", ".join(_MODES))
    pairs = {-1 - place: pair for place, pair in enumerate(zip(numbers[::2], numbers[1::2], strict=True))}
    if word == "reflect" and min(numbers, default=0) < 0:  # elements are taken away of what is reflected
        grown = {dim: (max(before, 0), max(after, 0)) for dim, (before, after) in pairs.items()}
        x = spatial.pad(call.build.within("reflected"), x, grown, PadMode.REFLECT)
        pairs = {dim: (min(before, 0), min(after, 0)) for dim, (before, after) in pairs.items()}
    # PyTorch reads of these what it has not written yet, which it sees of one channel alone.
    if word == "circular" and any(max(pair) > x.dims[dim] + min(*pair, 0) for dim, pair in pairs.items()):
        raise UnsupportedError(f"circular padding {numbers} by more elements than are left", accepted="fewer")
    return spatial.pad(call.build, x, pairs, _MODES[word], call.scalar("value", 0.0))


def _resizing(layer: Resize, call: Call, x: Value, *multiples: int) -> Resize:
    """``layer`` to new lengths: elements lie by scale factors, if given; by the lengths where these become such multiples."""
    *old, _ = x.item
    if call.given("output_size"):
        return replace(layer, sizes=_output_size(call, x))
    given = call.get("scale_factors")
    factors = [value for value in given if isinstance(value, int | float)] if isinstance(given, tuple) else []
    sizes, scales = spatial.scaled(old, factors)
    axes = zip(old, sizes, scales, strict=False)
    scales = tuple(Fraction(new, n) if new in [n * k for k in multiples] else scale for n, new, scale in axes)
    return replace(layer, sizes=sizes, scales=scales)


def _resized(layer: Resize, call: Call, x: Value, *multiples: int) -> Value:
    return call.build.each(_resizing(layer, call, x, *multiples), x)


def _nearest_exact(call: Call, x: Value) -> Value:
    """The nearest element by centers, as PyTorch finds it: with a step in single precision, which some places notice."""
    layer = _resizing(Resize(()), call, x)
    layer.output_shape([x.item])
    steps = layer.scales or (None,) * len(layer.sizes)
    axes = [*zip(x.item, layer.sizes, steps, strict=False)]
    exact = [exact_places(*axis) for axis in axes]
    plain = (replace(layer, sizes=(new,), scales=() if scale is None else (scale,)) for _, new, scale in axes)
    lines = (np.arange(old, dtype=np.float64)[None, :, None] for old in x.item)
    each = zip(plain, lines, exact, strict=False)
    if all(np.array_equal(one.reference([line]).ravel(), places) for one, line, places in each):
        return call.build.each(layer, x)
    for axis, places in enumerate(exact):
        suffix = "" if axis == len(exact) - 1 else f"axis{axis}"
        x = call.build.within(suffix).each(Gather(tuple(places.tolist()), axis), x)
    return x


def exact_places(old: int, new: int, scale: Fraction | None) -> npt.NDArray[np.int64]:
    """The elements that PyTorch takes along an axis; the ``scale`` is that of the lengths if none is given."""
    step = np.float32(old) / np.float32(new) if scale is None else np.float32(float(1 / scale))
    places = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * step
    return np.minimum(places.astype(np.int64), old - 1)


def _nearest(call: Call, x: Value) -> Value:
    """Resize to the nearest; PyTorch repeats elements of images once or twice where that gives the length."""
    layer = Resize((), Interpolation.NEAREST, Coordinates.ASYMMETRIC, NearestMode.FLOOR)
    return _resized(layer, call, x, *((1, 2) if len(x.item) == 3 else ()))


def _smooth(way: Interpolation) -> Inside:
    def read(call: Call, x: Value) -> Value:
        places = Coordinates.ALIGN_CORNERS if call.flag("align_corners") else Coordinates.HALF_PIXEL
        # A cubic axis lies by its scale factor even where that gives its own length.
        return _resized(Resize((), way, places), call, x, *[1] * (way is Interpolation.LINEAR))

    return read


def _antialiased(way: Interpolation) -> Inside:
    def read(call: Call, x: Value) -> Value:
        if call.flag("align_corners"):
            raise UnsupportedError("antialiasing with align_corners", accepted="align_corners=False")
        return spatial.filtered(call.build, x, _resizing(Resize((), way), call, x, 1), antialias=True)

    return read


_MAX_POOL = _pooled(spatial.max_pool, _windows)
_ADAPTIVE_MEAN = _pooled(spatial.adaptive_average_pool, _output_size)
_INSIDE: dict[str, tuple[Inside, str]] = {
    "conv{}d": (_convolution, "Conv"),
    "conv_transpose{}d": (lambda call, x: _convolution(call, x, transposed=True), "ConvTranspose"),
    "max_pool{}d": (_MAX_POOL, "MaxPool"),
    "max_pool{}d_with_indices": (_MAX_POOL, "MaxPool"),
    "avg_pool{}d": (_average, "AveragePool"),
    "adaptive_max_pool{}d": (_pooled(spatial.adaptive_max_pool, _output_size), "Reduce or AdaptiveMaxPool"),
    "adaptive_avg_pool{}d": (_ADAPTIVE_MEAN, "Reduce or AdaptiveAveragePool"),
    "_adaptive_avg_pool{}d": (_ADAPTIVE_MEAN, "Reduce or AdaptiveAveragePool"),
    "upsample_nearest{}d": (_nearest, "Resize"),
    "_upsample_nearest_exact{}d": (_nearest_exact, "Resize or Gather"),
}
_INDICES = ("max_pool{}d_with_indices", "adaptive_max_pool{}d")

SPATIAL: Operators = {
    **{
        name.format(rank): Translation(_along(inside, rank, indices=name in _INDICES), f"{becomes} between Permute")
        for name, (inside, becomes) in _INSIDE.items()
        for rank in (1, 2, 3)
    },
    **{
        f"upsample_{name}{rank}d": Translation(_along(_smooth(Interpolation.LINEAR), rank), "Resize between Permute")
        for rank, name in enumerate(("linear", "bilinear", "trilinear"), 1)
    },
    "upsample_bicubic2d": Translation(_along(_smooth(Interpolation.CUBIC), 2), "Resize between Permute"),
    **{
        f"_upsample_bi{way}2d_aa": Translation(_along(_antialiased(way), 2), "EinsumDense between Permute")
        for way in (Interpolation.LINEAR, Interpolation.CUBIC)
    },
    "convolution": Translation(
        _along(lambda call, x: _convolution(call, x, transposed=call.flag("transposed")), 1, 2, 3),
        "Conv or ConvTranspose between Permute",
    ),
    "im2col": Translation(_patches, "Pad and Gather"),
    **dict.fromkeys(("pad", "constant_pad_nd"), Translation(_pad, "Pad, Crop")),
    **{f"reflection_pad{rank}d": Translation(lambda call: _pad(call, "reflect"), "Pad, Crop") for rank in (1, 2, 3)},
    **{f"replication_pad{rank}d": Translation(lambda call: _pad(call, "replicate"), "Pad, Crop") for rank in (1, 2, 3)},
}
