"""ONNX's activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.onnx.call import Call, Translation, unary
from bitsmith.frontends.onnx.values import Kind, MixedSamplesError, Tensor, floats
from bitsmith.ir.ops import Relation
from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.functions import SELU_ALPHA, SELU_SCALE
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.logic import Comparison
from bitsmith.layers.merge import Multiply, Subtract
from bitsmith.layers.reduction import ArgMax, Reduce, Reduction
from bitsmith.layers.shape import Reshape
from bitsmith.layers.softmax import Softmax

_ZERO = np.zeros(())

_Build: TypeAlias = Callable[[Tensor, int], Tensor]
_Read: TypeAlias = Callable[[Call], Layer]


def _leaky(call: Call) -> Layer:
    return ReLU(negative_slope=call.attributes.number("alpha", 0.01))


def _hard_sigmoid(call: Call) -> Layer:
    return HardActivation(call.attributes.number("alpha", 0.2), call.attributes.number("beta", 0.5), 0.0, 1.0)


def _thresholded(call: Call) -> Layer:
    threshold = call.attributes.number("alpha", 1.0)
    if threshold < 0.0:
        raise UnsupportedError(f"the threshold {threshold:g}", accepted="no negative number")
    return ReLU(threshold=threshold)


def _gelu(call: Call) -> Layer:
    kind = call.attributes.text("approximate", "none")
    if kind not in ("none", "tanh"):
        raise call.attributes.wrong("approximate", "none or tanh")
    return Activation("gelu" if kind == "none" else "gelu_tanh")


def _selu(call: Call) -> Tensor:
    alpha, gamma = call.attributes.number("alpha", SELU_ALPHA), call.attributes.number("gamma", SELU_SCALE)
    x = call.tensor(0)
    if math.isclose(alpha, SELU_ALPHA, rel_tol=1e-6) and math.isclose(gamma, SELU_SCALE, rel_tol=1e-6):
        return call.alike(Activation("selu"), x)
    y = call.alike(Activation("elu", alpha), x, "elu")
    return call.affine(y, call.aligned([y]), as_weights(gamma), _ZERO)


def _shrink(call: Call) -> Tensor:
    """``x - bias`` above ``lambd``, ``x + bias`` below ``-lambd``, 0 between."""
    bound, bias = call.attributes.number("lambd", 0.5), call.attributes.number("bias", 0.0)
    x = call.tensor(0)
    if bound == bias and bound >= 0.0:
        middle = call.alike(HardActivation(1.0, 0.0, -bound, bound), x, "clip")
        return call.combine(Subtract(), [x, middle])
    if (bound, bias) != (0.5, 0.0):
        raise UnsupportedError(f"lambd={bound:g} with bias={bias:g}", accepted="bias=lambd, or lambd=0.5 and bias=0")
    return call.alike(Activation("hard_shrink"), x)


def _swish(call: Call) -> Tensor:
    alpha = call.attributes.number("alpha", 1.0)
    x = call.tensor(0)
    if alpha == 1.0:
        return call.alike(Activation("silu"), x)
    scaled = call.affine(x, call.aligned([x]), as_weights(alpha), _ZERO, "scaled")
    return call.combine(Multiply(), [x, call.alike(Activation("sigmoid"), scaled, "sigmoid")])


def _prelu(call: Call) -> Tensor:
    x = call.tensor(0)
    slope = call.known(1, "the slope")
    if slope is None:
        raise UnsupportedError("no slope")
    aligned = call.aligned([x, slope])
    match aligned.operands:
        case (Tensor() as operand, np.ndarray() as values) if aligned.batch == x.batch:
            return call.alike(PReLU(floats(values)), operand)
    raise UnsupportedError("slopes of more axes than the tensor", accepted="slopes that broadcast to it")


def _softmax(call: Call) -> Tensor:
    mask = call.masked(0).mask
    if mask is not None and call.opset < 13:
        raise UnsupportedError("a mask before operator set 13", remedy="export the model with operator set 13 or later")
    return _along_axis(call, lambda x, axis: call.alike(Softmax(axis, mask), x))


def _log_softmax(call: Call) -> Tensor:
    def build(x: Tensor, axis: int) -> Tensor:
        call.tensor(0)  # which has no mask
        total = call.alike(Reduce(Reduction.LOG_SUM_EXP, (axis,), keepdims=True), x, "logsumexp")
        return call.combine(Subtract(), [x, total])

    return _along_axis(call, build)


def _hardmax(call: Call) -> Tensor:
    """1 at the first of the greatest elements, 0 elsewhere."""

    def build(x: Tensor, axis: int) -> Tensor:
        call.tensor(0)  # which has no mask
        index = call.alike(ArgMax(axis, keepdims=True), x, "index", kind=Kind.WHOLE)
        places = np.arange(x.shape[axis]).reshape(-1, *(1,) * (len(x.shape) - axis - 1))
        count = call.constant(as_weights(places), name=f"{call.name}_places")
        equal = Comparison(Relation.EQ)
        return call.emit(equal, (index, count), "", batch=x.batch, merged=x.merged)

    return _along_axis(call, build)


def _along_axis(call: Call, build: _Build) -> Tensor:
    """A function along one axis; before operator set 13 all axes from that one on count as one."""
    x = call.masked(0)
    if call.opset >= 13:
        return build(x, x.axis(call.attributes.integer("axis", -1)))
    axis = x.counted(call.attributes.integer("axis", 1)) if x.rank > 1 else 0
    if x.batch is not None and axis <= x.batch:
        raise MixedSamplesError("normalises all samples together")
    first = axis - int(x.has_pure_batch)
    joined = x.shape[first:]
    longest = [size for size in joined if size > 1]
    if len(longest) <= 1:
        place = joined.index(longest[0]) if longest else len(joined) - 1
        return build(x, first + place)
    flat = call.emit(Reshape((*x.shape[:first], -1)), (x,), "flat", batch=x.batch, merged=x.merged)
    y = build(flat, first)
    return call.emit(Reshape(x.shape), (y,), "shape", batch=x.batch, merged=x.merged)


_FUNCTIONS = {
    "Relu": ReLU(),
    "Sigmoid": Activation("sigmoid"),
    "Tanh": Activation("tanh"),
    "Softplus": Activation("softplus"),
    "Softsign": Activation("softsign"),
    "HardSwish": Activation("hard_silu"),
    "Mish": Activation("mish"),
    "Erf": Activation("erf"),
}


def _parametrized(read: _Read, becomes: str) -> Translation:
    return Translation(lambda call: call.alike(read(call), call.tensor(0)), becomes)


ACTIVATIONS: dict[str, Translation] = {
    **{name: unary(layer) for name, layer in _FUNCTIONS.items()},
    "LeakyRelu": _parametrized(_leaky, "ReLU"),
    "ThresholdedRelu": _parametrized(_thresholded, "ReLU"),
    "HardSigmoid": _parametrized(_hard_sigmoid, "HardActivation"),
    "Gelu": _parametrized(_gelu, "Activation"),
    "Elu": _parametrized(lambda call: Activation("elu", call.attributes.number("alpha", 1.0)), "Activation"),
    "Celu": _parametrized(lambda call: Activation("celu", call.attributes.number("alpha", 1.0)), "Activation"),
    "Selu": Translation(_selu, "Activation"),
    "Swish": Translation(_swish, "Activation, and Multiply"),
    "Shrink": Translation(_shrink, "Activation, or HardActivation and Subtract"),
    "PRelu": Translation(_prelu, "PReLU"),
    "Softmax": Translation(_softmax, "Softmax"),
    "Hardmax": Translation(_hardmax, "ArgMax and Comparison"),
    "LogSoftmax": Translation(_log_softmax, "Reduce and Subtract"),
}
"""Operators by name."""
