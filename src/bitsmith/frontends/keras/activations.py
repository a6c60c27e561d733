"""Keras's activations, by name or serialized, as layers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import FunctionType
from typing import TypeAlias

from bitsmith.errors import UnsupportedError, nearest
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value, constant, real
from bitsmith.frontends.files.json import Fields, shown
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation, axes_of, axis_of
from bitsmith.frontends.keras.live import WITH_KERAS
from bitsmith.frontends.keras.quantizers.arguments import SIGNATURES
from bitsmith.frontends.keras.quantizers.quantization import Quantization
from bitsmith.frontends.keras.quantizers.quantizers import read_quantizer
from bitsmith.frontends.ops import activations
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.frontends.ops.logic import compare
from bitsmith.frontends.ops.shape import over_axes
from bitsmith.ir.ops import Relation
from bitsmith.layers.activation import Activation, HardActivation, ReLU
from bitsmith.layers.layer import Layer
from bitsmith.layers.quantization.steps import BinaryTanh, TernaryTanh

HARD_SIGMOID = {2: HardActivation(0.2, 0.5, 0.0, 1.0), 3: FUNCTIONS["hard_sigmoid"]}
"""The slope changed with Keras 3."""

_ALIKE = (
    *("sigmoid", "tanh", "softplus", "softsign", "exponential", "selu", "elu", "celu", "gelu", "silu", "mish"),
    *("hard_silu", "log_sigmoid", "tanh_shrink", "soft_shrink", "hard_shrink", "squareplus", "sparse_plus"),
    *("sparse_sigmoid", "relu", "relu1", "relu6", "hard_tanh"),
)
NAMED: dict[str, Layer] = {
    **{name: FUNCTIONS[name] for name in _ALIKE},
    "swish": FUNCTIONS["silu"],
    "hard_swish": FUNCTIONS["hard_silu"],
    "leaky_relu": ReLU(negative_slope=0.2),
    "binary_tanh": BinaryTanh(),
    "ternary_tanh": TernaryTanh(),
}
"""Activations whose meaning is that of all versions of Keras, by name; besides, there are linear and hard_sigmoid."""

AlongAxis: TypeAlias = Callable[[Builder, Value, int], Value]
"""An activation that works along an axis of the model's."""

_ALONG_AXIS: dict[str, AlongAxis] = {
    "softmax": activations.softmax,
    "log_softmax": activations.log_softmax,
    "glu": activations.glu,
}

ACTIVATION_NAMES = (*sorted([*NAMED, *_ALONG_AXIS, "hard_sigmoid", "linear"]),)
_OWN = "give a live model, where the function ends a layer or is called on its result, function(Dense(8)(x)): keras.ops are read"


def _relu(config: Fields) -> Layer:
    limit = None if config.get("max_value") is None else config.number("max_value")
    slope, threshold = config.number("negative_slope", 0.0), config.number("threshold", 0.0)
    for key, value in (("max_value", limit), ("threshold", threshold)):
        if value is not None and value < 0.0:
            raise config.wrong(key, "no negative number")
    return ReLU(limit, slope, threshold)


def _leaky_relu(config: Fields) -> Layer:
    """``negative_slope`` of Keras 3 is ``alpha`` of Keras 2."""
    return ReLU(negative_slope=config.number("negative_slope" if config.get("alpha") is None else "alpha", 0.3))


_LAYERS: dict[str, tuple[str, Callable[[Fields], Layer]]] = {
    "ReLU": ("relu", _relu),
    "LeakyReLU": ("leaky_relu", _leaky_relu),
    "ThresholdedReLU": ("thresholded_relu", lambda config: ReLU(threshold=config.number("theta", 1.0))),
    "ELU": ("elu", lambda config: Activation("elu", config.number("alpha", 1.0))),
}
"""Layers of one function, which Keras accepts as activations too."""


def _layer(read: Callable[[Fields], Layer], becomes: str) -> Translation:
    return Translation(lambda call: call.build.emit(read(call.config), real(call.x)), becomes)


def along_axis(make: AlongAxis, becomes: str) -> Translation:
    """A function along the one axis that the call names."""
    return Translation(lambda call: make(call.build, call.x, axis_of(call.config, -1)), becomes)


def _softmax(call: LayerCall) -> Value:
    """Softmax; with a mask, of what it says."""
    mask = call.argument("mask")
    first = call.given.args[0] if call.given.args else None
    if not isinstance(first, Value) or len(call.given.args) > 1:
        raise call.config.error(f"called on {len(call.given.args)} arguments", "one tensor")
    if mask is None:
        return over_axes(call.build, first, axes_of(call.config, -1), activations.softmax)
    kept = mask if isinstance(mask, Value) else constant(call.numbers("mask"))
    kept = compare(call.build, Relation.GT, kept, constant(0.5), "kept")
    return activations.softmax(call.build, first, axis_of(call.config, -1), kept)


ACTIVATION_LAYERS: ByClass = {
    **{name: _layer(read, read(Fields({}, "")).kind) for name, (_, read) in _LAYERS.items()},
    "Softmax": Translation(_softmax, "Softmax", frozenset({"mask"})),
}


@dataclass(frozen=True, slots=True)
class Activated:
    """An activation and its name."""

    name: str
    function: Layer | AlongAxis

    def of(self, build: Builder, x: Value, axis: int = -1) -> Value:
        """The activation of ``x``, where Keras's last axis is ``axis``."""
        build = replace(build, source="Softmax" if self.name == "softmax" else "Activation")
        return build.emit(self.function, real(x)) if isinstance(self.function, Layer) else self.function(build, x, axis)


def quantized_activation(quantizer: Quantization) -> Activated:
    """A quantizer of QKeras as an activation."""
    layers = quantizer.layers()
    if len(layers) == 1:
        return Activated(quantizer.name, layers[0])

    def function(build: Builder, x: Value, _: int) -> Value:
        for layer in layers[:-1]:
            x = build.emit(layer, x, suffix=layer.kind.lower())
        return build.emit(layers[-1], x)

    return Activated(quantizer.name, function)


def check_functions(config: Fields, live: object) -> None:
    """Rejects functions of a live layer that Keras saves under the name of a built-in one, also in wrapped layers and cells.

    Raises:
        UnsupportedError: a function of another package, or of the user's, which has only its name in common.
    """
    for key, value in config.values.items():
        held = getattr(live, key, None)
        if (
            isinstance(value, str)
            and isinstance(held, FunctionType)
            and held.__module__.partition(".")[0] not in WITH_KERAS
        ):
            found = f"the {key} is the function {shown(value)} of {shown(held.__module__)}, which Keras saves by that name alone"
            raise UnsupportedError(found, accepted=f"{key}={value!r}, the function of Keras", remedy=_OWN)
        inside = value if isinstance(value, list) else [value]
        for inner, part in zip(inside, held if isinstance(held, list | tuple) else [held], strict=False):
            fields = inner.get("config") if isinstance(inner, dict) else None
            if isinstance(fields, dict) and part is not None:
                check_functions(Fields(fields, config.where), part)


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
        raise config.wrong(key, "a name or a serialized function")
    return None


def _named(name: str, major: int) -> Activated | None:
    functions: dict[str, Layer | AlongAxis] = {**NAMED, **_ALONG_AXIS, "hard_sigmoid": HARD_SIGMOID[major]}
    if name == "linear":
        return None
    return Activated(name, functions[name]) if name in functions else _of_layer(name, Fields({}, ""))


def _of_layer(class_name: str, config: Fields) -> Activated:
    """The function of a layer that Keras accepts as an activation."""
    if class_name == "Softmax":  # only the last axis is known to exist
        if config.get("axis") not in (None, -1, [-1]):
            feature = f"softmax along axis {shown(config.get('axis'))} as an activation"
            raise UnsupportedError(feature, accepted="the last axis", remedy="use a Softmax layer")
        return Activated("softmax", activations.softmax)
    if class_name not in _LAYERS:
        feature, accepted = f"the activation {shown(class_name)}", nearest([class_name], ACTIVATION_NAMES)
        raise UnsupportedError(feature, accepted=accepted, remedy=_OWN)
    name, read = _LAYERS[class_name]
    return Activated(name, read(config))


def _serialized(value: Fields, major: int) -> Activated | None:
    if "value" in value.values or value.get("class_name") == "__lambda__":  # of live models, and of files
        raise UnsupportedError("a Python lambda as an activation", accepted=nearest([], ACTIVATION_NAMES), remedy=_OWN)
    class_name, registered, config = value.text("class_name"), value.text("registered_name", ""), value.get("config")
    if class_name.rpartition(">")[2] in SIGNATURES:
        quantizer = read_quantizer(dict(value.values), value.where, major)
        return None if quantizer is None else quantized_activation(quantizer)
    if ">" in registered:
        found = f"the custom activation {shown(registered)}, whose code is not part of the file"
        raise UnsupportedError(found, accepted=nearest([registered.rpartition(">")[2]], ACTIVATION_NAMES), remedy=_OWN)
    if class_name == "function" and isinstance(config, str):
        return _named(config, major)
    inner = Fields(config if isinstance(config, dict) else {}, value.where)
    return read_activation(inner, major) if class_name == "Activation" else _of_layer(class_name, inner)
