"""PyTorch's operators that move, pick and repeat elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.torch_archive import BOOL
from bitsmith.frontends.torch_call import Call, Result, Translation, checked_elements
from bitsmith.frontends.torch_graph import Ref
from bitsmith.frontends.torch_tensor import Batch, Size, Tensor, reshaped
from bitsmith.layers.layer import Layer, Shape
from bitsmith.layers.merge import Concatenate
from bitsmith.layers.shape import Broadcast, Flatten, Gather, Identity, Slice, Stack

_OPEN_END = 1 << 62
"""Ends of slices beyond this mean: to the end."""


def _same(call: Call) -> Result:
    """What is the identity at inference and needs no node."""
    return call.tensor(next(iter(call.node.arguments)), hidden=True)


def _dropout(call: Call) -> Result:
    if call.flag("train") or call.flag("training"):
        raise UnsupportedError(
            "dropout while training", accepted="evaluation", remedy="call model.eval() before the export"
        )
    return call.emit(Identity(), call.tensor("input"))


def _viewed(call: Call, x: Tensor, sizes: Sequence[Size], suffix: str = "", layer: Layer | None = None) -> Tensor:
    dims, batch = reshaped(x, sizes, call.samples)
    return call.viewed(x, dims, batch, suffix, layer)


def _view(call: Call) -> Result:
    x = call.tensor()
    sizes = call.sizes("size" if call.given("size") else "shape")
    dims, batch = reshaped(x, sizes, call.samples)
    flat = batch == Batch(0) and len(dims) == 2
    return call.viewed(x, dims, batch, layer=Flatten() if flat else None)


def _view_as(call: Call) -> Result:
    x, other = call.tensor(), call.tensor("other")
    if other.batch is None:
        return _viewed(call, x, [Size(n) for n in other.dims])
    return _viewed(call, x, _sizes(call, other))


def _sizes(call: Call, x: Tensor) -> list[Size]:
    """The sizes that torch sees."""
    sizes = [Size(n) for n in x.dims]
    if x.batch is not None:
        count = x.dims[x.batch.axis]
        sizes[x.batch.axis] = Size(count, True) if call.samples is None else Size(count * call.samples)
    return sizes


def _flatten(call: Call) -> Result:
    x = call.tensor()
    if x.rank == 0:
        return call.viewed(x, (1,), None)
    first, last = x.counted(call.integer("start_dim", 0)), x.counted(call.integer("end_dim", -1))
    if first > last:
        raise UnsupportedError(f"flatten from axis {first} to axis {last}")
    sizes = _sizes(call, x)
    merged = sizes[first : last + 1]
    one = Size(math.prod(size.count for size in merged), any(size.batched for size in merged))
    dims, batch = reshaped(x, [*sizes[:first], one, *sizes[last + 1 :]], call.samples)
    flat = batch == Batch(0) and len(dims) == 2
    return call.viewed(x, dims, batch, layer=Flatten() if flat else None)


def _unflatten(call: Call) -> Result:
    x = call.tensor()
    dim, sizes = x.counted(call.integer("dim")), _sizes(call, x)
    parts = list(call.sizes("sizes"))
    known = math.prod(size.count for size in parts if size.count != -1)
    filled = [
        Size(sizes[dim].count // max(known, 1), sizes[dim].batched) if size.count == -1 else size for size in parts
    ]
    return _viewed(call, x, [*sizes[:dim], *filled, *sizes[dim + 1 :]])


def _squeeze(call: Call) -> Result:
    x = call.tensor()
    if call.samples == 1 and x.batch is not None and not call.given("dim"):
        raise UnsupportedError("squeeze of all axes, the batch of one sample included", accepted="squeeze of named axes",
                               remedy="squeeze(dim), or an export with a dynamic batch")  # fmt: skip
    dims = call.integers("dim") if call.given("dim") else tuple(range(x.rank))
    counted = {x.counted(dim) for dim in dims}
    if call.samples == 1 and x.batch is not None and x.batch.axis in counted and x.dims[x.batch.axis] == 1:
        raise UnsupportedError("squeeze of the batch axis")
    gone = {dim for dim in counted if x.dims[dim] == 1 and not (x.batch is not None and x.batch.axis == dim)}
    return _without(call, x, gone)


def _without(call: Call, x: Tensor, gone: set[int]) -> Tensor:
    """``x`` without axes of size 1."""
    batch = None if x.batch is None else x.batch.at(x.batch.axis - sum(dim < x.batch.axis for dim in gone))
    return call.viewed(x, tuple(size for dim, size in enumerate(x.dims) if dim not in gone), batch)


def with_axis(call: Call, x: Tensor, dim: int) -> Tensor:
    """``x`` with an axis of size 1 before axis ``dim``."""
    batch = None if x.batch is None else x.batch.at(x.batch.axis + int(dim <= x.batch.axis))
    return call.viewed(x, (*x.dims[:dim], 1, *x.dims[dim:]), batch)


def _unsqueeze(call: Call) -> Result:
    x = call.tensor()
    return with_axis(call, x, x.counted(call.integer("dim"), new=True))


def _permute(call: Call) -> Result:
    x = call.tensor()
    return call.permuted(x, [x.counted(dim) for dim in call.integers("dims")])


def _transpose(call: Call) -> Result:
    x = call.tensor()
    names = ("axis0", "axis1") if call.given("axis0") else ("dim0", "dim1")
    first, second = (x.counted(call.integer(name)) for name in names)
    return _swapped(call, x, first, second)


def _swapped(call: Call, x: Tensor, first: int, second: int) -> Tensor:
    perm = list(range(x.rank))
    perm[first], perm[second] = perm[second], perm[first]
    return call.permuted(x, perm)


def _turned(call: Call) -> Result:
    x = call.tensor()
    return x if x.rank < 2 else _swapped(call, x, x.rank - 2, x.rank - 1)


def _movedim(call: Call) -> Result:
    x = call.tensor()
    source = [x.counted(dim) for dim in call.integers("source")]
    destination = [x.counted(dim) for dim in call.integers("destination")]
    rest = iter(dim for dim in range(x.rank) if dim not in source)
    taken = dict(zip(destination, source, strict=True))
    return call.permuted(x, [taken[dim] if dim in taken else next(rest) for dim in range(x.rank)])


def _expand(call: Call) -> Result:
    return expanded(call, call.tensor(), call.sizes("size"))


def _expand_as(call: Call) -> Result:
    return expanded(call, call.tensor(), _sizes(call, call.tensor("other")))


def expanded(call: Call, x: Tensor, sizes: Sequence[Size]) -> Tensor:
    """``x`` repeated along axes of size 1 and new leading ones; -1 keeps an axis."""
    if len(sizes) < x.rank:
        raise UnsupportedError(f"a tensor of axes {x.dims} repeated to {len(sizes)} axes")
    dims = (1,) * (len(sizes) - x.rank) + x.dims
    batch = None if x.batch is None else x.batch.at(x.batch.axis + len(sizes) - x.rank)
    target: list[int] = []
    for dim, (size, old) in enumerate(zip(sizes, dims, strict=True)):
        at_batch = batch is not None and batch.axis == dim
        if at_batch or size.count == -1:
            target.append(old)
        elif batch is None and size.batched and size.count == 1 and old == 1:
            batch = Batch(dim)  # a constant, once per sample
            target.append(1)
        elif size.batched:
            raise UnsupportedError(
                f"a constant of axes {dims} repeated to the number of samples", accepted="an axis of its own"
            )
        else:
            target.append(size.count)
    if target == list(dims):
        return call.viewed(x, tuple(target), batch)
    shape = tuple(
        n for dim, n in enumerate(target) if not (batch is not None and batch.axis == dim and batch.merged == 1)
    )
    return replace(call.emit(Broadcast(checked_elements(shape)), x), batch=batch)


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


def _gathered(call: Call, x: Tensor, indices: Sequence[int], axis: int, suffix: str = "") -> Tensor:
    shape = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
    checked_elements(shape)
    return replace(call.emit(Gather(tuple(indices), axis), x, suffix=suffix), batch=x.batch)


def sliced(call: Call, x: Tensor, axis: int, picked: range, suffix: str = "") -> Tensor:
    """The elements ``picked`` of an axis of a sample."""
    if len(picked) == x.shape[axis] and picked.step > 0:
        return x
    starts, stops, steps = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
    starts[axis], stops[axis], steps[axis] = picked.start, picked.stop, picked.step
    return replace(call.emit(Slice(tuple(starts), tuple(stops), tuple(steps)), x, suffix=suffix), batch=x.batch)


def _slice(call: Call) -> Result:
    x = call.tensor()
    dim = x.counted(call.integer("dim", 0))
    start, step = call.argument("start") or 0, call.integer("step", 1)
    end = call.argument("end")
    if x.batch is not None and dim == x.batch.axis:
        samples = isinstance(end, Ref) or end is None or (isinstance(end, int) and end >= (call.samples or _OPEN_END))
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


def picked(call: Call, x: Tensor, dim: int, index: int, suffix: str = "") -> Tensor:
    """The elements at ``index`` of an axis, which disappears."""
    axis, dim = x.axis(dim), x.counted(dim)
    size = x.shape[axis]
    if not -size <= index < size:
        raise UnsupportedError(f"index {index} of an axis of {size} elements")
    part = call.stacked(x, axis, index % size)
    if part is not None and part.batch is not None:
        batch = x.batch
        return replace(part, batch=None if batch is None else batch.at(batch.axis - int(dim < batch.axis)))
    inner = sliced(call, x, axis, range(index % size, index % size + 1), "_".join(filter(None, (suffix, "slice"))))
    batch = None if x.batch is None else x.batch.at(x.batch.axis - int(dim < x.batch.axis))
    return call.viewed(inner, (*x.dims[:dim], *x.dims[dim + 1 :]), batch, suffix)


def _index_select(call: Call) -> Result:
    x, axis = call.tensor(), call.tensor().axis(call.integer("dim"))
    return _gathered(call, x, _indices(call.weight("index").reshape(-1).tolist(), x.shape[axis]), axis)


def _index(call: Call) -> Result:
    """Constant indices along one axis."""
    x, listed = call.tensor(), call.argument("indices")
    given = [(dim, item) for dim, item in enumerate(listed if isinstance(listed, tuple) else ()) if item is not None]
    values = call.values.get(given[0][1].name) if len(given) == 1 and isinstance(given[0][1], Ref) else None
    if (
        not isinstance(values, Tensor)
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
    return tensors[0] if len(tensors) == 1 else call.emit(Concatenate(axis), *tensors)


def _per_sample(call: Call, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors, of which constants may have to be taken as those of each sample."""
    batch = next((x.batch for x in tensors if x.batch is not None), None)
    return [x if batch is None else call.per_sample(x, batch) for x in tensors]


def _common(call: Call, tensors: Sequence[Tensor], dim: int) -> int:
    """The axis ``dim`` of samples, if the batch is at one place in all tensors."""
    if len({x.batch for x in tensors}) != 1 or len({x.rank for x in tensors}) != 1:
        raise UnsupportedError(f"tensors of axes {[x.dims for x in tensors]} that are not once per sample all",
                               accepted="tensors with the batch at one axis", remedy="expand constants to the batch")  # fmt: skip
    return tensors[0].axis(dim)


def _stack(call: Call) -> Result:
    tensors = _per_sample(call, call.tensors("tensors"))
    dim = tensors[0].counted(call.integer("dim", 0), new=True)
    raised = [with_axis(call, x, dim) for x in tensors] if tensors[0].batch is None else []
    if raised:
        if len({x.rank for x in tensors}) != 1 or any(x.batch is not None for x in tensors):
            raise UnsupportedError(f"a stack of axes {[x.dims for x in tensors]}", accepted="tensors of the same axes")
        return raised[0] if len(raised) == 1 else call.emit(Concatenate(dim), *raised)
    _common(call, tensors, _other_axis(tensors[0]))
    batch = tensors[0].batch
    moved = None if batch is None else batch.at(batch.axis + int(dim <= batch.axis))
    gone = int(batch is not None and batch.merged == 1 and dim > batch.axis)
    return replace(call.emit(Stack(dim - gone), *tensors), batch=moved)


def _other_axis(x: Tensor) -> int:
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
    if isinstance(call.argument(key), tuple):
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


def _pixel_shuffle(call: Call) -> Result:
    x, r = call.tensor().plain(), call.integer("upscale_factor")
    channels, height, width = _image(x)
    if r < 1 or channels % (r * r):
        raise UnsupportedError(f"{channels} channels shuffled by {r}")
    split = call.viewed(x, (1, channels // (r * r), r, r, height, width), x.batch, "split")
    moved = call.permuted(split, (0, 1, 4, 2, 5, 3), "permute")
    return call.viewed(moved, (1, channels // (r * r), height * r, width * r), x.batch)


def _pixel_unshuffle(call: Call) -> Result:
    x, r = call.tensor().plain(), call.integer("downscale_factor")
    channels, height, width = _image(x)
    if r < 1 or height % r or width % r:
        raise UnsupportedError(f"an image of {height} by {width} shuffled by {r}")
    split = call.viewed(x, (1, channels, height // r, r, width // r, r), x.batch, "split")
    moved = call.permuted(split, (0, 1, 3, 5, 2, 4), "permute")
    return call.viewed(moved, (1, channels * r * r, height // r, width // r), x.batch)


def _channel_shuffle(call: Call) -> Result:
    x, groups = call.tensor().plain(), call.integer("groups")
    if groups < 1 or not x.shape or x.shape[0] % groups:
        raise UnsupportedError(f"channels of a tensor of axes {x.dims} in {groups} groups")
    split = call.viewed(x, (1, groups, x.shape[0] // groups, *x.shape[1:]), x.batch, "split")
    moved = _swapped(call, split, 1, 2)
    return call.viewed(moved, x.dims, x.batch)


def _image(x: Tensor) -> Shape:
    if len(x.shape) != 3:
        raise UnsupportedError(f"a tensor of axes {x.dims}", accepted="batch, channels, height and width")
    return x.shape


def _sym_size(call: Call) -> Result:
    x = call.tensor(next(iter(call.node.arguments)), hidden=True)
    return _sizes(call, x)[x.counted(call.integer("dim"))]


def _size_arithmetic(call: Call) -> Result:
    """A size from sizes: products, quotients and, of fixed ones, sums."""
    sizes = [call.size_of(item) for item in call.node.arguments.values()]
    if len(sizes) != 2:
        raise UnsupportedError(f"{call.node.name} of {len(sizes)} sizes", accepted="two")
    a, b = sizes
    match call.node.name.rpartition(".")[2]:
        case "mul" if not (a.batched and b.batched):
            return Size(a.count * b.count, a.batched or b.batched)
        case "floordiv" if b.count and not b.batched and a.count % b.count == 0:
            return Size(a.count // b.count, a.batched)
        case "add" if not (a.batched or b.batched):
            return Size(a.count + b.count)
        case "sub" if not (a.batched or b.batched):
            return Size(a.count - b.count)
    raise UnsupportedError(f"{call.node.name} of {a.count} and {b.count}, of which one grows with the number of samples",
                           accepted="its products with fixed numbers")  # fmt: skip


def is_view(name: str) -> bool:
    """Whether an operator may give a view of its operand: what changes one then changes the other."""
    return name in SHAPES or name in SAMES


SAMES = (
    "contiguous", "clone", "detach", "detach_", "alias", "lift_fresh_copy", "lift_fresh", "positive", "view_copy",
    "requires_grad_", "resolve_conj", "resolve_neg",
)  # fmt: skip

_IDENTITY = Translation(_dropout, "Identity")
_VIEW = Translation(_view, "Reshape or Flatten")
_PERMUTE = Translation(_transpose, "Permute")

SHAPES: dict[str, Translation] = {
    **{name: Translation(_same, "nothing") for name in SAMES},
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), _IDENTITY),
    **dict.fromkeys(("view", "reshape", "_unsafe_view", "_reshape_alias"), _VIEW),
    **{name: Translation(_view_as, "Reshape") for name in ("view_as", "reshape_as")},
    "flatten": Translation(_flatten, "Flatten or Reshape"),
    "unflatten": Translation(_unflatten, "Reshape"),
    "squeeze": Translation(_squeeze, "Reshape"),
    "unsqueeze": Translation(_unsqueeze, "Reshape"),
    "permute": Translation(_permute, "Permute"),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _PERMUTE),
    **{name: Translation(_turned, "Permute") for name in ("t", "mT", "mH", "numpy_T", "adjoint")},
    **{name: Translation(_movedim, "Permute") for name in ("movedim", "moveaxis")},
    "expand": Translation(_expand, "Broadcast"),
    "broadcast_to": Translation(_expand, "Broadcast"),
    "expand_as": Translation(_expand_as, "Broadcast"),
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
    "pixel_shuffle": Translation(_pixel_shuffle, "Reshape and Permute"),
    "pixel_unshuffle": Translation(_pixel_unshuffle, "Reshape and Permute"),
    "channel_shuffle": Translation(_channel_shuffle, "Reshape and Permute"),
    "sym_size": Translation(_sym_size, "nothing"),
    **{f"_operator.{name}": Translation(_size_arithmetic, "nothing") for name in ("mul", "add", "sub", "floordiv")},
}
"""Operators by name."""
