"""Network -> core program: each layer lowers itself."""

from __future__ import annotations

from collections.abc import Mapping

from bitsmith.ir.builder import Builder, Value
from bitsmith.ir.program import Program
from bitsmith.layers.lowering import Lowering, Observed
from bitsmith.layers.network import Network


def lower(network: Network, observed: Mapping[str, Observed]) -> Program:
    """The core program of ``network``; its probes are the layers' results by the user's names.

    Raises:
        RangeError: exact values wider than supported, naming the layer.
        UnsupportedError: a layer that cannot be translated faithfully.
    """
    builder = Builder()
    values: dict[str, Value] = {}
    for node in network.nodes:
        lowering = Lowering(node.name, builder, node.settings, observed[node.name])
        with builder.layer(node.name):
            values[node.name] = node.layer.lower(lowering, [values[name] for name in node.inputs])
    probes = [(node.name, values[node.name]) for node in network.nodes if not node.folded]
    return builder.program([(name, values[name]) for name in network.outputs], probes)
