"""Scales of features within thresholds: the same decisions, from an input whose format the thresholds say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.ir import ops
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.shape import Identity
from bitsmith.layers.trees import EXAMPLES, Trees
from bitsmith.passes.network.fold_thresholds import fold_thresholds


def _network(scale: list[float], *outputs: str) -> Network:
    trees = EXAMPLES[0].layer
    assert isinstance(trees, Trees)
    trees = replace(trees, thresholds=as_weights([[0.25], [-0.5], [1.0]]))
    normal = BatchNormalization(as_weights(scale), as_weights([-3.0, 1.0]))
    nodes = (
        NetworkNode("x", Input((2,))),
        NetworkNode("normal", normal, ("x",)),
        NetworkNode("trees", trees, ("normal",)),
    )
    return Network(nodes, ("x",), (*outputs, "trees"))


def test_decisions_stay() -> None:
    network = _network([0.25, 0.001])
    folded = fold_thresholds(network)
    assert isinstance(folded.node("normal").layer, Identity) and folded.node("normal").folded
    x = np.random.default_rng(0).normal(size=(500, 2)) * [8, 3000]
    wanted = network.evaluate([x])["trees"]
    np.testing.assert_array_equal(folded.evaluate([x])["trees"], wanted)
    program = compile_network(network, [x]).program
    np.testing.assert_array_equal(Emulator(program).run([x])[0], wanted)
    (entry,) = (node for node in program.nodes if isinstance(node.op, ops.Input))
    assert entry.type.max_width <= 17, "steps as fine as the thresholds need, whatever the features' scales"


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_decisions_are_those_of_single_precision_at_ties(seed: int, steps: int) -> None:
    """Of data that are scaled onto thresholds, or next to them, as where trees were trained on data of few digits."""
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(200, 2)), int(rng.integers(1, 4))).astype(np.float32) * np.float32([1.0, 100.0])
    known = rng.choice([1e-3, 0.1, 1.0, 30.0], (steps, 2)) * rng.uniform(0.5, 1.0, (steps, 2))
    scales, offsets = known.astype(np.float32), rng.normal(size=(steps, 2)).astype(np.float32)
    scaled = x
    for scale, offset in zip(scales, offsets, strict=True):
        scaled = scaled * scale + offset
    trees = EXAMPLES[0].layer
    assert isinstance(trees, Trees) and scaled.dtype == np.float32
    thresholds = np.array([rng.choice(scaled[:, feature]) for feature in trees.features], np.float64)
    trees = replace(trees, thresholds=thresholds[:, None])
    nodes = [NetworkNode("x", Input((2,)))]
    for number, (scale, offset) in enumerate(zip(scales, offsets, strict=True)):
        normal = BatchNormalization(as_weights(scale), as_weights(offset))
        nodes.append(NetworkNode(f"n{number}", normal, (nodes[-1].name,)))
    network = Network((*nodes, NetworkNode("trees", trees, (nodes[-1].name,))), ("x",), ("trees",))
    folded = fold_thresholds(network)
    assert all(isinstance(node.layer, Identity) for node in folded.nodes[1:-1])
    found = folded.evaluate([x.astype(np.float64)])["trees"]
    np.testing.assert_array_equal(found, trees.reference([scaled.astype(np.float64)]))


def test_normalizations_stay_that_others_read_or_that_turn_the_order_around() -> None:
    for network in (_network([0.25, 0.001], "normal"), _network([0.25, -0.5])):
        assert fold_thresholds(network).node("normal") is network.node("normal")
