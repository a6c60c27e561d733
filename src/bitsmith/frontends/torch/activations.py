"""PyTorch's activations."""

from __future__ import annotations

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import constant
from bitsmith.frontends.ops import activations, arithmetic
from bitsmith.frontends.torch.arithmetic import function
from bitsmith.frontends.torch.call import Call, Result, Translation
from bitsmith.layers.activation import Activation


def _hardtanh(call: Call) -> Result:
    return arithmetic.clip(call.build, call.tensor(), call.number("min_val", -1.0), call.number("max_val", 1.0))


def _leaky_relu(call: Call) -> Result:
    return activations.relu(call.build, call.tensor(), slope=call.number("negative_slope", 0.01))


def _rrelu(call: Call) -> Result:
    if call.flag("training"):
        raise UnsupportedError("random slopes", accepted="evaluation", remedy="call model.eval() before the export")
    slope = (call.number("lower", 0.125) + call.number("upper", 1.0 / 3.0)) / 2.0
    return activations.relu(call.build, call.tensor(), slope=slope)


def _prelu(call: Call) -> Result:
    x, slopes = call.tensor(), call.weight("weight").reshape(-1)
    if len(slopes) == 1:
        return activations.relu(call.build, x, slope=float(slopes[0]))
    axis = x.axis(1)
    return activations.prelu(
        call.build, x, constant(slopes.reshape([-1 if k == axis else 1 for k in range(len(x.shape))]))
    )


def _elu(call: Call) -> Result:
    inner = call.number("input_scale", 1.0)
    if inner != 1.0:
        raise UnsupportedError(f"elu with the input scale {inner}", accepted="1")
    return activations.selu(call.build, call.tensor(), call.number("alpha", 1.0), call.number("scale", 1.0))


def _celu(call: Call) -> Result:
    return call.build.emit(Activation("celu", call.number("alpha", 1.0)), call.tensor())


def _gelu(call: Call) -> Result:
    return activations.gelu(call.build, call.tensor(), call.text("approximate", "none"))


def _softplus(call: Call) -> Result:
    return activations.softplus(call.build, call.tensor(), call.number("beta", 1.0), call.number("threshold", 20.0))


def _threshold(call: Call) -> Result:
    return activations.threshold(call.build, call.tensor(), call.number("threshold"), call.number("value"))


def _hardshrink(call: Call) -> Result:
    return activations.hard_shrink(call.build, call.tensor(), call.number("lambd", 0.5))


def _softshrink(call: Call) -> Result:
    return activations.soft_shrink(call.build, call.tensor(), call.number("lambd", 0.5))


def _glu(call: Call) -> Result:
    return activations.glu(call.build, call.tensor(), call.integer("dim", -1))


def _softmax(call: Call) -> Result:
    return activations.softmax(call.build, call.tensor(), call.integer("dim"))


def _log_softmax(call: Call) -> Result:
    return activations.log_softmax(call.build, call.tensor(), call.integer("dim"))


_FUNCTIONS = ("relu", "relu6", "selu", "silu", "mish", "sigmoid", "tanh", "log_sigmoid")

ACTIVATIONS: dict[str, Translation] = {
    **{name: function(name) for name in _FUNCTIONS},
    "special_expit": function("sigmoid"),
    "hardsigmoid": function("hard_sigmoid"),
    "hardswish": function("hard_silu"),
    "hardtanh": Translation(_hardtanh, "HardActivation or ReLU"),
    "leaky_relu": Translation(_leaky_relu, "ReLU"),
    "rrelu": Translation(_rrelu, "ReLU"),
    **dict.fromkeys(("prelu", "_prelu_kernel"), Translation(_prelu, "PReLU or ReLU")),
    "elu": Translation(_elu, "Activation, and BatchNormalization with a scale"),
    "celu": Translation(_celu, "Activation"),
    "gelu": Translation(_gelu, "Activation"),
    "softplus": Translation(_softplus, "Activation"),
    "threshold": Translation(_threshold, "ReLU, or Comparison and Where"),
    "hardshrink": Translation(_hardshrink, "Activation, or Absolute, Comparison and Where"),
    "softshrink": Translation(_softshrink, "Activation, or HardActivation and Subtract"),
    "glu": Translation(_glu, "Slice, Activation and Multiply"),
    **dict.fromkeys(("softmax", "_softmax"), Translation(_softmax, "Softmax")),
    **dict.fromkeys(("log_softmax", "_log_softmax"), Translation(_log_softmax, "Reduce and Subtract")),
}
"""Operators by name."""
