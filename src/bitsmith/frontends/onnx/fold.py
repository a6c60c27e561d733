"""ONNX operators on constants: what a graph computes from its initialisers and from the sizes of its tensors.

Each entry takes the operands as arrays (None where left out) and the attributes, and gives the results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import MAX_ELEMENTS
from bitsmith.frontends.onnx.attributes import Attributes
from bitsmith.frontends.onnx.graph import Node
from bitsmith.frontends.onnx.tensors import Array, dtype_of


@dataclass(frozen=True, slots=True)
class Folding:
    """One operator on arrays."""

    inputs: Sequence[Array | None]
    attributes: Attributes
    opset: int
    outputs: int

    def array(self, number: int) -> Array:
        """Operand ``number``.

        Raises:
            ModelFileError: it is left out.
        """
        found = self.optional(number)
        if found is None:
            raise ModelFileError(f"no operand {number}", where=self.attributes.where)
        return found

    def optional(self, number: int) -> Array | None:
        """Operand ``number``, None if it is left out."""
        return self.inputs[number] if number < len(self.inputs) else None

    def integers(self, number: int) -> tuple[int, ...] | None:
        """Operand ``number`` as whole numbers, None if it is left out."""
        found = self.optional(number)
        if found is None:
            return None
        if found.dtype.kind not in "iu" or found.ndim > 1:
            raise ModelFileError(
                f"operand {number} is of type {found.dtype}", where=self.attributes.where, accepted="whole numbers"
            )
        return tuple(int(value) for value in found.ravel())

    def listed(self, key: str, number: int, since: int) -> tuple[int, ...] | None:
        """Whole numbers, the attribute ``key`` before operator set ``since`` and operand ``number`` from it on."""
        return self.integers(number) if self.opset >= since else self.attributes.given_integers(key)

    def sized(self, shape: Sequence[int]) -> tuple[int, ...]:
        """``shape``, if a tensor of it is of sensible size."""
        if any(size < 0 for size in shape) or math.prod(shape) > MAX_ELEMENTS or len(shape) > 32:
            raise ModelFileError(
                f"a tensor of shape {tuple(shape)[:32]}",
                where=self.attributes.where,
                accepted=f"at most {MAX_ELEMENTS} elements",
            )
        return tuple(shape)


Fold: TypeAlias = Callable[[Folding], "Array | Sequence[Array]"]


def folded(node: Node, inputs: Sequence[Array | None], opset: int) -> list[Array] | None:
    """The results of ``node`` on constants; None if it is not known here.

    Raises:
        ModelFileError: operands that do not fit.
    """
    fold = FOLDS.get(node.operator) if not node.domain else None
    if fold is None:
        return None
    try:
        with np.errstate(all="ignore"):
            found = fold(Folding(inputs, node.attributes, opset, len(node.outputs)))
    except (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError, MemoryError) as error:
        raise ModelFileError(
            f"{node.operator} on constants that do not fit ({error})", where=node.attributes.where
        ) from error
    results = list(found) if isinstance(found, list | tuple) else [found]
    return [np.asarray(result) for result in results]


def slices(
    start: Sequence[int], stop: Sequence[int], axes: Sequence[int], steps: Sequence[int], shape: Sequence[int]
) -> dict[int, range]:
    """The elements that ``Slice`` takes of some axes.

    Raises:
        ValueError: arguments that do not fit.
    """
    found: dict[int, range] = {}
    for first, last, axis, step in zip(start, stop, axes, steps, strict=True):
        if step == 0 or not -len(shape) <= axis < len(shape):
            raise ValueError("a slice of an axis that is not there, or with a step of 0")
        size = shape[axis]
        found[axis % len(shape)] = range(*slice(first, last, step).indices(size))
    return found


def reshaped(shape: Sequence[int], target: Sequence[int], *, allow_zero: bool) -> tuple[int, ...]:
    """What ``Reshape`` makes of a tensor of ``shape``: 0 copies a size, -1 is what is left.

    Raises:
        ValueError: there is no such shape.
    """
    sizes = [shape[k] if size == 0 and not allow_zero else size for k, size in enumerate(target)]
    if sizes.count(-1) == 1:
        rest = math.prod(size for size in sizes if size != -1)
        if rest == 0 or math.prod(shape) % rest:
            raise ValueError(f"shape {tuple(shape)} as {tuple(target)}")
        sizes[sizes.index(-1)] = math.prod(shape) // rest
    if any(size < 0 for size in sizes) or math.prod(sizes) != math.prod(shape):
        raise ValueError(f"shape {tuple(shape)} as {tuple(target)}")
    return tuple(sizes)


def split_sizes(size: int, parts: int, given: Sequence[int] | None) -> tuple[int, ...]:
    """The lengths that ``Split`` cuts an axis of ``size`` elements into.

    Raises:
        ValueError: lengths that do not add up.
    """
    if given is None:
        each = -(-size // max(parts, 1))
        given = [each] * (parts - 1) + [size - each * (parts - 1)]
    if any(length < 0 for length in given) or sum(given) != size:
        raise ValueError(f"{size} elements in parts of {tuple(given)}")
    return tuple(given)


def squeezed(shape: Sequence[int], axes: Sequence[int] | None) -> tuple[int, ...]:
    """The axes, counted from the front, that ``Squeeze`` takes away.

    Raises:
        ValueError: one that is no axis of size 1.
    """
    rank = len(shape)
    found = tuple(k for k, size in enumerate(shape) if size == 1) if axes is None else tuple(axes)
    if any(not -rank <= axis < rank or shape[axis] != 1 for axis in found):
        raise ValueError(f"axes {found} of shape {tuple(shape)}")
    return tuple(axis % rank for axis in found)


def unsqueezed(rank: int, axes: Sequence[int]) -> tuple[int, ...]:
    """The axes of the result, counted from the front, that ``Unsqueeze`` adds to a tensor of ``rank`` axes.

    Raises:
        ValueError: one that the result does not have, or twice.
    """
    total = rank + len(axes)
    if total > 32 or any(not -total <= axis < total for axis in axes):
        raise ValueError(f"new axes {tuple(axes)} of {rank}")
    found = {axis % total for axis in axes}
    if len(found) != len(axes):
        raise ValueError(f"new axes {tuple(axes)} of {rank}")
    return tuple(sorted(found))


def reduced_axes(call: Folding, since: int) -> tuple[int, ...] | None:
    """The axes of a reduction; none at all means every axis, or, if the attribute says so, nothing (None)."""
    axes = call.listed("axes", 1, since) or ()
    no_operation = call.attributes.flag("noop_with_empty_axes", False)
    if not axes and no_operation:
        return None
    rank = call.array(0).ndim
    if any(not -rank <= axis < rank for axis in axes):
        raise ValueError(f"axes {axes} of {rank}")
    return tuple(axis % rank for axis in axes) or tuple(range(rank))


def _reduction(function: Callable[..., Array], since: int) -> Fold:
    def fold(call: Folding) -> Array:
        axes, keep = reduced_axes(call, since), call.attributes.flag("keepdims", True)
        x = call.array(0)
        return x if axes is None else np.asarray(function(x, axis=axes, keepdims=keep), dtype=x.dtype)

    return fold


def _unary(function: Callable[[Array], Array], *, keep: bool = True) -> Fold:
    """A function of one array, whose type it keeps."""

    def fold(call: Folding) -> Array:
        x = call.array(0)
        return np.asarray(function(x), dtype=x.dtype if keep else None)

    return fold


def _binary(function: Callable[[Array, Array], Array]) -> Fold:
    """A function of arrays that broadcast, one after the other."""

    def fold(call: Folding) -> Array:
        result = call.array(0)
        for number in range(1, len(call.inputs)):
            other = call.array(number)
            call.sized(np.broadcast_shapes(result.shape, other.shape))
            result = np.asarray(function(result, other))
        return result

    return fold


def _divide(x: Array, y: Array) -> Array:
    if x.dtype.kind not in "iu":
        return np.asarray(np.divide(x, y))
    if not bool(np.all(y)):
        raise ZeroDivisionError("a division by zero")
    down = np.asarray(np.floor_divide(x, y))
    return np.asarray(np.where(np.logical_and(np.less(down, 0), np.mod(x, y)), np.add(down, 1), down), dtype=x.dtype)


def _mod(call: Folding) -> Array:
    x, y = call.array(0), call.array(1)
    if x.dtype.kind in "iu" and not bool(np.all(y)):
        raise ZeroDivisionError("a division by zero")
    return np.asarray(np.fmod(x, y) if call.attributes.flag("fmod", False) else np.mod(x, y))


def _power(call: Folding) -> Array:
    x, y = call.array(0), call.array(1)
    call.sized(np.broadcast_shapes(x.shape, y.shape))
    return np.asarray(np.power(x.astype(np.float64), y.astype(np.float64))).astype(x.dtype)


def _cast(call: Folding) -> Array:
    call.attributes.ignore("saturate", "round_mode")
    return call.array(0).astype(dtype_of(call.attributes.integer("to"), call.attributes.where))


def _constant(call: Folding) -> Array:
    attributes = call.attributes
    for key, read in (("value_int", attributes.integer), ("value_float", attributes.number)):
        if key in attributes:
            return np.array(read(key), dtype=np.int64 if key == "value_int" else np.float32)
    integers, numbers = attributes.given_integers("value_ints"), attributes.numbers("value_floats")
    if integers is not None or numbers is not None:
        return np.array(numbers, dtype=np.float32) if integers is None else np.array(integers, dtype=np.int64)
    found = attributes.tensor("value")
    if found is None:
        raise UnsupportedError("a constant of text, or a sparse one", accepted="dense numbers")
    return found


def _constant_of_shape(call: Folding) -> Array:
    found = call.attributes.tensor("value")
    value = np.zeros(1, dtype=np.float32) if found is None else found
    if value.size != 1:
        raise ValueError("no single value")
    return np.full(call.sized(call.integers(0) or ()), value.ravel()[0], dtype=value.dtype)


def _gather(call: Folding) -> Array:
    x, indices = call.array(0), call.array(1)
    axis = call.attributes.integer("axis", 0)
    call.sized((*x.shape[:axis], *indices.shape, *x.shape[axis % x.ndim + 1 :]))
    return np.take(x, indices.astype(np.int64), axis=axis)


def _slice(call: Folding) -> Array:
    x = call.array(0)
    if call.opset < 10:
        start, stop = call.attributes.integers("starts"), call.attributes.integers("ends")
        axes = call.attributes.integers("axes") or tuple(range(len(start)))
        steps: tuple[int, ...] | None = None
    else:
        start, stop = call.integers(1) or (), call.integers(2) or ()
        axes = call.integers(3) or tuple(range(len(start)))
        steps = call.integers(4)
    for axis, picked in slices(start, stop, axes, steps or (1,) * len(start), x.shape).items():
        x = np.take(x, picked, axis)
    return x


def _reshape(call: Folding) -> Array:
    x, target = call.array(0), call.integers(1) or ()
    return x.reshape(reshaped(x.shape, target, allow_zero=call.attributes.flag("allowzero", False)))


def _flatten(call: Folding) -> Array:
    x, axis = call.array(0), call.attributes.integer("axis", 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _squeeze(call: Folding) -> Array:
    x = call.array(0)
    return np.squeeze(x, squeezed(x.shape, call.listed("axes", 1, 13)))


def _unsqueeze(call: Folding) -> Array:
    x = call.array(0)
    return np.expand_dims(x, unsqueezed(x.ndim, call.listed("axes", 1, 13) or ()))


def _transpose(call: Folding) -> Array:
    return np.transpose(call.array(0), call.attributes.given_integers("perm"))


def _concat(call: Folding) -> Array:
    arrays = [call.array(number) for number in range(len(call.inputs))]
    return np.concatenate(arrays, call.attributes.integer("axis", 1 if call.opset < 4 else None))


def _split(call: Folding) -> list[Array]:
    x, axis = call.array(0), call.attributes.integer("axis", 0)
    call.attributes.ignore("num_outputs")
    sizes = split_sizes(x.shape[axis], call.outputs, call.listed("split", 1, 13))
    return np.split(x, np.cumsum(sizes)[:-1], axis)


def _expand(call: Folding) -> Array:
    x, shape = call.array(0), call.integers(1) or ()
    call.sized(shape)
    return np.broadcast_to(x, call.sized(np.broadcast_shapes(x.shape, shape)))


def _tile(call: Folding) -> Array:
    x, repeats = call.array(0), call.integers(1) or ()
    call.sized([n * times for n, times in zip(x.shape, repeats, strict=True)])
    return np.tile(x, repeats)


def _range(call: Folding) -> Array:
    start, stop, step = (call.array(number).reshape(()) for number in range(3))
    count = max(math.ceil((float(stop) - float(start)) / float(step)), 0)
    call.sized((count,))
    return np.asarray(np.add(start, np.multiply(np.arange(count), step)), dtype=start.dtype)


def _where(call: Folding) -> Array:
    condition, x, y = (call.array(number) for number in range(3))
    call.sized(np.broadcast_shapes(condition.shape, x.shape, y.shape))
    return np.asarray(np.where(condition, x, y))


def _matmul(call: Folding) -> Array:
    x, y = call.array(0), call.array(1)
    if x.size * y.shape[-1] > MAX_ELEMENTS << 4:
        raise ValueError("a product that is too large")
    return np.asarray(np.matmul(x, y))


def _non_zero(call: Folding) -> Array:
    return np.array(np.nonzero(call.array(0)), dtype=np.int64)


def _trilu(call: Folding) -> Array:
    x, k = call.array(0), (call.integers(1) or (0,))[0]
    k = max(min(k, MAX_ELEMENTS), -MAX_ELEMENTS)
    return np.asarray(np.triu(x, k) if call.attributes.flag("upper", True) else np.tril(x, k))


def _clip(call: Folding) -> Array:
    x = call.array(0)
    low, high = (call.optional(number) for number in (1, 2))
    return np.asarray(np.clip(x, low, high), dtype=x.dtype)


FOLDS: Mapping[str, Fold] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Identity": lambda call: call.array(0),
    "Shape": lambda call: _shape(call),
    "Size": lambda call: np.array(call.array(0).size, dtype=np.int64),
    "Cast": _cast,
    "CastLike": lambda call: call.array(0).astype(call.array(1).dtype),
    "Gather": _gather,
    "Slice": _slice,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "Expand": _expand,
    "Tile": _tile,
    "Range": _range,
    "Where": _where,
    "MatMul": _matmul,
    "NonZero": _non_zero,
    "Trilu": _trilu,
    "Add": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "Div": _binary(_divide),
    "Mod": _mod,
    "Pow": _power,
    "Max": _binary(np.maximum),
    "Min": _binary(np.minimum),
    "Sum": _binary(np.add),
    "And": _binary(np.logical_and),
    "Or": _binary(np.logical_or),
    "Xor": _binary(np.logical_xor),
    "Equal": _binary(np.equal),
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "Not": _unary(np.logical_not, keep=False),
    "Neg": _unary(np.negative),
    "Abs": _unary(np.abs),
    "Sign": _unary(np.sign),
    "Floor": _unary(np.floor),
    "Ceil": _unary(np.ceil),
    "Round": _unary(np.rint),
    "Sqrt": _unary(np.sqrt),
    "Exp": _unary(np.exp),
    "Log": _unary(np.log),
    "Sin": _unary(np.sin),
    "Cos": _unary(np.cos),
    "Reciprocal": _unary(lambda x: np.divide(1, x)),
    "Clip": _clip,
    "ReduceSum": _reduction(np.sum, 13),
    "ReduceProd": _reduction(np.prod, 18),
    "ReduceMax": _reduction(np.max, 18),
    "ReduceMin": _reduction(np.min, 18),
    "ReduceMean": _reduction(np.mean, 18),
}
"""Operators that are evaluated on constants."""


def shape_slice(attributes: Attributes, sizes: Sequence[int]) -> tuple[int, ...]:
    """What ``Shape`` gives of a tensor's sizes."""
    start, end = attributes.integer("start", 0), attributes.integer("end", len(sizes))
    return tuple(sizes)[slice(start, end)]


def _shape(call: Folding) -> Array:
    return np.array(shape_slice(call.attributes, call.array(0).shape), dtype=np.int64)
