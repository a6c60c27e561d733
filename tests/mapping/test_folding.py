"""How matrices are cut: never more cycles than there are, never more area for more of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bitsmith.dataflow.kinds import FoldedProduct, Map
from bitsmith.devices.ecp5 import ECP5
from bitsmith.estimate.size import estimate_layout
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import Folding, Matrix, MultiplierStyle, choose_folding, choose_folding_of_tokens
from bitsmith.mapping.partition import partition
from tests.mapping.test_partition import assert_same
from tests.properties import few

FORMAT = FixedFormat(True, 8, 4, Rounding.RND, Overflow.SAT)
MATRICES = [
    Matrix(n, m, vectors, 8, 6, 18, adders=adders * n * m, graph_bits=12.0, whole=True)
    for n, m, vectors, adders in ((16, 16, 1, 1.5), (5, 3, 1, 1.2), (7, 12, 6, 0.3), (1, 1, 4, 1.0), (27, 16, 36, 1.5))
]


def dense(n: int, m: int, zeros: float = 0.0) -> Program:
    """A dense layer with bias and rectifier."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (n, m)) * (rng.random((n, m)) >= zeros)
    builder = ProgramBuilder()
    x = builder.input("x", (n,), FORMAT)
    with builder.layer("dense"):
        y = builder.add(builder.linear(x, weights, 6), builder.const(rng.integers(-99, 99, m), 6))
        y = builder.cast(builder.max(y, builder.const(0)), FORMAT)
    return builder.program([("y", y)])


@pytest.mark.parametrize("products", MultiplierStyle)
@pytest.mark.parametrize("matrix", MATRICES)
def test_area_falls_and_cycles_are_kept(matrix: Matrix, products: MultiplierStyle) -> None:
    most = matrix.vectors * matrix.n * matrix.m
    areas = []
    for cycles in (*range(1, min(most, 40) + 1), *range(41, min(most, 300) + 1, 7)):
        chosen = choose_folding(matrix, cycles, products)
        assert chosen.cycles <= cycles
        assert matrix.vectors % chosen.serial == 0 and matrix.m % chosen.groups == 0
        areas.append(matrix.area(chosen))
    folded = areas[1:] if products is MultiplierStyle.SHARED else areas
    assert folded == sorted(folded, reverse=True)


GROWING = {"operand": 1, "weight": 1, "result": 1, "adders": 1.0, "graph_bits": 1.0}


@pytest.mark.parametrize("matrix", MATRICES)
def test_more_bits_and_more_adders_take_more_area(matrix: Matrix) -> None:
    """In each form: what there is of a number cannot take less room where the number is wider."""
    for cycles in (1, 2, 5, 40, 300):
        for products in MultiplierStyle:
            folding = choose_folding(matrix, cycles, products)
            for name, more in GROWING.items():
                wider = replace(matrix, **{name: getattr(matrix, name) + more})
                assert wider.area(folding) >= matrix.area(folding) > 0, (name, folding)
                assert wider.area_of_tokens(folding, matrix.n) >= matrix.area_of_tokens(folding, matrix.n) > 0
            if not folding.multipliers:
                more_results = replace(matrix, result=matrix.result + 1).area(folding) - matrix.area(folding)
                assert more_results == pytest.approx(matrix.vectors // folding.serial * matrix.m)


def test_what_products_are_made_of() -> None:
    matrix = MATRICES[0]
    assert choose_folding(matrix, 16, MultiplierStyle.GRAPHS) == Folding(1, 1, 1, multipliers=False)
    assert choose_folding(matrix, 2, MultiplierStyle.SHARED).multipliers
    assert not choose_folding(matrix, 2, MultiplierStyle.CHEAPEST).multipliers
    assert (
        choose_folding(matrix, 64, MultiplierStyle.CHEAPEST).cycles
        == choose_folding(matrix, 64, MultiplierStyle.SHARED).cycles
        == 64
    )
    assert choose_folding(MATRICES[4], 36, MultiplierStyle.GRAPHS) == Folding(36, 1, 1, multipliers=False)
    assert choose_folding(MATRICES[4], 1, MultiplierStyle.SHARED) == Folding(1, 1, 1, multipliers=False)


def test_sparse_layers_stay_adder_graphs() -> None:
    program = dense(16, 16, 0.9)
    network = partition(program, Directives({"dense": 4}, parallel=True))
    assert not any(isinstance(process.kind, FoldedProduct) for process in network.processes)
    assert Directives({"dense": 4}, parallel=True).unrolled(program)
    assert not Directives({"dense": 4}, True, {"dense": MultiplierStyle.SHARED}).unrolled(program)


@pytest.mark.parametrize("cycles", [1, 9, 20, 36, 72, 1000])
def test_vectors_that_come_as_tokens(cycles: int) -> None:
    matrix, tokens = Matrix(36, 8, 1, 8, 6, 18, adders=300.0, graph_bits=12.0, whole=True), 9
    chosen = choose_folding_of_tokens(matrix, tokens, cycles, MultiplierStyle.CHEAPEST)
    assert chosen.steps % tokens == 0 and chosen.cycles <= max(cycles, tokens)
    assert chosen.cycles == tokens or cycles > tokens


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize(("n", "m"), [(5, 3), (4, 6), (7, 1)])
def test_every_reuse_factor_gives_the_same_results(n: int, m: int, parallel: bool) -> None:
    program = dense(n, m)
    for reuse in range(1, n * m + 1):
        for products in (MultiplierStyle.SHARED, MultiplierStyle.CHEAPEST):
            assert_same(program, Directives({"dense": reuse}, parallel, {"dense": products}))


def test_the_ops_behind_a_fold_share_hardware_too() -> None:
    program = dense(12, 12)
    sizes = [
        math.prod(process.results[0].token.shape)
        for process in partition(program, Directives({"dense": 144}, parallel=True)).processes
        if isinstance(process.kind, Map)
    ]
    assert sizes == [1]


def convolution(side: int) -> Program:
    """A 3x3 convolution of two channels to four, with rectifier."""
    weights = np.random.default_rng(0).integers(-127, 128, (18, 4))
    builder = ProgramBuilder()
    x = builder.input("x", (side, side, 2), FORMAT)
    with builder.layer("conv"):
        windows = builder.window(x, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
        y = builder.linear(builder.reshape(windows, (side, side, 18)), weights, 6)
        y = builder.cast(builder.max(y, builder.const(0)), FORMAT)
    return builder.program([("y", y)])


def flattened(side: int, channels: int, m: int) -> Program:
    """A dense layer on a flattened image."""
    n = side * side * channels
    builder = ProgramBuilder()
    x = builder.input("x", (side, side, channels), FORMAT)
    with builder.layer("dense"):
        weights = np.random.default_rng(0).integers(-127, 128, (n, m))
        y = builder.cast(builder.linear(builder.reshape(x, (n,)), weights, 6), FORMAT)
    return builder.program([("y", y)])


@few("products", [MultiplierStyle.CHEAPEST, MultiplierStyle.SHARED], fast=1)
@pytest.mark.parametrize(
    ("program", "parallel", "most"),
    [
        (dense(16, 16), True, 256),
        (dense(16, 16, 0.8), True, 256),
        (dense(12, 10), False, 120),
        (convolution(4), False, 72),
        (flattened(4, 2, 6), False, 192),
    ],
)
def test_estimates_fall_with_the_reuse_factor(
    program: Program, parallel: bool, most: int, products: MultiplierStyle
) -> None:
    areas = []
    for reuse in (*range(1, 21), *range(21, most, 13), most):
        layers = {node.layer for node in program.nodes if node.layer}
        directives = Directives(dict.fromkeys(layers, reuse), parallel, dict.fromkeys(layers, products))
        size = estimate_layout(program, directives, ECP5)
        if products is MultiplierStyle.CHEAPEST or reuse > 1:
            areas.append(size.lut + 8 * 9 * size.dsp)
    assert all(area <= 1.02 * least for area, least in zip(areas, np.minimum.accumulate(areas), strict=True))
    assert size.dsp <= 2
