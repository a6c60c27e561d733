"""The types of elements that are only moved: they stay as small as they are, however large the tensors."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ProgramError
from bitsmith.ir import ops
from bitsmith.ir.types import MAX_ELEMENTS, TensorType, objects

_Part: TypeAlias = npt.NDArray[np.object_]
"""One of the arrays of a type, which stands for its broadcast to the shape."""


def require(condition: bool, message: str, *of: object) -> None:
    """Refuse a program in which ``condition`` does not hold; ``message`` has a ``{}`` for each of what it speaks ``of``.

    The text is made on failure alone: types are long to write, and are checked a million times.
    """
    if not condition:
        raise ProgramError(message.format(*of) if of else message)


def reshaped(op: ops.Reshape, x: TensorType) -> TensorType:
    """The type of :class:`bitsmith.ir.ops.Reshape`."""
    fits = all(n >= 1 for n in op.shape) and int(np.prod(op.shape, dtype=object)) == x.size
    require(fits, "reshape of {} to {}", x, op.shape)
    return _moved(x, op.shape, lambda part: _reshaped(part, x.shape, op.shape))


def transposed(op: ops.Transpose, x: TensorType) -> TensorType:
    """The type of :class:`bitsmith.ir.ops.Transpose`."""
    require(sorted(op.perm) == list(range(len(x.shape))), "transpose {} of {}", op.perm, x)
    return _moved(x, [x.shape[axis] for axis in op.perm], lambda part: part.transpose(op.perm))


def sliced(op: ops.Slice, x: TensorType) -> TensorType:
    """The type of :class:`bitsmith.ir.ops.Slice`."""
    taken = _slices(op, x.shape)
    shape = [len(range(*part.indices(n))) for part, n in zip(taken, x.shape, strict=True)]

    def move(part: _Part) -> _Part:
        every = slice(None)
        return part[tuple(every if n == 1 else one for n, one in zip(part.shape, taken, strict=True))]

    return _moved(x, shape, move)


def gathered(op: ops.Gather, x: TensorType) -> TensorType:
    """The type of :class:`bitsmith.ir.ops.Gather`."""
    require(0 <= op.axis < len(x.shape), "gather along axis {} of {}", op.axis, x)
    n, indices = x.shape[op.axis], op.indices
    require(bool(np.all((indices >= 0) & (indices < n))), "gather indices out of range")
    require(indices.size * x.size // n <= MAX_ELEMENTS, "a gather too large")

    def move(part: _Part) -> _Part:
        every = np.zeros((1,) * indices.ndim, dtype=np.int64)
        return np.asarray(np.take(part, every if part.shape[op.axis] == 1 else indices, axis=op.axis))

    return _moved(x, (*x.shape[: op.axis], *indices.shape, *x.shape[op.axis + 1 :]), move)


def concatenated(op: ops.Concat, args: Sequence[TensorType]) -> TensorType:
    """The type of :class:`bitsmith.ir.ops.Concat`."""
    require(bool(args) and 0 <= op.axis < len(args[0].shape), f"concat along axis {op.axis}")
    rest = {(*x.shape[: op.axis], *x.shape[op.axis + 1 :]) for x in args if len(x.shape) > op.axis}
    ranks = {len(x.shape) for x in args}
    require(len(rest) == len(ranks) == 1, f"concat of {', '.join(map(str, args))} along axis {op.axis}")

    def join(parts: Sequence[_Part]) -> _Part:
        """Arrays of one shape but for the axis, along which each is as long as its operand."""
        common = np.broadcast_shapes(*((*part.shape[: op.axis], 1, *part.shape[op.axis + 1 :]) for part in parts))
        sizes = [(*common[: op.axis], x.shape[op.axis], *common[op.axis + 1 :]) for x in args]
        return np.concatenate([np.broadcast_to(*pair) for pair in zip(parts, sizes, strict=True)], axis=op.axis)

    shape = (*args[0].shape[: op.axis], sum(x.shape[op.axis] for x in args), *args[0].shape[op.axis + 1 :])
    arrays = [[objects(x.frac) for x in args], [x.lo for x in args], [x.hi for x in args]]
    return TensorType.of(shape, *map(join, arrays))


def _moved(x: TensorType, shape: Sequence[int], move: Callable[[_Part], _Part]) -> TensorType:
    """The type of elements of ``x`` in other places: ``move`` takes each array of ``x`` to one that broadcasts to ``shape``."""
    return TensorType.of(shape, *(move(part) for part in (objects(x.frac), x.lo, x.hi)))


def _reshaped(part: _Part, old: tuple[int, ...], new: tuple[int, ...]) -> _Part:
    """``part``, which stands for its broadcast to ``old``, reshaped to ``new``.

    Axes are matched in runs of equal size, so that a run along which ``part`` is the same stays one element.
    """
    full: list[int] = []
    result: list[int] = []
    for before, after in runs(old, new):
        repeats = all(part.shape[axis] == 1 for axis in before)
        full += [1 if repeats else old[axis] for axis in before]
        result += [1 if repeats else new[axis] for axis in after]
    return np.broadcast_to(part, full).reshape(result)


def runs(old: tuple[int, ...], new: tuple[int, ...]) -> Iterator[tuple[range, range]]:
    """The shortest runs of axes of the two shapes, of which each pair has as many elements; both shapes have as many."""
    i, j = 0, 0
    while i < len(old) or j < len(new):
        start, other, left, right = i, j, 1, 1
        while (i, j) == (start, other) or left != right:
            if j == len(new) or (i < len(old) and left <= right):
                left *= old[i]
                i += 1
            else:
                right *= new[j]
                j += 1
        yield range(start, i), range(other, j)


def _slices(op: ops.Slice, shape: tuple[int, ...]) -> tuple[slice, ...]:
    require(len(op.start) == len(op.stop) == len(op.step) == len(shape), f"slice of {len(op.start)} axes of {shape}")
    for start, stop, step, size in zip(op.start, op.stop, op.step, shape, strict=True):
        require(0 <= start < stop <= size and step >= 1, f"slice {start}:{stop}:{step} of {size}")
    return tuple(map(slice, op.start, op.stop, op.step))
