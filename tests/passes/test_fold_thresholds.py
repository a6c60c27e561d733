"""Scales of features within thresholds: the same decisions, from an input whose format the thresholds say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

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


def test_normalizations_stay_that_others_read_or_that_turn_the_order_around() -> None:
    for network in (_network([0.25, 0.001], "normal"), _network([0.25, -0.5])):
        assert fold_thresholds(network).node("normal") is network.node("normal")
