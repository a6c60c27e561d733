"""Products of two variables in tokens compute what the programs compute, down to one multiplier."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bitsmith.dataflow.kinds import Map, Sweep
from bitsmith.dataflow.processes import Network, Process
from bitsmith.dataflow.schedule import schedule
from bitsmith.devices.ecp5 import ECP5
from bitsmith.estimate.fit import paced
from bitsmith.estimate.size import estimate_layout
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ops import MatMul
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from tests.mapping.test_partition import assert_same
from tests.properties import shares
from tests.properties.pairs import attention_at_once, random_pair


@shares(4, fast=2)
def test_random_pairs(share: int) -> None:
    narrow = 0
    for seed in range(share, 160, 4):
        program, directives = random_pair(seed)
        network = assert_same(program, directives, seed)
        narrow += any(isinstance(process.kind, Sweep) for process in network.processes)
    assert narrow > 6


def attention(*, turned: bool) -> Program:
    """Two heads, each a product of (16, 8) and (8, 16), the second one ``turned`` so that its rows come one by one."""
    builder, form = ProgramBuilder(), FixedFormat(True, 8, 3)
    x, y = builder.input("x", (16, 2, 8), form), builder.input("y", (16, 2, 8) if turned else (2, 8, 16), form)
    with builder.layer("scores"):
        y = builder.transpose(y, (1, 2, 0)) if turned else y
        z = builder.cast(builder.matmul(builder.transpose(x, (1, 0, 2)), y), form)
    return builder.program([("z", z)])


@pytest.mark.parametrize("turned", [True, False])
def test_area_falls_to_that_of_one_multiplier(turned: bool) -> None:
    program = attention(turned=turned)
    sizes = [estimate_layout(program, Directives({"scores": reuse}, False), ECP5) for reuse in (1, 2, 4, 8, 32, 128)]
    areas = [size.lut + 72 * size.dsp for size in sizes]
    assert all(after <= 1.02 * before for before, after in pairwise(areas))
    assert sizes[0].dsp == 128 and sizes[-1].dsp == 1
    assert sizes[-1].lut + sizes[-1].ff < (1900 if turned else 2700)


def product_of(network: Network) -> Process:
    """The process that multiplies."""
    (product,) = (
        process
        for process in network.processes
        if isinstance(process.kind, Map) and any(isinstance(node.op, MatMul) for node in process.kind.program.nodes)
    )
    return product


@pytest.mark.parametrize(("reuse", "size"), [(2, 64), (3, 64), (4, 32), (8, 16)])
@pytest.mark.parametrize("turned", [True, False])
def test_few_cycles_take_blocks_of_rows_and_columns(turned: bool, reuse: int, size: int) -> None:
    network = assert_same(attention(turned=turned), Directives({"scores": reuse}, False))
    tiles = max(product_of(network).takes, key=lambda stream: stream.token.size)
    assert tiles.token.size == size and tiles.tokens == 2 * 16 * 128 // size
    assert schedule(network, {}).interval <= 2 * 16 * reuse


def test_no_token_has_a_whole_operand() -> None:
    """The keys of a head are read an element at a time, over and over."""
    network = partition(attention(turned=True), Directives({"scores": 128}, False))
    processes, product = network.processes, product_of(network)
    assert [stream.token.size for stream in product.takes] == [1, 1]
    assert product.takes[0].tokens == 2 * 16 * 128
    sweeps = [process.kind for process in processes if isinstance(process.kind, Sweep)]
    assert sorted(sweep.times for sweep in sweeps) == [
        1,
        16,
        16,
    ]  # each query for all keys, and all keys for each query


def test_a_layer_of_a_pair_is_given_cycles() -> None:
    program = attention(turned=True)
    assert paced(program, Directives({}, False), 2 * 16 * 32).reuse == {"scores": 32}
    assert paced(program, Directives({}, True), 2 * 16 * 32).reuse == {}


@pytest.mark.parametrize("then", ("values", "transposed", "sum of rows", "shifted", "normalized"))
@pytest.mark.parametrize("shape", [(1, 6, 5), (3, 4, 2), (2, 6, 4), (4, 5, 3)])
def test_whole_tensors_are_multiplied_in_as_many_turns_as_have_cycles(shape: tuple[int, int, int], then: str) -> None:
    for reuse in (1, 2, 4, 16):
        network = assert_same(attention_at_once(*shape, then), Directives({"scores": reuse}, True))
        assert schedule(network, {}).interval <= reuse


@pytest.mark.parametrize(("reuse", "products"), [(1, 192), (2, 96), (4, 48), (8, 24), (16, 12)])
def test_multipliers_of_whole_tensors_fall_with_cycles(reuse: int, products: int) -> None:
    network = partition(attention_at_once(2, 8, 4, ""), Directives({"scores": reuse}, True))
    assert product_of(network).takes[0].token.size * 4 == products
