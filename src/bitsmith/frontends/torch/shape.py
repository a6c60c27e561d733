"""PyTorch's operators that give a tensor other axes, and those on sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.ops import shape
from bitsmith.frontends.torch.call import Call, Result, Size, Translation, Translator
from bitsmith.layers.layer import Shape
from bitsmith.layers.shape import Identity


def _same(call: Call) -> Result:
    """What is the identity at inference and needs no node."""
    return call.tensor(next(iter(call.node.arguments)))


def _dropout(call: Call) -> Result:
    if call.flag("train") or call.flag("training"):
        raise UnsupportedError(
            "dropout while training", accepted="evaluation", remedy="call model.eval() before the export"
        )
    return call.build.emit(Identity(), call.tensor("input"))


def _viewed(call: Call, x: Value, shapes: Sequence[Shape]) -> Value:
    """``x`` under another shape, given for each number of samples; -1 is what is left."""
    return shape.view(call.build, x, shapes, flatten=True)


def _view(call: Call) -> Result:
    return _viewed(call, call.tensor(), call.shapes("size" if call.given("size") else "shape"))


def _sizes(call: Call, x: Value) -> list[Shape]:
    return [x.sizes(n) for n in call.build.counts]


def _flatten(call: Call) -> Result:
    x = call.tensor()
    first, last = x.counted(call.integer("start_dim", 0)), x.counted(call.integer("end_dim", -1))
    if first > last:
        raise UnsupportedError(f"flatten from axis {first} to axis {last}")
    merged = [math.prod(sizes[first : last + 1]) for sizes in _sizes(call, x)]
    return _viewed(call, x, [(*s[:first], one, *s[last + 1 :]) for s, one in zip(_sizes(call, x), merged, strict=True)])


def _unflatten(call: Call) -> Result:
    x = call.tensor()
    dim = x.counted(call.integer("dim"))
    pairs = zip(_sizes(call, x), call.shapes("sizes"), strict=True)
    return _viewed(call, x, [(*s[:dim], *shape.completed(parts, s[dim]), *s[dim + 1 :]) for s, parts in pairs])


def _squeeze(call: Call) -> Result:
    x = call.tensor()
    dims, sizes = call.integers("dim") if call.given("dim") else range(x.rank), x.sizes(call.build.counts[-1])
    return shape.squeeze(call.build, x, [dim for dim in dims if sizes[x.counted(dim) :][:1] == (1,)])


def _unsqueeze(call: Call) -> Result:
    return shape.unsqueeze(call.build, call.tensor(), [call.integer("dim")])


def _permute(call: Call) -> Result:
    x = call.tensor()
    return call.build.permuted(x, [x.counted(dim) for dim in call.integers("dims")])


def _transpose(call: Call) -> Result:
    name = "axis" if call.given("axis0") else "dim"
    return shape.swap(call.build, call.tensor(), call.integer(f"{name}0"), call.integer(f"{name}1"))


def _turned(call: Call) -> Result:
    x = call.tensor()
    return x if x.rank < 2 else shape.swap(call.build, x, -2, -1)


def _movedim(call: Call) -> Result:
    return shape.move(call.build, call.tensor(), call.integers("source"), call.integers("destination"))


def _expand(call: Call) -> Result:
    """-1 keeps an axis."""
    x, shapes = call.tensor(), call.shapes("size")
    if len(shapes[0]) < x.rank:
        raise UnsupportedError(f"a tensor of axes {x.dims} repeated to {len(shapes[0])} axes")
    return shape.expand(call.build, x, [tuple(1 if size == -1 else size for size in one) for one in shapes])


def _expanded(name: str, like: str) -> Translation:
    """The operand ``name`` with the axes of another."""
    return Translation(
        lambda call: shape.expand(call.build, call.tensor(name), _sizes(call, call.tensor(like))), "Broadcast"
    )


def _blocks(make: Callable[..., Value], factor: str) -> Translator:
    return lambda call: make(call.build, call.tensor(), call.integer(factor))


def _sym_size(call: Call) -> Result:
    x = call.tensor(next(iter(call.node.arguments)))
    dim = x.counted(call.integer("dim"))
    grows = x.batch is not None and dim == x.batch.axis and call.build.samples is None
    return Size(x.sizes(call.build.counts[0])[dim], grows)


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


_SAMES = (
    *("contiguous", "clone", "detach", "detach_", "alias", "lift_fresh_copy", "lift_fresh", "positive"),
    *("requires_grad_", "resolve_conj", "resolve_neg"),
)
_IDENTITY = Translation(_dropout, "Identity")
_VIEW = Translation(_view, "Reshape or Flatten")
_EXPAND = Translation(_expand, "Broadcast")
_BLOCKS = "Reshape and Permute"

SHAPES: dict[str, Translation] = {
    **dict.fromkeys(_SAMES, Translation(_same, "nothing")),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), _IDENTITY),
    **dict.fromkeys(("view", "reshape", "view_copy", "_unsafe_view", "_reshape_alias"), _VIEW),
    **dict.fromkeys(
        ("view_as", "reshape_as"),
        Translation(
            lambda call: _viewed(call, call.tensor(), _sizes(call, call.tensor("other"))), "Reshape or Flatten"
        ),
    ),
    "flatten": Translation(_flatten, "Flatten or Reshape"),
    "unflatten": Translation(_unflatten, "Reshape"),
    "squeeze": Translation(_squeeze, "Reshape"),
    "unsqueeze": Translation(_unsqueeze, "Reshape"),
    "permute": Translation(_permute, "Permute"),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), Translation(_transpose, "Permute")),
    **dict.fromkeys(("t", "mT", "mH", "numpy_T", "adjoint"), Translation(_turned, "Permute")),
    **dict.fromkeys(("movedim", "moveaxis"), Translation(_movedim, "Permute")),
    **dict.fromkeys(("expand", "broadcast_to"), _EXPAND),
    "expand_as": _expanded("self", "other"),
    "copy": _expanded("src", "self"),
    "fill": _expanded("value", "self"),
    "pixel_shuffle": Translation(_blocks(shape.depth_to_space, "upscale_factor"), _BLOCKS),
    "pixel_unshuffle": Translation(_blocks(shape.space_to_depth, "downscale_factor"), _BLOCKS),
    "channel_shuffle": Translation(_blocks(shape.channel_shuffle, "groups"), _BLOCKS),
    "sym_size": Translation(_sym_size, "nothing"),
    **{f"_operator.{name}": Translation(_size_arithmetic, "nothing") for name in ("mul", "add", "sub", "floordiv")},
}
"""Operators by name."""
