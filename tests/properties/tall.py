"""Random networks over tall images, for bands of rows: steps, gaps and uneven borders of windows, sums with what was before."""

from __future__ import annotations

import random
from typing import TypeAlias

import numpy as np

from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.infer import window_positions
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from tests.properties.convolutional import _forked, _joined, _limited, _rounded, _scaled, _weights

_Axis: TypeAlias = tuple[int, int, int, tuple[int, int]]
_NARROW = FixedFormat(True, 6, 3, Rounding.RND, Overflow.SAT)
_MOST_CHANNELS = 10


def tall(seed: int) -> Program:
    """Layers, and blocks of them, over an image of many rows or a sequence; then a map or a vector, and now and then both."""
    rng, builder, outputs = random.Random(seed), ProgramBuilder(), []
    grid = (rng.randint(12, 30), rng.randint(2, 5)) if rng.random() < 0.8 else (rng.randint(20, 48),)
    x = builder.input("x", (*grid, rng.choice([1, 1, 2, 3])), FixedFormat(rng.random() < 0.7, 5, 2))
    steps = [_layer] * 6 + [_residual] * 5 + [_function] * 2 + rng.choice([[], [], [], [_branches, _beside, _larger]])
    for _ in range(rng.randint(3, 6)):
        x = rng.choice(steps)(builder, rng, x) if x.shape[0] > 3 else x
        x = _narrowed(builder, rng, x) if x.shape[-1] > _MOST_CHANNELS or rng.random() < 0.2 else x
        if rng.random() < 0.05 and not outputs:
            outputs.append(("early", x))
    return builder.program([*outputs, ("y", _ended(builder, rng, x))])


def _ended(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """The image, or a number for each channel, or a product of all of it."""
    grid = range(len(x.shape) - 1)
    if rng.random() < 0.4:
        with builder.layer("pool"):
            x = _rounded(builder, rng, rng.choice([builder.amax, builder.sum])(x, grid))
    if rng.random() < 0.5:
        with builder.layer("dense"):
            size = int(np.prod(x.shape))
            flat = builder.reshape(x, (size,))
            x = _rounded(builder, rng, builder.linear(flat, _weights(rng, (size, rng.choice([2, 3, 5]))), _steps(size)))
    return x


def _layer(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    with builder.layer(f"layer{x.index}"):
        return _rounded(builder, rng, rng.choice([_full, _full, _apart, _pooled])(builder, rng, x, kept=False))


def _residual(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """Layers that keep the shape, and what they are of, or a layer of it."""
    y, z = x, x
    for _ in range(rng.randint(1, 3)):
        with builder.layer(f"inner{y.index}"):
            y = _rounded(builder, rng, rng.choice([_full, _apart, _pooled])(builder, rng, y, kept=True))
    if rng.random() < 0.5:
        with builder.layer(f"beside{y.index}"):
            z = _rounded(builder, rng, rng.choice([_full, _apart, _pooled])(builder, rng, x, kept=True))
    with builder.layer(f"sum{x.index}"):
        return _rounded(builder, rng, builder.add(z, y))


def _function(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    with builder.layer(f"function{x.index}"):
        return _limited(builder, rng, rng.choice([_scaled, _forked])(builder, rng, x))


def _branches(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """Results of two layers side by side, mixed at each position."""
    parts = []
    for number in range(2):
        with builder.layer(f"branch{x.index}_{number}"):
            parts.append(builder.cast(rng.choice([_full, _apart])(builder, rng, x, kept=True), _NARROW))
    with builder.layer(f"branches{x.index}"):
        joined = builder.concat(parts, -1)
    return _narrowed(builder, rng, joined)


def _beside(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    with builder.layer(f"beside{x.index}"):
        return _rounded(builder, rng, _joined(builder, rng, x))


def _larger(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    """Positions twice over, up to some, and a layer of these."""
    with builder.layer(f"larger{x.index}"):
        for axis, (size, most) in enumerate(zip(x.shape[:-1], (20, 4), strict=False)):
            if size <= most:
                x = builder.gather(x, np.repeat(np.arange(size), 2), axis)
        return _rounded(builder, rng, _full(builder, rng, x, kept=True))


def _narrowed(builder: ProgramBuilder, rng: random.Random, x: Value) -> Value:
    with builder.layer(f"narrow{x.index}"):
        return _rounded(builder, rng, builder.linear(x, _weights(rng, (x.shape[-1], 3)), _steps(x.shape[-1])))


def _full(builder: ProgramBuilder, rng: random.Random, x: Value, *, kept: bool) -> Value:
    windows = _windows(builder, rng, x, kept)
    size = windows.shape[-2] * windows.shape[-1]
    flat = builder.reshape(windows, (*windows.shape[:-2], size))
    number = x.shape[-1] if kept else rng.choice([2, 4, 6, 8, _MOST_CHANNELS])
    return builder.linear(flat, _weights(rng, (size, number)), _steps(size))


def _apart(builder: ProgramBuilder, rng: random.Random, x: Value, *, kept: bool) -> Value:
    """One matrix for each channel, with one result or several."""
    windows, number = _windows(builder, rng, x, kept), 1 if kept else rng.choice([1, 1, 2, 3])
    *positions, taps, channels = windows.shape
    begin, results = [0 for _ in positions], []
    for channel in range(channels):
        part = builder.slice(windows, (*begin, 0, channel), (*positions, taps, channel + 1))
        matrix = _weights(rng, (taps, number))
        results.append(builder.linear(builder.reshape(part, (*positions, taps)), matrix, _steps(taps)))
    return builder.concat(results, -1)


def _pooled(builder: ProgramBuilder, rng: random.Random, x: Value, *, kept: bool) -> Value:
    windows = _windows(builder, rng, x, kept)
    return rng.choice([builder.amax, builder.sum])(windows, (len(windows.shape) - 2,))


def _steps(size: int) -> int:
    """Fraction bits of weights with which sums of so many products are about as large as what they are of."""
    return 3 + size.bit_length() // 2


def _windows(builder: ProgramBuilder, rng: random.Random, x: Value, kept: bool) -> Value:
    """Windows (*positions, taps, channels), at as many positions as there are if these are ``kept``."""
    *grid, channels = x.shape
    axes = [_axis(rng, places, kept, 3 if number == 0 else 1) for number, places in enumerate(grid)]
    size, strides, dilation, padding = zip(*axes, strict=True)
    places = [window_positions(length, *axis) for length, axis in zip(grid, axes, strict=True)]
    slid = builder.window(x, size, strides, dilation, padding)
    return builder.reshape(slid, (*places, int(np.prod(size)), channels))


def _axis(rng: random.Random, length: int, kept: bool, least: int) -> _Axis:
    """Size, stride, dilation and padding of windows at ``least`` positions, or at all that are ``kept``."""
    while True:
        size, dilation = rng.choice([1, 2, 3, 3, 4, 5]), rng.choice([1, 1, 2, 3])
        span = dilation * (size - 1)
        before = rng.randint(0, span)
        padding = (before, span - before) if kept else (rng.choice([0, before]), rng.choice([0, 1, span // 2, span]))
        axis = size, 1 if kept else rng.choice([1, 1, 2, 2, 3, 4]), dilation, padding
        if max(padding) <= span < length + sum(padding) and window_positions(length, *axis) >= least:
            return axis
