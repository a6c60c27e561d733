"""Functions in front of quantizers of the model become codes, which are exact whatever the operand.

Before: a sigmoid in front of a ``Quantize``, which ``auto`` would round once before the quantizer rounds again. Its results may
move in between.
After: behind a quantizer of few codes, a :class:`Lookup` from codes to codes; else, where the model has decided the operand, a
:class:`Staircase` of the places at which the quantizer's code of the function changes. The function is computed in double
precision.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from bitsmith.ir.types import IntArray, Overflow
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.quantization.affine import Affine
from bitsmith.layers.quantization.lookup import MOST_STEPS, Lookup, Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, as_floats
from bitsmith.layers.settled import settled_lines
from bitsmith.layers.traits import Exactness

MOST_CODES = 1 << 16
"""Most entries of such a table."""

_FARTHEST = 2.0**64
"""Magnitude of an operand beyond which no code changes."""


def tabulate(network: Network) -> Network:
    """``network`` with codes for the functions in front of its quantizers."""
    nodes: list[NetworkNode] = []
    results: dict[str, Quantizer] = {}
    unlike: dict[str, NetworkNode] = {}
    """Functions with readers of several kinds: each quantizer among these has codes of its own."""
    taken, decided = {node.name for node in network.nodes}, settled_lines(network)
    for node in network.nodes:
        first = next(iter(node.inputs), "")
        is_function = _is_function(node)
        after = _grid_after(network, node) if is_function else None
        before = None if after is None else _grid_before(network, node)
        if after is not None and before is not None:
            codes = free_name(f"{node.name}_codes", taken)
            nodes += _tabulated(node, codes, before, after)
            results[node.name] = after
        elif is_function and first in decided:
            stairs = None if after is None else _climbed(node, after)
            if after is None or stairs is None:
                unlike[node.name] = node
                nodes.append(node)
            else:
                results[node.name] = after
                nodes.append(_as_codes(node, stairs, after))
        elif isinstance(node.layer, Quantize) and first in unlike and not node.settings.precision:
            nodes += _apart(node, unlike[first], node.layer.quantizer, taken)
        elif first not in results:
            nodes.append(node)
        elif isinstance(node.layer, Quantize):
            nodes.append(replace(node, layer=_of_codes(results[first])))
        else:
            results[node.name] = results[first]
            nodes.append(_as_codes(node, node.layer, results[first]))
    return network.with_nodes(nodes)


def _apart(node: NetworkNode, function: NetworkNode, quantizer: Quantizer, taken: set[str]) -> list[NetworkNode]:
    """One of several quantizers of a ``function``, with codes of its own if these are known."""
    stairs = _climbed(function, quantizer) if quantizer.is_plain else None
    if stairs is None:
        return [node]
    codes = replace(_as_codes(function, stairs, quantizer), name=free_name(f"{node.name}_codes", taken), inner=True)
    return [codes, replace(node, layer=_of_codes(quantizer), inputs=(codes.name,))]


def _of_codes(quantizer: Quantizer) -> Quantize:
    """The values of codes of the ``quantizer``."""
    return Quantize(Quantizer.uniform(1.0, quantizer.lo, quantizer.hi, step=quantizer.step))


def _is_function(node: NetworkNode) -> bool:
    """Return True of a function of one number that is not exact otherwise, and of which the user says nothing."""
    traits = node.layer.traits
    alone = len(node.inputs) == 1 and not node.settings.precision
    return alone and traits.exactness is Exactness.APPROXIMATE and traits.elementwise


def _as_codes(node: NetworkNode, layer: Layer, quantizer: Quantizer) -> NetworkNode:
    """``node`` with a ``layer`` whose results are codes of the ``quantizer``."""
    return replace(node, layer=layer, affine=Affine.of(quantizer.step), folded=True)


def _grid_before(network: Network, node: NetworkNode) -> Quantizer | None:
    """The grid of the operand of a function, if it has few codes."""
    source = network.node(node.inputs[0])
    while source.layer.traits.picks and len(source.inputs) == 1 and not source.settings.precision:
        source = network.node(source.inputs[0])
    if not isinstance(source.layer, Quantize | Input) or source.settings.precision:
        return None
    found = source.layer.quantizer
    return found if found is not None and found.is_plain and found.hi.item() - found.lo.item() < MOST_CODES else None


def _grid_after(network: Network, node: NetworkNode) -> Quantizer | None:
    """The quantizer that all readers of ``node`` are, perhaps after its elements moved."""
    first, *others = _quantizers_after(network, node) or [None]
    if first is None or not first.is_plain:
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


def _tabulated(node: NetworkNode, codes: str, before: Quantizer, after: Quantizer) -> list[NetworkNode]:
    """The codes of the operand, and the function's table."""
    lo, hi = int(before.lo.item()), int(before.hi.item())
    points = np.arange(lo, hi + 1, dtype=np.float64)
    with np.errstate(all="ignore"):
        values = node.layer.reference([points[None] * as_floats(before.step)])[0]
    table = Lookup(as_weights(0.0), lo, as_weights(after.codes(values)))
    to_codes = Quantize(Quantizer.uniform(before.step, lo, hi, step=1.0))
    entry = NetworkNode(codes, to_codes, node.inputs, source="Quantize", inner=True)
    return [entry, replace(_as_codes(node, table, after), inputs=(codes,))]


def _climbed(node: NetworkNode, after: Quantizer) -> Staircase | None:
    """The codes of a function of any number; None if they do not follow from few places where they change.

    A function whose table has a size or a range of the user's is as that says.
    """
    turns, chosen = node.layer.turns, node.settings
    if turns is None or chosen.table_size or chosen.table_range or chosen.binning:
        return None
    if after.overflow not in (Overflow.SAT, Overflow.SAT_SYM):
        return None

    def codes(places: IntArray) -> IntArray:
        with np.errstate(all="ignore"):
            return after.codes(node.layer.reference([_numbers(places)[None]])[0]).astype(np.int64)

    # All distances of neighbors fit 64 bits.
    ends = _places(np.array(sorted({-_FARTHEST, 0.0, *turns, _FARTHEST})))
    at_ends = codes(ends)
    if np.abs(np.diff(at_ends)).sum() > MOST_STEPS:
        return None
    places, levels = [], [at_ends[:1]]
    for (first, last), (low, high) in zip(pairwise(ends), pairwise(at_ends), strict=True):
        way = 1 if low < high else -1
        wanted = np.arange(low + way, high + way, way) if low != high else np.arange(0)
        before, reached = np.full(wanted.shape, first), np.full(wanted.shape, last)
        while (reached - before > 1).any():
            middle = before + (reached - before) // 2
            passed = way * codes(middle) >= way * wanted
            before, reached = np.where(passed, before, middle), np.where(passed, middle, reached)
        places.append(reached)
        levels.append(wanted)
    steps, codes_of = np.concatenate(places), np.concatenate(levels)
    return Staircase(as_weights(_numbers(steps)), as_weights(codes_of)) if steps.size else None


def _places(numbers: Floats) -> IntArray:
    """Places of numbers among all those of double precision, counted from 0."""
    raw = np.abs(numbers).view(np.int64)
    return np.where(np.signbit(numbers), -raw, raw)


def _numbers(places: IntArray) -> Floats:
    """Return the numbers of :func:`_places`."""
    return np.copysign(np.abs(places).view(np.float64), places)
