"""ONNX operators that move, pick and repeat elements; what they need to know of sizes is constant."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import ONE, Batch, Kind, MixedSamplesError, Value, constant
from bitsmith.frontends.onnx.call import Call, Translation, function, integers
from bitsmith.frontends.onnx.values import Known
from bitsmith.frontends.ops import selection, shape
from bitsmith.frontends.ops.reduction import running_sum
from bitsmith.layers.embedding import Embedding, OneHot
from bitsmith.layers.layer import Shape, as_weights
from bitsmith.layers.merge import Add
from bitsmith.layers.shape import Reshape

_MAX_CLASSES = 1 << 20


def _lists(call: Call, number: int, what: str) -> list[tuple[int, ...]]:
    """Constant integers for each of the batch's sizes."""
    found = call.constant(number, what)
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
    for sizes, wanted in zip(call.build.sizes(x), _lists(call, 1, "the shape"), strict=True):
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
    picked: dict[int, range] = {}
    for sizes in call.build.sizes(x):
        picked = {axis: range(sizes[axis])[part] for axis, part in named}
        if x.batch is not None:
            every = range(sizes[x.batch.axis])
            if picked.pop(x.batch.axis, every) != every:
                raise MixedSamplesError("picks some of the samples")
    return selection.part(call.build, x, picked)


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
    if isinstance(data, Value):
        raise UnsupportedError(
            "elements of a tensor at computed indices", accepted="constant indices, or a constant table"
        )
    table = call.weights(0, "the table")
    if table.ndim < 1 or axis % table.ndim != 0:
        raise UnsupportedError(f"a table looked up along axis {axis}", accepted="axis 0")
    layer = Embedding(as_weights(table.reshape(len(table), -1)), from_end=True)  # its rows, which the operand numbers
    if table.ndim == 2:
        return call.build.emit(layer, indices)
    return call.build.emit(Reshape((*indices.shape, *table.shape[1:])), call.build.emit(layer, indices, suffix="rows"))


def _one_hot(call: Call) -> Value:
    x, build, values = call.tensor(0), call.build, call.array(2, "the values").astype(np.float64)
    depth = call.number(1, "the depth")
    if not 0.0 < depth < _MAX_CLASSES or values.shape != (2,):
        raise ModelFileError(f"{depth} classes and {values.size} values", where=call.attributes.where)
    classes, (off, on) = int(depth), values.tolist()
    # Indices below 0 count from the end: one of the two has a place, or none.
    behind = build.affine(x, ONE, constant(float(classes)), "from_end", kind=x.kind)
    both = [build.emit(OneHot(classes), one, suffix=name) for one, name in ((x, "codes"), (behind, "codes_from_end"))]
    axis = x.counted(call.attributes.integer("axis", -1), new=True) if x.rank else 0
    moved, coded = axis < x.rank, (off, on) != (0.0, 1.0)
    codes = build.joined(Add(), *both, suffix="sum" if moved or coded else "")
    if coded:
        codes = build.affine(codes, constant(on - off), constant(off), "values" if moved else "", kind=Kind.REAL)
    return shape.move(build, codes, [-1], [axis])


def _tile(call: Call) -> Value:
    x, repeats = call.tensor(0), call.integers(1, "the repeats") or ()
    if len(repeats) != x.rank:
        raise ModelFileError(f"{len(repeats)} repeats of {x.rank} axes", where=call.attributes.where)
    return selection.tile(call.build, x, repeats)


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
        mode = call.attributes.text("mode", "DCR")
        if mode not in ("DCR", "CRD"):
            raise call.attributes.wrong("mode", "DCR or CRD")
        x, block = call.batched(call.tensor(0), 0), call.attributes.integer("blocksize")
        return make(call.build, x, block, blocks_first=mode == "DCR")

    return Translation(read, becomes)


SHAPES: dict[str, Translation] = {
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
    "Expand": function(shape.expand, "Broadcast", lambda call: _lists(call, 1, "the shape")),
    "Tile": Translation(_tile, "Gather"),
    "Shape": Translation(_shape, "a constant"),
    "Size": Translation(_size, "a constant"),
    "Trilu": Translation(_trilu, "Multiply"),
    "CumSum": Translation(_cumulative_sum, "CumulativeSum, and Slice, Crop and Pad"),
    "SpaceToDepth": _blocks(shape.space_to_depth, "Reshape, Permute and Reshape"),
    "DepthToSpace": _blocks(shape.depth_to_space, "Reshape, Permute and Reshape"),
}
"""Operators by name."""
