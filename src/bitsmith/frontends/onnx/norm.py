"""ONNX's normalisations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.values import Operand
from bitsmith.layers.elementwise import Absolute
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.merge import Add, Multiply, Subtract
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.power import Divide, Power
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.sample_norm import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from bitsmith.layers.shape import Reshape


def _channels(call: Call, x: Value, *numbers: int) -> list[Floats]:
    """Constant operands with one number per channel, which is ONNX's axis 1."""
    count = x.shape[x.axis(1)] if x.rank > 1 else 1
    found = [call.weights(number, "a parameter") for number in numbers]
    if any(values.shape != (count,) for values in found):
        raise UnsupportedError(f"parameters of shapes {[values.shape for values in found]}", accepted=f"({count},)")
    return found


def _batch_normalization(call: Call) -> tuple[Value, ...]:
    """S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015, algorithm 2."""
    attributes = call.attributes
    attributes.ignore("momentum", "is_test", "consumed_inputs")
    if attributes.flag("training_mode", False):
        raise UnsupportedError("batch normalization in training", accepted="training_mode=0")
    if not attributes.flag("spatial", True):
        raise UnsupportedError("spatial=0", accepted="one mean and variance per channel")
    x = call.tensor(0)
    epsilon = attributes.number("epsilon", 1e-5)
    if isinstance(call.operand(3), Value) and isinstance(call.operand(4), Value):
        return (_normalized(call, x, epsilon),)
    scale, bias, mean, variance = _channels(call, x, 1, 2, 3, 4)
    if float(np.min(variance)) + epsilon <= 0.0:
        raise UnsupportedError("a variance that is not positive", accepted="positive ones")
    scale = scale / np.sqrt(variance + epsilon)
    axis = x.axis(1) if x.rank > 1 else 0
    layer = BatchNormalization(as_weights(scale), as_weights(bias - mean * scale), axis)
    return (call.alike(layer, x),)


def _normalized(call: Call, x: Value, epsilon: float) -> Value:
    """With a mean and a variance that are computed: tf2onnx writes Keras 2's LayerNormalization so, with samples as channels."""
    scale, bias, mean, variance = (_along_channels(call, number, x.rank) for number in (1, 2, 3, 4))
    assert isinstance(variance, Value)
    shifted = call.affine(variance, np.ones(()), np.full((), epsilon), "variance")
    spread = call.alike(Power(-0.5), shifted, "spread")
    centered = call.combine(Subtract(), [x, mean], "centered")
    y = call.combine(Multiply(), [centered, spread], "scaled")
    return call.combine(Add(), [call.combine(Multiply(), [y, scale], "weighted"), bias])


def _along_channels(call: Call, number: int, rank: int) -> Operand:
    """Operand ``number``, which has an axis for the channels, as it broadcasts to a tensor of ``rank`` axes."""
    value, behind = call.required(number), (1,) * (rank - 2)
    if isinstance(value, Value):
        return call.emit(
            Reshape((*value.shape, *behind)), (value,), f"operand{number}", batch=value.batch_axis, blocks=value.blocks
        )
    return replace(value, at=tuple(array.reshape(*array.shape, *behind) for array in value.at))


def _epsilon(call: Call, default: float = 1e-5) -> float:
    value = call.attributes.number("epsilon", default)
    if value < 0.0:
        raise call.attributes.wrong("epsilon", "no negative number")
    return value


def _last_axes(call: Call, x: Value) -> tuple[int, ...]:
    """The axes from the attribute ``axis`` on."""
    return tuple(x.axis(axis) for axis in range(x.counted(call.attributes.integer("axis", -1)), x.rank))


def _layer_normalization(call: Call) -> tuple[Value, ...]:
    call.attributes.ignore("stash_type")
    x = call.tensor(0)
    axes = _last_axes(call, x)
    gamma = call.weights(1, "the scale")
    beta = np.zeros(()) if call.operand(2) is None else call.weights(2, "the bias")
    return (call.alike(LayerNormalization(axes, gamma, as_weights(beta), _epsilon(call)), x),)


def _rms_normalization(call: Call) -> Value:
    call.attributes.ignore("stash_type")
    x = call.tensor(0)
    return call.alike(RMSNormalization(_last_axes(call, x), call.weights(1, "the scale"), _epsilon(call)), x)


def _instance_normalization(call: Call) -> Value:
    x = call.batched(call.tensor(0), 0)
    scale, bias = _channels(call, x, 1, 2)
    return call.alike(GroupNormalization(len(scale), 0, scale, bias, _epsilon(call)), x)


def _group_normalization(call: Call) -> Value:
    call.attributes.ignore("stash_type")
    x = call.batched(call.tensor(0), 0)
    groups = call.attributes.integer("num_groups")
    channels = x.shape[x.axis(1)]
    scale, bias = call.weights(1, "the scale"), call.weights(2, "the bias")
    if groups < 1 or channels % groups:
        raise UnsupportedError(f"{channels} channels in {groups} groups", accepted="groups of equal size")
    if call.opset < 21:  # one number per group
        scale, bias = (as_weights(np.repeat(values, channels // groups)) for values in (scale, bias))
    return call.alike(GroupNormalization(groups, 0, scale, bias, _epsilon(call)), x)


def _unit_normalization(call: Call) -> Value:
    x, p = call.tensor(0), call.attributes.integer("p", 2)
    if p == 1:
        axis = x.axis(call.attributes.integer("axis", -1))
        sizes = call.alike(Absolute(), x, "sizes")
        total = call.alike(Reduce(Reduction.SUM, (axis,), keepdims=True), sizes, "norm")
        return call.combine(Divide(), [x, total])
    if p != 2:
        raise UnsupportedError(f"a norm with p={p}", accepted="p=1, p=2")
    return call.alike(UnitNormalization((x.axis(call.attributes.integer("axis", -1)),)), x)


NORMALIZATIONS: dict[str, Translation] = {
    "BatchNormalization": Translation(_batch_normalization, "BatchNormalization; Subtract, Power, Multiply and Add"),
    "LayerNormalization": Translation(_layer_normalization, "LayerNormalization"),
    "RMSNormalization": Translation(_rms_normalization, "RMSNormalization"),
    "InstanceNormalization": Translation(_instance_normalization, "GroupNormalization"),
    "GroupNormalization": Translation(_group_normalization, "GroupNormalization"),
    "LpNormalization": Translation(_unit_normalization, "UnitNormalization"),
}
"""Operators by name."""
