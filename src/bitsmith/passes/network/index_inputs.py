"""Inputs that only embeddings read hold indices: their format comes from the size of the tables.

Before: an input that the framework describes at most as an integer; after: ``Input(entries=n)``, unsigned, of as few bits as
the largest of the tables needs. Layers on the way that only move elements are followed.
"""

from __future__ import annotations

from dataclasses import replace

from bitsmith.layers.embedding import Embedding
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network, NetworkNode


def index_inputs(network: Network) -> Network:
    """``network`` with the number of indices noted on the inputs that hold indices."""
    return network.with_nodes([_noted(network, node) for node in network.nodes])


def _noted(network: Network, node: NetworkNode) -> NetworkNode:
    if not isinstance(node.layer, Input):
        return node
    entries = _entries(network, node.name)
    return node if entries is None else replace(node, layer=replace(node.layer, entries=entries))


def _entries(network: Network, name: str) -> int | None:
    """The number of indices that readers of ``name`` distinguish; None if one of them, or the user, reads it as a number."""
    readers = network.consumers(name)
    if not readers or name in network.outputs:
        return None
    found: list[int] = []
    for reader in readers:
        match reader.layer:
            case Embedding() as embedding:
                entries: int | None = embedding.entries
            case layer if layer.traits.moves and "result" not in reader.settings.precision:
                entries = _entries(network, reader.name)
            case _:
                entries = None
        if entries is None:
            return None
        found.append(entries)
    return max(found)
