"""PyTorch's pooling, padding and resizing, whose channels come first."""

from __future__ import annotations

import math

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.ops.selection import part
from bitsmith.frontends.torch.call import Call, Result, Translation, Translator, Unknown
from bitsmith.frontends.torch.convolution import spatial, spatial_operand
from bitsmith.layers.pooling import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool,
)
from bitsmith.layers.resample import Coordinates, Interpolation, NearestMode, Pad, PadMode, Resize

_NO_INDICES = Unknown("the indices of maxima are not computed")
_MODES = {"constant": PadMode.CONSTANT, "reflect": PadMode.REFLECT, "replicate": PadMode.EDGE, "circular": PadMode.WRAP}


def _axes(call: Call, rank: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Size, strides and padding."""
    size = call.per_axis("kernel_size", rank, 1)
    strides = call.per_axis("stride", rank, 1) if call.integers("stride") else size
    return size, strides, tuple((n, n) for n in call.per_axis("padding", rank, 0))


def _max_pool(rank: int, *, indices: bool) -> Translator:
    def read(call: Call) -> Result:
        size, strides, padding = _axes(call, rank)
        dilation = call.per_axis("dilation", rank, 1)
        layer = MaxPool(size, strides, padding, dilation, call.flag("ceil_mode"))
        found = spatial(call, call.tensor(), rank, layer)
        return (found, _NO_INDICES) if indices else found

    return read


def _average_pool(rank: int) -> Translator:
    def read(call: Call) -> Result:
        if call.given("divisor_override"):
            raise UnsupportedError("a divisor_override", accepted="means", remedy="multiply by a constant")
        size, strides, padding = _axes(call, rank)
        layer = AveragePool(size, strides, padding, (), call.flag("ceil_mode"), call.flag("count_include_pad", True))
        return spatial(call, call.tensor(), rank, layer)

    return read


def _adaptive(rank: int, *, greatest: bool) -> Translator:
    def read(call: Call) -> Result:
        output = call.per_axis("output_size", rank, 1)
        x = spatial_operand(call.tensor(), rank)
        if set(output) == {1}:
            found = spatial(call, x, rank, GlobalMaxPool(True) if greatest else GlobalAveragePool(True))
        else:
            found = spatial(call, x, rank, AdaptiveMaxPool(output) if greatest else AdaptiveAveragePool(output))
        return (found, _NO_INDICES) if greatest else found

    return read


def _pad(call: Call) -> Result:
    x = call.tensor()
    given, word = call.integers("pad"), call.text("mode", "constant")
    if word not in _MODES or len(given) % 2 or len(given) // 2 > x.rank:
        raise UnsupportedError(f"padding {given} in the mode {shown(word)}", accepted=", ".join(_MODES))
    pairs = [(0, 0)] * len(x.shape)
    for place in range(len(given) // 2):
        pair = given[2 * place], given[2 * place + 1]
        if pair != (0, 0):
            pairs[x.axis(-1 - place)] = pair
    for axis, dim in ((axis, dim) for dim, axis in enumerate(x.sample_axes()) if axis is not None):
        before, after = pairs[axis]
        if min(before, after) < 0:
            x = part(call.build, x, {dim: range(max(-before, 0), x.shape[axis] - max(-after, 0))}, f"cropped{axis}")
    padding = tuple((max(before, 0), max(after, 0)) for before, after in pairs)
    if all(pair == (0, 0) for pair in padding):
        return x
    return call.build.emit(Pad(padding, _MODES[word], call.number("value", 0.0)), x)


def _sizes(call: Call, x: Value, rank: int) -> tuple[int, ...]:
    """The new lengths.

    torch places elements by a scale factor that is given, not by the lengths that follow from it.
    """
    if call.given("output_size"):
        return call.per_axis("output_size", rank, 1)
    given = call.get("scale_factors")
    factors = [float(value) for value in (given if isinstance(given, tuple) else ()) if isinstance(value, int | float)]
    if len(factors) != rank or not all(0.0 < factor < 1e6 for factor in factors):
        raise UnsupportedError(f"the scale factors {shown(given)}", accepted=f"{rank} positive numbers")
    exact = [n * factor for n, factor in zip(x.item[1:], factors, strict=True)]
    if not all(length.is_integer() for length in exact):
        raise UnsupportedError(
            f"axes {x.item[1:]} resized by {factors}, which gives no whole lengths",
            accepted="factors that give whole lengths",
            remedy="give size= instead",
        )
    return tuple(math.floor(length) for length in exact)


def _nearest(rank: int, *, exact: bool) -> Translator:
    def read(call: Call) -> Result:
        x = spatial_operand(call.tensor("input" if call.given("input") else "self"), rank)
        places = Coordinates.HALF_PIXEL if exact else Coordinates.ASYMMETRIC
        nearest = NearestMode.ROUND_PREFER_CEIL if exact else NearestMode.FLOOR
        return spatial(call, x, rank, Resize(_sizes(call, x, rank), Interpolation.NEAREST, places, nearest))

    return read


def _linear(rank: int) -> Translator:
    def read(call: Call) -> Result:
        x = spatial_operand(call.tensor("input" if call.given("input") else "self"), rank)
        places = Coordinates.ALIGN_CORNERS if call.flag("align_corners") else Coordinates.HALF_PIXEL
        return spatial(call, x, rank, Resize(_sizes(call, x, rank), Interpolation.LINEAR, places))

    return read


POOLING: dict[str, Translation] = {
    **{f"max_pool{k}d": Translation(_max_pool(k, indices=False), "MaxPool between Permute") for k in (1, 2, 3)},
    **{
        f"max_pool{k}d_with_indices": Translation(_max_pool(k, indices=True), "MaxPool between Permute")
        for k in (1, 2, 3)
    },
    **{f"avg_pool{k}d": Translation(_average_pool(k), "AveragePool between Permute") for k in (1, 2, 3)},
    **{
        f"adaptive_avg_pool{k}d": Translation(_adaptive(k, greatest=False), "GlobalAveragePool or AdaptiveAveragePool")
        for k in (1, 2, 3)
    },
    **{
        f"adaptive_max_pool{k}d": Translation(_adaptive(k, greatest=True), "GlobalMaxPool or AdaptiveMaxPool")
        for k in (1, 2, 3)
    },
    "pad": Translation(_pad, "Pad"),
    "constant_pad_nd": Translation(_pad, "Pad"),
    **{f"upsample_nearest{k}d": Translation(_nearest(k, exact=False), "Resize between Permute") for k in (1, 2, 3)},
    **{
        f"_upsample_nearest_exact{k}d": Translation(_nearest(k, exact=True), "Resize between Permute")
        for k in (1, 2, 3)
    },
    **{
        f"upsample_{name}{k}d": Translation(_linear(k), "Resize between Permute")
        for k, name in ((1, "linear"), (2, "bilinear"), (3, "trilinear"))
    },
}
"""Operators by name."""
