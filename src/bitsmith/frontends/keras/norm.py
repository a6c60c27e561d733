"""Keras's scalings and normalizations, as layers and as operations."""

import math

import numpy as np

from bitsmith.frontends.builder.value import ZERO, Value, checked_elements, constant
from bitsmith.frontends.files.json import Fields
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation, axes_of
from bitsmith.frontends.keras.quantizers.scales import Singles
from bitsmith.frontends.ops import normalization
from bitsmith.frontends.ops.normalization import Parameters
from bitsmith.layers.layer import Floats, Shape, as_weights, broadcasts

KERAS_EPSILON = 1e-7
"""``keras.backend.epsilon()``."""


def _parameters(call: LayerCall, shape: Shape, *further: str) -> tuple[Parameters, list[Floats]]:
    """Gamma and beta, ones and zeros where the layer has none, epsilon, and what it has ``further``."""
    config, plain = call.config, not call.config.flag("rms_scaling", False)
    names = ["gamma"] * (config.flag("scale", True) or not plain) + ["beta"] * (config.flag("center", True) and plain)
    names += further
    # Statistics that follow with renorm correct those of a batch in training.
    values = call.weights(*((name, shape) for name in names), ignored=3 * config.flag("renorm")) if names else []
    found = dict(zip(names, values, strict=True))
    gamma, beta = found.get("gamma", np.ones(checked_elements(shape))), found.get("beta", np.zeros(shape))
    parameters = Parameters(as_weights(gamma), as_weights(beta), config.number("epsilon", 1e-3))
    return parameters, [found[name] for name in further]


def statistics(call: LayerCall, shape: Shape, *, prefix: str = "", ignored: int = 0) -> dict[str, Singles]:
    """The tensors of a batch normalization in single precision: mean and variance, and gamma and beta if it has them."""
    scaled, centered = (call.config.flag(f"{prefix}{key}", True) for key in ("scale", "center"))
    names = ["gamma"] * scaled + ["beta"] * centered + ["mean", "variance"]
    found = call.weights(*((name, shape) for name in names), ignored=ignored)
    return {name: values.astype(np.float32) for name, values in zip(names, found, strict=True)}


def deviation(config: Fields, variance: Singles, epsilon: float) -> Singles:
    """The divisor of a batch normalization in single precision."""
    spread = variance + np.float32(epsilon)
    if not bool(np.all(spread > 0.0)):
        raise config.error("the variance is negative")
    return np.asarray(np.sqrt(spread), np.float32)


def _spread(x: Value, dims: tuple[int, ...]) -> Shape:
    """The shape of one number for each place along ``dims``."""
    axes = [x.axis(dim) for dim in dims]
    return tuple(size if axis in axes else 1 for axis, size in enumerate(x.shape))


def _batch_normalization(call: LayerCall) -> Value:
    x, dims = call.x, axes_of(call.config, -1)
    several = (1, *_spread(x, dims))  # as Keras 2 stores what several axes have
    shape = several if len(dims) > 1 else (x.shape[x.axis(dims[0])],)
    found, (mean, variance) = _parameters(call, shape, "moving mean", "moving variance")
    if len(dims) == 1:
        return normalization.batch(call.build, x, dims[0], mean, variance, found)
    scale, offset = normalization.normalizing(mean, variance, found)
    return call.build.affine(x, constant(scale[0]), constant(offset[0]))


def _layer_normalization(call: LayerCall) -> Value:
    x, dims = call.x, axes_of(call.config, -1)
    # Stored in the order in which the axes are named, but applied in rising order.
    (gamma, beta, epsilon), _ = _parameters(call, tuple(x.shape[x.axis(dim)] for dim in dims))
    gamma, beta = (as_weights(values.reshape(_spread(x, dims))) for values in (gamma, beta))
    return _over_axes(call, dims, Parameters(gamma, beta, epsilon))


def _over_axes(call: LayerCall, dims: tuple[int, ...], parameters: Parameters) -> Value:
    centered = not call.config.flag("rms_scaling", False)
    return normalization.over_axes(call.build, call.first, dims, parameters, centered=centered)


def _rms_normalization(call: LayerCall) -> Value:
    x, dims = call.x, axes_of(call.config, -1)
    shape = tuple(x.shape[axis] for axis in sorted(x.axis(dim) for dim in dims))
    (scale,) = call.weights(("scale", shape))
    # Keras multiplies without moving the scale to its axes: it aligns with the last ones.
    return normalization.root_mean_square(call.build, x, dims, scale, call.config.number("epsilon", 1e-6))


def _group_normalization(call: LayerCall) -> Value:
    x, dim, groups = call.x, call.config.integer("axis", -1), call.config.integer("groups", 32)
    channels = x.shape[x.axis(dim)]
    parameters, _ = _parameters(call, (channels,))
    return normalization.groups(call.build, x, channels if groups == -1 else groups, dim, parameters)


def _unit_normalization(call: LayerCall) -> Value:
    # Keras 2 bounds the sum of squares, Keras 3 its root.
    return normalization.unit(call.build, call.x, axes_of(call.config, -1), epsilon=1e-12 if call.major >= 3 else 1e-6)


def _normalize(call: LayerCall) -> Value:
    order, epsilon = call.config.integer("order", 2), call.config.number("epsilon", KERAS_EPSILON)
    return normalization.unit(call.build, call.x, axes_of(call.config, -1), order, epsilon)


def _rescaling(call: LayerCall) -> Value:
    offset = ZERO if call.config.get("offset") is None else constant(call.config.constant("offset"))
    return call.build.affine(call.x, constant(call.config.constant("scale")), offset)


def _normalization(call: LayerCall) -> Value:
    """``(x - mean) / max(sqrt(variance), epsilon)``; ``axis`` names the axes that have statistics of their own."""
    config, x = call.config, call.x
    dims = config.integers("axis") if "axis" in config.values else (-1,)
    shape = tuple(x.shape[axis] for axis in sorted({x.axis(dim) for dim in dims}))
    if config.get("mean") is None:
        mean, variance = call.weights(("mean", shape), ("variance", shape), ignored=1)
    else:
        mean, variance = config.constant("mean"), config.constant("variance")
        if not (broadcasts(mean.shape, shape) and broadcasts(variance.shape, shape)):
            raise config.error(f"statistics of shapes {mean.shape} and {variance.shape}", f"shape {shape}")
    if bool(np.any(variance < 0.0)):
        raise config.error("the variance is negative")
    mean, variance = (np.broadcast_to(values, shape).reshape(_spread(x, dims)) for values in (mean, variance))
    deviation = np.maximum(np.sqrt(variance), KERAS_EPSILON)
    scale, offset = (deviation, mean) if config.flag("invert", False) else (1.0 / deviation, -mean / deviation)
    if not bool(np.all(np.isfinite(offset))):
        raise config.error("bias overflows", "finite weights")
    return call.build.affine(x, constant(scale), constant(offset))


def _without_batch(values: Floats, x: Value) -> Floats:
    """A constant without the axis of size 1 that stands for the batch of ``x``."""
    while values.ndim >= x.rank and values.shape[0] == 1:
        values = values[0]
    return as_weights(values)


def _layer_norm(call: LayerCall) -> Value:
    x, dims = call.first, axes_of(call.config, -1)
    spread = _spread(x, dims)

    def placed(position: int, name: str, absent: float) -> Floats:
        values = call.numbers(name, position, absent)
        # Keras takes what has fewer axes than the operand as that of the named axes, in rising order.
        if values.ndim != x.rank and values.size == math.prod(spread) and call.config.get("axis") != len(x.shape):
            values = values.reshape(spread)
        return _without_batch(values, x)

    epsilon = call.config.number("epsilon", KERAS_EPSILON)
    return _over_axes(call, dims, Parameters(placed(1, "gamma", 1.0), placed(2, "beta", 0.0), epsilon))


def _rms_norm(call: LayerCall) -> Value:
    x, epsilon = call.first, call.config.number("epsilon", KERAS_EPSILON)
    scale = _without_batch(call.numbers("scale", 1, 1.0), x)
    return normalization.root_mean_square(call.build, x, axes_of(call.config, -1), scale, epsilon)


_AFFINE = "BatchNormalization, or Multiply and Add"
_BATCH = ("BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization")

NORMALIZATIONS: ByClass = {
    "Rescaling": Translation(_rescaling, _AFFINE),
    "Normalization": Translation(_normalization, _AFFINE),
    **dict.fromkeys(_BATCH, Translation(_batch_normalization, _AFFINE)),
    "LayerNormalization": Translation(_layer_normalization, "LayerNormalization"),
    "RMSNormalization": Translation(_rms_normalization, "RMSNormalization"),
    "GroupNormalization": Translation(_group_normalization, "GroupNormalization"),
    "UnitNormalization": Translation(_unit_normalization, "UnitNormalization"),
}

NORMALIZATION_OPS: ByClass = {
    "Normalize": Translation(_normalize, "UnitNormalization; or Absolute, Reduce, HardActivation and Divide"),
    "LayerNorm": Translation(_layer_norm, "LayerNormalization", frozenset({"gamma", "beta"})),
    "RMSNorm": Translation(_rms_norm, "RMSNormalization", frozenset({"scale"})),
}
