"""Orders of a tensor's axes, and of a vector's elements: how a stored tensor lies beside the user's.

Of a tensor with several axes an order permutes the axes, of a vector its elements. Either way, entry ``k`` says which of the
user's axes (elements) is the ``k``-th of the stored tensor.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from bitsmith.layers.arrays import Floats, Shape

Order: TypeAlias = tuple[int, ...]

_Array = TypeVar("_Array", Floats, npt.NDArray[np.object_])


def unchanged(shape: Shape) -> Order:
    """The order of a tensor that lies as the user's does."""
    return _counted(shape[0] if len(shape) == 1 else len(shape))


@lru_cache(maxsize=256)
def _counted(count: int) -> Order:
    return tuple(range(count))


@lru_cache(maxsize=256)
def elements(order: Order, shape: Shape) -> Order:
    """The order of the elements, in a row, of a tensor of ``shape`` in ``order``."""
    places = np.arange(math.prod(shape)).reshape(shape)
    return order if len(shape) == 1 else tuple(places.transpose(order).ravel().tolist())


def inverse(order: Order) -> Order:
    """Return the inverse of ``order``."""
    return tuple(np.argsort(order).tolist())


def after(first: Order, then: Order) -> Order:
    """``first``, and what that gives in the order ``then``."""
    return tuple(first[k] for k in then)


def between(have: Order, want: Order) -> Order:
    """Return the order that makes a tensor in the order ``want`` of one in the order ``have``."""
    return after(inverse(have), want)


def ordered(values: Floats, order: Order) -> Floats:
    """``values`` in that order."""
    return values[list(order)] if values.ndim == 1 else values.transpose(order)


def ordered_shape(shape: Shape, order: Order) -> Shape:
    """The shape of a tensor of ``shape`` in that order."""
    return shape if len(shape) == 1 else after(shape, order)


def ordered_weights(values: Floats, order: Order, shape: Shape) -> Floats:
    """Trained values that broadcast to the user's ``shape``, such that they do so to the stored tensor."""
    result = np.array(stored(values, order, shape))
    result.setflags(write=False)
    return result


def stored(values: _Array, order: Order, shape: Shape) -> _Array:
    """The same of an array of anything."""
    raised = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
    if raised.ndim == 1:
        return raised if raised.size == 1 else raised[list(order)]
    return raised.transpose(order)


def moves(shape: Shape, order: Order) -> bool:
    """Return True if any element of a tensor of ``shape`` lies elsewhere in that order."""
    if len(shape) == 1:
        return order != unchanged(shape)
    kept = [axis for axis in order if shape[axis] > 1]
    return kept != sorted(kept)


def moved_axes(axes: Sequence[int], order: Order, shape: Shape) -> tuple[int, ...]:
    """Return the axes of the stored tensor that axes of the user's (may be negative) are."""
    rank = len(shape)
    return tuple(axes) if rank == 1 else tuple(order.index(axis % rank) for axis in axes)


def without(axes: Sequence[int], order: Order, shape: Shape) -> Order:
    """The order of what is left of a tensor when ``axes`` of the user's (may be negative) are gone."""
    gone = {axis % len(shape) for axis in axes}
    left = [axis for axis in range(len(shape)) if axis not in gone]
    if len(left) == 1:
        return unchanged((shape[left[0]],))
    return tuple(left.index(axis) for axis in order if axis not in gone)


def common(orders: Sequence[Order], shapes: Sequence[Shape]) -> Order | None:
    """The order of what operands broadcast to; None if they do not broadcast as the user's do."""
    rank = max(map(len, shapes))
    full = {order for order, shape in zip(orders, shapes, strict=True) if len(shape) == rank and shape != (1,)}
    if len(full) > 1:
        return None
    order = full.pop() if full else unchanged((1,) * rank)
    for own, shape in zip(orders, shapes, strict=True):
        missing = rank - len(shape)
        aligned = order[missing:] == tuple(range(missing, rank)) and own == unchanged(shape)
        if missing and math.prod(shape) > 1 and not aligned:
            return None
    return order
