"""Products of two tensors summed over shared axes, in Einstein's notation; of two variables or with a trained one.

A label of an equation is one of four kinds. *Batch*: in both operands and the result. *Contracted*: in both operands only.
*Free*: in one operand and the result. *Summed*: in one operand only, which is summed over it first.
"""

from __future__ import annotations

import math
import reprlib
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.layers.auto import product_scales
from bitsmith.layers.example import Example, quarters
from bitsmith.layers.layer import Floats, Layer, Shape, broadcasts, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

_LETTERS = string.ascii_letters


@dataclass(frozen=True, slots=True)
class Equation:
    """A parsed equation: the labels of each operand and of the result. Ellipses are gone."""

    operands: tuple[str, ...]
    result: str

    def __str__(self) -> str:
        return f"{','.join(self.operands)}->{self.result}"


def parse_equation(text: str, ranks: Sequence[int]) -> Equation:
    """``text`` for operands of ``ranks`` axes; an ellipsis becomes labels of its own, a result left out is NumPy's.

    Raises:
        UnsupportedError: no equation, or one that takes a diagonal, or one that does not fit the ranks.
    """
    stripped = "".join(text.split())
    left, arrow, result = stripped.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise UnsupportedError(
            f"the equation {reprlib.repr(text)} for {len(ranks)} operands", accepted="one term per operand"
        )
    unused = [letter for letter in sorted(_LETTERS) if letter not in stripped]
    # NumPy aligns the axes that ellipses stand for from the right.
    most = max((rank - len(term) + 3 for term, rank in zip(terms, ranks, strict=True) if "..." in term), default=0)
    if not 0 <= most <= len(unused):
        raise UnsupportedError(f"the equation {reprlib.repr(text)} for operands of {list(ranks)} axes")
    hidden = "".join(unused[:most])
    operands = tuple(_opened(term, hidden, rank, text) for term, rank in zip(terms, ranks, strict=True))
    if not arrow:
        every = "".join(operands)
        result = hidden + "".join(sorted(label for label in set(every) - set(hidden) if every.count(label) == 1))
    else:
        result = _opened(result, hidden, None, text)
    if not set(result) <= set("".join(operands)):
        raise UnsupportedError(f"the equation {reprlib.repr(text)}, whose result has an axis that no operand has")
    return Equation(operands, result)


def _opened(term: str, hidden: str, rank: int | None, text: str) -> str:
    """One term with labels in place of its ellipsis."""
    if "..." in term:
        count = len(hidden) if rank is None else rank - len(term) + 3
        term = term.replace("...", hidden[len(hidden) - count :], 1) if count >= 0 else term
    if not all(label in _LETTERS for label in term) or (rank is not None and len(term) != rank):
        axes = "a result" if rank is None else f"an operand of {rank} axes"
        raise UnsupportedError(
            f"{reprlib.repr(term)} in the equation {reprlib.repr(text)} for {axes}",
            accepted="one letter per axis, and '...'",
        )
    if len(set(term)) != len(term):
        raise UnsupportedError(
            f"the equation {reprlib.repr(text)}, which takes a diagonal", accepted="each letter once per operand"
        )
    return term


def _sizes(equation: Equation, shapes: Sequence[Shape]) -> dict[str, int]:
    """The size of each label.

    Raises:
        UnsupportedError: operands that do not fit.
    """
    sizes: dict[str, int] = {}
    if len(shapes) != len(equation.operands):
        raise UnsupportedError(f"{equation} of {len(shapes)} tensors", accepted=f"{len(equation.operands)} tensors")
    for labels, shape in zip(equation.operands, shapes, strict=True):
        if len(labels) != len(shape):
            raise UnsupportedError(f"{equation} of shapes {list(shapes)}", accepted="one letter per axis")
        for label, size in zip(labels, shape, strict=True):
            if sizes.setdefault(label, size) != size:
                raise UnsupportedError(f"{equation} of shapes {list(shapes)}", accepted="one size per letter")
    if not equation.result:
        raise UnsupportedError(f"{equation}, which leaves no axis", accepted="results with at least one axis")
    return sizes


def _parsed(text: str) -> Equation:
    """An equation without ellipses, which says its own ranks."""
    return parse_equation(text, [len(term) for term in text.partition("->")[0].split(",")])


def _summed(builder: ProgramBuilder, x: Value, labels: str, kept: str) -> tuple[Value, str]:
    """``x`` summed over what neither the other operand nor the result has."""
    axes = [axis for axis, label in enumerate(labels) if label not in kept]
    return (builder.sum(x, axes) if axes else x), "".join(label for label in labels if label in kept)


def _ordered(builder: ProgramBuilder, x: Value, labels: str, order: str) -> Value:
    return builder.transpose(x, [labels.index(label) for label in order])


@dataclass(frozen=True, slots=True)
class _Groups:
    """The labels of a product of two operands by kind, in the order in which the operands have them."""

    batch: str
    contracted: str
    left: str
    right: str

    @classmethod
    def of(cls, left: str, right: str, result: str) -> _Groups:
        shared = [label for label in left if label in right]
        return cls(
            "".join(label for label in shared if label in result),
            "".join(label for label in shared if label not in result),
            "".join(label for label in left if label not in right),
            "".join(label for label in right if label not in left),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Einsum(Layer):
    """``equation`` of one or two tensors (labels without the batch axis, no ellipsis), times ``scale``."""

    equation: str
    scale: float = 1.0

    precisions: ClassVar[tuple[str, ...]] = ("scale", "accum", "result")

    @property
    def traits(self) -> Traits:
        two = "," in self.equation
        return computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False, multiplies=two)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        equation = _parsed(self.equation)
        if len(inputs) not in (1, 2):
            raise UnsupportedError(f"{equation} of {len(inputs)} tensors", accepted="one or two tensors")
        sizes = _sizes(equation, inputs)
        return tuple(sizes[label] for label in equation.result)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        equation = _parsed(self.equation)
        batch = next(letter for letter in _LETTERS if letter not in str(equation))
        operands = [batch + labels for labels in equation.operands]
        product = _float_product(inputs, operands, batch + equation.result)
        return np.asarray(product * self.scale, dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        equation = _parsed(self.equation)
        builder = lowering.builder
        if len(inputs) == 1:
            product, labels = _summed(builder, inputs[0], equation.operands[0], equation.result)
        else:
            product, labels = _product(builder, inputs, equation)
        product = _ordered(builder, product, labels, equation.result)
        if self.scale != 1.0:
            product = builder.mul(product, lowering.number("scale", self.scale))
        return lowering.result(lowering.cast("accum", product))


def _float_product(inputs: Sequence[Floats], operands: Sequence[str], result: str) -> Floats:
    """The product as of `numpy.einsum`, which computes batches of matrices one number at a time: here as matrices."""
    text = f"{','.join(operands)}->{result}"
    sizes = {pair for labels, x in zip(operands, inputs, strict=True) for pair in zip(labels, x.shape, strict=True)}
    known = dict(sizes)
    groups = None if len(operands) == 1 else _Groups.of(operands[0], operands[1], result)
    if groups is None or len(known) < len(sizes) or not set(groups.left + groups.right) <= set(result):
        return np.asarray(np.einsum(text, *inputs, optimize=True))  # of sums of one operand, or with sizes of 1

    def matrices(x: Floats, labels: str, rows: str, columns: str) -> Floats:
        batch = [known[label] for label in groups.batch]
        shape = [*batch, *(math.prod(known[label] for label in part) for part in (rows, columns))]
        return x.transpose([labels.index(label) for label in groups.batch + rows + columns]).reshape(shape)

    left = matrices(inputs[0], operands[0], groups.left, groups.contracted)
    right = matrices(inputs[1], operands[1], groups.contracted, groups.right)
    order = groups.batch + groups.left + groups.right
    product = np.matmul(left, right).reshape([known[label] for label in order])
    return np.asarray(product.transpose([order.index(label) for label in result]))


def _product(builder: ProgramBuilder, inputs: Sequence[Value], equation: Equation) -> tuple[Value, str]:
    """The exact product of two variables, and the order of its labels."""
    (left, right), result = equation.operands, equation.result
    x, left = _summed(builder, inputs[0], left, right + result)
    y, right = _summed(builder, inputs[1], right, left + result)
    sizes = dict(zip(left + right, x.shape + y.shape, strict=True))
    groups = _Groups.of(left, right, result)
    x = _ordered(builder, x, left, groups.batch + groups.left + groups.contracted)
    y = _ordered(builder, y, right, groups.batch + groups.contracted + groups.right)
    shape = {
        labels: tuple(sizes[label] for label in labels)
        for labels in (groups.batch, groups.contracted, groups.left, groups.right)
    }
    n, k, m = (math.prod(shape[labels]) for labels in (groups.left, groups.contracted, groups.right))
    x, y = builder.reshape(x, (*shape[groups.batch], n, k)), builder.reshape(y, (*shape[groups.batch], k, m))
    product = builder.mul(x, y) if k == 1 else builder.matmul(x, y)
    product = builder.reshape(product, shape[groups.batch] + shape[groups.left] + shape[groups.right])
    return product, groups.batch + groups.left + groups.right


@dataclass(frozen=True, slots=True, eq=False)
class EinsumDense(Layer):
    """``equation`` of a tensor and ``kernel`` (labels without the batch axis, no ellipsis), plus ``bias``, which broadcasts.

    Labels that the tensor shares with both the kernel and the result make groups, each with weights of its own.
    """

    equation: str
    kernel: Floats
    bias: Floats | None = None

    precisions: ClassVar[tuple[str, ...]] = ("weight", "bias", "accum", "result")
    trained: ClassVar[Mapping[str, str]] = {"weight": "kernel", "bias": "bias"}

    @property
    def traits(self) -> Traits:
        equation = _parsed(self.equation)
        (left, right), final = equation.operands, equation.result
        affine = left == final and set(right) <= set(final)
        return computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=affine, multiplies=True)

    def trained_scales(self, operand: Floats, result: Floats, rank: int) -> Mapping[str, Floats]:
        equation = _parsed(self.equation)
        (left, right), final = equation.operands, equation.result
        summed = [size for label, size in zip(right, self.kernel.shape, strict=True) if label not in final]
        # What is not along an axis of the kernel counts at its worst.
        rows = _along(operand, left[-1:], right, np.max)
        scales = product_scales(rows, _along(result, final[-1:], right, np.min), math.prod(summed))
        return {"weight": scales, "bias": result}

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        equation = _parsed(self.equation)
        sizes = _sizes(equation, [single(inputs, self.kind), self.kernel.shape])
        shape = tuple(sizes[label] for label in equation.result)
        if not set(equation.operands[1]) <= set(equation.operands[0] + equation.result):
            raise UnsupportedError(f"{equation}, which sums over the kernel alone")
        if self.bias is not None and not broadcasts(self.bias.shape, shape):
            raise UnsupportedError(f"a bias of shape {self.bias.shape} on a result of shape {shape}")
        return shape

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        equation = _parsed(self.equation)
        batch = next(letter for letter in _LETTERS if letter not in str(equation))
        text = f"{batch}{equation.operands[0]},{equation.operands[1]}->{batch}{equation.result}"
        result = np.einsum(text, inputs[0], self.kernel, optimize=True)
        return np.asarray(result if self.bias is None else result + self.bias, dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        equation, builder = _parsed(self.equation), lowering.builder
        (left, right), final = equation.operands, equation.result
        x, left = _summed(builder, inputs[0], left, right + final)
        groups = _Groups.of(left, right, final)
        sizes = dict(zip(left + right, x.shape + self.kernel.shape, strict=True))
        free, units = (tuple(sizes[label] for label in labels) for labels in (groups.left, groups.right))
        count, taps, width = (
            math.prod(sizes[label] for label in labels) for labels in (groups.batch, groups.contracted, groups.right)
        )
        x = _ordered(builder, x, left, groups.left + groups.batch + groups.contracted)
        x = builder.reshape(x, (*free, count * taps))
        order = [right.index(label) for label in groups.batch + groups.contracted + groups.right]
        raw, frac = lowering.scaled_constant("weight", self.kernel)
        weights = raw.transpose(order).reshape(count, taps, width)
        fracs = np.broadcast_to(frac, raw.shape).transpose(order).reshape(count, taps, width)
        if taps == width == 1 and count > 1:
            result = builder.mul(x, builder.const(weights.reshape(-1), fracs.reshape(-1)))
        else:
            parts = [builder.linear(_channels(builder, x, k * taps, taps), weights[k], fracs[k]) for k in range(count)]
            result = parts[0] if count == 1 else builder.concat(parts, -1)
        result = builder.reshape(result, (*free, *(sizes[label] for label in groups.batch), *units))
        result = _ordered(builder, result, groups.left + groups.batch + groups.right, final)
        if self.bias is not None:
            result = builder.add(result, lowering.const("bias", self.bias))
        return lowering.result(lowering.cast("accum", result))


def _along(values: Floats, label: str, labels: str, worst: Callable[[Floats], float]) -> Floats:
    """``values`` along the axis ``label`` of a tensor with ``labels``; the worst of them if it has no such axis."""
    if label not in labels:
        return np.asarray(worst(values))
    return values.reshape([-1 if each == label else 1 for each in labels])


def _channels(builder: ProgramBuilder, x: Value, first: int, count: int) -> Value:
    if x.shape[-1] == count:
        return x
    leading = x.shape[:-1]
    return builder.slice(x, (*(0,) * len(leading), first), (*leading, first + count))


EXAMPLES = (
    Example(Einsum("ij,jk->ik"), ((2, 2), (2, 2))),
    Example(EinsumDense("ab,bc->ac", quarters(3, 2), quarters(2)), ((2, 3),)),
)
