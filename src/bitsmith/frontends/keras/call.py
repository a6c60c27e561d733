"""One call of a Keras layer, as the translations see it: its configuration, operands and weights, all checked on access."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder, finite
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.builder.value import constant as constant_value
from bitsmith.frontends.files.hdf5 import Stored
from bitsmith.frontends.files.json import Fields, Json, constant, is_integer, shown
from bitsmith.frontends.keras.operands import Constant, Operands
from bitsmith.frontends.ops.logic import common_kind
from bitsmith.layers.layer import Floats, Shape


@dataclass(frozen=True, slots=True)
class LayerCall:
    """A layer on what it is ``given``; ``stored`` has its variables and then those of the sub-layers that are named.

    ``masks`` are Keras's masks of values, by their nodes (see :mod:`bitsmith.frontends.keras.masks`), and the call is ``masked``
    if it names one itself; ``notes`` gathers what the user should know; ``live`` gives what is an attribute of a live layer, by
    its path. ``on_torch``: the layer is a live one of Keras on PyTorch.
    """

    config: Fields
    major: int
    given: Operands[Value]
    stored: Callable[[Sequence[str]], Sequence[Stored]]
    build: Builder
    masks: Mapping[int, Value]
    notes: list[str]
    live: Callable[[str], object]
    masked: bool
    on_torch: bool

    def mask(self, x: Value) -> Value | None:
        """Keras's mask (batch, time) of an operand."""
        return self.masks.get(x.node) if isinstance(x.node, int) else None

    @property
    def x(self) -> Value:
        """The only operand."""
        if len(self.given.tensors) != 1 or len(self.given.args) != 1:
            raise self.config.error(f"called on {len(self.given.args)} arguments", "one tensor")
        return self.given.tensors[0]

    @property
    def first(self) -> Value:
        """The first argument."""
        found = self.argument("x", 0)
        if not isinstance(found, Value):
            raise UnsupportedError("a constant as the operand", accepted="a tensor")
        return found

    def operands(self, count: int | None = None) -> tuple[Value, ...]:
        """The positional arguments, of which some may be constants but not all; ``count`` is how many there must be."""
        arguments = self.given.args
        if not self.given.tensors or (count is not None and len(arguments) != count):
            raise UnsupportedError(f"{len(arguments)} arguments", accepted=f"{count or 'some'} tensors or constants")
        kind = common_kind(*self.given.tensors)
        return tuple(_value(one.value, kind) if isinstance(one, Constant) else one for one in arguments)

    def argument(self, name: str, position: int | None = None) -> Value | Json:
        """A tensor or plain value, given by name or at the position; None if it is left out."""
        args = () if position is None else self.given.args[position : position + 1]
        found = args or self.given.kwargs.get(name, ()) or (Constant(None),)
        if len(found) > 1:
            raise UnsupportedError(f"{len(found)} values as {name}", accepted="one")
        return found[0].value if isinstance(found[0], Constant) else found[0]

    def plain(self, name: str, position: int | None = None) -> Json:
        """An argument that must be a plain value."""
        found = self.argument(name, position)
        if isinstance(found, Value):
            raise UnsupportedError(f"{name} computed from an input", accepted="constants")
        return found

    def flag(self, name: str) -> bool:
        """An argument that must be a truth value; False if it is left out."""
        return Fields({name: self.plain(name)}, self.config.where).flag(name)

    def numbers(self, name: str, position: int | None = None, default: float | None = None) -> Floats:
        """An argument that must be finite numbers; ``default`` if it is left out."""
        given = self.plain(name, position)
        return numbers(default if given is None else given)

    def weights(self, *wanted: tuple[str, Shape], ignored: int = 0, parts: Sequence[str] = ()) -> list[Floats]:
        """The elements of the layer's :meth:`trained` tensors."""
        return [one.elements for one in self.trained(*wanted, ignored=ignored, parts=parts)]

    def trained(self, *wanted: tuple[str, Shape], ignored: int = 0, parts: Sequence[str] = ()) -> list[Value]:
        """The layer's trained tensors, which must have these names' shapes; ``ignored`` more may follow.

        ``parts`` are the attributes of Keras's layer that hold its sub-layers, in the order in which it makes them: their
        tensors follow its own.

        Raises:
            ModelFileError: weights that are missing, too many, of another shape, NaN or infinite.
        """
        stored = self.stored(parts)
        if not len(wanted) <= len(stored) <= len(wanted) + ignored:
            accepted = f"{len(wanted)} ({', '.join(name for name, _ in wanted)})"
            more = "quantize adds some to layers inside: give the model as it was before"
            remedy = more if len(stored) > len(wanted) else ""
            raise self.config.error(f"{len(stored)} weights are stored for this layer", accepted, remedy)
        return [self._read(tensor, *one) for tensor, one in zip(stored, wanted, strict=False)]

    def with_trained(self, tensors: Iterable[Value]) -> LayerCall:
        """The call with these trained tensors in place of what is stored."""
        stored = [Stored(one.shape, partial(np.array, one.elements), one.quantizer) for one in tensors]
        return replace(self, stored=lambda _: stored)

    def stored_of(self, part: str) -> Callable[[Sequence[str]], Sequence[Stored]]:
        """Variables, as by :attr:`stored`, of the sub-layer that is the attribute ``part``."""
        own = len(self.stored(()))
        return lambda parts: self.stored((part, *(f"{part}/{one}" for one in parts)))[own:]

    def _read(self, tensor: Stored, name: str, shape: Shape) -> Value:
        if tensor.shape != shape:
            raise self.config.error(f"{name} has shape {tensor.shape}", f"shape {shape}")
        return constant_value(finite(tensor.read(), name, self.config.where), quantizer=tensor.quantizer)


def numbers(value: Json) -> Floats:
    """A plain argument as numbers.

    Raises:
        UnsupportedError: something else than finite numbers.
    """
    if (values := constant(value)) is None:
        raise UnsupportedError(f"the argument {shown(value)}", accepted="tensors and finite numbers")
    return values


def _value(value: Json, kind: Kind) -> Value:
    """A plain operand beside tensors of the ``kind``, which Keras gives single numbers if it is of their sort."""
    elements = numbers(value)
    inner = value.get("config") if isinstance(value, dict) else None
    dtype = inner.get("dtype") if isinstance(inner, dict) else None
    if isinstance(dtype, str):
        return constant_value(elements, kind=Kind.named(dtype))
    if isinstance(value, bool):
        return constant_value(elements, kind=Kind.BOOL)
    if not is_integer(value):
        return constant_value(elements)
    kind = Kind.INT32 if kind is Kind.BOOL else kind
    if kind.is_integer and not kind.limits[0] <= value <= kind.limits[1]:
        raise UnsupportedError(f"the number {value} beside {kind.value}", accepted="numbers of that type")
    return constant_value(elements, kind=kind)


def dtype_policy(config: Fields) -> Json:
    """The name of the policy that says in what a layer computes; None if it is Keras's own."""
    dtype = config.get("dtype")
    while isinstance(dtype, dict):
        inner = dtype.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
        dtype = dtype.get("class_name", "?") if name is None else name
    return dtype


def is_channels_first(config: Fields) -> bool:
    """True if the channels of an operand come before its positions."""
    return config.choice("data_format", {"channels_last": False, "channels_first": True}, "channels_last")


def check_flags(config: Fields, **accepted: bool) -> None:
    """Refuse flags that say something else than what is ``accepted``, which they say by default."""
    for key, value in accepted.items():
        if config.flag(key, value) is not value:
            raise UnsupportedError(f"{key}={not value}", accepted=f"{key}={value}")


def axes_of(config: Fields, *default: int) -> tuple[int, ...]:
    """The axes along which a call works, by ``default`` if it names none; an axis None is all."""
    axes = default if "axis" not in config.values else config.integers("axis")
    if not axes:
        raise UnsupportedError("an operation without an axis, which would mix samples", accepted="axes within a sample")
    return axes


def axis_of(config: Fields, *default: int) -> int:
    """The only axis along which a call works."""
    axes = axes_of(config, *default)
    if len(axes) > 1:
        raise UnsupportedError(f"the axes {axes}", accepted="one axis", remedy="reshape them to one axis first")
    return axes[0]


@dataclass(frozen=True, slots=True)
class Translation:
    """Reader of a class, and ``becomes``, the kinds of layer that it turns into, for documentation.

    ``keywords`` are the keyword arguments of a call that ``read`` understands; others are refused. ``stateful`` layers are
    understood, or refused.
    """

    read: Callable[[LayerCall], Value | tuple[Value, ...]]
    becomes: str
    keywords: frozenset[str] = frozenset()
    stateful: bool = False

    def results(self, call: LayerCall) -> tuple[Value, ...]:
        found = self.read(call)
        return found if isinstance(found, tuple) else (found,)

    def result(self, call: LayerCall) -> Value:
        """The only result of a call."""
        (found,) = self.results(call)
        return found


ByClass: TypeAlias = dict[str, Translation]
"""Translations of layers or of operations, by class name."""


def configured(make: Callable[..., Value], becomes: str, *reads: Callable[[Fields], object]) -> Translation:
    """``make`` of the builder, the only operand and what the ``reads`` give."""
    return Translation(lambda call: make(call.build, call.x, *(read(call.config) for read in reads)), becomes)
