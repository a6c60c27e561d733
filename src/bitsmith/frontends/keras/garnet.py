"""GarNet, a graph network of distance-weighted aggregation, alone and stacked, as hls4ml's users train it.

Source: Y. Iiyama et al., "Distance-Weighted Graph Neural Networks on FPGAs for Real-Time Particle Reconstruction in High Energy
Physics", Frontiers in Big Data 3 (2021), section 3: the simplified network.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ZERO, Kind, Value, constant
from bitsmith.frontends.files.json import Fields, is_integer, shown
from bitsmith.frontends.keras.activations import Activated, read_activation
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.ops.arithmetic import add, multiply
from bitsmith.frontends.ops.contraction import einsum
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.frontends.ops.logic import compare, where
from bitsmith.frontends.ops.reduction import Reducer
from bitsmith.frontends.ops.shape import unsqueeze
from bitsmith.ir.ops import Relation
from bitsmith.layers.layer import Floats, Shape
from bitsmith.layers.reduction import Reduction

_MOST_LAYERS = 64
_COLLAPSES = (None, "mean", "sum", "max")
_TERNARY_FROM = 0.5
"""The least magnitude of a weight that its ternary quantizer makes 1."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer: the features and the distances to the aggregators are affine functions of a vertex; ``out`` is (aggregators,
    features, results), of what the aggregators have gathered.
    """

    features: tuple[Value, Value]
    distances: tuple[Value, Value]
    out: Value
    bias: Value


@dataclass(frozen=True, slots=True)
class _Vertices:
    """A sample's vertices (batch, vertices, inputs), and the truth (batch, vertices, 1) of those that are there."""

    data: Value
    there: Value

    @property
    def count(self) -> int:
        """Number of places for vertices."""
        return self.data.dims[1]

    def weights(self, build: Builder, layer: _Layer) -> Value:
        """``exp(-distance**2)`` of each vertex to each aggregator; 0 where there is no vertex."""
        kernel, bias = layer.distances
        distance = einsum(build.within("distance"), "bvi,is->bvs", (self.data, kernel), bias=bias)
        squared = build.emit(FUNCTIONS["square"], distance, suffix="squared")
        potential = build.affine(squared, constant(-1.0), ZERO, "potential")
        near = build.emit(FUNCTIONS["exponential"], potential, suffix="near")
        return where(build.within("weights"), self.there, near, ZERO)

    def gathered(self, build: Builder, layer: _Layer, weights: Value) -> Value:
        """(batch, aggregators, results): the mean of weighted features at each aggregator, times its part of the transform."""
        kernel, bias = layer.features
        features = einsum(build.within("features"), "bvi,if->bvf", (self.data, kernel), bias=bias)
        mean = einsum(build.within("aggregated"), "bvs,bvf->bsf", (weights, features), scale=1.0 / self.count)
        return einsum(build.within("transformed"), "bsf,sfo->bso", (mean, layer.out))

    def updated(self, build: Builder, layer: _Layer, *activations: Activated) -> Value:
        """(batch, vertices, results): what the aggregators give back to each vertex."""
        weights = self.weights(build, layer)
        gathered = self.gathered(build, layer, weights)
        y = einsum(build.within("returned"), "bvs,bso->bvo", (weights, gathered))
        y = add(build.within("biased"), y, layer.bias)
        for number, activation in enumerate(activations):
            y = activation.of(build.within(f"{activation.name}{number or ''}"), y)
        return where(build, self.there, y, ZERO)

    def collapsed(self, build: Builder, layer: _Layer, scale: float) -> Value:
        """The sum over vertices of :meth:`updated` without activation, times ``scale``.

        It is computed from the sums of weights: products for each aggregator instead of each vertex.
        """
        weights = self.weights(build, layer)
        gathered = self.gathered(build, layer, weights)
        summed = einsum(build.within("summed"), "bvs->bs", (weights,), scale)
        there = replace(self.there, kind=Kind.REAL)
        vertices = einsum(build.within("vertices"), "bvs->bs", (there,), scale)
        y = einsum(build.within("returned"), "bs,bso->bo", (summed, gathered))
        return add(build, y, multiply(build.within("bias"), vertices, layer.bias))


def _garnet(call: LayerCall) -> Value:
    build, config = call.build, call.config
    _check(config)
    activation, collapse = read_activation(config, call.major, "output_activation"), config.get("collapse")
    # A layer applies its function once more to what its dense layer has already applied it to, one of a stack does not.
    times = 1 if isinstance(config.get("n_filters"), list) else 2
    activations = () if activation is None else (activation,) * times
    vertices = _vertices(call)
    layers = list(_layers(call, vertices.data.dims[2]))
    for number, layer in enumerate(layers[:-1]):
        data = vertices.updated(build.within(f"layer{number}"), layer, *activations)
        vertices = _Vertices(data, vertices.there)
    scale = 1.0 / vertices.count if collapse == "mean" else 1.0
    if not activations and collapse in ("mean", "sum"):
        return vertices.collapsed(build, layers[-1], scale)
    if collapse is None:
        return vertices.updated(build, layers[-1], *activations)
    y = vertices.updated(build.within("updated"), layers[-1], *activations)
    return Reducer(Reduction.MAX).of(build, y, (1,)) if collapse == "max" else einsum(build, "bvo->bo", (y,), scale)


def _check(config: Fields) -> None:
    """Refuse what is not the simplified network."""
    for key, accepted in (("simplified", True), ("mean_by_nvert", False)):
        if config.flag(key, False) is not accepted:
            raise UnsupportedError(f"{key}={not accepted}", accepted=f"{key}={accepted}")
    if config.get("input_format") not in (None, "xn"):
        raise UnsupportedError(f"input_format={shown(config.get('input_format'))}", accepted="'xn'")
    if config.get("collapse") not in _COLLAPSES:
        raise config.wrong("collapse", "null, 'mean', 'sum' or 'max'")
    if config.get("quantize_transforms") and config.get("total_bits") is not None:
        raise UnsupportedError(
            "transforms of a given number of bits", accepted="ternary ones, or none that is quantized"
        )


def _vertices(call: LayerCall) -> _Vertices:
    data, count = call.operands(2)
    if data.rank != 3 or count.dims[1:] != (1,):
        found = f"called on shapes {data.shape} and {count.shape}"
        raise call.config.error(found, "vertices (places, inputs), and the number of vertices")
    numbers = constant(np.arange(1.0, data.dims[1] + 1.0))
    there = compare(call.build.within("there"), Relation.LE, numbers, count)
    return _Vertices(data, unsqueeze(call.build.within("mask"), there, (2,)))


def _layers(call: LayerCall, inputs: int) -> Iterator[_Layer]:
    sizes = [_sizes(call.config, key) for key in ("n_propagate", "n_aggregators", "n_filters")]
    if len({len(each) for each in sizes}) != 1:
        raise call.config.error(f"layers of sizes {sizes}", "as many of each")
    wanted: list[tuple[str, Shape]] = []
    read = inputs
    for features, aggregators, results in zip(*sizes, strict=True):
        transforms = {"FLR": (read, features), "S": (read, aggregators), "Fout": (aggregators * features, results)}
        for name, shape in transforms.items():
            wanted += [(f"{name}_kernel", shape), (f"{name}_bias", shape[1:])]
        read = results
    found = call.weights(*wanted)
    level = _ternary if call.config.get("quantize_transforms") else lambda values: values
    for k, (features, aggregators, results) in enumerate(zip(*sizes, strict=True)):
        flr, flr_bias, s, s_bias, out, bias = found[6 * k : 6 * k + 6]
        shaped = level(out).reshape(aggregators, features, results)
        yield _Layer(
            (constant(level(flr)), constant(level(flr_bias))),
            (constant(s), constant(s_bias)),
            constant(shaped),
            constant(bias),
        )


def _ternary(values: Floats) -> Floats:
    return np.where(np.abs(values) >= _TERNARY_FROM, np.sign(values), 0.0)


def _sizes(config: Fields, key: str) -> list[int]:
    """One size, or those of a stack."""
    given = config.get(key)
    sizes = given if isinstance(given, list) else [given]
    found = [size for size in sizes if is_integer(size) and size > 0]
    if not found or len(found) != len(sizes) or len(found) > _MOST_LAYERS:
        raise config.wrong(key, f"a positive integer, or a list of at most {_MOST_LAYERS}")
    return found


GARNET_MODULES = ("hls4ml", "caloGraphNN_keras")
"""Modules from which models may have the layers."""

GARNET = {name: Translation(_garnet, "Einsum, Activation, Where") for name in ("GarNet", "GarNetStack")}
"""Layers by class name."""
