"""Operators on numbers that mean what they do in other frameworks, and the activations that kernels fuse with them."""

from collections.abc import Callable

from bitsmith.errors import one_of
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.frontends.ops.operations import OPERATIONS
from bitsmith.frontends.tflite.call import Call, Entry, Translation
from bitsmith.layers.activation import HardActivation
from bitsmith.layers.layer import Layer

_FUSED: dict[str, Layer] = {
    "RELU": FUNCTIONS["relu"],
    "RELU_N1_TO_1": FUNCTIONS["hard_tanh"],
    "RELU6": FUNCTIONS["relu6"],
    "RELU_0_TO_1": HardActivation(1.0, 0.0, 0.0, 1.0),
    "TANH": FUNCTIONS["tanh"],
}
"""Activations by the names of options and operators."""


def fused(call: Call, make: Callable[[Builder], Value]) -> Value:
    """Emit ``make`` and the activation that the options name."""
    key = "fused_activation_function"
    name = call.options.text(key) if key in call.options.values else "NONE"
    return make(call.build) if name == "NONE" else activated(call, name, make(call.build.within("linear")))


def activated(call: Call, name: str, x: Value) -> Value:
    """An activation of ``x``."""
    return call.build.emit(one_of(_FUSED, name, f"the fused activation {name}"), x, kind=x.kind)


def activation(name: str) -> Translation:
    """An operator that is an activation."""
    return Translation(lambda call: activated(call, name, call.value(0)), _FUSED[name].kind)


def operation(name: str, **numbers: str) -> Translation:
    """A shared operation on the first operands; the options that are its numbers."""
    shared = OPERATIONS[name]

    def read(call: Call) -> Value:
        call.options.ignore("pot_scale_int16")  # which codes alone have
        given = {key: call.options.number(option) for key, option in numbers.items()}
        operands = [call.value(number) for number in range(shared.count)]
        return fused(call, lambda build: shared.make(build, *operands, **given))

    return Translation(read, shared.becomes)


def on_numbers(**names: str) -> dict[str, Entry]:
    """Operators that are shared operations on numbers, and have no kernels on codes that are translated."""
    return {name: Entry(numbers=operation(shared)) for name, shared in names.items()}
