"""Keras's normalisations by statistics of each sample, as layers and as operations."""

from __future__ import annotations

import math

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.keras.call import LayerCall, Step, Translation, checked_size, numbers, unary, without_batch
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.sample_norm import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization

_KERAS_EPSILON = 1e-7
"""``keras.backend.epsilon()``."""


def _axes(call: LayerCall) -> tuple[int, ...]:
    return tuple(call.axis(axis, call.shapes[0]) for axis in call.config.integers("axis") or (-1,))


def _epsilon(call: LayerCall, default: float) -> float:
    epsilon = call.config.number("epsilon", default)
    if epsilon < 0.0:
        raise call.config.wrong("epsilon", "no negative number")
    return epsilon


def _affine_weights(call: LayerCall, shape: Shape) -> tuple[Floats, Floats]:
    """Gamma and beta, ones and zeros where the layer has none."""
    scaled, centered = call.config.flag("scale", True), call.config.flag("center", True)
    names = ["gamma"] * scaled + ["beta"] * centered
    weights = call.weights(*((name, shape) for name in names)) if names else []
    return (weights[0] if scaled else np.ones(shape)), (weights[-1] if centered else np.zeros(shape))


def _layer_normalization(call: LayerCall) -> Layer:
    axes = _axes(call)
    # Stored in the order in which the axes are named, but applied in rising order.
    stored = tuple(call.shape[axis] for axis in axes)
    spread = tuple(size if axis in axes else 1 for axis, size in enumerate(call.shape))
    if call.config.flag("rms_scaling", False):  # the mean is not subtracted, and there is no beta
        (gamma,) = call.weights(("gamma", stored))
        gamma = as_weights(gamma.reshape(spread))
        return LayerNormalization(axes, gamma, as_weights(0.0), _epsilon(call, 1e-3), centered=False)
    gamma, beta = (as_weights(values.reshape(spread)) for values in _affine_weights(call, stored))
    return LayerNormalization(axes, gamma, beta, _epsilon(call, 1e-3))


def _rms_normalization(call: LayerCall) -> Layer:
    axes = _axes(call)
    by_number = sorted(axes) if isinstance(call.config.get("axis"), list) else axes
    shape = tuple(call.shape[axis] for axis in by_number)
    (scale,) = call.weights(("scale", shape))
    # Keras multiplies without moving the scale to its axes: it aligns with the last ones.
    return RMSNormalization(axes, scale, _epsilon(call, 1e-6))


def _group_normalization(call: LayerCall) -> Layer:
    axis = call.axis(call.config.integer("axis", -1), call.shape)
    channels = call.shape[axis]
    groups = call.config.integer("groups", 32)
    groups = channels if groups == -1 else groups
    if groups < 1 or channels % groups:
        raise call.config.wrong("groups", f"a divisor of {channels}")
    gamma, beta = _affine_weights(call, (channels,))
    return GroupNormalization(groups, axis, as_weights(gamma), as_weights(beta), _epsilon(call, 1e-3))


def _unit_normalization(call: LayerCall) -> Layer:
    # Keras 2 bounds the sum of squares, Keras 3 its root.
    return UnitNormalization(_axes(call), 1e-12 if call.major >= 3 else 1e-6)


def _normalize(call: LayerCall) -> Layer:
    if call.config.integer("order", 2) != 2:
        raise UnsupportedError(f"vectors of length 1 in the norm {call.config.integer('order')}", accepted="order 2")
    return UnitNormalization(_axes(call), _epsilon(call, _KERAS_EPSILON))


def _argument(call: LayerCall, position: int, name: str, absent: float) -> Floats:
    """A constant argument as an array; ``absent`` if it is None or left out."""
    given = call.keywords.get(name)
    if position < len(call.arguments):
        argument = call.arguments[position]
        given = () if argument is None else argument.value
    if isinstance(given, tuple):
        raise UnsupportedError(
            f"a {name} that is computed", accepted="constants", remedy=f"multiply or add the {name} behind"
        )
    return np.full((), absent) if given is None else numbers(given)


def _layer_norm(call: LayerCall) -> tuple[Step, ...]:
    shape, axes = checked_size(call.shapes[0], call.where), _axes(call)
    spread = tuple(size if axis in axes else 1 for axis, size in enumerate(shape))

    def placed(position: int, name: str, absent: float) -> Floats:
        values = _argument(call, position, name, absent)
        # Keras takes what has fewer axes than the operand as that of the named axes, in rising order.
        if values.ndim != len(shape) + 1 and values.size == math.prod(spread) and call.config.get("axis") != len(shape):
            values = values.reshape(spread)
        return as_weights(without_batch(values, len(shape)))

    gamma, beta = placed(1, "gamma", 1.0), placed(2, "beta", 0.0)
    centered = not call.config.flag("rms_scaling", False)
    epsilon = _epsilon(call, _KERAS_EPSILON)
    return (Step(LayerNormalization(axes, gamma, beta if centered else as_weights(0.0), epsilon, centered)),)


def _rms_norm(call: LayerCall) -> tuple[Step, ...]:
    checked_size(call.shapes[0], call.where)
    if "axis" in call.config.values and call.config.get("axis") is None:
        raise UnsupportedError("a mean over all axes, the batch included", accepted="axes within a sample")
    scale = as_weights(without_batch(_argument(call, 1, "scale", 1.0), len(call.shapes[0])))
    return (Step(RMSNormalization(_axes(call), scale, _epsilon(call, _KERAS_EPSILON))),)


NORMALIZATIONS: dict[str, Translation] = {
    "LayerNormalization": Translation(unary(_layer_normalization), "LayerNormalization"),
    "RMSNormalization": Translation(unary(_rms_normalization), "RMSNormalization"),
    "GroupNormalization": Translation(unary(_group_normalization), "GroupNormalization"),
    "UnitNormalization": Translation(unary(_unit_normalization), "UnitNormalization"),
}
"""Layers by class name."""

NORMALIZATION_OPS: dict[str, Translation] = {
    "Normalize": Translation(unary(_normalize), "UnitNormalization"),
    "LayerNorm": Translation(_layer_norm, "LayerNormalization", frozenset({"gamma", "beta"})),
    "RMSNorm": Translation(_rms_norm, "RMSNormalization", frozenset({"scale"})),
}
"""Operations by class name."""
