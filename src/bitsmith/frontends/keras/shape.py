"""Keras layers and operations that move, pick, repeat and join elements. Axes count the batch axis, which must stay first."""

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Batch, Value
from bitsmith.frontends.files.json import Fields, Json, integer, integers, is_integer, shown
from bitsmith.frontends.keras.call import (
    ByClass,
    LayerCall,
    Translation,
    axes_of,
    axis_of,
    configured,
    is_channels_first,
    numbers,
)
from bitsmith.frontends.ops import selection, shape
from bitsmith.layers.shape import Flatten


def whole_numbers(value: Json) -> tuple[int, ...]:
    """Integers in a list (or one alone), possibly as Keras writes an array."""
    found = numbers(value).ravel()
    if not bool(np.all(found % 1 == 0)):
        raise UnsupportedError(f"the argument {shown(value)}", accepted="integers")
    return tuple(int(number) for number in found)


def _flatten(call: LayerCall) -> Value:
    first = is_channels_first(call.config) and len(call.x.shape) > 1
    return call.build.emit(Flatten(), call.build.channels_last(call.x) if first else call.x)


def _reshape(call: LayerCall) -> Value:
    target = [-1 if size is None else size for size in call.config.items("target_shape")]
    sizes = tuple(size for size in target if is_integer(size) and (size == -1 or size > 0))
    if len(sizes) != len(target):
        raise call.config.wrong("target_shape", "positive integers, and -1 at most once")
    return call.build.viewed(call.x, (1, *shape.completed(sizes, math.prod(call.x.shape))), Batch(0))


def _viewed(call: LayerCall) -> Value:
    """An operand under another shape, in which None is the number of samples."""
    given = call.config.get("newshape")
    sizes: list[Json] = given if isinstance(given, list) else [given]
    where, counts = call.config.where, call.build.counts
    shapes = [Fields({"newshape": [n if size is None else size for size in sizes]}, where) for n in counts]
    return shape.view(call.build, call.x, [one.integers("newshape") for one in shapes])


def _permute(call: LayerCall) -> Value:
    dims = call.config.integers("dims")
    if sorted(dims) != list(range(1, call.x.rank)):
        raise call.config.wrong("dims", f"the numbers 1 to {call.x.rank - 1} in some order")
    return call.build.permuted(call.x, (0, *dims))


def _repeat_vector(call: LayerCall) -> Value:
    x, count = call.x.plain(), call.config.integer("n")
    if count < 1 or len(x.shape) != 1:
        raise call.config.error(f"{count} copies of an input of shape {x.shape}")
    row = shape.unsqueeze(call.build.within("row"), x, [1])
    return shape.expand(call.build, row, [(n, count, *x.shape) for n in call.build.counts])


def _broadcast_to(call: LayerCall) -> Value:
    first, *target = call.config.items("shape") or [0]
    sizes = tuple(size for size in target if is_integer(size))
    if len(sizes) != len(target) or first not in (1, None):
        raise UnsupportedError(f"broadcast to {shown(target)}", accepted="shapes of as many axes, with batch size 1")
    return shape.expand(call.build, call.x, [(n, *sizes) for n in call.build.counts])


def _get_item(call: LayerCall) -> Value:
    """``x[...]`` as a slice, and a reshape for axes that go (a number) or come (None).

    Keras 3 gives the index as the second argument, Keras 2 as ``slice_spec``.
    """
    function = call.config.text("function", "__operators__.getitem")
    if function != "__operators__.getitem":
        raise UnsupportedError(f"the operation {shown(function)}", accepted="slices")
    x, given = call.first, call.plain("slice_spec", 1)
    index: list[Json] = given if isinstance(given, list) else [given]
    classes = [item.get("class_name") if isinstance(item, dict) else None for item in index]
    ellipses = [place for place, class_name in enumerate(classes) if class_name == "__ellipsis__"]
    taken = sum(item is not None for item in index) - len(ellipses)
    if taken > x.rank or len(ellipses) > 1:
        raise UnsupportedError(f"the index {shown(index)} of an input of {x.rank} axes")
    rest: list[Json] = [{"start": None, "stop": None, "step": None}] * (x.rank - taken)
    place = ellipses[0] if ellipses else len(index)
    first, *items = (*index[:place], *rest, *index[place + 1 :])
    if not isinstance(first, dict) or _slice_range(first, 2) != range(2):
        found = f"the index {shown(index)}, which picks samples"
        raise UnsupportedError(found, accepted="all of the batch axis, in order")
    ranges, target = dict[int, range](), [1]
    for item in items:
        if item is None:
            target.append(1)
            continue
        dim = len(ranges) + 1
        if is_integer(item):
            ranges[dim] = range(x.dims[dim])[item:][:1] if item >= -x.dims[dim] else range(0)
        elif isinstance(item, dict):
            ranges[dim] = _slice_range(item, x.dims[dim])
            target.append(len(ranges[dim]))
        else:
            raise UnsupportedError(f"the index {shown(item)}", accepted="slices, integers, None and ...")
    plain = target[1:] == [len(one) for one in ranges.values()]
    part = selection.part(call.build, x, ranges, "" if plain else "slice")
    return call.build.viewed(part, tuple(target), Batch(0))


def _slice_range(item: Mapping[str, Json], size: int) -> range:
    """The elements that a serialized slice picks of ``size``."""
    inner = item.get("config")
    ends = [(inner if isinstance(inner, dict) else item).get(key) for key in ("start", "stop", "step")]
    if not all(end is None or is_integer(end) for end in ends) or ends[2] == 0:
        raise UnsupportedError(f"the slice {shown(item)}", accepted="slices of integers")
    return range(*slice(*ends).indices(size))


def _slice_op(call: LayerCall) -> Value:
    """``keras.ops.slice``: the sizes are given, the batch's is that of one sample."""
    x, starts, sizes = call.first, whole_numbers(call.plain("start_indices", 1)), call.config.integers("shape")
    if not len(starts) == len(sizes) == x.rank or starts[0] != 0 or sizes[0] != 1:
        found = f"a slice from {starts} of size {sizes} of an input of {x.rank} axes"
        accepted = "one number per axis, and start 0 and size 1 along the batch axis"
        raise UnsupportedError(found, accepted=accepted, remedy="use x[:, 1:3]")
    ranges = [range(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    return selection.part(call.build, x, dict(enumerate(ranges[1:], 1)))


def _split(call: LayerCall) -> tuple[Value, ...]:
    x, dim, places = call.x, axis_of(call.config, 0), call.config.get("indices_or_sections")
    size = x.shape[x.axis(dim)]
    if is_integer(places):
        parts = call.config.positive("indices_or_sections")
        lengths = [size // parts] * min(parts, size)
    else:
        ends = [0, *(place + size if place < 0 else place for place in whole_numbers(places)), size]
        lengths = [last - first for first, last in pairwise(ends)]
    return selection.split(call.build, x, dim, lengths, "{}".format)


def _unstack(call: LayerCall) -> tuple[Value, ...]:
    parts = selection.unbind(call.build, call.x, axis_of(call.config, 0), "{}".format)
    if call.config.get("num") is not None and call.config.integer("num") != len(parts):
        raise call.config.wrong("num", f"{len(parts)}, the number of elements")
    return parts


_GET_ITEM = Translation(_get_item, "Slice, and Reshape for axes that go or come", frozenset({"slice_spec"}))
_CONCATENATE = Translation(
    lambda call: selection.concatenate(call.build, call.operands(), axis_of(call.config, -1)), "Concatenate"
)

SHAPES: ByClass = {
    "Flatten": Translation(_flatten, "Flatten (after Permute for channels_first)"),
    "Reshape": Translation(_reshape, "Reshape"),
    "Permute": Translation(_permute, "Permute"),
    "Concatenate": _CONCATENATE,
    "RepeatVector": Translation(_repeat_vector, "Reshape and Broadcast"),
    "SlicingOpLambda": _GET_ITEM,
}

SHAPE_OPS: ByClass = {
    "Reshape": Translation(_viewed, "Reshape"),
    "ExpandDims": configured(shape.unsqueeze, "Reshape", axes_of),
    "Squeeze": configured(shape.squeeze, "Reshape", axes_of),
    "Transpose": configured(Builder.permuted, "Permute", integers("axes")),
    "Moveaxis": configured(shape.move, "Permute", integers("source"), integers("destination")),
    "Swapaxes": configured(shape.swap, "Permute", integer("axis1"), integer("axis2")),
    "BroadcastTo": Translation(_broadcast_to, "Broadcast"),
    "GetItem": _GET_ITEM,
    "Slice": Translation(_slice_op, "Slice"),
    "Split": Translation(_split, "Slice, one per result"),
    "Unstack": Translation(_unstack, "Slice and Reshape, one per result"),
    "Concatenate": _CONCATENATE,
    "Stack": Translation(lambda call: selection.stack(call.build, call.operands(), axis_of(call.config, 0)), "Stack"),
    "Repeat": configured(selection.repeat, "Gather", axis_of, lambda config: whole_numbers(config.get("repeats"))),
    "Tile": configured(selection.tile, "Gather, one per axis", lambda config: whole_numbers(config.get("repeats"))),
    "Roll": configured(selection.roll, "Gather, one per axis", integers("shift"), axes_of),
    "Flip": configured(selection.flip, "Slice", axes_of),
    "Take": Translation(
        lambda call: selection.take(call.build, call.first, axis_of(call.config), call.numbers("indices", 1)),
        "Slice or Gather, and Reshape",
    ),
    "Tril": configured(selection.lower_triangle, "Multiply", integer("k", 0)),
    "Triu": configured(selection.upper_triangle, "Multiply", integer("k", 0)),
}
