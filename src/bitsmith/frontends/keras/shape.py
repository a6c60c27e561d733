"""Keras layers and operations that pick, repeat and reorder elements.

Operations count the batch axis, which must stay what it is: the first axis, all of it, in order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.files.json import Json, is_integer, shown
from bitsmith.frontends.keras.call import LayerCall, Step, Steps, Translation, checked_size, joining, unary
from bitsmith.frontends.keras.graph import Constant
from bitsmith.layers.layer import Floats, Layer, Shape, broadcasts
from bitsmith.layers.merge import Concatenate
from bitsmith.layers.shape import Broadcast, Gather, Identity, Permute, Reshape, Slice, Stack

MAX_RESULTS = 1024
"""Most results of one call."""

_BATCH = "all of the batch axis, in order"


def _integers(value: Json) -> tuple[int, ...] | None:
    """Whole numbers in a list (or one alone), possibly as Keras writes an array; None for anything else."""
    while isinstance(value, dict):
        inner = value.get("config")
        value = inner.get("value") if isinstance(inner, dict) else value.get("value")
    items = value if isinstance(value, list) else [value]
    return tuple(item for item in items if is_integer(item)) if all(is_integer(item) for item in items) else None


def _argument(call: LayerCall, number: int) -> Json:
    """A positional argument that is no tensor."""
    argument = call.arguments[number] if number < len(call.arguments) else None
    if not isinstance(argument, Constant):
        raise UnsupportedError("an argument that is computed", accepted="constants")
    return argument.value


def _repeat_vector(call: LayerCall) -> tuple[Step, ...]:
    count = call.config.integer("n")
    if count < 1 or len(call.shape) != 1:
        raise ModelFileError(f"{count} copies of an input of shape {call.shape}", where=call.where)
    target = checked_size((count, *call.shape), call.where)
    return Step(Reshape((1, *call.shape)), "row"), Step(Broadcast(target))


def _get_item(call: LayerCall) -> tuple[Step, ...]:
    """``x[...]``: Keras 3 gives the index as the second argument, Keras 2 as ``slice_spec``."""
    function = call.config.text("function", "__operators__.getitem")
    if function != "__operators__.getitem":
        raise UnsupportedError(f"the operation {shown(function)}", accepted="slices")
    index = call.keywords["slice_spec"] if "slice_spec" in call.keywords else _argument(call, 1)
    if isinstance(index, tuple):
        raise UnsupportedError("an index that is computed", accepted="slices and whole numbers")
    return _picked(call.shapes[0], index if isinstance(index, list) else [index])


def _is_ellipsis(item: Json) -> bool:
    return isinstance(item, dict) and item.get("class_name") == "__ellipsis__"


def _picked(shape: Shape, index: Sequence[Json]) -> tuple[Step, ...]:
    """``x[index]`` as a slice, and a reshape for axes that go (a number) or come (None)."""
    full = (None, *shape)
    taken = sum(item is not None and not _is_ellipsis(item) for item in index)
    ellipses = [place for place, item in enumerate(index) if _is_ellipsis(item)]
    if taken > len(full) or len(ellipses) > 1:
        raise UnsupportedError(f"the index {shown(index)} of an input of {len(full)} axes")
    rest: list[Json] = [{"start": None, "stop": None, "step": None}] * (len(full) - taken)
    place = ellipses[0] if ellipses else len(index)
    items = [*index[:place], *rest, *index[place + 1 :]]
    ranges: list[range] = []
    target: list[int] = []
    for number, item in enumerate(items):
        if item is None and number > 0:
            target.append(1)
        elif number == 0:
            if not isinstance(item, dict) or _slice_range(item, 2) != range(2):
                raise UnsupportedError(f"the index {shown(index)}, which picks samples", accepted=_BATCH)
        elif is_integer(item):
            size = shape[len(ranges)]
            if not -size <= item < size:
                raise UnsupportedError(f"the index {item} of an axis of {size} elements")
            ranges.append(range(item % size, item % size + 1))
        elif isinstance(item, dict):
            ranges.append(_slice_range(item, shape[len(ranges)]))
            target.append(len(ranges[-1]))
        else:
            raise UnsupportedError(f"the index {shown(item)}", accepted="slices, whole numbers, None and ...")
    if not target or 0 in target:
        raise UnsupportedError(
            f"the index {shown(index)}, which leaves nothing", accepted="at least one axis and element"
        )
    if tuple(target) == tuple(map(len, ranges)):
        return (Step(_slice(ranges)),)
    return Step(_slice(ranges), "slice"), Step(Reshape(tuple(target)))


def _slice_range(item: Mapping[str, Json], size: int) -> range:
    """The elements that a serialised slice picks of ``size``."""
    inner = item.get("config")
    ends = [(inner if isinstance(inner, dict) else item).get(key) for key in ("start", "stop", "step")]
    if not all(end is None or is_integer(end) for end in ends) or ends[2] == 0:
        raise UnsupportedError(f"the slice {shown(item)}", accepted="slices of whole numbers")
    return range(*slice(*ends).indices(size))


def _slice(ranges: Sequence[range]) -> Layer:
    # An empty-ended descending range says -1; any other end keeps its meaning.
    return Slice(tuple(r.start for r in ranges), tuple(r.stop for r in ranges), tuple(r.step for r in ranges))


def _slice_op(call: LayerCall) -> Layer:
    """``keras.ops.slice``: the sizes are given, the batch's is that of one sample."""
    starts, sizes, shape = _integers(_argument(call, 1)), call.config.integers("shape"), call.shapes[0]
    if starts is None or not len(starts) == len(sizes) == len(shape) + 1:
        raise UnsupportedError(
            f"a slice from {shown(_argument(call, 1))} of size {sizes}", accepted="one number per axis"
        )
    if starts[0] != 0 or sizes[0] != 1:
        raise UnsupportedError("a slice of the batch axis", accepted="start 0 and size 1 there", remedy="use x[:, 1:3]")
    ends = tuple(start + size for start, size in zip(starts, sizes, strict=True))
    if any(not 0 <= start < end <= size for start, end, size in zip(starts[1:], ends[1:], shape, strict=True)):
        raise UnsupportedError(f"a slice from {starts} of size {sizes} of an input of shape {shape}")
    return Slice(starts[1:], ends[1:], (1,) * len(shape))


def _along(shape: Shape, axis: int, first: int, last: int) -> Layer:
    """Elements ``first`` to ``last`` of one axis, all of the others."""
    start, stop = [0] * len(shape), list(shape)
    start[axis], stop[axis] = first, last
    return Slice(tuple(start), tuple(stop), (1,) * len(shape))


def _split(call: LayerCall) -> Steps:
    shape = call.shape
    axis = call.axis(call.config.integer("axis", 0), shape)
    places = call.config.get("indices_or_sections")
    size = shape[axis]
    if is_integer(places):
        if places < 1 or size % places:
            raise ModelFileError(f"{size} elements split into {places} parts", where=call.where)
        _limited(places, call.where)
        ends = list(range(0, size + 1, size // places))
    else:
        inner = _integers(places)
        if inner is None:
            raise call.config.wrong("indices_or_sections", "a whole number or a list of them")
        _limited(len(inner), call.where)
        ends = [0, *(place + size if place < 0 else place for place in inner), size]
    if any(first >= last for first, last in pairwise(ends)):
        raise UnsupportedError(f"a split of {size} elements at {ends[1:-1]}", accepted="parts that are not empty")
    parts = [_along(shape, axis, first, last) for first, last in pairwise(ends)]
    return _results([(Step(part, f"{k}", inputs=(0,)),) for k, part in enumerate(parts)])


def _limited(count: int, where: str) -> int:
    """A number of results, if it is sensible."""
    if count > MAX_RESULTS:
        raise ModelFileError(f"{count} results", where=where, accepted=f"at most {MAX_RESULTS}")
    return count


def _results(parts: Sequence[tuple[Step, ...]]) -> Steps:
    """One result per part, its last step."""
    return Steps(tuple(step for part in parts for step in part), tuple(part[-1].suffix for part in parts))


def _unstack(call: LayerCall) -> Steps:
    shape = call.shape
    axis = call.axis(call.config.integer("axis", 0), shape)
    count = _limited(shape[axis], call.where)
    if call.config.get("num") is not None and call.config.integer("num") != count:
        raise ModelFileError(f"{count} elements unstacked into {call.config.integer('num')}", where=call.where)
    if len(shape) == 1:
        raise UnsupportedError("unstacking to scalars", accepted="results with at least one axis", remedy="use split")
    target = (*shape[:axis], *shape[axis + 1 :])
    return _results(
        [
            (Step(_along(shape, axis, k, k + 1), f"slice_{k}", inputs=(0,)), Step(Reshape(target), f"{k}"))
            for k in range(count)
        ]
    )


def _stack(call: LayerCall) -> tuple[Step, ...]:
    shape = _first_shape(call)
    axis = call.axis(call.config.integer("axis", 0), (*shape, 1))
    steps, inputs = call.placed(lambda values: _filled(values, shape))
    return (*steps, Step(Stack(axis), inputs=inputs))


def _concatenate(call: LayerCall) -> tuple[Step, ...]:
    shape = _first_shape(call)
    axis = call.axis(call.config.integer("axis", -1), shape)

    def beside(values: Floats) -> Floats:
        size = values.shape[axis + 1] if values.ndim == len(shape) + 1 else 1
        return _filled(values, (*shape[:axis], size, *shape[axis + 1 :]))

    steps, inputs = call.placed(beside)
    return (*steps, Step(Concatenate(axis) if len(inputs) > 1 else Identity(), inputs=inputs))


def _first_shape(call: LayerCall) -> Shape:
    if not call.shapes:
        raise ModelFileError("called without tensors", where=call.where)
    return call.shapes[0]


def _filled(values: Floats, shape: Shape) -> Floats:
    """A constant that is joined with tensors, as one sample of ``shape``; its batch axis must have size 1."""
    if values.ndim != len(shape) + 1 or not broadcasts(values.shape, (1, *shape)):
        raise UnsupportedError(
            f"a constant of shape {values.shape} beside tensors",
            accepted=f"constants of shape {(1, *shape)}, the batch's size 1 first",
        )
    return np.broadcast_to(values[0], checked_size(shape, ""))


def _repeat(call: LayerCall) -> Layer:
    shape = call.shape
    if call.config.get("axis") is None:
        raise UnsupportedError("repeat without an axis", accepted="an axis within a sample")
    axis = call.axis(call.config.integer("axis"), shape)
    repeats = _integers(call.config.get("repeats"))
    if repeats is None or len(repeats) not in (1, shape[axis]) or min(repeats) < 0:
        raise UnsupportedError(
            f"{shown(call.config.get('repeats'))} repetitions", accepted="one number, or one per element"
        )
    checked_size((*shape[:axis], max(repeats), *shape[axis:]), call.where)
    counts = repeats if len(repeats) > 1 else repeats * shape[axis]
    return Gather(tuple(k for k, count in enumerate(counts) for _ in range(count)), axis)


def _tile(call: LayerCall) -> tuple[Step, ...]:
    shape = call.shape
    repeats = _integers(call.config.get("repeats"))
    if repeats is None or min(repeats, default=0) < 1:
        raise call.config.wrong("repeats", "positive whole numbers")
    counts = (1,) * (len(shape) + 1 - len(repeats)) + repeats
    if len(counts) != len(shape) + 1 or counts[0] != 1:
        raise UnsupportedError(f"tile by {repeats}, which repeats samples", accepted="repetitions within a sample")
    checked_size((math.prod(counts), *shape), call.where)
    steps = [
        Step(Gather(tuple(range(size)) * count, axis), f"axis_{axis}")
        for axis, (size, count) in enumerate(zip(shape, counts[1:], strict=True))
        if count > 1
    ]
    return (*steps[:-1], Step(steps[-1].layer)) if steps else (Step(Identity()),)


def _broadcast_to(call: LayerCall) -> Layer:
    target = call.config.items("shape")
    sizes = tuple(size for size in target[1:] if is_integer(size))
    if len(sizes) != len(target) - 1 or len(sizes) != len(call.shape) or target[0] not in (1, None):
        raise UnsupportedError(f"broadcast to {shown(target)}", accepted="shapes of as many axes, with batch size 1")
    return Broadcast(checked_size(sizes, call.where))


def _roll(call: LayerCall) -> tuple[Step, ...]:
    shape = call.shape
    shifts, axes = call.config.integers("shift"), call.config.integers("axis")
    if not axes or len(shifts) not in (1, len(axes)):
        raise UnsupportedError("roll without an axis", accepted="one shift per axis")
    if len(shifts) == 1:
        shifts = shifts * len(axes)
    steps: list[Step] = []
    for shift, counted in zip(shifts, axes, strict=True):
        axis = call.axis(counted, shape)
        indices = np.roll(np.arange(shape[axis]), shift % shape[axis]).tolist()
        steps.append(Step(Gather(tuple(indices), axis), f"axis_{len(steps)}"))
    return (*steps[:-1], Step(steps[-1].layer))


def _flip(call: LayerCall) -> Layer:
    if call.config.get("axis") is None:
        raise UnsupportedError("flip without an axis, which flips the batch", accepted="axes within a sample")
    axes = {call.axis(axis, call.shape) for axis in call.config.integers("axis")}
    return _slice([range(size)[::-1] if axis in axes else range(size) for axis, size in enumerate(call.shape)])


def _take(call: LayerCall) -> tuple[Step, ...]:
    shape = call.shapes[0]
    if call.config.get("axis") is None:
        raise UnsupportedError("take without an axis", accepted="an axis within a sample")
    axis = call.axis(call.config.integer("axis"), shape)
    values = np.asarray(call.constants[1]) if len(call.constants) > 1 and call.constants[1] is not None else None
    if values is None or bool(np.any(values != np.floor(values))):
        raise UnsupportedError("take at indices that are computed", accepted="constant whole numbers")
    whole = values.astype(np.int64)
    if bool(np.any((whole < -shape[axis]) | (whole >= shape[axis]))) or whole.size == 0:
        raise UnsupportedError(f"take at {shown(whole.ravel().tolist())} of {shape[axis]} elements")
    checked_size((whole.size, *shape), call.where)
    layer = Gather(tuple((whole % shape[axis]).ravel().tolist()), axis)
    target = (*shape[:axis], *whole.shape, *shape[axis + 1 :])
    if not target:
        raise UnsupportedError("take to scalars", accepted="results with at least one axis")
    return (Step(layer),) if whole.ndim == 1 else (Step(layer, "take"), Step(Reshape(target)))


def _permuted(order: Callable[[LayerCall], Sequence[int]]) -> Translation:
    """Axes moved; ``order`` counts the batch axis."""

    def read(call: LayerCall) -> Layer:
        axes = list(order(call))
        if axes[0] != 0:
            raise UnsupportedError("moves the batch axis", accepted="axes within a sample")
        return Permute(tuple(axis - 1 for axis in axes[1:]))

    return Translation(unary(read), "Permute")


def _moved_axes(call: LayerCall) -> list[int]:
    rank = len(call.shape) + 1
    source, target = ([_counted(axis, rank) for axis in call.config.integers(key)] for key in ("source", "destination"))
    if len(source) != len(target) or len(set(source)) != len(source) or len(set(target)) != len(target):
        raise UnsupportedError(f"axes {source} moved to {target}", accepted="as many different axes")
    order = [axis for axis in range(rank) if axis not in source]
    for place, axis in sorted(zip(target, source, strict=True)):
        order.insert(place, axis)
    return order


def _swapped_axes(call: LayerCall) -> list[int]:
    order = list(range(len(call.shape) + 1))
    one, other = (_counted(call.config.integer(key), len(order)) for key in ("axis1", "axis2"))
    order[one], order[other] = order[other], order[one]
    return order


def _counted(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise UnsupportedError(f"axis {axis} of {rank}")
    return axis % rank


_GET_ITEM = Translation(_get_item, "Slice, and Reshape for axes that go or come", frozenset({"slice_spec"}))

SHAPES: dict[str, Translation] = {
    "RepeatVector": Translation(_repeat_vector, "Reshape and Broadcast"),
    "SlicingOpLambda": _GET_ITEM,
}
"""Layers by class name."""

SHAPE_OPS: dict[str, Translation] = {
    "GetItem": _GET_ITEM,
    "Slice": Translation(joining(_slice_op), "Slice"),
    "Split": Translation(_split, "Slice, one per result"),
    "Unstack": Translation(_unstack, "Slice and Reshape, one per result"),
    "Concatenate": Translation(_concatenate, "Concatenate"),
    "Stack": Translation(_stack, "Stack"),
    "Repeat": Translation(unary(_repeat), "Gather"),
    "Tile": Translation(_tile, "Gather, one per axis"),
    "BroadcastTo": Translation(unary(_broadcast_to), "Broadcast"),
    "Roll": Translation(_roll, "Gather, one per axis"),
    "Flip": Translation(unary(_flip), "Slice"),
    "Take": Translation(_take, "Gather"),
    "Moveaxis": _permuted(_moved_axes),
    "Swapaxes": _permuted(_swapped_axes),
}
"""Operations by class name."""
