"""Keras 3 functional operations (``x * 2 + 1``, ``keras.ops.relu(x)``), which a saved model lists among its layers.

Unlike merge layers, operations align shapes from the right with the batch axis included, and may have constants as operands.
"""

from __future__ import annotations

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.activations import HARD_SIGMOID, NAMED, glu, log_softmax, relu
from bitsmith.frontends.keras.arithmetic import ARITHMETIC
from bitsmith.frontends.keras.call import LayerCall, Step, Translation, unary
from bitsmith.frontends.keras.einsum import EINSUM_OPS
from bitsmith.frontends.keras.layers import LAYERS, softmax_axis
from bitsmith.frontends.keras.norm import NORMALIZATION_OPS
from bitsmith.frontends.keras.pooling import POOLING_OPS
from bitsmith.frontends.keras.reduction import REDUCTIONS
from bitsmith.frontends.keras.shape import SHAPE_OPS
from bitsmith.layers.activation import Activation, ReLU
from bitsmith.layers.layer import Layer
from bitsmith.layers.shape import Identity, Permute, Reshape


def _function(layer: Layer) -> Translation:
    return Translation(unary(lambda _: layer), layer.kind)


def _fixed(key: str, value: float, name: str) -> Translation:
    """A function of which only one parameter's default is translated."""

    def read(call: LayerCall) -> Layer:
        if call.config.number(key, value) != value:
            raise UnsupportedError(f"{name} with {key} = {shown(call.config.get(key))}", accepted=f"{key} = {value}")
        return NAMED[name]

    return Translation(unary(read), "Activation")


def _gelu(call: LayerCall) -> Layer:
    return Activation("gelu_tanh" if call.config.flag("approximate", True) else "gelu")


def _log_softmax(call: LayerCall) -> tuple[Step, ...]:
    return log_softmax(0, "", softmax_axis(call))


def _glu(call: LayerCall) -> tuple[Step, ...]:
    return glu(0, call.shape, "", call.axis(call.config.integer("axis", -1), call.shape))


def _alpha(name: str) -> Translation:
    return Translation(unary(lambda call: Activation(name, call.config.number("alpha", 1.0))), "Activation")


def _reshape(call: LayerCall) -> Layer:
    target = call.config.integers("newshape")
    if not target or target[0] != -1 or any(size < 1 for size in target[1:]):
        raise UnsupportedError(
            f"reshape to {shown(call.config.get('newshape'))}, which may mix samples",
            accepted="-1, then the sizes of one sample",
            remedy="use a Reshape layer",
        )
    return Reshape(target[1:])


def _transpose(call: LayerCall) -> Layer:
    axes = call.config.integers("axes")
    if sorted(axes) != list(range(len(call.shape) + 1)) or axes[0] != 0:
        raise UnsupportedError(
            f"transposition to {shown(call.config.get('axes'))}", accepted="axes that begin with 0, the batch"
        )
    return Permute(tuple(axis - 1 for axis in axes[1:]))


def _expand_dims(call: LayerCall) -> Layer:
    shape = call.shape
    axis = call.axis(call.config.integer("axis"), (*shape, 1))
    return Reshape((*shape[:axis], 1, *shape[axis:]))


def _squeeze(call: LayerCall) -> Layer:
    shape = call.shape
    axes = [call.axis(axis, shape) for axis in call.config.integers("axis")]
    rest = tuple(size for axis, size in enumerate(shape) if axis not in axes)
    if not axes or not rest or any(shape[axis] != 1 for axis in axes):
        raise UnsupportedError(
            f"squeezing axis {shown(call.config.get('axis'))} of shape {shape}",
            accepted="named axes of size 1 that leave one",
        )
    return Reshape(rest)


OPS: dict[str, Translation] = {
    **ARITHMETIC,
    **REDUCTIONS,
    **NORMALIZATION_OPS,
    "Reshape": Translation(unary(_reshape), "Reshape"),
    "ExpandDims": Translation(unary(_expand_dims), "Reshape"),
    "Squeeze": Translation(unary(_squeeze), "Reshape"),
    "Transpose": Translation(unary(_transpose), "Permute"),
    "Identity": _function(Identity()),
    "Relu": _function(NAMED["relu"]),
    "ReLU": Translation(unary(lambda call: relu(call.config)), "ReLU"),
    "Relu6": _function(NAMED["relu6"]),
    "LeakyRelu": Translation(
        unary(lambda call: ReLU(negative_slope=call.config.number("negative_slope", 0.2))), "ReLU"
    ),
    "Elu": _alpha("elu"),
    "Celu": _alpha("celu"),
    "Gelu": Translation(unary(_gelu), "Activation"),
    "Softmax": LAYERS["Softmax"],
    "LogSoftmax": Translation(_log_softmax, "Reduce and Subtract"),
    "Glu": Translation(_glu, "Slice, Activation and Multiply"),
    "HardSigmoid": _function(HARD_SIGMOID[3]),
    "HardTanh": _function(NAMED["hard_tanh"]),
    "SoftShrink": _fixed("threshold", 0.5, "soft_shrink"),
    "HardShrink": _fixed("threshold", 0.5, "hard_shrink"),
    "Squareplus": _fixed("b", 4.0, "squareplus"),
    "Selu": _function(NAMED["selu"]),
    "Sigmoid": _function(NAMED["sigmoid"]),
    "Tanh": _function(NAMED["tanh"]),
    "Softplus": _function(NAMED["softplus"]),
    "Softsign": _function(NAMED["softsign"]),
    "Silu": _function(NAMED["silu"]),
    "HardSilu": _function(NAMED["hard_silu"]),
    "Mish": _function(NAMED["mish"]),
    "LogSigmoid": _function(NAMED["log_sigmoid"]),
    "TanhShrink": _function(NAMED["tanh_shrink"]),
    "SparsePlus": _function(NAMED["sparse_plus"]),
    "SparseSigmoid": _function(NAMED["sparse_sigmoid"]),
    **POOLING_OPS,
    **EINSUM_OPS,
    **SHAPE_OPS,
}
"""Operations by class name."""
