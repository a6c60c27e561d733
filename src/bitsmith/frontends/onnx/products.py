"""ONNX's matrix products: of two tensors, or of a tensor and trained weights."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Batch, MixedSamplesError, Value, constant
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.values import Known, Operand, floats, per_sample
from bitsmith.frontends.ops.arithmetic import add
from bitsmith.layers.dense import Dense
from bitsmith.layers.einsum import Einsum, EinsumDense, parse_equation
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.shape import Reshape

_ZERO = np.zeros(())


@dataclass(frozen=True, slots=True)
class _Term:
    """An operand as each sample sees it, with a label for each axis."""

    operand: Value | Floats
    labels: str

    def sizes(self) -> dict[str, int]:
        return dict(zip(self.labels, self.operand.shape, strict=True))


@dataclass(frozen=True, slots=True)
class Product:
    """``scale`` times the sum of products that the labels describe, in Einstein's notation, plus ``bias``."""

    call: Call
    values: tuple[Operand, Operand]
    labels: tuple[str, str]
    result: str
    scale: float = 1.0
    bias: Floats | None = None
    suffix: str = ""

    def emit(self) -> Value:
        """The layers that compute it."""
        label, merged = self._batch()
        if label is not None and label not in self.result:
            raise MixedSamplesError("sums over the batch axis")
        terms = [
            self._of_a_sample(value, labels, label, merged)
            for value, labels in zip(self.values, self.labels, strict=True)
        ]
        terms = self._without_ones(terms)
        place = None if label is None else self.result.index(label)
        result = self.result if label is None or merged else self.result.replace(label, "")
        lengths: dict[str, int] = {}
        for term in terms:
            for name, size in term.sizes().items():
                if lengths.setdefault(name, size) != size:
                    shapes = [one.operand.shape for one in terms]
                    raise UnsupportedError(f"a product of shapes {shapes}", accepted="sizes that fit")
        if not set(result) <= set(lengths):  # axes of size 1 that all operands lost
            raise UnsupportedError("a product whose result has axes that no operand has")
        y = self._joined(terms, result)
        return replace(
            y, batch=None if place is None else Batch(place, merged or 1, y.shape[place] // merged if merged else 1)
        )

    def _batch(self) -> tuple[str | None, int]:
        """The label of the batch axis, and in how many blocks it is merged."""
        found = {
            (labels[value.batch_axis], value.blocks)
            for value, labels in zip(self.values, self.labels, strict=True)
            if isinstance(value, Value) and value.batch_axis is not None
        }
        if len(found) > 1:
            raise MixedSamplesError("multiplies tensors whose batch axes differ")
        return found.pop() if found else (None, 0)

    def _of_a_sample(self, value: Operand, labels: str, batch: str | None, merged: int) -> _Term:
        axis = labels.index(batch) if batch is not None and batch in labels else None
        rest = labels if axis is None else labels[:axis] + labels[axis + 1 :]
        if isinstance(value, Known):
            return _Term(floats(per_sample(value, axis, False, self.call.samples)), rest)
        if value.batch_axis is not None:
            return _Term(value, labels if merged else rest)
        if axis is None:
            return _Term(value, labels)
        if value.shape[axis] != 1:
            raise MixedSamplesError("multiplies the batch axis with elements that are no samples")
        return _Term(self._reshaped(value, labels, rest), rest)

    def _reshaped(self, x: Value, labels: str, kept: str) -> Value:
        shape = tuple(size for label, size in zip(labels, x.shape, strict=True) if label in kept)
        return self.call.emit(Reshape(shape), (x,), "operand", batch=None)

    def _without_ones(self, terms: Sequence[_Term]) -> list[_Term]:
        """The operands without axes of size 1 that broadcast along the other's."""
        found = []
        for term, other in (terms, (terms[1], terms[0])):
            lengths = other.sizes()
            kept = "".join(label for label, size in term.sizes().items() if size != 1 or lengths.get(label, 1) == 1)
            if kept == term.labels:
                found.append(term)
            elif isinstance(term.operand, Value):
                found.append(_Term(self._reshaped(term.operand, term.labels, kept), kept))
            else:
                shape = [size for label, size in term.sizes().items() if label in kept]
                found.append(_Term(as_weights(term.operand.reshape(shape)), kept))
        return found

    def _joined(self, terms: Sequence[_Term], result: str) -> Value:
        first, second = terms
        if isinstance(first.operand, np.ndarray):
            first, second = second, first
        if isinstance(first.operand, np.ndarray):
            first = _Term(constant(first.operand), first.labels)
        assert isinstance(first.operand, Value)
        if isinstance(second.operand, np.ndarray):
            return self._with_weights(first.operand, first.labels, second.operand, second.labels, result)
        operands, x = (first.operand, second.operand), first.labels
        if result:
            layer = Einsum(f"{x},{second.labels}->{result}", self.scale)
            return self.call.emit(layer, operands, self.suffix, batch=None)
        extra = next(letter for letter in string.ascii_letters if letter not in x + second.labels)
        thin = self.call.emit(Reshape((1, *operands[0].shape)), operands[:1], "row", batch=None)
        layer = Einsum(f"{extra}{x},{second.labels}->{extra}", self.scale)
        y = self.call.emit(layer, (thin, operands[1]), self.suffix, batch=None)
        return self.call.emit(Reshape(()), (y,), "scalar", batch=None)

    def _with_weights(self, x: Value, labels: str, kernel: Floats, names: str, result: str) -> Value:
        alone = [label for label in names if label not in labels + result]
        kernel = np.sum(kernel, axis=tuple(names.index(label) for label in alone))
        names = "".join(label for label in names if label not in alone)
        kernel = kernel * self.scale
        shared = [label for label in names if label in labels]
        plain = len(names) == 2 and len(shared) == 1 and shared[0] == labels[-1:] and shared[0] not in result
        if plain and result == labels[:-1] + names.replace(shared[0], ""):
            layer = Dense(as_weights(kernel if names[0] == shared[0] else kernel.T), self.bias)
            return self.call.emit(layer, (x,), self.suffix, batch=None)
        if not result:
            y = self._with_weights(
                x, labels, kernel[..., None], names + self._new(labels + names), self._new(labels + names)
            )
            return self.call.emit(Reshape(()), (y,), "scalar", batch=None)
        if not names:
            raise UnsupportedError("a product with a single number", accepted="Mul")
        dense = EinsumDense(f"{labels},{names}->{result}", as_weights(kernel), self.bias)
        return self.call.emit(dense, (x,), self.suffix, batch=None)

    @staticmethod
    def _new(taken: str) -> str:
        return next(letter for letter in string.ascii_letters if letter not in taken)


def _matmul(call: Call) -> Value:
    x, y = call.required(0), call.required(1)
    labels, result = _matmul_labels(x.rank, y.rank)
    return Product(call, (x, y), labels, result).emit()


def _matmul_labels(left: int, right: int) -> tuple[tuple[str, str], str]:
    """NumPy's: matrices in the last two axes (one in the last, if there is no other), the leading axes broadcast."""
    if min(left, right) < 1 or max(left, right) > 20:
        raise UnsupportedError(f"a product of tensors of {left} and {right} axes")
    row, shared, column, *rest = tuple(string.ascii_letters)
    leading = "".join(rest[: max(left, right, 2) - 2])
    x = leading[len(leading) - max(left - 2, 0) :] + (row if left > 1 else "") + shared
    y = leading[len(leading) - max(right - 2, 0) :] + shared + (column if right > 1 else "")
    return (x, y), leading + (row if left > 1 else "") + (column if right > 1 else "")


def _gemm(call: Call) -> Value:
    """``alpha * A' B' + beta * C``."""
    attributes = call.attributes
    attributes.ignore("broadcast")
    alpha, beta = attributes.number("alpha", 1.0), attributes.number("beta", 1.0)
    a = "ki" if attributes.flag("transA", False) else "ik"
    b = "jk" if attributes.flag("transB", False) else "kj"
    left, right, offset = call.required(0), call.required(1), call.operand(2)
    if left.rank != 2 or right.rank != 2:
        raise UnsupportedError(f"matrices of {left.rank} and {right.rank} axes", accepted="two axes each")
    product = Product(call, (left, right), (a, b), "ij", alpha)
    if offset is None or beta == 0.0:
        return product.emit()
    if isinstance(offset, Known) and offset.fixed and isinstance(left, Value) and isinstance(right, Known):
        values = floats(offset.array()) * beta
        units = right.array().shape[b.index("j")]
        if values.ndim < 2 or (values.ndim == 2 and values.shape[0] == 1):
            bias = np.broadcast_to(values.reshape(-1), (units,)) if values.size in (1, units) else None
            if bias is not None:
                return replace(product, bias=as_weights(bias)).emit()
    y = replace(product, suffix="product").emit()
    if isinstance(offset, Value) and beta != 1.0:
        offset = call.affine(offset, as_weights(beta), _ZERO, "scaled")
    elif isinstance(offset, Known) and beta != 1.0:
        offset = Known(tuple(array * np.asarray(beta, array.dtype) for array in offset.at), offset.name)
    return add(call.build, y, call.value(offset))


def _einsum(call: Call) -> Value:
    values = [call.required(number) for number in range(max(len(call.operands), 1))]
    if len(values) > 2:
        raise UnsupportedError(f"{len(values)} operands", accepted="one or two", remedy="use several Einsum nodes")
    equation = parse_equation(call.attributes.text("equation"), [value.rank for value in values])
    if len(values) == 2:
        first, second = equation.operands
        return Product(call, (values[0], values[1]), (first, second), equation.result).emit()
    x = call.tensor(0)
    labels, result, place = equation.operands[0], equation.result, None
    if x.batch_axis is not None:
        if labels[x.batch_axis] not in result:
            raise MixedSamplesError("sums over the batch axis")
        place = result.index(labels[x.batch_axis])
        if not x.blocks:
            batch = labels[x.batch_axis]
            labels, result = labels.replace(batch, ""), result.replace(batch, "")
    if not result:
        return call.emit(Reduce(Reduction.SUM, tuple(range(len(labels)))), (x,), batch=place)
    return call.emit(Einsum(f"{labels}->{result}"), (x,), batch=place, blocks=x.blocks)


PRODUCTS: dict[str, Translation] = {
    "MatMul": Translation(_matmul, "Dense, EinsumDense or Einsum"),
    "Gemm": Translation(_gemm, "Dense, or Einsum and Add"),
    "Einsum": Translation(_einsum, "Einsum, or EinsumDense with a constant"),
}
"""Operators by name."""
