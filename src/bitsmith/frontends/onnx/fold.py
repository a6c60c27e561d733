"""What ONNX's operators that move elements make of shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bitsmith.frontends.onnx.attributes import Attributes


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


def shape_slice(attributes: Attributes, sizes: Sequence[int]) -> tuple[int, ...]:
    """What ``Shape`` gives of a tensor's sizes."""
    start, end = attributes.integer("start", 0), attributes.integer("end", len(sizes))
    return tuple(sizes)[slice(start, end)]
