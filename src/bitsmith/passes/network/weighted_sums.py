"""Sums of two quantized tensors of unlike scales that are quantized again take codes times small integers.

Before: ``Quantize(codes * 0.0123 + codes * 0.0456)``, each multiplied by 24 bits, and the sum by as many again.
After: ``Quantize(codes * 69 + codes * 256)``, which gives the same for all codes (see
:mod:`bitsmith.layers.quantization.weighted_sum`). The sum itself stays for traces; nothing in the circuit reads it.
"""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np

from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.activation import ReLU
from bitsmith.layers.input import Constant
from bitsmith.layers.layer import as_weights
from bitsmith.layers.merge import Add, Multiply
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, rationals
from bitsmith.layers.quantization.weighted_sum import Codes, WeightedSum, weighted_sum


def weighted_sums(network: Network) -> Network:
    """``network`` with quantizers that read such sums; it is the result of ``move_scales``."""
    nodes: list[NetworkNode] = []
    taken = {node.name for node in network.nodes}
    for node in network.nodes:
        parts = _found(network, node)
        if parts is None:
            nodes.append(node)
            continue
        quantizer, operands, weights = parts
        factors = zip(operands, (weights.first, weights.second), strict=True)
        weighted = [_weighted(nodes, name, factor, taken) for name, factor in factors]
        total = free_name(f"{node.name}_sum", taken)
        nodes.append(NetworkNode(total, Add(), tuple(weighted), source="Add", inner=True))
        size = Fraction(1 << weights.drop)
        offset, scale = rationals(weights.term / size), rationals(size)
        layer = Quantize(replace(quantizer, scale=scale, offset=offset, rounding=Rounding.TRN))
        nodes.append(replace(node, layer=layer, inputs=(total,)))
    return network.with_nodes(nodes)


def _weighted(nodes: list[NetworkNode], name: str, factor: int, taken: set[str]) -> str:
    """A new node: the codes ``name`` times ``factor``."""
    values = as_weights([float(factor)])
    constant, product = free_name(f"{name}_weight", taken), free_name(f"{name}_weighted", taken)
    held = {"weight": Quantizer.holding(values)}
    nodes.append(NetworkNode(constant, Constant(values), source="Constant", inner=True, quantizers=held))
    nodes.append(NetworkNode(product, Multiply(), (name, constant), source="Multiply", inner=True))
    return product


def _found(network: Network, node: NetworkNode) -> tuple[Quantizer, tuple[str, str], WeightedSum] | None:
    """A quantizer of a sum of two tensors of codes, these, and the weights that do the same; None of any other node."""
    if not isinstance(node.layer, Quantize) or node.settings.precision:
        return None
    quantizer, total = node.layer.quantizer, network.node(node.inputs[0])
    above = quantizer.within(0.0, math.inf)
    match total.layer:
        case ReLU(max_value=None, negative_slope=0.0, threshold=0.0) if (
            above is not None and not total.settings.precision
        ):
            quantizer, total = above, network.node(total.inputs[0])
    alike = all(part.size == 1 for part in (quantizer.scale, quantizer.offset, quantizer.lo, quantizer.hi))
    if not alike or quantizer.overflow is not Overflow.SAT or total.settings.precision or len(total.inputs) != 2:
        return None
    first, second = (_codes(network, name) for name in total.inputs)
    sign = total.layer.traits.sign
    if first is None or second is None or sign is None:
        return None
    weights = weighted_sum(first[1], second[1], sign, quantizer)
    return None if weights is None else (quantizer, (first[0], second[0]), weights)


def _codes(network: Network, name: str) -> tuple[str, Codes] | None:
    """The tensor of codes that ``name`` multiplies by their scale, and these codes."""
    product = network.node(name)
    if not (product.inner and isinstance(product.layer, Multiply)):
        return None
    source = network.node(product.inputs[0])
    affine, node = source.affine, source
    while node.layer.traits.picks and len(node.inputs) == 1:
        node = network.node(node.inputs[0])
    if affine is None or not (affine.is_uniform and affine.is_centered) or not isinstance(node.layer, Quantize):
        return None
    quantizer = node.layer.quantizer
    if node.settings.precision or not bool(np.all(quantizer.step == 1)):
        return None
    lo, hi = quantizer.code_range
    return source.name, Codes(affine.scale.item(), lo, hi)
