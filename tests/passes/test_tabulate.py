"""Functions in front of quantizers are codes; inputs of quantizers hold all that these tell apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import Activation
from bitsmith.layers.dense import Dense
from bitsmith.layers.functions import FUNCTIONS
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.lookup import Lookup, Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.settings import Binning, Settings
from bitsmith.layers.shape import Flatten, Permute, Reshape
from bitsmith.passes.network.quantized_inputs import quantized_inputs
from bitsmith.passes.network.tabulate import tabulate

WIDE = Quantizer.uniform(2.0**-10, -(1 << 20), 1 << 20)
BEFORE, AFTER = Quantizer.uniform(np.float32(0.043), -100, 155), Quantizer.uniform(np.float32(0.0071), -128, 127)


def network(*layers: Layer, outputs: tuple[str, ...] = ()) -> Network:
    """Layers named ``n0``, ``n1``, ..., one after the other."""
    names = ["x", *(f"n{k}" for k in range(len(layers)))]
    nodes = [NetworkNode(name, layer, (before,)) for name, layer, before in zip(names[1:], layers, names, strict=False)]
    return Network((NetworkNode("x", Input((2, 3))), *nodes), ("x",), outputs or (names[-1],))


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("function", ["sigmoid", "tanh", "exponential", "gelu", "silu"])
def test_every_code_is_that_of_the_function(function: str, moved: bool) -> None:
    """Where its results move before they are quantized, too."""
    moves = [Flatten(), Reshape((3, 2))] * moved
    one = network(Quantize(BEFORE), Permute((1, 0)), Activation(function), *moves, Quantize(AFTER))
    codes = np.resize(np.arange(-100, 156), (43, 6)).reshape(43, 2, 3)
    x = np.rint(codes * 0.043 * 512) / 512
    compiled = compile_network(one)
    found = next(node for node in compiled.network.nodes if node.name == "n2")
    assert isinstance(found.layer, Lookup)
    values = Emulator(compiled.program).run([x])
    want = AFTER.applied(Activation(function).reference([BEFORE.applied(x).transpose(0, 2, 1)]))
    np.testing.assert_array_equal(values[0].astype(np.float32), want.astype(np.float32))
    np.testing.assert_array_equal(*(each.evaluate([x])[one.outputs[0]] for each in (one, tabulate(one))))


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_codes_of_functions_are_exact_whatever_the_operand(function: str) -> None:
    """It has two million codes; those beside the places are looked at where the code of the function changes."""
    after = Quantizer.uniform(np.float32(0.0171), -128, 127)
    one = network(Quantize(WIDE), Permute((1, 0)), Activation(function), Flatten(), Quantize(after))
    found = next(node.layer for node in tabulate(one).nodes if node.name == "n2")
    assert isinstance(found, Staircase)
    places = np.rint(np.ldexp(found.thresholds[np.abs(found.thresholds) < 1000.0], 10))
    codes = np.concatenate([*(places + k for k in (-1, 0, 1)), np.arange(-(1 << 20), 1 << 20, 1 << 15)])
    x = np.ldexp(np.resize(codes, (-(-codes.size // 6), 2, 3)), -10)
    (values,) = Emulator(compile_network(one).program).run([x])
    want = after.applied(Activation(function).reference([WIDE.applied(x).transpose(0, 2, 1)]))
    np.testing.assert_array_equal(values.astype(np.float32), want.reshape(values.shape).astype(np.float32))
    np.testing.assert_array_equal(*(each.evaluate([x])[one.outputs[0]] for each in (one, tabulate(one))))


def test_each_of_several_quantizers_has_exact_codes() -> None:
    """One that wraps, and an output, have the function by the rules of auto."""
    others = Quantizer.uniform(np.float32(0.3), -4, 3, Rounding.TRN), replace(AFTER, overflow=Overflow.WRAP)
    one = network(Quantize(WIDE), Activation("tanh"), Quantize(AFTER))
    more = [NetworkNode(f"m{k}", Quantize(each), ("n1",)) for k, each in enumerate(others)]
    both = replace(one, nodes=(*one.nodes, *more), outputs=("n1", "n2", "m0", "m1"))
    kinds = {node.name: type(node.layer) for node in tabulate(both).nodes}
    assert kinds["n1"] is Activation and kinds["n2_codes"] is kinds["m0_codes"] is Staircase and "m1_codes" not in kinds
    x = np.ldexp(np.arange(-6000.0, 6000.0).reshape(-1, 2, 3), -10)
    found, wanted = Emulator(compile_network(both).program).run([x]), both.evaluate([x])
    for name, values in list(zip(both.outputs, found, strict=True))[1:3]:
        np.testing.assert_array_equal(values.astype(np.float32), wanted[name].astype(np.float32))


@pytest.mark.parametrize("kept", [{"table_size": 64}, {"table_range": (-2.0, 2.0)}, {"binning": Binning.FLOOR}])
def test_tables_of_the_user_are_kept(kept: dict[str, Any]) -> None:
    one = network(Quantize(WIDE), Activation("tanh"), Quantize(AFTER))
    nodes = [replace(node, settings=Settings(**kept)) if node.name == "n1" else node for node in one.nodes]
    assert any(isinstance(node.layer, Staircase) for node in tabulate(one).nodes)
    assert not any(isinstance(node.layer, Staircase) for node in tabulate(one.with_nodes(nodes)).nodes)


def test_others_stay() -> None:
    channels = Quantizer.uniform([0.1, 0.2, 0.3], -8, 7)
    sigmoid = Activation("sigmoid")
    for one in (
        network(Dense(as_weights(np.eye(3) / 3), None), sigmoid, Quantize(AFTER)),
        network(Quantize(WIDE), sigmoid, Quantize(replace(AFTER, overflow=Overflow.WRAP))),
        network(Quantize(WIDE), sigmoid, Quantize(Quantizer.uniform(2.0**-13, -(1 << 13), 1 << 13))),
        network(Quantize(BEFORE), sigmoid, Quantize(channels)),
        network(Quantize(BEFORE), sigmoid),
        network(Quantize(BEFORE), sigmoid, Flatten(), Quantize(AFTER), outputs=("n1", "n3")),
        network(Quantize(BEFORE), sigmoid, sigmoid, Quantize(AFTER)),
        network(Quantize(BEFORE), sigmoid, Flatten(), Quantize(AFTER), outputs=("n2", "n3")),
        network(Quantize(BEFORE), sigmoid, Flatten()),
    ):
        assert [type(node.layer) for node in tabulate(one).nodes] == [type(node.layer) for node in one.nodes]


@pytest.mark.parametrize("more", [0, 1])
def test_tables_have_the_codes_of_16_bits_at_most(more: int) -> None:
    quantizer = Quantizer.uniform(2.0**-12, -(1 << 15), (1 << 15) - 1 + more)
    found = tabulate(network(Quantize(quantizer), Activation("sigmoid"), Quantize(AFTER))).nodes
    assert any(isinstance(node.layer, Lookup) for node in found) is not bool(more)


def test_formats_of_the_user_are_kept() -> None:
    one = network(Quantize(BEFORE), Activation("sigmoid"), Quantize(AFTER))
    settings = Settings({"result": FixedFormat(True, 8, 4, Rounding.RND, Overflow.SAT)})
    for number in range(1, 4):
        nodes = [replace(node, settings=settings) if k == number else node for k, node in enumerate(one.nodes)]
        assert not any(isinstance(node.layer, Lookup) for node in tabulate(one.with_nodes(nodes)).nodes)


def test_inputs_hold_what_their_quantizers_tell_apart() -> None:
    other = Quantizer.uniform(0.3, -300, 300)
    one = network(Quantize(BEFORE))
    both = replace(one, nodes=(*one.nodes, NetworkNode("y", Quantize(other), ("x",))), outputs=("n0", "y"))
    (entry, *readers) = quantized_inputs(both).nodes
    assert isinstance(entry.layer, Input)
    found = entry.layer.quantizer
    assert found is not None
    assert found.format == FixedFormat(True, 21, 13, Rounding.RND, Overflow.SAT)
    assert [type(node.layer) for node in readers] == [Quantize, Quantize]


def test_inputs_of_quantizers_that_wrap_are_as_others() -> None:
    wraps = Quantizer.uniform(0.3, -8, 7, overflow=Overflow.WRAP)
    for one in (network(Quantize(wraps)), network(Quantize(BEFORE), outputs=("x", "n0"))):
        entry = quantized_inputs(one).nodes[0]
        assert isinstance(entry.layer, Input)
        assert entry.layer.quantizer is None
