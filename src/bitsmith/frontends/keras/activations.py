"""Keras's activations, by name or serialised, as layers."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import Fields, Json, shown
from bitsmith.frontends.ops import activations
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.layers.activation import Activation, HardActivation, ReLU
from bitsmith.layers.layer import Layer
from bitsmith.layers.softmax import Softmax
from bitsmith.layers.steps import BinaryTanh, TernaryTanh

HARD_SIGMOID = {2: HardActivation(0.2, 0.5, 0.0, 1.0), 3: FUNCTIONS["hard_sigmoid"]}
"""The slope changed with Keras 3."""

NAMED: dict[str, Layer] = {
    **{
        name: FUNCTIONS[name]
        for name in (
            *("sigmoid", "tanh", "softplus", "softsign", "exponential", "selu", "elu", "celu", "gelu", "silu", "mish"),
            *("hard_silu", "log_sigmoid", "tanh_shrink", "soft_shrink", "hard_shrink", "squareplus", "sparse_plus"),
            *("sparse_sigmoid", "relu", "relu6", "hard_tanh"),
        )
    },
    "swish": FUNCTIONS["silu"],
    "hard_swish": FUNCTIONS["hard_silu"],
    "leaky_relu": ReLU(negative_slope=0.2),
    "softmax": Softmax(),
    "binary_tanh": BinaryTanh(),
    "ternary_tanh": TernaryTanh(),
}
"""Activations whose meaning is that of all versions of Keras, by name; besides, there are linear and hard_sigmoid."""


class Composite(enum.Enum):
    """Activations of several layers, which work along an axis."""

    LOG_SOFTMAX = "log_softmax"
    GLU = "glu"


ACTIVATION_NAMES = (*sorted([*NAMED, *(one.value for one in Composite), "hard_sigmoid", "linear"]),)


def relu(config: Fields) -> Layer:
    """The ReLU layer."""
    limit = None if config.get("max_value") is None else config.number("max_value")
    slope, threshold = config.number("negative_slope", 0.0), config.number("threshold", 0.0)
    for key, value in (("max_value", limit), ("threshold", threshold)):
        if value is not None and value < 0.0:
            raise config.wrong(key, "no negative number")
    return ReLU(limit, slope, threshold)


def leaky_relu(config: Fields) -> Layer:
    """The LeakyReLU layer: ``negative_slope`` of Keras 3 is ``alpha`` of Keras 2."""
    return ReLU(negative_slope=config.number("negative_slope" if config.get("alpha") is None else "alpha", 0.3))


def thresholded_relu(config: Fields) -> Layer:
    """The ThresholdedReLU layer of Keras 2."""
    return ReLU(threshold=config.number("theta", 1.0))


def elu(config: Fields) -> Layer:
    """The ELU layer."""
    return Activation("elu", config.number("alpha", 1.0))


def softmax(config: Fields) -> Layer:
    """The Softmax layer as an activation, where only the last axis is known to exist."""
    if config.get("axis") not in (None, -1, [-1]):
        raise UnsupportedError(
            f"softmax along axis {shown(config.get('axis'))} as an activation",
            accepted="the last axis",
            remedy="use a Softmax layer",
        )
    return Softmax()


LayerActivation: TypeAlias = Callable[[Fields], Layer]

_LAYERS: dict[str, tuple[str, LayerActivation]] = {
    "ReLU": ("relu", relu),
    "LeakyReLU": ("leaky_relu", leaky_relu),
    "ThresholdedReLU": ("thresholded_relu", thresholded_relu),
    "ELU": ("elu", elu),
    "Softmax": ("softmax", softmax),
}
"""Layers that Keras accepts as activations."""


@dataclass(frozen=True, slots=True)
class Activated:
    """An activation and its name; those that work along an axis take Keras's last one."""

    name: str
    function: Layer | Composite

    def of(self, build: Builder, x: Value, axis: int = -1) -> Value:
        """The activation of ``x``, where Keras's last axis is ``axis``."""
        build = replace(build, source="Activation")
        match self.function:
            case Composite.LOG_SOFTMAX:
                return activations.log_softmax(build, x, axis)
            case Composite.GLU:
                return activations.glu(build, x, axis)
            case Softmax():
                return activations.softmax(replace(build, source="Softmax"), x, axis)
            case Layer():
                return build.emit(self.function, x)


def activated(build: Builder, y: Value, found: Activated | None, axis: int = -1) -> Value:
    """``y``, which a layer has computed, and the layer's activation; Keras's last axis is ``axis``."""
    return y if found is None else found.of(build.within(found.name), y, axis)


def read_activation(config: Fields, major: int, key: str = "activation") -> Activated | None:
    """The activation in ``config``; None is linear.

    Raises:
        UnsupportedError: a function that is not built in or cannot be translated.
    """
    value = config.get(key)
    if isinstance(value, str):
        return _named(value, major)
    if isinstance(value, dict):
        return _serialized(Fields(value, config.where), major)
    if value is not None:
        raise config.wrong(key, "a name or a serialised function")
    return None


def _named(name: str, major: int) -> Activated | None:
    if name == "linear":
        return None
    if name == "hard_sigmoid":
        return Activated(name, HARD_SIGMOID[major])
    if name in NAMED:
        return Activated(name, NAMED[name])
    if name in [one.value for one in Composite]:
        return Activated(name, Composite(name))
    if name in _LAYERS:
        label, read = _LAYERS[name]
        return Activated(label, read(Fields({}, "")))
    raise UnsupportedError(f"the activation {shown(name)}", accepted=", ".join(ACTIVATION_NAMES))


def _serialized(value: Fields, major: int) -> Activated | None:
    class_name = value.text("class_name")
    registered = value.text("registered_name", "")
    config: Json = value.get("config")
    if ">" in registered:
        raise UnsupportedError(
            f"the custom activation {shown(registered)}, whose code is not part of the file",
            accepted=", ".join(ACTIVATION_NAMES),
        )
    if class_name == "function" and isinstance(config, str):
        return _named(config, major)
    if class_name == "Activation" and isinstance(config, dict):
        return read_activation(Fields(config, value.where), major)
    if class_name in _LAYERS and isinstance(config, dict):
        label, read = _LAYERS[class_name]
        return Activated(label, read(Fields(config, value.where)))
    if not isinstance(config, dict | str | None):
        raise ModelFileError(f"the activation is {shown(dict(value.values))}", where=value.where)
    raise UnsupportedError(f"the activation {shown(class_name)}", accepted=", ".join(ACTIVATION_NAMES))
