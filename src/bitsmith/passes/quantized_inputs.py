"""Inputs that all their readers quantize alike have the format of that quantizer: the circuit's port is as narrow as it can be.

Before: an input without a format of its own or of the user's, read by :class:`Quantize` layers alone, which have one
fixed-point quantizer; after: ``Input(quantizer=...)``, and identities.
"""

from __future__ import annotations

from dataclasses import replace

from bitsmith.layers.input import Input
from bitsmith.layers.network import Network
from bitsmith.layers.quantize import Quantize
from bitsmith.layers.quantizer import Quantizer
from bitsmith.layers.shape import Identity


def quantized_inputs(network: Network) -> Network:
    """``network`` with quantizers moved into the inputs."""
    moved = {
        node.name: quantizer
        for node in network.nodes
        if isinstance(node.layer, Input)
        and node.layer.limits is None
        and "result" not in node.settings.precision
        and (quantizer := _common(network, node.name)) is not None
    }
    nodes = []
    for node in network.nodes:
        if node.name in moved and isinstance(node.layer, Input):
            nodes.append(replace(node, layer=replace(node.layer, quantizer=moved[node.name])))
        elif isinstance(node.layer, Quantize) and moved.keys() & set(node.inputs):
            nodes.append(replace(node, layer=Identity()))
        else:
            nodes.append(node)
    return network.with_nodes(nodes)


def _common(network: Network, name: str) -> Quantizer | None:
    """The quantizer that all readers of ``name`` are; None if there is no such one."""
    readers = network.consumers(name)
    if name in network.outputs or not readers:
        return None
    first = readers[0].layer
    if not isinstance(first, Quantize) or first.quantizer.fracs is None or not first.quantizer.keeps_scale:
        return None
    same = all(
        isinstance(reader.layer, Quantize)
        and reader.layer.quantizer.is_same(first.quantizer)
        and "result" not in reader.settings.precision
        for reader in readers
    )
    return first.quantizer if same else None
