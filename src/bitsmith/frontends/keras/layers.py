"""What each Keras layer becomes: the table from class names to layers of ours."""

from __future__ import annotations

import math

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import Fields, is_integer, shown
from bitsmith.frontends.keras.activations import activated, elu, leaky_relu, read_activation, relu, thresholded_relu
from bitsmith.frontends.keras.attention import ATTENTION
from bitsmith.frontends.keras.call import (
    LayerCall,
    Step,
    Translation,
    Translator,
    checked_size,
    joining,
    sample_shape,
    unary,
)
from bitsmith.frontends.keras.einsum import EINSUMS
from bitsmith.frontends.keras.embedding import EMBEDDINGS
from bitsmith.frontends.keras.norm import NORMALIZATIONS
from bitsmith.frontends.keras.recurrent import RECURRENT, time_distributed
from bitsmith.frontends.keras.shape import SHAPES
from bitsmith.frontends.keras.spatial import SPATIAL
from bitsmith.frontends.ops.activations import softmax
from bitsmith.layers.activation import PReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.merge import Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.shape import Flatten, Identity, Permute, Reshape
from bitsmith.layers.steps import BinaryTanh, TernaryTanh

_KERAS_EPSILON = 1e-7
"""``keras.backend.epsilon()``: the least standard deviation that Normalization divides by."""


def _input(call: LayerCall) -> Layer:
    config = call.config
    for key in ("sparse", "ragged", "optional"):
        if config.flag(key, False):
            raise UnsupportedError(f"{key} input", accepted="dense inputs that are always given")
    key = "batch_input_shape" if config.get("batch_shape") is None else "batch_shape"
    dtype = config.text("dtype", "float32")
    integer = dtype == "bool" or dtype.startswith(("int", "uint"))
    if not integer and not dtype.startswith(("float", "bfloat")):
        raise UnsupportedError(f"inputs of type {shown(dtype)}", accepted="floating point or whole numbers")
    return Input(sample_shape(config.get(key), call.where), integer)


def _dense_layer(call: LayerCall) -> Dense:
    if not call.shape:
        raise ModelFileError("Dense on scalars", where=call.where)
    units = call.config.integer("units")
    if units < 1:
        raise call.config.wrong("units", "a positive whole number")
    checked_size((*call.shape[:-1], units), call.where)
    wanted: list[tuple[str, Shape]] = [("kernel", (call.shape[-1], units))]
    if call.config.flag("use_bias", True):
        wanted.append(("bias", (units,)))
    return Dense(*call.weights(*wanted))


def _dense(call: LayerCall) -> Value:
    activation = read_activation(call.config, call.major)
    return activated(call.build, call.build.emit(_dense_layer(call), call.values[0]), activation)


def _levels(layer: Layer) -> Translator:
    """A Dense layer whose trained weights stand for the levels ``scale * layer(weight / scale)``."""

    def read(call: LayerCall) -> Value:
        dense, activation = _dense_layer(call), read_activation(call.config, call.major)
        n, units = dense.kernel.shape
        scale = math.sqrt(1.5 / (n + units)) if call.config.get("H") == "Glorot" else call.config.number("H", 1.0)
        if scale <= 0.0:
            raise call.config.wrong("H", "a positive number, or 'Glorot'")
        kernel = as_weights(scale * layer.reference([dense.kernel / scale]))
        return activated(call.build, call.build.emit(Dense(kernel, dense.bias), call.x), activation)

    return read


def _activation(call: LayerCall) -> Value:
    found = read_activation(call.config, call.major)
    return call.x if found is None else found.of(call.build, call.x)


def _prelu(call: LayerCall) -> Layer:
    shared = {call.axis(axis, call.shape) for axis in call.config.integers("shared_axes")}
    shape = tuple(1 if axis in shared else size for axis, size in enumerate(call.shape))
    (alpha,) = call.weights(("alpha", shape))
    return PReLU(alpha)


def softmax_axis(call: LayerCall) -> int:
    """The one axis along which the call works."""
    axes = call.config.integers("axis") or (-1,)
    if len(axes) > 1:
        raise UnsupportedError(
            f"softmax over the axes {axes}", accepted="one axis", remedy="reshape them to one axis first"
        )
    return call.axis(axes[0], checked_size(call.shape, call.where))


def _batch_normalization(call: LayerCall) -> Layer:
    axes = call.config.integers("axis") or (-1,)
    if len(axes) > 1:
        raise UnsupportedError(f"batch normalization over the axes {axes}", accepted="one axis")
    axis = call.axis(axes[0], call.shape)
    shape = (call.shape[axis],)
    scaled, centered = call.config.flag("scale", True), call.config.flag("center", True)
    names = ["gamma"] * scaled + ["beta"] * centered + ["moving mean", "moving variance"]
    weights = call.weights(*((name, shape) for name in names))
    mean, variance = weights[-2:]
    gamma = weights[0] if scaled else np.ones(shape)
    beta = weights[int(scaled)] if centered else np.zeros(shape)
    variance = variance + call.config.number("epsilon", 1e-3)
    if bool(np.any(variance <= 0.0)):
        raise ModelFileError("the moving variance plus epsilon is not positive", where=call.where)
    scale = gamma / np.sqrt(variance)
    return BatchNormalization(as_weights(scale), as_weights(beta - mean * scale), axis)


def _rescaling(call: LayerCall) -> Value:
    return call.affine(call.config.constant("scale"), np.asarray(_constant_or(call.config, "offset", 0.0)))


def _constant_or(config: Fields, key: str, default: float) -> Floats:
    return np.full((), default) if config.get(key) is None else config.constant(key)


def _normalization(call: LayerCall) -> Value:
    """``(x - mean) / max(sqrt(variance), epsilon)``; ``axis`` names the axes that have statistics of their own."""
    axes = call.config.integers("axis") if "axis" in call.config.values else (-1,)
    kept = sorted({call.axis(axis, call.shape) for axis in axes})
    shape = tuple(call.shape[axis] for axis in kept)
    if call.config.get("mean") is None:
        mean, variance = call.weights(("mean", shape), ("variance", shape), ignored=1)
    else:
        mean, variance = call.config.constant("mean"), call.config.constant("variance")
        try:
            mean, variance = np.broadcast_to(mean, shape), np.broadcast_to(variance, shape)
        except ValueError:
            raise ModelFileError(
                f"statistics of shapes {mean.shape} and {variance.shape}", where=call.where, accepted=f"shape {shape}"
            ) from None
    if bool(np.any(variance < 0.0)):
        raise ModelFileError("the variance is negative", where=call.where)
    spread = tuple(size if axis in kept else 1 for axis, size in enumerate(call.shape))
    mean = mean.reshape(spread)
    deviation = np.maximum(np.sqrt(variance.reshape(spread)), _KERAS_EPSILON)
    if call.config.flag("invert", False):
        return call.affine(deviation, mean)
    return call.affine(1.0 / deviation, -mean / deviation)


def _flatten(call: LayerCall) -> Value:
    first = call.config.text("data_format", "channels_last") == "channels_first" and len(call.shape) > 1
    return call.build.emit(Flatten(), call.build.channels_last(call.x) if first else call.x)


def _reshape(call: LayerCall) -> Layer:
    target = tuple(-1 if size is None else size for size in call.config.items("target_shape"))
    if not all(is_integer(size) and (size == -1 or size > 0) for size in target) or len(target) > 32:
        raise call.config.wrong("target_shape", "positive whole numbers, and -1 at most once")
    return Reshape(tuple(size for size in target if is_integer(size)))


def _permute(call: LayerCall) -> Layer:
    dims = call.config.integers("dims")
    if sorted(dims) != list(range(1, len(call.shape) + 1)):
        raise call.config.wrong("dims", f"the numbers 1 to {len(call.shape)} in some order")
    return Permute(tuple(axis - 1 for axis in dims))


def _merge(layer: Layer) -> Translator:
    def translate(call: LayerCall) -> tuple[Step, ...]:
        if any(values is not None for values in call.constants):
            raise UnsupportedError("a merge with a constant", accepted="tensors", remedy="use Rescaling for constants")
        if not call.shapes:
            raise ModelFileError("called without operands", where=call.where)
        return (Step(Identity() if len(call.shapes) == 1 else layer),)

    return translate


def _concatenate(call: LayerCall) -> Layer:
    if len(call.shapes) != len(call.constants) or not call.shapes:
        raise UnsupportedError("a concatenation with a constant", accepted="tensors")
    axis = call.axis(call.config.integer("axis", -1), call.shapes[0])
    return Identity() if len(call.shapes) == 1 else Concatenate(axis)


def _dot(call: LayerCall) -> Layer:
    if call.config.flag("normalize", False):
        raise UnsupportedError("Dot with normalize (cosine proximity)", accepted="normalize=False")
    if len(call.shapes) != 2:
        raise ModelFileError(f"Dot of {len(call.shapes)} operands", where=call.where, accepted="two")
    axes = call.config.integers("axes")
    if len(axes) not in (1, 2):
        raise call.config.wrong("axes", "a whole number or two of them")
    return Dot((call.axis(axes[0], call.shapes[0]), call.axis(axes[-1], call.shapes[1])))


_BATCH_NORMALIZATION = Translation(unary(_batch_normalization), "BatchNormalization")
_AFFINE = "BatchNormalization, or Multiply and Add"
_IDENTITY = Translation(unary(lambda _: Identity()), "Identity")

LAYERS: dict[str, Translation] = {
    "InputLayer": Translation(joining(_input), "Input"),
    "Dense": Translation(_dense, "Dense, and its activation"),
    "BinaryDense": Translation(_levels(BinaryTanh()), "Dense, and its activation"),
    "TernaryDense": Translation(_levels(TernaryTanh()), "Dense, and its activation"),
    "Activation": Translation(
        _activation,
        "Activation, HardActivation, ReLU, Softmax, BinaryTanh, TernaryTanh or Identity; Reduce and Subtract; or Slice, "
        "Activation and Multiply",
    ),
    "ReLU": Translation(unary(lambda call: relu(call.config)), "ReLU"),
    "LeakyReLU": Translation(unary(lambda call: leaky_relu(call.config)), "ReLU"),
    "ThresholdedReLU": Translation(unary(lambda call: thresholded_relu(call.config)), "ReLU"),
    "PReLU": Translation(unary(_prelu), "PReLU"),
    "ELU": Translation(unary(lambda call: elu(call.config)), "Activation"),
    "Softmax": Translation(lambda call: softmax(call.build, call.values[0], softmax_axis(call) + 1), "Softmax"),
    "BatchNormalization": _BATCH_NORMALIZATION,
    "BatchNormalizationV1": _BATCH_NORMALIZATION,
    "BatchNormalizationV2": _BATCH_NORMALIZATION,
    "SyncBatchNormalization": _BATCH_NORMALIZATION,
    "Rescaling": Translation(_rescaling, _AFFINE),
    "Normalization": Translation(_normalization, _AFFINE),
    "Dropout": _IDENTITY,
    "AlphaDropout": _IDENTITY,
    "GaussianDropout": _IDENTITY,
    "GaussianNoise": _IDENTITY,
    "SpatialDropout1D": _IDENTITY,
    "SpatialDropout2D": _IDENTITY,
    "SpatialDropout3D": _IDENTITY,
    "ActivityRegularization": _IDENTITY,
    "Identity": _IDENTITY,
    "Flatten": Translation(_flatten, "Flatten (after Permute for channels_first)"),
    "Reshape": Translation(unary(_reshape), "Reshape"),
    "Permute": Translation(unary(_permute), "Permute"),
    "Add": Translation(_merge(Add()), "Add"),
    "Subtract": Translation(_merge(Subtract()), "Subtract"),
    "Multiply": Translation(_merge(Multiply()), "Multiply"),
    "Average": Translation(_merge(Average()), "Average"),
    "Maximum": Translation(_merge(Maximum()), "Maximum"),
    "Minimum": Translation(_merge(Minimum()), "Minimum"),
    "Concatenate": Translation(joining(_concatenate), "Concatenate"),
    "Dot": Translation(joining(_dot), "Dot"),
    **SPATIAL,
    **EMBEDDINGS,
    **NORMALIZATIONS,
    **RECURRENT,
    "TimeDistributed": time_distributed(lambda name: LAYERS.get(name)),
    **ATTENTION,
    **EINSUMS,
    **SHAPES,
}
"""Layers by class name."""
