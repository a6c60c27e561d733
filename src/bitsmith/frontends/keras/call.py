"""One call of a Keras layer, as the translations see it: its configuration, operands and weights, all checked on access."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder, finite
from bitsmith.frontends.builder.value import MAX_ELEMENTS, Batch, Value
from bitsmith.frontends.builder.value import constant as constant_value
from bitsmith.frontends.files.json import Fields, Json, constant, shown
from bitsmith.frontends.keras.graph import Constant, Operands, tensors
from bitsmith.frontends.keras.weights import Stored
from bitsmith.layers.axis_order import Order
from bitsmith.layers.input import Constant as ConstantTensor
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights


@dataclass(frozen=True, slots=True)
class Step:
    """A layer of ours that a Keras layer becomes, or one of several.

    The one without a suffix carries the user's name; the others' names end in the suffix. ``source`` is by default Keras's
    class name. ``inputs`` are numbers of the call's tensors and suffixes of earlier steps; left out, a step reads the one
    before it, and the first one all tensors of the call. ``order`` and ``inner`` are those of the network's node.
    """

    layer: Layer
    suffix: str = ""
    source: str = ""
    inputs: tuple[int | str, ...] | None = None
    order: Order | None = None
    inner: bool = False


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps in order, and the suffixes of those that are the call's results, in Keras's order."""

    steps: tuple[Step, ...]
    results: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LayerCall:
    """A layer on what it is ``given``; ``stored`` has its variables and then those of the sub-layers that are named."""

    config: Fields
    major: int
    given: Operands[Value]
    stored: Callable[[Sequence[str]], Sequence[Stored]]
    build: Builder

    @property
    def values(self) -> tuple[Value, ...]:
        """The tensors: the positional arguments, then those that keywords name."""
        return self.given.tensors

    @property
    def arguments(self) -> tuple[Constant | None, ...]:
        """The positional arguments, None where that is a tensor."""
        return tuple(one if isinstance(one, Constant) else None for one in self.given.args)

    @property
    def keywords(self) -> Mapping[str, tuple[int, ...] | Json]:
        """The arguments with keywords, but None: the numbers of tensors, or a plain value."""
        found: dict[str, tuple[int, ...] | Json] = {}
        count = len(tensors([self.given.args]))
        for key, items in self.given.kwargs.items():
            constants = [item.value for item in items if isinstance(item, Constant)]
            given = len(items) - len(constants)
            if given or constants != [None]:
                found[key] = tuple(range(count, count + given)) if given else constants[0]
            count += given
        return found

    @property
    def where(self) -> str:
        """The place that errors name."""
        return self.config.where

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The tensors' shapes."""
        return tuple(value.shape for value in self.values)

    @property
    def x(self) -> Value:
        """The only operand."""
        if len(self.values) != 1 or len(self.given.args) != 1:
            raise ModelFileError(f"called on {len(self.given.args)} arguments", where=self.where, accepted="one tensor")
        return self.values[0]

    @property
    def first(self) -> Value:
        """The first argument."""
        found = self.argument("x", 0)
        if not isinstance(found, Value):
            raise UnsupportedError("a constant as the operand", accepted="a tensor")
        return found

    def operands(self, count: int | None = None) -> tuple[Value, ...]:
        """The positional arguments, of which some may be constants but not all; ``count`` is how many there must be."""
        given = self.given.args
        if not self.values or (count is not None and len(given) != count):
            raise UnsupportedError(f"{len(given)} arguments", accepted=f"{count or 'some'} tensors or constants")
        return tuple(constant_value(numbers(one.value)) if isinstance(one, Constant) else one for one in given)

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

    @property
    def constants(self) -> tuple[Floats | None, ...]:
        """The positional arguments as numbers, None where that is a tensor.

        Raises:
            UnsupportedError: arguments that are something else.
        """
        return tuple(None if argument is None else numbers(argument.value) for argument in self.arguments)

    @property
    def shape(self) -> Shape:
        """The shape of the only operand."""
        if len(self.shapes) != 1 or len(self.arguments) != 1:
            raise ModelFileError(f"called on {len(self.arguments)} arguments", where=self.where, accepted="one tensor")
        return self.shapes[0]

    def weights(self, *wanted: tuple[str, Shape], ignored: int = 0, parts: Sequence[str] = ()) -> list[Floats]:
        """The layer's trained tensors, which must have these names' shapes; ``ignored`` more may follow.

        ``parts`` are the attributes of Keras's layer that hold its sub-layers, in the order in which it makes them: their
        tensors follow its own.

        Raises:
            ModelFileError: weights that are missing, too many, of another shape, NaN or infinite.
        """
        stored = self.stored(parts)
        names = ", ".join(name for name, _ in wanted)
        if not len(wanted) <= len(stored) <= len(wanted) + ignored:
            raise ModelFileError(
                f"{len(stored)} weights are stored for this layer",
                where=self.where,
                accepted=f"{len(wanted)} ({names})",
            )
        return [self._read(tensor, *one) for tensor, one in zip(stored, wanted, strict=False)]

    def _read(self, tensor: Stored, name: str, shape: Shape) -> Floats:
        if tensor.shape != shape:
            raise ModelFileError(f"{name} has shape {tensor.shape}", where=self.where, accepted=f"shape {shape}")
        return as_weights(finite(tensor.read(), name, self.where))

    def placed(self, adapt: Callable[[Floats], Floats]) -> tuple[list[Step], tuple[int | str, ...]]:
        """Steps for the positional arguments that are constants, as ``adapt`` makes them, and where each argument is."""
        steps: list[Step] = []
        inputs: list[int | str] = []
        for values in self.constants:
            if values is None:
                inputs.append(sum(isinstance(key, int) for key in inputs))
                continue
            suffix = f"constant{len(steps) or ''}"
            steps.append(Step(ConstantTensor(as_weights(adapt(values))), suffix, "Constant", ()))
            inputs.append(suffix)
        return steps, tuple(inputs)

    def axis(self, axis: int, shape: Shape) -> int:
        """Keras's ``axis``, which counts the batch axis, as one of ``shape``'s."""
        rank = len(shape)
        counted = axis if axis >= 0 else axis + rank + 1
        if counted == 0:
            raise UnsupportedError("works along the batch axis", accepted="axes within a sample")
        if not 1 <= counted <= rank:
            raise ModelFileError(f"axis {axis} of an input of shape {shape}", where=self.where)
        return counted - 1


def placed_steps(call: LayerCall, read: tuple[Step, ...] | Steps | Value | tuple[Value, ...]) -> tuple[Value, ...]:
    """The results of a translation, its steps emitted."""
    if isinstance(read, Value):
        return (read,)
    if isinstance(read, tuple) and isinstance(read[0], Value):
        return tuple(value for value in read if isinstance(value, Value))
    steps = read if isinstance(read, Steps) else Steps(tuple(one for one in read if isinstance(one, Step)), ())
    placed: dict[str, Value] = {}
    before = call.values
    for step in steps.steps:
        keys = step.inputs
        operands = before if keys is None else tuple(placed[k] if isinstance(k, str) else call.values[k] for k in keys)
        value = call.build.emit(step.layer, *operands, suffix=step.suffix, source=step.source, inner=step.inner)
        if not operands:
            value = replace(value, batch=Batch(0))
        if step.order is not None:
            call.build.reorder(value, step.order)
        placed[step.suffix] = value
        before = (value,)
    return tuple(placed[suffix] for suffix in steps.results) or before


Translator: TypeAlias = Callable[[LayerCall], "tuple[Step, ...] | Steps | Value | tuple[Value, ...]"]


@dataclass(frozen=True, slots=True)
class Translation:
    """How a class is read, and ``becomes``, the kinds of layer that it turns into, for documentation.

    ``keywords`` are the keyword arguments of a call that ``read`` understands; others are refused.
    """

    read: Translator
    becomes: str
    keywords: frozenset[str] = frozenset()


def joining(read: Callable[[LayerCall], Layer]) -> Translator:
    """A layer of any number of operands."""
    return lambda call: (Step(read(call)),)


def unary(read: Callable[[LayerCall], Layer]) -> Translator:
    """A layer of one operand."""

    def translate(call: LayerCall) -> tuple[Step, ...]:
        checked_size(call.shape, call.where)
        return (Step(read(call)),)

    return translate


def checked_size(shape: Shape, where: str) -> Shape:
    """``shape``, if a tensor of it is of sensible size."""
    if math.prod(shape) > MAX_ELEMENTS:
        raise ModelFileError(f"a tensor of shape {shape}", where=where, accepted=f"at most {MAX_ELEMENTS} elements")
    return shape


def numbers(value: Json) -> Floats:
    """A constant argument.

    Raises:
        UnsupportedError: something else than finite numbers.
    """
    values = constant(value)
    if values is None:
        raise UnsupportedError(f"the argument {shown(value)}", accepted="tensors and finite numbers")
    return values
