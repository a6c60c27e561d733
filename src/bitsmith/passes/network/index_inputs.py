"""Inputs that only embeddings read hold indices: their format comes from the size of the tables.

Before: an input that the framework describes at most as an integer; after: ``Input(entries=n)``, unsigned, of as few bits as
the largest of the tables needs. Layers on the way that only move elements are followed. Comparisons with an index, as those of
masks with 0, may read the input, too.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.logic import Comparison
from bitsmith.layers.network import Network, NetworkNode


@dataclass(frozen=True, slots=True, eq=False)
class LookUp:
    """The ``layer`` that looks up one of so many ``rows`` by each of the elements of an input at the ``places``, counted flat."""

    layer: str
    rows: int
    places: npt.NDArray[np.int64]


def index_inputs(network: Network) -> Network:
    """``network`` with the number of indices noted on the inputs that hold indices."""
    return network.with_nodes([_noted(network, node) for node in network.nodes])


def look_ups(network: Network) -> Mapping[str, Sequence[LookUp]]:
    """The look-ups of rows by elements of inputs, by input."""
    shapes = {node.name: node.layer.shape for node in network.nodes if isinstance(node.layer, Input)}
    places = {name: np.arange(float(math.prod(shape))).reshape(1, *shape) for name, shape in shapes.items()}
    return {name: tuple(_look_ups(network, name, own)) for name, own in places.items()}


def _look_ups(network: Network, name: str, places: Floats) -> Iterator[LookUp]:
    """The look-ups of a node, whose elements are those of an input at the ``places``."""
    for reader in network.consumers(name):
        if (indices := reader.layer.traits.indices) is not None:
            yield LookUp(reader.name, indices.stop, places.astype(np.int64).ravel())
        elif reader.layer.traits.moves and len(reader.inputs) == 1:
            yield from _look_ups(network, reader.name, reader.layer.reference([places]))


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
    sizes: list[int] = []
    for reader in readers:
        if _compares_indices(network, reader):
            continue
        traits, entries = reader.layer.traits, None
        if traits.indices is not None:
            entries = traits.indices.stop
        elif traits.moves and "result" not in reader.settings.precision:
            entries = _entries(network, reader.name)
        if entries is None:
            return None
        sizes.append(entries)
    return max(sizes, default=None)


def _compares_indices(network: Network, reader: NetworkNode) -> bool:
    """True of comparisons with constants that are integers from 0 up."""
    constants = [layer.value for name in reader.inputs if isinstance(layer := network.node(name).layer, Constant)]
    return isinstance(reader.layer, Comparison) and any(bool(np.all(np.floor(abs(some)) == some)) for some in constants)
