"""ONNX's activations."""

from collections.abc import Callable
from dataclasses import replace

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import MixedSamplesError, Value
from bitsmith.frontends.onnx.arithmetic import operation
from bitsmith.frontends.onnx.call import Call, Operators, Translation, function
from bitsmith.frontends.ops import activations
from bitsmith.layers.functions import SELU_ALPHA, SELU_SCALE
from bitsmith.layers.shape import Reshape


def _shrink(call: Call) -> Value:
    """``x - bias`` above ``lambd``, ``x + bias`` below ``-lambd``, 0 between."""
    bound, bias = call.attributes.number("lambd", 0.5), call.attributes.number("bias", 0.0)
    if bound < 0.0 or bias not in (0.0, bound):
        raise UnsupportedError(
            f"lambd={bound:g} with bias={bias:g}", accepted="bias=lambd or bias=0, and lambd from 0 on"
        )
    shrink = activations.soft_shrink if bias == bound else activations.hard_shrink
    return shrink(call.build, call.tensor(0), bound)


def _along_axis(make: Callable[[Builder, Value, int], Value], becomes: str) -> Translation:
    """A function along one axis; before operator set 13 all axes from that one on count as one."""

    def read(call: Call) -> Value:
        x = call.tensor(0)
        if call.opset >= 13:
            return make(call.build, x, call.attributes.integer("axis", -1))
        axis = x.counted(call.attributes.integer("axis", 1)) if x.rank > 1 else 0
        if x.batch is not None and axis <= x.batch.axis:
            raise MixedSamplesError("normalizes all samples together")
        longest = [k for k in range(axis, x.rank) if x.dims[k] > 1]
        if len(longest) <= 1:
            return make(call.build, x, longest[0] if longest else -1)
        shape = x.shape[: x.axis(axis)]
        flat = replace(call.build.emit(Reshape((*shape, -1)), x, suffix="flat"), batch=x.batch)
        return replace(call.build.emit(Reshape(x.shape), make(call.build, flat, -1), suffix="shape"), batch=x.batch)

    return Translation(read, becomes)


_ALIKE = ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Mish", "Erf")

ACTIVATIONS: Operators = {
    **{name: operation(name.lower()) for name in _ALIKE},
    "HardSwish": operation("hard_silu"),
    "LeakyRelu": operation("relu", slope=("alpha", 0.01)),
    "ThresholdedRelu": operation("relu", threshold=("alpha", 1.0)),
    "HardSigmoid": operation("hard_sigmoid", slope=("alpha", 0.2), offset=("beta", 0.5)),
    "Gelu": function(activations.gelu, "Activation", lambda call: call.attributes.text("approximate", "none")),
    "Elu": operation("elu", alpha=("alpha", 1.0)),
    "Celu": operation("celu", alpha=("alpha", 1.0)),
    "Selu": operation("elu", alpha=("alpha", SELU_ALPHA), scale=("gamma", SELU_SCALE)),
    "Swish": operation("silu", alpha=("alpha", 1.0)),
    "Shrink": Translation(_shrink, "Activation, HardActivation and Subtract, or Absolute, Comparison and Where"),
    "PRelu": function(activations.prelu, "PReLU", lambda call: call.trained(1, "the slope")),
    "Softmax": _along_axis(activations.softmax, "Softmax"),
    "Hardmax": _along_axis(activations.hard_max, "ArgMax and Comparison"),
    "LogSoftmax": _along_axis(activations.log_softmax, "Reduce and Subtract"),
}
