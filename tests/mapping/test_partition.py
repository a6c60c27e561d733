"""Programs as networks of processes compute what the programs compute."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
import pytest

from bitsmith.dataflow.kinds import Map, Reduce, Reorder, Rom
from bitsmith.dataflow.processes import Network
from bitsmith.dataflow.schedule import fifos
from bitsmith.emulate import Emulator
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Cast, Mul, Parameter
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.passes.program.load import parameters
from tests.dataflow.execute import Left, execute
from tests.properties import few, shares
from tests.properties.programs import random_program, random_stimuli, sample

Raws = npt.NDArray[np.object_] | npt.NDArray[np.int64]


def assert_same(program: Program, directives: Directives, seed: int = 0) -> Network:
    """The processes of ``program``, which give its outputs, on random inputs."""
    program = drop_dead(program, keep_probes=False)
    network = partition(program, directives)
    assert_executed(program, network, seed)
    return network


def assert_executed(program: Program, network: Network, seed: int) -> None:
    """The processes of ``network`` give the outputs of ``program`` on random inputs."""
    weights = {place: node.op.raw for place, node in parameters(program).items() if isinstance(node.op, Parameter)}
    stimuli = random_stimuli(program, seed, 4)
    expected = Emulator(program).run_raw(stimuli)
    streams = [network.processes[number].takes[0] for number in network.sinks]
    left: Left = {}
    for k in range(4):
        results = execute(network, sample(stimuli, k), weights, left)
        for want, have, output, stream in zip(expected, results, program.outputs, streams, strict=True):
            kind = program.nodes[output.node].type
            assert_equal_values(np.asarray(want[k]), kind.frac, have, stream.token.frac)


def test_a_program_is_laid_out_once_for_equal_directives() -> None:
    """Others of its layouts have nothing of it, nor have those of an equal program."""
    program, other = (random_program(3) for _ in range(2))
    directives = [Directives({}, parallel=parallel) for parallel in (True, False, True)]
    whole, tokens, again = (partition(program, each) for each in directives)
    assert again is whole and tokens is not whole
    assert partition(other, directives[0]) is not whole


def assert_equal_values(
    want: npt.NDArray[np.generic],
    want_frac: npt.NDArray[np.int64],
    have: npt.NDArray[np.object_],
    have_frac: npt.NDArray[np.int64],
) -> None:
    have_frac = np.broadcast_to(have_frac, have.shape).reshape(want.shape)
    most = max(int(want_frac.max()), int(have_frac.max()))
    left = want.astype(np.object_) << objects(most - np.broadcast_to(want_frac, want.shape))
    right = objects(have).reshape(want.shape) << objects(most - have_frac)
    np.testing.assert_array_equal(left, right)


def demanded(seed: int, program: Program) -> Directives:
    rng = random.Random(seed)
    layers = sorted({node.layer for node in program.nodes})
    reuse, parallel = {layer: rng.choice([1, 2, 3, 5, 12]) for layer in layers}, rng.random() < 0.5
    products = {
        layer: rng.choice([MultiplierStyle.SHARED, MultiplierStyle.SHARED, *MultiplierStyle]) for layer in layers
    }
    return Directives(reuse, parallel, products, {layer: rng.choice([1, 1, 2, 3, 4, 8]) for layer in layers})


@shares(8, fast=2)
def test_random_programs(share: int) -> None:
    for seed in range(share, 160, 8):
        program = random_program(seed, hardware=True)
        assert_same(program, demanded(seed, program), seed)


def test_a_constant_that_is_repeated_comes_before_a_sum_with_an_input() -> None:
    """The first state of a scan of one step is a cast of a constant, which the token function of its sum has."""
    program = random_program(792, hardware=True)
    assert_same(program, demanded(792, program), 792)


@shares(8, fast=2)
def test_random_programs_with_states_that_live_on(share: int) -> None:
    for seed in range(share, 160, 8):
        program = random_program(seed, max_ops=20, hardware=True, keeping=True)
        assert_same(program, demanded(seed, program), seed)


def test_vectors_of_elements_that_came_several_at_once() -> None:
    """A vector's elements are positions where it is made, and one token where it is joined with others."""
    build = ProgramBuilder()
    x = build.input("x", (2, 3), FixedFormat(True, 5, 2))
    with build.layer("greatest"):
        greatest = build.amax(x, (1,))
    y = build.concat([build.reshape(build.slice(x, (0, 0), (1, 1)), (1,)), greatest], 0)
    directives = Directives({"greatest": 3}, False, positions={"greatest": 2, "": 2})
    assert_same(build.program([("y", y), ("greatest", greatest)]), directives)
    program = random_program(683, hardware=True)
    assert_same(program, demanded(683, program), 683)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("greatest", [False, True])
def test_reductions_over_tokens(axes: tuple[int, ...], greatest: bool) -> None:
    build = ProgramBuilder()
    x = build.input("x", (2, 3, 4), FixedFormat(True, 5, 2))
    y = build.amax(x, axes) if greatest else build.sum(x, axes)
    assert_same(build.program([("y", y)]), Directives({}, parallel=False))


@pytest.mark.parametrize("perm", [(0, 2, 1), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_transpositions_across_tokens(perm: tuple[int, ...]) -> None:
    build = ProgramBuilder()
    x = build.input("x", (2, 3, 4), FixedFormat(True, 5, 2))
    assert_same(build.program([("y", build.transpose(x, perm))]), Directives({}, parallel=False))


def grouped(way: str, groups: int, taps: int) -> Program:
    """Products of windows of six channels, each in a format of its own, in groups: by constants, or by weights given anew."""
    rng, channels, size, fmt = np.random.default_rng(groups), 6, 4, FixedFormat(True, 4, 2)
    n, m = taps * channels // groups, 2
    build = ProgramBuilder()
    x = build.input("x", (size, channels), FixedFormat(True, 6, 3))
    low = objects([-4, -32, -16, -8, -32, -4])
    x = build.apply(Cast(np.array([1, 3, 2, 1, 3, 0]), low, -low - 1, Rounding.RND, Overflow.SAT), x)
    weights = objects(rng.integers(fmt.lo, fmt.hi, (groups, n, m), endpoint=True))

    def product(group: int) -> Value:
        first, last = (channels // groups * number for number in (group, group + 1))
        part = build.slice(windows, (0, 0, first), (size, taps, last))
        return build.linear(build.reshape(part, (size, n)), weights[group], fmt.frac)

    with build.layer("layer"):
        windows = build.window(x, (taps,), (1,), (1,), ((taps // 2, taps // 2),))
        if way == "constants":
            return build.program([("y", build.concat([product(group) for group in range(groups)], -1))])
        cut = build.transpose(build.reshape(windows, (size, taps, groups, channels // groups)), (0, 2, 1, 3))
        given = build.parameter("weight", weights, fmt, external=way == "external")
        y = build.matmul(build.reshape(cut, (size, groups, 1, n)), given)
        return build.program([("y", build.reshape(y, (size, groups * m)))])


@pytest.mark.parametrize("taps", [1, 3])
@few("groups", [6, 1, 2], fast=1, judged=True)
@pytest.mark.parametrize("way", ["constants", "loaded", "external"])
def test_products_of_channels_in_formats_of_their_own(way: str, groups: int, taps: int) -> None:
    program = grouped(way, groups, taps)
    styles = list(MultiplierStyle) if way == "constants" else [MultiplierStyle.LOADED]
    for reuse in (1, 2, 6):
        for positions in (1, 4):
            for style in styles if positions < reuse == 2 else styles[:1]:
                assert_same(program, Directives({"layer": reuse}, False, {"layer": style}, {"layer": positions}), reuse)
        assert_same(program, Directives({"layer": 4 * reuse}, True, {"layer": styles[-1]}), reuse)


def rescaled(factor: int | None = None) -> Program:
    """Windows of forty times eight columns, each of which is then multiplied and added to as its channel is, and rounded.

    ``factor`` multiplies all channels alike.
    """
    rng, taps, channels, build = np.random.default_rng(0), 40, 8, ProgramBuilder()
    x = build.input("x", (42, 1), FixedFormat(True, 8, 8))
    with build.layer("layer"):
        windows = build.reshape(build.window(x, (taps,), (1,), (1,), ((0, 0),)), (3, taps))
        y = build.linear(windows, objects(rng.integers(-128, 128, (taps, channels))), 0)
        factors, terms = rng.integers(1 << 18, 1 << 19, channels), rng.integers(-(1 << 24), 1 << 24, channels)
        y = build.add(y, build.const(objects(terms[::-1] >> 14), 0))
        y = build.mul(y, build.const(objects(factors if factor is None else np.array([factor])), 0))
        y = build.add(y, build.const(objects(terms), 0))
        return build.program([("y", build.cast_to(y, -26, -128, 127, Rounding.TRN, Overflow.SAT))])


@pytest.mark.parametrize(("reuse", "products", "slots"), [(40, 1, 2), (2, 4, 2), (320, 1, 1)])
def test_channels_are_multiplied_by_numbers_of_their_own_in_turn(reuse: int, products: int, slots: int) -> None:
    network = assert_same(rescaled(), Directives({"layer": reuse}, False, {"layer": MultiplierStyle.SHARED}))
    (program,) = (process.kind.program for process in network.processes if isinstance(process.kind, Map))
    assert [node.type.size for node in program.nodes if isinstance(node.op, Mul)] == [products]
    assert sum(isinstance(process.kind, Rom) for process in network.processes) == 1
    assert [fifo.depth for fifo in fifos(network, {})[0] if isinstance(network.processes[fifo.producer].kind, Rom)] == [
        slots
    ]


def test_channels_that_are_multiplied_alike_are_so_in_turn() -> None:
    """The estimate for ECP5 is 1,099 look-up tables and 2,061 for all eight at once."""
    directives = Directives({"layer": 40}, False, {"layer": MultiplierStyle.SHARED})
    network = assert_same(rescaled(0b101010010101001011), directives)
    (program,) = (process.kind.program for process in network.processes if isinstance(process.kind, Map))
    assert [node.type.size for node in program.nodes if isinstance(node.op, Mul)] == [1]


@pytest.mark.parametrize(("squared", "reuse", "at_once"), [(True, 4, 2), (True, 1, 8), (False, 8, 1)])
def test_inputs_are_multiplied_a_few_channels_at_a_time(squared: bool, reuse: int, at_once: int) -> None:
    build = ProgramBuilder()
    x = build.input("x", (5, 8), FixedFormat(True, 12, 4))
    with build.layer("layer"):
        factors = x if squared else build.const(objects(np.array([2733 + 100 * k for k in range(8)])), 9)
        y = build.cast(build.mul(x, factors), FixedFormat(True, 16, 8))
    network = assert_same(build.program([("y", y)]), Directives({"layer": reuse}, False))
    (program,) = (process.kind.program for process in network.processes if isinstance(process.kind, Map))
    assert [node.type.size for node in program.nodes if isinstance(node.op, Mul)] == [at_once]


@pytest.mark.parametrize(("positions", "reuse", "parts"), [((), 64, 8), ((3,), 64, 8), ((3,), 2, 2)])
def test_what_is_reduced_over_channels_that_come_in_parts_is_as_they_come(
    positions: tuple[int, ...], reuse: int, parts: int
) -> None:
    """Numbers less the greatest of their position, times their sum, as a softmax has it."""
    rng, build = np.random.default_rng(1), ProgramBuilder()
    x = build.input("x", (*positions, 8), FixedFormat(True, 6, 6))
    with build.layer("layer"):
        y = build.linear(x, objects(rng.integers(-8, 8, (8, 8))), 0)
        greatest = build.reshape(build.amax(y, [len(positions)]), (*positions, 1))
        below = build.sub(y, greatest)
        total = build.reshape(build.sum(below, [len(positions)]), (*positions, 1))
        program = build.program([("y", build.mul(below, total))])
    network = assert_same(program, Directives({"layer": reuse}, False, {"layer": MultiplierStyle.SHARED}))
    assert [one.kind.count for one in network.processes if isinstance(one.kind, Reduce)] == [parts] * 2 * (parts > 2)
    (product,) = [
        node
        for one in network.processes
        if isinstance(one.kind, Map)
        for node in one.kind.program.nodes
        if isinstance(node.op, Mul)
    ]
    assert product.type.size == 8 // parts


def test_ops_that_read_tokens_repeated_alike_share_a_process() -> None:
    builder, kind = ProgramBuilder(), FixedFormat(True, 5, 3)
    x, row = builder.input("x", (4, 6, 3), kind), builder.input("row", (6, 3), kind)
    program = builder.program([("y", builder.add(builder.mul(x, row), row))])
    network = assert_same(program, Directives({}, parallel=False))
    assert sum(isinstance(process.kind, Reorder) for process in network.processes) == 1


def test_functions_of_a_repeated_number_read_its_tokens_repeated_unless_they_are_narrower() -> None:
    builder, kind = ProgramBuilder(), FixedFormat(True, 5, 3)
    x, row = builder.input("x", (4, 6, 3), kind), builder.input("row", (6, 3), kind)
    further = builder.neg(builder.shift(builder.add(row, builder.const(1)), 1))
    program = builder.program([("y", builder.add(builder.mul(x, row), further))])
    assert _repeated_bits(assert_same(program, Directives({}, parallel=False))) == [15]
    narrow = builder.cast(row, FixedFormat(True, 3, 3))
    program = builder.program([("y", builder.add(x, narrow))])
    assert _repeated_bits(assert_same(program, Directives({}, parallel=False))) == [9]


def _repeated_bits(network: Network) -> list[int]:
    return [process.results[0].bits for process in network.processes if isinstance(process.kind, Reorder)]


@pytest.mark.parametrize("overflow", [Overflow.SAT, Overflow.WRAP])
def test_bounds_that_follow_ranges_of_positions_join_no_tokens(overflow: Overflow) -> None:
    """A result of a transposed convolution has other ranges at other phases; nothing is saturated or wrapped there."""
    builder = ProgramBuilder()
    x = builder.input("x", (4, 6, 1), FixedFormat(True, 8, 4))
    phases = np.tile(np.array([[8], [40]]), (4, 3, 1))
    moved = builder.add(x, builder.const(phases))
    y = builder.cast_to(moved, 2, 4 * phases - 32, 4 * phases + 32, Rounding.RND, overflow)
    network = assert_same(builder.program([("y", y)]), Directives({}, False))
    sizes = [process.results[0].token.size for process in network.processes if isinstance(process.kind, Map)]
    assert set(sizes) == {1}


@pytest.mark.parametrize(("varying", "size"), [((), 3), ((2,), 3), ((1, 2), 6), ((1,), 6), ((0, 1, 2), 24)])
def test_formats_that_vary_by_position_are_told_apart_within_as_small_tokens_as_can_be(
    varying: tuple[int, ...], size: int
) -> None:
    shape, builder = (4, 2, 3), ProgramBuilder()
    fracs = np.random.default_rng(0).permutation(24).reshape(shape) % 7
    fracs = fracs[tuple(slice(None) if axis in varying else slice(1) for axis in range(3))]
    x = builder.input("x", shape, FixedFormat(True, 9, 5))
    y = builder.cast_to(x, fracs, -30, 30, Rounding.RND, Overflow.SAT)
    network = assert_same(builder.program([("y", y)]), Directives({}, False))
    (cast,) = (process for process in network.processes if isinstance(process.kind, Map))
    assert cast.results[0].token.size == size
