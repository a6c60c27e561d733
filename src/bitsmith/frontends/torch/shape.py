"""PyTorch's operators that give a tensor other axes, and those on sizes."""

import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import replace

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import MAX_ELEMENTS
from bitsmith.frontends.files.json import integer, integers
from bitsmith.frontends.ops import selection, shape
from bitsmith.frontends.torch.call import Call, Operators, Result, Translation, function
from bitsmith.layers.layer import Shape
from bitsmith.layers.shape import Identity


def _dropout(call: Call) -> Result:
    call.ignore("p")
    if call.flag("train") or call.flag("training"):
        raise UnsupportedError(
            "dropout while training", accepted="evaluation", remedy="call model.eval() before the export"
        )
    return call.build.emit(Identity(), call.tensor(call.first))  # in place, it is "self"


def _same(call: Call) -> Result:
    return call.tensor(call.first)


def _unsqueeze(call: Call) -> Result:
    numbered = call.numbered(call.get("self"))
    if numbered is not None and 0 < call.integer("dim") <= numbered.rank:
        return (replace(numbered, rank=numbered.rank + 1),)
    return shape.unsqueeze(call.build, call.tensor(), call.integers("dim"))


def _viewed(shapes: Callable[[Call], Iterable[Shape]], becomes: str) -> Translation:
    """The operand under other shapes, given for each number of samples."""

    def read(call: Call) -> Result:
        numbered = call.numbered(call.get("self"))
        if numbered is not None and not any(set(sizes[1:]) - {1} for sizes in shapes(call)):
            return (replace(numbered, rank=len(next(iter(shapes(call))))),)
        return shape.view(call.build, call.tensor(), shapes(call), flatten=True)

    return Translation(read, becomes)


def _flattened(call: Call) -> Iterable[Shape]:
    x = call.tensor()
    first, last = x.counted(call.integer("start_dim", 0)), x.counted(call.integer("end_dim", -1)) + 1
    return [(*sizes[:first], math.prod(sizes[first:last]), *sizes[last:]) for sizes in call.build.sizes(x)]


def _unflattened(call: Call) -> Iterable[Shape]:
    x = call.tensor()
    dim = x.counted(call.integer("dim"))
    pairs = zip(call.build.sizes(x), call.shapes("sizes"), strict=True)
    return [(*sizes[:dim], *shape.completed(parts, sizes[dim]), *sizes[dim + 1 :]) for sizes, parts in pairs]


def _squeeze(call: Call) -> Result:
    x = call.tensor()
    dims, sizes = call.integers("dim") if call.given("dim") else range(x.rank), call.build.sizes(x)[-1]
    return shape.squeeze(call.build, x, [dim for dim in dims if sizes[x.counted(dim) :][:1] == (1,)])


def _permute(call: Call) -> Result:
    x = call.tensor()
    return call.build.permuted(x, [x.counted(dim) for dim in call.integers("dims")])


def _turned(call: Call) -> Result:
    x = call.tensor()
    return x if x.rank < 2 else shape.swap(call.build, x, -2, -1)


def _reversed(call: Call) -> Result:
    """``x.T``: all axes in the opposite order."""
    x = call.tensor()
    return call.build.permuted(x, range(x.rank)[::-1])


def _turned_by(call: Call) -> Result:
    """Quarter turns of the plane of two axes."""
    x, dims, quarters = call.tensor(), call.integers("dims"), call.integer("k", 1) % 4
    if len(dims) != 2:
        raise UnsupportedError(f"a turn in the plane of the axes {dims}", accepted="two axes")
    flipped = {0: (), 1: dims[1:], 2: dims, 3: dims[:1]}[quarters]
    last = quarters in (0, 2)
    y = selection.flip(call.build if last else call.build.within("flipped"), x, flipped)
    return y if last else shape.swap(call.build, y, *dims)


def _like(name: str, other: str) -> Translation:
    """The operand ``name`` with the axes of another."""
    return Translation(
        lambda call: shape.expand(call.build, call.tensor(name), call.build.sizes(call.tensor(other))), "Broadcast"
    )


def _sym_size(call: Call) -> Result:
    x = call.tensor(call.first)
    dim = x.counted(call.integer("dim"))
    return (tuple(sizes[dim] for sizes in call.build.sizes(x)),)


def _size_arithmetic(call: Call) -> Result:
    """A size from another, or from two."""
    name, sizes = call.node.name, [call.size_of(call.get(key)) for key in call.node.arguments]
    if len(sizes) == (1 if name.endswith("neg") else 2) and not (name.endswith("div") and 0 in sizes[1]):
        found = tuple(map(_ARITHMETIC[name], *sizes))
        if max(map(abs, found)) <= MAX_ELEMENTS * max(call.build.counts):
            return (found,)
    raise UnsupportedError(f"{name} of the sizes {sizes}", accepted="two sizes of tensors")


_ARITHMETIC: dict[str, Callable[..., int]] = {
    "_operator.neg": operator.neg,
    "_operator.mul": operator.mul,
    "_operator.add": operator.add,
    "_operator.sub": operator.sub,
    "_operator.floordiv": operator.floordiv,
}
_SAMES = (
    *("contiguous", "clone", "detach", "detach_", "alias", "lift_fresh_copy", "lift_fresh", "positive"),
    *("requires_grad_", "resolve_conj", "resolve_neg"),
)
_IDENTITY = Translation(_dropout, "Identity")
_VIEW = _viewed(lambda call: call.shapes(call.named("size", "shape")), "Reshape or Flatten")
_VIEW_AS = _viewed(lambda call: call.build.sizes(call.tensor("other")), "Reshape or Flatten")
_MOVE = function(shape.move, "Permute", integers("source"), integers("destination"))
_EXPAND = function(shape.expand, "Broadcast", lambda call: call.shapes("size"))
_BLOCKS = "Reshape and Permute"

SHAPES: Operators = {
    "nan_to_num": Translation(lambda call: call.number_always(), "nothing").ignoring("nan", "posinf", "neginf"),
    **dict.fromkeys(_SAMES, Translation(_same, "nothing").ignoring("memory_format", "requires_grad")),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), _IDENTITY),
    **dict.fromkeys(("view", "reshape", "view_copy", "_unsafe_view", "_reshape_alias"), _VIEW),
    **dict.fromkeys(("view_as", "reshape_as"), _VIEW_AS),
    "flatten": _viewed(_flattened, "Flatten or Reshape"),
    "unflatten": _viewed(_unflattened, "Reshape"),
    "squeeze": Translation(_squeeze, "Reshape"),
    "unsqueeze": Translation(_unsqueeze, "Reshape"),
    "permute": Translation(_permute, "Permute"),
    **dict.fromkeys(("transpose", "swapdims"), function(shape.swap, "Permute", integer("dim0"), integer("dim1"))),
    "swapaxes": function(shape.swap, "Permute", integer("axis0"), integer("axis1")),
    **dict.fromkeys(("t", "mT", "mH", "adjoint"), Translation(_turned, "Permute")),
    "rot90": Translation(_turned_by, "Slice and Permute"),
    "numpy_T": Translation(_reversed, "Permute"),
    **dict.fromkeys(("movedim", "moveaxis"), _MOVE),
    **dict.fromkeys(("expand", "broadcast_to"), _EXPAND.ignoring("implicit")),
    "expand_as": _like("self", "other"),
    "copy": _like("src", "self").ignoring("non_blocking"),
    "fill": _like("value", "self"),
    "pixel_shuffle": function(shape.depth_to_space, _BLOCKS, integer("upscale_factor")),
    "pixel_unshuffle": function(shape.space_to_depth, _BLOCKS, integer("downscale_factor")),
    "channel_shuffle": function(shape.channel_shuffle, _BLOCKS, integer("groups")),
    "sym_size": Translation(_sym_size, "nothing"),
    "sym_numel": Translation(lambda call: (tuple(map(math.prod, call.build.sizes(call.tensor()))),), "nothing"),
    **dict.fromkeys(_ARITHMETIC, Translation(_size_arithmetic, "nothing")),
}
