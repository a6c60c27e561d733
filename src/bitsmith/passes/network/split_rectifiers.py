"""Leaky rectifiers become codes, which are exact, in front of a quantizer.

Before: ``quantize(leaky(x * scale + offset))``. ``auto`` would round the normalized result, and a factor once more. Of codes
themselves, a rounded factor decides ties of the quantizer otherwise than the model.
After: the greater of the codes of two lines, ``quantize(y)`` and ``quantize(y * slope)``, as codes rise with their numbers. The
scale and the offset wait for both of these quantizers (:mod:`bitsmith.passes.network.move_scales`), which multiply once.
"""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from bitsmith.ir.types import Overflow
from bitsmith.layers.activation import PReLU, ReLU
from bitsmith.layers.auto import AUTO_BITS, exact_frac
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.merge import Maximum
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, Rationals, rationals
from bitsmith.layers.quantization.requantize import MOST_STEPS
from bitsmith.layers.settled import settled, settled_lines
from bitsmith.layers.shape import Identity

_FEW = 1000
"""Greatest denominator of slopes that a user has written."""


def split_rectifiers(network: Network) -> Network:
    """``network`` with two quantizers in place of a leaky rectifier and one, where a line comes before."""
    taken = {node.name for node in network.nodes}
    lines, decided = settled_lines(network), settled(network)
    slopes: dict[str, Floats] = {}
    nodes: list[NetworkNode] = []
    for node in network.nodes:
        slope = _slope(node.layer)
        exact = slope is not None and exact_frac(slope, AUTO_BITS) is not None
        kept = decided.issuperset(node.inputs) and (exact or not _has_few_codes(network, node))
        if slope is not None and lines.issuperset(node.inputs) and not kept and _is_between(network, node):
            slopes[node.name] = slope
            nodes.append(replace(node, layer=Identity(), folded=True))
        elif isinstance(node.layer, Quantize) and node.inputs[0] in slopes:
            nodes += _split(node, node.layer, slopes[node.inputs[0]], taken)
        else:
            nodes.append(node)
    return network.with_nodes(nodes)


def _slope(layer: Layer) -> Floats | None:
    """The slopes of a rectifier, as single precision has them, if they lie between 0 and 1; None of any other layer."""
    match layer:
        case ReLU(max_value=None, threshold=0.0):
            slope = as_weights(np.float32(layer.negative_slope))
        case PReLU():
            slope = layer.alpha
        case _:
            return None
    return slope if bool(np.all((slope > 0.0) & (slope < 1.0))) else None


def _written(slope: Floats) -> Rationals:
    """The simplest slopes that single precision has as these: a product with 0.1 is a tie where that with 1/10 is one."""

    def simplest(number: float) -> Fraction:
        simple = Fraction(number).limit_denominator(_FEW)
        return simple if np.float32(float(simple)) == np.float32(number) else Fraction(number)

    return rationals(np.frompyfunc(simplest, 1, 1)(np.asarray(slope)))


def _is_between(network: Network, node: NetworkNode) -> bool:
    """Return True if nothing else reads the operand, and nothing but quantizers that saturate the result."""
    readers = network.consumers(node.name)
    seen = {node.name, *node.inputs}.intersection(network.outputs)
    if seen or node.settings.precision or node.settings.trace or len(network.consumers(node.inputs[0])) > 1:
        return False
    return bool(readers) and all(
        isinstance(reader.layer, Quantize)
        and reader.layer.quantizer.overflow in (Overflow.SAT, Overflow.SAT_SYM)
        and not reader.settings.precision
        for reader in readers
    )


def _has_few_codes(network: Network, node: NetworkNode) -> bool:
    """Return True if the quantizers of the result have no more codes than scales of another kind than powers of two may have."""
    quantizers = [
        reader.layer.quantizer for reader in network.consumers(node.name) if isinstance(reader.layer, Quantize)
    ]
    return all(bool(np.all(quantizer.hi - quantizer.lo <= MOST_STEPS)) for quantizer in quantizers)


def _split(node: NetworkNode, layer: Quantize, slope: Floats, taken: set[str]) -> list[NetworkNode]:
    """The codes of the two lines, the greater of each pair, and ``node``, which keeps these as they are."""
    whole = layer.quantizer
    below = replace(whole, scale=rationals(whole.scale / _written(slope)))
    above_name, below_name, greater = (
        free_name(f"{node.name}_{part}", taken) for part in ("above", "below", "greater")
    )
    kept = Quantizer.uniform(whole.step, whole.lo, whole.hi, whole.rounding, whole.overflow)
    return [
        NetworkNode(above_name, layer, node.inputs, source=layer.kind, inner=True),
        NetworkNode(below_name, Quantize(below), node.inputs, source=layer.kind, inner=True),
        NetworkNode(greater, Maximum(), (above_name, below_name), source=Maximum().kind, inner=True),
        replace(node, layer=Quantize(kept), inputs=(greater,)),
    ]
