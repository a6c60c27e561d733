"""Parts of a network that a quantized model has decided: values on grids, of which nothing is rounded until a quantizer does.

A tensor is *settled* if it is an input, the result of a quantizer, or what exact arithmetic makes of settled tensors and of
trained ones that have quantizers. All settled tensors are exact in the program, so that it computes what the framework's
quantized model defines. Layers with float weights, and functions that are tables by the rules of ``auto``, are as in any other
model.
"""

import math
from collections.abc import Collection
from functools import reduce

import numpy as np

from bitsmith.layers.auto import exact_frac
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Layer, Shape
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.resolution import ANY, Resolution
from bitsmith.layers.settings import Weights
from bitsmith.layers.traits import Exactness

_POWER = 0.5
"""Mantissa of powers of two."""

_LARGE = 2.0**100
"""A number beside which no offset counts, so that a factor is exact."""

_ALL = Resolution(-math.inf, math.inf, 0.0, None, None, ())
"""Resolution that loses nothing."""


def is_quantized(network: Network) -> bool:
    """Return True of a network with a quantizer, be it the format of an input."""
    layers = [node.layer for node in network.nodes]
    own = any(isinstance(one, Input) and one.quantizer is not None and not one.rounds for one in layers)
    return own or any(node.quantizers or node.layer.traits.exactness is Exactness.GRID for node in network.nodes)


def settled(network: Network, *, of_few_bits: bool = True) -> set[str]:
    """The nodes whose results the model decides; none of a model without quantizers.

    Float weights ``of_few_bits``, which ``auto`` has exactly, count as quantized ones.
    """
    names: set[str] = set()
    if is_quantized(network):
        for node in network.nodes:
            on_grid = node.layer.traits.exactness is Exactness.GRID
            if on_grid or (_is_exact(node, of_few_bits=of_few_bits) and names.issuperset(node.inputs)):
                names.add(node.name)
    return names


def settled_lines(network: Network) -> set[str]:
    """The nodes that are settled, or such one times a float number plus one: that waits for quantizers, and is exact there."""
    names = settled(network)
    for node in network.nodes:
        line = node.layer.traits.affine and len(node.inputs) == 1 and not node.settings.precision
        if line and names.issuperset(node.inputs):
            names.add(node.name)
    return names


def of_codes(network: Network) -> set[str]:
    """The nodes whose results follow from codes: those of quantizers, and what is exact of these and of constants alone."""
    decided, names = settled(network), set[str]()
    for node in network.nodes:
        follows = node.name in decided and names.issuperset(node.inputs) and not isinstance(node.layer, Input)
        if follows or node.layer.traits.exactness is Exactness.GRID:
            names.add(node.name)
    return names


def rounded_before(network: Network, outputs: Collection[str]) -> list[str]:
    """The layers of the user's before some ``outputs`` that no quantizer decides, so that ``auto`` rounds there."""
    decided = settled(network)
    return [node.name for node in network.ancestors(outputs) if node.name not in decided and not node.inner]


def resolution_of(network: Network, name: str) -> Resolution | None:
    """Return what the readers of a node tell apart of it, also beyond layers that pass it on; None if that is not little.

    A format of the user's for a reader's result may be any.
    """
    joined: Resolution | None = None
    if name in network.outputs:
        return None
    for reader in network.consumers(name):
        if reader.order is not None or "result" in reader.settings.precision:
            return None
        seen = reader.layer.resolution(None)
        if seen is None and reader.layer.resolution(ANY) is not None:
            seen = reader.layer.resolution(resolution_of(network, reader.name))
        seen = _before_line(network, reader, name) if seen is None else seen
        if seen is None:
            return None
        joined = seen if joined is None else joined.joined(seen)
    return joined


def _before_line(network: Network, reader: NetworkNode, name: str) -> Resolution | None:
    """Return what is told apart of a node that is read times a power of two and plus numbers; None if that is not little."""
    line = line_of(network, reader, name, network.shapes()[name])
    if line is None or reader.settings.precision:
        return None
    factor, offset = line
    scale = float(factor.flat[0])
    if math.frexp(scale)[0] != _POWER or bool(np.any(factor != scale)):
        return None
    beyond = resolution_of(network, reader.name)
    return None if beyond is None else beyond.before(scale, offset)


def line_of(network: Network, reader: NetworkNode, name: str, shape: Shape) -> tuple[Floats, Floats] | None:
    """Return the factor and the offset of each element with which ``reader`` takes the node ``name``, beside constants alone.

    None: it is no product with these and sum of finite ones, or has elements of another ``shape``.
    """
    beside = [network.node(each) for each in reader.inputs if each != name]
    constants = [node.layer.value for node in beside if isinstance(node.layer, Constant)]
    if not reader.layer.traits.affine or len(constants) + 1 != len(reader.inputs):
        return None
    if not all(bool(np.all(np.isfinite(values))) for values in constants):
        return None  # masks
    others = iter(2 * constants)
    zeros, larger = (
        np.asarray(
            reader.layer.reference([x[None] if each == name else next(others)[None] for each in reader.inputs])[0]
        )
        for x in (np.zeros(shape), np.full(shape, _LARGE))
    )
    if zeros.shape != shape or not bool(np.all(np.isfinite(zeros) & np.isfinite(larger))):
        return None
    return larger / _LARGE, zeros


def told_apart(network: Network) -> dict[str, tuple[float, float]]:
    """Return the values of each node beyond which none of its readers tells values apart; infinite where there is no limit."""
    readers, by_name = network.readers(), dict[str, Resolution]()
    for node in reversed(network.nodes):
        kept = node.name in network.outputs or not readers[node.name]
        seen = [reader.layer.resolution(by_name[reader.name]) or _ALL for reader in readers[node.name]]
        by_name[node.name] = _ALL if kept else reduce(Resolution.joined, seen)
    return {name: (seen.least, seen.most) for name, seen in by_name.items()}


def decided_inputs(network: Network) -> set[str]:
    """The inputs whose format follows from the model: few integers, indices, and what it puts on grids, as it is or moved."""
    readers, names = network.readers(), set[str]()
    for node in reversed(network.nodes):
        few = isinstance(node.layer, Input) and node.layer.holds_limits
        if not few and not isinstance(node.layer, Input) and not node.layer.traits.moves_or_pads:
            continue
        deciding = [_decides(reader.layer) or reader.name in names for reader in readers[node.name]]
        if few or (deciding and all(deciding) and node.name not in network.outputs):
            names.add(node.name)
    names.update(name for name in network.inputs if resolution_of(network, name) is not None)
    return names.intersection(network.inputs)


def _decides(layer: Layer) -> bool:
    """Return True of a layer that distinguishes no more values of its operand than a format of few bits has."""
    return layer.traits.exactness is Exactness.GRID or layer.traits.indices is not None


def exact_variables(node: NetworkNode) -> set[str]:
    """Trained tensors that are taken exactly: those with a quantizer, and biases that are added to quantized products."""
    found = set(node.quantizers)
    return found | {"bias"} if "weight" in found else found


def reach(node: NetworkNode) -> dict[str, Floats]:
    """Return the numbers that formats of trained tensors must hold, so that they hold all that the quantizers give."""
    return {variable: quantizer.reach for variable, quantizer in node.quantizers.items()}


def _is_exact(node: NetworkNode, *, of_few_bits: bool) -> bool:
    short = of_few_bits or isinstance(node.layer, Constant)
    exact = exact_variables(node)
    trained = all(name in exact or (short and _is_short(node, name)) for name in node.layer.weights())
    return (trained or node.whole) and node.layer.traits.exactness is not Exactness.APPROXIMATE


def _is_short(node: NetworkNode, variable: str) -> bool:
    """Return True of trained numbers that ``auto`` has exactly, such as the half of a mean."""
    own, values = node.settings, node.layer.weights()[variable]
    kept = isinstance(node.layer, Constant) or (not own.precision and own.weights is Weights.ONCHIP)
    return kept and exact_frac(values, own.bits.of(variable)) is not None
