"""Convolutional networks in narrow tokens compute what the programs compute."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from bitsmith.dataflow.kinds import FoldedProduct, Interleave, Map, Reorder, Sweep
from bitsmith.dataflow.processes import Network
from bitsmith.devices.ecp5 import ECP5
from bitsmith.estimate.size import estimate_layout
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition
from tests.mapping.test_partition import assert_same
from tests.properties import shares
from tests.properties.convolutional import demands, random_decoder, random_network


@shares(4, fast=2)
def test_random_networks(share: int) -> None:
    narrow = 0
    for seed in range(share, 80, 4):
        program = random_network(seed)
        directives = demands(seed, program)
        network = assert_same(program, directives, seed)
        narrow += any(isinstance(process.kind, Sweep) for process in network.processes)
    assert narrow > 3


@shares(2)
def test_random_decoders(share: int) -> None:
    narrow = 0
    for seed in range(share, 60, 2):
        program = random_decoder(seed)
        directives = demands(seed, program)
        network = assert_same(program, directives, seed)
        narrow += sum(
            isinstance(process.kind, Sweep) and process.kind.op.stride == process.kind.op.size
            for process in network.processes
        )
    assert narrow > 3


@pytest.mark.parametrize("layer", ["product", "greatest"])
@pytest.mark.parametrize(
    ("padding", "swept"),
    [
        (((2, 0), (0, 2)), True),
        (((0, 2), (2, 0)), True),
        (((3, 0), (0, 0)), False),
        (((0, 0), (3, 0)), False),
        (((0, 3), (0, 0)), False),
        (((0, 0), (0, 3)), False),
    ],
)
def test_windows_that_lie_in_the_padding_alone_are_not_swept(
    padding: tuple[tuple[int, int], ...], swept: bool, layer: str
) -> None:
    """Along one of two axes, before the first or after the last position."""
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    x = builder.input("x", (5, 4, 64), FixedFormat(True, 6, 3))
    with builder.layer("layer"):
        windows = builder.window(x, (3, 3), (1, 1), (1, 1), padding)
        if layer == "product":
            flat = builder.reshape(windows, (*windows.shape[:2], 576))
            y = builder.linear(flat, rng.integers(-15, 16, (576, 2)), 3)
        else:
            y = builder.amax(builder.reshape(windows, (*windows.shape[:2], 9, 64)), (2,))
    network = assert_same(builder.program([("y", y)]), Directives({"layer": 4096}, False), 0)
    assert any(isinstance(process.kind, Sweep) for process in network.processes) == swept


def layer(kind: str) -> Program:
    """A dense layer of 64 to 4, or a convolution of 3x3 of 8 channels, in one or in eight groups."""
    rng, form = np.random.default_rng(0), FixedFormat(True, 8, 3)
    builder = ProgramBuilder()
    x = builder.input("x", (8, 8) if kind == "dense" else (8, 8, 8), form)
    with builder.layer("layer"):
        if kind == "dense":
            y = builder.linear(builder.reshape(x, (64,)), rng.integers(-127, 128, (64, 4)), 6)
        else:
            weights = rng.integers(-127, 128, (9, 8, 8))
            if kind == "depthwise":
                weights *= np.eye(8, dtype=np.int64)
            windows = builder.window(x, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
            y = builder.linear(builder.reshape(windows, (8, 8, 72)), weights.reshape(72, 8), 6)
        y = builder.cast(y, form)
    return builder.program([("y", y)])


@pytest.mark.parametrize("style", [MultiplierStyle.CHEAPEST, MultiplierStyle.SHARED])
@pytest.mark.parametrize("kind", ["dense", "convolution", "depthwise"])
def test_area_falls_to_that_of_one_multiplier(kind: str, style: MultiplierStyle) -> None:
    program = layer(kind)
    sizes = [
        estimate_layout(program, Directives({"layer": reuse}, False, {"layer": style}), ECP5)
        for reuse in (2, 8, 32, 128, 1024)
    ]
    areas = [size.lut + 72 * size.dsp for size in sizes]
    assert all(after <= 1.02 * before for before, after in pairwise(areas))
    assert sizes[-1].dsp == 1
    assert max(sizes[-1].lut, sizes[-1].ff) < 720


def pooled(channels: int, reuse: int) -> Network:
    """The greatest of 2x2 positions."""
    builder = ProgramBuilder()
    x = builder.input("x", (6, 6, channels), FixedFormat(True, 6, 3))
    with builder.layer("pool"):
        windows = builder.window(x, (2, 2), (2, 2), (1, 1), ((0, 0), (0, 0)))
        y = builder.amax(builder.reshape(windows, (3, 3, 4, channels)), (2,))
    return partition(builder.program([("y", y)]), Directives({"pool": reuse}, False))


def test_windows_are_read_from_a_memory_where_that_takes_less_area() -> None:
    assert [
        any(isinstance(process.kind, Sweep) for process in pooled(channels, 256).processes) for channels in (2, 64)
    ] == [False, True]


def test_decoders_pass_few_channels() -> None:
    """What is made one channel at a time is repeated and joined so."""
    rng, form = np.random.default_rng(0), FixedFormat(True, 6, 3)
    builder = ProgramBuilder()

    def convolved(name: str, x: Value, filters: int) -> Value:
        with builder.layer(name):
            windows = builder.window(x, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
            flat = builder.reshape(windows, (*x.shape[:2], 9 * x.shape[2]))
            return builder.cast(builder.linear(flat, rng.integers(-15, 16, (flat.shape[-1], filters)), 3), form)

    small, large = convolved("a", builder.input("x", (3, 3, 4), form), 6), builder.input("y", (6, 6, 4), form)
    with builder.layer("up"):
        for axis in range(2):
            small = builder.gather(small, np.repeat(np.arange(3), 2), axis)
        joined = builder.concat([small, convolved("b", large, 4)], -1)
    program = builder.program([("y", convolved("c", joined, 2))])
    directives = Directives(dict.fromkeys(("a", "b", "c", "up"), 10_000), False)
    network = partition(program, directives)
    narrow = [process for process in network.processes if isinstance(process.kind, Sweep | Interleave | FoldedProduct)]
    assert sum(isinstance(process.kind, Interleave) for process in narrow) == 1
    assert max(stream.token.size for process in narrow for stream in process.results) == 1
    assert_same(program, directives)


def averaged(channels: int, fracs: Sequence[int], *, dense: bool) -> Program:
    """The averages of 5 x 3 positions, whose channels have steps of their own; perhaps a dense layer of them."""
    rng, builder = np.random.default_rng(channels), ProgramBuilder()
    x = builder.input("x", (5, 3, channels), FixedFormat(True, 6, 2))
    with builder.layer("mean"):
        shifted = builder.apply(ops.Shift(np.array(fracs, dtype=np.int64)), x)
        factor = builder.const(objects(np.array([[273]])), np.array([[12]], dtype=np.int64))
        means = builder.apply(
            ops.Mul(), builder.reshape(builder.apply(ops.Sum((0, 1)), shifted), (1, channels)), factor
        )
        means = builder.cast(builder.reshape(means, (channels,)), FixedFormat(True, 12, 5, Rounding.RND, Overflow.SAT))
    with builder.layer("dense"):
        y = builder.linear(means, rng.integers(-8, 8, (channels, 3)), 3) if dense else builder.apply(ops.Neg(), means)
    return builder.program([("y", y)])


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(("channels", "reuse", "at_once"), [(6, 1, 6), (6, 3, 6), (6, 90, 1), (7, 6, 7), (12, 5, 3)])
def test_averages_are_multiplied_a_few_channels_at_a_time(channels: int, reuse: int, at_once: int, dense: bool) -> None:
    program = averaged(channels, [k % 5 - 2 for k in range(channels)], dense=dense)
    network = assert_same(program, Directives({"mean": reuse, "dense": reuse}, False), channels)
    *_, mean = [one for one in network.processes if isinstance(one.kind, Map) and "mean" in one.layers]
    assert mean.takes[0].token.size == at_once


def test_averages_of_many_channels_take_little_area() -> None:
    """Yosys counts 5,086 and 2,437 look-up tables."""
    program = averaged(64, [k % 9 - 4 for k in range(64)], dense=True)
    fast, slow = (estimate_layout(program, Directives({"mean": r, "dense": 192}, False), ECP5).lut for r in (1, 64))
    assert slow < 0.5 * fast


@pytest.mark.parametrize(("reuse", "read"), [(640, Reorder), (5120, Sweep)])
def test_what_comes_again_many_times_is_read_without_a_large_table(reuse: int, read: type) -> None:
    """A flattened tensor comes again for each of its dense layer's results."""
    rng, form = np.random.default_rng(reuse), FixedFormat(True, 6, 3)
    builder = ProgramBuilder()
    with builder.layer("conv"):
        x = builder.cast(builder.linear(builder.input("x", (4, 4, 8), form), rng.integers(-8, 8, (8, 8)), 3), form)
    with builder.layer("dense"):
        y = builder.linear(builder.reshape(x, (128,)), rng.integers(-8, 8, (128, 40)), 3)
    program = builder.program([("y", y)])
    network = assert_same(program, Directives({"conv": 8, "dense": reuse}, False))
    again = [one for one in network.processes if isinstance(one.kind, Reorder | Sweep) and "dense" in one.layers]
    assert [type(one.kind) for one in again] == [read]
