"""Keras's convolutions, pooling, resizing, padding and cropping along one to three axes, as layers and as operations."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError, one_of
from bitsmith.frontends.builder.value import ONE, ZERO, Kind, Value, real
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.activations import activated, read_activation
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation, is_channels_first
from bitsmith.frontends.ops import selection, spatial
from bitsmith.frontends.ops.arithmetic import divide, maximum
from bitsmith.frontends.ops.contraction import affine_product
from bitsmith.frontends.ops.logic import where
from bitsmith.frontends.ops.reduction import REDUCERS
from bitsmith.frontends.ops.spatial import Same, Taps
from bitsmith.layers.conv import Axes
from bitsmith.layers.layer import Floats, Shape, as_weights
from bitsmith.layers.reduction import Reduction
from bitsmith.layers.resample import Crop, Interpolation, PadMode, Pairs, Resize

_INTERPOLATIONS = {"nearest": Interpolation.NEAREST, "bilinear": Interpolation.LINEAR, "bicubic": Interpolation.CUBIC}

Inside: TypeAlias = Callable[[LayerCall, Value], Value]
"""Function of a layer on its operand with channels last."""


def _along(inside: Inside, *ranks: int) -> Callable[[LayerCall], Value]:
    """``inside`` on operands of so many spatial axes, by default any, with their channels last wherever they are."""

    def read(call: LayerCall) -> Value:
        first = is_channels_first(call.config)
        return spatial.along(call.build, call.x, lambda x: inside(call, x), ranks or (1, 2, 3), first=first)

    return read


def _per_axis(call: LayerCall, x: Value, key: str, default: int | None = None, least: int = 1) -> Axes:
    """The entry ``key``, a number for each spatial axis."""
    return call.config.per_axis(key, len(x.shape) - 1, default, least)


def _taps(call: LayerCall, x: Value, key: str = "kernel_size", *, causal: bool = False, both: bool = False) -> Taps:
    """The windows; unless they are those of a depthwise kernel, Keras refuses ``both`` strides and dilation."""
    size, dilation = _per_axis(call, x, key, 2), _per_axis(call, x, "dilation_rate", 1)
    lapping = key == "kernel_size" or call.config.get("strides") is not None
    strides = _per_axis(call, x, "strides", 1) if lapping else size
    if max(strides) > 1 and max(dilation) > 1 and not both:
        raise UnsupportedError(f"strides {strides} together with the dilation {dilation}", accepted="one of the two")
    modes: dict[str, Pairs | Same] = {"valid": ((0, 0),) * len(size), "same": Same.AFTER}
    if causal:
        modes["causal"] = ((dilation[0] * (size[0] - 1), 0),)
    mode = call.config.text("padding", "valid").lower()
    if mode not in modes:
        raise UnsupportedError(f"the padding {shown(mode)}", accepted=" and ".join(modes))
    return Taps(size, strides, dilation, modes[mode])


def _trained(call: LayerCall, width: int, *kernels: tuple[str, Shape]) -> tuple[list[Value], Value | None]:
    """The kernels, and the bias of ``width`` channels if there is one."""
    biased = call.config.flag("use_bias", True)
    tensors = call.trained(*kernels, *[("bias", (width,))] * biased)
    return tensors[: len(kernels)], tensors[-1] if biased else None


def _activated(inside: Inside) -> Inside:
    """``inside`` and the layer's activation; Keras's last axis is a spatial one where channels come first."""
    return lambda call, x: activated(
        call.build,
        inside(call, x),
        read_activation(call.config, call.major),
        axis=-2 if is_channels_first(call.config) else -1,
    )


def _conv(call: LayerCall, x: Value) -> Value:
    filters, groups, channels = call.config.positive("filters"), call.config.positive("groups", 1), x.shape[-1]
    if filters % groups or channels % groups:
        raise call.config.wrong("groups", f"a divisor of {channels} input channels and of {filters} filters")
    taps = _taps(call, x, causal=len(x.shape) == 2)
    (kernel,), bias = _trained(call, filters, ("kernel", (*taps.size, channels // groups, filters)))
    return spatial.convolution(call.build, x, kernel, bias, taps, groups)


def _local(call: LayerCall, x: Value) -> Value:
    """A convolution of Keras 2 with a kernel for each position: its windows as rows, each times a matrix of its own."""
    taps, filters = _taps(call, x), call.config.positive("filters")
    if taps.padding is Same.AFTER or call.config.integer("implementation", 1) != 1:
        raise UnsupportedError("weights that are laid out for other implementations", accepted="implementation=1")
    *positions, channels = x.shape
    every = tuple(slice(None, None, stride) for stride in taps.strides)
    numbers = np.arange(math.prod(positions)).reshape(positions)
    windows = np.lib.stride_tricks.sliding_window_view(numbers, taps.size)[every]
    sizes, width = windows.shape[: len(positions)], math.prod(taps.size) * channels
    rows = math.prod(sizes)
    biases = [("bias", (*sizes, filters))] * call.config.flag("use_bias", True)
    kernel, *bias = call.trained(("kernel", (rows, width, filters)), *biases)
    offset = bias[0].moved(lambda elements: elements.reshape(rows, filters)) if bias else None
    flat = call.build.viewed(x, (1, numbers.size, channels), x.batch, "flat")
    elements = selection.take(call.build.within("windows"), flat, 1, windows.reshape(rows, -1))
    rowwise = call.build.viewed(elements, (1, rows, width), x.batch, "rows")
    y = affine_product(call.build, "nlk,lkf->nlf", rowwise, kernel, offset)
    return call.build.viewed(y, (1, *sizes, filters), x.batch)


def _depthwise_kernel(kernel: Floats) -> Floats:
    """Keras's (*size, in, multiplier) as one input channel for each group: the channels of a group follow one another."""
    return as_weights(kernel.reshape(*kernel.shape[:-2], 1, -1))


def _depthwise(call: LayerCall, x: Value) -> Value:
    channels, multiplier = x.shape[-1], call.config.positive("depth_multiplier", 1)
    taps = _taps(call, x, both=True)
    (kernel,), bias = _trained(call, channels * multiplier, ("kernel", (*taps.size, channels, multiplier)))
    return spatial.convolution(call.build, x, kernel.moved(_depthwise_kernel), bias, taps, channels)


def _separable(call: LayerCall, x: Value) -> Value:
    """A depthwise convolution, and one of single taps that has the user's name."""
    rank, channels = len(x.shape) - 1, x.shape[-1]
    multiplier, filters = call.config.positive("depth_multiplier", 1), call.config.positive("filters")
    taps, ones = _taps(call, x, both=True, causal=rank == 1 and call.major == 2), (1,) * rank
    depthwise = "depthwise kernel", (*taps.size, channels, multiplier)
    pointwise = "pointwise kernel", (*ones, channels * multiplier, filters)
    (kernel, mixing), bias = _trained(call, filters, depthwise, pointwise)
    y = spatial.convolution(call.build, x, kernel.moved(_depthwise_kernel), None, taps, channels, "depthwise")
    return spatial.convolution(call.build, y, mixing, bias, Taps(ones, ones, ones, ((0, 0),) * rank))


def _transposed(call: LayerCall, x: Value) -> Value:
    """Without padding, strides beyond the kernel's span leave zeros at the end, unless an output padding is given.

    With 'same' it is added to ``(n - 1) * stride + span % 2`` elements.
    """
    *positions, channels = x.shape
    filters, taps = call.config.positive("filters"), _taps(call, x)
    explicit, extra = call.config.get("output_padding") is not None, _per_axis(call, x, "output_padding", 0, least=0)
    output: Axes = ()
    axes = list(zip(positions, taps.strides, taps.spans, extra, strict=True))
    if explicit and any(more >= stride for _, stride, _, more in axes):
        raise call.config.wrong("output_padding", "less than the strides")
    if explicit and taps.padding is Same.AFTER:
        output, extra = tuple((n - 1) * stride + span % 2 + more for n, stride, span, more in axes), ()
    elif not explicit and taps.padding is not Same.AFTER:
        extra = tuple(max(stride - span, 0) for _, stride, span, _ in axes)
    (kernel,), bias = _trained(call, filters, ("kernel", (*taps.size, filters, channels)))
    return spatial.transposed(call.build, x, kernel.moved(_exchanged), bias, taps, extra=extra, output=output)


def _exchanged(kernel: Floats) -> Floats:
    return np.swapaxes(kernel, -1, -2)


def _mean_of_counted(call: LayerCall, mask: Value) -> Value:
    """The mean over the steps that a mask (batch, time) leaves; 0, where Keras has no number, of none."""
    build, x, keepdims = call.build, call.x, call.config.flag("keepdims")
    axis, others = (2, 1) if is_channels_first(call.config) else (1, 2)
    kept = build.viewed(mask, (*mask.dims[:others], 1, *mask.dims[others:]), mask.batch, "mask")
    summed = REDUCERS["sum"].of(build.within("sum"), where(build.within("counted"), kept, x, ZERO), [axis], keepdims)
    count = REDUCERS["sum"].of(build.within("count"), replace(kept, kind=Kind.REAL), [axis], keepdims)
    return divide(build, summed, maximum(build.within("least"), count, ONE))


def _global(reduction: Reduction, rank: int) -> Translation:
    averages_steps = reduction is Reduction.MEAN and rank == 1

    def read(call: LayerCall) -> Value:
        mask = call.mask(call.x)
        if mask is not None and averages_steps:
            return _mean_of_counted(call, mask)
        keepdims, first = call.config.flag("keepdims"), is_channels_first(call.config)
        x = call.build.channels_last(call.x) if first and not keepdims else call.x
        inside = partial(spatial.whole, call.build, reduction=reduction, keepdims=keepdims)
        return spatial.along(call.build, x, inside, (rank,), first=first and keepdims)

    return Translation(read, f"Reduce{', or Where, Reduce and Divide' * averages_steps}")


def _up_sampling(call: LayerCall, x: Value) -> Value:
    sizes = tuple(n * factor for n, factor in zip(x.shape, _per_axis(call, x, "size", 2), strict=False))
    return _sampled(call, x, sizes, _interpolation(call, "nearest"))


def _sampled(call: LayerCall, x: Value, sizes: Shape, way: Interpolation) -> Value:
    layer, antialias = Resize(sizes, way), call.config.flag("antialias", False)
    if way is Interpolation.NEAREST:
        return call.build.emit(layer, x)
    if not antialias and (way is Interpolation.LINEAR or call.on_torch):
        return call.build.emit(layer, real(x))
    if not antialias:
        call.notes.append(f"{call.config.where}: bicubic as in TensorFlow and JAX; Keras on PyTorch has other weights.")
    return spatial.filtered(call.build, x, layer, antialias=antialias)


def _interpolation(call: LayerCall, default: str) -> Interpolation:
    name = call.config.text("interpolation", default).lower()
    return one_of(_INTERPOLATIONS, name, f"the interpolation {shown(name)}")


def _resized(call: LayerCall, x: Value, sizes: Shape) -> Value:
    """A resized image, cropped first to the new proportions if the configuration says so."""
    if call.config.flag("pad_to_aspect_ratio", False):
        accepted = "images that are stretched or cropped"
        raise UnsupportedError("pad_to_aspect_ratio", accepted=accepted, remedy="put ZeroPadding2D before it")
    if call.config.flag("crop_to_aspect_ratio", False) and min(sizes) > 0:
        x = _proportioned(call, x, sizes)
    return _sampled(call, x, sizes, _interpolation(call, "bilinear"))


def _proportioned(call: LayerCall, x: Value, sizes: Shape) -> Value:
    """The largest middle part of an image with the proportions of ``sizes``."""
    (height, width, _), (new_height, new_width) = x.shape, sizes
    kept = min(height, width * new_height // new_width), min(width, height * new_width // new_height)
    return _center(call, x, (max(kept[0], 1), max(kept[1], 1)), "crop")


def _center_crop(call: LayerCall, x: Value, sizes: Shape) -> Value:
    """The middle of an image; one that is too small is resized in its proportions."""
    if min(sizes) < 1 or all(n >= size for n, size in zip(x.shape, sizes, strict=False)):
        return _center(call, x, sizes)
    return _sampled(call, _proportioned(call, x, sizes), sizes, Interpolation.LINEAR)


def _center(call: LayerCall, x: Value, sizes: Shape, suffix: str = "") -> Value:
    """The middle of an image, one element nearer to the start where it cannot be exact."""
    rest = [n - size for n, size in zip(x.shape, sizes, strict=False)]
    if suffix and not any(rest):
        return x
    layer = Crop(tuple((n // 2, n - n // 2) for n in rest))
    return call.build.emit(layer, x, suffix=suffix, source="Crop" if suffix else "")


def _image(inside: Callable[[LayerCall, Value, Shape], Value], becomes: str) -> Translation:
    """A preprocessing layer to a new height and width; it is always called with ``training``, which changes nothing."""

    def read(call: LayerCall, x: Value) -> Value:
        return inside(call, x, (call.config.integer("height"), call.config.integer("width")))

    return Translation(_along(read, 2), becomes, frozenset({"training"}))


def _pairs(call: LayerCall, key: str, rank: int, *, alike: bool = False) -> Pairs:
    """(before, after) of each axis: a number for all, a number or a pair for each, or, if they may be ``alike``, for all."""
    amounts = call.config.constant(key)
    if amounts.ndim == 1:
        amounts = amounts[None] if alike or rank == 1 else amounts[:, None]
    fits = amounts.shape[:1] in ((), (rank,), *[(1,)] * alike) and amounts.shape[1:] in ((), (1,), (2,))
    if not fits or bool(np.any(amounts < 0)) or bool(np.any(amounts % 1)):
        raise call.config.wrong(key, f"numbers that are not negative, or pairs of them, for {rank} axes")
    return tuple((int(before), int(after)) for before, after in np.broadcast_to(amounts, (rank, 2)))


def _pad(call: LayerCall) -> Value:
    """``keras.ops.pad``, whose widths begin with the batch axis."""
    mode, value = call.config.text("mode", "constant"), call.numbers("constant_values", default=0.0)
    if mode not in set(PadMode):
        raise UnsupportedError(f"the padding mode {shown(mode)}", accepted=", ".join(PadMode))
    if value.size != 1:
        raise UnsupportedError("padding with several values", accepted="one finite number")
    pairs = dict(enumerate(_pairs(call, "pad_width", call.x.rank, alike=True)))
    return spatial.pad(call.build, call.x, pairs, PadMode(mode), float(value.reshape(())))


def _average_pool(call: LayerCall, x: Value) -> Value:
    """Means of elements that are there; where padding is uneven, Keras on PyTorch repeats those at the edge."""
    taps = _taps(call, x, "pool_size")
    pairs = spatial.pairs_of(x.item[:-1], taps)
    longer = any(any(pair) and size > 2 for pair, size in zip(pairs, taps.size, strict=False))
    if longer and any(before != after for before, after in pairs):
        if call.on_torch:
            x = spatial.pad(call.build.within("edges"), x, dict(enumerate(pairs, 1)), PadMode.EDGE)
            taps = replace(taps, padding=((0, 0),) * len(pairs))
        else:
            where = call.config.where
            call.notes.append(
                f"{where}: means as in TensorFlow and JAX; Keras on PyTorch repeats elements at the edge."
            )
    return spatial.average_pool(call.build, real(x), taps)


_RESIZE = "Resize, or EinsumDense for bicubic and antialias (after Crop for crop_to_aspect_ratio)"
_POOLS: dict[str, tuple[Inside, str]] = {
    "Max": (lambda call, x: spatial.max_pool(call.build, x, _taps(call, x, "pool_size")), "MaxPool"),
    "Average": (_average_pool, "AveragePool, perhaps after Pad"),
    "AdaptiveMax": (
        lambda call, x: spatial.adaptive_max_pool(call.build, x, _per_axis(call, x, "output_size")),
        "Reduce or AdaptiveMaxPool",
    ),
    "AdaptiveAverage": (
        lambda call, x: spatial.adaptive_average_pool(call.build, real(x), _per_axis(call, x, "output_size")),
        "Reduce or AdaptiveAveragePool",
    ),
}
"""Classes that are a layer (MaxPooling2D) and an operation (MaxPool)."""

_LAYERS: dict[str, tuple[Inside, str]] = {
    **dict.fromkeys(("Conv{}D", "Convolution{}D"), (_activated(_conv), "Conv")),
    **dict.fromkeys(("Conv{}DTranspose", "Convolution{}DTranspose"), (_activated(_transposed), "ConvTranspose")),
    "DepthwiseConv{}D": (_activated(_depthwise), "Conv"),
    **dict.fromkeys(("SeparableConv{}D", "SeparableConvolution{}D"), (_activated(_separable), "Conv, twice")),
    **{f"{name}Pooling{{}}D": entry for name, entry in _POOLS.items()},
    "LocallyConnected{}D": (_activated(_local), "Gather and EinsumDense"),
    "UpSampling{}D": (_up_sampling, "Resize"),
    "ZeroPadding{}D": (
        lambda call, x: spatial.pad(call.build, x, dict(enumerate(_pairs(call, "padding", len(x.shape) - 1), 1))),
        "Pad",
    ),
    "Cropping{}D": (lambda call, x: call.build.emit(Crop(_pairs(call, "cropping", len(x.shape) - 1)), x), "Crop"),
}
"""Layers along one to three axes."""

SPATIAL: ByClass = {
    **{
        name.format(rank): Translation(_along(inside, rank), becomes)
        for name, (inside, becomes) in _LAYERS.items()
        for rank in ((1, 2) if name.startswith(("Depthwise", "Separable", "Locally")) else (1, 2, 3))
    },
    **{f"GlobalMaxPooling{rank}D": _global(Reduction.MAX, rank) for rank in (1, 2, 3)},
    **{f"GlobalAveragePooling{rank}D": _global(Reduction.MEAN, rank) for rank in (1, 2, 3)},
    "Resizing": _image(_resized, _RESIZE),
    "CenterCrop": _image(_center_crop, "Crop, or Resize where the image is smaller"),
}

SPATIAL_OPS: ByClass = {
    **{f"{name}Pool": Translation(_along(inside), becomes) for name, (inside, becomes) in _POOLS.items()},
    "Resize": Translation(_along(lambda call, x: _resized(call, x, _per_axis(call, x, "size")), 2), _RESIZE),
    "Pad": Translation(_pad, "Pad", frozenset({"constant_values"})),
}
