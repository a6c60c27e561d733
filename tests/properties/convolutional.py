"""Random convolutional networks: windows of all kinds, groups of channels, pooling, sums with what was before, vectors."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.infer import window_positions
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle

_Step: TypeAlias = Callable[[ProgramBuilder, random.Random, Value], Value]


def random_decoder(seed: int) -> Program:
    """A random network in which transposed convolutions are common."""
    return random_network(seed, (_transposed,) * 6)


def random_borders(seed: int) -> Program:
    """Poolings that repeat elements beyond the borders, between layers of an engine; some are read by two."""
    rng = random.Random(seed)
    builder, grid = ProgramBuilder(), tuple(rng.randint(2, 5) for _ in range(rng.choice([1, 2, 2])))
    x = builder.input("x", (*grid, rng.choice([1, 2, 4])), FixedFormat(rng.random() < 0.7, 5, 2))
    for number in range(rng.randint(2, 4)):
        with builder.layer(f"product{number}"):
            y = rng.choice([_limited, _rounded, _forked])(
                builder, rng, rng.choice([_convolved, _summed])(builder, rng, x)
            )
            x = _limited(builder, rng, y)
        with builder.layer(f"pool{number}"):
            x = _bordered(builder, rng, x)
    return builder.program([("y", x)])


def random_maps(seed: int) -> Program:
    """Products over an image whose rows they mostly keep; the last one makes a map."""
    rng = random.Random(seed)
    builder, grid = ProgramBuilder(), (rng.choice([2, 4, 6]), rng.choice([2, 3, 4]))
    x = builder.input("x", (*grid, rng.choice([1, 2, 4])), FixedFormat(rng.random() < 0.7, 5, 2))
    for number in range(rng.randint(2, 3)):
        with builder.layer(f"layer{number}"):
            x = rng.choice([_kept, _kept, _convolved])(builder, rng, x)
            x = rng.choice([_rounded, _limited, _forked])(builder, rng, x)
            x = _limited(builder, rng, x)
    return builder.program([("y", x)])


def random_network(seed: int, more: Sequence[_Step] = ()) -> Program:
    """Up to five layers over an image or a sequence, and ``more`` kinds of them."""
    rng = random.Random(seed)
    builder = ProgramBuilder()
    grid = tuple(rng.randint(3, 6) for _ in range(rng.choice([1, 2, 2, 2])))
    x = builder.input("x", (*grid, rng.choice([1, 2, 3, 4, 6, 8])), FixedFormat(rng.random() < 0.7, 5, 2))
    for number in range(rng.randint(1, 4)):
        with builder.layer(f"layer{number}"):
            step = rng.choice(
                [_convolved, _convolved, _in_groups, _in_groups, _pooled, _summed, _scaled, _joined, _larger, *more]
            )
            x = _rounded(builder, rng, step(builder, rng, x))
    if rng.random() < 0.5:
        with builder.layer("dense"):
            flat = builder.reshape(x, (int(np.prod(x.shape)),))
            x = _rounded(builder, rng, builder.linear(flat, _weights(rng, (flat.shape[0], rng.choice([2, 4, 6]))), 3))
    return builder.program([("y", x)])


def channels_of_their_own(seed: int) -> Program:
    """Layers that an engine executes, with formats, limits, constants and tables that differ by channel after them."""
    rng = random.Random(seed)
    builder = ProgramBuilder()
    grid = tuple(rng.randint(2, 5) for _ in range(rng.choice([1, 2])))
    x = builder.input("x", (*grid, rng.choice([2, 3, 4])), FixedFormat(rng.random() < 0.7, 5, 2))
    for number in range(rng.randint(2, 4)):
        with builder.layer(f"layer{number}"):
            x = rng.choice([_convolved, _convolved, _in_groups, _pooled, _summed])(builder, rng, x)
            for _ in range(rng.randint(0, 2)):
                after = [_scaled, _limited, _limited, _looked_up, _looked_up_apart, _rounded, _forked, _forked]
                x = rng.choice(after)(builder, rng, x)
            x = _limited(builder, rng, x)
    return builder.program([("y", x)])


def demands(seed: int, program: Program) -> Directives:
    """Reuse factors for each layer, most of them large."""
    rng = random.Random(seed)
    layers = sorted({node.layer for node in program.nodes})
    reuse = {layer: rng.choice([1, 7, 20, 100, 100, 1000, 10_000]) for layer in layers}
    return Directives(
        reuse, False, {layer: rng.choice([MultiplierStyle.SHARED] * 3 + [MultiplierStyle.CHEAPEST]) for layer in layers}
    )


def turns(seed: int, program: Program) -> Directives:
    """All layers are to share an engine, mostly with cycles enough for few multipliers."""
    rng = random.Random(seed)
    layers = frozenset(node.layer for node in program.nodes)
    parallel, reuse = rng.random() < 0.3, rng.choice([20, 50, 100, 300, 10_000])
    styles = dict.fromkeys(layers, MultiplierStyle.SHARED)
    return Directives(dict.fromkeys(layers, reuse * (30 if parallel else 1)), parallel, styles, engine=layers)


def _weights(rng: random.Random, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Any, now and then all alike, so that all columns have the same bounds."""
    if rng.random() < 0.15:
        return np.full(shape, rng.choice([-8, 1, 7]))
    return np.random.default_rng(rng.randrange(1 << 30)).integers(-15, 16, shape)


def _windows(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """Windows (*positions, taps, channels); single positions now and then."""
    rank = len(x.shape) - 1
    while True:
        size = tuple(rng.choice([1, 2, 3, 3]) for _ in range(rank))
        stride, dilation = (tuple(rng.choice([1, 1, 1, 2]) for _ in range(rank)) for _ in range(2))
        padding = tuple((rng.choice([0, 1, k // 2]), rng.choice([0, 1, k // 2])) for k in size)
        places = [window_positions(*axis) for axis in zip(x.shape, size, stride, dilation, padding, strict=False)]
        if min(places) > 0:
            break
    slid = builder.window(x, size, stride, dilation, padding)
    return builder.reshape(slid, (*places, int(np.prod(size)), x.shape[-1]))


def _convolved(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    windows = x if rng.random() < 0.2 else _windows(builder, rng, x)
    rank = len(x.shape) - 1
    flat = builder.reshape(windows, (*windows.shape[:rank], int(np.prod(windows.shape[rank:]))))
    return builder.linear(flat, _weights(rng, (flat.shape[-1], rng.choice([1, 2, 4, 6, 8]))), 3)


def _in_groups(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """Blocks of channels by themselves, several blocks as a matrix with zeros beside them."""
    windows, channels = _windows(builder, rng, x), x.shape[-1]
    *positions, taps, _ = windows.shape
    groups = rng.choice([k for k in range(1, channels + 1) if channels % k == 0])
    together = rng.choice([k for k in range(1, groups + 1) if groups % k == 0])
    each, n_out = channels // groups, rng.choice([1, 1, 2, 3])
    results = []
    for first in range(0, groups, together):
        start, stop = first * each, (first + together) * each
        part = builder.slice(windows, (*(0 for _ in positions), 0, start), (*positions, taps, stop))
        matrix = np.zeros((taps, together, each, together, n_out), dtype=np.int64)
        for block in range(together):
            matrix[:, block, :, block] = _weights(rng, (taps, each, n_out))
        flat = builder.reshape(part, (*positions, taps * together * each))
        results.append(builder.linear(flat, matrix.reshape(flat.shape[-1], together * n_out), 3))
    return results[0] if len(results) == 1 else builder.concat(results, -1)


def _pooled(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    windows = _windows(builder, rng, x)
    axis = len(windows.shape) - 2
    return builder.amax(windows, (axis,)) if rng.random() < 0.5 else builder.sum(windows, (axis,))


def _bordered(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """The greatest of windows along one axis, then along the next; padding repeats the first element, or the last one."""
    rank = len(x.shape) - 1
    for axis, length in enumerate(x.shape[:-1]):
        size = min(rng.choice([1, 2, 2, 3]), length)
        before, after = (rng.randint(0, size - 1) for _ in range(2))
        x = builder.gather(x, np.arange(-before, length + after).clip(0, length - 1), axis)
        sizes, strides = ([number if k == axis else 1 for k in range(rank)] for number in (size, rng.choice([1, 1, 2])))
        x = builder.amax(builder.window(x, sizes, strides, [1] * rank, [(0, 0)] * rank), range(rank, 2 * rank))
    return x


def _summed(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """A product at each position, and what it is of."""
    rank, channels = len(x.shape) - 1, x.shape[-1]
    windows = builder.window(x, (3,) * rank, (1,) * rank, (1,) * rank, ((1, 1),) * rank)
    flat = builder.reshape(windows, (*x.shape[:-1], 3**rank * channels))
    y = builder.linear(flat, _weights(rng, (flat.shape[-1], channels)), 3)
    return builder.add(x, builder.cast(y, FixedFormat(True, 9, 3, Rounding.RND, Overflow.SAT)))


def _scaled(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """A factor and a summand for each channel."""
    factors, summands = (builder.const(_weights(rng, (x.shape[-1],)), 2) for _ in range(2))
    return builder.add(builder.mul(x, factors), summands)


def _joined(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """A product at each position beside what it is of, as in a U-Net."""
    y = builder.linear(x, _weights(rng, (x.shape[-1], rng.choice([2, 4, x.shape[-1]]))), 3)
    parts = [builder.cast(y, FixedFormat(True, 6, 3, Rounding.RND, Overflow.SAT)), x]
    return builder.concat(parts if rng.random() < 0.5 else parts[::-1], -1)


def _larger(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """Each position several times over along some axes."""
    for axis, size in enumerate(x.shape[:-1]):
        if size < 7 and rng.random() < 0.7:
            x = builder.gather(x, np.repeat(np.arange(size), rng.choice([2, 2, 3])), axis)
    return x


def _limited(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """Formats of a few kinds for channels, between limits of their own, rectified before or after."""
    channels, zero = x.shape[-1], builder.const(rng.choice([0, 0, 1]))
    if rng.random() < 0.3:
        x = rng.choice([builder.max, builder.min])(x, zero)
    fracs = np.array([rng.choice([1, 2, 2, 4]) for _ in range(channels)])
    lows, highs = ([rng.choice(some) for _ in range(channels)] for some in ((-13, -8, -8, -300), (7, 7, 9, 300)))
    overflow = rng.choice([Overflow.SAT] * 4 + [Overflow.WRAP, Overflow.SAT_SYM, Overflow.SAT_ZERO])
    x = builder.apply(ops.Cast(fracs, objects(lows), objects(highs), rng.choice([*Rounding]), overflow), x)
    return rng.choice([builder.max, builder.min])(x, zero) if rng.random() < 0.5 else x


def _looked_up(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """A table of five bits."""
    x = builder.cast(x, FixedFormat(True, 5, rng.choice([1, 2]), Rounding.RND, Overflow.SAT))
    values = objects([rng.randint(-20, 20) for _ in range(32)])
    return builder.apply(ops.Table(-16, values, np.array([rng.choice([2, 3])])), x)


def _looked_up_apart(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """A table of four bits for each channel, some of them the same."""
    x = builder.cast(x, FixedFormat(True, 4, rng.choice([1, 2]), Rounding.RND, Overflow.SAT))
    tables = [[rng.randint(-20, 20) for _ in range(16)] for _ in range(3)]
    values = objects(np.array([rng.choice(tables) for _ in range(x.shape[-1])], dtype=np.object_))
    return builder.apply(ops.Table(-8, values, np.array([rng.choice([2, 3])])), x)


def _forked(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """Two functions of a number: one of them as a relation says, the larger one, their sum or their difference."""
    functions = [_scaled, _sloped, _sloped, _looked_up, _looked_up_apart, _rounded]
    one, other = (rng.choice(functions)(builder, rng, x) if rng.random() < 0.8 else x for _ in range(2))
    if rng.random() < 0.4:
        return rng.choice([builder.max, builder.min, builder.add, builder.sub])(one, other)
    bound = builder.const(rng.choice([0, 0, -3, 1]), 1)
    return builder.select(builder.compare(rng.choice([x, x, one]), rng.choice([*ops.Relation]), bound), one, other)


def _sloped(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """A line through a bound, as rectifiers have below it."""
    x = builder.sub(x, builder.const(rng.choice([0, 1]), 1))
    return builder.shift(x, -3) if rng.random() < 0.4 else builder.mul(x, builder.const(rng.choice([-1, 3, 5]), 4))


def _transposed(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """Several results of each window, laid side by side, some at the borders left out."""
    *positions, taps, channels = (windows := _windows(builder, rng, x)).shape
    rank, n_out = len(positions), rng.choice([1, 2, 3, 4])
    phases = [rng.choice([1, 2, 2, 3]) if size < 5 else 1 for size in positions]
    flat = builder.reshape(windows, (*positions, taps * channels))
    y = builder.linear(flat, _weights(rng, (flat.shape[-1], int(np.prod(phases)) * n_out)), 3)
    y = builder.cast(y, FixedFormat(True, 6, 3, Rounding.RND, Overflow.SAT))
    y = builder.reshape(y, (*positions, *phases, n_out))
    y = builder.transpose(y, (*(axis for k in range(rank) for axis in (k, rank + k)), 2 * rank))
    sizes = [n * number for n, number in zip(positions, phases, strict=True)]
    start = [rng.choice([0, 0, 1]) if size > 1 else 0 for size in sizes]
    stop = [size - rng.choice([0, 0, 1]) if size > 2 else size for size in sizes]
    return builder.slice(builder.reshape(y, (*sizes, n_out)), (*start, 0), (*stop, n_out))


def _rounded(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """In a format, or in one for each channel; rectified now and then."""
    if rng.random() < 0.5:
        x = builder.max(x, builder.const(0))
    if rng.random() < 0.25:  # nothing is lost but bits below a step of its own
        fracs = np.array([rng.choice([1, 2, 3]) for _ in range(x.shape[-1])])
        bound = objects(np.full(x.shape[-1], 1 << 40))
        return builder.apply(
            ops.Cast(fracs, -bound, bound - 1, rng.choice([Rounding.TRN, Rounding.RND]), Overflow.WRAP), x
        )
    overflow = rng.choice([Overflow.SAT, Overflow.WRAP])
    return builder.cast(x, FixedFormat(True, rng.randint(4, 7), 3, rng.choice([Rounding.TRN, Rounding.RND]), overflow))


def in_parts(seed: int) -> Program:
    """Layers whose windows keep the rows of an image, and mostly the columns, or halve them; then a vector of it."""
    rng = random.Random(seed)
    builder, parts = ProgramBuilder(), (rng.choice([2, 3, 4, 5]), rng.choice([1, 2, 3]))
    rows, columns = parts[0] * rng.choice([1, 2, 4]), parts[1] * rng.choice([1, 2, 3, 4])
    x = builder.input("x", (rows, columns, rng.choice([1, 2, 3, 4, 8])), FixedFormat(rng.random() < 0.7, 5, 2))
    for number in range(rng.randint(2, 5)):
        with builder.layer(f"layer{number}"):
            steps = [_kept, _kept, _kept_apart, _summed, _pooled] + [_limited] * (number > 0)
            x = _rounded(builder, rng, rng.choice(steps[: 4 if number < 2 else None])(builder, rng, x))
    with builder.layer("dense"):
        flat = builder.reshape(x, (int(np.prod(x.shape)),))
        x = _rounded(builder, rng, builder.linear(flat, _weights(rng, (flat.shape[0], rng.choice([2, 4, 6]))), 3))
    return builder.program([("y", x)])


def preactivated(seed: int) -> Program:
    """Residual blocks whose products read a function of what goes past them as it is; then a vector."""
    rng = random.Random(seed)
    builder, parts = ProgramBuilder(), rng.choice([2, 3, 4])
    x = builder.input("x", (parts * rng.choice([1, 2]), rng.randint(2, 4), 3), FixedFormat(rng.random() < 0.7, 5, 2))
    with builder.layer("stem"):
        x = _limited(builder, rng, _kept(builder, rng, x))
    for number in range(rng.randint(1, 3)):
        y = x
        with builder.layer(f"function{number}"):
            for _ in range(rng.randint(1, 2)):
                after = [_scaled, _limited, _looked_up, _looked_up_apart, _rounded, _forked]
                y = rng.choice(after)(builder, rng, y)
        with builder.layer(f"product{number}"):
            weights = _weights(rng, (y.shape[-1], y.shape[-1]))
            y = builder.cast(builder.linear(y, weights, 3), FixedFormat(True, 8, 4, Rounding.RND, Overflow.SAT))
        with builder.layer(f"sum{number}"):
            x = _rounded(builder, rng, builder.add(x, y))
    with builder.layer("dense"):
        flat = builder.reshape(x, (int(np.prod(x.shape)),))
        x = _rounded(builder, rng, builder.linear(flat, _weights(rng, (flat.shape[0], rng.choice([2, 4, 6]))), 3))
    return builder.program([("y", x)])


def inverted(seed: int) -> Program:
    """Blocks of many channels with a matrix each, between few; these go past them, too; then a vector."""
    rng = random.Random(seed)
    builder, few = ProgramBuilder(), rng.choice([2, 4, 6])
    grid = rng.choice([1, 2, 4]), rng.choice([2, 4])
    x = builder.input("x", (*grid, few), FixedFormat(rng.random() < 0.7, 5, 2))
    for number in range(rng.randint(1, 3)):
        with builder.layer(f"wide{number}"):
            y = _rounded(builder, rng, builder.linear(x, _weights(rng, (few, rng.choice([4, 8, 16]))), 3))
        with builder.layer(f"apart{number}"):
            y = _rounded(builder, rng, _kept_apart(builder, rng, y))
        with builder.layer(f"narrow{number}"):
            y = _rounded(builder, rng, builder.linear(y, _weights(rng, (y.shape[-1], few)), 3))
        with builder.layer(f"sum{number}"):
            x = _rounded(builder, rng, builder.add(x, y)) if x.shape == y.shape else y
    with builder.layer("dense"):
        flat = builder.reshape(x, (int(np.prod(x.shape)),))
        x = _rounded(builder, rng, builder.linear(flat, _weights(rng, (flat.shape[0], rng.choice([2, 3, 6]))), 3))
    return builder.program([("y", x)])


def _places_kept(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """Windows (rows, columns, taps, channels) over as many rows as there are, or half of these, and mostly columns alike."""
    *grid, channels = x.shape
    axes = [_axis_kept(rng, size) if axis == 0 or rng.random() < 0.7 else _axis(rng) for axis, size in enumerate(grid)]
    size, strides, dilation, padding = zip(*axes, strict=True)
    places = [window_positions(*axis) for axis in zip(grid, size, strides, dilation, padding, strict=True)]
    slid = builder.window(x, size, strides, dilation, padding)
    return builder.reshape(slid, (*places, size[0] * size[1], channels))


_Axis: TypeAlias = tuple[int, int, int, tuple[int, int]]


def _axis_kept(rng: random.Random, places: int) -> _Axis:
    """Size, stride, dilation and padding of windows at all places, or at half of them."""
    stride = 2 if places % 4 == 0 and rng.random() < 0.4 else 1
    size, dilation = rng.choice([1, 3, 3, 5]), rng.choice([1, 1, 2])
    span = dilation * (size - 1)
    before = min(rng.randint(0, size - 1), span)
    return size, stride, dilation, (before, max(span - before - (stride - 1), 0))


def _axis(rng: random.Random) -> _Axis:
    size = rng.choice([1, 2, 3])
    return size, rng.choice([1, 1, 2]), 1, (rng.choice([0, 1]), size - 1)


def _kept(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    windows = _places_kept(builder, rng, x)
    flat = builder.reshape(windows, (*windows.shape[:2], windows.shape[2] * windows.shape[3]))
    return builder.linear(flat, _weights(rng, (flat.shape[-1], rng.choice([1, 2, 4, 8]))), 3)


def _kept_apart(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """A matrix for each channel."""
    windows = _places_kept(builder, rng, x)
    *positions, taps, channels = windows.shape
    parts = [builder.slice(windows, (0, 0, 0, k), (*positions, taps, k + 1)) for k in range(channels)]
    flat = [builder.reshape(part, (*positions, taps)) for part in parts]
    return builder.concat([builder.linear(one, _weights(rng, (taps, 1)), 3) for one in flat], -1)
