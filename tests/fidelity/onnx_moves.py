"""Random nodes that move, pick and repeat elements, and constants that are computed."""

from __future__ import annotations

import math

import numpy as np
from onnx import numpy_helper

from tests.fidelity.onnx_draft import SAMPLES, Draft, Tensor, UnfitError
from tests.fidelity.onnx_elements import Drawer


def _own(draft: Draft, *ranks: int, least: int = 1, kinds: str = "f") -> tuple[Tensor, int]:
    """A value, and an axis of its own of ``least`` elements."""
    x = draft.pick(*ranks, kinds=kinds, test=lambda x: any(x.shape[k] >= least for k in x.own))
    return x, draft.choice([k for k in x.own if x.shape[k] >= least])


def _signed(draft: Draft, axis: int, rank: int) -> int:
    return axis if draft.chance(0.6) else axis - rank


def _parted(draft: Draft, size: int) -> list[int]:
    """``size`` as a product of sizes."""
    found = []
    while size > 1:
        found.append(draft.choice([k for k in range(2, size + 1) if size % k == 0]))
        size //= found[-1]
    return [*found, *([1] if draft.chance(0.2) else [])] or [1]


def _reshape(draft: Draft) -> None:
    x = draft.pick(2, 3, 4, 5, kinds="fi", test=lambda x: x.batch is not None)
    batch = x.batch or 0
    shape = [*x.shape[:batch], SAMPLES]
    shape += _parted(draft, math.prod(x.shape[batch + 1 :]))
    way = draft.whole(0, 3)
    if way == 0:
        wanted = [-1 if size == SAMPLES else size for size in shape]
    elif way == 1 and batch == 0:
        wanted = [0, *shape[1:]]
        wanted[draft.whole(1, len(wanted) - 1)] = -1
    else:
        wanted = shape
    draft.one("Reshape", x.name, draft.integers(wanted, x))


def _merged(draft: Draft) -> None:
    """Positions beside samples, through a product, and back."""
    x = draft.pick(3, test=lambda x: x.batch == 0)
    _, count, channels = x.shape
    flat = draft.one("Reshape", x.name, draft.hold(np.array([-1, channels])))
    units = draft.whole(1, 4)
    y = draft.one("Gemm", flat, draft.weights((channels, units)), draft.weights((units,)))
    draft.one("Reshape", y, draft.integers([SAMPLES, count, units] if draft.chance() else [-1, count, units], x))


def _flatten(draft: Draft) -> None:
    x = draft.pick(2, 3, 4, 5, test=lambda x: x.batch == 0)
    draft.one("Flatten", x.name, **draft.some(axis=draft.choice((1, 1 - x.rank))))


def _squeeze(draft: Draft) -> None:
    x = draft.pick(kinds="fib", test=lambda x: 1 in x.shape)
    axes = [_signed(draft, k, x.rank) for k, size in enumerate(x.shape) if size == 1]
    draft.node("Squeeze", **draft.listed("Squeeze", "axes", axes[: draft.whole(1, len(axes))], 1, [x.name]))


def _unsqueeze(draft: Draft) -> None:
    x = draft.pick(1, 2, 3, 4, kinds="fib")
    count = draft.whole(1, 2)
    axes = draft.rng.permutation(x.rank + count)[:count].tolist()
    axes = [k if draft.opset < 11 else _signed(draft, k, x.rank + count) for k in axes]
    draft.node("Unsqueeze", **draft.listed("Unsqueeze", "axes", axes, 1, [x.name]))


def _transpose(draft: Draft) -> None:
    x = draft.pick(2, 3, 4, 5, kinds="fi")
    draft.one("Transpose", x.name, **draft.some(perm=draft.rng.permutation(x.rank).tolist()))


def _slice(draft: Draft) -> None:
    x, axis = _own(draft, 2, 3, 4, least=2, kinds="fi")
    axes = [axis, *(k for k in x.own if k != axis and draft.chance(0.3))]
    starts, ends, steps = [], [], []
    for k in axes:
        size, step = x.shape[k], draft.choice((1, 1, 2, -1, -2, 3))
        low = draft.whole(0, size - 1)
        high = draft.whole(low + 1, size)
        starts.append(low if step > 0 else draft.choice((high - 1, -1)))
        ends.append(
            draft.choice((high, high - size or size, 1 << 40)) if step > 0 else draft.choice((-(1 << 40), -size - 1))
        )
        steps.append(step)
    if draft.opset < 10:
        starts, ends = [max(n, 0) for n in starts], [1 << 40] * len(axes)
        draft.one("Slice", x.name, axes=axes, starts=starts, ends=ends)
        return
    names = [draft.integers(values) for values in (starts, ends, [_signed(draft, k, x.rank) for k in axes])]
    draft.node("Slice", [x.name, *names, draft.integers(steps) if any(s != 1 for s in steps) else ""])


def _split(draft: Draft) -> None:
    x, axis = _own(draft, least=2)
    size = x.shape[axis]
    lengths: list[int] | None = [*draft.rng.multinomial(size - 2, [0.5, 0.5]) + 1]
    lengths = [int(n) for n in lengths or ()]
    if size % 2 == 0 and draft.chance(0.4):
        lengths = None
    attributes: dict[str, object] = {"axis": _signed(draft, axis, x.rank) if draft.opset >= 11 else axis}
    if draft.opset >= 18 and lengths is None:
        attributes["num_outputs"] = 2
    draft.node("Split", results=2, **draft.listed("Split", "split", lengths, 1, [x.name]), **attributes)


def _concat(draft: Draft) -> None:
    x, axis = _own(draft)
    parts = [x.name]
    for _ in range(draft.whole(0, 2)):
        fit = [
            y
            for y in draft.values
            if y.rank == x.rank
            and y.kind == x.kind
            and all(y.shape[k] == n for k, n in enumerate(x.shape) if k != axis)
        ]
        if draft.chance(0.2):
            shape = list(x.shape)
            shape[axis] = draft.whole(1, 2)
            parts.append(draft.one("Expand", draft.scalar(draft.real(-1, 1)), draft.integers(shape, x)))
        else:
            parts.append(draft.choice(fit).name)
    draft.node("Concat", [parts[k] for k in draft.rng.permutation(len(parts))], axis=_signed(draft, axis, x.rank))


def _gather(draft: Draft) -> None:
    tokens = [x for x in draft.values if x.kind == "i" and x.clean.min() >= 0 and x.clean.max() < 8]
    if tokens and draft.chance(0.7):
        table = draft.weights((8, *[draft.whole(1, 4) for _ in range(draft.choice((1, 1, 2)))]))
        draft.one("Gather", table, draft.choice(tokens).name)
        return
    x, axis = _own(draft)
    shape = draft.choice(((), (1,), (3,), (2, 2)))
    indices = draft.rng.integers(-x.shape[axis] if draft.opset >= 11 else 0, x.shape[axis], shape)
    draft.one("Gather", x.name, draft.hold(indices), axis=_signed(draft, axis, x.rank))


def _one_hot(draft: Draft) -> None:
    x = draft.pick(kinds="i", test=lambda x: bool(np.abs(x.clean).max() < 9))
    values = draft.hold(np.array(draft.choice(((0, 1), (-1, 2), (1, 0))), np.float32))
    draft.one(
        "OneHot", x.name, draft.hold(np.array(draft.choice((8, 9)))), values, **draft.some(axis=draft.choice((-1, 1)))
    )


def _expand(draft: Draft) -> None:
    x = draft.pick(2, 3, 4)
    shape = [draft.whole(1, 3) if size == 1 else size for size in x.shape]
    if draft.chance(0.4):
        shape = [1 if size % SAMPLES == 0 or draft.chance(0.3) else size for size in shape]
    draft.one("Expand", x.name, draft.integers([*([draft.whole(1, 3)] if draft.chance(0.2) else []), *shape], x))


def _tile(draft: Draft) -> None:
    x = draft.pick(2, 3, 4)
    draft.one("Tile", x.name, draft.integers([draft.whole(1, 3) if k in x.own else 1 for k in range(x.rank)]))


def _pad(draft: Draft) -> None:
    x, mode = draft.pick(2, 3, 4, 5), draft.choice(("constant", "constant", "edge", "reflect"))
    least, most = (-1 if mode == "constant" else 0), 2
    pads = [
        [draft.whole(least, min(most, size - 1)) if k in x.own and size > 1 else 0 for k, size in enumerate(x.shape)]
    ]
    pads.append(
        [draft.whole(0, min(most, size - 1)) if k in x.own and size > 1 else 0 for k, size in enumerate(x.shape)]
    )
    value = draft.real(-2, 2)
    if draft.opset < 11:
        draft.one("Pad", x.name, pads=[*pads[0], *pads[1]], mode=mode, **draft.some(value=value))
        return
    names = [draft.hold(np.float32(value)) if draft.chance() else ""]
    if draft.opset >= 18 and draft.chance():
        axes = [k for k in x.own if draft.chance(0.8)] or x.own
        pads = [[one[k] for k in axes] for one in pads]
        names.append(draft.hold(np.array([_signed(draft, k, x.rank) for k in axes])))
    draft.node("Pad", [x.name, draft.integers([*pads[0], *pads[1]]), *names], mode=mode)


def _trilu(draft: Draft) -> None:
    x = draft.pick(3, 4, test=lambda x: len(set(x.own) & {x.rank - 1, x.rank - 2}) == 2)
    given = [draft.hold(np.array(draft.whole(-2, 2)))] if draft.chance() else []
    draft.node("Trilu", [x.name, *given], **draft.some(upper=int(draft.chance())))


def _space_to_depth(draft: Draft) -> None:
    x = draft.pick(4, test=lambda x: x.batch == 0 and x.shape[2] % 2 == x.shape[3] % 2 == 0)
    draft.one("SpaceToDepth", x.name, blocksize=2)


def _depth_to_space(draft: Draft) -> None:
    x = draft.pick(4, test=lambda x: x.batch == 0 and x.shape[1] % 4 == 0)
    mode = draft.some(mode=draft.choice(("DCR", "CRD"))) if draft.opset >= 11 else {}
    draft.one("DepthToSpace", x.name, blocksize=2, **mode)


def _gather_elements(draft: Draft) -> None:
    x, axis = _own(draft, 2, 3)
    shape = [1 if k == x.batch else draft.whole(1, size) for k, size in enumerate(x.shape)]
    shape[axis] = draft.whole(1, 4)
    indices = draft.rng.integers(-x.shape[axis], x.shape[axis], shape)
    places = draft.one("Expand", draft.hold(indices), draft.integers(_with_batch(x, shape), x))
    draft.one("GatherElements", x.name, places, axis=axis)


def _with_batch(x: Tensor, shape: list[int]) -> list[int]:
    return [SAMPLES if k == x.batch else size for k, size in enumerate(shape)]


def _scatter_elements(draft: Draft) -> None:
    x, axis = _own(draft, 2, 3)
    shape = [1 if k == x.batch else size for k, size in enumerate(x.shape)]
    shape[axis] = draft.whole(1, x.shape[axis])
    order = draft.rng.permuted(np.broadcast_to(np.arange(x.shape[axis]), (math.prod(shape), x.shape[axis])), axis=1)
    count = shape[axis]
    others = [n for k, n in enumerate(shape) if k != axis]
    indices = np.moveaxis(order[: math.prod(others), :count].reshape(*others, count), -1, axis)
    wanted = draft.integers(_with_batch(x, shape), x)
    places = draft.one("Expand", draft.hold(np.ascontiguousarray(indices)), wanted)
    new = draft.one("Expand", draft.weights(shape), draft.integers(_with_batch(x, shape), x))
    draft.one("ScatterElements", x.name, places, new, axis=axis)


def _nd(draft: Draft) -> tuple[str, Tensor, np.ndarray]:
    """A value whose samples are last, so that indices are of other axes; and indices."""
    x = draft.pick(2, 3, test=lambda x: x.batch == 0)
    turned = draft.one("Transpose", x.name, perm=[*range(1, x.rank), 0])
    depth = draft.whole(1, x.rank - 1)
    count = min(draft.whole(1, 4), math.prod(x.shape[1 : 1 + depth]))
    flat = draft.rng.permutation(math.prod(x.shape[1 : 1 + depth]))[:count]
    return turned, x, np.stack(np.unravel_index(flat, x.shape[1 : 1 + depth]), -1)


def _gather_nd(draft: Draft) -> None:
    turned, _, indices = _nd(draft)
    draft.one("GatherND", turned, draft.hold(indices))


def _scatter_nd(draft: Draft) -> None:
    turned, x, indices = _nd(draft)
    depth = indices.shape[-1]
    shape = [len(indices), *x.shape[1 + depth :]]
    new = draft.one("Expand", draft.weights([*shape, 1]), draft.integers([*shape, SAMPLES], x))
    draft.one("ScatterND", turned, draft.hold(indices), new)


def _shape(draft: Draft) -> None:
    """Some sizes, as numbers that are multiplied with."""
    x, axis = _own(draft)
    if draft.opset >= 15 and draft.chance():
        sizes = draft.one("Shape", x.name, start=axis, end=axis + 1)
    else:
        sizes = draft.one("Slice", draft.one("Shape", x.name), *_ends(draft, axis)) if draft.opset >= 10 else ""
    if not sizes:
        raise UnfitError
    real = draft.one("Cast", sizes, to=1)
    draft.one(draft.choice(("Div", "Mul")), x.name, draft.one("Sqrt", real) if draft.chance() else real)


def _ends(draft: Draft, axis: int) -> list[str]:
    return [draft.hold(np.array([k])) for k in (axis, axis + 1, 0)]


def _size(draft: Draft) -> None:
    x, axis = _own(draft)
    part = draft.one("Gather", x.name, draft.hold(np.array([0])), axis=axis)
    ratio = [draft.one("Cast", draft.one("Size", name), to=1) for name in (part, x.name)]
    draft.one("Mul", x.name, draft.one("Div", *ratio))


def _range(draft: Draft) -> None:
    """Positions, which are added."""
    x, axis = _own(draft)
    bounds = [draft.hold(np.array(n)) for n in (0, x.shape[axis], 1)]
    places = draft.one("Cast", draft.one("Range", *bounds), to=1)
    shape = [x.shape[k] if k == axis else 1 for k in range(x.rank)]
    draft.one("Add", x.name, draft.one("Reshape", places, draft.hold(np.array(shape))))


def _constant(draft: Draft) -> None:
    x = draft.pick()
    way = draft.whole(0, 2)
    if way == 0 and draft.opset >= 12:
        held = draft.one("Constant", value_float=draft.real(-2, 2))
    elif way == 1 and draft.opset >= 12:
        held = draft.one(
            "Constant", value_floats=[draft.real(-2, 2) for _ in range(x.shape[-1] if x.rank - 1 in x.own else 1)]
        )
    else:
        value = numpy_helper.from_array(np.array([draft.real(-2, 2)], np.float32))
        held = draft.one("ConstantOfShape", draft.integers(x.shape, x), value=value)
    draft.one(draft.choice(("Add", "Mul", "Sub")), x.name, held)


def _non_zero(draft: Draft) -> None:
    """The places of a constant mask."""
    x, axis = _own(draft, least=2)
    mask = draft.rng.random(x.shape[axis]) < 0.5
    mask[0] = True
    places = draft.one("Reshape", draft.one("NonZero", draft.hold(mask.astype(np.float32))), draft.hold(np.array([-1])))
    draft.one("Gather", x.name, places, axis=axis)


MOVES: dict[str, Drawer] = {
    "Reshape": _reshape,
    "ReshapeMerged": _merged,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Slice": _slice,
    "Split": _split,
    "Concat": _concat,
    "Gather": _gather,
    "OneHot": _one_hot,
    "Expand": _expand,
    "Tile": _tile,
    "Pad": _pad,
    "Trilu": _trilu,
    "SpaceToDepth": _space_to_depth,
    "DepthToSpace": _depth_to_space,
    "GatherElements": _gather_elements,
    "ScatterElements": _scatter_elements,
    "GatherND": _gather_nd,
    "ScatterND": _scatter_nd,
    "Shape": _shape,
    "Size": _size,
    "Range": _range,
    "Constant": _constant,
    "ConstantOfShape": _constant,
    "NonZero": _non_zero,
}
"""What draws a node, by its operator."""
