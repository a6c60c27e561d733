"""Keras's activations, by name or serialised, as layers."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.files.json import Fields, Json, shown
from bitsmith.frontends.keras.call import Step
from bitsmith.layers.activation import Activation, HardActivation, ReLU
from bitsmith.layers.layer import Layer, Shape
from bitsmith.layers.merge import Multiply, Subtract
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.shape import Slice
from bitsmith.layers.softmax import Softmax
from bitsmith.layers.steps import BinaryTanh, TernaryTanh

HARD_SIGMOID = {2: HardActivation(0.2, 0.5, 0.0, 1.0), 3: HardActivation(1.0 / 6.0, 0.5, 0.0, 1.0)}
"""The slope changed with Keras 3."""

_TABLES = (
    "sigmoid",
    "tanh",
    "softplus",
    "softsign",
    "exponential",
    "selu",
    "elu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "hard_silu",
    "log_sigmoid",
    "tanh_shrink",
    "soft_shrink",
    "hard_shrink",
    "squareplus",
    "sparse_plus",
    "sparse_sigmoid",
)

NAMED: dict[str, Layer] = {
    **{name: Activation(name) for name in _TABLES},
    "swish": Activation("silu"),
    "hard_swish": Activation("hard_silu"),
    "relu": ReLU(),
    "relu6": ReLU(max_value=6.0),
    "leaky_relu": ReLU(negative_slope=0.2),
    "hard_tanh": HardActivation(1.0, 0.0, -1.0, 1.0),
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

    def steps(self, operand: int | str, shape: Shape, suffix: str = "", axis: int = -1) -> tuple[Step, ...]:
        """The activation of ``operand``, where Keras's last axis is ``axis``; its result is the step ``suffix``.

        Steps' sources are the Keras classes whose settings a user would give them.
        """
        match self.function:
            case Composite.LOG_SOFTMAX:
                return log_softmax(operand, suffix, axis)
            case Composite.GLU:
                return glu(operand, shape, suffix, axis)
            case Softmax():
                return (Step(Softmax(axis), suffix, "Softmax", (operand,)),)
            case Layer():
                return (Step(self.function, suffix, "Activation", (operand,)),)


def log_softmax(operand: int | str, suffix: str, axis: int) -> tuple[Step, ...]:
    """``x - log(sum(exp(x)))``."""
    total = _part(suffix, "log_sum_exp")
    return (
        Step(Reduce(Reduction.LOG_SUM_EXP, (axis,), keepdims=True), total, "Activation", (operand,)),
        Step(Subtract(), suffix, "Activation", (operand, total)),
    )


def glu(operand: int | str, shape: Shape, suffix: str, axis: int) -> tuple[Step, ...]:
    """The first half of an axis times the sigmoid of the second.

    Raises:
        UnsupportedError: an odd number of elements.
    """
    half, odd = divmod(shape[axis], 2)
    if odd:
        raise UnsupportedError(f"glu of {shape[axis]} elements", accepted="an even number")
    values, gate, sigmoid = (_part(suffix, name) for name in ("values", "gate", "sigmoid"))
    return (
        Step(_between(shape, axis, 0, half), values, "Activation", (operand,)),
        Step(_between(shape, axis, half, 2 * half), gate, "Activation", (operand,)),
        Step(NAMED["sigmoid"], sigmoid, "Activation", (gate,)),
        Step(Multiply(), suffix, "Activation", (values, sigmoid)),
    )


def _part(suffix: str, name: str) -> str:
    return "_".join(filter(None, (suffix, name)))


def _between(shape: Shape, axis: int, start: int, stop: int) -> Slice:
    starts, stops = [0] * len(shape), [*shape]
    starts[axis], stops[axis] = start, stop
    return Slice(tuple(starts), tuple(stops), (1,) * len(shape))


def followed(steps: tuple[Step, ...], shape: Shape, found: Activated | None, axis: int = -1) -> tuple[Step, ...]:
    """The layer ``steps``, a chain behind an operand of ``shape``, and its activation; Keras's last axis is ``axis``."""
    if found is None:
        return steps
    for step in steps:
        shape = step.layer.output_shape([shape])
    return (*steps, *found.steps(steps[-1].suffix, shape, found.name, axis))


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
