"""Folds scales of features into the thresholds of trees that read them, as where a pipeline normalizes its inputs.

Before: ``batch normalization -> trees``, with positive scales. After: ``identity -> trees``, of which each threshold is the
number that the normalization turns into it. Only of trees without sets, where nothing else reads the normalization, and no
precision is given for it.
"""

from __future__ import annotations

from dataclasses import replace

from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.shape import Identity
from bitsmith.layers.trees import Trees


def fold_thresholds(network: Network) -> Network:
    """``network`` with such normalizations folded."""
    nodes = {node.name: node for node in network.nodes}
    for node in network.nodes:
        trees, before = node.layer, nodes[node.inputs[0]] if node.inputs else node
        scaled = before.layer
        if not isinstance(trees, Trees) or not isinstance(scaled, BatchNormalization) or trees.thresholds.shape[1] > 1:
            continue
        seen = len(network.consumers(before.name)) > 1 or before.name in network.outputs or before.settings.trace
        if seen or before.settings.precision or before.quantizers or not (scaled.scale > 0).all():
            continue
        own = (scaled.offset[trees.features], scaled.scale[trees.features])
        layer = replace(trees, thresholds=as_weights((trees.thresholds - own[0][:, None]) / own[1][:, None]))
        nodes[node.name] = replace(nodes[node.name], layer=layer)
        nodes[before.name] = replace(before, layer=Identity(), folded=True)
    return network.with_nodes([nodes[node.name] for node in network.nodes])
