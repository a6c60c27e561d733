"""PyTorch's normalizations."""

from __future__ import annotations

import math

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.ops import normalization
from bitsmith.frontends.torch.call import Call, Translation
from bitsmith.layers.layer import Floats, Shape, as_weights

_SINGLE_EPSILON = 2.0**-23
"""What torch adds under the root of RMSNorm when no epsilon is given: the step of single precision at 1."""


def _parameters(call: Call, shape: Shape) -> tuple[Floats, Floats]:
    """Weight and bias; 1 and 0 of the ``shape`` if they are left out."""
    weight, bias = call.optional("weight"), call.optional("bias")
    return as_weights(np.ones(shape)) if weight is None else weight, as_weights(
        np.zeros(shape)
    ) if bias is None else bias


def _channels(call: Call, least: int = 2) -> tuple[Value, int]:
    """The operand, and how many channels it has: they are the axis after the batch."""
    x = call.tensor("input")
    if x.rank < least:
        raise UnsupportedError(f"a normalization of axes {x.dims}", accepted="batch, channels and perhaps more")
    return x, x.shape[x.axis(1)]


def _batch_norm(call: Call) -> Value:
    if call.flag("training") or call.flag("use_input_stats") or not call.given("running_mean"):
        raise UnsupportedError(
            "batch normalization by the statistics of the batch, which mixes samples",
            accepted="trained statistics",
            remedy="call model.eval() before the export",
        )
    x, channels = _channels(call)
    statistics = call.weight("running_mean"), call.weight("running_var")
    return normalization.batch(call.build, x, 1, *statistics, *_parameters(call, (channels,)), call.number("eps", 1e-5))


def _instance_norm(call: Call) -> Value:
    if not call.flag("use_input_stats", True):
        return _batch_norm(call)
    x, channels = _channels(call, 3)
    return _groups(call, x, channels, channels)


def _group_norm(call: Call) -> Value:
    return _groups(call, *_channels(call), call.integer("num_groups"))


def _groups(call: Call, x: Value, channels: int, number: int) -> Value:
    return normalization.groups(call.build, x, number, 1, *_parameters(call, (channels,)), call.number("eps", 1e-5))


def _last(call: Call) -> tuple[Value, range, Shape]:
    """The operand, its axes that ``normalized_shape`` names, and that."""
    x, sizes = call.tensor("input"), call.integers("normalized_shape")
    if not sizes or x.dims[-len(sizes) :] != sizes:
        raise UnsupportedError(f"a normalization over {sizes} of axes {x.dims}", accepted="the last axes")
    return x, range(-len(sizes), 0), sizes


def _layer_norm(call: Call) -> Value:
    x, dims, sizes = _last(call)
    return normalization.over_axes(call.build, x, dims, *_parameters(call, sizes), call.number("eps", 1e-5))


def _rms_norm(call: Call) -> Value:
    x, dims, sizes = _last(call)
    epsilon = call.number("eps", math.nan)
    epsilon = _SINGLE_EPSILON if math.isnan(epsilon) else epsilon
    return normalization.root_mean_square(call.build, x, dims, _parameters(call, sizes)[0], epsilon)


NORMALIZATIONS: dict[str, Translation] = {
    "batch_norm": Translation(_batch_norm, "BatchNormalization"),
    "_native_batch_norm_legit_no_training": Translation(_batch_norm, "BatchNormalization"),
    "instance_norm": Translation(_instance_norm, "GroupNormalization"),
    "group_norm": Translation(_group_norm, "GroupNormalization"),
    "layer_norm": Translation(_layer_norm, "LayerNormalization"),
    "rms_norm": Translation(_rms_norm, "RMSNormalization"),
}
"""Operators by name."""
