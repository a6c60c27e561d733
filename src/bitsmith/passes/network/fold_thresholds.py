"""Folds scales of features into the thresholds of a layer that compares them, as where a pipeline normalizes its inputs.

Before: ``batch normalizations -> layer``, with positive scales. After: ``identities -> layer``, of which each threshold is the
greatest number that the normalizations turn into it or less, as a framework computes them: in single precision, step by step.
Only where nothing else reads the normalizations, no precision is given for them, and the layer has such thresholds: trees with
sets have none.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from bitsmith.layers.comparing import Comparing, Features
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.shape import Identity


def fold_thresholds(network: Network) -> Network:
    """``network`` with such normalizations folded."""
    nodes = {node.name: node for node in network.nodes}
    for node in network.nodes:
        scaling = _scaling(network, node) if isinstance(node.layer, Comparing) else []
        if not isinstance(node.layer, Comparing) or not scaling:
            continue
        steps = [each.layer for each in reversed(scaling) if isinstance(each.layer, BatchNormalization)]
        layer = node.layer.before_scales(partial(_scaled, steps))
        if layer is not None:
            nodes[node.name] = replace(node, layer=layer)
            nodes.update((each.name, replace(each, layer=Identity(), folded=True)) for each in scaling)
    return network.with_nodes([nodes[node.name] for node in network.nodes])


def _scaling(network: Network, node: NetworkNode) -> list[NetworkNode]:
    """The normalizations of each feature by itself that trees alone read, the last first."""
    scaling = list[NetworkNode]()
    while node.inputs:
        node = network.node(node.inputs[0])
        layer = node.layer
        seen = len(network.consumers(node.name)) > 1 or node.name in network.outputs or node.settings.trace
        if seen or node.settings.precision or node.quantizers:
            break
        if not isinstance(layer, Identity) and not (isinstance(layer, BatchNormalization) and (layer.scale > 0).all()):
            break
        scaling.append(node)
    while scaling and isinstance(scaling[-1].layer, Identity):
        scaling.pop()
    return scaling


def _scaled(steps: Sequence[BatchNormalization], features: Features, numbers: Floats) -> Floats:
    """The ``features`` that numbers become, one each."""
    numbers = _single(numbers)
    for step in steps:
        numbers = _single(_single(numbers * step.scale[features]) + step.offset[features])
    return numbers


def _single(numbers: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32).astype(np.float64)
