"""Folds scales of features into the thresholds of a layer that compares them, as where a pipeline normalizes its inputs.

Before: ``batch normalization -> trees``, with positive scales. After: ``identity -> trees``, of which each threshold is the
number that the normalization turns into it. Only where nothing else reads the normalization, no precision is given for it, and
the layer has such thresholds: trees with sets have none.
"""

from __future__ import annotations

from dataclasses import replace

from bitsmith.layers.comparing import Comparing
from bitsmith.layers.network import Network
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.shape import Identity


def fold_thresholds(network: Network) -> Network:
    """``network`` with such normalizations folded."""
    nodes = {node.name: node for node in network.nodes}
    for node in network.nodes:
        before = nodes[node.inputs[0]] if node.inputs else node
        scaled = before.layer
        if not isinstance(node.layer, Comparing) or not isinstance(scaled, BatchNormalization):
            continue
        seen = len(network.consumers(before.name)) > 1 or before.name in network.outputs or before.settings.trace
        if seen or before.settings.precision or before.quantizers or not (scaled.scale > 0).all():
            continue
        layer = node.layer.before_scales(scaled.scale, scaled.offset)
        if layer is not None:
            nodes[node.name] = replace(nodes[node.name], layer=layer)
            nodes[before.name] = replace(before, layer=Identity(), folded=True)
    return network.with_nodes([nodes[node.name] for node in network.nodes])
