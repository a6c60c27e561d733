"""PyTorch's operators that give a tensor other axes, and those on sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Batch, Value, checked_elements
from bitsmith.frontends.torch.call import Call, Result, Translation
from bitsmith.frontends.torch.sizes import Size, reshaped
from bitsmith.layers.layer import Shape
from bitsmith.layers.shape import Broadcast, Flatten, Identity


def _same(call: Call) -> Result:
    """What is the identity at inference and needs no node."""
    return call.tensor(next(iter(call.node.arguments)))


def _dropout(call: Call) -> Result:
    if call.flag("train") or call.flag("training"):
        raise UnsupportedError(
            "dropout while training", accepted="evaluation", remedy="call model.eval() before the export"
        )
    return call.build.emit(Identity(), call.tensor("input"))


def _viewed(call: Call, x: Value, sizes: Sequence[Size]) -> Value:
    return call.build.viewed(x, *reshaped(x, sizes, call.build.samples))


def _view(call: Call) -> Result:
    x = call.tensor()
    sizes = call.sizes("size" if call.given("size") else "shape")
    dims, batch = reshaped(x, sizes, call.build.samples)
    flat = batch == Batch(0) and len(dims) == 2
    return call.build.viewed(x, dims, batch, layer=Flatten() if flat else None)


def _view_as(call: Call) -> Result:
    x, other = call.tensor(), call.tensor("other")
    if other.batch is None:
        return _viewed(call, x, [Size(n) for n in other.dims])
    return _viewed(call, x, _sizes(call, other))


def _sizes(call: Call, x: Value) -> list[Size]:
    """The sizes that torch sees."""
    sizes = [Size(n) for n in x.dims]
    if x.batch is not None:
        count = x.dims[x.batch.axis]
        sizes[x.batch.axis] = Size(count, True) if call.build.samples is None else Size(count * call.build.samples)
    return sizes


def _flatten(call: Call) -> Result:
    x = call.tensor()
    if x.rank == 0:
        return call.build.viewed(x, (1,), None)
    first, last = x.counted(call.integer("start_dim", 0)), x.counted(call.integer("end_dim", -1))
    if first > last:
        raise UnsupportedError(f"flatten from axis {first} to axis {last}")
    sizes = _sizes(call, x)
    merged = sizes[first : last + 1]
    one = Size(math.prod(size.count for size in merged), any(size.batched for size in merged))
    dims, batch = reshaped(x, [*sizes[:first], one, *sizes[last + 1 :]], call.build.samples)
    flat = batch == Batch(0) and len(dims) == 2
    return call.build.viewed(x, dims, batch, layer=Flatten() if flat else None)


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
    if call.build.samples == 1 and x.batch is not None and not call.given("dim"):
        raise UnsupportedError(
            "squeeze of all axes, the batch of one sample included",
            accepted="squeeze of named axes",
            remedy="squeeze(dim), or an export with a dynamic batch",
        )
    dims = call.integers("dim") if call.given("dim") else tuple(range(x.rank))
    counted = {x.counted(dim) for dim in dims}
    if call.build.samples == 1 and x.batch is not None and x.batch.axis in counted and x.dims[x.batch.axis] == 1:
        raise UnsupportedError("squeeze of the batch axis")
    gone = {dim for dim in counted if x.dims[dim] == 1 and not (x.batch is not None and x.batch.axis == dim)}
    return _without(call, x, gone)


def _without(call: Call, x: Value, gone: set[int]) -> Value:
    """``x`` without axes of size 1."""
    batch = None if x.batch is None else x.batch.at(x.batch.axis - sum(dim < x.batch.axis for dim in gone))
    return call.build.viewed(x, tuple(size for dim, size in enumerate(x.dims) if dim not in gone), batch)


def with_axis(call: Call, x: Value, dim: int) -> Value:
    """``x`` with an axis of size 1 before axis ``dim``."""
    batch = None if x.batch is None else x.batch.at(x.batch.axis + int(dim <= x.batch.axis))
    return call.build.viewed(x, (*x.dims[:dim], 1, *x.dims[dim:]), batch)


def _unsqueeze(call: Call) -> Result:
    x = call.tensor()
    return with_axis(call, x, x.counted(call.integer("dim"), new=True))


def _permute(call: Call) -> Result:
    x = call.tensor()
    return call.build.permuted(x, [x.counted(dim) for dim in call.integers("dims")])


def _transpose(call: Call) -> Result:
    x = call.tensor()
    names = ("axis0", "axis1") if call.given("axis0") else ("dim0", "dim1")
    first, second = (x.counted(call.integer(name)) for name in names)
    return _swapped(call, x, first, second)


def _swapped(call: Call, x: Value, first: int, second: int) -> Value:
    perm = list(range(x.rank))
    perm[first], perm[second] = perm[second], perm[first]
    return call.build.permuted(x, perm)


def _turned(call: Call) -> Result:
    x = call.tensor()
    return x if x.rank < 2 else _swapped(call, x, x.rank - 2, x.rank - 1)


def _movedim(call: Call) -> Result:
    x = call.tensor()
    source = [x.counted(dim) for dim in call.integers("source")]
    destination = [x.counted(dim) for dim in call.integers("destination")]
    rest = iter(dim for dim in range(x.rank) if dim not in source)
    taken = dict(zip(destination, source, strict=True))
    return call.build.permuted(x, [taken[dim] if dim in taken else next(rest) for dim in range(x.rank)])


def _expand(call: Call) -> Result:
    return expanded(call, call.tensor(), call.sizes("size"))


def _expand_as(call: Call) -> Result:
    return expanded(call, call.tensor(), _sizes(call, call.tensor("other")))


def expanded(call: Call, x: Value, sizes: Sequence[Size]) -> Value:
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
        return call.build.viewed(x, tuple(target), batch)
    shape = tuple(
        n for dim, n in enumerate(target) if not (batch is not None and batch.axis == dim and batch.merged == 1)
    )
    return replace(call.build.emit(Broadcast(checked_elements(shape)), x), batch=batch)


def _pixel_shuffle(call: Call) -> Result:
    x, r = call.tensor().plain(), call.integer("upscale_factor")
    channels, height, width = _image(x)
    if r < 1 or channels % (r * r):
        raise UnsupportedError(f"{channels} channels shuffled by {r}")
    split = call.build.viewed(x, (1, channels // (r * r), r, r, height, width), x.batch, "split")
    moved = call.build.permuted(split, (0, 1, 4, 2, 5, 3), "permute")
    return call.build.viewed(moved, (1, channels // (r * r), height * r, width * r), x.batch)


def _pixel_unshuffle(call: Call) -> Result:
    x, r = call.tensor().plain(), call.integer("downscale_factor")
    channels, height, width = _image(x)
    if r < 1 or height % r or width % r:
        raise UnsupportedError(f"an image of {height} by {width} shuffled by {r}")
    split = call.build.viewed(x, (1, channels, height // r, r, width // r, r), x.batch, "split")
    moved = call.build.permuted(split, (0, 1, 3, 5, 2, 4), "permute")
    return call.build.viewed(moved, (1, channels * r * r, height // r, width // r), x.batch)


def _channel_shuffle(call: Call) -> Result:
    x, groups = call.tensor().plain(), call.integer("groups")
    if groups < 1 or not x.shape or x.shape[0] % groups:
        raise UnsupportedError(f"channels of a tensor of axes {x.dims} in {groups} groups")
    split = call.build.viewed(x, (1, groups, x.shape[0] // groups, *x.shape[1:]), x.batch, "split")
    moved = _swapped(call, split, 1, 2)
    return call.build.viewed(moved, x.dims, x.batch)


def _image(x: Value) -> Shape:
    if len(x.shape) != 3:
        raise UnsupportedError(f"a tensor of axes {x.dims}", accepted="batch, channels, height and width")
    return x.shape


def _sym_size(call: Call) -> Result:
    x = call.tensor(next(iter(call.node.arguments)))
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
    raise UnsupportedError(
        f"{call.node.name} of {a.count} and {b.count}, of which one grows with the number of samples",
        accepted="its products with fixed numbers",
    )


SAMES = (
    "contiguous",
    "clone",
    "detach",
    "detach_",
    "alias",
    "lift_fresh_copy",
    "lift_fresh",
    "positive",
    "view_copy",
    "requires_grad_",
    "resolve_conj",
    "resolve_neg",
)

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
    "pixel_shuffle": Translation(_pixel_shuffle, "Reshape and Permute"),
    "pixel_unshuffle": Translation(_pixel_unshuffle, "Reshape and Permute"),
    "channel_shuffle": Translation(_channel_shuffle, "Reshape and Permute"),
    "sym_size": Translation(_sym_size, "nothing"),
    **{f"_operator.{name}": Translation(_size_arithmetic, "nothing") for name in ("mul", "add", "sub", "floordiv")},
}
"""Operators by name."""
