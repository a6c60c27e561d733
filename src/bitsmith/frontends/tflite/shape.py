"""Operators that move elements: views, orders of axes, parts, padding, joins."""

import math
from collections.abc import Sequence

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.known import Known
from bitsmith.frontends.builder.value import MAX_ELEMENTS, Batch, Kind, Value, constant
from bitsmith.frontends.ops import selection, shape, spatial
from bitsmith.frontends.tflite.call import Call, Entry, Operand, Translation, alike, kind_of, moving, zero_point
from bitsmith.frontends.tflite.fixedpoint import nearest
from bitsmith.frontends.tflite.shared import fused
from bitsmith.layers.embedding import OneHot
from bitsmith.layers.layer import Shape, as_weights
from bitsmith.layers.resample import PadMode

_MAX_RANK = 32


def _reshape(call: Call) -> Value:
    call.options.ignore("new_shape")
    if call.tensor(1) is None:
        shapes = [call.options.integers("new_shape")] * len(call.build.counts)
    else:
        shapes = call.counted(1, "the new shape")
    sizes = call.operator.outputs[0].sizes
    batch_axis = sizes.index(None) if None in sizes else None
    return call.moved(shape.view(call.build, call.value(0), _sizes(call, shapes, -1), batch_axis=batch_axis))


def _sizes(call: Call, shapes: Sequence[Shape], least: int) -> Sequence[Shape]:
    """New shapes, if all sizes are ``least`` or more."""
    for wanted in shapes:
        if len(wanted) > _MAX_RANK or any(not least <= size <= MAX_ELEMENTS for size in wanted):
            raise call.error(f"the new shape {wanted[:_MAX_RANK]}")
    return shapes


def _transpose(call: Call) -> Value:
    x = call.value(0)
    return call.moved(call.build.permuted(x, [x.counted(axis) for axis in call.integers(1, "the order of axes")]))


def _pairs(call: Call) -> dict[int, tuple[int, int]]:
    """Return the numbers of elements added before and after each axis."""
    rank, listed = call.value(0).rank, call.integers(1, "the padding")
    if len(listed) != 2 * rank or any(not 0 <= size <= MAX_ELEMENTS for size in listed):
        raise call.error(f"padding {listed[:64]} of {rank} axes", "two numbers, not negative, for each axis")
    return dict(enumerate(zip(listed[::2], listed[1::2], strict=True)))


def _pad(call: Call) -> Value:
    x, pairs, value = call.value(0), _pairs(call), 0.0
    if call.tensor(2) is not None:
        given = call.array(2, "the value of padding")
        if given.size != 1:
            raise call.error(f"a value of padding of shape {given.shape}", "one number")
        value = float(given.astype(np.float64).reshape(())) - zero_point(call.result)
    elif zero_point(call.required(0)) != zero_point(call.result):
        raise UnsupportedError("padding of a tensor with another zero point", accepted="one zero point")
    return call.moved(spatial.pad(call.build, x, pairs, value=value))


def _slice(call: Call) -> Value:
    x, starts, sizes = call.value(0), call.integers(1, "the start"), call.integers(2, "the size")
    if not len(starts) == len(sizes) == x.rank:
        raise call.error(f"{len(starts)} starts and {len(sizes)} sizes", f"one for each of {x.rank} axes")

    def ranges(dims: Shape) -> dict[int, range]:
        ends = [along if size == -1 else start + size for start, size, along in zip(starts, sizes, dims, strict=True)]
        return {dim: range(start, end) for dim, (start, end) in enumerate(zip(starts, ends, strict=True))}

    return call.moved(selection.sliced(call.build, x, ranges))


def _strided_slice(call: Call) -> Value:
    x, options = call.value(0), call.options
    starts, ends, strides = (
        call.integers(k, what) for k, what in ((1, "the start"), (2, "the end"), (3, "the stride"))
    )
    if options.integer("ellipsis_mask") or options.integer("new_axis_mask"):
        raise UnsupportedError("an ellipsis or a new axis in a slice", accepted="ranges", remedy="reshape instead")
    if not len(starts) == len(ends) == len(strides) <= x.rank or 0 in strides:
        raise call.error(f"a slice {starts}, {ends}, {strides} of {x.rank} axes")
    masks = [options.integer(f"{name}_mask") for name in ("begin", "end", "shrink_axis")]
    begin, stop, shrink = ([bool(mask >> dim & 1) for dim in range(x.rank)] for mask in masks)
    offset = options.flag("offset")

    def taken(dim: int, size: int) -> range:
        start, end, stride = starts[dim], ends[dim], strides[dim]
        if shrink[dim]:
            return range(start % size, start % size + 1) if -size <= start < size else range(0)
        end = start + end if offset else end
        return range(size)[slice(None if begin[dim] else start, None if stop[dim] else end, stride)]

    y = selection.sliced(call.build, x, lambda dims: {dim: taken(dim, dims[dim]) for dim in range(len(starts))})
    gone = [dim for dim in range(len(starts)) if shrink[dim]]
    return call.moved(shape.squeeze(call.build.within("row"), y, gone) if gone else y)


def _joined(call: Call) -> Value:
    return fused(call, lambda build: selection.concatenate(build, call.all_values(), call.options.integer("axis")))


def _concatenation(call: Call) -> Value:
    if call.options.text("fused_activation_function") != "NONE":
        raise UnsupportedError("a concatenation of codes with an activation", accepted="none")
    parts = [Operand(call.value(k), call.required(k)) for k in range(len(call.operator.inputs))]
    values = [_as_part(call, one, f"part{number}") for number, one in enumerate(parts)]
    return selection.concatenate(call.build, values, call.options.integer("axis"))


def _as_part(call: Call, x: Operand, suffix: str) -> Value:
    """``x`` in the result's steps: uint8 as kernels compute it in single precision, int16 as it is."""
    old, new = x.tensor.quantization, call.result.quantization
    if old is None or new is None or x.tensor.dtype != call.result.dtype or x.is_wide:
        return call.as_result(x)
    if x.tensor.dtype != "uint8" or (old.scale, old.zero_point) == (new.scale, new.zero_point):
        _check_scale(call, x)
        return call.as_result(x)
    zero, factor = old.zero_point, x.scale * (np.float32(1.0) / new.scale)
    bias = np.float32(-zero) * factor
    return call.table(x, lambda places: nearest((places + zero).astype(np.float32) * factor + bias), suffix)


def _check_scale(call: Call, x: Operand) -> None:
    """Refuse to join what is not in the result's steps, as kernels do."""
    one, other = x.tensor.quantization, call.result.quantization
    if one is not None and other is not None and one.scale != other.scale:
        raise UnsupportedError(
            f"tensors of scales {one.scale} and {other.scale} joined",
            accepted="one scale",
            remedy="convert the model again",
        )


def _pack(call: Call) -> Value:
    parts = [Operand(call.value(k), call.required(k)) for k in range(len(call.operator.inputs))]
    for one in parts:
        _check_scale(call, one)
    return selection.stack(call.build, [call.as_result(one) for one in parts], call.options.integer("axis"))


def _unpack(call: Call) -> tuple[Value, ...]:
    return _parts(call, selection.unbind(call.build, call.value(0), call.options.integer("axis")), 0)


def _split(call: Call) -> tuple[Value, ...]:
    (axis,) = call.integers(0, "the axis")
    x, count = call.value(1), len(call.operator.outputs)
    size, rest = divmod(x.shape[x.axis(axis)], max(count, 1))
    if rest or not count:
        raise call.error(f"{x.dims} in {count} parts of axis {axis}", "equal parts")
    return _parts(call, selection.split(call.build, x, axis, [size] * count), 1)


def _split_v(call: Call) -> tuple[Value, ...]:
    (axis,) = call.integers(2, "the axis")
    x, lengths = call.value(0), list(call.integers(1, "the lengths"))
    if lengths.count(-1) == 1:
        lengths[lengths.index(-1)] = x.shape[x.axis(axis)] - sum(lengths) - 1
    return _parts(call, selection.split(call.build, x, axis, lengths), 0)


def _parts(call: Call, values: Sequence[Value], number: int) -> tuple[Value, ...]:
    if len(values) != len(call.operator.outputs):
        raise call.error(f"{len(values)} parts for {len(call.operator.outputs)} results")
    source = call.required(number)
    return tuple(
        call.as_result(Operand(value, source), result)
        for value, result in zip(values, call.operator.outputs, strict=True)
    )


def _gather(call: Call) -> Value:
    if call.options.integer("batch_dims"):
        raise UnsupportedError("indices for each sample", accepted="the same for all")
    x, axis = call.value(0), call.options.integer("axis")
    if call.value(1).constant is None and x.constant is not None:
        if axis % max(x.rank, 1) or not x.rank:
            raise UnsupportedError(f"a table looked up along axis {axis}", accepted="axis 0")
        return call.moved(selection.rows_of(call.build, x, call.value(1)))
    return call.moved(selection.take(call.build, x, axis, call.array(1, "the indices")))


def _embedding_lookup(call: Call) -> Value:
    return selection.rows_of(call.build, constant(call.trained(1, "the table")), call.value(0))


def _one_hot(call: Call) -> Value:
    x, axis, build = call.value(0), call.options.integer("axis"), call.build
    (classes,) = call.integers(1, "the number of classes")
    on, off = (float(call.trained(number, "a value").reshape(-1)[0]) for number in (2, 3))
    if not 0 < classes <= MAX_ELEMENTS:
        raise call.error(f"{classes} classes", "a positive number")
    codes = build.emit(OneHot(classes), x, suffix="codes")
    values = build.affine(codes, constant(on - off), constant(off), "values", kind=kind_of(call.result))
    return shape.move(build, values, [-1], [x.counted(axis, new=True)])


def _space_to_batch(call: Call) -> Value:
    """Elements of blocks as samples of their own: the first axis has those of one sample, place by place in the block."""
    x, blocks = call.value(0), call.integers(1, "the blocks")
    x = spatial.pad(call.build.within("padded"), x.plain(), _block_pairs(call, blocks, "the padding"))
    sizes = x.dims[1 : len(blocks) + 1]
    if min(blocks) < 1 or any(size % block for size, block in zip(sizes, blocks, strict=True)):
        raise call.error(f"axes of {sizes} elements in blocks of {blocks}", "whole blocks")
    pairs = [(size // block, block) for size, block in zip(sizes, blocks, strict=True)]
    rest = x.dims[len(blocks) + 1 :]
    split = call.build.viewed(x, (1, *(n for pair in pairs for n in pair), *rest), x.batch, "split")
    inside, outside = range(2, 2 * len(blocks) + 1, 2), range(1, 2 * len(blocks), 2)
    y = call.build.permuted(split, (*inside, 0, *outside, *range(2 * len(blocks) + 1, split.rank)), "permute")
    count = math.prod(blocks)
    return call.moved(call.build.viewed(y, (count, *(n for n, _ in pairs), *rest), Batch(0, count)))


def _batch_to_space(call: Call) -> Value:
    x, blocks = call.value(0), call.integers(1, "the blocks")
    count, rank = math.prod(blocks), len(blocks)
    if min(blocks, default=0) < 1 or x.batch is None or x.rank <= rank or x.dims[0] != count:
        raise UnsupportedError(f"blocks of {blocks} of axes {x.dims}", accepted="those that SPACE_TO_BATCH_ND made")
    split = call.build.viewed(x, (*blocks, 1, *x.dims[1:]), Batch(rank), "split")
    order = [rank, *(k for axis in range(rank) for k in (rank + 1 + axis, axis)), *range(2 * rank + 1, split.rank)]
    y = call.build.permuted(split, order, "permute")
    sizes = [size * block for size, block in zip(x.dims[1:], blocks, strict=False)]
    y = call.build.viewed(y, (1, *sizes, *x.dims[rank + 1 :]), Batch(0), "joined")
    taken = {axis: (-before, -after) for axis, (before, after) in _block_pairs(call, blocks, "the crops").items()}
    return call.moved(spatial.pad(call.build, y, taken))


def _block_pairs(call: Call, blocks: Sequence[int], what: str) -> dict[int, tuple[int, int]]:
    """Elements before and after each axis of blocks."""
    listed = call.integers(2, what)
    if (
        not 0 < len(blocks) < call.value(0).rank
        or len(listed) != 2 * len(blocks)
        or any(not 0 <= size <= MAX_ELEMENTS for size in listed)
    ):
        raise call.error(f"{what} {listed[:64]} of {len(blocks)} axes", "two numbers, not negative, for each axis")
    return dict(enumerate(zip(listed[::2], listed[1::2], strict=True), 1))


def _zeros_like(call: Call) -> Known:
    return Known.of([np.zeros(sizes, call.result.dtype) for sizes in call.build.sizes(call.value(0))])


def _range(call: Call) -> Value:
    start, stop, step = (float(call.trained(number, "a bound").reshape(-1)[0]) for number in range(3))
    count = math.ceil((stop - start) / step) if step else -1
    if not 0 <= count <= MAX_ELEMENTS:
        raise call.error(f"a range from {start:g} to {stop:g} in steps of {step:g}")
    return constant(as_weights(start + step * np.arange(count)), kind=kind_of(call.result))


def _repetitions(call: Call) -> Shape:
    counts = call.integers(1, "the repetitions")
    if len(counts) != call.value(0).rank or any(not 1 <= count <= MAX_ELEMENTS for count in counts):
        raise call.error(f"repetitions {counts[:_MAX_RANK]}", "a positive integer for each axis")
    return counts


def _shape(call: Call) -> Known:
    return Known.of([np.asarray(sizes, dtype=call.result.dtype) for sizes in call.build.sizes(call.value(0))])


def _fill(call: Call) -> Value:
    dims = call.integers(0, "the shape")
    if any(size < 0 for size in dims) or math.prod(dims) > MAX_ELEMENTS:
        raise call.error(f"a constant of shape {dims[:_MAX_RANK]}")
    given = call.array(1, "the value")
    if given.size != 1:
        raise call.error(f"a value of shape {given.shape}", "one number")
    value = float(given.astype(np.float64).reshape(())) - zero_point(call.result)
    kind = kind_of(call.result) if call.result.quantization is None else Kind.REAL
    return constant(as_weights(np.full(dims, value)), kind=kind)


SHAPES: dict[str, Entry] = {
    "BATCH_TO_SPACE_ND": alike(_batch_to_space, "Reshape, Permute and Crop"),
    "BROADCAST_TO": moving(shape.expand, "Broadcast", lambda call: _sizes(call, call.counted(1, "the new shape"), 1)),
    "CONCATENATION": Entry(Translation(_concatenation, "Lookup and Concatenate"), Translation(_joined, "Concatenate")),
    "EMBEDDING_LOOKUP": Entry(numbers=Translation(_embedding_lookup, "Embedding")),
    "EXPAND_DIMS": moving(shape.unsqueeze, "Reshape", lambda call: call.integers(1, "the axis")),
    "FILL": alike(_fill, "a constant"),
    "GATHER": alike(_gather, "Gather, or Embedding and Reshape"),
    "MIRROR_PAD": moving(spatial.pad, "Pad", _pairs, lambda call: PadMode(call.options.text("mode").lower())),
    "ONE_HOT": Entry(numbers=Translation(_one_hot, "OneHot")),
    "PACK": alike(_pack, "Stack"),
    "PAD": alike(_pad, "Pad"),
    "PADV2": alike(_pad, "Pad"),
    "RANGE": Entry(numbers=Translation(_range, "a constant")),
    "RANK": alike(lambda call: constant(float(call.value(0).rank), kind=kind_of(call.result)), "a constant"),
    "RESHAPE": alike(_reshape, "Reshape"),
    "REVERSE_V2": moving(selection.flip, "Slice", lambda call: call.integers(1, "the axes")),
    "SHAPE": alike(_shape, "a constant"),
    "SLICE": alike(_slice, "Slice"),
    "SPACE_TO_BATCH_ND": alike(_space_to_batch, "Pad, Reshape and Permute"),
    "SPLIT": alike(_split, "Slice"),
    "SPLIT_V": alike(_split_v, "Slice"),
    "SQUEEZE": moving(shape.squeeze, "Reshape", lambda call: call.options.integers("squeeze_dims") or None),
    "STRIDED_SLICE": alike(_strided_slice, "Slice and Reshape"),
    "TILE": moving(selection.tile, "Gather", _repetitions),
    "TRANSPOSE": alike(_transpose, "Permute"),
    "UNPACK": alike(_unpack, "Slice and Reshape"),
    "ZEROS_LIKE": Entry(numbers=Translation(_zeros_like, "a constant")),
}
"""Operators by name."""
