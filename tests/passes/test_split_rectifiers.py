"""Leaky rectifiers of normalized results in front of quantizers: the same codes, of the lines on both sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import PReLU, ReLU
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.merge import Maximum
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.settings import Settings
from bitsmith.passes.network.split_rectifiers import split_rectifiers

BEFORE, AFTER = Quantizer.uniform(np.float32(0.043), -128, 127), Quantizer.uniform(np.float32(0.071), -100, 127)
LINE = BatchNormalization(as_weights([0.7, -1.3, 0.25]), as_weights([0.5, 0.1, -1.7]))
LEAKY = ReLU(negative_slope=0.1)
FORMAT = Settings({"result": FixedFormat(True, 16, 8, Rounding.RND, Overflow.SAT)})


def network(rectifier: Layer, *quantizers: Quantizer) -> Network:
    """A normalization and a rectifier between quantizers, of which there may be several behind it."""
    nodes = [
        NetworkNode("x", Input((2, 3))),
        NetworkNode("q", Quantize(BEFORE), ("x",)),
        NetworkNode("line", LINE, ("q",)),
        NetworkNode("leaky", rectifier, ("line",)),
        *(NetworkNode(f"r{k}", Quantize(each), ("leaky",)) for k, each in enumerate(quantizers)),
    ]
    return Network(tuple(nodes), ("x",), tuple(node.name for node in nodes[4:]))


def is_split(found: Network) -> bool:
    return any(isinstance(node.layer, Maximum) for node in split_rectifiers(found).nodes)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("rectifier", [LEAKY, ReLU(negative_slope=0.25), PReLU(as_weights([0.125, 0.3, 0.9]))])
def test_every_code_is_that_of_the_rectifier(rectifier: Layer, rounding: Rounding) -> None:
    along = Quantizer.uniform([0.25, 0.1, 0.05], -8, 7, rounding, Overflow.SAT_SYM)
    shifted = Quantizer.uniform(np.float32(0.071), -100, 127, rounding, offset=3.0)
    one = network(rectifier, replace(AFTER, rounding=rounding), along, shifted)
    assert is_split(one)
    codes = np.repeat(np.arange(-128, 128), 6).reshape(-1, 2, 3)
    x = np.rint(codes * 0.043 * 512) / 512
    compiled = compile_network(one)
    found = Emulator(compiled.program).run([x])
    exact = replace(one, nodes=tuple(with_single(node) for node in one.nodes)).evaluate([x])
    for name, values in zip(one.outputs, found, strict=True):
        np.testing.assert_allclose(values, exact[name], rtol=0.0, atol=1e-6)


def with_single(node: NetworkNode) -> NetworkNode:
    """The node with a slope of single precision, as a circuit has it."""
    layer = node.layer
    single = isinstance(layer, ReLU)
    return (
        replace(node, layer=replace(layer, negative_slope=float(np.float32(layer.negative_slope)))) if single else node
    )


@pytest.mark.parametrize("name", ["line", "leaky", "r0"])
def test_formats_of_the_user_are_kept(name: str) -> None:
    one = network(LEAKY, AFTER)
    assert is_split(one)
    nodes = [replace(node, settings=FORMAT) if node.name == name else node for node in one.nodes]
    assert not is_split(one.with_nodes(nodes))


def test_others_stay() -> None:
    one = network(LEAKY, AFTER)
    for other in (
        network(LEAKY, replace(AFTER, overflow=Overflow.WRAP)),
        network(ReLU(), AFTER),
        network(ReLU(negative_slope=2.0), AFTER),
        network(ReLU(negative_slope=-0.1), AFTER),
        network(ReLU(max_value=2.0, negative_slope=0.1), AFTER),
        network(PReLU(as_weights([0.1, 0.0, 0.2])), AFTER),
        network(LEAKY),
        *(replace(one, outputs=("r0", name)) for name in ("line", "leaky")),
        one.with_nodes([*one.nodes, NetworkNode("beside", ReLU(), ("line",))]),
        of_codes(ReLU(negative_slope=0.25)),  # whose products are exact
    ):
        assert not is_split(other)


def of_codes(rectifier: Layer) -> Network:
    """A rectifier of codes themselves, on a grid of eighths before and after it."""
    grid = Quantizer.uniform(0.125, -128, 127)
    nodes = [
        NetworkNode("x", Input((3,))),
        NetworkNode("q", Quantize(grid), ("x",)),
        NetworkNode("leaky", rectifier, ("q",)),
        NetworkNode("r", Quantize(grid), ("leaky",)),
    ]
    return Network(tuple(nodes), ("x",), ("r",))


@pytest.mark.parametrize("slope", [0.1, 0.2, 0.01, 1 / 3])
def test_ties_of_codes_go_to_even_as_in_single_precision(slope: float) -> None:
    x = np.arange(-128, 128).repeat(3).reshape(-1, 3) / 8
    below = np.float32(x) * np.float32(slope)
    expected = np.rint(np.where(x > 0, np.float32(x), below) * 8) / 8
    for rectifier in (ReLU(negative_slope=slope), PReLU(as_weights(np.float32([slope] * 3)))):
        one = of_codes(rectifier)
        assert is_split(one)
        (found,) = Emulator(compile_network(one).program).run([x])
        np.testing.assert_array_equal(found, expected)
