"""Layers that share an engine compute what the program computes, and take fewer cells; what cannot is refused or left out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from bitsmith.building.design import circuit
from bitsmith.dataflow.engine_layer import Watched
from bitsmith.dataflow.kinds import Engine
from bitsmith.dataflow.processes import Network
from bitsmith.dataflow.text import to_text
from bitsmith.devices.ecp5 import ECP5
from bitsmith.errors import UnsupportedError
from bitsmith.estimate.size import estimate_layout
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.mapping.builder import builder_of
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.engine.engines import watched_in_engines
from bitsmith.mapping.engine.steps import steps_of
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition
from bitsmith.rtl.writer import Title
from tests.dataflow.reading import parse
from tests.mapping.test_partition import assert_same
from tests.properties import shares
from tests.properties.convolutional import channels_of_their_own, random_network, turns

FORMAT = FixedFormat(True, 8, 4, Rounding.RND, Overflow.SAT)


def engines(network: Network) -> list[Engine]:
    return [process.kind for process in network.processes if isinstance(process.kind, Engine)]


def shared(program: Program, reuse: int, parallel: bool = False) -> Directives:
    """All layers in turn."""
    layers = frozenset(node.layer for node in program.nodes if node.layer)
    styles = dict.fromkeys(layers, MultiplierStyle.SHARED)
    return Directives(dict.fromkeys(layers, reuse), parallel, styles, engine=layers)


def convolved(builder: ProgramBuilder, x: Value, n_out: int, seed: int, stride: int = 1) -> Value:
    """A convolution of 3x3 with a bias for each channel."""
    rows, columns, channels = x.shape
    rng = np.random.default_rng(seed)
    windows = builder.window(x, (3, 3), (stride, stride), (1, 1), ((1, 1), (1, 1)))
    flat = builder.reshape(windows, (-(-rows // stride), -(-columns // stride), 9 * channels))
    y = builder.linear(flat, rng.integers(-15, 16, (9 * channels, n_out)), 5)
    return builder.cast(builder.add(y, builder.const(rng.integers(-9, 9, n_out), 3)), FORMAT)


def residual(channels: int = 4) -> Program:
    """Two convolutions beside a skip connection, rectifiers, pooling and a dense layer."""
    builder = ProgramBuilder()
    x = builder.input("x", (6, 6, channels), FORMAT)
    zero = builder.const(0)
    with builder.layer("first"):
        y = builder.max(convolved(builder, x, channels, 1), zero)
    with builder.layer("second"):
        y = convolved(builder, y, channels, 2)
    with builder.layer("join"):
        y = builder.max(builder.cast(builder.add(x, y), FORMAT), zero)
    with builder.layer("pool"):
        y = builder.amax(builder.window(y, (2, 2), (2, 2), (1, 1), ((0, 0), (0, 0))), (2, 3))
    with builder.layer("dense"):
        flat = builder.reshape(y, (9 * channels,))
        y = builder.linear(flat, np.random.default_rng(3).integers(-15, 16, (9 * channels, 6)), 5)
    return builder.program([("y", y)])


def depthwise(channels: int = 8, pairs: int = 2) -> Program:
    """Depthwise convolutions between others."""
    builder, rng = ProgramBuilder(), np.random.default_rng(5)
    y = builder.input("x", (5, 5, 3), FORMAT)
    for number in range(pairs):
        with builder.layer(f"full{number}"):
            y = builder.max(convolved(builder, y, channels, number), builder.const(0))
        with builder.layer(f"depthwise{number}"):
            windows = builder.window(y, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
            flat = builder.reshape(windows, (5, 5, 9, channels))
            parts = [builder.slice(flat, (0, 0, 0, k), (5, 5, 9, k + 1)) for k in range(channels)]
            taps = [builder.reshape(part, (5, 5, 9)) for part in parts]
            sums = [builder.linear(each, rng.integers(-15, 16, (9, 1)), 5) for each in taps]
            y = builder.cast(builder.concat(sums, -1), FORMAT)
    return builder.program([("y", y)])


def perceptron(sizes: tuple[int, ...]) -> Program:
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    x = builder.input("x", sizes[:1], FORMAT)
    for number, (n, m) in enumerate(pairwise(sizes)):
        with builder.layer(f"dense{number}"):
            x = builder.cast(builder.max(builder.linear(x, rng.integers(-15, 16, (n, m)), 6), builder.const(0)), FORMAT)
    return builder.program([("y", x)])


def by_channel() -> Program:
    """Four dense layers, of which one has a format and a range for each channel."""
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    x = builder.input("x", (8,), FORMAT)
    fracs = np.array([3, 4, 5, 4, 3, 3, 3, 3])
    for number in range(4):
        with builder.layer(f"dense{number}"):
            x = builder.add(
                builder.linear(x, rng.integers(-15, 16, (8, 8)), 6), builder.const(rng.integers(-9, 9, 8), 3)
            )
            one = ops.Cast(fracs, objects(np.arange(8) * 5 - 70), objects(np.full(8, 90)), Rounding.RND, Overflow.SAT)
            x = builder.apply(one, x) if number == 1 else builder.cast(x, FORMAT)
    return builder.program([("y", x)])


@shares(4, fast=2)
def test_random_networks(share: int) -> None:
    found = 0
    for seed in range(share, 60, 4):
        program = random_network(seed)
        directives = turns(seed, program)
        network = assert_same(program, directives, seed)
        text = to_text(network)
        assert to_text(parse(text)) == text
        found += len(engines(network))
    assert found > 1


@shares(4)
def test_random_networks_whose_channels_differ(share: int) -> None:
    """In most of them choices are stored by channel."""
    found: list[Engine] = []
    for seed in range(share, 100, 4):
        program = channels_of_their_own(seed)
        directives = replace(turns(seed, program), reuse=dict.fromkeys(turns(seed, program).reuse, 10_000))
        network = assert_same(program, directives, seed)
        text = to_text(network)
        assert to_text(parse(text)) == text
        found += engines(network)
    assert len(found) > 5
    assert all(layer.lanes <= layer.steps for each in found for layer in each.layers if layer.lanes > 1)
    assert sum(not each.by_layer for each in found) > 3


@pytest.mark.parametrize("parallel", [False, True])
def test_a_network_with_a_skip_connection_is_one_engine(parallel: bool) -> None:
    program = residual()
    directives = shared(program, 100_000, parallel)
    (engine,) = engines(partition(program, directives))
    assert [layer.name for layer in engine.layers] == ["first", "second", "join", "pool", "dense"]
    assert engine.lanes == 1
    assert engine.words == 3 * 144  # the image, which is needed to the end, and what follows in turn
    assert_same(program, directives)


def test_a_dense_layer_after_a_mean_is_in_the_same_engine() -> None:
    """Whatever shape the mean is given on the way."""
    builder = ProgramBuilder()
    x = builder.input("x", (4, 4, 3), FORMAT)
    with builder.layer("convolution"):
        y = builder.cast(convolved(builder, x, 8, 1), FORMAT)
    with builder.layer("mean"):
        y = builder.cast(builder.shift(builder.reshape(builder.sum(y, (0, 1)), (1, 1, 8)), -4), FORMAT)
    with builder.layer("dense"):
        y = builder.linear(builder.reshape(y, (8,)), np.random.default_rng(3).integers(-15, 16, (8, 5)), 5)
    program = builder.program([("y", y)])
    (engine,) = engines(partition(program, shared(program, 1000)))
    assert [layer.name for layer in engine.layers] == ["convolution", "mean", "dense"]
    assert_same(program, shared(program, 1000))


def test_weights_from_memory_are_held_one_pass_after_another() -> None:
    """Of layers with several positions, except for the last one, whose results leave in order."""
    program = residual()
    (engine,) = engines(partition(program, replace(shared(program, 250), weights_rate=1e9)))
    assert [(layer.name, layer.passes, layer.outside) for layer in engine.layers] == [
        ("first", 2, True),
        ("second", 2, True),
        ("join", 1, False),
        ("pool", 1, False),
        ("dense", 3, False),
    ]
    assert [layer.fetched for layer in engine.layers[:2]] == [((36, 36), (36, 36))] * 2
    assert_same(program, replace(shared(program, 250), weights_rate=1e9))


def test_cycles_decide_how_many_multipliers_there_are() -> None:
    program = residual()
    found = [engines(partition(program, shared(program, reuse)))[0] for reuse in (100, 150, 250, 600)]
    assert [engine.lanes for engine in found] == [4, 4, 2, 1]
    for reuse, engine in zip((100, 150, 250, 600), found, strict=True):
        assert engine.starts([144], 12)[-1] <= reuse * 36


def test_sums_of_two_tensors_use_two_lanes_and_no_more() -> None:
    """More results than there are steps would not leave in time."""
    (engine,) = engines(partition(residual(), shared(residual(), 87)))
    assert (engine.lanes, engine.banks, [layer.name for layer in engine.layers if layer.apart]) == (
        4,
        2,
        ["join", "pool"],
    )
    assert_same(residual(), shared(residual(), 87))
    assert engines(partition(residual(), shared(residual(), 85))) == []


def test_depthwise_convolutions_use_several_lanes() -> None:
    """As many as cycles ask for."""
    program = depthwise()
    found = {}
    for reuse in (1000, 300, 150):
        directives = shared(program, reuse)
        (engine,) = engines(partition(program, directives))
        found[reuse] = engine.lanes, engine.banks, [layer.apart for layer in engine.layers]
        assert_same(program, directives)
        assert engine.starts([75], 16)[-1] <= 25 * reuse
        assert all(layer.source % engine.banks == 0 for layer in engine.layers)
        assert all(layer.lanes <= layer.steps for layer in engine.layers)
    kinds = [False, True, False, True]
    assert found == {1000: (1, 1, [False] * 4), 300: (4, 2, kinds), 150: (8, 4, kinds)}


def test_tensors_for_several_lanes_begin_in_the_first_part_of_the_memory() -> None:
    """The 75 words of the input are beside others, and no multiple of the parts."""
    program = depthwise(pairs=1)
    directives = shared(program, 150)
    (engine,) = engines(partition(program, directives))
    assert engine.banks > 1 and all(layer.source % engine.banks == 0 for layer in engine.layers)
    assert_same(program, directives)


def pooled(channels: int = 8) -> Program:
    """Poolings of the greatest of overlapping windows between convolutions."""
    builder = ProgramBuilder()
    y = builder.input("x", (6, 6, 2), FORMAT)
    for number in range(2):
        with builder.layer(f"full{number}"):
            y = builder.max(convolved(builder, y, channels, number), builder.const(0))
        with builder.layer(f"greatest{number}"):
            y = builder.amax(builder.window(y, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1))), (2, 3))
    return builder.program([("y", y)])


def test_poolings_of_the_greatest_use_several_lanes() -> None:
    found = {}
    for reuse in (1000, 300, 150):
        (engine,) = engines(partition(pooled(), shared(pooled(), reuse)))
        found[reuse] = engine.lanes, engine.banks, engine.greatest_lanes
        assert_same(pooled(), shared(pooled(), reuse))
    assert found == {1000: (1, 1, 1), 300: (4, 2, 2), 150: (8, 4, 4)}


def test_an_engine_is_smaller_than_layers_side_by_side() -> None:
    for program, reuse in ((perceptron((16, 16, 12, 8)), 1000), (residual(), 600)):
        beside = estimate_layout(
            program, Directives(shared(program, reuse).reuse, False, shared(program, reuse).products), ECP5
        )
        engine = estimate_layout(program, shared(program, reuse), ECP5)
        assert engine.dsp == 1 < beside.dsp
        assert engine.lut < 0.8 * beside.lut
        assert engine.ff < 0.8 * beside.ff


def test_shifts_by_layer_share_a_circuit() -> None:
    """Layers whose weights have other steps differ in a selection of the sum's bits only."""
    sizes = []
    for fracs in ((6, 6, 6, 6), (6, 5, 4, 6)):
        builder, rng = ProgramBuilder(), np.random.default_rng(0)
        x = builder.input("x", (8,), FORMAT)
        for number, frac in enumerate(fracs):
            with builder.layer(f"dense{number}"):
                weights = rng.integers(-15, 16, (8, 8)) * 2 + 1
                x = builder.cast(builder.linear(x, weights, frac), FORMAT)
        program = builder.program([("y", x)])
        assert_same(program, shared(program, 10_000))
        (engine,) = engines(partition(program, shared(program, 10_000)))
        names = [type(node.op).__name__ for node in engine.program.nodes]
        assert names.count("Cast") <= 2 + 3 * (len(set(fracs)) - 1) + 1
        sizes.append(names.count("Select"))
    assert sizes == [0, 2]


def test_formats_and_parameters_of_channels_are_looked_up() -> None:
    """They share a circuit with layers that have none of their own, by a choice for each channel."""
    program = by_channel()
    assert_same(program, shared(program, 1000))
    (engine,) = engines(partition(program, shared(program, 1000)))
    names = [type(node.op).__name__ for node in engine.program.nodes]
    assert [layer.choices.tolist() for layer in engine.layers] == [[0] * 8, [1, 2, 3, 4, 5, 6, 1, 7], [8] * 8, [0] * 8]
    assert (names.count("Add"), names.count("Min"), names.count("Max")) == (1, 1, 1)


def test_tables_of_channels_are_one() -> None:
    """The choice says where the table of a channel begins in that of all."""
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    x = builder.input("x", (8,), FORMAT)
    for number in range(4):
        with builder.layer(f"dense{number}"):
            x = builder.cast(builder.linear(x, rng.integers(-15, 16, (8, 8)), 6), FORMAT)
            if number == 1:
                x = builder.apply(ops.Table(-128, objects(rng.integers(0, 99, (8, 256))), np.array([4])), x)
    program = builder.program([("y", x)])
    (engine,) = engines(partition(program, shared(program, 1000)))
    assert [layer.name for layer in engine.layers] == ["dense0", "dense1", "dense2", "dense3"]
    found = [node.op.values.size for node in engine.program.nodes if isinstance(node.op, ops.Table)]
    assert [size for size in found if size >= 256] == [8 * 256]
    assert_same(program, shared(program, 1000))


def test_ranges_of_channels_that_cut_nothing_are_one() -> None:
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    x = builder.input("x", (8,), FORMAT)
    for number in range(2):
        with builder.layer(f"dense{number}"):
            weights = rng.integers(-15, 16, (8, 8))
            weights[:, 0] = 0
            x = builder.linear(x, weights, 6)
            if number == 0:
                lo, frac = objects(np.where(np.arange(8) == 0, 0, -128)), np.full(8, 4)
                x = builder.apply(ops.Cast(frac, lo, objects(np.full(8, 127)), Rounding.RND, Overflow.SAT), x)
    program = builder.program([("y", x)])
    assert len(engines(partition(program, shared(program, 1000)))) == 1
    assert_same(program, shared(program, 1000))


@pytest.mark.parametrize("fracs", [(9, 14, 3, 9), (14, 14, 12, 16), (3, None, 11, None)])
def test_biases_may_be_finer_or_coarser_than_sums(fracs: tuple[int | None, ...]) -> None:
    """Sums have 9 fractional bits; layers of one engine have biases of any, or none."""
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    x = builder.input("x", (8,), FORMAT)
    for number, frac in enumerate(fracs):
        with builder.layer(f"dense{number}"):
            x = builder.linear(x, rng.integers(-15, 16, (8, 8)), 5)
            if frac is not None:
                x = builder.add(x, builder.const(rng.integers(-(2 << frac), 2 << frac, 8) | 1, frac))
            x = builder.cast(x, FORMAT)
    program = builder.program([("y", x)])
    network = assert_same(program, shared(program, 1000))
    assert [len(engine.layers) for engine in engines(network)] == [4]


def made(program: Program, directives: Directives) -> None:
    circuit(program, directives, ECP5.delays, 8.0, "dut", Title("test", "0"))


def test_too_few_cycles_are_refused() -> None:
    program = perceptron((16, 16, 16))
    with pytest.raises(UnsupportedError, match="leave 20 cycles for a frame") as refused:
        made(program, shared(program, 20, parallel=True))
    assert "cycles or more" in str(refused.value) and "'dense0', 'dense1'" in str(refused.value)


def test_no_reuse_factors_are_refused() -> None:
    program = perceptron((16, 16, 16))
    with pytest.raises(UnsupportedError, match="leave 1 cycle for a frame"):
        made(program, shared(program, 1, parallel=True))


def test_a_single_layer_is_refused() -> None:
    program = perceptron((16, 16))
    with pytest.raises(UnsupportedError, match="nothing that layers can share"):
        made(program, shared(program, 1000))


@pytest.mark.parametrize("positions", [(1,), (2,), (3,), (1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("tables", [1, 4])
def test_tables_of_channels_are_steps_and_those_of_positions_are_not(positions: tuple[int, ...], tables: int) -> None:
    """An engine knows the channel of an element, not where it is."""
    builder = ProgramBuilder()
    x = builder.input("x", (*positions, 4), FixedFormat(True, 4, 0))
    values = np.random.default_rng(0).integers(0, 99, (*positions, tables, 16))
    y = builder.apply(ops.Table(-8, objects(values), np.array([0])), x)
    program = builder.program([("y", y)])
    node = program.nodes[program.outputs[0].node]
    found = steps_of(node, program.nodes[node.args[0]].type, [0], [len(positions)])
    if np.prod(positions) > 1:
        assert found is None
        return
    assert found is not None
    made = [step.op.values.tolist() for step in found if isinstance(step.op, ops.Table)]
    assert made == np.broadcast_to(values, (*positions, 4, 16)).reshape(4, 16).tolist()


def test_channels_that_heads_part_are_those_of_the_layer_before() -> None:
    """Biases and formats of each channel of each head belong to the product whose results they are."""
    rng, builder = np.random.default_rng(0), ProgramBuilder()
    x = builder.input("x", (5, 4), FORMAT)
    with builder.layer("first"):
        y = builder.reshape(builder.linear(x, rng.integers(-15, 16, (4, 6)), 4), (5, 2, 3))
        y = builder.add(y, builder.const(rng.integers(-9, 10, (2, 3)), 3))
        ends = objects(rng.integers(20, 40, (1, 2, 3)))
        y = builder.apply(ops.Cast(np.array([[[2]]]), -ends, ends, Rounding.RND, Overflow.SAT), y)
        y = builder.unify(y)
    with builder.layer("second"):
        y = builder.cast(builder.linear(builder.reshape(y, (5, 6)), rng.integers(-15, 16, (6, 2)), 4), FORMAT)
    program = builder.program([("y", y)])
    (engine,) = engines(assert_same(program, shared(program, 100)))
    assert [layer.name for layer in engine.layers] == ["first", "second"]
    assert np.any(engine.layers[0].bias != 0)


def test_monitors_watch_what_engines_store() -> None:
    """The last result of each layer with its format, but none that is an output; texts of networks have them."""
    program = residual()
    directives = shared(program, 400)
    network = partition(program, replace(directives, taps=True))
    (engine,) = engines(network)
    found = [layer.watched for layer in engine.layers]
    assert [one and one.name for one in found] == ["first", "second", "join", "pool", None]
    assert found[0] == Watched("first", 4, 0, 127) and found[1] == Watched("second", 4, -128, 127)
    text = to_text(network)
    assert to_text(parse(text)) == text != to_text(partition(program, directives))
    in_engine, layers = watched_in_engines(builder_of(program, replace(directives, taps=True)))
    assert [output.name for output in in_engine.outputs] == ["first", "second", "join", "pool"]
    assert layers == {"first", "second", "join", "pool", "dense"}


def test_a_memory_has_as_many_words_as_are_needed_at_once() -> None:
    """A small tensor and a large one, after which come smaller ones for which there is no room below it."""
    builder = ProgramBuilder()
    x = builder.input("x", (6, 6, 2), FORMAT)
    for number, channels in enumerate((12, 3, 2, 4)):
        with builder.layer(f"layer{number}"):
            x = convolved(builder, x, channels, number)
    program = builder.program([("y", x)])
    (engine,) = engines(partition(program, shared(program, 3000)))
    assert engine.words == 36 * (12 + 3)
    assert_same(program, shared(program, 3000), 3)
