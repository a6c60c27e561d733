"""Greatest elements of all positions: one circuit for all operators, without a multiplication by a scale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.ao.quantization.fx._decomposed  # operators of their own
from tests.properties import judged
from tests.quantized.qdq.quantized_operators import Model
from torch import Tensor, nn

from bitsmith.compiler import compile_network
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.torch.read import read_torch
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.pooling import AdaptiveMaxPool
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.netlist import AddSub, Cell, Netlist
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.passes.program import drop_dead

OPS = torch.ops.quantized_decomposed


def netlist(network: Network) -> Netlist:
    """With calibration data, so that steps of inputs are not finer for what generated ones show of near ties."""
    rng, shapes = np.random.default_rng(0), network.shapes()
    samples = [rng.normal(0.0, 10.0, (64, *shapes[name])) for name in network.inputs]
    return reduce_widths(elaborate(drop_dead(compile_network(network, samples).program, keep_probes=False)))


def circuit(network: Network) -> Counter[tuple[type[Cell], int, int]]:
    """Its words, which may come in another order where tensors are stored in another one."""
    return Counter((type(word.cell), word.lo, word.hi) for word in netlist(network).words)


def of_layer(layer: Layer) -> Network:
    nodes = (
        NetworkNode("x", Input((4, 4, 3))),
        NetworkNode("q", Quantize(Quantizer.uniform(0.3, -128, 127)), ("x",)),
        NetworkNode("y", layer, ("q",)),
        NetworkNode("r", Quantize(Quantizer.uniform(0.51, -8, 7)), ("y",)),
    )
    return Network(nodes, ("x",), ("r",))


def of_onnx(operator: str) -> Network:
    model = Model(3, 4, 4, opset=18)
    x = model.qdq("x", 0.3, 0, np.int8)
    axes = () if operator == "GlobalMaxPool" else (model.const([2, 3], np.int64),)
    model.out(model.qdq(model.node(operator, x, *axes), 0.51, 0, np.int8))
    return read_onnx(model.made())


class Greatest(nn.Module):
    def __init__(self, greatest: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.greatest = greatest

    def forward(self, x: Tensor) -> Tensor:
        return self.on_grid(self.greatest(self.on_grid(x, 0.3)), 0.51)

    def on_grid(self, x: Tensor, scale: float) -> Tensor:
        limits = (scale, 0, -128, 127, torch.int8)
        numbers: Tensor = OPS.dequantize_per_tensor(OPS.quantize_per_tensor(x, *limits), *limits)
        return numbers


def of_torch(greatest: Callable[[Tensor], Tensor]) -> Network:
    return read_torch(Greatest(greatest), ReadOptions(input_shape=[(3, 4, 4)]))


ALIKE: dict[str, list[Callable[[], Network]]] = {
    "layers": [lambda: of_layer(AdaptiveMaxPool((1, 1))), lambda: of_layer(Reduce(Reduction.MAX, (0, 1)))],
    "onnx": [lambda: of_onnx("GlobalMaxPool"), lambda: of_onnx("ReduceMax")],
    "torch": [
        lambda: of_torch(lambda x: torch.amax(x, (2, 3), keepdim=True)),
        lambda: of_torch(nn.AdaptiveMaxPool2d(1)),
    ],
}


@pytest.mark.parametrize("kind", ["layers", "onnx", judged("torch")])
def test_they_are_one_circuit(kind: str) -> None:
    first, *others = (circuit(of()) for of in ALIKE[kind])
    assert all(other == first for other in others)


def test_the_least_costs_as_many_comparisons_and_two_negations() -> None:
    def adder_bits(reduction: Reduction) -> int:
        words = netlist(of_layer(Reduce(reduction, (0, 1)))).words
        return sum(word.width for word in words if isinstance(word.cell, AddSub))

    assert adder_bits(Reduction.MIN) < adder_bits(Reduction.MAX) * 1.25
