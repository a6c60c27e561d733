"""ONNX's convolutions and pooling: channels first, so that layers stand between permutations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.layers.conv import Conv, ConvTranspose
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.pooling import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool

Axes: TypeAlias = tuple[int, ...]
Pairs: TypeAlias = tuple[tuple[int, int], ...]

_MODES = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
_MOST = 1 << 24


def _spatial(call: Call, number: int = 0) -> Value:
    """The operand (samples, channels, positions...)."""
    x = call.batched(call.tensor(number), 0)
    if not 2 <= len(x.shape) <= 4:
        raise UnsupportedError(f"an input of {x.rank} axes", accepted="1 to 3 axes besides samples and channels")
    return x


def _per_axis(call: Call, key: str, rank: int, default: int = 1) -> Axes:
    values = call.attributes.integers(key) or (default,) * rank
    if len(values) != rank or not all(1 <= value < _MOST for value in values):
        raise call.attributes.wrong(key, f"{rank} positive whole numbers")
    return values


def _pairs(call: Call, rank: int) -> Pairs:
    """The attribute ``pads``: all beginnings, then all ends."""
    values = call.attributes.integers("pads") or (0,) * (2 * rank)
    if len(values) != 2 * rank or not all(abs(value) < _MOST for value in values):
        raise call.attributes.wrong("pads", f"{2 * rank} whole numbers")
    if min(values) < 0:
        raise UnsupportedError(f"pads {values}", accepted="numbers that are not negative")
    return tuple(zip(values[:rank], values[rank:], strict=True))


def _padding(call: Call, sizes: Sequence[int], taps: Axes, strides: Axes, dilation: Axes) -> Pairs:
    """Elements before and after each axis."""
    mode = call.attributes.text("auto_pad", "NOTSET")
    if mode not in _MODES:
        raise call.attributes.wrong("auto_pad", ", ".join(_MODES))
    explicit = _pairs(call, len(taps))
    if mode == "NOTSET":
        return explicit
    if mode == "VALID":
        return ((0, 0),) * len(taps)
    found = []
    for n, count, stride, rate in zip(sizes, taps, strides, dilation, strict=True):
        total = max((-(-n // stride) - 1) * stride + rate * (count - 1) + 1 - n, 0)
        less, more = total // 2, total - total // 2
        found.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return tuple(found)


def _kernel(call: Call, x: Value) -> tuple[Floats, Floats | None, Axes]:
    """The kernel, the bias if there is one, and the number of taps along each axis."""
    kernel = call.weights(1, "the kernel")
    rank = len(x.shape) - 1
    if kernel.ndim != rank + 2 or min(kernel.shape) < 1:
        raise ModelFileError(
            f"a kernel of shape {kernel.shape} on an input of {x.rank} axes", where=call.attributes.where
        )
    taps = kernel.shape[2:]
    if (call.attributes.integers("kernel_shape") or taps) != taps:
        raise call.attributes.wrong("kernel_shape", f"the kernel's, {taps}")
    bias = None if call.operand(2) is None else call.weights(2, "the bias")
    return kernel, bias, taps


def _conv(call: Call) -> Value:
    x = _spatial(call)
    kernel, bias, taps = _kernel(call, x)
    rank, groups = len(taps), call.attributes.integer("group", 1)
    strides, dilation = _per_axis(call, "strides", rank), _per_axis(call, "dilations", rank)
    padding = _padding(call, x.shape[1:], taps, strides, dilation)
    if groups < 1 or kernel.shape[0] % groups or kernel.shape[1] * groups != x.shape[0]:
        raise UnsupportedError(f"a kernel of shape {kernel.shape} in {groups} groups for {x.shape[0]} channels")
    if bias is not None and bias.shape != kernel.shape[:1]:
        raise UnsupportedError(f"a bias of shape {bias.shape} for {kernel.shape[0]} channels")
    weights = as_weights(kernel.transpose(*range(2, rank + 2), 1, 0))
    return call.build.spatial(x, Conv(weights, bias, strides, dilation, padding, groups))


def _conv_transpose(call: Call) -> Value:
    x = _spatial(call)
    kernel, bias, taps = _kernel(call, x)
    rank, groups = len(taps), call.attributes.integer("group", 1)
    strides, dilation = _per_axis(call, "strides", rank), _per_axis(call, "dilations", rank)
    channels, width = kernel.shape[0], kernel.shape[1] * groups
    if groups < 1 or channels != x.shape[0] or channels % groups:
        raise UnsupportedError(f"a kernel of shape {kernel.shape} in {groups} groups for {x.shape[0]} channels")
    if bias is not None and bias.shape != (width,):
        raise UnsupportedError(f"a bias of shape {bias.shape} for {width} channels")
    parts = kernel.reshape(groups, channels // groups, *kernel.shape[1:])
    # (groups, in, out, *taps) -> (*taps, in, groups, out)
    weights = parts.transpose(*range(3, rank + 3), 1, 0, 2).reshape(*taps, channels // groups, width)
    crop, output = _kept(call, x.shape[1:], taps, strides, dilation)
    layer = ConvTranspose(as_weights(weights), bias, strides, dilation, crop, output, groups)
    return call.build.spatial(x, layer)


def _kept(call: Call, sizes: Sequence[int], taps: Axes, strides: Axes, dilation: Axes) -> tuple[Axes, Axes]:
    """From where on, and how many elements a transposed convolution keeps of what it computes, along each axis."""
    rank = len(taps)
    extra = call.attributes.integers("output_padding") or (0,) * rank
    mode = call.attributes.text("auto_pad", "NOTSET")
    wanted = call.attributes.given_integers("output_shape")
    pads = _pairs(call, rank)
    if mode not in _MODES or len(extra) != rank or not all(0 <= more < _MOST for more in extra):
        raise call.attributes.wrong("auto_pad or output_padding", ", ".join(_MODES))
    full = [
        stride * (n - 1) + more + rate * (count - 1) + 1
        for n, count, stride, rate, more in zip(sizes, taps, strides, dilation, extra, strict=True)
    ]
    if wanted is None and mode in ("NOTSET", "VALID"):
        pads = ((0, 0),) * rank if mode == "VALID" else pads
        return tuple(a for a, _ in pads), tuple(n - a - b for n, (a, b) in zip(full, pads, strict=True))
    if wanted is None:
        wanted = tuple(n * stride for n, stride in zip(sizes, strides, strict=True))
    wanted = wanted[2:] if len(wanted) == rank + 2 else wanted
    if len(wanted) != rank:
        raise call.attributes.wrong("output_shape", f"{rank} sizes")
    totals = [n - kept for n, kept in zip(full, wanted, strict=True)]
    # An odd one goes to the beginning, or with SAME_UPPER to the end; what is wanted beyond is at the end.
    totals = [max(total, 0) for total in totals]
    crop = tuple(total // 2 if mode == "SAME_UPPER" else total - total // 2 for total in totals)
    return crop, wanted


def _pooled(call: Call) -> tuple[Value, Axes, Axes, Pairs, Axes, bool]:
    x = _spatial(call)
    rank = len(x.shape) - 1
    taps, strides = _per_axis(call, "kernel_shape", rank, 0), _per_axis(call, "strides", rank)
    dilation = _per_axis(call, "dilations", rank)
    padding = _padding(call, x.shape[1:], taps, strides, dilation)
    return x, taps, strides, padding, dilation, call.attributes.flag("ceil_mode", False)


def _max_pool(call: Call) -> Value:
    call.attributes.ignore("storage_order")  # of the indices
    x, taps, strides, padding, dilation, ceil = _pooled(call)
    return call.build.spatial(x, MaxPool(taps, strides, padding, dilation, ceil))


def _average_pool(call: Call) -> Value:
    x, taps, strides, padding, dilation, ceil = _pooled(call)
    include = call.attributes.flag("count_include_pad", False)
    return call.build.spatial(x, AveragePool(taps, strides, padding, dilation, ceil, count_include_pad=include))


def _global(layer: Layer) -> Translation:
    def read(call: Call) -> Value:
        x = _spatial(call)
        return call.build.spatial(x, layer)

    return Translation(read, layer.kind)


CONVOLUTIONS: dict[str, Translation] = {
    "Conv": Translation(_conv, "Conv"),
    "ConvTranspose": Translation(_conv_transpose, "ConvTranspose"),
    "MaxPool": Translation(_max_pool, "MaxPool"),
    "AveragePool": Translation(_average_pool, "AveragePool"),
    "GlobalMaxPool": _global(GlobalMaxPool(keepdims=True)),
    "GlobalAveragePool": _global(GlobalAveragePool(keepdims=True)),
}
"""Operators by name."""
