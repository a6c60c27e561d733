"""PyTorch's operators that pick, repeat, join and part elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value, checked_elements
from bitsmith.frontends.torch.archive import BOOL
from bitsmith.frontends.torch.call import Call, Result, Translation
from bitsmith.frontends.torch.graph import Ref
from bitsmith.frontends.torch.shape import expanded, with_axis
from bitsmith.frontends.torch.sizes import Size
from bitsmith.layers.merge import Concatenate
from bitsmith.layers.shape import Gather, Slice, Stack

_OPEN_END = 1 << 62
"""Ends of slices beyond this mean: to the end."""


def _repeat(call: Call) -> Result:
    x, repeats = call.tensor(), list(call.sizes("repeats" if call.given("repeats") else "dims"))
    repeats = [Size(1)] * (x.rank - len(repeats)) + repeats
    while x.rank < len(repeats):
        x = with_axis(call, x, 0)
    if any(size.batched for size in repeats):
        x = expanded(call, x, [size if size.batched else Size(-1) for size in repeats])
    for dim, size in enumerate(repeats):
        if not size.batched and size.count != 1:
            axis = x.axis(dim)
            x = _gathered(call, x, list(range(x.shape[axis])) * size.count, axis, f"axis{dim}")
    return x


def _repeat_interleave(call: Call) -> Result:
    x, count = call.tensor(), call.integer("repeats")
    if not call.given("dim"):
        raise UnsupportedError("repeat_interleave of all axes", accepted="one axis")
    axis = x.axis(call.integer("dim"))
    return _gathered(call, x, [k for k in range(x.shape[axis]) for _ in range(count)], axis)


def _gathered(call: Call, x: Value, indices: Sequence[int], axis: int, suffix: str = "") -> Value:
    shape = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
    checked_elements(shape)
    return replace(call.build.emit(Gather(tuple(indices), axis), x, suffix=suffix), batch=x.batch)


def sliced(call: Call, x: Value, axis: int, picked: range, suffix: str = "") -> Value:
    """The elements ``picked`` of an axis of a sample."""
    if len(picked) == x.shape[axis] and picked.step > 0:
        return x
    starts, stops, steps = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
    starts[axis], stops[axis], steps[axis] = picked.start, picked.stop, picked.step
    return replace(call.build.emit(Slice(tuple(starts), tuple(stops), tuple(steps)), x, suffix=suffix), batch=x.batch)


def _slice(call: Call) -> Result:
    x = call.tensor()
    dim = x.counted(call.integer("dim", 0))
    start, step = call.get("start") or 0, call.integer("step", 1)
    end = call.get("end")
    if x.batch is not None and dim == x.batch.axis:
        samples = (
            isinstance(end, Ref) or end is None or (isinstance(end, int) and end >= (call.build.samples or _OPEN_END))
        )
        if start == 0 and step == 1 and samples:
            return x
    axis = x.axis(dim)
    size = x.shape[axis]
    if not isinstance(start, int) or not isinstance(end, int | None):
        raise UnsupportedError("a slice that depends on the number of samples", accepted="fixed slices")
    picked = range(size)[slice(start, end, step)]
    if not picked:
        raise UnsupportedError(f"an empty slice {start}:{end} of {size} elements")
    return sliced(call, x, axis, picked)


def _narrow(call: Call) -> Result:
    x = call.tensor()
    axis, start = x.axis(call.integer("dim")), call.integer("start")
    return sliced(call, x, axis, range(start % x.shape[axis], start % x.shape[axis] + call.integer("length")))


def _select(call: Call) -> Result:
    x = call.tensor()
    return picked(call, x, call.integer("dim"), call.integer("index"))


def picked(call: Call, x: Value, dim: int, index: int, suffix: str = "") -> Value:
    """The elements at ``index`` of an axis, which disappears."""
    axis, dim = x.axis(dim), x.counted(dim)
    size = x.shape[axis]
    if not -size <= index < size:
        raise UnsupportedError(f"index {index} of an axis of {size} elements")
    part = call.build.stacked(x, axis, index % size)
    if part is not None and part.batch is not None:
        batch = x.batch
        return replace(part, batch=None if batch is None else batch.at(batch.axis - int(dim < batch.axis)))
    inner = sliced(call, x, axis, range(index % size, index % size + 1), "_".join(filter(None, (suffix, "slice"))))
    batch = None if x.batch is None else x.batch.at(x.batch.axis - int(dim < x.batch.axis))
    return call.build.viewed(inner, (*x.dims[:dim], *x.dims[dim + 1 :]), batch, suffix)


def _index_select(call: Call) -> Result:
    x, axis = call.tensor(), call.tensor().axis(call.integer("dim"))
    return _gathered(call, x, _indices(call.weight("index").reshape(-1).tolist(), x.shape[axis]), axis)


def _index(call: Call) -> Result:
    """Constant indices along one axis."""
    x, listed = call.tensor(), call.get("indices")
    given = [(dim, item) for dim, item in enumerate(listed if isinstance(listed, tuple) else ()) if item is not None]
    values = call.values.get(given[0][1].name) if len(given) == 1 and isinstance(given[0][1], Ref) else None
    if (
        not isinstance(values, Value)
        or values.constant is None
        or values.constant.ndim != 1
        or values.batch is not None
    ):
        raise UnsupportedError("indices that are computed, or several at once", accepted="one list of constant indices")
    axis = x.axis(given[0][0])
    chosen: list[float] = values.constant.tolist()
    if isinstance(given[0][1], Ref) and call.dtypes.get(given[0][1].name) == BOOL:
        chosen = [float(k) for k in np.flatnonzero(values.constant)]
    return _gathered(call, x, _indices(chosen, x.shape[axis]), axis)


def _indices(values: Sequence[float], size: int) -> list[int]:
    found = [int(value) for value in values]
    if not all(-size <= value < size for value in found):
        raise UnsupportedError(f"indices beyond an axis of {size} elements")
    return [value % size for value in found]


def _flip(call: Call) -> Result:
    x = call.tensor()
    for dim in call.integers("dims"):
        axis = x.axis(dim)
        x = _gathered(call, x, range(x.shape[axis])[::-1], axis, f"axis{dim}")
    return x


def _roll(call: Call) -> Result:
    x, dims = call.tensor(), call.integers("dims")
    if not dims:
        raise UnsupportedError("a roll over all axes", accepted="named axes")
    for shift, dim in zip(call.integers("shifts"), dims, strict=True):
        axis = x.axis(dim)
        size = x.shape[axis]
        x = _gathered(call, x, [(k - shift) % size for k in range(size)], axis, f"axis{dim}")
    return x


def _cat(call: Call) -> Result:
    # torch leaves out empty tensors of one axis.
    tensors = [x for x in call.tensors("tensors") if x.shape != (0,)]
    if not tensors:
        raise UnsupportedError("a concatenation of nothing")
    tensors = _per_sample(call, tensors)
    axis = _common(call, tensors, call.integer("dim", 0))
    return tensors[0] if len(tensors) == 1 else call.build.emit(Concatenate(axis), *tensors)


def _per_sample(call: Call, tensors: Sequence[Value]) -> list[Value]:
    """The tensors, of which constants may have to be taken as those of each sample."""
    batch = next((x.batch for x in tensors if x.batch is not None), None)
    return [x if batch is None else call.build.per_sample(x, batch) for x in tensors]


def _common(call: Call, tensors: Sequence[Value], dim: int) -> int:
    """The axis ``dim`` of samples, if the batch is at one place in all tensors."""
    if len({x.batch for x in tensors}) != 1 or len({x.rank for x in tensors}) != 1:
        raise UnsupportedError(
            f"tensors of axes {[x.dims for x in tensors]} that are not once per sample all",
            accepted="tensors with the batch at one axis",
            remedy="expand constants to the batch",
        )
    return tensors[0].axis(dim)


def _stack(call: Call) -> Result:
    tensors = _per_sample(call, call.tensors("tensors"))
    dim = tensors[0].counted(call.integer("dim", 0), new=True)
    raised = [with_axis(call, x, dim) for x in tensors] if tensors[0].batch is None else []
    if raised:
        if len({x.rank for x in tensors}) != 1 or any(x.batch is not None for x in tensors):
            raise UnsupportedError(f"a stack of axes {[x.dims for x in tensors]}", accepted="tensors of the same axes")
        return raised[0] if len(raised) == 1 else call.build.emit(Concatenate(dim), *raised)
    _common(call, tensors, _other_axis(tensors[0]))
    batch = tensors[0].batch
    moved = None if batch is None else batch.at(batch.axis + int(dim <= batch.axis))
    gone = int(batch is not None and batch.merged == 1 and dim > batch.axis)
    return replace(call.build.emit(Stack(dim - gone), *tensors), batch=moved)


def _other_axis(x: Value) -> int:
    """Any axis that is not the batch's."""
    return next((dim for dim in range(x.rank) if x.batch is None or dim != x.batch.axis), 0)


def _unbind(call: Call) -> Result:
    x, dim = call.tensor(), call.integer("dim", 0)
    return tuple(picked(call, x, dim, k, f"part{k}") for k in range(x.shape[x.axis(dim)]))


def _parts(call: Call, lengths: Sequence[int]) -> Result:
    x = call.tensor()
    axis = x.axis(call.integer("dim", 0))
    if sum(lengths) != x.shape[axis] or min(lengths, default=0) < 1:
        raise UnsupportedError(f"parts of {list(lengths)} elements of {x.shape[axis]}")
    ends = np.cumsum(lengths).tolist()
    return tuple(
        sliced(call, x, axis, range(end - n, end), f"part{k}")
        for k, (n, end) in enumerate(zip(lengths, ends, strict=True))
    )


def _split(call: Call) -> Result:
    x = call.tensor()
    size = x.shape[x.axis(call.integer("dim", 0))]
    key = "split_sizes" if call.given("split_sizes") else "split_size"
    if isinstance(call.get(key), tuple):
        return _parts(call, call.integers(key))
    return _parts(call, _runs(size, call.integer(key)))


def _runs(size: int, length: int) -> list[int]:
    if length < 1:
        raise UnsupportedError(f"parts of {length} elements")
    return [min(length, size - start) for start in range(0, size, length)]


def _chunk(call: Call) -> Result:
    x = call.tensor()
    size = x.shape[x.axis(call.integer("dim", 0))]
    return _parts(call, _runs(size, -(-size // max(call.integer("chunks"), 1))))


SELECTIONS: dict[str, Translation] = {
    **{name: Translation(_repeat, "Gather") for name in ("repeat", "tile")},
    "repeat_interleave": Translation(_repeat_interleave, "Gather"),
    "slice": Translation(_slice, "Slice"),
    "narrow": Translation(_narrow, "Slice"),
    "select": Translation(_select, "Slice and Reshape"),
    "index_select": Translation(_index_select, "Gather"),
    "index": Translation(_index, "Gather"),
    "flip": Translation(_flip, "Gather"),
    "roll": Translation(_roll, "Gather"),
    **{name: Translation(_cat, "Concatenate") for name in ("cat", "concat", "concatenate")},
    "stack": Translation(_stack, "Stack"),
    "unbind": Translation(_unbind, "Slice and Reshape"),
    **{name: Translation(_split, "Slice") for name in ("split", "split_with_sizes", "unsafe_split")},
    "chunk": Translation(_chunk, "Slice"),
}
"""Operators by name."""
