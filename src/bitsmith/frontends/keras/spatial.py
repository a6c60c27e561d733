"""What Keras's layers along spatial axes have in common: where the channels are, numbers per axis, and 'same' padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from bitsmith.errors import ModelFileError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.keras.call import LayerCall, Step
from bitsmith.layers.layer import Shape

Axes: TypeAlias = tuple[int, ...]
"""A number for each spatial axis."""

SpatialTranslator: TypeAlias = Callable[[LayerCall], Value]

Build: TypeAlias = Callable[[LayerCall, Shape], tuple[Step, ...]]
"""The steps of a call on an operand of a shape with channels last, one after the other."""


def spatial(rank: int, build: Build, after: Callable[[LayerCall, Value], Value] | None = None) -> SpatialTranslator:
    """The steps of ``build`` and what comes after, between permutations where channels come first."""

    def translate(call: LayerCall) -> Value:
        steps = build(call, spatial_shape(call, rank))

        def inside(x: Value) -> Value:
            for step in steps:
                x = call.build.emit(step.layer, x, suffix=step.suffix, source=step.source)
            return x if after is None else after(call, x)

        return call.build.spatial(call.values[0], inside) if is_channels_first(call) else inside(call.values[0])

    return translate


def is_channels_first(call: LayerCall) -> bool:
    """Whether ``data_format`` says so."""
    layout = call.config.text("data_format", "channels_last")
    if layout not in ("channels_last", "channels_first"):
        raise call.config.wrong("data_format", "channels_last or channels_first")
    return layout == "channels_first"


def spatial_shape(call: LayerCall, rank: int) -> Shape:
    """The operand's shape with channels last; it must have ``rank`` spatial axes."""
    shape = call.shape
    if len(shape) != rank + 1:
        raise ModelFileError(
            f"a layer along {rank} axes of an input of shape {shape}",
            where=call.where,
            accepted=f"{rank + 1} axes besides the batch",
        )
    return (*shape[1:], shape[0]) if is_channels_first(call) else shape


def per_axis(call: LayerCall, key: str, rank: int, default: int | None = None, least: int = 1) -> Axes:
    """The entry ``key``, which is one number for all axes or one for each."""
    values = call.config.integers(key)
    if not values and default is not None:
        return (default,) * rank
    values = values * rank if len(values) == 1 else values
    if len(values) != rank or min(values) < least:
        raise call.config.wrong(key, f"a whole number from {least} on, or {rank} of them")
    return values


def same_padding(shape: Shape, size: Axes, strides: Axes, dilation: Axes) -> tuple[tuple[int, int], ...]:
    """Elements before and after each axis such that there are ``ceil(n / stride)`` windows; an odd one comes after."""
    totals = [
        max((-(-n // stride) - 1) * stride + rate * (taps - 1) + 1 - n, 0)
        for n, taps, stride, rate in zip(shape, size, strides, dilation, strict=False)
    ]
    return tuple((total // 2, total - total // 2) for total in totals)
