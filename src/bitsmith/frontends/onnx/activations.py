"""ONNX's activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import MixedSamplesError, Value
from bitsmith.frontends.onnx.arithmetic import function
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.ops import activations
from bitsmith.layers.activation import Activation, HardActivation
from bitsmith.layers.functions import SELU_ALPHA, SELU_SCALE
from bitsmith.layers.layer import Layer
from bitsmith.layers.shape import Reshape


def _hard_sigmoid(call: Call) -> Layer:
    return HardActivation(call.attributes.number("alpha", 0.2), call.attributes.number("beta", 0.5), 0.0, 1.0)


def _shrink(call: Call) -> Value:
    """``x - bias`` above ``lambd``, ``x + bias`` below ``-lambd``, 0 between."""
    bound, bias = call.attributes.number("lambd", 0.5), call.attributes.number("bias", 0.0)
    if bound < 0.0 or bias not in (0.0, bound):
        raise UnsupportedError(
            f"lambd={bound:g} with bias={bias:g}", accepted="bias=lambd or bias=0, and lambd from 0 on"
        )
    shrink = activations.soft_shrink if bias == bound else activations.hard_shrink
    return shrink(call.build, call.tensor(0), bound)


def _prelu(call: Call) -> Value:
    if call.known(1, "the slope") is None:
        raise UnsupportedError("no slope")
    return activations.prelu(call.build, call.tensor(0), call.tensor(1))


def _along_axis(build: Callable[[Call, Value, int], Value]) -> Callable[[Call], Value]:
    """A function along one axis; before operator set 13 all axes from that one on count as one."""

    def read(call: Call) -> Value:
        x = call.tensor(0)
        if call.opset >= 13:
            return build(call, x, call.attributes.integer("axis", -1))
        axis = x.counted(call.attributes.integer("axis", 1)) if x.rank > 1 else 0
        if x.batch is not None and axis <= x.batch.axis:
            raise MixedSamplesError("normalises all samples together")
        longest = [k for k in range(axis, x.rank) if x.dims[k] > 1]
        if len(longest) <= 1:
            return build(call, x, longest[0] if longest else -1)
        shape = x.shape[: x.axis(axis)]
        flat = replace(call.build.emit(Reshape((*shape, -1)), x, suffix="flat"), batch=x.batch)
        return replace(call.build.emit(Reshape(x.shape), build(call, flat, -1), suffix="shape"), batch=x.batch)

    return read


def _softmax(call: Call, x: Value, axis: int) -> Value:
    return activations.softmax(call.build, x, axis)


def _log_softmax(call: Call, x: Value, axis: int) -> Value:
    return activations.log_softmax(call.build, x, axis)


def _hard_max(call: Call, x: Value, axis: int) -> Value:
    return activations.hard_max(call.build, x, axis)


def _parametrized(read: Callable[[Call], Layer], becomes: str) -> Translation:
    return Translation(lambda call: call.build.emit(read(call), call.tensor(0)), becomes)


_FUNCTIONS = ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Mish", "Erf")

ACTIVATIONS: dict[str, Translation] = {
    **{name: function(name.lower()) for name in _FUNCTIONS},
    "HardSwish": function("hard_silu"),
    "LeakyRelu": Translation(
        lambda call: activations.relu(call.build, call.tensor(0), slope=call.attributes.number("alpha", 0.01)), "ReLU"
    ),
    "ThresholdedRelu": Translation(
        lambda call: activations.relu(call.build, call.tensor(0), threshold=call.attributes.number("alpha", 1.0)),
        "ReLU",
    ),
    "HardSigmoid": _parametrized(_hard_sigmoid, "HardActivation"),
    "Gelu": Translation(
        lambda call: activations.gelu(call.build, call.tensor(0), call.attributes.text("approximate", "none")),
        "Activation",
    ),
    "Elu": _parametrized(lambda call: Activation("elu", call.attributes.number("alpha", 1.0)), "Activation"),
    "Celu": _parametrized(lambda call: Activation("celu", call.attributes.number("alpha", 1.0)), "Activation"),
    "Selu": Translation(
        lambda call: activations.selu(
            call.build,
            call.tensor(0),
            call.attributes.number("alpha", SELU_ALPHA),
            call.attributes.number("gamma", SELU_SCALE),
        ),
        "Activation",
    ),
    "Swish": Translation(
        lambda call: activations.swish(call.build, call.tensor(0), call.attributes.number("alpha", 1.0)),
        "Activation, and Multiply",
    ),
    "Shrink": Translation(_shrink, "Activation, HardActivation and Subtract, or Absolute, Comparison and Where"),
    "PRelu": Translation(_prelu, "PReLU"),
    "Softmax": Translation(_along_axis(_softmax), "Softmax"),
    "Hardmax": Translation(_along_axis(_hard_max), "ArgMax and Comparison"),
    "LogSoftmax": Translation(_along_axis(_log_softmax), "Reduce and Subtract"),
}
"""Operators by name."""
