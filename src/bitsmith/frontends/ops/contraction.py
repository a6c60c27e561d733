"""Products of tensors in Einstein's notation: of one or two tensors, or of a tensor and trained weights."""

import math
import string
from collections.abc import Sequence, Set
from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import (
    SAMPLES_FIRST,
    Batch,
    Kind,
    MixedSamplesError,
    Value,
    constant,
    layouts_of,
    quantizers_of,
)
from bitsmith.frontends.ops.arithmetic import add_scaled, number_kind
from bitsmith.frontends.ops.logic import wrapped
from bitsmith.frontends.ops.shape import squeeze
from bitsmith.layers.dense import Dense
from bitsmith.layers.einsum import Einsum, EinsumDense, parse_equation
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.shape import Reshape


def einsum(build: Builder, text: str, tensors: Sequence[Value], scale: float = 1.0, bias: Value | None = None) -> Value:
    """The Einstein sum that ``text`` says of one or two tensors; ``bias`` is one of a product with weights."""
    equation = parse_equation(text, [x.rank for x in tensors])
    return contracted(build, equation.operands, equation.result, tensors, scale, bias)


def matrix_product(build: Builder, x: Value, y: Value) -> Value:
    """``x @ y`` as NumPy means it: vectors count as matrices, leading axes broadcast."""
    left, right = "...ij" if x.rank > 1 else "j", "...jk" if y.rank > 1 else "j"
    return einsum(build, f"{left},{right}->...{'i' * (x.rank > 1)}{'k' * (y.rank > 1)}", (x, y))


def affine_product(
    build: Builder, text: str, x: Value, y: Value, offset: Value | None, alpha: float = 1.0, beta: float = 1.0
) -> Value:
    """``alpha`` times the Einstein sum ``text``, plus ``beta * offset``: one layer if that is a row and ``y`` weights."""
    if offset is None or beta == 0.0:
        return einsum(build, text, (x, y), alpha)
    right = text.partition("->")[0].partition(",")[2]
    units = y.dims[right.index(text[-1])] if len(right) == y.rank and text[-1] in right else 0
    trained = x.constant is None and y.is_trained and offset.is_trained and offset.rank <= x.rank
    size = math.prod(offset.shape)
    if trained and units and (size == 1 or offset.shape[-1] == size == units):
        bias = offset.moved(lambda elements: np.broadcast_to(elements.reshape(-1), (units,))).times(beta)
        return einsum(build, text, (x, y), alpha, bias)
    return add_scaled(build, einsum(build.within("product"), text, (x, y), alpha), offset, beta)


def tensor_product(build: Builder, x: Value, y: Value, x_axes: Sequence[int], y_axes: Sequence[int]) -> Value:
    """The product summed over pairs of axes; the others of ``x`` come before those of ``y``."""
    pairs = {y.counted(j): x.counted(i) for i, j in zip(x_axes, y_axes, strict=True)}
    if not len(x_axes) == len(pairs) == len(set(pairs.values())):
        raise UnsupportedError("a product over one axis twice", accepted="each axis once")
    if x.rank + y.rank > len(string.ascii_letters):
        raise UnsupportedError(f"a product of tensors of {x.rank} and {y.rank} axes")
    letters = string.ascii_letters
    left = letters[: x.rank]
    right = "".join(left[pairs[j]] if j in pairs else letters[x.rank + j] for j in range(y.rank))
    shared = {left[i] for i in pairs.values()}
    return contracted(build, (left, right), "".join(label for label in left + right if label not in shared), (x, y))


def contracted(
    build: Builder,
    terms: Sequence[str],
    result: str,
    tensors: Sequence[Value],
    scale: float = 1.0,
    bias: Value | None = None,
) -> Value:
    """An Einstein sum of one or two tensors, whose axes of size 1 broadcast; ``bias`` is one of a product with weights."""
    pairs = list(zip(terms, tensors, strict=True))
    batches = {(term[x.batch.axis], x.batch.outer, x.batch.inner) for term, x in pairs if x.batch is not None}
    label, outer, inner = next(iter(batches), ("", 1, 1))
    if len(batches) > 1:
        raise MixedSamplesError("multiplies tensors whose batch axes differ", remedy=SAMPLES_FIRST)
    if label not in result:
        raise MixedSamplesError(
            f"{','.join(terms)}->{result} of axes {[x.dims for x in tensors]}", accepted="products within a sample"
        )
    pairs = [
        (term, build.per_sample(x, Batch(term.index(label), outer, inner)) if label and label in term else x)
        for term, x in pairs
    ]
    large = {name for term, x in pairs for dim, name in enumerate(term) if x.dims[dim] > 1 or name == label}
    pairs = [_thinned(build, term, x, large) for term, x in pairs]
    if label and any(x.batch is None and label in term for term, x in pairs):
        raise MixedSamplesError("a constant that differs between samples", accepted="one constant for all samples")
    gone = label if outer * inner == 1 else ""
    named = [(term.replace(gone, "") if x.batch is not None else term, x) for term, x in pairs]
    kind, thin = number_kind(*tensors), result.replace(gone, "")
    y = wrapped(build, kind, lambda inner: _product(inner, named, thin, scale, bias, kind))
    return replace(y, batch=Batch(result.index(label), outer, inner)) if label else y


def _thinned(build: Builder, term: str, x: Value, large: Set[str]) -> tuple[str, Value]:
    """A term without the axes of size 1 that broadcast to ``large`` ones of the other tensor."""
    batch = None if x.batch is None else x.batch.axis
    gone = [dim for dim, label in enumerate(term) if x.dims[dim] == 1 and label in large and dim != batch]
    term = "".join(label for dim, label in enumerate(term) if dim not in gone)
    return term, squeeze(build.within("thin"), x, gone)


def dense(
    build: Builder, x: Value, weight: Value, bias: Value | None, suffix: str = "", kind: Kind = Kind.REAL
) -> Value:
    """A fully connected layer with trained tensors: rows of ``weight`` for the channels of ``x``."""
    layer, trained = Dense(weight.elements, None if bias is None else bias.elements), {"weight": weight, "bias": bias}
    quantizers, layouts = quantizers_of(**trained), layouts_of(**trained)
    return build.emit(layer, x, suffix=suffix, kind=kind, quantizers=quantizers, layouts=layouts)


def _product(
    build: Builder, named: Sequence[tuple[str, Value]], result: str, scale: float, bias: Value | None, kind: Kind
) -> Value:
    """The product as each sample has it."""
    variables = [(term, x) for term, x in named if not x.is_trained]
    trained = [(term, x) for term, x in named if x.is_trained]
    if not result:  # a sample's result has an axis in layers
        if len(named) == 1:
            return build.emit(Reduce(Reduction.SUM, tuple(range(len(named[0][0])))), named[0][1], kind=kind)
        extra = next(letter for letter in string.ascii_letters if all(letter not in term for term, _ in named))
        (term, x), *others = sorted(named, key=lambda one: one[1].is_trained)
        thin = build.emit(Reshape((1, *x.shape)), x, suffix="row", kind=kind)
        y = _product(build, [(extra + term, thin), *others], extra, scale, None, kind)
        return build.emit(Reshape(()), y, suffix="scalar", kind=kind)
    if not trained or not variables:
        equation = f"{','.join(term for term, _ in named)}->{result}"
        return build.emit(Einsum(equation, scale), *(x for _, x in named), kind=kind)
    ((term, x),), ((names, weights),) = variables, trained
    alone = tuple(axis for axis, label in enumerate(names) if label not in term + result)
    # Axes that nothing else has are summed at once.
    kernel = (constant(np.sum(weights.elements, axis=alone)) if alone else weights).times(scale)
    names = "".join(label for axis, label in enumerate(names) if axis not in alone)
    if not names:
        raise UnsupportedError("a product with a single number", accepted="a multiplication")
    for label, unit, matrix in ((names[0], names[1:], kernel), (names[-1], names[:-1], kernel.moved(np.transpose))):
        fits = bias is None or bias.shape == matrix.shape[1:]
        if kernel.rank == 2 and fits and label == term[-1:] and result == term[:-1] + unit:
            return dense(build, x, build.draft.shared(matrix), bias and build.draft.shared(bias), kind=kind)
    layer = EinsumDense(f"{term},{names}->{result}", kernel.elements, None if bias is None else bias.elements)
    return build.emit(layer, x, kind=kind, quantizers=quantizers_of(weight=kernel, bias=bias))
