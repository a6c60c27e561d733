"""Padding by -inf, or as good as that, in front of max pooling becomes the pooling's own, which is never the greatest element.

Before: ``Pad(value=-inf) -> permute -> MaxPool``. After: ``identity -> permute -> MaxPool(padding=...)``.
"""

from dataclasses import replace

from bitsmith.errors import UnsupportedError
from bitsmith.layers.layer import Layer
from bitsmith.layers.network import Network
from bitsmith.layers.pooling import MaxPool
from bitsmith.layers.resample import Pad, PadMode, Pairs
from bitsmith.layers.shape import Identity, Permute
from bitsmith.passes.network.masks import LEAST


def fold_padding(network: Network) -> Network:
    """``network`` without padding by -inf.

    Raises:
        UnsupportedError: something else than max pooling along the padded axes reads it, or a window sees nothing else.
    """
    layers: dict[str, Layer] = {}
    shapes = network.shapes()
    for node in network.nodes:
        if isinstance(node.layer, Pad) and node.layer.mode == PadMode.CONSTANT and node.layer.value <= LEAST:
            missing = len(shapes[node.name]) - len(node.layer.padding)
            layers |= {node.name: Identity(), **_pools(network, node.name, (*node.layer.padding, *[(0, 0)] * missing))}
    if not layers:
        return network
    folded = network.with_nodes([replace(node, layer=layers.get(node.name, node.layer)) for node in network.nodes])
    after = folded.shapes()
    for name, layer in layers.items():
        if isinstance(layer, MaxPool) and after[name] != shapes[name]:
            raise UnsupportedError(
                "windows of nothing but -inf", where=f"layer {name!r}", accepted="windows that hold an element"
            )
    return folded


def _pools(network: Network, name: str, padding: Pairs) -> dict[str, Layer]:
    """The pooling layers that read ``name``, which is padded along its axes, perhaps through permutations, padded themselves."""
    padded: dict[str, Layer] = {}
    readers = network.consumers(name)
    for reader in readers:
        match reader.layer:
            case Permute() as layer:
                padded |= _pools(network, reader.name, tuple(padding[axis] for axis in layer.perm))
            case MaxPool() as pool if not any(padding[-1]):
                own = pool.padding or ((0, 0),) * len(pool.size)
                pairs = zip(own, padding, strict=False)
                padded[reader.name] = replace(pool, padding=tuple((a + c, b + d) for (a, b), (c, d) in pairs))
            case _:
                raise _misplaced(reader.name)
    if name in network.outputs or not readers:
        raise _misplaced(name)
    return padded


def _misplaced(name: str) -> UnsupportedError:
    return UnsupportedError("padding by -inf", where=f"layer {name!r}", accepted="-inf only in front of max pooling")
