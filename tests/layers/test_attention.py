"""Attention as a network of its layers: all executions agree, masked entries count for nothing, and the order of scores stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.einsum import Einsum, EinsumDense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings
from bitsmith.layers.softmax import Softmax
from bitsmith.model.serialization import SavedModel, encode, load, weights_path
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.lowered import network_of, run


def attention(positions: int, width: int, heads: int, size: int, *, causal: bool, bits: int = 8) -> Network:
    """Multi-head self-attention with random weights of a few bits."""
    rng = np.random.default_rng(positions + heads)
    mask = as_weights(np.tri(positions)) if causal else None
    small = FixedFormat(True, bits, bits - 3, Rounding.RND, Overflow.SAT)
    formats = {"weight": FixedFormat(True, 5, 3), "result": small}

    def projection(name: str, equation: str, source: str, *shape: int) -> NetworkNode:
        layer = EinsumDense(equation, as_weights(rng.normal(0, 0.5, shape)), as_weights(rng.normal(0, 0.5, shape[1:])))
        return NetworkNode(name, layer, (source,), settings=Settings(formats))

    inner = [projection(name, "ix,xhd->ihd", "x", width, heads, size) for name in ("query", "key", "value")]
    scores = Einsum("ihd,jhd->hij", size**-0.5)
    output = EinsumDense("ihd,hdx->ix", as_weights(rng.normal(0, 0.5, (heads, size, width))))
    nodes = (
        NetworkNode("x", Input((positions, width)), settings=Settings({"result": small})),
        *inner,
        NetworkNode("scores", scores, ("query", "key"), settings=Settings({"result": small})),
        NetworkNode("softmax", Softmax(-1, mask), ("scores",), settings=Settings({"result": FixedFormat(False, 8, 8)})),
        NetworkNode("context", Einsum("hij,jhd->ihd"), ("softmax", "value"), settings=Settings({"result": small})),
        NetworkNode("output", output, ("context",), settings=Settings(formats)),
    )
    return Network(nodes, ("x",), ("output",))


@pytest.mark.parametrize("causal", [False, True])
def test_executions_agree(causal: bool) -> None:
    assert_exact(attention(3, 2, 2, 2, causal=causal), samples=4)


@settings(max_examples=7)
@given(st.integers(2, 6), st.integers(0, 999), st.integers(1, 6), st.integers(4, 10))
def test_probabilities_keep_the_order_of_scores(size: int, seed: int, integer: int, bits: int) -> None:
    """A greater score never has the lesser probability, among those that the mask keeps."""
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 2, (3, size))
    mask[:, rng.integers(size)] = 1
    network = network_of(
        Softmax(-1, as_weights(mask)), [(3, size)], formats={0: FixedFormat(True, bits, bits - integer)}
    )
    outcome = run(network, seed, samples=8)
    assert not outcome.fixed[:, mask == 0].any()
    for probabilities, reference in zip(outcome.fixed.reshape(-1, size), outcome.real.reshape(-1, size), strict=True):
        order = np.argsort(reference, kind="stable")
        assert (np.diff(probabilities[order]) >= 0.0).all()


def test_saving_keeps_the_layers(tmp_path: Path) -> None:
    network = attention(3, 2, 2, 2, causal=True)
    program = assert_exact(network, samples=2, netlist=False)
    text, arrays = encode(SavedModel(network, program, {}, ()))
    path = tmp_path / "saved.json"
    path.write_text(text)
    np.savez(weights_path(path), **arrays)
    x = [np.random.default_rng(0).normal(size=(4, 3, 2))]
    np.testing.assert_array_equal(load(path).network.evaluate(x)["output"], network.evaluate(x)["output"])


@pytest.mark.slow
@pytest.mark.ci
def test_compiled(tmp_path: Path) -> None:
    assert_compiled(
        {"causal": attention(3, 2, 2, 2, causal=True), "full": attention(2, 2, 1, 3, causal=False)}, tmp_path
    )


@pytest.mark.slow
def test_simulated(tmp_path: Path) -> None:
    assert_simulated(attention(3, 2, 2, 2, causal=True, bits=6), tmp_path)
