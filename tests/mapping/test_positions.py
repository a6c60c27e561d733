"""Several positions in a token: the same values, in as many times fewer cycles."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.compiler import compile_network
from bitsmith.dataflow.kinds import FoldedProduct, WidthConverter
from bitsmith.dataflow.processes import Network as Processes
from bitsmith.devices.ecp5 import ECP5
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ops import Cast, Table
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.layers.activation import ReLU
from bitsmith.layers.conv import Conv
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network
from bitsmith.layers.pooling import MaxPool
from bitsmith.layers.settings import Settings
from bitsmith.layers.shape import Flatten
from bitsmith.mapping.directives import Directives, possible_parallelism
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition
from bitsmith.rtl.streams import lay_out
from bitsmith.rtl.writer import Title
from tests.mapping.test_partition import assert_same
from tests.properties import shares
from tests.properties.convolutional import demands
from tests.system.test_streams import Growing, random_spatial


def convolutional(size: int) -> Network:
    """Two convolutions, a pooling between, and a dense layer."""
    grown = Growing(0, plain=True)
    x = first = grown.put(Input((size, size, 2)))
    for channels in (2, 3):
        kernel = grown.weights(3, 3, channels, 3)
        x = grown.put(Conv(kernel, grown.weights(3), (1, 1), (1, 1), ((1, 1), (1, 1))), x)
        x = grown.put(ReLU(), x)
        if channels == 2:
            x = grown.put(MaxPool((2, 2), (2, 2)), x)
    x = grown.put(Flatten(), x)
    x = grown.put(Dense(grown.weights(*grown.shapes[x], 3), grown.weights(3)), x)
    return Network(tuple(grown.nodes), (first,), (x,))


def processes(
    network: Network, number: int, reuse: int = 1, products: MultiplierStyle = MultiplierStyle.CHEAPEST
) -> Processes:
    program = compile_network(network).program
    layers = {node.layer for node in program.nodes}
    multiplier_style, positions = dict.fromkeys(layers, products), dict.fromkeys(layers, number)
    return partition(program, Directives(dict.fromkeys(layers, reuse), False, multiplier_style, positions))


@shares(6, fast=3)
def test_random_spatial_networks(share: int) -> None:
    for seed in range(share, 30, 6):
        program = compile_network(random_spatial(seed)).program
        rng = random.Random(seed)
        layers, most = sorted({node.layer for node in program.nodes}), rng.choice([2, 3, 4, 8, 16])
        reuse = {layer: rng.choice([1, 1, 2, 3, 5, 12]) for layer in layers}
        products = {layer: rng.choice([MultiplierStyle.SHARED, *MultiplierStyle]) for layer in layers}
        positions = {layer: rng.choice([most, most, most, 1, 2]) for layer in layers}
        assert_same(program, Directives(reuse, False, products, positions), seed)


@shares(4, fast=2)
def test_random_spatial_networks_at_large_reuse_factors(share: int) -> None:
    for seed in range(100 + share, 124, 4):
        program = compile_network(random_spatial(seed)).program
        assert_same(program, demands(seed, program), seed)


@pytest.mark.parametrize("reuse", [1, 2])
@pytest.mark.parametrize("number", [3, 6, 12])
def test_padding_takes_the_formats_of_channels(number: int, reuse: int) -> None:
    """Zeros beside rows are picked from one element, channels have formats of their own."""
    rng = np.random.default_rng(number)
    builder = ProgramBuilder()
    x = builder.input("x", (4, 3, 2), FixedFormat(True, 6, 3))
    low = objects([-4, -32])
    x = builder.apply(Cast(np.array([1, 3]), low, -low - 1, Rounding.RND, Overflow.SAT), x)
    with builder.layer("layer"):
        windows = builder.window(x, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
        y = builder.linear(builder.reshape(windows, (4, 3, 18)), rng.integers(-7, 8, (18, 2)), 2)
    styles = {"layer": MultiplierStyle.SHARED}
    assert_same(builder.program([("y", y)]), Directives({"layer": reuse}, False, styles, {"layer": number}))


def test_tables_of_several_positions_take_the_units_of_the_program() -> None:
    """A choice of a constant has units for each position, its tokens have one for all."""
    builder = ProgramBuilder()
    x = builder.input("x", (2, 2), FixedFormat(True, 3, 1))
    given = builder.const(np.array([[3, -2], [1, -4]]), np.array([[3, 1], [1, 1]]))
    chosen = builder.select(builder.const(np.array([0, 1])), x, given)
    low, high = chosen.type.raw_range
    table = Table(low, objects(np.random.default_rng(0).integers(-99, 99, high - low + 1)), np.array([1]))
    program = builder.program([("y", builder.apply(table, chosen))])
    for number in (1, 2, 4):
        assert_same(program, Directives({}, False, positions={"": number}))


@pytest.mark.parametrize("reuse", [1, 2, 8, 9, 36, 72, 512])
def test_channels_alike_have_bounds_of_their_own(reuse: int) -> None:
    """All columns of all groups have one range, which is one element of their type."""
    grown = Growing(0, plain=True)
    x = first = grown.put(Input((4, 4, 8)))
    for groups in (8, 4):
        kernel = as_weights(np.full((3, 3, 8 // groups, 8), 0.5))
        x = grown.put(Conv(kernel, None, (1, 1), (1, 1), ((1, 1), (1, 1)), groups), x)
    network = Network(tuple(grown.nodes), (first,), (x,))
    alike = Settings(dict.fromkeys(("weight", "result"), FixedFormat(True, 8, 5, Rounding.RND, Overflow.SAT)))
    program = compile_network(network.with_nodes([replace(node, settings=alike) for node in network.nodes])).program
    layers = {node.layer for node in program.nodes}
    for parallel in (False, True):
        styles = dict.fromkeys(layers, MultiplierStyle.SHARED)
        assert_same(program, Directives(dict.fromkeys(layers, reuse), parallel, styles))


@given(st.lists(st.integers(1, 12), min_size=1, max_size=3), st.integers(1, 200))
def test_positions_are_parts_of_rows_or_whole_rows(sizes: list[int], wanted: int) -> None:
    found = possible_parallelism(tuple(sizes))
    assert list(found) == sorted(set(found))
    assert found[0] == 1
    assert found[-1] == math.prod(sizes)
    for number in found:
        rows = 1
        for size in reversed(sizes):
            if number <= rows * size:
                assert number % rows == 0
                assert size % (number // rows) == 0
                break
            rows *= size
    directives = Directives({}, False, {}, {"layer": wanted})
    assert directives.parallelism("layer", tuple(sizes)) == max(number for number in found if number <= wanted)
    assert Directives({}, True, {}, {"layer": wanted}).parallelism("layer", tuple(sizes)) == 1


@pytest.mark.slow
@pytest.mark.ci
def test_the_interval_falls_with_the_positions_at_once() -> None:
    network = convolutional(16)
    intervals = []
    for number in (1, 2, 4, 16, 32):
        design = lay_out(processes(network, number), ECP5.delays, 8.0, "dut", Title("test", "0"))
        intervals.append(design.schedule.interval)
    # A position of padding takes a cycle, a token of several that holds any padding, too.
    assert intervals == [18 * 18, 18 * 10, 18 * 6, 18 * 3, 10]


def test_layers_of_like_rates_need_no_regrouping() -> None:
    network = convolutional(8)
    alike = Directives({}, False, {}, {"n0": 4, "n1": 4, "n3": 2, "n4": 2})
    made = partition(compile_network(network).program, alike)
    assert not any(isinstance(process.kind, WidthConverter) for process in made.processes)


def test_reuse_factors_share_the_multipliers_of_several_positions() -> None:
    network = convolutional(8)
    tiles = []
    for number in (1, 2, 4):
        made = processes(network, number, 27, MultiplierStyle.SHARED)
        for process in made.processes:
            if isinstance(process.kind, FoldedProduct) and process.layers == ("n4",):
                _, _, n, m = process.kind.weights.shape
                tiles.append(process.takes[0].token.shape[0] * n * m)
    # The products of a position, over the reuse factor: 3; what is simpler may take some more.
    assert all(3 * number <= tile <= 6 * number for number, tile in zip((1, 2, 4), tiles, strict=True))
