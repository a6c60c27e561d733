"""Inputs that all their readers quantize alike have the format of that quantizer: the circuit's port is as narrow as it can be.

Before: an input without a format of its own or of the user's, read by :class:`Quantize` layers alone, which have one
fixed-point quantizer; after: ``Input(quantizer=...)``, and identities. Where their grids are others the input holds all that
their ranges do, in steps of which each of theirs has 256 or more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network
from bitsmith.layers.quantize import Quantize
from bitsmith.layers.quantizer import Quantizer, as_floats
from bitsmith.layers.shape import Identity

_SPARE_BITS, _MOST_BITS = 8, 40
"""Bits of an input beyond the steps of its quantizers, and all bits that it may have."""


def quantized_inputs(network: Network) -> Network:
    """``network`` with quantizers moved into the inputs."""
    moved: dict[str, Quantizer] = {}
    nodes = []
    for node in network.nodes:
        if isinstance(node.layer, Input) and node.layer.limits is None and "result" not in node.settings.precision:
            quantizers = _readers(network, node.name)
            if _is_one_format(quantizers):
                moved[node.name] = quantizers[0]
            known = moved.get(node.name) or _covering(quantizers)
            nodes.append(replace(node, layer=replace(node.layer, quantizer=known)) if known is not None else node)
        elif isinstance(node.layer, Quantize) and moved.keys() & set(node.inputs):
            nodes.append(replace(node, layer=Identity()))
        else:
            nodes.append(node)
    return network.with_nodes(nodes)


def _readers(network: Network, name: str) -> list[Quantizer]:
    """The quantizers that all readers of ``name`` are; none if some reader is something else."""
    readers = network.consumers(name)
    found = [
        node.layer.quantizer
        for node in readers
        if isinstance(node.layer, Quantize) and "result" not in node.settings.precision
    ]
    return found if len(found) == len(readers) and name not in network.outputs else []


def _is_one_format(quantizers: Sequence[Quantizer]) -> bool:
    """Return True if they are one quantizer, of fixed-point formats."""
    first = next(iter(quantizers), None)
    if first is None or first.fracs is None or not first.keeps_scale:
        return False
    return all(quantizer.is_same(first) for quantizer in quantizers)


def _covering(quantizers: Sequence[Quantizer]) -> Quantizer | None:
    """A format for what is quantized by all of these; None if it would be too wide, or they wrap."""
    if not quantizers or any(quantizer.overflow is not Overflow.SAT for quantizer in quantizers):
        return None
    ends = [as_floats((code - one.offset) * one.scale) for one in quantizers for code in (one.lo, one.hi)]
    least, most = min(float(end.min()) for end in ends), max(float(end.max()) for end in ends)
    finest = min(float(as_floats(quantizer.scale).min()) for quantizer in quantizers)
    integer = math.frexp(max(-least, most))[1]
    frac = _SPARE_BITS - math.floor(math.log2(finest))
    if integer + frac > _MOST_BITS:
        return None
    return Quantizer.fixed(int(least < 0), integer, frac, Rounding.RND, Overflow.SAT)
