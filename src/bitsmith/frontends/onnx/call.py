"""The operands and attributes of one ONNX node, checked on access, and the builder of what it becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder, finite
from bitsmith.frontends.builder.known import Array, Known, Operand, value_of
from bitsmith.frontends.builder.value import Batch, Kind, MixedSamplesError, Value
from bitsmith.frontends.onnx.attributes import Attributes
from bitsmith.frontends.onnx.graph import Node
from bitsmith.layers.layer import Floats, as_weights


@dataclass(frozen=True, slots=True)
class Call:
    """An operator on operands, None for those that are left out. ``wanted`` says which of its results anyone reads,
    ``say`` tells the user something, ``name`` is the user's.
    """

    node: Node
    name: str
    opset: int
    operands: tuple[Operand | None, ...]
    wanted: tuple[bool, ...]
    build: Builder
    say: Callable[[str], None]

    @property
    def attributes(self) -> Attributes:
        """The node's attributes."""
        return self.node.attributes

    def operand(self, number: int) -> Operand | None:
        """Operand ``number``, None if it is left out; constants as the graph has them."""
        return self.operands[number] if number < len(self.operands) else None

    def required(self, number: int) -> Operand:
        """Operand ``number``.

        Raises:
            ModelFileError: it is left out.
        """
        found = self.operand(number)
        if found is None:
            raise ModelFileError(f"{self.node.operator} without operand {number}", where=self.attributes.where)
        return found

    def tensor(self, number: int) -> Value:
        """Operand ``number``, which may be a constant."""
        return self.value(self.required(number))

    def tensors(self) -> tuple[Value, ...]:
        """All operands, at least one."""
        return tuple(self.tensor(number) for number in range(max(len(self.operands), 1)))

    def value(self, operand: Operand) -> Value:
        return operand if isinstance(operand, Value) else value_of(operand, self.build.counts)

    def constant(self, number: int, what: str) -> Known:
        """Operand ``number``, which must be a constant.

        Raises:
            UnsupportedError: it is computed.
        """
        operand = self.required(number)
        if isinstance(operand, Value) and operand.is_trained:
            return Known((operand.elements,), operand.label)
        if isinstance(operand, Value):
            raise UnsupportedError(f"{what} computed from an input", accepted="a constant")
        return operand

    def known(self, number: int, what: str) -> Known | None:
        """Operand ``number``, which must be a constant, or None if it is left out."""
        return None if self.operand(number) is None else self.constant(number, what)

    def array(self, number: int, what: str) -> Array:
        """Operand ``number``, which must be a constant, as the graph has it."""
        return self.constant(number, what).array()

    def weights(self, number: int, what: str) -> Floats:
        """Operand ``number``, which must be a constant, as finite numbers."""
        return finite(as_weights(self.array(number, what)), what, self.attributes.where)

    def trained(self, number: int, what: str) -> Value:
        """The same as a value, with its quantizer if it has one."""
        self.weights(number, what)
        return replace(self.value(self.required(number)), kind=Kind.REAL)

    def number(self, number: int, what: str, default: float | None = None) -> float:
        """Operand ``number``, which must be a constant of one element; ``default`` if it is left out."""
        if default is not None and self.operand(number) is None:
            return default
        found = self.array(number, what)
        if found.size != 1:
            raise UnsupportedError(f"{what} of shape {found.shape}", accepted="one number")
        return float(found.astype(np.float64).reshape(()))

    def integers(self, number: int, what: str) -> tuple[int, ...] | None:
        """Operand ``number`` as constant integers, None if it is left out."""
        found = self.known(number, what)
        return None if found is None else integers(found.array(), what)

    def listed(self, key: str, number: int, since: int) -> tuple[int, ...] | None:
        """Integers, the attribute ``key`` before operator set ``since`` and operand ``number`` from it on."""
        return self.integers(number, key) if self.opset >= since else self.attributes.given_integers(key)

    def batched(self, x: Value, axis: int) -> Value:
        """``x`` with its batch axis at ``axis``; a model without a batch axis may have one of size 1 there.

        Raises:
            UnsupportedError: there are several elements along ``axis``, which are not samples.
        """
        if x.batch == Batch(axis):
            return x
        if x.batch is not None or not axis < x.rank:
            raise MixedSamplesError
        if x.shape[axis] != 1:
            raise UnsupportedError(
                f"{x.shape[axis]} elements along axis {axis}, which this operator takes for samples",
                accepted="one",
                remedy="export it with a batch of open size, or of size 1",
            )
        return self.build.viewed(x, x.dims, Batch(axis), "sample")


Results: TypeAlias = "Operand | tuple[Operand | None, ...] | None"
"""Results of a node; None for a result that is not translated."""

Translator: TypeAlias = Callable[[Call], Results]


@dataclass(frozen=True, slots=True)
class Translation:
    """Reader of an operator, and ``becomes``, the kinds of layer that it turns into, for documentation.

    What it makes of constants is a constant ``Value`` if it is ``valued``, so that it may have a quantizer. Equality may hold for
    one number of samples alone: such an operator is ``judged`` by another whose results differ on both sides of that number.
    """

    read: Translator
    becomes: str
    valued: bool = False
    judged: Translator | None = None


Operators: TypeAlias = dict[str, Translation]
"""Translations of operators, by name."""


def function(make: Callable[..., Results], becomes: str, *reads: Callable[[Call], object]) -> Translation:
    """``make`` of the builder, the first operand and what the ``reads`` give."""
    return Translation(lambda call: make(call.build, call.tensor(0), *(read(call) for read in reads)), becomes)


def integers(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], what: str) -> tuple[int, ...]:
    """A constant list of integers.

    Raises:
        ModelFileError: something else.
    """
    if array.ndim > 1 or array.dtype.kind not in "iu" or array.dtype == np.uint64 or array.size > 1 << 20:
        raise ModelFileError(f"{what} is of type {array.dtype} and shape {array.shape}", accepted="integers")
    return tuple(int(value) for value in array.ravel())
