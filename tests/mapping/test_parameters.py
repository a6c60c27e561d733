"""Parameters in networks of processes: tiles come in the order that is said, and values are never relied upon."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.compiler import compile_network
from bitsmith.dataflow.kinds import FoldedProduct, Map, Rom, Source
from bitsmith.dataflow.tokens import LoadableWeights
from bitsmith.emulate import Emulator
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Parameter
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Ints, Overflow, Rounding, objects
from bitsmith.layers.conv import Conv, ConvTranspose
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings, Weights
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import matrix_of_blocks, places_in_parameter
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.passes.program.load import load, parameters, random_values
from tests.mapping.test_partition import assert_same
from tests.properties import shares
from tests.properties.programs import random_program

NARROW = FixedFormat(True, 6, 3, Rounding.RND, Overflow.SAT)


def drawn(rng: np.random.Generator, shape: tuple[int, ...], fmt: FixedFormat) -> Ints:
    """Raw values of ``fmt``, often the least or the greatest."""
    raw = rng.integers(fmt.lo, fmt.hi, shape, endpoint=True)
    corner = np.where(rng.random(shape) < 0.5, fmt.lo, fmt.hi)
    return objects(np.where(rng.random(shape) < 0.3, corner, raw))


def loadable_program(seed: int) -> Program:
    """A convolution, pooled or not, and a dense layer, whose weights may all be given anew."""
    rng = np.random.default_rng(seed)
    build = ProgramBuilder()
    formats = [FixedFormat(True, 5, 3), FixedFormat(False, 3, 4), FixedFormat(True, 2, -1)]

    def weighted(layer: str, x: Value, m: int) -> Value:
        with build.layer(layer):
            kinds = [formats[k] for k in rng.integers(0, 3, 2)]
            outside = bool(rng.random() < 0.4)
            n = x.shape[-1]
            rows = build.reshape(x, (1, n)) if len(x.shape) == 1 else x
            kernel = build.parameter("weight", drawn(rng, (n, m), kinds[0]), kinds[0], external=outside)
            y = build.reshape(build.matmul(rows, kernel), (*x.shape[:-1], m))
            bias = build.parameter("bias", drawn(rng, (m,), kinds[1]), kinds[1], external=outside)
            return build.cast(build.max(build.add(y, bias), build.const(0)), NARROW)

    size, channels = int(rng.integers(3, 6)), int(rng.integers(1, 4))
    x = build.input("x", (size, channels), FixedFormat(True, 5, 2))
    taps = int(rng.integers(1, 4))
    windows = build.window(x, (taps,), (1,), (1,), ((taps - 1, 0),))
    x = weighted("conv", build.reshape(windows, (size, taps * channels)), int(rng.choice([1, 2, 3, 4])))
    if rng.random() < 0.4:
        x = build.amax(build.window(x, (2,), (1,), (1,), ((0, 0),)), (1,))
    x = weighted("dense", build.reshape(x, (x.type.size,)), int(rng.choice([1, 2, 4, 6])))
    return build.program([("y", x)])


def grouped_program(seed: int) -> Program:
    """A convolution in groups, transposed or not, whose weights may be given anew, or come from outside."""
    rng = np.random.default_rng(seed)
    groups, size, taps = int(rng.choice([2, 3, 4])), int(rng.integers(2, 6)), int(rng.choice([1, 2, 3, 5]))
    channels, filters = groups * int(rng.integers(1, 3)), groups * int(rng.integers(1, 4))
    kernel = as_weights(rng.integers(-8, 8, (taps, channels // groups, filters)) / 4)
    bias = as_weights(rng.integers(-8, 8, filters) / 4) if rng.random() < 0.5 else None
    layer: Layer = Conv(kernel, bias, (1,), (1,), ((0, taps - 1),), groups)
    if rng.random() < 0.4:
        layer = ConvTranspose(kernel, bias, (2,), (1,), (0,), (2 * size,), groups)
    way = Weights.RELOADABLE if rng.random() < 0.7 else Weights.EXTERNAL
    formats = {"weight": FixedFormat(True, 4, 2), "bias": FixedFormat(True, 5, 3)}
    nodes = (
        NetworkNode("x", Input((size, channels)), settings=Settings({"result": FixedFormat(True, 5, 2)})),
        NetworkNode("conv", layer, ("x",), settings=Settings(formats, weights=way)),
    )
    return compile_network(Network(nodes, ("x",), ("conv",))).program


def demands(seed: int) -> Directives:
    rng = np.random.default_rng(seed + 1)
    reuse = {layer: int(rng.choice([1, 1, 2, 3, 4, 6, 12, 40])) for layer in ("conv", "dense")}
    several = {layer: int(rng.choice([1, 1, 2, 4])) for layer in ("x", "conv", "dense")}
    return Directives(reuse, bool(rng.random() < 0.5), positions=several)


@settings(max_examples=12)
@given(st.integers(0, 10**6))
def test_weights_from_outside_give_the_same_results(seed: int) -> None:
    program = loadable_program(seed)
    assert_same(program, demands(seed), seed)


@settings(max_examples=12)
@given(st.integers(0, 10**6))
def test_weights_of_groups_give_the_same_results(seed: int) -> None:
    program = grouped_program(seed)
    extreme = {
        place: np.broadcast_to((node.op.lo, node.op.hi)[seed % 2], node.type.shape)
        for place, node in parameters(program).items()
    }
    for each in (program, load(program, extreme)):
        assert_same(each, demands(seed), seed)


def test_rows_of_groups_are_cut_also_where_a_part_is_short() -> None:
    """Five rows for each of three groups, as many as there are taps, of which two cycles multiply three and two."""
    kernel = as_weights(np.arange(15).reshape(5, 1, 3) % 7 / 4 - 0.75)
    nodes = (
        NetworkNode("x", Input((4, 3)), settings=Settings({"result": FixedFormat(True, 5, 2)})),
        NetworkNode(
            "conv",
            Conv(kernel, None, (1,), (1,), ((0, 4),), 3),
            ("x",),
            settings=Settings({"weight": FixedFormat(True, 4, 2)}, weights=Weights.RELOADABLE),
        ),
    )
    program = compile_network(Network(nodes, ("x",), ("conv",))).program
    for reuse, steps in ((2, 2), (5, 5)):
        folds = [each.kind for each in assert_same(program, Directives({"conv": reuse}, False)).processes]
        assert steps in [fold.steps for fold in folds if isinstance(fold, FoldedProduct)]


@pytest.mark.parametrize("parallel", [False, True])
def test_groups_are_folded(parallel: bool) -> None:
    """Multipliers fall to one, or two where that takes no more area, with the reuse factor."""
    for seed in (1, 2, 3, 5, 8):
        program = drop_dead(grouped_program(seed), keep_probes=False)
        if any(isinstance(node.op, Parameter) and node.op.external for node in program.nodes):
            continue
        found = []
        for reuse in (16, 64, 1000):
            network = partition(program, Directives({"conv": reuse}, parallel))
            (fold,) = (process for process in network.processes if isinstance(process.kind, FoldedProduct))
            assert isinstance(fold.kind, FoldedProduct) and fold.kind.loaded is not None
            found.append(fold.takes[0].token.size * fold.kind.tile[1])
        assert found == sorted(found, reverse=True) and found[-1] <= 2


@shares(4, fast=2)
def test_random_programs_with_parameters(share: int) -> None:
    for seed in range(1000 + share, 1100, 4):
        assert_same(
            random_program(seed, hardware=True, parameters=True), Directives({"": seed % 5 + 1}, seed % 2 == 0), seed
        )


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_layout_does_not_depend_on_values(seed: int) -> None:
    """With other weights all processes are the same, but for what is in their tables."""
    program, rng = loadable_program(seed), np.random.default_rng(seed)
    values: dict[tuple[str, str], Ints] = {}
    for place, node in parameters(program).items():
        assert isinstance(node.op, Parameter)
        values[place] = drawn(rng, node.op.raw.shape, FixedFormat(bool(node.op.lo < 0), node.type.max_width, 0))
    networks = [partition(each, demands(seed)) for each in (program, load(program, values))]
    for one, other in zip(*(network.processes for network in networks), strict=True):
        assert (one.args, one.takes, one.results) == (other.args, other.takes, other.results)
        if isinstance(one.kind, Rom | FoldedProduct | Source):
            assert one.kind.loaded == getattr(other.kind, "loaded", None)
        if isinstance(one.kind, Map) and isinstance(other.kind, Map):
            assert one.kind.program == other.kind.program


@pytest.mark.slow
@pytest.mark.ci
def test_any_values_of_the_formats_fit() -> None:
    """Nothing overflows: accumulators hold what the least and the greatest weights give."""
    for seed in range(20):
        program = loadable_program(seed)
        for corner in ("lo", "hi"):
            values = {
                place: np.broadcast_to(getattr(node.op, corner), node.type.shape)
                for place, node in parameters(program).items()
            }
            extreme = load(program, values)
            nodes = [replace(node, layer="") for node in extreme.nodes]
            assert [node.type for node in nodes] == [node.type for node in program.nodes]
            assert_same(extreme, demands(seed), seed)  # which refuses tokens outside of their types


def test_random_values_are_those_of_the_range_and_often_its_ends() -> None:
    build = ProgramBuilder()
    x = build.input("x", (40,), FixedFormat(True, 4, 4))
    with build.layer("dense"):
        weight = build.parameter("weight", np.zeros((40, 40), dtype=np.int64), FixedFormat(True, 8, 8))
    (found,) = random_values(build.program([("y", build.matmul(build.reshape(x, (1, 40)), weight))])).values()
    assert (found.min(), found.max()) == (-128, 127) and len(np.unique(found.astype(int))) > 200
    assert all(0.08 < np.mean(found == end) < 0.18 for end in (-128, 127))


def test_tiles_are_those_of_the_matrix() -> None:
    raw = objects(np.arange(15).reshape(5, 3))
    tiles = LoadableWeights("dense", "weight", (5, 3), 2, 3, 0, 15, 0).tiles(raw)
    assert tiles.shape == (3, 2, 3, 1)
    assert tiles[1, :, :, 0].ravel().tolist() == [1, 4, 7, 10, 13, 0]
    assert LoadableWeights("dense", "bias", (1, 6), 1, 2, 0, 15, 0).tiles(objects(np.arange(6))).ravel().tolist() == [
        *range(6)
    ]


@pytest.mark.parametrize(("steps", "blocks"), [(2, ((0,),)), (3, ((0,),)), (2, ((-1,), (0,))), (2, ((1,), (0,)))])
def test_only_rows_and_blocks_of_zeros_widen_tokens(steps: int, blocks: tuple[tuple[int, ...], ...]) -> None:
    token = LoadableWeights("dense", "weight", (4, 3), steps, 1, 3, 5, 0, blocks).token((2,))
    padded = steps == 3 or blocks[0] == (-1,)
    assert (int(token.lo.min()), int(token.hi.max())) == (0 if padded else 3, 5)


def test_blocks_of_a_tensor() -> None:
    build = ProgramBuilder()
    kernel = build.parameter("weight", np.arange(24).reshape(4, 6), FixedFormat(True, 6, 6))
    parts = {
        "columns": (build.slice(kernel, (0, 2), (4, 6)), (4, 2), ((1, 2),), 3),
        "rows": (build.slice(kernel, (2, 0), (4, 6)), (2, 6), ((1,),), 1),
        "padded": (build.pad(build.slice(kernel, (0, 3), (2, 6)), (2, 0), (0, 0)), (2, 3), ((-1,), (1,)), 2),
    }
    program = build.program([(name, part) for name, (part, *_) in parts.items()])
    for output in program.outputs:
        node, places = places_in_parameter(program, output.node)
        assert node is not None
        found = matrix_of_blocks(node, places.reshape(program.nodes[output.node].type.shape))
        _, block, blocks, across = parts[output.name]
        given = LoadableWeights("", "weight", found.shape, 1, 1, -32, 31, 0, found.blocks, found.across)
        assert (given.block, given.blocks, given.across) == (block, blocks, across)


def test_emulator_takes_the_values_that_there_are() -> None:
    program = loadable_program(5)
    zeros = {place: np.zeros(node.type.shape, dtype=np.object_) for place, node in parameters(program).items()}
    x = np.zeros((1, *program.nodes[0].type.shape), dtype=np.int64) + 3
    (result,) = Emulator(load(program, zeros)).run_raw([x])
    assert not np.any(result)
    assert np.any(Emulator(program).run_raw([x])[0])


def test_every_reuse_factor_takes_so_many_cycles_and_no_more_area() -> None:
    build = ProgramBuilder()
    x = build.input("x", (1, 6), FixedFormat(True, 8, 4))
    with build.layer("dense"):
        kernel = build.parameter("weight", drawn(np.random.default_rng(0), (6, 4), NARROW), NARROW)
        y = build.matmul(x, kernel)
    program, areas = build.program([("y", y)]), []
    for reuse in range(1, 30):
        directives = Directives({"dense": reuse}, parallel=True)
        (fold,) = (
            process for process in partition(program, directives).processes if isinstance(process.kind, FoldedProduct)
        )
        assert isinstance(fold.kind, FoldedProduct) and fold.kind.loaded is not None
        assert fold.kind.groups * fold.kind.steps <= reuse
        areas.append(fold.kind.weights[0, 0].size)
    assert areas == sorted(areas, reverse=True)
    assert areas[0] == 24 and areas[-1] == 1


@pytest.mark.parametrize("reuse", [1, 3, 6, 24])
@pytest.mark.parametrize("shape", [(8,), (1, 8), (4, 8), (4, 1), (1, 1), ()])
def test_parameters_beside_parts_of_tokens(shape: tuple[int, ...], reuse: int) -> None:
    """Where products come in parts, parameters come in the tokens that constants come in."""
    tokens, values = [], np.arange(np.prod(shape, dtype=int)).reshape(shape)
    for is_parameter in (False, True):
        build = ProgramBuilder()
        x = build.input("x", (4, 3), NARROW)
        with build.layer("layer"):
            y = build.linear(x, np.arange(1, 25).reshape(3, 8), 2)
            beside = build.parameter("bias", values, NARROW) if is_parameter else build.const(values, NARROW.frac)
            program = build.program([("y", build.cast(build.add(y, beside), NARROW))])
        directives = Directives({"layer": reuse}, False)
        assert_same(program, directives)
        processes = partition(program, directives).processes
        tokens.append([(type(one.kind), [(each.grid, each.token.shape) for each in one.results]) for one in processes])
    in_parts = reuse == 24 and shape in ((8,), (1, 8), (4, 8))
    assert tokens[0] == tokens[1] or not in_parts
