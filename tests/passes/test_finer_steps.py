"""Finer steps of inputs and results are those of the rule, with so many bits more."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith import compiler
from bitsmith.compiler import compile_network
from bitsmith.layers.activation import ReLU
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.settings import Bits, Settings
from bitsmith.passes.network.finer_steps import Finer, with_finer_steps


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_inputs_have_so_many_bits_more(shape: tuple[int, ...]) -> None:
    nodes = (NetworkNode("x", Input(shape)), NetworkNode("y", ReLU(), ("x",)))
    network = Network(nodes, ("x",), ("y",))
    (plain,), (finer,) = (
        compile_network(with_finer_steps(network, {}, Finer(inputs=more))).program.input_ops() for more in (0, 3)
    )
    np.testing.assert_array_equal(finer.frac, plain.frac + 3)
    assert finer.shape == plain.shape == shape


@pytest.mark.parametrize(
    ("settings", "sought"),
    [
        (Settings(), True),
        (Settings(bits=Bits(8, 8)), False),
        (Settings(bits=Bits(16, 9)), False),
        (Settings(widest=24), False),
    ],
)
def test_steps_are_sought_where_the_user_gives_no_budget(
    settings: Settings, sought: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Finer()
    monkeypatch.setattr(compiler, "finer_for_scales", lambda *given: found)
    nodes = (NetworkNode("x", Input((2,))), NetworkNode("y", ReLU(), ("x",), settings=settings))
    assert (compiler._finer(Network(nodes, ("x",), ("y",)), lambda finer: pytest.fail("not asked")) is found) == sought


@pytest.mark.parametrize("more", [0, 1, 3, 30])
@pytest.mark.parametrize("bits", [8, 20, 22, 23, 24, 26])
def test_grids_of_the_circuit_s_own_have_24_bits_at_most(bits: int, more: int) -> None:
    """Unless they have more already."""
    grid = Quantizer.uniform(2.0 ** (1 - bits), -(1 << bits - 1), (1 << bits - 1) - 1)
    x = NetworkNode("x", Input((3,), quantizer=grid, rounds=True))
    network = Network((x, NetworkNode("y", ReLU(), ("x",))), ("x",), ("y",))
    found = with_finer_steps(network, {}, Finer(inputs=more)).input("x").quantizer
    assert found is not None
    finer = min(more, max(24 - bits, 0))
    assert int(found.bits.max()) == bits + finer and float(found.scale) == float(grid.scale) / 2**finer
