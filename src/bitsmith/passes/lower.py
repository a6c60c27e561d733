"""Network -> core program: each layer lowers itself."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from bitsmith.ir.builder import Builder, Value
from bitsmith.ir.program import Program
from bitsmith.layers.lowering import Lowering, Observed
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.order import inverse


def lower(network: Network, observed: Mapping[str, Observed]) -> Program:
    """The core program of ``network``; its probes are the layers' results by the user's names.

    Raises:
        RangeError: exact values wider than supported, naming the layer.
        UnsupportedError: a layer that cannot be translated faithfully.
    """
    builder = Builder()
    values: dict[str, Value] = {}
    readers: dict[str, list[bool]] = {node.name: [] for node in network.nodes}
    for node in network.nodes:
        for name in node.inputs:
            readers[name].append(node.layer.jumps)
    for node in network.nodes:
        exact = bool(readers[node.name]) and all(readers[node.name]) and node.name not in network.outputs
        lowering = Lowering(node.name, builder, node.settings, observed[node.name], exact)
        with builder.layer(node.name):
            values[node.name] = node.layer.lower(lowering, [values[name] for name in node.inputs])
    seen = {node.name: _in_model(builder, node, values[node.name]) for node in network.nodes}
    probes = [(node.name, seen[node.name]) for node in network.nodes if not node.folded]
    outputs = [(name, seen[node]) for name, node in zip(_distinct(network.outputs), network.outputs, strict=True)]
    return builder.program(outputs, probes)


def _in_model(builder: Builder, node: NetworkNode, result: Value) -> Value:
    """The result as it is in the user's model."""
    if node.order is None:
        return result
    back = inverse(node.order)
    with builder.layer(node.name):
        return builder.gather(result, back, 0) if len(result.shape) == 1 else builder.transpose(result, back)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number behind where one comes again (a model may return the same tensor twice)."""
    taken: list[str] = []
    for name in names:
        candidates = itertools.chain([name], (f"{name}_{k}" for k in itertools.count(1)))
        taken.append(next(c for c in candidates if c not in taken and (c == name or c not in names)))
    return taken
