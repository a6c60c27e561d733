"""One use of a layer of the user's own, and the table of functions that translate such layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, TypeAlias

from bitsmith.errors import ConfigError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.custom.operators import Number
from bitsmith.frontends.custom.tensor import Tensor, constant_tensor
from bitsmith.layers.layer import Floats, Layer


@dataclass(frozen=True, slots=True)
class Call:
    """A use of a layer: what a translation gets.

    ``inputs`` are its operands, in the order of the call; ``options`` what else is known by name: a Keras layer's configuration,
    the plain arguments of a PyTorch module's ``forward``, or the attributes of an ONNX node. ``layer`` is the live layer or
    module, None of a file.
    """

    inputs: tuple[Tensor, ...]
    options: Mapping[str, object]
    layer: object
    build: Builder
    stored: Callable[[Sequence[str]], tuple[Floats, ...]]
    part: Callable[[str, tuple[Tensor, ...]], tuple[Tensor, ...]]

    def weights(self, *parts: str) -> tuple[Floats, ...]:
        """The layer's own trained tensors in the order in which it makes them, then those of its sub-layers.

        Args:
            parts: the attributes of the layer that hold the sub-layers.
        """
        return self.stored(parts)

    def apply(self, part: str, *operands: Tensor) -> Tensor:
        """The first result of a sub-layer of a live Keras layer, which is its attribute ``part``.

        Raises:
            ConfigError: there is no such attribute, or the layer is not a live one.
            UnsupportedError: a sub-layer that is not known here, and that has no translation of the user's.
        """
        return self.part(part, operands)[0]

    def constant(self, values: Number) -> Tensor:
        """Finite numbers as a tensor that is the same for all samples."""
        return constant_tensor(self.build, values)

    def emit(self, layer: Layer, *operands: Tensor) -> Tensor:
        """A layer of :mod:`bitsmith.layers`, or of a class of your own that derives from ``Layer``, on tensors."""
        values = [x.value.plain() if x.value.batch is not None else x.value for x in operands]
        return Tensor(self.build, self.build.emit(layer, *values, suffix=layer.kind.lower()))


Translate: TypeAlias = Callable[[Call], "Tensor | tuple[Tensor, ...]"]
"""A function that says what a layer computes: its result, or its results."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A translation of an operator of ONNX, and a NumPy function that computes it, by which conversions judge the translation.

    The function gets the operands as the ONNX node does, with their axis of samples, and its attributes by name; it returns the
    result, or a tuple of them.

    Examples:
        ```python
        def translate(call):
            (x,) = call.inputs
            return (x * call.options["slope"]).tanh()

        layers = {"my.ops::Steep": bitsmith.custom.Operator(translate, lambda x, slope: np.tanh(slope * x))}
        ```
    """

    translate: Translate
    reference: Callable[..., object]

    def __call__(self, call: Call) -> Tensor | tuple[Tensor, ...]:
        """The results of the translation."""
        return self.translate(call)


Layers: TypeAlias = Mapping["type | str", "Translate | Operator"]
"""Translations by the layer's class or name: of Keras and PyTorch a class or its name, of ONNX and of operators that were added
to PyTorch ``domain::operator``.
"""


@dataclass(frozen=True, slots=True)
class Table:
    """The user's translations; a name is that of a class, or an operator's with its domain."""

    found: Mapping[type | str, Translate]

    @staticmethod
    def of(layers: Layers | None) -> Table:
        """``layers``, checked.

        Raises:
            ConfigError: something else than functions by classes and names.
        """
        if not isinstance(layers or {}, Mapping):
            raise ConfigError(
                f"layers is a {type(layers).__name__}", accepted="a mapping from classes or names to functions"
            )
        for key, translate in (layers or {}).items():
            if not isinstance(key, type | str) or not callable(translate):
                raise ConfigError(
                    f"the translation of {key!r} in layers",
                    accepted="{MyLayer: translate}, a function by a class or a name",
                )
        return Table(dict(layers or {}))

    def named(self, *names: str) -> Translate | None:
        """The translation of the first of the names that has one; a class has its own name and, with dots, its module's."""
        for name in filter(None, names):
            for key, translate in self.found.items():
                if name == key or (
                    isinstance(key, type) and name in (key.__name__, f"{key.__module__}.{key.__qualname__}")
                ):
                    return translate
        return None

    def of_object(self, layer: object) -> Translate | None:
        """The translation of a live layer: that of its class, or of the nearest one that it derives from."""
        for base in type(layer).__mro__:
            translate = self.found.get(base) or self.found.get(base.__name__)
            if translate is not None and base is not object:
                return translate
        return None


def operator_call(
    inputs: tuple[Tensor, ...], options: Mapping[str, object], build: Builder, kind: str, where: str
) -> Call:
    """A use of an operator, whose constants are its weights, and which has no sub-layers."""

    def refused(*_: object) -> NoReturn:
        raise ConfigError(
            f"a sub-layer of {kind}", where=where, accepted="those of live layers of Keras, or weights of modules"
        )

    def stored(parts: Sequence[str]) -> tuple[Floats, ...]:
        return refused() if parts else tuple(x.array for x in inputs if x.array is not None)

    return Call(inputs, options, None, build, stored, refused)


def translated(translate: Translate, call: Call, where: str) -> tuple[Value, ...]:
    """The results of a translation; the last layer that it made for each has the name of the user's layer.

    Raises:
        ConfigError: it gives something else than tensors.
    """
    before = len(call.build.draft.nodes)
    translation = translate(call)
    results = translation if isinstance(translation, tuple) else (translation,)
    if not results or not all(isinstance(one, Tensor) for one in results):
        raise ConfigError(
            f"the translation of {where} gave {type(translation).__name__}", accepted="a Tensor, or a tuple of them"
        )
    draft = call.build.draft
    for one in results:
        number = one.value.node
        if isinstance(number, int) and number >= before:
            draft.nodes[number] = replace(draft.nodes[number], suffix=call.build.prefix)
    return tuple(one.value for one in results)
