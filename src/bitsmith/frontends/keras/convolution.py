"""Keras's convolutions: ordinary, depthwise, separable and transposed, along one to three axes."""

from __future__ import annotations

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.activations import activated, read_activation
from bitsmith.frontends.keras.call import LayerCall, Step, Translation, Translator, checked_size
from bitsmith.frontends.keras.spatial import Build, is_channels_first, per_axis, same_padding, spatial
from bitsmith.layers.conv import Axes, Conv, ConvTranspose
from bitsmith.layers.layer import Floats, Shape, as_weights


def _convolution(rank: int, build: Build) -> Translator:
    """The steps of ``build`` and the activation."""

    def activate(call: LayerCall, y: Value) -> Value:
        # Keras's last axis is a spatial one where channels come first.
        last = -2 if is_channels_first(call) else -1
        return activated(call.build, y, read_activation(call.config, call.major), last)

    return spatial(rank, build, activate)


def _positive(call: LayerCall, key: str, default: int | None = None) -> int:
    value = call.config.integer(key, default)
    if value < 1:
        raise call.config.wrong(key, "a positive whole number")
    return value


def _steps_between(call: LayerCall, rank: int) -> tuple[Axes, Axes]:
    """Strides and dilation."""
    return per_axis(call, "strides", rank, 1), per_axis(call, "dilation_rate", rank, 1)


def _refuse_both(strides: Axes, dilation: Axes) -> None:
    """Keras does, except for depthwise kernels."""
    if max(strides) > 1 and max(dilation) > 1:
        raise UnsupportedError(f"strides {strides} together with the dilation {dilation}", accepted="one of the two")


def _padding(
    call: LayerCall, shape: Shape, size: Axes, strides: Axes, dilation: Axes, *, causal: bool
) -> tuple[tuple[int, int], ...]:
    """Zeros before and after along each axis; with 'same' there are ``ceil(n / stride)`` results, and more zeros after."""
    mode = call.config.text("padding", "valid").lower()
    if mode == "valid":
        return ((0, 0),) * len(size)
    if mode == "causal" and causal:
        return ((dilation[0] * (size[0] - 1), 0),)
    if mode != "same":
        raise UnsupportedError(f"the padding {shown(mode)}", accepted=f"valid{', causal' * causal} and same")
    return same_padding(shape, size, strides, dilation)


def _trained(call: LayerCall, width: int, *kernels: tuple[str, Shape]) -> tuple[list[Floats], Floats | None]:
    """The kernels, and the bias of ``width`` channels if there is one."""
    for _, shape in kernels:
        checked_size(shape, call.where)
    if not call.config.flag("use_bias", True):
        return call.weights(*kernels), None
    *found, bias = call.weights(*kernels, ("bias", (width,)))
    return found, bias


def _conv(rank: int) -> Build:
    def build(call: LayerCall, shape: Shape) -> tuple[Step, ...]:
        size, (strides, dilation) = per_axis(call, "kernel_size", rank), _steps_between(call, rank)
        filters, groups = _positive(call, "filters"), _positive(call, "groups", 1)
        _refuse_both(strides, dilation)
        if filters % groups or shape[-1] % groups:
            raise call.config.wrong("groups", f"a divisor of {shape[-1]} input channels and of {filters} filters")
        padding = _padding(call, shape, size, strides, dilation, causal=rank == 1)
        (kernel,), bias = _trained(call, filters, ("kernel", (*size, shape[-1] // groups, filters)))
        return (Step(Conv(kernel, bias, strides, dilation, padding, groups)),)

    return build


def _depthwise_kernel(kernel: Floats) -> Floats:
    """Keras's (*size, in, multiplier) as one input channel for each group: the channels of a group follow one another."""
    return as_weights(kernel.reshape(*kernel.shape[:-2], 1, -1))


def _depthwise(rank: int) -> Build:
    def build(call: LayerCall, shape: Shape) -> tuple[Step, ...]:
        size, (strides, dilation) = per_axis(call, "kernel_size", rank), _steps_between(call, rank)
        multiplier = _positive(call, "depth_multiplier", 1)
        padding = _padding(call, shape, size, strides, dilation, causal=False)
        (kernel,), bias = _trained(call, shape[-1] * multiplier, ("kernel", (*size, shape[-1], multiplier)))
        return (Step(Conv(_depthwise_kernel(kernel), bias, strides, dilation, padding, shape[-1])),)

    return build


def _separable(rank: int) -> Build:
    """A depthwise convolution, and one of single taps that has the user's name."""

    def build(call: LayerCall, shape: Shape) -> tuple[Step, ...]:
        size, (strides, dilation) = per_axis(call, "kernel_size", rank), _steps_between(call, rank)
        multiplier, filters = _positive(call, "depth_multiplier", 1), _positive(call, "filters")
        padding = _padding(call, shape, size, strides, dilation, causal=rank == 1 and call.major == 2)
        (kernel, mixing), bias = _trained(
            call,
            filters,
            ("depthwise kernel", (*size, shape[-1], multiplier)),
            ("pointwise kernel", (*(1,) * rank, shape[-1] * multiplier, filters)),
        )
        ones = (1,) * rank
        return (
            Step(Conv(_depthwise_kernel(kernel), None, strides, dilation, padding, shape[-1]), "depthwise"),
            Step(Conv(mixing, bias, ones, ones, ((0, 0),) * rank)),
        )

    return build


def _transposed(rank: int) -> Build:
    def build(call: LayerCall, shape: Shape) -> tuple[Step, ...]:
        size, (strides, dilation) = per_axis(call, "kernel_size", rank), _steps_between(call, rank)
        filters = _positive(call, "filters")
        _refuse_both(strides, dilation)
        mode = call.config.text("padding", "valid").lower()
        if mode not in ("valid", "same"):
            raise UnsupportedError(f"the padding {shown(mode)}", accepted="valid and same")
        extra: Axes | tuple[None, ...] = (None,) * rank
        if call.config.get("output_padding") is not None:
            extra = per_axis(call, "output_padding", rank, least=0)
            if any(more >= stride for more, stride in zip(extra, strides, strict=True)):
                raise call.config.wrong("output_padding", "less than the strides")
        spans = [rate * (taps - 1) + 1 for taps, rate in zip(size, dilation, strict=True)]
        kept = [
            _kept(n, span, stride, more, same=mode == "same")
            for n, span, stride, more in zip(shape, spans, strides, extra, strict=False)
        ]
        (kernel,), bias = _trained(call, filters, ("kernel", (*size, filters, shape[-1])))
        kernel = as_weights(np.swapaxes(kernel, -1, -2))
        crop, output = tuple(start for start, _ in kept), tuple(n for _, n in kept)
        return (Step(ConvTranspose(kernel, bias, strides, dilation, crop, output)),)

    return build


def _kept(n: int, span: int, stride: int, extra: int | None, *, same: bool) -> tuple[int, int]:
    """What Keras keeps along one axis of the ``(n - 1) * stride + span`` elements of all products: from where, and how many.

    With 'same' that is ``n * stride``, or ``(n - 1) * stride + span % 2 + extra`` with an output padding; the elements
    dropped are as many on both sides, or one more at the end, where the output padding also adds.
    """
    full = (n - 1) * stride + span
    if not same:
        return 0, full + (max(stride - span, 0) if extra is None else extra)
    kept = n * stride if extra is None else (n - 1) * stride + span % 2 + extra
    return max(full - kept, 0) // 2, kept


CONVOLUTIONS: dict[str, Translation] = {
    name: Translation(_convolution(rank, build(rank)), becomes)
    for build, becomes, template, ranks in (
        (_conv, "Conv", ("Conv{}D", "Convolution{}D"), (1, 2, 3)),
        (_depthwise, "Conv", ("DepthwiseConv{}D",), (1, 2)),
        (_separable, "Conv, twice", ("SeparableConv{}D", "SeparableConvolution{}D"), (1, 2)),
        (_transposed, "ConvTranspose", ("Conv{}DTranspose", "Convolution{}DTranspose"), (1, 2, 3)),
    )
    for rank in ranks
    for name in (text.format(rank) for text in template)
}
"""Convolutions by class name; each is followed by its activation."""
