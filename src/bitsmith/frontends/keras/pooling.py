"""Keras's pooling, up-sampling, resizing, padding and cropping along one to three axes, as layers and as operations."""

from __future__ import annotations

from collections.abc import Callable

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import Json, constant, is_integer, shown
from bitsmith.frontends.keras.call import LayerCall, Step, Translation, Translator, checked_size
from bitsmith.frontends.keras.spatial import Build, is_channels_first, per_axis, same_padding, spatial, spatial_shape
from bitsmith.layers.layer import Shape
from bitsmith.layers.pooling import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool,
)
from bitsmith.layers.resample import Crop, Interpolation, Pad, PadMode, Pairs, Resize

_TRAINING = frozenset({"training"})
"""An argument that preprocessing layers are always called with, and that changes nothing in these."""

_INTERPOLATIONS = {"nearest": Interpolation.NEAREST, "bilinear": Interpolation.LINEAR}


def _pool(rank: int, kind: type[MaxPool | AveragePool]) -> Build:
    """With 'same' padding, means are of what is no padding."""

    def build(call: LayerCall, shape: Shape) -> tuple[Step, ...]:
        size = per_axis(call, "pool_size", rank, 2)
        strides = size if call.config.get("strides") is None else per_axis(call, "strides", rank)
        padding = call.config.text("padding", "valid").lower()
        if padding not in ("valid", "same"):
            raise UnsupportedError(f"the padding {shown(padding)}", accepted="valid and same")
        zeros = same_padding(shape, size, strides, (1,) * rank) if padding == "same" else ((0, 0),) * rank
        return (Step(kind(size, strides, zeros)),)

    return build


def _global(rank: int, kind: type[GlobalMaxPool | GlobalAveragePool]) -> Translator:
    def translate(call: LayerCall) -> Value:
        spatial_shape(call, rank)
        layer, x = kind(call.config.flag("keepdims", False)), call.values[0]
        if not is_channels_first(call):
            return call.build.emit(layer, x)
        if layer.keepdims:
            return call.build.spatial(x, layer)
        return call.build.emit(layer, call.build.channels_last(x))

    return translate


def _adaptive(rank: int, kind: type[AdaptiveMaxPool | AdaptiveAveragePool]) -> Build:
    def build(call: LayerCall, shape: Shape) -> tuple[Step, ...]:
        output = per_axis(call, "output_size", rank)
        checked_size((*output, shape[-1]), call.where)
        return (Step(kind(output)),)

    return build


def _up_sampling(rank: int) -> Build:
    def build(call: LayerCall, shape: Shape) -> tuple[Step, ...]:
        factors = per_axis(call, "size", rank, 2)
        sizes = tuple(n * factor for n, factor in zip(shape, factors, strict=False))
        checked_size((*sizes, shape[-1]), call.where)
        return (Step(Resize(sizes, _interpolation(call, "nearest"))),)

    return build


def _interpolation(call: LayerCall, default: str) -> Interpolation:
    name = call.config.text("interpolation", default).lower()
    if name not in _INTERPOLATIONS:
        raise UnsupportedError(f"the interpolation {shown(name)}", accepted=", ".join(_INTERPOLATIONS))
    return _INTERPOLATIONS[name]


def _resized(call: LayerCall, shape: Shape, sizes: tuple[int, ...]) -> tuple[Step, ...]:
    """A resized image, cropped first to the new proportions if the configuration says so."""
    if min(sizes) < 1:
        raise UnsupportedError(f"an image resized to {sizes}", accepted="positive sizes")
    if call.config.flag("pad_to_aspect_ratio", False):
        raise UnsupportedError(
            "pad_to_aspect_ratio", accepted="images that are stretched or cropped", remedy="put ZeroPadding2D before it"
        )
    checked_size((*sizes, shape[-1]), call.where)
    cropped = shape[:2]
    if call.config.flag("crop_to_aspect_ratio", False):
        (height, width), (new_height, new_width) = shape[:2], sizes
        cropped = (
            max(min(height, width * new_height // new_width), 1),
            max(min(width, height * new_width // new_height), 1),
        )
    interpolation = _interpolation(call, "bilinear")
    shrinks = any(new < old for old, new in zip(cropped, sizes, strict=True))
    if call.config.flag("antialias", False) and interpolation is Interpolation.LINEAR and shrinks:
        raise UnsupportedError(
            "antialias on an image that becomes smaller", accepted="antialias=False", remedy="use AveragePooling2D"
        )
    steps = (Step(Resize(sizes, interpolation)),)
    return steps if cropped == shape[:2] else (Step(_center(shape, cropped), "crop", "Crop"), *steps)


def _center(shape: Shape, sizes: tuple[int, ...]) -> Crop:
    """The middle of an image, one element nearer to the start where it cannot be exact."""
    rest = [n - size for n, size in zip(shape, sizes, strict=False)]
    return Crop(tuple((n // 2, n - n // 2) for n in rest))


def _resizing(call: LayerCall, shape: Shape) -> tuple[Step, ...]:
    return _resized(call, shape, (call.config.integer("height"), call.config.integer("width")))


def _center_crop(call: LayerCall, shape: Shape) -> tuple[Step, ...]:
    sizes = call.config.integer("height"), call.config.integer("width")
    if not all(1 <= size <= n for n, size in zip(shape, sizes, strict=False)):
        raise UnsupportedError(
            f"the centre {sizes} of an image of shape {shape}", accepted="no more than the image has"
        )
    return (Step(_center(shape, sizes)),)


def _pairs(call: LayerCall, key: str, rank: int) -> Pairs:
    """(before, after) of each axis, from one number for all, a number or a pair for each, or a pair for the only one."""
    value = call.config.get(key)
    if is_integer(value):
        value = [value] * rank
    elif rank == 1 and isinstance(value, list) and len(value) == 2:
        value = [value]
    found = _as_pairs(value)
    if found is None or len(found) != rank:
        raise call.config.wrong(key, f"numbers that are not negative, or pairs of them, for {rank} axes")
    return found


def _as_pairs(value: Json) -> Pairs | None:
    """A list of numbers and lists of one or two numbers as pairs; None if it is something else."""
    if not isinstance(value, list):
        return None
    pairs: list[tuple[int, int]] = []
    for item in value:
        before, after = (item[0], item[-1]) if isinstance(item, list) and len(item) in (1, 2) else (item, item)
        if not is_integer(before) or not is_integer(after) or min(before, after) < 0:
            return None
        pairs.append((before, after))
    return tuple(pairs)


def _zero_padding(rank: int) -> Build:
    return lambda call, _: (Step(Pad(_pairs(call, "padding", rank))),)


def _cropping(rank: int) -> Build:
    return lambda call, _: (Step(Crop(_pairs(call, "cropping", rank))),)


def _of_any_rank(build: Callable[[int], Build]) -> Translator:
    """An operation, whose rank is that of its operand."""

    def translate(call: LayerCall) -> Value:
        rank = len(call.shape) - 1
        if not 1 <= rank <= 3:
            raise UnsupportedError(f"an input of shape {call.shape}", accepted="one to three spatial axes and channels")
        return spatial(rank, build(rank))(call)

    return translate


def _resize(call: LayerCall, shape: Shape) -> tuple[Step, ...]:
    return _resized(call, shape, per_axis(call, "size", 2))


def _pad(call: LayerCall) -> tuple[Step, ...]:
    """``keras.ops.pad``, whose widths begin with the batch axis."""
    rank, given = len(call.shape), call.config.get("pad_width")
    one_for_all = is_integer(given) or (isinstance(given, list) and len(given) == 2 and all(map(is_integer, given)))
    widths = _as_pairs([given] if one_for_all else given)
    widths = widths * (rank + 1) if widths is not None and len(widths) == 1 else widths
    if widths is None or len(widths) != rank + 1:
        raise call.config.wrong("pad_width", f"a pair of numbers for each of {rank + 1} axes")
    if any(widths[0]):
        raise UnsupportedError("padding of the batch axis", accepted="(0, 0) for the first axis")
    mode = call.config.text("mode", "constant")
    if mode not in set(PadMode):
        raise UnsupportedError(f"the padding mode {shown(mode)}", accepted=", ".join(PadMode))
    value = call.keywords.get("constant_values", 0.0)
    number = None if isinstance(value, tuple) else constant(value)
    if number is None or number.size != 1:
        raise UnsupportedError("padding with tensors or several values", accepted="one finite number")
    padded = tuple(n + sum(pair) for n, pair in zip(call.shape, widths[1:], strict=True))
    checked_size(padded, call.where)
    return (Step(Pad(widths[1:], PadMode(mode), float(number.reshape(())))),)


def _ranks(name: str, build: Callable[[int], Translator], becomes: str) -> dict[str, Translation]:
    return {f"{name}{rank}D": Translation(build(rank), becomes) for rank in (1, 2, 3)}


POOLING: dict[str, Translation] = {
    **_ranks("MaxPooling", lambda rank: spatial(rank, _pool(rank, MaxPool)), "MaxPool"),
    **_ranks("AveragePooling", lambda rank: spatial(rank, _pool(rank, AveragePool)), "AveragePool"),
    **_ranks("GlobalMaxPooling", lambda rank: _global(rank, GlobalMaxPool), "GlobalMaxPool"),
    **_ranks("GlobalAveragePooling", lambda rank: _global(rank, GlobalAveragePool), "GlobalAveragePool"),
    **_ranks("AdaptiveMaxPooling", lambda rank: spatial(rank, _adaptive(rank, AdaptiveMaxPool)), "AdaptiveMaxPool"),
    **_ranks(
        "AdaptiveAveragePooling",
        lambda rank: spatial(rank, _adaptive(rank, AdaptiveAveragePool)),
        "AdaptiveAveragePool",
    ),
    **_ranks("UpSampling", lambda rank: spatial(rank, _up_sampling(rank)), "Resize"),
    **_ranks("ZeroPadding", lambda rank: spatial(rank, _zero_padding(rank)), "Pad"),
    **_ranks("Cropping", lambda rank: spatial(rank, _cropping(rank)), "Crop"),
    "Resizing": Translation(spatial(2, _resizing), "Resize (after Crop for crop_to_aspect_ratio)", _TRAINING),
    "CenterCrop": Translation(spatial(2, _center_crop), "Crop", _TRAINING),
}
"""Layers by class name."""

POOLING_OPS: dict[str, Translation] = {
    "MaxPool": Translation(_of_any_rank(lambda rank: _pool(rank, MaxPool)), "MaxPool"),
    "AveragePool": Translation(_of_any_rank(lambda rank: _pool(rank, AveragePool)), "AveragePool"),
    "AdaptiveMaxPool": Translation(_of_any_rank(lambda rank: _adaptive(rank, AdaptiveMaxPool)), "AdaptiveMaxPool"),
    "AdaptiveAveragePool": Translation(
        _of_any_rank(lambda rank: _adaptive(rank, AdaptiveAveragePool)), "AdaptiveAveragePool"
    ),
    "Resize": Translation(spatial(2, _resize), "Resize (after Crop for crop_to_aspect_ratio)"),
    "Pad": Translation(_pad, "Pad", frozenset({"constant_values"})),
}
"""Operations by class name."""
