"""Functions between two quantizers of the model become tables of codes, which are exact.

Before: a sigmoid between ``Quantize`` layers, which ``auto`` would round once before the second one rounds again. Its results may
move in between.
After: a :class:`Lookup` from codes to codes. The function is computed in double precision.
"""

from dataclasses import replace

import numpy as np

from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.quantization.affine import Affine
from bitsmith.layers.quantization.lookup import Lookup
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, as_floats
from bitsmith.layers.traits import Exactness

MOST_CODES = 1 << 16
"""Most entries of such a table."""


def tabulate(network: Network) -> Network:
    """``network`` with tables of codes for the functions between its quantizers."""
    nodes: list[NetworkNode] = []
    results: dict[str, Quantizer] = {}
    taken = {node.name for node in network.nodes}
    for node in network.nodes:
        before = _grid_before(network, node)
        after = None if before is None else _grid_after(network, node)
        if before is not None and after is not None:
            codes = free_name(f"{node.name}_codes", taken)
            nodes += _tabulated(node, codes, before, after)
            results[node.name] = after
        elif (codes_of := results.get(next(iter(node.inputs), ""))) is None:
            nodes.append(node)
        elif isinstance(node.layer, Quantize):
            reals = Quantizer.uniform(1.0, codes_of.lo, codes_of.hi, step=codes_of.step)
            nodes.append(replace(node, layer=Quantize(reals)))
        else:
            results[node.name] = codes_of
            nodes.append(replace(node, affine=Affine.of(codes_of.step), folded=True))
    return network.with_nodes(nodes)


def _grid_before(network: Network, node: NetworkNode) -> Quantizer | None:
    """The grid of the operand of a function that is not exact otherwise, if it has few codes."""
    traits = node.layer.traits
    if traits.exactness is not Exactness.APPROXIMATE or not traits.elementwise:
        return None
    if len(node.inputs) != 1 or node.settings.precision:
        return None
    source = network.node(node.inputs[0])
    while source.layer.traits.picks and len(source.inputs) == 1 and not source.settings.precision:
        source = network.node(source.inputs[0])
    if not isinstance(source.layer, Quantize | Input) or source.settings.precision:
        return None
    found = source.layer.quantizer
    return found if found is not None and _is_plain(found) and found.hi.item() - found.lo.item() < MOST_CODES else None


def _grid_after(network: Network, node: NetworkNode) -> Quantizer | None:
    """The quantizer that all readers of ``node`` are, perhaps after its elements moved."""
    first, *others = _quantizers_after(network, node) or [None]
    if first is None or not _is_plain(first):
        return None
    return first if all(other is not None and other.is_same(first) for other in others) else None


def _quantizers_after(network: Network, node: NetworkNode) -> list[Quantizer | None]:
    """The quantizers that read ``node``; None for each other reader but those that move its elements."""
    quantizers: list[Quantizer | None] = [None] if node.name in network.outputs else []
    for reader in network.consumers(node.name):
        layer = None if reader.settings.precision else reader.layer
        if layer is not None and layer.traits.moves and len(reader.inputs) == 1:
            quantizers += _quantizers_after(network, reader)
        else:
            quantizers.append(layer.quantizer if isinstance(layer, Quantize) else None)
    return quantizers


def _is_plain(quantizer: Quantizer) -> bool:
    """Return True if it is the same for all elements."""
    return all(
        part.size == 1 for part in (quantizer.scale, quantizer.step, quantizer.offset, quantizer.lo, quantizer.hi)
    )


def _tabulated(node: NetworkNode, codes: str, before: Quantizer, after: Quantizer) -> list[NetworkNode]:
    """The codes of the operand, and the function's table."""
    lo, hi = int(before.lo.item()), int(before.hi.item())
    points = np.arange(lo, hi + 1, dtype=np.float64)
    with np.errstate(all="ignore"):
        values = node.layer.reference([points[None] * as_floats(before.step)])[0]
    table = Lookup(as_weights(0.0), lo, as_weights(after.codes(values)))
    to_codes = Quantize(Quantizer.uniform(before.step, lo, hi, step=1.0))
    return [
        NetworkNode(codes, to_codes, node.inputs, source="Quantize", inner=True),
        replace(node, layer=table, inputs=(codes,), affine=Affine.of(after.step), folded=True),
    ]
