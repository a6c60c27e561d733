"""PyTorch's activations."""

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.files.json import integer
from bitsmith.frontends.ops import activations
from bitsmith.frontends.torch.arithmetic import operation
from bitsmith.frontends.torch.call import Call, Operators, Result, Translation, function


def _rrelu(call: Call) -> Result:
    if call.flag("training"):
        raise UnsupportedError("random slopes", accepted="evaluation", remedy="call model.eval() before the export")
    slope = (call.number("lower", 0.125) + call.number("upper", 1.0 / 3.0)) / 2.0
    return activations.relu(call.build, call.tensor(), slope=slope)


def _prelu(call: Call) -> Result:
    x, slopes = call.tensor(), call.trained_value("weight")
    if slopes.number is not None:
        return activations.relu(call.build, x, slope=slopes.number)
    shape = tuple(slopes.elements.size if k == x.axis(1) else 1 for k in range(len(x.shape)))
    return activations.prelu(call.build, x, call.build.viewed(slopes, shape, None))


def _logit(call: Call) -> Result:
    return activations.logit(call.build, call.tensor(), call.number("eps") if call.given("eps") else None)


def _elu(call: Call) -> Result:
    if call.number("input_scale", 1.0) != 1.0:
        raise UnsupportedError(f"elu with the input scale {call.number('input_scale')}", accepted="1")
    return activations.elu(call.build, call.tensor(), call.number("alpha", 1.0), call.number("scale", 1.0))


_TYPES = ("dtype", "half_to_float")
_SOFTMAX = function(activations.softmax, "Softmax", integer("dim")).ignoring(*_TYPES)
_LOG_SOFTMAX = function(activations.log_softmax, "Reduce and Subtract", integer("dim")).ignoring(*_TYPES)
_ALIKE = ("relu", "relu6", "selu", "silu", "mish", "sigmoid", "tanh", "log_sigmoid")
_BOUND = ("lambd", 0.5)

ACTIVATIONS: Operators = {
    **{name: operation(name) for name in _ALIKE},
    "special_expit": operation("sigmoid"),
    "hardsigmoid": operation("hard_sigmoid"),
    "hardswish": operation("hard_silu"),
    "hardtanh": operation("clip", low=("min_val", -1.0), high=("max_val", 1.0)),
    "leaky_relu": operation("relu", slope=("negative_slope", 0.01)),
    "rrelu": Translation(_rrelu, "ReLU"),
    **dict.fromkeys(("prelu", "_prelu_kernel"), Translation(_prelu, "PReLU or ReLU")),
    "elu": Translation(_elu, "Activation, and BatchNormalization with a scale"),
    "celu": operation("celu", alpha=("alpha", 1.0)),
    "gelu": function(activations.gelu, "Activation", lambda call: call.text("approximate", "none")),
    "softplus": operation("softplus", beta=("beta", 1.0), linear_from=("threshold", 20.0)),
    "threshold": operation("threshold", bound=("threshold", None), value=("value", None)),
    "hardshrink": operation("hard_shrink", bound=_BOUND),
    "softshrink": operation("soft_shrink", bound=_BOUND),
    **dict.fromkeys(("logit", "special_logit"), Translation(_logit, "Logarithm and Subtract")),
    "glu": function(activations.glu, "Slice, Activation and Multiply", integer("dim", -1)),
    **dict.fromkeys(("softmax", "_softmax"), _SOFTMAX),
    **dict.fromkeys(("log_softmax", "_log_softmax"), _LOG_SOFTMAX),
}
