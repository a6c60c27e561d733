"""One operator of a PyTorch program, as the translations see it: its arguments, all checked on access, and what it becomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.keras.call import MAX_ELEMENTS
from bitsmith.frontends.keras.json import is_integer, shown
from bitsmith.frontends.torch.graph import Argument, DType, Node, Ref
from bitsmith.frontends.torch.tensor import Batch, Size, Tensor, sample_shape
from bitsmith.layers.axis_order import Order, inverse
from bitsmith.layers.input import Constant
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.merge import Add, Multiply
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.shape import Identity, Permute, Reshape, Stack
from bitsmith.layers.time_distributed import over_time

_INFINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True, slots=True)
class Emitted:
    """A layer of ours before it has a name; ``suffix`` tells it from the others of its operator.

    ``order`` and ``inner`` are those of the network's node.
    """

    layer: Layer
    inputs: tuple[int, ...]
    origin: Node
    suffix: str = ""
    label: str = ""
    order: Order | None = None
    inner: bool = False


@dataclass(slots=True)
class Emission:
    """All layers so far, by number; ``tensors`` has the operands of each."""

    nodes: list[Emitted] = field(default_factory=list)
    operands: list[tuple[Tensor, ...]] = field(default_factory=list)
    constants: dict[int, tuple[Floats, int]] = field(default_factory=dict)

    def add(self, node: Emitted, operands: tuple[Tensor, ...]) -> int:
        self.nodes.append(node)
        self.operands.append(operands)
        return len(self.nodes) - 1


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that nothing may read; ``why`` is said of who does, None if that has been said."""

    why: str | None = None


Value: TypeAlias = "Tensor | Size | Unknown"


@dataclass(frozen=True, slots=True)
class Call:
    """An operator on values. ``samples`` is the number of samples that the program is fixed to, None if left open."""

    node: Node
    values: dict[str, Value]
    dtypes: Mapping[str, int]
    samples: int | None
    emission: Emission
    used: frozenset[str]
    where: str

    def is_used(self, result: int) -> bool:
        """Whether anything reads the result of this number."""
        return result < len(self.node.results) and self.node.results[result] in self.used

    def argument(self, name: str) -> Argument:
        """The argument, or None."""
        return self.node.arguments.get(name)

    def given(self, name: str) -> bool:
        """Whether the argument is there, and not None."""
        return self.argument(name) is not None

    def _read(self, reference: Argument) -> Value:
        """What an argument that is a reference or a number means."""
        if isinstance(reference, Ref):
            value = self.values[reference.name]
            if isinstance(value, Unknown):
                raise UnsupportedError(value.why or "behind an operator that is refused")
            return value
        if isinstance(reference, bool | int | float | str) and (
            not isinstance(reference, str) or reference in _INFINITE
        ):
            return scalar(_INFINITE[reference] if isinstance(reference, str) else float(reference))
        raise UnsupportedError(f"the argument {shown(reference)}", accepted="tensors and numbers")

    def tensor(self, name: str = "self", *, hidden: bool = False) -> Tensor:
        """A tensor, or a number as a constant; ``hidden`` says that minus infinity is understood."""
        return self._tensor(self.argument(name), name, hidden)

    def _tensor(self, argument: Argument, name: str, hidden: bool = False) -> Tensor:
        value = self._read(argument)
        if not isinstance(value, Tensor):
            raise UnsupportedError(f"{name} is the number of samples", accepted="tensors")
        if value.hidden is not None and not hidden:
            raise UnsupportedError("minus infinity", accepted="it as a mask of what softmax shall leave out")
        return value

    def tensors(self, name: str) -> tuple[Tensor, ...]:
        """A list of tensors."""
        listed = self.argument(name)
        if not isinstance(listed, tuple):
            raise UnsupportedError(f"{name} is {shown(listed)}", accepted="a list of tensors")
        return tuple(self._tensor(item, name) for item in listed)

    def weight(self, name: str, *alternatives: str) -> Floats:
        """A trained tensor, the same for all samples.

        Raises:
            UnsupportedError: one that is computed from the inputs.
            ModelFileError: NaN or infinite numbers.
        """
        found = self.tensor(next((other for other in (name, *alternatives) if self.given(other)), name))
        values = found.constant
        if values is None or found.batch is not None:
            raise UnsupportedError(f"{name} is computed from the inputs", accepted=f"a trained {name}")
        return finite(values, name, self.where)

    def optional(self, name: str) -> Floats | None:
        """A trained tensor, or None."""
        return self.weight(name) if self.given(name) else None

    def sizes(self, name: str) -> tuple[Size, ...]:
        """Sizes, of which some may depend on the number of samples."""
        listed = self.argument(name)
        return tuple(self.size_of(item) for item in (listed if isinstance(listed, tuple) else (listed,)))

    def size_of(self, item: Argument) -> Size:
        """A size."""
        if isinstance(item, Ref) and isinstance(self.values[item.name], Size):
            found = self.values[item.name]
            return found if isinstance(found, Size) else Size(0)
        if isinstance(item, int):
            return Size(item)
        raise UnsupportedError(f"the size {shown(item)}", accepted="numbers, and that of the samples")

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number."""
        value = self.argument(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, int):
            raise UnsupportedError(f"{name} is {shown(value)}", accepted="a whole number")
        return int(value)

    def integers(self, name: str) -> tuple[int, ...]:
        """A whole number or a list of them; empty if it is not given."""
        value = self.argument(name)
        items = () if value is None else value if isinstance(value, tuple) else (value,)
        found = tuple(item for item in items if is_integer(item) and not isinstance(item, bool))  # type: ignore[arg-type]
        if len(found) != len(items):
            raise UnsupportedError(f"{name} is {shown(value)}", accepted="whole numbers")
        return tuple(int(item) for item in found)

    def per_axis(self, name: str, rank: int, default: int) -> tuple[int, ...]:
        """One number per spatial axis."""
        values = self.integers(name) or (default,)
        values = values * rank if len(values) == 1 else values
        if len(values) != rank:
            raise UnsupportedError(f"{name} is {values}", accepted=f"{rank} whole numbers")
        return values

    def number(self, name: str, default: float | None = None) -> float:
        """A number, which may be infinite."""
        value = self.argument(name)
        if value is None and default is not None:
            return default
        if isinstance(value, Ref):
            found = self.tensor(name).constant
            if found is not None and found.size == 1:
                return float(found.reshape(()))
        if isinstance(value, str) and value in _INFINITE:
            return _INFINITE[value]
        if not isinstance(value, int | float):
            raise UnsupportedError(f"{name} is {shown(value)}", accepted="a number")
        return float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth value."""
        value = self.argument(name)
        if value is None:
            return default
        if not isinstance(value, bool | int):
            raise UnsupportedError(f"{name} is {shown(value)}", accepted="true or false")
        return bool(value)

    def text(self, name: str, default: str) -> str:
        """A word."""
        value = self.argument(name)
        if value is not None and not isinstance(value, str):
            raise UnsupportedError(f"{name} is {shown(value)}", accepted="a word")
        return default if value is None else value

    def dtype(self, name: str = "dtype") -> int | None:
        """The number of an element type that is asked for."""
        value = self.argument(name)
        return value.number if isinstance(value, DType) else None

    def dtype_of(self, name: str) -> int:
        """The number of the element type of a tensor that is an argument."""
        value = self.argument(name)
        return self.dtypes.get(value.name, 0) if isinstance(value, Ref) else 0

    def emit(
        self, layer: Layer, *operands: Tensor, suffix: str = "", batch: Batch | None = None, inner: bool = False
    ) -> Tensor:
        """``layer`` on the operands; the batch of the result is by default where that of the first operand with one is.

        What depends on constants only is computed at once.
        """
        batch = (
            next((operand.batch for operand in operands if operand.batch is not None), None) if batch is None else batch
        )
        shape = layer.output_shape([operand.shape for operand in operands])
        checked_elements(shape)
        for name, values in layer.weights().items():
            finite(values, name, self.where)
        known = [operand.constant for operand in operands]
        if all(values is not None for values in known):
            with np.errstate(all="ignore"):
                result = layer.reference([values[None] for values in known if values is not None])
            return Tensor(as_weights(result[0]), shape, batch, operands[0].label if operands else "")
        inputs = tuple(self._number(operand, suffix) for operand in operands)
        emitted = Emitted(layer, inputs, self.node, suffix, inner=inner)
        return Tensor(self.emission.add(emitted, operands), shape, batch)

    def each(self, layer: Layer, operand: Tensor) -> Tensor:
        """``layer`` on each item along the first axis, which has the batch and perhaps more."""
        if operand.batch is not None and operand.batch.merged > 1:
            layer = over_time(layer, [operand.item], operand.shape[0])
        return self.emit(layer, operand)

    def _number(self, operand: Tensor, suffix: str) -> int:
        """The node of a tensor; that of a constant is made when it is first needed."""
        if isinstance(operand.value, int):
            return operand.value
        found = self.emission.constants.get(id(operand.value))
        if found is not None:
            return found[1]
        values = finite(operand.value, operand.label or "a constant", self.where)
        name = "_".join(filter(None, (suffix, "constant")))
        number = self.emission.add(Emitted(Constant(as_weights(values)), (), self.node, name, operand.label), ())
        # The array is kept, so that its identity stays its own.
        self.emission.constants[id(operand.value)] = operand.value, number
        return number

    def viewed(
        self, tensor: Tensor, dims: Shape, batch: Batch | None, suffix: str = "", layer: Layer | None = None
    ) -> Tensor:
        """The same elements, in the same order, as axes ``dims``."""
        shape = sample_shape(dims, batch)
        if shape == tensor.shape:
            return replace(tensor, batch=batch)
        return replace(self.emit(layer or Reshape(shape), tensor, suffix=suffix), batch=batch)

    def permuted(self, tensor: Tensor, perm: Sequence[int], suffix: str = "", *, inner: bool = False) -> Tensor:
        """Result axis ``k`` is axis ``perm[k]`` of torch."""
        order = _within(tensor, perm)
        batch = None if tensor.batch is None else tensor.batch.at(list(perm).index(tensor.batch.axis))
        if order == tuple(range(len(order))):
            return replace(tensor, batch=batch)
        return replace(self.emit(Permute(order), tensor, suffix=suffix, inner=inner), batch=batch)

    def shown(self, tensor: Tensor, perm: Sequence[int], suffix: str) -> Tensor:
        """``tensor``, which has just been emitted and has its axes in the order ``perm`` in torch, so permuted."""
        if isinstance(tensor.value, int):
            emitted = self.emission.nodes[tensor.value]
            self.emission.nodes[tensor.value] = replace(emitted, order=inverse(_within(tensor, perm)))
        return self.permuted(tensor, perm, suffix, inner=True)

    def stacked(self, tensor: Tensor, axis: int, index: int) -> Tensor | None:
        """The operand that ``index`` along ``axis`` (of a sample) of a stack is, if the tensor is one."""
        if isinstance(tensor.value, int):
            layer = self.emission.nodes[tensor.value].layer
            if isinstance(layer, Stack) and layer.axis == axis:
                return self.emission.operands[tensor.value][index]
        return None

    def per_sample(self, tensor: Tensor, batch: Batch) -> Tensor:
        """A constant that a program for a fixed number of samples has as often, as one that each sample has."""
        values = tensor.constant
        axis = batch.axis
        if tensor.batch is not None or values is None or self.samples is None or batch.merged > 1:
            return tensor
        if not -values.ndim <= axis < values.ndim or values.shape[axis] != self.samples:
            return tensor
        one = np.take(values, 0, axis)
        if not np.array_equal(np.broadcast_to(np.expand_dims(one, axis), values.shape), values):
            return tensor
        return replace(tensor, value=as_weights(one), shape=one.shape, batch=batch.at(axis % values.ndim))

    def aligned(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The tensors with their batch axes at one place, as torch aligns them: from the right.

        Raises:
            UnsupportedError: a constant that differs between samples, or batch axes at different places.
        """
        rank = max((tensor.rank for tensor in tensors), default=0)
        batches = {tensor.batch.at(tensor.batch.axis - tensor.rank) for tensor in tensors if tensor.batch is not None}
        if not batches:
            return tensors
        if len(batches) > 1:
            raise UnsupportedError(
                f"operands of axes {[tensor.dims for tensor in tensors]} whose batch axes differ",
                accepted="operands with the batch axis at the same place",
            )
        (batch,) = batches
        return tuple(self._aligned(self.per_sample(tensor, batch), batch, rank) for tensor in tensors)

    def _aligned(self, tensor: Tensor, batch: Batch, rank: int) -> Tensor:
        place = batch.at(batch.axis + rank)
        if tensor.batch is not None:
            return replace(tensor, batch=place)
        if tensor.rank < -batch.axis:
            return replace(tensor, batch=None)
        if tensor.shape[batch.axis] != 1:
            raise UnsupportedError(
                f"a constant of shape {tensor.shape}, which differs between samples",
                accepted="constants that are the same for each sample",
            )
        if batch.merged > 1:
            return tensor
        axis = tensor.rank + batch.axis
        values = tensor.constant
        shape = (*tensor.shape[:axis], *tensor.shape[axis + 1 :])
        return tensor if values is None else replace(tensor, value=as_weights(values.reshape(shape)), shape=shape)

    def joined(self, layer: Layer, *tensors: Tensor, suffix: str = "") -> Tensor:
        """An element-wise ``layer`` on operands that broadcast."""
        return self.emit(layer, *self.aligned(*tensors), suffix=suffix)

    def affine(self, tensor: Tensor, scale: Tensor, offset: Tensor, suffix: str = "") -> Tensor:
        """``tensor * scale + offset`` for constants: one layer if they vary along one axis at most."""
        x, factors, terms = self.aligned(tensor, scale, offset)
        a, b = factors.constant, terms.constant
        if a is None or b is None or x.constant is not None:
            return self._two_steps(x, factors, terms, suffix)
        if (
            bool(np.all(a == 1.0))
            and bool(np.all(b == 0.0))
            and np.broadcast_shapes(a.shape, b.shape, x.shape) == x.shape
        ):
            return self.emit(Identity(), x, suffix=suffix)
        full = _broadcast(a.shape, b.shape)
        full = (1,) * (len(x.shape) - len(full)) + full
        axes = [axis for axis, size in enumerate(full) if size > 1]
        if len(axes) > 1 or not x.shape or _broadcast(full, x.shape) != x.shape:
            return self._two_steps(x, factors, terms, suffix)
        axis = axes[0] if axes else len(x.shape) - 1
        target = tuple(size if k == axis else 1 for k, size in enumerate(x.shape))
        a, b = (np.broadcast_to(values, target).ravel() for values in (a, b))
        return self.emit(BatchNormalization(as_weights(a), as_weights(b), axis), x, suffix=suffix)

    def _two_steps(self, x: Tensor, scale: Tensor, offset: Tensor, suffix: str) -> Tensor:
        plain = _is_all(offset, 0.0, x.shape)
        if not _is_all(scale, 1.0, x.shape):
            x = self.emit(Multiply(), x, scale, suffix=suffix if plain else "_".join(filter(None, (suffix, "scaled"))))
        return x if plain else self.emit(Add(), x, offset, suffix=suffix)


Result: TypeAlias = "Tensor | Size | tuple[Tensor | Unknown, ...]"

Translator: TypeAlias = Callable[[Call], Result]


@dataclass(frozen=True, slots=True)
class Translation:
    """How an operator is read, and ``becomes``, the kinds of layer that it turns into, for documentation."""

    read: Translator
    becomes: str


def scalar(value: float) -> Tensor:
    """A number as a constant."""
    return Tensor(as_weights(value), ())


def constant(values: Floats, label: str = "") -> Tensor:
    """Numbers as a constant."""
    return Tensor(as_weights(values), values.shape, None, label)


def finite(values: Floats, name: str, where: str) -> Floats:
    """``values``, if they are numbers."""
    if not bool(np.all(np.isfinite(values))):
        count = int(np.count_nonzero(~np.isfinite(values)))
        raise ModelFileError(
            f"{name} holds {count} NaN or infinite values",
            where=where,
            remedy="train the model again, or load a checkpoint from before it diverged",
        )
    return values


def checked_elements(shape: Shape) -> Shape:
    """``shape``, if a tensor of it is of sensible size."""
    if math.prod(shape) > MAX_ELEMENTS or min(shape, default=0) < 0:
        raise UnsupportedError(f"a tensor of shape {shape}", accepted=f"at most {MAX_ELEMENTS} elements")
    return shape


def _within(tensor: Tensor, perm: Sequence[int]) -> Order:
    """What a permutation of torch's axes is to those of a sample."""
    if sorted(perm) != list(range(tensor.rank)):
        raise UnsupportedError(f"axes {tuple(perm)} of a tensor of {tensor.rank} axes")
    places = tensor.sample_axes()
    return tuple(place for place in (places[dim] for dim in perm) if place is not None)


def _is_all(x: Tensor, value: float, shape: Shape) -> bool:
    """Whether ``x`` is a constant of that value, and repeats nothing of a tensor of ``shape``."""
    return x.constant is not None and bool(np.all(x.constant == value)) and _broadcast(x.shape, shape) == shape


def _broadcast(*shapes: Shape) -> Shape:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise UnsupportedError(f"operands of shapes {list(shapes)}", accepted="shapes that broadcast") from None
