"""ONNX's padding and resizing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import MixedSamplesError, Value
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.layers.layer import Shape
from bitsmith.layers.resample import Coordinates, Crop, Interpolation, NearestMode, Pad, PadMode, Resize
from bitsmith.layers.shape import Identity, Reshape

_MODES = {"constant": PadMode.CONSTANT, "edge": PadMode.EDGE, "reflect": PadMode.REFLECT, "wrap": PadMode.WRAP}
_MOST = 1 << 24


def _pad(call: Call) -> Value:
    """Negative numbers take elements away, before others are added."""
    x = call.tensor(0)
    mode = call.attributes.text("mode", "constant")
    if mode not in _MODES:
        raise call.attributes.wrong("mode", ", ".join(_MODES))
    if call.opset < 11:
        pads, axes = call.attributes.integers("pads"), None
        value = call.attributes.number("value", 0.0)
    else:
        pads, axes = call.integers(1, "the padding") or (), call.integers(3, "the axes")
        given = call.known(2, "the value")
        value = 0.0 if given is None or given.array().size == 0 else float(given.array().astype(np.float64).reshape(()))
    counted = tuple(range(x.rank)) if axes is None else tuple(x.counted(axis) for axis in axes)
    if len(pads) != 2 * len(counted) or len(set(counted)) != len(counted) or any(abs(n) > _MOST for n in pads):
        raise ModelFileError(f"padding {pads[:16]} of {x.rank} axes", where=call.attributes.where)
    added, cropped = [(0, 0)] * len(x.shape), [(0, 0)] * len(x.shape)
    for k, axis in enumerate(counted):
        before, behind = pads[k], pads[k + len(counted)]
        if (before, behind) != (0, 0):
            place = x.axis(axis)
            added[place] = (max(before, 0), max(behind, 0))
            cropped[place] = (max(-before, 0), max(-behind, 0))
    grows = any(map(any, added))
    if any(map(any, cropped)):
        x = call.alike(Crop(tuple(cropped)), x, "crop" if grows else "", kind=x.kind)
        if not grows:
            return x
    if not grows:
        return call.alike(Identity(), x, kind=x.kind)
    lengths = [size for size, pair in zip(x.shape, added, strict=True) if any(pair)]
    longest = [max(pair) for pair in added if any(pair)]
    if mode == "reflect" and any(n >= size for n, size in zip(longest, lengths, strict=True)):
        raise UnsupportedError("a reflection of more elements than there are", accepted="less than the axis has")
    return call.alike(Pad(tuple(added), _MODES[mode], value), x, kind=x.kind)


_COORDINATES = {
    "half_pixel": Coordinates.HALF_PIXEL,
    "pytorch_half_pixel": Coordinates.PYTORCH_HALF_PIXEL,
    "align_corners": Coordinates.ALIGN_CORNERS,
    "asymmetric": Coordinates.ASYMMETRIC,
}
_NEAREST = {mode.value: mode for mode in NearestMode}


def _resize(call: Call) -> Value:
    attributes = call.attributes
    mode = attributes.text("mode", "nearest")
    if call.opset < 11:
        coordinates, nearest, sizes = Coordinates.ASYMMETRIC, NearestMode.FLOOR, None
        scales = _scales(call, 1)
    else:
        named = attributes.text("coordinate_transformation_mode", "half_pixel")
        rounding = attributes.text("nearest_mode", "round_prefer_floor")
        attributes.ignore("cubic_coeff_a", "extrapolation_value")
        if (named, rounding) == ("tf_half_pixel_for_nn", "floor"):  # which is floor((i + 1/2) / scale)
            named, rounding = "half_pixel", "round_prefer_ceil"
        if named not in _COORDINATES or rounding not in _NEAREST:
            raise UnsupportedError(
                f"coordinates {named[:40]}, rounded by {rounding[:40]}",
                accepted=f"{', '.join(_COORDINATES)}; {', '.join(_NEAREST)}",
            )
        coordinates, nearest = _COORDINATES[named], _NEAREST[rounding]
        scales, sizes = _scales(call, 2), call.known(3, "the sizes")
    if mode not in ("nearest", "linear", "bilinear"):
        raise UnsupportedError(f"the interpolation {mode[:40]}", accepted="nearest, linear")
    policy = attributes.text("keep_aspect_ratio_policy", "stretch")
    if attributes.flag("antialias", False) or attributes.flag("exclude_outside", False) or policy != "stretch":
        raise UnsupportedError("antialiasing, excluded edges, or a kept aspect ratio", accepted="plain resizing")
    x = call.tensor(0)
    axes = attributes.given_integers("axes")
    counted = tuple(range(x.rank)) if axes is None else tuple(x.counted(axis) for axis in axes)
    new: list[tuple[int, ...]] = []
    for k, samples in enumerate(call.samples.sizes):
        old = [x.sizes(samples)[axis] for axis in counted]
        if sizes is not None and sizes.at[0].size:
            array = sizes.at[k if len(sizes.at) > 1 else 0]
            new.append(tuple(int(size) for size in array.ravel()))
        else:
            new.append(_scaled(old, scales))
        if len(new[-1]) != len(counted) or not all(1 <= size <= _MOST for size in new[-1]):
            raise ModelFileError(f"sizes {new[-1][:8]} for {len(counted)} axes", where=attributes.where)
    target = list(x.shape)
    for place, axis in enumerate(counted):
        if axis != x.batch_axis:
            target[x.axis(axis)] = new[0][place]
        elif any(one[place] != x.sizes(samples)[axis] for one, samples in zip(new, call.samples.sizes, strict=True)):
            raise MixedSamplesError("resizes the batch axis")
    interpolation = Interpolation.NEAREST if mode == "nearest" else Interpolation.LINEAR
    if (
        call.opset < 11
        and interpolation is Interpolation.NEAREST
        and any(a < b for a, b in zip(target, x.shape, strict=True))
    ):
        raise UnsupportedError(
            "shrinking by the nearest element before operator set 11, which runtimes do differently",
            accepted="growing",
            remedy="export the model with operator set 11 or later",
        )
    return _resized(call, x, tuple(target), Resize(tuple(target), interpolation, coordinates, nearest))


def _resized(call: Call, x: Value, target: Shape, layer: Resize) -> Value:
    """``layer``, which has the axes to resize first, on ``x``."""
    if x.batch_axis == 0 and not x.blocks and len(target) > 1 and target[0] == x.shape[0]:
        return call.build.spatial(x, replace(layer, sizes=target[1:]))
    y = call.alike(Reshape((*x.shape, 1)), x, "axes")
    return call.alike(Reshape(target), call.alike(layer, y), "shape", kind=x.kind)


def _scales(call: Call, number: int) -> tuple[float, ...] | None:
    known = call.known(number, "the scales")
    return None if known is None else tuple(float(value) for value in known.array().astype(np.float64).ravel())


def _scaled(old: list[int], scales: tuple[float, ...] | None) -> tuple[int, ...]:
    """Sizes by scales, which must give whole numbers: coordinates are computed from the ratio of sizes."""
    if scales is None or len(scales) != len(old) or not all(0.0 < scale < _MOST for scale in scales):
        raise UnsupportedError("neither sizes nor positive scales for all axes")
    found = [scale * size for scale, size in zip(scales, old, strict=True)]
    if any(abs(size - round(size)) > 1e-4 for size in found):
        raise UnsupportedError(
            f"scales {scales} of sizes {old}, which give no whole numbers",
            accepted="whole sizes",
            remedy="give the sizes instead of the scales",
        )
    return tuple(round(size) for size in found)


def _upsample(call: Call) -> Value:
    mode = call.attributes.text("mode", "nearest")
    if mode not in ("nearest", "linear", "bilinear"):
        raise call.attributes.wrong("mode", "nearest, linear")
    x = call.tensor(0)
    scales = call.attributes.numbers("scales") if call.opset < 9 else _scales(call, 1)
    if scales is not None and x.batch_axis is not None and len(scales) == x.rank and scales[x.batch_axis] != 1.0:
        raise MixedSamplesError("resizes the batch axis")
    if scales is not None and len(scales) == x.rank:
        scales = tuple(scale for axis, scale in enumerate(scales) if axis != x.batch_axis or x.blocks)
    target = _scaled(list(x.shape), scales)
    interpolation = Interpolation.NEAREST if mode == "nearest" else Interpolation.LINEAR
    layer = Resize(target, interpolation, Coordinates.ASYMMETRIC, NearestMode.FLOOR)
    return _resized(call, x, target, layer)


RESAMPLING: dict[str, Translation] = {
    "Pad": Translation(_pad, "Pad, Crop"),
    "Resize": Translation(_resize, "Resize"),
    "Upsample": Translation(_upsample, "Resize"),
}
"""Operators by name."""
