"""Effective bit operations of a quantized network: for each product the bits of its factors, multiplied.

In: a network as it was compiled, and its program. Out: a number for each layer. Of a linear layer it is the layer itself on bits
instead of values, and the bits of biases. Quantizers tell the bits of results and of trained values, without the sign unless they
saturate to all codes; where there is none between layers, the proved types do. Sums and comparisons of tensors count by the bits
of their operands. Not counted are tables, pooling, and factors that are powers of two.

Source: C. Sun et al., "Gradient-based Automatic Mixed Precision Quantization for Neural Networks On-Chip", 2024 (HGQ), for the
measure; HGQ2 0.2 for what counts as a bit.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bitsmith.ir.program import Program
from bitsmith.ir.types import Overflow, TensorType
from bitsmith.layers.auto import exact_raw
from bitsmith.layers.axis_order import stored
from bitsmith.layers.conv import Conv
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, as_floats
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.settings import FACTORS
from bitsmith.layers.settled import settled
from bitsmith.layers.traits import Elements

_CLOSE = 1e-6

_SUM = 0.65
"""Operations for each bit that is added to another, in HGQ2."""


_magnitude_bits = np.frompyfunc(lambda raw: abs(raw).bit_length() if raw & (abs(raw) - 1) else 0, 1, 1)
"""The bits of a factor, without its sign; 0 of a power of two."""


def ebops(network: Network, program: Program) -> dict[str, int]:
    """The effective bit operations of each layer of the user's that multiplies or adds what quantizers have decided."""
    return _Counting(network, program).counted()


def effective_bits(quantizer: Quantizer) -> Floats:
    """The bits of each element that count; none of those that are always 0."""
    bits = quantizer.bits.astype(np.float64)
    signs = (as_floats(quantizer.lo) < 0) & (bits > 0)
    return bits if quantizer.overflow is Overflow.SAT else np.asarray(bits - signs, dtype=np.float64)


class _Counting:
    def __init__(self, network: Network, program: Program) -> None:
        self._network = network
        self._shapes = network.shapes()
        self._settled = settled(network)
        self._types = {probe.name: program.nodes[probe.node].type for probe in program.probes}
        self._bits: dict[str, Floats] = {}

    def counted(self) -> dict[str, int]:
        """By layer."""
        counts: dict[str, float] = {}
        owners: dict[str, str | None] = {}
        live = self._network.live()
        for node in self._network.nodes:
            operands = [self._bits.get(name) for name in node.inputs]
            known = [each for each in operands if each is not None]
            if len(known) < len(operands):
                known = []
            count = _operations(node, known) if known else None
            # What a pass or a reader put after a layer of the user's belongs to that.
            owner = owners[node.inputs[0]] if node.inner and node.inputs else None if node.inner else node.name
            owners[node.name] = owner
            if count is not None and owner is not None and node.name in live:
                counts[owner] = counts.get(owner, 0.0) + count
            bits = self._of_result(node, known)
            if bits is not None:
                self._bits[node.name] = np.broadcast_to(bits, self._shapes[node.name])
        return {name: int(count + _CLOSE) for name, count in counts.items()}  # as HGQ2 does

    def _of_result(self, node: NetworkNode, operands: Sequence[Floats]) -> Floats | None:
        """The bits of a result; None of what is not decided."""
        layer = node.layer
        if isinstance(layer, Input | Quantize) and layer.quantizer is not None:
            return effective_bits(layer.quantizer)
        if isinstance(layer, Constant):
            return _of_factor(layer.value)
        if node.name not in self._settled or isinstance(layer, Input):
            return None
        if operands and layer.traits.moves_or_pads:
            return as_weights(layer.reference([each[None] for each in operands])[0])
        known = self._types.get(node.name)
        return None if known is None else _proved(node, known, self._shapes[node.name])


def _of_factor(values: Floats) -> Floats:
    """The bits of constants; none of powers of two, which only move bits."""
    raw, _ = exact_raw(values)
    return np.asarray(_magnitude_bits(raw), dtype=np.float64)


def _operations(node: NetworkNode, operands: Sequence[Floats]) -> float | None:
    """Return the products and sums of a layer in bits, of ``operands`` in bits; None if it is not counted."""
    layer = node.layer
    if layer.traits.multiplies and not layer.weights():
        return _sum(layer, operands) or None
    summed, chosen = layer.traits.sign == 1, layer.traits.elements is Elements.EXTREME and layer.traits.elementwise
    if summed or chosen:
        bits = np.broadcast_arrays(*operands)
        return float(np.sum(bits) - np.min(bits, axis=0).sum()) * (_SUM if summed else 1.0)
    if isinstance(layer, Reduce) and layer.reduction is Reduction.SUM:
        return _SUM * float(operands[0].sum() - operands[0].min(axis=layer.axes).sum())
    if layer.traits.sign == -1:
        return float(np.maximum(*operands).sum())
    trained = {
        variable: np.broadcast_to(effective_bits(node.quantizers[variable]), values.shape)
        for variable, values in layer.weights().items()
        if variable in node.quantizers
    }
    inner = _of_bits(layer, trained)
    if inner is None:
        return None
    added = trained.get("bias")
    return _sum(inner, operands) + (0.0 if added is None else float(added.mean()) * _biases(layer, operands[0].shape))


def _biases(layer: Layer, operand: Shape) -> int:
    """Return the number of biases added; HGQ2 counts one for each position of a convolution's operand, whatever its stride."""
    outputs = layer.output_shape([operand])
    return math.prod((*operand[:-1], outputs[-1]) if isinstance(layer, Conv) else outputs)


def _of_bits(layer: Layer, bits: Mapping[str, Floats]) -> Layer | None:
    """The layer with ``bits`` of its trained factor instead of that, and no bias; scales of powers of two only move bits."""
    trained = layer.weights()
    factor = next((variable for variable in trained if variable in FACTORS), "")
    moves = factor == "scale" and not _of_factor(trained[factor]).any()
    if not layer.traits.multiplies or factor not in bits or moves:
        return None
    nothing = {variable: as_weights(np.zeros_like(values)) for variable, values in trained.items()}
    return layer.with_weights({**nothing, factor: as_weights(bits[factor])})


def _sum(layer: Layer, operands: Sequence[Floats]) -> float:
    return float(layer.reference([each[None] for each in operands]).sum())


def _proved(node: NetworkNode, proved: TensorType, shape: Shape) -> Floats:
    """The bits of a result's magnitudes; of one that is scaled, those of what is stored."""
    if node.affine is None:
        bits = (proved.width - (proved.lo < 0)).astype(np.float64)
    else:
        scale, offset = as_floats(node.affine.scale), as_floats(node.affine.offset)
        ends = (
            np.rint((np.ldexp(end.astype(np.float64), -proved.frac) - offset) / scale) for end in (proved.lo, proved.hi)
        )
        one, other = ends
        bits = np.asarray(np.ceil(np.log2(np.maximum(np.maximum(one, other), -np.minimum(one, other) - 1.0) + 1.0)))
    return bits if node.order is None else stored(bits, node.order, node.shape_in_model(shape))
