"""Other axes for the same elements: views, orders of axes, repetitions along axes of size 1."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Batch, MixedSamplesError, Value, checked_elements, sample_shape
from bitsmith.layers.layer import Shape
from bitsmith.layers.shape import Broadcast, Flatten


def completed(shape: Sequence[int], count: int) -> Shape:
    """``shape``, whose -1 is what is left of ``count`` elements."""
    known = math.prod(size for size in shape if size != -1)
    wild = list(shape).count(-1)
    if wild > 1 or known < 0 or (wild and (known == 0 or count % known)):
        raise UnsupportedError(f"{count} elements viewed as {tuple(shape)}")
    return tuple(count // known if size == -1 else size for size in shape)


def _through_reshape(
    before: Value, after: Sequence[Shape], samples: Sequence[int], best: int | None
) -> tuple[Shape, Batch | None]:
    """Axes and batch of ``before`` once its elements are in row-major order under another shape.

    A tensor (batch, 12) viewed as (batch * 3, 4) has the axes (3, 4) and Batch(0, outer=1, inner=3).

    Args:
        after: the model's new shape for each of the numbers ``samples``.
        best: the axis of the samples, if it can be.

    Raises:
        MixedSamplesError: elements of several samples would lie between those of one.
        UnsupportedError: other numbers of elements.
    """
    for count, shape in zip(samples, after, strict=True):
        if math.prod(shape) != math.prod(before.sizes(count)) or (before.batch is not None and min(shape) < 1):
            raise UnsupportedError(
                f"shape {before.sizes(count)} as {shape}",
                accepted="as many elements",
                remedy="export the model with a batch of size 1, or of open size",
            )
    first = after[0]
    if before.batch is None:
        return first, None
    ahead = math.prod(before.dims[: before.batch.axis]) * before.batch.outer
    choices: list[tuple[Shape, Batch]] = []
    for axis in range(len(first) if len({len(shape) for shape in after}) == 1 else 0):
        others = {(*shape[:axis], 1, *shape[axis + 1 :]) for shape in after}
        parts = {divmod(shape[axis], count) for count, shape in zip(samples, after, strict=True)}
        outer, uneven = divmod(ahead, math.prod(first[:axis]))
        merged, rest = next(iter(parts))
        if len(others) == len(parts) == 1 and not rest and not uneven and outer and merged % outer == 0:
            choices.append(((*first[:axis], merged, *first[axis + 1 :]), Batch(axis, outer, merged // outer)))
    if not choices:
        raise MixedSamplesError(
            f"moves elements between samples (axes {before.dims} viewed as {first})",
            accepted="shapes that keep the batch axis",
        )

    def rank(one: tuple[Shape, Batch]) -> tuple[bool, bool, bool, bool, int]:
        """A batch of one may be taken for any axis: best one that holds nothing else, and not the channels."""
        _, batch = one
        return batch.axis != best, batch.merged > 1, batch.axis == len(first) - 1, batch.outer > 1, batch.axis

    return min(choices, key=rank)


def view(
    build: Builder, x: Value, shapes: Iterable[Sequence[int]], *, flatten: bool = False, batch_axis: int | None = None
) -> Value:
    """``x`` under another shape; with ``flatten`` what leaves one axis besides the batch's is called so.

    Args:
        shapes: the model's shape for each of ``build.counts``; -1 is what is left.
        batch_axis: the axis that the model leaves open for the samples, if it says so.
    """
    after = [completed(one, math.prod(sizes)) for sizes, one in zip(build.sizes(x), shapes, strict=True)]
    dims, batch = _through_reshape(x, after, build.counts, batch_axis)
    flat = flatten and batch == Batch(0) and len(dims) == 2
    return build.viewed(x, dims, batch, layer=Flatten() if flat else None)


def squeeze(build: Builder, x: Value, dims: Sequence[int] | None) -> Value:
    """``x`` without axes of size 1: those that are named, or all but the batch's."""
    batch = None if x.batch is None else x.batch.axis
    if dims is None:
        gone = {dim for dim, size in enumerate(x.dims) if size == 1 and dim != batch}
    else:
        gone = {x.counted(dim) for dim in dims if x.rank}
    if batch in gone:
        raise MixedSamplesError(
            "takes the batch axis away", remedy="name the axes, or export the model with a batch of open size"
        )
    if any(x.dims[dim] != 1 for dim in gone):
        raise UnsupportedError(f"axes {sorted(gone)} squeezed of a tensor of axes {x.dims}", accepted="axes of size 1")
    kept = [dim for dim in range(x.rank) if dim not in gone]
    place = None if x.batch is None else x.batch.at(kept.index(x.batch.axis))
    return build.viewed(x, tuple(x.dims[dim] for dim in kept), place)


def unsqueeze(build: Builder, x: Value, dims: Sequence[int]) -> Value:
    """``x`` with axes of size 1, which the result has at ``dims``."""
    rank = x.rank + len(dims)
    new = {dim % rank for dim in dims if -rank <= dim < rank}
    if len(new) != len(dims):
        raise UnsupportedError(f"new axes {tuple(dims)} of a tensor of {x.rank} axes")
    old = [dim for dim in range(rank) if dim not in new]
    sizes = dict(zip(old, x.dims, strict=True))
    place = None if x.batch is None else x.batch.at(old[x.batch.axis])
    return build.viewed(x, tuple(sizes.get(dim, 1) for dim in range(rank)), place)


def move(build: Builder, x: Value, source: Sequence[int], destination: Sequence[int]) -> Value:
    """``x`` with the axes ``source`` at the places ``destination``, the others in their order."""
    places = [x.counted(dim) for dim in destination]
    moved = dict(zip(places, (x.counted(dim) for dim in source), strict=False))
    if len(source) != len(destination) or len(set(moved.values())) != len(source):
        raise UnsupportedError(f"axes {tuple(source)} moved to {tuple(destination)}", accepted="as many different axes")
    rest = iter(sorted(set(range(x.rank)).difference(moved.values())))
    return build.permuted(x, [moved[dim] if dim in moved else next(rest) for dim in range(x.rank)])


def swap(build: Builder, x: Value, one: int, other: int) -> Value:
    """``x`` with two axes exchanged."""
    return move(build, x, (one, other), (other, one)) if x.counted(one) != x.counted(other) else x


def over_axes(build: Builder, x: Value, dims: Sequence[int], along: Callable[[Builder, Value, int], Value]) -> Value:
    """``x`` after a function ``along`` one axis, for which the axes ``dims`` are one."""
    if len(dims) == 1:
        return along(build, x, dims[0])
    for dim in dims:
        x.axis(dim)  # not that of the samples
    last = {x.counted(dim) for dim in dims}
    order = sorted(range(x.rank), key=last.__contains__)
    moved = build.permuted(x, order, "last")
    kept = moved.dims[: x.rank - len(last)]
    row = build.viewed(moved, (*kept, math.prod(moved.dims[len(kept) :])), moved.batch, "row")
    y = along(build.within("along_row"), row, -1)
    y = build.viewed(y, moved.dims, moved.batch, "axes")
    return build.permuted(y, [order.index(dim) for dim in range(x.rank)])


def expand(build: Builder, x: Value, shapes: Iterable[Sequence[int]]) -> Value:
    """``x`` repeated along axes of size 1 and new leading ones.

    Args:
        shapes: the model's shape for each of ``build.counts``; 1 and -1 leave an axis as it is.
    """
    wanted = [tuple(1 if size == -1 else size for size in shape) for shape in shapes]
    try:
        sizes = [np.broadcast_shapes(*pair) for pair in zip(build.sizes(x), wanted, strict=True)]
    except ValueError as error:
        raise UnsupportedError(f"a tensor of axes {x.dims}: {error}", accepted="sizes that broadcast") from error
    first, ahead = sizes[0], len(sizes[0]) - x.rank
    grown = [axis for axis in range(len(first)) if len({shape[axis] for shape in sizes}) > 1]
    if x.batch is not None:
        batch = x.batch.at(x.batch.axis + ahead)
        first = (*first[: batch.axis], x.dims[x.batch.axis], *first[batch.axis + 1 :])
        if any(shape[batch.axis] != batch.merged * n for n, shape in zip(build.counts, sizes, strict=True)):
            raise MixedSamplesError("repeats samples")
    elif grown:
        axis, own = grown[0], grown[0] - ahead
        share = sizes[0][axis] // build.counts[0]
        lengths = tuple(shape[axis] for shape in sizes)
        if len(grown) > 1 or lengths != tuple(share * n for n in build.counts) or (own >= 0 and x.dims[own] != 1):
            raise MixedSamplesError("repeats elements by the number of samples")
        # All elements along the axis are equal, whether samples are counted faster or slower.
        batch = Batch(axis, 1, share)
        first = (*first[:axis], share, *first[axis + 1 :])
        x = squeeze(build.within("sample"), x, [own]) if own >= 0 and share == 1 else x
    else:
        batch = None
    shape = checked_elements(sample_shape(first, batch))
    if math.prod(shape) == math.prod(x.shape):
        return build.viewed(x, first, batch)
    return replace(build.emit(Broadcast(shape), x, kind=x.kind), batch=batch)


def depth_to_space(build: Builder, x: Value, block: int, *, blocks_first: bool = False) -> Value:
    """Channels of (batch, channels, height, width) as blocks of positions; they are counted slower or faster than these."""
    channels, height, width = _image(x, block)
    count, rest = divmod(channels, block * block)
    if rest:
        raise UnsupportedError(f"{channels} channels as blocks of {block} by {block} positions")
    split = (block, block, count) if blocks_first else (count, block, block)
    perm = (0, 3, 4, 1, 5, 2) if blocks_first else (0, 1, 4, 2, 5, 3)
    return _rearranged(build, x, (1, *split, height, width), perm, (1, count, height * block, width * block))


def space_to_depth(build: Builder, x: Value, block: int, *, blocks_first: bool = False) -> Value:
    """Blocks of positions as channels."""
    channels, height, width = _image(x, block)
    rows, columns = height // block, width // block
    if height % block or width % block:
        raise UnsupportedError(f"an image of {height} by {width} in blocks of {block} by {block}")
    perm = (0, 3, 5, 1, 2, 4) if blocks_first else (0, 1, 3, 5, 2, 4)
    split = (1, channels, rows, block, columns, block)
    return _rearranged(build, x, split, perm, (1, channels * block * block, rows, columns))


def channel_shuffle(build: Builder, x: Value, groups: int) -> Value:
    """The first channel of each group, then the second ones, and so on."""
    channels, *positions = x.plain().shape or (0,)
    if groups < 1 or channels % groups:
        raise UnsupportedError(f"{channels} channels in {groups} groups")
    split = (1, groups, channels // groups, *positions)
    return _rearranged(build, x, split, (0, 2, 1, *range(3, len(split))), x.dims)


def _rearranged(build: Builder, x: Value, split: Shape, perm: Sequence[int], target: Shape) -> Value:
    """``x`` viewed with the axes ``split``, permuted, and viewed as ``target``; the batch is the first axis."""
    y = build.permuted(build.viewed(x, split, x.batch, "split"), perm, "permute")
    return build.viewed(y, target, x.batch)


def _image(x: Value, block: int) -> Shape:
    if len(x.plain().shape) != 3 or block < 1:
        raise UnsupportedError(
            f"blocks of {block} in a tensor of axes {x.dims}", accepted="batch, channels, height and width"
        )
    return x.shape
