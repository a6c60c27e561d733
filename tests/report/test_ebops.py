"""Effective bit operations are those that HGQ2 counts of the same models."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.compiler import compile_network
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.merge import Add, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.settings import Settings
from bitsmith.report.ebops import ebops, effective_bits
from tests.properties import few

MODELS = Path(__file__).parent.parent / "quantized" / "hgq" / "models"

OTHERWISE = {
    # HGQ2 takes the axes of the shape without looking at the data format when it counts biases.
    "conv/first": 9102,
    # An element without bits has a sign in HGQ2, if it saturates: it is 0 here.
    "dense/kif_rnd_conv_sat": 277,
    "dense/kif_trn_sat": 348,
    # A dummy quantizer has no bits in HGQ2; its operand has those of the layer before.
    "dense/dummy": 345,
    # Only products of elements at the same place are counted in HGQ2, once.
    "merges/dot": 874,
    "merges/dot_first": 898,
    # The sums are steps of their own here, with the same counts; products with powers of two are not counted.
    "merges/qaveragepow2": None,
    "merges/qaveragepow2_3": None,
    "merges/sum": None,
    "merges/last": None,
    "merges/mean": None,
    "merges/mean_all": None,
    # Trained values that are scaled after their quantizer have the bits that they need then.
    "transformed/scaled": 488,
    "transformed/thirds": 980,
    # Scales that are no powers of two and differ along the axis of the sums multiply the operands before.
    "thirds/dense": 8912,
    # Means whose division the next quantizer takes over are sums.
    "pools/global_average1": 28,
    "pools/global_average2": 139,
}
"""What is counted otherwise, and why."""

POOLING = re.compile(r"(pools|older)/\w*(pool|max|average|mean|thirds)\w*")
"""Layers that are not counted here. HGQ2 counts each bit of their operands once."""

NAMES = (
    "conv",
    "conv_1d_3d",
    "dense",
    "einsum",
    "merges",
    "nested",
    "normalization",
    "older",
    "pools",
    "thirds",
    "transformed",
)


@pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")
@few("name", NAMES, fast=2, judged=True)
def test_counts_are_those_of_hgq2(name: str) -> None:
    wanted = json.loads((MODELS / "ebops.json").read_text())[name]
    found = {row.name: row.ebops for row in bitsmith.convert(MODELS / f"{name}.keras").design().layers}
    if name == "nested":  # HGQ2 counts a layer on time steps for one of them, here is the row of them all
        assert found["steps"] == 3 * wanted.pop("step")
    wanted = {
        layer: count
        for layer, count in wanted.items()
        if f"{name}/{layer}" in OTHERWISE or not POOLING.fullmatch(f"{name}/{layer}")
    }
    expected = {layer: OTHERWISE.get(f"{name}/{layer}", count) for layer, count in wanted.items()}
    assert {layer: found[layer] for layer in wanted} == expected
    steps = {layer: count for layer, count in wanted.items() if expected[layer] is None}
    assert {layer: found[f"{layer}_sum"] for layer in steps} == steps


def test_bits_that_count() -> None:
    wraps = Quantizer.fixed(1, [2, -1, 0], [1, 0, 1], Rounding.RND, Overflow.WRAP)
    assert effective_bits(wraps).tolist() == [3, 0, 1]
    assert effective_bits(Quantizer.uniform(0.3, -7, 7)).tolist() == 4
    assert effective_bits(Quantizer.fixed(0, 2, 1, Rounding.RND, Overflow.WRAP)).tolist() == 3


LAST = {"quantizer": Quantize(Quantizer.uniform(0.3, -8, 7)), "float layer": Dense(as_weights(np.eye(2) / 3))}


@pytest.mark.parametrize("last", LAST)
def test_scales_count_where_they_are_multiplications_and_float_layers_do_not(last: str) -> None:
    """A layer has the operations of its scale and offset if something needs its values themselves."""
    grid = Quantizer.uniform(0.07, -7, 7)
    kernel = as_weights(grid.applied(np.linspace(-1, 1, 6).reshape(3, 2)))
    nodes = (
        NetworkNode("x", Input((3,)), settings=Settings({"result": FixedFormat(True, 10, 6)})),
        NetworkNode("q", Quantize(Quantizer.uniform(0.11, 0, 15)), ("x",)),
        NetworkNode("d", Dense(kernel, as_weights([0.5, 0.25])), ("q",), quantizers={"weight": grid}),
        NetworkNode("last", LAST[last], ("d",)),
    )
    compiled = compile_network(Network(nodes, ("x",), ("last",)))
    scales, bits, sums = 0 if last == "quantizer" else 2, 52, (7 * 15 * 3).bit_length()
    (found,) = ebops(compiled.network, compiled.program).items()
    assert found == ("d", pytest.approx(3 * 2 * 4 * 4 + scales * bits * sums, rel=0.02))


FIRST, SECOND = (3, 5, 40), (4, 2, 50)
"""Bits of the elements of two tensors."""


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (Add(), 0.65 * (4 + 5 + 50)),
        (Subtract(), 4 + 5 + 50),
        (Maximum(), 4 + 5 + 50),
        (Minimum(), 4 + 5 + 50),
        (Multiply(), 3 * 4 + 5 * 2 + 40 * 50),
        (Reduce(Reduction.SUM, (0,)), 0.65 * (5 + 40)),
        (Reduce(Reduction.SUM, (-1,), keepdims=True), 0.65 * (5 + 40)),
        (Reduce(Reduction.MAX, (0,)), None),
    ],
)
def test_sums_and_comparisons_count_by_the_bits_of_their_operands(layer: Layer, count: float | None) -> None:
    """Each operation as many as the wider operand has; of a sum over an axis the narrowest is where it begins."""
    operands = ("x", "y") if not isinstance(layer, Reduce) else ("x",)
    nodes = [
        node
        for name, bits in zip(operands, (FIRST, SECOND), strict=False)
        for node in (
            NetworkNode(f"{name}_in", Input((3,)), settings=Settings({"result": FixedFormat(True, 60, 50)})),
            NetworkNode(
                name, Quantize(Quantizer.fixed(1, list(bits), 0, Rounding.RND, Overflow.WRAP)), (f"{name}_in",)
            ),
        )
    ]
    nodes.append(NetworkNode("layer", layer, operands))
    compiled = compile_network(Network(tuple(nodes), tuple(f"{name}_in" for name in operands), ("layer",)))
    assert ebops(compiled.network, compiled.program) == ({} if count is None else {"layer": int(count)})
