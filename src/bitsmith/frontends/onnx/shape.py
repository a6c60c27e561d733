"""ONNX operators that move, pick and repeat elements; what they need to know of sizes is constant."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import Batch, Kind, MixedSamplesError, Value, constant, through_reshape
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.fold import reshaped, shape_slice, slices, split_sizes, squeezed, unsqueezed
from bitsmith.frontends.onnx.values import Known, Operand, batch_axis, floats, per_sample
from bitsmith.layers.embedding import Embedding, OneHot
from bitsmith.layers.layer import Shape, as_weights
from bitsmith.layers.merge import Add, Concatenate, Multiply, Subtract
from bitsmith.layers.reduction import CumulativeSum
from bitsmith.layers.shape import Broadcast, Gather, Identity, Permute, Reshape, Slice


def _reorganized(call: Call, x: Value, shapes: Sequence[Shape]) -> Value:
    """``x`` under other shapes, given for each of the batch's sizes."""
    dims, batch = through_reshape(x, shapes, call.samples.sizes)
    if batch is not None and batch.merged > 1 and call.samples.size == 1:  # anything could be
        raise MixedSamplesError("a reshape after which the batch axis may be anywhere")
    return call.build.viewed(x, dims, batch)


def _at_sizes(call: Call, values: Known) -> list[tuple[int, ...]]:
    """Constant whole numbers for each of the batch's sizes."""
    arrays = values.at if not values.fixed else values.at * len(call.samples.sizes)
    if any(array.dtype.kind not in "iu" or array.ndim > 1 or array.size > 64 for array in arrays):
        raise ModelFileError("a shape that is no list of whole numbers", where=call.attributes.where)
    return [tuple(int(value) for value in array.ravel()) for array in arrays]


def _reshape(call: Call) -> Value:
    x = call.tensor(0)
    allow_zero = call.attributes.flag("allowzero", False)
    target = call.known(1, "the shape")
    if target is None:
        raise ModelFileError("no shape", where=call.attributes.where)
    pairs = list(zip(call.samples.sizes, _at_sizes(call, target), strict=True))
    try:
        shapes = [reshaped(x.sizes(samples), wanted, allow_zero=allow_zero) for samples, wanted in pairs]
    except (ValueError, IndexError) as error:
        raise UnsupportedError(
            f"a reshape that does not fit: {error}", remedy="export the model with a batch of size 1, or of open size"
        ) from error
    return _reorganized(call, x, shapes)


def _flatten(call: Call) -> Value:
    x = call.tensor(0)
    axis = call.attributes.integer("axis", 1)
    if not -x.rank <= axis <= x.rank:
        raise call.attributes.wrong("axis", f"an axis of {x.rank}")
    shapes = []
    for samples in call.samples.sizes:
        sizes = x.sizes(samples)
        first = math.prod(sizes[:axis])
        shapes.append((first, math.prod(sizes) // first))
    return _reorganized(call, x, shapes)


def _squeeze(call: Call) -> Value:
    x = call.tensor(0)
    axes = call.listed("axes", 1, 13)
    # An axis of which only the batch would make one of size 1 stays.
    sizes = tuple(0 if axis == x.batch_axis else size for axis, size in enumerate(x.sizes(1)))
    if axes is not None and x.batch_axis is not None and any(x.counted(axis) == x.batch_axis for axis in axes):
        raise MixedSamplesError("takes the batch axis away")
    gone = [*_squeezed(call, sizes, axes)]
    kept = [axis for axis in range(x.rank) if axis not in gone]
    return _renumbered(call, x, kept)


def _squeezed(call: Call, sizes: Sequence[int], axes: Sequence[int] | None) -> tuple[int, ...]:
    try:
        return squeezed(sizes, axes)
    except ValueError as error:
        raise ModelFileError(f"Squeeze: {error}", where=call.attributes.where) from error


def _renumbered(call: Call, x: Value, kept: Sequence[int]) -> Value:
    """``x`` with these of its axes, the others having size 1."""
    shape = tuple(
        x.shape[x.axis(axis)] if axis != x.batch_axis else x.shape[axis]
        for axis in kept
        if axis != x.batch_axis or x.blocks
    )
    batch = None if x.batch_axis is None else list(kept).index(x.batch_axis)
    layer = Identity() if shape == x.shape else Reshape(shape)
    return call.emit(layer, (x,), batch=batch, blocks=x.blocks, kind=x.kind)


def _unsqueeze(call: Call) -> Value:
    x = call.tensor(0)
    axes = call.listed("axes", 1, 13) or ()
    try:
        added = unsqueezed(x.rank, axes)
    except ValueError as error:
        raise ModelFileError(f"Unsqueeze: {error}", where=call.attributes.where) from error
    old = [axis for axis in range(x.rank + len(added)) if axis not in added]
    batch = None if x.batch_axis is None else old[x.batch_axis]
    sizes = {axis: x.sizes(1)[k] for k, axis in enumerate(old)} | dict.fromkeys(added, 1)
    shape = tuple(sizes[axis] for axis in sorted(sizes) if axis != batch or x.blocks)
    layer = Identity() if shape == x.shape else Reshape(shape)
    return call.emit(layer, (x,), batch=batch, blocks=x.blocks, kind=x.kind)


def _transpose(call: Call) -> Value:
    x = call.tensor(0)
    perm = call.attributes.integers("perm") or tuple(range(x.rank))[::-1]
    if sorted(perm) != list(range(x.rank)):
        raise call.attributes.wrong("perm", f"the axes 0 to {x.rank - 1}")
    batch = None if x.batch_axis is None else perm.index(x.batch_axis)
    within = tuple(x.axis(axis) if axis != x.batch_axis else axis for axis in perm if axis != x.batch_axis or x.blocks)
    layer = Identity() if within == tuple(range(len(within))) else Permute(within)
    return call.emit(layer, (x,), batch=batch, blocks=x.blocks, kind=x.kind)


def _slice(call: Call) -> Value:
    x = call.tensor(0)
    if call.opset < 10:
        start, stop = call.attributes.integers("starts"), call.attributes.integers("ends")
        axes, steps = call.attributes.given_integers("axes"), None
    else:
        start, stop = call.integers(1, "the start") or (), call.integers(2, "the end") or ()
        axes, steps = call.integers(3, "the axes"), call.integers(4, "the steps")
    axes = tuple(range(len(start))) if axes is None else axes
    steps = (1,) * len(start) if steps is None else steps
    picked: dict[int, range] = {}
    for samples in call.samples.sizes:
        try:
            picked = slices(start, stop, axes, steps, x.sizes(samples))
        except ValueError as error:
            raise ModelFileError(f"Slice: {error}", where=call.attributes.where) from error
        if x.batch_axis is not None and picked.pop(x.batch_axis, None) not in (
            None,
            range(x.sizes(samples)[x.batch_axis]),
        ):
            raise MixedSamplesError("picks some of the samples")
    return _sliced(call, x, picked)


def _sliced(call: Call, x: Value, picked: dict[int, range], suffix: str = "") -> Value:
    """The elements of ``x`` at ``picked`` of ONNX's axes."""
    ranges = [range(size) for size in x.shape]
    for axis, taken in picked.items():
        ranges[x.axis(axis)] = taken
    if any(len(taken) == 0 for taken in ranges):
        raise UnsupportedError("a slice without elements", accepted="one or more")
    if all(taken == range(size) for taken, size in zip(ranges, x.shape, strict=True)):
        return call.alike(Identity(), x, suffix, kind=x.kind)
    start, stop, step = zip(*((taken.start, taken.stop, taken.step) for taken in ranges), strict=True)
    return call.alike(Slice(start, stop, step), x, suffix, kind=x.kind)


def _split(call: Call) -> tuple[Value, ...]:
    x = call.tensor(0)
    axis = x.counted(call.attributes.integer("axis", 0))
    parts = call.attributes.integer("num_outputs", len(call.wanted))
    if parts != len(call.wanted):
        raise call.attributes.wrong("num_outputs", f"the number of results, {len(call.wanted)}")
    size = x.shape[x.axis(axis)]
    try:
        lengths = split_sizes(size, parts, call.listed("split", 1, 13))
    except ValueError as error:
        raise ModelFileError(f"Split: {error}", where=call.attributes.where) from error
    ends = np.cumsum(lengths).tolist()
    return tuple(
        _sliced(call, x, {axis: range(end - length, end)}, str(number) if number else "")
        for number, (length, end) in enumerate(zip(lengths, ends, strict=True))
    )


def _concat(call: Call) -> Value:
    values = [call.required(number) for number in range(max(len(call.operands), 1))]
    rank = values[0].rank
    axis = call.attributes.integer("axis", 1 if call.opset < 4 else None)
    if not -rank <= axis < rank or any(value.rank != rank for value in values):
        raise ModelFileError(f"axis {axis} of {rank}", where=call.attributes.where)
    axis %= rank
    places = {
        (value.batch_axis, value.blocks)
        for value in values
        if isinstance(value, Value) and value.batch_axis is not None
    }
    if len(places) > 1 or any(place == axis for place, _ in places):
        raise MixedSamplesError("joins tensors along the batch axis, or with others' batch axes")
    batch, merged = places.pop() if places else (None, 0)
    tensors = [of_a_sample(call, value, batch, merged) for value in values]
    kinds = {tensor.kind for tensor in tensors}
    kind = kinds.pop() if len(kinds) == 1 else Kind.REAL
    if len(tensors) == 1:
        return call.alike(Identity(), tensors[0], kind=kind)
    within = axis - int(batch is not None and not merged and axis > batch)
    return call.emit(Concatenate(within), tensors, batch=batch, blocks=merged, kind=kind)


def of_a_sample(call: Call, value: Operand, batch: int | None, merged: int = 0) -> Value:
    """``value`` with the batch axis ``batch``."""
    if isinstance(value, Known):
        if batch is None and batch_axis(value) is None:
            return call.value(value)
        if merged:
            raise MixedSamplesError
        values = floats(per_sample(value, batch, False, call.samples))
        return Value(values, values.shape, None if batch is None else Batch(batch), value.name, value.kind)
    if value.batch_axis == batch:
        return value
    if (
        batch is not None
        and value.batch_axis is None
        and value.rank > batch
        and value.shape[batch] == 1
        and call.samples.size == 1
    ):
        return call.batched(value, batch)
    raise MixedSamplesError("joins tensors with and without a batch axis")


def _gather(call: Call) -> Value:
    data, indices = call.required(0), call.required(1)
    axis = call.attributes.integer("axis", 0)
    if isinstance(indices, Value):
        return _embedding(call, data, indices, axis)
    x = call.value(data)
    array = indices.array()
    if array.dtype.kind not in "iu" or array.size > 1 << 20 or array.size == 0:
        raise ModelFileError("indices that are no whole numbers", where=call.attributes.where)
    place = x.axis(axis)
    size = x.shape[place]
    flat = [int(index) for index in array.ravel()]
    if not all(-size <= index < size for index in flat):
        raise ModelFileError(f"an index beyond {size} elements", where=call.attributes.where)
    flat = [index % size for index in flat]
    axis = x.counted(axis)
    batch = x.batch_axis if x.batch_axis is None or x.batch_axis < axis else x.batch_axis + array.ndim - 1
    shape = (*x.shape[:place], *array.shape, *x.shape[place + 1 :])
    if array.ndim == 1:
        return call.emit(picked(x, place, flat), (x,), batch=batch, blocks=x.blocks, kind=x.kind)
    y = call.alike(picked(x, place, flat), x, "elements", kind=x.kind)
    return call.emit(Reshape(shape), (y,), batch=batch, blocks=x.blocks, kind=x.kind)


def picked(x: Value, axis: int, indices: Sequence[int]) -> Slice | Gather:
    """Single elements are slices."""
    if len(indices) > 1:
        return Gather(tuple(indices), axis)
    start = [indices[0] if k == axis else 0 for k in range(len(x.shape))]
    stop = [indices[0] + 1 if k == axis else size for k, size in enumerate(x.shape)]
    return Slice(tuple(start), tuple(stop), (1,) * len(x.shape))


def _embedding(call: Call, data: Operand, indices: Value, axis: int) -> Value:
    """Rows of a constant that the operand numbers."""
    if isinstance(data, Value):
        raise UnsupportedError(
            "elements of a tensor at computed indices", accepted="constant indices, or a constant table"
        )
    table = floats(data.array())
    if axis % table.ndim != 0 or table.ndim < 1:
        raise UnsupportedError(f"a table looked up along axis {axis}", accepted="axis 0")
    flat = as_weights(table.reshape(len(table), -1))
    if table.ndim == 2:
        return call.alike(Embedding(flat), indices)
    rows = call.alike(Embedding(flat), indices, "rows")
    return call.alike(Reshape((*indices.shape, *table.shape[1:])), rows)


def _one_hot(call: Call) -> Value:
    depth, values = call.known(1, "the depth"), call.known(2, "the values")
    x = call.tensor(0)
    if depth is None or values is None or depth.array().size != 1 or values.array().size != 2:
        raise ModelFileError("no depth or no values", where=call.attributes.where)
    off, on = (float(value) for value in values.array().astype(np.float64))
    classes = int(depth.array().reshape(()))
    # Indices below 0 count from the end: one of the two has a place, or none.
    behind = call.affine(x, np.ones(()), np.full((), float(classes)), "from_end")
    both = [call.alike(OneHot(classes), index, suffix) for index, suffix in ((x, "codes"), (behind, "codes_from_end"))]
    axis = call.attributes.integer("axis", -1) % (x.rank + 1)
    moved, coded = axis < x.rank, (off, on) != (0.0, 1.0)
    codes = call.combine(Add(), both, "sum" if moved or coded else "")
    if coded:
        place = np.full((), on - off), np.full((), off)
        codes = call.affine(codes, *place, "values" if moved else "")
    return _moved_last(call, codes, axis) if moved else codes


def _moved_last(call: Call, x: Value, axis: int) -> Value:
    """``x`` with its last axis at ``axis``."""
    if x.blocks:
        raise MixedSamplesError
    order = list(range(x.rank - 1))
    order.insert(axis, x.rank - 1)
    within = tuple(x.axis(k) for k in order if k != x.batch_axis)
    batch = None if x.batch_axis is None else order.index(x.batch_axis)
    return call.emit(Permute(within), (x,), batch=batch, kind=x.kind)


def _expand(call: Call) -> Value:
    x, target = call.tensor(0), call.known(1, "the shape")
    if target is None:
        raise ModelFileError("no shape", where=call.attributes.where)
    found: list[Shape] = []
    for samples, wanted in zip(call.samples.sizes, _at_sizes(call, target), strict=True):
        try:
            found.append(np.broadcast_shapes(x.sizes(samples), wanted))
        except ValueError as error:
            raise UnsupportedError(f"Expand: {error}", accepted="shapes that broadcast") from error
    rank = len(found[0])
    batch = None if x.batch_axis is None else x.batch_axis + rank - x.rank
    sizes = [x.sizes(samples) for samples in call.samples.sizes]
    if batch is not None and any(one[batch] != old[x.batch_axis or 0] for one, old in zip(found, sizes, strict=True)):
        raise MixedSamplesError("repeats samples")
    if batch is None and len(set(found)) > 1:
        return _repeated_for_each(call, x, found)
    if x.blocks and batch is not None:
        shape = tuple(x.shape[x.batch_axis or 0] if axis == batch else size for axis, size in enumerate(found[0]))
    else:
        shape = tuple(size for axis, size in enumerate(found[0]) if axis != batch)
    return call.emit(Broadcast(shape), (x,), batch=batch, blocks=x.blocks, kind=x.kind)


def _repeated_for_each(call: Call, x: Value, shapes: Sequence[Shape]) -> Value:
    """A tensor without a batch axis, repeated along a new one."""
    axes = [axis for axis in range(len(shapes[0])) if len({shape[axis] for shape in shapes}) > 1]
    lengths = tuple(shape[axes[0]] for shape in shapes)
    own = axes[0] - (len(shapes[0]) - x.rank)
    if len(axes) != 1 or lengths != call.samples.sizes or (own >= 0 and x.shape[own] != 1):
        raise MixedSamplesError("repeats elements by the number of samples")
    shape = tuple(size for axis, size in enumerate(shapes[0]) if axis != axes[0])
    if own >= 0:
        x = call.emit(Reshape((*x.shape[:own], *x.shape[own + 1 :])), (x,), "sample", batch=None, kind=x.kind)
    return call.emit(Broadcast(shape), (x,), batch=axes[0], kind=x.kind)


def _tile(call: Call) -> Value:
    x = call.tensor(0)
    repeats = call.integers(1, "the repeats")
    if repeats is None or len(repeats) != x.rank or min(repeats, default=1) < 1:
        raise ModelFileError("repeats that are no positive numbers, one for each axis", where=call.attributes.where)
    y, counted = x, [(axis, times) for axis, times in enumerate(repeats) if times > 1]
    for number, (axis, times) in enumerate(counted):
        place = x.axis(axis)
        if x.shape[place] * times > 1 << 20:
            raise UnsupportedError(f"{times} repeats of {x.shape[place]} elements")
        suffix = "" if number == len(counted) - 1 else f"axis{axis}"
        y = call.alike(Gather(tuple(range(x.shape[place])) * times, place), y, suffix, kind=x.kind)
    return y if counted else call.alike(Identity(), x, kind=x.kind)


def _shape(call: Call) -> Known:
    x = call.required(0)
    if isinstance(x, Known):
        raise UnsupportedError("the shape of a constant that depends on the number of samples")
    arrays = [
        np.array(shape_slice(call.attributes, x.sizes(samples)), dtype=np.int64) for samples in call.samples.sizes
    ]
    return _together(arrays)


def _size(call: Call) -> Known:
    x = call.tensor(0)
    return _together([np.array(math.prod(x.sizes(samples)), dtype=np.int64) for samples in call.samples.sizes])


def _together(arrays: list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]]) -> Known:
    """One array where they are all the same."""
    same = all(np.array_equal(array, arrays[0]) for array in arrays)
    return Known(tuple(arrays[:1] if same else arrays))


def _trilu(call: Call) -> Value:
    x = call.tensor(0)
    k = (call.integers(1, "the diagonal") or (0,))[0]
    size = (x.shape[x.axis(-2)], x.shape[x.axis(-1)])
    k = max(min(k, max(size)), -max(size))
    ones = np.ones(size)
    mask = np.triu(ones, k) if call.attributes.flag("upper", True) else np.tril(ones, k)
    return call.emit(Multiply(), (x, constant(mask)), batch=x.batch_axis, blocks=x.blocks, kind=x.kind)


def _cumulative_sum(call: Call) -> Value:
    x, axis = call.tensor(0), call.known(1, "the axis")
    if axis is None or axis.array().size != 1:
        raise ModelFileError("no axis", where=call.attributes.where)
    place = x.axis(int(axis.array().reshape(())))
    exclusive, backwards = call.attributes.flag("exclusive", False), call.attributes.flag("reverse", False)
    turn = Gather(tuple(range(x.shape[place]))[::-1], place)
    first = call.alike(turn, x, "turned", kind=x.kind) if backwards else x
    total = call.alike(CumulativeSum(place), first, "sum" if exclusive or backwards else "", kind=x.kind)
    if backwards:
        total = call.alike(turn, total, "back" if exclusive else "", kind=x.kind)
    return call.combine(Subtract(), [total, x], kind=x.kind) if exclusive else total


def _space_to_depth(call: Call) -> Value:
    """Blocks of positions become channels: (block row, block column, channel), or with CRD the channel first."""
    x = call.batched(call.tensor(0), 0)
    block, mode = call.attributes.integer("blocksize"), call.attributes.text("mode", "DCR")
    if len(x.shape) != 3 or block < 1 or x.shape[1] % block or x.shape[2] % block or mode not in ("DCR", "CRD"):
        raise UnsupportedError(
            f"blocks of {block} in an input of shape {x.shape}, mode {mode[:20]}",
            accepted="sizes that are multiples; DCR, CRD",
        )
    c, h, w = x.shape
    y = call.alike(Reshape((c, h // block, block, w // block, block)), x, "blocks")
    y = call.alike(Permute((2, 4, 0, 1, 3) if mode == "DCR" else (0, 2, 4, 1, 3)), y, "moved")
    return call.alike(Reshape((c * block * block, h // block, w // block)), y, kind=x.kind)


def _depth_to_space(call: Call) -> Value:
    x = call.batched(call.tensor(0), 0)
    block, mode = call.attributes.integer("blocksize"), call.attributes.text("mode", "DCR")
    if len(x.shape) != 3 or block < 1 or x.shape[0] % (block * block) or mode not in ("DCR", "CRD"):
        raise UnsupportedError(f"blocks of {block} from {x.shape[0]} channels, mode {mode[:20]}", accepted="DCR, CRD")
    c, h, w = x.shape[0] // block**2, *x.shape[1:]
    if mode == "DCR":
        y = call.alike(Reshape((block, block, c, h, w)), x, "blocks")
        y = call.alike(Permute((2, 3, 0, 4, 1)), y, "moved")
    else:
        y = call.alike(Reshape((c, block, block, h, w)), x, "blocks")
        y = call.alike(Permute((0, 3, 1, 4, 2)), y, "moved")
    return call.alike(Reshape((c, h * block, w * block)), y, kind=x.kind)


SHAPES: dict[str, Translation] = {
    "Reshape": Translation(_reshape, "Reshape"),
    "Flatten": Translation(_flatten, "Reshape"),
    "Squeeze": Translation(_squeeze, "Reshape"),
    "Unsqueeze": Translation(_unsqueeze, "Reshape"),
    "Transpose": Translation(_transpose, "Permute"),
    "Slice": Translation(_slice, "Slice"),
    "Split": Translation(_split, "Slice, one for each result"),
    "Concat": Translation(_concat, "Concatenate"),
    "Gather": Translation(_gather, "Slice, Gather or Embedding, and Reshape"),
    "OneHot": Translation(_one_hot, "OneHot"),
    "Expand": Translation(_expand, "Broadcast"),
    "Tile": Translation(_tile, "Gather"),
    "Shape": Translation(_shape, "a constant"),
    "Size": Translation(_size, "a constant"),
    "Trilu": Translation(_trilu, "Multiply"),
    "CumSum": Translation(_cumulative_sum, "CumulativeSum, and Gather or Subtract"),
    "SpaceToDepth": Translation(_space_to_depth, "Reshape, Permute and Reshape"),
    "DepthToSpace": Translation(_depth_to_space, "Reshape, Permute and Reshape"),
}
"""Operators by name."""
