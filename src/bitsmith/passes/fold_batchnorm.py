"""Folds batch normalisation into the dense layer before it.

Before: ``dense -> batch normalisation``. After: ``dense`` with scaled weights ``-> identity`` under the normalisation's name,
which keeps the normalisation's result precision. Only where the dense layer's own result is not observable: it has no other
consumer, is no output, and its result and accumulator precision are auto, and so are the normalisation's weights.
"""

from __future__ import annotations

from dataclasses import replace

from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.shape import Identity


def fold_batchnorm(network: Network) -> Network:
    """``network`` with foldable batch normalisations folded."""
    nodes = {node.name: node for node in network.nodes}
    shapes = network.shapes()
    for node in network.nodes:
        if not isinstance(node.layer, BatchNormalization) or {"scale", "bias"} & set(node.settings.precision):
            continue
        before = nodes[node.inputs[0]]
        last_axis = node.layer.axis in (-1, len(shapes[node.name]) - 1)
        if isinstance(before.layer, Dense) and last_axis and _only_feeds(network, before, node):
            nodes[before.name] = replace(before, layer=_scaled(before.layer, node.layer), folded=True)
            nodes[node.name] = replace(node, layer=Identity())
    return network.with_nodes([nodes[node.name] for node in network.nodes])


def _only_feeds(network: Network, dense: NetworkNode, normalisation: NetworkNode) -> bool:
    return (
        [consumer.name for consumer in network.consumers(dense.name)] == [normalisation.name]
        and dense.name not in network.outputs
        and not {"result", "accum"} & set(dense.settings.precision)
        and not dense.settings.trace
    )


def _scaled(dense: Dense, normalisation: BatchNormalization) -> Dense:
    bias = normalisation.offset
    if dense.bias is not None:
        bias = bias + dense.bias * normalisation.scale
    return Dense(as_weights(dense.kernel * normalisation.scale), as_weights(bias))
