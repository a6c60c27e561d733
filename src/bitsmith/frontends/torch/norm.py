"""PyTorch's normalisations."""

from __future__ import annotations

import math

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.torch.call import Call, Result, Translation
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.sample_norm import GroupNormalization, LayerNormalization, RMSNormalization

_SINGLE_EPSILON = 2.0**-23
"""What torch adds under the root of RMSNorm when no epsilon is given: the step of single precision at 1."""


def _channels(call: Call, x: Value) -> int:
    """The number of channels, which are the axis behind the batch."""
    if not x.item:
        raise UnsupportedError(f"a normalization of axes {x.dims}", accepted="batch, channels and perhaps more")
    return x.item[0]


def _affine(call: Call, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Weight and bias of ``shape``; 1 and 0 if they are left out."""
    found = []
    for name, default in (("weight", 1.0), ("bias", 0.0)):
        values = call.optional(name)
        if values is not None and values.shape != shape:
            raise ModelFileError(f"{name} has shape {values.shape}", where=call.build.where, accepted=f"shape {shape}")
        found.append(as_weights(np.full(shape, default)) if values is None else values)
    return found[0], found[1]


def _batch_norm(call: Call) -> Result:
    x = call.tensor("input")
    if (
        call.flag("training")
        or call.flag("use_input_stats")
        or not (call.given("running_mean") and call.given("running_var"))
    ):
        raise UnsupportedError(
            "batch normalization by the statistics of the batch, which mixes samples",
            accepted="trained statistics",
            remedy="call model.eval() before the export",
        )
    channels = (_channels(call, x),)
    gamma, beta = _affine(call, channels)
    mean, variance = call.weight("running_mean"), call.weight("running_var") + call.number("eps", 1e-5)
    if mean.shape != channels or variance.shape != channels or bool(np.any(variance <= 0.0)):
        raise ModelFileError(
            "the running variance plus epsilon is not positive, or not one number per channel", where=call.build.where
        )
    scale = gamma / np.sqrt(variance)
    return call.build.each(BatchNormalization(as_weights(scale), as_weights(beta - mean * scale), 0), x)


def _instance_norm(call: Call) -> Result:
    x = call.tensor("input")
    if not call.flag("use_input_stats", True):
        return _batch_norm(call)
    channels = _channels(call, x)
    if x.rank < 3:
        raise UnsupportedError(f"an instance normalization of axes {x.dims}", accepted="batch, channels and more")
    gamma, beta = _affine(call, (channels,))
    return call.build.each(GroupNormalization(channels, 0, gamma, beta, call.number("eps", 1e-5)), x)


def _group_norm(call: Call) -> Result:
    x = call.tensor("input")
    channels, groups = _channels(call, x), call.integer("num_groups")
    if groups < 1 or channels % groups:
        raise UnsupportedError(f"{channels} channels in {groups} groups", accepted="groups of equal size")
    gamma, beta = _affine(call, (channels,))
    return call.build.each(GroupNormalization(groups, 0, gamma, beta, call.number("eps", 1e-5)), x)


def _last_axes(call: Call, x: Value) -> tuple[int, ...]:
    """The axes of a sample that ``normalized_shape`` names."""
    sizes = call.integers("normalized_shape")
    axes = tuple(x.axis(dim) for dim in range(-len(sizes), 0))
    if not sizes or tuple(x.shape[axis] for axis in axes) != sizes:
        raise UnsupportedError(f"a normalization over {sizes} of axes {x.dims}", accepted="the last axes")
    return axes


def _layer_norm(call: Call) -> Result:
    x = call.tensor("input")
    axes = _last_axes(call, x)
    gamma, beta = _affine(call, call.integers("normalized_shape"))
    return call.build.emit(LayerNormalization(axes, gamma, beta, call.number("eps", 1e-5)), x)


def _rms_norm(call: Call) -> Result:
    x = call.tensor("input")
    axes = _last_axes(call, x)
    gamma, _ = _affine(call, call.integers("normalized_shape"))
    epsilon = call.number("eps", math.nan)
    return call.build.emit(RMSNormalization(axes, gamma, _SINGLE_EPSILON if math.isnan(epsilon) else epsilon), x)


NORMALIZATIONS: dict[str, Translation] = {
    "batch_norm": Translation(_batch_norm, "BatchNormalization"),
    "_native_batch_norm_legit_no_training": Translation(_batch_norm, "BatchNormalization"),
    "instance_norm": Translation(_instance_norm, "GroupNormalization"),
    "group_norm": Translation(_group_norm, "GroupNormalization"),
    "layer_norm": Translation(_layer_norm, "LayerNormalization"),
    "rms_norm": Translation(_rms_norm, "RMSNormalization"),
}
"""Operators by name."""
