"""ONNX operators that move, pick, write and repeat elements; what they need to know of sizes is constant."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.known import Array, Known
from bitsmith.frontends.builder.value import ONE, Batch, Kind, MixedSamplesError, Value, constant
from bitsmith.frontends.onnx.call import Call, Operators, Translation, function, integers
from bitsmith.frontends.ops import logic, selection, shape
from bitsmith.frontends.ops.logic import Beyond
from bitsmith.frontends.ops.reduction import running_sum
from bitsmith.layers.embedding import OneHot
from bitsmith.layers.layer import Shape
from bitsmith.layers.merge import Add

_MAX_CLASSES = 1 << 20


def _shapes(call: Call) -> list[Shape]:
    """The constant shape that operand 1 is, for each of the batch's sizes."""
    what = "the shape"
    found = call.constant(1, what)
    return [integers(array, what) for array in (found.at * len(call.build.counts) if found.fixed else found.at)]


def _viewed(call: Call, x: Value, shapes: Sequence[Shape]) -> Value:
    """``x`` under other shapes, given for each of the batch's sizes."""
    y = shape.view(call.build, x, shapes)
    if y.is_merged and call.build.samples == 1:  # anything could be
        raise MixedSamplesError("a reshape after which the batch axis may be anywhere")
    return y


def _reshape(call: Call) -> Value:
    x, allow_zero = call.tensor(0), call.attributes.flag("allowzero", False)
    shapes = []
    for sizes, wanted in zip(call.build.sizes(x), _shapes(call), strict=True):
        copied = {k: size for k, size in enumerate(sizes) if not allow_zero}
        target = [copied.get(k, 0) if size == 0 else size for k, size in enumerate(wanted)]
        shapes.append(shape.completed(target, math.prod(sizes)))
    return _viewed(call, x, shapes)


def _flatten(call: Call) -> Value:
    x, axis = call.tensor(0), call.attributes.integer("axis", 1)
    if not -x.rank <= axis <= x.rank:
        raise call.attributes.wrong("axis", f"an axis of {x.rank}")
    return _viewed(call, x, [(math.prod(sizes[:axis]), math.prod(sizes[axis:])) for sizes in call.build.sizes(x)])


def _transpose(call: Call) -> Value:
    x = call.tensor(0)
    return call.build.permuted(x, call.attributes.integers("perm") or range(x.rank)[::-1])


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
    if not len(start) == len(stop) == len(axes) == len(steps) or 0 in steps:
        raise ModelFileError("slices that do not fit each other", where=call.attributes.where)
    named = list(zip([x.counted(axis) for axis in axes], map(slice, start, stop, steps), strict=True))
    return selection.sliced(call.build, x, lambda sizes: {axis: range(sizes[axis])[part] for axis, part in named})


def _split(call: Call) -> tuple[Value, ...]:
    x, axis = call.tensor(0), call.attributes.integer("axis", 0)
    parts = call.attributes.integer("num_outputs", len(call.wanted))
    if parts != len(call.wanted):
        raise call.attributes.wrong("num_outputs", f"the number of results, {len(call.wanted)}")
    size = x.shape[x.axis(axis)]
    each = -(-size // parts)
    lengths = call.listed("split", 1, 13) or (*[each] * (parts - 1), size - each * (parts - 1))
    return selection.split(call.build, x, axis, lengths, lambda number: str(number or ""))


def _own(call: Call, data: Value, indices: Known) -> Value:
    """Elements of samples that are merged along the first axis, where each sample has the same ones of its own."""
    length, counts = data.shape[0], call.build.counts
    rows = [array.astype(np.int64) for array in indices.at]
    first = rows[0][:1]
    for array, count in zip(rows, counts, strict=True):
        before = np.arange(0, count * length, length).reshape(-1, *(1,) * (first.ndim - 1))
        if len(array) != count or not np.array_equal(array, before + first):
            raise MixedSamplesError("picks some of the samples")
    shapes = [(count, length, *data.dims[1:]) for count in counts]
    return selection.take(call.build, shape.view(call.build.within("samples"), data, shapes), 1, first[0])


def _gather(call: Call) -> Value:
    data, indices, axis = call.required(0), call.required(1), call.attributes.integer("axis", 0)
    if isinstance(indices, Known):
        if isinstance(data, Value) and data.batch == Batch(0, inner=data.shape[0]) and axis == 0 and not indices.fixed:
            return _own(call, data, indices)
        return selection.take(call.build, call.value(data), axis, indices.array())
    if isinstance(data, Value) and not data.is_trained:
        raise UnsupportedError(
            "elements of a tensor at computed indices", accepted="constant indices, or a constant table"
        )
    call.weights(0, "the table")
    table = call.value(data)
    if not table.rank or axis % table.rank != 0:
        raise UnsupportedError(f"a table looked up along axis {axis}", accepted="axis 0")
    return selection.rows_of(call.build, table, indices, from_end=True)


def _one_hot(call: Call) -> Value:
    build, known = call.build, call.constant(2, "the values")
    x = logic.cast(build.within("index"), call.tensor(0), Kind.INT64, Beyond.WRAPS)
    depth = call.number(1, "the depth")
    values, kind = known.array().astype(np.float64), known.kind
    if not 0.0 < depth < _MAX_CLASSES or values.shape != (2,):
        raise ModelFileError(f"{depth} classes and {values.size} values", where=call.attributes.where)
    classes, (off, on) = int(depth), values.tolist()
    # Indices below 0 count from the end: one of the two has a place, or none.
    behind = build.affine(x, ONE, constant(float(classes)), "from_end", kind=x.kind)
    both = [build.emit(OneHot(classes), one, suffix=name) for one, name in ((x, "codes"), (behind, "codes_from_end"))]
    axis = x.counted(call.attributes.integer("axis", -1), new=True) if x.rank else 0
    moved, coded = axis < x.rank, (off, on) != (0.0, 1.0)
    codes = build.joined(Add(), *both, suffix="sum" if moved or coded else "", kind=kind)
    if coded:
        codes = build.affine(codes, constant(on - off), constant(off), "values" if moved else "", kind=kind)
    return shape.move(build, codes, [-1], [axis])


def _tile(call: Call) -> Value:
    x, repeats = call.tensor(0), call.integers(1, "the repeats") or ()
    if len(repeats) != x.rank:
        raise ModelFileError(f"{len(repeats)} repeats of {x.rank} axes", where=call.attributes.where)
    return selection.tile(call.build, x, repeats)


def _reverse_sequence(call: Call) -> Value:
    """The first elements of each sequence backwards; samples have one length, as a circuit is the same for all of them."""
    x, known = call.tensor(0), call.constant(1, "the lengths")
    batch, time = call.attributes.integer("batch_axis", 1), call.attributes.integer("time_axis", 0)
    if {batch, time} != {0, 1} or x.rank < 2:
        raise ModelFileError(f"sequences along axis {time}, in batches along axis {batch}", where=call.attributes.where)
    of_samples = x.batch is not None and x.batch.axis == batch
    lengths = np.array([length for array in known.at for length in integers(array, "the lengths")], dtype=np.int64)
    if of_samples and len(set(lengths.tolist())) > 1:
        raise MixedSamplesError("reverses sequences of samples that are not equally long")
    lengths = lengths[:1] if of_samples else lengths
    steps = x.shape[x.axis(time)]
    if len(lengths) != (1 if of_samples else x.dims[batch]) or lengths.min() < 0 or lengths.max() > steps:
        raise ModelFileError(f"lengths {lengths[:8].tolist()} of sequences", where=call.attributes.where)
    count = np.arange(steps)[:, None]
    turned = np.where(count < lengths, lengths - 1 - count, count)
    if of_samples:
        return selection.take(call.build, x, time, turned[:, 0])
    rows = np.arange(len(lengths))
    return selection.index(call.build, x, 0, [turned, rows] if time == 0 else [rows[:, None], turned.T])


def _shape(call: Call) -> Known:
    x = call.tensor(0)
    part = slice(call.attributes.integer("start", 0), call.attributes.integer("end", x.rank))
    return Known.of([np.array(sizes[part], dtype=np.int64) for sizes in call.build.sizes(x)])


def _size(call: Call) -> Known:
    x = call.tensor(0)
    return Known.of([np.array(math.prod(sizes), dtype=np.int64) for sizes in call.build.sizes(x)])


def _trilu(call: Call) -> Value:
    diagonal, *_ = call.integers(1, "the diagonal") or (0,)
    upper = call.attributes.flag("upper", True)
    return (selection.upper_triangle if upper else selection.lower_triangle)(call.build, call.tensor(0), diagonal)


def _cumulative_sum(call: Call) -> Value:
    axes = integers(call.array(1, "the axis"), "the axis")
    exclusive, backwards = call.attributes.flag("exclusive", False), call.attributes.flag("reverse", False)
    return running_sum(call.build, call.tensor(0), axes, exclusive=exclusive, backwards=backwards)


def _blocks(make: Callable[..., Value], becomes: str) -> Translation:
    """Channels that are blocks of positions; in the mode CRD a block's are counted faster than its channels."""

    def read(call: Call) -> Value:
        blocks_first = call.attributes.choice("mode", {"DCR": True, "CRD": False}, "DCR")
        x, block = call.batched(call.tensor(0), 0), call.attributes.integer("blocksize")
        return make(call.build, x, block, blocks_first=blocks_first)

    return Translation(read, becomes)


SHAPES: Operators = {
    "Reshape": Translation(_reshape, "Reshape"),
    "Flatten": Translation(_flatten, "Reshape"),
    "Squeeze": function(shape.squeeze, "Reshape", lambda call: call.listed("axes", 1, 13)),
    "Unsqueeze": function(shape.unsqueeze, "Reshape", lambda call: call.listed("axes", 1, 13) or ()),
    "Transpose": Translation(_transpose, "Permute"),
    "Slice": Translation(_slice, "Slice"),
    "Split": Translation(_split, "Slice, one for each result"),
    "Concat": Translation(
        lambda call: selection.concatenate(call.build, call.tensors(), call.attributes.integer("axis")), "Concatenate"
    ),
    "Gather": Translation(_gather, "Slice, Gather or Embedding, and Reshape"),
    "OneHot": Translation(_one_hot, "OneHot"),
    "Expand": function(shape.expand, "Broadcast", _shapes),
    "Tile": Translation(_tile, "Gather"),
    "Shape": Translation(_shape, "a constant"),
    "Size": Translation(_size, "a constant"),
    "ReverseSequence": Translation(_reverse_sequence, "Gather"),
    "Trilu": Translation(_trilu, "Multiply"),
    "CumSum": Translation(_cumulative_sum, "CumulativeSum, and Slice, Crop and Pad"),
    "SpaceToDepth": _blocks(shape.space_to_depth, "Reshape, Permute and Reshape"),
    "DepthToSpace": _blocks(shape.depth_to_space, "Reshape, Permute and Reshape"),
}


def _indices(call: Call) -> Known:
    """Operand 1, which must be constant integers."""
    places = call.required(1)
    if isinstance(places, Value):
        raise UnsupportedError("places that are computed from an input", accepted="constant ones")
    if any(array.dtype.kind not in "iu" or array.ndim == 0 for array in places.at):
        raise ModelFileError("indices that are not integers", where=call.attributes.where)
    return places


def _without_samples(call: Call, indices: Known) -> Known:
    """Indices whose first axis and whose first number are those of the samples, without the number."""
    same = len(indices.at) == len(call.build.counts)
    for n, array in zip(call.build.counts, indices.at, strict=False):
        numbers = np.arange(n).reshape(-1, *(1,) * (array.ndim - 2))
        same = same and array.ndim > 1 and array.shape[0] == n and bool(np.all(array[..., 0] == numbers))
    if not same:
        raise MixedSamplesError("reads or writes at places that differ between samples")
    return Known(tuple(array[..., 1:] for array in indices.at))


def _columns(call: Call, *values: Value) -> tuple[int, list[Array]]:
    """The first axis that tuples of indices are of, and the indices of each axis."""
    known = _indices(call)
    batch = next((value.batch for value in values if value.batch is not None), None)
    apart = call.attributes.integer("batch_dims", 0)
    if apart not in (0, 1) or (apart == 1 and (batch is None or batch.axis != 0)):
        raise UnsupportedError("batch_dims of other axes than that of the samples", accepted="batch_dims=0")
    if batch is None or (not apart and batch.axis >= known.at[0].shape[-1]):
        return 0, list(np.moveaxis(known.array(), -1, 0))
    if batch.axis != 0:
        raise MixedSamplesError("reads or writes at places along the batch axis")
    sample = call.build.per_sample(call.value(known if apart else _without_samples(call, known)), Batch(0))
    if sample.constant is not None and sample.batch is None and sample.shape[:1] == (1,):
        return 1, list(np.moveaxis(sample.constant[0], -1, 0))
    if sample.constant is None or sample.batch != Batch(0):
        raise MixedSamplesError("has a constant that differs between samples")
    return 1, list(np.moveaxis(sample.constant, -1, 0))


def _written(call: Call) -> tuple[Value, Value, bool]:
    """Operands 0 and 2: a tensor, and elements that replace some of its own."""
    way = call.attributes.text("reduction", "none")
    if way not in ("none", "add"):
        raise UnsupportedError("updates that are combined with what is there", accepted="reduction=none or add")
    return call.tensor(0), call.tensor(2), way == "add"


def _gather_nd(call: Call) -> Value:
    x = call.tensor(0)
    return selection.index(call.build, x, *_columns(call, x))


def _scatter_nd(call: Call) -> Value:
    x, new, added = _written(call)
    return selection.with_index(call.build, x, *_columns(call, x, new), new, added=added)


def _elements(call: Call) -> tuple[int, Value]:
    """The axis of the indices, and these."""
    given = call.required(1)
    return call.attributes.integer("axis", 0), given if isinstance(given, Value) else call.value(_indices(call))


def _scatter_elements(call: Call) -> Value:
    x, new, added = _written(call)
    return selection.scatter_elements(call.build, x, *_elements(call), new, added=added)


_CHOSEN = "Reshape and Gather, at constant places; Embedding and Einsum at computed ones"
_READ, _WRITTEN = "Reshape and Gather, at constant places", "Concatenate and Gather, at constant places"

PLACES: Operators = {
    "GatherND": Translation(_gather_nd, _READ),
    "GatherElements": Translation(
        lambda call: selection.gather_elements(call.build, call.tensor(0), *_elements(call)), _CHOSEN
    ),
    "ScatterND": Translation(_scatter_nd, f"{_WRITTEN}; Reduce of sums"),
    **dict.fromkeys(("ScatterElements", "Scatter"), Translation(_scatter_elements, f"{_WRITTEN}; Reduce of sums")),
}
