"""Elements that are picked, repeated, parted and joined; running sums, and elements at constant places."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from string import ascii_lowercase
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Batch, MixedSamplesError, Value, checked_elements, constant, quantizers_of
from bitsmith.frontends.ops.contraction import einsum
from bitsmith.frontends.ops.logic import common_kind
from bitsmith.frontends.ops.shape import expand, move, unsqueeze
from bitsmith.layers.embedding import Embedding
from bitsmith.layers.layer import Floats, Shape, as_weights
from bitsmith.layers.merge import Concatenate, Multiply
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.shape import Gather, Reshape, Slice, Stack

Indices: TypeAlias = npt.NDArray[np.generic]
Places: TypeAlias = npt.NDArray[np.int64]

MAX_INDICES = 1 << 20
"""Most elements that are picked one by one."""

_MOST_CHOICES = 256
"""Most elements that a computed index chooses from: each choice is a product with all of them."""

MAX_RESULTS = 1024
"""Most parts of one tensor."""


def part(build: Builder, x: Value, picked: Mapping[int, range], suffix: str = "") -> Value:
    """The elements ``picked`` of some axes, all of the others."""
    every = [range(size) for size in x.shape]
    ranges = every.copy()
    for dim, taken in picked.items():
        ranges[x.axis(dim)] = taken
    if ranges == every:
        return x
    if any(taken and not {taken[0], taken[-1]}.issubset(axis) for taken, axis in zip(ranges, every, strict=True)):
        raise UnsupportedError(f"elements {ranges} of a tensor of shape {x.shape}", accepted="its own")
    if x.constant is not None:
        return x.moved(lambda elements: elements[np.ix_(*ranges)])
    if not all(ranges):
        raise UnsupportedError("a slice without elements", accepted="one or more")
    starts, stops, steps = zip(*((taken.start, taken.stop, taken.step) for taken in ranges), strict=True)
    return build.emit(Slice(starts, stops, steps), x, suffix=suffix, kind=x.kind)


def sliced(build: Builder, x: Value, ranges_of: Callable[[Shape], Mapping[int, range]]) -> Value:
    """The elements that ``ranges_of`` the model's shape picks of some axes, which must be all along that of the samples."""
    picked: dict[int, range] = {}
    for sizes in build.sizes(x):
        picked = dict(ranges_of(sizes))
        if x.batch is not None:
            every = range(sizes[x.batch.axis])
            if picked.pop(x.batch.axis, every) != every:
                raise MixedSamplesError("picks some of the samples")
    return part(build, x, picked)


def select(build: Builder, x: Value, dim: int, index: int) -> Value:
    """The elements at ``index`` of an axis, which disappears."""
    axis, dim = x.axis(dim), x.counted(dim)
    (index,) = _counted(np.array([index]), x.shape[axis]).tolist()
    batch = None if x.batch is None else x.batch.at(x.batch.axis - int(dim < x.batch.axis))
    stacked = build.stacked(x, axis, index)
    if stacked is not None and stacked.batch is not None:
        return replace(stacked, batch=batch)
    one = part(build, x, {dim: range(index, index + 1)}, "slice")
    return build.viewed(one, (*x.dims[:dim], *x.dims[dim + 1 :]), batch)


def take(build: Builder, x: Value, dim: int, indices: Indices) -> Value:
    """The elements at constant indices of an axis, whose place the indices' axes take."""
    axis, dim = x.axis(dim), x.counted(dim)
    places = _counted(indices, x.shape[axis])
    if places.ndim == 0:
        return select(build, x, dim, places.item())
    suffix = "elements" if places.ndim > 1 else ""
    if places.size == 1:
        y = part(build, x, {dim: range(places.item(), places.item() + 1)}, suffix)
    else:
        y = _gathered(build, x, dim, places.ravel(), suffix)
    batch = x.batch
    if batch is not None and dim < batch.axis:
        batch = batch.at(batch.axis + places.ndim - 1)
    return build.viewed(y, (*x.dims[:dim], *places.shape, *x.dims[dim + 1 :]), batch)


def _counted(indices: Indices, size: int) -> Places:
    """Indices of an axis, counted from the front."""
    places = indices.astype(np.int64)
    if not places.size or bool(np.any((places != indices) | (places < -size) | (places >= size))):
        raise UnsupportedError(
            f"indices {indices.ravel()[:8].tolist()} of an axis of {size} elements", accepted=f"integers below {size}"
        )
    return np.where(places < 0, places + size, places)


def _gathered(build: Builder, x: Value, dim: int, indices: Places, suffix: str = "") -> Value:
    """The elements at ``indices`` of an axis."""
    if indices.size > MAX_INDICES:
        raise UnsupportedError(f"{indices.size} indices", accepted=f"at most {MAX_INDICES}")
    return build.emit(Gather(tuple(indices.tolist()), x.axis(dim)), x, suffix=suffix, kind=x.kind)


def _each(build: Builder, x: Value, moves: Sequence[tuple[int, Places]]) -> Value:
    """The elements at the indices of one axis after the other; the last has the operator's name."""
    for number, (dim, indices) in enumerate(moves):
        x = _gathered(build, x, dim, indices, f"axis{dim}" if number < len(moves) - 1 else "")
    return x


def repeat(build: Builder, x: Value, dim: int, counts: Sequence[int]) -> Value:
    """Each element of an axis as often as ``counts`` says: one number for all, or one for each."""
    axis = x.axis(dim)
    size = x.shape[axis]
    if len(counts) not in (1, size) or min(counts, default=0) < 0:
        raise UnsupportedError(f"{len(counts)} repetitions of {size} elements", accepted="one number, or one for each")
    checked_elements((sum(counts) * (size if len(counts) == 1 else 1), *x.shape[:axis], *x.shape[axis + 1 :]))
    return _gathered(build, x, dim, np.repeat(np.arange(size), counts))


def tile(build: Builder, x: Value, repeats: Sequence[int]) -> Value:
    """``x`` as often as ``repeats`` says along its last axes, and along new ones in front."""
    x = unsqueeze(build, x, range(len(repeats) - x.rank))
    counts = {dim: count for dim, count in enumerate(repeats, x.rank - len(repeats)) if count != 1}
    if min(counts.values(), default=1) < 1:
        raise UnsupportedError(f"{tuple(repeats)} repetitions", accepted="positive integers")
    checked_elements((math.prod(counts.values()), *x.shape))
    return _each(build, x, [(dim, np.tile(np.arange(x.shape[x.axis(dim)]), count)) for dim, count in counts.items()])


def roll(build: Builder, x: Value, shifts: Sequence[int], dims: Sequence[int]) -> Value:
    """``x`` moved around along axes; one shift may be that of all of them."""
    if not dims or len(shifts) not in (1, len(dims)):
        raise UnsupportedError("roll without an axis", accepted="one shift per axis")
    sizes = [x.shape[x.axis(dim)] for dim in dims]
    shifts = tuple(shifts) * (len(dims) // len(shifts))
    moves = [(np.arange(size) - shift % size) % size for size, shift in zip(sizes, shifts, strict=True)]
    return _each(build, x, [*zip(map(x.counted, dims), moves, strict=True)])


def flip(build: Builder, x: Value, dims: Sequence[int], suffix: str = "") -> Value:
    """``x`` with axes turned around."""
    return part(build, x, {dim: range(x.shape[x.axis(dim)])[::-1] for dim in dims}, suffix)


def windows(build: Builder, x: Value, dim: int, size: int, step: int) -> Value:
    """The windows of ``size`` elements that begin at each ``step`` of an axis; their elements lie along a new last axis."""
    length, dim = x.shape[x.axis(dim)], x.counted(dim)
    if not (0 < size <= length and step > 0):
        raise UnsupportedError(f"windows of {size} elements every {step} of {length}", accepted="windows that fit")
    starts = np.arange(0, length - size + 1, step)
    checked_elements((len(starts), size))
    y = take(build.within("windows"), x, dim, starts[:, None] + np.arange(size))
    return move(build, y, (dim + 1,), (-1,))


def split(
    build: Builder, x: Value, dim: int, lengths: Sequence[int], name: Callable[[int], str] = "part{}".format
) -> tuple[Value, ...]:
    """Parts of an axis; ``name`` gives their suffixes."""
    size = x.shape[x.axis(dim)]
    _limited(build, len(lengths))
    if sum(lengths) != size or min(lengths, default=0) < 1:
        raise UnsupportedError(f"parts of {list(lengths)[:16]} elements of {size}", accepted="lengths that add up")
    ends = zip(lengths, accumulate(lengths), strict=True)
    return tuple(part(build, x, {dim: range(end - n, end)}, name(k)) for k, (n, end) in enumerate(ends))


def unbind(build: Builder, x: Value, dim: int, name: Callable[[int], str] = "part{}".format) -> tuple[Value, ...]:
    """The elements of an axis, which disappears, one after the other."""
    count = _limited(build, x.shape[x.axis(dim)])
    return tuple(select(build.within(name(k)), x, dim, k) for k in range(count))


def _limited(build: Builder, count: int) -> int:
    if count > MAX_RESULTS:
        raise ModelFileError(f"{count} parts of a tensor", where=build.where, accepted=f"at most {MAX_RESULTS}")
    return count


def _alike(build: Builder, values: Sequence[Value]) -> list[Value]:
    """The values with their batch at one axis, constants as each sample has them."""
    if not values or len({value.rank for value in values}) > 1:
        raise UnsupportedError(f"tensors of axes {[value.dims for value in values]}", accepted="as many axes each")
    values = build.aligned(*values)
    batch = next((value.batch for value in values if value.batch is not None), None)
    return [replace(_repeated(value, batch), batch=batch) for value in values]


def _repeated(x: Value, batch: Batch | None) -> Value:
    """A constant that is the same for all elements that a sample has along the batch axis, once for each of them."""
    if batch is None or batch.merged == 1 or x.constant is None or x.shape[batch.axis] != 1:
        return x
    return x.moved(lambda elements: np.repeat(elements, batch.merged, batch.axis))


def concatenate(build: Builder, values: Sequence[Value], dim: int) -> Value:
    """The values one after the other along an axis."""
    values = _alike(build, values)
    layer = Concatenate(values[0].axis(dim))
    return values[0] if len(values) == 1 else build.emit(layer, *values, kind=common_kind(*values))


def stack(build: Builder, values: Sequence[Value], dim: int) -> Value:
    """The values one after the other along a new axis."""
    values = _alike(build, values)
    dim, batch = values[0].counted(dim, new=True), values[0].batch
    axis, moved = dim, None
    if batch is not None:
        moved = batch.at(batch.axis + int(dim <= batch.axis))
        axis -= int(batch.merged == 1 and dim > batch.axis)
    return replace(build.emit(Stack(axis), *values, kind=common_kind(*values)), batch=moved)


def _triangle(keep: Callable[[Floats, int], Floats], build: Builder, x: Value, diagonal: int) -> Value:
    shape = (x.shape[x.axis(-2)], x.shape[x.axis(-1)])
    kept = keep(np.ones(shape), max(min(diagonal, max(shape)), -max(shape)))
    if x.constant is None:
        return build.emit(Multiply(), x, constant(kept), kind=x.kind)
    return replace(x, node=as_weights(np.where(kept != 0.0, x.constant, 0.0)), quantizer=None)


lower_triangle, upper_triangle = partial(_triangle, np.tril), partial(_triangle, np.triu)
"""``x``, with 0 above, or below, a diagonal of its last two axes."""


def _numbered(shape: Shape, leading: int, indices: Sequence[Places]) -> Places:
    """The numbers of the elements of a sample of ``shape`` at ``indices`` of its axes after the ``leading`` ones."""
    key: tuple[slice | Places, ...] = (*(slice(None),) * leading, *indices)
    try:
        checked_elements((*shape[:leading], *np.broadcast_shapes(*(one.shape for one in indices))))
        places = np.arange(math.prod(shape)).reshape(shape)[key]
    except (IndexError, ValueError) as error:
        raise UnsupportedError(f"places that a tensor of shape {shape} does not have: {error}") from error
    if not places.size:
        raise UnsupportedError("places without elements", accepted="one or more")
    return places


def _rows_at(build: Builder, x: Value, places: Places, count: int, batch: Batch | None) -> Value:
    """The rows at ``places`` of the first ``count`` axes of a sample taken as one; the result has ``batch``."""
    y = _gathered(build, replace(_rows(build, x, count), batch=None), 0, places.ravel(), "elements")
    return replace(build.emit(Reshape((*places.shape, *x.shape[count:])), y, kind=x.kind), batch=batch)


def _with_rows(build: Builder, x: Value, places: Places, count: int, new: Value, *, added: bool = False) -> Value:
    """``x`` with the rows ``new`` at ``places`` of the first ``count`` axes of a sample taken as one, or ``added`` there."""
    if new.shape != (*places.shape, *x.shape[count:]):
        raise UnsupportedError(f"updates of shape {new.shape} at {places.shape} places")
    rows, updates = _rows(build, _unwritten(build, x), count), _rows(build, new, places.ndim)
    source, numbers = np.arange(rows.shape[0]), rows.shape[0] + np.arange(places.size)
    parts = [rows, updates]
    if added:
        parts.append(constant(np.zeros((1, *rows.shape[1:]))))
        source = _terms(source, numbers, places.ravel())
    else:
        source[places.ravel()] = numbers
    both = replace(build.emit(Concatenate(0), *parts, suffix="both", kind=x.kind), batch=None)
    y = _gathered(build, both, 0, source.ravel(), "elements")
    if added:
        terms = build.emit(Reshape((*source.shape, *rows.shape[1:])), y, suffix="terms", kind=x.kind)
        y = build.emit(Reduce(Reduction.SUM, (0,)), terms, suffix="sums", kind=x.kind)
    return replace(build.emit(Reshape(x.shape), y, kind=x.kind), batch=x.batch)


def _unwritten(build: Builder, x: Value) -> Value:
    """``x``, of which what is no number yet may be moved and written over, and not be read."""
    if x.constant is None or not bool(np.any(missing := np.isnan(x.constant))):
        return x
    number = build.number(replace(x, node=as_weights(np.where(missing, 0.0, x.constant))))
    build.draft.unwritten[number] = as_weights(missing)
    return replace(x, node=number)


def _terms(source: Places, numbers: Places, places: Places) -> Places:
    """By term and row, the number of what is added there; of rows with fewer terms that of a zero, which comes last."""
    order = np.argsort(places, kind="stable")
    targets = places[order]
    turn = np.arange(places.size) - np.searchsorted(targets, targets)
    terms = np.full((2 + int(turn.max()), source.size), numbers[-1] + 1)
    checked_elements(terms.shape)
    terms[0], terms[1 + turn, targets] = source, numbers[order]
    return terms


def _rows(build: Builder, x: Value, count: int) -> Value:
    """A sample with its first ``count`` axes as one."""
    if x.is_merged:
        raise MixedSamplesError("works on a tensor whose batch axis is merged with others")
    return build.emit(Reshape((math.prod(x.shape[:count]), *x.shape[count:])), x, suffix="row", kind=x.kind)


def _along(x: Value, dim: int, indices: Value) -> Places:
    """The numbers of the elements at ``indices`` of an axis, which stay where they are along the others."""
    places, axis = indices.constant, x.axis(dim)
    if places is None:
        raise UnsupportedError("places that are computed from an input", accepted="constant ones")
    if places.ndim != len(x.shape):
        raise UnsupportedError(f"indices of shape {places.shape} in a tensor of shape {x.shape}")
    grid = np.ogrid[tuple(slice(size) for size in places.shape)]
    return _numbered(x.shape, 0, [_counted(places, size) if k == axis else grid[k] for k, size in enumerate(x.shape)])


def _each_sample(build: Builder, x: Value, *others: Value) -> list[Value]:
    """``x`` with constants that do not broadcast: those of one sample are not for all.

    Raises:
        MixedSamplesError: of several samples one is meant.
    """
    batch = next((value.batch for value in (x, *others) if value.batch is not None), None)
    if batch is not None and build.samples != 1:
        for number, value in enumerate((x, *others)):
            if value.batch is None and build.per_sample(value, batch).batch is None:
                raise MixedSamplesError(
                    f"operand {number} of shape {value.shape}, which is for the first of the samples",
                    accepted="indices and updates for each sample",
                    remedy="expand them to the number of samples",
                )
    return _alike(build, (x, *others))


def rows_of(build: Builder, table: Value, indices: Value, *, from_end: bool = False) -> Value:
    """The rows of a trained table that the indices number, perhaps ``from_end``; a row may have any axes."""
    rows = build.viewed(table, (table.dims[0], math.prod(table.dims[1:])), None)
    named = build if rows.dims == table.dims else build.within("rows")
    y = named.emit(Embedding(rows.elements, from_end), indices, kind=table.kind, quantizers=quantizers_of(weight=rows))
    return build.viewed(y, (*indices.dims, *table.dims[1:]), indices.batch)


def gather_elements(build: Builder, x: Value, dim: int, indices: Value) -> Value:
    """The elements at ``indices`` of an axis, one for each place of the result."""
    row = x.constant
    if indices.constant is None and row is not None and row.size == x.shape[x.axis(dim)]:
        return rows_of(build, build.viewed(x, (row.size,), None), indices, from_end=True)
    if indices.constant is None and row is None:
        return _chosen(build, x, dim, indices)
    x, indices = _each_sample(build, x, indices)
    return _rows_at(build, x, _along(x, dim, indices), len(x.shape), x.batch)


def _chosen(build: Builder, x: Value, dim: int, indices: Value) -> Value:
    """The elements of an axis that computed ``indices`` number: sums of products with a row that has a 1 there."""
    axis, count = x.counted(dim), x.shape[x.axis(dim)]
    others = [size for place, size in enumerate(x.dims) if place != axis]
    if count > _MOST_CHOICES or others != [size for place, size in enumerate(indices.dims) if place != axis]:
        raise UnsupportedError(
            f"places of shape {indices.dims} that are computed from an input, in a tensor of shape {x.dims}",
            accepted=f"those of at most {_MOST_CHOICES} elements of an axis, and all of the other axes",
        )
    last = move(build.within("places"), indices, [axis], [-1])
    ones = rows_of(build.within("chosen"), constant(np.eye(count)), last, from_end=True)
    every, old, new = ascii_lowercase[: x.rank], ascii_lowercase[-1], ascii_lowercase[-2]
    rest, named = every[:axis] + every[axis + 1 :], [every[:axis] + name + every[axis + 1 :] for name in (old, new)]
    return einsum(build, f"{named[0]},{rest}{new}{old}->{named[1]}", (x, ones))


def scatter_elements(build: Builder, x: Value, dim: int, indices: Value, new: Value, *, added: bool = False) -> Value:
    """``x`` with the elements of ``new`` at constant ``indices`` of an axis, or ``added`` there."""
    x, indices, new = _each_sample(build, x, indices, new)
    return _with_rows(build, x, _along(x, dim, indices), len(x.shape), new, added=added)


def _at(x: Value, dim: int, indices: Sequence[Indices]) -> tuple[Places, int, Batch | None]:
    """Places that constant indices of the axes from ``dim`` on mean, the number of axes up to these, and the result's batch."""
    axes = [x.axis(axis) for axis in range(dim, dim + len(indices))]
    if not axes:
        raise UnsupportedError("places of no axis", accepted="an index for one axis or more")
    found = [_counted(one, x.shape[axis]) for one, axis in zip(indices, axes, strict=True)]
    places, batch = _numbered(x.shape[: axes[-1] + 1], axes[0], found), x.batch
    if batch is not None and dim < batch.axis:
        batch = batch.at(batch.axis + places.ndim - axes[-1] - 1)
    return places, axes[-1] + 1, batch


def index(build: Builder, x: Value, dim: int, indices: Sequence[Indices]) -> Value:
    """The elements at constant indices, which broadcast, of as many axes from ``dim`` on, whose place the indices' axes take."""
    if len(indices) == 1:
        return take(build, x, dim, indices[0])
    return _rows_at(build, x, *_at(x, dim, indices))


def diagonal(build: Builder, x: Value, dims: Sequence[int], offset: int = 0, new: Value | None = None) -> Value:
    """The elements at the same place of two axes, which become the last one; ``offset`` more along the second.

    With ``new`` elements there it is ``x`` with these.
    """
    rows, columns = (x.shape[x.axis(dim)] for dim in dims)
    places = np.arange(max(-offset, 0), min(rows, columns - offset))
    turned = move(build.within("turned"), x, dims, (-2, -1))
    if new is None:
        return index(build, turned, x.rank - 2, [places, places + offset])
    y = with_index(build.within("written"), turned, x.rank - 2, [places, places + offset], new)
    return move(build, y, (-2, -1), dims)


def with_index(
    build: Builder, x: Value, dim: int, indices: Sequence[Indices], new: Value, *, added: bool = False
) -> Value:
    """``x`` with the elements of ``new``, which broadcasts, at, or ``added`` at, constant indices of the axes from ``dim`` on."""
    if x.batch is None and new.batch is not None:
        x = build.per_sample(x, new.batch)
    places, count, batch = _at(x, dim, indices)
    like = Value(-1, (*places.shape, *x.shape[count:]), batch)
    new = expand(build.within("updates"), new, build.sizes(like))
    return _with_rows(build, x, places, count, build.aligned(like, new)[1], added=added)


def with_part(build: Builder, x: Value, dim: int, picked: range, new: Value) -> Value:
    """``x`` with ``new`` as the elements ``picked`` of an axis."""
    x, new = _alike(build, (x, new))
    axis = x.axis(dim)
    places = _numbered(x.shape[: axis + 1], axis, [np.array(picked, dtype=np.int64)])
    return _with_rows(build, x, places, axis + 1, new)
