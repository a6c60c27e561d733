"""PyTorch's activations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.torch.arithmetic import ZERO, clipping, product
from bitsmith.frontends.torch.call import Call, Result, Translation
from bitsmith.frontends.torch.selection import sliced
from bitsmith.ir.ops import Relation
from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.elementwise import Absolute
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.logic import Comparison, Where
from bitsmith.layers.merge import Subtract
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.softmax import Softmax

_LINEAR_FROM = 16.0
"""Where softplus is as good as linear in single precision: what is linear from there on does not differ."""


def _function(layer: Layer, name: str = "self") -> Translation:
    return Translation(lambda call: call.build.emit(layer, call.tensor(name)), layer.kind)


def _hardtanh(call: Call) -> Result:
    return call.build.emit(clipping(call.number("min_val", -1.0), call.number("max_val", 1.0)), call.tensor())


def _leaky_relu(call: Call) -> Result:
    return call.build.emit(ReLU(negative_slope=call.number("negative_slope", 0.01)), call.tensor())


def _rrelu(call: Call) -> Result:
    if call.flag("training"):
        raise UnsupportedError("random slopes", accepted="evaluation", remedy="call model.eval() before the export")
    slope = (call.number("lower", 0.125) + call.number("upper", 1.0 / 3.0)) / 2.0
    return call.build.emit(ReLU(negative_slope=slope), call.tensor())


def _prelu(call: Call) -> Result:
    x, slopes = call.tensor(), call.weight("weight").reshape(-1)
    if len(slopes) == 1:
        return call.build.emit(ReLU(negative_slope=float(slopes[0])), x)
    axis = x.axis(1)
    return call.build.emit(PReLU(as_weights(slopes.reshape([-1 if k == axis else 1 for k in range(len(x.shape))]))), x)


def _elu(call: Call) -> Result:
    x = call.tensor()
    scale, inner = call.number("scale", 1.0), call.number("input_scale", 1.0)
    if (scale, inner) != (1.0, 1.0):
        raise UnsupportedError(f"elu with the scales {scale} and {inner}", accepted="1, and selu")
    return call.build.emit(Activation("elu", call.number("alpha", 1.0)), x)


def _celu(call: Call) -> Result:
    return call.build.emit(Activation("celu", call.number("alpha", 1.0)), call.tensor())


def _gelu(call: Call) -> Result:
    names = {"none": "gelu", "tanh": "gelu_tanh"}
    approximate = call.text("approximate", "none")
    if approximate not in names:
        raise UnsupportedError(f"gelu by {shown(approximate)}", accepted=", ".join(names))
    return call.build.emit(Activation(names[approximate]), call.tensor())


def _softplus(call: Call) -> Result:
    x, beta, threshold = call.tensor(), call.number("beta", 1.0), call.number("threshold", 20.0)
    if threshold < _LINEAR_FROM or beta <= 0.0:
        raise UnsupportedError(
            f"softplus that is linear from {threshold} on, of {beta} * x",
            accepted=f"a threshold of at least {_LINEAR_FROM:g}, and a positive beta",
        )
    if beta == 1.0:
        return call.build.emit(Activation("softplus"), x)
    y = call.build.emit(Activation("softplus"), call.build.affine(x, constant(beta), ZERO, "scaled"), suffix="softplus")
    return call.build.affine(y, constant(1.0 / beta), ZERO)


def _threshold(call: Call) -> Result:
    x, threshold, value = call.tensor(), call.number("threshold"), call.number("value")
    if value == 0.0 and threshold >= 0.0:
        return call.build.emit(ReLU(threshold=threshold), x)
    above = call.build.joined(Comparison(Relation.GT), x, constant(threshold), suffix="above")
    return call.build.joined(Where(), above, x, constant(value))


def _hardshrink(call: Call) -> Result:
    x, bound = call.tensor(), call.number("lambd", 0.5)
    if bound == 0.5:
        return call.build.emit(Activation("hard_shrink"), x)
    size = call.build.emit(Absolute(), x, suffix="magnitude")
    return call.build.joined(
        Where(), call.build.joined(Comparison(Relation.GT), size, constant(bound), suffix="above"), x, ZERO
    )


def _softshrink(call: Call) -> Result:
    x, bound = call.tensor(), call.number("lambd", 0.5)
    if bound == 0.5:
        return call.build.emit(Activation("soft_shrink"), x)
    return call.build.joined(Subtract(), x, call.build.emit(clipping(-bound, bound), x, suffix="clipped"))


def _glu(call: Call) -> Result:
    x = call.tensor()
    axis = x.axis(call.integer("dim", -1))
    half = x.shape[axis] // 2
    left, right = sliced(call, x, axis, range(half), "left"), sliced(call, x, axis, range(half, 2 * half), "right")
    return product(call, left, call.build.emit(Activation("sigmoid"), right, suffix="sigmoid"))


def softmax(call: Call, x: Value, dim: int, suffix: str = "") -> Value:
    """Softmax along torch's axis ``dim``; what is hidden has a probability of 0."""
    axis = x.axis(dim)
    if x.constant is not None and bool(np.any(np.isneginf(x.constant))):
        raise UnsupportedError("softmax of constants with minus infinity", accepted="finite constants")
    return call.build.emit(Softmax(axis - len(x.shape), x.mask), replace(x, mask=None), suffix=suffix)


def _softmax(call: Call) -> Result:
    return softmax(call, call.tensor(masked=True), call.integer("dim"))


def _log_softmax(call: Call) -> Result:
    x = call.tensor()
    axis = x.axis(call.integer("dim"))
    total = replace(
        call.build.emit(Reduce(Reduction.LOG_SUM_EXP, (axis,), True), x, suffix="log_sum_exp"), batch=x.batch
    )
    return call.build.joined(Subtract(), x, total)


ACTIVATIONS: dict[str, Translation] = {
    "relu": _function(ReLU()),
    "relu6": _function(ReLU(max_value=6.0)),
    "hardtanh": Translation(_hardtanh, "HardActivation or ReLU"),
    "leaky_relu": Translation(_leaky_relu, "ReLU"),
    "rrelu": Translation(_rrelu, "ReLU"),
    "prelu": Translation(_prelu, "PReLU or ReLU"),
    "_prelu_kernel": Translation(_prelu, "PReLU or ReLU"),
    "elu": Translation(_elu, "Activation"),
    "celu": Translation(_celu, "Activation"),
    "selu": _function(Activation("selu")),
    "gelu": Translation(_gelu, "Activation"),
    "silu": _function(Activation("silu")),
    "mish": _function(Activation("mish")),
    "sigmoid": _function(Activation("sigmoid")),
    "special_expit": _function(Activation("sigmoid")),
    "tanh": _function(Activation("tanh")),
    "hardsigmoid": _function(HardActivation(1.0 / 6.0, 0.5, 0.0, 1.0)),
    "hardswish": _function(Activation("hard_silu")),
    "softplus": Translation(_softplus, "Activation"),
    "log_sigmoid": _function(Activation("log_sigmoid")),
    "threshold": Translation(_threshold, "ReLU, or Comparison and Where"),
    "hardshrink": Translation(_hardshrink, "Activation, or Comparison and Where"),
    "softshrink": Translation(_softshrink, "Activation, or HardActivation and Subtract"),
    "glu": Translation(_glu, "Slice, Activation and Multiply"),
    "softmax": Translation(_softmax, "Softmax"),
    "_softmax": Translation(_softmax, "Softmax"),
    "log_softmax": Translation(_log_softmax, "Reduce and Subtract"),
    "_log_softmax": Translation(_log_softmax, "Reduce and Subtract"),
}
"""Operators by name."""
