"""PyTorch's operators that pick, repeat, join and part elements, and write them at constant places."""

import sys
from itertools import pairwise

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import ZERO, Batch, Kind, MixedSamplesError, Value, constant
from bitsmith.frontends.files.json import integer, integers
from bitsmith.frontends.ops import logic, selection, shape
from bitsmith.frontends.ops.logic import Beyond
from bitsmith.frontends.torch.call import NOTHING, Call, Operators, Result, Translation, function
from bitsmith.frontends.torch.picked import picked, put

_OPEN_END = 1 << 62
"""Ends of slices beyond this mean: to the end."""


def _repeat(call: Call) -> Result:
    x, shapes = call.tensor(), call.shapes(call.named("repeats", "dims"))
    grown = [axis for axis in range(len(shapes[0])) if len({sizes[axis] for sizes in shapes}) > 1]
    if grown:
        axis, merged = grown[0], call.build.within("merged")
        x = shape.unsqueeze(call.build, x, range(len(shapes[0]) - x.rank))
        own, before = x.dims[axis], x.dims[:axis]
        if apart := x.batch is None and own != 1:  # whole copies follow each other, one or more for each sample
            x, grown = shape.unsqueeze(merged, x, [axis]), [axis]
            shapes = [(*sizes[: axis + 1], 1, *sizes[axis + 1 :]) for sizes in shapes]
        wanted = [[size if axis in grown else 1 for axis, size in enumerate(sizes)] for sizes in shapes]
        x = shape.expand(call.build, x, wanted)
        if apart:
            shapes = [(*sizes[: axis + 1], *sizes[axis + 2 :]) for sizes in shapes]
            x = shape.view(merged, x, [(*before, sizes[axis] * own, *x.dims[axis + 2 :]) for sizes in shapes])
    return selection.tile(call.build, x, [1 if axis in grown else size for axis, size in enumerate(shapes[0])])


def _repeat_interleave(call: Call) -> Result:
    if not call.given("dim"):
        raise UnsupportedError("repeat_interleave of all axes", accepted="one axis")
    call.ignore("output_size")  # which the result's description has
    counts = np.atleast_1d(call.weight("repeats")).astype(int).tolist()
    x, dim = call.tensor(), call.integer("dim")
    if x.batch is not None and x.counted(dim) == x.batch.axis and len(counts) == 1:  # copies of a sample stay beside it
        axis, merged, shapes = x.batch.axis, call.build.within("merged"), call.build.sizes(x)
        copies = shape.unsqueeze(merged, x, [axis + 1])
        wanted = [counts[0] if place == axis + 1 else 1 for place in range(copies.rank)]
        copies = shape.expand(call.build, copies, [wanted] * len(shapes))
        return shape.view(merged, copies, [(*s[:axis], s[axis] * counts[0], *s[axis + 1 :]) for s in shapes])
    return selection.repeat(call.build, x, dim, counts)


def _range(call: Call, x: Value) -> tuple[int, range] | None:
    """The axis of a slice, and what it takes; None for all samples."""
    dim = x.counted(call.integer("dim", 0))
    start, end, step = call.get("start") or 0, call.get("end"), call.integer("step", 1)
    if x.batch is not None and dim == x.batch.axis and start == 0 and step == 1:
        every = tuple(sizes[dim] for sizes in call.build.sizes(x))
        ends = every if end is None else call.size_of(end)
        if ends == every or min(ends) >= (call.build.samples or _OPEN_END):
            return None
    size = x.shape[x.axis(dim)]
    if not isinstance(start, int) or not isinstance(end, int | None) or step < 1:
        raise UnsupportedError("a slice that depends on the number of samples", accepted="fixed slices")
    return dim, range(size)[start:end:step]


def _slice(call: Call) -> Result:
    every = (call.integer("dim", 0), call.get("start") or 0, call.integer("step", 1)) == (0, 0, 1)
    numbered = call.numbered(call.get("self"))
    if numbered is not None and every and call.get("end") in (None, sys.maxsize):
        return (numbered,)
    x = call.tensor()
    taken = _range(call, x)
    if taken is not None and not taken[1]:
        return (NOTHING,)
    return x if taken is None else selection.part(call.build, x, dict([taken]))


def _written(call: Call, name: str) -> Value:
    """Return the numbers written into a tensor, as numbers of its type."""
    return logic.cast(call.build.within(name), call.tensor(name), call.tensor().kind, Beyond.WRAPS)


def _slice_scatter(call: Call) -> Result:
    x, new = call.tensor(), _written(call, "src")
    taken = _range(call, x)
    return new if taken is None else selection.with_part(call.build, x, *taken, new)


def _select_scatter(call: Call) -> Result:
    x, dim, place = call.tensor(), call.integer("dim"), call.integer("index")
    size = x.shape[x.axis(dim)]
    new = shape.unsqueeze(call.build.within("row"), _written(call, "src"), [x.counted(dim)])
    return selection.with_part(call.build, x, dim, range(size)[place % max(size, 1) :][:1], new)


def _narrow(call: Call) -> Result:
    x, dim, start = call.tensor(), call.integer("dim"), call.integer("start")
    start += x.shape[x.axis(dim)] if start < 0 else 0
    return selection.part(call.build, x, {dim: range(start, start + call.integer("length"))})


def _keys(call: Call) -> tuple[int, list[selection.Indices]]:
    """Constant indices of adjacent axes, and the first of these; a mask is one for each of its axes."""
    listed = call.get("indices")
    dim, keys = 0, dict[int, selection.Indices]()
    for item in listed if isinstance(listed, tuple) else ():
        if item is None:
            dim += 1
            continue
        value = call.value(item, "indices")
        is_mask = value.kind is Kind.BOOL
        if value.constant is None or value.batch is not None or (is_mask and not value.rank):
            raise UnsupportedError("indices that are computed", accepted="constant indices")
        found = np.nonzero(value.constant) if is_mask else (value.constant,)
        keys |= {dim + k: one for k, one in enumerate(found)}
        dim += len(found)
    first = min(keys, default=0)
    if not keys or sorted(keys) != list(range(first, first + len(keys))):
        raise UnsupportedError(f"indices of the axes {sorted(keys)}", accepted="axes beside each other")
    return first, list(keys.values())


def _index(call: Call) -> Result:
    """Elements at constant indices; behind the numbers of the samples, those of each sample; rows of a trained table."""
    x, listed = call.tensor(), call.get("indices")
    numbered = call.numbered(listed[0]) if isinstance(listed, tuple) and listed else None
    mask = call.value(listed[0], "indices") if isinstance(listed, tuple) and len(listed) == 1 and not numbered else x
    if mask.kind is Kind.BOOL and mask is not x and mask.constant is None:
        return (picked(x, mask),)
    rows = call.value(listed[0], "indices") if isinstance(listed, tuple) and len(listed) == 1 and not numbered else x
    if x.is_trained and rows.constant is None and rows.kind.is_integer:
        return selection.rows_of(call.build, x, rows, from_end=True)
    if numbered is None or not isinstance(listed, tuple) or x.batch is None or x.batch.axis or x.is_merged:
        return selection.index(call.build, x, *_keys(call))
    rest = [_for_each_sample(call, call.value(item, "indices")) for item in listed[1:]]
    if any(key.ndim > numbered.rank for key in rest):
        raise UnsupportedError("the numbers of the samples along another axis", accepted="the first axis")
    _, *places = np.broadcast_arrays(np.zeros((1,) * numbered.rank), *rest)
    if not places or len(places[0]) > 1:
        raise MixedSamplesError("picks some of the samples")
    return selection.index(call.build, x, 1, [place[0].astype(np.int64) for place in places])


def _for_each_sample(call: Call, indices: Value) -> selection.Indices:
    """Constant indices, with an axis of one sample if they were repeated for all."""
    values = indices.constant
    return call.trained(indices, "indices") if values is None or indices.batch != Batch(0) else values[None]


def _index_put(call: Call) -> Result:
    if (chosen := put(call)) is not None:
        return chosen
    listed, x, new = call.get("indices"), call.tensor(), call.tensor("values")
    if isinstance(listed, tuple) and len(listed) == 1 and not call.numbered(listed[0]) and new.is_trained:
        mask = call.value(listed[0], "indices")
        if (
            mask.kind is Kind.BOOL
            and not mask.is_trained
            and new.rank <= max(x.rank - mask.rank, new.number is not None)
        ):
            axes = range(mask.rank, x.rank)
            holds, new = shape.unsqueeze(call.build.within("mask"), mask, axes), _written(call, "values")
            if call.flag("accumulate"):
                raise UnsupportedError("sums where a computed mask says", accepted="an assignment")
            return logic.where(call.build, holds, new, x)
    keys, new = _keys(call), _written(call, "values")
    return selection.with_index(call.build, call.tensor(), *keys, new, added=call.flag("accumulate"))


def _index_add(call: Call) -> Result:
    new = call.build.within("scaled").affine(_written(call, "source"), constant(call.number("alpha", 1.0)), ZERO)
    index = call.weight("index").reshape(-1)
    return selection.with_index(call.build, call.tensor(), call.integer("dim"), [index], new, added=True)


def _index_fill(call: Call) -> Result:
    index, value = call.weight("index").reshape(-1), _written(call, "value")
    return selection.with_index(call.build, call.tensor(), call.integer("dim"), [index], value)


def _diagonal(call: Call) -> Result:
    dims, new = [call.integer("dim1", 0), call.integer("dim2", 1)], None
    if "src" in call.node.arguments:
        new = _written(call, "src")
    return selection.diagonal(call.build, call.tensor(), dims, call.integer("offset", 0), new)


def _scatter(call: Call) -> Result:
    index, added = call.tensor("index"), call.node.name == "scatter_add"
    if call.given("reduce"):
        added = call.get("reduce") in ("add", "sum") and call.flag("include_self", True)
        if not added:
            raise UnsupportedError("updates that are combined with what is there", accepted="sums with what is there")
    new = _written(call, "src" if call.given("src") else "value")
    if not new.rank:
        new = shape.expand(call.build.within("updates"), new, call.build.sizes(index))
    return selection.scatter_elements(call.build, call.tensor(), call.integer("dim"), index, new, added=added)


def _cat(call: Call) -> Result:
    # torch leaves out empty tensors of one axis.
    tensors, dim = [x for x in call.tensors("tensors") if x.shape != (0,)], call.integer("dim", 0)
    return tensors[0] if len(tensors) == 1 else selection.concatenate(call.build, tensors, dim)


def _split(call: Call) -> Result:
    """Parts of given lengths, of one length, or so many equal ones."""
    x, dim, key = call.tensor(), call.integer("dim", 0), call.named("split_size", "split_sizes", "chunks")
    if key == "chunks" and call.integer(key) == 1:
        return (x,)  # along any axis, as TabNet's batches of training are one
    size = x.shape[x.axis(dim)]
    if isinstance(call.get(key), tuple):
        return selection.split(call.build, x, dim, call.integers(key))
    length = -(-size // max(call.integer(key), 1)) if key == "chunks" else call.integer(key)
    if length < 1:
        raise UnsupportedError(f"parts of {length} elements")
    return selection.split(call.build, x, dim, [min(length, size - start) for start in range(0, size, length)])


def _tensor_split(call: Call) -> Result:
    """Parts that end at given places, or so many of which the first may have an element more than the last."""
    x, dim = call.tensor(), call.integer("dim", 0)
    size = x.shape[x.axis(dim)]
    if call.given("indices"):
        ends = [*(range(size)[:end].stop for end in call.integers("indices")), size]
    else:
        count = call.positive("sections", 1)
        ends = [number * (size // count) + min(number, size % count) for number in range(1, min(count, size) + 1)]
    return selection.split(call.build, x, dim, [end - start for start, end in pairwise([0, *ends])])


_CAT = Translation(_cat, "Concatenate")
_SPLIT = Translation(_split, "Slice")
_CHOSEN = "Reshape and Gather, at constant places; Embedding and Einsum at computed ones"
_READ, _WRITTEN = "Reshape and Gather, at constant places", "Concatenate and Gather, at constant places"

SELECTIONS: Operators = {
    **dict.fromkeys(("repeat", "tile"), Translation(_repeat, "Gather")),
    "repeat_interleave": Translation(_repeat_interleave, "Gather"),
    "slice": Translation(_slice, "Slice"),
    "narrow": Translation(_narrow, "Slice"),
    "select": function(selection.select, "Slice and Reshape", integer("dim"), integer("index")),
    "index_select": function(
        selection.take, "Gather or Slice", integer("dim"), lambda call: call.weight("index").reshape(-1)
    ),
    "index": Translation(_index, f"Slice, Embedding, or {_READ}"),
    "gather": function(selection.gather_elements, _CHOSEN, integer("dim"), lambda call: call.tensor("index")).ignoring(
        "sparse_grad"
    ),
    **dict.fromkeys(("scatter", "scatter_add", "scatter_reduce"), Translation(_scatter, f"{_WRITTEN}; Reduce of sums")),
    "index_add": Translation(_index_add, f"{_WRITTEN}, and Reduce"),
    "index_fill": Translation(_index_fill, _WRITTEN),
    "diagonal": Translation(_diagonal, f"Permute, {_READ}"),
    "diagonal_scatter": Translation(_diagonal, f"Permute, {_WRITTEN}"),
    "index_put": Translation(_index_put, f"{_WRITTEN}; Reduce of sums"),
    "slice_scatter": Translation(_slice_scatter, _WRITTEN),
    "select_scatter": Translation(_select_scatter, _WRITTEN),
    "unfold": function(selection.windows, "Gather", integer("dimension"), integer("size"), integer("step")),
    "flip": function(selection.flip, "Slice", integers("dims")),
    "roll": function(selection.roll, "Gather", integers("shifts"), integers("dims")),
    **dict.fromkeys(("cat", "concat", "concatenate"), _CAT),
    "stack": Translation(
        lambda call: selection.stack(call.build, call.tensors("tensors"), call.integer("dim", 0)), "Stack"
    ),
    "unbind": function(selection.unbind, "Slice and Reshape", integer("dim", 0)),
    "tensor_split": Translation(_tensor_split, "Slice"),
    **dict.fromkeys(("split", "split_with_sizes", "unsafe_split", "chunk"), _SPLIT),
}
