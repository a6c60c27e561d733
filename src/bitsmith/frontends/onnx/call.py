"""One ONNX node, as the translations see it: operands, attributes, and the layers that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.onnx.attributes import Attributes
from bitsmith.frontends.onnx.graph import Node
from bitsmith.frontends.onnx.values import (
    Batch,
    Kind,
    Known,
    MixedSamplesError,
    Tensor,
    Value,
    batch_axis,
    floats,
    per_sample,
)
from bitsmith.layers.axis_order import Order
from bitsmith.layers.input import Constant
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.merge import Add, Multiply
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.shape import Identity, Permute, Reshape

Operand: TypeAlias = "Tensor | Floats"
"""A tensor, or a constant as each sample sees it."""


class Place(Protocol):
    """Puts a layer into the network; ``order`` and ``inner`` are those of the node."""

    def __call__(
        self,
        name: str,
        layer: Layer,
        inputs: Sequence[Tensor],
        source: str,
        order: Order | None = None,
        *,
        inner: bool = False,
    ) -> tuple[str, Shape]:
        """The node's name, which begins with ``name``, and the shape of its result."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """An operator on values, None for those that are left out. ``wanted`` says which of its results anyone reads,
    ``say`` tells the user something.

    ``name`` is the user's, for the layer that does the operator's work; others that it needs have a suffix.
    """

    node: Node
    name: str
    opset: int
    values: tuple[Value | None, ...]
    wanted: tuple[bool, ...]
    batch: Batch
    place: Place
    say: Callable[[str], None]

    @property
    def attributes(self) -> Attributes:
        """The node's attributes."""
        return self.node.attributes

    def value(self, number: int) -> Value | None:
        """Operand ``number``, None if it is left out."""
        found = self.values[number] if number < len(self.values) else None
        if isinstance(found, Tensor) and found.mask is not None:
            raise UnsupportedError("works on values of minus infinity", accepted="a Softmax behind such a mask")
        return found

    def masked(self, number: int) -> Tensor:
        """Operand ``number``, which may have a mask."""
        found = self.values[number] if number < len(self.values) else None
        return found if isinstance(found, Tensor) else self.tensor(number)

    def required(self, number: int) -> Value:
        """Operand ``number``.

        Raises:
            ModelFileError: it is left out.
        """
        found = self.value(number)
        if found is None:
            raise ModelFileError(f"{self.node.operator} without operand {number}", where=self.attributes.where)
        return found

    def tensor(self, number: int) -> Tensor:
        """Operand ``number``; a constant becomes a node."""
        return self.variable(self.required(number))

    def variable(self, value: Value) -> Tensor:
        """``value`` as a tensor; a constant becomes a node."""
        if isinstance(value, Tensor):
            return value
        axis = batch_axis(value)
        array = per_sample(value, axis, merged=0, batch=self.batch)
        return self.constant(floats(array), axis, value.name, kind=value.kind)

    def constant(self, values: Floats, batch: int | None = None, name: str = "", *, kind: Kind = Kind.REAL) -> Tensor:
        """A node that holds ``values``, the same for all samples."""
        layer = Constant(as_weights(values))
        node, shape = self.place(name or f"{self.name}_constant", layer, (), "Constant")
        return Tensor(node, shape, batch, kind=kind)

    def weights(self, number: int, what: str) -> Floats:
        """Operand ``number``, which must be a constant.

        Raises:
            UnsupportedError: it is computed.
        """
        found = self.required(number)
        if isinstance(found, Tensor):
            raise UnsupportedError(f"{what} is computed from an input", accepted="a constant")
        return floats(found.array())

    def known(self, number: int, what: str) -> Known | None:
        """Operand ``number``, which must be a constant, or None if it is left out."""
        found = self.value(number)
        if isinstance(found, Tensor):
            raise UnsupportedError(f"{what} is computed from an input", accepted="a constant")
        return found

    def integers(self, number: int, what: str) -> tuple[int, ...] | None:
        """Operand ``number`` as constant whole numbers, None if it is left out."""
        found = self.known(number, what)
        return None if found is None else whole_numbers(found.array(), what)

    def listed(self, key: str, number: int, since: int) -> tuple[int, ...] | None:
        """Whole numbers, the attribute ``key`` before operator set ``since`` and operand ``number`` from it on."""
        return self.integers(number, key) if self.opset >= since else self.attributes.integers(key)

    def emit(
        self,
        layer: Layer,
        inputs: Sequence[Tensor],
        suffix: str = "",
        *,
        batch: int | None,
        merged: int = 0,
        kind: Kind = Kind.REAL,
        source: str = "",
    ) -> Tensor:
        """The result of ``layer``; the one without a suffix has the user's name."""
        name = f"{self.name}_{suffix}" if suffix else self.name
        node, shape = self.place(name, layer, inputs, source or (layer.kind if suffix else self.node.kind))
        return Tensor(node, shape, batch, 0 if batch is None else merged, kind)

    def alike(self, layer: Layer, x: Tensor, suffix: str = "", *, kind: Kind = Kind.REAL) -> Tensor:
        """The result of ``layer``, which leaves ``x`` its axes."""
        return self.emit(layer, (x,), suffix, batch=x.batch, merged=x.merged, kind=kind)

    def batched(self, x: Tensor, axis: int) -> Tensor:
        """``x`` with its batch axis at ``axis``; a model without a batch axis may have one of size 1 there.

        Raises:
            UnsupportedError: there are several elements along ``axis``, which are no samples.
        """
        if x.batch == axis and not x.merged:
            return x
        if x.batch is not None or not axis < x.rank:
            raise MixedSamplesError
        if x.shape[axis] != 1:
            raise UnsupportedError(
                f"{x.shape[axis]} elements along axis {axis}, which this operator takes for samples",
                accepted="one",
                remedy="export it with a batch of open size, or of size 1",
            )
        layer = Reshape((*x.shape[:axis], *x.shape[axis + 1 :]))
        return self.emit(layer, (x,), "sample", batch=axis)

    def spatial(self, layer: Layer, x: Tensor) -> Tensor:
        """``layer``, which has its channels last and leaves the axes, on ``x`` (samples, channels, positions...)."""
        rank = len(x.shape)
        first, last = (rank - 1, *range(rank - 1)), (*range(1, rank), 0)
        node, shape = self.place(f"{self.name}_channels_last", Permute(last), (x,), "Permute", inner=True)
        moved = Tensor(node, shape, 0)
        node, shape = self.place(self.name, layer, (moved,), self.node.kind, last)
        node, shape = self.place(
            f"{self.name}_channels_first", Permute(first), (Tensor(node, shape, 0),), "Permute", inner=True
        )
        return Tensor(node, shape, 0)

    def combine(self, layer: Layer, values: Sequence[Value], suffix: str = "", *, kind: Kind = Kind.REAL) -> Tensor:
        """``layer`` on values that broadcast."""
        aligned = self.aligned(values)
        return self.join(layer, aligned, suffix, kind=kind)

    def join(self, layer: Layer, aligned: Aligned, suffix: str = "", *, kind: Kind = Kind.REAL) -> Tensor:
        """``layer`` on values that were aligned; constants become nodes."""
        tensors = [
            operand if isinstance(operand, Tensor) else self.constant(operand, name=name)
            for operand, name in zip(aligned.operands, aligned.names, strict=True)
        ]
        return self.emit(layer, tensors, suffix, batch=aligned.batch, merged=aligned.merged, kind=kind)

    def aligned(self, values: Sequence[Value]) -> Aligned:
        """``values`` as operands of a layer that broadcasts: NumPy's rules, each sample on its own.

        Raises:
            MixedSamplesError: the batch axis of one would meet another axis of another.
        """
        rank = max(value.rank for value in values)
        tensors = [value for value in values if isinstance(value, Tensor) and value.batch is not None]
        places = {(rank - x.rank + (x.batch or 0), x.merged, x.shape[x.batch or 0] if x.merged else 1) for x in tensors}
        if len(places) > 1:
            raise MixedSamplesError("combines tensors whose batch axes differ")
        axis, merged, _ = places.pop() if places else (None, 0, 1)
        operands = [self._aligned_one(value, None if axis is None else axis - rank, merged) for value in values]
        names = tuple(value.name if isinstance(value, Known) else "" for value in values)
        return Aligned(tuple(operands), names, axis, merged)

    def _aligned_one(self, value: Value, from_end: int | None, merged: int) -> Operand:
        axis = None if from_end is None else value.rank + from_end
        if isinstance(value, Known):
            if axis is None:
                value_axis = batch_axis(value)
                if value_axis is not None:
                    raise MixedSamplesError("combines a tensor without a batch axis with the number of samples")
            return floats(per_sample(value, axis, merged, self.batch))
        if value.batch is not None or axis is None or axis < 0:
            return value
        if value.shape[axis] != 1:
            raise MixedSamplesError("combines the batch axis with elements that are no samples")
        if merged:
            return value
        shape = (*value.shape[:axis], *value.shape[axis + 1 :])
        return self.emit(Reshape(shape), (value,), "sample", batch=None, kind=value.kind)

    def affine(
        self, x: Tensor, aligned: Aligned, scale: Floats, offset: Floats, suffix: str = "", kind: Kind = Kind.REAL
    ) -> Tensor:
        """``x * scale + offset`` for constants that broadcast to or with the operand.

        One layer if they vary along one axis at most, else products and sums with nodes for the constants.
        """
        full = np.broadcast_shapes(scale.shape, offset.shape)
        try:
            fits = np.broadcast_shapes(full, x.shape) == x.shape
        except ValueError:
            raise UnsupportedError(f"a constant of shape {full} with a tensor of shape {x.shape}") from None
        shape = x.shape
        full = (1,) * (len(shape) - len(full)) + full
        axes = [axis for axis, size in enumerate(full) if size > 1]
        if fits and shape and len(axes) < 2:
            axis = axes[0] if axes else len(shape) - 1
            target = tuple(size if k == axis else 1 for k, size in enumerate(shape))
            scale, offset = (np.broadcast_to(values, target).ravel() for values in (scale, offset))
            layer = BatchNormalization(as_weights(scale), as_weights(offset), axis)
            return self.emit(layer, (x,), suffix, batch=aligned.batch, merged=aligned.merged, kind=kind)
        name = next(filter(None, aligned.names), "")
        moved, scaled = bool(np.any(offset != 0.0)), bool(np.any(scale != 1.0))
        if scaled:
            x = self._with_constant(Multiply(), x, scale, aligned, suffix if not moved else f"{suffix}scaled", name)
        if moved:
            x = self._with_constant(Add(), x, offset, aligned, suffix, "" if scaled else name)
        if not moved and not scaled:
            x = self.emit(Identity(), (x,), suffix, batch=aligned.batch, merged=aligned.merged)
        return replace(x, kind=kind)

    def _with_constant(
        self, layer: Layer, x: Tensor, values: Floats, aligned: Aligned, suffix: str, name: str
    ) -> Tensor:
        operands = (x, self.constant(values, name=name))
        return self.emit(layer, operands, suffix, batch=aligned.batch, merged=aligned.merged)


@dataclass(frozen=True, slots=True)
class Aligned:
    """Operands of a layer that broadcasts, with names for those that are constants, and the result's batch axis."""

    operands: tuple[Operand, ...]
    names: tuple[str, ...]
    batch: int | None
    merged: int


Results: TypeAlias = "Value | tuple[Value | None, ...] | None"
"""What a node gives; None for a result that is not translated."""

Translator: TypeAlias = Callable[[Call], Results]


@dataclass(frozen=True, slots=True)
class Translation:
    """How an operator is read, and ``becomes``, the kinds of layer that it turns into, for documentation."""

    read: Translator
    becomes: str


def unary(layer: Layer) -> Translation:
    """A function of one tensor."""
    return Translation(lambda call: call.alike(layer, call.tensor(0)), layer.kind)


def whole_numbers(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], what: str) -> tuple[int, ...]:
    """A constant list of whole numbers.

    Raises:
        ModelFileError: something else.
    """
    if array.ndim > 1 or array.dtype.kind not in "iu" or array.size > 1 << 20:
        raise ModelFileError(f"{what} is of type {array.dtype} and shape {array.shape}", accepted="whole numbers")
    return tuple(int(value) for value in array.ravel())
