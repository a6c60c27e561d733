"""Inputs whose scale the model states: what it multiplies them by and adds to them at once makes ordinary numbers of them.

Before: an input about which nothing is known, read by a batch normalization, a rescaling, or other products with and sums of
constants alone. After: ``Input(center=..., spread=...)``, of the features that become 0, and that far from 0 as 1.
"""

from dataclasses import dataclass, replace

import numpy as np

from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settled import line_of

_MOST = 2.0**24
"""A center or a spread that is as many times another one, or 1, says nothing of a format."""


@dataclass(frozen=True, slots=True)
class _Scaled:
    """Elements of an input, which have numbers ``of``, after layers: ``x * scale + offset``; all have one shape."""

    of: Floats
    scale: Floats
    offset: Floats


def stated_scales(network: Network) -> Network:
    """``network`` with the scales of inputs that it states."""
    shapes = network.shapes()
    nodes = []
    for node in network.nodes:
        if node.name in network.unknown_inputs() and not network.input(node.name).integer:
            shape = shapes[node.name]
            size = int(np.prod(shape))
            start = _Scaled(np.arange(size, dtype=np.float64).reshape(shape), np.ones(shape), np.zeros(shape))
            scaled = _followed(network, node.name, start)
            node = node if scaled is None else _stated(network, node, scaled)
        nodes.append(node)
    return network.with_nodes(nodes)


def _followed(network: Network, name: str, scaled: _Scaled) -> _Scaled | None:
    """Return a tensor after products and sums with constants, before anything else reads it.

    None: nothing else does. The scale of outputs says nothing of inputs.
    """
    if name in network.outputs:
        return None
    readers = network.consumers(name)
    if len(readers) != 1 or readers[0].settings.precision:
        return scaled
    (reader,) = readers
    if reader.layer.traits.keeps:
        of, scale, offset = (reader.layer.reference([x[None]])[0] for x in (scaled.of, scaled.scale, scaled.offset))
        return _followed(network, reader.name, _Scaled(of, scale, offset))
    line = line_of(network, reader, name, scaled.of.shape)
    if line is None:
        return scaled
    factor, zeros = line
    return _followed(network, reader.name, _Scaled(scaled.of, scaled.scale * factor, scaled.offset * factor + zeros))


def _stated(network: Network, node: NetworkNode, scaled: _Scaled) -> NetworkNode:
    """The input with the center and the spread of its channels, if these say anything."""
    with np.errstate(all="ignore"):
        spread, center = (np.empty(scaled.of.size) for _ in range(2))
        order = scaled.of.astype(np.int64).reshape(-1)
        spread[order] = 1.0 / np.abs(scaled.scale).reshape(-1)
        center[order] = (-scaled.offset / scaled.scale).reshape(-1)
        shape = network.input(node.name).shape
        channels = shape[-1] if shape else 1
        exponent = np.log2(spread.reshape(-1, channels)).mean(axis=0)
        center = np.take(center, np.abs(center.reshape(-1, channels)).argmax(axis=0) * channels + np.arange(channels))
    usable, spread = bool(np.all(np.isfinite(exponent) & np.isfinite(center))), np.exp2(exponent)
    if not usable or max(spread.max(), 1.0 / spread.min(), np.abs(center / spread).max()) > _MOST:
        return node
    if bool(np.all(spread == 1.0)) and bool(np.all(np.abs(center) <= 1.0)):
        return node
    layer = replace(network.input(node.name), center=as_weights(center), spread=as_weights(spread))
    return replace(node, layer=layer)
