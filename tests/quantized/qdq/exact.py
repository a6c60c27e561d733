"""The operands of quantizers in exact arithmetic, from the codes before them and the trained codes of the file."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from bitsmith.layers.activation import Activation
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.pooling import AveragePool
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.shape import Identity, Permute

Fractions = npt.NDArray[np.object_]

_DIGITS = 60
_fraction = np.frompyfunc(Fraction, 1, 1)
_code = np.frompyfunc(lambda value: Fraction(round(value)), 1, 1)


def exact_operand(network: Network, values: Mapping[str, Floats], name: str) -> Fractions:
    """The result of the node ``name``, of all samples; nodes that quantize have the given ``values``."""
    nodes = {node.name: node for node in network.nodes}

    def exact(name: str) -> Fractions:
        node = nodes[name]
        if isinstance(node.layer, Input):
            return _fraction(values[name])
        if isinstance(node.layer, Quantize):
            return _on_grid(values[name], node.layer.quantizer)
        (operand,) = node.inputs
        return _computed(node, exact(operand))

    return exact(name)


def _on_grid(values: Floats, quantizer: Quantizer) -> Fractions:
    """Numbers of double precision as the multiples of a step that they stand for."""
    return _code(values / quantizer.step.astype(np.float64)) * quantizer.step


def _computed(node: NetworkNode, x: Fractions) -> Fractions:
    match node.layer:
        case Identity():
            return x
        case Permute():
            return x.transpose(0, *(1 + axis for axis in node.layer.perm))
        case AveragePool():
            return _means(node.layer, x)
        case BatchNormalization():
            scale, bias = (_on_grid(node.layer.weights()[key], node.quantizers[key]) for key in ("scale", "bias"))
            return x * scale + bias
        case Activation():
            return np.frompyfunc(_logistic, 1, 1)(x)
    raise NotImplementedError(node.layer.kind)


def _means(layer: AveragePool, x: Fractions) -> Fractions:
    """Means of windows that do not overlap."""
    assert layer.size == layer.strides and not any(map(any, layer.padding))
    rows, columns = layer.size
    samples, height, width, channels = x.shape
    split = x.reshape(samples, height // rows, rows, width // columns, columns, channels)
    return split.sum(axis=(2, 4)) / (rows * columns)


def _logistic(x: Fraction) -> Fraction:
    """To 60 digits."""
    with localcontext(prec=_DIGITS):
        power = (-Decimal(x.numerator) / Decimal(x.denominator)).exp()
        return Fraction(1 / (1 + power))
