"""Scales that are no powers of two, normalizations and float biases of a quantized model wait for the next quantizer.

Before: ``(codes * 0.0123) @ (codes * 0.0456) + bias``, normalized and quantized again: multiplications by numbers of 24 bits.
After: integers multiplied by integers, and one quantizer that has the product of all scales and the sum of all offsets; it is
exactly the same staircase (see :mod:`bitsmith.layers.quantization.requantize`). Values between are integers whose meaning is
:attr:`NetworkNode.affine`. A layer that does not commute with a scale or an offset gets the values themselves, by an exact
multiplication in front of it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from bitsmith.ir.types import objects
from bitsmith.layers.activation import HardActivation, ReLU
from bitsmith.layers.axis_order import inverse
from bitsmith.layers.conv import Conv, ConvTranspose
from bitsmith.layers.dense import Dense
from bitsmith.layers.einsum import Einsum, EinsumDense
from bitsmith.layers.input import Constant
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.merge import Add, Multiply
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.pooling import AveragePool
from bitsmith.layers.quantization.affine import Affine
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, Rationals, as_floats, binary_exponents, rationals
from bitsmith.layers.quantization.steps import as_staircase
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.settings import Weights
from bitsmith.layers.settled import is_quantized, settled
from bitsmith.layers.shape import Identity
from bitsmith.layers.traits import Elements, Exactness, Scales

_CLOSE = 2.0**-20
"""Distance of the quotient of a bias and its scale from an integer, if it is one: scales are rounded to single precision."""


def move_scales(network: Network) -> Network:
    """``network`` with scales and offsets moved to the next quantizers."""
    return _Moving(network).moved() if is_quantized(network) else network


class _Moving:
    """The network as it becomes, node by node; names of nodes with pending scales have an :class:`Affine`."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._shapes = network.shapes()
        self._settled = settled(network)
        self._taken = {node.name for node in network.nodes}
        self._nodes: list[NetworkNode] = []
        self._pending: dict[str, Affine] = {}
        self._values: dict[str, str] = {}
        """Nodes that have the values themselves of a node with a pending scale."""

    def moved(self) -> Network:
        """The whole network."""
        for node in self._network.nodes:
            commuted = self._commuted(node)
            if commuted is None:
                self._nodes.append(replace(node, inputs=tuple(map(self._value, node.inputs))))
                continue
            layer, affine = commuted
            self._nodes.append(self._with(node, layer, affine))
            if affine is not None:
                self._pending[node.name] = affine
        return self._network.with_nodes(self._nodes)

    def _with(self, node: NetworkNode, layer: Layer, affine: Affine | None) -> NetworkNode:
        """``node`` as ``layer``, whose result is what ``affine`` says."""
        if affine is None:
            return replace(node, layer=layer)
        shape = self._shapes[node.name]
        known = affine if node.order is None else affine.ordered(inverse(node.order), shape)
        quantizers = _of_codes(node, layer)
        hidden = node.folded or (isinstance(node.layer, ReLU | HardActivation) and isinstance(layer, Identity))
        return replace(node, layer=layer, affine=known, quantizers=quantizers, folded=hidden)

    def _value(self, name: str) -> str:
        """The node that has the values of ``name`` themselves."""
        affine = self._pending.get(name)
        if affine is None:
            return name
        if name not in self._values:
            scaled = self._joined(f"{name}_scale", f"{name}_scaled", Multiply(), name, affine.scale)
            shifted = scaled
            if not affine.is_centered:
                shifted = self._joined(f"{name}_offset", f"{name}_shifted", Add(), scaled, affine.offset)
            self._values[name] = shifted
        return self._values[name]

    def _joined(self, constant: str, name: str, layer: Layer, operand: str, values: Rationals) -> str:
        """A new node: ``layer`` on ``operand`` and a constant."""
        floats = as_weights(np.atleast_1d(as_floats(values)))
        constant, name = free_name(constant, self._taken), free_name(name, self._taken)
        self._nodes.append(
            NetworkNode(
                constant,
                Constant(floats),
                source="Constant",
                inner=True,
                quantizers={"weight": Quantizer.holding(floats)},
            )
        )
        self._nodes.append(NetworkNode(name, layer, (operand, constant), source=layer.kind, inner=True))
        return name

    def _commuted(self, node: NetworkNode) -> tuple[Layer, Affine | None] | None:
        """The layer on stored values and what its result is then; None if it needs the values themselves, or has no scales."""
        shapes = [self._shapes[name] for name in node.inputs]
        affines = [self._pending.get(name) for name in node.inputs]
        if node.settings.precision or node.settings.weights is not Weights.ONCHIP:
            return None
        layer = node.layer
        match layer:
            case Quantize():
                return _absorbed(layer if affines[0] is None else self._clipping_itself(node, layer), affines[0])
            case Dense() | Conv() | ConvTranspose() | EinsumDense():
                return self._product(node, layer, affines[0])
            case BatchNormalization():
                return self._normalized(node, layer, affines[0])
            case AveragePool() | Reduce(reduction=Reduction.SUM | Reduction.MEAN):
                return self._mean(node, layer, affines[0], shapes[0])
        if all(affine is None for affine in affines):
            return None
        if layer.traits.moves:
            return layer, _moved(layer, affines, shapes)
        first = affines[0]
        if len(affines) == 1 and first is not None:
            return self._unary(node, layer, first, shapes[0])
        return _merged(layer, affines)

    def _unary(
        self, node: NetworkNode, layer: Layer, affine: Affine, shape: Shape
    ) -> tuple[Layer, Affine | None] | None:
        if _passes(layer, affine):
            if affine.is_uniform or layer.traits.elementwise:
                return layer, affine
            left = _of_extremes(layer, affine, shape) if layer.traits.elements is Elements.EXTREME else None
            if left is not None:
                return layer, left
        bounds = _clipping(layer)
        if bounds is not None and self._clips_anyway(node, bounds):
            return Identity(), affine
        steps = as_staircase(layer)
        return None if steps is None else (_climbed(steps, affine), None)

    def _product(
        self, node: NetworkNode, layer: Dense | Conv | ConvTranspose | EinsumDense, affine: Affine | None
    ) -> tuple[Layer, Affine] | None:
        """The product of integers; its scale is that of the operand times that of the weights."""
        quantizer = node.quantizers.get("weight")
        if quantizer is None or (affine is not None and not (affine.is_uniform and affine.is_centered)):
            return None
        free_bias = layer.bias is not None and "bias" not in node.quantizers and self._ends_in_quantizers(node.name)
        general = binary_exponents(quantizer.scale) is None
        scale = quantizer.scale if general else rationals(1.0)
        along_last = scale.size == scale.shape[-1] if scale.ndim else True
        if scale.size > 1 and (not along_last or isinstance(layer, EinsumDense)):
            return None
        if affine is None and not general and not free_bias:
            return None
        scale = rationals(scale.reshape(-1) if scale.size > 1 else scale.reshape(()))
        kernel = layer.kernel
        if general:
            kernel = as_weights(np.rint(kernel / as_floats(scale)))
        whole = scale if affine is None else rationals(scale * affine.scale.reshape(()))
        bias, offset = _split_bias(layer.bias, whole, quantized="bias" in node.quantizers)
        return replace(layer, kernel=kernel, bias=bias), Affine.of(whole, offset)

    def _normalized(
        self, node: NetworkNode, layer: BatchNormalization, affine: Affine | None
    ) -> tuple[Layer, Affine] | None:
        if node.quantizers or bool(np.any(layer.scale == 0)):
            return None
        settled_operand = affine is not None or node.inputs[0] in self._settled
        if not settled_operand or not self._ends_in_quantizers(node.name):
            return None
        shape = self._shapes[node.name]
        along = [1] * len(shape)
        along[layer.axis] = -1
        scale, offset = (
            np.broadcast_to(rationals(values), values.shape).reshape(along) for values in (layer.scale, layer.offset)
        )
        if affine is None:
            return Identity(), Affine.of(scale, offset)
        return Identity(), Affine.of(scale * affine.scale, scale * affine.offset + offset)

    def _mean(
        self, node: NetworkNode, layer: AveragePool | Reduce, affine: Affine | None, shape: Shape
    ) -> tuple[Layer, Affine] | None:
        """Sums, whose scale has the number of summands."""
        operand = node.inputs[0]
        if affine is None and operand not in self._settled:
            return None
        if affine is not None and not (affine.is_along_last(shape) and affine.is_centered):
            return None
        reduces_last = isinstance(layer, Reduce) and any((axis + 1) % len(shape) == 0 for axis in layer.axes)
        if affine is not None and not affine.is_uniform and reduces_last:
            return None
        if affine is None and not self._ends_in_quantizers(node.name):
            return None
        if isinstance(layer, Reduce):
            sums: Layer = replace(layer, reduction=Reduction.SUM)
            counts = objects(math.prod(shape[axis] for axis in layer.axes) if layer.reduction is Reduction.MEAN else 1)
        else:
            sums, counts = replace(layer, total=True), objects(1 if layer.total else layer.counts(shape))
        if affine is None and binary_exponents(rationals(np.asarray(counts, dtype=np.float64))) is not None:
            return None
        before = rationals(1.0) if affine is None else affine.scale
        before = before.reshape(-1) if before.size > 1 else before.reshape(())
        return sums, Affine.of(before * np.frompyfunc(lambda count: Fraction(1, int(count)), 1, 1)(counts))

    def _ends_in_quantizers(self, name: str) -> bool:
        """Return True if all that reads ``name`` quantizes it, after what scales and offsets commute with."""
        readers = self._network.consumers(name)
        if name in self._network.outputs or not readers:
            return False
        return all(self._takes_offsets(reader) for reader in readers)

    def _takes_offsets(self, node: NetworkNode) -> bool:
        if node.settings.precision:
            return False
        if isinstance(node.layer, Quantize) or as_staircase(node.layer) is not None:
            return True
        bounds = _clipping(node.layer)
        if bounds is not None:
            return self._clips_anyway(node, bounds)
        if isinstance(node.layer, BatchNormalization) and (node.quantizers or bool(np.any(node.layer.scale == 0))):
            return False
        if node.layer.traits.elements is Elements.EXTREME and len(node.inputs) == 1:
            shape = self._shapes[node.inputs[0]]
            if _of_extremes(node.layer, Affine.of(rationals(np.arange(1.0, shape[-1] + 1.0))), shape) is None:
                return False
        passes = isinstance(node.layer, BatchNormalization) or node.layer.traits.picks
        return passes and len(node.inputs) == 1 and self._ends_in_quantizers(node.name)

    def _clips_anyway(self, node: NetworkNode, bounds: tuple[float, float]) -> bool:
        """Return True if only quantizers read ``node``, and these can saturate to ``bounds``."""
        readers = self._network.consumers(node.name)
        return (
            node.name not in self._network.outputs
            and bool(readers)
            and not node.settings.trace
            and all(
                isinstance(reader.layer, Quantize)
                and not reader.settings.precision
                and reader.layer.quantizer.within(*bounds) is not None
                for reader in readers
            )
        )

    def _clipping_itself(self, node: NetworkNode, layer: Quantize) -> Quantize:
        """The quantizer after a layer that clips as one that needs none."""
        bounds = _clipping(self._network.node(node.inputs[0]).layer)
        within = layer.quantizer.within(*bounds) if bounds is not None else None
        return layer if within is None else Quantize(within)


def _clipping(layer: Layer) -> tuple[float, float] | None:
    """The bounds of a layer that only clips."""
    match layer:
        case ReLU(negative_slope=0.0, threshold=0.0):
            return 0.0, math.inf if layer.max_value is None else layer.max_value
        case HardActivation(slope=1.0, shift=0.0):
            low, high = layer.low, layer.high
            return -math.inf if low is None else low, math.inf if high is None else high
        case _:
            return None


def _absorbed(layer: Quantize, affine: Affine | None) -> tuple[Layer, Affine | None] | None:
    """The quantizer of stored values; its codes wait for the next one if their step is no power of two."""
    quantizer = layer.quantizer
    scale, offset = quantizer.scale, quantizer.offset
    if affine is not None:
        offset = rationals(offset + affine.offset / scale)
        scale = rationals(scale / affine.scale)
    general = binary_exponents(quantizer.step) is None
    if affine is None and not general:
        return None
    step = rationals(1.0) if general else quantizer.step
    moved = replace(quantizer, scale=scale, offset=offset, step=step)
    return Quantize(moved), Affine.of(quantizer.step) if general else None


def _climbed(stairs: Staircase, affine: Affine) -> Staircase:
    """The staircase of stored values ``x``: ``x * scale + offset >= threshold`` is ``x >= bound``, or ``x <= bound`` if it falls.

    The bounds are rational. Values are numbers of double precision, so that the next one of these does the same.
    """
    lead = np.broadcast_shapes(
        affine.scale.shape, affine.offset.shape, stairs.thresholds.shape[:-1], stairs.levels.shape[:-1]
    )
    count = stairs.thresholds.shape[-1]
    scale, offset = (np.broadcast_to(part[..., None], (*lead, count)) for part in affine.full(lead))
    thresholds = np.broadcast_to(stairs.thresholds, (*lead, count))
    levels = np.broadcast_to(stairs.levels, (*lead, count + 1))
    bounds = objects((rationals(thresholds) - offset) / scale)
    falls = np.asarray(scale < 0, dtype=bool)
    # What is reached just beyond its threshold begins after the bound, as does what is no longer reached at one that falls.
    beyond = falls if not stairs.above else ~falls
    placed = np.asarray(_next_double(bounds, beyond), dtype=np.float64)
    turned = falls[..., :1]
    placed = np.where(turned, placed[..., ::-1], placed)
    return Staircase(as_weights(placed), as_weights(np.where(turned, levels[..., ::-1], levels)))


def _double_from(bound: Fraction, beyond: bool) -> float:
    """The least number of double precision that is at least ``bound``, or greater."""
    nearest = float(bound)
    if nearest < bound or (beyond and nearest == bound):
        return math.nextafter(nearest, math.inf)
    return nearest


_next_double = np.frompyfunc(_double_from, 2, 1)


def _moved(layer: Layer, affines: Sequence[Affine | None], shapes: Sequence[Shape]) -> Affine:
    """Return the scale of elements that only move: each keeps its own."""
    scales, offsets, places, first = [], [], [], 0
    for affine, shape in zip(affines, shapes, strict=True):
        scale, offset = (Affine.of(rationals(1.0)) if affine is None else affine).full(shape)
        scales.append(scale.ravel())
        offsets.append(offset.ravel())
        size = math.prod(shape)
        places.append(np.arange(first, first + size, dtype=np.float64).reshape(1, *shape))
        first += size
    if len(affines) == 1 and affines[0] is not None and affines[0].is_uniform:
        return Affine.of(affines[0].scale.reshape(()), affines[0].offset.reshape(()))
    picked = layer.reference(places)[0].astype(np.int64)
    return Affine.of(np.concatenate(scales)[picked], np.concatenate(offsets)[picked])


def _passes(layer: Layer, affine: Affine) -> bool:
    """Return True if the layer makes of stored elements of one scale and offset what it makes of the user's, stored so."""
    traits = layer.traits
    scaled = traits.scales is Scales.ANY or (traits.scales is Scales.POSITIVE and affine.is_rising)
    shifted = affine.is_centered or traits.elements is Elements.EXTREME
    return scaled and shifted and traits.exactness is Exactness.EXACT and not layer.weights()


def _of_extremes(layer: Layer, affine: Affine, shape: Shape) -> Affine | None:
    """The scales and offsets of extremes of elements that have the same ones; None if elements of unlike ones are compared."""
    scale, offset = (part.ravel() for part in affine.full(shape))
    numbers: dict[tuple[Fraction, Fraction], float] = {}
    which = [numbers.setdefault(pair, float(len(numbers))) for pair in zip(scale, offset, strict=True)]
    places = np.array(which).reshape(1, *shape)
    most, least = layer.reference([places])[0], -layer.reference([-places])[0]
    if not np.array_equal(most, least):
        return None
    if affine.is_along_last(shape) and np.array_equal(
        most, np.broadcast_to(places[0].reshape(-1, shape[-1])[0], most.shape)
    ):
        return affine
    picked = np.unique(places, return_index=True)[1][most.astype(np.int64)]
    return Affine.of(scale[picked], offset[picked])


def _merged(layer: Layer, affines: Sequence[Affine | None]) -> tuple[Layer, Affine] | None:
    """Operands of one scale are added and compared as they are, those of any are multiplied."""
    known = [affine for affine in affines if affine is not None]
    if isinstance(layer, Multiply | Einsum) and all(each.is_centered for each in known):
        if not isinstance(layer, Multiply) and not all(each.is_uniform for each in known):
            return None
        scale = known[0].scale
        for each in known[1:]:
            scale = rationals(scale * each.scale)
        if len(known) < len(affines) and scale.size > 1:
            return None
        return layer, Affine.of(scale)
    first = known[0]
    alike = len(known) == len(affines) and all(first.is_same(each) for each in known) and first.is_uniform
    if not alike:
        return None
    if layer.traits.sign is not None:
        offset = first.offset + layer.traits.sign * sum(each.offset for each in known[1:])
        return layer, Affine.of(first.scale, np.asarray(offset))
    same = all(bool(np.all(each.offset == first.offset)) for each in known)
    return (layer, first) if same and _passes(layer, first) else None


def _split_bias(bias: Floats | None, scale: Rationals, *, quantized: bool) -> tuple[Floats | None, Rationals]:
    """A bias in units of ``scale``, if it is of integers there; else an offset."""
    if bias is None:
        return None, rationals(0.0)
    codes = bias / as_floats(scale)
    nearest = np.rint(codes)
    if quantized and bool(np.all(np.abs(codes - nearest) <= _CLOSE * np.maximum(np.abs(nearest), 1.0))):
        return as_weights(nearest), rationals(0.0)
    return None, rationals(bias)


def _of_codes(node: NetworkNode, layer: Layer) -> Mapping[str, Quantizer]:
    """The quantizers of a layer whose weights are codes now."""
    quantizers = {}
    for name, values in layer.weights().items():
        quantizer = node.quantizers.get(name)
        if quantizer is not None and values is not node.layer.weights().get(name):
            one = rationals(1.0)
            codes = replace(quantizer, scale=one, step=one, offset=rationals(0.0))
            quantizer = codes if codes.holds(values) else Quantizer.holding(values)
        if quantizer is not None:
            quantizers[name] = quantizer
    return quantizers
